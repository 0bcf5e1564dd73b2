"""The command line as a shell sees it: what it prints where, and with which exit status."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from importlib.metadata import version
from typing import Any

import pytest

from coursekit import __main__
from coursekit.errors import CourseError


def coursekit(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coursekit", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def pretend(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """Put a command called `doctor` in place of the real one."""
    room = types.SimpleNamespace(add_parser=lambda commands: commands.add_parser("doctor"), run=run)
    monkeypatch.setattr(__main__, "import_module", lambda name: room)


def test_version() -> None:
    """`--version` prints the version of the distribution."""
    assert coursekit("--version").stdout == f"coursekit {version('pods-across-nodes')}\n"


def test_help_lists_the_commands_without_importing_them() -> None:
    """`--help` names every command, and imports none of their rooms' heavy parts."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "coursekit", "--help"], capture_output=True, text=True, check=False,
    )

    assert done.returncode == 0
    for name in ("dissect", "prove", "doctor"):
        assert f"\n    {name} " in done.stdout
    assert not re.findall(r"\b(?:scapy|plotly|ipywidgets|IPython)$", done.stderr, re.M)


@pytest.mark.parametrize("words", [(), ("nonsense",), ("doctor", "--nonsense"), ("--nonsense",)])
def test_wrong_words_are_usage_errors(words: tuple[str, ...]) -> None:
    """What is no command or option gets the usage on stderr and status 2."""
    done = coursekit(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_a_mistake_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A CourseError is printed as its sentence on stderr, with status 2 and no traceback."""

    def run(args: Any) -> int:
        raise CourseError("That is no capture.")

    pretend(monkeypatch, run)

    assert __main__.main(["doctor"]) == 2
    assert capsys.readouterr() == ("", "coursekit: That is no capture.\n")


def test_the_status_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is what the command returns."""
    pretend(monkeypatch, lambda args: 1)

    assert __main__.main(["doctor"]) == 1


def test_control_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with status 130, as a shell has it, and prints nothing."""

    def run(args: Any) -> int:
        raise KeyboardInterrupt

    pretend(monkeypatch, run)

    assert __main__.main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_may_leave() -> None:
    """`… | head` gets no complaint about the broken pipe."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m coursekit doctor --json | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False, timeout=60,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )

    assert (done.returncode, done.stderr) == (141, "")
