"""Frames that no recording holds: every header, option and oddity that the layout knows, built by scapy."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6MLQuery,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1Q, Dot3, Ether
from scapy.packet import Packet

ONES = "ff" * 16
OPEN = "04 5ba0 005a c0a8010a 4c 024a" + (  # all in one optional parameter, as BIRD packs them
    "0104 0001 00 01" "0104 0002 00 01" "0200" "0600" "4006 4078 0001 01 80" "4104 fa56ea00"
    "4508 0001 01 03 0002 01 01"
    "4600" "0506 0001 0001 0002" "4914 05 6e6f646531 0d 636c75737465722e6c6f63616c" "4700"
)
ATTRIBUTES = (
    "4001 01 00" "4002 10 0202 fa56ea00 0000fde9 0101 0000fdea" "4003 04 c0a8010a" "8004 04 00000064" "4005 04 7ffffbfe"
    "4006 00" "c007 08 0000fde9 c0a80101" "c008 08 fde90064 ffffff01" "8009 04 c0a8010a" "800a 08 c0a80101 c0a80102"
    "c020 0c 0000fde9 00000001 00000002" "d010 0008 0002fde900000064"
)  # fmt: skip
ORIGIN = "4001 01 00"
REACH6 = (
    "800e 37 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00"
    "40 20010db800000001 3d 20010db8000000f0"
)

UNREACH6 = "800f 0c 0002 01 40 20010db800000001"


def bgp(kind: int, body: str) -> bytes:
    """Return a BGP message with the right length."""
    raw = bytes.fromhex(body)
    return bytes.fromhex(ONES) + (19 + len(raw)).to_bytes(2, "big") + bytes([kind]) + raw


def update(withdrawn: str, attributes: str, nlri: str) -> bytes:
    """Return an UPDATE with the right lengths."""
    sizes = [f"{len(bytes.fromhex(part)):04x}" for part in (withdrawn, attributes)]
    return bgp(2, sizes[0] + withdrawn + sizes[1] + attributes + nlri)


def ethernet() -> Packet:
    return Ether(src="02:00:0a:00:00:01", dst="02:00:0a:00:00:02")


def ip4(**fields: object) -> Packet:
    return IP(**{"src": "10.0.0.1", "dst": "10.0.0.2", "id": 7, **fields})


def ip6(**fields: object) -> Packet:
    return IPv6(**{"src": "2001:db8::1", "dst": "2001:db8::2", **fields})


def udp(payload: bytes = b"hi", **fields: object) -> Packet:
    return UDP(**{"sport": 40000, "dport": 9, **fields}) / payload


def tcp(port: int, **fields: object) -> Packet:
    return TCP(**{"sport": port, "dport": 80, "seq": 7, "ack": 8, "window": 501, **fields})


def vxlan(header: str, port: int = 4789) -> Packet:
    return UDP(sport=33000, dport=port) / bytes.fromhex(header)


def _frames() -> dict[str, Packet | bytes]:
    e, link = ethernet, "02:00:00:00:00:01"
    stp = Dot3(src=link, dst="01:80:c2:00:00:00")
    segments = [
        bgp(1, OPEN), bgp(4, "") + update("", ATTRIBUTES, "180af400 1a0a050140") + bgp(4, ""),
        update("", ORIGIN, "00000001 180af400 00000002 180af400"), update("180af402 200af40307", "", ""),
        update("", ORIGIN + REACH6, ""), update("", UNREACH6, ""), update("", "", ""), update("", ORIGIN, "00"),
        update("", "4001 01 00 4002 06 0202 fde9 fdea 4003 04 c0a8010a", "180af400"), bgp(3, "0602 05 72756e2121"),
        bgp(3, "0202 fde9"), bgp(5, "0001 00 01"),
    ]  # fmt: skip
    mpls = bytes.fromhex("2000000000080101000641ff")
    extended = bytes(ICMP(type=11, length=32))[:8] + bytes(ip4() / udp(b"a" * 100)) + mpls
    padded = bytes(e() / ip4() / udp()) + bytes(16)
    return {
        "vlan in vlan": e() / Dot1Q(vlan=5, prio=3) / Dot1Q(vlan=7, dei=1) / ip4() / udp(),
        "service vlan": Ether(src=link, dst=link, type=0x88A8) / Dot1Q(vlan=100, type=0x8100) / Dot1Q(vlan=7) / ip4()
        / udp(),
        "padding": padded,
        "checksum of the frame behind it": bytes(e() / ip4() / udp(b"hi" * 40)) + b"\1\2\3\4",
        "trailer that is not zero": bytes(e() / ip4() / udp()) + b"\1" * 16,
        "padding inside vxlan": e() / ip4() / vxlan("0800000000100000") / padded,
        "padded arp": bytes(e() / ARP(hwsrc=link, psrc="10.0.0.1", pdst="10.0.0.2")) + bytes(18),
        "arp reply": e() / ARP(op=2, hwsrc=link, psrc="10.0.0.1", hwdst=link, pdst="10.0.0.2"),
        "spanning tree": stp / LLC(dsap=0x42, ssap=0x42, ctrl=3) / bytes(35) / bytes(8),
        "snap": stp / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x800) / ip4() / udp(),
        "snap of a vendor": stp / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0xC, code=0x10B) / b"hello you there",
        "record route": e() / ip4(options=[IPOption(b"\x07\x0b\x04" + bytes(8)), IPOption(b"\x01")]) / udp(),
        "router alert": e() / ip4(options=[IPOption(b"\x94\x04\0\0")]) / udp(),
        "source route": e() / ip4(options=[IPOption(b"\x83\x07\x04\x0a\0\0\x09"), IPOption(b"\0")]) / udp(),
        "timestamp option": e() / ip4(options=[IPOption(b"\x44\x0c\x05\0" + bytes(8))]) / udp(),
        "unknown option": e() / ip4(options=[IPOption(b"\x9e\x06abcd"), IPOption(b"\0")]) / udp(),
        "dscp and ecn": e() / ip4(tos=0xBB, flags="evil") / udp(),
        "fragment": e() / ip4(flags="MF", frag=0) / UDP(sport=1, dport=9, len=4000) / (b"a" * 64),
        "second fragment": e() / ip4(frag=9, proto=17) / (b"a" * 64),
        "ipv6": e() / ip6() / udp(),
        "ipv6 extensions": e() / ip6(tc=0x2B, fl=0x12345) / IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])
        / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / udp(),
        "segment routing": e() / ip6() / IPv6ExtHdrRouting(type=4, segleft=0, addresses=["2001:db8::9"]) / udp(),
        "ipv6 fragment": e() / ip6() / IPv6ExtHdrFragment(offset=0, m=1, id=77) / UDP(sport=1, dport=9, len=80)
        / (b"hi" * 8),
        "ipv6 last fragment": e() / ip6() / IPv6ExtHdrFragment(offset=3, m=0, id=78, nh=17) / (b"hi" * 8),
        "echo6": e() / ip6() / ICMPv6EchoRequest(id=4, seq=9, data=b"abcdefgh"),
        "ns": e() / ip6() / ICMPv6ND_NS(tgt="2001:db8::7") / ICMPv6NDOptSrcLLAddr(lladdr=link),
        "na": e() / ip6() / ICMPv6ND_NA(tgt="2001:db8::7", R=1, S=1, O=0) / ICMPv6NDOptDstLLAddr(lladdr=link),
        "rs": e() / ip6() / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=link),
        "ra": e() / ip6() / ICMPv6ND_RA(chlim=64, M=1, routerlifetime=1800) / ICMPv6NDOptMTU(mtu=1450)
        / ICMPv6NDOptPrefixInfo(prefix="2001:db8:1::", prefixlen=64),
        "redirect6": e() / ip6() / ICMPv6ND_Redirect(tgt="2001:db8::7", dst="2001:db8::8"),
        "packet too big": e() / ip6() / ICMPv6PacketTooBig(mtu=1280) / ip6(plen=1400) / UDP(sport=1, dport=9, len=1400)
        / (b"a" * 100),
        "unreachable6": e() / ip6() / ICMPv6DestUnreach(code=4) / ip6() / udp(),
        "time exceeded6": e() / ip6() / ICMPv6TimeExceeded() / ip6() / udp(),
        "parameter problem6": e() / ip6() / ICMPv6ParamProblem(ptr=6) / ip6() / udp(),
        "mld report": e() / ip6() / ICMPv6MLReport2(),
        "mld query": e() / ip6() / ICMPv6MLQuery(mladdr="ff02::1"),
        "syn": e() / ip6() / tcp(4000, flags="S", options=[("MSS", 1440), ("SAckOK", b""), ("Timestamp", (1, 2)),
                                                           ("NOP", None), ("WScale", 7)]),
        "sack": e() / ip4() / tcp(4001, flags="A", options=[("NOP", None), ("NOP", None), ("SAck", (1, 2, 3, 4)),
                                                            ("EOL", None)]),
        "odd tcp options": e() / ip4() / tcp(4002, flags="SECN", options=[
            (34, b"abcdefgh"), (253, b"ab"), (28, b"\x80\x05"), (19, b"m" * 16)]),
        "ipip": e() / ip4() / IP(src="1.1.1.1", dst="2.2.2.2", id=9) / ICMP(id=5, seq=6) / b"abcdefghabcdefgh",
        "ipv6 in ip": e() / ip4() / ip6() / udp(),
        "ip in ipv6": e() / ip6() / ip4() / udp(),
        "gre": e() / ip4() / GRE(proto=0x88B5) / b"whatever",
        "authentication header": e() / ip4(proto=51)
        / bytes.fromhex("11 04 0000 00000001 00000002 000000000000000000000000 0001 0009 0008 0000"),
        "vxlan over ipv6": e() / ip6() / vxlan("0800000000100000") / e() / ip4() / udp(),
        "vxlan with a tag": e() / ip4() / vxlan("0800000000000100", 8472) / e() / Dot1Q(vlan=9) / ip4() / udp(),
        "vxlan group policy": e() / ip4() / vxlan("8848010200100000") / e() / ip4() / udp(),
        "gpe with ip": e() / ip4() / vxlan("0c00000100100000", 4790) / ip4() / udp(),
        "gpe with ethernet": e() / ip4() / vxlan("0c00000300100000", 4790) / e() / ip4() / udp(),
        "redirect": e() / ip4() / ICMP(type=5, code=1, gw="10.0.0.9") / ip4() / udp(),
        "parameter problem": e() / ip4() / ICMP(type=12, ptr=3) / ip4() / udp(),
        "fragmentation needed": e() / ip4() / ICMP(type=3, code=4, nexthopmtu=1450) / ip4() / tcp(4003) / (b"hi" * 300),
        "timestamp request": e() / ip4() / ICMP(type=13, id=1, seq=2, ts_ori=3, ts_rx=4, ts_tx=5),
        "icmp extension": e() / ip4(proto=1) / extended,
        "wrong checksums": e() / ip4(chksum=0x1234) / UDP(sport=1, dport=9, chksum=0x4321) / b"hi",
        "no udp checksum": e() / ip4() / UDP(sport=1, dport=9, chksum=0) / b"hi",
        **{f"bgp {number}": e() / ip4() / tcp(20000 + number, dport=179, flags="PA") / raw
           for number, raw in enumerate(segments)},
    }  # fmt: skip


FRAMES: dict[str, bytes] = {name: bytes(frame) for name, frame in _frames().items()}

_PACKET = bytes(ip4() / udp())
COOKED: dict[str, tuple[int, bytes]] = {  # what other link types put in place of Ethernet
    "raw ipv4": (101, _PACKET),
    "raw ipv6": (101, bytes(ip6() / udp())),
    "any": (113, bytes.fromhex("0004 0001 0006 02000a0000010000 0800") + _PACKET),
    "any, no address": (113, bytes.fromhex("0000 0304 0000 0000000000000000 0800") + _PACKET),
    "any, version 2": (276, bytes.fromhex("0800 0000 00000003 0001 04 06 02000a0000010000") + _PACKET),
    "loopback": (0, bytes.fromhex("02000000") + _PACKET),
}
