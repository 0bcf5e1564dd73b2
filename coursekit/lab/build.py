"""From tables to the commands that build a host: `ip` and `bridge`, in batches, so that a lab is up in an instant.

A cluster is what its profile puts in the tables; rows that the kernel or a daemon writes by itself are left to them.
What changes later (a fault, a repair) is `cluster/commands.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from coursekit.cluster.commands import route_words, vxlan_words
from coursekit.cluster.network import Host, Network
from coursekit.cluster.tables import HostAddress, Link
from coursekit.cluster.underlay import device_name

OUTSIDE = ".outside"  # where cables out of the cluster end; no host can have such a name


@dataclass
class Script:
    """Lines for `ip -batch` and `bridge -batch` on one host; each phase is done on all hosts before the next begins."""

    devices: list[str] = field(default_factory=list)
    tunnels: list[str] = field(default_factory=list)  # over IPv6 they ask whether the device beneath them has it
    rows: list[str] = field(default_factory=list)
    fdb: list[str] = field(default_factory=list)


def scripts(
    network: Network, written: frozenset[str] = frozenset(), there: Collection[str] = ("lo",)
) -> dict[str, Script]:
    """Return what makes each host of `network` out of a new namespace.

    `written` names route protocols that a daemon writes itself, such as "bird"; `there` the devices that the kernel
    puts in every namespace. An IPIP device is not made, only adjusted: it is one of these, or a user-space one.
    """
    found = {name: _script(host, network, written, there) for name, host in network.hosts.items()}
    found[OUTSIDE] = Script(rows=[f"link set dev {_far(host)} up" for host, _ in uplinks(network)])
    return found


def uplinks(network: Network) -> list[tuple[str, Link]]:
    """Return the devices that lead out of the cluster, with their hosts: cables whose other end is nobody's."""
    cables = [(name, li) for name, host in network.hosts.items() for li in host.tables.links if li.kind == "veth"]
    return [(name, link) for name, link in cables if f"{name}:{link.name}" not in network.cables]


def _far(host: str) -> str:
    return device_name("far-", host)


def _script(host: Host, network: Network, written: frozenset[str], there: Collection[str]) -> Script:
    tables, script = host.tables, Script()
    numbered = len(there) <= 1  # the model's interface indexes are free then
    for link in tables.links:
        made = script.tunnels if link.kind == "vxlan" else script.devices
        made += _make(host.name, link, network, numbered)
        script.rows += [f"link set dev {link.name} mtu {link.mtu}"] if link.kind == "ipip" else []
        script.rows += [f"link set dev {link.name} master {link.master}"] if link.master else []
        script.rows += [f"link set dev {link.name} up"] if link.up else []
    # A new bridge follows its smallest port until it is told otherwise.
    script.rows += [f"link set dev {link.name} mtu {link.mtu}" for link in tables.links if link.kind == "bridge"]
    script.rows += [_address(row) for row in tables.addresses if row.dev != "lo"]
    commanded = [row for row in tables.routes if row.protocol != "kernel" and row.protocol not in written]
    # Routes without a gateway come first: others may need them to reach theirs.
    for row in sorted(commanded, key=lambda row: row.via is not None or bool(row.nexthops)):
        script.rows.append(f"route add {route_words(row)}")
    script.rows += [
        f"neigh replace {row.dst} lladdr {row.lladdr} dev {row.dev} nud permanent"
        for row in tables.neighbours
        if row.state == "PERMANENT"
    ]
    script.fdb += [
        f"fdb append {row.mac} dev {row.dev} dst {row.dst} self permanent" for row in tables.fdb if row.dst is not None
    ]
    return script


def _address(row: HostAddress) -> str:
    words = f"addr add {row.interface} dev {row.dev}"
    words += f" brd {row.extra['broadcast']}" if "broadcast" in row.extra else ""
    return words + (" nodad" if row.interface.version == 6 else "")


def _make(host: str, link: Link, network: Network, numbered: bool) -> Iterator[str]:
    """Yield the line that makes a device; a pair of veths is made from that end which comes first."""

    def words(one: Link) -> str:
        index = f" index {one.ifindex}" if numbered else ""
        return f"{one.name}{index} mtu {one.mtu} address {one.mac}"

    head = f"link add {words(link)} type"
    if link.kind == "veth" and f"{host}:{link.name}" not in network.cables:
        yield f"{head} veth peer name {_far(host)} netns {OUTSIDE}"
    elif link.kind == "veth":
        there = network.cables[f"{host}:{link.name}"]
        other, _, device = there.partition(":")
        if there > f"{host}:{link.name}":
            far = network.host(other).link(device)
            yield f"{head} veth peer name {words(far)} netns {other}"
    elif link.kind == "bridge":
        yield f"{head} bridge stp_state 0 mcast_snooping 0"
    elif link.kind == "vxlan":
        yield f"{head} vxlan {vxlan_words(link.info)}"


def settings(host: Host) -> dict[str, str]:
    """Return the settings of a host before it has devices, by name under /proc/sys/net.

    No reverse-path filter, no redirects, no limit on ICMP errors, bridges that do not ask iptables.
    """
    v6 = any(a.interface.version == 6 for a in host.tables.addresses)
    forward = str(int(host.forwarding))
    found = {"ipv4/icmp_ratelimit": "0", "ipv4/ip_forward": forward, "ipv6/icmp/ratelimit": "0"}
    found |= {f"bridge/bridge-nf-call-{what}": "0" for what in ("iptables", "ip6tables", "arptables")}
    for scope in ("all", "default"):
        found |= {f"ipv4/conf/{scope}/{key}": "0" for key in ("rp_filter", "send_redirects", "accept_redirects")}
        found |= {f"ipv6/conf/{scope}/{key}": "0" for key in ("accept_dad", "accept_ra", "accept_redirects")}
        found |= {f"ipv6/conf/{scope}/disable_ipv6": str(int(not v6 or scope == "default"))}
    return {**found, "ipv6/conf/all/forwarding": forward} if v6 else found


def device_settings(host: Host) -> dict[str, str]:
    """Return the settings of a host's devices: IPv6 where it has an IPv6 address, proxy ARP at Calico's pods."""
    six = {a.dev for a in host.tables.addresses if a.interface.version == 6}
    found = {f"ipv6/conf/{device}/disable_ipv6": "0" for device in sorted(six)}
    for device in sorted(host.proxy_arp):
        found |= {f"ipv4/conf/{device}/proxy_arp": "1", f"ipv4/neigh/{device}/proxy_delay": "0"}
    return found
