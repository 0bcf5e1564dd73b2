"""Which MTU each device of a cluster gets, worked out as flannel and felix do: the host's, less what is put around."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from coursekit.packets.encapsulation import Encapsulation
from coursekit.packets.mtu import overhead

if TYPE_CHECKING:
    from coursekit.cluster.model import Cluster, Node


def node_mtu(cluster: Cluster, node: Node) -> int:
    """MTU of the node's eth0, in bytes of IP packet."""
    return node.mtu or cluster.segment_of(node).mtu


def tunnel_overhead(cluster: Cluster) -> int:
    """Bytes that the profile's encapsulation adds to an IP packet on this underlay."""
    return _overhead(cluster.profile.encapsulation, cluster.underlay_version)


@lru_cache
def _overhead(encapsulation: Encapsulation, version: int) -> int:
    return overhead(encapsulation, outer="ipv6" if version == 6 else "ipv4")


def tunnel_mtu(cluster: Cluster, node: Node) -> int:
    """MTU of the tunnel device; of eth0 where the profile has none (flannel vxlan.go, felix ConfigureDefaultMTUs)."""
    return node.tunnel_mtu or cluster.tunnel_mtu or node_mtu(cluster, node) - tunnel_overhead(cluster)


def pod_mtu(cluster: Cluster, node: Node) -> int:
    """MTU that the CNI gives to pods on a node: the tunnel's, unless the cluster file says otherwise."""
    return cluster.pod_mtu or tunnel_mtu(cluster, node)
