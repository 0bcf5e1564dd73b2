"""MTU arithmetic and the fate of packets, against what the recordings show."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, ICMPerror

from coursekit.errors import CourseError
from coursekit.packets.capture import load
from coursekit.packets.encapsulation import ENCAPSULATIONS, Encapsulation
from coursekit.packets.matching import inside_packets, match
from coursekit.packets.mtu import Fate, fate, inner_mtu, largest_ping, overhead
from coursekit.paths import data_dir
from tests.seeds import examples

RECORDINGS = data_dir() / "recordings"
ADDRESS = {"podA": "10.244.0.5", "podB": "10.244.1.7"}
VXLAN, IPIP, NATIVE = (ENCAPSULATIONS[name] for name in ("flannel-vxlan", "calico-ipip", "native"))
FIXED = ENCAPSULATIONS["ipip-fixed-ttl"]


@pytest.mark.parametrize(
    ("encap", "options", "expected"),
    [
        (VXLAN, {}, 50), (VXLAN, {"inner_vlan": True}, 54), (VXLAN, {"outer": "ipv6"}, 70),
        (VXLAN, {"outer": "ipv6", "inner_vlan": True}, 74), (IPIP, {}, 20), (FIXED, {}, 20), (NATIVE, {}, 0),
    ],
)
def test_overhead(encap: Encapsulation, options: dict[str, object], expected: int) -> None:
    """The overhead is what the layers add to the IP packet."""
    assert overhead(encap, **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("encap", "largest"), [(VXLAN, 1422), (IPIP, 1452), (NATIVE, 1472)])
def test_boundaries(encap: Encapsulation, largest: int) -> None:
    """`ping -M do -s` fits up to 1422, 1452 and 1472 through an underlay of 1500, and not one byte more."""
    mtu = inner_mtu(1500, encap)
    assert largest_ping(mtu) == largest
    assert fate(largest + 28, True, encap, pod_mtu=mtu).kind == "fits"
    assert fate(largest + 28, True, encap, pod_mtu=mtu).outer == (1500,)
    assert fate(largest + 29, True, encap, pod_mtu=mtu).kind == "refused by sender"
    if encap.kind != "native":
        assert fate(largest + 29, True, encap, pod_mtu=1500).kind == "frag needed"
    assert largest_ping(1500, ip="ipv6") == 1452


# recording, size, df, encapsulation, MTUs on the way; the fate that the recording shows
RECORDED = [
    ("mtu-1450", 1450, True, VXLAN, {"pod_mtu": 1450}, "fits"),
    ("mtu-1450", 1451, True, VXLAN, {"pod_mtu": 1450}, "refused by sender"),
    ("mtu-1450", 1628, False, VXLAN, {"pod_mtu": 1450}, "pod fragments"),
    ("pod-mtu-1500-df", 1500, True, VXLAN, {"pod_mtu": 1500, "gateway": "10.244.0.1"}, "frag needed"),
    ("pod-mtu-1500-nodf", 1500, False, VXLAN, {"pod_mtu": 1500}, "inner fragments"),
    ("vtep-mtu-1500-df", 1500, True, VXLAN, {"pod_mtu": 1500, "tunnel_mtu": 1500}, "outer fragments"),
    ("vtep-mtu-1500-nodf", 1500, False, VXLAN, {"pod_mtu": 1500, "tunnel_mtu": 1500}, "outer fragments"),
    (
        "vtep-mtu-1500-outer-df", 1500, False, replace(VXLAN, df="set"), {"pod_mtu": 1500, "tunnel_mtu": 1500},
        "dropped silently",
    ),
    (
        "node-mtu-1400-later", 1450, True, VXLAN, {"pod_mtu": 1450, "tunnel_mtu": 1450, "node_mtu": 1400},
        "outer fragments",
    ),
    (
        "node-mtu-1400-later", 1450, False, VXLAN, {"pod_mtu": 1450, "tunnel_mtu": 1450, "node_mtu": 1400},
        "outer fragments",
    ),
    (
        "node-mtu-1400-later", 1350, True, VXLAN, {"pod_mtu": 1450, "tunnel_mtu": 1450, "node_mtu": 1400}, "fits",
    ),
    ("underlay-port-mtu-1400", 1450, True, VXLAN, {"pod_mtu": 1450, "path_mtu": 1400}, "dropped silently"),
    ("underlay-port-mtu-1400", 1350, True, VXLAN, {"pod_mtu": 1450, "path_mtu": 1400}, "fits"),
    ("ipip-pod-mtu-1500-df", 1500, True, IPIP, {"pod_mtu": 1500, "gateway": "10.244.0.0"}, "frag needed"),
    ("ipip-pod-mtu-1500-nodf", 1500, False, IPIP, {"pod_mtu": 1500}, "inner fragments"),
]


def seen(recording: str, point: str, bpf: str) -> list[IP]:
    """The IP packets of a capture that pass a filter."""
    return [IP(frame.data[14:]) for frame in load(RECORDINGS / recording / f"{point}.pcap").filter(bpf)]


def pings(recording: str, size: int, df: bool) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    """Return the pings podA sent in that size, by ICMP identifier and number: outer sizes of each of their pieces."""
    frames = load(RECORDINGS / recording / "podA-eth0.pcap").filter(f"src host {ADDRESS['podA']}")
    packets = inside_packets(frames.frames)
    outside = load(RECORDINGS / recording / "node1-eth0.pcap")
    kind = "ipip" if recording.startswith("ipip") else "vxlan"
    outer = {
        item.inside.frame.number: tuple(len(frame.data) - 14 for frame in item.frames if frame)
        for item in match(packets, outside.frames, kind)
    }
    groups: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    total: dict[tuple[int, int], int] = {}
    for item in packets:
        packet = IP(item.packet)
        if packet.proto == 1 and bool(packet.flags.DF) == df:
            ping = (packet[ICMP].id, packet[ICMP].seq) if packet.frag == 0 else ping  # noqa: F821 - pieces follow
            groups.setdefault(ping, []).append(outer.get(item.frame.number, ()))
            total[ping] = total.get(ping, 20) + len(packet) - 20
    return {ping: pieces for ping, pieces in groups.items() if total[ping] == size}


@pytest.mark.parametrize(("recording", "size", "df", "encap", "mtus", "kind"), RECORDED)
def test_fate_is_the_recorded_one(
    recording: str, size: int, df: bool, encap: Encapsulation, mtus: dict[str, object], kind: str
) -> None:
    """What the model says of a packet is what the captures show: sizes on the wire, arrival, who answered what."""
    predicted = fate(size, df, encap, **mtus)  # type: ignore[arg-type]
    sent = pings(recording, size, df)
    assert (predicted.kind, bool(sent)) == (kind, kind != "refused by sender")
    for pieces in sent.values():
        assert sum(pieces, ()) == predicted.outer
    pieces_in = seen(recording, "podB-eth0", f"dst host {ADDRESS['podB']} and (icmp[0] = 8 or icmp[0] = 0)")
    arrived = {(packet[ICMP].id, packet[ICMP].seq) for packet in pieces_in}
    assert {ping: ping in arrived for ping in sent} == dict.fromkeys(sent, predicted.delivered)
    errors = [(p.src, p[ICMP].nexthopmtu, p[ICMPerror].id) for p in seen(recording, "podA-eth0", "icmp[0:2] = 0x0304")]
    told = {(source, mtu) for source, mtu, ping in errors if ping in {number for number, _ in sent}}
    assert told == ({(predicted.sender, predicted.mtu)} if kind == "frag needed" else set())


def test_second_packet_fares_like_the_first() -> None:
    """The node caches a path MTU after the first packet, but forwarded packets do not heed it: both are cut alike."""
    wire = seen("vtep-mtu-1500-df", "node1-eth0", "src host 192.168.1.10 and ip")
    assert [len(packet) for packet in wire] == [1500, 70, 1500, 70]
    assert "mtu 1450" in (RECORDINGS / "vtep-mtu-1500-df" / "ping.txt").read_text()


def test_more_fates() -> None:
    """Cases without a recording: own TTL, IPv6 underlay, routers on the way, a filter."""
    tight = {"pod_mtu": 1500, "tunnel_mtu": 1500}
    assert fate(1500, True, IPIP, **tight).mtu == 1480
    assert fate(1500, False, IPIP, **tight).outer == (1500, 40)
    assert fate(1500, False, FIXED, **tight).kind == "dropped silently"
    assert fate(1500, True, VXLAN, **tight, outer="ipv6").kind == "dropped silently"
    routed = {"pod_mtu": 1450, "path_mtu": 1400, "path": "router"}
    assert fate(1450, True, VXLAN, **routed).outer == (1396, 124)
    told = fate(1450, True, IPIP, **routed)
    assert (told.kind, told.mtu, told.sender, told.heard) == ("frag needed", 1400, "a router", False)
    assert "mtu 1380" in told.sentence
    assert fate(1450, False, IPIP, **routed).outer == (1396, 94)
    heard = [fate(1450, True, NATIVE, **routed, icmp_filtered=filtered) for filtered in (False, True)]
    assert [(item.kind, item.heard) for item in heard] == [("frag needed", True), ("frag needed", False)]
    assert not fate(1500, True, VXLAN, pod_mtu=1500, icmp_filtered=True).heard


@settings(max_examples=examples(150), deadline=None)
@given(
    st.integers(28, 4000), st.booleans(), st.sampled_from([VXLAN, IPIP, FIXED, NATIVE]), st.integers(600, 2000),
    st.integers(600, 2000), st.integers(600, 2000), st.sampled_from(["switch", "router"]),
)
def test_nothing_too_big_ever_passes(
    size: int, df: bool, encap: Encapsulation, pod: int, node: int, path: int, kind: str
) -> None:
    """Whatever the MTUs: what arrives fits every link, carries every byte, and only what fits goes uncut."""
    result: Fate = fate(size, df, encap, pod_mtu=pod, node_mtu=node, path_mtu=path, path=kind)  # type: ignore[arg-type]
    assert result.sentence.endswith(".")
    if result.delivered:
        assert max(result.outer) <= min(node, path)
        assert max(result.inner) <= min(pod, inner_mtu(node, encap))
        assert sum(size - 20 for size in result.inner) == size - 20
        assert (len(result.outer) == 1) == (result.kind == "fits")


@pytest.mark.parametrize(
    "call",
    [
        lambda: inner_mtu(100, VXLAN), lambda: inner_mtu(67, IPIP), lambda: inner_mtu(70_000, IPIP),
        lambda: largest_ping(0), lambda: fate(27, True, VXLAN, pod_mtu=1450),
        lambda: fate(70_000, True, VXLAN, pod_mtu=1450), lambda: fate(100, True, VXLAN, pod_mtu=10),
        lambda: fate(100, True, VXLAN, pod_mtu=1450, path_mtu="big"),  # type: ignore[arg-type]
        lambda: overhead(VXLAN, outer="ipx"),  # type: ignore[arg-type]
    ],
)
def test_impossible_numbers(call: Callable[[], object]) -> None:
    """A size or MTU that cannot be gets a sentence."""
    with pytest.raises(CourseError, match=r"given|leaves"):
        call()
