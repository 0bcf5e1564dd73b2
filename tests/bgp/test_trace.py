"""A trace tells how a run went, and agrees with what the simulator comes to by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from coursekit.bgp import topologies
from coursekit.bgp.decision import NOTHING
from coursekit.bgp.igp import Igp, Subnet
from coursekit.bgp.scenario import Scenario, Step, take
from coursekit.bgp.scenario_file import decoded, parse
from coursekit.bgp.schedule import ByDelay, Shuffled
from coursekit.bgp.trace import Held, Trace, trace
from coursekit.paths import data_dir

CASES = {case.id: case for case in parse(decoded(str(data_dir() / "bgp" / "cases.json")), [])}
NODE_DIES = Step("n2 dies", ({"op": "router_down", "router": "n2"},))
each = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def replayed(run: Trace) -> dict[tuple[str, str], Held]:
    """Return the tables that the changes of all events lead to; each change begins where the one before ended."""
    tables: dict[tuple[str, str], Held] = {}
    for event in run.events:
        for change in event.changes:
            assert tables.get((change.router, change.prefix), Held()) == change.before
            assert change.before != change.after
            tables[change.router, change.prefix] = change.after
    return tables


@each
@pytest.mark.parametrize("seed", [None, 1])
def test_a_trace_ends_where_the_simulator_does(case: Scenario, seed: int | None) -> None:
    """Step by step a trace has the same UPDATEs, sessions and best routes as a plain run, also where none is stable."""
    run = trace(case, schedule=None if seed is None else Shuffled(seed))
    plain = case.simulation(schedule=None if seed is None else Shuffled(seed))
    for number, (step, chapter) in enumerate(zip(case.steps, run.chapters, strict=True)):
        plain.begin()
        if number == 0:
            case.start(plain)
        take(plain, step.actions)
        done = plain.run()
        assert (chapter.run.converged, chapter.sessions) == (done.converged, plain.established)
        if done.converged:
            assert chapter.run.updates == done.updates
    held = replayed(run)
    assert held == dict(run.final)
    for name, speaker in plain.speakers.items() if done.converged else ():
        for prefix in case.prefixes():
            decision = speaker.loc_rib.get(prefix, NOTHING)
            mine = held.get((name, prefix), Held())
            assert mine.decided_by == (decision.decided_by if speaker.up else None)
            assert (mine.best and mine.best.attributes) == (decision.best and decision.best.attributes)


@each
def test_every_message_is_sent_once_and_arrives_once(case: Scenario) -> None:
    """Messages are numbered as sent, arrive later, and each event that is an arrival has its own message."""
    run = trace(case)
    assert [message.number for message in run.messages] == list(range(1, len(run.messages) + 1))
    arrived = [event.message.number for event in run.events if event.message]
    assert len(set(arrived)) == len(arrived)
    for place, event in enumerate(run.events):
        assert all(message.event == place for message in event.sent)
        if event.message:
            assert event.message.event < place == event.message.arrives


def test_what_a_failure_brings_about() -> None:
    """A node's death is one event: sessions fall, routes go, and what is left follows."""
    run = trace(topologies.full_mesh(3), steps=[Step("initial"), NODE_DIES])
    event = run.events[run.chapters[1].first]
    assert (event.kind, event.routers) == ("action", {"n2": False})
    assert event.sessions == {"n1-n2": False, "n2-n3": False}
    lost = {(c.router, c.prefix) for c in event.changes if c.before.best and not c.after.best}
    assert {("n1", "10.64.0.128/26"), ("n3", "10.64.0.128/26")} < lost
    assert (event.updates, run.chapters[1].run.updates, run.chapters[1].sessions) == (0, 0, 1)


def test_what_was_under_way_is_lost() -> None:
    """A message on a session that goes down does not arrive, and the trace says so."""
    slow = ByDelay({"n1-n2": 50})
    dies = Step("n2 dies meanwhile", ({"op": "router_down", "router": "n2", "at": 10},))
    run = trace(topologies.full_mesh(3), schedule=slow, steps=[dies])
    lost = [event.message for event in run.events if event.kind == "is lost"]
    assert {(m.sender, m.receiver) for m in lost if m} == {("n1", "n2"), ("n2", "n1")}
    assert [event.time for event in run.events if event.kind == "action"] == [10]


def test_a_newer_message_takes_the_place_of_one_that_waits() -> None:
    """Under a schedule that coalesces, the replaced message is told as the newer one."""
    run = trace(CASES["C12"], schedule=Shuffled(3))
    replaced = [message for message in run.messages if message.replaced]
    assert replaced
    assert all(message.arrives for message in replaced)


def test_a_long_run_is_cut() -> None:
    """Beyond `most` events the rest is one event, with the UPDATEs it took and the tables it led to."""
    run = trace(topologies.full_mesh(5), most=8)
    assert [event.kind for event in run.events[7:]] == ["arrives", "rest"]
    assert run.chapters[0].run.updates == sum(event.updates for event in run.events) == 20
    assert replayed(run) == dict(trace(topologies.full_mesh(5)).final)


def test_what_is_not_watched_is_not_looked_at() -> None:
    """Only tables of watched routers are kept, and they are the same."""
    whole, part = (trace(topologies.route_reflectors(4), watched=names) for names in (None, ["n1"]))
    assert dict(part.final) == {key: held for key, held in whole.final.items() if key[0] == "n1"}


@pytest.mark.parametrize(
    ("scenario", "silent"),
    [(topologies.full_mesh(3), True), (topologies.route_reflectors(3), False), (topologies.tor(3), False)],
)
def test_the_ibgp_rule_is_noticed(scenario: Scenario, silent: bool) -> None:
    """A node of a mesh that learns a route tells nobody because of the iBGP rule; with one session there is no rule."""
    assert any(event.silent for event in trace(scenario).events) is silent


def test_a_route_that_stays_is_no_news() -> None:
    """Who keeps its best route, now for another reason, has nothing that the iBGP rule could keep it from telling."""
    fails = Step("n1 dies", ({"op": "router_down", "router": "n1"},))
    run = trace(topologies.route_reflectors(3, 2), steps=[Step("initial"), fails])
    kept = [event for event in run.events for before, after in ((c.before.best, c.after.best) for c in event.changes)
            if before and after and before[:5] == after[:5]]  # fmt: skip
    assert any(change.before.best != change.after.best for event in kept for change in event.changes)
    assert not any(event.silent for event in kept)


def test_words_of_the_decision() -> None:
    """Candidates carry the decision's own words; the best comes with the step, the refused with the reason."""
    held = trace(CASES["C18"]).final
    said = [c for h in held.values() for c in h.candidates]
    assert any("lost at MED" in c.words for c in said)
    looped = trace(CASES["C11a"]).final
    refused = [c for h in looped.values() for c in h.candidates if c.verdict == "refused"]
    assert all("AS loop: own AS" in c.words for c in refused)
    assert len(refused) == 6  # each of three nodes refuses what the two others announced


def test_the_kernel_gets_a_gateway() -> None:
    """A next hop on the LAN is the gateway itself; one behind the IGP is reached by a connected address."""
    def links(**costs: int) -> Igp:
        ids = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
        ends: Mapping[str, Any] = {"ab": ("a", "b"), "bc": ("b", "c"), "ac": ("a", "c")}
        subnets = [Subnet(name, 31, {one: f"172.16.{i}.0", two: f"172.16.{i}.1"}, igp=True, cost=costs[name])
                   for i, (name, (one, two)) in enumerate(ends.items()) if name in costs]  # fmt: skip
        return Igp(ids, subnets)

    assert links(ab=1, bc=1, ac=9).gateway("a", "10.0.0.3") == "172.16.0.1"  # through b
    assert links(ab=1, bc=1, ac=1).gateway("a", "10.0.0.3") == "172.16.2.1"  # directly
    assert links(ab=1, bc=1).gateway("a", "172.16.1.1") == "172.16.0.1"
    assert links(ab=1).gateway("a", "10.0.0.3") is None
    run = trace(topologies.full_mesh(2))
    assert run.final["n1", "10.64.0.128/26"].gateways == (("192.168.0.2", "n2"),)
    balanced = trace(topologies.leaf_spine(2, 2)).final["n1", "10.64.0.128/26"]
    assert [owner for _, owner in balanced.gateways] == ["s1", "s2"]
    assert [c.verdict for c in balanced.candidates] == ["best", "balanced"]
