"""`python -m coursekit copy [FOLDER]`: the learner's copy of the notebooks."""

from __future__ import annotations

import argparse
from typing import Any

from coursekit.exercises.editions import FOLDER, Action, copy

_SAYS = {
    Action.CREATED: "new",
    Action.UPDATED: "renewed",
    Action.CURRENT: "as it was",
    Action.CHANGED: "changed by you, left as it is",
    Action.OUTDATED: "changed by you, left as it is; the course has a newer one: python -m coursekit reset {}",
}


def add_parser(commands: Any) -> None:
    """Add `copy` to the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "copy", help="make your own copy of the notebooks, to work in",
        description="Copy the notebooks into a folder to work in. Answers are left out until you ask for them; "
        "what you changed there stays.",
    )  # fmt: skip
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=FOLDER, help=f"where to; {FOLDER} if left out")
    parser.add_argument("--quiet", action="store_true", help="say only what was left as it is")


def run(args: argparse.Namespace) -> int:
    """Copy, and say of each notebook what was done."""
    for copied in copy(args.folder):
        if args.quiet and copied.action not in (Action.CHANGED, Action.OUTDATED):
            continue
        number = copied.path.name.split("-")[0]
        print(f"{copied.path}: {_SAYS[copied.action].format(number)}")
    return 0
