"""Where a frame holds the inner packet, and in how many frames one packet may go out.

A packet may be cut before the envelope (fragments, or segments of a super-segment), after it (fragments of the outer
packet), or both; the sizes of what was captured tell which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from coursekit.errors import CourseError
from coursekit.packets.capture import Frame
from coursekit.packets.ip import fragment, header_length
from coursekit.packets.offload import segment

ENVELOPE = {"vxlan": 16, "ipip": 0, "native": 0}  # bytes between the outer IP header and what is carried

Piece = tuple[int, bytes, bool]  # where in the frame, what, and whether that is an IP packet


@dataclass(frozen=True)
class Slot:
    """Where a frame may hold the inner packet: behind a link header, an outer IP header and the envelope, in bytes."""

    link: int
    outer: int  # the outer IP header, 0 for native
    envelope: int  # UDP and VXLAN
    inner_link: int  # the inner Ethernet header with its tags

    @property
    def at(self) -> int:
        """Offset of the inner IP packet."""
        return self.link + self.outer + self.envelope + self.inner_link


def link_size(frame: Frame) -> int:
    """Return the size of the link header, VLAN tags included."""
    size = {"ethernet": 14, "linux_sll": 16, "linux_sll2": 20, "null": 4}.get(frame.linktype, 0)
    if frame.linktype == "ethernet":
        while frame.data[size - 2 : size] in (b"\x81\x00", b"\x88\xa8"):
            size += 4
    return size


def packet_length(packet: bytes) -> int:
    """Return how long an IP packet says it is; its own length where that cannot be."""
    said = int.from_bytes(packet[2:4], "big") if packet[0] >> 4 == 4 else 40 + int.from_bytes(packet[4:6], "big")
    return said if 20 <= said <= len(packet) else len(packet)


@dataclass(frozen=True)
class Cut:
    """How a packet was cut: into "fragments" for that MTU, or "segments" of so much data, and then for an outer MTU."""

    how: Literal["", "fragments", "segments"] = ""
    size: int = 0
    outer_mtu: int = 0

    def parts(self, packet: bytes) -> list[bytes]:
        """Return what each envelope carries; CourseError if the packet cannot be cut so."""
        if not self.how:
            return [packet]
        return fragment(packet, self.size) if self.how == "fragments" else segment(packet, self.size)


WHOLE = Cut()


def ways(packet: bytes, first: Frame, slot: Slot) -> Iterator[tuple[Cut, list[list[Piece]]]]:
    """Yield the ways to cut the packet that give a first frame of that size: for each part, its pieces."""
    held = len(first.data) - slot.at
    said = packet_length(first.data[slot.at :] + bytes(len(packet)))  # true where the outer packet was cut
    data = held - header_length(packet) - _transport_header(packet)
    step = len(first.data) - slot.link - slot.outer
    for how, size in (("segments", data), ("fragments", held), ("fragments", said), ("", 0)):
        cut = Cut(how, size)  # type: ignore[arg-type]
        try:
            parts = cut.parts(packet)
        except CourseError:
            continue
        if len(parts[0]) == held:
            yield cut, [[(slot.at, part, True)] for part in parts]
        elif len(parts[0]) > held and slot.outer == 20 and step % 8 == 0 and step > slot.at - slot.link - 20:
            yield Cut(cut.how, size, 20 + step), [_outer_pieces(part, slot, step) for part in parts]


def _outer_pieces(packet: bytes, slot: Slot, step: int) -> list[Piece]:
    """Return the pieces of an outer packet whose fragments carry `step` bytes."""
    fits = step - (slot.at - slot.link - slot.outer)
    rest = packet[fits:]
    later: list[Piece] = [(slot.link + slot.outer, rest[at : at + step], False) for at in range(0, len(rest), step)]
    return [(slot.at, packet[:fits], True), *later]


def _transport_header(packet: bytes) -> int:
    start = header_length(packet)
    return 4 * (packet[start + 12] >> 4) if len(packet) > start + 12 else 0
