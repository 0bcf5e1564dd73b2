"""What a firewall must pass: sufficient and necessary for the model's packets, and for those that kernels sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest

from coursekit import dissect, load_cluster, network, ping, recording
from coursekit.cluster.firewall import BGP_PORT, Allow, allows
from coursekit.cluster.model import Cluster
from coursekit.cluster.modes import MODES, mode
from coursekit.cluster.watch import captures
from coursekit.packets.capture import Capture

CLUSTERS = ("chapter", "two-racks", "minikube-calico")


def between_nodes(cluster: Cluster) -> Iterator[Capture]:
    """Yield what each sending node's eth0 saw of pings between all pairs of pods on different nodes."""
    built = network(cluster)
    for one, other in permutations(cluster.pods, 2):
        if one.node != other.node:
            journey = ping(built, one.name, other.name)
            if journey.answered:
                yield captures(journey)[f"{one.node}:eth0"]


def joined(rules: tuple[Allow, ...]) -> str:
    return " or ".join(f"({rule.bpf})" for rule in rules)


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("base", CLUSTERS)
def test_rules_pass_all_and_none_is_spare(base: str, name: str) -> None:
    """Every frame between nodes passes, and without any one rule (but BGP's) some frame does not."""
    cluster = mode(name).on(load_cluster(base))
    rules = allows(cluster)
    seen = list(between_nodes(cluster))

    assert seen
    for capture in seen:
        assert len(capture.filter(joined(rules))) == len(capture)
    for rule in rules:
        rest = tuple(r for r in rules if r is not rule)
        missed = sum(len(c) - (len(c.filter(joined(rest))) if rest else 0) for c in seen)
        assert missed > 0 or rule.port == BGP_PORT


@pytest.mark.parametrize("name", MODES)
def test_nodes_reach_pods_of_other_nodes(name: str) -> None:
    """What a node itself sends a pod passes too, and the pod's answer."""
    cluster = mode(name).on(load_cluster("chapter"))
    journey = ping(network(cluster), "node1", "podB")
    seen = captures(journey)["node1:eth0"]

    assert journey.answered
    assert len(seen) == 2
    assert len(seen.filter(joined(allows(cluster)))) == 2


@pytest.mark.parametrize(
    ("recorded", "base", "profile", "options"),
    [
        ("flannel-vxlan", "lab", "flannel-vxlan", {}),
        ("flannel-vxlan-6.1", "lab", "flannel-vxlan", {}),
        ("flannel-direct-routing", "lab", "flannel-vxlan", {"direct_routing": True}),
        ("calico-vxlan", "lab", "calico-vxlan", {}),
        ("calico-ipip", "lab", "calico-ipip", {}),
        ("vxlan-two-racks", "two-racks", "flannel-vxlan", {}),
        ("ipip-two-racks", "two-racks", "calico-ipip", {"cross_subnet": True}),
        ("static-routes", "lab", "host-gw", {}),
        ("vxlan-4789", "lab", "flannel-vxlan", {"port": 4789}),
    ],
)
def test_rules_pass_what_kernels_sent(recorded: str, base: str, profile: str, options: dict[str, object]) -> None:
    """Of captured frames between nodes only a router's own ICMP errors are left over, and a wrong set leaves more."""
    cluster = load_cluster(base).with_profile(profile, **options)
    wire = recording(recorded).capture("node1:eth0").filter("not arp")
    routers = {str(address) for router in cluster.routers for address in router.addresses}
    left = [dissect(frame.data) for frame in wire.filter(f"not ({joined(allows(cluster))})")]

    assert all(d["ip.src"].value in routers and d.layer("icmp")["type"].raw in (3, 11) for d in left)
    assert len(left) <= 1 < len(wire)
    other = load_cluster(base).with_profile("calico-ipip" if profile != "calico-ipip" else "calico-vxlan")
    assert len(wire.filter(joined(allows(other)))) < len(wire) - len(left)


def test_ports_protocols_and_pods() -> None:
    """Each mode needs what its program sends: UDP to its port, protocol 4, or pods' addresses; and BGP's TCP 179."""
    needs = {n: {(r.name, r.pods) for r in allows(m.on(load_cluster("two-racks")))} for n, m in MODES.items()}
    plain, udp = ("any protocol", True), lambda port: (f"UDP {port}", False)
    ipip, bgp = ("protocol 4 (IPIP)", False), ("TCP 179", False)

    assert needs == {
        "host-gw": {plain}, "flannel-vxlan": {udp(8472)}, "flannel-vxlan DirectRouting": {plain, udp(8472)},
        "calico-vxlan": {udp(4789)}, "calico-vxlan CrossSubnet": {plain, udp(4789)}, "calico-ipip": {ipip, bgp},
        "calico-ipip CrossSubnet": {plain, ipip, bgp}, "calico-bgp mesh": {plain, bgp},
        "calico-bgp route-reflector": {plain, bgp}, "calico-bgp tor": {plain, bgp}, "route table": {plain},
    }  # fmt: skip


def test_the_port_is_the_profiles_own() -> None:
    """Another port in the cluster file is another rule; Felix's IPIP of 3.33 needs no BGP."""
    lab = load_cluster("lab")

    assert [r.port for r in allows(lab.with_profile("flannel-vxlan", port=9999))] == [9999]
    assert [r.name for r in allows(lab.with_profile("calico-ipip", version="3.33"))] == ["protocol 4 (IPIP)"]


def test_bgp_rules_follow_the_sessions() -> None:
    """A mesh of three has three sessions, each both ways; with a ToR, only nodes and router speak."""
    def ends(name: str) -> set[tuple[str, str]]:
        rule = next(r for r in allows(mode(name).on(load_cluster("chapter"))) if r.port == BGP_PORT)
        return {(str(a.network_address), str(b.network_address)) for a, b in rule.pairs}

    nodes = [str(node.address) for node in load_cluster("chapter").nodes]
    assert ends("calico-bgp mesh") == set(permutations(nodes, 2))
    router = str(load_cluster("chapter").routers[0].addresses[0])
    assert ends("calico-bgp tor") == {pair for node in nodes for pair in ((node, router), (router, node))}


def test_ipv6_nodes() -> None:
    """Between nodes with IPv6 addresses the rule is for UDP over IPv6, and passes the model's frames."""
    cluster = load_cluster("ipv6-underlay")
    (rule,) = allows(cluster)

    assert rule.name == "UDP 8472"
    for capture in between_nodes(cluster):
        assert len(capture.filter(rule.bpf)) == len(capture)
        assert len(capture.filter("ip6")) == len(capture)


def test_a_node_of_two_blocks() -> None:
    """Every block of a node is in the rules of a plain mode."""
    data = load_cluster("chapter").with_profile("calico-bgp")
    first = data.nodes[0]
    extra = type(first.blocks[0])("10.244.9.0/26")
    cluster = replace(data, nodes=(replace(first, blocks=(*first.blocks, extra)), *data.nodes[1:]))
    rule = next(r for r in allows(cluster) if r.pods)

    assert extra in rule.sources
    assert any(extra == network or network.supernet_of(extra) for network in rule.destinations)


def test_words() -> None:
    """A rule prints as a sentence with its ends; hosts stay single, prefixes that touch are joined."""
    rules = allows(load_cluster("lab").with_profile("calico-bgp"))

    assert str(rules[0]).startswith("any protocol from 10.244.0.0/23, 192.168.1.10, 192.168.1.11 to 10.244.0.0/23")
    assert str(rules[1]) == ("TCP 179 from 192.168.1.10, 192.168.1.11 to 192.168.1.10, 192.168.1.11: "
                             "BGP, by which routes are learned; no pod's packet is in it")  # fmt: skip
