"""How big a lab may be on this machine: what the kernel would refuse half-way, or do so badly that nothing works."""

from __future__ import annotations

import resource
from collections import Counter
from pathlib import Path

from coursekit.cluster.learned import Learning
from coursekit.cluster.network import Network
from coursekit.errors import CourseError

_BRIDGE_PORTS = 1023  # BR_MAX_PORTS (net/bridge/br_private.h), less port 0
_PER_HOST = 8  # files that the lab holds open for a host: namespace, tap, IPIP
_NEIGHBOURS = 1024  # default of gc_thresh3
_SPARE = 16  # entries for what is not BGP


def check(network: Network) -> None:
    """Raise CourseError if `network` has more hosts, bridge ports or neighbours than the kernel takes."""
    hosts = len(network.hosts)
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(0, min(_setting("user/max_net_namespaces", hosts), files // _PER_HOST - 8))
    if hosts > most:
        raise CourseError(
            f"This cluster has {hosts} hosts (nodes, pods, routers), and this machine takes {most} at most: network "
            "namespaces (user.max_net_namespaces) or open files (ulimit -Hn) are limited. Take fewer nodes."
        )
    for name, host in network.hosts.items():
        ports = Counter(link.master for link in host.tables.links if link.master)
        for bridge, count in ports.items():
            if count > _BRIDGE_PORTS:
                raise CourseError(
                    f"{bridge} on {name} would have {count} ports, and a Linux bridge has {_BRIDGE_PORTS} at most: "
                    "spread the nodes over several segments."
                )
    if network.learning is not None:
        _check_neighbours(network.learning)


def _check_neighbours(learning: Learning) -> None:
    """All namespaces share one neighbour table; beyond its limit sessions hang: “neighbor table overflow!”."""
    cluster, bgp = learning.cluster, learning.simulation()
    where = {node.name: cluster.segment_of(node).name for node in cluster.nodes}
    table: set[tuple[str, str]] = set()
    for ends in bgp.sessions.values():
        for end in ends:
            one, other = end.speaker.name, end.peer.name
            near = where.get(one, "") == where.get(other, "") or one not in where or other not in where
            # Through a router, both know the router only, and it knows them.
            table |= {(one, other)} if near else {(one, "router"), ("router", one)}
    limit = _setting("net/ipv4/neigh/default/gc_thresh3", _NEIGHBOURS)
    if len(table) + _SPARE > limit:
        raise CourseError(
            f"{len(bgp.sessions)} BGP sessions need {len(table)} neighbour entries, and the kernel holds {limit} for "
            "all namespaces together: use a route reflector (bgp='route-reflector'), fewer nodes, or "
            f"`sudo sysctl net.ipv4.neigh.default.gc_thresh3={2 * len(table)}`."
        )


def _setting(name: str, default: int) -> int:
    try:
        return int(Path("/proc/sys", name).read_text())
    except (OSError, ValueError):
        return default
