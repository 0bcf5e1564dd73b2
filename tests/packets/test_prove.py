"""`prove`: right captures are proved, and whatever is changed in one is named."""

import json
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from coursekit.__main__ import main
from coursekit.errors import CourseError
from coursekit.packets.capture import Capture, Frame, load
from coursekit.packets.encapsulation import (
    ENCAPSULATIONS,
    Encapsulation,
    encapsulate,
    encapsulate_frame,
    forward,
    fragment,
)
from coursekit.packets.layout import dissect
from coursekit.packets.learning import _elect, entering
from coursekit.packets.matching import inside_packets, match
from coursekit.packets.offload import segment
from coursekit.packets.prove import Proof, prove
from coursekit.paths import data_dir

RECORDINGS = data_dir() / "recordings"
VXLAN, CALICO, IPIP, FIXED, NATIVE = (
    ENCAPSULATIONS[name] for name in ("flannel-vxlan", "calico-vxlan", "calico-ipip", "ipip-fixed-ttl", "native")
)


def recorded(recording: str, inside: str, outside: str) -> tuple[Capture, Capture]:
    return load(RECORDINGS / recording / f"{inside}.pcap"), load(RECORDINGS / recording / f"{outside}.pcap")


def made(*frames: bytes, dlt: int = 1, start: int = 0) -> Capture:
    """A capture of these frames, a millisecond apart."""
    numbered = (
        Frame(data, number, (start + number) * 1_000_000, dlt, len(data)) for number, data in enumerate(frames, 1)
    )
    return Capture(Path("made.pcap"), tuple(numbered), "")


def changed(capture: Capture, number: int, data: bytes) -> Capture:
    """The capture with other bytes in one frame."""
    return replace(capture, frames=tuple(replace(f, data=data) if f.number == number else f for f in capture.frames))


def field_at(frame: bytes, bit: int) -> str:
    return next(f.key for f in dissect(frame).fields() if f.bit_offset <= bit < f.bit_offset + f.width)


TAMPERED = [
    ("flannel-vxlan", "podA-eth0", "node1-eth0", VXLAN, 2),
    ("flannel-vxlan", "node1-flannel.1", "node2-eth0", VXLAN, 3),
    ("calico-ipip", "podA-eth0", "node1-eth0", IPIP, 2), ("calico-ipip", "node1-tunl0", "router-sw1", IPIP, 5),
    ("vtep-mtu-1500-df", "podA-eth0", "node1-eth0", VXLAN, 0),
    ("vtep-mtu-1500-df", "podA-eth0", "node1-eth0", VXLAN, 1),
    ("pod-mtu-1500-nodf", "podA-eth0", "node1-eth0", VXLAN, 1), ("offload-on", "podA-eth0", "node1-eth0", VXLAN, 2),
    ("ipip-fixed-ttl", "podA-eth0", "node1-eth0", FIXED, 1), ("static-routes", "podA-eth0", "node1-eth0", NATIVE, 1),
]


@pytest.mark.parametrize(("recording", "inside", "outside", "encap", "nth"), TAMPERED)
def test_every_changed_byte_is_named(
    recording: str, inside: str, outside: str, encap: Encapsulation, nth: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Flip bits in any byte of one outside frame: it is still matched, and its field is named, and nothing else."""
    one, other = recorded(recording, inside, outside)
    assert prove(one, other, encap).proved
    matches = entering(match(inside_packets(one.frames), other.frames, encap.kind), None, 1)
    target = [frame for item in matches for frame in item.frames if frame][nth]
    draw = random.Random(recording)
    places = [*range(min(len(target.data), 100)), *range(100, len(target.data), 97)]
    named = 0
    for place in places:
        mask = draw.choice((0xFF, 0x01, 0x80, draw.randrange(1, 256)))
        broken = bytearray(target.data)
        broken[place] ^= mask
        done = prove(one, changed(other, target.number, bytes(broken)), encap)
        key = field_at(target.data, 8 * place + next(bit for bit in range(8) if mask >> 7 - bit & 1))
        if encap.kind != "native" and place in (18, 19):  # outer identification: taken from the frame
            if recording.startswith("vtep"):
                continue  # and from the first fragment for all
            key = "ip.checksum"
        if encap.kind == "vxlan" and place in (34, 35) and key == "udp.srcport":  # so is the source port
            key = "udp.checksum"
        assert [(item.outside_frame, item.field) for item in done.different] == [(target.number, key)], (place, mask)
        assert not done.proved
        named += 1
    print(f"{recording} {inside}: {named} changes named")
    record_property("changes_named", named)


def test_changes_with_checksums_made_good() -> None:
    """A field changed by someone who recomputes checksums is still the one that is named."""
    one, other = recorded("flannel-vxlan", "podA-eth0", "node1-eth0")

    def vni(frame: Ether) -> None:
        frame["VXLAN"].vni = 99

    def inner_ttl(frame: Ether) -> None:
        frame["VXLAN"][IP].ttl = 64

    def payload(frame: Ether) -> None:
        frame["VXLAN"][Raw].load = b"\0" * 56

    def outer_ttl(frame: Ether) -> None:
        frame[IP].ttl = 63

    def dont_fragment(frame: Ether) -> None:
        frame[IP].flags = 2

    for change, key in (
        (vni, "vxlan.vni"), (inner_ttl, "ip.ttl"), (payload, "data.data"), (outer_ttl, "ip.ttl"),
        (dont_fragment, "ip.flags.df"),
    ):
        frame = Ether(other[5].data)
        change(frame)
        inner = frame["VXLAN"][IP]
        for header in (frame[IP], frame[UDP], inner, inner[ICMP]):
            header.chksum = None
        (wrong,) = prove(one, changed(other, 5, bytes(frame)), VXLAN).different
        assert wrong.field == key


def test_a_damaged_frame_does_not_decide_for_the_others() -> None:
    """With something wrong in the first frame, that frame is named, and not the others."""
    one, other = recorded("flannel-vxlan", "podA-eth0", "node1-eth0")
    first = other[3].data
    places = {0: "eth.dst", 29: "ip.src", 33: "ip.dst", 37: "udp.dstport", 48: "vxlan.vni", 50: "eth.dst"}
    for place, key in places.items():
        broken = bytearray(first)
        broken[place] ^= 0x10
        done = prove(one, changed(other, 3, bytes(broken)), VXLAN)
        assert [(item.outside_frame, item.field) for item in done.different] == [(3, key)]


def test_a_lone_frame_to_another_pod_of_a_known_node() -> None:
    """One frame to a pod that no other frame goes to: its node's other frames tell what its envelope should be."""
    pods = ["10.9.2.7"] * 4 + ["10.9.2.8"]
    packets = [packet(pod, number) for number, pod in enumerate(pods)]
    frames = [onto_wire(forward(data), "10.9.2.", number, VXLAN) for number, data in enumerate(packets)]
    for place, key in ((1, "eth.dst"), (28, "ip.src"), (32, "ip.dst"), (51, "eth.dst"), (58, "eth.src")):
        broken = bytearray(frames[4])
        broken[place] ^= 0x10
        (wrong,) = prove(made(*map(at_pod, packets)), made(*frames[:4], bytes(broken)), VXLAN).different
        assert (wrong.outside_frame, wrong.field) == (5, key)


def test_votes() -> None:
    """Most frames decide; where they are at odds, the other direction does, or else the first; never against most."""
    assert _elect(["b", "a", "a"], ["b", "b", "b"]) == "a"
    assert [_elect(["b", "a"], back) for back in (["a"], ["b"], ["c"], [])] == ["a", "b", "b", "b"]


@pytest.mark.parametrize(
    ("recording", "profile", "words"),
    [
        ("flannel-vxlan", "calico-ipip", "hold the inside packets in VXLAN, not in IPIP"),
        ("flannel-vxlan", "native", "in VXLAN, not as they are"), ("calico-ipip", "native", "in IPIP, not as they are"),
        ("calico-ipip", "flannel-vxlan", "in IPIP, not in VXLAN"),
        ("static-routes", "calico-ipip", "as they are, not in IPIP"),
        ("calico-ipip", "ipip-fixed-ttl", "--hops"), ("ipip-fixed-ttl", "calico-ipip", "--hops"),
        ("missing-fdb", "flannel-vxlan", "No outside frame carries"),
    ],
)
def test_wrong_profile(recording: str, profile: str, words: str) -> None:
    """The profile of another set-up proves nothing, and a sentence says what the frames are instead."""
    done = prove(*recorded(recording, "podA-eth0", "node1-eth0"), ENCAPSULATIONS[profile])
    assert not done.proved
    assert done.identical == 0
    assert words in " ".join(done.notes)


@pytest.mark.parametrize(
    ("recording", "profile"),
    [("flannel-vxlan", "calico-vxlan"), ("calico-vxlan", "flannel-vxlan"), ("flannel-vxlan", "rfc7348")],
)
def test_port_and_vni_are_open(recording: str, profile: str) -> None:
    """Port and VNI are read from the capture; a note says whose they are, and demanding one's own refutes."""
    captures, encap = recorded(recording, "podA-eth0", "node1-eth0"), ENCAPSULATIONS[profile]
    done = prove(*captures, encap)
    assert done.proved
    assert f"as {recording} has them" in done.notes[0]
    assert not prove(*captures, encap, port=encap.port, vni=encap.vni).proved


@pytest.mark.parametrize(
    ("demand", "field"),
    [
        ({"vni": 2}, "vxlan.vni"), ({"port": 4789}, "udp.dstport"), ({"src": "192.168.1.99"}, "ip.src"),
        ({"dst": "192.168.1.99"}, "ip.dst"), ({"ttl": 63}, "ip.ttl"), ({"df": "set"}, "ip.flags.df"),
        ({"udp_checksum": False}, "udp.checksum"),
    ],
)
def test_what_is_demanded_is_not_learned(demand: dict[str, object], field: str) -> None:
    """A value that was given is compared with, not read from the capture."""
    done = prove(*recorded("flannel-vxlan", "podA-eth0", "node1-eth0"), VXLAN, **demand)  # type: ignore[arg-type]
    named = {item.field for item in done.different}
    assert (done.identical, named - {"ip.checksum"}) == (0, {field})


def test_bad_demands() -> None:
    """An address, number or word that cannot be gets a sentence."""
    pair = recorded("flannel-vxlan", "podA-eth0", "node1-eth0")
    for demand in ({"src": "node1"}, {"hops": -1}, {"vni": -1}, {"port": 1 << 16}, {"ttl": 256}, {"df": "perhaps"}):
        with pytest.raises(CourseError, match=r"expected|given"):
            prove(*pair, VXLAN, **demand)  # type: ignore[arg-type]


# --- networks that nobody recorded ------------------------------------------------------------------------------------

POD, GATEWAY = "0a:00:00:00:00:01", "0a:00:00:00:00:02"
LOCAL = {"src": "172.16.5.1", "eth_src": "52:54:00:00:00:01", "inner_eth_src": "e6:00:00:00:00:01"}
REMOTES = {
    "10.9.2.": {"dst": "172.16.5.2", "eth_dst": "52:54:00:00:00:02", "inner_eth_dst": "e6:00:00:00:00:02"},
    "10.9.3.": {"dst": "172.16.7.3", "eth_dst": "52:54:00:00:00:99", "inner_eth_dst": "e6:00:00:00:00:03"},
    "10.9.4.": {"dst": "172.16.7.4", "eth_dst": "52:54:00:00:00:99", "inner_eth_dst": "e6:00:00:00:00:04"},
}


def packet(dst: str, number: int, size: int = 40, src: str = "10.9.1.5", ttl: int = 64) -> bytes:
    head = IP(src=src, dst=dst, id=1000 + number, ttl=ttl)
    return bytes(head / UDP(sport=5000, dport=53) / Raw(bytes((number * 7 + n) % 256 for n in range(size))))


def onto_wire(inner: bytes, remote: str, number: int, encap: Encapsulation, **more: object) -> bytes:
    where = {**LOCAL, **REMOTES[remote], **more}
    return encapsulate(inner, encap, ip_id=40000 + number, sport=45000 + number, **where)  # type: ignore[arg-type]


def at_pod(data: bytes) -> bytes:
    return bytes(Ether(src=POD, dst=GATEWAY, type=0x86DD if data[0] >> 4 == 6 else 0x0800)) + data


@pytest.mark.parametrize(
    "encap", [replace(VXLAN, port=14789, vni=0xABCDEF), replace(CALICO, udp_checksum=False), IPIP, FIXED, NATIVE],
)
def test_several_nodes_both_directions_other_traffic(encap: Encapsulation) -> None:
    """Three remote nodes, two behind one router, answers, another pod's traffic, ARP, junk: only ours is compared."""
    inside = [bytes(Ether(src=POD, dst=GATEWAY, type=0x0806) / ARP(psrc="10.9.1.5", hwsrc=POD))]
    outside = [b"", b"junk"]
    for number in range(12):
        remote = list(REMOTES)[number % 3]
        data = packet(remote + "7", number)
        inside.append(at_pod(data))
        outside.append(onto_wire(forward(data), remote, number, encap))
        stranger = packet(remote + "8", 500 + number, src="10.9.1.6", ttl=63)
        outside.append(onto_wire(stranger, remote, 500 + number, encap))
        back = packet("10.9.1.5", 900 + number, src=remote + "7", ttl=63)
        swapped = {"src": REMOTES[remote]["dst"], "dst": LOCAL["src"]}
        if encap.kind != "native":
            outside.append(onto_wire(back, remote, 900 + number, encap, **swapped))
        inside.append(at_pod(forward(back)))
    done = prove(made(*inside), made(*outside), encap)
    assert (done.compared, done.identical, done.not_seen_outside, done.outside_unmatched) == (12, 12, 0, 12)
    assert len(done.learned["remotes"]) == (3 if encap.kind != "native" else 2)


def test_ipv6_underlay_inner_tags_and_ipv6_pods() -> None:
    """VXLAN over IPv6, with an inner VLAN tag, carrying IPv6: rebuilt like the rest."""
    head = IPv6(src="fd01::5", dst="fd02::7", hlim=64)
    six = [bytes(head / UDP(sport=1, dport=number) / Raw(b"data")) for number in (1, 2, 3)]
    nodes = {"src": "fd00::1", "dst": "fd00::2"}
    for vlan in (None, 7):
        frames = [onto_wire(forward(p), "10.9.2.", n, VXLAN, **nodes, inner_vlan=vlan) for n, p in enumerate(six)]
        done = prove(made(*map(at_pod, six)), made(*frames), VXLAN)
        assert (done.compared, done.identical) == (3, 3)
        assert done.learned["remotes"]["fd00::2"].get("inner_vlan") == vlan
        broken = frames[1][:21] + b"\x3f" + frames[1][22:]
        (wrong,) = prove(made(*map(at_pod, six)), made(frames[0], broken, frames[2]), VXLAN).different
        assert (wrong.field, wrong.expected, wrong.found) == ("ipv6.hlim", "64", "63")


def test_tunnels_of_both_families() -> None:
    """A node with one tunnel over IPv4 and one over IPv6, as flannel has on a dual-stack cluster: both are rebuilt."""
    four = [packet("10.9.2.7", number) for number in range(3)]
    head = IPv6(src="fd01::5", dst="fd02::7", hlim=64)
    six = [bytes(head / UDP(sport=1, dport=number) / Raw(b"data")) for number in range(3)]
    nodes = {"src": "fd00::1", "dst": "fd00::2", "inner_eth_dst": "e6:00:00:00:00:66"}
    frames = [onto_wire(forward(data), "10.9.2.", n, VXLAN) for n, data in enumerate(four)]
    frames += [onto_wire(forward(data), "10.9.2.", n, VXLAN, **nodes) for n, data in enumerate(six)]
    done = prove(made(*map(at_pod, four + six)), made(*frames), VXLAN)
    assert (done.identical, set(done.learned["remotes"])) == (6, {"172.16.5.2", "fd00::2"})
    assert prove(made(*map(at_pod, six)), made(*frames), IPIP).compared == 0


def test_bridged_frames_keep_their_ethernet_header() -> None:
    """A VXLAN device on a bridge: no router, so TTL, MACs and VLAN tag are those of the inside frame."""
    inside = [
        bytes(Ether(src=POD, dst="0a:00:00:00:00:07") / Dot1Q(vlan=5, prio=3)) + packet("10.9.2.7", n) for n in range(3)
    ]
    inside = [frame[:16] + b"\x08\x00" + frame[18:] for frame in inside]
    outer = {"src": "172.16.5.1", "dst": "172.16.5.2", "eth_src": LOCAL["eth_src"], "eth_dst": "52:54:00:00:00:02"}
    frames = [encapsulate_frame(f, VXLAN, ip_id=n, sport=40000 + n, **outer) for n, f in enumerate(inside)]  # type: ignore[arg-type]
    done = prove(made(*inside), made(*frames, start=1), VXLAN)
    assert (done.compared, done.identical) == (3, 3)
    broken = frames[1][:64] + b"\x12" + frames[1][65:]
    (wrong,) = prove(made(*inside), made(frames[0], broken, frames[2], start=1), VXLAN).different
    assert wrong.field.startswith("vlan.")


def test_forgotten_forwarding_is_found() -> None:
    """An envelope around a packet whose TTL nobody lowered is no match for a pod's frame on the wire."""
    packets = [packet("10.9.2.7", number) for number in range(3)]
    frames = [onto_wire(data, "10.9.2.", number, VXLAN) for number, data in enumerate(packets)]
    done = prove(made(*map(at_pod, packets)), made(*frames, start=1), VXLAN)
    assert [(item.field, item.expected, item.found) for item in done.different] == [("ip.ttl", "63", "64")] * 3


def test_retransmissions_match_one_to_one() -> None:
    """Equal packets are matched in order, and one that never came out is only missed."""
    same = [packet("10.9.2.7", 1)] * 4
    frames = [onto_wire(forward(same[0]), "10.9.2.", number, VXLAN) for number in range(3)]
    done = prove(made(*map(at_pod, same)), made(*frames), VXLAN)
    assert (done.compared, done.identical, done.not_seen_outside, done.outside_unmatched) == (3, 3, 1, 0)
    done = prove(made(*map(at_pod, same[:2])), made(*frames), VXLAN)
    assert (done.compared, done.identical, done.not_seen_outside, done.outside_unmatched) == (2, 2, 0, 1)


def test_pieces() -> None:
    """Inner fragments, outer fragments and cut super-segments of one flow are put down to their packets."""
    big = [packet("10.9.2.7", number, 1432) for number in range(4)]
    inner = [
        onto_wire(piece, "10.9.2.", 10 * number, VXLAN)
        for number, data in enumerate(big) for piece in fragment(forward(data), 1450)
    ]
    assert prove(made(*map(at_pod, big)), made(*inner), VXLAN).identical == 8
    head = bytes(Ether(src=LOCAL["eth_src"], dst=REMOTES["10.9.2."]["eth_dst"], type=0x0800))
    outer = [
        head + piece
        for number, data in enumerate(big)
        for piece in fragment(onto_wire(forward(data), "10.9.2.", number, VXLAN)[14:], 1500)
    ]
    assert prove(made(*map(at_pod, big)), made(*outer), VXLAN).identical == 8
    both = [
        head + piece
        for number, data in enumerate(big) for part, inner in enumerate(fragment(forward(data), 1450))
        for piece in fragment(onto_wire(inner, "10.9.2.", 10 * number + part, VXLAN)[14:], 1400)
    ]
    done = prove(made(*map(at_pod, big)), made(*both), VXLAN)
    assert (len(both), done.identical, done.outside_unmatched) == (12, 12, 0)
    data = Raw(bytes(range(200)) * 30)
    tcp = bytes(IP(src="10.9.1.5", dst="10.9.2.7", id=9) / TCP(sport=80, dport=5, flags="PA") / data)
    cut = [onto_wire(part, "10.9.2.", n, VXLAN) for n, part in enumerate(segment(forward(tcp), 1398))]
    assert prove(made(at_pod(tcp)), made(*cut), VXLAN).identical == 5


def test_cut_and_foreign_frames() -> None:
    """Frames of which only the beginning was kept are left out and said so; a capture without IP says so too."""
    one, other = recorded("flannel-vxlan", "podA-eth0", "node1-eth0")
    short = replace(other, frames=tuple(replace(f, data=f.data[:96]) for f in other.frames))
    assert "left out" in " ".join(prove(one, short, VXLAN).notes)
    assert "holds no whole IP packet" in prove(one.filter("arp"), other, VXLAN).notes[0]
    leaving = prove(one.filter("dst host 10.244.0.5"), other, VXLAN)
    assert (leaving.proved, leaving.compared) == (False, 0)
    assert "leave the tunnel" in leaving.notes[0]


def test_clocks_that_differ() -> None:
    """At the device, one direction only, the inside clock ahead: the note names the option that proves it."""
    one, other = recorded("flannel-vxlan", "node1-flannel.1", "node1-eth0")
    asked = one.filter("icmp[icmptype] == icmp-echo")
    late = replace(asked, frames=tuple(replace(f, time_ns=f.time_ns + 10**12) for f in asked.frames))
    assert prove(asked, other, VXLAN).proved
    lost = prove(late, other, VXLAN)
    assert (lost.compared, "where clocks differ, say --src ADDRESS" in lost.notes[0]) == (0, True)
    assert prove(late, other, VXLAN, src="192.168.1.10").proved


def test_padding_is_no_difference() -> None:
    """Zeros with which a card fills up a short native frame do not count; other bytes there are a difference."""
    data = packet("10.9.2.7", 1, 4)
    frame = onto_wire(forward(data), "10.9.2.", 1, NATIVE)
    assert len(frame) == 46
    assert prove(made(at_pod(data)), made(frame + bytes(14)), NATIVE).proved
    assert prove(made(at_pod(data) + bytes(14)), made(frame), NATIVE).proved
    assert prove(made(at_pod(data)), made(frame + b"x" * 14), NATIVE).different[0].field == "frame.len"


@pytest.mark.parametrize("seed", range(6))
def test_never_breaks(seed: int) -> None:
    """Captures damaged all over give a proof that fails, never an error from inside."""
    draw = random.Random(seed)
    one, other = recorded("vtep-mtu-1500-df" if seed % 2 else "calico-ipip", "podA-eth0", "node1-eth0")

    def damage(frames: Sequence[Frame]) -> tuple[Frame, ...]:
        result = []
        for frame in frames:
            data = bytearray(frame.data)
            for _ in range(draw.randrange(30)):
                data[draw.randrange(len(data))] = draw.randrange(256)
            result.append(replace(frame, data=bytes(data[: draw.randrange(len(data) + 1)]), length=0))
        return tuple(result)

    for encap in ENCAPSULATIONS.values():
        outcome: Proof = prove(one, replace(other, frames=damage(other.frames)), encap)
        assert not outcome.proved
        prove(replace(one, frames=damage(one.frames)), other, encap)


# --- the command ------------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["prove", *map(str, words)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The command says how many frames were compared and identical, and ends with 0 only if all were."""
    folder = RECORDINGS / "flannel-vxlan"
    pair = folder / "podA-eth0.pcap", folder / "node1-eth0.pcap"
    status, out, err = run(capsys, *pair, "--profile", "flannel-vxlan")
    assert (status, err) == (0, "")
    assert out.startswith("flannel-vxlan: 14 frames compared, 14 identical byte for byte\n")
    status, out, _ = run(capsys, *pair, "--profile", "flannel-vxlan", "--vni", 9)
    assert status == 1
    assert "(vxlan.vni) should be 9, is 1" in out
    status, out, _ = run(capsys, *pair, "--profile", "flannel-vxlan", "--filter-inside", "tcp")
    assert out.startswith("flannel-vxlan: 6 frames compared, 6 identical")
    status, out, err = run(capsys, *pair, "--profile", "vxlan")
    assert (status, out) == (2, "")
    assert "choose one of flannel-vxlan" in err


def test_command_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the same comes as data."""
    folder = RECORDINGS / "vxlan-zero-checksum"
    pair = folder / "podA-eth0.pcap", folder / "node1-eth0.pcap"
    status, out, _ = run(capsys, *pair, "--profile", "flannel-vxlan", "--json")
    data = json.loads(out)
    assert (status, data["compared"], data["identical"], data["different"]) == (0, 14, 14, [])
    assert (data["learned"]["vni"], data["learned"]["udp_checksum"]) == (1, "zero")
    status, out, _ = run(capsys, *pair, "--profile", "flannel-vxlan", "--udp-checksum", "computed", "--json")
    data = json.loads(out)
    assert (status, len(data["different"]), data["not_seen_outside"], data["outside_unmatched"]) == (1, 14, 1, 0)
    first = data["different"][0]
    assert int(first.pop("expected"), 16) > 0
    assert first == {
        "inside_frame": 4, "outside_frame": 3, "field": "udp.checksum", "name": "Checksum", "found": "0x0000",
    }


def test_command_on_bad_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is no capture ends with 2 and a sentence; one cut in the middle is used as far as it goes."""
    good = RECORDINGS / "flannel-vxlan" / "podA-eth0.pcap"
    (tmp_path / "junk").write_bytes(b"not a capture")
    status, out, err = run(capsys, good, tmp_path / "junk", "--profile", "flannel-vxlan")
    assert (status, out) == (2, "")
    assert "cannot be read as a capture" in err
    (tmp_path / "cut.pcap").write_bytes((RECORDINGS / "flannel-vxlan" / "node1-eth0.pcap").read_bytes()[:2000])
    status, out, _ = run(capsys, good, tmp_path / "cut.pcap", "--profile", "flannel-vxlan")
    assert status == 0
    assert "cut.pcap is cut short" in out


def test_command_on_pcapng(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Both captures may be pcapng."""
    paths = []
    for name in ("podA-eth0", "node1-eth0"):
        blocks = [struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)]
        blocks.append(struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20))
        for frame in load(RECORDINGS / "calico-vxlan" / f"{name}.pcap"):
            ticks, size = frame.time_ns // 1000, len(frame.data)
            body = struct.pack("<5I", 0, ticks >> 32, ticks & 0xFFFFFFFF, size, size) + frame.data + bytes(-size % 4)
            blocks.append(struct.pack("<II", 6, len(body) + 12) + body + struct.pack("<I", len(body) + 12))
        paths.append(tmp_path / f"{name}.pcapng")
        paths[-1].write_bytes(b"".join(blocks))
    status, out, _ = run(capsys, *paths, "--profile", "calico-vxlan")
    assert (status, out.splitlines()[0]) == (0, "calico-vxlan: 14 frames compared, 14 identical byte for byte")
