"""A list of frames as Wireshark and tcpdump show them; several capture points stand side by side, one packet a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coursekit.errors import CourseError, given
from coursekit.views.frames_data import frames_data
from coursekit.views.frames_text import caption, frames_text, notes
from coursekit.views.packet import PacketView
from coursekit.views.packet_text import packet_text
from coursekit.views.twin import View, count, escape

_FOLDED = 4_000  # bytes of frames as text that are folded into a stored figure; the kernel opens the others
_BESIDE = 5  # capture points that fit beside the words on a packet; with more the words stand above
_LEFT = "text-align:left"


class FramesView(View):
    """Frames of one capture point, or packets and where they were seen.

    `source` is a recording, a capture, a journey, what a lab's ping returns, or {point: frames}; `at` one or several
    capture points or hosts, by default all that saw something. `bpf` is a filter as in tcpdump; of several points a
    packet is listed that passes it at one of them. `most` rows are drawn.
    """

    kind = "frames"
    tinted = True

    def __init__(
        self, source: Any, at: str | Iterable[str] | None = None, bpf: str = "", title: str = "", most: int = 20
    ) -> None:
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise CourseError(f"`most` is how many rows to draw, 1 or more; {given(most)} was given.")
        self.data, self.frames = frames_data(source, at, bpf, title, most)

    def text(self) -> str:
        """Return the rows as aligned text."""
        return frames_text(self.data)

    def alive(self) -> Mapping[str, Any]:
        """Return nothing: a frame is asked for when its row is opened, so that a saved notebook stays small."""
        return {}

    def answer(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the figure of the frame that was asked for by its number in `frames`."""
        place = asked.get("frame")
        if not isinstance(place, int) or not 0 <= place < len(self.frames):
            return {}
        return {"frame": place, "html": self._opened(place).figure()}

    def html(self) -> str:
        """Return one table; the first frames can be opened without a kernel too."""
        rows = self.data["rows"]
        if not rows:
            table = "<p>no frame</p>"
        elif "cells" in rows[0]:
            table = self._points_html()
        else:
            table = self._list_html()
        below = "".join(f"<small>{escape(note)}</small><br>" for note in notes(self.data))
        evidence = f"<small>{escape(self.data['evidence'])}</small>" if self.data["evidence"] else ""
        return f"<figcaption>{escape(caption(self.data))}</figcaption>{evidence}{table}{below}"

    def _opened(self, place: int) -> PacketView:
        item = self.frames[place]
        return PacketView(item.dissection, f"Frame {item.frame.number}{f' at {item.point}' if item.point else ''}")

    def _list_html(self) -> str:
        timed = any(row["time"] for row in self.data["rows"])
        keys = ["n", *(["time"] if timed else []), "src", "dst", "protocol", "length", "ttl", "info"]
        names = {"n": "no.", "src": "from", "dst": "to", "length": "bytes", "ttl": "TTL"}
        head = "".join(f"<th scope=col style={_LEFT}>{names.get(key, key)}" for key in keys)
        rows = []
        for row in self.data["rows"]:
            cells = "".join(f"<td style={_LEFT}>{escape(row[key])}" for key in keys[1:])
            wrapped = " class=ck-wrapped" if "/" in row["ttl"] else ""
            html = f"<tr{wrapped}><th scope=row data-frame={row['frame']} style={_LEFT}>{row['n']}{cells}"
            rows.append((html, [row["frame"]]))
        body = self._body(rows, len(keys))
        return f'<table class="ck-frames ck-list" aria-label=Frames><thead><tr>{head}{body}</table>'

    def _points_html(self) -> str:
        points = self.data["points"]
        timed = any(row["time"] for row in self.data["rows"])
        longest = max(cell["length"] for row in self.data["rows"] for cell in row["cells"] if cell)
        beside = len(points) <= _BESIDE
        names = [escape(name).replace(":", ":<wbr>").replace(".", "<wbr>.") for name in points]
        names = ["no.", *(["time"] if timed else []), "packet", *names] if beside else names
        head = "".join(f"<th scope=col style={_LEFT}>{name}" for name in names)
        rows = []
        for row in self.data["rows"]:
            ends = escape(f"{row['way']} {' → '.join(filter(None, (row['src'], row['dst'])))}".strip())
            words = f"<small>{escape(row['protocol'])} {escape(row['info'])}</small>"
            cells = "".join(_cell_html(cell, longest) for cell in row["cells"])
            if beside:
                time = f"<td style={_LEFT}>{row['time']}" if timed else ""
                html = f"<tr><th scope=row style={_LEFT}>{row['n']}{time}<td style={_LEFT}>{ends}<br>{words}{cells}"
            else:
                said = " ".join(filter(None, (f"{row['n']}.", row["time"], f"<b>{ends}</b>", words)))
                html = f"<tr class=ck-words><th scope=row colspan={len(points)} style={_LEFT}>{said}<tr>{cells}"
            rows.append((html, _different(row["cells"])))
        label = "Packets by capture point"
        body = self._body(rows, len(names))
        return f'<table class="ck-frames ck-points" aria-label="{label}"><thead><tr>{head}{body}</table>'

    def _body(self, rows: Sequence[tuple[str, list[int]]], width: int) -> str:
        """Return the rows; the first ones with their frames folded beneath, as text, as far as there is room for it."""
        room = _FOLDED
        drawn = []
        for html, places in rows:
            folded = ""
            for place in places:
                text = self._folded(place)
                room -= len(text.encode())
                folded += text if room >= 0 else ""
            drawn.append(html + (f"<tr class=ck-more><td colspan={width} style={_LEFT}>{folded}" if folded else ""))
        return f"<tbody>{''.join(drawn)}"

    def _folded(self, place: int) -> str:
        item = self.frames[place]
        where = f" at {item.point}" if item.point and len(self.data["points"]) > 1 else ""
        summary = f"open frame {item.frame.number}{where}, {count(len(item.frame.data), 'byte')}"
        return (
            f"<details data-frame={place}><summary data-lm-suppress-shortcuts=true>{escape(summary)}</summary>"
            f"<pre>{escape(packet_text(self._opened(place).data))}</pre></details>"
        )


def _different(cells: Iterable[dict[str, Any] | None]) -> list[int]:
    """Return the first frame of each look that a packet has on its way: its size and its TTLs."""
    looks: dict[tuple[int, str], int] = {}
    for cell in filter(None, cells):
        looks.setdefault((cell["length"], cell["ttl"]), cell["frame"])
    return list(looks.values())


def _cell_html(cell: dict[str, Any] | None, longest: int) -> str:
    """Return a cell: the frame's bytes, a bar as long as they are many, and TTLs."""
    if cell is None:
        return "<td class=ck-unseen>–"
    length = str(cell["length"]) if cell["shown"] else f"({cell['length']})"
    names = " ".join(filter(None, ("ck-wrapped" if cell["wrapped"] else "", "" if cell["shown"] else "ck-hidden")))
    under = " ".join(filter(None, (cell["ttl"], cell["wrapped"])))
    kind = f' class="{names}"' if names else ""
    bar = f"<i style=width:{100 * cell['length'] // longest}%></i>"
    return f"<td{kind} data-frame={cell['frame']}><b>{length}</b>{bar}<small>{under}</small>"
