"""The same packet at several capture points: which frame of each point carries it, and in which order it passed them.

Frames are paired by their innermost IP packet, by what tells it from every other (matching.py): envelopes come and
go, TTLs fall, checksums follow. A frame without an IP packet, such as ARP, is paired by its bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coursekit.packets.capture import Frame
from coursekit.packets.fields import Dissection, Layer
from coursekit.packets.layout import dissect
from coursekit.packets.matching import identity


@dataclass(frozen=True)
class Sighting:
    """A frame at a capture point ("node1:eth0"), taken apart."""

    point: str
    frame: Frame
    dissection: Dissection

    @property
    def headers(self) -> tuple[Layer, ...]:
        """The headers of the packet itself: an ICMP error's quotation is left out."""
        layers = self.dissection.layers
        for place, layer in enumerate(layers, 1):
            if layer.key in ("icmp", "icmpv6"):
                return layers[:place] + tuple(it for it in layers[place:] if it.depth == layer.depth)
        return layers

    @property
    def packets(self) -> tuple[Layer, ...]:
        """The IP headers of the packet, the outermost first; () for what is no IP packet."""
        return tuple(layer for layer in self.headers if layer.key in ("ip", "ipv6"))

    @property
    def identity(self) -> bytes:
        """What tells the innermost packet from every other one, the same at every point."""
        if self.packets:
            found = identity(self.dissection.data[self.packets[-1].bit_offset // 8 :])
            if found:
                return found
        return self.dissection.data


@dataclass(frozen=True)
class Passage:
    """One packet and where it was seen, by capture point, in the order of time."""

    seen: Mapping[str, Sighting] = field(default_factory=dict)

    @property
    def first(self) -> Sighting:
        """Where it was seen first."""
        return next(iter(self.seen.values()))

    @property
    def time_ns(self) -> int:
        """When it was seen first, in nanoseconds since 1970; 0 where nothing has a time."""
        return self.first.frame.time_ns

    @property
    def ends(self) -> tuple[str, ...]:
        """The innermost source and destination address; () for what is no IP packet."""
        packets = self.first.packets
        return tuple(packets[-1][end].value for end in ("src", "dst")) if packets else ()


def sightings(point: str, frames: Iterable[Frame]) -> list[Sighting]:
    """Return the frames of one capture point, taken apart."""
    return [Sighting(point, frame, dissect(frame.data, frame.dlt)) for frame in frames]


def passages(captures: Mapping[str, Iterable[Frame]]) -> list[Passage]:
    """Return the packets that the capture points saw, in the order of time; equal times keep the points' order.

    A point that saw the same packet twice, as in a routing loop, has it in two passages: the first sightings of all
    points make one, the second ones another.
    """
    groups: dict[tuple[bytes, int], list[Sighting]] = {}
    for point, frames in captures.items():
        times: Counter[bytes] = Counter()
        for sighting in sightings(point, frames):
            key = sighting.identity
            groups.setdefault((key, times[key]), []).append(sighting)
            times[key] += 1
    found = []
    for group in groups.values():
        group.sort(key=lambda item: item.frame.time_ns)
        found.append(Passage({item.point: item for item in group}))
    return sorted(found, key=lambda item: item.time_ns)


def along(found: Sequence[Passage]) -> list[str]:
    """Return all capture points in the order in which the packet that was seen at most of them passed them.

    Clocks tick in microseconds, so that two devices may have the same time: then further packets of the same ends
    decide. Points that this packet did not pass are put in by the others that did, or by when they first saw one.
    """
    order: list[str] = []
    for passage in sorted(found, key=lambda item: -len(item.seen)):
        points = list(passage.seen) if order else _by_time(passage, found)
        if _backwards(points, order):
            points.reverse()
        for place, point in enumerate(points):
            if point not in order:
                known = [it for it in points[place + 1 :] if it in order]
                later = known or [it for it in order if len(points) == 1 and _earliest(it, found) > passage.time_ns]
                order.insert(order.index(later[0]) if later else len(order), point)
    return order


def _by_time(passage: Passage, found: Iterable[Passage]) -> list[str]:
    """Return the points of a packet by how long after the first one they saw it, summed over packets like it."""
    like = [item for item in found if item.ends == passage.ends and set(item.seen) == set(passage.seen)]
    lag = {point: sum(item.seen[point].frame.time_ns - item.time_ns for item in like) for point in passage.seen}
    return sorted(passage.seen, key=lambda point: lag[point])


def _earliest(point: str, found: Iterable[Passage]) -> int:
    """Return when a point saw its first IP packet, or whatever it saw where there was none."""
    times = [(not item.ends, item.seen[point].frame.time_ns) for item in found if point in item.seen]
    return min(times)[1]


def _backwards(points: list[str], order: list[str]) -> bool:
    """Return whether a packet went the other way: the first known point it met stands behind the last one."""
    known = [order.index(point) for point in points if point in order]
    return len(known) > 1 and known[0] > known[-1]
