"""Networks that never fall quiet are named, and those that only take long in some order are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coursekit.bgp.expectations import run
from coursekit.bgp.scenario import Scenario, take
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.schedule import ByDelay, Schedule, Shuffled
from tests.bgp.test_network import P, best, case

DISAGREE = case({"d": 1, "a": 2, "b": 3}, ["d-a", "d-b", "a-b"], originate=[{"router": "d"}],
                opts={"a>b": {"local_pref_in": 200}, "b>a": {"local_pref_in": 200}})  # fmt: skip


def test_disagree_settles_though_lock_step_does_not() -> None:
    """Two routers that each prefer the way through the other settle on one of two states, as daemons do."""
    simulation = DISAGREE.simulation()
    DISAGREE.start(simulation)
    done = simulation.run()
    assert (done.converged, done.livelock) == (True, True)
    seen = set()
    for seed in range(40):
        simulation = DISAGREE.simulation(schedule=Shuffled(seed))
        DISAGREE.start(simulation)
        assert simulation.run().converged
        seen.add(tuple(len(getattr(best(simulation, name), "as_path", ())) for name in "ab"))
    assert seen == {(1, 2), (2, 1)}


def test_rfc_3345_oscillation_is_named() -> None:
    """MED and reflection in two clusters (RFC 3345 §2.1) never settle: the run stops and says who and what."""
    routers = {"ra": 1, "rb": 1, "rc": 1, "rd": 1, "re": 1, "x": 10, "y": 6, "z": 6}
    costs = {"ra-rb": 4, "ra-rc": 5, "rd-re": 12, "ra-rd": 1}
    ids = {"ra": 91, "rd": 94, "rb": 2, "rc": 3, "re": 5, "y": 11, "x": 12, "z": 13}
    scenario = parse({
        "routers": [{"name": n, "asn": a, "router_id": f"10.0.0.{ids[n]}"} for n, a in routers.items()],
        "links": [{"id": link, "a": link[:2], "b": link[3:], "a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1",
                   "cost": cost, "igp": True} for i, (link, cost) in enumerate(costs.items())]
        + [{"id": f"{x}-{r}", "a": x, "b": r, "a_addr": f"172.17.{i}.0", "b_addr": f"172.17.{i}.1"}
           for i, (x, r) in enumerate([("y", "rb"), ("x", "rc"), ("z", "re")])],
        "sessions": [{"id": "rr", "a": "ra", "b": "rd"}]
        + [{"id": f"{r}{c}", "a": r, "b": c, "a_opts": {"rr_client": True}, "b_opts": {"next_hop_self": True}}
           for r, c in (("ra", "rb"), ("ra", "rc"), ("rd", "re"))]
        + [{"id": f"{x}-{r}", "a": x, "b": r, "a_addr": f"172.17.{i}.0", "b_addr": f"172.17.{i}.1"}
           for i, (x, r) in enumerate([("y", "rb"), ("x", "rc"), ("z", "re")])],
        "originate": [{"router": "y", "prefix": P, "med": 1}, {"router": "x", "prefix": P},
                      {"router": "z", "prefix": P, "med": 0}],
    })[0]  # fmt: skip
    simulation = scenario.simulation()
    scenario.start(simulation)
    done = simulation.run()
    assert not done.converged
    assert done.oscillation
    assert done.oscillation.routers == ("ra", "rd")
    assert done.oscillation.prefixes == (P,)
    assert "ra, rd keep changing their best route to 203.0.113.0/24" in done.oscillation.sentence


def test_an_oscillation_can_be_cured() -> None:
    """After a run that was stopped the network goes on: with the cause gone it settles."""
    bad = case({"d": 1, "a": 2, "b": 3, "c": 4}, ["d-a", "d-b", "d-c", "a-b", "b-c", "c-a"],
               originate=[{"router": "d"}],
               opts={x: {"local_pref_in": 200, "max_as_path_in": 2} for x in ("a>b", "b>c", "c>a")}
               | {x: {"max_as_path_in": 2} for x in ("b>a", "c>b", "a>c")})  # fmt: skip
    simulation = bad.simulation()
    bad.start(simulation)
    done = simulation.run()
    assert (done.converged, done.oscillation and done.oscillation.routers) == (False, ("a", "b", "c"))
    assert done.oscillation.period
    simulation.set_session_opt("a-b", "a", "local_pref_in", None)
    assert simulation.run().converged


# Two levels of reflection: t over m1 and m2, these over c1, c2 and c3, each with a neighbour AS; costs grow upwards.
TIERS = {"t-m1": 23, "t-m2": 14, "m2-c1": 1, "m2-c2": 4, "m1-c3": 4}
OUTSIDE = {"x1-c1": 1, "x2-c2": 0, "x3-c3": 0}  # MED; x1 and x3 are one AS
ORDERS: dict[str, Callable[[], Schedule | None]] = {
    "in step": lambda: None, "random": lambda: Shuffled(1),
    "delays": lambda: ByDelay({"t-m1": 3, "m2-c1": 4, "x2-c2": 2}),
}  # fmt: skip


def two_levels(**options: Any) -> Scenario:
    """Return the network of RFC 3345's second type; `options` hold at both ends of every iBGP session."""
    ids = {"t": 82, "m1": 55, "m2": 8, "c1": 87, "c2": 93, "c3": 78, "x1": 101, "x2": 102, "x3": 103}
    ends = {link: tuple(link.split("-")) for link in (*TIERS, *OUTSIDE)}
    at = {link: {"a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1"} for i, link in enumerate(ends)}
    return parse({
        "routers": [{"name": name, "asn": {"x1": 6, "x2": 10, "x3": 6}.get(name, 1), "router_id": f"10.0.0.{number}"}
                    for name, number in ids.items()],
        "links": [{"id": link, "a": a, "b": b, "cost": TIERS.get(link, 1), "igp": link in TIERS, **at[link]}
                  for link, (a, b) in ends.items()],
        "sessions": [{"id": link, "a": ends[link][0], "b": ends[link][1], "a_opts": {"rr_client": True} | options,
                      "b_opts": {"next_hop_self": True} | options} for link in TIERS]
        + [{"id": link, "a": ends[link][0], "b": ends[link][1], **at[link]} for link in OUTSIDE],
        "originate": [{"router": ends[link][0], "prefix": P, "med": med} for link, med in OUTSIDE.items()],
    })[0]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_rfc_3345_oscillation_of_the_second_type_is_named(order: str) -> None:
    """Under two levels of reflection MED never settles, though costs are lower within clusters (RFC 3345 §2.2).

    ADD-PATH cures it; and GoBGP never swings, for it looks at no cost.
    """
    for scenario, profile, settles in ((two_levels(), "rfc", False), (two_levels(add_path=True), "rfc", True),
                                       (two_levels(), "gobgp", True)):  # fmt: skip
        simulation = scenario.simulation(profile, ORDERS[order]())
        scenario.start(simulation)
        done = simulation.run()
        assert (done.converged, done.livelock) == (settles, False)
        if done.oscillation:
            assert done.oscillation.routers == ("m2", "t")
            assert (done.oscillation.period is not None) == (order == "in step")


@pytest.mark.parametrize("order", ["in step", "delays"])
def test_path_hunting_is_no_oscillation(order: str) -> None:
    """A clique that loses its route explores more paths than anybody waits for; it settles, and that is said."""
    names = {f"r{i}": 65000 + i for i in range(11)}
    clique = case(names, [f"{a}-{b}" for a in names for b in names if names[a] < names[b]],
                  originate=[{"router": "r0"}], steps=[{"name": "up"}, {"name": "gone", "actions": [
                      {"op": "withdraw", "router": "r0", "prefix": P}]}])  # fmt: skip
    simulation = clique.simulation(schedule=ORDERS[order]())
    own = simulation.schedule
    clique.start(simulation)
    simulation.run()
    take(simulation, clique.steps[1].actions)
    done = simulation.run()
    assert (done.converged, done.oscillation, done.period) == (True, None, None)
    assert simulation.quiet
    assert simulation.schedule is own
    assert not any(speaker.loc_rib[P].best for speaker in simulation.speakers.values())
    assert done.note
    assert "was not quiet after very many; it settled when messages came in random order" in done.note
    simulation.originate("r0", P)
    assert simulation.run().converged
    assert not simulation.run().livelock


def test_a_file_says_why_it_took_another_order() -> None:
    """DISAGREE in lock-step returns to where it was: the step says so, and that it settled otherwise."""
    (step,) = run(DISAGREE)
    assert step.note == "In lock-step the network never falls quiet; it settled when messages came in random order."


def test_an_action_in_a_far_future_is_not_waited_for_message_by_message() -> None:
    """What happens in eleven days to a network that never falls quiet happens soon, and at that time."""
    simulation = DISAGREE.simulation()
    DISAGREE.start(simulation)
    take(simulation, [{"op": "router_down", "router": "d", "death": "cable", "at": 9},
                      {"op": "session_down", "session": "a-b", "at": 10**9}])  # fmt: skip
    assert simulation.time == 10**9
    assert simulation.updates < 100_000
    assert "d" in simulation.igp.down
    done = simulation.run()
    assert (done.converged, done.livelock) == (True, False)
    assert simulation.time >= 10**9
    assert not any(speaker.loc_rib[P].best for name, speaker in simulation.speakers.items() if name != "d")
