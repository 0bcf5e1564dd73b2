"""Routes that nodes and routers learn by BGP: who peers with whom, what the kernel gets, what failures do to it."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit.bgp.expectations import run
from coursekit.cluster.faults import apply, fault
from coursekit.cluster.journey import ping, traceroute
from coursekit.cluster.learned import Event, Learning
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Network, network, network_from_tables
from coursekit.cluster.peering import scenario
from coursekit.cluster.prints import ping_line
from coursekit.cluster.profiles import tables
from coursekit.errors import CourseError

CHAPTER = load("chapter")
RR: dict[str, Any] = {"bgp": "route-reflector"}
TOR: dict[str, Any] = {"bgp": "tor"}
ONE_AS: dict[str, Any] = {"bgp": "tor", "asn": "shared"}


def calico(cluster: Cluster = CHAPTER, **options: Any) -> Cluster:
    return cluster.with_profile("calico-bgp", **options)


def learned(cluster: Cluster, host: str, learning: Learning | None = None) -> list[str]:
    """The rows that BIRD wrote on a host, the blackholes of its own blocks left out."""
    rows = tables(cluster, learning)[host].routes
    return [str(row) for row in rows if row.protocol == "bird" and row.type != "blackhole"]


def ways(net: Network, node: str = "node1") -> list[str]:
    """Where a node of a network sends what is for 10.244.1.0/24."""
    return [str(row) for row in net.host(node).tables.routes if str(row.dst) == "10.244.1.0/24"]


def racks(count: int = 2, **options: Any) -> Cluster:
    """Racks with a ToR each, two nodes in each, and a spine segment that joins the ToRs."""
    numbers = range(1, count + 1)
    return Cluster.from_dict(
        {
            "profile": {"name": "calico-bgp", **options},
            "segments": [{"name": f"rack{r}", "subnet": f"10.1.{r}.0/24", "gateway": f"10.1.{r}.1"} for r in numbers]
            + [{"name": "spine", "subnet": "172.31.0.0/24"}],
            "routers": [{"name": f"tor{r}", "addresses": [f"10.1.{r}.1", f"172.31.0.{r}"]} for r in numbers],
            "nodes": [
                {"name": f"n{r}{i}", "address": f"10.1.{r}.{9 + i}", "block": f"10.244.{10 * r + i}.0/26"}
                for r in numbers
                for i in (1, 2)
            ],
            "pods": [{"name": f"p{r}{i}", "address": f"10.244.{10 * r + i}.5"} for r in numbers for i in (1, 2)],
        }
    )


SESSIONS = [
    ({}, 3, 0),
    (RR, 2, 0),
    ({**RR, "reflectors": 2}, 3, 0),
    ({**RR, "reflector": "tor"}, 3, 0),
    ({**RR, "keep_mesh": True}, 3, 0),
    ({**RR, "reflector": "tor", "keep_mesh": True}, 6, 0),
    (TOR, 3, 3),
    (ONE_AS, 3, 3),
    ({**TOR, "asn": "per-rack"}, 3, 0),
    ({**ONE_AS, "keep_mesh": True}, 6, 3),
]


@pytest.mark.parametrize(("options", "count", "external"), SESSIONS, ids=[str(s[0]) for s in SESSIONS])
def test_sessions_are_those_of_the_design(options: dict[str, Any], count: int, external: int) -> None:
    """Mesh, reflectors, ToR and their mixtures have the sessions that Calico configures, between one AS or two."""
    made = scenario(calico(**options))
    asn = {router.name: router.asn for router in made.routers}
    assert len(made.sessions) == count
    assert sum(asn[s.a] != asn[s.b] for s in made.sessions) == external
    assert all(result.converged and result.sessions == count for result in run(made))


@pytest.mark.parametrize("options", [{}, RR, {**RR, "reflectors": 2}, {**RR, "reflector": "tor"}, TOR,
                                     {**TOR, "asn": "per-rack"}, {**ONE_AS, "allowas_in": 1},
                                     {**ONE_AS, "as_override": True}, {**ONE_AS, "keep_mesh": True}])  # fmt: skip
def test_nodes_of_one_subnet_reach_each_other_directly(options: dict[str, Any]) -> None:
    """Whoever passes a route on, the next hop stays the node: reflector and ToR are not on the way."""
    cluster = calico(**options)
    assert learned(cluster, "node1") == [
        "10.244.1.0/24 via 192.168.1.11 dev eth0 proto bird",
        "10.244.2.0/24 via 192.168.1.12 dev eth0 proto bird",
    ]
    assert ping_line(ping(network(cluster), "podA", "podB")) == "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62"


def test_only_who_peers_with_a_router_teaches_it() -> None:
    """A router learns pods from ToR sessions and as reflector; from a mesh of nodes it learns nothing."""
    for options in ({}, RR):
        assert learned(calico(**options), "router") == []
    for options in (TOR, {**RR, "reflector": "tor"}, ONE_AS):
        assert learned(calico(**options), "router") == [
            "10.244.0.0/24 via 192.168.1.10 dev br0 proto bird metric 32",
            "10.244.1.0/24 via 192.168.1.11 dev br0 proto bird metric 32",
            "10.244.2.0/24 via 192.168.1.12 dev br0 proto bird metric 32",
        ]


def test_one_as_for_all_nodes_is_a_trap() -> None:
    """Behind an eBGP ToR nodes of one AS refuse each other's routes, and their packets take the default route."""
    cluster = calico(**ONE_AS)
    assert learned(cluster, "node1") == []
    assert [str(h.address) for h in traceroute(network(cluster), "podA", "podB")] == [
        "192.168.1.10", "192.168.1.1", "192.168.1.11", "10.244.1.7",
    ]  # fmt: skip
    held = cluster_run(cluster).speakers["node1"].decision("10.244.1.0/24")
    assert [reason for _, reason in held.lost] == ["not eligible: AS loop: own AS 64512 is in AS_PATH"]


def cluster_run(cluster: Cluster) -> Any:
    return Learning(cluster).simulation()


def test_a_mesh_left_on_sends_through_the_wrong_node() -> None:
    """The ToR hears every block from every node, and takes them all from the one with the lowest router id."""
    net = network(calico(**ONE_AS, keep_mesh=True))
    assert learned(calico(**ONE_AS, keep_mesh=True), "router") == [
        f"10.244.{block}.0/24 via 192.168.1.10 dev br0 proto bird metric 32" for block in (0, 1, 2)
    ]
    assert [str(h.address) for h in traceroute(net, "router", "podB")] == ["192.168.1.10", "192.168.1.11", "10.244.1.7"]


def test_a_router_between_needs_to_learn() -> None:
    """Across racks a mesh is Established and useless: the router drops pod packets until it peers itself."""
    across = load("two-racks")
    mesh = network(calico(across))
    assert ways(mesh, "node3") == ["10.244.1.0/24 via 192.168.2.1 dev eth0 proto bird"]
    lost = ping(mesh, "podA", "podC")
    assert (lost.outcome.kind, lost.outcome.last_seen) == ("lost", "router:br1")
    told = network(calico(across, **TOR))
    assert ping_line(ping(told, "podA", "podC")) == "64 bytes from 10.244.2.9: icmp_seq=1 ttl=61"


@pytest.mark.parametrize("options", [TOR, {**TOR, "asn": "per-rack"}, {**TOR, "next_hop_self": True},
                                     {**ONE_AS, "as_override": True}, {**RR, "reflector": "tor"}])  # fmt: skip
def test_racks_with_routers_of_their_own(options: dict[str, Any]) -> None:
    """Three racks, three ToRs: every pod reaches every other, and each node sends to its own ToR."""
    cluster = racks(3, **options)
    net = network(cluster)
    assert ping_line(ping(net, "p11", "p32")) == "64 bytes from 10.244.32.5: icmp_seq=1 ttl=60"
    rows = learned(cluster, "n11")
    assert len(rows) == 5
    assert [row.split(" via ")[1].split()[0] for row in rows[1:]] == ["10.1.1.1"] * 4
    own_rack = "10.1.1.1" if options.get("next_hop_self") else "10.1.1.11"
    assert rows[0].startswith(f"10.244.12.0/26 via {own_rack} ")
    assert learned(cluster, "tor2")[0] == "10.244.11.0/26 via 172.31.0.1 dev eth0 proto bird metric 32"


def test_as_numbers_follow_the_plan() -> None:
    """Calico's one AS, an AS per node, or an AS per rack that its ToR shares."""

    def numbers(**options: Any) -> list[int]:
        return [router.asn for router in scenario(racks(2, **options)).routers]

    assert numbers() == [64512] * 4 + [65000, 64999]
    assert numbers(**TOR) == [65001, 65002, 65003, 65004, 65000, 64999]
    assert numbers(**ONE_AS) == [64512] * 4 + [65000, 64999]
    assert numbers(**TOR, asn="per-rack") == [65101, 65101, 65102, 65102, 65101, 65102]
    assert numbers(**RR, reflector="tor") == [64512] * 6


def test_reflectors_that_are_nodes_share_a_cluster_id() -> None:
    """Two reflecting nodes have Calico's one cluster id, clients both copies; a ToR has its own address as id."""
    made = scenario(calico(**RR, reflectors=2))
    assert [r.cluster_id for r in made.routers] == ["244.0.0.1", "244.0.0.1", "192.168.1.12", "192.168.1.1"]
    assert scenario(calico(**RR, reflector="tor")).routers[-1].cluster_id == "192.168.1.1"


def test_two_equal_ways_become_one_multipath_route() -> None:
    """Two ToRs in a rack offer the same route: BIRD merges them, as `merge paths on` asks."""
    data: dict[str, Any] = {
        "profile": {"name": "calico-bgp", "bgp": "tor"},
        "segments": [
            {"name": "rack1", "subnet": "10.1.1.0/24", "gateway": "10.1.1.1"},
            {"name": "rack2", "subnet": "10.1.2.0/24", "gateway": "10.1.2.1"},
        ],
        "routers": [
            {"name": "torA", "addresses": ["10.1.1.1", "10.1.2.1"]},
            {"name": "torB", "addresses": ["10.1.1.2", "10.1.2.2"]},
        ],
        "nodes": [
            {"name": "a", "address": "10.1.1.10", "block": "10.244.1.0/26"},
            {"name": "b", "address": "10.1.2.10", "block": "10.244.2.0/26"},
        ],
    }
    row = next(r for r in tables(Cluster.from_dict(data))["a"].routes if r.nexthops)
    assert (str(row.dst), [str(leg.via) for leg in row.nexthops]) == ("10.244.2.0/26", ["10.1.1.1", "10.1.1.2"])


def test_ipip_takes_the_bgp_next_hop_as_outer_destination() -> None:
    """tunl0's gateway is the next hop that BGP gave: the node, or a ToR that names itself and cannot unwrap."""
    good = CHAPTER.with_profile("calico-ipip", bgp="tor")
    assert learned(good, "node1")[0] == "10.244.1.0/24 via 192.168.1.11 dev tunl0 proto bird onlink"
    bad = CHAPTER.with_profile("calico-ipip", bgp="tor", next_hop_self=True)
    assert learned(bad, "node1")[0] == "10.244.1.0/24 via 192.168.1.1 dev tunl0 proto bird onlink"
    assert ping(network(bad), "podA", "podB").outcome.kind == "lost"


def test_felix_does_not_ask_bgp() -> None:
    """Since 3.33 IPIP's routes are Felix's: no peering, no BGP fault, and the same rows whatever `bgp` says."""
    new = CHAPTER.with_profile("calico-ipip", version="3.33", bgp="tor", asn="shared")
    assert "10.244.1.0/24 via 192.168.1.11 dev tunl0 proto 80 onlink mtu 1480" in map(str, tables(new)["node1"].routes)
    with pytest.raises(CourseError, match=r"since 3\.33 Felix writes"):
        scenario(new)
    with pytest.raises(CourseError, match="Profile host-gw learns no routes by BGP"):
        scenario(CHAPTER.with_profile("host-gw"))


# ---- failures ------------------------------------------------------------------------------------------------------


def test_a_lost_session_takes_its_routes_along() -> None:
    """In a mesh two nodes lose each other; with a single reflector or ToR a node loses everybody."""
    net = network(calico())
    broken = apply(net, "session-lost", node="node1", peer="node2")
    assert (ways(broken), len(ways(broken, "node3"))) == ([], 1)
    alone = apply(network(calico(**TOR)), "session-lost")
    assert [r for r in alone.host("node1").tables.routes if r.protocol == "bird" and r.type == "unicast"] == []
    assert learned(calico(**TOR), "node1") != []


DEATHS = [
    ({}, 1, "From 192.168.1.10 icmp_seq=1 Destination Host Unreachable"),
    ({"waited": 239}, 1, "From 192.168.1.10 icmp_seq=1 Destination Host Unreachable"),
    ({"waited": 240}, 0, ""),
    ({"death": "clean"}, 0, ""),
    ({"death": "killed"}, 1, "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62"),
    ({"death": "killed", "waited": 119}, 1, "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62"),
    ({"death": "killed", "waited": 120}, 0, ""),
]


@pytest.mark.parametrize(("options", "rows", "line"), DEATHS, ids=[str(d[0]) for d in DEATHS])
def test_a_dead_node_is_noticed_sooner_or_later(options: dict[str, Any], rows: int, line: str) -> None:
    """A pulled cable shows after the hold time, a goodbye at once, a killed BIRD after its restart time."""
    broken = apply(network(calico()), "node-down", **options)
    assert len(ways(broken)) == rows
    assert ping_line(ping(broken, "podA", "podB")) == line


def test_one_fault_ends_no_other_ones_waiting() -> None:
    """A session that falls while a dead node is still believed alive does not let its hold time pass."""
    net = apply(network(calico()), fault("node-down", node="node3"), fault("session-lost", node="node1", peer="node2"))
    assert [str(r.dst) for r in net.host("node1").tables.routes if r.protocol == "bird"] == [
        "10.244.0.0/24", "10.244.2.0/24",
    ]  # fmt: skip


def test_what_else_is_broken_stays_broken() -> None:
    """Learning anew brings back no row that another fault took, and none over a device that is down."""
    net = apply(network(calico()), fault("missing-route", node="node1", peer="node3"), fault("session-lost"))
    assert [str(r) for r in net.host("node1").tables.routes if r.protocol == "bird"] == [
        "blackhole 10.244.0.0/24 proto bird"
    ]
    dead = apply(network(calico(**ONE_AS)), fault("node-down", node="node1", death="clean"), fault("mesh-left-on"))
    assert [r for r in dead.host("node1").tables.routes if r.dev == "eth0"] == []


def test_a_profile_fault_keeps_what_happened_before() -> None:
    """A node that is dead stays dead when the peering is changed; a session that is no more is not missed."""
    net = apply(network(calico()), fault("node-down", death="clean"), fault("nodes-in-one-as"))
    assert [str(r.dst) for r in net.host("router").tables.routes if r.protocol == "bird"] == [
        "10.244.0.0/24", "10.244.2.0/24",
    ]  # fmt: skip
    again = apply(network(calico()), fault("session-lost"), fault("nodes-in-one-as"))
    assert len([r for r in again.host("router").tables.routes if r.protocol == "bird"]) == 3


def test_bgp_faults_are_the_options_by_another_name() -> None:
    """Each wrong peering as a fault gives the tables of the cluster that is configured so."""
    for name, options in (
        ("mesh-left-on", {**ONE_AS, "keep_mesh": True}),
        ("nodes-in-one-as", ONE_AS),
        ("no-rr-client", {**RR, "reflector": "tor", "rr_client": False}),
    ):
        broken, meant = apply(network(calico(**TOR)), name), network(calico(**options))
        assert {h: host.tables.routes for h, host in broken.hosts.items()} == {
            h: host.tables.routes for h, host in meant.hosts.items()
        }


def test_next_hops_are_resolved_without_bgp() -> None:
    """Without `protocol direct` BIRD goes by a learned default route; without both the kernel gets `unreachable`."""
    net = network(calico())
    blind = apply(net, "bird-without-direct")
    assert ways(blind) == ["unreachable 10.244.1.0/24 proto bird"]
    assert ping_line(ping(blind, "podA", "podB")) == "From 192.168.1.10 icmp_seq=1 Destination Host Unreachable"
    round_about = apply(net, "bird-without-direct", learn=True)
    assert ways(round_about) == ["10.244.1.0/24 via 192.168.1.1 dev eth0 proto bird"]
    nowhere = apply(round_about, "no-default-route")
    assert ways(nowhere) == ["unreachable 10.244.1.0/24 proto bird"]
    assert ping_line(ping(nowhere, "node1", "podB")) == "ping: connect: No route to host"
    across = apply(network(calico(load("two-racks"))), "no-default-route", node="node1")
    assert [str(r) for r in across.host("node1").tables.routes if str(r.dst) == "10.244.2.0/24"] == [
        "unreachable 10.244.2.0/24 proto bird"
    ]


def test_a_daemon_that_stops_leaves_its_routes() -> None:
    """With `persist` a BIRD that went down leaves the kernel's table as it was, while its peers withdraw."""
    cluster = calico()
    gone = Learning(cluster, (Event("router_down", ("node3", "clean")),))
    assert learned(cluster, "node3", gone) == learned(cluster, "node3")
    assert learned(cluster, "node1", gone) == learned(cluster, "node1")[:1]


REFUSED = [
    ({"keep_mesh": True}, "profile.keep_mesh: it does nothing with bgp = 'mesh'; it goes with route-reflector or tor"),
    ({"bgp": "route-reflector", "asn": "shared"}, "profile.asn: it does nothing with bgp = 'route-reflector'"),
    ({"bgp": "tor", "reflectors": 2}, "profile.reflectors: it does nothing with bgp = 'tor'"),
    ({"bgp": "tor", "asn": "per-host"}, "'per-host' was given"),
    ({"bgp": "tor", "allowas_in": 11}, "11 is outside 0 to 10"),
    ({"bgp": "route-reflector", "reflectors": 4}, "4 nodes cannot reflect among 3"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED, ids=[str(r[0]) for r in REFUSED])
def test_options_that_do_nothing_are_refused(options: dict[str, Any], sentence: str) -> None:
    """An option that means nothing with the chosen peering, or cannot be, gets a sentence."""
    with pytest.raises(CourseError) as caught:
        calico(**options)
    assert sentence in str(caught.value)


def test_peerings_that_cannot_be_are_refused() -> None:
    """A ToR needs a router, and an AS per rack a router per rack."""
    with pytest.raises(CourseError, match="router is in rack1 and rack2"):
        calico(load("two-racks"), bgp="tor", asn="per-rack")
    data = {
        "segments": [{"name": "lan", "subnet": "10.0.0.0/24"}],
        "nodes": [{"name": "a", "address": "10.0.0.1", "block": "10.244.0.0/24"}],
    }
    lonely = Cluster.from_dict(data)
    with pytest.raises(CourseError, match="no router to peer with"):
        calico(lonely, bgp="tor")
    with pytest.raises(CourseError, match="no router that could be a ToR"):
        apply(network(calico(lonely)), "mesh-left-on")


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "session-lost",
            {"node": "node1", "peer": "router"},
            "node1 has no BGP session with router; it has with node2",
        ),
        ("session-lost", {"node": "node1", "peer": "node1"}, "no BGP session with node1"),
        ("session-lost", {"node": "podA"}, "'podA' is no node"),
        ("node-down", {"death": "slow"}, "death is one of cable, clean, killed; 'slow'"),
        ("node-down", {"waited": -1}, "a number of seconds from 0; -1"),
        ("node-down", {"waited": True}, "True was given"),
    ],
)
def test_bgp_faults_that_cannot_be_are_refused(name: str, options: dict[str, Any], sentence: str) -> None:
    """Sessions, deaths and times that are none get a sentence."""
    with pytest.raises(CourseError, match=sentence):
        apply(network(calico()), name, **options)


def test_recorded_tables_do_not_tell_who_peers() -> None:
    """Where only tables are known, a BGP fault is refused; so is killing a BIRD that a cluster has not."""
    bare = network_from_tables(tables(calico()))
    with pytest.raises(CourseError, match="Nothing in this network learns routes by BGP"):
        apply(bare, "session-lost")
    with pytest.raises(CourseError, match="Nothing in this network learns routes by BGP"):
        apply(network(CHAPTER.with_profile("host-gw")), "node-down", death="killed")
