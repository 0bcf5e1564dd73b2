"""Which captured frame carries which packet: pairs frames inside a tunnel with frames outside it, one to one.

The inner packet is the only thing that both captures show, so it is what frames are paired by: first where it is
the same but for what forwarding and checksum offload change, then, for frames that somebody damaged, by what
identifies it, and last by nearness. Headers around it are never believed: their sizes are known, values may be wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from coursekit.errors import CourseError
from coursekit.packets.capture import Frame
from coursekit.packets.ip import MF, OFFSET, header_length
from coursekit.packets.pieces import ENVELOPE, WHOLE, Cut, Piece, Slot, link_size, packet_length, ways

# sizes of the outer IP header and of the inner Ethernet header with its tags
SHAPES = {
    "native": {(0, 0)}, "ipip": {(20, 0)}, "vxlan": {(outer, 14 + tags) for outer in (20, 40) for tags in (0, 4, 8)},
}
NEAR = 4  # a damaged field is at most this long
WINDOW = 64  # how many frames of one size are looked at, where only nearness can tell


@dataclass(frozen=True)
class Inside:
    """An IP packet of the inside capture, with the link header it came behind."""

    frame: Frame
    link: bytes
    packet: bytes


@dataclass(frozen=True)
class Match:
    """An inside packet and the outside frames that carry it, for each part that it was cut into; None for a lost one.

    `exact`: the inner packets are equal, but for what forwarding and checksum offload change.
    """

    inside: Inside
    parts: tuple[tuple[Frame | None, ...], ...]
    slot: Slot
    exact: bool
    cut: Cut = WHOLE

    @property
    def frames(self) -> tuple[Frame | None, ...]:
        """The outside frames in order, None for one that is not there."""
        return tuple(frame for part in self.parts for frame in part)

    @property
    def first(self) -> Frame:
        """The first of the frames."""
        return next(frame for frame in self.frames if frame)

    @property
    def hops(self) -> int:
        """How much lower the TTL is outside than inside."""
        place = 8 if self.inside.packet[0] >> 4 == 4 else 7
        return self.inside.packet[place] - self.first.data[self.slot.at + place]


def inside_packets(frames: Sequence[Frame]) -> list[Inside]:
    """Return the IP packets among the frames, without the padding of short Ethernet frames; cut frames are left out."""
    found = []
    for frame in frames:
        size = link_size(frame)
        packet = frame.data[size:]
        ethertype = frame.data[size - 2 : size]
        if frame.cut or (frame.linktype == "ethernet" and ethertype not in (b"\x08\x00", b"\x86\xdd")):
            continue
        try:
            header_length(packet)
        except CourseError:
            continue
        found.append(Inside(frame, frame.data[:size], packet[: packet_length(packet)]))
    return found


def match(inside: Sequence[Inside], outside: Sequence[Frame], kind: str) -> list[Match]:
    """Pair inside packets with the outside frames of a tunnel of that kind, in the order of the capture."""
    matcher = _Matcher(outside, kind)
    for step in (matcher.whole, matcher.cut, matcher.damaged, matcher.damaged_pieces):
        waiting = [item for item in inside if item.frame.number not in matcher.done]
        if waiting:
            step(waiting)
    return sorted(matcher.found, key=lambda item: item.inside.frame.number)


def _key(packet: bytes) -> bytes:
    """Return the packet without what forwarding and checksum offload change; b"" for what is no packet."""
    try:
        size = header_length(packet)
    except CourseError:
        return b""
    masked = bytearray(packet[: packet_length(packet)])
    if packet[0] >> 4 == 4:
        masked[8], masked[10:12] = 0, b"\0\0"
        protocol, first = packet[9], not int.from_bytes(packet[6:8], "big") & OFFSET
    else:
        masked[7] = 0
        protocol, first = packet[6], True
    place = size + {6: 16, 17: 6}.get(protocol, 0)
    if first and place > size and place + 2 <= len(masked):
        masked[place : place + 2] = b"\0\0"
    return bytes(masked)


def identity(packet: bytes) -> bytes:
    """Return what tells a packet from every other, whatever happened to the rest of it; b"" for what is no packet."""
    try:
        size = header_length(packet)
    except CourseError:
        return b""
    if packet[0] >> 4 == 4:
        protocol, offset = packet[9], int.from_bytes(packet[6:8], "big") & OFFSET
        head = packet[4:6] + offset.to_bytes(2, "big") + packet[9:10] + packet[12:20]
    else:
        protocol, head = packet[6], packet[6:7] + packet[8:40]
    rest = packet[size : size + 8]
    kept = {1: rest[:2] + rest[4:], 58: rest[:2] + rest[4:], 17: rest[:4]}.get(protocol, rest)
    return head + kept


def _plain(packet: bytes) -> bytes:
    """Return the packet without TTL and header checksum, IPv4's or IPv6's, believing nothing of what it says."""
    return packet[:7] + b"\0\0" + packet[9:10] + b"\0\0" + packet[12:]


def _near(one: bytes, other: bytes) -> bool:
    """Tell whether two packets differ in one short field at most."""
    if len(one) != len(other):
        return False
    difference = int.from_bytes(_plain(one), "big") ^ int.from_bytes(_plain(other), "big")
    if not difference:
        return True
    last = (difference & -difference).bit_length() - 1
    return difference.bit_length() // 8 - last // 8 <= NEAR


def _thirds(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield three parts of the packet: a short damage leaves one of them as it was."""
    plain, third = _plain(packet), len(packet) // 3
    for part in range(3):
        yield len(packet), part, plain[part * third : (part + 1) * third if part < 2 else None]


@dataclass
class _Matcher:
    outside: Sequence[Frame]
    kind: str
    found: list[Match] = field(default_factory=list)
    done: set[int] = field(default_factory=set)  # numbers of inside frames
    used: set[int] = field(default_factory=set)  # numbers of outside frames
    links: set[int] = field(default_factory=set)  # sizes of link headers that were met
    shapes: set[tuple[int, int]] = field(default_factory=set)  # sizes of outer IP and inner Ethernet headers
    order: dict[int, int] = field(default_factory=dict)  # place of each outside frame

    def __post_init__(self) -> None:
        self.order = {frame.number: place for place, frame in enumerate(self.outside)}

    def slots(self, frame: Frame) -> Iterator[Slot]:
        """Yield where the frame may hold the inner packet."""
        sizes = self.shapes or SHAPES[self.kind]
        for link in {link_size(frame), *self.links}:  # a damaged EtherType hides the size, other frames tell it
            for outer, inner_link in sizes:
                slot = Slot(link, outer, ENVELOPE[self.kind], inner_link)
                if slot.at + 20 <= len(frame.data):
                    yield slot

    def free(self) -> list[Frame]:
        return [frame for frame in self.outside if frame.number not in self.used]

    def take(
        self, inside: Inside, parts: Sequence[Sequence[Frame | None]], slot: Slot, exact: bool, cut: Cut = WHOLE
    ) -> None:
        self.done.add(inside.frame.number)
        self.used.update(frame.number for part in parts for frame in part if frame)
        self.links.add(slot.link)
        self.shapes.add((slot.outer, slot.inner_link))
        self.found.append(Match(inside, tuple(map(tuple, parts)), slot, exact, cut))

    def by(self, index: Callable[[bytes], bytes], waiting: Sequence[Inside]) -> None:
        """Pair packets for which `index` gives the same, in order."""
        places: dict[bytes, list[tuple[Frame, Slot]]] = defaultdict(list)
        for frame in reversed(self.free()):
            for slot in self.slots(frame):
                places[index(frame.data[slot.at :])].append((frame, slot))
        places.pop(b"", None)
        for item in waiting:
            stack = places.get(index(item.packet), [])
            while stack:
                frame, slot = stack.pop()
                if frame.number not in self.used and (index is _key or self._size(frame, slot) == len(item.packet)):
                    self.take(item, [[frame]], slot, index is _key)
                    break

    def _size(self, frame: Frame, slot: Slot) -> int:
        """Return the size of what the frame holds there, without the padding of a short Ethernet frame."""
        size = len(frame.data) - slot.at
        return min(size, packet_length(frame.data[slot.at :])) if len(frame.data) <= 60 else size

    def whole(self, waiting: Sequence[Inside]) -> None:
        self.by(_key, waiting)

    def damaged(self, waiting: Sequence[Inside]) -> None:
        self.by(identity, waiting)
        waiting = [item for item in waiting if item.frame.number not in self.done]
        index: dict[tuple[int, int, bytes], list[tuple[Frame, Slot]]] = defaultdict(list)
        for frame in self.free():
            for slot in self.slots(frame):
                packet = frame.data[slot.at : slot.at + self._size(frame, slot)]
                for part in _thirds(packet):
                    index[part].append((frame, slot))
        for item in waiting:
            for part in _thirds(item.packet):
                near = (
                    (frame, slot)
                    for frame, slot in index.get(part, [])[: WINDOW // 4]
                    if frame.number not in self.used
                    and _near(item.packet, frame.data[slot.at : slot.at + len(item.packet)])
                )
                if hit := next(near, None):
                    self.take(item, [[hit[0]]], hit[1], False)
                    break

    def cut(self, waiting: Sequence[Inside], exact: bool = True) -> None:
        """Pair packets that went out in pieces: find the first piece, cut the packet alike, find the others."""
        free = self.free()
        if not exact and not any(self._fragment(frame) for frame in free):
            return
        some = [(frame, slot) for frame in free[: 0 if exact else WINDOW] for slot in self.slots(frame)]
        beginnings = [(frame, slot, _plain(frame.data[slot.at : slot.at + 60])) for frame, slot in some]
        index: dict[bytes, list[tuple[Frame, Slot]]] = defaultdict(list)
        for frame in free:
            for slot in self.slots(frame):
                index[identity(frame.data[slot.at :])].append((frame, slot))
        for item in waiting:
            firsts = index.get(identity(item.packet), [])
            if not exact and not firsts:
                start = _plain(item.packet[:60])
                firsts = [(frame, slot) for frame, slot, data in beginnings if _distance(start, data) <= NEAR]
            best: tuple[int, list[list[Frame | None]], Slot, Cut] | None = None
            for frame, slot in firsts:
                if frame.number in self.used or len(frame.data) - slot.at >= len(item.packet):
                    continue
                for cut, pieces in ways(item.packet, frame, slot):
                    parts = self._pieces(frame, pieces, exact)
                    seen = [piece is not None for part in parts for piece in part]
                    if any(seen) and (not exact or all(seen)) and (best is None or sum(seen) > best[0]):
                        best = sum(seen), parts, slot, cut
                if best:
                    break
            if best:
                self.take(item, best[1], best[2], exact, best[3])

    def _fragment(self, frame: Frame) -> bool:
        """Tell whether the frame shows a piece of a packet, outside or inside."""
        return any(
            frame.data[at] >> 4 == 4 and int.from_bytes(frame.data[at + 6 : at + 8], "big") & (MF | OFFSET)
            for slot in self.slots(frame) for at in (slot.link, slot.at)
        )

    def damaged_pieces(self, waiting: Sequence[Inside]) -> None:
        self.cut(waiting, exact=False)

    def _pieces(self, first: Frame, parts: Sequence[Sequence[Piece]], exact: bool) -> list[list[Frame | None]]:
        """Return the frame of each piece; None for one that is not there."""
        place = self.order[first.number]
        around = (*self.outside[place + 1 : place + 1 + WINDOW], *self.outside[max(0, place - WINDOW) : place])
        later = [frame for frame in around if frame.number not in self.used]
        found: list[list[Frame | None]] = []
        for number, part in enumerate(parts):
            head: Frame | None = None
            frames: list[Frame | None] = []
            for at, data, is_packet in part:
                candidates = [first] if not number and is_packet else later
                if not is_packet and head:  # a later fragment: its IP identification says what it belongs to
                    ident = slice(at - 16, at - 14)
                    kin = [frame for frame in later if frame.data[ident] == head.data[ident]]
                    candidates = kin if exact else kin + later
                near = (
                    frame for frame in candidates
                    if len(frame.data) == at + len(data) and _same(frame.data[at:], data, is_packet, exact)
                )
                hit = next(near, first if not number and is_packet and not exact else None)
                head = hit if is_packet else head
                frames.append(hit)
                later = [frame for frame in later if frame is not hit]
            found.append(frames)
        return found


def _same(found: bytes, piece: bytes, packet: bool, exact: bool) -> bool:
    """Tell whether a frame holds that piece: a packet, whose TTL and checksums do not count, or bytes."""
    if found == piece or (packet and _key(found) == _key(piece)):
        return True
    return not exact and _distance(found, piece) <= NEAR


def _distance(one: bytes, other: bytes) -> int:
    """Return in how many bytes two strings differ."""
    return sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))
