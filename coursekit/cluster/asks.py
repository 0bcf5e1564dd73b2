"""The look-ups a host makes for a packet: is it mine, which route, which neighbour, which bridge port or remote node.

Each returns the row that answered and the Decision that explains it. Entries that traffic makes (ARP answers,
learned bridge ports) need not be in the tables: a host without the row asks, and whoever is on the link answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from zlib import crc32

from coursekit.cluster.lookup import lookup, lookup_fdb, lookup_neighbour
from coursekit.cluster.network import Host, Network
from coursekit.cluster.path import Decision
from coursekit.cluster.tables import Address, FdbEntry, HostAddress, Link, Neighbour, Route

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "00:00:00:00:00:00"
_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
_UNRESOLVED = ("INCOMPLETE", "FAILED", "NONE")


def local(host: Host, address: Address) -> Decision:
    """Return the decision "is this address mine?"; its row is the local route, or None."""
    rows = tuple(r for r in host.tables.local_routes if r.dst.version == address.version)
    if rows:
        found = lookup(rows, address)
        row = found.winner if found.winner and found.winner.type in ("local", "anycast", "broadcast") else None
        considered = found.matches
    else:  # tables without a local table: what the kernel would put there
        own = [a for a in host.tables.addresses if a.interface.ip == address]
        row = Route(ip_network(address), dev=own[0].dev, type="local", table="local") if own else None
        considered = (row,) if row else ()
    why = f"{address} is an address of this host" if row else f"{address} is no address of this host"
    return Decision("local", str(address), row, why, considered)


def route(host: Host, dst: Address, src: Address) -> tuple[Route | None, Decision]:
    """Return the route to `dst`, with one leg chosen if it is multipath, and the decision for it.

    Routes over a device that is down do not count (the kernel removes them with the link).
    """
    down = {link.name for link in host.tables.links if not link.up}
    rows = tuple(r for r in host.tables.routes if r.dev not in down)
    found = lookup(rows, dst)
    decision = Decision("route", str(dst), found.winner, found.why, found.matches)
    winner = found.winner
    if winner is None or not winner.nexthops:
        return winner, decision
    legs = [leg for leg in winner.nexthops if leg.dev not in down for _ in range(leg.weight)]
    leg = legs[crc32(src.packed + dst.packed) % len(legs)]
    why = f"{found.why}; of its {len(winner.nexthops)} legs a hash of the addresses picks {leg.via}"
    return replace(winner, via=leg.via, dev=leg.dev, nexthops=()), replace(decision, why=why)


def source_address(host: Host, way: Route, version: int) -> Address | None:
    """Return the address a host uses for packets of its own on a route (Linux fib_result_prefsrc, inet_select_addr)."""
    if way.prefsrc is not None:
        return way.prefsrc
    limit = _SCOPES.get(way.scope, 0)

    def fits(row: HostAddress) -> bool:
        return row.interface.version == version and _SCOPES.get(row.scope, 0) <= limit

    on_device = [a for a in host.tables.addresses if a.dev == way.dev and fits(a)]
    near = [a for a in on_device if way.via is not None and way.via in a.interface.network]
    elsewhere = [
        a
        for link in sorted(host.tables.links, key=lambda link: link.ifindex)
        for a in host.tables.addresses
        if a.dev == link.name and link.up and fits(a) and a.scope != "link"
    ]
    found = [*near, *on_device, *elsewhere]
    return found[0].interface.ip if found else None


def neighbour(network: Network, host: Host, link: Link, hop: Address) -> Decision:
    """Return the decision which MAC `hop` has on a link; its row is None when nobody there answers."""
    found = lookup_neighbour(host.tables.neighbours, hop, link.name)
    if found.winner and found.winner.lladdr and found.winner.state not in _UNRESOLVED:
        return Decision("neigh", str(hop), found.winner, found.why, found.matches, "eth.dst")
    for name, device in on_link(network, host, link):
        other = network.host(name)
        if _answers(other, device, hop):
            row = Neighbour(hop, link.name, other.link(device).mac, "REACHABLE")
            why = f"not there yet; {'NDP' if hop.version == 6 else 'ARP'} asks, {name}:{device} answers; then this row"
            return Decision("neigh", str(hop), row, why, found.matches, "eth.dst")
    why = f"{found.why}; nobody on {link.name} says who has {hop}"
    return Decision("neigh", str(hop), None, why, found.matches, "eth.dst")


def _answers(host: Host, device: str, hop: Address) -> bool:
    """Whether a host answers ARP for an address: its own on any device, and what it routes where proxy_arp is on."""
    if hop in host.addresses(device if hop.version == 6 else None):
        return True
    if device not in host.proxy_arp or not host.forwarding or hop.version == 6:
        return False
    winner = lookup(host.tables.routes, hop).winner
    return winner is not None and winner.type == "unicast" and winner.dev != device


def on_link(network: Network, host: Host, link: Link) -> Iterator[tuple[str, str]]:
    """Yield every (host, device) that a broadcast from `link` reaches."""
    seen: set[tuple[str, str]] = {(host.name, link.name)}
    queue = [*_ways_out(network, host, link)]
    while queue:
        name, device = queue.pop(0)
        if (name, device) in seen:
            continue
        seen.add((name, device))
        other = network.host(name)
        there = other.link(device)
        if not there.up:
            continue
        if there.master is None:
            yield name, device
            continue
        bridge = other.link(there.master)
        yield name, bridge.name
        queue += [end for end in _ways_out(network, other, bridge) if end != (name, device)]


def _ways_out(network: Network, host: Host, link: Link) -> list[tuple[str, str]]:
    """Return the ends that a broadcast sent on a device comes to: through cables, bridge ports or VXLAN flooding."""
    if not link.up:
        return []
    if link.kind == "bridge":
        ports = [port for port in host.tables.links if port.master == link.name]
        return [end for port in ports for end in _ways_out(network, host, port)]
    if link.kind == "vxlan":
        remotes = vxlan_remotes(host, link, BROADCAST)[1]
        return [
            (name, other.name)
            for name, far in network.hosts.items()
            for other in far.tables.links
            if other.kind == "vxlan" and set(far.addresses()) & set(remotes)
            if (other.info.get("id"), other.info.get("port")) == (link.info.get("id"), link.info.get("port"))
        ]
    peer = network.cables.get(f"{host.name}:{link.name}")
    return [_end(peer)] if peer else []


def _end(point: str) -> tuple[str, str]:
    host, _, device = point.partition(":")
    return host, device


def bridge_port(network: Network, host: Host, bridge: Link, mac: str) -> Decision:
    """Return the decision behind which port of a bridge a MAC is; a row on the bridge itself means "the host's own"."""
    ports = {link.name: link for link in host.tables.links if link.master == bridge.name}
    if mac == bridge.mac:
        row = FdbEntry(mac, bridge.name, master=bridge.name, state="permanent")
        return Decision("fdb", mac, row, f"it is {bridge.name}'s own: up into the host", (row,))
    found = lookup_fdb((e for e in host.tables.fdb if e.dev in ports and e.master), mac, bridge.name)
    if found.winner:
        why = f"{bridge.name} has it behind port {found.winner.dev}"
        return Decision("fdb", mac, found.winner, why, found.matches)
    for port in ports.values():
        for name, device in (end for start in _ways_out(network, host, port) for end in _beyond(network, start)):
            if network.host(name).link(device).mac == mac:
                row = FdbEntry(mac, port.name, master=bridge.name)
                return Decision(
                    "fdb", mac, row, f"learned on port {port.name} when {name} spoke (an ARP is enough)", (row,)
                )
    return Decision("fdb", mac, None, f"{bridge.name} has not seen it, and floods the frame to every port")


def _beyond(network: Network, start: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Yield `start` if it is a host's own device, else everything behind the bridge that it is a port of."""
    host = network.host(start[0])
    link = host.link(start[1])
    if not link.up:
        return
    if link.master is None:
        yield start
        return
    bridge = host.link(link.master)
    yield host.name, bridge.name
    yield from (end for end in on_link(network, host, bridge) if end != start)


def vxlan_remotes(host: Host, link: Link, mac: str) -> tuple[Decision, tuple[Address, ...]]:
    """Return the decision to which nodes a VXLAN device sends a frame for `mac`, and their addresses."""
    found = lookup_fdb((e for e in host.tables.fdb if e.dev == link.name and e.dst is not None), mac, link.name)
    decision = Decision("fdb", mac, found.winner, found.why, found.matches, "ip.dst")
    chosen = [row.dst for row in found.matches if found.winner and row.mac == found.winner.mac]
    return decision, tuple(dst for dst in chosen if dst is not None)
