"""Running many labs side by side: they mostly wait. `python -m tests.lab.matrix --seed 7` runs one of them alone."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from tests.lab.cases import cases
from tests.lab.cells import Case, Report, run
from tests.lab.random_clusters import random_case

WORKERS = 8 * (os.cpu_count() or 1)
# The last ones showed what no other did: lone nodes in racks, a martian source, an ARP in vain beside an answered one.
SEEDS = (*range(36), 320, 350, 618, 538)


def named(name: str) -> Case:
    """Return a case by its name, or by its seed: `seed 7`."""
    if name.startswith("seed "):
        return random_case(int(name.split()[1]))
    return next(case for case in cases() if case.name == name)


def attempt(name: str) -> Report:
    """Run a case; whatever goes wrong is a difference, with the line that brings it back."""
    try:
        report = run(named(name))
    except Exception:
        report = Report(name, differences=[traceback.format_exc(limit=-4)])
    if report.differences:
        again = f"--seed {name.split()[1]}" if name.startswith("seed ") else f"{name!r}"
        report.differences.append(f"again: python -m tests.lab.matrix {again}")
    return report


def all_names() -> list[str]:
    """Return the names of every case, and of every seed."""
    return [*(case.name for case in cases()), *(f"seed {seed}" for seed in SEEDS)]


def reports(names: list[str]) -> Iterator[Report]:
    """Run cases, in workers forked from a process that has imported all they need: a test run itself has threads."""
    if len(names) == 1:
        yield attempt(names[0])
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.lab.matrix"])
    with ProcessPoolExecutor(WORKERS, context) as workers:
        yield from workers.map(attempt, names)


def main() -> int:
    """Run cases by name, by seed, or all; print one line of JSON for each, and what differs on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", help="names of cases; none: all")
    parser.add_argument("--seed", action="append", default=[], help="a random cluster, or a range such as 100-199")
    options = parser.parse_args()
    names = list(options.names)
    for text in options.seed:
        first, _, last = text.partition("-")
        names += [f"seed {seed}" for seed in range(int(first), int(last or first) + 1)]
    bad = 0
    for report in reports(names or all_names()):
        print(json.dumps(asdict(report)), flush=True)
        bad += bool(report.differences)
        print(*report.differences, sep="\n", end="\n" if report.differences else "", file=sys.stderr)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
