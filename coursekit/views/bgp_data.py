"""What is drawn of a BGP run, as plain data: who talks to whom, how each step ended, the tables at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from coursekit.bgp.scenario import Scenario, Step, check_actions
from coursekit.bgp.trace import Held, Trace
from coursekit.errors import CourseError
from coursekit.views import bgp_words as words
from coursekit.views.twin import count

DRAWN = 24  # routers; of a larger network some are drawn, and messages are not
_ROWS, _PER_ROUTER, _EVENTS = 60, 12, 24  # what is stored: rows in all, rows of a router, events
_SAMPLE = 6  # routers of a larger network whose tables are shown


def steps_of(scenario: Scenario, actions: Iterable[Any]) -> list[Step]:
    """Return the scenario's steps, and one more for each of `actions`: an action, a list of them, or a Step."""
    more = []
    for given in actions if isinstance(actions, Iterable) else [actions]:
        if isinstance(given, Step):
            more.append(given)
            continue
        several = [given] if isinstance(given, Mapping) else given
        if not isinstance(several, Sequence) or isinstance(several, str) or not all(
                isinstance(action, Mapping) and "op" in action for action in several):  # fmt: skip
            raise CourseError(
                "`actions` are what happens after the scenario's own steps, each an action such as "
                f"{{'op': 'router_down', 'router': '{scenario.routers[0].name}'}} or a list of them; "
                f"{str(given)[:60]} was given.")  # fmt: skip
        check_actions(scenario, several)
        more.append(Step(", ".join(map(words.action, several)) or "nothing happens", tuple(several)))
    return [*scenario.steps, *more]


def sample(scenario: Scenario) -> list[str]:
    """Return the routers that are drawn: all, or of a larger network those that differ most in what they do."""
    if len(scenario.routers) <= DRAWN:
        return [router.name for router in scenario.routers]
    kinds: dict[object, list[str]] = {}
    busy = _sessions_of(scenario)
    announcing = {origination.router for origination in scenario.originate}
    for router in scenario.routers:
        kinds.setdefault((router.name in announcing, len(busy[router.name])), []).append(router.name)
    chosen: list[str] = []
    while len(chosen) < _SAMPLE:  # the first of each kind, the second of each kind, and so on
        chosen += [names.pop(0) for names in kinds.values() if names]
    kept = set(chosen[:_SAMPLE])
    return [router.name for router in scenario.routers if router.name in kept]


def _sessions_of(scenario: Scenario) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {router.name: [] for router in scenario.routers}
    for session in scenario.sessions:
        found[session.a].append(session.id)
        found[session.b].append(session.id)
    return found


def bgp_data(scenario: Scenario, run: Trace, drawn: Sequence[str], profile: str, title: str) -> dict[str, Any]:
    """Return the JSON-ready data of a BgpView; `drawn` are the routers that it shows."""
    routers = [_router(scenario, run, name) for name in drawn]
    sessions = [_session(scenario, run, place) for place, session in enumerate(scenario.sessions)
                if session.a in drawn and session.b in drawn]  # fmt: skip
    says = [words.event(event, scenario) for event in run.events]
    tables = [_table(run, name) for name in sorted(drawn, key=lambda name: _rank(routers, name))]
    hidden = _cut(tables, _PER_ROUTER if len(drawn) == len(scenario.routers) else _PER_ROUTER // 2)
    left_out = [hidden] if hidden else []
    if len(drawn) < len(scenario.routers):
        left_out.insert(0, f"{len(drawn)} of {len(scenario.routers)} routers are drawn, and no single message: "
                           f"a picture of {len(scenario.sessions):,} sessions would show nothing.")  # fmt: skip
    return {
        "title": title or scenario.title or scenario.id, "profile": profile,
        "routers": routers, "sessions": sessions, "lan": _lan(scenario),
        "chapters": _chapters(scenario, run),
        "tables": [table for table in tables if table["rows"]],
        "events": [{"time": event.time, "says": say, "number": event.message.number if event.message else None}
                   for event, say in zip(run.events[:_EVENTS], says, strict=False)],
        "messages": len(run.messages), "hidden_events": max(0, len(says) - _EVENTS),
        "run": sha256("\n".join(says).encode()).hexdigest()[:8],
        "left_out": left_out,
    }  # fmt: skip


def _router(scenario: Scenario, run: Trace, name: str) -> dict[str, Any]:
    router = next(router for router in scenario.routers if router.name == name)
    own = [origination.prefix for origination in scenario.originate if origination.router == name]
    ends = [(session, session.a == name) for session in scenario.sessions if name in (session.a, session.b)]
    clients = sum((s.a_opts if first else s.b_opts).rr_client for s, first in ends)
    addresses = [subnet.members[name] for subnet in scenario.subnets if name in subnet.members]
    return {
        "name": name, "asn": router.asn, "id": router.router_id, "blocks": own, "clients": clients,
        "address": addresses[0] if len(addresses) == 1 else router.router_id,
        "up": run.simulation.speakers[name].up,
    }  # fmt: skip


def _session(scenario: Scenario, run: Trace, place: int) -> dict[str, Any]:
    session = scenario.sessions[place]
    asn = {router.name: router.asn for router in scenario.routers}
    a, b = run.simulation.sessions[session.id]
    return {
        "id": session.id, "a": session.a, "b": session.b,
        "kind": "iBGP" if asn[session.a] == asn[session.b] else "eBGP",
        "client": (session.b if session.a_opts.rr_client else session.a if session.b_opts.rr_client else ""),
        "up": a.up or b.up,  # as the trace has it
    }  # fmt: skip


def _lan(scenario: Scenario) -> str:
    """Return the one subnet that all routers are on, if there is one."""
    everybody = {router.name for router in scenario.routers}
    return next((str(s.network) for s in scenario.subnets if s.lan and set(s.members) == everybody), "")


def _chapters(scenario: Scenario, run: Trace) -> list[dict[str, Any]]:
    ends = [chapter.first for chapter in run.chapters[1:]] + [len(run.events)]
    return [
        {
            "name": chapter.name, "first": chapter.first, "last": end - 1, "converged": chapter.run.converged,
            "updates": sum(event.updates for event in run.events[chapter.first : end]),
            "says": words.ending(chapter, sum(event.updates for event in run.events[chapter.first : end]),
                                 len(scenario.sessions)),
        }
        for chapter, end in zip(run.chapters, ends, strict=True)
    ]  # fmt: skip


def _rank(routers: Sequence[Mapping[str, Any]], name: str) -> int:
    """Return the place of a router's table: first one of each kind, then the others."""
    kinds = [(bool(router["blocks"]), bool(router["clients"])) for router in routers]
    place = next(i for i, router in enumerate(routers) if router["name"] == name)
    return place if kinds[place] in kinds[:place] else place - len(routers)


def _table(run: Trace, name: str) -> dict[str, Any]:
    """Return what a router holds at the end: a row for each path, the best one with the kernel's route."""
    rows = []
    for prefix in run.prefixes:
        found = run.final.get((name, prefix), Held())
        rows += [{
            "prefix": prefix, "source": candidate.source, "hop": candidate.attributes.next_hop or "–",
            "path": dict(words.attributes(candidate.attributes))["AS_PATH"],
            "others": words.others(candidate.attributes),
            "verdict": candidate.verdict, "words": candidate.words + (" (stale)" if candidate.stale else ""),
            "kernel": words.kernel(found) if candidate.verdict == "best" else "",
        } for candidate in found.candidates]  # fmt: skip
    known = sum(1 for row in rows if row["verdict"] == "best")
    up = run.simulation.speakers[name].up
    about = f"{count(known, 'route')} to {count(len(run.prefixes), 'prefix')}" if up else "down"
    return {"router": name, "about": about.replace("prefixs", "prefixes"), "rows": rows, "hidden": 0}


def _cut(tables: Sequence[dict[str, Any]], most: int) -> str:
    """Cut tables to what is stored; return a sentence about what was left out."""
    left, cut = _ROWS, []
    for table in tables:
        keep = min(len(table["rows"]), most, left)
        left -= keep
        table["hidden"] = len(table["rows"]) - keep
        if table["hidden"]:
            cut.append(table["router"])
        table["rows"] = table["rows"][:keep]
    return f"Not all rows are stored: {words.listed(cut, 'other router')} hold more." if cut else ""
