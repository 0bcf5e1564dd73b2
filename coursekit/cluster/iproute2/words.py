"""iproute2's output is words with values: reading them one by one, and keeping in place what is not known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any, TypeVar, overload

from coursekit.cluster.tables import Address
from coursekit.errors import CourseError

T = TypeVar("T")
Kept = tuple[tuple[int, str], ...]  # unknown text, and how many known pieces come before it


class Words:
    """The words of one line. `known` counts the pieces understood so far, so that unknown ones can be put back."""

    def __init__(self, line: str, number: int, what: str) -> None:
        self.line, self.number, self.what = line, number, what
        self._words = re.findall(r"(\s*)(\S+)", line)
        self._open_end = bool(line) and not line[-1].isspace()
        self._at = 0
        self.known = 0
        self._kept: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[str]:
        while self._at < len(self._words):
            self._at += 1
            yield self._words[self._at - 1][1]

    @overload
    def value(self) -> str: ...

    @overload
    def value(self, convert: Callable[[str], T]) -> T: ...

    def value(self, convert: Callable[[str], Any] = str) -> Any:
        """Take the value after the word at hand; CourseError if there is none or it does not fit."""
        word = self._words[self._at - 1][1]
        if self._at >= len(self._words):
            raise self.error(f"ends after {word!r}, where a value was expected")
        text = self._words[self._at][1]
        self._at += 1
        self.known += 1
        try:
            return convert(text)
        except ValueError:
            raise self.error(f"has {text!r} after {word!r}, which does not fit there") from None

    def peek(self) -> str:
        """Return the next word, or nothing at the end."""
        return self._words[self._at][1] if self._at < len(self._words) else ""

    def flag(self) -> None:
        """Count the word at hand as understood by itself."""
        self.known += 1

    def keep(self) -> None:
        """Keep the word at hand, spaces included, where it stands."""
        gap, word = self._words[self._at - 1]
        last = self._at == len(self._words)
        text = gap[1:] + word + ("" if last and self._open_end else " ")
        if self._kept and self._kept[-1][0] == self.known:
            self._kept[-1] = (self.known, self._kept[-1][1] + text)
        else:
            self._kept.append((self.known, text))

    def kept(self) -> dict[str, Kept]:
        """Return what was kept, as an entry for a row's `extra`."""
        return {"words": tuple(self._kept)} if self._kept else {}

    def error(self, problem: str) -> CourseError:
        """Return the CourseError that names this line."""
        shown = self.line.strip()
        shown = shown if len(shown) <= 70 else shown[:69] + "…"
        return CourseError(f"Line {self.number} ({shown!r}) {problem}; expected a line as `{self.what}` prints it.")


def weave(pieces: Sequence[str], kept: object) -> str:
    """Join the pieces that were understood, each with its own spacing, with the kept text back in its places."""
    out, rows = [], list(kept) if isinstance(kept, tuple | list) else []
    for position, piece in enumerate([*pieces, ""]):
        while rows and rows[0][0] <= position:
            out.append(rows.pop(0)[1])
        out.append(piece)
    return "".join([*out, *(text for _, text in rows)])


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line), with `ip -o`'s backslashes taken as the line breaks that they stand for."""
    if not isinstance(text, str):
        raise CourseError(f"{type(text).__name__} was given, the text of a command's output was expected.")
    for number, line in enumerate(text.split("\n"), 1):
        for part in re.split(r"\\(?=\t|    )", line.rstrip("\r")):
            yield number, part


def address(text: str) -> Address:
    """Return the address written in `text`; ValueError if it is none."""
    return ip_address(text)


def is_mac(text: str) -> bool:
    """Whether `text` is a link-layer address: bytes in hex with colons."""
    return re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})+", text) is not None


def require_rows(data: Any, what: str) -> list[dict[str, Any]]:
    """Return `data` as the list of objects that `ip -j` prints; CourseError if it is something else."""
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise CourseError(f"{what}: a JSON list of objects, as `ip -j` prints, was expected; this is {_kind(data)}.")
    return data


def _kind(data: Any) -> str:
    return f"a list with {type(data[0]).__name__} in it" if isinstance(data, list) and data else type(data).__name__


def take_json(row: dict[str, Any], key: str, convert: Callable[[Any], T], what: str) -> T:
    """Pop `key` from a JSON row and convert it; CourseError naming the key if it is missing or does not fit."""
    if key not in row:
        raise CourseError(
            f"{what}: a row without {key!r} was given ({str(row)[:60]}); `ip -j` prints one in every row."
        )
    value = row.pop(key)
    try:
        return convert(value)
    except (ValueError, TypeError, AttributeError):
        raise CourseError(f"{what}: {key} is {value!r}, which is not what `ip -j` prints there.") from None


def texts(value: Any) -> tuple[str, ...]:
    """Return a JSON list of strings as a tuple; TypeError for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError
    return tuple(value)


def joined(lines: Iterable[str]) -> str:
    """Return the lines, each ended."""
    return "".join(f"{line}\n" for line in lines)
