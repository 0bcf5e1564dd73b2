"""Runs by groups: equal to the plain engine, message for message, and fast where it cannot go."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from coursekit.bgp import closed_forms, topologies, wire
from coursekit.bgp.decision import NOTHING
from coursekit.bgp.groups import GroupedNetwork
from coursekit.bgp.scenario import Scenario, take
from coursekit.bgp.schedule import ByDelay
from coursekit.errors import CourseError
from tests.bgp.lookalikes import TRAPS, Steps
from tests.bgp.random_clusters import Cluster
from tests.seeds import seeds

FAILURES: dict[str, Steps] = {
    "a node dies and returns": [[], [{"op": "router_down", "router": "n2"}], [{"op": "router_up", "router": "n2"}]],
    "two nodes die": [[], [{"op": "router_down", "router": "n1"}, {"op": "router_down", "router": "n3"}]],
    "a prefix goes": [[], [{"op": "withdraw", "router": "n2", "prefix": topologies.block(2)}]],
    "a node dies while messages are under way": [[{"op": "router_down", "router": "n3", "at": 1}]],
}
RR_FAILURES: dict[str, Steps] = {
    "a reflector dies and returns": [
        [], [{"op": "router_down", "router": "rr1"}], [{"op": "router_up", "router": "rr1"}]],
    "a session falls": [
        [], [{"op": "session_down", "session": "rr1-n3"}], [{"op": "session_down", "session": "rr2-n3"}]],
    "one session is treated otherwise": [
        [{"op": "set_session_opt", "session": "rr1-n3", "side": "b", "opt": "local_pref_in", "value": 200, "at": 1}],
        [{"op": "set_session_opt", "session": "rr2-n4", "side": "a", "opt": "rr_client", "value": False}]],
    "a reflector restarts gracefully": [[], [{"op": "router_graceful_restart", "router": "rr2"}]],
    "the LAN fails": [[], [{"op": "link_down", "link": "lan0"}], [{"op": "link_up", "link": "lan0"}]],
}
FABRIC_FAILURES: dict[str, Steps] = {
    "a link fails and returns": [[], [{"op": "link_down", "link": "n2s1"}], [{"op": "link_up", "link": "n2s1"}]],
    "a spine dies": [[], [{"op": "router_down", "router": "s1"}], [{"op": "router_down", "router": "s2", "at": 1}]],
}
NETWORKS: list[tuple[Scenario, int]] = [  # and for how many sessions there is one that stands for several
    (topologies.full_mesh(6), 15), (topologies.route_reflectors(7), 7), (topologies.route_reflectors(6, 2), 12),
    (topologies.as_per_rack(3, 4), 12), (topologies.route_reflectors(6, 3, shared_cluster=True), 18),
    (topologies.mesh_and_reflector(5), 15), (topologies.in_cluster_reflectors(8, 2), 12), (topologies.tor(6), 6),
    (topologies.tor(6, lan=True), 6), (topologies.tor(5, "shared-allowas-in", lan=True, mesh=True), 0),
    (topologies.leaf_spine(5, 2), 10), (topologies.leaf_spine(4, 3, shared_spine_as=False), 0),
    (topologies.route_reflectors(60), 60), (topologies.full_mesh(30), 435), (topologies.leaf_spine(20, 4), 80),
]  # fmt: skip


def _failures(scenario: Scenario) -> dict[str, Steps]:
    names = {router.name for router in scenario.routers}
    return FAILURES | (RR_FAILURES if "rr2" in names else {}) | (FABRIC_FAILURES if "s2" in names else {})


RUNS = [(scenario, name, steps) for scenario, _ in NETWORKS for name, steps in _failures(scenario).items()]
RUNS.append((topologies.leaf_spine(56, 4), *next(iter(FABRIC_FAILURES.items()))))


def compare(scenario: Scenario, steps: Steps, profile: str = "rfc", delays: Mapping[str, int] | None = None, *,
            coalesce: bool = False, seen: int = 3) -> tuple[GroupedNetwork, int] | None:  # fmt: skip
    """Hold a run by groups to the plain engine; return it, and how many messages were compared, None if it refuses."""
    plain = scenario.simulation(profile, ByDelay(delays, coalesce) if delays or coalesce else None, record=True)
    scenario.start(plain)
    grouped = GroupedNetwork(scenario, steps, profile, delays=delays, coalesce=coalesce)
    totals, tables = [], []
    for actions in steps:
        take(plain, actions)
        done = plain.run()
        if done.livelock or not done.converged:
            with pytest.raises(CourseError, match="does not fall quiet in lock-step"):
                grouped.totals()
            return None
        totals.append((done.updates, plain.established))
        tables.append({router: dict(speaker.loc_rib) for router, speaker in plain.speakers.items()})
    assert [(t.updates, t.sessions) for t in grouped.totals()] == totals
    draw = random.Random(scenario.id)
    prefixes, routers = [*scenario.prefixes(), "10.98.0.0/24"], sorted(plain.speakers)
    messages = defaultdict(list)
    for message in plain.messages:
        messages[message.receiver, message.prefix].append(_shown(message))
    compared = 0
    for prefix in draw.sample(prefixes, min(seen, len(prefixes))):
        for router in draw.sample(routers, min(8, len(routers))):
            ours = [_shown(message) for message in grouped.messages_to(router, prefix)]
            assert ours == messages[router, prefix], (router, prefix)
            compared += len(ours)
            held = [_held(decision) for decision in grouped.decisions(router, prefix)]
            assert held == [_held(table[router].get(prefix, NOTHING)) for table in tables], (router, prefix)
    return grouped, compared


def _held(decision: Any) -> tuple[Any, ...]:
    return decision.decided_by, decision.candidates, [(path.source, path.attributes) for path in decision.multipath]


def _shown(message: Any) -> tuple[Any, ...]:
    return (message.sent, message.session, message.sender, message.receiver, message.prefix, message.attributes,
            message.path_id, message.update.to.options, message.update.to.other.options)  # fmt: skip


@pytest.mark.parametrize(("scenario", "name", "steps"), RUNS, ids=lambda value: getattr(value, "id", None))
def test_groups_equal_the_plain_engine(scenario: Scenario, name: str, steps: Steps) -> None:
    """Counts and sessions of every step, tables, and messages with their times are those of the plain engine."""
    assert compare(scenario, steps), name


@pytest.mark.parametrize(("name", "scenario", "steps", "profile", "delays"), TRAPS, ids=[trap[0] for trap in TRAPS])
def test_what_only_looks_alike_is_told_apart(name: str, scenario: Scenario, steps: Steps, profile: str,
                                             delays: dict[str, int]) -> None:  # fmt: skip
    """Where one router of many is treated otherwise, by a rule, an id, a delay or the wiring, all is still exact."""
    assert compare(scenario, steps, profile, delays, seen=9), name


@pytest.mark.parametrize(("scenario", "sessions"), NETWORKS, ids=lambda value: getattr(value, "id", None))
def test_what_is_alike_is_run_once(scenario: Scenario, sessions: int) -> None:
    """The sessions of stubs are shared, as many as there are of them; each one left counts for those it stands for."""
    part, counts, _ = GroupedNetwork(scenario).part(())
    assert sum(counts.values()) == len(scenario.sessions)
    assert sum(count for count in counts.values() if count > 1) == sessions
    assert len(part.sessions) == len(counts)


def test_random_clusters_equal_the_plain_engine(record_property: Callable[[str, object], None]) -> None:
    """Random networks, policies, schedules and failures, also in mid-run: always as the plain engine, or refused."""
    shared = refused = messages = 0
    drawn = seeds(range(60), (*range(0, 60, 5), 43))  # 43 is refused
    for seed in drawn:
        scenario, steps, delays, coalesce = Cluster(seed, most=6).draw()
        profile = ("rfc", "rfc", "rfc", "bird", "frr", "gobgp")[seed % 6]
        done = compare(scenario, steps, profile, delays, coalesce=coalesce)
        if done:
            messages += done[1]
            shared += max(done[0].part(()).counts.values(), default=0) > 1
        refused += not done
    assert shared > len(drawn) // 3
    assert 0 < refused < len(drawn) // 4
    record_property("clusters", len(drawn))
    record_property("messages", messages)


def test_a_message_has_its_bytes() -> None:
    """Any one message of 25 million: its time, its ends, its attributes and what a daemon would send, byte for byte."""
    grouped = GroupedNetwork(topologies.route_reflectors(5000))
    (message,) = grouped.messages_to("n4711", topologies.block(1234))
    assert (message.sent, message.sender, message.receiver, message.session) == (1, "rr", "n4711", "rr-n4711")
    read = wire.read_update(wire.update_bytes(message.update))
    assert (read.announced, read.attributes) == (((topologies.block(1234), 0),), message.attributes)
    assert message.attributes
    assert message.attributes.originator_id == message.attributes.next_hop == topologies.node_address(1234)


def test_one_more_step_splits_what_it_touches() -> None:
    """After a run an action may single somebody out; what was before stays as it was."""
    before = GroupedNetwork(topologies.route_reflectors(60, 2))
    (first,) = before.totals()
    after = before.after([{"op": "session_down", "session": "rr1-n7"}]).after([{"op": "router_down", "router": "rr2"}])
    assert after.totals()[0] == first
    assert [(t.updates, t.sessions) for t in after.totals()] == [(60 * 2 * 61, 121), (60, 120), (59, 59)]
    assert "n7" in after.active
    assert after.decision("n7", topologies.block(3)).best is None


def test_what_groups_cannot_do_is_said() -> None:
    """A network that never falls quiet, and a router that there is not, are sentences."""
    rack = topologies.tor(2)
    with pytest.raises(CourseError, match="There is no router n9"):
        GroupedNetwork(rack).decision("n9", topologies.block(1))
    with pytest.raises(CourseError, match="A run needs a scenario, such as full_mesh"):
        GroupedNetwork("rack")  # type: ignore[arg-type]


@pytest.mark.parametrize(("actions", "said"), [
    ([{"op": "router_down", "router": "n0"}], "There is no router 'n0' in mesh-9; there are n1, n2, n3, n4, n5, n6 and "
     "3 more."),
    ([{"op": "session_down", "session": "n1-n1"}], "There is no session 'n1-n1' in mesh-9"),
    ([{"op": "router_down"}], "The action router_down needs router; router is missing."),
    ([{"op": "explode"}], "There is no action 'explode'; there are router_down"), (["x"], "There is no action 'x'"),
    ({"op": "router_down", "router": "n1"}, "Actions are a list, such as"), ("x", "Actions are a list, such as"),
])  # fmt: skip
def test_what_is_no_action_is_refused(actions: Any, said: str) -> None:
    """A further step with what is no action, or on what is not there, gets a sentence at once."""
    with pytest.raises(CourseError) as caught:
        GroupedNetwork(topologies.full_mesh(9)).after(actions)
    assert str(caught.value).startswith(said)


LARGE: list[tuple[str, Callable[[], Scenario], Steps, list[tuple[int, int]]]] = [
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
    ("fabric", lambda: topologies.leaf_spine(500, 4), [[], [{"op": "link_down", "link": "n7s1"}]],
     [(500 * (4 + 4 * 499 + 499 * 3), 2000), (4 * 499, 1999)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "build", "steps", "expected"), LARGE, ids=[large[0] for large in LARGE])
def test_large_networks(name: str, build: Callable[[], Scenario], steps: Steps,
                        expected: list[tuple[int, int]], record_property: Callable[[str, object], None]) -> None:
    """At thousands of nodes the counts are the closed forms, also after failures, and any one message can be seen."""
    scenario = build()
    begun = time.perf_counter()
    grouped = GroupedNetwork(scenario, steps)
    totals = grouped.totals()
    record_property("seconds", time.perf_counter() - begun)
    assert [(t.updates, t.sessions) for t in totals] == expected
    (message, *_) = grouped.messages_to("n250", topologies.block(3))
    assert (message.receiver, message.prefix) == ("n250", topologies.block(3))
    assert message.attributes


@pytest.mark.parametrize("family", closed_forms.FAMILIES)
def test_closed_forms_hold_at_every_size(family: str) -> None:
    """Every size up to 200 nodes (of meshes up to 60, and some beyond) costs what the formula says."""
    forms = {"F1": ("n*(n-1)", "n*(n-1)/2"), "F2": ("n*n", "n"), "F3": ("k*n*(n+k-1)", "k*n + k*(k-1)/2"),
             "F4": ("n*n", "n"), "F5": ("L*(S + S*(L-1) + (L-1)*(S-1))", "L*S"),
             "F6": ("k*m*(m+k-1) + k*(m+k-1) + k*(k-1)*m", "k*m + k*(k-1)/2")}  # fmt: skip
    known = closed_forms.FAMILIES[family]
    for n in range(2, 201) if family != "F1" else (*range(2, 60), 100, 150, 200):  # a mesh takes long to write down
        sizes: Sequence[int] = {"F3": (1 + n % 3, n), "F5": (n, 1 + n % 4), "F6": (1 + n % min(3, n - 1), n)}.get(
            family, (n,))  # fmt: skip
        (totals,) = GroupedNetwork(known.build(*sizes)).totals()
        names = dict(zip(known.sizes, sizes, strict=True))
        wanted = tuple(closed_forms.value(form, names) for form in forms[family])
        assert (totals.updates, totals.sessions) == wanted, sizes
