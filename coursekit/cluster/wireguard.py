"""Calico's WireGuard: what it changes of a mode on the wire between nodes.

Felix routes every packet for a pod of another node into the device wireguard.cali, before the mode's own routes are
asked; no other envelope is used between nodes that both have WireGuard. The outer packet is UDP from node to node. What
nodes send each other themselves, such as BGP, is not encrypted. Sources: Calico's pages on encryption and on MTU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from itertools import permutations

from coursekit.cluster.firewall import BGP_PORT, Allow
from coursekit.cluster.journey import ping
from coursekit.cluster.modes import Trial
from coursekit.cluster.network import network
from coursekit.cluster.path import Journey
from coursekit.packets.encapsulation import PROTOCOL_UDP

PORT = 51820
OVERHEAD = 60  # bytes: IPv4 20, UDP 8, WireGuard 32


@dataclass(frozen=True)
class Encrypted(Trial):
    """A mode of Calico on a cluster of IPv4 nodes which all have WireGuard."""

    @cached_property
    def needs(self) -> tuple[Allow, ...]:
        """What a firewall must pass: WireGuard between all nodes, and the mode's BGP."""
        nodes = [ip_network(node.address) for node in self.cluster.nodes]
        tunnel = Allow(PROTOCOL_UDP, PORT, tuple(permutations(nodes, 2)), "WireGuard's envelope, from node to node")
        return (tunnel, *(rule for rule in super().needs if rule.port == BGP_PORT))

    @property
    def failed(self) -> Journey | None:
        """The first ping between the nodes themselves that did not come back, or None: outer packets go like those."""
        built = network(self.cluster)
        first, *others = self.cluster.nodes
        journeys = (ping(built, first.name, node.name) for node in others)
        return next((j for j in journeys if not j.answered), None)

    @property
    def lost_mtu(self) -> int:
        """How many bytes less than its node a pod may send at once."""
        return OVERHEAD
