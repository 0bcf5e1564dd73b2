"""The two axes: where a mode lies is read from its tables, and agrees with what its packets look like."""

from __future__ import annotations

import pytest

from coursekit import CourseError, load_cluster, network, ping
from coursekit.cluster.modes import CALICO, COMPUTED, MODES, Trial, grid, trial
from coursekit.cluster.watch import captures
from coursekit.packets.layout import dissect

LAYERS = {"plain": [], "VXLAN": ["udp", "vxlan"], "IPIP": ["ip"]}


@pytest.mark.parametrize("name", MODES)
def test_carried_is_what_the_wire_shows(name: str) -> None:
    """Near and far, the frame at node1:eth0 has the headers that the tables announce."""
    tried = trial(name)
    for peer in "node2", "node3":
        frame = captures(tried.journeys[peer])["node1:eth0"][1].data
        inside = [layer.key for layer in dissect(frame).layers[2:]]
        expected = LAYERS[tried.carried(peer)]
        assert inside[: len(expected)] == expected
        assert expected or inside[0] == "icmp"


def test_the_grid() -> None:
    """Every mode lies in one cell; CrossSubnet and DirectRouting between plain and wrapped."""
    cells = grid()

    assert sorted(name for names in cells.values() for name in names) == sorted(MODES)
    assert cells["flannel's watch", "plain near, VXLAN far"] == ["flannel-vxlan DirectRouting"]
    assert cells["Felix", "plain near, VXLAN far"] == ["calico-vxlan CrossSubnet"]
    assert cells["BGP", "plain near, IPIP far"] == ["calico-ipip CrossSubnet"]
    assert cells["BGP", "IPIP"] == ["calico-ipip"]
    assert cells["routers' own routes", "plain"] == ["route table"]
    assert {name for (who, _), names in cells.items() if who == "BGP" for name in names} >= {
        "calico-bgp mesh", "calico-bgp route-reflector", "calico-bgp tor",
    }  # fmt: skip


def test_on_one_subnet_nothing_is_far() -> None:
    """Where all nodes share a subnet, CrossSubnet is plain, and every mode delivers."""
    assert ("Felix", "plain near, VXLAN far") not in grid("chapter")
    assert "calico-vxlan CrossSubnet" in grid("chapter")["Felix", "plain"]
    assert [name for name in MODES if trial(name, "chapter").failed] == []


def test_who_needs_the_router() -> None:
    """Across a router three plain modes fail; two live because the router holds a row per block; the rest need none."""
    failed = {name for name in MODES if trial(name).failed}
    helped = {name: len(trial(name).router_rows) for name in MODES if trial(name).router_rows}

    assert failed == {"host-gw", "calico-bgp mesh", "calico-bgp route-reflector"}
    assert helped == {"calico-bgp tor": 3, "route table": 3}


def test_lost_mtu() -> None:
    """What a mode takes from the pods' MTU is the envelope, whether every packet is wrapped or some."""
    lost = {name: trial(name).lost_mtu for name in MODES}

    assert {name for name, size in lost.items() if size == 50} == {name for name in MODES if "vxlan" in name}
    assert {name for name, size in lost.items() if size == 20} == {name for name in MODES if "ipip" in name}


def test_the_version_is_named() -> None:
    """Calico's modes are those of the version that COMPUTED names; flannel's do not depend on it."""
    versions = {name: trial(name).cluster.profile.version for name in MODES if name.startswith("calico")}

    assert set(versions.values()) == {CALICO}
    assert COMPUTED.endswith(f" Calico {CALICO}")
    felix = load_cluster("two-racks").with_profile("calico-ipip", version="3.33")
    assert trial("calico-ipip").learned == "BGP"
    assert Trial(MODES["calico-ipip"], felix).learned == "Felix"


def test_other_clusters_and_names() -> None:
    """Any cluster may be tried, given or by name; an unknown mode is told, with all that there are."""
    assert trial("calico-ipip", load_cluster("minikube-calico")).learned == "BGP"
    assert MODES["host-gw"].on("minikube-calico") == MODES["host-gw"].on(load_cluster("minikube-calico"))
    with pytest.raises(CourseError, match=r"A cluster is a Cluster, the path of .*; 3 was given"):
        trial("calico-ipip", 3)  # type: ignore[arg-type]
    for ask in (trial, MODES.__getitem__):
        with pytest.raises(CourseError, match="no mode 'vxlan'; choose one of host-gw, flannel-vxlan"):
            ask("vxlan")
    with pytest.raises(CourseError, match="no capture point 'node1:eth9'; choose one of podA:eth0, node1:"):
        captures(ping(network(load_cluster("lab")), "podA", "podB"))["node1:eth9"]
