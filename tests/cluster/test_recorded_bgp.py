"""What BIRD did in the recorded clusters, predicted: every row of every kernel, every route of every BIRD."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coursekit.bgp import birdc
from coursekit.bgp.route import Attributes
from coursekit.cluster.faults import apply, fault
from coursekit.cluster.learned import Event, Learning
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import network
from coursekit.cluster.profiles import tables
from coursekit.cluster.tables import Route
from coursekit.lab.recording import recording, recordings

CHAPTER, RACKS = load("chapter"), load("two-racks")
TWO_TORS = Cluster.from_dict(
    {
        "segments": [
            {"name": "rack1", "subnet": "192.168.1.0/24", "gateway": "192.168.1.1"},
            {"name": "rack2", "subnet": "192.168.2.0/24", "gateway": "192.168.2.1"},
            {"name": "spine", "subnet": "172.16.0.0/30"},
        ],
        "routers": [
            {"name": "tor1", "addresses": ["192.168.1.1", "172.16.0.1"]},
            {"name": "tor2", "addresses": ["192.168.2.1", "172.16.0.2"]},
        ],
        "nodes": [
            {"name": "node1", "address": "192.168.1.10", "block": "10.244.0.0/24"},
            {"name": "node2", "address": "192.168.1.11", "block": "10.244.1.0/24"},
            {"name": "node3", "address": "192.168.2.12", "block": "10.244.2.0/24"},
        ],
        "pods": [
            {"name": "podA", "address": "10.244.0.5"},
            {"name": "podB", "address": "10.244.1.7"},
            {"name": "podC", "address": "10.244.2.9"},
        ],
    }
)
TOR: dict[str, Any] = {"bgp": "tor"}
ONE_AS: dict[str, Any] = {"bgp": "tor", "asn": "shared"}
REFLECTOR: dict[str, Any] = {"bgp": "route-reflector", "reflector": "tor"}
# recording, cluster, options of calico-bgp
RECORDED: dict[str, tuple[Cluster, dict[str, Any]]] = {
    "bgp-mesh": (CHAPTER, {}),
    "bgp-route-reflector": (CHAPTER, REFLECTOR),
    "bgp-reflector-without-clients": (CHAPTER, {**REFLECTOR, "rr_client": False}),
    "bgp-tor-as-per-node": (CHAPTER, TOR),
    "bgp-tor-next-hop-self": (CHAPTER, {**TOR, "next_hop_self": True}),
    "bgp-tor-one-as": (CHAPTER, ONE_AS),
    "bgp-tor-one-as-allowas-in": (CHAPTER, {**ONE_AS, "allowas_in": 1}),
    "bgp-mesh-left-on": (CHAPTER, {**ONE_AS, "keep_mesh": True}),
    "bgp-two-racks": (RACKS, {}),
    "bgp-two-racks-tor": (RACKS, TOR),
    "bgp-as-per-rack": (TWO_TORS, {**TOR, "asn": "per-rack"}),
}
each = pytest.mark.parametrize("name", RECORDED)


def cluster_of(name: str) -> Cluster:
    cluster, options = RECORDED[name]
    return cluster.with_profile("calico-bgp", **options)


def plain(routes: tuple[Route, ...]) -> list[Route]:
    return [replace(route, extra={}) for route in routes]


@each
def test_every_kernels_routes_are_predicted(name: str, record_property: Any) -> None:
    """On nodes, routers and pods the model's routes are the recorded ones, row by row, in order."""
    model, real = tables(cluster_of(name)), recording(name).tables()
    assert {host: plain(t.routes) for host, t in model.items()} == {h: plain(t.routes) for h, t in real.items()}
    record_property("rows of kernels fed by BIRD", sum(len(t.routes) for t in real.values()))


@pytest.mark.parametrize("name", ["bgp-mesh", "bgp-route-reflector", "bgp-tor-as-per-node"])
def test_routes_after_a_daemon_stopped(name: str) -> None:
    """When node3's BIRD says goodbye all others withdraw its block, and node3 keeps what it had."""
    cluster = cluster_of(name)
    gone = Learning(cluster, (Event("router_down", ("node3", "clean")),))
    real = recording(name).tables("2-node3-stopped")
    assert {host: plain(t.routes) for host, t in tables(cluster, gone).items()} == {
        host: plain(t.routes) for host, t in real.items()
    }


@pytest.mark.parametrize(("name", "learn"), [("bgp-without-direct", False), ("bgp-without-direct-learn", True)])
def test_routes_without_direct(name: str, learn: bool) -> None:
    """A BIRD that does not see its subnets leaves `unreachable` in the kernel, or goes by the default route."""
    whole = network(CHAPTER.with_profile("calico-bgp", **REFLECTOR))
    broken = apply(whole, fault("bird-without-direct", node="node1", learn=learn))
    real = recording(name).tables()
    assert {h: plain(host.tables.routes) for h, host in broken.hosts.items()} == {
        h: plain(t.routes) for h, t in real.items()
    }


def attributes(row: birdc.Route) -> Attributes:
    """What BGP carried with a route that BIRD shows."""
    given = dict(row.attributes)
    return Attributes(
        tuple(int(asn) for asn in given["BGP.as_path"].split()),
        given["BGP.next_hop"].split()[0],
        int(given["BGP.local_pref"]),
        int(given["BGP.med"]) if "BGP.med" in given else None,
        {"IGP": "igp", "EGP": "egp", "Incomplete": "incomplete"}[given["BGP.origin"]],
        given.get("BGP.originator_id"),
        tuple(given.get("BGP.cluster_list", "").split()),
    )


@each
def test_every_birds_routes_are_predicted(name: str, record_property: Any) -> None:
    """What a recorded BIRD holds is what the simulation holds: best path, from whom, and all attributes."""
    simulation, found = Learning(cluster_of(name)).simulation(), recording(name)
    compared = 0
    for output in (o for o in found.outputs() if o.startswith("birdc-") and "stopped" not in o):
        speaker = simulation.speakers[output.removeprefix("birdc-")]
        rows = [r for r in birdc.routes(found.output(output)) if ("BGP.origin" in dict(r.attributes)) and r.primary]
        ours = {prefix: d.best for prefix, d in speaker.loc_rib.items() if d.best and d.best.peer}
        assert {row.net: attributes(row) for row in rows} == {prefix: best.attributes for prefix, best in ours.items()}
        for row in rows:
            assert (
                row.protocol.endswith("_" + ours[row.net].peer.address.replace(".", "_")) or name == "bgp-as-per-rack"
            )
        compared += len(rows)
    record_property("routes of BIRDs", compared)
    assert compared >= 3


def test_every_bgp_recording_is_compared() -> None:
    """No recording of a cluster with BIRD stays without a prediction; two hold sessions and timelines instead."""
    known = {*RECORDED, "bgp-without-direct", "bgp-without-direct-learn", "bgp-session", "bgp-node-dies"}
    assert {name for name in recordings() if name.startswith("bgp-")} == known
