"""What carries the nodes' packets: switches, routers and the nodes' own eth0, with no pod in sight.

Each segment is one bridge with a port `sw<n>` per node. The bridge belongs to the segment's router (its device
`br0`, or `br1`, `br2` … when there are several segments); further routers on the segment hang on a port of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from ipaddress import ip_interface

from coursekit.cluster.host import Host, readable_mac
from coursekit.cluster.model import Cluster, Node, Router, Segment
from coursekit.cluster.mtus import node_mtu
from coursekit.cluster.tables import Address, FdbEntry, Interface

_IFNAMSIZ = 15  # characters that fit in a device name


def device_name(prefix: str, name: str, hashed: str = "") -> str:
    """Return prefix + name, or where that is longer than a device name may be, prefix + 11 hex digits of a SHA-1.

    It is the SHA-1 of `hashed`, or of the name.
    """
    digits = _IFNAMSIZ - len(prefix)
    return prefix + (name if len(name) <= digits else sha1((hashed or name).encode()).hexdigest()[: min(11, digits)])


def bridge_name(cluster: Cluster, segment: Segment) -> str:
    """Return the name of the segment's bridge on its router."""
    return "br0" if len(cluster.segments) == 1 else f"br{cluster.segments.index(segment) + 1}"


def node_mac(node: Node) -> str:
    """Return the MAC of the node's eth0."""
    return node.mac or readable_mac(node.address)


def fill(cluster: Cluster, hosts: Mapping[str, Host]) -> None:
    """Set up switches, routers and the nodes' eth0 in `hosts`."""
    for segment in cluster.segments:
        _switch(cluster, segment, hosts)
    for router in cluster.routers:
        _router(cluster, router, hosts)
    for number, node in enumerate(cluster.nodes, 1):
        _node(cluster, node, f"sw{number}", hosts)


def _on(segment: Segment, address: Address) -> Interface:
    return ip_interface(f"{address}/{segment.subnet.prefixlen}")


def _plug(
    cluster: Cluster, segment: Segment, hosts: Mapping[str, Host], port: str, peer: str, mtu: int, end: Address
) -> None:
    """Add a switch port whose cable ends at `peer` ("node1:eth0")."""
    switch, bridge, mac = hosts[cluster.switch_of(segment)], bridge_name(cluster, segment), readable_mac(end, second=1)
    switch.link(port, mtu, kind="veth", mac=mac, master=bridge, peer=peer)
    switch.bridge_port(bridge, port, mac)


def _switch(cluster: Cluster, segment: Segment, hosts: Mapping[str, Host]) -> None:
    router, bridge = cluster.router_of(segment), bridge_name(cluster, segment)
    address = next((a for a in router.addresses if a in segment.subnet), None) if router else None
    mac = readable_mac(address if address is not None else segment.subnet.network_address)
    host = hosts[cluster.switch_of(segment)]
    host.link(bridge, segment.mtu, kind="bridge", mac=mac)
    host.fdb.append(FdbEntry(mac, bridge, master=bridge, state="permanent"))
    if address is not None:
        host.address(bridge, _on(segment, address))


def _router(cluster: Cluster, router: Router, hosts: Mapping[str, Host]) -> None:
    host, guests = hosts[router.name], 0
    for segment in cluster.segments:
        address = next((a for a in router.addresses if a in segment.subnet), None)
        if address is not None and cluster.switch_of(segment) != router.name:
            near, port = f"eth{guests}", device_name("sw-", f"{router.name}.{bridge_name(cluster, segment)}")
            guests += 1
            switch = cluster.switch_of(segment)
            host.link(near, segment.mtu, kind="veth", mac=readable_mac(address), peer=f"{switch}:{port}")
            host.address(near, _on(segment, address), brd=True)
            _plug(cluster, segment, hosts, port, f"{router.name}:{near}", segment.mtu, address)
    if router.uplink is not None:
        host.link("wan0", 1500, kind="veth", mac=readable_mac(router.uplink.ip))
        host.address("wan0", router.uplink, brd=True)
    if router.default_gateway is not None:
        device = _device_towards(host, router.default_gateway)
        host.route("0.0.0.0/0" if router.default_gateway.version == 4 else "::/0", router.default_gateway, device)
    for segment in cluster.segments:
        if not any(a in segment.subnet for a in router.addresses):
            hop = next_hop(cluster, router, segment)
            if hop is not None:
                host.route(segment.subnet, hop, _device_towards(host, hop))
    if cluster.profile.router_routes:
        _pod_routes(cluster, router, host)


def _pod_routes(cluster: Cluster, router: Router, host: Host) -> None:
    """Routes to every block, by hand."""
    for node in cluster.nodes:
        segment = cluster.segment_of(node)
        direct = any(a in segment.subnet for a in router.addresses)
        hop = node.address if direct else next_hop(cluster, router, segment)
        if hop is not None:
            for block in node.blocks:
                host.route(block, hop, _device_towards(host, hop))


def _device_towards(host: Host, hop: Address) -> str | None:
    return next((a.dev for a in host.addresses if hop in a.interface.network), None)


def next_hop(cluster: Cluster, router: Router, target: Segment) -> Address | None:
    """Return the neighbour through which `router` reaches `target` over the fewest routers, or None."""
    joins = {r.name: [s for s in cluster.segments if any(a in s.subnet for a in r.addresses)] for r in cluster.routers}
    queue: list[tuple[Router, Address | None]] = [(router, None)]
    seen = {router.name}
    for at, first in queue:  # breadth first: the list grows while it is walked
        if target in joins[at.name]:
            return first
        for other in cluster.routers:
            shared = next((s for s in joins[at.name] if s in joins[other.name]), None)
            if other.name not in seen and shared is not None:
                seen.add(other.name)
                queue.append((other, first or next(a for a in other.addresses if a in shared.subnet)))
    return None


def _node(cluster: Cluster, node: Node, port: str, hosts: Mapping[str, Host]) -> None:
    segment, host = cluster.segment_of(node), hosts[node.name]
    switch = cluster.switch_of(segment)
    host.link("eth0", node_mtu(cluster, node), kind="veth", mac=node_mac(node), peer=f"{switch}:{port}")
    host.address("eth0", _on(segment, node.address), brd=True)
    if segment.gateway is not None:
        host.route("0.0.0.0/0" if segment.gateway.version == 4 else "::/0", segment.gateway, "eth0")
    _plug(cluster, segment, hosts, port, f"{node.name}:eth0", node.port_mtu or segment.mtu, node.address)
