"""BGP messages as bytes: what a daemon would send for any message of a run, and captured messages read back.

scapy does the encoding. Messages are always built fresh and never edited, for an edited UPDATE cannot be built again;
AS numbers take four bytes, as between all daemons of today (RFC 6793).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from coursekit.bgp.route import ORIGINS, WELL_KNOWN, Attributes
from coursekit.bgp.session import END_OF_RIB, Neighbour, Update
from coursekit.errors import CourseError

_log = logging.getLogger("scapy.runtime")
_level = _log.level
_log.setLevel(logging.ERROR)  # it warns of its default for AS numbers, which is changed below
from scapy.contrib import bgp as scapy_bgp  # noqa: E402
from scapy.packet import Raw  # noqa: E402

_log.setLevel(_level)
scapy_bgp.bgp_module_conf.use_2_bytes_asn = False

MARKER = b"\xff" * 16
AS_TRANS = 23456  # stands in OPEN where the AS number has no room (RFC 6793)
TYPES = {1: "OPEN", 2: "UPDATE", 3: "NOTIFICATION", 4: "KEEPALIVE", 5: "ROUTE-REFRESH"}
_ROLES = ("provider", "rs", "rs-client", "customer", "peer")  # by their numbers in OPEN (RFC 9234 §4.1)
_NAMES = {code: name for name, code in WELL_KNOWN.items()}


@dataclass(frozen=True)
class Wire:
    """One UPDATE read from bytes: the prefixes that it withdraws and announces, with path ids (0 without ADD-PATH)."""

    withdrawn: tuple[tuple[str, int], ...]
    announced: tuple[tuple[str, int], ...]
    attributes: Attributes | None

    @property
    def end_of_rib(self) -> bool:
        """Whether it is the End-of-RIB mark of IPv4: an UPDATE with nothing in it (RFC 4724 §2)."""
        return not self.withdrawn and not self.announced and self.attributes is None


def message(kind: int, body: Any = b"") -> bytes:
    """Return a message with its header around a body."""
    return bytes(scapy_bgp.BGPHeader(type=kind) / body) if body else bytes(scapy_bgp.BGPHeader(type=kind))


def keepalive() -> bytes:
    """Return a KEEPALIVE."""
    return message(4)


def open_message(end: Neighbour, hold_time: int = 240) -> bytes:
    """Return the OPEN that BIRD sends at one end of a session, without graceful restart; `hold_time` in seconds."""
    asn = end.speaker.asn
    capabilities = [scapy_bgp.BGPCapMultiprotocol(afi=1, safi=1), scapy_bgp.BGPCapGeneric(code=2)]
    if end.options.role and end.peer.external:
        capabilities.append(scapy_bgp.BGPCapGeneric(code=9, cap_data=bytes([_ROLES.index(end.options.role)])))
    capabilities.append(scapy_bgp.BGPCapFourBytesASN(asn=asn))
    sends, takes = end.options.add_path, end.other.options.add_path
    if sends or takes:
        capabilities.append(scapy_bgp.BGPCapGeneric(code=69, cap_data=b"\0\1\1" + bytes([takes + 2 * sends])))
    capabilities.append(scapy_bgp.BGPCapGeneric(code=70))
    # All capabilities stand in one optional parameter, as BIRD and GoBGP have it; scapy would make one each.
    packed = b"".join(map(bytes, capabilities))
    head = bytes(scapy_bgp.BGPOpen(my_as=asn if asn < 65536 else AS_TRANS, hold_time=hold_time,
                                   bgp_id=end.speaker.router_id, opt_param_len=len(packed) + 2))  # fmt: skip
    return message(1, Raw(head + bytes([2, len(packed)]) + packed))


def update_bytes(update: Update) -> bytes:
    """Return the bytes of one UPDATE of a run, as BIRD sends it: attributes in the order of their types."""
    add_path = update.to.other.options.add_path
    return encode([(update.prefix, update.path_id)] if update.prefix != END_OF_RIB else [], update.attributes, add_path)


def encode(prefixes: Iterable[tuple[str, int]], attributes: Attributes | None, add_path: bool = False) -> bytes:
    """Return an UPDATE that announces prefixes (with path ids) with attributes, or withdraws them (None)."""
    given = list(prefixes)
    if any(":" in prefix for prefix, _ in given):
        return _encode_ipv6(given, attributes, add_path)
    nlri = [_nlri(prefix, path_id, add_path) for prefix, path_id in given]
    if attributes is None:
        return message(2, scapy_bgp.BGPUpdate(withdrawn_routes=nlri))
    return message(2, scapy_bgp.BGPUpdate(path_attr=_path_attributes(attributes), nlri=nlri))


def _nlri(prefix: str, path_id: int, add_path: bool) -> Any:
    version = ip_network(prefix).version
    if add_path:
        kind = scapy_bgp.BGPNLRI_IPv4_AP if version == 4 else scapy_bgp.BGPNLRI_IPv6_AP
        return kind(nlri_path_id=path_id, prefix=prefix)
    return (scapy_bgp.BGPNLRI_IPv4 if version == 4 else scapy_bgp.BGPNLRI_IPv6)(prefix=prefix)


def _encode_ipv6(prefixes: list[tuple[str, int]], attributes: Attributes | None, add_path: bool) -> bytes:
    """Return an UPDATE for IPv6: the prefixes stand in an attribute (RFC 4760)."""
    packed = b"".join(bytes(_nlri(prefix, path_id, add_path)) for prefix, path_id in prefixes)
    if attributes is None:
        return message(2, scapy_bgp.BGPUpdate(path_attr=[_attribute(0x90, 15, b"\0\2\1" + packed)]))
    hop = ip_address(attributes.next_hop).packed
    reach = _attribute(0x90, 14, b"\0\2\1" + bytes([len(hop)]) + hop + b"\0" + packed)
    return message(2, scapy_bgp.BGPUpdate(path_attr=[reach, *_path_attributes(attributes, next_hop=False)]))


def _attribute(flags: int, code: int, value: Any) -> Any:
    raw = Raw(value) if isinstance(value, bytes) else value
    if len(bytes(raw)) > 255:
        flags |= 0x10
    return scapy_bgp.BGPPathAttr(type_flags=flags, type_code=code, attribute=raw)


def _path_attributes(attributes: Attributes, next_hop: bool = True) -> list[Any]:
    segment = scapy_bgp.BGPPAAS4BytesPath.ASPathSegment
    segments: list[tuple[int, list[int]]] = []
    for hop in attributes.as_path:
        if isinstance(hop, frozenset):
            segments.append((1, sorted(hop)))
        elif segments and segments[-1][0] == 2:
            segments[-1][1].append(hop)
        else:
            segments.append((2, [hop]))
    # Whoever prepends to a full segment begins a new one in front: the first is the short one (RFC 4271 §5.1.2 b).
    path = scapy_bgp.BGPPAAS4BytesPath(segments=[
        segment(segment_type=kind, segment_value=hops[max(end - 255, 0) : end]) for kind, hops in segments
        for end in range((len(hops) - 1) % 255 + 1, len(hops) + 1, 255)])  # fmt: skip
    origin = scapy_bgp.BGPPAOrigin(origin=ORIGINS.index(attributes.origin))
    out = [_attribute(0x40, 1, origin), _attribute(0x40, 2, path)]
    if next_hop:
        out.append(_attribute(0x40, 3, scapy_bgp.BGPPANextHop(next_hop=attributes.next_hop)))
    if attributes.med is not None:
        out.append(_attribute(0x80, 4, scapy_bgp.BGPPAMultiExitDisc(med=attributes.med)))
    if attributes.local_pref is not None:
        out.append(_attribute(0x40, 5, scapy_bgp.BGPPALocalPref(local_pref=attributes.local_pref)))
    if attributes.communities:
        out.append(_attribute(0xC0, 8, b"".join(_community(name) for name in attributes.communities)))
    if attributes.originator_id:
        out.append(_attribute(0x80, 9, scapy_bgp.BGPPAOriginatorID(originator_id=attributes.originator_id)))
    if attributes.cluster_list:
        out.append(_attribute(0x80, 10, b"".join(IPv4Address(c).packed for c in attributes.cluster_list)))
    if attributes.otc is not None:
        out.append(_attribute(0xC0, 35, attributes.otc.to_bytes(4, "big")))
    return out


def _community(name: str) -> bytes:
    if name in WELL_KNOWN:
        return WELL_KNOWN[name].to_bytes(4, "big")
    high, _, low = name.partition(":")
    return int(high).to_bytes(2, "big") + int(low).to_bytes(2, "big")


# ---- reading -------------------------------------------------------------------------------------------------------


def messages(stream: bytes) -> Iterator[bytes]:
    """Split what one end of a session sent, TCP put together again, into messages. CourseError where it is not BGP."""
    at = 0
    while at < len(stream):
        length = int.from_bytes(stream[at + 16 : at + 18], "big")
        if stream[at : at + 16] != MARKER or not 19 <= length <= 65535:
            raise CourseError(f"At byte {at} of the session no BGP message begins: sixteen bytes of ff and a length "
                              "of at least 19 were expected; is the stream complete, and is it BGP?")  # fmt: skip
        if at + length > len(stream):
            raise CourseError(f"The message at byte {at} has {length} bytes, of which {len(stream) - at} are there.")
        yield stream[at : at + length]
        at += length


def read_update(data: bytes, add_path: bool | None = None, four_octets: bool = True) -> Wire:
    """Read one UPDATE, header included. CourseError if it is none, or damaged.

    Whether prefixes have path ids was agreed on in the OPENs; None finds out by which of the two makes sense.
    Without `four_octets` AS numbers have two bytes, and AS4_PATH has those that do not fit (RFC 6793). scapy only
    builds: it gives up on an AS_PATH of several segments.
    """
    if data[:16] != MARKER or len(data) < 23 or data[18] != 2 or int.from_bytes(data[16:18], "big") != len(data):
        raise CourseError(f"These {len(data)} bytes are no BGP UPDATE: a whole message of type 2 was expected.")
    try:
        at = 21 + int.from_bytes(data[19:21], "big")
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            raise ValueError("its parts are longer than the whole")
        values = dict(_split_attributes(data[at + 2 : end]))
        withdrawn, announced = _prefixes(data[21:at], 4, add_path), _prefixes(data[end:], 4, add_path)
        hop = values.get(3)
        if 14 in values:
            size = values[14][3]
            hop = values[14][4 : 4 + min(size, 16)]
            announced += _prefixes(values[14][5 + size :], 6 if values[14][1] == 2 else 4, add_path)
        if 15 in values:
            withdrawn += _prefixes(values[15][3:], 6 if values[15][1] == 2 else 4, add_path)
        attributes = _read_attributes(values, hop, 4 if four_octets else 2) if 1 in values else None
    except (ValueError, IndexError) as error:
        why = "it ends too early" if isinstance(error, IndexError) else error
        raise CourseError(f"This UPDATE of {len(data)} bytes is damaged: {why}.") from None
    return Wire(tuple(withdrawn), tuple(announced), attributes)


def _split_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        wide = 2 if data[at] & 0x10 else 1
        size = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
        start = at + 2 + wide
        if start + size > len(data):
            raise ValueError(f"attribute {data[at + 1]} is longer than the list of attributes")
        yield data[at + 1], data[start : start + size]
        at = start + size


def _prefixes(data: bytes, version: int, add_path: bool | None) -> list[tuple[str, int]]:
    if add_path is None:
        try:
            plain = _prefixes(data, version, False)
        except (ValueError, IndexError) as error:
            try:
                return _prefixes(data, version, True)
            except (ValueError, IndexError):
                raise error from None
        # Path ids read as prefixes give many a default route: four bytes of small numbers are full of zeros.
        return plain if len(set(plain)) == len(plain) else _prefixes(data, version, True)
    out, at, width = [], 0, 4 if version == 4 else 16
    while at < len(data):
        path_id = 0
        if add_path:
            path_id, at = int.from_bytes(data[at : at + 4], "big"), at + 4
        bits = data[at]
        size = (bits + 7) // 8
        packed = data[at + 1 : at + 1 + size]
        if bits > 8 * width or len(packed) < size:
            raise ValueError(f"a prefix of /{bits} does not fit")
        out.append((str(ip_network((packed.ljust(width, b"\0"), bits))), path_id))
        at += 1 + size
    return out


def _as_path(data: bytes, width: int) -> Iterator[int | frozenset[int]]:
    at = 0
    while at < len(data):
        kind, count = data[at], data[at + 1]
        after = at + 2 + width * count
        numbers = [int.from_bytes(data[i : i + width], "big") for i in range(at + 2, after, width)]
        at = after
        if at > len(data) or kind not in (1, 2):
            raise ValueError(f"AS_PATH is no list of segments with {width} bytes per AS number")
        if kind == 1:
            yield frozenset(numbers)
        else:
            yield from numbers


def _read_attributes(values: dict[int, bytes], hop: bytes | None, width: int) -> Attributes:
    def number(code: int) -> int | None:
        return int.from_bytes(values[code], "big") if code in values else None

    def words(code: int) -> list[bytes]:
        return [values[code][i : i + 4] for i in range(0, len(values.get(code, b"")), 4)]

    codes = [int.from_bytes(word, "big") for word in words(8)]
    path, wide = tuple(_as_path(values.get(2, b""), width)), tuple(_as_path(values.get(17, b""), 4))
    if width == 2 and 0 < len(wide) <= len(path):
        path = path[: len(path) - len(wide)] + wide
    return Attributes(
        path, str(ip_address(hop)) if hop else "", number(5), number(4),
        ORIGINS[values[1][0]], str(IPv4Address(values[9])) if 9 in values else None,
        tuple(str(IPv4Address(word)) for word in words(10)),
        tuple(_NAMES.get(code, f"{code >> 16}:{code & 0xFFFF}") for code in codes), number(35),
    )  # fmt: skip
