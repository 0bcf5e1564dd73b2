"""What a list of frames draws, as plain data: from any source of frames to rows.

Of one capture point each frame is a row, as in Wireshark and tcpdump. Of several points each packet is a row and each
point a column, so that a row says where the packet was seen, and how long it was there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from coursekit.cluster.path import Journey
from coursekit.errors import CourseError, few, given
from coursekit.packets.capture import Capture, Frame
from coursekit.packets.fields import Layer
from coursekit.packets.sightings import Passage, Sighting, along, passages, sightings
from coursekit.views.dissected import numbered

_NAMES = {"icmp": "ICMP", "icmpv6": "ICMPv6", "tcp": "TCP", "udp": "UDP", "arp": "ARP", "bgp": "BGP", "eth": "Ethernet"}
_PAYLOAD = ("data", "padding")
_SECOND = 10**9  # times below, in nanoseconds since 1970, are places in an order
_POINT = 'such as "node1:eth0"'


def frames_data(source: Any, at: Any, bpf: str, title: str, most: int) -> tuple[dict[str, Any], list[Sighting]]:
    """Return the JSON-ready data of a FramesView, and the frames that its rows name by their place in that list."""
    by_point = _chosen(source, at)
    passed = {point: {frame.number for frame in capture.filter(bpf)} for point, capture in by_point.items()}
    data: dict[str, Any] = {"title": title, "filter": bpf, "evidence": _evidence(source)}
    kept: list[Sighting] = []
    if len(by_point) == 1:
        ((point, capture),) = by_point.items()
        seen = [item for item in sightings(point, capture) if item.frame.number in passed[point]]
        start = min((item.frame.time_ns for item in seen), default=0)
        kept = seen[:most]
        rows = [_line(item, start) | {"frame": i} for i, item in enumerate(kept)]
        return data | {"points": [point], "silent": [], "total": len(seen), "rows": rows}, kept
    found = [item for item in passages(by_point) if any(it.frame.number in passed[at] for at, it in item.seen.items())]
    points = along(found) if at is None else list(by_point)
    if at is not None and list(by_point) != ([at] if isinstance(at, str) else list(at)):  # hosts were named
        points.sort(key=[*along(found), *points].index)
    rows = []
    for number, passage in enumerate(found[:most], 1):
        cells = [_cell(passage.seen.get(point), passed[point], kept) for point in points]
        rows.append({"n": number, **_packet(passage, points, found[0].time_ns), "cells": cells})
    silent = [point for point in by_point if point not in points]
    return data | {"points": points, "silent": silent, "total": len(found), "rows": rows}, kept


def _chosen(source: Any, at: Any) -> dict[str, Capture]:
    """Return the captures at the points that were asked for, or at all that there are."""
    names, load = _captures(source)
    if at is None:
        wanted = names
    else:
        if not isinstance(at, str | Iterable):
            raise CourseError(f"`at` is a capture point, {_POINT}, a host, or several; {given(at)} was given.")
        wanted = []
        for one in [at] if isinstance(at, str) else at:
            here = [name for name in names if name == one or name.startswith(f"{one}:")]
            if not here:
                points = few(names, 12) or "none"
                raise CourseError(f"Nothing was captured at {given(one)}; the capture points are {points}.")
            wanted += here
    if not wanted:
        raise CourseError("There is no capture point here, so there are no frames to list.")
    return {name: load(name) for name in dict.fromkeys(wanted)}


def _captures(source: Any) -> tuple[list[str], Any]:
    """Return the names of the capture points that a source has, and what loads the capture at one of them."""
    if isinstance(source, Journey):
        return _captures(_computed([source]))
    if isinstance(source, Capture):
        found = {source.path.name: source}
    elif callable(getattr(source, "points", None)) and callable(getattr(source, "capture", None)):
        return list(source.points()), source.capture
    elif isinstance(source, Mapping):
        found = {str(name): _capture(str(name), item) for name, item in source.items()}
    elif all(hasattr(frame, "point") for frame in getattr(source, "frames", None) or [None]):
        # what a ping or a GET in a lab returns; of computed ones only the journeys know the order
        timed = any(frame.time_ns for frame in source.frames)
        return _captures(_by_point(source.frames) if timed else _computed(source.journeys))
    elif isinstance(source, list | tuple):
        found = {"": _capture("", source)}
    else:
        raise CourseError(
            "Frames are listed of a recording, a capture, a journey, what a lab's ping returns, or "
            f"{{point: frames}}; {given(source)} was given."
        )
    return list(found), found.__getitem__


def _by_point(frames: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for frame in frames:
        found.setdefault(frame.point, []).append(frame)
    return found


def _computed(journeys: Iterable[Journey]) -> dict[str, list[Frame]]:
    """Return the frames of journeys by capture point; for lack of a clock, a frame's time is its place in the order."""
    found: dict[str, list[Frame]] = {}
    order = 0
    for journey in journeys:
        for stop in sorted(journey.all_stops(), key=lambda stop: stop.order):
            if stop.frame is not None:
                order += 1
                here = found.setdefault(stop.point, [])
                here.append(replace(numbered(stop.frame, len(here) + 1), time_ns=order))
    return found


def _capture(name: str, frames: Any) -> Capture:
    if isinstance(frames, Capture):
        return frames
    if not isinstance(frames, list | tuple):
        raise CourseError(f"At each capture point there is a capture or a list of frames; {given(frames)} was given.")
    return Capture(Path(name or "frames"), tuple(numbered(frame, i) for i, frame in enumerate(frames, 1)), "")


def _evidence(source: Any) -> str:
    """Return what kind of evidence the frames are: a recording says so, a journey of the model is computed."""
    return str(getattr(source, "banner", "computed" if isinstance(source, Journey) else ""))


def _line(item: Sighting, start: int) -> dict[str, Any]:
    """Return one frame as Wireshark lists it; of a tunnel packet the inner one stands in `info`."""
    outer = item.packets[0] if item.packets else None
    source, target = _ends(outer, item)
    name, words = wrapping(item), _words(item)
    protocol = name.partition(" ")[0] or _protocol(item)
    inner = " → ".join(_ends(item.packets[-1], item)) if name and len(item.packets) > 1 else ""
    parts = (name.partition(" ")[2], f"{inner} {_protocol(item)} {words}" if inner else words)
    return {
        "n": item.frame.number, "time": _time(item.frame.time_ns, start), "src": source, "dst": target,
        "protocol": protocol, "length": _length(item), "ttl": _ttl(item), "info": " · ".join(filter(None, parts)),
    }  # fmt: skip


def _packet(passage: Passage, points: list[str], start: int) -> dict[str, Any]:
    """Return one packet: its own ends and what it says, whatever it was wrapped in."""
    first = passage.first
    source, target = _ends(first.packets[-1] if first.packets else None, first)
    places = [points.index(point) for point in passage.seen if point in points]
    way = "" if len(places) < 2 else "→" if places[0] < places[-1] else "←"
    return {
        "time": _time(passage.time_ns, start), "src": source, "dst": target, "way": way,
        "protocol": _protocol(first), "info": _words(first),
    }  # fmt: skip


def _cell(item: Sighting | None, passed: set[int], kept: list[Sighting]) -> dict[str, Any] | None:
    if item is None:
        return None
    kept.append(item)
    return {
        "length": _length(item), "ttl": _ttl(item), "wrapped": wrapping(item).partition(" ")[0],
        "shown": item.frame.number in passed, "frame": len(kept) - 1,
    }  # fmt: skip


def _time(time_ns: int, start: int) -> str:
    """Return seconds since the first frame, in µs as tcpdump prints them; "" where frames have no time."""
    return f"{(time_ns - start) / 1e9:.6f}" if time_ns > _SECOND else ""


def _length(item: Sighting) -> int:
    return max(item.frame.length, len(item.frame.data))


def _ttl(item: Sighting) -> str:
    """Return the TTL or hop limit of each IP header, the outer one first: "64/63"."""
    return "/".join(packet["ttl" if packet.key == "ip" else "hlim"].value for packet in item.packets if packet.fields)


def wrapping(item: Sighting) -> str:
    """Return what a packet is wrapped in: "VXLAN VNI 1", "IPIP", "" for nothing."""
    vxlan = next((layer for layer in item.headers if layer.key.startswith("vxlan")), None)
    if vxlan is not None:
        return f"VXLAN {vxlan.summary}"
    if len(item.packets) < 2:
        return ""
    outer, inner = (packet.key for packet in item.packets[:2])
    return "IPIP" if outer == inner == "ip" else f"{'IPv6' if inner == 'ipv6' else 'IPv4'}-in-" + (
        "IPv6" if outer == "ipv6" else "IPv4"
    )


def _own(item: Sighting) -> Layer:
    """Return the header that says what the packet is: the last one that is no payload."""
    headers = [layer for layer in item.headers if layer.key not in _PAYLOAD]
    return headers[-1] if headers else item.headers[-1]


def _protocol(item: Sighting) -> str:
    if not item.headers:
        return ""
    own = _own(item)
    carried = own.summary.split(", ")[1] if own.key in ("ip", "ipv6") and ", " in own.summary else own.name
    return _NAMES.get(own.key, carried)


def _words(item: Sighting) -> str:
    """Return in a line what the innermost packet says, in tcpdump's words as far as it has them."""
    if not item.headers:
        return item.dissection.stopped or ""
    own = _own(item)
    if own.key in ("ip", "ipv6"):
        return ", ".join(own.summary.split(", ")[3:]) or f"{own.summary.split(', ')[-1]}"
    words = own.summary.replace(", sequence ", ", seq ")
    ident = next((f.value for f in own.fields if f.key in ("icmp.ident", "icmpv6.echo.identifier")), "")
    if ident:
        words = words.replace(", seq ", f", id {ident.partition(' ')[0]}, seq ")
    first = " (first fragment)" if item.packets and "first fragment" in item.packets[-1].summary else ""
    quoted = [layer for layer in item.dissection.layers if layer.depth > own.depth and layer.key in ("ip", "ipv6")]
    about = f", about {quoted[-1].summary.rpartition(', TTL')[0] or quoted[-1].summary}" if quoted else ""
    return words + first + about


def _ends(packet: Layer | None, item: Sighting) -> tuple[str, str]:
    """Return who sends to whom: addresses of the IP header, of an ARP packet its MACs, as Wireshark has it."""
    layer = packet or next((it for it in item.headers if it.key == "eth"), None)
    values = {field.key.rpartition(".")[2]: field.value for field in layer.fields} if layer else {}
    return values.get("src", ""), values.get("dst", "")
