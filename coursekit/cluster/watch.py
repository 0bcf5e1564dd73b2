"""What tcpdump would show of a journey: which filter sees it at which capture point.

libpcap's own compiler decides, on the bytes that each point of the journey saw; the same filters run on a recording
or on a live capture (`packets.capture.Capture.filter`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from coursekit.cluster.path import Journey
from coursekit.errors import Named, expect
from coursekit.packets.capture import Capture, Frame

_ETHERNET, _RAW = 1, 101


def captures(journey: Journey) -> dict[str, Capture]:
    """Return what each capture point of a journey saw, this way and back, as captures by "host:device".

    They are computed: their frames have no time, and no file lies behind them.
    """
    expect(journey, Journey, 'A journey is what ping(network, "podA", "podB") returns')
    points = dict.fromkeys(stop.point for stop in sorted(journey.all_stops(), key=lambda stop: stop.order))
    found = {}
    for point in points:
        seen = [Frame(data, i, 0, _dlt(data), len(data)) for i, data in enumerate(journey.frames_at(point), 1)]
        if seen:
            found[point] = Capture(Path(point.replace(":", "-")), tuple(seen), "")
    return Named("capture point", found)


def watch(journey: Journey, filters: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return how many frames each filter shows at each capture point: point, then filter, then number."""
    wanted = tuple(filters)
    return {
        point: {bpf: len(capture.filter(bpf)) for bpf in wanted} for point, capture in captures(journey).items()
    }


def _dlt(data: bytes) -> int:
    """Tell a bare IP packet, as tunl0 shows it, from an Ethernet frame: its length field is right."""
    bare = len(data) >= 20 and data[0] >> 4 == 4 and int.from_bytes(data[2:4], "big") == len(data)
    return _RAW if bare else _ETHERNET
