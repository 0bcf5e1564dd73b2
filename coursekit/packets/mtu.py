"""MTU arithmetic, done with packets: what an envelope costs, what fits, and what becomes of a packet that does not.

No number here is a constant: headers are built and measured, fragments are cut. An MTU counts IP bytes, so the inner
Ethernet header of VXLAN counts and the outer one does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from coursekit.errors import CourseError, given
from coursekit.packets.encapsulation import Encapsulation, encapsulate
from coursekit.packets.ip import DF, MAX_PACKET, forward, fragment

Family = Literal["ipv4", "ipv6"]
Kind = Literal[
    "fits", "refused by sender", "pod fragments", "inner fragments", "outer fragments", "frag needed",
    "dropped silently",
]
MINIMUM = 68  # every link carries as much (RFC 791 §3.2)
_NODES = {"ipv4": ("192.0.2.1", "192.0.2.2"), "ipv6": ("2001:db8::1", "2001:db8::2")}
_MAC = "02:00:00:00:00:01"


def overhead(encap: Encapsulation, *, outer: Family = "ipv4", inner_vlan: bool = False) -> int:
    """Return how many bytes of the underlay's MTU the envelope takes, by building one and measuring it.

    `outer` is the IP version between the nodes, `inner_vlan` a tag on the inner frame. CourseError for what cannot be
    built. Sources: RFC 7348 §5, RFC 2003 §3.1; felix int_dataplane.go and flannel device.go take off the same.
    """
    inner = _packet(84, df=False)
    return len(_wrapped(inner, encap, outer, inner_vlan)) - len(inner)


def inner_mtu(underlay: int, encap: Encapsulation, *, outer: Family = "ipv4", inner_vlan: bool = False) -> int:
    """Return the largest IP packet that passes an underlay of that MTU inside the envelope, in bytes.

    CourseError for an MTU that is none, or leaves less than a link must carry (RFC 791 §3.2). Options as in overhead.
    """
    left = _mtu(underlay, "the underlay") - overhead(encap, outer=outer, inner_vlan=inner_vlan)
    if left < MINIMUM:
        raise CourseError(
            f"An underlay MTU of {underlay} leaves {left} bytes inside {encap.name}, but every IPv4 link must carry "
            f"{MINIMUM}: give a larger one."
        )
    return left


def largest_ping(mtu: int, *, ip: Family = "ipv4") -> int:
    """Return the largest size for `ping -M do -s SIZE` that fits the MTU: the echo's data in bytes, without headers.

    `ip` is the version that ping speaks, "ipv4" or "ipv6". CourseError for an MTU that no ping fits.
    """
    if ip not in ("ipv4", "ipv6"):
        raise CourseError(f'ping speaks "ipv4" or "ipv6"; {given(ip)} was given.')
    echo: IP | IPv6 = _ping(b"") if ip == "ipv4" else IPv6(src="::1", dst="::1") / ICMPv6EchoRequest()
    size = _mtu(mtu, "the link") - len(bytes(echo))
    if size < 0:
        raise CourseError(f"An MTU of {mtu} does not even fit the headers of a ping, {len(bytes(echo))} bytes.")
    return size


@dataclass(frozen=True)
class Fate:
    """What becomes of a packet. `inner` and `outer` are sizes of IP packets: as carried, and as on the underlay.

    `mtu` and `sender`: the limit that somebody reports, and who does; `heard` is False where the report is filtered
    or cannot reach the pod.
    """

    kind: Kind
    delivered: bool
    sentence: str
    inner: tuple[int, ...] = ()
    outer: tuple[int, ...] = ()
    mtu: int | None = None
    sender: str | None = None
    heard: bool = True

    def __str__(self) -> str:
        return self.sentence


def fate(
    size: int, df: bool, encap: Encapsulation, *, pod_mtu: int, tunnel_mtu: int | None = None, node_mtu: int = 1500,
    path_mtu: int | None = None, path: Literal["switch", "router"] = "switch", icmp_filtered: bool = False,
    outer: Family = "ipv4", gateway: str = "the node",
) -> Fate:
    """Say what becomes of an IPv4 packet of `size` bytes that a pod sends to a pod on another node.

    It meets, in this order: the pod's own MTU; that of the tunnel device on the node (by default what fits the node's
    own; for native, the node's own itself), where `gateway` answers; the node's, with the envelope on; and the
    smallest of the underlay, at a switch port (which drops without a word) or at a router. `df` is Don't Fragment in
    the pod's packet, what the envelope says is up to `encap.df`. As Linux does it: ip_forward, ip_do_fragment,
    vxlan_xmit_one, tnl_update_pmtu. Forwarded packets do not heed a path MTU the node has cached (ip_forward_use_pmtu
    is 0), so a second packet fares like the first.
    """
    for which, mtu in {"pod": pod_mtu, "tunnel": tunnel_mtu, "node": node_mtu, "path": path_mtu}.items():
        if mtu is not None or which in ("pod", "node"):
            _mtu(mtu, f"the {which}")
    if not isinstance(size, int) or not 28 <= size <= MAX_PACKET:
        raise CourseError(f"An IP packet with an ICMP header has 28 to {MAX_PACKET} bytes; {given(size)} was given.")
    if path not in ("switch", "router"):
        raise CourseError(f'What has the smallest MTU is a "switch" or a "router"; path={given(path)} was given.')
    if tunnel_mtu is None:
        tunnel_mtu = inner_mtu(node_mtu, encap, outer=outer)
    device = "the node's eth0" if encap.kind == "native" else "the tunnel device"

    if size > pod_mtu and df:
        return Fate(
            "refused by sender", False,
            f"The pod's own kernel refuses: message too long, mtu={pod_mtu}. Nothing is sent.",
            mtu=pod_mtu, sender="the pod",
        )
    sent = fragment(_packet(size, df), pod_mtu)
    kind: Kind = "pod fragments" if len(sent) > 1 else "fits"

    forwarded: list[bytes] = []
    for packet in map(forward, sent):
        if len(packet) > tunnel_mtu and df:
            why = f"{size} bytes do not pass the MTU {tunnel_mtu} of {device}"
            return _too_big(tunnel_mtu, gateway, why, icmp_filtered)
        if len(packet) > tunnel_mtu:
            kind = "inner fragments"
        forwarded += fragment(packet, tunnel_mtu)
    inner = _sizes(forwarded)

    on_wire: list[bytes] = []
    for packet in forwarded:
        whole = _wrapped(packet, encap, outer, False)
        if len(whole) <= node_mtu:
            on_wire.append(whole)
            continue
        extra = len(whole) - len(packet)
        if encap.kind == "ipip" and df:
            why = f"with the envelope {len(whole)} bytes do not pass the node's MTU {node_mtu}"
            return _too_big(node_mtu - extra, gateway, why, icmp_filtered)
        if outer == "ipv6" or _dont_fragment(whole):
            return Fate(
                "dropped silently", False,
                f"The envelope makes {len(whole)} bytes, more than the node's MTU {node_mtu}, and may not be cut: "
                "the node drops it, and no one tells the pod.", inner,
            )
        on_wire += fragment(whole, node_mtu)
        kind = "outer fragments"

    limit = node_mtu if path_mtu is None else path_mtu
    arrived: list[bytes] = []
    for whole in on_wire:
        if len(whole) <= limit:
            arrived.append(whole)
            continue
        if path == "switch":
            return Fate(
                "dropped silently", False,
                f"{len(whole)} bytes leave the node, but a switch port on the way passes {limit}: it drops them, and "
                "no one tells anybody.", inner, _sizes(on_wire),
            )
        if outer == "ipv6" or _dont_fragment(whole):
            reaches = encap.kind == "native" and not icmp_filtered
            told = "the pod hears it" if reaches else "it goes to the node, not to the pod"
            if encap.kind == "ipip" and df:  # ipip_err, then tnl_update_pmtu
                told += f"; from now on the node itself answers the pod, mtu {limit - overhead(encap)}"
            if icmp_filtered:
                told = "it is filtered, and the pod hears nothing"
            return Fate(
                "frag needed", False,
                f"{len(whole)} bytes leave the node and may not be cut; a router passes {limit} and answers with ICMP "
                f"Fragmentation Needed, mtu {limit}: {told}.", inner, _sizes(on_wire), limit, "a router", reaches,
            )
        arrived += fragment(whole, limit)
        kind = "outer fragments" if encap.kind != "native" else "inner fragments"
    return Fate(kind, True, _told(kind, size, inner, _sizes(arrived)), inner, _sizes(arrived))


def _too_big(mtu: int, sender: str, why: str, filtered: bool) -> Fate:
    end = "; it is filtered, and the pod hears nothing." if filtered else "."
    return Fate(
        "frag needed", False,
        f"Don't Fragment is set and {why}: {sender} answers with ICMP Fragmentation Needed, mtu {mtu}{end}",
        mtu=mtu, sender=sender, heard=not filtered,
    )


def _told(kind: Kind, size: int, inner: Sequence[int], outer: Sequence[int]) -> str:
    apart, wire = " + ".join(map(str, inner)), " + ".join(map(str, outer))
    return {
        "fits": f"It fits: {size} bytes inside, {wire} on the underlay.",
        "pod fragments": f"The pod cuts it into {apart} bytes, {wire} on the underlay.",
        "inner fragments": f"The node cuts it into {apart} bytes before the envelope, {wire} on the underlay.",
        "outer fragments": f"The envelope itself is cut: {wire} bytes on the underlay, put together by the other node.",
    }[kind]


def _mtu(mtu: int | None, which: str) -> int:
    if not isinstance(mtu, int) or not MINIMUM <= mtu <= MAX_PACKET:
        limits = f"{MINIMUM} to {MAX_PACKET}"
        raise CourseError(f"The MTU of {which} is a number of bytes, {limits}; {given(mtu)} was given.")
    return mtu


def _ping(data: bytes) -> IP:
    echo = ICMP(type=8, code=0, id=1, seq=1) / Raw(data)
    return IP(version=4, ihl=5, tos=0, id=1, flags=0, frag=0, ttl=64, src="198.51.100.1", dst="203.0.113.1") / echo


def _packet(size: int, df: bool) -> bytes:
    packet = _ping(bytes(size - len(bytes(_ping(b"")))))
    packet.flags = DF >> 13 if df else 0
    return bytes(packet)


def _wrapped(inner: bytes, encap: Encapsulation, outer: Family, inner_vlan: bool) -> bytes:
    if not isinstance(outer, str) or outer not in _NODES:
        raise CourseError(f'The outer family is "ipv4" or "ipv6"; {given(outer)} was given.')
    source, target = _NODES[outer]
    return encapsulate(
        inner, encap, src=source, dst=target, ip_id=1, sport=40000, inner_eth_src=_MAC, inner_eth_dst=_MAC,
        inner_vlan=1 if inner_vlan else None,
    )


def _dont_fragment(packet: bytes) -> bool:
    return bool(int.from_bytes(packet[6:8], "big") & DF)


def _sizes(packets: Sequence[bytes]) -> tuple[int, ...]:
    return tuple(map(len, packets))
