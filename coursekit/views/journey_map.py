"""The map of a journey: hosts side by side, their devices below each other, and the packet's path as a line."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from coursekit.views.journey_data import DELIVERED
from coursekit.views.twin import BAD, DEPTHS, GOOD, QUIET, count, escape, picture

_CHIP, _HIGH, _ROW, _GAP, _TOP = 96, 26, 50, 24, 34  # sizes in pixels: chip, its height, row, between hosts, header
_LETTER = 9  # pixels that a letter of a host's name takes, at most
_SHEET = (
    "text{font:12px sans-serif;fill:#1a1a1a}.h{font-weight:bold;font-size:13px}.h,.m{text-anchor:middle}"
    ".b{fill:#f6f6f6;stroke:#c4c4c4}"
    f".c{{fill:#fff;stroke:{QUIET}}}.n{{fill:#1a1a1a}}.m{{fill:#fff;font-size:11px;font-weight:bold}}"
    f".p{{stroke:#1a1a1a;stroke-width:2;fill:none}}.e{{stroke:{DEPTHS[0]};stroke-width:8;fill:none}}"
    ".w{stroke:#fff;stroke-width:3.5;fill:none}.a{stroke-dasharray:4 3}"
    f".v{{fill:{DEPTHS[0]};font-weight:bold}}.x{{fill:{BAD}}}.k{{fill:{GOOD}}}"
    ".x,.k{font-weight:bold;stroke:#f6f6f6;stroke-width:5;paint-order:stroke}"
)  # fmt: skip
Chip = tuple[str, str]  # host, device


class Map:
    """Places of the devices that a packet passes. `places` are the middles of the chips, in pixels."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.stops = data["stops"]
        self.hosts = list(dict.fromkeys(stop["host"] for stop in self.stops))
        cells = _cells(self.stops)
        widest = {host: max(c for (h, _), (c, _) in cells.items() if h == host) + 1 for host in self.hosts}
        self.left: dict[str, int] = {}
        x = 12
        for host in self.hosts:
            self.left[host] = x
            x += widest[host] * (_CHIP + 12) + 8 + _GAP
        self.widest, self.width = widest, max(x - _GAP + 12, 260)
        self.rows = max((row for _, row in cells.values()), default=0) + 1
        self.envelopes = {(s["host"], s["device"]): s["envelope"] for s in reversed(self.stops) if s["envelope"]}
        self.height = _TOP + self.rows * _ROW + (52 if self.envelopes else 22)
        self.places = {
            (host, device): (self.left[host] + 10 + _CHIP // 2 + column * (_CHIP + 12), _TOP + 26 + row * _ROW)
            for (host, device), (column, row) in cells.items()
        }

    def percent(self, stop: dict[str, Any]) -> str:
        """Return where a stop is on the picture, in percent of its width and height: "12.5 40"."""
        x, y = self.places[stop["host"], stop["device"]]
        return f"{100 * x / self.width:.1f} {100 * y / self.height:.1f}"

    def alt(self) -> str:
        """Return the picture in words."""
        path = ", ".join(f"{stop['n']} {stop['host']}:{stop['device']}" for stop in self.stops)
        wrapped = [f"{stop['n']}" for stop in self.stops if stop["envelope"]]
        inside = f" In an envelope at stops {', '.join(wrapped)}." if wrapped else ""
        return f"Map of the journey: {path}.{inside} End: {self.data['outcome']['word']}."

    def html(self) -> str:
        """Return the map as an image; nothing if there was no stop."""
        return picture(self.svg(), self.alt(), self.width) if self.stops else ""

    def svg(self) -> str:
        """Return the picture, on its own white ground."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}"><style>{_SHEET}</style>'
            '<rect width="100%" height="100%" fill="#fff"/>'
        ]
        for host in self.hosts:
            left, wide = self.left[host], self.widest[host] * (_CHIP + 12) + 8
            rows = [y for (h, _), (_, y) in self.places.items() if h == host]
            top, title = min(rows) - 46, _cut(self._title(host), wide // _LETTER)
            parts.append(
                f'<rect class="b" x="{left}" y="{top}" width="{wide}" height="{max(rows) - top + 34}" rx="6"/>'
                f'<text class="h" x="{left + wide // 2}" y="{top + 19}">{escape(title)}</text>'
            )
        parts += self._lines() + self._chips() + self._end()
        return "".join(parts) + "</svg>"

    def _title(self, host: str) -> str:
        """Return the host's name; a router that a packet only crosses inside one LAN is named as what it is there."""
        switches = all(stop["action"] == "switches" for stop in self.stops if stop["host"] == host)
        return f"{host}, as a switch" if switches else host

    def _lines(self) -> list[str]:
        """Return the path: one line for each two neighbouring devices, a double one where the packet is wrapped."""
        ways: dict[tuple[Chip, Chip], tuple[str, bool]] = {}
        for one, other in pairwise(self.stops):
            ends = (one["host"], one["device"]), (other["host"], other["device"])
            if ends[0] == ends[1] or not _follows(one, other):
                continue
            asks = other["action"] == "asks"
            wrapped = "" if asks else self.envelopes.get(ends[0]) or self.envelopes.get(ends[1]) or ""
            ways[ends] = (ways.get(ends, ("", True))[0] or wrapped, asks and ways.get(ends, ("", True))[1])
        drawn, labelled = [], False
        for (one, other), (wrapped, asks) in ways.items():
            (x1, y1), (x2, y2) = self.places[one], self.places[other]
            d = f'd="M{x1} {y1}L{x2} {y2}"'
            if wrapped:
                drawn.append(f'<path class="e" {d}/><path class="w" {d}/>')
            else:
                drawn.append(f'<path class="p{" a" if asks else ""}" {d}/>')
            if wrapped and not labelled and one[0] != other[0]:
                labelled = True
                y = self.height - 22
                drawn.append(
                    f'<path class="e" d="M14 {y}h30"/><path class="w" d="M14 {y}h30"/>'
                    f'<text class="v" x="52" y="{y + 4}">double line: inside {escape(wrapped)}</text>'
                )
        return drawn

    def _chips(self) -> list[str]:
        drawn = []
        for (host, device), (x, y) in self.places.items():
            numbers = [stop["n"] for stop in self.stops if (stop["host"], stop["device"]) == (host, device)]
            label = ",".join(map(str, numbers)) if len(numbers) < 3 else f"{numbers[0]}…{numbers[-1]}"
            wide = 10 + 7 * len(label)
            left = x - _CHIP // 2
            name = device if len(device) <= 12 else device[:8] + "…"
            drawn.append(
                f'<rect class="c" x="{left}" y="{y - 13}" width="{_CHIP}" height="{_HIGH}" rx="4"/>'
                f'<rect class="n" x="{left}" y="{y - 13}" width="{wide}" height="{_HIGH}" rx="4"/>'
                f'<text class="m" x="{left + wide / 2:g}" y="{y + 4}">{label}</text>'
                f'<text x="{left + wide + 5}" y="{y + 4}">{escape(name)}</text>'
            )
        return drawn

    def _end(self) -> list[str]:
        """Return the mark where the packet ended, and its word."""
        last = next((s for s in reversed(self.stops) if s["action"] in ("drops", "delivers", "answers")), None)
        last = last or next((s for s in reversed(self.stops) if s["action"] != "asks"), None)
        if last is None:
            return []
        x, y = self.places[last["host"], last["device"]]
        word = self.data["outcome"]["word"]
        mark, name = ("✓", "k") if word == DELIVERED else ("✕", "x")
        return [f'<text class="{name}" x="{x - _CHIP // 2}" y="{y + 28}">{mark} {word} at {last["n"]}</text>']


def _cut(name: str, most: int) -> str:
    """Return a name of at most so many letters; of names that Kubernetes makes up, both ends tell them apart."""
    tail = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - tail]}…{name[-tail:]}"


def _follows(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the packet goes from one stop to the other, or another piece of it begins there."""
    if one["host"] != other["host"]:
        return (one["direction"], other["direction"]) == ("out", "in")
    return (one["direction"], other["direction"]) != ("out", "in")


def _cells(stops: list[dict[str, Any]]) -> dict[Chip, tuple[int, int]]:
    """Return column and row of each device within its host.

    A cable runs level. The first host with several devices is drawn downwards, from the pod to the wire; one that
    is entered by the device of that name, or unwraps, upwards; others (switch, router) side by side.
    """
    hosts = list(dict.fromkeys(stop["host"] for stop in stops))
    cells: dict[Chip, tuple[int, int]] = {}
    level, bottom = 0, ""
    for host in hosts:
        devices = list(dict.fromkeys(stop["device"] for stop in stops if stop["host"] == host))
        unwraps = any(stop["host"] == host and stop["action"] == "decapsulates" for stop in stops)
        if not bottom:
            places = [(0, level + i) for i in range(len(devices))]
            bottom = devices[-1] if len(devices) > 1 else ""
        elif unwraps or devices[0] == bottom:
            places = [(0, level - i) for i in range(len(devices))]
        else:
            places = [(i, level) for i in range(len(devices))]
        cells.update({(host, device): place for device, place in zip(devices, places, strict=True)})
        level = places[-1][1]
    highest = min((row for _, row in cells.values()), default=0)
    return {chip: (column, row - highest) for chip, (column, row) in cells.items()}


def caption(data: dict[str, Any]) -> str:
    """Return the line above a journey."""
    word = data["outcome"]["word"]
    return f"{data['title']} · {'✓' if word == DELIVERED else '✕'} {word} after {count(data['total'], 'stop')}"
