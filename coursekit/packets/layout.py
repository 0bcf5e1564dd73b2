"""Take a frame apart into layers and fields: which bits, which value, what it means, where it is specified.

`dissect` works on any bytes. Every bit of the frame belongs to exactly one field, in wire order; bytes that no
header claims stand in a data layer. A frame that ends early or contradicts itself yields what can be read, and
`stopped` says where reading ended and why. The layouts are tables of the course (see walk.py for the reason);
Wireshark's dissector is the independent check of every position (tests/packets/test_pdml.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from coursekit.errors import octets
from coursekit.packets import bgp_messages, checksum, icmp, internet, link, transport, vxlan
from coursekit.packets.fields import Dissection
from coursekit.packets.walk import Stop, Walk

MAX_HEADERS = 64
MAX_DEPTH = 16
PORT_MEANINGS = ("bgp", "data", "vxlan", "vxlan-gpe")  # what `ports` may say; "data": do not read further

_STEPS: dict[str, Callable[[Walk], str | None]] = {
    "eth": link.ethernet,
    "vlan": link.vlan,
    "llc": link.llc,
    "arp": link.arp,
    "sll": link.cooked,
    "sll2": link.cooked2,
    "null": link.null,
    "internet": internet.internet,
    "ip": internet.ip,
    "ipv6": internet.ipv6,
    "hop-by-hop": partial(internet.extension, key="hopopts", name="hop-by-hop options", section="RFC 8200 §4.3"),
    "routing": partial(internet.extension, key="routing", name="routing header", section="RFC 8200 §4.4"),
    "destination": partial(internet.extension, key="dstopts", name="destination options", section="RFC 8200 §4.6"),
    "fragment": internet.fragment,
    "ah": internet.authentication,
    "gre": internet.gre,
    "ipip": partial(internet.inside, following="ip"),
    "ipv6-in-ip": partial(internet.inside, following="ipv6"),
    "icmp": icmp.icmp,
    "icmpv6": icmp.icmpv6,
    "udp": transport.udp,
    "tcp": transport.tcp,
    "vxlan": vxlan.vxlan,
    "vxlan-gpe": partial(vxlan.vxlan, extended=True),
    "bgp": bgp_messages.bgp,
}
# pcap's link types, by the names and the numbers (LINKTYPE_*, DLT_*) in which captures give them
_LINKS: dict[str | int, str] = {
    "ethernet": "eth", "bgp": "bgp", "raw": "internet", "linux_sll": "sll", "linux_sll2": "sll2", "null": "null",
    1: "eth", 0: "null", 108: "null", 12: "internet", 14: "internet", 101: "internet", 228: "ip", 229: "ipv6",
    113: "sll", 276: "sll2",
}  # fmt: skip


def dissect(
    frame: bytes, linktype: str | int = "ethernet", ports: Mapping[int, str] | None = None
) -> Dissection:
    """Return the layers and fields of a frame; never raise, whatever the bytes are; CourseError for no bytes.

    `linktype` is what the frame starts with: "ethernet", "raw" (an IP packet), "linux_sll", "linux_sll2", "null",
    "bgp" (messages without the TCP segment around them), or libpcap's number. `ports` adds meanings to port numbers:
    {9999: "vxlan", 1790: "bgp"} and whatever else PORT_MEANINGS lists.
    """
    walk = Walk(octets(frame), ports or {})
    step = _LINKS.get(linktype)
    headers = 0
    try:
        if step is None:
            raise Stop(f"Link type {linktype!r} is not one that the course reads, so the frame is shown as it is.")
        if not walk.data:
            raise Stop("The frame is empty: there is no byte to dissect.")
        while step:
            if headers == MAX_HEADERS or walk.depth > MAX_DEPTH:
                raise Stop(
                    f"Dissection ends at byte {walk.position}, after {headers} headers and {walk.depth} tunnels inside "
                    "each other: no real packet is wrapped so often."
                )
            headers += step != "bgp"
            step = _STEPS[step](walk)
    except Stop as stop:
        walk.sentences.insert(0, str(stop))
    walk.rest(*_payload(walk))
    for end, depth, ethernet in reversed(walk.outer_ends):
        walk.end, walk.depth = end, depth
        if ethernet:
            _padding(walk)
        else:
            walk.rest("Trailing bytes", "Stand behind the end that the packet's own length field gives.")
    checksum.judge(walk)
    layers = tuple(draft.finished() for draft in walk.layers if draft.fields)
    return Dissection(walk.data, layers, " ".join(walk.sentences) or None)


def _padding(walk: Walk) -> None:
    """Read what follows the packet in an Ethernet frame: zeros up to 60 bytes are padding, others a trailer."""
    if walk.data[walk.position : walk.end].strip(b"\0") or walk.end > 64:
        walk.rest("Trailer", "Stands behind the packet: filling, or a checksum of the frame.", "padding", "eth.trailer")
    else:
        walk.rest("Padding", "Fills the frame up to the 60 bytes that Ethernet asks for.", "padding", "eth.padding")


def _payload(walk: Walk) -> tuple[str, str]:
    """Name the bytes that no header has claimed."""
    if walk.quoted and walk.short:
        return "Data", "The beginning of the quoted packet's payload: an ICMP error quotes no more of it."
    return "Data", "Payload: what the application, or a protocol that the course does not read, has sent."
