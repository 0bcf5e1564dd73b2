"""Bytes are the kernel's: every recorded envelope is rebuilt from the pod's own frame, and equals it byte for byte.

Only the IP identification and the UDP source port come from the capture. Addresses, port, VNI, checksum policy are
given here; the MACs that `prove` reads from the frames must be those of the recorded devices.
"""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from coursekit.packets.capture import Capture, load
from coursekit.packets.encapsulation import ENCAPSULATIONS
from coursekit.packets.prove import Proof, prove
from coursekit.paths import data_dir

RECORDINGS = data_dir() / "recordings"
NODE = {"node1": "192.168.1.10", "node2": "192.168.1.11", "node3": "192.168.2.12"}
HOME = {"podA": "node1", "podB": "node2", "podC": "node3"}
DEVICE = {"flannel-vxlan": "flannel.1", "calico-vxlan": "vxlan.calico"}

# recording, profile and what it is varied by, then frames per pod, outer addresses of podA's frames
CASES: list[tuple[str, str, dict[str, object], dict[str, int]]] = [
    ("flannel-vxlan", "flannel-vxlan", {}, {"podA": 14, "podB": 11}),
    ("flannel-vxlan-6.1", "flannel-vxlan", {}, {"podA": 14, "podB": 12}),
    ("vxlan-4789", "flannel-vxlan", {"port": 4789}, {"podA": 14, "podB": 11}),
    ("vxlan-zero-checksum", "flannel-vxlan", {"udp_checksum": False}, {"podA": 14, "podB": 11}),
    ("calico-vxlan", "calico-vxlan", {}, {"podA": 14, "podB": 11}),
    ("mtu-1450", "flannel-vxlan", {}, {"podA": 3, "podB": 3}),
    ("pod-mtu-1500-df", "flannel-vxlan", {}, {"podA": 2, "podB": 1}),
    ("pod-mtu-1500-nodf", "flannel-vxlan", {}, {"podA": 4, "podB": 4}),  # inner fragments 1444 + 76
    ("vtep-mtu-1500-df", "flannel-vxlan", {}, {"podA": 4, "podB": 4}),  # outer fragments 1500 + 70
    ("vtep-mtu-1500-nodf", "flannel-vxlan", {}, {"podA": 6, "podB": 6}),
    ("node-mtu-1400-later", "flannel-vxlan", {}, {"podA": 9, "podB": 9}),  # outer fragments 1396 + 124
    ("underlay-port-mtu-1400", "flannel-vxlan", {}, {"podA": 4, "podB": 2}),
    ("tcp-pod-mtu-1450", "flannel-vxlan", {}, {"podA": 11, "podB": 9}),
    ("tcp-pod-mtu-1500", "flannel-vxlan", {}, {"podA": 12, "podB": 10}),
    ("tcp-icmp-filtered", "flannel-vxlan", {}, {"podA": 7, "podB": 5}),
    ("offload-on", "flannel-vxlan", {}, {"podA": 7, "podB": 5}),  # super-segments, checksums left to the card
    ("wrong-port", "flannel-vxlan", {}, {"podA": 2}),
    ("wrong-vni", "flannel-vxlan", {}, {"podA": 2}),
    ("vxlan-two-racks", "flannel-vxlan", {}, {"podA": 16, "podC": 8}),
    ("calico-ipip", "calico-ipip", {}, {"podA": 15, "podB": 13}),
    ("ipip-bpf", "calico-ipip", {}, {"podA": 11, "podB": 9}),
    ("ipip-tun", "calico-ipip", {}, {"podA": 9, "podB": 7}),
    ("ipip-fixed-ttl", "ipip-fixed-ttl", {}, {"podA": 4, "podB": 4}),
    ("ipip-tcp", "calico-ipip", {}, {"podA": 11, "podB": 10}),
    ("ipip-pod-mtu-1500-df", "calico-ipip", {}, {"podA": 2, "podB": 1}),
    ("ipip-pod-mtu-1500-nodf", "calico-ipip", {}, {"podA": 4, "podB": 4}),
    ("ipip-protocol-4-filtered", "calico-ipip", {}, {"podA": 2}),
    ("ipip-receiver-without-tunnel", "calico-ipip", {}, {"podA": 2}),
    ("ipip-two-racks", "calico-ipip", {}, {"podA": 9, "podC": 8}),
    ("flannel-direct-routing", "native", {}, {"podA": 14, "podB": 11}),
    ("static-routes", "native", {}, {"podA": 8, "podB": 6}),
    ("no-overlay", "native", {}, {"podA": 6}),
    ("missing-route", "native", {}, {"podA": 2}),
]
TOTAL = 453
PROVED = [(name, profile, change, pod, count) for name, profile, change, pods in CASES for pod, count in pods.items()]


def capture(recording: str, point: str) -> Capture:
    return load(RECORDINGS / recording / f"{point}.pcap")


def proof(recording: str, profile: str, change: dict[str, object], pod: str, outside: str, hops: int = 0) -> Proof:
    encap = replace(ENCAPSULATIONS[profile], **change)  # type: ignore[arg-type]
    demanded: dict[str, object] = {}
    if encap.kind != "native":
        demanded["src"] = NODE[HOME[pod]]
    if encap.kind == "vxlan":
        demanded |= {"vni": encap.vni, "port": encap.port, "udp_checksum": encap.udp_checksum}
    return prove(capture(recording, f"{pod}-eth0"), capture(recording, outside), encap, hops=hops, **demanded)  # type: ignore[arg-type]


@pytest.mark.parametrize(("recording", "profile", "change", "pod", "count"), PROVED)
def test_every_frame_of_the_node_is_rebuilt(
    recording: str, profile: str, change: dict[str, object], pod: str, count: int,
    record_property: Callable[[str, object], None],
) -> None:
    """All frames of that pod on its node's link equal what is rebuilt, and nothing of that pod's is left over there."""
    done = proof(recording, profile, change, pod, f"{HOME[pod]}-eth0")
    print(f"{recording} {pod}: {done.compared} frames compared, {done.identical} identical")
    record_property("frames_compared", done.compared)
    record_property("frames_identical", done.identical)
    assert (done.compared, done.identical, done.different) == (count, count, ())
    assert done.outside_unmatched <= 2  # what nodes send themselves: ICMP errors to a traceroute


@pytest.mark.parametrize(
    ("recording", "profile", "change", "pod"),
    [c[:4] for c in PROVED if c[0] not in ("no-overlay", "missing-route", "ipip-protocol-4-filtered")],
)
def test_and_so_on_the_other_nodes_link(recording: str, profile: str, change: dict[str, object], pod: str) -> None:
    """The frames arrive at the other node as they left, but for the TTL where a router is between."""
    racks = recording.endswith("two-racks")
    far = {"podA": "node3" if racks else "node2", "podB": "node1", "podC": "node1"}[pod]
    hops = 1 if racks or recording == "static-routes" else 0
    done = proof(recording, profile, change, pod, f"{far}-eth0", hops)
    assert done.compared == done.identical > 0
    if hops:
        assert proof(recording, profile, change, pod, f"{far}-eth0").identical == 0


@pytest.mark.parametrize(("recording", "profile", "change", "pod", "count"), [c for c in PROVED if c[1] in DEVICE])
def test_macs_are_those_of_the_devices(
    recording: str, profile: str, change: dict[str, object], pod: str, count: int
) -> None:
    """The MACs that were read from the frames are those which `ip link` showed on the nodes."""
    state = json.loads((RECORDINGS / recording / "state.json").read_text())
    devices = {link["ifname"]: link["address"] for link in state[HOME[pod]]["link"] if "address" in link}
    for macs in proof(recording, profile, change, pod, f"{HOME[pod]}-eth0").learned["remotes"].values():
        assert (macs["eth_src"], macs["inner_eth_src"]) == (devices["eth0"], devices[DEVICE[profile]])


def test_how_many_frames_that_is(record_property: Callable[[str, object], None]) -> None:
    """Together that is every profile but the book's own, which no CNI uses, and as many frames as counted here."""
    total = sum(count for *_, count in PROVED)
    record_property("frames_compared", total)
    print(f"{total} frames in {len(PROVED)} captures of {len(CASES)} recordings")
    assert (total, {profile for _, profile, *_ in CASES}) == (TOTAL, set(ENCAPSULATIONS) - {"rfc7348"})


def test_tunnel_devices_see_the_inner_packet() -> None:
    """Captured at the tunnel device itself the same frames come out, without a router's work in between."""
    for recording, profile, device, count in (
        ("flannel-vxlan", "flannel-vxlan", "node1-flannel.1", 14), ("flannel-vxlan", "flannel-vxlan", "node1-cni0", 14),
        ("calico-ipip", "calico-ipip", "node1-tunl0", 15), ("calico-ipip", "calico-ipip", "node1-calipodA", 15),
        ("calico-vxlan", "calico-vxlan", "node1-vxlan.calico", 14), ("ipip-fixed-ttl",) * 2 + ("node1-ipip1", 4),
        ("vtep-mtu-1500-df", "flannel-vxlan", "node1-flannel.1", 4),
        ("offload-on", "flannel-vxlan", "node2-flannel.1", 5),
    ):
        done = prove(capture(recording, device), capture(recording, f"{device[:5]}-eth0"), ENCAPSULATIONS[profile])
        assert (recording, device, done.compared, done.identical) == (recording, device, count, count)
