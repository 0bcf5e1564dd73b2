"""The BGP UPDATE: withdrawn routes, path attributes, and the prefixes they belong to."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

from coursekit.packets.walk import Part, Table, Walk, flag, ipv4, meant, named

AFI = {1: "IPv4", 2: "IPv6", 25: "L2VPN", 16388: "link state"}
SAFI = {1: "unicast", 2: "multicast", 4: "labelled unicast", 5: "MCAST-VPN", 65: "VPLS", 66: "MDT", 70: "EVPN",
        71: "link state", 128: "VPN unicast", 129: "VPN multicast", 132: "route target", 133: "flow spec"}  # fmt: skip
ATTRIBUTES = {
    1: "ORIGIN", 2: "AS_PATH", 3: "NEXT_HOP", 4: "MULTI_EXIT_DISC", 5: "LOCAL_PREF", 6: "ATOMIC_AGGREGATE",
    7: "AGGREGATOR", 8: "COMMUNITIES", 9: "ORIGINATOR_ID", 10: "CLUSTER_LIST", 14: "MP_REACH_NLRI",
    15: "MP_UNREACH_NLRI", 16: "EXTENDED COMMUNITIES", 17: "AS4_PATH", 18: "AS4_AGGREGATOR", 23: "TUNNEL_ENCAP",
    26: "AIGP", 32: "LARGE_COMMUNITY", 35: "ONLY_TO_CUSTOMER", 40: "PREFIX_SID",
}  # fmt: skip
_MEANINGS = {
    1: "How the route came into BGP.", 2: "The autonomous systems that the route has passed.",
    3: "Where to send packets for these prefixes.", 4: "Which of several links to prefer; smaller wins.",
    5: "How much this AS likes the route; larger wins.", 8: "Labels for policies.",
    9: "Who brought the route into this AS; keeps reflection from looping.",
    10: "Reflectors that the route has passed; keeps reflection from looping.",
}  # fmt: skip
_SOURCES = {
    8: "RFC 1997", 9: "RFC 4456 §8", 10: "RFC 4456 §8", 14: "RFC 4760 §3", 15: "RFC 4760 §4", 16: "RFC 4360 §2",
    17: "RFC 6793 §3", 18: "RFC 6793 §3", 26: "RFC 7311", 32: "RFC 8092", 35: "RFC 9234 §5",
}  # fmt: skip
_SEGMENTS = {1: "AS_SET", 2: "AS_SEQUENCE", 3: "AS_CONFED_SEQUENCE", 4: "AS_CONFED_SET"}
_COMMUNITIES = {0xFFFFFF01: "NO_EXPORT", 0xFFFFFF02: "NO_ADVERTISE", 0xFFFFFF03: "NO_EXPORT_SUBCONFED",
                0xFFFF029A: "BLACKHOLE", 0xFFFF0000: "GRACEFUL_SHUTDOWN", 0xFFFF0006: "LLGR_STALE",
                0xFFFF0007: "NO_LLGR"}  # fmt: skip
_PATH = "bgp.update.path_attribute"

HEADER = Table(
    "RFC 4271 §4.3",
    Part(f"{_PATH}.flags.optional", "Optional", 1, flag,
         meant("Every speaker must know it.", "A speaker may not know it.")),
    Part(f"{_PATH}.flags.transitive", "Transitive", 1, flag,
         meant("Dropped by a speaker that does not know it.", "Passed on even by a speaker that does not know it.")),
    Part(f"{_PATH}.flags.partial", "Partial", 1, flag,
         meant("Everybody on the way knew it.", "Somebody on the way did not know it.")),
    Part(f"{_PATH}.flags.extended_length", "Extended Length", 1, flag, "The length takes two bytes."),
    Part(f"{_PATH}.flags.unused", "Unused", 4, str, "Always zero."),
    Part(f"{_PATH}.type_code", "Type Code", 8, named(ATTRIBUTES),
         lambda raw: _MEANINGS.get(raw, "Which attribute this is.")),
)  # fmt: skip


def update(walk: Walk) -> str:
    """Read the body of an UPDATE; return its summary."""
    size = walk.one("bgp.update.withdrawn_routes.length", "Withdrawn Routes Length", 2, str,
                    "Bytes of prefixes that are no longer reachable.", "RFC 4271 §4.3")
    with walk.bound(size, "list of withdrawn routes"):
        gone = _prefixes(walk, "bgp.withdrawn_prefix", "Withdrawn prefix", 32)
    size = walk.one("bgp.update.path_attributes.length", "Total Path Attribute Length", 2, str,
                    "Bytes of path attributes.", "RFC 4271 §4.3")
    new: list[str] = []
    with walk.bound(size, "list of path attributes"):
        while walk.left:
            _attribute(walk, new, gone)
    new += _prefixes(walk, "bgp.nlri_prefix", "NLRI prefix", 32)
    if not new and not gone:
        return ": End-of-RIB" if size in (0, 6, 7) else ""
    return "".join(f": {verb} {', '.join(which)}" for verb, which in (("withdraws", gone), ("announces", new)) if which)


def _prefixes(walk: Walk, key: str, name: str, longest: int) -> list[str]:
    """Read prefixes up to the end of the walk's bound; return them as text."""
    found = []
    paths = has_path_ids(walk.data[walk.position : walk.end], longest)
    while walk.left:
        path = ""
        if paths:
            path = f" (path {walk.one('bgp.nlri_path_id', 'Path Identifier', 4, str, _PATH_ID, 'RFC 7911 §3')})"
        length = walk.one("bgp.prefix_length", "Prefix Length", 1, str, "How many bits of the address count.",
                          "RFC 4271 §4.3")
        if length > longest:
            break  # not a prefix of this family: the caller's bound shows the rest as it is
        size = (length + 7) // 8
        show = _padded(longest)
        if size:
            raw = walk.one(key, name, size, show, "The bytes of the address that count; the rest are zero.",
                           "RFC 4271 §4.3", octets=True)
        found.append(f"{show(raw if size else b'')}/{length}{path}")
    return found


_PATH_ID = "ADD-PATH: tells several paths to one prefix apart; recognised by its shape, as no field announces it."


def _padded(longest: int) -> Callable[[bytes], str]:
    """Show the leading bytes of an address as a whole address."""
    if longest == 32:
        return lambda raw: ipv4(raw.ljust(4, b"\0"))
    return lambda raw: str(IPv6Address(raw.ljust(16, b"\0")))


def has_path_ids(data: bytes, longest: int) -> bool:
    """Guess whether prefixes carry path identifiers (RFC 7911), which only the session's OPENs would tell.

    Yes where they do not parse as plain prefixes (host bits set, too long, the same twice) but do with identifiers.
    """

    def parses(extra: int) -> bool:
        position, seen = 0, set()
        while position < len(data):
            head = data[position : position + extra]
            if position + extra >= len(data) or data[position + extra] > longest:
                return False
            length = data[position + extra]
            size = (length + 7) // 8
            prefix = data[position + extra + 1 : position + extra + 1 + size]
            if len(prefix) < size or (length % 8 and prefix[-1] & (0xFF >> length % 8)):
                return False
            if (head, length, prefix) in seen:
                return False
            seen.add((head, length, prefix))
            position += extra + 1 + size
        return True

    return not parses(0) and parses(4)


def _attribute(walk: Walk, new: list[str], gone: list[str]) -> None:
    """Read one path attribute; add the prefixes that it carries to the two lists."""
    extended, kind = walk.take(HEADER)[3::2]
    source = _SOURCES.get(kind, "RFC 4271 §5.1")
    size = walk.one(f"{_PATH}.length", "Length", 2 if extended else 1, str, "Bytes of the value.", "RFC 4271 §4.3")
    one = walk.one
    with walk.bound(size, f"{ATTRIBUTES.get(kind, f'path attribute {kind}')} attribute"):
        if kind == 1 and size == 1:
            one(f"{_PATH}.origin", "Origin", 1, named({0: "IGP", 1: "EGP", 2: "INCOMPLETE"}), _MEANINGS[1], source)
        elif kind in (2, 17):
            _as_path(walk, source, four_octets=kind == 17 or _fits(walk.data[walk.position : walk.end], 4))
        elif kind == 3 and size == 4:
            one(f"{_PATH}.next_hop", "Next hop", 4, ipv4, _MEANINGS[3], source, octets=True)
        elif kind == 4 and size == 4:
            one(f"{_PATH}.multi_exit_disc", "Multiple exit discriminator", 4, str, _MEANINGS[4], source)
        elif kind == 5 and size == 4:
            one(f"{_PATH}.local_pref", "Local preference", 4, str, _MEANINGS[5], source)
        elif kind in (7, 18) and size in (6, 8):
            one(f"{_PATH}.aggregator_as", "Aggregator AS", size - 4, str, "AS that combined the routes.", source)
            one(f"{_PATH}.aggregator_origin", "Aggregator origin", 4, ipv4, "Router that combined the routes.", source,
                octets=True)
        elif kind == 8 and size % 4 == 0:
            while walk.left:
                _community(walk, source)
        elif kind == 9 and size == 4:
            one(f"{_PATH}.originator_id", "Originator identifier", 4, ipv4, _MEANINGS[9], source, octets=True)
        elif kind == 10 and size % 4 == 0:
            while walk.left:
                one("bgp.path_attribute.cluster_id", "Cluster ID", 4, ipv4, _MEANINGS[10], source, octets=True)
        elif kind in (14, 15):
            _multiprotocol(walk, source, new if kind == 14 else gone, reach=kind == 14)
        elif kind == 32 and size % 12 == 0:
            while walk.left:
                for key, name in (("ga", "Global Administrator"), ("ldp1", "Local Data 1"), ("ldp2", "Local Data 2")):
                    one(f"bgp.large_communities.{key}", name, 4, str, "A part of a label for policies.", source)


def _community(walk: Walk, source: str) -> None:
    """Read a community: a well-known one, or an AS number and what it means there."""
    if int.from_bytes(walk.data[walk.position : walk.position + 4], "big") in _COMMUNITIES:
        walk.one(f"{_PATH}.community_wellknown", "Community", 4, named(_COMMUNITIES, 8),
                 "A label that every AS understands.", source)
        return
    walk.one(f"{_PATH}.community_as", "Community AS", 2, str, "The AS that gives the label its meaning.", source)
    walk.one(f"{_PATH}.community_value", "Community value", 2, str, "What it means is up to that AS.", source)


def _fits(data: bytes, width: int) -> bool:
    """Tell whether an AS_PATH consists of whole segments with AS numbers of that many bytes."""
    position = 0
    while position + 2 <= len(data) and data[position] in _SEGMENTS:
        position += 2 + width * data[position + 1]
    return position == len(data)


def _as_path(walk: Walk, source: str, *, four_octets: bool) -> None:
    """Read the segments of an AS_PATH; whether AS numbers have 2 or 4 bytes was agreed in OPEN and shows in the sum."""
    while walk.left:
        walk.one(f"{_PATH}.as_path_segment.type", "Segment type", 1, named(_SEGMENTS), "Ordered, or a set.", source)
        count = walk.one(f"{_PATH}.as_path_segment.length", "Segment length", 1, str, "AS numbers, not bytes.", source)
        width = 4 if four_octets else 2
        for _ in range(count):
            walk.one(f"{_PATH}.as_path_segment.as{width}", "AS number", width, str, "An AS that the route has passed.",
                     source)


def _multiprotocol(walk: Walk, source: str, prefixes: list[str], *, reach: bool) -> None:
    """Read MP_REACH_NLRI or MP_UNREACH_NLRI."""
    key = f"{_PATH}.mp_{'reach' if reach else 'unreach'}_nlri"
    family = walk.one(f"{key}.afi", "AFI", 2, named(AFI), "Address family.", source)
    kind = walk.one(f"{key}.safi", "SAFI", 1, named(SAFI), "Kind of routes.", source)
    if reach:
        size = walk.one(f"{key}.next_hop.length", "Next hop length", 1, str, "Bytes of the next hop.", source)
        with walk.bound(size, "next hop"):
            while walk.left >= 16:
                local = walk.data[walk.position] == 0xFE and walk.data[walk.position + 1] & 0xC0 == 0x80
                walk.one(f"{key}.next_hop.ipv6" + (".link_local" if local else ""), "Next hop", 16, _padded(128),
                         _MEANINGS[3], source, octets=True)
            if walk.left == 4:
                walk.one(f"{key}.next_hop.ipv4", "Next hop", 4, ipv4, _MEANINGS[3], source, octets=True)
        walk.one(f"{key}.nbr_snpa", "Reserved", 1, str, "Was the number of SNPAs; zero.", source)
    if family in (1, 2) and kind in (1, 2):
        what = "bgp.mp_reach_nlri_ipv%d_prefix" if reach else "bgp.mp_unreach_nlri_ipv%d_prefix"
        prefixes += _prefixes(walk, what % (4 if family == 1 else 6), "Prefix", 32 if family == 1 else 128)
