"""What the browser gets to step through a stage: each stop as changes in the twin's own picture, each part once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coursekit.packets.fields import Dissection
from coursekit.views.chapters import names
from coursekit.views.journey_data import dissection_of
from coursekit.views.packed import Numbers, packed
from coursekit.views.packet_data import field_place, field_value, packet_data
from coursekit.views.stage_rows import rows_html, status_html
from coursekit.views.twin import count, escape, style

if TYPE_CHECKING:
    from coursekit.views.stage import Stage


def stage_live(stage: Stage) -> dict[str, Any]:
    """Return the trips with their steps and stops; a stop names its drawings by numbers into `pieces`."""
    scene, pieces, frames = stage.scene(), Numbers(), Numbers()
    journeys = [stage.journey, *(r for r in (stage.journey.reply, *stage.journey.others) if r is not None and r.stops)]
    trips = []
    for number, (stops, journey) in enumerate(zip(stage.trips, journeys, strict=True)):
        name, word, end = _outcome(stage.data, number)
        called = names(stops, [stop["chapter"] for stop in stops])
        steps = []
        for place, stop in enumerate(stops):
            frame = journey.stops[stop["n"] - 1].frame
            wires, passed = scene.gone(number, place)
            x, y = scene.token_place(stop)
            steps.append({
                "chapter": stop["chapter"], "n": stop["n"], "here": scene.keys.index((stop["host"], stop["device"])),
                "wires": wires, "passed": passed, "x": x, "y": y, "token": pieces(scene.token(stop)),
                "sheet": pieces(scene.sheet(number, place)), "rows": pieces(rows_html(stop)),
                "status": pieces(status_html(stops, place, len(journey.stops),
                                             end if place == len(stops) - 1 else "")),
                "frame": frames(frame, _fields(dissection_of(frame))) if frame else -1,
            })  # fmt: skip
        trips.append({"name": name, "names": called, "steps": steps, "mark": scene.end_mark(number, word)})
    run = {"trips": trips, "pieces": pieces.all, "frames": frames.all}
    return {"run": packed(run), "sheet": style("palette") + style("journey_stage")}


def _outcome(data: dict[str, Any], number: int) -> tuple[str, str, str]:
    """Return what a trip is called, the word for its end, and the sentence as HTML; the packet's own is number 0."""
    outcome, knows = data["outcome"], ""
    if number:
        reply = [reply for reply in data["replies"] if reply["stops"]][number - 1]
        name = "Answer" if outcome["kind"] == "delivered" and number == 1 else "Error"
        word, sentence = "arrives" if reply["kind"] == "delivered" else "lost", f"{reply['title']}."
    else:
        name, word, sentence = "Request", outcome["word"], outcome["sentence"]
        knows = f" <b>{escape(data['knows']['sentence'])}</b>" if data["knows"]["sentence"] else ""
    mark, kind = ("✓", "ck-good") if word in ("delivered", "arrives") else ("✕", "ck-bad")
    return name, word, f"<span class={kind}>{mark} {escape(sentence)}</span>{knows}"


def _fields(dissection: Dissection) -> dict[str, str]:
    """Return each header's fields as a table, by the key of its box."""
    seen: dict[str, int] = {}
    found = {}
    for layer in packet_data(dissection, "")["layers"]:
        seen[layer["key"]] = seen.get(layer["key"], 0) + 1
        rows = "".join(
            f"<tr><th scope=row style=text-align:left>{escape(field['name'])}<td style=text-align:left>"
            f"<code>{escape(field_value(field)[:80])}</code><td style=text-align:left>{field_place(field)}"
            f"<td style=text-align:left>{escape(field['meaning'])}"
            for field in layer["fields"]
        )
        head = "".join(f"<th scope=col style=text-align:left>{name}" for name in ("field", "value", "byte", "meaning"))
        title = f"{layer['name']}, {count(layer['bytes'], 'byte')}"
        found[f"{layer['key']}#{seen[layer['key']]}"] = (
            f'<table class=ck-opened aria-label="{escape(title)}"><caption>{escape(title)}</caption>'
            f"<thead><tr>{head}<tbody>{rows}</table>"
        )
    return found
