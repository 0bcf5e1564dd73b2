"""The tables a Linux host holds, row by row, with iproute2's names.

Rows are frozen and print as `ip` and `bridge` print them; `iproute2.py` reads and writes both
the text and the `-j` JSON. Attributes that iproute2 shows but the model does not reason about stay in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class NextHop:
    """One leg of a multipath route."""

    via: Address | None
    dev: str | None
    weight: int = 1
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """One row of `ip route`. `dst` 0.0.0.0/0 prints as `default`; `type` as in ip-route(8)."""

    dst: Network
    via: Address | None = None
    dev: str | None = None
    type: str = "unicast"  # unicast, local, broadcast, blackhole, unreachable, prohibit, throw
    protocol: str = "boot"  # boot, kernel, static, bird, 80, …
    scope: str = "global"  # global, link, host
    prefsrc: Address | None = None
    metric: int | None = None
    mtu: int | None = None
    flags: tuple[str, ...] = ()  # onlink, linkdown, …
    nexthops: tuple[NextHop, ...] = ()
    table: str = "main"  # main or local
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        from coursekit.cluster.iproute2 import format_route  # iproute2 builds these rows, so it cannot come first

        return format_route(self).strip()


@dataclass(frozen=True)
class Neighbour:
    """One row of `ip neigh`: an IP address and the MAC that answers for it on a link."""

    dst: Address
    dev: str
    lladdr: str | None
    state: str = "REACHABLE"  # PERMANENT, REACHABLE, STALE, DELAY, PROBE, INCOMPLETE, FAILED, NOARP
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        from coursekit.cluster.iproute2 import format_neighbour  # iproute2 builds these rows, so it cannot come first

        return format_neighbour(self).strip()


@dataclass(frozen=True)
class FdbEntry:
    """One row of `bridge fdb`: a MAC and where frames to it leave: a bridge port, or for VXLAN a remote address."""

    mac: str
    dev: str
    dst: Address | None = None
    master: str | None = None
    flags: tuple[str, ...] = ()  # self, extern_learn, offload, …
    state: str = ""  # permanent, static, stale or ""
    vlan: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        from coursekit.cluster.iproute2 import format_fdb_entry  # iproute2 builds these rows, so it cannot come first

        return format_fdb_entry(self).strip()


@dataclass(frozen=True)
class Link:
    """One device of `ip -d link`. `info` is the driver's part: VXLAN id, port, local …, the `info_data` of its JSON."""

    name: str
    mtu: int
    kind: str = ""  # veth, bridge, vxlan, ipip, … ("" for physical or loopback)
    mac: str | None = None
    flags: tuple[str, ...] = ("BROADCAST", "MULTICAST", "UP", "LOWER_UP")
    master: str | None = None
    ifindex: int = 0
    peer: str | None = None  # "host:device" at the other end of a veth or cable, where the model knows it
    info: Mapping[str, Any] = field(default_factory=dict, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def up(self) -> bool:
        """Whether the device may send and receive."""
        return "UP" in self.flags

    def __str__(self) -> str:
        from coursekit.cluster.iproute2 import format_link

        return format_link(self).rstrip()


@dataclass(frozen=True)
class HostAddress:
    """One address of `ip addr`."""

    dev: str
    interface: Interface
    scope: str = "global"
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        from coursekit.cluster.iproute2 import format_address  # iproute2 builds these rows, so it cannot come first

        return format_address(self).strip()


@dataclass(frozen=True)
class HostTables:
    """Everything a host consults on the way of a packet, as `ip` and `bridge` show it."""

    host: str
    links: tuple[Link, ...] = ()
    addresses: tuple[HostAddress, ...] = ()
    routes: tuple[Route, ...] = ()
    local_routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()

    def link(self, name: str) -> Link | None:
        """Return the device of that name, or None."""
        return next((link for link in self.links if link.name == name), None)
