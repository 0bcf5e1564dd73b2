"""Goodput: how much of a wire's time carries an application's bytes, worked out by building the frame and measuring it.

An Ethernet frame costs more than the MTU counts: its own header, the FCS, and the silence and preamble before the next
one (IEEE 802.3 §3.1.1, §4.4.2). What a CPU or a NIC makes of it is another question, and is not computed here.
"""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from coursekit.errors import CourseError
from coursekit.packets.encapsulation import Encapsulation, encapsulate
from coursekit.packets.mtu import Family, inner_mtu

PREAMBLE, FCS, GAP = 8, 4, 12  # bytes: preamble with start delimiter, check sequence, interframe gap
LEAST_FRAME = 60  # bytes without FCS: a shorter frame is padded
_MAC = "02:00:00:00:00:01"
_NODES = {"ipv4": ("192.0.2.1", "192.0.2.2"), "ipv6": ("2001:db8::1", "2001:db8::2")}
_PODS = {"ipv4": ("198.51.100.1", "203.0.113.1"), "ipv6": ("2001:db8:1::1", "2001:db8:2::1")}


@dataclass(frozen=True)
class Goodput:
    """One full frame of a TCP stream: `data` are the application's bytes, `frame` those a capture shows (all bytes)."""

    data: int
    frame: int

    @property
    def wire(self) -> int:
        """Bytes of time on the wire: the frame, padded if it is short, with FCS, preamble and gap."""
        return max(self.frame, LEAST_FRAME) + FCS + PREAMBLE + GAP

    @property
    def share(self) -> float:
        """Which part of the wire's time carries data, 0 to 1."""
        return self.data / self.wire

    def rate(self, line: float) -> float:
        """Return the application's bits per second on a line of `line` bits per second."""
        return self.share * line

    def __str__(self) -> str:
        return f"{self.data} of {self.wire} bytes, {100 * self.share:.1f} %"


def goodput(
    encap: Encapsulation, *, mtu: int = 1500, payload: int | None = None, timestamps: bool = True,
    outer: Family = "ipv4", inner: Family = "ipv4",
) -> Goodput:
    """Return what one frame of bulk TCP carries over an underlay of that MTU, in that envelope.

    `payload` is the data in the segment, None as much as fits. `timestamps` is the TCP option that Linux sends by
    default, 12 bytes with its padding. `outer` and `inner` are the IP versions of nodes and pods. Acknowledgements and
    the pauses of congestion control are left out. CourseError for a payload that does not fit.
    """
    for which, family in {"outer": outer, "inner": inner}.items():
        if family not in _NODES:
            raise CourseError(f'The {which} family is "ipv4" or "ipv6"; {family!r} was given.')
    room = inner_mtu(mtu, encap, outer=outer) - len(_segment(0, timestamps, inner))
    size = room if payload is None else payload
    if not isinstance(size, int) or not 0 <= size <= room:
        raise CourseError(
            f"Behind all headers an MTU of {mtu} leaves {room} bytes of data in {encap.name}; {size!r} do not fit."
        )
    node, other = _NODES[outer]
    frame = encapsulate(
        _segment(size, timestamps, inner), encap, src=node, dst=other, ip_id=1, sport=40000, eth_src=_MAC, eth_dst=_MAC,
        inner_eth_src=_MAC, inner_eth_dst=_MAC,
    )  # fmt: skip
    return Goodput(size, len(frame))


def _segment(size: int, timestamps: bool, family: Family) -> bytes:
    source, target = _PODS[family]
    options = [("NOP", None), ("NOP", None), ("Timestamp", (1, 1))] if timestamps else []
    header = TCP(sport=40000, dport=80, flags="A", seq=1, ack=1, window=502, options=options)
    segment: Packet = header / Raw(bytes(size))
    if family == "ipv6":
        return bytes(IPv6(version=6, tc=0, fl=0, nh=6, hlim=63, src=source, dst=target) / segment)
    return bytes(IP(version=4, ihl=5, tos=0, id=1, flags="DF", frag=0, ttl=63, src=source, dst=target) / segment)
