"""The text twin of a list of frames: columns of at most 110 characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from coursekit.views.twin import columns, count

WIDTH = 110
Pair = tuple[str, str]
_LEAST = 24  # characters that the column of words needs beside the others


def caption(data: dict[str, Any]) -> str:
    """Return the line above the frames: what is listed, where, and through which filter."""
    points, total = data["points"], data["total"]
    what = count(total, "frame") if len(points) < 2 else count(total, "packet")
    where = f"at {points[0]}" if len(points) == 1 and points[0] else f"{len(points)} capture points" if points else ""
    kept = f"filter {data['filter']}" if data["filter"] else ""
    return " · ".join(filter(None, (data["title"], f"{what} {where}".strip() if len(points) < 2 else f"{what}, {where}",
                                    kept)))  # fmt: skip


def notes(data: dict[str, Any]) -> list[str]:
    """Return what must be said beneath the frames: how many are left out, what the marks mean."""
    hidden = data["total"] - len(data["rows"])
    said = [f"{hidden} more {'is' if hidden == 1 else 'are'} not drawn."] if hidden > 0 else []
    cells = [cell for row in data["rows"] for cell in row.get("cells", ())]
    if cells:
        said.append("A column is a capture point: bytes of the frame, and beneath it the TTL, the outer one first.")
    if None in cells:
        said.append("–: not seen there.")
    if data["silent"]:
        said.append(f"Captured too, and none of this was seen there: {', '.join(data['silent'])}.")
    if any(cell and not cell["shown"] for cell in cells):
        said.append(f"(…): seen there, but the filter {data['filter']!r} does not show it.")
    return said


def frames_text(data: dict[str, Any]) -> str:
    """Return a FramesView's data as text."""
    body = _points(data) if "cells" in next(iter(data["rows"]), {}) else _list(data)
    head = [part for line in filter(None, (caption(data), data["evidence"])) for part in wrap(line, WIDTH)]
    tail = [part for line in notes(data) for part in wrap(line, WIDTH)]
    return "\n".join([*head, *(body if data["rows"] else ["no frame"]), *tail])


def _list(data: dict[str, Any]) -> list[str]:
    keys = ["n", "time", "src", "dst", "protocol", "length", "ttl"]
    names = ["no.", "time", "from", "to", "protocol", "bytes", "TTL", "info"]
    if not any(row["time"] for row in data["rows"]):
        keys, names = [keys[0], *keys[2:]], [names[0], *names[2:]]
    fixed = columns([[*names[:-1], "|"], *([*(str(row[key]) for key in keys), "|"] for row in data["rows"])])
    fixed = [line.removesuffix("|") for line in fixed]
    words = ["info", *(row["info"] for row in data["rows"])]
    return [line for one in _beside(list(fixed), words) for line in one]


def _beside(fixed: Sequence[str], words: Sequence[str]) -> Iterator[list[str]]:
    """Yield each row's lines: words go on beneath themselves, or beneath the row where no room is left."""
    start = len(fixed[0])
    for line, text in zip(fixed, words, strict=True):
        if WIDTH - start >= _LEAST:
            parts = wrap(text, WIDTH - start) or [""]
            yield [(line + parts[0]).rstrip(), *(" " * start + part for part in parts[1:])]
        else:
            yield [line.rstrip(), *(f"      {part}" for part in wrap(text, WIDTH - 6))]


def _points(data: dict[str, Any]) -> list[str]:
    points, rows = data["points"], data["rows"]
    cells = [[_cell(cell) for cell in row["cells"]] for row in rows]
    heads = [(host, device) for host, _, device in (point.partition(":") for point in points)]
    left = 15 if any(row["time"] for row in rows) else 5
    legend: list[str] = []
    if WIDTH - left - _size([heads, *cells]) < _LEAST:  # no room for the points' names: letters stand for them
        letters = [(f"{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{i // 26 or ''}", "") for i in range(len(points))]
        legend = wrap("  ".join(f"{it}={point}" for (it, _), point in zip(letters, points, strict=True)), WIDTH)
        heads = letters
    room = WIDTH - left - _size([heads, *cells])
    widths = _widths([heads, *cells])
    if room < _LEAST:
        return [*legend, *_stacked(rows, [heads, *cells], widths)]
    said = [[f"{row['way']} {row['src']} → {row['dst']}".strip(), f"{row['protocol']} {row['info']}"] for row in rows]
    wide = min(room, max([len(ends) for ends, _ in said] + [_LEAST]))
    numbers = [["", "no.  time"[: left - 2]], *([f"{row['n']:>3}  {row['time']}"] for row in rows)]
    words = [["", "packet"], *([part for one in some for part in wrap(one, wide)] for some in said)]
    lines = []
    for number, some, pair in zip(numbers, words, [heads, *cells], strict=True):
        table = [_line(pair, widths, at) for at in (0, 1)]
        for label, word, row in zip_longest(number, some, table, fillvalue=""):
            lines.append(f"{label:<{left}}{word:<{wide}}  {row}".rstrip())
    return [*legend, *filter(None, lines)]


def _stacked(rows: Sequence[dict[str, Any]], grid: Sequence[Sequence[Pair]], widths: Sequence[int]) -> Iterator[str]:
    """Yield each packet's words above its cells, for more points than fit beside them."""
    heads, *cells = grid
    yield "     " + _line(heads, widths, 0).rstrip()
    for row, pair in zip(rows, cells, strict=True):
        words = f"{row['way']} {row['src']} → {row['dst']}  {row['protocol']} {row['info']}".strip()
        yield from wrap(f"{row['n']:>3}  {row['time']}  {words}", WIDTH, subsequent_indent="     ")
        yield from (f"     {_line(pair, widths, at)}".rstrip() for at in (0, 1))


def _widths(grid: Sequence[Sequence[Pair]]) -> list[int]:
    return [max(len(part) for pair in column for part in pair) for column in zip(*grid, strict=True)]


def _size(grid: Sequence[Sequence[Pair]]) -> int:
    return sum(2 + width for width in _widths(grid))


def _line(cells: Sequence[Pair], widths: Sequence[int], at: int) -> str:
    return "  ".join(f"{cell[at]:<{width}}" for cell, width in zip(cells, widths, strict=True))


def _cell(cell: dict[str, Any] | None) -> Pair:
    """Return the two lines of a cell: bytes, in brackets where the filter does not show them, and the TTLs."""
    if cell is None:
        return "–", ""
    return str(cell["length"]) if cell["shown"] else f"({cell['length']})", cell["ttl"]
