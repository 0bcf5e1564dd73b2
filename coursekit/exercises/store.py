"""Where progress is kept: one file, written whole or not at all, also when two notebooks write at once.

COURSEKIT_PROGRESS names the file; empty, nothing is kept on disk; not set, it is in the user's data folder. What
cannot be written stays in memory and is tried again. A file that cannot be read is put aside, never overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

VARIABLE = "COURSEKIT_PROGRESS"
VERSION = 1
Data = dict[str, Any]
Change = Callable[[Data], None]


def empty() -> Data:
    """Return what a file holds before anything was done."""
    return {"version": VERSION, "predictions": {}, "exercises": {}}


def path() -> Path | None:
    """Return the file that progress is kept in, or None for nowhere."""
    named = os.environ.get(VARIABLE)
    if named is None:
        return platformdirs.user_data_path("coursekit") / "progress.json"
    return Path(named).expanduser() if named else None


class Store:
    """Progress of one file. `notices` are sentences that the learner has not been shown yet."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.data = empty()
        self.notices: list[str] = []
        self._unwritten: list[Change] = []

    def read(self) -> Data:
        """Return what is known: the file's progress, and what could not be written yet."""
        if self.file is not None:
            self.data = self._load()
            for change in self._unwritten:
                change(self.data)
        return self.data

    def change(self, change: Change) -> None:
        """Apply a change to the newest state of the file, and write it; on failure it stays in memory."""
        if self.file is None:
            change(self.data)
            return
        self._unwritten.append(change)
        try:
            with _locked(self.file):
                data = self.read()
                _write(self.file, json.dumps(data, indent=1, sort_keys=True) + "\n")
        except OSError as error:
            self.read()
            self._say(f"Your progress cannot be written to {self.file} ({error.strerror or error}). It is kept in "
                      f"memory until this notebook ends. Let {VARIABLE} name a file that can be written.")  # fmt: skip
            return
        self._unwritten.clear()

    def keep_answer(self, line: Data) -> None:
        """Add a line to the file of wrong answers that nobody foresaw, beside the progress; a full disk is no error."""
        if self.file is None:
            return
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.with_name("unforeseen-answers.jsonl").open("a", encoding="utf-8") as out:
                out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def take_notices(self) -> list[str]:
        """Return the sentences not shown yet, once."""
        taken, self.notices = self.notices, []
        return taken

    def _say(self, sentence: str) -> None:
        if sentence not in self.notices:
            self.notices.append(sentence)

    def _load(self) -> Data:
        assert self.file is not None
        try:
            data = json.loads(self.file.read_bytes())
            sound = data["version"] == VERSION and all(
                isinstance(data[part], dict) and all(isinstance(item, dict) for item in data[part].values())
                for part in ("predictions", "exercises")
            )
        except FileNotFoundError:
            return empty()
        except OSError as error:
            self._say(f"Your progress in {self.file} cannot be read ({error.strerror}). "
                      "What you do now is kept in memory.")  # fmt: skip
            return self.data
        except (ValueError, KeyError, TypeError, RecursionError):
            sound = False
        return data if sound else self._put_aside()

    def _put_aside(self) -> Data:
        assert self.file is not None
        names = (self.file.with_name(f"{self.file.name}.aside-{n}") for n in range(1, 1000))
        aside = next(name for name in names if not name.exists())
        with contextlib.suppress(OSError):
            self.file.replace(aside)
        self._say(f"{self.file.name} is not a progress file that this version can read. It was kept as {aside.name}, "
                  "and a new one begins.")  # fmt: skip
        return empty()


@cache
def _store(file: Path | None) -> Store:
    return Store(file)


def store() -> Store:
    """Return the store of the file that is in use now."""
    return _store(path())


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock beside the file, where the system has such locks."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows: the last of two writers wins
        yield
        return
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        with contextlib.suppress(OSError):  # a network file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(file: Path, text: str) -> None:
    """Write a file beside it, see it on the disk, and put it in the other's place."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
