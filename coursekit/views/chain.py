"""The look-ups that make an envelope, in order: each row as printed, and the header field that it fills."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any

from coursekit.cluster.path import Decision, Journey, Stop
from coursekit.cluster.tables import FdbEntry, Neighbour, Route
from coursekit.errors import CourseError
from coursekit.views.twin import View, escape, left

_TABLES = {"route": "ip route", "neigh": "ip neigh", "fdb": "bridge fdb", "tunnel": "ip -d link"}
_WIDTH = 100


class LookupChain(View):
    """The decisions of the host that puts a packet into its envelope, or, without a tunnel, of the first router.

    A journey brings both halves: at the tunnel device what the packet inside and the envelope are addressed to, and
    at the underlay's device how the envelope leaves. Decisions may also be given one by one.
    """

    kind = "chain"

    def __init__(self, path: Journey | Iterable[Decision], title: str = "") -> None:
        steps = list(_chosen(path) if isinstance(path, Journey) else _plain(path))
        if not steps:
            raise CourseError(
                "This journey holds no look-up in a route, neighbour or forwarding table, so there is no chain to "
                "draw; give one that a host sends or forwards."
            )
        self.data: dict[str, Any] = {"title": title, "steps": list(_steps(steps))}

    def text(self) -> str:
        """Return the look-ups one beneath the other, each with its answer and what follows from it."""
        lines = [self.data["title"]] if self.data["title"] else []
        for step in self.data["steps"]:
            place = step["place"] and f" at {step['place']}"
            question = f"{step['number']} {step['command']} · asked for {step['asked']}{place}"
            lines += wrap(question, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
            answers = [("✓" if step["row"] else "✗", step["row"] or "no row"), ("", f"because {step['why']}")]
            if step["effect"]:
                answers.append(("→", step["effect"]))
            for sign, words in answers:
                lines += wrap(f"  {sign:1} {words}", _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        return "\n".join(lines)

    def html(self) -> str:
        """Return the look-ups as rows of a table."""
        caption = f"<figcaption>{escape(self.data['title'])}</figcaption>" if self.data["title"] else ""
        head = "".join(f"<th scope=col>{name}" for name in ("look-up", "the row that answers", "what follows"))
        rows = ""
        for step in self.data["steps"]:
            row = f"<code>{escape(step['row'])}</code>" if step["row"] else "<span class=ck-bad>✗ no row</span>"
            effect = f"<b>→ {escape(step['effect'])}</b>" if step["effect"] else ""
            rows += (
                f"<tr><th scope=row><b>{step['number']} {escape(step['command'])}</b> {escape(step['asked'])}"
                f"<br><small>{escape(step['place'])}</small><td>{row}<br><small>{escape(step['why'])}</small><td>{effect}"
            )
        return left(f"{caption}<table class=ck-steps><thead><tr>{head}<tbody>{rows}</table>")


Step = tuple[str, str, Decision]  # the capture point, which envelope ("inner", "outer" or ""), the look-up


def _plain(decisions: Iterable[Decision]) -> Iterator[Step]:
    for decision in decisions if isinstance(decisions, Iterable) else [decisions]:
        if not isinstance(decision, Decision):
            raise CourseError(
                "A chain of look-ups is drawn from a journey or from its decisions; it was given "
                f"{type(decision).__name__}. `ping(network, source, target)` returns a journey."
            )
        yield "", "", decision


def _chosen(journey: Journey) -> Iterator[Step]:
    """Yield the look-ups of the stop that makes the envelope, and of the stop after it, which sends it."""
    stops = journey.stops
    at = next((i for i, stop in enumerate(stops) if stop.action == "encapsulates"), None)
    if at is not None:
        yield from _told(stops[at], "inner")
        after = next((stop for stop in stops[at + 1 :] if stop.host == stops[at].host and any(_told(stop, ""))), None)
        if after:
            yield from _told(after, "outer")
        return
    senders = [stop for stop in stops if any(decision.table == "route" for _, _, decision in _told(stop, ""))]
    forwarders = [stop for stop in senders if stop.host != stops[0].host]
    for stop in (forwarders or senders)[:1]:
        yield from _told(stop, "")


def _told(stop: Stop, which: str) -> Iterator[Step]:
    return ((stop.point, which, decision) for decision in stop.decisions if decision.table in _TABLES)


def _steps(chosen: Iterable[Step]) -> Iterator[dict[str, Any]]:
    gateway = ""  # of the last route: a tunnel without a table of its own sends to it
    for number, (place, which, decision) in enumerate(chosen, 1):
        row = decision.row
        if isinstance(row, Route):
            gateway = str((row.nexthops or (row,))[0].via or decision.asked)
        yield {
            "number": number, "place": place, "command": _TABLES.get(decision.table, decision.table),
            "asked": decision.asked, "row": "" if row is None else str(row), "why": decision.why,
            "effect": _effect(which, decision, gateway),
        }  # fmt: skip


def _effect(which: str, decision: Decision, gateway: str) -> str:
    """Return the header field that the look-up sets and its value, or what a route asks for next."""
    row = decision.row
    if row is None:
        return "nothing: the packet goes no further" if not decision.sets else f"{decision.sets} stays unknown"
    if isinstance(row, Route):
        device = (row.nexthops or (row,))[0].dev
        return f"next hop {gateway} on {device}" if device else ""
    if not decision.sets:
        return ""
    value = row.lladdr if isinstance(row, Neighbour) else row.dst if isinstance(row, FdbEntry) else gateway
    envelope = "outer" if which and decision.sets.startswith("ip") else which  # "ip.dst", "ipv6.dst"
    return f"sets {envelope + ' ' if envelope else ''}{decision.sets} = {value}" if value else ""
