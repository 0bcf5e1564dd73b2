"""Recorded pings, healthy and broken, predicted: same words, same points reached, same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from coursekit.cluster.faults import apply, fault
from coursekit.cluster.journey import ping, send
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Network, network
from coursekit.packets.capture import Frame
from tests.cluster.evidence import Captured, Evidence, packet_of, replay

# Recordings whose tables say everything; the BPF program and the TUN process of the other IPIP ones are in no table.
NAMES = (
    "bgp-mesh bgp-mesh-left-on bgp-route-reflector bgp-tor-as-per-node bgp-tor-one-as bgp-two-racks "
    "bgp-without-direct bgp-without-direct-learn "
    "calico-ipip calico-vxlan flannel-direct-routing flannel-vxlan flannel-vxlan-6.1 ipip-fixed-ttl "
    "ipip-pod-mtu-1500-df ipip-pod-mtu-1500-nodf ipip-protocol-4-filtered ipip-receiver-without-tunnel "
    "ipip-two-racks missing-fdb missing-neighbour missing-route mtu-1450 no-default-route no-overlay "
    "no-overlay-from-node no-overlay-masquerade node-mtu-1400-later pod-mtu-1500-df pod-mtu-1500-nodf "
    "static-routes tcp-icmp-filtered underlay-port-mtu-1400 vtep-mtu-1500-df vtep-mtu-1500-nodf "
    "vtep-mtu-1500-outer-df vxlan-4789 vxlan-two-racks vxlan-zero-checksum wrong-port wrong-vni"
).split()
BORROWED = {"no-overlay-from-node": "no-overlay"}  # recorded without its tables, on the same network


@pytest.mark.parametrize("name", NAMES)
def test_recorded_tables_predict_the_recording(name: str, record_property: Callable[[str, object], None]) -> None:
    """From the recorded tables the model predicts ping's words, the points reached and every captured frame."""
    evidence = Evidence(name, BORROWED.get(name))
    report = replay(evidence, evidence.network())
    record_property("pings", report.pings)
    record_property("failures reproduced", report.failures)
    record_property("frames identical", report.frames)
    print(f"{name}: {report.pings} pings, {report.failures} of them failed, {report.frames} frames identical")
    assert report.differences == []
    assert report.pings > 0
    assert report.frames > 0


def lan(profile: str, **options: object) -> Cluster:
    """Two nodes on one LAN, as most recordings have them."""
    return load("lab").with_profile(profile, **options)


def racks(profile: str, **options: object) -> Cluster:
    """Two racks with a router between them, as in the recordings `*-two-racks`."""
    return load("two-racks").with_profile(profile, **options)


def three(**options: object) -> Cluster:
    """The chapter's three nodes, which BIRD ran on."""
    return load("chapter").with_profile("calico-bgp", **options)


@dataclass(frozen=True)
class Case:
    """How a recording is made from a cluster file, a profile and faults."""

    cluster: Cluster
    faults: tuple[object, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


FLANNEL = lan("flannel-vxlan")
IPIP = lan("calico-ipip")
NONE = lan("none")
REFLECTOR = three(bgp="route-reflector", reflector="tor")
CASES = {
    "bgp-mesh": Case(three()),
    "bgp-mesh-left-on": Case(three(), ("mesh-left-on",)),
    "bgp-route-reflector": Case(REFLECTOR),
    "bgp-tor-as-per-node": Case(three(bgp="tor")),
    "bgp-tor-one-as": Case(three(bgp="tor"), ("nodes-in-one-as",)),
    "bgp-two-racks": Case(racks("calico-bgp")),
    "bgp-without-direct": Case(REFLECTOR, ("bird-without-direct",)),
    "bgp-without-direct-learn": Case(REFLECTOR, (fault("bird-without-direct", learn=True),)),
    "calico-ipip": Case(IPIP),
    # recorded with Calico's numbers on flannel's wiring
    "calico-vxlan": Case(
        lan("flannel-vxlan", vni=4096, port=4789),
        renamed={"node1:vxlan.calico": "node1:flannel.4096", "node2:vxlan.calico": "node2:flannel.4096"},
    ),
    "flannel-direct-routing": Case(lan("host-gw")),
    "flannel-vxlan": Case(FLANNEL),
    "flannel-vxlan-6.1": Case(FLANNEL),
    "ipip-pod-mtu-1500-df": Case(IPIP, ("pod-mtu",)),
    "ipip-pod-mtu-1500-nodf": Case(IPIP, ("pod-mtu",)),
    "ipip-protocol-4-filtered": Case(IPIP, ("protocol-4-filtered",)),
    "ipip-receiver-without-tunnel": Case(IPIP, ("receiver-without-tunnel",)),
    "ipip-two-racks": Case(racks("calico-ipip", cross_subnet=True)),
    "missing-fdb": Case(FLANNEL, ("missing-fdb",)),
    "missing-neighbour": Case(FLANNEL, ("missing-neighbour",)),
    "missing-route": Case(FLANNEL, ("missing-route",)),
    "mtu-1450": Case(FLANNEL),
    "no-default-route": Case(NONE, ("no-default-route",)),
    "no-overlay": Case(NONE),
    "no-overlay-from-node": Case(NONE),
    "no-overlay-masquerade": Case(lan("none", masquerade="all")),
    "node-mtu-1400-later": Case(FLANNEL, ("node-mtu",)),
    "pod-mtu-1500-df": Case(FLANNEL, ("pod-mtu",)),
    "pod-mtu-1500-nodf": Case(FLANNEL, ("pod-mtu",)),
    "static-routes": Case(lan("none", router_routes=True)),
    "tcp-icmp-filtered": Case(FLANNEL, ("pod-mtu", fault("icmp-filtered", node="node2"))),
    "underlay-port-mtu-1400": Case(FLANNEL, ("port-mtu",)),
    "vtep-mtu-1500-df": Case(FLANNEL, ("pod-mtu", "vtep-mtu")),
    "vtep-mtu-1500-nodf": Case(FLANNEL, ("pod-mtu", "vtep-mtu")),
    "vtep-mtu-1500-outer-df": Case(FLANNEL, ("pod-mtu", fault("vtep-mtu", df="set"))),
    "vxlan-4789": Case(lan("flannel-vxlan", port=4789)),
    "vxlan-two-racks": Case(racks("flannel-vxlan")),
    "vxlan-zero-checksum": Case(lan("flannel-vxlan", udp_checksum=False)),
    "wrong-port": Case(FLANNEL, ("wrong-port",)),
    "wrong-vni": Case(FLANNEL, ("wrong-vni",)),
}


def predicted(case: Case) -> Network:
    """The network of a case, broken as the recording was."""
    return apply(tunl0_first(network(case.cluster)), *case.faults)


def tunl0_first(network: Network) -> Network:
    """Give tunl0 the first interface index, as in every namespace that is made while the ipip module is loaded.

    Only the address of ICMP errors to Calico pods depends on it: the first one found on any device.
    """
    for name, host in network.hosts.items():
        first = (replace(link, ifindex=0) if link.name == "tunl0" else link for link in host.tables.links)
        network = network.change(name, {"links": tuple(first)})
    return network


@pytest.mark.parametrize("name", CASES)
def test_a_cluster_with_faults_predicts_the_recording(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """From a cluster, a profile and named faults the model predicts the same recording, byte for byte."""
    evidence = Evidence(name, BORROWED.get(name))
    report = replay(evidence, predicted(CASES[name]), CASES[name].renamed)
    record_property("pings", report.pings)
    record_property("failures reproduced", report.failures)
    record_property("frames identical", report.frames)
    print(f"{name}: {report.pings} pings, {report.failures} of them failed, {report.frames} frames identical")
    assert report.differences == []
    assert report.frames > 0


def test_every_recording_with_pings_is_predicted() -> None:
    """No recording is left out but those whose forwarding is in no table, and the one with a single capture point."""
    pings = {path.parent.name for path in Evidence("flannel-vxlan").folder.parent.glob("*/ping.txt")}
    assert pings - set(NAMES) == {"ipip-bpf", "ipip-tun", "source-port-entropy"}
    assert set(NAMES) - set(CASES) == {"ipip-fixed-ttl"}  # no profile makes a point-to-point ipip device


TCP_NAMES = ("flannel-vxlan", "calico-ipip", "tcp-pod-mtu-1450", "tcp-pod-mtu-1500", "tcp-icmp-filtered", "ipip-tcp")


@pytest.mark.parametrize("name", TCP_NAMES)
def test_every_tcp_segment_travels_as_recorded(name: str) -> None:
    """Each captured segment, sent by its pod, is seen with the recorded bytes everywhere, ICMP errors included."""
    evidence = Evidence(name)
    model = evidence.network().change("podB", listens=frozenset({("tcp", 80)}))
    compared = sent = 0
    for pod in ("podA", "podB"):
        for frame in outgoing(evidence, pod):
            journey = send(model, packet_of(frame.data).data, pod, draws=Captured(evidence))
            sent += 1
            for point in {*journey.points(), *(journey.reply.points() if journey.reply else ())}:
                for predicted_frame in journey.frames_at(point):
                    if point in evidence.frames:
                        assert predicted_frame in evidence.frames[point], (frame.number, point)
                        compared += 1
    print(f"{name}: {sent} segments, {compared} frames identical")
    assert sent > 8
    assert compared > 4 * sent


def outgoing(evidence: Evidence, pod: str) -> list[Frame]:
    """The TCP segments that a pod sent."""
    mine = evidence.tables[pod].link("eth0").mac.replace(":", "")
    frames = [
        f for f in evidence.captures[f"{pod}:eth0"] if f.data[6:12].hex() == mine and f.data[12:14] == b"\x08\x00"
    ]
    return [f for f in frames if packet_of(f.data).protocol == 6]


def test_a_large_segment_dies_without_a_word_where_icmp_is_filtered() -> None:
    """The first full segment of the recorded answer gets to node2 and no further, and podB is told nothing."""
    evidence = Evidence("tcp-icmp-filtered")
    large = next(f for f in outgoing(evidence, "podB") if len(f.data) == 1514)
    journey = send(evidence.network(), packet_of(large.data).data, "podB")
    assert (journey.outcome.kind, journey.outcome.symptom) == ("lost", "")
    assert journey.outcome.last_seen == "node2:cni0"
    assert journey.reply.outcome.reason == "node2: a filter drops what the host itself sends"


def test_a_missing_neighbour_asks_as_recorded() -> None:
    """The ARP request that nobody answers is the captured one, and a patient sender is told after three seconds."""
    evidence = Evidence("missing-neighbour")
    broken = predicted(CASES["missing-neighbour"])
    silent, patient = ping(broken, "podA", "podB", wait=1), ping(broken, "podA", "podB")
    asked = [stop for stop in silent.stops if stop.action == "asks"]
    assert [stop.frame for stop in asked] == evidence.arp["node1:flannel.1"][:1]
    assert silent.outcome.symptom == ""
    assert (patient.outcome.symptom, patient.outcome.sender) == ("Destination Host Unreachable", "10.244.0.1")
