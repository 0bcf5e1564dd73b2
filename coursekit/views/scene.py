"""The cluster as a packet meets it: hosts, devices, the way it takes, and the packet itself, small, where it is now.

Two pictures come from it: a stored one with the packet at one stop, and the parts that the browser swaps at each step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from coursekit.views import envelope
from coursekit.views.envelope import Part, Scale
from coursekit.views.letters import cut, width
from coursekit.views.scene_layout import BOTTOM, CHIP, LOWER, Chip, Key, layout
from coursekit.views.twin import escape, palette, style

_SHEET_TOP = 165.0  # where the envelope's own sheet begins, below the hosts
_EDGE = 8.0  # left and right of the envelope
HEIGHT = _SHEET_TOP + envelope.HEIGHT + 10
_TINY = 0.3  # pixels a byte of the packet in the drawing
Stop = dict[str, Any]


class Scene:
    """The drawing of some trips: the packet's, then those of what comes back. Wires and chips have numbers."""

    def __init__(self, trips: Sequence[Sequence[Stop]], notes: dict[str, str]) -> None:
        self.trips = trips
        self.layout = layout([stop for trip in trips for stop in trip], notes)
        self.keys = list(self.layout.chips)
        self.wires: dict[tuple[Key, Key], bool] = {}  # both ends, in a fixed order; whether an envelope passes
        self.used: list[list[tuple[int, int]]] = []  # of each trip: the wire, and the place of the stop it leads to
        for trip in trips:
            self.used.append([(list(self.wires).index(ends), i) for ends, i in self._walk(trip)])
        inner = self.layout.width - 2 * _EDGE
        frames = ([[*ghosts(trip, i)[0], *stop["parts"]] for i, stop in enumerate(trip)] for trip in trips)
        self.scales = [envelope.fit(some, inner) for some in frames]

    def _walk(self, trip: Sequence[Stop]) -> Iterable[tuple[tuple[Key, Key], int]]:
        """Yield the wire that leads to each stop, and note it."""
        wrapped = {(stop["host"], stop["device"]) for stop in trip if stop["envelope"]}
        for i, (one, other) in enumerate(pairwise(trip), 1):
            a, b = ((stop["host"], stop["device"]) for stop in (one, other))
            if a == b or not _follows(one, other):
                continue
            ends = (a, b) if self.keys.index(a) < self.keys.index(b) else (b, a)
            envelope_passes = other["action"] != "asks" and (a in wrapped or b in wrapped)
            self.wires[ends] = self.wires.get(ends, False) or envelope_passes
            yield ends, i

    def at(self, stop: Stop) -> Chip:
        """Return the device of a stop."""
        return self.layout.chips[stop["host"], stop["device"]]

    def gone(self, trip: int, place: int) -> tuple[list[int], list[int]]:
        """Return the numbers of the wires and of the devices that a trip has passed when it is at a place."""
        wires = sorted({wire for wire, i in self.used[trip] if i <= place})
        passed = {(stop["host"], stop["device"]) for stop in self.trips[trip][: place + 1]}
        return wires, [i for i, key in enumerate(self.keys) if key in passed]

    def token(self, stop: Stop) -> str:
        """Return the packet as small boxes, its middle at the origin."""
        scale = Scale(0, _TINY, 0, 18.0)
        placed = envelope.boxes(stop["parts"], scale)
        if not placed:
            return ""
        wide = sum(box.wide for box in placed)
        x, drawn = -wide / 2, []
        for box in placed:
            inset = 0 if box.part["letter"] else 2
            drawn.append(
                f'<rect class="ck-tint-{box.part["tint"]}" x="{x:.1f}" y="{-7 + inset}" width="{box.wide:.1f}" '
                f'height="{14 - 2 * inset}"/>'
            )
            x += box.wide
        place = f'x="{-wide / 2 - 2:.1f}" y="-9" width="{wide + 4:.1f}" height="18"'
        return f'<rect class="ck-token-ground" {place}/>{"".join(drawn)}'

    def token_place(self, stop: Stop) -> tuple[float, float]:
        """Return where the small packet is drawn: above its device."""
        chip = self.at(stop)
        return round(chip.x, 1), chip.y - CHIP / 2 - 12

    def sheet(self, trip: int, place: int) -> str:
        """Return the packet at a stop to scale, on a sheet whose tip points at the device."""
        stop = self.trips[trip][place]
        chip = self.at(stop)
        inner = self.layout.width - 2 * _EDGE
        pointed = (
            f'<path class="ck-tip" d="M{chip.x:.1f} {chip.y + CHIP / 2:.1f}V{_SHEET_TOP - 6}"/>'
            f'<path class="ck-tip-end" d="M{chip.x - 7:.1f} {_SHEET_TOP}l7 -8l7 8z"/>'
        )
        ghost, words = ghosts(self.trips[trip], place)
        if stop["parts"]:
            sender = cut(self.trips[trip][0]["host"], 120, 11)
            drawn = envelope.svg(stop["parts"], inner, self.scales[trip], ghosts=ghost, ghost=words,
                                 letter=f"the letter: {sender}'s IP packet")  # fmt: skip
        else:
            drawn = f'<text x="{inner / 2:.1f}" y="64" text-anchor="middle">no frame is seen at this stop</text>'
        return f'{pointed}<g transform="translate({_EDGE:g} {_SHEET_TOP + 6:g})">{drawn}</g>'

    def svg(self, trip: int, place: int, end: str = "") -> str:
        """Return the whole picture with the packet at a stop; `end` is the word for how the trip ends."""
        stop = self.trips[trip][place]
        wires, passed = self.gone(trip, place)
        here = self.keys.index((stop["host"], stop["device"]))
        x, y = self.token_place(stop)
        shape = f'viewBox="0 0 {self.layout.width:g} {HEIGHT:g}" width="{self.layout.width:g}" height="{HEIGHT:g}"'
        return _compact(
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ck-art" {shape}>'
            f"<style>{palette()}{style('envelope')}{style('scene')}</style>"
            '<rect class="ck-paper" width="100%" height="100%"/>'
            f"{''.join(self._rooms())}{''.join(self._lines(wires))}{''.join(self._chips(passed, here))}"
            f'<rect class="ck-sheet" x="0.5" y="{_SHEET_TOP}" width="{self.layout.width - 1}" '
            f'height="{HEIGHT - _SHEET_TOP - 0.5}"/>'
            f'<g class="ck-zoom">{self.sheet(trip, place)}</g>'
            f'<g class="ck-end-mark">{self.end_mark(trip, end)}</g>'
            f'<g class="ck-token" transform="translate({x} {y})">{self.token(stop)}</g></svg>'
        )

    def end_mark(self, trip: int, word: str) -> str:
        """Return the mark where a trip ended, with its word; nothing without a word."""
        stops = self.trips[trip]
        last = next((s for s in reversed(stops) if s["action"] in ("drops", "delivers", "answers")), None)
        last = last or next((s for s in reversed(stops) if s["action"] != "asks"), stops[-1])
        if not word:
            return ""
        chip = self.at(last)
        good = word in ("delivered", "arrives")
        text = f"{'✓' if good else '✕'} {word}"
        half = width(text, 11, bold=True) / 2
        x = min(max(chip.x, half + 4), self.layout.width - half - 4)
        kind = "ck-fine" if good else "ck-dead"
        return f'<text class="{kind}" x="{x:.1f}" y="{chip.y + CHIP / 2 + 13:.1f}" text-anchor="middle">{text}</text>'

    def _rooms(self) -> Iterable[str]:
        for room in self.layout.rooms:
            switch = all(s["action"] == "switches" for trip in self.trips for s in trip if s["host"] == room.host)
            note = "as a switch" if switch else room.note
            name = width(room.label, 13, bold=True)
            beside = name + width(note, 11) + 22 < room.wide
            x, y = (room.x + 18 + name, room.y + 18) if beside else (room.x + 11, room.y + 33)
            drawn = f'<text class="ck-note" x="{x:.1f}" y="{y:g}">{escape(note)}</text>' if note else ""
            yield (
                f'<rect class="ck-room" x="{room.x:.1f}" y="{room.y:g}" width="{room.wide:.1f}" '
                f'height="{BOTTOM - room.y:g}"/><text class="ck-host" x="{room.x + 11:.1f}" '
                f'y="{room.y + 18:g}">{escape(room.label)}</text>{drawn}'
            )

    def _lines(self, gone: Sequence[int]) -> Iterable[str]:
        paths = [self._path(*ends) for ends in self.wires]
        for d, wrapped in zip(paths, self.wires.values(), strict=True):
            if wrapped:
                yield f'<path class="ck-tube" d="{d}"/>'
        for i, d in enumerate(paths):
            yield f'<path class="ck-wire{" ck-gone" if i in gone else ""}" d="{d}"/>'

    def _path(self, a: Key, b: Key) -> str:
        """Return the way of a wire: level, round a corner, or beneath the devices that stand between."""
        one, other = sorted((self.layout.chips[a], self.layout.chips[b]), key=lambda chip: chip.x)
        if one.y == other.y:
            if any(chip.y == one.y and one.x < chip.x < other.x for chip in self.layout.chips.values()):
                edge = one.y + CHIP / 2
                deep = f"{one.x:.1f} {edge + 26:g} {other.x:.1f} {edge + 26:g}"
                return f"M{one.x:.1f} {edge:g}C{deep} {other.x:.1f} {edge:g}"
            return f"M{one.x + one.wide / 2:.1f} {one.y:g}H{other.x - other.wide / 2:.1f}"
        low, high = (one, other) if one.y == LOWER else (other, one)
        top = low.y - CHIP / 2
        if abs(low.x - high.x) < high.wide / 2:
            return f"M{low.x:.1f} {top:g}V{high.y + CHIP / 2:g}"
        side = high.x + (high.wide / 2 if low.x > high.x else -high.wide / 2)
        return f"M{low.x:.1f} {top:g}V{high.y:g}H{side:.1f}"

    def _chips(self, passed: Sequence[int], here: int) -> Iterable[str]:
        for i, chip in enumerate(self.layout.chips.values()):
            state = " ck-here" if i == here else " ck-gone" if i in passed else ""
            title = "" if chip.label == chip.key[1] else f"<title>{escape(chip.key[1])}</title>"
            yield (
                f'<g class="ck-chip{state}">{title}'
                f'<rect x="{chip.x - chip.wide / 2:.1f}" y="{chip.y - CHIP / 2:g}" width="{chip.wide:.1f}" '
                f'height="{CHIP:g}"/><text x="{chip.x:.1f}" y="{chip.y + 4:g}">{escape(chip.label)}</text></g>'
            )


def _compact(svg: str) -> str:
    """Return a picture for storage: whole pixels, no tooltips and names of boxes, which an image cannot use."""
    svg = re.sub(r"<title>.*?</title>| data-part=\"[^\"]*\"", "", svg)
    svg = re.sub(r' d="[^"]*"', lambda d: re.sub(r"[\d.]+", lambda found: f"{float(found[0]):.0f}", d[0]), svg)
    return re.sub(r'(?<= (?:x|y)=")-?[\d.]+(?=")|(?<= width=")[\d.]+(?=")', lambda found: f"{float(found[0]):.0f}", svg)


def ghosts(trip: Sequence[Stop], place: int) -> tuple[list[Part], str]:
    """Return the headers that a tunnel device is putting on or taking off at a stop, and words that say which."""
    stop = trip[place]
    step = {"encapsulates": 1, "decapsulates": -1}.get(stop["action"], 0)
    if not step or stop["envelope"] or not 0 <= place + step < len(trip):
        return [], ""
    other = trip[place + step]
    if not other["envelope"] or not stop["parts"]:
        return [], ""
    outer = [part for part in other["parts"] if part["depth"] == 0]
    return outer, f"{'put on' if step > 0 else 'taken off'} by {cut(stop['device'], 70, 11)}"


def _follows(one: Stop, other: Stop) -> bool:
    """Whether the packet goes from one stop to the other, or another piece of it begins there."""
    if one["host"] != other["host"]:
        return (one["direction"], other["direction"]) == ("out", "in")
    return (one["direction"], other["direction"]) != ("out", "in")
