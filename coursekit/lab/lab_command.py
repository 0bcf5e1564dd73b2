"""`python -m coursekit lab record` and `lab verify`: the recordings made anew, and held against what happens now."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from coursekit.errors import CourseError
from coursekit.lab.probe import probe
from coursekit.lab.recorder import provenance
from coursekit.lab.recorder.compare import differences
from coursekit.lab.recorder.guest import Guest
from coursekit.lab.recorder.scenario import Scenario, chosen, scenarios
from coursekit.lab.recorder.take import Take, take
from coursekit.lab.recording import recording, recordings
from coursekit.paths import data_dir
from coursekit.scratch import scratch

_Made = TypeVar("_Made")
_AT_ONCE = 4  # scenarios side by side
_GUESTS_AT_ONCE = min(_AT_ONCE, os.cpu_count() or 1)  # each takes a whole processor
_TRIES = 2  # a machine with much to do misses a timer
_UNSURE_TRIES = 5  # BIRDs that meet in another order send other UPDATEs, and a guest is slow: at worst one in four


def add_parser(commands: Any) -> None:
    """Add `lab record` and `lab verify` to the command line."""
    parser = commands.add_parser("lab", help="make the recordings anew, or verify them")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    one = verbs.add_parser("record", help="rebuild recordings with the live lab, with their provenance")
    one.add_argument("names", nargs="*", metavar="NAME", help="recordings; without any, all that can be made here")
    one.add_argument("--into", type=Path, metavar="DIR", help="where to write them (data/recordings)")
    two = verbs.add_parser("verify", help="check the SHA-256 of every recorded file, then make them again and compare")
    two.add_argument("names", nargs="*", metavar="NAME", help="recordings; without any, all")
    for verb in (one, two):
        verb.add_argument("--kernel", type=Path, metavar="DEB", help="run IPIP in QEMU on this package's kernel: "
                          "`apt-get download linux-image-6.1.0-56-amd64`")  # fmt: skip
    two.add_argument("--sums", action="store_true", help="check the SHA-256 only")


def run(args: argparse.Namespace) -> int:
    """Run the command; return 1 when a recording is not what it was, or is not what happens now."""
    if args.kernel is None:
        return _record(args.names, args.into, None) if args.verb == "record" else _verify(args.names, args.sums, None)
    with Guest(args.kernel) as guest:
        return _record(args.names, args.into, guest) if args.verb == "record" else _verify(args.names, args.sums, guest)


def _cannot(scenario: Scenario, guest: Guest | None) -> str:
    """Return why a scenario cannot be run here, or nothing."""
    if scenario.kernel and guest is None and not scenario.cannot:
        return "it was made on Debian's kernel, in QEMU: give its package with --kernel"
    return scenario.cannot


def _take(scenario: Scenario, room: Path, guest: Guest | None) -> Take:
    """Run a scenario, in the guest if it needs another kernel."""
    if scenario.kernel and guest is not None:
        return replace(take(scenario, room, guest.command()), kernel=guest.kernel)
    return take(scenario, room)


def _record(names: list[str], into: Path | None, guest: Guest | None) -> int:
    wanted = chosen(names)
    if advice := probe().advice:
        raise CourseError(advice)
    target = into if into is not None else data_dir() / "recordings"
    for scenario in wanted:
        if names and (why := _cannot(scenario, guest)):
            raise CourseError(f"{scenario.name} cannot be recorded here: {why}.")

    def make(name: str) -> tuple[Scenario, Take | str]:
        scenario = scenarios()[name]
        if why := _cannot(scenario, guest):
            return scenario, f"cannot be recorded here: {why}"
        with scratch() as room:
            return scenario, _take(scenario, room, guest)

    for scenario, made in _side_by_side(make, [scenario.name for scenario in wanted]):
        if isinstance(made, Take):  # written here, where an interrupt is felt: then nothing more is
            provenance.write(scenario, made, target)
        said = made if isinstance(made, str) else f"{len(made.files)} files"
        print(f"{scenario.name}: {said}", flush=True)
    return 0


def _verify(names: list[str], sums: bool, guest: Guest | None) -> int:
    wanted = list(dict.fromkeys(recording(name).name for name in names)) or list(recordings())
    damaged = list(_damaged(wanted, everything=not names))
    for sentence in damaged:
        print(sentence, flush=True)
    if damaged:
        return 1
    count = f"{len(wanted)} recording{'s' * (len(wanted) != 1)}"
    print(f"{count}: every file is the one that was recorded (SHA-256).", flush=True)
    if sums:
        return 0
    if advice := probe().advice:
        raise CourseError(f"The recordings cannot be made again here. {advice} `--sums` checks the files alone.")
    worst = 0
    for status, line in _side_by_side(lambda name: _again(name, guest), wanted):
        worst = max(worst, status)
        print(line, flush=True)
    return worst


def _damaged(names: list[str], *, everything: bool) -> Any:
    """Yield a sentence per recording whose files are not those that were recorded."""
    home = data_dir() / "recordings"
    try:
        noted = provenance.sealed(home)
    except CourseError as error:
        yield str(error)
        return
    for name in names:
        try:
            provenance.check_files(home / name, noted)
        except CourseError as error:
            yield str(error)
    if everything:
        for name in sorted({*scenarios(), *noted} - set(names)):
            yield f"The recording {name!r} is not there. `git checkout -- data/recordings/{name}` brings it back."
        for path in sorted(home.iterdir()):
            if path.name not in (*names, provenance.SUMS):
                yield f"{path.name} in data/recordings is no recording: it has no provenance.json. Remove it."


def _side_by_side(do: Callable[[str], _Made], names: list[str]) -> Iterator[_Made]:
    """Yield what `do` gives for each name, in order; most of a scenario is waiting, so some run at the same time."""
    kernels = {name: name in scenarios() and bool(scenarios()[name].kernel) for name in names}
    pools = {False: ThreadPoolExecutor(_AT_ONCE), True: ThreadPoolExecutor(_GUESTS_AT_ONCE)}
    try:
        for done in [pools[kernels[name]].submit(do, name) for name in names]:
            yield done.result()
    finally:  # an interrupt too: what runs takes its lab down, what waits does not begin
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools.values():
            pool.shutdown()


def _again(name: str, guest: Guest | None) -> tuple[int, str]:
    """Make a recording again and compare; return 1 if something differs, and a line about it."""
    scenario = scenarios().get(name)
    why = _cannot(scenario, guest) if scenario else "no scenario describes it"
    if scenario is None or why:
        return 0, f"{name}: cannot be re-run here: {why}"
    began = time.monotonic()
    for _ in range(_UNSURE_TRIES if scenario.bgp or scenario.kernel else _TRIES):
        with scratch() as room:
            try:
                taken = _take(scenario, room / "captures", guest)
                fresh = recording(provenance.write(scenario, taken, room / "now"))
            except CourseError as error:
                return 1, f"{name}: could not be re-run: {error}"
            found = list(differences(recording(name), fresh, updates=not scenario.race))
        if not found:
            break
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return 1, f"{name}: differs: {found[0]}{more}"
    return 0, f"{name}: as recorded, {len(taken.files)} files, {time.monotonic() - began:.1f} s"
