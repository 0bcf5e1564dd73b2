"""The lab's end of the wire to its agent: whole JSON messages over two pipes, whatever interrupts them.

Ctrl-C can come between any two bytecodes. All that outlives it is therefore on the object: the bytes of a message that
were read so far, and how many of one that is being sent were written. Whoever reads or writes next goes on from there.
"""

from __future__ import annotations

import io
import json
import os
import select
import struct
from collections.abc import Mapping
from typing import Any

_AT_ONCE = 1 << 18  # bytes of one read; a pipe holds 64 KiB unless it is told otherwise


class Channel:
    """Messages behind four bytes of length. Neither end may be used by anybody else.

    `quiet` is how many seconds the other end may let nothing move, None for ever. Raises TimeoutError after that,
    EOFError where the other end is closed; both leave the channel as an interrupt does.
    """

    def __init__(self, reading: int, writing: int) -> None:
        os.set_blocking(writing, False)  # so that no write waits longer than `quiet`
        self._reading, self._writing = reading, writing
        self._read = io.BytesIO()  # of one message, with its length
        # How many messages were begun, the last one with its length, and how much of that each write took.
        self._sent: tuple[int, bytes, list[int]] = 0, b"", []

    def send(self, message: Mapping[str, Any], quiet: float | None = None) -> None:
        """Write a message, after the rest of one that was interrupted."""
        data = json.dumps(message).encode()
        self._flush(quiet)
        self._sent = self.begun + 1, struct.pack("!I", len(data)) + data, []
        self._flush(quiet)

    def receive(self, quiet: float | None = None) -> dict[str, Any]:
        """Return the next message. An interrupt at the very end loses it, but never a part of it."""
        self._fill(4, quiet)
        (size,) = struct.unpack_from("!I", self._read.getvalue())
        self._fill(4 + size, quiet)
        found = json.loads(self._read.getvalue()[4:])
        assert isinstance(found, dict)
        self._read = io.BytesIO()
        return found

    @property
    def begun(self) -> int:
        """How many messages were begun to be sent; whatever interrupts the last one, the next `send` finishes it."""
        return self._sent[0]

    @property
    def got(self) -> int:
        """How many bytes of the next message, with its length, have been read."""
        return self._read.tell()

    # In both loops one call in C moves bytes and keeps what came of it: `piece = os.read(…)` would lose the piece, and
    # with it the place in the stream, where a signal's handler raises before the assignment.

    def _fill(self, size: int, quiet: float | None) -> None:
        while (left := size - self.got) > 0:
            before = self.got
            _wait(self._reading, select.POLLIN, quiet)
            self._read.writelines(map(os.read, (self._reading,), (min(left, _AT_ONCE),)))
            if self.got == before:
                raise EOFError

    def _flush(self, quiet: float | None) -> None:
        _, data, taken = self._sent
        while (done := sum(taken)) < len(data):
            _wait(self._writing, select.POLLOUT, quiet)
            try:
                taken.extend(map(os.write, (self._writing,), (memoryview(data)[done:],)))
            except BrokenPipeError:
                raise EOFError from None


def _wait(file: int, event: int, quiet: float | None) -> None:
    waiting = select.poll()
    waiting.register(file, event)
    if not waiting.poll(None if quiet is None else quiet * 1000):
        raise TimeoutError
