"""The text twin of a journey: every stop with its rows and its frame, how it ended, and what came back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coursekit.views.journey_data import frame_text, gaps
from coursekit.views.twin import count


def caption(data: dict[str, Any]) -> str:
    """Return the line above a journey."""
    word = data["outcome"]["word"]
    return f"{data['title']} · {'✓' if word == 'delivered' else '✕'} {word} after {count(data['total'], 'stop')}"


def journey_text(data: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a journey: caption, stops, outcome, replies."""
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
