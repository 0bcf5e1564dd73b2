"""Folders that are needed for a while, and are gone afterwards however that ends."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from coursekit.errors import CourseError

# `cat` ends when the pipe does, and whoever is killed closes its pipes too; daemons may take a moment to end.
_SWEEP = 'cat; for n in $(seq 50); do rm -rf "$1" && break; sleep 0.1; done'


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that is gone afterwards; raises CourseError where none can be made."""
    try:
        room = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        raise CourseError(
            f"No temporary folder can be made ({error.strerror}). Let TMPDIR name a folder that may be written."
        ) from None
    with room as name:
        yield Path(name)


@contextlib.contextmanager
def swept() -> Iterator[Path]:
    """Yield a scratch folder that a shell removes if we are killed: it waits for our end."""
    with scratch() as folder, subprocess.Popen(
        ["sh", "-c", _SWEEP, "sh", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
    ):  # fmt: skip
        yield folder
