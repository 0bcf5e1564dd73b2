"""BIRD in the lab: real daemons write the routes that the model predicts, before and after they are broken."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from coursekit import lab
from coursekit.cluster.faults import Fault, apply, fault
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Network, network
from coursekit.errors import CourseError
from coursekit.lab.birds import undated

pytestmark = [pytest.mark.namespaces, pytest.mark.tool("bird")]


def routes(found: Network) -> dict[str, list[str]]:
    """Every host's table main, as `ip route` prints it."""
    return {name: [str(row) for row in host.tables.routes] for name, host in found.hosts.items()}


TWO_TORS = Cluster.from_dict(
    {
        "segments": [{"name": "lan", "subnet": "192.168.1.0/24", "gateway": "192.168.1.1"}],
        "routers": [{"name": f"tor{i}", "addresses": [f"192.168.1.{i}"]} for i in (1, 2)],
        "nodes": [{"name": f"node{i}", "address": f"192.168.1.1{i}", "block": f"10.244.{i}.0/24"} for i in (1, 2)],
        "pods": [{"name": f"pod{i}", "address": f"10.244.{i}.5"} for i in (1, 2)],
    }
)
CASES: list[tuple[str, dict[str, Any], list[tuple[str, dict[str, Any]]]]] = [
    ("chapter", {}, [("session-lost", {}), ("missing-route", {}), ("node-down", {"death": "killed"})]),
    ("two-racks", {"bgp": "tor"}, [("nodes-in-one-as", {}), ("node-down", {"death": "clean"})]),
    ("chapter", {"bgp": "route-reflector"}, [("bird-without-direct", {}), ("node-down", {"waited": 300})]),
    ("chapter", {"bgp": "tor", "asn": "shared", "as_override": True, "next_hop_self": True, "version": "3.33"}, []),
    ("two ToRs", {"bgp": "tor", "next_hop_self": True}, []),
    ("chapter", {"bgp": "tor", "asn": "shared", "allowas_in": 1, "keep_mesh": True}, [("no-rr-client", {})]),
]


# Tables alone: a BIRD that speaks to nobody sends its segments again, and asks for MACs, when no model can say.
TOGETHER = [
    ("calico-bgp", fault("node-down", node="node2"), fault("session-lost", node="node1", peer="node2")),
    ("calico-bgp", fault("node-down", node="node1"), fault("session-lost", node="node2", peer="node1")),
    ("calico-bgp", fault("node-down"), fault("no-rr-client")),
    ("calico-bgp", fault("node-down"), fault("bird-without-direct", node="node2")),
    ("calico-bgp", fault("node-down", death="killed"), fault("no-rr-client"),
     fault("bird-without-direct", node="node2")),
    ("calico-ipip", fault("node-down"), fault("bird-without-direct")),
]


def broken_and_mended(name: str, options: dict[str, Any], breaks: Any) -> int:
    """Run a case; return how many states of all kernels' routes were as predicted."""
    cluster = (TWO_TORS if name == "two ToRs" else load(name)).with_profile("calico-bgp", **options)
    sound = network(cluster)
    with lab.up(cluster) as net:
        assert routes(net.network()) == routes(sound)
        for broken, how in breaks:
            net.break_(broken, **how)
            assert routes(net.network()) == routes(apply(sound, broken, **how)), broken
            net.repair()
            assert routes(net.network()) == routes(sound), f"{broken}, mended"
    return 1 + 2 * len(breaks)


def broken_together(profile: str, *faults: Fault) -> None:
    """Break one thing after another; mend all."""
    sound = network(load("chapter").with_profile(profile))
    with lab.up("chapter", profile) as net:
        for one in faults:
            net.break_(one)
        assert routes(net.network()) == routes(apply(sound, *faults))
        net.repair()
        assert routes(net.network()) == routes(sound)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[list[Future[int]], list[Future[None]]]]:
    """All labs of this module, four at a time: what they do most is wait for BIRD's timers."""
    with ThreadPoolExecutor(4) as pool:
        yield [pool.submit(broken_and_mended, *c) for c in CASES], [pool.submit(broken_together, *p) for p in TOGETHER]
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_birds_write_what_the_model_predicts(case: int, running: Any, record_property: Any) -> None:
    """Every row of every kernel is the predicted one, in order: at first, under each fault, and mended again."""
    record_property("states of all kernels' routes", running[0][case].result())


@pytest.mark.parametrize("case", range(len(TOGETHER)))
def test_what_happens_after_a_node_is_gone(case: int, running: Any) -> None:
    """It believes in sessions that others drop, new ones with it never come up, and a dead BIRD reads no file."""
    running[1][case].result()


def test_pods_speak_over_routes_that_bird_wrote() -> None:
    """A ping goes plainly from node to node, and birdc shows the sessions."""
    with lab.up("lab", "calico-bgp") as net:
        assert net.ping("podA", "podB").journey.answered
        assert "Established" in net.birdc("node1")
        assert "10.244.1.0/24" in net.birdc("node1", "show route")
        with pytest.raises(CourseError, match=r"No BIRD runs on router; they run on node1, node2\."):
            net.birdc("router")
    with lab.up("lab") as net, pytest.raises(CourseError, match="profile flannel-vxlan learns no routes by BGP"):
        net.birdc("node1")


def test_the_clock_of_birds_is_no_change() -> None:
    """BIRD may print when a route came a millisecond apart each time; tables are at rest all the same."""
    line = "10.244.4.0/24  unicast [Peer_192_168_1_4 18:30:41.22{} from 192.168.1.4] * (100) [i]\n\tvia 192.168.1.4"
    one, other = undated([line.format(1)]), undated([line.format(2)])
    assert one == other
    assert "Peer_192_168_1_4 " in one[0]
    assert undated([line.replace("via 192.168.1.4", "via 192.168.1.5").format(1)]) != one
