"""The six steps of a packet between pods, over the stops of its journey; and who is told when it dies."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from coursekit.cluster.path import Journey

SENDS, ROUTES, WRAPS, CARRIES, UNWRAPS, ARRIVES = 1, 2, 3, 4, 5, 6
_TUNNEL_TABLES = {"port", "vni", "protocol"}  # what a host asks that may take an envelope off


class Knows(StrEnum):
    """Who learns that a packet, or its answer, was lost."""

    NO_LOSS = "no-loss"
    SENDER = "sender"
    OTHER = "other"  # another host gets the complaint: the node that put the envelope on
    NOBODY = "nobody"


def chapters(stops: Sequence[dict[str, Any]]) -> list[int]:
    """Return the step that each stop belongs to; a plain packet has no WRAPS and no UNWRAPS."""
    found: list[int] = []
    now = SENDS
    for i, stop in enumerate(stops):
        before = stops[i - 1] if i else stop
        changed = stop["host"] != before["host"]
        tunnel = stop["direction"] == "in" and any(d["table"] in _TUNNEL_TABLES for d in stop["decisions"])
        if stop["action"] == "encapsulates":
            now = WRAPS
        elif stop["action"] == "decapsulates" or (tunnel and now >= WRAPS):
            now = UNWRAPS
        elif now == UNWRAPS:
            # a frame that its tunnel device refuses got no further than out of its envelope
            now = UNWRAPS if not stop["envelope"] and stop["action"] == "drops" and before["envelope"] else ARRIVES
        elif now == WRAPS:
            now = CARRIES
        elif now == SENDS and changed:
            now = CARRIES if _is_node(stops, before["host"]) else ROUTES
        elif now == ARRIVES and changed and stop["action"] == "switches":
            now = CARRIES  # it was a router, or the packet goes round in circles
        elif (now == ROUTES and changed) or (now == CARRIES and changed and not before["envelope"]):
            now = CARRIES if stop["action"] == "switches" or _goes_on(stops[i:]) else ARRIVES
        found.append(now)
    return found


def _is_node(stops: Sequence[dict[str, Any]], host: str) -> bool:
    """Whether the first host of a journey is itself on the underlay: what follows it is a switch that hands on."""
    hosts = list(dict.fromkeys(stop["host"] for stop in stops))
    after = [stop for stop in stops if stop["host"] == hosts[1]]
    return hosts[0] == host and len(after) > 1 and all(stop["action"] == "switches" for stop in after)


def _goes_on(stops: Sequence[dict[str, Any]]) -> bool:
    """Whether the host that a plain packet has just reached hands it to a switch: it is a router of the underlay."""
    host = stops[0]["host"]
    away = [i for i, stop in enumerate(stops) if stop["host"] != host]
    return bool(away) and stops[away[0]]["action"] == "switches" and len(away) > 1


def names(stops: Sequence[dict[str, Any]], numbers: Sequence[int]) -> dict[int, str]:
    """Return what each step is called that occurs among some stops."""
    sender = stops[0]["host"] if stops and len(stops[0]["host"]) < 9 else "sender"
    envelope = next((stop["envelope"] for stop in stops if stop["envelope"]), "VXLAN")
    device = next((s["device"] for s, n in zip(stops, numbers, strict=True) if n in (WRAPS, UNWRAPS)), "tunnel")
    tunnel = "VTEP" if envelope.startswith("VXLAN") else device
    last = [stop for stop, number in zip(stops, numbers, strict=True) if number == ARRIVES]
    routed = any(stop["action"] == "forwards" for stop in last)
    called = {
        SENDS: f"{sender} sends", ROUTES: "node routes", WRAPS: f"{tunnel} wraps", CARRIES: "underlay carries",
        UNWRAPS: f"{tunnel} unwraps", ARRIVES: "node routes to pod" if routed else "arrives",
    }  # fmt: skip
    return {number: called[number] for number in sorted(set(numbers))}


def who_knows(journey: Journey) -> tuple[Knows, str]:
    """Return who is told that a packet or its answer was lost, and a sentence that says so; "" without a loss."""
    outcome = journey.outcome
    sender = journey.stops[0].host if journey.stops else "the sender"
    replies = [reply for reply in (journey.reply, *journey.others) if reply is not None and reply.stops]
    if outcome.kind == "refused":
        return Knows.SENDER, f"{sender} knows: its own stack refused the packet."
    if outcome.kind == "error":
        return Knows.SENDER, f"{sender} knows: {outcome.sender} sent it an ICMP error."
    if outcome.kind == "delivered":
        lost = [reply for reply in replies if reply.outcome.kind != "delivered"]
        if not lost or lost[0] is not journey.reply:
            return Knows.NO_LOSS, ""
        return Knows.NOBODY, f"Nobody knows: the answer is lost, and {sender} waits for it in vain."
    told = next((r.stops[-1].host for r in replies if r.outcome.kind == "delivered"), "")
    if told and told != sender:
        return Knows.OTHER, f"{told} knows: the complaint comes to {told}. {sender} hears nothing."
    if told:
        return Knows.SENDER, f"{sender} knows: an ICMP error comes back."
    lost_too = " The complaint about it is lost too." if replies else ""
    return Knows.NOBODY, f"Nobody knows: no host is told.{lost_too} {sender} waits and hears nothing."
