"""A network: every host's tables, the cables between them, and what hosts do that no table shows.

`ip` and `bridge` do not print whether a host forwards, answers ARP for others, translates addresses or
filters; those settings live here, beside the tables, so that `journey` needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from coursekit.cluster.learned import Learning
from coursekit.cluster.model import Cluster
from coursekit.cluster.path import Journey
from coursekit.cluster.profiles import tables as profile_tables
from coursekit.cluster.tables import Address, FdbEntry, HostAddress, HostTables, Link, Neighbour, Route
from coursekit.cluster.tables import Network as Prefix
from coursekit.cluster.wiring import recorded_cables
from coursekit.errors import CourseError, expect, given


@dataclass(frozen=True)
class Masquerade:
    """`iptables -t nat -A POSTROUTING -s source [! -d outside] [-o device] -j MASQUERADE`."""

    source: Prefix
    outside: Prefix | None = None
    device: str | None = None

    def __str__(self) -> str:
        """Return the rule as iptables prints it."""
        unless = f" ! -d {self.outside}" if self.outside else ""
        out = f" -o {self.device}" if self.device else ""
        return f"-A POSTROUTING -s {self.source}{unless}{out} -j MASQUERADE"


@dataclass(frozen=True)
class Filter:
    """A rule that drops: at a hook of the IP stack, or (`hook="ingress"`) at a device, before the stack."""

    hook: str  # ingress, input, forward, output
    protocol: int | None = None  # IP protocol number: 1 ICMP, 4 IPIP, 17 UDP; None: any
    device: str | None = None
    icmp: tuple[int, int] | None = None  # type and code: (3, 4) is "fragmentation needed"

    def __str__(self) -> str:
        """Return the rule in words close to iptables and tc."""
        what = {None: "all", 1: "icmp", 4: "ipencap", 6: "tcp", 17: "udp", 58: "icmpv6"}.get(
            self.protocol, self.protocol
        )
        kind = f" --icmp-type {self.icmp[0]}/{self.icmp[1]}" if self.icmp else ""
        return f"-A {self.hook.upper()}{f' -i {self.device}' if self.device else ''} -p {what}{kind} -j DROP"


@dataclass(frozen=True)
class Host:
    """One host: its tables and its settings."""

    tables: HostTables
    forwarding: bool = False  # net.ipv4.ip_forward
    proxy_arp: frozenset[str] = frozenset()  # devices on which it answers ARP for whatever it has a route to
    masquerade: tuple[Masquerade, ...] = ()
    filters: tuple[Filter, ...] = ()
    bridge_netfilter: bool = (
        False  # net.bridge.bridge-nf-call-iptables: a bridge then fragments what a port cannot take
    )
    listens: frozenset[tuple[str, int]] = frozenset()  # ("tcp", 80), ("udp", 53)

    @property
    def name(self) -> str:
        """The host's name."""
        return self.tables.host

    def link(self, name: str) -> Link:
        """Return a device; CourseError if the host has none of that name."""
        found = self.tables.link(name)
        if found is None:
            known = ", ".join(link.name for link in self.tables.links)
            raise CourseError(f"{self.name} has no device {name!r}; it has {known}.")
        return found

    def addresses(self, device: str | None = None, version: int | None = None) -> tuple[Address, ...]:
        """Return the host's addresses, of one device or IP version if given, loopback left out."""
        return tuple(
            a.interface.ip
            for a in self.tables.addresses
            if (device in (None, a.dev)) and version in (None, a.interface.version) and not a.interface.ip.is_loopback
        )


@dataclass(frozen=True)
class Network:
    """Hosts and cables. Immutable: faults and learned path MTUs give a new one."""

    hosts: Mapping[str, Host]
    cables: Mapping[str, str]  # "node1:eth0" -> "router:sw1", in both directions
    path_mtus: Mapping[tuple[str, Address], int] = field(default_factory=dict)  # (host, destination) -> bytes
    learning: Learning | None = None  # where routes came by BGP: from whom, and what has happened since

    def host(self, name: str) -> Host:
        """Return a host; CourseError if there is none of that name."""
        if not isinstance(name, str) or name not in self.hosts:
            raise CourseError(f"There is no host {given(name)} in this network; there are {', '.join(self.hosts)}.")
        return self.hosts[name]

    def owner(self, address: Address) -> str | None:
        """Return the host that has `address` on a device, or None."""
        return next((name for name, host in self.hosts.items() if address in host.addresses()), None)

    def pods(self, node: str | None = None) -> tuple[str, ...]:
        """Return the hosts that neither forward nor hold a bridge; with `node`, those that are plugged into it."""
        found = (
            name
            for name, host in self.hosts.items()
            if not host.forwarding and not any(link.kind == "bridge" for link in host.tables.links)
        )
        if node is None:
            return tuple(found)
        ends = {self.cables.get(f"{node}:{link.name}", "").partition(":")[0] for link in self.host(node).tables.links}
        return tuple(name for name in found if name in ends)

    def nodes(self) -> tuple[str, ...]:
        """Return the hosts that pods are plugged into."""
        return tuple(name for name in self.hosts if self.pods(name))

    def address_of(self, name: str, version: int | None = None) -> Address:
        """Return the address one would ping to reach a host: of its first device with one, tunnels last."""
        host = self.host(name)
        tunnels = {link.name for link in host.tables.links if link.kind in ("vxlan", "ipip")}
        ranked = sorted(
            (
                a
                for a in host.tables.addresses
                if not a.interface.ip.is_loopback and version in (None, a.interface.version)
            ),
            key=lambda a: a.dev in tunnels,
        )
        if not ranked:
            raise CourseError(f"{name} has no {f'IPv{version} ' if version else ''}address to send to or from.")
        return ranked[0].interface.ip

    def change(self, name: str, tables: Mapping[str, Any] | None = None, **settings: Any) -> Network:
        """Return a network where one host has other tables (`routes=…`, `fdb=…` in `tables`) or other settings."""
        host = self.host(name)
        for key in settings:
            if key not in _SETTINGS:
                raise CourseError(f"A host has no setting {key!r}; it has {', '.join(_SETTINGS)}. Tables go in a dict.")
        rows: dict[str, Any] = _rows({} if tables is None else tables)
        changed = replace(host, tables=replace(host.tables, **rows), **settings)
        return replace(self, hosts=MappingProxyType({**self.hosts, name: changed}))

    def after(self, journey: Journey) -> Network:
        """Return the network as the journey leaves it: hosts remember the smallest path MTU that they were told."""
        known = dict(self.path_mtus)
        for path in journey.learned:  # __ip_rt_update_pmtu
            key = path.host, path.destination
            known[key] = min(path.mtu, known.get(key, path.mtu))
        return replace(self, path_mtus=MappingProxyType(known))


_ROWS: Mapping[str, type] = {
    "links": Link, "addresses": HostAddress, "routes": Route, "local_routes": Route, "neighbours": Neighbour,
    "fdb": FdbEntry,
}  # fmt: skip
_SETTINGS = tuple(item.name for item in fields(Host) if item.name != "tables")


def _rows(tables: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return tables by name as tuples; refuse what is no table, and no row of one."""
    expect(tables, Mapping, "Tables are given by name with all their rows, such as {'fdb': ()}")
    found = {}
    for name, rows in tables.items():
        if name not in _ROWS:
            raise CourseError(f"A host has no table {given(name)}; it has {', '.join(_ROWS)}.")
        expect(rows, Iterable, f"The table {name} is a tuple of rows")
        found[name] = tuple(rows)
        for row in found[name]:
            expect(row, _ROWS[name], f"A row of {name} is of class {_ROWS[name].__name__}, like those that are there")
            if isinstance(to := getattr(row, "dst", None), str):
                raise CourseError(f"The dst of a row is an address, not text; write ip_address({to!r}).")
    return found


def network(cluster: Cluster) -> Network:
    """Return the network that a cluster's profile makes, before the first packet; CourseError for no Cluster."""
    tables = profile_tables(cluster)
    cables = {f"{host}:{link.name}": link.peer for host, t in tables.items() for link in t.links if link.peer}
    forwards = {*(node.name for node in cluster.nodes), *(router.name for router in cluster.routers)}
    built = network_from_tables(tables, cables=cables, forwarding=forwards)
    if cluster.profile.learns_by_bgp:
        built = replace(built, learning=Learning(cluster))
    if cluster.profile.masquerade == "none":
        return built
    outside = cluster.pod_network if cluster.profile.masquerade == "outside" else None
    for node in cluster.nodes:
        built = built.change(node.name, masquerade=(Masquerade(cluster.pod_network, outside, "eth0"),))
    return built


def network_from_tables(
    tables: Mapping[str, HostTables],
    *,
    cables: Mapping[str, str] | None = None,
    forwarding: Iterable[str] | None = None,
    proxy_arp: Mapping[str, Iterable[str]] | None = None,
    masquerade: Mapping[str, Iterable[Masquerade]] | None = None,
    filters: Mapping[str, Iterable[Filter]] | None = None,
    bridge_netfilter: Iterable[str] = (),
) -> Network:
    """Return a network from recorded or edited tables.

    Where an argument is None: cables are worked out from the interface indexes (see `wiring`); hosts with more
    than one device that is up forward; devices named `cali*` answer ARP for others. Raises CourseError when
    the tables do not tell how the hosts are wired, or a setting names an unknown host.
    """
    if cables is None:
        cables = recorded_cables(tables)
    both_ways = {**{b: a for a, b in cables.items()}, **cables}
    routers = set(forwarding) if forwarding is not None else {h for h, t in tables.items() if _joins_networks(t)}
    named = {*routers, *(proxy_arp or {}), *(masquerade or {}), *(filters or {}), *bridge_netfilter}
    named |= {end.partition(":")[0] for end in both_ways}
    if unknown := sorted(named - set(tables)):
        raise CourseError(f"No tables were given for {', '.join(unknown)}; they were given for {', '.join(tables)}.")
    hosts = {}
    for name, t in tables.items():
        default = (link.name for link in t.links if link.name.startswith("cali"))
        hosts[name] = Host(
            t,
            name in routers,
            frozenset(default if proxy_arp is None else proxy_arp.get(name, ())),
            tuple((masquerade or {}).get(name, ())),
            tuple((filters or {}).get(name, ())),
            name in bridge_netfilter,
        )
    return Network(MappingProxyType(hosts), MappingProxyType(both_ways))


def _joins_networks(tables: HostTables) -> bool:
    return sum(link.up and "LOOPBACK" not in link.flags and link.master is None for link in tables.links) > 1 or any(
        link.kind == "bridge" for link in tables.links
    )
