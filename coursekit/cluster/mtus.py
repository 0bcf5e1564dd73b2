"""Which MTU each device of a cluster gets, worked out as flannel and felix do: the host's, less what is put around."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from coursekit.packets.encapsulation import Encapsulation, encapsulate

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
    """Measure what wrapping a bare IPv4 header adds."""
    inner = bytes.fromhex("4500001400000000400126e7") + IPv4Address("10.0.0.1").packed + IPv4Address("10.0.0.2").packed
    src, dst = ("192.0.2.1", "192.0.2.2") if version == 4 else ("2001:db8::1", "2001:db8::2")
    sport = 49152 if encapsulation.kind == "vxlan" else None
    macs = ("02:00:00:00:00:01", "02:00:00:00:00:02") if encapsulation.kind == "vxlan" else (None, None)
    outer = encapsulate(
        inner, encapsulation, src=src, dst=dst, ip_id=0, sport=sport, inner_eth_src=macs[0], inner_eth_dst=macs[1]
    )
    return len(outer) - len(inner)


def tunnel_mtu(cluster: Cluster, node: Node) -> int:
    """MTU of the tunnel device; of eth0 where the profile has none (flannel vxlan.go, felix ConfigureDefaultMTUs)."""
    return node.tunnel_mtu or cluster.tunnel_mtu or node_mtu(cluster, node) - tunnel_overhead(cluster)


def pod_mtu(cluster: Cluster, node: Node) -> int:
    """MTU that the CNI gives to pods on a node: the tunnel's, unless the cluster file says otherwise."""
    return cluster.pod_mtu or tunnel_mtu(cluster, node)
