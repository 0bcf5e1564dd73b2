"""A host being set up: what is configured on it, and what the kernel adds by itself.

`fib_add_ifaddr` (Linux net/ipv4/fib_frontend.c) puts three kinds of rows in the tables for every address: the
address itself and its broadcast in table local, its prefix in table main. `addrconf.c` does likewise for IPv6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface, ip_network
from typing import Any, TypeVar

from coursekit.cluster.tables import (
    Address,
    FdbEntry,
    HostAddress,
    HostTables,
    Interface,
    Link,
    Neighbour,
    NextHop,
    Route,
)

_FOREVER = 4294967295


class Host:
    """Collects the configuration of one host; `tables()` gives what `ip` and `bridge` then show, before any traffic."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.links: list[Link] = []
        self.addresses: list[HostAddress] = []
        self.routes: list[Route] = []
        self.neighbours: list[Neighbour] = []
        self.fdb: list[FdbEntry] = []
        self.link("lo", 65536, mac="00:00:00:00:00:00", flags=("LOOPBACK", "UP", "LOWER_UP"))
        self.address("lo", ip_interface("127.0.0.1/8"))

    def link(self, name: str, mtu: int, *, kind: str = "", mac: str | None = None, **more: Any) -> None:
        """Add a device; `more` are further fields of Link."""
        loopback, tunnel = name == "lo", kind == "ipip"
        extra = {
            "qdisc": "noqueue",
            **({"master": more["master"]} if more.get("master") else {}),
            "operstate": "UNKNOWN" if loopback or kind in ("vxlan", "ipip") else "UP",
            "linkmode": "DEFAULT",
            "group": "default",
            "txqlen": 1000,
            "link_type": "loopback" if loopback else "ipip" if tunnel else "ether",
            "broadcast": "0.0.0.0" if tunnel else "00:00:00:00:00:00" if loopback else "ff:ff:ff:ff:ff:ff",
        }
        extra.pop("master", None)
        index = len(self.links) + 1
        self.links.append(Link(name, mtu, kind, mac, ifindex=index, extra=extra, **more))

    def address(self, dev: str, interface: Interface, brd: bool = False) -> None:
        """Add an address; `brd` as `ip addr add … brd +`, which makes `ip addr` print the broadcast address."""
        extra: dict[str, Any] = {}
        if brd and interface.version == 4 and interface.network.prefixlen < 31:
            extra["broadcast"] = str(interface.network.broadcast_address)
        if interface.version == 4:
            extra["label"] = dev
        extra |= {"valid_life_time": _FOREVER, "preferred_life_time": _FOREVER}
        scope = "host" if interface.ip.is_loopback else "global"
        self.addresses.append(HostAddress(dev, interface, scope, extra))

    def route(self, dst: object, via: Address | None = None, dev: str | None = None, **more: Any) -> None:
        """Add a row to table main, as `ip route add`; `more` are further fields of Route."""
        prefix = dst if isinstance(dst, IPv4Network | IPv6Network) else ip_network(str(dst))
        if prefix.version == 6:  # what ip6_route_add fills in
            more = {"metric": 1024, "extra": {"pref": "medium"}, **more}
        self.routes.append(Route(prefix, via, dev, **more))

    def bridge_port(self, bridge: str, port: str, mac: str) -> None:
        """Enter a port's own MAC in the bridge's table, as the kernel does when the port joins."""
        self.fdb.append(FdbEntry(mac, port, master=bridge, state="permanent"))

    def tables(self) -> HostTables:
        """Return the tables, in the order in which `ip` prints them."""
        main, local = list(self.routes), []
        for address in self.addresses:
            if isinstance(address.interface, IPv4Interface):
                rows = _kernel_routes4(address.dev, address.interface)
            else:
                rows = _kernel_routes6(address.dev, address.interface)
            main += rows[0]
            local += rows[1]
        dark = self._bridges_without_ports()
        return HostTables(
            self.name,
            tuple(_without_carrier(link) if link.name in dark else link for link in self.links),
            tuple(self.addresses),
            in_kernel_order(linkdown(row, dark) for row in main),
            in_kernel_order(linkdown(row, dark) for row in local),
            tuple(self.neighbours),
            tuple(self.fdb),
        )


    def _bridges_without_ports(self) -> set[str]:
        """Return the bridges that have no carrier, for want of a port."""
        return {link.name for link in self.links if link.kind == "bridge"} - {str(link.master) for link in self.links}


def _without_carrier(link: Link) -> Link:
    flags = ("NO-CARRIER", *(flag for flag in link.flags if flag != "LOWER_UP"))
    return replace(link, flags=flags, extra={**link.extra, "operstate": "DOWN"})


def linkdown(route: Route, dark: set[str]) -> Route:
    """Mark a row over devices without carrier, leg by leg, save one for a host's own address (fib_sync_down_dev)."""
    if route.type in ("local", "anycast"):
        return route
    route = replace(route, nexthops=tuple(_marked(leg) if leg.dev in dark else leg for leg in route.nexthops))
    down = all("linkdown" in leg.flags for leg in route.nexthops) if route.nexthops else route.dev in dark
    return _marked(route) if down else route


_Row = TypeVar("_Row", Route, NextHop)


def _marked(row: _Row) -> _Row:
    return row if "linkdown" in row.flags else replace(row, flags=(*row.flags, "linkdown"))


def _kernel_routes4(dev: str, interface: IPv4Interface) -> tuple[list[Route], list[Route]]:
    """Rows for table main and table local that come with an IPv4 address."""
    ip, net = interface.ip, interface.network

    def row(dst: object, kind: str, scope: str, table: str) -> Route:
        return Route(ip_network(str(dst)), None, dev, kind, "kernel", scope, ip, table=table)

    main, local = [], [row(ip, "local", "host", "local")]
    if net.prefixlen < 31:
        local.append(row(net.broadcast_address, "broadcast", "link", "local"))
    if dev == "lo":
        local.append(row(net, "local", "host", "local"))
    elif net.prefixlen < 32 and int(net.network_address) >> 24:
        main.append(row(net, "unicast", "link", "main"))
    return main, local


def _kernel_routes6(dev: str, interface: IPv6Interface) -> tuple[list[Route], list[Route]]:
    """Rows that come with a global IPv6 address on a forwarding host."""
    net = interface.network

    def row(dst: object, kind: str, table: str, metric: int) -> Route:
        return Route(
            ip_network(str(dst)), None, dev, kind, "kernel", metric=metric, table=table, extra={"pref": "medium"}
        )

    main = [row(net, "unicast", "main", 256)]
    local = [row(interface.ip, "local", "local", 0)]
    if net.prefixlen < 127:
        local.append(row(net.network_address, "anycast", "local", 0))
    return main, local


def in_kernel_order(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Sort rows as `ip route` lists them: IPv4 by address, longest prefix, metric; IPv6 specific first."""

    def key(route: Route) -> tuple[int, int, int, int]:
        dst, metric = route.dst, route.metric or 0
        if dst.version == 6:  # fib6 is walked in post-order: a node after everything beneath it
            return (6, int(dst.broadcast_address), -dst.prefixlen, metric)
        return (4, int(dst.network_address), -dst.prefixlen, metric)

    return tuple(sorted(routes, key=key))


def readable_mac(address: Address, second: int = 0) -> str:
    """Return 02:<second>:<last four bytes of the address>: a locally administered MAC that one can read."""
    return ":".join(f"{byte:02x}" for byte in (2, second, *address.packed[-4:]))


def join_peers(tables: Mapping[str, HostTables]) -> dict[str, HostTables]:
    """Give each device with a peer the peer's index, which `ip link` prints as `eth0@if3`."""
    index = {(host, link.name): link.ifindex for host, t in tables.items() for link in t.links}

    def joined(link: Link) -> Link:
        if link.peer is None:
            return link
        host, _, dev = link.peer.partition(":")
        return replace(link, extra={"link_index": index[host, dev], **link.extra})

    return {host: replace(t, links=tuple(joined(link) for link in t.links)) for host, t in tables.items()}
