"""Sessions, policies and failures in networks small enough to be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coursekit.bgp import topologies
from coursekit.bgp.expectations import lookup, run
from coursekit.bgp.network import HOLD_TIME, RESTART_TIME
from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario import Scenario
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.scenario_writer import written
from coursekit.bgp.schedule import ByDelay, Shuffled
from coursekit.bgp.session import Options
from coursekit.bgp.simulation import Simulation
from coursekit.errors import CourseError

P = "203.0.113.0/24"


def case(routers: dict[str, int], links: list[str], *, originate: list[dict[str, Any]], igp: bool = False,
         opts: dict[str, dict[str, Any]] | None = None, **more: Any) -> Scenario:  # fmt: skip
    """Return routers {name: AS} with links "a-b" and a session on each; `opts` by "a>b": what a does towards b."""
    opts = opts or {}
    ends = [link.split("-") for link in links]
    return parse({
        "routers": [{"name": n, "asn": routers[n], "router_id": f"10.0.0.{i}"} for i, n in enumerate(routers, 1)],
        "links": [{"id": f"{a}-{b}", "a": a, "b": b, "a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1", "cost": 10,
                   "igp": igp} for i, (a, b) in enumerate(ends)],
        "sessions": [{"id": f"{a}-{b}", "a": a, "b": b, "a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1",
                      "a_opts": opts.get(f"{a}>{b}"), "b_opts": opts.get(f"{b}>{a}")} for i, (a, b) in enumerate(ends)],
        "originate": [{"prefix": P} | item for item in originate],
    } | more)[0]  # fmt: skip


def settle(scenario: Scenario, profile: str = "rfc") -> Simulation:
    """Start a network and run it until it is quiet."""
    simulation = scenario.simulation(profile)
    scenario.start(simulation)
    assert simulation.run().converged
    return simulation


def best(simulation: Simulation, router: str, prefix: str = P) -> Attributes | None:
    """Return the attributes of a router's best route."""
    decision = simulation.speakers[router].loc_rib.get(prefix)
    return decision.best.attributes if decision and decision.best else None


CHAIN = {"a": 65001, "b": 65002, "c": 65003}


@pytest.mark.parametrize(
    ("communities", "b_has", "c_has"),
    [([], True, True), (["no-export"], True, False), (["no-advertise"], True, False)],
)
def test_well_known_communities_bind_the_receiver(communities: list[str], b_has: bool, c_has: bool) -> None:
    """A route with NO_EXPORT goes one AS further and not two; the originator itself may send it."""
    network = settle(case(CHAIN, ["a-b", "b-c"], originate=[{"router": "a", "communities": communities}]))
    assert (best(network, "b") is not None, best(network, "c") is not None) == (b_has, c_has)


def test_no_export_stays_inside_and_no_advertise_with_the_receiver() -> None:
    """Over iBGP NO_EXPORT passes and NO_ADVERTISE does not."""
    for community, passes in (("no-export", True), ("no-advertise", False)):
        network = settle(case({"a": 65001, "b": 65002, "c": 65002}, ["a-b", "b-c"], igp=True,
                              originate=[{"router": "a", "communities": [community]}]))  # fmt: skip
        assert (best(network, "c") is not None) == passes


def test_med_goes_one_as_far() -> None:
    """A MED reaches the neighbour AS and all of it, and no third AS (RFC 4271 §5.1.4)."""
    network = settle(case({"a": 1, "b": 2, "b2": 2, "c": 3}, ["a-b", "b-b2", "b2-c"], igp=True,
                          originate=[{"router": "a", "med": 7}]))  # fmt: skip
    assert [getattr(best(network, name), "med", "-") for name in ("b", "b2", "c")] == [7, 7, None]


def test_next_hop_self_and_the_unreachable_next_hop() -> None:
    """Without next-hop-self an inner router cannot resolve the border's outside link, unless the IGP carries it."""
    routers, links = {"x": 1, "border": 2, "inner": 2}, ["x-border", "border-inner"]
    origin = [{"router": "x"}]
    assert best(settle(case(routers, links, originate=origin)), "inner") is None
    self_ = settle(case(routers, links, originate=origin, opts={"border>inner": {"next_hop_self": True}}))
    assert getattr(best(self_, "inner"), "next_hop", None) == "172.16.1.0"
    carried = settle(case(routers, links, originate=origin, igp=True))
    assert getattr(best(carried, "inner"), "next_hop", None) == "172.16.0.0"


def test_bird_passes_on_what_it_cannot_resolve() -> None:
    """The BIRD profile advertises an unresolvable path that is its only one, and uses it no more than others do."""
    scenario = case({"x": 1, "border": 2, "inner": 2, "y": 3}, ["x-border", "border-inner", "inner-y"],
                    originate=[{"router": "x"}])  # fmt: skip
    assert (best(settle(scenario), "inner"), best(settle(scenario), "y")) == (None, None)
    bird = settle(scenario, "bird")
    assert best(bird, "inner") is None
    assert getattr(best(bird, "y"), "as_path", None) == (2, 1)


def test_set_session_opt_works_both_ways() -> None:
    """An import option judges anew what was heard, an export option sends anew; nothing else is sent."""
    network = settle(case(CHAIN, ["a-b", "b-c"], originate=[{"router": "a"}]))
    network.set_session_opt("b-c", "b", "local_pref_in", 250)
    assert (network.run().updates, getattr(best(network, "c"), "local_pref", 0)) == (0, 250)
    network.set_session_opt("a-b", "a", "prepend", 2)
    assert (network.run().updates, getattr(best(network, "c"), "as_path", ())) == (2, (65002, 65001, 65001, 65001))
    network.set_session_opt("b-c", "b", "max_as_path_in", 3)
    assert (network.run().updates, best(network, "c")) == (0, None)


@pytest.mark.parametrize(("session", "side", "opt", "value", "said"), [
    ("a-c", "a", "prepend", 1, "There is no session 'a-c'; choose one of a-b, b-c."),
    ("a-b", "left", "prepend", 1, 'A side is "a" or "b", the first or second router of a session; \'left\' was given.'),
    ("a-b", "a", "med", 1, "A session has no option 'med'; it has rr_client, next_hop_self, allowas_in"),
    ("a-b", "a", "prepend", 256, "prepend is a whole number from 0 to 255; 256 was given."),
    ("a-b", "a", "prepend", True, "prepend is a whole number from 0 to 255; True was given."),
    ("a-b", "a", "rr_client", "yes", "rr_client cannot be 'yes'; say True or False."),
    ("a-b", "a", "as_override", None, "as_override cannot be None; say True or False."),
    ("a-b", "a", "role", "boss", "role cannot be 'boss'; say a role."),
])  # fmt: skip
def test_an_option_that_no_session_has(session: str, side: Any, opt: str, value: object, said: str) -> None:
    """A session, side, option or value that there is not gets a sentence, and changes nothing."""
    network = settle(case(CHAIN, ["a-b", "b-c"], originate=[{"router": "a"}]))
    with pytest.raises(CourseError) as caught:
        network.set_session_opt(session, side, opt, value)
    assert str(caught.value).startswith(said)
    assert (network.run().updates, network.sessions["a-b"][0].options) == (0, Options())


def test_a_router_that_there_is_not() -> None:
    """Whoever is looked at, or has something done to it, is told by name where it is not there."""
    network = settle(case(CHAIN, ["a-b", "b-c"], originate=[{"router": "a"}]))
    for ask in (network.speakers.__getitem__, network.router_down, network.router_up,
                lambda name: network.originate(name, P)):  # fmt: skip
        with pytest.raises(CourseError, match="There is no router 'z'; choose one of a, b, c"):
            ask("z")


def test_igp_cost_moves_the_exit() -> None:
    """When the IGP cost of the nearer exit rises, a router changes to the other one (hot potato)."""
    outside = [{"id": f"x{i}", "a": "x", "b": f"e{i}", "a_addr": f"172.17.{i}.0", "b_addr": f"172.17.{i}.1"}
               for i in (1, 2)]  # fmt: skip
    scenario = parse({
        "routers": [{"name": n, "asn": 2, "router_id": f"10.0.0.{i}"} for i, n in enumerate(("in", "e1", "e2"), 1)]
        + [{"name": "x", "asn": 1, "router_id": "10.0.0.9"}],
        "links": [{"id": f"l{i}", "a": "in", "b": f"e{i}", "a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1",
                   "cost": 10 * i, "igp": True} for i in (1, 2)] + outside,
        "sessions": [{"id": f"i{i}", "a": "in", "b": f"e{i}", "b_opts": {"next_hop_self": True}} for i in (1, 2)]
        + outside,
        "originate": [{"router": "x", "prefix": P}],
        "steps": [{"rib": {"in": {P: {"from": "e1", "decided_by": "igp-metric"}}}},
                  {"actions": [{"op": "set_cost", "link": "l1", "cost": 30}],
                   "rib": {"in": {P: {"from": "e2", "decided_by": "igp-metric"}}}, "updates": 0},
                  {"actions": [{"op": "link_down", "link": "l2"}], "sessions": 3,
                   "rib": {"in": {P: {"from": "e1", "candidates": 1}}}}],
    })[0]  # fmt: skip
    assert [step.differences for step in run(scenario)] == [(), (), ()]


def test_a_route_does_not_go_back_to_its_sender() -> None:
    """Over loopbacks, where NEXT_HOP is no sign of it, a route is sent on and not back: one UPDATE, not two."""
    scenario = parse({
        "routers": [{"name": n, "asn": i, "router_id": f"10.0.0.{i}"} for i, n in ((1, "a"), (2, "b"))],
        "links": [{"id": "l", "a": "a", "b": "b", "a_addr": "172.16.0.0", "b_addr": "172.16.0.1", "igp": True}],
        "sessions": [{"id": "s", "a": "a", "b": "b"}],
        "originate": [{"router": "a", "prefix": P}],
    })[0]  # fmt: skip
    assert settle(scenario).updates == 1
    assert settle(scenario, "frr").updates == 2


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (Attributes(as_path=(7, 64512), next_hop="192.168.0.9"), "AS loop: own AS 64512 is in AS_PATH"),
        (Attributes(next_hop="192.168.0.9", originator_id="192.168.0.1"), "ORIGINATOR_ID 192.168.0.1 is its own"),
        (Attributes(next_hop="192.168.0.9", cluster_list=("1.1.1.1", "192.168.0.1")), "own cluster id 192.168.0.1"),
        (Attributes(next_hop="192.168.0.1"), "NEXT_HOP 192.168.0.1 is its own address"),
        (Attributes(next_hop="192.168.0.9", originator_id="1.1.1.1", cluster_list=("1.1.1.1",)), None),
    ],
)
def test_what_an_ibgp_speaker_refuses(attributes: Attributes, reason: str | None) -> None:
    """Its own AS, router id, cluster id or address in a route says that the route went round in a circle."""
    end = topologies.full_mesh(2).simulation().sessions["n1-n2"][0]
    refused = end.speaker.take_in(end, attributes).refused
    assert (refused is None) == (reason is None)
    assert (reason or "") in (refused or "")


# ---- ADD-PATH ------------------------------------------------------------------------------------------------------


def test_add_path_brings_a_client_all_paths() -> None:
    """With ADD-PATH the reflector passes on every path of an anycast prefix; without, only its best."""
    scenario = topologies.route_reflectors(4)
    for adds, candidates in ((False, 1), (True, 2)):
        simulation = scenario.simulation()
        for session in simulation.sessions if adds else ():
            simulation.set_session_opt(session, "a", "add_path", True)
        for node in ("n1", "n2"):
            simulation.originate(node, P)
        simulation.run()
        decision = simulation.speakers["n4"].loc_rib[P]
        assert decision.candidates == candidates
        assert getattr(best(simulation, "n4"), "next_hop", None) == topologies.node_address(1)
        simulation.withdraw("n1", P)
        simulation.run()
        assert getattr(best(simulation, "n4"), "next_hop", None) == topologies.node_address(2)
        assert simulation.speakers["n4"].loc_rib[P].candidates == 1
        simulation.withdraw("n2", P)
        simulation.run()
        assert best(simulation, "n4") is None


# ---- deaths and returns --------------------------------------------------------------------------------------------


def test_graceful_restart_loses_no_route() -> None:
    """While the reflector restarts its clients keep what they heard, stale, and in the end nothing has changed."""
    simulation = settle(topologies.route_reflectors(3))
    before = {name: dict(speaker.loc_rib) for name, speaker in simulation.speakers.items()}
    simulation.router_graceful_restart("rr")
    assert simulation.stale == {f"n{i}": [topologies.block(j) for j in range(1, 4) if j != i] for i in range(1, 4)}
    assert all(best(simulation, "n1", topologies.block(i)) for i in (1, 2, 3))
    assert simulation.run().updates == 9
    assert {n: {p: d.best and d.best.attributes for p, d in rows.items()} for n, rows in before.items()} == {
        n: {p: d.best and d.best.attributes for p, d in s.loc_rib.items()} for n, s in simulation.speakers.items()}
    held = [path for s in simulation.speakers.values() for rows in s.adj_rib_in.values() for path in rows.values()]
    assert not any(path.stale for path in held)


def test_graceful_restart_drops_what_did_not_come_back() -> None:
    """A route that the restarted router no longer announces goes with its End-of-RIB."""
    simulation = settle(topologies.route_reflectors(3))
    simulation.speakers["n1"].own.clear()
    simulation.router_graceful_restart("n1")
    simulation.run()
    assert best(simulation, "n2", topologies.block(1)) is None
    assert best(simulation, "n1", topologies.block(2)) is not None


@pytest.mark.parametrize(("death", "graceful", "waits"), [
    ("clean", False, 0), ("killed", False, 0), ("killed", True, RESTART_TIME), ("cable", False, HOLD_TIME),
])  # fmt: skip
def test_deaths_differ_in_time_only(death: Any, graceful: bool, waits: int) -> None:
    """Peers hear of a clean stop at once, of a pulled cable by the hold timer; the tables end up the same."""
    simulation = settle(topologies.full_mesh(4))
    begun = simulation.time
    simulation.router_down("n1", death, graceful=graceful)
    gone = best(simulation, "n2", topologies.block(1)) is None
    simulation.run()
    assert gone == (waits == 0)
    assert simulation.time - begun == waits
    assert best(simulation, "n2", topologies.block(1)) is None
    assert simulation.established == 3
    simulation.router_up("n1")
    simulation.run()
    assert best(simulation, "n2", topologies.block(1)) is not None


def test_a_router_that_returns_in_time_cancels_the_timers() -> None:
    """Back before the hold timer of its peers, a router starts all its sessions afresh, and no timer rings."""
    simulation = settle(topologies.full_mesh(4))
    simulation.router_down("n1", "cable")
    simulation.router_up("n1")
    begun = simulation.time
    assert simulation.run().converged
    assert simulation.time - begun < HOLD_TIME
    assert all(best(simulation, f"n{i}", topologies.block(1)) for i in range(1, 5))


def test_down_twice_is_down_once() -> None:
    """Killing the dead, raising the living, closing the closed: nothing happens."""
    simulation = settle(topologies.full_mesh(3))
    for _ in range(2):
        simulation.router_down("n1")
        simulation.session_down("n2-n3")
    simulation.router_up("n2")
    assert simulation.run().updates == 0
    assert simulation.established == 0


def test_a_message_under_way_dies_with_its_session() -> None:
    """What was sent before a session fell does not arrive over its successor."""
    scenario = topologies.full_mesh(2)
    simulation = scenario.simulation()
    simulation.originate("n1", P)
    simulation.session_down("n1-n2")
    simulation.withdraw("n1", P)
    simulation.session_up("n1-n2")
    simulation.run()
    assert best(simulation, "n2") is None


def test_gobgp_looks_at_the_as_of_each_peer() -> None:
    """A sender that spares a peer its own AS looks at every peer anew, also where all have the same options."""
    rack = topologies.tor(4, lan=True)
    rack = replace(rack, routers=tuple(replace(r, asn=65000) if r.name in ("n2", "n4") else r for r in rack.routers))
    assert settle(rack).updates == 16
    assert settle(rack, "gobgp").updates == 14


def test_a_loop_through_a_set_is_a_loop() -> None:
    """An AS number inside an AS_SET counts once, as outside (RFC 4271 §9.1.2)."""
    path = (7, frozenset({1, 2}), 1)
    assert [Attributes(as_path=path).as_count(asn) for asn in (1, 2, 7, 9)] == [2, 1, 1, 0]


# ---- time and trace ------------------------------------------------------------------------------------------------


def test_delays_are_kept() -> None:
    """Every message takes its session's delay; the clock stands at the arrival of the last one."""
    scenario = case(CHAIN, ["a-b", "b-c"], originate=[{"router": "a"}])
    simulation = scenario.simulation(schedule=ByDelay({"a-b": 30, "b-c": 400}), record=True)
    scenario.start(simulation)
    simulation.run()
    assert simulation.time == 430
    assert [(m.number, m.sent, m.sender, m.receiver, m.session) for m in simulation.messages] == [
        (1, 0, "a", "b", "a-b"), (2, 30, "b", "c", "b-c")]  # fmt: skip


def test_coalescing_merges_what_still_waits() -> None:
    """With coalescing an announcement that is withdrawn before it left is one message; without, both travel on."""
    scenario = case(CHAIN, ["a-b", "b-c"], originate=[])
    for coalesce, count in ((True, 1), (False, 4)):
        simulation = scenario.simulation(schedule=ByDelay(coalesce=coalesce))
        simulation.originate("a", P)
        simulation.withdraw("a", P)
        assert simulation.run().updates == count


def test_random_order_is_repeatable() -> None:
    """One seed is one order of messages."""
    scenario = topologies.leaf_spine(4, 3, shared_spine_as=False)
    traces = []
    for seed in (3, 3, 4):
        simulation = scenario.simulation(schedule=Shuffled(seed), record=True)
        scenario.start(simulation)
        simulation.run()
        traces.append([(m.sender, m.receiver, m.prefix, m.attributes) for m in simulation.messages])
    assert traces[0] == traces[1] != traces[2]


def test_longest_prefix_wins_in_the_fib() -> None:
    """A /32 that moved away from its block wins over the block; outside both there is no next hop."""
    table = {"10.65.1.0/26": ["192.168.0.1"], "10.65.1.7/32": ["192.168.0.2"], "fd00::/64": ["fe80::1"]}
    assert [lookup(table, dst) for dst in ("10.65.1.7", "10.65.1.8", "10.65.9.9", "fd00::1", "x")] == [
        ["192.168.0.2"], ["192.168.0.1"], [], ["fe80::1"], []]  # fmt: skip


def test_ipv6_prefixes_and_sessions_work() -> None:
    """Addresses and prefixes may be IPv6 throughout; ids stay four numbers."""
    scenario = parse({
        "routers": [{"name": n, "asn": a, "router_id": f"10.0.0.{a}"} for n, a in (("a", 1), ("b", 2))],
        "links": [{"id": "l", "a": "a", "b": "b", "a_addr": "fd00::0", "b_addr": "fd00:0::1", "prefix_len": 127}],
        "sessions": [{"id": "s", "a": "a", "b": "b", "a_addr": "fd00::", "b_addr": "fd00::1"}],
        "originate": [{"router": "a", "prefix": "fd00:10::/64"}],
    })[0]  # fmt: skip
    assert getattr(best(settle(scenario), "b", "fd00:10::/64"), "next_hop", None) == "fd00::"


def test_written_scenarios_read_back() -> None:
    """What `written` makes of a scenario, `parse` reads as the same."""
    bent = case({"a": 1, "b": 2}, ["a-b"], originate=[{"router": "a"}], opts={"a>b": {"local_pref_in": 200}})
    for scenario in (bent, topologies.tor(3, "shared-as-override"), topologies.full_mesh(3)):
        assert parse(written(scenario))[0] == scenario
