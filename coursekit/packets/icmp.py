"""ICMP and ICMPv6: echo, errors with the packet they quote, neighbour discovery."""

from __future__ import annotations

from coursekit.packets.internet import ipv6_address
from coursekit.packets.walk import Part, Table, Walk, flag, hexed, ipv4, mac, named, octet_text

_TYPES = {0: "echo reply", 3: "destination unreachable", 4: "source quench", 5: "redirect", 8: "echo request",
          9: "router advertisement", 10: "router solicitation", 11: "time exceeded", 12: "parameter problem",
          13: "timestamp request", 14: "timestamp reply", 42: "extended echo request",
          43: "extended echo reply"}  # fmt: skip
_UNREACHABLE = {0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
                4: "fragmentation needed", 5: "source route failed", 6: "network unknown", 7: "host unknown",
                9: "network prohibited", 10: "host prohibited", 11: "network unreachable for TOS",
                12: "host unreachable for TOS", 13: "administratively prohibited", 14: "host precedence violation",
                15: "precedence cutoff"}  # fmt: skip
_CODES = {3: _UNREACHABLE, 5: {0: "for the network", 1: "for the host"},
          11: {0: "TTL exceeded in transit", 1: "reassembly time exceeded"}}  # fmt: skip
_TYPES6 = {1: "destination unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem",
           128: "echo request", 129: "echo reply", 130: "multicast listener query", 131: "multicast listener report",
           132: "multicast listener done", 133: "router solicitation", 134: "router advertisement",
           135: "neighbour solicitation", 136: "neighbour advertisement", 137: "redirect",
           143: "multicast listener report v2"}  # fmt: skip
_CODES6 = {1: {0: "no route", 1: "administratively prohibited", 2: "beyond scope", 3: "address unreachable",
               4: "port unreachable", 5: "source address failed policy", 6: "reject route"},
           3: {0: "hop limit exceeded in transit", 1: "reassembly time exceeded"}}  # fmt: skip
_OPTIONS6 = {1: "source link-layer address", 2: "target link-layer address", 3: "prefix information",
             4: "redirected header", 5: "MTU", 14: "nonce", 24: "route information", 25: "recursive DNS server",
             31: "DNS search list"}  # fmt: skip

_QUOTING = (3, 4, 5, 11, 12)


def _head(key: str, types: dict[int, str], source: str, covers: str) -> Table:
    return Table(
        source,
        Part(f"{key}.type", "Type", 8, named(types), "What kind of message this is."),
        Part(f"{key}.code", "Code", 8, str, "The case within the type."),
        Part(f"{key}.checksum", "Checksum", 16, hexed(4), covers),
    )


ICMP = _head("icmp", _TYPES, "RFC 792", "Covers the whole ICMP message.")
ICMPV6 = _head("icmpv6", _TYPES6, "RFC 4443 §2.1", "Covers the message and a pseudo-header with both addresses.")


def icmp(walk: Walk) -> str | None:
    """Read an ICMP message; an error goes on with the packet that it quotes."""
    start = walk.position
    layer = walk.begin("icmp", "ICMP", "RFC 792")
    kind, code, _ = walk.take(ICMP)
    walk.check(2, start, walk.end)
    name = _CODES.get(kind, {}).get(code, "")
    layer.summary = _TYPES.get(kind, f"type {kind}") + (f" ({name})" if name else f", code {code}" if code else "")
    if kind in (0, 8, 13, 14):
        walk.one("icmp.ident", "Identifier", 2, lambda raw: f"{raw} (0x{raw:04x})",
                 "Tells one running ping from another.")
        number = walk.one("icmp.seq", "Sequence Number", 2, str, "Which echo this is.")
        layer.summary += f", sequence {number}"
        if kind in (13, 14):
            for key, when in (("originate", "sender sent it"), ("receive", "receiver got it"),
                              ("transmit", "receiver sent it back")):
                walk.one(f"icmp.{key}_timestamp", f"{key.capitalize()} timestamp", 4, str,
                         f"When the {when}, in ms since midnight UTC.")
            return None
        walk.rest("Data", "Filling that the other side sends back; Linux' ping starts it with the time of sending.")
        return None
    length = 0
    if kind == 5:
        walk.one("icmp.redir_gw", "Gateway Address", 4, ipv4, "The better router for this destination.", octets=True)
    elif kind in _QUOTING:
        if kind == 12:
            walk.one("icmp.pointer", "Pointer", 1, str, "Which byte of the quoted packet is wrong.")
        else:
            walk.one("icmp.unused", "Unused", 1, octet_text, "Always zero.", octets=True)
        length = walk.one("icmp.length", "Length", 1, lambda raw: f"{raw * 4} bytes ({raw})" if raw else "0",
                          "Length of the quoted packet in 32-bit words; zero where no extension follows.",
                          "RFC 4884 §4")
        if kind == 3 and code == 4:
            mtu = walk.one("icmp.mtu", "MTU of next hop", 2, str,
                           "The largest packet that fits through; the sender shall remember it.", "RFC 1191 §4")
            layer.summary += f", MTU {mtu}"
        else:
            walk.one("icmp.unused", "Unused", 2, octet_text, "Always zero.", octets=True)
    elif walk.left:
        walk.one("icmp.reserved", "Rest of header", min(4, walk.left), octet_text, "What it holds depends on the type.",
                 octets=True)
    return _quote(walk, length * 4) if kind in _QUOTING else None


def _quote(walk: Walk, length: int) -> str | None:
    """Go on with the quoted packet, one depth deeper; what follows `length` bytes is an extension."""
    if not walk.left:
        return None
    if 0 < length < walk.left:
        walk.outer_ends.append((walk.end, walk.depth, False))
        walk.end = walk.position + length
    walk.depth += 1
    walk.quoted, walk.fragment, walk.short, walk.routed = True, False, False, False
    return "internet"


def icmpv6(walk: Walk) -> str | None:
    """Read an ICMPv6 message; an error goes on with the packet that it quotes."""
    start = walk.position
    layer = walk.begin("icmpv6", "ICMPv6", "RFC 4443 §2.1")
    kind, code, _ = walk.take(ICMPV6)
    walk.check(2, start, walk.end, walk.pseudo(58, walk.end - start))
    name = _CODES6.get(kind, {}).get(code, "")
    layer.summary = _TYPES6.get(kind, f"type {kind}") + (f" ({name})" if name else f", code {code}" if code else "")
    if kind in (128, 129):
        walk.one("icmpv6.echo.identifier", "Identifier", 2, lambda raw: f"{raw} (0x{raw:04x})",
                 "Tells one running ping from another.", "RFC 4443 §4.1")
        number = walk.one("icmpv6.echo.sequence_number", "Sequence Number", 2, str, "Which echo this is.",
                          "RFC 4443 §4.1")
        layer.summary += f", sequence {number}"
        walk.rest("Data", "Filling that the other side sends back; Linux' ping starts it with the time of sending.")
        return None
    if kind in (1, 2, 3, 4):
        length = 0
        if kind == 2:
            mtu = walk.one("icmpv6.mtu", "MTU", 4, str, "The largest packet that fits through.", "RFC 4443 §3.2")
            layer.summary += f", MTU {mtu}"
        elif kind == 4:
            walk.one("icmpv6.pointer", "Pointer", 4, str, "Which byte of the quoted packet is wrong.", "RFC 4443 §3.4")
        else:
            length = walk.data[walk.position] if walk.left else 0
            walk.one("icmpv6.reserved", "Reserved", 4, octet_text,
                     "Zero, or in its first byte the length of the quoted packet in 64-bit words.", "RFC 4884 §4",
                     octets=True)
        return _quote(walk, length * 8)
    if kind == 134:
        walk.take(_ADVERTISEMENT)
        _options(walk)
    elif kind in (133, 135, 136, 137):
        if kind == 136:
            walk.take(_NEIGHBOUR)
        else:
            walk.one("icmpv6.reserved", "Reserved", 4, octet_text, "Always zero.", "RFC 4861 §4", octets=True)
        if kind != 133:
            key = {135: "icmpv6.nd.ns.target_address", 136: "icmpv6.nd.na.target_address",
                   137: "icmpv6.nd.rd.target_address"}[kind]
            target = walk.one(key, "Target Address", 16, ipv6_address, "Whose link address this is about.",
                              "RFC 4861 §4", octets=True)
            layer.summary += f" for {ipv6_address(target)}"
        if kind == 137:
            walk.one("icmpv6.rd.na.destination_address", "Destination Address", 16, ipv6_address,
                     "Which destination shall go another way.", "RFC 4861 §4.5", octets=True)
        _options(walk)
    elif kind in (130, 131, 132):
        walk.one("icmpv6.mld.maximum_response_delay", "Maximum Response Delay", 2, str, "ms to wait with an answer.",
                 "RFC 2710 §3")
        walk.one("icmpv6.reserved", "Reserved", 2, octet_text, "Always zero.", "RFC 2710 §3", octets=True)
        walk.one("icmpv6.mld.multicast_address", "Multicast Address", 16, ipv6_address, "Which group this is about.",
                 "RFC 2710 §3", octets=True)
    elif kind == 143:
        walk.one("icmpv6.reserved", "Reserved", 2, octet_text, "Always zero.", "RFC 3810 §5.2", octets=True)
        walk.one("icmpv6.mldr.nb_mcast_records", "Number of records", 2, str, "How many groups follow.",
                 "RFC 3810 §5.2")
    elif walk.left:
        walk.one("icmpv6.data", "Message body", walk.left, octet_text, "What it holds depends on the type.",
                 octets=True)
    return None


_ADVERTISEMENT = Table(
    "RFC 4861 §4.2",
    Part("icmpv6.nd.ra.cur_hop_limit", "Current hop limit", 8, str, "Hop limit that hosts shall use."),
    Part("icmpv6.nd.ra.flag.m", "Managed addresses", 1, flag, "Addresses come from DHCPv6."),
    Part("icmpv6.nd.ra.flag.o", "Other configuration", 1, flag, "Other settings come from DHCPv6."),
    Part("icmpv6.nd.ra.flag.h", "Home agent", 1, flag, "The router is a Mobile IPv6 home agent."),
    Part("icmpv6.nd.ra.flag.prf", "Router preference", 2, str, "0 medium, 1 high, 3 low."),
    Part("icmpv6.nd.ra.flag.p", "Proxy", 1, flag, "Sent by a neighbour discovery proxy."),
    Part("icmpv6.nd.ra.flag.rsv", "Reserved", 2, str, "Always zero."),
    Part("icmpv6.nd.ra.router_lifetime", "Router lifetime", 16, str, "Seconds for which it is a default router."),
    Part("icmpv6.nd.ra.reachable_time", "Reachable time", 32, str, "ms for which a neighbour counts as reachable."),
    Part("icmpv6.nd.ra.retrans_timer", "Retransmission timer", 32, str, "ms between neighbour solicitations."),
)
_NEIGHBOUR = Table(
    "RFC 4861 §4.4",
    Part("icmpv6.nd.na.flag.r", "Router", 1, flag, "The sender is a router."),
    Part("icmpv6.nd.na.flag.s", "Solicited", 1, flag, "This answers a question."),
    Part("icmpv6.nd.na.flag.o", "Override", 1, flag, "Replaces what the neighbour table holds."),
    Part("icmpv6.nd.na.flag.rsv", "Reserved", 29, str, "Always zero."),
)


_PREFIX = Table(
    "RFC 4861 §4.6.2",
    Part("icmpv6.opt.prefix.length", "Prefix Length", 8, str, "How many bits of the prefix count."),
    Part("icmpv6.opt.prefix.flag.l", "On-link (L)", 1, flag, "Addresses in the prefix are on this link."),
    Part("icmpv6.opt.prefix.flag.a", "Autonomous (A)", 1, flag, "Hosts may make themselves an address in it."),
    Part("icmpv6.opt.prefix.flag.r", "Router address (R)", 1, flag, "The prefix holds the router's whole address."),
    Part("icmpv6.opt.prefix.flag.reserved", "Reserved", 5, str, "Always zero."),
    Part("icmpv6.opt.prefix.valid_lifetime", "Valid Lifetime", 32, str, "Seconds for which the prefix is valid."),
    Part("icmpv6.opt.prefix.preferred_lifetime", "Preferred Lifetime", 32, str, "Seconds for which it is preferred."),
    Part("icmpv6.opt.reserved", "Reserved", 32, str, "Always zero."),
    Part("icmpv6.opt.prefix", "Prefix", 128, ipv6_address, "The prefix, filled up with zeros.", octets=True),
)


def _options(walk: Walk) -> None:
    """Read neighbour discovery options."""
    source = "RFC 4861 §4.6"
    while walk.left:
        kind = walk.one("icmpv6.opt.type", "Option type", 1, named(_OPTIONS6), "Which option this is.", source)
        units = walk.one("icmpv6.opt.length", "Option length", 1, lambda raw: f"{raw * 8} bytes ({raw})",
                         "Length in units of 8 bytes.", source)
        with walk.bound(max(units * 8 - 2, 0), "neighbour discovery option"):
            if kind in (1, 2) and units == 1:
                walk.one("icmpv6.opt.linkaddr", "Link-layer address", 6, mac, "The link address in question.", source,
                         octets=True)
            elif kind == 3 and units == 4:
                walk.take(_PREFIX)
            elif kind == 5 and units == 1:
                walk.one("icmpv6.opt.reserved", "Reserved", 2, octet_text, "Always zero.", source, octets=True)
                walk.one("icmpv6.opt.mtu", "MTU", 4, str, "MTU of this link.", source)
        if not units:
            return
