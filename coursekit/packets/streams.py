"""TCP byte streams out of captured segments: in order, repeated ones dropped, what the capture missed told.

Every byte of a stream knows the frame that brought it. Works on any link type and through IPIP.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from coursekit.errors import CourseError
from coursekit.packets.capture import Frame
from coursekit.packets.ip import header_length
from coursekit.packets.pieces import link_size, packet_length

End = tuple[str, int]  # address, port
WINDOW = 1 << 31  # half the sequence space: nearer than this is ahead, farther is behind (RFC 9293 §3.4)


@dataclass(frozen=True)
class Origin:
    """Where a byte of a stream stands: in which frame, at which of its bytes; `time_ns` since 1970."""

    frame: int
    offset: int
    time_ns: int


@dataclass(frozen=True)
class Run:
    """Bytes of a stream without a hole. `missed` bytes before them are not in the capture; None: nobody knows."""

    data: bytes
    missed: int | None
    starts: tuple[int, ...] = field(repr=False)  # where in `data` each frame's part begins
    origins: tuple[Origin, ...] = field(repr=False)

    def origin(self, at: int) -> Origin:
        """Return where the byte at that place stands in the capture."""
        place = bisect_right(self.starts, at) - 1
        first = self.origins[place]
        return Origin(first.frame, first.offset + at - self.starts[place], first.time_ns)


@dataclass(frozen=True)
class Stream:
    """What one end of a TCP connection sent. `connection` counts the connections of the capture from 1."""

    connection: int
    sender: End
    receiver: End
    runs: tuple[Run, ...]


class _Half:
    """One direction while frames come in: the segments by sequence number, counted on beyond 32 bits."""

    def __init__(self) -> None:
        self.base: int | None = None  # number of the first payload byte, if the SYN was seen
        self.latest = 0
        self.segments: list[tuple[int, bytes, Origin]] = []

    def place(self, sequence: int) -> int:
        """Return a sequence number without wrap-around: the one nearest to the latest."""
        if not self.segments and self.base is None:
            return sequence
        return self.latest + (sequence - self.latest + WINDOW) % (2 * WINDOW) - WINDOW

    def runs(self) -> tuple[Run, ...]:
        """Return the bytes put in order; what two segments share is taken once."""
        found: list[Run] = []
        data, starts, origins = bytearray(), list[int](), list[Origin]()
        at, missed = self.base, None if self.base is None else 0
        for sequence, payload, origin in sorted(self.segments, key=lambda s: (s[0], s[2].frame)):
            if at is not None and sequence > at:
                if data:
                    found.append(Run(bytes(data), missed, tuple(starts), tuple(origins)))
                data, starts, origins, missed, at = bytearray(), [], [], sequence - at, sequence
            at = sequence if at is None else at
            known = at - sequence
            if known < len(payload):
                starts.append(len(data))
                origins.append(Origin(origin.frame, origin.offset + known, origin.time_ns))
                data += payload[known:]
                at += len(payload) - known
        return (*found, Run(bytes(data), missed, tuple(starts), tuple(origins))) if data else tuple(found)


def streams(frames: Iterable[Frame]) -> list[Stream]:
    """Return both directions of every TCP connection in which there is data, in the order of their first frames.

    A connection that opens again between the same ports is another one. Fragments and what is no TCP are passed over.
    """
    open_now: dict[frozenset[End], dict[tuple[End, End], _Half]] = {}
    connections: list[dict[tuple[End, End], _Half]] = []
    for frame in frames:
        found = _segment(frame)
        if found is None:
            continue
        sender, receiver, sequence, syn, offset, payload = found
        both, direction = frozenset((sender, receiver)), (sender, receiver)
        halves = open_now.get(both)
        if halves is None or (syn and _other(halves.get(direction), sequence)):
            halves = open_now[both] = {}
            connections.append(halves)
        half = halves.setdefault(direction, _Half())
        if syn and half.base is None:
            half.base = half.latest = sequence + 1
        if payload:
            place = half.place(sequence + syn)
            half.latest = max(half.latest, place) if half.segments or half.base is not None else place
            half.segments.append((place, payload, Origin(frame.number, offset, frame.time_ns)))
    return [Stream(number, *direction, runs) for number, halves in enumerate(connections, 1)
            for direction, half in halves.items() if (runs := half.runs())]  # fmt: skip


def _other(half: _Half | None, sequence: int) -> bool:
    """Return whether a SYN with that number opens another connection than the one that this direction belongs to."""
    return half is not None and (half.segments != [] or half.base is not None) and half.base != sequence + 1


def _segment(frame: Frame) -> tuple[End, End, int, bool, int, bytes] | None:
    """Return the ends, sequence number, SYN flag, and place and bytes of the payload; None for no TCP segment."""
    at, end = link_size(frame), len(frame.data)
    if frame.linktype == "ethernet" and frame.data[at - 2 : at] not in (b"\x08\x00", b"\x86\xdd"):
        return None
    while True:
        packet = frame.data[at:end]
        try:
            size = header_length(packet)
        except CourseError:
            return None
        end = min(end, at + packet_length(packet))
        four = packet[0] >> 4 == 4
        protocol = packet[9] if four else packet[6]
        if four and int.from_bytes(packet[6:8], "big") & 0x3FFF:
            return None
        if protocol not in (4, 41):  # IPIP
            break
        at += size
    tcp = frame.data[at + size : end]
    if protocol != 6 or len(tcp) < 20 or not 20 <= (header := 4 * (tcp[12] >> 4)) <= len(tcp):
        return None
    source, target = (packet[12:16], packet[16:20]) if four else (packet[8:24], packet[24:40])
    sender = str(ip_address(source)), int.from_bytes(tcp[:2], "big")
    receiver = str(ip_address(target)), int.from_bytes(tcp[2:4], "big")
    return (sender, receiver, int.from_bytes(tcp[4:8], "big"), bool(tcp[13] & 2), at + size + header, tcp[header:])
