"""A packet's journey: a map, every stop with the rows that decided, how it ended, and what came back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coursekit.cluster.path import Journey
from coursekit.views.frames import dissected
from coursekit.views.journey_data import DELIVERED, frame_text, gaps, journey_data
from coursekit.views.journey_map import Map, caption
from coursekit.views.packet import PacketView
from coursekit.views.twin import View, count, depth_colour, escape, left


class JourneyView(View):
    """A journey through hosts and devices. `title` stands above it; without one, who sends to whom."""

    kind = "journey"

    def __init__(self, journey: Journey, title: str = "") -> None:
        self.journey = getattr(journey, "journey", journey)  # a lab's ping brings the way of its first request
        self.data = journey_data(self.journey, title)

    def alive(self) -> Mapping[str, Any]:
        """Return the frame of each stop as a figure; stops with the same frame share one."""
        frames = [self.journey.stops[stop["n"] - 1].frame or b"" for stop in self.data["stops"]]
        different = list(dict.fromkeys(filter(None, frames)))
        return {
            "figures": [PacketView(dissected(frame)).figure() for frame in different],
            "at": [different.index(frame) if frame else -1 for frame in frames],
        }

    def text(self) -> str:
        """Return the stops as text, one block each."""
        return "\n".join(_text(self.data))

    def html(self) -> str:
        """Return map, outcome, stops and replies."""
        drawn = Map(self.data)
        outcome = self.data["outcome"]
        good = "ck-good" if outcome["word"] == DELIVERED else "ck-bad"
        mark = "✓" if good == "ck-good" else "✕"
        replies = "".join(_reply_html(reply) for reply in self.data["replies"])
        return (
            f"<figcaption>{escape(caption(self.data))}</figcaption><div class=ck-map>{drawn.html()}</div>"
            f"<p class=ck-end><span class={good}>{mark} {escape(outcome['sentence'])}</span><br>"
            f"The sender sees: <code>{escape(outcome['sees'])}</code></p>{_stops_html(self.data, drawn)}{replies}"
        )


def _text(data: dict[str, Any]) -> Iterator[str]:
    yield caption(data)
    for hidden, stop in gaps(data["stops"], data["total"]):
        if hidden:
            yield f" … {count(hidden, 'stop')} not drawn"
        if stop is None:
            continue
        yield f"{stop['n']:>2}  {stop['host']}:{stop['device']}  {stop['action']}: {stop['note']}"
        for decision in stop["decisions"]:
            yield f"      {decision['table']} {decision['asked']}: {decision['row']}"
            if decision["why"]:
                yield f"        ({decision['why']})"
        if line := frame_text(stop):
            yield f"      {line}"
    yield data["outcome"]["sentence"]
    yield f"The sender sees: {data['outcome']['sees']}"
    for reply in data["replies"]:
        yield reply["title"]
        for hidden, stop in gaps(reply["stops"], reply["total"]):
            if hidden:
                yield f" … {count(hidden, 'stop')} not drawn"
            if stop:
                yield f"{stop['n']:>2}  {stop['host']}:{stop['device']}  {stop['note']}"
                if stop["headers"] and not stop["same"]:
                    yield f"      {frame_text(stop)}"


def _stops_html(data: dict[str, Any], drawn: Map) -> str:
    rows = []
    for hidden, stop in gaps(data["stops"], data["total"]):
        if hidden:
            rows.append(f"<tr><td>…<td colspan=2>{count(hidden, 'stop')} not drawn: the packet goes round in circles")
        if stop is None:
            continue
        why = "".join(
            f"<div><b>{escape(d['table'])}</b> {escape(d['asked'])}: <code>{escape(d['row'])}</code>"
            f"{_small(d['why'])}</div>"
            for d in stop["decisions"]
        )
        rows.append(
            f'<tr class=ck-stop data-at="{drawn.percent(stop)}"><td>{stop["n"]}<th scope=row style=text-align:left>'
            f"{escape(stop['host'])}:<wbr>{escape(stop['device'])}<td style=text-align:left>"
            f"{escape(stop['note'])}<div class=ck-why>{why}{_frame_html(stop)}</div>"
        )
    if not rows:
        return ""
    names = ("stop", "where", "what happens, the row that decides, the frame")
    head = left("<thead><tr>" + "".join(f"<th scope=col>{name}" for name in names))
    return f'<table class=ck-stops aria-label="Stops of the journey">{head}<tbody>{"".join(rows)}</table>'


def _frame_html(stop: dict[str, Any]) -> str:
    """Return the headers as boxes, one in the other; brackets say the same without a style sheet."""
    if stop["same"] or not stop["headers"]:
        line = frame_text(stop)
        return f"<div class=ck-frame><small>{line}</small></div>" if line else ""
    parts: list[str] = []
    depth = 0
    for header in stop["headers"]:
        parts.append(" · " if parts else "")
        while depth < header["depth"]:
            depth += 1
            parts.append(f'<span class=ck-in style="display:inline-block;border:2px solid {depth_colour(depth)}">[')
        parts.append(f"<span>{escape(header['text'])}</span>")
    inner = "".join(parts) + "]</span>" * depth
    outer = f'<span class=ck-in style="display:inline-block;border:2px solid {depth_colour(0)}">{inner}</span>'
    return f"<div class=ck-frame><span>{count(stop['size'], 'byte')}:</span> {outer}</div>"


def _small(text: str) -> str:
    return f" <small>{escape(text)}</small>" if text else ""


def _reply_html(reply: dict[str, Any]) -> str:
    rows = []
    for hidden, stop in gaps(reply["stops"], reply["total"]):
        if hidden:
            rows.append(f"<tr><td>…<td colspan=2>{count(hidden, 'stop')} not drawn")
        if stop:
            frame = "" if stop["same"] else f"<br><small>{escape(frame_text(stop))}</small>"
            rows.append(
                f"<tr><td>{stop['n']}<th scope=row style=text-align:left>{escape(stop['host'])}:<wbr>"
                f"{escape(stop['device'])}<td style=text-align:left>{escape(stop['note'])}{frame}"
            )
    return (
        f"<details><summary>{escape(reply['title'])}</summary>"
        f'<table class=ck-stops aria-label="Stops of what comes back"><tbody>{"".join(rows)}</table></details>'
    )
