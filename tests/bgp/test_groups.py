"""Runs by groups: equal to the plain engine wherever that can be checked, and fast where it cannot go."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from coursekit.bgp import topologies
from coursekit.bgp.decision import NOTHING
from coursekit.bgp.groups import Action, GroupedNetwork
from coursekit.bgp.scenario import Scenario, act

FAILURES: dict[str, list[list[Action]]] = {
    "nothing": [[]],
    "a node dies and returns": [[], [{"op": "router_down", "router": "n2"}], [{"op": "router_up", "router": "n2"}]],
    "two nodes die": [[], [{"op": "router_down", "router": "n1"}, {"op": "router_down", "router": "n3"}]],
    "a prefix goes": [[], [{"op": "withdraw", "router": "n2", "prefix": topologies.block(2)}]],
}
RR_FAILURES: dict[str, list[list[Action]]] = {
    "a reflector dies and returns": [
        [], [{"op": "router_down", "router": "rr1"}], [{"op": "router_up", "router": "rr1"}]],
    "a session falls": [
        [], [{"op": "session_down", "session": "rr1-n3"}], [{"op": "session_down", "session": "rr2-n3"}]],
}
NETWORKS: list[tuple[Scenario, range]] = [  # and which nodes can stand for each other
    (topologies.full_mesh(6), range(1, 7)), (topologies.route_reflectors(7), range(1, 8)),
    (topologies.route_reflectors(6, 2), range(1, 7)), (topologies.as_per_rack(3, 4), range(1, 13)),
    (topologies.route_reflectors(6, 3, shared_cluster=True), range(1, 7)),
    (topologies.mesh_and_reflector(5), range(1, 6)), (topologies.in_cluster_reflectors(8, 2), range(3, 9)),
    (topologies.tor(6), range(1, 7)), (topologies.tor(6, lan=True), range(1, 7)),
    (topologies.tor(5, "shared-allowas-in", lan=True, mesh=True), range(0)), (topologies.leaf_spine(5, 2), range(0)),
    (topologies.route_reflectors(60), range(1, 61)), (topologies.full_mesh(30), range(1, 31)),
]  # fmt: skip
RUNS = [(scenario, alike, name, steps) for scenario, alike in NETWORKS for name, steps in (FAILURES | (
    RR_FAILURES if any(r.name == "rr2" for r in scenario.routers) else {})).items()]  # fmt: skip


@pytest.mark.parametrize(("scenario", "alike", "name", "steps"), RUNS, ids=lambda value: getattr(value, "id", None))
def test_groups_equal_the_plain_engine(scenario: Scenario, alike: range, name: str,
                                         steps: list[list[Action]]) -> None:  # fmt: skip
    """Counts and sessions of every step, every table, and every message are those of the plain engine."""
    grouped = GroupedNetwork(scenario, steps)
    plain = scenario.simulation(record=True)
    scenario.start(plain)
    counts, tables = [], []
    for actions in steps:
        for action in actions:
            act(plain, action)
        counts.append((plain.run().updates, plain.established, True))
        tables.append({router: dict(speaker.loc_rib) for router, speaker in plain.speakers.items()})
    assert [(t.updates, t.sessions, t.converged) for t in grouped.totals()] == counts
    assert {name for names in grouped.groups for name in names} == {f"n{i}" for i in alike} - grouped.touched
    few = list(plain.speakers)[:8]
    prefixes = scenario.prefixes()[:8]
    for router in few:
        for prefix in prefixes:
            for step, table in enumerate(tables):
                ours, theirs = grouped.decision(router, prefix, step), table[router].get(prefix, NOTHING)
                assert _shown(ours) == _shown(theirs), (router, prefix, step)
    messages = Counter(_key(m) for m in plain.messages if m.receiver in few and m.prefix in prefixes)
    assert Counter(_key(m) for router in few for prefix in prefixes
                   for m in grouped.messages_to(router, prefix)) == messages  # fmt: skip


def _shown(decision: Any) -> tuple[Any, ...]:
    best = decision.best
    return best and (best.source, best.attributes), decision.decided_by, decision.candidates


def _key(message: Any) -> tuple[Any, ...]:
    return message.session, message.sender, message.receiver, message.prefix, message.attributes


LARGE: list[tuple[str, Callable[[], Scenario], list[list[Action]], list[tuple[int, int]]]] = [
    ("mesh", lambda: topologies.full_mesh(300), [[], [{"op": "router_down", "router": "n7"}]],
     [(300 * 299, 300 * 299 // 2), (0, 299 * 298 // 2)]),
    ("reflector", lambda: topologies.route_reflectors(5000),
     [[], [{"op": "router_down", "router": "n7"}], [{"op": "router_down", "router": "rr"}]],
     [(25_000_000, 5000), (4999, 4999), (0, 0)]),
    ("ToR", lambda: topologies.tor(5000), [[], [{"op": "link_down", "link": "l7"}]],
     [(25_000_000, 5000), (4999, 4999)]),
    ("two reflectors", lambda: topologies.route_reflectors(5000, 2),
     [[], [{"op": "router_down", "router": "rr1"}], [{"op": "session_down", "session": "rr2-n9"}]],
     [(2 * 5000 * 5001, 10_001), (0, 5000), (4999, 4999)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "build", "steps", "expected"), LARGE, ids=[large[0] for large in LARGE])
def test_large_networks(name: str, build: Callable[[], Scenario], steps: list[list[Action]],
                        expected: list[tuple[int, int]], record_property: Callable[[str, object], None]) -> None:
    """At thousands of nodes the counts are the closed forms, also after failures, and any one message can be seen."""
    scenario = build()
    begun = time.perf_counter()
    grouped = GroupedNetwork(scenario, steps)
    totals = grouped.totals()
    record_property("seconds", time.perf_counter() - begun)
    print(f"{name}: {totals[0].updates:,} UPDATEs in {time.perf_counter() - begun:.2f} s")
    assert [(t.updates, t.sessions) for t in totals] == expected
    (message, *_) = grouped.messages_to("n250", topologies.block(3))
    assert (message.receiver, message.prefix) == ("n250", topologies.block(3))
    assert message.attributes
