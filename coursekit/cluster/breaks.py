"""What each fault does to a network: an entry gone, a number changed, a device down, a packet filtered.

Every function takes a network and returns the broken one; options that are not given are chosen. CourseError where
there is nothing of that kind to break. `faults` gives them their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from coursekit.cluster.carrier import set_down
from coursekit.cluster.given import within
from coursekit.cluster.network import Filter, Network
from coursekit.cluster.relearn import relearn
from coursekit.cluster.tables import Link, Route
from coursekit.cluster.tunnels import vxlan_port
from coursekit.errors import CourseError

_FRAG_NEEDED = (3, 4)
_VNIS = 2**24
_STATION = re.compile(r"(?!00(:00){5})[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}")  # no group address, not zero


def chosen_node(network: Network, given: str | None, default: int = 0, other_than: str | None = None) -> str:
    """Return the node that was given, or else the one in place `default`; CourseError if there is none."""
    known = [name for name in network.nodes() if name != other_than]
    if given is None:
        if len(known) <= default:
            raise CourseError("This network has too few nodes with pods for that fault; two are needed.")
        return known[default]
    if given not in network.nodes():
        raise CourseError(f"{given!r} is no node of this network; the nodes are {', '.join(network.nodes())}.")
    return given


def _pair(network: Network, node: str | None, peer: str | None) -> tuple[str, str]:
    one = chosen_node(network, node, other_than=peer)
    other = chosen_node(network, peer, other_than=one)
    if one == other:
        raise CourseError(f"node and peer are both {one}; a fault between two nodes needs two.")
    return one, other


def _vxlan(network: Network, node: str, what: str) -> Link:
    found = next((link for link in network.host(node).tables.links if link.kind == "vxlan"), None)
    if found is None:
        raise CourseError(f"{node} has no VXLAN device, so there is no {what} to break; choose a VXLAN profile.")
    return found


def _tunnel(network: Network, node: str) -> Link:
    links = network.host(node).tables.links
    found = next((link for link in links if link.kind in ("vxlan", "ipip") and link.up), None)
    if found is None:
        raise CourseError(f"{node} has no tunnel device that is up; choose a profile that encapsulates.")
    return found


def underlay_port(network: Network, node: str) -> tuple[str, str, str]:
    """Return a node's underlay device, and the host and device that it is plugged into."""
    inside = set(network.pods())
    for link in network.host(node).tables.links:
        host, _, device = network.cables.get(f"{node}:{link.name}", "").partition(":")
        if host and host not in inside:
            return link.name, host, device
    raise CourseError(f"{node} is plugged into no switch, so no port can be broken.")


def _with_link(network: Network, name: str, device: str, **changes: Any) -> Network:
    host = network.host(name)
    changed = replace(host.link(device), **changes)
    links = tuple(changed if link.name == device else link for link in host.tables.links)
    return network.change(name, {"links": links})


def _without(network: Network, node: str, table: str, gone: Iterable[Any], what: str) -> Network:
    rows, dropped = getattr(network.host(node).tables, table), list(gone)
    if not dropped:
        raise CourseError(f"{node} has no {what}, so it cannot go missing.")
    return network.change(node, {table: tuple(row for row in rows if row not in dropped)})


def _ways(network: Network, node: str, peer: str) -> list[Route]:
    """Return the rows by which a node reaches the pods of another; the default route is not one of them."""
    targets = [address for pod in network.pods(peer) for address in network.host(pod).addresses()]
    rows = network.host(node).tables.routes
    return [
        r
        for r in rows
        if r.type == "unicast" and r.dst.prefixlen and any(t in r.dst for t in targets if t.version == r.dst.version)
    ]


def missing_route(network: Network, node: str | None = None, peer: str | None = None) -> Network:
    """A node has lost its route to another node's pods."""
    one, other = _pair(network, node, peer)
    return _without(network, one, "routes", _ways(network, one, other), f"route to the pods of {other}")


def no_default_route(network: Network, node: str | None = None) -> Network:
    """A node has no default route."""
    one = chosen_node(network, node)
    defaults = [route for route in network.host(one).tables.routes if not route.dst.prefixlen]
    broken = _without(network, one, "routes", defaults, "default route")
    if broken.learning is None:
        return broken
    return relearn(broken, broken.learning.otherwise(without=broken.learning.without | {(one, "default")}))


def missing_neighbour(network: Network, node: str | None = None, peer: str | None = None) -> Network:
    """A node does not know the MAC of another node's VXLAN device."""
    one, other = _pair(network, node, peer)
    device = _vxlan(network, one, "neighbour entry").name
    hops = {route.via for route in _ways(network, one, other) if route.dev == device}
    rows = [n for n in network.host(one).tables.neighbours if n.dev == device and n.dst in hops]
    return _without(network, one, "neighbours", rows, f"neighbour entry for {other}")


def missing_fdb(network: Network, node: str | None = None, peer: str | None = None) -> Network:
    """A node's VXLAN device does not know on which node another VTEP's MAC lives."""
    one, other = _pair(network, node, peer)
    device, ends = _vxlan(network, one, "FDB entry").name, network.host(other).addresses()
    rows = [e for e in network.host(one).tables.fdb if e.dev == device and e.dst in ends]
    return _without(network, one, "fdb", rows, f"FDB entry for {other}")


def stale_vtep_mac(network: Network, node: str | None = None, mac: str = "02:00:00:00:be:ef") -> Network:
    """A node's VXLAN device was made again with another MAC, and the others were not told."""
    one = chosen_node(network, node, 1 if node is None else 0)
    device = _vxlan(network, one, "VTEP MAC")
    if not isinstance(mac, str) or not _STATION.fullmatch(mac):
        raise CourseError(f"A VTEP has the MAC of one station, such as 02:00:00:00:be:ef; {mac!r} was given.")
    mac = mac.lower()
    if device.mac == mac:
        raise CourseError(f"{one}:{device.name} has the MAC {mac} already; give another one.")
    return _with_link(network, one, device.name, mac=mac)


def _with_info(network: Network, node: str, device: Link, **info: Any) -> Network:
    return _with_link(network, node, device.name, info={**device.info, **info})


def wrong_vni(network: Network, node: str | None = None, vni: int | None = None) -> Network:
    """A node's VXLAN device has another VNI than the others."""
    one = chosen_node(network, node, 1 if node is None else 0)
    device = _vxlan(network, one, "VNI")
    chosen = (int(device.info["id"]) + 1) % _VNIS if vni is None else vni
    if not within(chosen, 0, _VNIS - 1):
        raise CourseError(f"A VNI has 24 bits, 0 to {_VNIS - 1}; {chosen!r} was given.")
    return _with_info(network, one, device, id=chosen)


def wrong_port(network: Network, node: str | None = None, port: int | None = None) -> Network:
    """A node's VXLAN device listens on another UDP port (8472 is Linux's, 4789 the RFC's)."""
    one = chosen_node(network, node, 1 if node is None else 0)
    device = _vxlan(network, one, "UDP port")
    chosen = (4789 if vxlan_port(device) == 8472 else 8472) if port is None else port
    if not within(chosen, 1, 65535):
        raise CourseError(f"A UDP port is a number from 1 to 65535; {chosen!r} was given.")
    return _with_info(network, one, device, port=chosen)


def _check_mtu(mtu: int) -> None:
    if not within(mtu, 68, 65535):
        raise CourseError(f"An MTU is 68 to 65535 bytes (RFC 791 asks for 68 at least); {mtu!r} was given.")


def pod_mtu(network: Network, mtu: int = 1500, pod: str | None = None) -> Network:
    """Pods have another MTU than the tunnel allows for."""
    _check_mtu(mtu)
    if pod is not None and pod not in network.pods():
        raise CourseError(f"{pod!r} is no pod of this network; the pods are {', '.join(network.pods())}.")
    for name in network.pods() if pod is None else (pod,):
        for link in network.host(name).tables.links:
            node, _, port = network.cables.get(f"{name}:{link.name}", "").partition(":")
            if node:
                network = _with_link(network, name, link.name, mtu=mtu)
                network = _with_port(network, node, port, mtu)
                master = network.host(node).link(port).master
                if master is not None and pod is None:
                    network = _with_link(network, node, master, mtu=mtu)
    return network


def _with_port(network: Network, host: str, port: str, mtu: int) -> Network:
    """Change a port's MTU; its bridge follows the smallest one unless it was told otherwise (br_mtu_auto_adjust)."""
    bridge, links = network.host(host).link(port).master, network.host(host).tables.links
    others = [link.mtu for link in links if link.master == bridge and link.name != port]
    follows = bridge and network.host(host).link(bridge).mtu == min([*others, network.host(host).link(port).mtu])
    network = _with_link(network, host, port, mtu=mtu)
    return _with_link(network, host, bridge, mtu=min([*others, mtu])) if bridge and follows else network


def vtep_mtu(network: Network, mtu: int = 1500, df: str | None = None) -> Network:
    """Tunnel devices have an MTU that the underlay cannot carry.

    `df` is what VXLAN then sets outside, as in `ip link add … type vxlan df`.
    """
    _check_mtu(mtu)
    if df not in (None, "set", "unset", "inherit"):
        raise CourseError(f"df is 'set', 'unset' or 'inherit', as in `ip link add … type vxlan df`; {df!r} was given.")
    for name in network.nodes():
        device = _tunnel(network, name)
        network = _with_link(network, name, device.name, mtu=mtu)
        # made with `dev eth0`, the kernel would not allow an MTU above eth0's less the headers
        info = {key: value for key, value in device.info.items() if key != "link"} | ({"df": df} if df else {})
        network = _with_link(network, name, device.name, info=info)
        routes = (replace(r, mtu=None) if r.dev == device.name else r for r in network.host(name).tables.routes)
        network = network.change(name, {"routes": tuple(routes)})
    return network


def node_mtu(network: Network, mtu: int = 1400, node: str | None = None) -> Network:
    """The nodes' own eth0 was lowered after the tunnels were made."""
    _check_mtu(mtu)
    for name in network.nodes() if node is None else (chosen_node(network, node),):
        network = _with_link(network, name, underlay_port(network, name)[0], mtu=mtu)
    return network


def port_mtu(network: Network, node: str | None = None, mtu: int = 1400) -> Network:
    """The switch port of a node takes shorter packets than everybody believes."""
    _check_mtu(mtu)
    _, switch, port = underlay_port(network, chosen_node(network, node, 1 if node is None else 0))
    return _with_port(network, switch, port, mtu)


def _with_filter(network: Network, host: str, rule: Filter) -> Network:
    rules = network.host(host).filters
    return network if rule in rules else network.change(host, filters=(*rules, rule))


def icmp_filtered(network: Network, node: str | None = None) -> Network:
    """A firewall drops “fragmentation needed”: path MTU discovery is blind."""
    every = [name for name, host in network.hosts.items() if host.forwarding]
    for name in every if node is None else (chosen_node(network, node),):
        for hook in ("output", "forward"):
            network = _with_filter(network, name, Filter(hook, 1, icmp=_FRAG_NEEDED))
    return network


def protocol_4_filtered(network: Network, node: str | None = None) -> Network:
    """The network between the nodes drops IP protocol 4, as some clouds do."""
    _, switch, port = underlay_port(network, chosen_node(network, node))
    return _with_filter(network, switch, Filter("ingress", 4, port))


def receiver_without_tunnel(network: Network, node: str | None = None) -> Network:
    """A node's tunnel device is down."""
    one = chosen_node(network, node, 1 if node is None else 0)
    return set_down(network, one, [_tunnel(network, one).name])
