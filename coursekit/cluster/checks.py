"""What makes a cluster impossible, found before anything is built from it; each mistake names the key at fault."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from coursekit.cluster.checks_underlay import (
    check_host_address,
    check_macs,
    check_reachable,
    check_routers,
    check_segments,
    fault,
)
from coursekit.cluster.mtus import pod_mtu, tunnel_mtu, tunnel_overhead
from coursekit.errors import suggestion

if TYPE_CHECKING:
    from coursekit.cluster.model import Cluster, Node
    from coursekit.cluster.tables import Address

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_MIN_MTU = {4: 68, 6: 1280}  # RFC 791 §3.2, RFC 8200 §5; below them Linux takes the address family off a device
_MAX_MTU = 65535


def check(cluster: Cluster) -> None:
    """Raise CourseError for the first thing that makes `cluster` impossible."""
    if not cluster.nodes:
        raise fault(cluster, "nodes", "it is empty. Add at least one node.")
    _check_names(cluster)
    check_segments(cluster)
    check_routers(cluster)
    _check_nodes(cluster)
    _check_pods(cluster)
    _check_duplicate_addresses(cluster)
    check_macs(cluster)
    _check_profile(cluster)
    check_reachable(cluster)
    _check_mtus(cluster)


def _check_names(cluster: Cluster) -> None:
    seen: dict[str, str] = {}
    names = [(f"nodes[{i}].name", node.name) for i, node in enumerate(cluster.nodes)]
    names += [(f"pods[{i}].name", pod.name) for i, pod in enumerate(cluster.pods)]
    names += [(f"routers[{i}].name", router.name) for i, router in enumerate(cluster.routers)]
    for key, name in names:
        if not _NAME.fullmatch(name):
            raise fault(cluster, key, f"{name!r} is no host name; use letters, digits, '-', '_' and '.'.")
        if name in seen:
            raise fault(cluster, key, f"{name!r} is already {seen[name]}; give every host its own name.")
        seen[name] = key
    for i, segment in enumerate(cluster.segments):
        key = f"segments[{i}].name"
        if not _NAME.fullmatch(segment.name):
            raise fault(cluster, key, f"{segment.name!r} is no name; use letters, digits, '-', '_' and '.'.")
        if segment.name in [s.name for s in cluster.segments[:i]]:
            raise fault(cluster, key, f"{segment.name!r} is given twice; give every segment its own name.")
        if cluster.router_of(segment) is None and segment.name in seen:
            raise fault(
                cluster, key, f"without a router its switch is a host too, and {seen[segment.name]} has that name."
            )


def _check_nodes(cluster: Cluster) -> None:
    subnets = [segment.subnet for segment in cluster.segments]
    for i, node in enumerate(cluster.nodes):
        check_host_address(cluster, f"nodes[{i}].address", node.address, subnets)
        for block in node.blocks:
            if not block.subnet_of(cluster.pod_network):
                raise fault(
                    cluster,
                    f"nodes[{i}].block",
                    f"{block} is outside pod_network {cluster.pod_network}; change one of them.",
                )
            if not cluster.profile.calico and block.prefixlen > 30:
                raise fault(
                    cluster, f"nodes[{i}].block", f"{block} leaves no room for cni0 and a pod; use /30 or wider."
                )
        if node.tunnel_address is not None and not any(node.tunnel_address in block for block in node.blocks):
            raise fault(
                cluster,
                f"nodes[{i}].tunnel_address",
                f"{node.tunnel_address} is outside its block; take one of its addresses.",
            )
        if len(node.blocks) > 1 and not cluster.profile.calico:
            raise fault(
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
            raise fault(
                cluster,
                f"nodes[{later}].block",
                f"{one} ({cluster.nodes[i].name}) and {other} ({cluster.nodes[j].name}) overlap; a block has one home.",
            )


def _check_pods(cluster: Cluster) -> None:
    nodes: dict[str, Node] = {node.name: node for node in cluster.nodes}
    for i, pod in enumerate(cluster.pods):
        if not pod.node:  # the file left it out, and no block tells
            sentence = f"{pod.address} is in no node's block. Move it into one, or give a node that block."
            raise fault(cluster, f"pods[{i}].address", sentence)
        if pod.node not in nodes:
            raise fault(cluster, f"pods[{i}].node", f"there is no node {pod.node!r}{suggestion(pod.node, nodes)}.")
        node = nodes[pod.node]
        block = next((b for b in node.blocks if pod.address in b), None)
        if block is None:
            given = ", ".join(map(str, node.blocks))
            raise fault(
                cluster,
                f"pods[{i}].address",
                f"{pod.address} is outside the block of {node.name} ({given}); move one of them.",
            )
        if not cluster.profile.calico and pod.address in (block[0], block[1], block[-1]):
            raise fault(
                cluster,
                f"pods[{i}].address",
                f"{pod.address} is taken: {block[0]} is the network, {block[1]} cni0's, {block[-1]} the broadcast.",
            )
        if (
            cluster.profile.calico
            and cluster.profile.device
            and pod.address == (node.tunnel_address or node.blocks[0][0])
        ):
            raise fault(
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
            raise fault(cluster, key, f"{address} is also {taken[address]}; give every host its own address.")
        taken[address] = key


def _check_profile(cluster: Cluster) -> None:
    name = cluster.profile.name
    if cluster.underlay_version == 6:
        if cluster.profile.kind == "ipip":
            raise fault(
                cluster, "profile.name", f"{name} is IPv4 in IPv4 only (RFC 2003); use a VXLAN profile on IPv6."
            )
        if name in ("host-gw", "calico-bgp") or cluster.profile.direct or cluster.profile.router_routes:
            raise fault(
                cluster,
                "profile",
                f"{name} would route IPv4 pods over IPv6 next hops, which neither CNI does; encapsulate in VXLAN.",
            )

    _check_peering(cluster)


def _check_peering(cluster: Cluster) -> None:
    profile = cluster.profile
    if profile.bgp == "route-reflector" and profile.reflector == "node" and profile.reflectors > len(cluster.nodes):
        raise fault(
            cluster, "profile.reflectors", f"{profile.reflectors} nodes cannot reflect among {len(cluster.nodes)}."
        )
    if (profile.bgp == "tor" or profile.reflector == "tor") and not cluster.routers:
        raise fault(cluster, "profile.bgp", "there is no router to peer with; add one to routers, or a gateway.")
    if profile.bgp == "tor" and profile.asn == "per-rack":
        racks = [s for s in cluster.segments if any(cluster.segment_of(n) is s for n in cluster.nodes)]
        for router in cluster.routers:
            joined = [s.name for s in racks if any(a in s.subnet for a in router.addresses)]
            if len(joined) > 1:
                raise fault(
                    cluster,
                    "profile.asn",
                    f"{router.name} is in {' and '.join(joined)}, but with an AS per rack a ToR is in one; "
                    "give each rack a router of its own, or take per-node.",
                )


def _check_mtus(cluster: Cluster) -> None:
    def in_range(key: str, value: int | None, version: int) -> None:
        if value is not None and not _MIN_MTU[version] <= value <= _MAX_MTU:
            raise fault(
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
            raise fault(
                cluster,
                f"nodes[{i}].mtu",
                f"{under} bytes less {over} of {cluster.profile.name} leaves {got}; IPv4 needs 68.",
            )
        if cluster.profile.kind == "vxlan" and cluster.profile.bound and got > under - over:
            key = f"nodes[{i}].tunnel_mtu" if node.tunnel_mtu else "tunnel_mtu"
            raise fault(
                cluster,
                key,
                f"{got} was given, but the kernel caps a VXLAN device on a {under}-byte link at {under - over}. "
                "Lower it, or set profile.bound = false (a device made without `dev eth0` has no cap).",
            )
        in_range(f"nodes[{i}].mtu", pod_mtu(cluster, node), 4)
    for i, pod in enumerate(cluster.pods):
        in_range(f"pods[{i}].mtu", pod.mtu, 4)
