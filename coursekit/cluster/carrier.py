"""Devices that go down, and what the kernel then does: in the host's own tables, and at the other end of the cable.

`ip link set … down` takes the device's routes and neighbours with it (fib_sync_down_dev, neigh_ifdown); addresses stay,
and so do their rows of type local: the host still takes packets to them. The other end stays up without carrier: its
routes are kept and marked `linkdown`. A bridge has carrier while one of its ports does (br_port_state_selection).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from coursekit.cluster.host import linkdown
from coursekit.cluster.network import Host, Network
from coursekit.cluster.tables import Link

NO_CARRIER = "NO-CARRIER"


def set_down(network: Network, name: str, devices: list[str]) -> Network:
    """Return a network where devices of a host are down, with all that follows."""
    tables = network.host(name).tables

    def kept(rows: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(row for row in rows if row.dev not in devices)

    lost = ("UP", "LOWER_UP", NO_CARRIER)  # whoever is down is not asked for carrier
    flags = {d: tuple(f for f in network.host(name).link(d).flags if f not in lost) for d in devices}
    links = tuple(_state(replace(li, flags=flags[li.name]), "DOWN") if li.name in flags else li for li in tables.links)
    changed = {
        "links": links,
        "routes": kept(tables.routes),
        "local_routes": tuple(r for r in tables.local_routes if r.dev not in devices or r.type == "local"),
        "neighbours": kept(tables.neighbours),
    }
    return _with_carrier(network.change(name, changed))


def _state(link: Link, state: str) -> Link:
    return replace(link, extra={**link.extra, "operstate": state} if "operstate" in link.extra else link.extra)


def _with_carrier(network: Network) -> Network:
    """Mark what has no carrier: devices whose other end is down, then bridges without a port that has carrier."""
    for name, host in network.hosts.items():
        dark = {link.name for link in host.tables.links if link.up and not _peer_up(network, name, link)}
        lit = {link.master for link in host.tables.links if link.up and link.name not in dark}
        ports = {link.master for link in host.tables.links}
        dark |= {b.name for b in host.tables.links if b.kind == "bridge" and b.up and b.name in ports - lit}
        network = _marked(network, host, dark)
    return network


def _peer_up(network: Network, name: str, link: Link) -> bool:
    host, _, device = network.cables.get(f"{name}:{link.name}", "").partition(":")
    return not host or network.host(host).link(device).up


def _marked(network: Network, host: Host, dark: set[str]) -> Network:
    if not dark - {link.name for link in host.tables.links if NO_CARRIER in link.flags}:
        return network

    links = []
    for link in host.tables.links:
        if link.name in dark and NO_CARRIER not in link.flags:
            flags = (NO_CARRIER, *(flag for flag in link.flags if flag != "LOWER_UP"))
            link = _state(replace(link, flags=flags), "DOWN")
        links.append(link)
    tables = host.tables
    routes, local = (tuple(linkdown(row, dark) for row in rows) for rows in (tables.routes, tables.local_routes))
    return network.change(host.name, {"links": tuple(links), "routes": routes, "local_routes": local})
