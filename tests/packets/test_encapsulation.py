"""Envelopes: exactly the kernel's, checked by scapy's own arithmetic and by taking them off again."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from coursekit.errors import CourseError
from coursekit.packets.encapsulation import (
    ENCAPSULATIONS,
    Encapsulation,
    decapsulate,
    encapsulate,
    encapsulate_frame,
    encapsulation,
    vxlan_source_port,
)
from coursekit.packets.offload import finish_checksum, seed, segment
from tests.seeds import examples

PING = bytes(IP(src="10.244.0.5", dst="10.244.1.7", id=7, ttl=63, flags="DF") / ICMP(id=1, seq=1) / Raw(bytes(56)))
NODES = {"src": "192.168.1.10", "dst": "192.168.1.11"}
NODES6 = {"src": "fd00::10", "dst": "fd00::11"}
MACS = {"eth_src": "02:00:c0:a8:01:0a", "eth_dst": "02:00:c0:a8:01:0b"}
VTEPS = {"inner_eth_src": "02:00:0a:f4:00:00", "inner_eth_dst": "02:00:0a:f4:01:00"}
FLANNEL, IPIP = ENCAPSULATIONS["flannel-vxlan"], ENCAPSULATIONS["calico-ipip"]

inner_packets = st.builds(
    lambda six, tos, ttl, df, data, port: bytes(
        (
            IPv6(src="fd01::5", dst="fd02::7", tc=tos, hlim=ttl) if six
            else IP(src="10.244.0.5", dst="10.244.1.7", tos=tos, ttl=ttl, id=port, flags="DF" if df else 0)
        ) / UDP(sport=port, dport=80) / Raw(data)
    ),
    st.booleans(), st.integers(0, 255), st.integers(1, 255), st.booleans(), st.binary(max_size=200),
    st.integers(0, 65535),
)
encapsulations = st.builds(
    lambda base, port, vni, checksum, ttl, df: replace(base, port=port, vni=vni, udp_checksum=checksum, ttl=ttl, df=df),
    st.sampled_from([e for e in ENCAPSULATIONS.values() if e.kind != "native"]), st.sampled_from([4789, 8472]),
    st.integers(0, 2**24 - 1), st.booleans(), st.none() | st.integers(1, 255),
    st.sampled_from(["clear", "inherit", "set"]),
)


@settings(max_examples=examples(200), deadline=None)
@given(inner_packets, encapsulations, st.integers(0, 65535), st.booleans(), st.none() | st.integers(0, 4095))
def test_round_trip_and_checksums(
    inner: bytes, encap: Encapsulation, ip_id: int, six: bool, vlan: int | None
) -> None:
    """What goes in comes out; the length grows by the overhead; every checksum is what scapy computes on its own."""
    if encap.kind == "ipip":
        six = False
        if inner[0] >> 4 == 6:
            return
    nodes = NODES6 if six else NODES
    frame = encapsulate(inner, encap, **nodes, ip_id=ip_id, **MACS, **VTEPS, inner_vlan=vlan)
    assert decapsulate(frame) == decapsulate(frame[14:]) == inner
    extra = {"ipip": 20, "vxlan": (70 if six else 50) + (0 if vlan is None else 4)}[encap.kind]
    assert len(frame) - 14 - len(inner) == extra
    rebuilt = Ether(frame)
    for layer, name in ((IP, "chksum"), (UDP, "chksum"), (IP, "len"), (UDP, "len"), (IPv6, "plen")):
        if rebuilt.getlayer(layer, 1) and not (layer is UDP and name == "chksum" and not encap.udp_checksum):
            setattr(rebuilt.getlayer(layer, 1), name, None)
    assert bytes(rebuilt) == frame


def test_flannel_frame_field_by_field() -> None:
    """The envelope of flannel has the values of the kernel: TTL 64, TOS 0, no DF, 8472, the I bit alone, VNI 1."""
    frame = Ether(encapsulate(PING, FLANNEL, **NODES, ip_id=0x685E, sport=33788, **MACS, **VTEPS))
    outer, udp, vxlan, inner = frame[IP], frame[UDP], frame[VXLAN], frame[VXLAN][Ether]
    assert (len(frame), outer.len, outer.id, outer.tos) == (148, 134, 26718, 0)
    assert (int(outer.flags), outer.ttl, outer.proto) == (0, 64, 17)
    assert (udp.sport, udp.dport, udp.len, udp.chksum != 0) == (33788, 8472, 114, True)
    assert bytes(vxlan)[:8].hex() == "0800000000000100"
    assert (inner.src, inner.dst, bytes(inner)[14:] == PING) == ("02:00:0a:f4:00:00", "02:00:0a:f4:01:00", True)


@pytest.mark.parametrize(
    ("name", "port", "vni", "checksum"),
    [("flannel-vxlan", 8472, 1, True), ("calico-vxlan", 4789, 4096, True), ("rfc7348", 4789, 1, False)],
)
def test_vxlan_profiles(name: str, port: int, vni: int, checksum: bool) -> None:
    """Each VXLAN profile has its port, its network identifier and its checksum policy."""
    frame = Ether(encapsulate(PING, encapsulation(name), **NODES, ip_id=1, **MACS, **VTEPS))
    assert (frame[UDP].dport, frame[VXLAN].vni, bool(frame[UDP].chksum)) == (port, vni, checksum)


@pytest.mark.parametrize("df", [True, False])
def test_ipip_inherits_or_not(df: bool) -> None:
    """tunl0 inherits TTL and DF; a device with its own TTL sets DF always."""
    inner = IP(PING)
    inner.flags, inner.ttl = 2 if df else 0, 17
    del inner.chksum
    names = ("calico-ipip", "ipip-fixed-ttl")
    built = [IP(encapsulate(bytes(inner), encapsulation(name), **NODES, ip_id=9)) for name in names]
    assert [(item.ttl, item.flags.DF, item.proto, item.tos) for item in built] == [(17, df, 4, 0), (64, True, 4, 0)]


@pytest.mark.parametrize(("inner_tos", "outer_tos"), [(0x28, 0), (0x29, 1), (0x02, 2), (0xFF, 2), (0x03, 2)])
def test_outer_tos_carries_ecn_only(inner_tos: int, outer_tos: int) -> None:
    """DSCP stays inside; ECN is copied, Congestion Experienced as ECT(0)."""
    inner = bytes(IP(src="10.244.0.5", dst="10.244.1.7", tos=inner_tos, ttl=63) / ICMP())
    six = bytes(IPv6(src="fd01::1", dst="fd02::1", tc=inner_tos) / Raw(b"x"))
    assert IP(encapsulate(inner, IPIP, **NODES, ip_id=1)).tos == outer_tos
    assert IP(encapsulate(inner, FLANNEL, **NODES, ip_id=1, **VTEPS)).tos == outer_tos
    assert IPv6(encapsulate(six, FLANNEL, **NODES6, ip_id=1, **VTEPS)).tc == outer_tos


def test_vxlan_df_policies() -> None:
    """`df unset`, `df inherit` and `df set` do what ip-link(8) says, and IPv6 inside counts as Don't Fragment."""
    free = bytes(IP(src="10.244.0.5", dst="10.244.1.7", ttl=63))
    six = bytes(IPv6(src="fd01::1", dst="fd02::1"))

    def outer_df(inner: bytes, df: str) -> bool:
        encap = replace(FLANNEL, df=df)  # type: ignore[arg-type]
        return bool(IP(encapsulate(inner, encap, **NODES, ip_id=1, **VTEPS)).flags.DF)

    flags = [[outer_df(inner, df) for inner in (PING, free, six)] for df in ("clear", "inherit", "set")]
    assert flags == [[False] * 3, [True, False, True], [True] * 3]


def test_ipv6_underlay_and_vlan() -> None:
    """Over IPv6: hop limit 64, no flow label, 70 bytes more; an inner VLAN tag makes it four more."""
    plain = encapsulate(PING, FLANNEL, **NODES6, ip_id=1, **VTEPS)
    tagged = encapsulate(PING, FLANNEL, **NODES6, ip_id=1, **VTEPS, inner_vlan=42)
    outer = IPv6(plain)
    assert (outer.hlim, outer.fl, outer.tc, outer.nh, len(plain) - 84, len(tagged) - 84) == (64, 0, 0, 17, 70, 74)
    assert IPv6(tagged)[Dot1Q].vlan == 42


def test_whole_frames() -> None:
    """A VXLAN device on a bridge carries any frame unchanged, ARP too; its TTL and TOS then are the defaults."""
    arp = bytes(Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff", type=0x0806)) + bytes(28)
    outer = IP(encapsulate_frame(arp, replace(FLANNEL, ttl=None, df="inherit"), **NODES, ip_id=1))
    assert (outer.ttl, outer.tos, int(outer.flags), bytes(outer)[36:] == arp) == (64, 0, 0, True)
    with pytest.raises(CourseError, match="carries no IP packet"):
        decapsulate(bytes(outer))


@given(st.integers(0, 2**32 - 1))
def test_source_port_range(flow_hash: int) -> None:
    """Every flow's source port lies in net.ipv4.ip_local_port_range."""
    assert 32768 <= vxlan_source_port(flow_hash) <= 60999


def test_source_port_spreads_and_stays() -> None:
    """One flow keeps its port, in both directions; many flows get many; the ends of the range are reached."""
    def port(source: int, back: bool = False) -> int:
        ends = {"src": "10.244.1.7", "dst": "10.244.0.5"} if back else {"src": "10.244.0.5", "dst": "10.244.1.7"}
        udp = UDP(sport=80, dport=source) if back else UDP(sport=source, dport=80)
        return int(IP(encapsulate(bytes(IP(**ends) / udp), FLANNEL, **NODES, ip_id=1, **VTEPS))[UDP].sport)

    assert port(1000) == port(1000) == port(1000, back=True)
    assert len({port(number) for number in range(1000, 1064)}) > 60
    assert (vxlan_source_port(0), vxlan_source_port(0xFFFF0000)) == (32768, 60998)


def test_checksum_left_to_the_card() -> None:
    """With offload the outer checksum is the seed; over an inner checksum left to the card it is the finished one."""
    offload = replace(FLANNEL, offload=True)
    built = IP(encapsulate(PING, offload, **NODES, ip_id=1, **VTEPS))
    ends = bytes([192, 168, 1, 10]), bytes([192, 168, 1, 11])
    assert built[UDP].chksum == seed(*ends, 17, built[UDP].len)
    done = bytes(IP(src="10.244.0.5", dst="10.244.1.7", ttl=63) / TCP(sport=1, dport=2) / Raw(b"data"))
    half = done[:36] + seed(done[12:16], done[16:20], 6, len(done) - 20).to_bytes(2, "big") + done[38:]
    assert finish_checksum(half) == done
    one, other = (
        IP(encapsulate(packet, encap, **NODES, ip_id=1, sport=40000, **VTEPS))[UDP].chksum
        for packet, encap in ((half, offload), (done, FLANNEL))
    )
    assert one == other


def test_udp_checksum_of_zero_is_written_as_ffff() -> None:
    """Where the sum comes to zero, 0xffff stands, for zero means "not computed" (RFC 768)."""
    def checksum(filling: int) -> int:
        inner = bytes(IP(src="10.244.0.5", dst="10.244.1.7", proto=253, id=1) / Raw(filling.to_bytes(2, "big")))
        return int(IP(encapsulate(inner, FLANNEL, **NODES, ip_id=1, sport=40000, **VTEPS))[UDP].chksum)

    assert checksum(checksum(0)) == 0xFFFF


def test_super_segment() -> None:
    """A super-segment becomes segments whose data adds up, numbered on, PSH and FIN at the end, checksums complete."""
    tcp = TCP(seq=2**32 - 1000, flags="FPAC") / Raw(bytes(range(250)) * 12)
    parts = [IP(part) for part in segment(bytes(IP(src="10.244.0.5", dst="10.244.1.7", id=65535) / tcp), 1398)]
    assert [len(part[TCP].payload) for part in parts] == [1398, 1398, 204]
    assert [part.id for part in parts] == [65535, 0, 1]
    assert [part[TCP].seq for part in parts] == [2**32 - 1000, 398, 1796]
    assert [str(part[TCP].flags) for part in parts] == ["AC", "A", "FPA"]
    assert b"".join(bytes(part[TCP].payload) for part in parts) == bytes(range(250)) * 12
    for part in parts:
        fresh = part.copy()
        del fresh.chksum, fresh[TCP].chksum
        assert bytes(fresh) == bytes(part)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"src": "nonsense"}, "src must be a node's IP address"), ({"src": "fd00::1"}, "one family"),
        ({"ip_id": 65536}, "0 to 65535"), ({"ip_id": None}, "0 to 65535"), ({"sport": -1}, "sport must be a UDP port"),
        ({"eth_src": None}, "two addresses"), ({"eth_src": "02:00"}, "MAC"), ({"eth_src": "zz:00:00:00:00:00"}, "MAC"),
        ({"inner_eth_src": None}, "two VTEPs"), ({"inner_vlan": 4096}, "VLAN id"),
    ],
)
def test_what_cannot_be_built(change: dict[str, object], words: str) -> None:
    """A wrong address, number or MAC gets a sentence."""
    given_ = {**NODES, "ip_id": 1, **MACS, **VTEPS, **change}
    with pytest.raises(CourseError, match=words):
        encapsulate(PING, FLANNEL, **given_)


def test_more_that_cannot_be_built() -> None:
    """IPv6 in IPIP, too much for one packet, no packet at all, and unknown names get a sentence."""
    six = bytes(IPv6(src="fd01::1", dst="fd02::1"))
    with pytest.raises(CourseError, match="IPv4 in IPv4 only"):
        encapsulate(six, IPIP, **NODES, ip_id=1)
    with pytest.raises(CourseError, match="at most 65535"):
        encapsulate(PING + bytes(65500), FLANNEL, **NODES, ip_id=1, **VTEPS)
    with pytest.raises(CourseError, match="An IP packet was expected"):
        encapsulate(b"", IPIP, **NODES, ip_id=1)
    with pytest.raises(CourseError, match="choose one of flannel-vxlan"):
        encapsulation("flanel")
    for wrong in ({"vni": 2**24}, {"port": 70000}, {"ttl": 0}, {"df": "maybe"}, {"kind": "gre"}):
        with pytest.raises(CourseError, match=f"has {next(iter(wrong))}"):
            replace(FLANNEL, **wrong)  # type: ignore[arg-type]


@settings(max_examples=examples(300))
@given(st.binary(max_size=200))
def test_decapsulate_never_breaks(junk: bytes) -> None:
    """Any bytes give an inner packet or a sentence."""
    frame = encapsulate(PING, FLANNEL, **NODES, ip_id=1, **MACS, **VTEPS)
    for data in (junk, frame[: len(junk)], frame[:14] + junk, frame[:34] + junk, frame[:50] + junk):
        with contextlib.suppress(CourseError):
            assert decapsulate(data)[0] >> 4 in (4, 6)


def test_native_has_no_envelope() -> None:
    """Native: the packet as it is, behind the Ethernet header of the node's link."""
    assert encapsulate(PING, ENCAPSULATIONS["native"], **NODES, ip_id=1) == PING
    assert encapsulate(PING, ENCAPSULATIONS["native"], **NODES, ip_id=1, **MACS)[14:] == PING
