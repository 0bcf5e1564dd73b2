"""What the browser gets of a BGP run: changes that add up to the tables of the simulator at every step."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from coursekit import views
from coursekit.bgp import topologies
from coursekit.bgp.scenario import Scenario
from coursekit.bgp.schedule import Shuffled
from coursekit.bgp.trace import trace
from coursekit.bgp.wire import update_bytes
from coursekit.views import bgp_words as words
from coursekit.views.bgp import BgpView
from coursekit.views.packed import unpacked
from tests.views.markup import read
from tests.views.test_bgp import CASES

FAILURES = [{"op": "router_down", "router": "n2"}, {"op": "router_up", "router": "n2"}]
BUILT = [
    topologies.full_mesh(4), topologies.route_reflectors(3), topologies.in_cluster_reflectors(4, 2),
    topologies.tor(3, "shared", lan=True, mesh=True), topologies.tor(3, "shared-allowas-in"),
    topologies.leaf_spine(3, 2), topologies.as_per_rack(2, 2),
]  # fmt: skip
VIEWS = {scenario.id: views.bgp(scenario, actions=FAILURES) for scenario in BUILT}
VIEWS |= {scenario.id: views.bgp(scenario) for scenario in CASES}
VIEWS["shuffled"] = views.bgp(topologies.full_mesh(4), schedule=Shuffled(3), actions=FAILURES)
each = pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))


def sent(view: BgpView) -> dict[str, Any]:
    """Return what goes to the browser, read as it reads it."""
    alive = view.alive()
    assert alive is not None
    return {**alive, "run": unpacked(alive["run"]), "figures": unpacked(alive["figures"])}


def after(run: dict[str, Any], step: int) -> dict[tuple[str, str], list[Any]]:
    """Return what routers hold after a number of steps, by adding up the changes as the browser does."""
    found = {}
    for _, _, _, changes, _ in run["steps"][:step]:
        for router, prefix, held in changes:
            found[run["routers"][router], run["prefixes"][prefix]] = run["held"][held]
    return found


@each
def test_the_changes_add_up(view: BgpView) -> None:
    """At the end every router holds what the simulator holds: candidates, verdicts in words, and the kernel's route."""
    run = sent(view)["run"]
    told = after(run, len(run["steps"]))
    assert told.keys() == view.trace.final.keys()
    for place, held in view.trace.final.items():
        candidates, decided, kernel, hops = told[place]
        assert decided == (held.decided_by or "")
        assert run["words"][kernel] == words.kernel(held)
        assert [run["routers"][hop] for hop in hops] == [owner for _, owner in held.gateways if owner]
        assert [(run["routers"][source] if source >= 0 else "local", verdict, run["words"][why], stale, number)
                for source, _, verdict, why, stale, number in candidates] == [
            (c.source if c.session else "local", c.verdict, c.words, c.stale, c.path_id)
            for c in held.candidates]  # fmt: skip
        for given, candidate in zip(candidates, held.candidates, strict=True):
            assert [tuple(pair) for pair in run["attributes"][given[1]]] == words.attributes(candidate.attributes)


@pytest.mark.parametrize("scenario", BUILT[:4], ids=lambda s: s.id)
def test_any_step_is_the_run_cut_there(scenario: Scenario) -> None:
    """The state after k steps is what the simulator itself holds when it is stopped after k events."""
    run = sent(views.bgp(scenario))["run"]
    for step in range(1, len(run["steps"]) + 1):
        cut = trace(scenario, most=step).events[:step]
        held = {(c.router, c.prefix): c.after for event in cut for c in event.changes}
        told = after(run, step)
        assert {place: run["words"][entry[2]] for place, entry in told.items()} == {
            place: words.kernel(found) for place, found in held.items()}  # fmt: skip


@each
def test_messages(view: BgpView) -> None:
    """Every message has its sender, receiver, session, prefix, attributes, and the steps of sending and arriving."""
    run = sent(view)["run"]
    assert len(run["messages"]) == len(view.trace.messages)
    for told, message in zip(run["messages"], view.trace.messages, strict=True):
        source, target, session, prefix, path, begins, arrives, time, _ = told
        assert (run["routers"][source], run["routers"][target]) == (message.sender, message.receiver)
        assert run["sessions"][session] == message.update.to.session
        assert (begins, time) == (message.event, message.time)
        assert arrives == (-1 if message.arrives is None else message.arrives)
        assert (prefix < 0) == message.end_of_rib
        if prefix >= 0:
            assert run["prefixes"][prefix] == message.update.prefix
        given = message.update.attributes
        assert (path < 0) == (given is None)
        if given is not None:
            assert [tuple(pair) for pair in run["attributes"][path]] == words.attributes(given)
        if arrives >= 0:
            assert run["steps"][arrives][1] == message.number


@each
def test_chapters_and_what_is_up(view: BgpView) -> None:
    """Chapters follow one another without a gap; what is up at the end is what the simulator has up."""
    run = sent(view)["run"]
    assert [begin for _, begin, *_ in run["chapters"]] == [0, *(end + 1 for _, _, end, *_ in run["chapters"][:-1])]
    assert run["chapters"][-1][2] == len(run["steps"]) - 1
    up = {kind: list(states) for kind, states in run["begins"].items()}
    for *_, other in run["steps"]:
        for kind, states in other.items():
            for place, state in states:
                up[kind][place] = state
    assert up["routers"] == [int(router["up"]) for router in view.data["routers"]]
    assert up["sessions"] == [int(session["up"]) for session in view.data["sessions"]]


def test_bytes_of_messages() -> None:
    """The figure of a message holds the bytes that a daemon would send; equal messages share one."""
    view = VIEWS["rr-3x1"]
    live = sent(view)
    for told, message in zip(live["run"]["messages"], view.trace.messages, strict=True):
        table = read(live["figures"][told[-1]]).all("table", "ck-hex")[0]
        digits = "".join(span.text for row in table.all("tr") for span in row.all("span"))
        assert re.sub(r"\s", "", digits) == update_bytes(message.update).hex()
    assert len(live["figures"]) < len(view.trace.messages)


def test_it_is_small() -> None:
    """Twelve nodes in a full mesh, one of which dies and comes back, take less than 20 kB to the browser."""
    alive = views.bgp(topologies.full_mesh(12), actions=FAILURES).alive()
    assert len(json.dumps(alive)) < 20_000


def test_a_large_network_is_not_played() -> None:
    """Of a network that is drawn in part no steps are sent."""
    assert views.bgp(topologies.full_mesh(30)).alive() is None
