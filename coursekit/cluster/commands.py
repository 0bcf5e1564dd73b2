"""What to type so that a host's tables become others: two networks' difference, as iproute2 and iptables.

A fault is a function from one network to another. The commands that do the same to a live host follow from the
difference, and so do those that mend it again: `commands(healthy, broken)` breaks, `commands(broken, healthy)` repairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coursekit.cluster.network import Filter, Host, Masquerade, Network
from coursekit.cluster.tables import FdbEntry, HostAddress, Link, Neighbour, Route
from coursekit.errors import CourseError

_MADE_ONCE = ("id", "local", "local6", "remote", "remote6", "link", "port")  # a VXLAN device cannot change these
_PROTOCOLS = {1: "icmp", 4: "ipencap", 6: "tcp", 17: "udp"}  # as in /etc/protocols
_KERNELS_OWN = ("linkdown", "dead", "offload", "rt_trap")  # flags that `ip route` shows and nobody sets


@dataclass(frozen=True)
class Command:
    """One line to type on a host."""

    host: str
    line: str

    def __str__(self) -> str:
        """Return `node1: ip route del …`."""
        return f"{self.host}: {self.line}"


def commands(before: Network, after: Network, *, without: Iterable[str] = ()) -> tuple[Command, ...]:
    """Return the commands that turn the tables and settings of `before` into those of `after`, in order.

    `without` names routing protocols whose rows a running daemon looks after itself ("bird"). Raises CourseError where
    the two are not the same hosts and devices: commands change a network, they do not build one.
    """
    if set(before.hosts) != set(after.hosts):
        raise CourseError("Commands lead from one state of a network to another; these two networks have other hosts.")
    leave = frozenset(without)
    found = []
    for name, host in after.hosts.items():
        if host != before.hosts[name]:
            found += [Command(name, line) for line in _lines(before.hosts[name], host, leave)]
    return tuple(found)


def _lines(before: Host, after: Host, leave: frozenset[str]) -> Iterator[str]:
    yield from _settings(before, after)
    old, new = before.tables, after.tables
    gone: set[str] = set()  # devices whose rows the kernel takes away by itself
    fresh: set[str] = set()  # devices that start without rows
    for link in new.links:
        was = old.link(link.name)
        if was is None:
            raise CourseError(f"{after.name} has no device {link.name} yet; commands change devices, they add none.")
        if link.kind == "vxlan" and any(was.info.get(key) != link.info.get(key) for key in _MADE_ONCE):
            yield from _made_again(link, (a for a in new.addresses if a.dev == link.name))
            gone.add(link.name)
            fresh.add(link.name)
        else:
            yield from _changed(was, link)
        if was.up and not link.up:
            gone.add(link.name)
        if link.up and not was.up:
            fresh.add(link.name)
    rows = {route_words(row): row for row in old.routes if _settable(row, leave)}
    wanted = {route_words(row): row for row in new.routes if _settable(row, leave)}
    for words, route in rows.items():
        if words not in wanted and route.dev not in gone:
            yield f"ip route del {words}"
    missing = [(w, row) for w, row in wanted.items() if w not in rows or row.dev in fresh]
    for words, _ in sorted(missing, key=lambda found: found[1].via is not None):  # a gateway must be reachable first
        yield f"ip route add {words}"
    # A new MAC makes the kernel forget all neighbours, also the permanent ones (neigh_changeaddr).
    forgot = {link.name for link in new.links if (was := old.link(link.name)) and was.mac != link.mac}
    yield from _neighbours(old.neighbours, new.neighbours, gone | forgot, fresh | forgot)
    yield from _fdb(old.fdb, new.fdb, gone & fresh)


def _settable(route: Route, leave: frozenset[str]) -> bool:
    return route.protocol != "kernel" and route.protocol not in leave


def route_words(route: Route) -> str:
    """Return a row as `ip route add` takes it: as it is printed, without what only the kernel says."""
    return " ".join(word for word in str(route).split() if word not in _KERNELS_OWN)


def _settings(before: Host, after: Host) -> Iterator[str]:
    if after.forwarding != before.forwarding:
        yield f"sysctl -q -w net.ipv4.ip_forward={int(after.forwarding)}"
    for device in sorted(before.proxy_arp ^ after.proxy_arp):
        yield f"sysctl -q -w net.ipv4.conf.{device}.proxy_arp={int(device in after.proxy_arp)}"
    yield from _rules("D", after, [rule for rule in before.filters if rule not in after.filters])
    yield from _rules("A", after, [rule for rule in after.filters if rule not in before.filters])
    yield from (_masquerade("D", rule) for rule in before.masquerade if rule not in after.masquerade)
    yield from (_masquerade("A", rule) for rule in after.masquerade if rule not in before.masquerade)


def _masquerade(action: str, rule: Masquerade) -> str:
    return f"iptables -t nat {str(rule).replace('-A', f'-{action}', 1)}"


def _rules(action: str, host: Host, rules: Iterable[Filter]) -> Iterator[str]:
    for rule in rules:
        kind = f"{rule.icmp[0]}/{rule.icmp[1]}" if rule.icmp else ""
        name = _PROTOCOLS.get(rule.protocol or 0, str(rule.protocol))
        if rule.hook == "ingress" and rule.device and host.link(rule.device).master:  # a switch asks no iptables
            which = f" --ip-proto {name}" if rule.protocol is not None else ""
            which += f" --ip-icmp-type {kind}" if kind else ""
            yield f"ebtables -t nat -{action} PREROUTING -i {rule.device} -p IPv4{which} -j DROP"
            continue
        chain = f"-t raw -{action} PREROUTING" if rule.hook == "ingress" else f"-{action} {rule.hook.upper()}"
        which = f" -i {rule.device}" if rule.device else ""
        which += f" -p {name}" if rule.protocol is not None else ""
        which += f" --icmp-type {kind}" if kind else ""
        yield f"iptables {chain}{which} -j DROP"


def _changed(was: Link, link: Link) -> Iterator[str]:
    if link.mtu != was.mtu:
        yield f"ip link set {link.name} mtu {link.mtu}"
    if link.mac != was.mac:
        yield f"ip link set {link.name} address {link.mac}"
    if link.info.get("df") != was.info.get("df"):
        yield f"ip link set {link.name} type {link.kind} df {link.info.get('df', 'unset')}"
    if link.up != was.up:
        yield f"ip link set {link.name} {'up' if link.up else 'down'}"


def _made_again(link: Link, addresses: Iterable[HostAddress]) -> Iterator[str]:
    yield f"ip link del {link.name}"
    yield f"ip link add {link.name} address {link.mac} mtu {link.mtu} type vxlan {vxlan_words(link.info)}"
    yield from (f"ip address add {a.interface} dev {link.name}" for a in addresses)
    if link.up:
        yield f"ip link set {link.name} up"


def vxlan_words(info: Mapping[str, Any]) -> str:
    """Return what follows `type vxlan` in `ip link add`, from the `info` of a device."""
    words = [f"id {info['id']}"]
    for key, word in (("local", "local"), ("local6", "local"), ("remote", "remote"), ("remote6", "remote")):
        words += [f"{word} {info[key]}"] if key in info else []
    words += [f"dev {info['link']}"] if "link" in info else []
    words += [f"dstport {info['port']}", "learning" if info.get("learning", True) else "nolearning"]
    words += [f"df {info['df']}"] if info.get("df", "unset") != "unset" else []
    words += [] if info.get("udp_csum", True) else ["noudpcsum"]
    for key, word in (("udp_zero_csum6_tx", "udp6zerocsumtx"), ("udp_zero_csum6_rx", "udp6zerocsumrx")):
        words += [word] if info.get(key) else []
    return " ".join(words)


def _neighbours(
    old: tuple[Neighbour, ...], new: tuple[Neighbour, ...], gone: set[str], fresh: set[str]
) -> Iterator[str]:
    for row in old:
        if row not in new and row.dev not in gone:
            yield f"ip neigh del {row.dst} dev {row.dev}"
    for row in new:
        if row.state == "PERMANENT" and row.lladdr and (row not in old or row.dev in fresh):
            yield f"ip neigh replace {row.dst} lladdr {row.lladdr} dev {row.dev} nud permanent"


def _fdb(old: tuple[FdbEntry, ...], new: tuple[FdbEntry, ...], remade: set[str]) -> Iterator[str]:
    """Rows of VXLAN devices; a bridge's own rows come and go with its ports."""
    for row in old:
        if row.dst is not None and row not in new and row.dev not in remade:
            yield f"bridge fdb del {row.mac} dev {row.dev} dst {row.dst} self"
    for row in new:
        if row.dst is not None and (row not in old or row.dev in remade):
            yield f"bridge fdb append {row.mac} dev {row.dev} dst {row.dst} self permanent"
