"""Everything the schema of scenario files names, in networks whose answers were worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest

from coursekit.__main__ import main
from coursekit.bgp import expectations
from coursekit.bgp.decision import Decision
from coursekit.bgp.expectations import run
from coursekit.bgp.route import Attributes, Path, Peer
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.scenario_writer import written

P = "203.0.113.0/24"


def router(name: str, asn: int, last: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "asn": asn, "router_id": f"10.0.0.{last}"} | more


def link(number: int, a: str, b: str, **more: Any) -> dict[str, Any]:
    """Return link l{number} with the addresses 172.16.{number}.0 and .1."""
    return {"id": f"l{number}", "a": a, "b": b, "a_addr": f"172.16.{number}.0", "b_addr": f"172.16.{number}.1"} | more


def over(number: int, a: str, b: str, **more: Any) -> dict[str, Any]:
    """Return session s{number} over link l{number}."""
    return link(number, a, b) | {"id": f"s{number}"} | more


def lan(*names: str) -> list[dict[str, Any]]:
    """Return a LAN on which routers have the addresses 192.168.0.1, .2 and so on."""
    return [{"id": "lan", "prefix_len": 24, "members": {name: f"192.168.0.{i}" for i, name in enumerate(names, 1)}}]


def on_lan(a: str, b: str, i: int, j: int, **more: Any) -> dict[str, Any]:
    return {"id": f"{a}{b}", "a": a, "b": b, "a_addr": f"192.168.0.{i}", "b_addr": f"192.168.0.{j}"} | more


AT_P = [{"router": "x", "prefix": P}]
CLIENT = {"a_opts": {"rr_client": True}}
ADDING = {"a_opts": {"rr_client": True, "add_path": True}}
CASES: dict[str, dict[str, Any]] = {
    "prepending costs hops and is seen": {
        "routers": [router("x", 1, 1), router("a", 2, 2), router("b", 3, 3), router("r", 4, 4)],
        "links": [link(1, "x", "a"), link(2, "x", "b"), link(3, "a", "r"), link(4, "b", "r")],
        "sessions": [over(1, "x", "a"), over(2, "x", "b"), over(3, "a", "r", a_opts={"prepend": 2}), over(4, "b", "r")],
        "originate": AT_P,
        "steps": [
            {"rib": {"r": {P: {"from": "b", "as_path": [3, 1], "decided_by": "as-path-length", "candidates": 2}}}},
            {"actions": [{"op": "session_down", "session": "s4"}],
             "rib": {"r": {P: {"from": "a", "as_path": [2, 2, 2, 1], "candidates": 1, "decided_by": "only-path"}}}},
        ],
    },
    "allowas-in counts copies": {  # x and y are sites of one AS behind the provider p
        "routers": [router("x", 7, 1), router("p", 2, 2), router("y", 7, 3)],
        "links": [link(1, "x", "p"), link(2, "p", "y")],
        "sessions": [over(1, "x", "p", a_opts={"prepend": 1}), over(2, "p", "y", b_opts={"allowas_in": 1})],
        "originate": AT_P,
        "steps": [
            {"rib": {"y": {P: None}}, "updates": 2},
            {"actions": [{"op": "set_session_opt", "session": "s2", "side": "b", "opt": "allowas_in", "value": 2}],
             "rib": {"y": {P: {"from": "p", "as_path": [2, 7, 7]}}}, "updates": 0},
            {"actions": [{"op": "set_session_opt", "session": "s2", "side": "b", "opt": "allowas_in", "value": 0},
                         {"op": "set_session_opt", "session": "s2", "side": "a", "opt": "as_override", "value": True}],
             "rib": {"y": {P: {"as_path": [2, 2, 2]}}}, "updates": 1},
        ],
    },
    "next-hop-self is for what came over eBGP, not for what is reflected": {
        "routers": [router("x", 1, 1), router("edge", 2, 2), router("rr", 2, 3), router("c", 2, 4)],
        "links": [link(1, "x", "edge"), link(2, "edge", "rr", igp=True, cost=3), link(3, "rr", "c", igp=True, cost=4)],
        "sessions": [over(1, "x", "edge"), over(2, "edge", "rr", b_opts={"rr_client": True, "next_hop_self": True}),
                     over(3, "rr", "c", a_opts={"rr_client": True, "next_hop_self": True})],
        "originate": [*AT_P, {"router": "edge", "prefix": "10.65.1.0/26"}],
        "steps": [
            {"rib": {"rr": {P: None, "10.65.1.0/26": {"next_hop": "172.16.2.0", "cluster_list": []}},
                     "c": {P: None, "10.65.1.0/26": {
                         "next_hop": "172.16.2.0", "originator_id": "10.0.0.2", "cluster_list": ["10.0.0.3"]}}}},
            {"actions": [{"op": "set_session_opt", "session": "s2", "side": "a", "opt": "next_hop_self",
                          "value": True}],
             "rib": {"c": {P: {"from": "rr", "next_hop": "172.16.2.0", "as_path": [1], "originator_id": "10.0.0.2"}}}},
        ],
    },
    "a third party's next hop on one LAN": {
        "routers": [router("x", 1, 1), router("tor", 2, 2), router("y", 3, 3), router("far", 4, 4)],
        "lans": lan("x", "tor", "y"), "links": [link(1, "tor", "far")],
        "sessions": [on_lan("tor", "x", 2, 1), on_lan("tor", "y", 2, 3), over(1, "tor", "far")],
        "originate": AT_P,
        "steps": [
            {"rib": {"y": {P: {"from": "tor", "as_path": [2, 1], "next_hop": "192.168.0.1"}},
                     "far": {P: {"next_hop": "172.16.1.0"}}}, "updates": 3,
             "fib": {"y": {"203.0.113.9": "192.168.0.1"}}},
            {"actions": [{"op": "set_session_opt", "session": "tory", "side": "a", "opt": "next_hop_self",
                          "value": True}], "rib": {"y": {P: {"next_hop": "192.168.0.2"}}}, "updates": 1},
        ],
    },
    "the IGP decides, then does not know the way": {
        "routers": [router("x", 1, 1), router("a", 2, 2), router("b", 2, 3), router("in", 2, 4)],
        "links": [link(1, "x", "a"), link(2, "x", "b"), link(3, "a", "in", igp=True, cost=10),
                  link(4, "b", "in", igp=True, cost=20)],
        "sessions": [over(1, "x", "a"), over(2, "x", "b"),
                     {"id": "ia", "a": "a", "b": "in", "a_opts": {"next_hop_self": True}},
                     {"id": "ib", "a": "b", "b": "in", "a_opts": {"next_hop_self": True}}],
        "originate": AT_P,
        "steps": [
            {"rib": {"in": {P: {"from": "a", "next_hop": "10.0.0.2", "decided_by": "igp-metric", "candidates": 2}}}},
            {"actions": [{"op": "set_cost", "link": "l3", "cost": 20}],
             "rib": {"in": {P: {"from": "a", "decided_by": "router-id"}}}, "updates": 0},
            {"actions": [{"op": "link_down", "link": "l3"}], "sessions": 3,
             "rib": {"in": {P: {"from": "b", "decided_by": "only-path", "candidates": 1}}}},
            {"actions": [{"op": "link_down", "link": "l4"}], "sessions": 2, "rib": {"in": {P: None}}},
            {"actions": [{"op": "link_up", "link": "l3"}, {"op": "link_up", "link": "l4"}], "sessions": 4,
             "rib": {"in": {P: {"from": "a", "candidates": 2}}}},
        ],
    },
    "NO_EXPORT, NO_ADVERTISE": {
        "routers": [router("x", 1, 1), router("a", 2, 2), router("b", 2, 3), router("y", 3, 4)],
        "links": [link(1, "x", "a"), link(2, "a", "b", igp=True), link(3, "b", "y")],
        "sessions": [over(1, "x", "a"), over(2, "a", "b", a_opts={"next_hop_self": True}), over(3, "b", "y")],
        "originate": [{"router": "x", "prefix": "10.1.0.0/16", "communities": ["no-export"]},
                      {"router": "x", "prefix": "10.2.0.0/16", "communities": ["no-advertise"]},
                      {"router": "x", "prefix": "10.3.0.0/16", "communities": ["65535:65281"]},
                      {"router": "x", "prefix": "10.4.0.0/16", "communities": ["64512:5"]}],
        "steps": [{"updates": 4 + 3 + 1, "rib": {
            "a": {f"10.{i}.0.0/16": {"from": "x"} for i in (1, 2, 3, 4)},
            "b": {"10.1.0.0/16": {"from": "a"}, "10.2.0.0/16": None, "10.3.0.0/16": {"from": "a"}},
            "y": {"10.1.0.0/16": None, "10.2.0.0/16": None, "10.3.0.0/16": None, "10.4.0.0/16": {"as_path": [2, 1]}}}}],
    },
    "ADD-PATH shows a client what its reflector did not choose": {
        "requires": ["add-path"],
        "routers": [router("rr", 2, 9), router("a", 2, 1), router("b", 2, 2), router("c", 2, 3, max_paths=4)],
        "lans": lan("rr", "a", "b", "c"),
        "sessions": [on_lan("rr", "a", 1, 2, **CLIENT), on_lan("rr", "b", 1, 3, **CLIENT),
                     on_lan("rr", "c", 1, 4, a_opts=ADDING["a_opts"], b_opts={"add_path": True})],
        "originate": [{"router": "a", "prefix": P}, {"router": "b", "prefix": P, "med": 0}],
        "steps": [
            {"rib": {"c": {P: {"from": "rr", "originator_id": "10.0.0.1", "candidates": 2, "decided_by": "router-id",
                               "next_hop": "192.168.0.2"}}},
             "fib": {"c": {P: ["192.168.0.2", "192.168.0.3"]}}, "updates": 2 + 2 + 1},
            # rr's best path goes: b's stands there already, and c loses one of two.
            {"actions": [{"op": "withdraw", "router": "a", "prefix": P}], "updates": 2 + 2,
             "rib": {"c": {P: {"originator_id": "10.0.0.2", "candidates": 1}}}, "fib": {"c": {P: "192.168.0.3"}}},
        ],
    },
    "graceful restart": {
        "requires": ["graceful-restart"],
        "routers": [router("rr", 2, 9), router("a", 2, 1), router("b", 2, 2)],
        "lans": lan("rr", "a", "b"),
        "sessions": [on_lan("rr", "a", 1, 2, **CLIENT), on_lan("rr", "b", 1, 3, **CLIENT)],
        "originate": [{"router": "a", "prefix": "10.65.1.0/26"}, {"router": "b", "prefix": "10.65.2.0/26"}],
        "steps": [{}, {"actions": [{"op": "router_graceful_restart", "router": "rr"}], "updates": 4, "sessions": 2,
                       "stale_during": {"a": ["10.65.2.0/26"], "b": ["10.65.1.0/26"]},
                       "rib": {"a": {"10.65.2.0/26": {"from": "rr"}}}}],
    },
    "DISAGREE has two right answers": {
        "routers": [router("x", 1, 1), router("a", 2, 2), router("b", 3, 3)],
        "links": [link(1, "x", "a"), link(2, "x", "b"), link(3, "a", "b")],
        "sessions": [over(1, "x", "a"), over(2, "x", "b"),
                     over(3, "a", "b", a_opts={"local_pref_in": 200}, b_opts={"local_pref_in": 200})],
        "originate": AT_P,
        "steps": [{"note": "may livelock in lockstep", "rib_any_of": [
            {"a": {P: {"from": "b", "as_path": [3, 1]}}, "b": {P: {"from": "x", "as_path": [1]}}},
            {"a": {P: {"from": "x", "as_path": [1]}}, "b": {P: {"from": "a", "as_path": [2, 1]}}}]}],
    },
    "spines with an AS each let valleys in": {
        "routers": [router("s1", 101, 101), router("s2", 102, 102), router("x", 1, 1), router("l2", 2, 2)],
        "links": [link(1, "x", "s1"), link(2, "x", "s2"), link(3, "l2", "s1"), link(4, "l2", "s2")],
        "sessions": [over(1, "x", "s1"), over(2, "x", "s2"), over(3, "l2", "s1"), over(4, "l2", "s2")],
        "originate": AT_P,
        # s2 hears 2 101 1 from l2; s1 does not, for l2 chose s1.
        "steps": [{"max_as_path_len_accepted": 3, "rib": {"s2": {P: {"as_path": [1], "candidates": 2}}}},
                  {"actions": [{"op": "link_down", "link": "l2"}], "max_as_path_len_accepted": 3,
                   "rib": {"s2": {P: {"as_path": [2, 101, 1], "from": "l2"}}}},
                  {"actions": [{"op": "withdraw", "router": "x", "prefix": P}], "rib": {"s2": {P: None}}}],
    },
    "multipath-relax, and a FIB that follows": {
        "routers": [router("x", 1, 1), router("a", 2, 2), router("b", 3, 3), router("r", 4, 4, max_paths=2)],
        "links": [link(1, "x", "a"), link(2, "x", "b"), link(3, "a", "r"), link(4, "b", "r")],
        "sessions": [over(i, *ends) for i, ends in enumerate((("x", "a"), ("x", "b"), ("a", "r"), ("b", "r")), 1)],
        "originate": [*AT_P, {"router": "a", "prefix": "203.0.113.7/32"}],
        "steps": [
            {"rib": {"r": {P: {"from": "a", "decided_by": "router-id", "candidates": 2, "multipath_from": ["b", "a"]},
                           "203.0.113.7/32": {"from": "a", "multipath_from": ["a"]}}},
             "fib": {"r": {"203.0.113.1": ["172.16.4.0", "172.16.3.0"], "203.0.113.7": "172.16.3.0"}}},
            {"actions": [{"op": "router_down", "router": "a"}], "sessions": 2,
             "rib": {"r": {P: {"multipath_from": ["b"]}, "203.0.113.7/32": None}, "a": {P: None}},
             "fib": {"r": {"203.0.113.7": "172.16.4.0"}}},
            {"actions": [{"op": "router_up", "router": "a"}], "sessions": 4,
             "fib": {"r": {"203.0.113.7": "172.16.3.0"}}},
        ],
    },
    "MED: deterministic, absent is 0, and only inside one neighbour AS": {
        "routers": [router("r", 9, 9), router("p1", 1, 1), router("p2", 1, 2), router("q", 3, 3)],
        "lans": lan("r", "p1", "p2", "q"),
        "sessions": [on_lan("r", "p1", 1, 2), on_lan("r", "p2", 1, 3), on_lan("r", "q", 1, 4)],
        "originate": [{"router": "p1", "prefix": P, "med": 1}, {"router": "p2", "prefix": P},
                      {"router": "q", "prefix": P, "med": 99}],
        "steps": [{"rib": {"r": {P: {"from": "p2", "med": 0, "decided_by": "router-id", "candidates": 3}}}},
                  {"actions": [{"op": "withdraw", "router": "q", "prefix": P}],
                   "rib": {"r": {P: {"from": "p2", "decided_by": "med"}}}},
                  {"actions": [{"op": "originate", "router": "q", "prefix": P, "origin": "egp"},
                               {"op": "session_down", "session": "rp2"}],
                   "rib": {"r": {P: {"from": "p1", "decided_by": "origin", "med": 1}}}}],
    },
    "two clusters that share an id are a black hole for one another's clients": {
        "routers": [router("r1", 2, 1, cluster_id="1.1.1.1"), router("r2", 2, 2, cluster_id="1.1.1.1"),
                    router("c1", 2, 3), router("c2", 2, 4)],
        "lans": lan("r1", "r2", "c1", "c2"),
        "sessions": [on_lan("r1", "r2", 1, 2), on_lan("r1", "c1", 1, 3, **CLIENT), on_lan("r2", "c2", 2, 4, **CLIENT)],
        "originate": [{"router": "c1", "prefix": P}],
        "steps": [{"rib": {"r1": {P: {"from": "c1"}}, "r2": {P: None}, "c2": {P: None}}, "updates": 2,
                   # BIRD looks for its cluster id only where it has clients: r2 itself can use what c2 cannot get.
                   "rib_override": {"bird": {"r2": {P: {"from": "r1"}}}}}],
    },
    "a cable is pulled, and only the hold timer tells": {
        "routers": [router("x", 1, 1), router("y", 1, 2)], "lans": lan("x", "y"),
        "sessions": [on_lan("x", "y", 1, 2)], "originate": AT_P,
        "steps": [{}, {"actions": [{"op": "router_down", "router": "x", "death": "cable"}], "sessions": 0,
                       "rib": {"y": {P: None}}}],
    },
    "a failure in the middle of a run": {  # the withdrawal overtakes nothing, and c never hears of either
        "routers": [router("x", 1, 1), router("a", 2, 2), router("b", 3, 3), router("c", 4, 4)],
        "links": [link(1, "x", "a"), link(2, "a", "b"), link(3, "b", "c")],
        "sessions": [over(1, "x", "a"), over(2, "a", "b"), over(3, "b", "c")], "originate": AT_P,
        "steps": [{"actions": [{"op": "session_down", "session": "s2", "at": 2}], "updates": 4, "sessions": 2,
                   "rib": {"a": {P: {"from": "x"}}, "b": {P: None}, "c": {P: None}}},
                  {"actions": [{"op": "session_up", "session": "s2", "at": 7}], "updates": 2,
                   "rib": {"c": {P: {"as_path": [3, 2, 1]}}}}],
    },
    "a FIB in either form": {  # what BGP chose, or the neighbour through which the IGP gets there
        "routers": [router("x", 1, 1), router("y", 1, 2), router("z", 1, 3)],
        "links": [link(1, "x", "y", igp=True), link(2, "y", "z", igp=True)],
        "sessions": [{"id": "xz", "a": "x", "b": "z"}], "originate": AT_P,
        "steps": [{"fib": {"z": {P: "10.0.0.1", "203.0.113.7": "172.16.2.0", "198.51.100.1": None}}},
                  {"fib": {"z": {P: "172.16.2.0", "203.0.113.7": "10.0.0.1"}, "x": {P: "local"}}}],
    },
    "ids that are numbers": {
        "routers": [router("x", 1, 1), router("y", 2, 2)], "links": [link(1, "x", "y", id=7)],
        "sessions": [over(1, "x", "y", id=5)], "originate": AT_P,
        "steps": [{"updates": 1}, {"actions": [{"op": "session_down", "session": 5}], "sessions": 0},
                  {"actions": [{"op": "session_up", "session": "5"}], "sessions": 1},
                  {"actions": [{"op": "link_down", "link": 7}], "sessions": 0, "rib": {"y": {P: None}}}],
    },
    "only what must be there": {
        "routers": [router("x", 1, 1), router("y", 2, 2)],
        "lans": [{"members": {"x": "192.168.0.1", "y": "192.168.0.2"}}],
        "sessions": [{"a": "x", "b": "y", "a_addr": "192.168.0.1", "b_addr": "192.168.0.2"}], "originate": AT_P,
        "steps": [{"rib": {"y": {P: {"from": "x"}}}, "sessions": 1, "updates": 1}],
    },
    "much that says nothing": {
        "notes": "…", "observed": {"bird-2.0.12": ["match"]}, "comment": {"frr": "…"}, "refs": [], "tags": 1,
        "routers": [router("x", 1, 1, note="…", max_paths=1, comment="spine"), router("y", 2, 2)], "links": [],
        "lans": lan("x", "y"), "originate": [{**AT_P[0], "origin": "igp", "med": None, "communities": [], "note": "…"}],
        "sessions": [on_lan("x", "y", 1, 2, note="…", b_opts=None, a_opts={
            "notes": "…", "rr_client": False, "local_pref_in": None, "prepend": None, "add_path": False})],
        "steps": [{"name": "one", "notes": "…", "actions": [], "rib": {"y": {P: {"from": "x", "note": "…"}}},
                   "rib_any_of": None, "fib": None}],
    },
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_case_meets_what_was_worked_out(title: str) -> None:
    """Tables, counts, sessions, FIB and reasons are those worked out by hand; what is written out reads back alike."""
    (scenario,) = parse({"id": title} | CASES[title])
    assert [step.differences for step in run(scenario)] == [()] * len(CASES[title]["steps"])
    (again,) = parse(json.loads(json.dumps(written(scenario))))
    assert again == scenario
    profiles = [profile for step in CASES[title]["steps"] for profile in step.get("rib_override", ())]
    assert [d for profile in profiles for step in run(scenario, profile) for d in step.differences] == []


def test_what_a_step_expects_is_compared() -> None:
    """Each of these cases fails where a value that it expects is another one: nothing of the schema is passed over."""
    for title, case in CASES.items():
        for number, step in enumerate(case["steps"]):
            for key in ("updates", "sessions", "max_as_path_len_accepted"):
                if key in step:
                    steps = [*case["steps"][:number], step | {key: step[key] + 1}]
                    (scenario,) = parse({"id": title} | case | {"steps": steps})
                    assert [len(step.differences) for step in run(scenario)] == [0] * number + [1], (title, key)
    bad = CASES["graceful restart"]["steps"][1] | {"stale_during": {"a": ["10.65.1.0/26"]}}
    (scenario,) = parse(CASES["graceful restart"] | {"steps": [{}, bad]})
    assert "stale during the restart" in list(run(scenario))[1].differences[0]


def test_a_fib_that_is_another_one_is_a_difference() -> None:
    """Neither next hop nor gateway: a sentence, even where nothing is expected."""
    case = CASES["a FIB in either form"]
    for fib in ({"z": {P: "172.16.1.0"}}, {"z": {P: None}}):
        (scenario,) = parse(case | {"steps": [{"fib": fib}]})
        (step,) = run(scenario)
        assert len(step.differences) == 1, fib
        assert next(iter(fib)) in step.differences[0]


def test_a_stable_state_says_nothing_of_a_daemons_losers() -> None:
    """`rib_any_of` compares routes under a daemon's profile; candidates and reason are the RFCs', as in `rib`."""
    case = CASES["DISAGREE has two right answers"]
    (scenario,) = parse(case)
    found = next(iter(run(scenario))).rib
    states = [{name: {prefix: row | {"candidates": 9} if row and "candidates" in row else row
                      for prefix, row in rows.items()} for name, rows in found.items()}]  # fmt: skip
    (scenario,) = parse(case | {"steps": [{"rib_any_of": states}]})
    assert "candidates is" in next(iter(run(scenario))).differences[0]
    assert next(iter(run(scenario, "frr"))).differences == ()


def test_one_bad_case_stops_no_other(tmp_path: File, capsys: pytest.CaptureFixture[str]) -> None:
    """The good cases of a file run and are printed; each bad one gets its sentence, and the status is 2."""
    good, other = CASES["DISAGREE has two right answers"], CASES["graceful restart"]
    unreachable = {"routers": [router("x", 1, 1), router("y", 2, 2)], "sessions": [{"a": "x", "b": "y"}]}
    file = tmp_path / "some.json"
    file.write_text(json.dumps({"cases": [
        {"id": "far"} | unreachable, {"id": "good"} | good, {"id": "zero", "routers": [router("x", 0, 1)]}, 5,
        {"id": "later", "requires": ["confederations"], "routers": "beyond us"}, {"id": "other"} | other,
        {"id": "good"} | good,
    ]}))  # fmt: skip
    assert main(["bgp", str(file), "--json"]) == 2
    out, err = capsys.readouterr()
    assert [case["id"] for case in json.loads(out)["cases"]] == ["good", "other"]
    said = err.splitlines()
    assert said[0] == "later: skipped, it requires confederations"
    assert [line.split(" ")[:3] for line in said[1:]] == [
        ["coursekit:", "Case", word] for word in ("zero", "4", "id", "far:")]  # fmt: skip
    assert "note" in json.loads(out)["cases"][0]["steps"][0]


def test_closed_forms_of_a_file_are_checked(tmp_path: File, capsys: pytest.CaptureFixture[str]) -> None:
    """`parametric` is run at its sizes: what holds is said, what does not is a sentence and status 1, nonsense is 2."""
    file = tmp_path / "forms.json"

    def status(*forms: Any) -> tuple[int, str]:
        file.write_text(json.dumps({"schema_version": 1, "parametric": list(forms)}))
        done = main(["bgp", str(file)])
        return done, "".join(capsys.readouterr())

    form = {"id": "F2", "title": "one RR", "updates": "n*n", "sessions": "n", "check_n": [2, 5]}
    assert status(form) == (0, "F2  one RR: the formulas hold for 2, 5\n")
    assert status(form | {"updates": "n^2 - 1"}) == (1, "".join(
        f"F2, n = {n}: updates is {n * n}, by the formula n^2 - 1 it is {n * n - 1}.\n" for n in (2, 5)))  # fmt: skip
    assert status(form | {"updates": "n*x"})[0] == 2
    assert status({"id": "F99"}, 5)[1].startswith("F99: skipped, there are closed forms of F1")


def test_one_entry_stands_for_several_routers_only_if_all_of_it_is_the_same() -> None:
    """Equal routes are held once; another step, count, balance or attribute makes another entry."""
    first, second = (Path(Attributes(next_hop=f"10.0.0.{i}"), Peer(f"r{i}", 1, "10.0.0.1", "10.0.0.1", False))
                     for i in (1, 2))  # fmt: skip
    one = Decision(first, "med", 2, (first,))
    others = [replace(one, decided_by="origin"), replace(one, candidates=3), replace(one, multipath=(first, second)),
              replace(one, best=second), replace(one, best=Path(first.attributes._replace(med=1), first.peer)),
              Decision(Path(Attributes()), "local", 1), Decision()]  # fmt: skip
    held: dict[object, Any] = {}
    assert [expectations.shared(decision, held) for decision in (one, *others)] == [
        expectations.entry(decision) for decision in (one, *others)]  # fmt: skip
    assert expectations.shared(replace(one), held) is expectations.shared(one, held)
