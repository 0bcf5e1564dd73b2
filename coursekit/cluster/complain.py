"""Sending an ICMP error: which address it comes from, and whether the host can send it at all (Linux icmp_send)."""

from __future__ import annotations

from coursekit.cluster import asks, icmp
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.network import Host
from coursekit.cluster.tables import Address
from coursekit.cluster.travel import Event, Mark, Originate, Trip, World


def complain(
    world: World, trip: Trip, host: Host, mark: Mark, complaint: icmp.Complaint, cause: Datagram, mtu: int = 0,
    left_as: Address | None = None,
) -> list[Event]:  # fmt: skip
    """Start the trip of an error about `cause`, or record why none is sent; `mark` is where the cause got stuck.

    A masqueraded cause was to leave with an address of the host's own, `left_as`: the error comes from there.
    """
    own = asks.local(host, cause.dst).row
    if not icmp.may_complain(cause) or (own is not None and own.type == "broadcast"):
        return []
    child = trip.cause(host.name, cause.data)
    src = cause.dst
    if own is None:
        mine = asks.local(host, cause.src).row is not None
        way, decision = asks.route(host, cause.src, cause.dst)
        found = cause.src if mine else left_as or (way and asks.source_address(host, way, cause.version))
        if not found:
            stuck = child.stop(Mark(host.name, mark.device, "drops", None, ""))
            child.lose(stuck, f"no route to {cause.src}, so its “{complaint.name}” is never sent", decision)
            return []
        src = found
    ip_id = world.draws.ip_id(host.name, "error", cause.data)
    child.packet = icmp.build(complaint, cause, src, ip_id, mtu)
    return [Originate(child, host.name, child.packet)]
