"""An IP packet as a host reads it: the few header fields that forwarding asks for, and the edits it makes.

Building packets from nothing is scapy's work (`probes`, `icmp`); this is what happens to bytes on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address

from coursekit.cluster.tables import Address
from coursekit.errors import CourseError
from coursekit.packets.ip import internet_checksum, with_checksum

ICMP, IPIP, TCP, UDP, ICMPV6 = 1, 4, 6, 17, 58
_EXTENSIONS = {0, 43, 60}  # hop-by-hop, routing, destination options: skipped to find the protocol
_ERRORS = {3, 4, 5, 11, 12}  # ICMP types that report on another packet (RFC 1122 §3.2.2)


@dataclass(frozen=True)
class Datagram:
    """One IPv4 or IPv6 packet, without link header."""

    data: bytes

    def __post_init__(self) -> None:
        size = len(self.data)
        minimum = {4: 20, 6: 40}.get(self.data[0] >> 4, 0) if size else 0
        if not minimum or size < minimum or size < self.header_length or self.length != size:
            raise CourseError(
                f"{size} bytes starting with {self.data[:4].hex() or 'nothing'} are no whole IP packet: an IPv4 or "
                "IPv6 header whose length matches was expected, with no Ethernet header in front."
            )

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.data[0] >> 4

    @cached_property
    def header_length(self) -> int:
        """Bytes up to the transport header; IPv6 extension headers count."""
        if self.version == 4:
            return max(20, (self.data[0] & 15) * 4)
        return self._walk()[1]

    def _walk(self) -> tuple[int, int]:
        protocol, at = self.data[6], 40
        while protocol in _EXTENSIONS and at + 8 <= len(self.data):
            protocol, at = self.data[at], at + 8 + self.data[at + 1] * 8
        return protocol, at

    @property
    def length(self) -> int:
        """Length in bytes that the header claims."""
        return _u16(self.data, 2) if self.version == 4 else _u16(self.data, 4) + 40

    @property
    def protocol(self) -> int:
        """IP protocol number of the payload."""
        return self.data[9] if self.version == 4 else self._walk()[0]

    @cached_property
    def src(self) -> Address:
        """Source address."""
        return IPv4Address(self.data[12:16]) if self.version == 4 else IPv6Address(self.data[8:24])

    @cached_property
    def dst(self) -> Address:
        """Destination address."""
        return IPv4Address(self.data[16:20]) if self.version == 4 else IPv6Address(self.data[24:40])

    @property
    def ttl(self) -> int:
        """TTL or hop limit."""
        return self.data[8] if self.version == 4 else self.data[7]

    @property
    def tos(self) -> int:
        """DSCP and ECN in one byte."""
        return self.data[1] if self.version == 4 else (_u16(self.data, 0) >> 4) & 0xFF

    @property
    def ip_id(self) -> int:
        """IPv4 identification; 0 for IPv6."""
        return _u16(self.data, 4) if self.version == 4 else 0

    @property
    def df(self) -> bool:
        """Whether routers may not fragment it (always so in IPv6)."""
        return self.version == 6 or bool(_u16(self.data, 6) & 0x4000)

    @property
    def more_fragments(self) -> bool:
        """IPv4 MF bit."""
        return self.version == 4 and bool(_u16(self.data, 6) & 0x2000)

    @property
    def offset(self) -> int:
        """IPv4 fragment offset in bytes."""
        return (_u16(self.data, 6) & 0x1FFF) * 8 if self.version == 4 else 0

    @property
    def is_fragment(self) -> bool:
        """Whether it is a piece of a larger packet."""
        return self.more_fragments or self.offset > 0

    @property
    def payload(self) -> bytes:
        """Everything after the header."""
        return self.data[self.header_length :]

    @property
    def icmp(self) -> tuple[int, int] | None:
        """ICMP type and code, or None if it is no (first fragment of an) ICMP packet."""
        if self.protocol in (ICMP, ICMPV6) and self.offset == 0 and len(self.payload) >= 8:
            return self.payload[0], self.payload[1]
        return None

    @property
    def is_icmp_error(self) -> bool:
        """Whether it reports on another packet, which no error may be sent about (RFC 1122 §3.2.2, RFC 4443 §2.4)."""
        if self.icmp is None:
            return False
        return self.icmp[0] < 128 if self.protocol == ICMPV6 else self.icmp[0] in _ERRORS

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination port of TCP or UDP; an ICMP echo has its identifier as both."""
        if self.offset == 0 and self.protocol in (TCP, UDP) and len(self.payload) >= 4:
            return _u16(self.payload, 0), _u16(self.payload, 2)
        if self.icmp and self.icmp[0] in (0, 8, 128, 129):
            return _u16(self.payload, 4), _u16(self.payload, 4)
        return None

    @property
    def quoted(self) -> bytes:
        """What an ICMP error quotes: the start of the packet it is about."""
        return self.payload[8:] if self.is_icmp_error else b""


def _u16(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def with_address(data: bytes, *, src: Address | None = None, dst: Address | None = None) -> bytes:
    """Return an IPv4 packet (or a quoted start of one) with addresses rewritten; checksums follow (RFC 1624)."""
    head = (data[0] & 15) * 4
    new = (src.packed if src else data[12:16]) + (dst.packed if dst else data[16:20])
    header = with_checksum(data[:12] + new + data[20:head])
    body = bytearray(data[head:])
    at = {TCP: 16, UDP: 6}.get(data[9], len(body))
    if not _u16(data, 6) & 0x1FFF and at + 2 <= len(body) and not (data[9] == UDP and _u16(body, at) == 0):
        changed = (0xFFFF - _u16(body, at)).to_bytes(2, "big") + internet_checksum(data[12:20]).to_bytes(2, "big") + new
        value = internet_checksum(changed)
        body[at : at + 2] = (value or (0xFFFF if data[9] == UDP else 0)).to_bytes(2, "big")
    return header + bytes(body)


def requoted(error: bytes, quoted: bytes) -> bytes:
    """Return an ICMP error with another quoted packet of the same length, its ICMP checksum computed anew."""
    head = Datagram(error).header_length
    body = error[head : head + 2] + b"\0\0" + error[head + 4 : head + 8] + quoted
    return error[:head] + body[:2] + internet_checksum(body).to_bytes(2, "big") + body[4:]


def reassemble(pieces: Sequence[Datagram]) -> bytes | None:
    """Return the packet that IPv4 fragments make up (RFC 791 §3.2), or None while some are missing."""
    ordered = sorted(pieces, key=lambda piece: piece.offset)
    payload = b""
    for piece in ordered:
        if piece.offset > len(payload):
            return None
        payload = payload[: piece.offset] + piece.payload
    if ordered[0].offset or ordered[-1].more_fragments:
        return None
    head = bytearray(ordered[0].data[: ordered[0].header_length])
    head[2:4] = (len(head) + len(payload)).to_bytes(2, "big")
    head[6:8] = b"\0\0"
    return with_checksum(bytes(head)) + payload
