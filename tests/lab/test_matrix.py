"""Model = reality: every cell of the matrix, and random clusters, as an ordinary user; part of it as root too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import scapy

from coursekit.cluster.faults import FAULTS
from coursekit.cluster.options import PROFILES
from tests.conftest import ROOT
from tests.lab import matrix
from tests.lab.cases import cases
from tests.lab.cells import Report
from tests.lab.probes import PROBES
from tests.seeds import ALL, seeds

pytestmark = [pytest.mark.namespaces, pytest.mark.tool("bird"), pytest.mark.tool("traceroute")]
CASES = [case.name for case in cases()]
SEEDS = [f"seed {seed}" for seed in seeds(matrix.SEEDS, matrix.SEEDS[:36:6] + matrix.SEEDS[-4:])]
BY_ROOT = [*CASES[:: 4 if ALL else 16], *SEEDS[::4]]  # for root only the user namespace is not there

# A bare container has 0600 on /dev/net/tun, any distribution with udev 0666. The inner shell is there because setpriv's
# own exec still has the right to read everything: a Python in root's home would start, and find nothing.
AS_NOBODY = """
mknod -m 666 $1/tun c 10 200 && mount --bind $1/tun /dev/net/tun && cd $1 && shift || exit
exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '
for python in "$0" /usr/bin/python3; do
    "$python" -c "import scapy" && exec "$python" -m tests.lab.matrix "$@"
done' "$@"
"""


def selected(request: pytest.FixtureRequest, test: Callable[..., None]) -> list[str]:
    """Return the names with which this run calls a test."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return [item.callspec.params["name"] for item in functions if item.originalname == test.__name__]


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Return a copy of the course that everybody may read; pytest shuts its own folders, those of other runs too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in (ROOT / "coursekit", ROOT / "tests", ROOT / "data", Path(scapy.__file__).parent):
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> dict[str, Report]:
    """What an ordinary user finds in every selected case: whoever runs the tests, or nobody if that is root."""
    names = selected(request, test_every_fault_of_every_profile) + selected(request, test_random_clusters)
    if os.geteuid():
        return dict(zip(names, matrix.reports(names), strict=True))
    folder = request.getfixturevalue("open_folder")
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["unshare", "--mount", "sh", "-c", AS_NOBODY, "-", folder, sys.executable, *names]
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    found = [Report(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) == len(names), done.stderr
    return dict(zip(names, found, strict=True))


@pytest.fixture(scope="module")
def reports_of_root(request: pytest.FixtureRequest) -> dict[str, Report]:
    """What root finds."""
    names = selected(request, test_root_has_the_same_lab)
    return dict(zip(names, matrix.reports(names), strict=True))


def compared(report: Report, record_property: Callable[[str, object], None]) -> None:
    """Count what was compared, and fail with what differs."""
    record_property("cells", report.cells)
    record_property("cells in which the probe fails in both", report.failures)
    record_property("frames identical", report.frames)
    record_property("rows of tables equal", report.rows)
    assert not report.differences, "\n".join(report.differences)
    assert report.cells == len(PROBES)


@pytest.mark.tool("setpriv")
@pytest.mark.parametrize("name", CASES)
def test_every_fault_of_every_profile(
    name: str, reports: dict[str, Report], record_property: Callable[[str, object], None]
) -> None:
    """Same tables, outcome, symptom, last place seen, points and bytes in the model and in the kernel."""
    compared(reports[name], record_property)


@pytest.mark.tool("setpriv")
@pytest.mark.parametrize("name", SEEDS)
def test_random_clusters(
    name: str, reports: dict[str, Report], record_property: Callable[[str, object], None]
) -> None:
    """Clusters that nobody thought of do what the model says; `python -m tests.lab.matrix --seed N` runs one again."""
    compared(reports[name], record_property)


@pytest.mark.root
@pytest.mark.parametrize("name", BY_ROOT)
def test_root_has_the_same_lab(
    name: str, reports_of_root: dict[str, Report], record_property: Callable[[str, object], None]
) -> None:
    """Without a user namespace around it, each lab does the same."""
    compared(reports_of_root[name], record_property)


def test_nothing_is_left_out() -> None:
    """Every profile is in the matrix, every fault with every profile that can have it, and all of it is enough."""
    names = {case.cluster.profile.name for case in cases()}
    broken = {(case.cluster.profile.name, fault.name) for case in cases() for fault in case.faults}
    assert names == set(PROFILES)
    assert {fault for _, fault in broken} == set(FAULTS)
    assert len({case.name for case in cases()}) == len(cases())
    assert len(cases()) * len(PROBES) >= 500
    assert len(matrix.SEEDS) >= 30
    assert {case.cluster.profile.name for case in cases() if case.name in BY_ROOT} == set(PROFILES)
