"""What BGP stands on: who has which address, which subnets are connected, and the IGP's distances.

The cost of a next hop is 0 on a connected subnet, else the length of the shortest path to the router that owns it.
A next hop without a cost cannot be resolved, and a path with such a next hop is not eligible (RFC 4271 §9.1.2.1).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from coursekit.bgp.route import address_key


@cache
def _subnet(address: str, length: int) -> IPv4Network | IPv6Network:
    return ip_network(f"{address}/{length}", strict=False)


@dataclass
class Subnet:
    """A LAN or a point-to-point link: the routers on it with their addresses.

    On a link the IGP counts `cost` from one end to the other; the members of a LAN reach each other at cost 0.
    """

    name: str
    prefix_len: int
    members: Mapping[str, str]  # router: address
    igp: bool = False  # the IGP runs on it
    cost: int = 0
    up: bool = True
    lan: bool = False
    network: IPv4Network | IPv6Network = field(init=False)
    first: tuple[int, int] = field(init=False)  # its addresses, as `address_key` has them
    last: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.network = _subnet(next(iter(self.members.values())), self.prefix_len)
        self.first, self.last = ((self.network.version, int(self.network[end])) for end in (0, -1))


class Igp:
    """Addresses, connected subnets and shortest paths; call `change()` after anything in it changed."""

    def __init__(self, router_ids: Mapping[str, str], subnets: Iterable[Subnet]) -> None:
        self.subnets = {subnet.name: subnet for subnet in subnets}
        self.router_ids = dict(router_ids)
        self.down: set[str] = set()
        self.attached: dict[str, list[Subnet]] = {name: [] for name in self.router_ids}
        self.owner: dict[str, str] = {}
        for subnet in self.subnets.values():
            for name, address in subnet.members.items():
                self.attached[name].append(subnet)
                self.owner[address] = name
        # A router owns its router id as a /32 loopback, unless a subnet already gave that address to somebody.
        self.loopback = {name: address for name, address in self.router_ids.items() if address not in self.owner}
        for name, address in self.loopback.items():
            self.owner.setdefault(address, name)
        self._costs: dict[tuple[str, str], int | None] = {}
        self._connected: dict[tuple[str, str], Subnet | None] = {}
        self._distances: dict[str, dict[str, int]] = {}

    def change(self) -> set[str]:
        """Work out anew what was ever asked for; return the routers for which a cost or a subnet is another now."""
        costs, connected = self._costs, self._connected
        self._costs, self._connected, self._distances = {}, {}, {}
        return ({key[0] for key, subnet in connected.items() if self.connected(*key) is not subnet}
                | {key[0] for key, cost in costs.items() if self.cost(*key) != cost})  # fmt: skip

    def connected(self, router: str, address: str) -> Subnet | None:
        """Return the subnet that is up, that the router is on, and that the address belongs to."""
        key = router, address
        if key not in self._connected:
            number = address_key(address)
            self._connected[key] = next((subnet for subnet in self.attached.get(router, ())
                                         if subnet.up and subnet.first <= number <= subnet.last), None)  # fmt: skip
        return self._connected[key]

    def owns(self, router: str, address: str) -> bool:
        """Return whether the address is one of the router's own."""
        return self.owner.get(address) == router

    def cost(self, router: str, address: str) -> int | None:
        """Return the IGP cost from a router to an address, None if there is no route."""
        key = router, address
        if key not in self._costs:
            self._costs[key] = self._cost(router, address)
        return self._costs[key]

    def _cost(self, router: str, address: str) -> int | None:
        owner = self.owner.get(address)
        if owner == router or self.connected(router, address):
            return 0
        if owner is None or owner in self.down or router in self.down:
            return None
        loopback = self.loopback.get(owner) == address
        if loopback and any(subnet.up and subnet.lan and owner in subnet.members for subnet in self.attached[router]):
            return 0
        # The IGP carries the subnets it runs on, and the loopbacks of the routers it runs on.
        if not any(subnet.up and subnet.igp and (loopback or subnet.members[owner] == address)
                   for subnet in self.attached[owner]):  # fmt: skip
            return None
        return self.distances(router).get(owner)

    def gateway(self, router: str, address: str) -> str | None:
        """Return the connected address through which a router's kernel reaches an address, None if there is no route.

        Of several shortest ways it is the first, in the order of the subnets.
        """
        if self.connected(router, address):
            return address
        if self.cost(router, address) is None:
            return None
        owner = self.owner[address]
        for subnet in self.attached[router]:
            if subnet.up and subnet.lan and owner in subnet.members:
                return subnet.members[owner]
        whole = self.distances(router)[owner]
        for subnet in self.attached[router]:
            rest = whole - (0 if subnet.lan else subnet.cost)
            for other, at in subnet.members.items() if subnet.up and subnet.igp else ():
                if other != router and other not in self.down and self.distances(other).get(owner) == rest:
                    return at
        return None

    def distances(self, router: str) -> dict[str, int]:
        """Return the cost of the shortest path to every router that the IGP reaches (Dijkstra)."""
        if router not in self._distances:
            found: dict[str, int] = {}
            queue = [(0, router)]
            while queue:
                here, name = heapq.heappop(queue)
                if name in found or name in self.down:
                    continue
                found[name] = here
                for subnet in self.attached[name]:
                    if subnet.up and subnet.igp:
                        step = 0 if subnet.lan else subnet.cost
                        for other in subnet.members:
                            if other not in found:
                                heapq.heappush(queue, (here + step, other))
            self._distances[router] = found
        return self._distances[router]

    def reaches(self, router: str, address: str) -> bool:
        """Return whether packets of a router get to the owner of an address, as a session needs both ways."""
        owner = self.owner.get(address)
        if owner is None or owner in self.down or router in self.down:
            return False
        return self.cost(router, address) is not None
