"""The modes that a cluster can be run in, on the two axes that they really are points of.

One axis: how a node learns where a block of pods lives. The other: how the packet is carried there. Both are read from
the tables that the mode makes, within a subnet and across a router; so CrossSubnet and DirectRouting lie where they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from coursekit.cluster.firewall import Allow, allows
from coursekit.cluster.journey import ping
from coursekit.cluster.lookup import lookup
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.mtus import node_mtu, pod_mtu
from coursekit.cluster.network import network
from coursekit.cluster.path import Journey
from coursekit.cluster.profiles import tables
from coursekit.cluster.tables import HostTables, Route
from coursekit.errors import Named

ONE_SUBNET, ROUTED = "chapter", "two-racks"  # the bundled clusters that modes are tried on
CALICO = "3.32"  # the version whose defaults the Calico modes have; from 3.33 on Felix writes IPIP's rows
COMPUTED = f"computed for Calico {CALICO}"  # what tables of all modes say of themselves
_CARRIED = {"vxlan": "VXLAN", "ipip": "IPIP"}


@dataclass(frozen=True)
class Mode:
    """A profile with its options, by the name that its program uses."""

    name: str
    profile: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def program(self) -> str:
        """Who sets it up: flannel, Calico, or the network's own route table."""
        return {"calico": "Calico", "none": "route table"}.get(self.profile.partition("-")[0], "flannel")

    def on(self, cluster: Cluster | str) -> Cluster:
        """Return that cluster, or the one of that name, in this mode."""
        return _loaded(cluster).with_profile(self.profile, **self.options)

    def __str__(self) -> str:
        return self.name


def _calico(name: str, profile: str, **options: Any) -> Mode:
    return Mode(name, profile, {**options, "version": CALICO})


MODES: Mapping[str, Mode] = Named("mode", {
    mode.name: mode
    for mode in (
        Mode("host-gw", "host-gw"),
        Mode("flannel-vxlan", "flannel-vxlan"),
        Mode("flannel-vxlan DirectRouting", "flannel-vxlan", {"direct_routing": True}),
        _calico("calico-vxlan", "calico-vxlan"),
        _calico("calico-vxlan CrossSubnet", "calico-vxlan", cross_subnet=True),
        _calico("calico-ipip", "calico-ipip"),
        _calico("calico-ipip CrossSubnet", "calico-ipip", cross_subnet=True),
        _calico("calico-bgp mesh", "calico-bgp"),
        _calico("calico-bgp route-reflector", "calico-bgp", bgp="route-reflector"),
        _calico("calico-bgp tor", "calico-bgp", bgp="tor"),
        Mode("route table", "none", {"router_routes": True}),
    )
})  # fmt: skip


def mode(name: str) -> Mode:
    """Return the mode of that name; CourseError, listing all, if there is none."""
    return MODES[name]


@dataclass(frozen=True)
class Trial:
    """A mode on a cluster: what its tables say and what becomes of a ping, from the first node to each other one."""

    mode: Mode
    cluster: Cluster

    @cached_property
    def tables(self) -> Mapping[str, HostTables]:
        """Every host's tables."""
        return tables(self.cluster)

    @cached_property
    def needs(self) -> tuple[Allow, ...]:
        """What a firewall between the nodes must pass."""
        return allows(self.cluster, self.tables)

    @cached_property
    def journeys(self) -> Mapping[str, Journey]:
        """The ping from the first pod to the first pod of each other node, by that node's name."""
        built = network(self.cluster)
        source, *others = (next(iter(self.cluster.pods_on(node.name)), None) for node in self.cluster.nodes)
        assert source is not None
        return {pod.node: ping(built, source.name, pod.name) for pod in others if pod is not None}

    @property
    def failed(self) -> Journey | None:
        """The first ping that was not answered, or None."""
        return next((j for j in self.journeys.values() if not j.answered), None)

    def row(self, peer: str) -> Route | None:
        """Return the row of the first node that decides about the pods of `peer`."""
        first = self.cluster.nodes[0].name
        return lookup(self.tables[first].routes, self.cluster.node(peer).blocks[0][1]).winner

    @property
    def learned(self) -> str:
        """Who wrote the first node's rows for other nodes' pods; without such rows, who else knows the way."""
        rows = [row for node in self.cluster.nodes[1:] if (row := self.row(node.name)) and row.dst.prefixlen]
        if not rows:
            return "routers' own routes"
        if any(row.protocol == "bird" for row in rows):
            return "BGP"
        return "Felix" if self.cluster.profile.calico else "flannel's watch"

    def carried(self, peer: str) -> str:
        """Return how packets for the pods of `peer` leave the first node: plain, VXLAN or IPIP."""
        row = self.row(peer)
        link = self.tables[self.cluster.nodes[0].name].link(row.dev or "") if row else None
        return _CARRIED.get(link.kind if link else "", "plain")

    @property
    def router_rows(self) -> tuple[Route, ...]:
        """The routers' rows for pod blocks."""
        blocks = {block for node in self.cluster.nodes for block in node.blocks}
        every = (row for router in self.cluster.routers for row in self.tables[router.name].routes)
        return tuple(row for row in every if row.dst in blocks and row.type == "unicast")

    @property
    def lost_mtu(self) -> int:
        """How many bytes less than its node a pod may send at once."""
        first = self.cluster.nodes[0]
        return node_mtu(self.cluster, first) - pod_mtu(self.cluster, first)


def trial(name: str, cluster: Cluster | str = ROUTED) -> Trial:
    """Try a mode on a cluster, by default the bundled one with two racks. CourseError for unknown names."""
    return Trial(mode(name), mode(name).on(cluster))


def _loaded(cluster: Cluster | str) -> Cluster:
    return cluster if isinstance(cluster, Cluster) else load(cluster)


def grid(cluster: Cluster | str = ROUTED) -> dict[tuple[str, str], list[str]]:
    """Return the modes by (how routes are learned, how packets are carried); "plain near, VXLAN far" is CrossSubnet.

    Near and far are the first node in the first node's subnet and the first one that is not.
    """
    given = _loaded(cluster)
    first, *others = given.nodes
    near = next((node.name for node in others if given.same_subnet(first, node)), None)
    far = next((node.name for node in others if not given.same_subnet(first, node)), None)
    found: dict[tuple[str, str], list[str]] = {}
    for name in MODES:
        tried = trial(name, given)
        ways = [tried.carried(peer) for peer in (near, far) if peer]
        how = ways[0] if len(set(ways)) == 1 else f"{ways[0]} near, {ways[1]} far"
        found.setdefault((tried.learned, how), []).append(name)
    return found
