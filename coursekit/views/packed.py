"""Data that is sent to the browser compressed: nearly all of it repeats."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Hashable, Sequence
from json import dumps, loads
from typing import Any
from zlib import compress, decompress


class Numbers:
    """Gives equal things one number; `all` are the things in the order of their numbers."""

    def __init__(self, first: Sequence[Any] = ()) -> None:
        self.all: list[Any] = []
        self.known: dict[Hashable, int] = {}
        for thing in first:
            self(thing)

    def __call__(self, key: Hashable, thing: Any = None) -> int:
        """Return the number of what goes by that key; `thing` stands for it, or the key itself."""
        if key not in self.known:
            self.known[key] = len(self.all)
            self.all.append(key if thing is None else thing)
        return self.known[key]


def packed(given: Any) -> str:
    """Return JSON-ready data as compressed text, which packed.js reads."""
    return b64encode(compress(dumps(given, separators=(",", ":")).encode(), 9)).decode()


def unpacked(packed: str) -> Any:
    """Return what `packed` was given, as the browser reads it."""
    return loads(decompress(b64decode(packed)))
