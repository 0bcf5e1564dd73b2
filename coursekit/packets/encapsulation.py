"""How a pod's packet is carried between nodes: the bytes that Linux puts around it, and takes off again.

An `Encapsulation` is one set-up of a tunnel device. Given the two values that the kernel draws at random (IP
identification and UDP source port), `encapsulate` returns the kernel's frame, byte for byte; nothing is read
from the machine that runs it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from coursekit.errors import CourseError, Named, expect, given, octets
from coursekit.packets.ip import DF, IP_PACKET, MAX_PACKET, MF, OFFSET, forward, fragment, header_length
from coursekit.packets.offload import udp_checksum

__all__ = [
    "ENCAPSULATIONS", "Encapsulation", "decapsulate", "encapsulate", "encapsulate_frame", "encapsulation", "forward",
    "fragment", "vxlan_source_port",
]

Address = str | IPv4Address | IPv6Address

HOP_LIMIT = 64  # net.ipv4.ip_default_ttl, net.ipv6.conf.*.hop_limit
PORT_RANGE = (32768, 60999)  # net.ipv4.ip_local_port_range, not the 49152-65535 that RFC 7348 §5 recommends
VXLAN_PORTS = (4789, 8472)  # IANA's and Linux's own
VXLAN_FLAGS = 0x08  # the I bit: "the VNI is valid"; every other bit is reserved (RFC 7348 §5)
PROTOCOL_IPIP, PROTOCOL_UDP = 4, 17
UDP_VXLAN = 16  # bytes of both headers


def _within(value: int, low: int, high: int) -> bool:
    return isinstance(value, int) and low <= value <= high


@dataclass(frozen=True)
class Encapsulation:
    """One way to carry a packet between nodes: what `ip -d link` shows of its device. `dataclasses.replace` varies it.

    `ttl` None means `ttl inherit`. `df`: "clear" and "set" are the kernel's `df unset` and `df set` (or `pmtudisc`),
    "inherit" copies the inner packet's bit. `offload`: the outer UDP checksum is left to the NIC, so that a capture
    on the sending node shows its seed.
    """

    name: str
    kind: Literal["vxlan", "ipip", "native"]
    port: int = 0
    vni: int = 0
    udp_checksum: bool = True
    ttl: int | None = None
    df: Literal["clear", "inherit", "set"] = "inherit"
    offload: bool = False
    about: str = ""

    def __post_init__(self) -> None:
        checks = (
            ("kind", self.kind, self.kind in ("vxlan", "ipip", "native"), '"vxlan", "ipip" or "native"'),
            ("df", self.df, self.df in ("clear", "inherit", "set"), '"clear", "inherit" or "set"'),
            ("port", self.port, _within(self.port, 0, 65535), "a UDP port, 0 to 65535"),
            ("vni", self.vni, _within(self.vni, 0, (1 << 24) - 1), "a 24-bit number, 0 to 16777215"),
            ("ttl", self.ttl, self.ttl is None or _within(self.ttl, 1, 255), "1 to 255, or None to inherit"),
        )
        for key, value, fine, expected in checks:
            if not fine:
                raise CourseError(f"The encapsulation {self.name!r} has {key} {given(value)}; expected {expected}.")


ENCAPSULATIONS = Named("encapsulation", {
    item.name: item
    for item in (
        Encapsulation("flannel-vxlan", "vxlan", 8472, 1, True, HOP_LIMIT, "clear",
                      about="flannel.1: Linux's own port 8472, VNI 1"),
        Encapsulation("calico-vxlan", "vxlan", 4789, 4096, True, HOP_LIMIT, "clear",
                      about="vxlan.calico: IANA's port 4789, VNI 4096"),
        Encapsulation("rfc7348", "vxlan", 4789, 1, False, HOP_LIMIT, "clear",
                      about="VXLAN by the book: port 4789, UDP checksum zero (`noudpcsum`)"),
        Encapsulation("calico-ipip", "ipip", ttl=None, df="inherit", about="tunl0: TTL and DF inherited"),
        Encapsulation("ipip-fixed-ttl", "ipip", ttl=64, df="set",
                      about="a point-to-point ipip device with its own TTL: DF always set (`pmtudisc`)"),
        Encapsulation("native", "native", about="no envelope: host-gw, BGP without encapsulation"),
    )
})  # fmt: skip


def encapsulation(name: str) -> Encapsulation:
    """Return the encapsulation of that name; CourseError, listing all, if there is none."""
    return ENCAPSULATIONS[name]


def encapsulate(
    inner: bytes, encap: Encapsulation, *, src: Address, dst: Address, ip_id: int, sport: int | None = None,
    eth_src: str | None = None, eth_dst: str | None = None,
    inner_eth_src: str | None = None, inner_eth_dst: str | None = None, inner_vlan: int | None = None,
) -> bytes:
    """Return the frame that carries the IP packet `inner` from node `src` to node `dst`.

    `inner` is the packet as it is handed to the tunnel device: already forwarded, its TTL decremented. With
    `eth_src` and `eth_dst` the result is an Ethernet frame, without them the bare outer IP packet. VXLAN needs the
    two VTEPs' MACs (`inner_eth_*`), and may carry a VLAN id. `sport` None derives the source port from the flow.
    `ip_id` is ignored over IPv6, which has none. Sources: RFC 7348 §5, RFC 2003 §3.1, Linux vxlan_xmit_one,
    ip_tunnel_xmit. Raises CourseError for what cannot be built.
    """
    expect(encap, Encapsulation, 'An encapsulation is one of ENCAPSULATIONS, such as ENCAPSULATIONS["flannel-vxlan"]')
    inner = octets(inner, IP_PACKET)
    header_length(inner)
    if encap.kind == "native":
        return _framed(Raw(inner), _ethertype(inner), eth_src, eth_dst)
    if encap.kind == "vxlan":
        if inner_eth_src is None or inner_eth_dst is None:
            raise CourseError(
                "VXLAN carries an Ethernet frame: give the two VTEPs' MAC addresses as inner_eth_src and inner_eth_dst."
            )
        inner = _framed(Raw(inner), _ethertype(inner), inner_eth_src, inner_eth_dst, inner_vlan)
    return encapsulate_frame(inner, encap, src=src, dst=dst, ip_id=ip_id, sport=sport, eth_src=eth_src, eth_dst=eth_dst)


def encapsulate_frame(
    inner: bytes, encap: Encapsulation, *, src: Address, dst: Address, ip_id: int, sport: int | None = None,
    eth_src: str | None = None, eth_dst: str | None = None,
) -> bytes:
    """Like `encapsulate`, for what the device really gets: a whole Ethernet frame for VXLAN, an IP packet for IPIP.

    A VXLAN device that is a bridge's port gets frames of any kind (ARP, VLAN-tagged); they are carried unchanged.
    """
    packet = ip_part(inner) if encap.kind == "vxlan" else inner
    source, target = _address(src, "src"), _address(dst, "dst")
    if source.version != target.version:
        raise CourseError(f"The outer addresses must be of one family; given were {source} and {target}.")
    carried = len(inner) + (UDP_VXLAN if encap.kind == "vxlan" else 0)
    size = carried + (20 if source.version == 4 else 0)  # what the outer header's length field says
    if size > MAX_PACKET:
        raise CourseError(f"The outer packet would be {size} bytes long; an IP packet has at most {MAX_PACKET}.")
    if encap.kind == "ipip":
        if source.version == 6 or packet[0] >> 4 == 6:
            raise CourseError("IPIP carries IPv4 in IPv4 only (RFC 2003); use VXLAN where IPv6 is involved.")
        body: Packet = Raw(inner)
        protocol = PROTOCOL_IPIP
    elif encap.kind == "vxlan":
        port = vxlan_source_port(_flow_hash(packet or inner)) if sport is None else sport
        if not _within(port, 0, 65535):
            raise CourseError(f"sport must be a UDP port, 0 to 65535; {given(port)} was given.")
        # flags in full: left to itself, scapy makes 0x0c of it, which is VXLAN-GPE
        vxlan = VXLAN(flags=VXLAN_FLAGS, reserved1=0, vni=encap.vni, reserved2=0) / Raw(inner)
        body = UDP(sport=port, dport=encap.port, len=carried, chksum=0) / vxlan
        protocol = PROTOCOL_UDP
    else:
        raise CourseError("A native packet has no envelope; use encapsulate().")
    if not _within(ip_id, 0, 0xFFFF):
        raise CourseError(f"ip_id is the outer IP identification, 0 to 65535; {given(ip_id)} was given.")
    if protocol == PROTOCOL_UDP and (encap.udp_checksum or encap.offload):
        body.chksum = udp_checksum(bytes(body), packet, source.packed, target.packed, encap.offload)
    ttl = encap.ttl or _inner_ttl(packet) or HOP_LIMIT
    tos = _outer_ecn(packet)
    if source.version == 6:
        outer: Packet = IPv6(
            version=6, tc=tos, fl=0, plen=size, nh=protocol, hlim=ttl, src=str(source), dst=str(target)
        )
        return _framed(outer / body, 0x86DD, eth_src, eth_dst)
    outer = IP(
        version=4, ihl=5, tos=tos, len=size, id=ip_id, flags=2 if _outer_df(packet, encap) else 0, frag=0, ttl=ttl,
        proto=protocol, src=str(source), dst=str(target), options=[],
    )
    return _framed(outer / body, 0x0800, eth_src, eth_dst)


def vxlan_source_port(flow_hash: int, port_range: tuple[int, int] = PORT_RANGE) -> int:
    """Return the UDP source port of a flow from its 32-bit hash (udp_flow_src_port in Linux's include/net/udp.h).

    One flow has one port, so that routers with several paths keep it in order, and the port is the only trace of the
    flow that they see (RFC 7348 §5).
    """
    low, high = port_range
    mixed = (flow_hash ^ flow_hash << 16) & 0xFFFFFFFF
    return (mixed * (high - low) >> 32) + low


def decapsulate(frame: bytes, ports: tuple[int, ...] = VXLAN_PORTS) -> bytes:
    """Return the IP packet inside a VXLAN or IPIP frame (Ethernet, or the bare outer IP packet).

    UDP to any of `ports` is taken for VXLAN. Raises CourseError if there is no envelope, or not the whole of it.
    """
    packet = _outer_packet(octets(frame))
    size = header_length(packet)
    if packet[0] >> 4 == 4:
        if int.from_bytes(packet[6:8], "big") & (MF | OFFSET):
            raise CourseError("This is a fragment of the outer packet: put its fragments together first.")
        protocol, total = packet[9], int.from_bytes(packet[2:4], "big")
    else:
        protocol, total = packet[6], 40 + int.from_bytes(packet[4:6], "big")
    body = packet[size:total]
    if total > len(packet):
        raise CourseError(f"The outer packet is cut short: it says {total} bytes, {len(packet)} are there.")
    if protocol == PROTOCOL_IPIP:
        header_length(body)
        return body
    if protocol == PROTOCOL_UDP and len(body) >= 16 and int.from_bytes(body[2:4], "big") in ports:
        found = ip_part(body[16:])
        if found:
            return found
        raise CourseError("The VXLAN packet carries no IP packet.")
    raise CourseError(
        f"This frame carries no tunnel that is known here: protocol {protocol}, neither IPIP (4) nor UDP to port "
        f"{' or '.join(map(str, ports))}."
    )


def _address(text: Address, which: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise CourseError(f"{which} must be a node's IP address, as 192.168.1.10; {given(text)} was given.") from None


def _mac(text: str, which: str) -> str:
    digits = str(text).replace("-", ":").split(":")
    try:
        if len(digits) == 6 and len(bytes.fromhex("".join(digits))) == 6:
            return ":".join(digits)
    except ValueError:
        pass
    raise CourseError(f"{which} must be a MAC address, such as 02:00:c0:a8:01:0a; {given(text)} was given.")


def _framed(
    packet: Packet, ethertype: int, src: str | None, dst: str | None, vlan: int | None = None
) -> bytes:
    """Return the packet behind an Ethernet header, or bare when there are no MACs."""
    if src is None and dst is None:
        return bytes(packet)
    if src is None or dst is None:
        raise CourseError("An Ethernet frame has two addresses: give both eth_src and eth_dst, or neither.")
    if vlan is not None:
        if not _within(vlan, 0, 4095):
            raise CourseError(f"A VLAN id is a 12-bit number, 0 to 4095; {given(vlan)} was given.")
        packet = Dot1Q(prio=0, dei=0, vlan=vlan, type=ethertype) / packet
        ethertype = 0x8100
    return bytes(Ether(src=_mac(src, "the source"), dst=_mac(dst, "the destination"), type=ethertype) / packet)


def _ethertype(packet: bytes) -> int:
    return 0x0800 if packet[0] >> 4 == 4 else 0x86DD


def ip_part(frame: bytes) -> bytes:
    """Return the IP packet of an Ethernet frame, behind any VLAN tags; b"" if it carries something else."""
    at = 12
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    if frame[at : at + 2] not in (b"\x08\x00", b"\x86\xdd"):
        return b""
    packet = frame[at + 2 :]
    try:
        header_length(packet)
    except CourseError:
        return b""
    return packet


def _outer_packet(frame: bytes) -> bytes:
    """Return the IP packet of an Ethernet frame, or the bytes themselves if they are an IP packet already."""
    behind = ip_part(frame)
    if behind:
        return behind
    header_length(frame)
    return frame


def _inner_ttl(packet: bytes) -> int:
    return 0 if not packet else packet[8] if packet[0] >> 4 == 4 else packet[7]


def _outer_ecn(packet: bytes) -> int:
    """Return the outer TOS: DSCP 0, ECN from inside, CE becoming ECT(0) (INET_ECN_encapsulate; RFC 3168 §9.1.1)."""
    if not packet:
        return 0
    tos = packet[1] if packet[0] >> 4 == 4 else int.from_bytes(packet[:2], "big") >> 4 & 0xFF
    ecn = tos & 3
    return 2 if ecn == 3 else ecn


def _outer_df(packet: bytes, encap: Encapsulation) -> bool:
    if encap.df == "inherit" and packet:
        return packet[0] >> 4 == 6 or bool(int.from_bytes(packet[6:8], "big") & DF)
    return encap.df == "set"


def _flow_hash(packet: bytes) -> int:
    """Return a 32-bit hash of the flow, the same in both directions.

    The kernel's is a keyed one whose key it draws at boot, so that no one can foresee the port; any hash will do here.
    """
    if packet[0] >> 4 == 4:
        ends, protocol, behind = (packet[12:16], packet[16:20]), packet[9], header_length(packet)
        whole = not int.from_bytes(packet[6:8], "big") & (MF | OFFSET)
    else:
        ends, protocol, behind, whole = (packet[8:24], packet[24:40]), packet[6], 40, True
    if whole and protocol in (6, 17):
        ends = (ends[0] + packet[behind : behind + 2], ends[1] + packet[behind + 2 : behind + 4])
    return zlib.crc32(b"".join(sorted(ends)) + bytes([protocol]))
