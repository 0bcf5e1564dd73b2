"""What the browser gets to play a BGP run: every step as the changes that it makes, each text and each table once.

A step names what changed by numbers into `held`, `attributes` and `words`. Nearly all repeats, so it is sent
compressed; the bytes of messages, as figures, apart from the rest: they are unpacked when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coursekit.bgp.scenario import Scenario
from coursekit.bgp.session import END_OF_RIB, Update
from coursekit.bgp.trace import Held, Sent, Trace
from coursekit.bgp.wire import update_bytes
from coursekit.packets.layout import dissect
from coursekit.views import bgp_words as words
from coursekit.views.packed import Numbers, packed
from coursekit.views.packet import PacketView
from coursekit.views.twin import style

_FIGURES = 120  # different messages whose bytes are drawn


def bgp_live(scenario: Scenario, run: Trace, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON-ready steps of a run whose every router is in `data`, the data of its BgpView."""
    routers = Numbers([router["name"] for router in data["routers"]])
    sessions = Numbers([session["id"] for session in data["sessions"]])
    prefixes, texts, held = Numbers(run.prefixes), Numbers(), Numbers()
    attributes, figures = Numbers(), Numbers()

    def path(given: Any) -> int:
        return attributes(given, words.attributes(given))

    def entry(given: Held) -> int:
        if given in held.known:
            return held(given)
        return held(given, [
            [[routers(c.source) if c.session else -1, path(c.attributes), c.verdict, texts(c.words), int(c.stale),
              c.path_id] for c in given.candidates],
            given.decided_by or "", texts(words.kernel(given)),
            [routers(owner) for _, owner in given.gateways if owner],
        ])  # fmt: skip

    def message(sent: Sent) -> list[Any]:
        update = sent.update
        kind = update.prefix, update.path_id, update.attributes, update.to.other.options.add_path
        figure = figures(kind, update) if kind in figures.known or len(figures.all) < _FIGURES else -1
        return [
            routers(sent.sender), routers(sent.receiver), sessions(update.to.session),
            -1 if update.prefix == END_OF_RIB else prefixes(update.prefix),
            -1 if update.attributes is None else path(update.attributes), sent.event,
            -1 if sent.arrives is None else sent.arrives, sent.time, figure,
        ]  # fmt: skip

    empty = entry(Held())
    numbers = {"sessions": sessions, "routers": routers}
    steps = [
        [event.time, event.message.number if event.message else 0, words.event(event, scenario),
         [[routers(c.router), prefixes(c.prefix), entry(c.after)] for c in event.changes],
         {kind: [[numbers[kind](name), int(up)] for name, up in getattr(event, kind).items()]
          for kind in numbers if getattr(event, kind)}]
        for event in run.events
    ]  # fmt: skip
    return {"run": packed({
        "messages": [message(sent) for sent in run.messages], "steps": steps, "empty": empty,
        "chapters": [[chapter["name"], chapter["first"], chapter["last"], chapter["says"], chapter["converged"]]
                     for chapter in data["chapters"]],
        "begins": {kind: [int(up) for name, up in run.begins[kind].items()] for kind in numbers},
        "routers": routers.all, "sessions": sessions.all, "prefixes": prefixes.all, "words": texts.all,
        "attributes": attributes.all, "held": held.all,
    }), "figures": packed([_figure(update) for update in figures.all]), "sheet": style("bgp_stage")}  # fmt: skip


def _figure(update: Update) -> str:
    return PacketView(dissect(update_bytes(update), "bgp"), "The message as it stands in the TCP stream").figure()
