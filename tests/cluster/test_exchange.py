"""A GET through the model: how large its segments are, what a small MTU does to it, and when it hangs."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import TCP

from coursekit.cluster.exchange import get
from coursekit.cluster.faults import apply, fault
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import network
from coursekit.errors import CourseError
from tests.cluster.evidence import Evidence, packet_of

LAB = network(load("lab"))
POD_B = bytes.fromhex("0af40107")


def payloads(frames: list[bytes]) -> list[int]:
    """The lengths of the data that podB sent, in order."""
    packets = [packet for frame in frames if (packet := packet_of(frame)) and packet.src.packed == POD_B]
    return [len(TCP(packet.payload).payload) for packet in packets if packet.protocol == 6]


@pytest.mark.parametrize("name", ["tcp-pod-mtu-1450", "tcp-pod-mtu-1500", "tcp-icmp-filtered", "ipip-tcp"])
def test_the_answer_is_cut_as_recorded(name: str) -> None:
    """Segment lengths are the recorded ones, before and after the ICMP errors, and a black hole stays one."""
    evidence = Evidence(name)
    recorded = [n for n in payloads(evidence.frames["podB:eth0"]) if n]
    size = sum(dict(_data(evidence)).values()) if name == "tcp-pod-mtu-1450" else 8107
    exchange = get(evidence.network(), "podA", "podB", size, request=77)
    model = [n for n in payloads(exchange.frames_at("podB:eth0")) if n]
    if name == "tcp-icmp-filtered":  # what is lost is sent again until somebody gives up
        assert (set(model), exchange.received, exchange.error) == (set(recorded), 0, "timed out")
        assert exchange.last_seen == "node2:cni0"
    else:
        assert model == recorded
        assert exchange.complete


def _data(evidence: Evidence) -> list[tuple[int, int]]:
    found = []
    for frame in evidence.frames["podA:eth0"]:
        packet = packet_of(frame)
        if packet and packet.protocol == 6 and packet.src.packed == POD_B:
            tcp = TCP(packet.payload)
            found.append((tcp.seq, len(tcp.payload)))
    return found


def test_a_handshake_a_question_an_answer() -> None:
    """A small GET is SYN, SYN-ACK, ACK, question, answer and two FINs, all seen at the far pod."""
    exchange = get(LAB, "podA", "podB")
    flags = [str(TCP(packet_of(frame).payload).flags) for frame in exchange.frames_at("podB:eth0")]
    assert flags == ["S", "SA", "A", "PA", "A", "PA", "A", "FA", "FA"]
    assert (exchange.complete, exchange.received, exchange.mss) == (True, 200, 1410)


def test_a_black_hole_lets_small_answers_through() -> None:
    """Where "Frag needed" is filtered and pods think they have 1500 bytes, 1398 bytes come and 1399 never do."""
    hole = apply(LAB, "pod-mtu", "icmp-filtered")
    assert get(hole, "podA", "podB", 1398).complete
    stalled = get(hole, "podA", "podB", 1399)
    assert (stalled.received, stalled.error, stalled.mss) == (0, "timed out", 1460)
    assert get(apply(LAB, "pod-mtu"), "podA", "podB", 100_000).complete


def test_a_small_switch_port_hangs_large_answers() -> None:
    """A switch tells nobody that a packet is too long: the answer hangs, and the small one does not."""
    small = apply(LAB, fault("port-mtu", node="node1"))
    assert get(small, "podA", "podB", 1000).complete
    stalled = get(small, "podA", "podB", 5000)
    assert (stalled.received, stalled.last_seen) == (0, "router:sw2")


@pytest.mark.parametrize(
    ("name", "options", "error", "last_seen"),
    [
        ("missing-fdb", {}, "timed out", "node1:flannel.1"),
        ("missing-fdb", {"node": "node2"}, "timed out", "node2:flannel.1"),
        ("missing-neighbour", {}, "timed out", "node1:cni0"),
        ("wrong-port", {}, "timed out", "node2:eth0"),
    ],
)
def test_no_connection(name: str, options: dict[str, str], error: str, last_seen: str) -> None:
    """Where pings are lost so are SYNs, or the answers to them."""
    exchange = get(apply(LAB, name, **options), "podA", "podB")
    assert (exchange.error, exchange.last_seen, exchange.mss, exchange.received) == (error, last_seen, None, 0)


def test_what_connect_is_told() -> None:
    """A client hears of a vain ARP if it is patient, of a route that it lacks, and of a loop that ends its SYN."""
    assert get(apply(LAB, "missing-neighbour"), "podA", "podB", patience=4).error == "No route to host"
    assert get(LAB.change("podA", {"routes": ()}), "podA", "podB").error == "Network is unreachable"
    assert get(LAB, "podA", "192.168.1.99", patience=4).error == "No route to host"
    unroutable = network(load("lab").with_profile("none", masquerade="all"))
    assert get(unroutable, "podA", "podB").error == "Network is unreachable"
    looping = apply(network(load("two-racks").with_profile("calico-bgp", bgp="tor")), "mesh-left-on")
    assert get(looping, "podA", "podC").error == "No route to host"


@pytest.mark.parametrize(
    ("profile", "options", "last_seen"),
    [("calico-ipip", {}, ""), ("flannel-vxlan", {}, ""), ("flannel-vxlan", {"df": "inherit"}, "node2:flannel.1")],
)
def test_a_narrow_way_between_routers(profile: str, options: dict[str, str], last_seen: str) -> None:
    """A node learns what the core takes; IPIP tells the pod, VXLAN with DF nobody: seen in the lab."""
    racks = [{"name": f"r{i}", "subnet": f"10.{i}.0.0/24", "gateway": f"10.{i}.0.1"} for i in (1, 2)]
    ends = [{"address": f"10.{i}.0.11", "block": f"10.244.{i}.0/24", "name": f"node{i}"} for i in (1, 2)]
    model = network(Cluster.from_dict({
        "segments": [*racks, {"name": "core", "subnet": "10.255.0.0/29", "mtu": 1280}], "nodes": ends,
        "routers": [{"name": f"t{i}", "addresses": [f"10.{i}.0.1", f"10.255.0.{i}"]} for i in (1, 2)],
        "pods": [{"name": f"pod{i}", "address": f"10.244.{i}.5"} for i in (1, 2)],
        "profile": {"name": profile, **options},
    }))  # fmt: skip
    exchange = get(model, "pod1", "pod2", 12106)
    assert (exchange.complete, exchange.last_seen) == (not last_seen, last_seen)


def test_masqueraded_exchanges_complete() -> None:
    """The server answers the node's address, and connection tracking brings every segment back to the pod."""
    model = network(load("lab").with_profile("host-gw", masquerade="all"))
    exchange = get(model, "podA", "podB", 5000)
    assert exchange.complete
    assert {str(packet_of(f).src) for f in exchange.frames_at("podB:eth0")} == {"192.168.1.10", "10.244.1.7"}


@pytest.mark.parametrize(
    "numbers", [{"size": 0}, {"size": 1 << 24}, {"size": "x"}, {"request": 0}, {"request": 1200}, {"patience": "x"}]
)
def test_impossible_sizes_are_refused(numbers: dict[str, Any]) -> None:
    """Sizes and times that no GET has get a sentence."""
    with pytest.raises(CourseError, match=r"A GET (can ask for|asks with) 1 to \d+ bytes|seconds from 0 to 86400"):
        get(LAB, "podA", "podB", **numbers)


def test_ipv6_is_refused() -> None:
    """The model follows TCP over IPv4 only, and says so."""
    six = network(load("ipv6-underlay"))
    first, second = six.nodes()[:2]
    with pytest.raises(CourseError, match="TCP over IPv4 only"):
        get(six, first, str(six.address_of(second, 6)))
