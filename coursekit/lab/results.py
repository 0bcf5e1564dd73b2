"""What commands in a lab printed, taken apart: ping's lines become outcomes, traceroute's lines hops."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import overload

from coursekit.cluster.path import Journey, Outcome
from coursekit.cluster.prints import Hop
from coursekit.lab.frames import Captured


@dataclass(frozen=True)
class Result:
    """What a command printed, both streams in one, and its exit status."""

    text: str
    status: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, repr=False)
class Ping:
    """What ping printed, and the journey of each echo request as it was captured."""

    text: str
    status: int
    journeys: tuple[Journey, ...]
    frames: tuple[Captured, ...] = field(default=(), compare=False)

    @property
    def journey(self) -> Journey:
        """The journey of the first echo request."""
        return self.journeys[0]

    @property
    def answered(self) -> int:
        """How many requests were answered."""
        return sum(" bytes from " in f" {line}" for line in self.text.splitlines())

    @property
    def summary(self) -> str:
        """The line of ping's statistics, without its time: "2 packets transmitted, 0 received, 100% packet loss"."""
        line = next((line for line in self.text.splitlines() if "packets transmitted" in line), "")
        return line.partition(", time ")[0]

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, repr=False)
class Get:
    """What came of an HTTP GET: `status` is 0, and `error` says why, if no whole answer came."""

    status: int
    body: bytes
    text: str  # all that came back, header lines first
    error: str = ""  # "timed out", "Connection refused" …
    frames: tuple[Captured, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return f"{self.status or self.error}: {len(self.body)} bytes"

    @classmethod
    def of(cls, got: bytes, error: str, frames: tuple[Captured, ...] = ()) -> Get:
        """Return what `got`, all that a server sent, amounts to."""
        head, _, body = got.partition(b"\r\n\r\n")
        said = re.match(rb"HTTP/1\.[01] (\d{3})\b", head)
        length = re.search(rb"(?im)^content-length: *(\d+)\r?$", head)
        whole = bool(said) and (length is None or len(body) == int(length.group(1)))
        status = int(said.group(1)) if said and whole and not error else 0
        why = error or ("" if whole else "closed before the answer was whole")
        return cls(status, body, got.decode("utf-8", errors="replace"), why, frames)


@dataclass(frozen=True, repr=False)
class Traceroute(Sequence[Hop]):
    """The hops that traceroute printed; `text` is what it printed."""

    hops: tuple[Hop, ...]
    text: str
    frames: tuple[Captured, ...] = field(default=(), compare=False)

    @overload
    def __getitem__(self, place: int) -> Hop: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Hop]: ...
    def __getitem__(self, place: int | slice) -> Hop | Sequence[Hop]:
        """Return a hop, or several."""
        return self.hops[place]

    def __len__(self) -> int:
        return len(self.hops)

    def __repr__(self) -> str:
        return self.text


_ANSWER = re.compile(r"\d+ bytes from \S+ icmp_seq=(\d+) ")
_ERROR = re.compile(r"From (\S+) icmp_seq=(\d+) (.*)")
_REFUSED = re.compile(r"ping: (?:local error|connect|sendmsg): (.*)")
_MTU = re.compile(r"mtu ?[:=] ?(\d+)")
_HOP = re.compile(r" ?(\d+)  (\S+)(?:  [\d.]+ ms)?(?: (!\S+))?")


def ping_outcomes(text: str, count: int) -> dict[int, Outcome]:
    """Return how each of `count` echo requests ended, by sequence number, as ping's lines tell it."""
    found: dict[int, Outcome] = {}
    refused: list[Outcome] = []
    for line in map(str.strip, text.splitlines()):
        if answer := _ANSWER.match(line):
            found.setdefault(int(answer.group(1)), Outcome("delivered", "", None, "", ""))
        elif (error := _ERROR.match(line)) and not error.group(3).startswith("Redirect"):
            words, mtu = error.group(3), _MTU.search(line)
            told = Outcome("error", words, error.group(1).rstrip(":"), "", "", int(mtu.group(1)) if mtu else None)
            found.setdefault(int(error.group(2)), told)
        elif own := _REFUSED.match(line):
            mtu = _MTU.search(line)
            refused.append(Outcome("refused", own.group(1), None, "", "", int(mtu.group(1)) if mtu else None))
    silent = iter([seq for seq in range(1, count + 1) if seq not in found])
    found |= dict(zip(silent, refused, strict=False))
    return {seq: found.get(seq, Outcome("lost", "", None, "", "")) for seq in range(1, count + 1)}


def hops(text: str) -> Iterator[Hop]:
    """Yield the hops of `traceroute -n -q 1`."""
    rows = [found for line in text.splitlines()[1:] if (found := _HOP.match(line))]
    goal = re.match(r"traceroute to \S+ \((\S+)\)", text)
    for row in rows:
        ttl, address, mark = int(row.group(1)), row.group(2), row.group(3) or ""
        where = None if address == "*" else ip_address(address)
        yield Hop(ttl, where, mark, bool(mark) or (where is not None and str(where) == (goal and goal.group(1))))
