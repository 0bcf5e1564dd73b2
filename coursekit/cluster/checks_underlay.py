"""What makes an underlay impossible: segments, routers, and nodes that could not reach each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from coursekit.cluster.host import readable_mac
from coursekit.errors import CourseError

if TYPE_CHECKING:
    from coursekit.cluster.model import Cluster
    from coursekit.cluster.tables import Address


def fault(cluster: Cluster, key: str, sentence: str) -> CourseError:
    """Return the error that names the cluster's file and the key at fault."""
    return CourseError(f"{cluster.source}: {key}: {sentence}")


def check_segments(cluster: Cluster) -> None:
    """Refuse segments that overlap, mix families, or whose gateway is nobody."""
    if not cluster.segments:
        raise fault(cluster, "segments", "it is empty. Add at least one segment, like subnet 192.168.1.0/24.")
    for i, segment in enumerate(cluster.segments):
        key = f"segments[{i}].subnet"
        if segment.subnet.version != cluster.segments[0].subnet.version:
            raise fault(
                cluster, key, f"{segment.subnet} mixes IPv4 and IPv6; an underlay here is all one or all the other."
            )
        if segment.subnet.version == 4 and segment.subnet.overlaps(cluster.pod_network):
            raise fault(cluster, key, f"{segment.subnet} overlaps pod_network {cluster.pod_network}; keep them apart.")
        for j, other in enumerate(cluster.segments[:i]):
            if segment.subnet.overlaps(other.subnet):
                raise fault(cluster, key, f"{segment.subnet} overlaps segments[{j}] ({other.subnet}); keep them apart.")
        if segment.gateway is not None:
            check_host_address(cluster, f"segments[{i}].gateway", segment.gateway, (segment.subnet,))


def check_host_address(cluster: Cluster, key: str, address: Address, subnets: Iterable[object]) -> None:
    """Refuse an address outside every segment, or one that is a network or broadcast address."""
    for subnet in subnets:
        if address in subnet:  # type: ignore[operator]
            edge = subnet.version == 4 and subnet.prefixlen < 31  # type: ignore[attr-defined]
            if edge and address in (subnet.network_address, subnet.broadcast_address):  # type: ignore[attr-defined]
                raise fault(cluster, key, f"{address} is the network or broadcast address of {subnet}; choose another.")
            return
    places = ", ".join(str(subnet) for subnet in subnets)
    raise fault(cluster, key, f"{address} is in no segment ({places}). Change it, or add a segment that holds it.")


def check_routers(cluster: Cluster) -> None:
    """Refuse routers outside the segments, or with an uplink or default gateway that cannot be."""
    subnets = [segment.subnet for segment in cluster.segments]
    owned = {address for router in cluster.routers for address in router.addresses}
    for i, segment in enumerate(cluster.segments):
        if segment.gateway is not None and segment.gateway not in owned:
            raise fault(
                cluster, f"segments[{i}].gateway", f"no router has {segment.gateway}; add it to a router's addresses."
            )
    for i, router in enumerate(cluster.routers):
        key = f"routers[{i}].addresses"
        if not router.addresses:
            raise fault(cluster, key, "it is empty. Give the router one address in each segment that it joins.")
        for address in router.addresses:
            check_host_address(cluster, key, address, subnets)
        for segment in cluster.segments:
            inside = [a for a in router.addresses if a in segment.subnet]
            if len(inside) > 1:
                raise fault(cluster, key, f"{inside[0]} and {inside[1]} are both in segment {segment.name}; keep one.")
        uplink = router.uplink
        if uplink is not None and any(s.version == uplink.version and s.overlaps(uplink.network) for s in subnets):
            raise fault(
                cluster, f"routers[{i}].uplink", f"{router.uplink} lies in a segment; list it in addresses instead."
            )
        if router.default_gateway is not None:
            near = [*(s for s in subnets if any(a in s for a in router.addresses))]
            if router.uplink is not None:
                near.append(router.uplink.network)
            mine = {*router.addresses, *([router.uplink.ip] if router.uplink else [])}
            if router.default_gateway in mine or not any(router.default_gateway in s for s in near):
                raise fault(
                    cluster,
                    f"routers[{i}].default_gateway",
                    f"{router.default_gateway} is no neighbour of {router.name}; take one on its uplink or segments.",
                )


def check_macs(cluster: Cluster) -> None:
    """Refuse two stations with one MAC in a segment: a switch would send each other's frames astray."""
    taken: dict[tuple[str, str], str] = {}
    stations = [(r.name, a, readable_mac(a)) for r in cluster.routers for a in r.addresses]
    stations += [(n.name, n.address, n.mac or readable_mac(n.address)) for n in cluster.nodes]
    keys = [""] * (len(stations) - len(cluster.nodes)) + [f"nodes[{i}].mac" for i in range(len(cluster.nodes))]
    for key, (name, address, mac) in zip(keys, stations, strict=True):
        segment = next(s.name for s in cluster.segments if address in s.subnet)
        if (segment, mac) in taken and key:
            raise fault(cluster, key, f"{name} and {taken[segment, mac]} both have {mac}; give one another mac.")
        taken[segment, mac] = name


def check_reachable(cluster: Cluster) -> None:
    """Refuse nodes in segments that no router joins, or that lack a gateway."""
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
            raise fault(
                cluster, key, f"no router joins {segment.name} to {used[0].name}; add a router with an address in both."
            )
        if segment.gateway is None:
            raise fault(
                cluster,
                f"{key}.gateway",
                "it is missing, so its nodes cannot leave the segment. Add the router's address.",
            )
