"""The command line: `python -m coursekit COMMAND`.

Each command lives in its own room and is imported only when it is asked for, so that no room slows another.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import coursekit
from coursekit.errors import CourseError

COMMANDS = {
    "copy": ("coursekit.exercises.copy_command", "make your own copy of the notebooks, to work in"),
    "reset": ("coursekit.exercises.reset_command", "restore a notebook of your copy, and keep the old one beside it"),
    "dissect": ("coursekit.packets.dissect_command", "take every frame of a capture apart, field by field"),
    "prove": ("coursekit.packets.prove_command", "rebuild the frames outside a tunnel from those inside it"),
    "bgp": ("coursekit.bgp.bgp_command", "run a BGP scenario and print the tables it settles on"),
    "lab": ("coursekit.lab.lab_command", "make the recordings anew with the live lab, or verify them"),
    "doctor": ("coursekit.lab.doctor_command", "say what this machine can do, and how to mend what it cannot"),
}


def _parser(asked: str | None) -> argparse.ArgumentParser:
    """Return the parser with the arguments of the command that was asked for; of the others only a line of help."""
    parser = argparse.ArgumentParser(
        prog="python -m coursekit", description="Tools of the course on how pods talk across nodes.",
    )
    parser.add_argument("--version", action="version", version=f"coursekit {coursekit.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        if not find_spec(module):
            continue
        if name == asked:
            import_module(module).add_parser(commands)
        else:
            commands.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status, 2 for a mistake in what was given, 130 and 141 as a shell has them."""
    words = list(sys.argv[1:] if argv is None else argv)
    asked = next((word for word in words if not word.startswith("-")), None)
    try:
        args = _parser(asked).parse_args(words)
        status = int(import_module(COMMANDS[args.command][0]).run(args))
        sys.stdout.flush()
    except CourseError as error:
        print(f"coursekit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader left (`… | head`). Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


if __name__ == "__main__":
    sys.exit(main())
