"""What all tests share: when to skip on a laptop, and that nothing skips in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from coursekit.lab.probe import probe
from tests.seeds import examples

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

settings.register_profile("course", max_examples=examples(100), deadline=None)  # a busy machine is no slow test
settings.load_profile("course")

# A test keeps no progress of the user who runs it, and no notebook that a test runs finds any.
os.environ["COURSEKIT_PROGRESS"] = ""

# Debian keeps ip, bridge and bird where an ordinary user's PATH does not look.
os.environ["PATH"] += os.pathsep + os.pathsep.join(("/usr/sbin", "/sbin"))


def soon(true: Callable[[], object], seconds: float = 60) -> bool:
    """Return whether something becomes true: what a test waits for instead of for a time."""
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(found)


@cache
def _no_namespaces() -> str:
    """Return why this user cannot make network namespaces, or nothing."""
    if not sys.platform.startswith("linux"):
        return "needs Linux network namespaces"
    if os.geteuid() != 0:
        return "needs root"
    try:
        done = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    except OSError as error:
        return f"needs {error.filename} (Debian: util-linux, iproute2)"
    return f"no network namespaces here: {done.stderr.strip()}" if done.returncode else ""


@cache
def chromium() -> str | None:
    """Return the path of Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@cache
def _no_lab() -> str:
    """Return why neither root nor a user namespace can hold the lab here, or nothing."""
    can = probe()
    return "" if can.root.works or can.user.works else f"needs network namespaces: {can.user.said}"


@cache
def kernel() -> Path:
    """Return the package of a Debian kernel that COURSEKIT_KERNEL names."""
    return Path(os.environ.get("COURSEKIT_KERNEL", "")).absolute()


@cache
def _no_kernel() -> str:
    """Return why no guest can run here, or nothing."""
    if not shutil.which("qemu-system-x86_64"):
        return "needs qemu-system-x86_64 (Debian: apt install qemu-system-x86)"
    if not kernel().is_file():
        return "needs a kernel: apt-get download linux-image-6.1.0-56-amd64, and its path in COURSEKIT_KERNEL"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine cannot run."""
    if item.get_closest_marker("root") and (why := _no_namespaces()):
        pytest.skip(why)
    if item.get_closest_marker("namespaces") and (why := _no_lab()):
        pytest.skip(why)
    if item.get_closest_marker("kernel") and (why := _no_kernel()):
        pytest.skip(why)
    if item.get_closest_marker("browser") and not chromium():
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    for marker in item.iter_markers("tool"):
        for name in marker.args:
            if not shutil.which(name):
                pytest.skip(f"needs {name}, which is not on PATH")


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip, or an expected failure, into a failure that says why it was skipped."""
    if report.skipped:
        reason = getattr(report, "wasxfail", None)
        if reason is None:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"Nothing is skipped in CI, and this was: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if IN_CI:
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    if IN_CI:
        _refuse(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was compared: what tests recorded as whole numbers, summed over the cases of each test."""
    sums: dict[str, dict[str, int]] = {}
    for report in terminalreporter.getreports("passed"):
        test = report.nodeid.removeprefix("tests/").split("[")[0]
        for name, value in getattr(report, "user_properties", ()):
            if isinstance(value, int):
                of_test = sums.setdefault(test, {})
                of_test[name] = of_test.get(name, 0) + value
    if sums:
        terminalreporter.section("compared")
    for test, counts in sums.items():
        terminalreporter.line(f"{test}: " + ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items()))
