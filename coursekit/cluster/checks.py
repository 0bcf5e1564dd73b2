"""What makes a cluster impossible, found before anything is built from it; each mistake names the key at fault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from coursekit.cluster.mtus import pod_mtu, tunnel_mtu, tunnel_overhead
from coursekit.cluster.options import suggestion
from coursekit.errors import CourseError

if TYPE_CHECKING:
    from coursekit.cluster.model import Cluster, Node
    from coursekit.cluster.tables import Address

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_MIN_MTU = {4: 68, 6: 1280}  # RFC 791 §3.2, RFC 8200 §5; below them Linux takes the address family off a device
_MAX_MTU = 65535


def check(cluster: Cluster) -> None:
    """Raise CourseError for the first thing that makes `cluster` impossible."""
    if not cluster.nodes:
        raise _error(cluster, "nodes", "it is empty. Add at least one node.")
    _check_names(cluster)
    _check_segments(cluster)
    _check_routers(cluster)
    _check_nodes(cluster)
    _check_pods(cluster)
    _check_duplicate_addresses(cluster)
    _check_profile(cluster)
    _check_reachable(cluster)
    _check_mtus(cluster)


def _error(cluster: Cluster, key: str, sentence: str) -> CourseError:
    return CourseError(f"{cluster.source}: {key}: {sentence}")


def _check_names(cluster: Cluster) -> None:
    seen: dict[str, str] = {}
    names = [(f"nodes[{i}].name", node.name) for i, node in enumerate(cluster.nodes)]
    names += [(f"pods[{i}].name", pod.name) for i, pod in enumerate(cluster.pods)]
    names += [(f"routers[{i}].name", router.name) for i, router in enumerate(cluster.routers)]
    for key, name in names:
        if not _NAME.fullmatch(name):
            raise _error(cluster, key, f"{name!r} is no host name; use letters, digits, '-', '_' and '.'.")
        if name in seen:
            raise _error(cluster, key, f"{name!r} is already {seen[name]}; give every host its own name.")
        seen[name] = key
    for i, segment in enumerate(cluster.segments):
        key = f"segments[{i}].name"
        if not _NAME.fullmatch(segment.name):
            raise _error(cluster, key, f"{segment.name!r} is no name; use letters, digits, '-', '_' and '.'.")
        if segment.name in [s.name for s in cluster.segments[:i]]:
            raise _error(cluster, key, f"{segment.name!r} is given twice; give every segment its own name.")
        if cluster.router_of(segment) is None and segment.name in seen:
            raise _error(
                cluster, key, f"without a router its switch is a host too, and {seen[segment.name]} has that name."
            )


def _check_segments(cluster: Cluster) -> None:
    if not cluster.segments:
        raise _error(cluster, "segments", "it is empty. Add at least one segment, like subnet 192.168.1.0/24.")
    for i, segment in enumerate(cluster.segments):
        key = f"segments[{i}].subnet"
        if segment.subnet.version != cluster.segments[0].subnet.version:
            raise _error(
                cluster, key, f"{segment.subnet} mixes IPv4 and IPv6; an underlay here is all one or all the other."
            )
        if segment.subnet.version == 4 and segment.subnet.overlaps(cluster.pod_network):
            raise _error(cluster, key, f"{segment.subnet} overlaps pod_network {cluster.pod_network}; keep them apart.")
        for j, other in enumerate(cluster.segments[:i]):
            if segment.subnet.overlaps(other.subnet):
                raise _error(
                    cluster, key, f"{segment.subnet} overlaps segments[{j}] ({other.subnet}); keep them apart."
                )
        if segment.gateway is not None:
            _check_host_address(cluster, f"segments[{i}].gateway", segment.gateway, (segment.subnet,))


def _check_host_address(cluster: Cluster, key: str, address: Address, subnets: Iterable[object]) -> None:
    """An address of a host lies in a segment and is neither its first (network) nor its last (broadcast) one."""
    for subnet in subnets:
        if address in subnet:  # type: ignore[operator]
            edge = subnet.version == 4 and subnet.prefixlen < 31  # type: ignore[attr-defined]
            if edge and address in (subnet.network_address, subnet.broadcast_address):  # type: ignore[attr-defined]
                raise _error(
                    cluster, key, f"{address} is the network or broadcast address of {subnet}; choose another."
                )
            return
    places = ", ".join(str(subnet) for subnet in subnets)
    raise _error(cluster, key, f"{address} is in no segment ({places}). Change it, or add a segment that holds it.")


def _check_routers(cluster: Cluster) -> None:
    subnets = [segment.subnet for segment in cluster.segments]
    owned = {address for router in cluster.routers for address in router.addresses}
    for i, segment in enumerate(cluster.segments):
        if segment.gateway is not None and segment.gateway not in owned:
            raise _error(
                cluster, f"segments[{i}].gateway", f"no router has {segment.gateway}; add it to a router's addresses."
            )
    for i, router in enumerate(cluster.routers):
        key = f"routers[{i}].addresses"
        if not router.addresses:
            raise _error(cluster, key, "it is empty. Give the router one address in each segment that it joins.")
        for address in router.addresses:
            _check_host_address(cluster, key, address, subnets)
        for segment in cluster.segments:
            inside = [a for a in router.addresses if a in segment.subnet]
            if len(inside) > 1:
                raise _error(cluster, key, f"{inside[0]} and {inside[1]} are both in segment {segment.name}; keep one.")
        uplink = router.uplink
        if uplink is not None and any(s.version == uplink.version and s.overlaps(uplink.network) for s in subnets):
            raise _error(
                cluster, f"routers[{i}].uplink", f"{router.uplink} lies in a segment; list it in addresses instead."
            )
        if router.default_gateway is not None:
            near = [*(s for s in subnets if any(a in s for a in router.addresses))]
            if router.uplink is not None:
                near.append(router.uplink.network)
            mine = {*router.addresses, *([router.uplink.ip] if router.uplink else [])}
            if router.default_gateway in mine or not any(router.default_gateway in s for s in near):
                raise _error(
                    cluster,
                    f"routers[{i}].default_gateway",
                    f"{router.default_gateway} is no neighbour of {router.name}; take one on its uplink or segments.",
                )


def _check_nodes(cluster: Cluster) -> None:
    subnets = [segment.subnet for segment in cluster.segments]
    for i, node in enumerate(cluster.nodes):
        _check_host_address(cluster, f"nodes[{i}].address", node.address, subnets)
        for block in node.blocks:
            if not block.subnet_of(cluster.pod_network):
                raise _error(
                    cluster,
                    f"nodes[{i}].block",
                    f"{block} is outside pod_network {cluster.pod_network}; change one of them.",
                )
            if not cluster.profile.calico and block.prefixlen > 30:
                raise _error(
                    cluster, f"nodes[{i}].block", f"{block} leaves no room for cni0 and a pod; use /30 or wider."
                )
        if node.tunnel_address is not None and not any(node.tunnel_address in block for block in node.blocks):
            raise _error(
                cluster,
                f"nodes[{i}].tunnel_address",
                f"{node.tunnel_address} is outside its block; take one of its addresses.",
            )
        if len(node.blocks) > 1 and not cluster.profile.calico:
            raise _error(
                cluster,
                f"nodes[{i}].blocks",
                f"profile {cluster.profile.name} gives a node one block; keep one of them.",
            )
    _check_overlapping_blocks(cluster)


def _check_overlapping_blocks(cluster: Cluster) -> None:
    # Sorted by address, an overlap is always between neighbours: hundreds of nodes stay quick.
    blocks = sorted((block, i) for i, node in enumerate(cluster.nodes) for block in node.blocks)
    for (one, i), (other, j) in pairwise(blocks):
        if one.overlaps(other):
            later = max(i, j)
            raise _error(
                cluster,
                f"nodes[{later}].block",
                f"{one} ({cluster.nodes[i].name}) and {other} ({cluster.nodes[j].name}) overlap; a block has one home.",
            )


def _check_pods(cluster: Cluster) -> None:
    nodes: dict[str, Node] = {node.name: node for node in cluster.nodes}
    for i, pod in enumerate(cluster.pods):
        if not pod.node:  # the file left it out, and no block tells
            sentence = f"{pod.address} is in no node's block. Move it into one, or give a node that block."
            raise _error(cluster, f"pods[{i}].address", sentence)
        if pod.node not in nodes:
            raise _error(
                cluster, f"pods[{i}].node", f"there is no node {pod.node!r}{suggestion(pod.node, nodes)}."
            )
        node = nodes[pod.node]
        block = next((b for b in node.blocks if pod.address in b), None)
        if block is None:
            given = ", ".join(map(str, node.blocks))
            raise _error(
                cluster,
                f"pods[{i}].address",
                f"{pod.address} is outside the block of {node.name} ({given}); move one of them.",
            )
        if not cluster.profile.calico and pod.address in (block[0], block[1], block[-1]):
            raise _error(
                cluster,
                f"pods[{i}].address",
                f"{pod.address} is taken: {block[0]} is the network, {block[1]} cni0's, {block[-1]} the broadcast.",
            )
        if (
            cluster.profile.calico
            and cluster.profile.device
            and pod.address == (node.tunnel_address or node.blocks[0][0])
        ):
            raise _error(
                cluster,
                f"pods[{i}].address",
                f"{pod.address} is the address of {node.name}'s tunnel; set tunnel_address or move the pod.",
            )


def _check_duplicate_addresses(cluster: Cluster) -> None:
    taken: dict[Address, str] = {}
    keys = [(f"routers[{i}].addresses", a) for i, r in enumerate(cluster.routers) for a in r.addresses]
    keys += [(f"nodes[{i}].address", node.address) for i, node in enumerate(cluster.nodes)]
    keys += [(f"pods[{i}].address", pod.address) for i, pod in enumerate(cluster.pods)]
    for key, address in keys:
        if address in taken:
            raise _error(cluster, key, f"{address} is also {taken[address]}; give every host its own address.")
        taken[address] = key


def _check_profile(cluster: Cluster) -> None:
    name = cluster.profile.name
    if cluster.underlay_version == 6:
        if cluster.profile.kind == "ipip":
            raise _error(
                cluster, "profile.name", f"{name} is IPv4 in IPv4 only (RFC 2003); use a VXLAN profile on IPv6."
            )
        if name in ("host-gw", "calico-bgp") or cluster.profile.direct or cluster.profile.router_routes:
            raise _error(
                cluster,
                "profile",
                f"{name} would route IPv4 pods over IPv6 next hops, which neither CNI does; encapsulate in VXLAN.",
            )


def _check_reachable(cluster: Cluster) -> None:
    """Nodes in different segments need a gateway each and routers that join them."""
    used = [s for s in cluster.segments if any(cluster.segment_of(n) is s for n in cluster.nodes)]
    if len(used) < 2:
        return
    reached = {used[0].name}
    grown = True
    while grown:
        grown = False
        for router in cluster.routers:
            joins = {s.name for s in cluster.segments if any(a in s.subnet for a in router.addresses)}
            if joins & reached and not joins <= reached:
                reached |= joins
                grown = True
    for segment in used:
        key = f"segments[{cluster.segments.index(segment)}]"
        if segment.name not in reached:
            raise _error(
                cluster, key, f"no router joins {segment.name} to {used[0].name}; add a router with an address in both."
            )
        if segment.gateway is None:
            raise _error(
                cluster,
                f"{key}.gateway",
                "it is missing, so its nodes cannot leave the segment. Add the router's address.",
            )


def _check_mtus(cluster: Cluster) -> None:
    def in_range(key: str, value: int | None, version: int) -> None:
        if value is not None and not _MIN_MTU[version] <= value <= _MAX_MTU:
            raise _error(
                cluster,
                key,
                f"{value} bytes is outside {_MIN_MTU[version]} to {_MAX_MTU}, what IPv{version} can use; change it.",
            )

    outer = cluster.underlay_version
    for i, segment in enumerate(cluster.segments):
        in_range(f"segments[{i}].mtu", segment.mtu, outer)
    in_range("pod_mtu", cluster.pod_mtu, 4)
    in_range("tunnel_mtu", cluster.tunnel_mtu, 4)
    for i, node in enumerate(cluster.nodes):
        in_range(f"nodes[{i}].mtu", node.mtu, outer)
        in_range(f"nodes[{i}].port_mtu", node.port_mtu, outer)
        in_range(f"nodes[{i}].tunnel_mtu", node.tunnel_mtu, 4)
        under, over = node.mtu or cluster.segment_of(node).mtu, tunnel_overhead(cluster)
        got = tunnel_mtu(cluster, node)
        if got < _MIN_MTU[4]:
            raise _error(
                cluster,
                f"nodes[{i}].mtu",
                f"{under} bytes less {over} of {cluster.profile.name} leaves {got}; IPv4 needs 68.",
            )
        if cluster.profile.kind == "vxlan" and cluster.profile.bound and got > under - over:
            key = f"nodes[{i}].tunnel_mtu" if node.tunnel_mtu else "tunnel_mtu"
            raise _error(
                cluster,
                key,
                f"{got} was given, but the kernel caps a VXLAN device on a {under}-byte link at {under - over}. "
                "Lower it, or set profile.bound = false (a device made without `dev eth0` has no cap).",
            )
        in_range(f"nodes[{i}].mtu", pod_mtu(cluster, node), 4)
    for i, pod in enumerate(cluster.pods):
        in_range(f"pods[{i}].mtu", pod.mtu, 4)
