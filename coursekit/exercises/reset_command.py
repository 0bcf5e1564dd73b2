"""`python -m coursekit reset NUMBER`: one notebook of the learner's copy as it was, and the old one kept."""

from __future__ import annotations

import argparse
from typing import Any

from coursekit.exercises.editions import FOLDER, reset


def add_parser(commands: Any) -> None:
    """Add `reset` to the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "reset", help="restore a notebook of your copy, and keep the old one beside it",
        description="Restore one notebook of your copy. The old one stays beside it under another name.",
    )  # fmt: skip
    parser.add_argument("notebook", metavar="NUMBER", help='which one, such as "04"')
    parser.add_argument("--folder", help=f"your copy; the current folder if it is one, else {FOLDER}")


def run(args: argparse.Namespace) -> int:
    """Restore the notebook, and say where both are."""
    path, old = reset(args.notebook, args.folder)
    print(f"{path} is as the course has it." + (f" Yours is now {old}." if old else ""))
    return 0
