"""The one error that learners see: a sentence saying what was given, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class CourseError(Exception):
    """A mistake in what was given to coursekit, worded for the person who gave it."""

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in a notebook: IPython calls this instead of printing frames."""
        return [f"{type(self).__name__}: {self}"]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a sentence that says in which state it left what was at work."""

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in a notebook, as CourseError does."""
        return [f"KeyboardInterrupt: {self}"]


class NotThereError(CourseError, KeyError, IndexError):
    """A name or number under which there is nothing; code that catches KeyError or IndexError catches it."""

    __str__ = Exception.__str__  # KeyError's would put the sentence in quotation marks


class Named(dict[str, T]):
    """A dict that says in a sentence what there is no item for; `kind` is what its names are names of."""

    def __init__(self, kind: str, items: Mapping[str, T]) -> None:
        super().__init__(items)
        self.kind = kind

    def __missing__(self, name: object) -> T:
        raise NotThereError(f"There is no {self.kind} {given(name)}; choose one of {few(self, 20)}.")


def given(value: object) -> str:
    """Return in a few words what was given: the value where it is text or a number, else its class."""
    if not isinstance(value, str | bytes | int | float | None):
        name = type(value).__name__
        return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def expect(value: object, kind: Any, expected: str) -> None:
    """Raise CourseError unless `value` is of that class; `expected` says what it should be, and how to get one."""
    if not isinstance(value, kind):
        raise CourseError(f"{expected}; {given(value)} was given.")


def octets(data: Any, expected: str = "A frame is bytes, such as frame.data of a capture") -> bytes:
    """Return bytes, or what a packet of scapy builds; CourseError for what holds none."""
    if isinstance(data, bytes):
        return data
    if not isinstance(data, bytearray | memoryview) and not hasattr(data, "__bytes__"):
        raise CourseError(f"{expected}; {given(data)} was given.")
    try:
        return bytes(data)
    except Exception as error:  # whatever is wrong in a learner's packet, scapy raises as it likes
        raise CourseError(f"This packet cannot be built into bytes: {error}. Give it valid field values.") from None


def few(names: Iterable[object], most: int = 6) -> str:
    """Return names as a list to read; of many the first ones, and how many more there are."""
    every = [str(name) for name in names]
    return ", ".join(every) if len(every) <= most + 1 else f"{', '.join(every[:most])} and {len(every) - most} more"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest known word, or nothing."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""
