"""The stage: the cluster, the packet in it as an envelope that grows and shrinks, and the row that decides each stop.

Stored is one telling stop as a picture, with its rows, and the list of all stops, closed. While a kernel runs, the
browser shows one stop at a time from the first (stage_live.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coursekit.cluster.path import Journey
from coursekit.errors import NotThereError, few, given
from coursekit.views.chapters import CARRIES, WRAPS, names
from coursekit.views.journey_data import frame_text, gaps, journey_data
from coursekit.views.journey_text import caption, journey_text
from coursekit.views.scene import Scene
from coursekit.views.scene_layout import WIDTH
from coursekit.views.stage_rows import rows_html, status_html
from coursekit.views.twin import View, count, escape, left, picture


class Stage(View):
    """A journey through hosts and devices. `title` stands above it; without one, who sends to whom."""

    kind = "journey"

    def __init__(self, journey: Journey, title: str = "", at: int | None = None) -> None:
        self.journey = getattr(journey, "journey", journey)  # a lab's ping brings the way of its first request
        self.data = journey_data(self.journey, title)
        numbers = [stop["n"] for stop in self.data["stops"]]
        if at is not None and at not in numbers:
            raise NotThereError(f"This journey has no stop {given(at)}; its stops are {few(numbers, 20)}.")
        self.still = numbers.index(at) if at is not None else telling(self.data["stops"], self.data["outcome"]["kind"])
        self.trips = [self.data["stops"], *(reply["stops"] for reply in self.data["replies"] if reply["stops"])]

    def alive(self) -> Mapping[str, Any] | None:
        """Return what changes in the picture at each stop, and the fields of each header."""
        from coursekit.views.stage_live import stage_live

        return stage_live(self) if self.data["stops"] else {}

    def text(self) -> str:
        """Return the stops as text, one block each."""
        return "\n".join(journey_text(self.data))

    def html(self) -> str:
        """Return the picture of the most telling stop with its rows, how it ended, and the list of all stops."""
        data = self.data
        outcome = data["outcome"]
        good = outcome["word"] == "delivered"
        knows = f" <b>{escape(data['knows']['sentence'])}</b>" if data["knows"]["sentence"] else ""
        return (
            f"<figcaption>{escape(caption(data))}</figcaption>{self._now()}"
            f"<p class=ck-end><span class={'ck-good' if good else 'ck-bad'}>{'✓' if good else '✕'} "
            f"{escape(outcome['sentence'])}</span>{knows} The sender sees: <code>{escape(outcome['sees'])}</code></p>"
            f"{self._all()}{''.join(_reply_html(reply) for reply in data['replies'])}"
        )

    def rules(self) -> str:
        """Return how wide the drawing is at least: letters never get smaller than they are written."""
        wide = self.scene().layout.width if self.data["stops"] else 0
        return f".ck-key-{self.key} .ck-scene :is(img,svg){{min-width:{wide:g}px!important}}" if wide > WIDTH else ""

    def _now(self) -> str:
        """Return the picture, the sentence and the rows of the most telling stop; nothing if there was no stop."""
        stops = self.data["stops"]
        if not stops:
            return ""
        place = self.still
        scene = self.scene()
        image = picture(scene.svg(0, place, self.data["outcome"]["word"]), self.alt(place), round(scene.layout.width))
        return (f"<div class=ck-scene>{image}</div><p class=ck-said>{status_html(stops, place, self.data['total'])}</p>"
                f"<div class=ck-rows>{rows_html(stops[place])}</div>")  # fmt: skip

    def scene(self) -> Scene:
        """Return the drawing of this journey and of what comes back."""
        return Scene(self.trips, self.data["addresses"])

    def alt(self, place: int) -> str:
        """Return the picture in words."""
        stops = self.data["stops"]
        path = ", ".join(f"{stop['n']} {stop['host']}:{stop['device']}" for stop in stops)
        wrapped = [f"{stop['n']}" for stop in stops if stop["envelope"]]
        inside = f" In an envelope at stops {', '.join(wrapped)}." if wrapped else ""
        size = f" Drawn: stop {stops[place]['n']}, {count(stops[place]['size'], 'byte')}."
        return f"Map of the journey: {path}.{inside}{size} End: {self.data['outcome']['word']}."

    def _all(self) -> str:
        """Return the list of all stops, closed, with the rows that decided and each frame."""
        data = self.data
        called = names(data["stops"], [stop["chapter"] for stop in data["stops"]])
        rows = []
        chapter = 0
        for hidden, stop in gaps(data["stops"], data["total"]):
            if hidden:
                circles = f"{count(hidden, 'stop')} not drawn: the packet goes round in circles"
                rows.append(f"<tr><td>…<td colspan=2>{circles}")
            if stop is None:
                continue
            if stop["chapter"] != chapter:
                chapter = stop["chapter"]
                name = f"{chapter} {escape(called[chapter])}"
                rows.append(f"<tr class=ck-step><td><th colspan=2 style=text-align:left>{name}")
            rows.append(_stop_html(stop))
        if not rows:
            return ""
        titles = ("stop", "where", "what happens, the row that decides, the frame")
        head = left("<thead><tr>" + "".join(f"<th scope=col>{name}" for name in titles))
        return (
            f"<details class=ck-all><summary>All {count(data['total'], 'stop')}</summary>"
            f'<table class=ck-stops aria-label="Stops of the journey">{head}<tbody>{"".join(rows)}</table></details>'
        )


def telling(stops: Sequence[dict[str, Any]], kind: str) -> int:
    """Return the place of the stop that shows most: where the envelope is put on, or where the packet died."""
    if kind != "delivered":
        return len(stops) - 1
    wraps = [i for i, stop in enumerate(stops) if stop["chapter"] == WRAPS]
    carried = [i for i, stop in enumerate(stops) if stop["chapter"] == CARRIES]
    routed = [i for i, stop in enumerate(stops) if stop["action"] == "forwards"]
    return (wraps or routed or carried or [len(stops) - 1])[0]


def _stop_html(stop: dict[str, Any]) -> str:
    why = "".join(
        f"<div><b>{escape(d['table'])}</b> {escape(d['asked'])}: <code>{escape(d['row'])}</code>"
        + (f" <small>{escape(d['why'])}</small>" if d["why"] else "")
        + "</div>"
        for d in stop["decisions"]
    )
    line = frame_text(stop)
    frame = f"<div><small>{escape(line)}</small></div>" if line else ""
    return (f"<tr class=ck-stop><td>{stop['n']}<th scope=row style=text-align:left>{escape(stop['host'])}:<wbr>"
            f"{escape(stop['device'])}<td style=text-align:left>{escape(stop['note'])}{why}{frame}")  # fmt: skip


def _reply_html(reply: dict[str, Any]) -> str:
    rows = []
    for hidden, stop in gaps(reply["stops"], reply["total"]):
        if hidden:
            rows.append(f"<tr><td>…<td colspan=2>{count(hidden, 'stop')} not drawn")
        if stop:
            rows.append(
                f"<tr><td>{stop['n']}<th scope=row style=text-align:left>{escape(stop['host'])}:"
                f"{escape(stop['device'])}<td style=text-align:left>{escape(stop['note'])}"
            )
    return (
        f"<details><summary>{escape(reply['title'])}</summary>"
        f'<table class=ck-stops aria-label="Stops of the reply"><tbody>{"".join(rows)}</table></details>'
    )
