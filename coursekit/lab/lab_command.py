"""`python -m coursekit lab record` and `lab verify`: the recordings made anew, and held against what happens now."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from coursekit.errors import CourseError
from coursekit.lab.probe import probe
from coursekit.lab.recorder import provenance
from coursekit.lab.recorder.compare import differences
from coursekit.lab.recorder.scenario import Scenario, chosen, scenarios
from coursekit.lab.recorder.take import take
from coursekit.lab.recording import recording, recordings
from coursekit.paths import data_dir


def add_parser(commands: Any) -> None:
    """Add `lab record` and `lab verify` to the command line."""
    parser = commands.add_parser("lab", help="make the recordings anew, or verify them")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    one = verbs.add_parser("record", help="rebuild recordings with the live lab, with their provenance")
    one.add_argument("names", nargs="*", metavar="NAME", help="recordings; without any, all that can be made here")
    one.add_argument("--into", type=Path, metavar="DIR", help="where to write them (data/recordings)")
    two = verbs.add_parser("verify", help="check the SHA-256 of every recorded file, then make them again and compare")
    two.add_argument("names", nargs="*", metavar="NAME", help="recordings; without any, all")
    two.add_argument("--sums", action="store_true", help="check the SHA-256 only")


def run(args: argparse.Namespace) -> int:
    """Run the command; return 1 when a recording is not what it was, or is not what happens now."""
    return _record(args.names, args.into) if args.verb == "record" else _verify(args.names, args.sums)


def _cannot(scenario: Scenario) -> str:
    """Return why a scenario cannot be run here, or nothing."""
    if scenario.cannot:
        return scenario.cannot
    can = probe()
    if scenario.kernel == "debian" and not can.ipip.works:
        return "it was recorded on Debian's kernel, which has IPIP, and this kernel has none (`sudo modprobe ipip`)"
    if scenario.kernel == "without ipip" and can.ipip.works:
        return "this kernel has IPIP, and it was recorded where none was"
    return ""


def _record(names: list[str], into: Path | None) -> int:
    wanted = chosen(names)
    if advice := probe().advice:
        raise CourseError(advice)
    target = into if into is not None else data_dir() / "recordings"
    for scenario in wanted:
        if why := _cannot(scenario):
            if names:
                raise CourseError(f"{scenario.name} cannot be recorded here: {why}.")
            print(f"{scenario.name}: cannot be recorded here: {why}", flush=True)
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as room:
            taken = take(scenario, Path(room))
        provenance.write(scenario, taken, target)
        print(f"{scenario.name}: {len(taken.files)} files, {time.monotonic() - began:.1f} s", flush=True)
    return 0


def _verify(names: list[str], sums: bool) -> int:
    wanted = [recording(name).name for name in names] or list(recordings())
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
    return max([_again(name) for name in wanted], default=0)


def _damaged(names: list[str], *, everything: bool) -> Any:
    """Yield a sentence per recording whose files are not those that were recorded."""
    home = data_dir() / "recordings"
    for name in names:
        try:
            provenance.check_files(home / name)
        except CourseError as error:
            yield str(error)
    if everything:
        for path in sorted(home.iterdir()):
            if path.name not in names:
                yield f"{path.name} in data/recordings is no recording: it has no provenance.json. Remove it."


def _again(name: str) -> int:
    """Make a recording again and compare; print one line and return 1 if something differs."""
    scenario = scenarios().get(name)
    why = _cannot(scenario) if scenario else "no scenario describes it"
    if scenario is None or why:
        print(f"{name}: cannot be re-run here: {why}", flush=True)
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as room:
        try:
            taken = take(scenario, Path(room, "captures"))
        except CourseError as error:
            print(f"{name}: could not be re-run: {error}", flush=True)
            return 1
        found = list(differences(recording(name), recording(provenance.write(scenario, taken, Path(room, "now")))))
    seconds = time.monotonic() - began
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        print(f"{name}: differs: {found[0]}{more}", flush=True)
        return 1
    print(f"{name}: as recorded, {len(taken.files)} files, {seconds:.1f} s", flush=True)
    return 0
