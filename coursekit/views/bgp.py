"""One BGP run: the network, what every router holds at the end, and what happened, message by message.

All is worked out once. While a kernel runs, the browser gets the steps too (`bgp_live`) and plays them on the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from textwrap import wrap
from typing import Any

from coursekit.bgp.scenario import Scenario
from coursekit.bgp.schedule import Schedule
from coursekit.bgp.trace import MOST, trace
from coursekit.errors import CourseError
from coursekit.views.bgp_data import DRAWN, bgp_data, sample, steps_of
from coursekit.views.bgp_live import bgp_live
from coursekit.views.bgp_map import Map
from coursekit.views.twin import View, columns, count, escape, left

_SIGNS = {"best": "▶", "balanced": "▷", "lost": "·", "refused": "✕"}
_WIDTH = 100
_COLUMNS = ("prefix", "from", "next hop", "AS path", "other attributes", "decision", "kernel")


class BgpView(View):
    """A run of a scenario's steps, then of `actions` (each an action, a list of them or a Step) under a profile.

    `trace` holds the run itself. A network of more than 24 routers is run whole, but only some of it is drawn.
    """

    kind = "bgp"

    def __init__(self, scenario: Scenario, profile: str = "rfc", title: str = "", schedule: Schedule | None = None,
                 actions: Iterable[Any] = ()) -> None:  # fmt: skip
        if not isinstance(scenario, Scenario):
            raise CourseError(f"views.bgp draws a Scenario, from bgp.topologies or from bgp.scenario_file.load; "
                              f"{str(scenario)[:60]!r} was given.")  # fmt: skip
        self.scenario = scenario
        drawn = sample(scenario)
        whole = len(drawn) == len(scenario.routers) <= DRAWN
        self.trace = trace(scenario, profile, schedule, steps_of(scenario, actions), MOST if whole else 0, drawn)
        self._whole = whole
        self.data = bgp_data(scenario, self.trace, drawn, profile, title)

    def alive(self) -> Mapping[str, Any] | None:
        """Return the steps of the run, if all of it is drawn."""
        return bgp_live(self.scenario, self.trace, self.data) if self._whole else None

    def text(self) -> str:
        """Return network, outcome, tables and events as text."""
        return "\n".join(_text(self.data))

    def html(self) -> str:
        """Return picture, outcome, tables and events."""
        data = self.data
        return (
            f"<figcaption>{escape(caption(data))}</figcaption><div class=ck-still>{Map(data).html()}"
            f"{_outcome_html(data)}{''.join(map(_table_html, data['tables']))}{_events_html(data)}</div>"
        )


def caption(data: Mapping[str, Any]) -> str:
    """Return the line above a run."""
    return f"{data['title']} · computed, profile {data['profile']}"


def _text(data: Mapping[str, Any]) -> Iterator[str]:
    yield caption(data)
    rows = [(r["name"], f"AS {r['asn']}", r["address"], " ".join(_role(r))) for r in data["routers"]]
    yield from columns(rows, indent="  ")
    if data["sessions"]:
        sessions = ", ".join(f"{s['a']}–{s['b']} {s['kind']}{'' if s['up'] else ' down'}" for s in data["sessions"])
        yield from wrap(f"Sessions: {sessions}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
    for chapter in data["chapters"]:
        yield from wrap(f"{_mark(chapter)} {chapter['name']}: {chapter['says']}", _WIDTH, subsequent_indent="  ")
    for table in data["tables"]:
        yield f"{table['router']}: {table['about']}"
        yield from _rows(table["rows"])
        if table["hidden"]:
            yield f"  … {count(table['hidden'], 'row')} more"
    for event in data["events"]:
        yield from wrap(_event(event), _WIDTH, initial_indent="  ", subsequent_indent=" " * 8, break_on_hyphens=False)
    if data["hidden_events"]:
        yield f"  … {count(data['hidden_events'], 'event')} more"
    yield from (line for sentence in data["left_out"] for line in wrap(sentence, _WIDTH))


def _rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield paths in columns; what else is known of one stands beneath it."""
    listed = list(rows)
    cells = [(*row[:4], *row[5:]) for row in map(_cells, listed)]
    for row, line in zip([None, *listed], columns([(*_COLUMNS[:4], *_COLUMNS[5:]), *cells], indent="  "), strict=True):
        yield line
        if row and row["others"]:
            yield f"      {row['others']}"


def _mark(chapter: Mapping[str, Any]) -> str:
    return "✓" if chapter["converged"] else "✕"


def _role(router: Mapping[str, Any]) -> list[str]:
    blocks = router["blocks"]
    words = [f"announces {', '.join(blocks[:3])}{' …' * (len(blocks) > 3)}"] * bool(blocks)
    words += [f"reflects for {count(router['clients'], 'client')}"] * bool(router["clients"])
    return words + ([] if router["up"] else ["down"])


def _event(event: Mapping[str, Any]) -> str:
    return f"{event['time']} ms  {event['says']}"


def _outcome_html(data: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<p><span class={'ck-good' if chapter['converged'] else 'ck-bad'}>{_mark(chapter)} "
        f"{escape(chapter['name'])}:</span> {escape(chapter['says'])}</p>" for chapter in data["chapters"])  # fmt: skip
    return rows + "".join(f"<p>{escape(sentence)}</p>" for sentence in data["left_out"])


def _table_html(table: Mapping[str, Any]) -> str:
    head = "".join(f"<th scope=col>{name}" for name in _COLUMNS)
    rows = "".join(
        f"<tr class=ck-{row['verdict']}>" + "".join(f"<td>{escape(cell)}" for cell in _cells(row))
        for row in table["rows"])  # fmt: skip
    more = f"<tr><td colspan={len(_COLUMNS)}>… {count(table['hidden'], 'row')} more" if table["hidden"] else ""
    return left(
        f"<details open><summary>{escape(table['router'])}: {escape(table['about'])}</summary>"
        f"<table class=ck-held><thead><tr>{head}<tbody>{rows}{more}</table></details>"
    )


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    decision = f"{_SIGNS[row['verdict']]} {row['words']}"
    return row["prefix"], row["source"], row["hop"], row["path"], row["others"], decision, row["kernel"]


def _events_html(data: Mapping[str, Any]) -> str:
    rows = "".join(f"<li>{escape(_event(event))}" for event in data["events"])
    more = f"<li>… {count(data['hidden_events'], 'event')} more" if data["hidden_events"] else ""
    about = f"What happened: {count(data['messages'], 'message')}, one by one"
    return f"<details><summary>{about}</summary><ul class=ck-log>{rows}{more}</ul></details>"
