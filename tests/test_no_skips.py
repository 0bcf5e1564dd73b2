"""In CI nothing is skipped: the hooks of conftest.py turn a skip into a failure that says why."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = '''
import pytest

def test_passes(): pass
def test_skips(): pytest.skip("no tshark here")
@pytest.mark.skip(reason="not today")
def test_marked(): pass
@pytest.mark.xfail(reason="known to fail")
def test_expected(): assert 1 == 2
@pytest.mark.tool("a-program-nobody-has")
def test_tool(): pass
'''


def run(folder: Path, ci: str) -> str:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_some.py").write_text(SKIPPING)
    (folder / "test_whole.py").write_text('import pytest\npytest.skip("the whole file", allow_module_level=True)\n')
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    tool(name): a program\n")
    command = [sys.executable, "-m", "pytest", "-rfEsx", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_a_skip_fails_in_ci(tmp_path: Path) -> None:
    """With CI=true skips of all kinds and expected failures are failures, each with its reason."""
    said = run(tmp_path, "true")

    assert "2 failed, 1 passed, 3 errors" in said
    for why in ("no tshark here", "not today", "known to fail", "needs a-program-nobody-has", "the whole file"):
        assert re.search(f"Nothing is skipped in CI, and this was: (Skipped: )?{why}", said)


@pytest.mark.parametrize("ci", ["", "false"])
def test_a_skip_skips_on_a_laptop(tmp_path: Path, ci: str) -> None:
    """Elsewhere a skip is a skip."""
    assert "1 passed, 4 skipped, 1 xfailed" in run(tmp_path, ci)
