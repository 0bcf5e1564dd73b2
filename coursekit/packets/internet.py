"""Headers of the internet layer: IPv4 with its options, IPv6 with its extension headers, GRE by name."""

from __future__ import annotations

from ipaddress import IPv6Address

from coursekit.packets.walk import Part, Stop, Table, Walk, flag, hexed, ipv4, meant, named, octet_text

PROTOCOLS = {
    0: "IPv6 hop-by-hop options", 1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 17: "UDP", 41: "IPv6-in-IP",
    43: "IPv6 routing header", 44: "IPv6 fragment header", 47: "GRE", 50: "ESP", 51: "AH", 58: "ICMPv6",
    59: "no next header", 60: "IPv6 destination options", 89: "OSPF", 103: "PIM", 112: "VRRP", 132: "SCTP",
    135: "IPv6 mobility header", 137: "MPLS-in-IP",
}  # fmt: skip
NEXT = {
    1: "icmp", 4: "ipip", 6: "tcp", 17: "udp", 41: "ipv6-in-ip", 47: "gre", 58: "icmpv6",
    0: "hop-by-hop", 43: "routing", 44: "fragment", 60: "destination", 51: "ah",
}  # fmt: skip
_EXTENSIONS = (0, 43, 44, 60, 51)
_protocol = named(PROTOCOLS)
_ECN = {0: "not ECN-capable", 1: "ECT(1)", 2: "ECT(0)", 3: "congestion experienced"}
_DSCP = {0: "default", 8: "CS1", 10: "AF11", 12: "AF12", 14: "AF13", 16: "CS2", 18: "AF21", 20: "AF22", 22: "AF23",
         24: "CS3", 26: "AF31", 28: "AF32", 30: "AF33", 32: "CS4", 34: "AF41", 36: "AF42", 38: "AF43", 40: "CS5",
         46: "expedited forwarding", 48: "CS6", 56: "CS7"}  # fmt: skip
_OPTIONS = {0: "end of options", 1: "no operation", 7: "record route", 68: "timestamp", 130: "security",
            131: "loose source route", 136: "stream identifier", 137: "strict source route",
            148: "router alert"}  # fmt: skip
_OPTIONS6 = {0: "Pad1", 1: "PadN", 5: "router alert", 0xC2: "jumbo payload", 0xC9: "home address", 0x63: "RPL"}

IPV4 = Table(
    "RFC 791 §3.1",
    Part("ip.version", "Version", 4, str, "4, for IPv4."),
    Part("ip.hdr_len", "Internet Header Length", 4, lambda raw: f"{raw * 4} bytes ({raw})",
         "Length of this header in 32-bit words; 5 means no options."),
    Part("ip.dsfield.dscp", "Differentiated Services Codepoint", 6, named(_DSCP),
         "Which treatment routers shall give the packet; 0 is the default.", source="RFC 2474 §3"),
    Part("ip.dsfield.ecn", "Explicit Congestion Notification", 2, named(_ECN),
         "Lets a router say “I am nearly full” without dropping.", source="RFC 3168 §5"),
    Part("ip.len", "Total Length", 16, str, "Bytes of this packet, header and payload; padding is not counted."),
    Part("ip.id", "Identification", 16, lambda raw: f"0x{raw:04x} ({raw})",
         "Fragments of the same packet carry the same number.", source="RFC 6864 §4"),
    Part("ip.flags.rb", "Reserved bit", 1, flag, "Must be zero."),
    Part("ip.flags.df", "Don't Fragment", 1, flag,
         meant("Routers may cut this packet into fragments.",
               "Routers must not fragment: if it does not fit they drop it and send ICMP “fragmentation needed”.")),
    Part("ip.flags.mf", "More Fragments", 1, flag,
         meant("No fragment follows this one.", "This is a fragment, and it is not the last.")),
    Part("ip.frag_offset", "Fragment Offset", 13, lambda raw: f"{raw * 8} bytes ({raw})",
         lambda raw: f"A fragment: its payload starts at byte {raw * 8} of the whole packet's." if raw
         else "The payload starts at its first byte."),
    Part("ip.ttl", "Time to Live", 8, str,
         "Every router takes one off; at zero the packet is dropped and ICMP “time exceeded” goes back."),
    Part("ip.proto", "Protocol", 8, _protocol, "What the payload is; 4 would be another IPv4 packet, an IPIP tunnel."),
    Part("ip.checksum", "Header Checksum", 16, hexed(4), "Protects this header only; every router computes it anew."),
    Part("ip.src", "Source Address", 32, ipv4, "Who sent the packet.", octets=True),
    Part("ip.dst", "Destination Address", 32, ipv4, "Who shall get the packet.", octets=True),
)  # fmt: skip


def ipv6_address(raw: bytes) -> str:
    """Show an IPv6 address as RFC 5952 writes it."""
    return str(IPv6Address(raw))


IPV6 = Table(
    "RFC 8200 §3",
    Part("ipv6.version", "Version", 4, str, "6, for IPv6."),
    Part("ipv6.tclass.dscp", "Differentiated Services Codepoint", 6, named(_DSCP),
         "Which treatment routers shall give the packet; 0 is the default.", source="RFC 2474 §3"),
    Part("ipv6.tclass.ecn", "Explicit Congestion Notification", 2, named(_ECN),
         "Lets a router say “I am nearly full” without dropping.", source="RFC 3168 §5"),
    Part("ipv6.flow", "Flow Label", 20, hexed(5), "Packets of one flow share it, so that they take one path.",
         source="RFC 6437 §2"),
    Part("ipv6.plen", "Payload Length", 16, str, "Bytes after this header of 40 bytes."),
    Part("ipv6.nxt", "Next Header", 8, _protocol, "What follows: a transport header or an extension header."),
    Part("ipv6.hlim", "Hop Limit", 8, str, "Every router takes one off; at zero the packet is dropped."),
    Part("ipv6.src", "Source Address", 128, ipv6_address, "Who sent the packet.", octets=True),
    Part("ipv6.dst", "Destination Address", 128, ipv6_address, "Who shall get the packet.", octets=True),
)  # fmt: skip
FRAGMENT = Table(
    "RFC 8200 §4.5",
    Part("ipv6.fraghdr.nxt", "Next Header", 8, _protocol, "What the whole packet carries."),
    Part("ipv6.fraghdr.reserved_octet", "Reserved", 8, str, "Always zero."),
    Part("ipv6.fraghdr.offset", "Fragment Offset", 13, lambda raw: f"{raw * 8} bytes ({raw})",
         "Where in the whole packet's payload this part belongs."),
    Part("ipv6.fraghdr.reserved_bits", "Reserved", 2, str, "Always zero."),
    Part("ipv6.fraghdr.more", "More Fragments", 1, flag, meant("This is the last fragment.", "Another one follows.")),
    Part("ipv6.fraghdr.ident", "Identification", 32, hexed(8), "Fragments of the same packet carry the same number."),
)  # fmt: skip
GRE = Table(
    "RFC 2784 §2.1",
    Part("gre.flags_and_version", "Flags and Version", 16, hexed(4), "Which optional fields follow, and version 0."),
    Part("gre.proto", "Protocol Type", 16, hexed(4), "EtherType of what the tunnel carries."),
)


def internet(walk: Walk) -> str | None:
    """Read a packet that starts with its IP version, as in a capture without a link header."""
    version = walk.data[walk.position] >> 4 if walk.left else 0
    if version not in (4, 6):
        raise Stop(f"Byte {walk.position} should start an IPv4 or IPv6 packet, but names version {version}."
                   if walk.left else "The frame is empty: there is no byte to dissect.")
    return "ip" if version == 4 else "ipv6"


def ip(walk: Walk) -> str | None:
    """Read an IPv4 header with its options."""
    start = walk.position
    layer = walk.begin("ip", "IPv4", "RFC 791 §3.1")
    version, words, _, _, total, _, _, _, more, offset, ttl, protocol, _, source, destination = walk.take(IPV4)
    carried = PROTOCOLS.get(protocol, f"protocol {protocol}")
    layer.summary = f"{ipv4(source)} → {ipv4(destination)}, {carried}, TTL {ttl}"
    if version != 4 or words < 5:
        raise Stop(f"The IPv4 header at byte {start} claims version {version} and a header of {words * 4} bytes; "
                   f"version 4 and at least 20 bytes were expected.")
    if total and total < words * 4:
        raise Stop(f"The IPv4 header at byte {start} claims a packet of {total} bytes, less than its own header "
                   f"of {words * 4}.")
    header_end = start + words * 4
    walk.check(12, start, header_end)
    walk.checks[-1].obstacle = "" if header_end <= walk.end else "cannot be verified: cut short, options are missing"
    if total:  # zero: the network card will cut a packet of up to 64 kB and fill in the lengths
        walk.limit(start + total, f"IPv4 packet at byte {start}")
    if words > 5:
        _options(walk, header_end, destination)
    walk.fragment = walk.fragment or bool(more or offset)
    walk.pseudo = lambda proto, length: int.from_bytes(source + destination, "big") + proto + length
    if offset:
        layer.summary += f", fragment from byte {offset * 8}"
        walk.rest("Fragment data", "Continues the payload of an earlier fragment; its transport header is there.")
        return None
    if more:
        layer.summary += ", first fragment"
    return NEXT.get(protocol) if protocol not in _EXTENSIONS[:4] else None


def _options(walk: Walk, end: int, destination: bytes) -> None:
    """Read IPv4 options, one after the other, up to byte `end`."""
    source = "RFC 791 §3.1"
    while walk.position < end:
        kind = walk.one("ip.opt.type", "Option type", 1, named(_OPTIONS), "Which option this is.", source)
        if kind == 0 and walk.position < end:
            walk.one("ip.opt.padding", "Padding", min(end - walk.position, walk.left), octet_text,
                     "Fills the header up to a multiple of four bytes.", source, octets=True)
        if kind in (0, 1):
            continue
        length = walk.one("ip.opt.len", "Option length", 1, str, "Bytes of this option, type and length included.",
                          source)
        if length < 2 or walk.position + length - 2 > end:
            raise Stop(f"The IPv4 option at byte {walk.position - 2} claims {length} bytes; 2 to "
                       f"{end - walk.position + 2} were expected.")
        after = walk.position + length - 2
        if kind in (7, 131, 137) and length >= 3:
            pointer = walk.one("ip.opt.ptr", "Pointer", 1, str, "Which slot the next router uses.", source)
            walk.routed = walk.routed or (kind != 7 and pointer < length)
            while after - walk.position >= 4:
                key = "ip.rec_rt" if kind == 7 else "ip.src_rt"
                walk.one(key, "Route address", 4, ipv4, "A router on the way.", source, octets=True)
        elif kind == 148 and length == 4:
            walk.one("ip.opt.ra", "Router Alert", 2, str, "0: every router shall look into this packet.", "RFC 2113")
        if walk.position < after:
            walk.one("data.data", "Option data", after - walk.position, octet_text,
                     "What the option says, not read further.", source, octets=True)


def ipv6(walk: Walk) -> str | None:
    """Read an IPv6 header; extension headers are layers of their own."""
    start = walk.position
    layer = walk.begin("ipv6", "IPv6", "RFC 8200 §3")
    version, _, _, _, length, following, hops, source, destination = walk.take(IPV6)
    layer.summary = (f"{ipv6_address(source)} → {ipv6_address(destination)}, "
                     f"{PROTOCOLS.get(following, f'protocol {following}')}, hop limit {hops}")
    if version != 6:
        raise Stop(f"The IPv6 header at byte {start} claims version {version}; 6 was expected.")
    if length or following == 59:  # zero: a jumbogram, or lengths left to the network card
        walk.limit(walk.position + length, f"IPv6 packet at byte {start}")
    walk.pseudo = lambda proto, size: int.from_bytes(source + destination, "big") + proto + size
    return NEXT.get(following)


def extension(walk: Walk, key: str, name: str, section: str) -> str | None:
    """Read a hop-by-hop, destination options or routing header."""
    layer = walk.begin(f"ipv6.{key}", f"IPv6 {name}", section)
    following = walk.one(f"ipv6.{key}.nxt", "Next Header", 1, _protocol, "What follows this header.")
    length = walk.one(f"ipv6.{key}.len", "Length", 1, lambda raw: f"{raw * 8 + 8} bytes ({raw})",
                      "Length in units of 8 bytes, the first unit not counted.")
    layer.summary = f"{PROTOCOLS.get(following, f'protocol {following}')} follows"
    with walk.bound(length * 8 + 6, f"rest of the IPv6 {name}"):
        if key == "routing":
            kind = walk.one("ipv6.routing.type", "Type", 1, str, "Which kind of routing header; 4 is segment routing.")
            left = walk.one("ipv6.routing.segleft", "Segments Left", 1, str, "Stops still to be visited.")
            walk.routed = walk.routed or left > 0
            if kind == 4:
                _segments(walk)
        else:
            _options6(walk)
    return NEXT.get(following)


def _segments(walk: Walk) -> None:
    """Read a segment routing header's list of stops, the last one first."""
    source = "RFC 8754 §2"
    last = walk.one("ipv6.routing.srh.last_entry", "Last Entry", 1, str, "Index of the list's last address.", source)
    walk.one("ipv6.routing.srh.flags", "Flags", 1, hexed(2), "None are defined.", source)
    walk.one("ipv6.routing.srh.tag", "Tag", 2, hexed(4), "Marks packets of one class.", source)
    for _ in range(min(last + 1, walk.left // 16)):
        walk.one("ipv6.routing.srh.addr", "Segment", 16, ipv6_address, "A stop on the way.", source, octets=True)


def _options6(walk: Walk) -> None:
    """Read the options of a hop-by-hop or destination options header up to the end of the walk's bound."""
    while walk.left:
        kind = walk.one("ipv6.opt.type", "Option type", 1, named(_OPTIONS6), "Which option this is.",
                        "RFC 8200 §4.2")
        if kind == 0:
            continue
        size = walk.one("ipv6.opt.length", "Option length", 1, str, "Bytes of option data.", "RFC 8200 §4.2")
        if size > walk.left:
            raise Stop(f"The IPv6 option at byte {walk.position - 2} claims {size} bytes of data, "
                       f"{walk.left} are left in its header.")
        if size:
            key, name = ("ipv6.opt.padn", "PadN") if kind == 1 else ("ipv6.opt.experimental", "Option data")
            if kind == 5 and size == 2:
                key, name = "ipv6.opt.router_alert", "Router alert"
            walk.one(key, name, size, octet_text,
                     "Filling." if kind == 1 else "What the option says, not read further.", octets=True)


def fragment(walk: Walk) -> str | None:
    """Read an IPv6 fragment header."""
    layer = walk.begin("ipv6.fraghdr", "IPv6 fragment header", "RFC 8200 §4.5")
    following, _, offset, _, more, _ = walk.take(FRAGMENT)
    layer.summary = f"from byte {offset * 8}, {'more follow' if more else 'the last'}"
    walk.fragment = walk.fragment or bool(offset or more)  # neither: an “atomic” fragment, RFC 6946
    if offset:
        walk.rest("Fragment data", "Continues the payload of an earlier fragment; its transport header is there.")
        return None
    return NEXT.get(following)


def authentication(walk: Walk) -> str | None:
    """Read an IPsec authentication header."""
    walk.begin("ah", "Authentication Header", "RFC 4302 §2")
    following = walk.one("ah.next_header", "Next Header", 1, _protocol, "What follows this header.")
    length = walk.one("ah.length", "Length", 1, lambda raw: f"{raw * 4 + 8} bytes ({raw})",
                      "Length in units of 4 bytes, the first two not counted.")
    with walk.bound(length * 4 + 6, "rest of the authentication header"):
        if length >= 1:
            walk.one("ah.reserved", "Reserved", 2, hexed(4), "Always zero.")
            walk.one("ah.spi", "Security Parameters Index", 4, hexed(8), "Which security association this belongs to.")
        if length >= 2:
            walk.one("ah.sequence", "Sequence Number", 4, str, "Counts packets, against replay.")
        if walk.left:
            walk.one("ah.icv", "Integrity Check Value", walk.left, octet_text, "Proof of origin.", octets=True)
    return NEXT.get(following)


def inside(walk: Walk, following: str) -> str:
    """Go one tunnel deeper: a packet within a packet."""
    walk.depth += 1
    return following


def gre(walk: Walk) -> str | None:
    """Name GRE and what it carries; the course does not take it further apart."""
    layer = walk.begin("gre", "GRE", "RFC 2784 §2.1")
    layer.summary = f"carries EtherType 0x{walk.take(GRE)[1]:04x}"
    walk.rest("Data", "What the GRE tunnel carries, with GRE's optional fields in front; not read further.")
    return None
