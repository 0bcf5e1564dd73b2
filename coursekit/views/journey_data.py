"""What is drawn of a journey, as plain data: stops with the rows that decided, nested headers, and the outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from coursekit.cluster.path import Decision, Journey, Stop
from coursekit.cluster.prints import packet_at, ping_line
from coursekit.cluster.tables import FdbEntry, Neighbour
from coursekit.errors import expect
from coursekit.packets.fields import Dissection, Layer
from coursekit.packets.layout import dissect
from coursekit.views.chapters import chapters, who_knows
from coursekit.views.envelope import parts
from coursekit.views.twin import count

_HEAD, _TAIL = 36, 8  # stops that are drawn of a packet that goes round in circles; the longest real path has 20
DELIVERED = "delivered"  # the one verdict that is good
_SHORT = {"eth": "Eth", "vlan": "VLAN", "ip": "IPv4", "ipv6": "IPv6", "icmp": "ICMP", "icmpv6": "ICMPv6"}


def journey_data(journey: Journey, title: str) -> dict[str, Any]:
    """Return the JSON-ready data of a Stage; stops are numbered from 1, in order."""
    expect(journey, Journey, 'A journey is what ping(network, "podA", "podB") returns')
    replies = [reply for reply in (journey.reply, *journey.others) if reply is not None]
    knows, words = who_knows(journey)
    return {
        "title": title or _title(journey), "stops": _stops(journey.stops), "total": len(journey.stops),
        "outcome": _outcome(journey), "replies": [_reply(reply) for reply in replies],
        "knows": {"who": knows, "sentence": words}, "addresses": _addresses(journey),
    }  # fmt: skip


def _addresses(journey: Journey) -> dict[str, str]:
    """Return the address that each host sends from or takes packets at, as far as the journey shows it."""
    found: dict[str, str] = {}
    for one in (journey, *filter(None, (journey.reply, *journey.others))):
        for i, stop in enumerate(one.stops):
            taken = [d.asked for d in stop.decisions if d.table == "local" and d.row is not None]
            sent = packet_at(stop) if i == 0 or (stop.action == "sends" and stop.direction == "out") else None
            for address in [*([str(sent.src)] if sent else []), *taken]:
                found.setdefault(stop.host, address)
    return found


def _title(journey: Journey) -> str:
    packet = next((found for stop in journey.stops if (found := packet_at(stop))), None)
    source = journey.stops[0].host if journey.stops else ""
    goal = f" → {packet.dst}" if packet else ""
    return f"{source} ({packet.src}){goal}" if packet else source


def _stops(stops: Sequence[Stop]) -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = []
    first: dict[bytes, int] = {}
    for number, stop in enumerate(stops, 1):
        if _HEAD < number <= len(stops) - _TAIL:
            continue
        seen = first.setdefault(stop.frame or b"", number)
        drawn.append(_stop(stop, number, seen if stop.frame and seen < number else 0))
    for found, chapter in zip(drawn, chapters(drawn), strict=True):
        found["chapter"] = chapter
    return drawn


def _stop(stop: Stop, number: int, seen: int) -> dict[str, Any]:
    dissection = dissection_of(stop.frame) if stop.frame else None
    return {
        "n": number, "host": stop.host, "device": stop.device, "action": stop.action, "direction": stop.direction,
        "note": stop.note, "decisions": [_decision(d, stop.note) for d in stop.decisions if _decides(d)],
        "size": len(stop.frame or b""), "same": seen, "headers": headers(dissection) if dissection else [],
        "envelope": envelope(dissection) if dissection else "", "parts": parts(dissection) if dissection else [],
    }  # fmt: skip


def _decides(decision: Decision) -> bool:
    """Whether a look-up says more than that the packet is not for this host, which its going on says already."""
    return decision.table != "local" or decision.row is not None


def _decision(decision: Decision, note: str) -> dict[str, str]:
    why = "" if decision.why in note else decision.why
    sets = f"sets {decision.sets}" if decision.sets and decision.row is not None else ""
    return {
        "table": decision.table, "asked": decision.asked, "why": "; ".join(filter(None, (why, sets))),
        "row": "no row" if decision.row is None else str(decision.row), "reason": why,
        "sets": decision.sets, "value": _value(decision.row),
    }  # fmt: skip


def _value(row: object) -> str:
    """Return what a row of a neighbour or forwarding table puts into a header."""
    value = row.lladdr if isinstance(row, Neighbour) else row.dst if isinstance(row, FdbEntry) else None
    return "" if value is None else str(value)


def dissection_of(frame: bytes) -> Dissection:
    """Take a frame apart; devices such as tunl0 have no Ethernet header, and a journey does not say which."""
    return dissect(frame, "raw" if _is_bare(frame) else "ethernet")


def _is_bare(frame: bytes) -> bool:
    """Whether a frame starts with its IP header: a right checksum there, or an IPv6 length that is just the rest."""
    if frame[0] >> 4 == 4 and len(frame) >= 20:
        header = frame[: (frame[0] & 15) * 4]
        total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header), 2))
        return len(header) >= 20 and total % 0xFFFF == 0
    return frame[0] >> 4 == 6 and len(frame) >= 40 and int.from_bytes(frame[4:6], "big") == len(frame) - 40


def envelope(dissection: Dissection) -> str:
    """Return what a frame is wrapped in ("VXLAN (VNI 1)", "IPIP"), "" for nothing; an ICMP quotation is none."""
    layers = dissection.layers
    for layer, inner in pairwise(layers):
        if layer.key == "vxlan":
            return f"VXLAN (VNI {_field(layer, 'vxlan.vni')})"
        if layer.key.startswith("icmp"):
            return ""
        if layer.key in ("ip", "ipv6") and inner.key in ("ip", "ipv6"):
            return "IPIP" if layer.key == inner.key == "ip" else f"{_name(inner)} in {_name(layer)}"
    return ""


def headers(dissection: Dissection) -> list[dict[str, Any]]:
    """Return each header of a frame with its depth, outermost first; payload is left out, for the size tells it."""
    return [
        {"depth": layer.depth, "text": " ".join(filter(None, (_name(layer), _words(layer))))}
        for layer in dissection.layers
        if layer.key != "data"
    ]


def _name(layer: Layer) -> str:
    return _SHORT.get(layer.key, layer.name)


def _words(layer: Layer) -> str:
    if layer.key == "eth":
        return f"→{_field(layer, 'eth.dst')}"
    if layer.key in ("ip", "ipv6"):
        ends = f"{_field(layer, f'{layer.key}.src')}→{_field(layer, f'{layer.key}.dst')}"
        left = f"TTL {_field(layer, 'ip.ttl')}" if layer.key == "ip" else f"hop limit {_field(layer, 'ipv6.hlim')}"
        return f"{ends} {left}{_fragment(layer)}"
    if layer.key == "vxlan":
        return _field(layer, "vxlan.vni")
    if layer.key in ("udp", "tcp"):
        return f"{_field(layer, f'{layer.key}.srcport')}→{_field(layer, f'{layer.key}.dstport')}"
    return layer.summary


def _fragment(layer: Layer) -> str:
    """Return what a header says about fragments: ", DF", ", fragment from byte 1376"."""
    if layer.key != "ip":
        return ""
    offset, more = _raw(layer, "ip.frag_offset") * 8, _raw(layer, "ip.flags.mf")
    if offset or more:
        return f", fragment from byte {offset}{', more follow' if more else ''}"
    return ", DF" if _raw(layer, "ip.flags.df") else ""


def _field(layer: Layer, key: str) -> str:
    return next((str(field.value).split(" (")[0] for field in layer.fields if field.key == key), "?")


def _raw(layer: Layer, key: str) -> int:
    return next((field.raw for field in layer.fields if field.key == key and isinstance(field.raw, int)), 0)


def _outcome(journey: Journey) -> dict[str, str]:
    kind, word = journey.outcome.kind, _word(journey)
    return {"kind": kind, "word": word, "sentence": _sentence(journey), "sees": _sees(journey)}


def _word(journey: Journey) -> str:
    """Return the verdict in a word: a ping that arrives and whose answer does not is "unanswered"."""
    kind = journey.outcome.kind
    if kind != "delivered":
        return "refused" if kind == "refused" else "dropped"
    waits = journey.reply is not None or _is_ping(journey)
    return "unanswered" if waits and not journey.answered else DELIVERED


def _sentence(journey: Journey) -> str:
    outcome, reply = journey.outcome, journey.reply
    if outcome.kind == "refused":
        return f"Refused before anything is sent. {outcome.reason}."
    if outcome.kind != "delivered":
        seen = f", seen last at {outcome.last_seen}" if outcome.last_seen else ""
        return f"Dropped{seen}. {outcome.reason}."
    if reply is None:
        return f"Delivered: {outcome.reason}. Nothing is sent back."
    if journey.answered:
        return f"Delivered: {outcome.reason}. The answer comes back."
    return f"Delivered: {outcome.reason}. The answer is lost: {reply.outcome.reason}."


def _sees(journey: Journey) -> str:
    """Return what the sender is told: ping's own line for an echo request, else the error or "nothing"."""
    outcome = journey.outcome
    if _is_ping(journey) or outcome.kind == "refused":
        return ping_line(journey) or "nothing: ping waits, and counts the packet as lost"
    if outcome.kind == "error":
        return f"an ICMP error from {outcome.sender}: {outcome.symptom}"
    return "the answer" if journey.answered else "nothing"


def _is_ping(journey: Journey) -> bool:
    first = next((stop.frame for stop in journey.stops if stop.frame), None)
    if first is None:
        return False
    keys = [(layer.key, layer.summary) for layer in dissection_of(first).layers]
    return any(key.startswith("icmp") and summary.startswith("echo request") for key, summary in keys)


def _reply(journey: Journey) -> dict[str, Any]:
    stops = _stops(journey.stops)
    first = next((stop for stop in stops if stop["headers"]), None)
    about = next((h["text"] for h in reversed(_outermost(first)) if h["text"].startswith("ICMP")), "") if first else ""
    start = f" from {stops[0]['host']}" if stops else ""
    kind = about or ("an answer" if journey.outcome.kind == "delivered" else "an error")
    end = "arrives" if journey.outcome.kind == "delivered" else f"is lost: {journey.outcome.reason}"
    title = f"What comes back: {kind}{start}, {count(len(journey.stops), 'stop')}; it {end}"
    return {"title": title, "kind": journey.outcome.kind, "stops": stops, "total": len(journey.stops)}


def _outermost(stop: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the headers that are not a quotation: all up to the first ICMP header."""
    found = []
    for header in stop["headers"]:
        found.append(header)
        if header["text"].startswith("ICMP"):
            break
    return found


def gaps(stops: list[dict[str, Any]], total: int) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield each stop with how many are left out before it; at the end, None and those after the last."""
    reached = 0
    for stop in stops:
        yield stop["n"] - reached - 1, stop
        reached = stop["n"]
    yield total - reached, None


def frame_text(stop: dict[str, Any]) -> str:
    """Return a frame as nested headers, "148 bytes: Eth … · VXLAN 1 · [Eth … · ICMP …]", or where it was seen first."""
    if stop["same"]:
        return f"{count(stop['size'], 'byte')}, as at stop {stop['same']}"
    if not stop["headers"]:
        return count(stop["size"], "byte") if stop["size"] else ""
    text, depth = "", 0
    for header in stop["headers"]:
        opened = "[" * max(0, header["depth"] - depth)
        text += (" · " if text else "") + opened + header["text"]
        depth = max(depth, header["depth"])
    return f"{count(stop['size'], 'byte')}: {text}{']' * depth}"
