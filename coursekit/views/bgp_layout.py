"""Where routers stand in a picture: in tiers, as a star, or in a ring, whichever lets no session cross a router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import cos, hypot, pi, sin
from typing import Any, NamedTuple

Point = tuple[float, float]
Places = dict[str, Point]
_RING = 330  # pixels of radius up to which a ring grows so that no line crosses a neighbour
_WIDEST = 660  # pixels of a tier; a longer one is bent into a star


class Box(NamedTuple):
    """A rectangle by its middle and its size."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: Box, gap: float = 0) -> bool:
        """Whether two rectangles come nearer than `gap`."""
        return (abs(self.x - other.x) * 2 < self.width + other.width + 2 * gap
                and abs(self.y - other.y) * 2 < self.height + other.height + 2 * gap)  # fmt: skip

    def edge(self, towards: Point) -> Point:
        """Return where the line from the middle to a point leaves the rectangle."""
        dx, dy = towards[0] - self.x, towards[1] - self.y
        far = max(abs(dx) * 2 / self.width, abs(dy) * 2 / self.height)
        return (self.x, self.y) if far < 1 else (self.x + dx / far, self.y + dy / far)


class Line(NamedTuple):
    """A session's line: straight, or bent towards `bend` (a quadratic Bézier curve)."""

    start: Point
    bend: Point | None
    end: Point

    def at(self, t: float) -> Point:
        """Return the point at t from 0 to 1."""
        (x1, y1), (x2, y2) = self.start, self.end
        x, y = self.bend or ((x1 + x2) / 2, (y1 + y2) / 2)
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
        return a * x1 + b * x + c * x2, a * y1 + b * y + c * y2

    def path(self) -> str:
        """Return it in SVG's words."""
        (x1, y1), (x2, y2) = self.start, self.end
        bend = f"Q{self.bend[0]:.0f} {self.bend[1]:.0f} " if self.bend else "L"
        return f"M{x1:.0f} {y1:.0f}{bend}{x2:.0f} {y2:.0f}"

    def crosses(self, box: Box) -> bool:
        """Whether it runs through a rectangle."""
        return any(abs(x - box.x) * 2 < box.width and abs(y - box.y) * 2 < box.height
                   for x, y in (self.at(i / 24) for i in range(25)))  # fmt: skip


class Layout:
    """Places of boxes of one size, and the lines between them. `faults` counts lines that cross a foreign box."""

    def __init__(self, places: Places, sessions: Sequence[Mapping[str, Any]], size: Point, tiers: bool = False) -> None:
        left = min(x for x, _ in places.values()) - size[0] / 2
        top = min(y for _, y in places.values()) - size[1] / 2
        self.boxes = {name: Box(x - left, y - top, *size) for name, (x, y) in places.items()}
        self.lines = _lines(self.boxes, sessions, tiers)
        self.faults = sum(
            line.crosses(box) for session, line in zip(sessions, self.lines, strict=True)
            for name, box in self.boxes.items() if name not in (session["a"], session["b"])
        ) + sum(100 for a, b in combinations(self.boxes.values(), 2) if a.meets(b))  # fmt: skip
        points = [line.at(i / 8) for line in self.lines for i in range(9)]
        self.width = max([b.x + b.width / 2 for b in self.boxes.values()] + [x for x, _ in points])
        self.height = max([b.y + b.height / 2 for b in self.boxes.values()] + [y for _, y in points])


def layout(routers: Sequence[Mapping[str, Any]], sessions: Sequence[Mapping[str, Any]], size: Point) -> Layout:
    """Return the best layout for routers (as in BgpView's data) in boxes of a size."""
    names = [router["name"] for router in routers]
    levels = _levels(routers, sessions)
    found: list[tuple[Places, bool]] = []
    if len(set(levels.values())) > 1:
        tiers = _tiers(levels, size), True
        widest = max(x for x, _ in tiers[0].values()) - min(x for x, _ in tiers[0].values())
        hubs = [name for name in names if levels[name]]
        others = [name for name in names if not levels[name]]
        star = [(_star(hubs[0], others, size), False)] if len(hubs) == 1 else []
        found += [tiers, *star] if widest <= _WIDEST else [*star, tiers]
    found.append((_ring(names, size), False))
    tried = [Layout(places, sessions, size, tiers) for places, tiers in found]
    return min(tried, key=lambda one: one.faults)


def _levels(routers: Sequence[Mapping[str, Any]], sessions: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return each router's tier: 0 for those that announce and reflect for nobody, more the further from them."""
    near: dict[str, set[str]] = {router["name"]: set() for router in routers}
    for session in sessions:
        near[session["a"]].add(session["b"])
        near[session["b"]].add(session["a"])
    level = {r["name"]: 0 for r in routers if r["blocks"] and not r["clients"]}
    tier = 0
    while len(level) < len(routers):
        above = [name for name in near if name not in level and any(level.get(other) == tier for other in near[name])]
        tier += 1
        level |= dict.fromkeys(above or [name for name in near if name not in level], tier)
    return level


def _tiers(levels: Mapping[str, int], size: Point) -> Places:
    rows: dict[int, list[str]] = {}
    for name, level in levels.items():
        rows.setdefault(level, []).append(name)
    order = [name for row in rows.values() for name in row]
    ranked = {name: i for i, name in enumerate(order)}
    widest = max(map(len, rows.values()))
    step = size[0] + (36 if widest < 4 else 16 if widest < 7 else 8)
    places = {}
    for level, row in rows.items():
        spread = step if len(row) == widest else min(step * 2, step * (widest - 1) / max(1, len(row)))
        spread = max(spread, step)
        for i, name in enumerate(sorted(row, key=ranked.__getitem__)):
            places[name] = ((i - (len(row) - 1) / 2) * spread, -level * (size[1] + 78 + 5 * widest))
    return places


def _ring(names: Sequence[str], size: Point, least: float = 0, flat: float = 0.62) -> Places:
    """Place routers on an ellipse, the first one at the top (of two: side by side), no nearer than boxes need."""
    if len(names) == 1:
        return {names[0]: (0, 0)}
    if len(names) == 2:
        return {names[0]: (0, 0), names[1]: (size[0] + 130, 0)}
    turn = -pi / 2 if len(names) % 2 or len(names) > 4 else -pi * 3 / 4
    radius = max(least, size[0] * 0.6)
    tall = 0.95 if len(names) < 6 else flat
    gap = 62 if len(names) < 6 and not least else 14
    while True:
        at = [(radius * cos(turn + 2 * pi * i / len(names)), radius * tall * sin(turn + 2 * pi * i / len(names)))
              for i in range(len(names))]  # fmt: skip
        boxes = [Box(x, y, *size) for x, y in at]
        skips = (Line(a.edge(c[:2]), None, c.edge(a[:2])).crosses(b)
                 for a, b, c in zip(boxes, boxes[1:] + boxes[:1], boxes[2:] + boxes[:2], strict=True))  # fmt: skip
        free = least or len(names) < 4 or radius > _RING or not any(skips)
        if free and not any(a.meets(b, gap) for a, b in combinations(boxes, 2)):
            return dict(zip(names, at, strict=True))
        radius += 6


def _star(hub: str, others: Sequence[str], size: Point) -> Places:
    """Place routers in a ring around one."""
    return {**_ring(others, size, least=size[0] * 2.2, flat=0.66), hub: (0, 0)}


def _lines(boxes: Mapping[str, Box], sessions: Sequence[Mapping[str, Any]], tiers: bool) -> list[Line]:
    """Return a line for each session: bent below or above a row if others stand between, or beside a parallel one.

    Between tiers a line leaves at the bottom and arrives at the top, and so clear of its neighbours.
    """
    level = max((box.y for box in boxes.values()), default=0)
    many: dict[frozenset[str], int] = {}
    drawn = []
    for session in sessions:
        a, b = boxes[session["a"]], boxes[session["b"]]
        place = many.setdefault(frozenset((session["a"], session["b"])), 0)
        many[frozenset((session["a"], session["b"]))] += 1
        between = [box for name, box in boxes.items() if name not in (session["a"], session["b"]) and box.y == a.y
                   and min(a.x, b.x) < box.x < max(a.x, b.x)]  # fmt: skip
        if a.y == b.y and between:
            down = 1 if a.y == level else -1
            y = a.y + down * a.height / 2
            toward = 1 if b.x > a.x else -1
            depth = y + down * (26 + 34 * len(between))
            drawn.append(Line((a.x + toward * a.width / 5, y), ((a.x + b.x) / 2, depth),
                              (b.x - toward * b.width / 5, y)))  # fmt: skip
        elif place:
            away = (1 if place % 2 else -1) * 46 * ((place + 1) // 2)
            length = hypot(b.x - a.x, b.y - a.y) or 1
            mx, my = (a.x + b.x) / 2 - (b.y - a.y) / length * away, (a.y + b.y) / 2 + (b.x - a.x) / length * away
            drawn.append(Line(a.edge((mx, my)), (mx, my), b.edge((mx, my))))
        elif tiers and a.y != b.y:
            drawn.append(Line(_port(a, b), None, _port(b, a)))
        else:
            drawn.append(Line(a.edge((b.x, b.y)), None, b.edge((a.x, a.y))))
    return drawn


def _port(box: Box, other: Box) -> Point:
    """Return where a line to another tier leaves a box: above or below, a little to the side it goes to."""
    aside = max(-0.32, min(0.32, (other.x - box.x) / box.width / 8))
    return box.x + aside * box.width, box.y + (0.5 if other.y > box.y else -0.5) * box.height
