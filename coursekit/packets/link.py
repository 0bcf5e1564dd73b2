"""Headers of the link: Ethernet, 802.1Q tags, LLC, ARP, and what `tcpdump -i any` or a loopback writes instead."""

from __future__ import annotations

from coursekit.packets.walk import Part, Show, Stop, Table, Walk, flag, hexed, ipv4, mac, meant, named, octet_text

ETHERTYPES = {
    0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6", 0x8100: "802.1Q VLAN tag", 0x88A8: "802.1ad service tag",
    0x9100: "802.1Q VLAN tag, old", 0x8847: "MPLS", 0x8848: "MPLS multicast", 0x88CC: "LLDP", 0x8863: "PPPoE discovery",
    0x8864: "PPPoE session", 0x888E: "802.1X", 0x6558: "Ethernet, as GRE carries it", 0x88E5: "MACsec", 0x8902: "CFM",
}  # fmt: skip
NEXT = {
    0x0800: "ip", 0x0806: "arp", 0x86DD: "ipv6", 0x8100: "vlan", 0x88A8: "vlan", 0x9100: "vlan", 0x6558: "eth",
}  # fmt: skip
_ethertype = named(ETHERTYPES, 4)
_ARP_CODES = {1: "request", 2: "reply", 3: "reverse request", 4: "reverse reply", 8: "InARP request", 9: "InARP reply"}
_HARDWARE = {1: "Ethernet", 512: "IPIP tunnel", 768: "IPIP tunnel", 769: "IPv6 tunnel", 772: "loopback",
             778: "GRE", 65534: "none"}  # fmt: skip
_SAPS = {0x42: "spanning tree", 0xAA: "SNAP", 0xE0: "IPX", 0xFE: "OSI", 0x06: "IP", 0xF0: "NetBIOS", 0xFF: "global"}
_PACKET_TYPES = {0: "to us", 1: "broadcast", 2: "multicast", 3: "to another host", 4: "sent by us"}


def _address_meaning(whose: str) -> Show:
    def meaning(raw: bytes) -> str:
        if raw == b"\xff" * 6:
            return f"{whose} Broadcast: every host on this link."
        kind = "A group (multicast) address" if raw[0] & 1 else "A single card's address"
        local = ", chosen by software (locally administered)" if raw[0] & 2 else ""
        return f"{whose} {kind}{local}."

    return meaning


ETHERNET = Table(
    "IEEE 802.3 §3.2",
    Part("eth.dst", "Destination", 48, mac,
         _address_meaning("Who on this link shall take the frame."), octets=True),
    Part("eth.src", "Source", 48, mac,
         _address_meaning("Who put the frame on this link."), octets=True),
)  # fmt: skip


def _tag(key: str) -> Table:
    return Table(
        "IEEE 802.1Q §9.6",
        Part(f"{key}.priority", "Priority Code Point", 3, str, "How urgent the frame is, 0 to 7."),
        Part(f"{key}.dei", "Drop Eligible Indicator", 1, flag,
             meant("Not marked as first to drop.", "May be dropped first when a switch is full.")),
        Part(f"{key}.id", "VLAN Identifier", 12, str, "Which virtual LAN the frame belongs to; 0 means priority only."),
    )  # fmt: skip


VLAN, SERVICE_VLAN = _tag("vlan"), _tag("ieee8021ad")
ARP = Table(
    "RFC 826",
    Part("arp.hw.type", "Hardware type", 16, named(_HARDWARE), "What kind of link addresses are asked for."),
    Part("arp.proto.type", "Protocol type", 16, _ethertype, "What kind of address is known already."),
    Part("arp.hw.size", "Hardware size", 8, str, "Bytes in a link address; 6 for Ethernet."),
    Part("arp.proto.size", "Protocol size", 8, str, "Bytes in a protocol address; 4 for IPv4."),
    Part("arp.opcode", "Opcode", 16, named(_ARP_CODES), "1 asks “who has this address?”, 2 answers."),
)
SLL = Table(
    "LINKTYPE_LINUX_SLL",
    Part("sll.pkttype", "Packet type", 16, named(_PACKET_TYPES), "Whether the host received, sent or overheard it."),
    Part("sll.hatype", "Link-layer address type", 16, named(_HARDWARE), "The kind of device, ARPHRD_ in Linux."),
    Part("sll.halen", "Link-layer address length", 16, str, "Bytes of the sender's address that are used."),
)
SLL2 = Table(
    "LINKTYPE_LINUX_SLL2",
    Part("sll.etype", "Protocol", 16, _ethertype, "What follows."),
    Part("sll.reserved", "Reserved", 16, hexed(4), "Always zero."),
    Part("sll.ifindex", "Interface index", 32, str, "Number of the device, as `ip link` counts them."),
    Part("sll.hatype", "Link-layer address type", 16, named(_HARDWARE), "The kind of device, ARPHRD_ in Linux."),
    Part("sll.pkttype", "Packet type", 8, named(_PACKET_TYPES), "Whether the host received, sent or overheard it."),
    Part("sll.halen", "Link-layer address length", 8, str, "Bytes of the sender's address that are used."),
)


def ethernet(walk: Walk) -> str | None:
    """Read an Ethernet II or 802.3 header."""
    layer = walk.begin("eth", "Ethernet", "IEEE 802.3 §3.2")
    destination, source = walk.take(ETHERNET)
    layer.summary = f"{mac(source)} → {mac(destination)}"
    return _type_or_length(walk, "eth", layer.source)


def _type_or_length(walk: Walk, key: str, source: str) -> str | None:
    """Read the two bytes that are an EtherType from 0x0600 on and an 802.3 length up to 1500."""
    here = walk.data[walk.position : walk.position + 2]
    layer = walk.layers[-1]
    if len(here) == 2 and int.from_bytes(here, "big") <= 1500:
        length = walk.one(f"{key}.len", "Length", 2, str, "Bytes that follow in this 802.3 frame, padding not counted.",
                          source)
        layer.summary += f", 802.3 length {length}"
        if length < walk.left:
            walk.outer_ends.append((walk.end, walk.depth, True))
            walk.end = walk.position + length
        elif length > walk.left:
            walk.limit(walk.position + length, f"802.3 frame at byte {layer.start}")
        return "llc"
    kind = walk.one("eth.type" if key == "eth" else "vlan.etype", "Type", 2, _ethertype, "What the frame carries.",
                    source)
    layer.summary += f", {ETHERTYPES.get(kind, f'EtherType 0x{kind:04x}')}"
    if kind not in NEXT and kind < 0x0600:
        raise Stop(f"Bytes {walk.position - 2} and {walk.position - 1} are neither a length (up to 1500) nor an "
                   f"EtherType (from 1536): {kind}.")
    return NEXT.get(kind)


def vlan(walk: Walk) -> str | None:
    """Read one 802.1Q tag; the next one, if any, is a layer of its own."""
    service = walk.data[walk.position - 2 : walk.position] == b"\x88\xa8"
    layer = walk.begin("vlan", "802.1ad" if service else "802.1Q", "IEEE 802.1Q §9.6")
    layer.summary = f"VLAN {walk.take(SERVICE_VLAN if service else VLAN)[2]}"
    return _type_or_length(walk, "vlan", layer.source)


def llc(walk: Walk) -> str | None:
    """Read an 802.2 LLC header, with SNAP if there is one."""
    if not walk.left:
        return None
    layer = walk.begin("llc", "LLC", "IEEE 802.2 §3.2")
    dsap = walk.one("llc.dsap", "DSAP", 1, named(_SAPS, 2), "Which service of the receiver shall take it.")
    walk.one("llc.ssap", "SSAP", 1, named(_SAPS, 2), "Which service of the sender it comes from.")
    control = walk.data[walk.position : walk.position + 1]
    wide = bool(control) and control[0] & 3 != 3
    kind = walk.one("llc.control", "Control", 2 if wide else 1, hexed(4 if wide else 2), "0x03 is a plain datagram.")
    layer.summary = _SAPS.get(dsap, f"DSAP 0x{dsap:02x}")
    if dsap == 0xAA and kind == 3:
        oui = walk.one("llc.oui", "Organization Code", 3, hexed(6), "Zero: an EtherType follows.", "RFC 1042")
        protocol = walk.one("llc.type" if oui == 0 else "llc.pid", "Protocol", 2, _ethertype, "What follows.",
                            "RFC 1042")
        if oui == 0:
            return NEXT.get(protocol)
    return None


def arp(walk: Walk) -> str | None:
    """Read an ARP packet; its addresses may have any length."""
    layer = walk.begin("arp", "ARP", "RFC 826")
    hardware, _, hardware_size, protocol_size, opcode = walk.take(ARP)
    is_ipv4 = protocol_size == 4
    show_hardware = mac if hardware_size == 6 else octet_text
    shown = []
    for side, who in (("src", "Sender"), ("dst", "Target")):
        if hardware_size:
            key = f"arp.{side}.hw_mac" if hardware == 1 and hardware_size == 6 else f"arp.{side}.hw"
            unknown = " Zero: that is the question." if side == "dst" and opcode == 1 else ""
            walk.one(key, f"{who} hardware address", hardware_size, show_hardware,
                     f"Link address of the {who.lower()}.{unknown}", octets=True)
            shown.append(layer.fields[-1].value)
        if protocol_size:
            key = f"arp.{side}.proto_ipv4" if is_ipv4 else f"arp.{side}.proto"
            walk.one(key, f"{who} protocol address", protocol_size, ipv4 if is_ipv4 else octet_text,
                     f"Protocol address of the {who.lower()}.", octets=True)
            shown.append(layer.fields[-1].value)
    if len(shown) == 4 and opcode == 1:
        layer.summary = f"who has {shown[3]}? Tell {shown[1]}"
    elif len(shown) == 4 and opcode == 2:
        layer.summary = f"{shown[1]} is at {shown[0]}"
    else:
        layer.summary = _ARP_CODES.get(opcode, f"opcode {opcode}")
    walk.limit(walk.position, "ARP packet")
    return None


def cooked(walk: Walk) -> str | None:
    """Read the header that `tcpdump -i any` writes in place of Ethernet's (version 1)."""
    layer = walk.begin("sll", "Linux cooked capture", SLL.rows[0][4])
    kind, _, length = walk.take(SLL)
    _cooked_address(walk, length)
    protocol = walk.one("sll.etype", "Protocol", 2, _ethertype, "What follows.")
    layer.summary = f"{_PACKET_TYPES.get(kind, kind)}, {ETHERTYPES.get(protocol, hex(protocol))}"
    return NEXT.get(protocol)


def cooked2(walk: Walk) -> str | None:
    """Read the header that a newer `tcpdump -i any` writes in place of Ethernet's (version 2)."""
    layer = walk.begin("sll", "Linux cooked capture v2", SLL2.rows[0][4])
    protocol, _, device, _, kind, length = walk.take(SLL2)
    _cooked_address(walk, length)
    layer.summary = f"interface {device}, {_PACKET_TYPES.get(kind, kind)}, {ETHERTYPES.get(protocol, hex(protocol))}"
    return NEXT.get(protocol)


def _cooked_address(walk: Walk, length: int) -> None:
    """Read the eight bytes that hold the sender's address and its filling."""
    used = min(length, 8)
    if used:
        key, show = ("sll.src.eth", mac) if used == 6 else ("sll.src.other", octet_text)
        walk.one(key, "Source", used, show, "Link address of the sender.", octets=True)
    if used < 8:
        walk.one("sll.unused", "Unused", 8 - used, octet_text, "Fills the address up to eight bytes.", octets=True)


def null(walk: Walk) -> str | None:
    """Read a BSD loopback header: an address family in the byte order of the capturing host."""
    layer = walk.begin("null", "Loopback", "LINKTYPE_NULL")
    little = walk.data[walk.position : walk.position + 4][2:] == b"\0\0"

    def family(raw: int) -> int:
        return int.from_bytes(raw.to_bytes(4, "big"), "little") if little else raw

    def show(raw: int) -> str:
        return f"{family(raw)} ({_FAMILIES.get(family(raw), 'unknown')})"

    raw = walk.one("null.family", "Family", 4, show, "Address family, in the byte order of the capturing host.")
    layer.summary = _FAMILIES.get(family(raw), f"family {family(raw)}")
    return {"IPv4": "ip", "IPv6": "ipv6"}.get(layer.summary)


_FAMILIES = {2: "IPv4", 10: "IPv6", 24: "IPv6", 28: "IPv6", 30: "IPv6"}
