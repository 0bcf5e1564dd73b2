"""One setting says how much of what is drawn at random is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ASK = "from tests.seeds import examples, seeds; print(*seeds(range(9), (2, 7)), '|', examples(100), examples(100, 30))"


def asked(wanted: str | None) -> subprocess.CompletedProcess[str]:
    """Return what another Python draws under a setting."""
    settings = {name: value for name, value in os.environ.items() if name != "COURSEKIT_SEEDS"}
    settings |= {"COURSEKIT_SEEDS": wanted} if wanted is not None else {}
    return subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, env=settings, capture_output=True, text=True)


@pytest.mark.parametrize(("wanted", "drawn"), [
    (None, "2 7 | 20 30"), ("", "2 7 | 20 30"), ("sample", "2 7 | 20 30"), ("all", "0 1 2 3 4 5 6 7 8 | 100 100"),
    ("40:43", "40 41 42 | 20 30"),
])  # fmt: skip
def test_what_is_drawn(wanted: str | None, drawn: str) -> None:
    """A sample is the rule; `all` is everything; a range is other seeds, with as many examples as a sample."""
    assert asked(wanted).stdout.strip() == drawn


@pytest.mark.parametrize("wanted", ["most", "1000", "4100-4200", "all "])
def test_another_word_gets_a_sentence(wanted: str) -> None:
    """Whoever mistypes the setting is told, and does not take a sample for everything."""
    done = asked(wanted)
    assert done.returncode
    assert done.stderr.strip() == (
        f"COURSEKIT_SEEDS is {wanted!r}; sample, all, or a range such as 4100:4200 was expected.")  # fmt: skip


def test_nothing_else_reads_the_setting() -> None:
    """The setting is read in one place."""
    reading = [path.name for path in (ROOT / "tests").rglob("*.py")
               if "COURSEKIT_SEEDS" in path.read_text(encoding="utf-8") and path != Path(__file__)]  # fmt: skip
    assert reading == ["seeds.py"]
