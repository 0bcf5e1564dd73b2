"""The chapter's cluster with a fourth node, whose addresses no pattern tells: they are drawn by the variant.

flannel draws the MAC of its device at random too, so that a chain of look-ups has to be followed row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address, IPv4Network

from coursekit.cluster.model import Cluster, Node, Pod, load
from coursekit.cluster.network import Network, network
from coursekit.exercises.judge import draw

TUNNEL = "flannel.1"
PODS = {"node1": "podA", "node2": "podB", "node3": "podC", "node4": "podD"}


def spoken(host: str) -> str:
    """Return a host's name as prose has it: "Node 1" for node1, "Pod A" for podA."""
    return f"{host[:-1].capitalize()} {host[-1]}"


@dataclass(frozen=True)
class FourNodes:
    """The cluster, and its network."""

    cluster: Cluster
    network: Network

    def address(self, node: str) -> IPv4Address:
        """Return a node's address on the underlay."""
        found = self.cluster.node(node).address
        assert isinstance(found, IPv4Address)
        return found

    def vtep(self, node: str) -> IPv4Address:
        """Return the address of a node's flannel.1: the gateway that others route to."""
        return self.cluster.node(node).blocks[0].network_address

    def mac(self, host: str, device: str) -> str:
        """Return the MAC of a host's device."""
        return str(self.network.host(host).link(device).mac)

    def pod(self, node: str) -> IPv4Address:
        """Return the address of the pod on a node."""
        return self.cluster.pod(PODS[node]).address

    def owner(self, value: IPv4Address | str) -> str:
        """Return what an address or MAC belongs to, in words; "nobody here" if to none."""
        for name, host in self.network.hosts.items():
            for link in host.tables.links:
                if value == link.mac and link.name != "lo":
                    return f"the MAC of {name}'s {link.name}"
            for own in host.tables.addresses:
                if value == own.interface.ip and own.dev != "lo":
                    return f"the address of {name}'s {own.dev}"
        return {"ff:ff:ff:ff:ff:ff": "broadcast", "00:00:00:00:00:00": "the all-zero MAC"}.get(
            str(value), "nobody's in this cluster"
        )


@cache
def four_nodes(n: int) -> FourNodes:
    """Return the cluster of variant n."""
    rng = draw("four nodes", n)
    chapter = load("chapter")
    third = rng.randrange(17, 240)
    block = IPv4Network(f"10.244.{third}.0/24")
    octets = (0x02 | rng.randrange(1, 60) << 2, *(rng.randrange(16, 250) for _ in range(5)))  # locally administered
    mac = ":".join(f"{octet:02x}" for octet in octets)
    node = Node("node4", IPv4Address(f"192.168.1.{rng.randrange(31, 240)}"), (block,), tunnel_mac=mac)
    pod = Pod("podD", block[rng.randrange(12, 240)], "node4")
    cluster = replace(chapter, nodes=(*chapter.nodes, node), pods=(*chapter.pods, pod))
    return FourNodes(cluster, network(cluster))
