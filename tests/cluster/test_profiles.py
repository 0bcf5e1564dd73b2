"""What the profiles fill in equals what a real kernel showed, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coursekit.cluster.calico import veth_name
from coursekit.cluster.iproute2 import format_routes, parse_state_json
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.profiles import tables
from coursekit.cluster.tables import HostTables, Link, Route
from coursekit.cluster.underlay import device_name
from coursekit.paths import data_dir

# recording, bundled cluster, profile, options
RECORDED = [
    ("flannel-vxlan", "lab", "flannel-vxlan", {}),
    ("flannel-vxlan-6.1", "lab", "flannel-vxlan", {}),
    ("vxlan-4789", "lab", "flannel-vxlan", {"port": 4789}),
    ("vxlan-zero-checksum", "lab", "flannel-vxlan", {"udp_checksum": False}),
    ("vxlan-two-racks", "two-racks", "flannel-vxlan", {}),
    ("calico-ipip", "lab", "calico-ipip", {}),
    ("ipip-two-racks", "two-racks", "calico-ipip", {"cross_subnet": True}),
    ("no-overlay", "lab", "none", {}),
    ("static-routes", "lab", "none", {"router_routes": True}),
    # recorded without a tunnel device, so it is what host-gw makes; DirectRouting's routes are compared below
    ("flannel-direct-routing", "lab", "host-gw", {}),
]


def recorded(name: str) -> dict[str, HostTables]:
    return parse_state_json((data_dir() / "recordings" / name / "state.json").read_text())


def plain(routes: tuple[Route, ...]) -> list[Route]:
    return [replace(route, extra={}) for route in routes]


def devices(host: HostTables) -> dict[str, tuple[Any, ...]]:
    """A device without what a kernel draws at random: index, the MAC of a veth's host end, timers."""

    def mac(link: Link) -> str | None:
        return None if link.kind == "veth" and not link.name.startswith(("eth", "cali")) else link.mac

    wanted = [link for link in host.links if link.up]  # the module's tunl0 is there, but down, in every namespace
    return {
        link.name: (
            link.mtu,
            link.kind,
            mac(link),
            link.flags,
            link.master,
            dict(link.info) if link.kind == "vxlan" else None,
            [link.extra.get(key) for key in ("link_type", "operstate", "broadcast", "qdisc")],
        )
        for link in wanted
    }


@pytest.mark.parametrize(("recording", "cluster", "profile", "options"), RECORDED, ids=[r[0] for r in RECORDED])
def test_tables_equal_the_recording(
    recording: str, cluster: str, profile: str, options: dict[str, Any], record_property: Any
) -> None:
    """Routes, local routes, addresses, devices, permanent neighbours and tunnel FDB equal the recorded host's."""
    model, real = tables(load(cluster).with_profile(profile, **options)), recorded(recording)
    assert set(model) == set(real)
    rows = 0
    for host, mine in model.items():
        theirs = real[host]
        assert plain(mine.routes) == plain(theirs.routes)
        assert plain(mine.local_routes) == plain(theirs.local_routes)
        assert sorted(map(str, mine.addresses)) == sorted(map(str, theirs.addresses))
        assert devices(mine) == devices(theirs)
        permanent = [n for n in theirs.neighbours if n.state == "PERMANENT"]
        assert sorted(mine.neighbours, key=str) == sorted(permanent, key=str)
        tunnel = [f for f in theirs.fdb if f.dst is not None]
        assert sorted((f for f in mine.fdb if f.dst is not None), key=str) == sorted(tunnel, key=str)
        rows += len(mine.routes) + len(mine.local_routes) + len(mine.addresses) + len(devices(mine))
        rows += len(permanent) + len(tunnel)
    assert rows > 40
    record_property("rows compared", rows)
    print(f"{recording}: {rows} rows compared")


def test_ipip_device_equals_the_recording() -> None:
    """tunl0 inherits the TTL, takes any address, and does no path MTU discovery of its own."""
    model, real = tables(load("lab").with_profile("calico-ipip")), recorded("calico-ipip")
    for host in ("node1", "node2"):
        mine, theirs = model[host].link("tunl0"), real[host].link("tunl0")
        assert mine is not None
        assert theirs is not None
        assert dict(mine.info) == {key: theirs.info[key] for key in mine.info}


def test_direct_routing_keeps_the_device_and_skips_it() -> None:
    """With DirectRouting a peer in the subnet gets a plain route, no neighbour and no FDB entry; others the tunnel."""
    cluster = load("two-racks").with_profile("flannel-vxlan", direct_routing=True)
    node1 = tables(cluster)["node1"]
    assert format_routes(node1.routes) == (
        "default via 192.168.1.1 dev eth0 \n"
        "10.244.0.0/24 dev cni0 proto kernel scope link src 10.244.0.1 \n"
        "10.244.1.0/24 via 192.168.1.11 dev eth0 \n"
        "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink \n"
        "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10 \n"
    )
    assert [str(n) for n in node1.neighbours] == ["10.244.2.0 dev flannel.1 lladdr 02:00:0a:f4:02:00 PERMANENT"]
    assert [str(f) for f in node1.fdb if f.dst] == ["02:00:0a:f4:02:00 dev flannel.1 dst 192.168.2.12 self permanent"]
    direct = {r.dst: r for r in recorded("flannel-direct-routing")["node1"].routes}
    assert node1.routes[2] == direct[node1.routes[2].dst]


def test_host_gw_needs_one_subnet() -> None:
    """host-gw has no route to a node behind a router: the kernel refuses a gateway that is no neighbour."""
    node1 = tables(load("two-racks").with_profile("host-gw"))["node1"]
    assert [str(r.dst) for r in node1.routes] == ["0.0.0.0/0", "10.244.0.0/24", "10.244.1.0/24", "192.168.1.0/24"]


def test_calico_vxlan_as_felix_programs_it() -> None:
    """Calico's VXLAN: a /26 each, MACs from the node's name, blackhole by Felix, routes that carry the MTU."""
    cluster = load("chapter")
    nodes = tuple(replace(node, blocks=(next(node.blocks[0].subnets(new_prefix=26)),)) for node in cluster.nodes[:2])
    two = replace(cluster, nodes=nodes, pods=cluster.pods[:2]).with_profile("calico-vxlan")
    node1 = tables(two)["node1"]
    assert format_routes(node1.routes) == (
        "default via 192.168.1.1 dev eth0 \n"
        "blackhole 10.244.0.0/26 proto 80 \n"
        "10.244.0.5 dev calipodA scope link \n"
        "10.244.1.0/26 via 10.244.1.0 dev vxlan.calico onlink mtu 1450 \n"
        "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10 \n"
    )
    assert [str(n) for n in node1.neighbours] == ["10.244.1.0 dev vxlan.calico lladdr 66:2d:bf:44:a6:8b PERMANENT"]
    assert [str(f) for f in node1.fdb] == ["66:2d:bf:44:a6:8b dev vxlan.calico dst 192.168.1.11 self permanent"]
    device = node1.link("vxlan.calico")
    assert device is not None
    assert (device.mac, device.mtu, device.info["id"], device.info["port"]) == ("66:f9:37:c3:7e:94", 1450, 4096, 4789)


def test_minikube_as_documented() -> None:
    """minikube-calico.toml gives the table that a node of `minikube start --cni=calico` shows."""
    cluster = load("minikube-calico")
    found = tables(cluster)
    assert format_routes(found["minikube"].routes) == (
        "default via 192.168.49.1 dev eth0 \n"
        "blackhole 10.244.120.64/26 proto bird \n"
        "10.244.120.66 dev cali3f3fb1f55c9 scope link \n"
        "10.244.205.192/26 via 192.168.49.3 dev tunl0 proto bird onlink \n"
        "192.168.49.0/24 dev eth0 proto kernel scope link src 192.168.49.2 \n"
    )
    assert next(str(a) for a in found["minikube"].addresses if a.dev == "tunl0").startswith("inet 10.244.120.64/32")
    assert not found["minikube"].fdb
    assert not found["minikube"].neighbours


VERSIONS = [
    (
        "3.31",
        "10.244.205.192/26 via 192.168.49.3 dev tunl0 proto bird onlink",
        "10.244.120.66 dev cali3f3fb1f55c9 scope link",
    ),
    (
        "3.32",
        "10.244.205.192/26 via 192.168.49.3 dev tunl0 proto bird metric 1024 onlink",
        "10.244.120.66 dev cali3f3fb1f55c9 scope link metric 1024",
    ),
    (
        "3.33",
        "10.244.205.192/26 via 192.168.49.3 dev tunl0 proto 80 onlink mtu 1480",
        "10.244.120.66 dev cali3f3fb1f55c9 scope link metric 1024",
    ),
]


@pytest.mark.parametrize(("version", "remote", "local"), VERSIONS)
def test_calico_versions_print_differently(version: str, remote: str, local: str) -> None:
    """Since 3.32 BIRD's routes carry a metric; since 3.33 Felix owns IPIP routes."""
    rows = tables(load("minikube-calico").with_profile("calico-ipip", version=version))["minikube"].routes
    assert {remote, local} <= {str(row) for row in rows}


def test_calico_bgp_without_and_with_the_tor() -> None:
    """Without encapsulation a node sends to its peer, or to the router; only a ToR session teaches the router pods."""
    mesh = tables(load("two-racks").with_profile("calico-bgp"))
    assert [str(r) for r in mesh["node1"].routes if r.protocol == "bird"] == [
        "blackhole 10.244.0.0/24 proto bird",
        "10.244.1.0/24 via 192.168.1.11 dev eth0 proto bird",
        "10.244.2.0/24 via 192.168.1.1 dev eth0 proto bird",
    ]
    assert not [r for r in mesh["router"].routes if r.protocol == "bird"]
    tor = tables(load("two-racks").with_profile("calico-bgp", bgp="tor"))
    assert [str(r) for r in tor["router"].routes if r.protocol == "bird"] == [
        "10.244.0.0/24 via 192.168.1.10 dev br1 proto bird metric 32",
        "10.244.1.0/24 via 192.168.1.11 dev br1 proto bird metric 32",
        "10.244.2.0/24 via 192.168.2.12 dev br2 proto bird metric 32",
    ]


@pytest.mark.parametrize(
    ("cluster", "profile", "under", "tunnel", "pod"),
    [
        ("lab", "flannel-vxlan", 1500, 1450, 1450),
        ("lab", "calico-vxlan", 9000, 8950, 8950),
        ("lab", "calico-ipip", 1460, 1440, 1440),
        ("lab", "calico-bgp", 1400, None, 1400),
        ("lab", "host-gw", 1500, None, 1500),
        ("ipv6-underlay", "flannel-vxlan", 1500, 1430, 1430),
        ("ipv6-underlay", "calico-vxlan", 9000, 8930, 8930),
    ],
)
def test_mtus_come_from_the_layers(cluster: str, profile: str, under: int, tunnel: int | None, pod: int) -> None:
    """The tunnel and the pods get the underlay's MTU less what is put around a packet."""
    given = load(cluster)
    given = replace(given, segments=tuple(replace(s, mtu=under) for s in given.segments)).with_profile(profile)
    found = tables(given)
    device = given.profile.device
    assert (found["node1"].link(device).mtu if device else None) == tunnel  # type: ignore[union-attr]
    ends = [found["podA"].link("eth0"), *(link for link in found["node1"].links if link.peer == "podA:eth0")]
    assert [link.mtu for link in ends if link] == [pod, pod]
    assert {link.mtu for link in found["router"].links if link.name != "lo"} == {under}


def test_mtu_overrides_reach_their_devices() -> None:
    """MTUs given in the file win, each at its own place: node, switch port, tunnel, pods, one pod."""
    cluster = load("lab")
    node1 = replace(cluster.nodes[0], mtu=1600, port_mtu=1400, tunnel_mtu=1300)
    pod_a = replace(cluster.pods[0], mtu=1200)
    varied = replace(cluster, nodes=(node1, cluster.nodes[1]), pods=(pod_a, cluster.pods[1]), pod_mtu=1250)
    found = tables(varied)
    sizes = {(h, link.name): link.mtu for h, t in found.items() for link in t.links}
    assert [sizes["node1", d] for d in ("eth0", "flannel.1", "cni0", "vethpodA")] == [1600, 1300, 1250, 1200]
    assert [sizes["podA", "eth0"], sizes["podB", "eth0"], sizes["router", "sw1"], sizes["router", "sw2"]] == [
        1200, 1250, 1400, 1500,
    ]  # fmt: skip


def test_ipv6_underlay_tables() -> None:
    """VXLAN over IPv6: the device has an IPv6 local address, the FDB an IPv6 remote, pods keep IPv4."""
    node1 = tables(load("ipv6-underlay"))["node1"]
    device = node1.link("flannel.1")
    assert device is not None
    assert (device.info["local6"], "local" in device.info) == ("fd00:1::10", False)
    assert [str(f) for f in node1.fdb if f.dst] == ["02:00:0a:f4:01:00 dev flannel.1 dst fd00:1::11 self permanent"]
    assert [str(r) for r in node1.routes if r.dst.version == 6] == [
        "fd00:1::/64 dev eth0 proto kernel metric 256 pref medium",
        "default via fd00:1::1 dev eth0 metric 1024 pref medium",
    ]


def test_every_cable_has_two_ends() -> None:
    """Each veth names its peer, the peer names it back, and `@if` shows the peer's index."""
    for name, profile in (("two-racks", "calico-ipip"), ("chapter", "flannel-vxlan"), ("ipv6-underlay", "none")):
        found = tables(load(name).with_profile(profile))
        ends = {f"{host}:{link.name}": link for host, t in found.items() for link in t.links if link.peer}
        assert ends
        for end, link in ends.items():
            assert link.peer is not None
            other = ends[link.peer]
            assert other.peer == end
            assert link.extra["link_index"] == other.ifindex


def two_tors() -> Cluster:
    """Two racks with a top-of-rack router each and a spine segment between them."""
    return Cluster.from_dict(
        {
            "profile": {"name": "calico-bgp", "bgp": "tor"},
            "segments": [
                {"name": "r1", "subnet": "10.1.1.0/24", "gateway": "10.1.1.1"},
                {"name": "r2", "subnet": "10.1.2.0/24", "gateway": "10.1.2.1"},
                {"name": "spine", "subnet": "172.31.0.0/30"},
            ],
            "routers": [
                {"name": "tor1", "addresses": ["10.1.1.1", "172.31.0.1"]},
                {
                    "name": "tor2",
                    "addresses": ["10.1.2.1", "172.31.0.2"],
                    "uplink": "203.0.113.2/30",
                    "default_gateway": "203.0.113.1",
                },
            ],
            "nodes": [
                {"name": "a", "address": "10.1.1.10", "block": "10.244.3.0/26"},
                {"name": "b", "address": "10.1.2.10", "blocks": ["10.244.3.64/26", "10.244.9.0/26"]},
            ],
        }
    )


def test_routers_reach_racks_behind_other_routers() -> None:
    """A router has routes to far segments and, with ToR peering, to far blocks, through the next router."""
    found = tables(two_tors())
    assert [str(r) for r in found["tor1"].routes] == [
        "10.1.1.0/24 dev br1 proto kernel scope link src 10.1.1.1",
        "10.1.2.0/24 via 172.31.0.2 dev br3",
        "10.244.3.0/26 via 10.1.1.10 dev br1 proto bird metric 32",
        "10.244.3.64/26 via 172.31.0.2 dev br3 proto bird metric 32",
        "10.244.9.0/26 via 172.31.0.2 dev br3 proto bird metric 32",
        "172.31.0.0/30 dev br3 proto kernel scope link src 172.31.0.1",
    ]
    assert str(found["tor2"].routes[0]) == "default via 203.0.113.1 dev wan0"
    assert "10.1.1.0/24 via 172.31.0.1 dev eth0" in [str(r) for r in found["tor2"].routes]
    assert [str(r) for r in found["b"].routes if r.type == "blackhole"] == [
        "blackhole 10.244.3.64/26 proto bird",
        "blackhole 10.244.9.0/26 proto bird",
    ]


def test_long_pod_names_fit_a_device_name() -> None:
    """A veth is called after its pod; where 15 characters are not enough, after a hash, in Calico the one it takes."""
    cluster = load("lab")
    named = replace(cluster, pods=(replace(cluster.pods[0], name="coredns-5dd5756b68-x2x9k"), cluster.pods[1]))
    for profile, port in (("flannel-vxlan", "veth606fcb56262"), ("calico-ipip", "cali2ccc99ef957")):
        assert port in [link.name for link in tables(named.with_profile(profile))["node1"].links]
    found = [veth_name(pod) for pod in ("podA", "pod-on-node1", "pod-on-node1.default", "pod-on-node1.kube-system")]
    assert found == ["calipodA", "cali3f3fb1f55c9", "cali3f3fb1f55c9", "cali5435b10b05b"]
    # Calico's own test (libcalico-go, conversion_test.go): pod podA of namespace default is cali7f94ce7c295.
    assert device_name("cali", "too-long-for-it", "default.podA") == "cali7f94ce7c295"
