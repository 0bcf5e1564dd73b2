"""Captured frames, and which packet each is a part of.

Which frame belongs to which packet is told by what is innermost: the ping's identifier and sequence number, through
tunnels, in fragments, and inside what ICMP errors quote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coursekit.cluster.datagram import UDP, Datagram, reassemble
from coursekit.cluster.network import Network
from coursekit.cluster.tables import Link
from coursekit.cluster.tunnels import vxlan_port
from coursekit.errors import CourseError

_ARP = b"\x08\x06"
_REQUESTS, _REPLIES = ((8, 0), (128, 0)), ((0, 0), (129, 0))
_PieceKey = tuple[object, ...]


@dataclass(frozen=True)
class Captured:
    """A frame as a capture point saw it, with the kernel's clock in nanoseconds."""

    time_ns: int
    host: str
    device: str
    out: bool
    dlt: int
    data: bytes

    @property
    def point(self) -> str:
        """The capture point: `node1:eth0`."""
        return f"{self.host}:{self.device}"

    @property
    def is_arp(self) -> bool:
        """Whether it is an ARP frame."""
        return self.dlt == 1 and self.data[12:14] == _ARP

    @property
    def packet(self) -> Datagram | None:
        """The outermost IP packet, without the padding of short frames; None if there is none."""
        at = 14 if self.dlt == 1 else 0
        if self.dlt == 1 and self.data[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            return None
        return _datagram(self.data[at:])


@dataclass(frozen=True)
class About:
    """What a frame is part of. `errors` are the ICMP errors around it, innermost first: their type, code and IP id."""

    kind: str  # request or reply
    ident: int
    seq: int
    errors: tuple[tuple[int, int, int], ...] = ()

    @property
    def cause(self) -> About | None:
        """What this is the consequence of: of an error the packet quoted, of a reply the request."""
        if self.errors:
            return About(self.kind, self.ident, self.seq, self.errors[:-1])
        return About("request", self.ident, self.seq) if self.kind == "reply" else None


def _datagram(data: bytes) -> Datagram | None:
    """Return the IP packet at the start of `data`, filled up with zeros if it was cut as a quotation is."""
    if len(data) < 20:
        return None
    length = int.from_bytes(data[2:4], "big") if data[0] >> 4 == 4 else int.from_bytes(data[4:6], "big") + 40
    try:
        return Datagram(data[:length] + bytes(max(0, length - len(data))))
    except CourseError:
        return None


class Reader:
    """Tells what captured frames are about."""

    def __init__(self, network: Network, frames: Iterable[Captured]) -> None:
        self._ports = {vxlan_port(link) for link in _links(network) if link.kind == "vxlan"}
        self._pieces: dict[_PieceKey, dict[int, Datagram]] = {}
        for frame in frames:
            packet = frame.packet
            while packet is not None:
                if packet.is_fragment:
                    self._pieces.setdefault(_key(packet), {}).setdefault(packet.offset, packet)
                packet = self._inner(packet)

    def _inner(self, packet: Datagram) -> Datagram | None:
        """Return the packet in a tunnel packet, or None if it is none."""
        if packet.offset:
            return None
        if packet.protocol in (4, 41):
            return _datagram(packet.payload)
        vxlan = packet.protocol == UDP and packet.ports is not None and packet.ports[1] in self._ports
        if vxlan and packet.payload[8:9] == b"\x08":
            return _datagram(packet.payload[16 + 14 :])
        return None

    def about(self, packet: Datagram | None) -> About | None:
        """Return what a packet is about; None for what belongs to no ping."""
        if packet is None:
            return None
        if packet.is_fragment:
            pieces = self._pieces.get(_key(packet), {})
            whole = reassemble(list(pieces.values())) if pieces else None
            first = pieces.get(0, packet)
            packet = _datagram(whole) if whole else _whole(first)
            if packet is None:
                return None
        if packet.is_icmp_error:
            inner = self.about(_datagram(packet.quoted))
            kind = (*(packet.icmp or (0, 0)), packet.ip_id)
            return inner and About(inner.kind, inner.ident, inner.seq, (*inner.errors, kind))
        if packet.icmp in _REQUESTS or packet.icmp in _REPLIES:
            ident, seq = (int.from_bytes(packet.payload[at : at + 2], "big") for at in (4, 6))
            return About("request" if packet.icmp in _REQUESTS else "reply", ident, seq)
        inside = self._inner(packet)
        return self.about(inside) if inside is not None else None


def _whole(first: Datagram) -> Datagram | None:
    """Return a first fragment as if it were the whole packet."""
    return _datagram(first.data[:6] + b"\0\0" + first.data[8:]) if first.offset == 0 else None


def _key(packet: Datagram) -> _PieceKey:
    return packet.src, packet.dst, packet.ip_id, packet.protocol


def _links(network: Network) -> Iterator[Link]:
    return (link for host in network.hosts.values() for link in host.tables.links)
