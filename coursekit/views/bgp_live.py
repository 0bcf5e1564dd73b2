"""What the browser gets to play a BGP run: every step as the changes that it makes, each text and each table once.

A step names what changed by numbers into `held`, `attributes` and `words`. Nearly all repeats, so it is sent
compressed; the bytes of messages, as figures, apart from the rest: they are unpacked when somebody asks for them.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Hashable, Mapping, Sequence
from json import dumps, loads
from typing import Any
from zlib import compress, decompress

from coursekit.bgp.scenario import Scenario
from coursekit.bgp.session import END_OF_RIB, Update
from coursekit.bgp.trace import Held, Sent, Trace
from coursekit.bgp.wire import update_bytes
from coursekit.packets.layout import dissect
from coursekit.views import bgp_words as words
from coursekit.views.packet import PacketView
from coursekit.views.twin import style

_FIGURES = 120  # different messages whose bytes are drawn


class _Numbers:
    """Gives equal things one number; `all` are the things in the order of their numbers."""

    def __init__(self, first: Sequence[Any] = ()) -> None:
        self.all: list[Any] = []
        self.known: dict[Hashable, int] = {}
        for thing in first:
            self(thing)

    def __call__(self, key: Hashable, thing: Any = None) -> int:
        if key not in self.known:
            self.known[key] = len(self.all)
            self.all.append(key if thing is None else thing)
        return self.known[key]


def bgp_live(scenario: Scenario, run: Trace, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON-ready steps of a run whose every router is in `data`, the data of its BgpView."""
    routers = _Numbers([router["name"] for router in data["routers"]])
    sessions = _Numbers([session["id"] for session in data["sessions"]])
    prefixes, texts, held = _Numbers(run.prefixes), _Numbers(), _Numbers()
    attributes, figures = _Numbers(), _Numbers()

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
    return {"run": _packed({
        "messages": [message(sent) for sent in run.messages], "steps": steps, "empty": empty,
        "chapters": [[chapter["name"], chapter["first"], chapter["last"], chapter["says"], chapter["converged"]]
                     for chapter in data["chapters"]],
        "begins": {kind: [int(up) for name, up in run.begins[kind].items()] for kind in numbers},
        "routers": routers.all, "sessions": sessions.all, "prefixes": prefixes.all, "words": texts.all,
        "attributes": attributes.all, "held": held.all,
    }), "figures": _packed([_figure(update) for update in figures.all]), "sheet": style("bgp_stage")}  # fmt: skip


def _figure(update: Update) -> str:
    return PacketView(dissect(update_bytes(update), "bgp"), "The message as it stands in the TCP stream").figure()


def _packed(given: Any) -> str:
    return b64encode(compress(dumps(given, separators=(",", ":")).encode(), 9)).decode()


def unpacked(packed: str) -> Any:
    """Return what `run` or `figures` hold, as the browser reads it."""
    return loads(decompress(b64decode(packed)))
