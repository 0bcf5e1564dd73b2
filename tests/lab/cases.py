"""The labs of the matrix: every profile with every fault that it can have, some together, some on racks."""

from __future__ import annotations

from functools import cache

from coursekit.cluster.faults import Fault, applicable, fault
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import network
from tests.lab.cells import Case

_VXLAN = ("flannel-vxlan", "calico-vxlan")
_TOGETHER: tuple[tuple[str, tuple[Fault, ...]], ...] = (
    *((p, (fault("pod-mtu"), fault("icmp-filtered"))) for p in (*_VXLAN, "calico-ipip")),  # the black hole
    *((p, (fault("pod-mtu"), fault("vtep-mtu"))) for p in (*_VXLAN, "calico-ipip")),
    *((p, (fault("pod-mtu"), fault("vtep-mtu", df="set"))) for p in _VXLAN),
    ("flannel-vxlan", (fault("pod-mtu"), fault("vtep-mtu", df="inherit"))),
    ("calico-ipip", (fault("pod-mtu"), fault("node-mtu"))),
    ("calico-bgp", (fault("node-down", death="killed"), fault("bird-without-direct", node="node2"))),
)
_BACK = (  # on the other end: the question arrives, and the answer is lost
    "missing-route", "missing-neighbour", "missing-fdb", "icmp-filtered", "stale-vtep-mac", "port-mtu", "wrong-vni",
)  # fmt: skip
_OTHERWISE: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("lab", "none", {"router_routes": True}),
    ("lab", "none", {"masquerade": "all"}),
    ("lab", "host-gw", {"masquerade": "all"}),
    ("lab", "flannel-vxlan", {"udp_checksum": False, "df": "inherit", "port": 4789, "vni": 4096}),
    ("lab", "calico-vxlan", {"version": "3.33", "bound": False, "masquerade": "outside"}),
    ("lab", "calico-ipip", {"version": "3.33"}),
    ("lab", "calico-bgp", {"bgp": "tor"}),
    ("lab", "calico-bgp", {"bgp": "route-reflector", "version": "3.32"}),
    ("two-racks", "none", {}),
    ("two-racks", "none", {"router_routes": True}),
    ("two-racks", "flannel-vxlan", {}),
    ("two-racks", "flannel-vxlan", {"direct_routing": True}),
    ("two-racks", "calico-vxlan", {"cross_subnet": True}),
    ("two-racks", "calico-ipip", {}),
    ("two-racks", "calico-ipip", {"cross_subnet": True}),
    ("two-racks", "calico-bgp", {"bgp": "tor"}),
    ("ipv6-underlay", "flannel-vxlan", {}),
    ("chapter", "flannel-vxlan", {}),
)
_ELSEWHERE: tuple[tuple[str, str, dict[str, object], tuple[Fault, ...]], ...] = (
    ("lab", "host-gw", {"masquerade": "all"}, (fault("node-down"),)),  # the error comes from where the packet left as
    ("ipv6-underlay", "flannel-vxlan", {}, (fault("node-down"),)),
    ("two-racks", "calico-ipip", {}, (fault("no-default-route"),)),  # the tunnel's next hop is behind a router
    ("two-racks", "none", {"router_routes": True}, (fault("port-mtu", node="node3", mtu=2000),)),  # its bridge follows
    ("lab", "flannel-vxlan", {}, (fault("pod-mtu", pod="podB", mtu=1300),)),
)


@cache
def cases() -> tuple[Case, ...]:
    """Return every lab of the matrix."""
    found: list[Case] = []
    for name in ("none", "host-gw", *_VXLAN, "calico-ipip", "calico-bgp"):
        cluster = load("lab").with_profile(name)
        found.append(case(cluster))
        found += [case(cluster, fault(one)) for one in applicable(network(cluster))]
        deaths = ("clean", "killed") if network(cluster).learning else ("clean",)
        found += [case(cluster, fault("node-down", death=death)) for death in deaths]
    found += [case(load("lab").with_profile(name), *together) for name, together in _TOGETHER]
    back = load("lab").with_profile("flannel-vxlan")
    for one in _BACK:
        node = "node1" if one in ("stale-vtep-mac", "port-mtu", "wrong-vni") else "node2"
        found.append(case(back, fault(one, node=node)))
    for name, profile, options in _OTHERWISE:
        cluster = load(name).with_profile(profile, **options)
        words = ", ".join(f"{key}={value}" for key, value in options.items())
        start = f"{name}: {profile}{f' ({words})' if words else ''}"
        pods = [pod.name for pod in cluster.pods]
        found.append(Case(start, cluster, (), pods[0], pods[-1]))
    for name, profile, options, faults in _ELSEWHERE:
        cluster = load(name).with_profile(profile, **options)
        pods = [pod.name for pod in cluster.pods]
        found.append(Case(f"{name}: {profile}: {' + '.join(map(str, faults))}", cluster, faults, pods[0], pods[-1]))
    return tuple(found)


def case(cluster: Cluster, *faults: Fault) -> Case:
    """Return the lab of a cluster with faults, named for them."""
    broken = " + ".join(map(str, faults)) or "healthy"
    return Case(f"{cluster.profile.name}: {broken}", cluster, faults)
