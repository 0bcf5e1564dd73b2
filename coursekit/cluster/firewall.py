"""What a firewall between the nodes must let through, so that pods of different nodes reach each other.

Nothing is looked up by a profile's name: for each pair of nodes the sender's own routing table says whether the packet
goes out wrapped in UDP, wrapped in protocol 4, or as it is, with the pods' addresses; then the nodes' own packets to
and from pods, such as an ICMP error, go as they are too. Whoever learns by BGP needs its sessions; calico-ipip does up
to Calico 3.32. From 3.33 Felix writes its rows, and though BIRD still runs, no pod waits for it. What pods send to
anybody else, the Kubernetes API and health checks are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_address, ip_network
from typing import Any

from coursekit.cluster import peering
from coursekit.cluster.lookup import lookup
from coursekit.cluster.model import Cluster, Node
from coursekit.cluster.profiles import tables as tables_of
from coursekit.cluster.tables import HostTables, Network
from coursekit.packets.encapsulation import PROTOCOL_IPIP, PROTOCOL_UDP

BGP_PORT = 179
PROTOCOL_TCP = 6
_NAMES = {PROTOCOL_IPIP: "IPIP", PROTOCOL_TCP: "TCP", PROTOCOL_UDP: "UDP", None: "any"}
Pair = tuple[Network, Network]


@dataclass(frozen=True)
class Allow:
    """One thing to let through: an IP protocol (None: any), a destination port, and (source, destination) pairs.

    `pods`: the packets carry pods' addresses, so that whoever checks that a node sends only from its own address
    (AWS's source/destination check, OpenStack's port security, reverse-path filters) must accept them too.
    """

    protocol: int | None
    port: int | None
    pairs: tuple[Pair, ...]
    why: str
    pods: bool = False

    @property
    def name(self) -> str:
        """Protocol and port as people say it: "UDP 8472", "protocol 4 (IPIP)", "any protocol"."""
        if self.protocol is None:
            return "any protocol"
        name = _NAMES.get(self.protocol, "")
        return f"{name} {self.port}" if self.port else f"protocol {self.protocol} ({name})"

    @property
    def sources(self) -> tuple[Network, ...]:
        """All sources; prefixes joined where they touch."""
        return _joined(pair[0] for pair in self.pairs)

    @property
    def destinations(self) -> tuple[Network, ...]:
        """All destinations; prefixes joined where they touch."""
        return _joined(pair[1] for pair in self.pairs)

    @property
    def bpf(self) -> str:
        """The same as a capture filter. TCP passes both ways, since either end may answer; others as they are sent."""
        by_source: dict[Network, list[Network]] = {}
        for source, destination in self.pairs:
            by_source.setdefault(source, []).append(destination)
        ways = " or ".join(f"(src {_net(s)} and ({_any(ds)}))" for s, ds in by_source.items())
        if self.protocol is None:
            return ways
        family = "ip6" if self.pairs[0][0].version == 6 else "ip"
        if self.protocol == PROTOCOL_TCP:
            return f"{family} and tcp port {self.port} and ({ways})"
        what = f"udp dst port {self.port}" if self.protocol == PROTOCOL_UDP else f"{family} proto {self.protocol}"
        return f"{what} and ({ways})"

    def __str__(self) -> str:
        ends = f"from {_words(self.sources)} to {_words(self.destinations)}"
        return f"{self.name} {ends}: {self.why}"


def allows(cluster: Cluster, tables: Mapping[str, HostTables] | None = None) -> tuple[Allow, ...]:
    """Return what must pass between the nodes of a cluster; `tables` are the model's unless others are given."""
    tables = tables_of(cluster) if tables is None else tables
    carried: dict[tuple[int | None, int | None], list[Pair]] = {}
    for sender in cluster.nodes:
        for receiver in cluster.nodes:
            for block in receiver.blocks if receiver is not sender else ():
                for key, pair in _ways(sender, receiver, block, tables[sender.name]):
                    carried.setdefault(key, []).append(pair)
    found = [
        Allow(protocol, port, tuple(dict.fromkeys(pairs)), _WHY[protocol], pods=protocol is None)
        for (protocol, port), pairs in carried.items()
    ]
    return (*found, *_bgp(cluster))


_WHY = {
    PROTOCOL_UDP: "the envelope, from node to node",
    PROTOCOL_IPIP: "the envelope, from node to node; it has no port",
    None: "pods' own packets, with pods' addresses, and what a node itself sends a pod",
}


def _ways(
    sender: Node, receiver: Node, block: Network, tables: HostTables
) -> Iterator[tuple[tuple[int | None, int | None], Pair]]:
    row = lookup(tables.routes, block[1 if block.num_addresses > 1 else 0]).winner
    if row is None or row.type != "unicast":
        return
    devices = [row.dev] if row.dev else [hop.dev for hop in row.nexthops]
    for device in dict.fromkeys(devices):
        link = tables.link(device or "")
        nodes = ip_network(sender.address), ip_network(receiver.address)
        if link is not None and link.kind == "vxlan":
            yield (PROTOCOL_UDP, int(link.info["port"])), nodes
        elif link is not None and link.kind == "ipip":
            yield (PROTOCOL_IPIP, None), nodes
        else:
            for own in sender.blocks:
                yield (None, None), (own, block)
                yield (None, None), (own, nodes[1])
            yield (None, None), (nodes[0], block)


def _bgp(cluster: Cluster) -> Iterator[Allow]:
    if not cluster.profile.learns_by_bgp:
        return
    ends = [(session.a_addr, session.b_addr) for session in peering.scenario(cluster).sessions]
    pairs = tuple((_host(one), _host(other)) for pair in ends for one, other in (pair, pair[::-1]))
    if pairs:
        yield Allow(PROTOCOL_TCP, BGP_PORT, pairs, "BGP, by which routes are learned; no pod's packet is in it")


def _host(address: str) -> Network:
    return ip_network(ip_address(address))


def _joined(networks: Iterable[Any]) -> tuple[Network, ...]:
    """Join prefixes that touch; single hosts stay hosts, as people write them in rules."""
    every = sorted(dict.fromkeys(networks))
    hosts = [network for network in every if network.num_addresses == 1]
    return (*collapse_addresses(network for network in every if network.num_addresses > 1), *hosts)


def _net(network: Network) -> str:
    return f"host {network.network_address}" if network.prefixlen == network.max_prefixlen else f"net {network}"


def _any(networks: Iterable[Network]) -> str:
    return " or ".join(f"dst {_net(network)}" for network in networks)


def _words(networks: tuple[Network, ...]) -> str:
    shown = [str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in networks]
    return ", ".join(shown) if len(shown) <= 6 else f"{', '.join(shown[:3])} and {len(shown) - 3} more"
