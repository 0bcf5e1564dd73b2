"""Faults: each breaks what it says, composes with others, and refuses where there is nothing to break."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coursekit.cluster.faults import FAULTS, applicable, apply, fault
from coursekit.cluster.host import linkdown
from coursekit.cluster.journey import ping
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Network, network
from coursekit.cluster.prints import ping_line
from coursekit.errors import CourseError

LAB = network(load("lab"))


def lab(profile: str) -> Network:
    """The two-node network under a profile."""
    return network(load("lab").with_profile(profile))


# Where the packet of a small ping is seen last, under flannel's VXLAN; delivered ones have nothing to say.
LAST_SEEN = {
    "missing-route": "router:br0",
    "missing-neighbour": "node1:cni0",
    "missing-fdb": "node1:flannel.1",
    "stale-vtep-mac": "node2:flannel.1",
    "wrong-vni": "node2:eth0",
    "wrong-port": "node2:eth0",
    "receiver-without-tunnel": "node2:eth0",
    "node-down": "node1:flannel.1",
}
BGP = {"session-lost", "mesh-left-on", "nodes-in-one-as", "no-rr-client", "bird-without-direct"}


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in BGP])
def test_small_pings_get_so_far(name: str) -> None:
    """Each fault stops a small ping at its own place, or leaves it alone and only hurts others."""
    journey = ping(apply(LAB, name), "podA", "podB", wait=1)
    assert ping_line(journey) == ("" if name in LAST_SEEN else "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62")
    assert journey.outcome.last_seen == LAST_SEEN.get(name, "podB:eth0")


def test_every_fault_has_a_line_and_options() -> None:
    """A picker can show each fault in one sentence; the names are those of the lab."""
    assert all(kind.about.endswith(".") and len(kind.about) < 110 for kind in FAULTS.values())
    assert FAULTS["wrong-vni"].options == ("node", "vni")
    assert {"missing-route", "missing-fdb", "missing-neighbour", "stale-vtep-mac", "wrong-vni", "wrong-port"} <= set(
        FAULTS
    )
    assert {"pod-mtu", "vtep-mtu", "port-mtu", "icmp-filtered", "protocol-4-filtered"} <= set(FAULTS)
    assert {"receiver-without-tunnel", "node-down"} <= set(FAULTS)


def test_applicable_faults_depend_on_the_profile() -> None:
    """host-gw has no tunnel to break, IPIP no FDB, flannel no BGP, no profile at all no route; 1500 is no wrong MTU."""
    tunnel = {"vtep-mtu", "receiver-without-tunnel", "pod-mtu"}
    vxlan = {"missing-neighbour", "missing-fdb", "stale-vtep-mac", "wrong-vni", "wrong-port"}
    assert set(FAULTS) - set(applicable(lab("flannel-vxlan"))) == BGP
    assert set(FAULTS) - set(applicable(lab("calico-ipip"))) == vxlan
    assert set(FAULTS) - set(applicable(lab("calico-bgp"))) == vxlan | tunnel
    assert set(FAULTS) - set(applicable(lab("host-gw"))) == vxlan | tunnel | BGP
    assert set(FAULTS) - set(applicable(lab("none"))) == vxlan | tunnel | BGP | {"missing-route"}


@pytest.mark.parametrize("name", ["missing-neighbour", "missing-fdb", "stale-vtep-mac", "wrong-vni", "wrong-port"])
def test_vxlan_faults_need_vxlan(name: str) -> None:
    """Without a VXLAN device the fault is refused in a sentence."""
    with pytest.raises(CourseError, match="has no VXLAN device"):
        apply(lab("calico-ipip"), name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no-such", {}, "There is no fault 'no-such'; there are missing-route"),
        ("wrong-vni", {"vn": 3}, "takes no option 'vn'; it takes node, vni"),
        ("wrong-vni", {"vni": 1 << 24}, "24 bits, 0 to 16777215; 16777216"),
        ("wrong-port", {"port": 0}, "from 1 to 65535; 0"),
        ("stale-vtep-mac", {"node": "node1", "mac": "02:00:0a:f4:00:00"}, "has the MAC 02:00:0a:f4:00:00 already"),
        ("stale-vtep-mac", {"mac": "zz"}, "MAC of one station, such as 02:00:00:00:be:ef; 'zz'"),
        ("stale-vtep-mac", {"mac": "01:00:5e:00:00:01"}, "MAC of one station"),
        ("stale-vtep-mac", {"node": "node1", "mac": "02:00:0A:F4:00:00"}, "has the MAC 02:00:0a:f4:00:00 already"),
        ("pod-mtu", {"mtu": 20}, "68 to 65535 bytes"),
        ("pod-mtu", {"mtu": True}, "68 to 65535 bytes"),
        ("pod-mtu", {"pod": "podX"}, "'podX' is no pod"),
        ("vtep-mtu", {"df": "yes"}, "df is 'set', 'unset' or 'inherit'"),
        ("missing-fdb", {"node": "nodeX"}, "'nodeX' is no node"),
        ("missing-route", {"node": "node1", "peer": "node1"}, "a fault between two nodes needs two"),
        ("port-mtu", {"node": "podA"}, "'podA' is no node"),
    ],
)
def test_what_cannot_be_broken_is_refused(name: str, options: dict[str, object], message: str) -> None:
    """Unknown faults, options, nodes and impossible values get a sentence."""
    with pytest.raises(CourseError, match=message):
        apply(LAB, name, **options)


def test_a_fault_happens_once() -> None:
    """What is gone cannot go again, and a tunnel that is down cannot be taken down."""
    for name in ("missing-fdb", "missing-route", "missing-neighbour"):
        with pytest.raises(CourseError, match="cannot go missing"):
            apply(LAB, fault(name), fault(name))
    with pytest.raises(CourseError, match="no tunnel device that is up"):
        apply(LAB, "receiver-without-tunnel", "receiver-without-tunnel")
    for name in ("icmp-filtered", "protocol-4-filtered"):  # iptables would take a rule twice, and lose one of them
        with pytest.raises(CourseError, match="changes nothing here"):
            apply(LAB, name, name)


def test_a_fault_that_changes_nothing_is_refused() -> None:
    """Pods that have an MTU of 1500 are not broken by giving them 1500."""
    with pytest.raises(CourseError, match="The fault pod-mtu changes nothing here"):
        apply(lab("host-gw"), "pod-mtu")
    for again in ("no-rr-client", "bird-without-direct"):
        with pytest.raises(CourseError, match="changes nothing here"):
            apply(lab("calico-bgp"), "node-down", again, again)


def test_a_pulled_cable_marks_every_leg() -> None:
    """A row of several legs is marked `linkdown` leg by leg, and as a whole where no leg has carrier left."""
    cluster = Cluster.from_dict({
        "segments": [{"name": "lan", "subnet": "10.77.0.0/24", "gateway": "10.77.0.1"}],
        "routers": [{"name": f"gw{i}", "addresses": [f"10.77.0.{i}"]} for i in (1, 2)],
        "nodes": [{"name": f"n{i}", "address": f"10.77.0.1{i}", "block": f"10.10.{i}.0/24"} for i in (1, 2)],
        "pods": [{"name": f"p{i}", "address": f"10.10.{i}.9"} for i in (1, 2)],
        "profile": {"name": "calico-bgp", "bgp": "tor", "next_hop_self": True}, "pod_network": "10.10.0.0/16",
    })  # fmt: skip
    (row,) = [r for r in apply(network(cluster), "node-down").host("n2").tables.routes if r.nexthops]
    assert str(row) == (
        "10.10.1.0/24 proto bird linkdown \n\tnexthop via 10.77.0.1 dev eth0 weight 1 linkdown"
        " \n\tnexthop via 10.77.0.2 dev eth0 weight 1 linkdown"
    )
    one = replace(row, flags=(), nexthops=(replace(row.nexthops[0], dev="eth1", flags=()), row.nexthops[1]))
    assert linkdown(one, {"eth0"}) == one


def test_a_pulled_cable_leaves_the_node_alone() -> None:
    """Without its cable node2 has no carrier, and routes marked so; its devices, addresses and neighbours stay."""
    before, after = LAB.host("node2").tables, apply(LAB, "node-down").host("node2").tables
    assert after.link("eth0").flags == ("NO-CARRIER", "BROADCAST", "MULTICAST", "UP")
    assert {r.dev for r in after.routes if "linkdown" in r.flags} == {"eth0"}
    assert [r.dst for r in after.routes] == [r.dst for r in before.routes]
    assert {r.type for r in after.local_routes if "linkdown" in r.flags} == {"broadcast"}
    six = apply(network(load("ipv6-underlay")), "node-down").host("node2").tables.local_routes
    assert [r.flags for r in six if r.dev == "eth0" and r.dst.version == 6] == [(), ()]  # anycast, and its own
    assert (after.addresses, after.neighbours, after.fdb) == (before.addresses, before.neighbours, before.fdb)
    away = ping(apply(LAB, "node-down"), "podB", "podA", wait=3)
    assert (away.outcome.last_seen, away.outcome.symptom) == ("node2:flannel.1", "")


def test_a_session_whose_as_number_changes_begins_anew() -> None:
    """A ToR told of the nodes' new AS number drops a pulled node's routes: it cannot open that session again."""
    peering = network(load("lab").with_profile("calico-bgp", bgp="tor"))
    for faults, blocks in (("node-down",), 2), (("node-down", "nodes-in-one-as"), 1):
        rows = apply(peering, *faults).host("router").tables.routes
        assert sum(row.protocol == "bird" for row in rows) == blocks


def test_a_node_that_is_switched_off_takes_its_rows_along() -> None:
    """Down devices have no neighbours and no routes but those to themselves, and the switch port has no carrier."""
    off = apply(LAB, "node-down", death="clean")
    tables = off.host("node2").tables
    assert (tables.routes, tables.neighbours) == ((), ())
    assert {route.type for route in tables.local_routes} == {"local"}
    assert not any(link.up for link in tables.links)
    assert "NO-CARRIER" in off.host("router").link("sw2").flags
    assert "LOWER_UP" in off.host("router").link("br0").flags
    lonely = apply(network(load("two-racks")), "node-down", node="node3").host("router").tables  # alone in its rack
    assert ["NO-CARRIER" in link.flags for link in lonely.links if link.kind == "bridge"] == [False, True]


@pytest.mark.parametrize(
    ("node", "block", "kept"), [("node3", "10.244.2.0/24", False), ("node2", "10.244.1.0/24", True)]
)
def test_a_tor_notices_a_lan_without_carrier(node: str, block: str, kept: bool) -> None:
    """BIRD closes a direct session over a dead link at once; where another node keeps the LAN up, it waits to hold."""
    broken = apply(network(load("two-racks").with_profile("calico-bgp", bgp="tor")), "node-down", node=node)
    rows = {name: [str(r.dst) for r in broken.host(name).tables.routes if r.via] for name in ("router", "node1", node)}
    assert [block in rows["router"], block in rows["node1"]] == [kept, kept]
    assert "10.244.0.0/24" in rows[node]  # the node itself heard nothing


def test_options_go_with_one_fault() -> None:
    """Options beside several faults would be ambiguous, and are refused."""
    with pytest.raises(CourseError, match="Options go with one fault"):
        apply(LAB, "pod-mtu", "vtep-mtu", mtu=1500)


def test_faults_point_where_told() -> None:
    """A fault on node2 breaks the way back: the request arrives, the answer is lost."""
    journey = ping(apply(LAB, "missing-fdb", node="node2"), "podA", "podB")
    assert journey.outcome.kind == "delivered"
    assert journey.reply.outcome.last_seen == "node2:flannel.1"
    assert ping_line(journey) == ""


def test_a_fault_leaves_the_network_it_was_given_alone() -> None:
    """The healthy network stays healthy."""
    apply(LAB, "node-down", node="node2")
    assert ping_line(ping(LAB, "podA", "podB")) == "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62"


def test_faults_print_with_their_options() -> None:
    """A fault says what it is, for titles and logs."""
    assert str(fault("wrong-vni", vni=7, node="node2")) == "wrong-vni (node=node2, vni=7)"


def test_too_few_nodes() -> None:
    """A fault between two nodes needs two."""
    one = LAB.change("node2", forwarding=False)
    one = network(load("lab"))
    alone = type(one)({name: host for name, host in one.hosts.items() if name not in ("node2", "podB")}, one.cables)
    with pytest.raises(CourseError, match="too few nodes"):
        apply(alone, "missing-route")
