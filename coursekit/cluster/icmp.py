"""ICMP errors: which are sent, what they look like on the wire, and what ping makes of them.

The kernel's icmp_send (net/ipv4/icmp.c): TOS 0xc0, TTL 64, DF clear, and as much of the cause as keeps the
error within 576 bytes (RFC 1812 §4.3.2.3); ICMPv6 within 1280 (RFC 4443 §2.4).
"""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.packet import Packet, Raw

from coursekit.cluster.datagram import Datagram
from coursekit.cluster.tables import Address


@dataclass(frozen=True)
class Complaint:
    """A kind of error: its type and code in ICMP and in ICMPv6, and traceroute's mark."""

    name: str
    icmp: tuple[int, int]
    icmp6: tuple[int, int]
    mark: str = ""


NET_UNREACHABLE = Complaint("net unreachable", (3, 0), (1, 0), "!N")
HOST_UNREACHABLE = Complaint("host unreachable", (3, 1), (1, 3), "!H")
PROTOCOL_UNREACHABLE = Complaint("protocol unreachable", (3, 2), (1, 3), "!P")
PORT_UNREACHABLE = Complaint("port unreachable", (3, 3), (1, 4))
FRAG_NEEDED = Complaint("fragmentation needed", (3, 4), (2, 0), "!F")
FILTERED = Complaint("administratively prohibited", (3, 13), (1, 1), "!X")
TIME_EXCEEDED = Complaint("time exceeded", (11, 0), (3, 0))
COMPLAINTS = (
    NET_UNREACHABLE,
    HOST_UNREACHABLE,
    PROTOCOL_UNREACHABLE,
    PORT_UNREACHABLE,
    FRAG_NEEDED,
    FILTERED,
    TIME_EXCEEDED,
)
# iputils ping: ping.c pr_icmph() and ping6_common.c print_icmp(), without "From <address> icmp_seq=<n>".
_WORDS = {
    (3, 0): "Destination Net Unreachable",
    (3, 1): "Destination Host Unreachable",
    (3, 2): "Destination Protocol Unreachable",
    (3, 3): "Destination Port Unreachable",
    (3, 4): "Frag needed and DF set (mtu = {mtu})",
    (3, 13): "Packet filtered",
    (11, 0): "Time to live exceeded",
    (11, 1): "Frag reassembly time exceeded",
}
_WORDS6 = {
    (1, 0): "Destination unreachable: No route",
    (1, 1): "Destination unreachable: Administratively prohibited",
    (1, 3): "Destination unreachable: Address unreachable",
    (1, 4): "Destination unreachable: Port unreachable",
    (2, 0): "Packet too big: mtu={mtu}",
    (3, 0): "Time exceeded: Hop limit",
}


def may_complain(cause: Datagram) -> bool:
    """Whether an error may be sent about `cause`: not about errors, later fragments, or packets from or to many."""
    one_sender = not (cause.src.is_unspecified or cause.src.is_multicast)
    return not cause.is_icmp_error and cause.offset == 0 and one_sender and not cause.dst.is_multicast


def build(complaint: Complaint, cause: Datagram, src: Address, ip_id: int, mtu: int = 0) -> bytes:
    """Return the IP packet by which `src` complains to the sender of `cause`; `mtu` goes with FRAG_NEEDED."""
    if cause.version == 6:
        kind, code = complaint.icmp6
        quoted = Raw(cause.data[: 1280 - 48])
        if kind == 2:
            message: Packet = ICMPv6PacketTooBig(code=code, mtu=mtu)
        else:
            message = ICMPv6DestUnreach(code=code) if kind == 1 else ICMPv6TimeExceeded(code=code)
        return bytes(IPv6(src=str(src), dst=str(cause.src), hlim=64) / message / quoted)
    kind, code = complaint.icmp
    head = IP(src=str(src), dst=str(cause.src), tos=0xC0 | (cause.tos & 0x1E), id=ip_id, ttl=64)
    header = ICMP(type=kind, code=code)
    if complaint is FRAG_NEEDED:
        header.nexthopmtu = mtu
    return bytes(head / header / Raw(cause.data[: 576 - 28]))


def complaint_of(error: Datagram) -> Complaint | None:
    """Return which kind of error a packet is, or None."""
    if not error.is_icmp_error:
        return None
    return next((c for c in COMPLAINTS if error.icmp == (c.icmp if error.version == 4 else c.icmp6)), None)


def mtu_of(error: Datagram) -> int | None:
    """Return the next-hop MTU of a "fragmentation needed" or "packet too big", in bytes."""
    if complaint_of(error) is not FRAG_NEEDED:
        return None
    at = 6 if error.version == 4 else 4
    return int.from_bytes(error.payload[at:8], "big")


def words(error: Datagram) -> str:
    """Return what ping prints for an error, after the address and sequence number."""
    table = _WORDS if error.version == 4 else _WORDS6
    kind, code = error.icmp or (0, 0)
    return table.get((kind, code), f"ICMP type {kind} code {code}").format(mtu=mtu_of(error))
