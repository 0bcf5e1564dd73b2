"""Roles (RFC 9234): what a provider sends its customer goes on to customers only, whoever forgets a filter."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit.bgp import wire
from coursekit.bgp.loopback import Birds
from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario import Scenario
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.session import ROLES, Role
from coursekit.errors import CourseError

#   t1 === t2      two that peer; below them providers p and q, which peer too; c has both for providers
#   |       |
#   p ===== q
#    \     /
#      c
NAMES = ("t1", "t2", "p", "q", "c")
LINKS: list[tuple[str, str, Role, int]] = [  # what the first is to the second; the second's LOCAL_PREF for the first
    ("t1", "t2", "peer", 50), ("t1", "p", "provider", 10), ("t2", "q", "provider", 10), ("p", "q", "peer", 50),
    ("p", "c", "provider", 10), ("q", "c", "provider", 10),
]  # fmt: skip
PREFERENCE = {"provider": 100, "peer": 50, "customer": 10}  # what I give to those to whom I am that


def network(*, roles: bool = True, leak: bool = False) -> Scenario:
    """Return the five ASes, each with one prefix; with `leak` c keeps no role, and passes everything on."""
    links, sessions = [], []
    for i, (a, b, role, _) in enumerate(LINKS):
        ends = {"a": a, "b": b, "a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1"}
        opts: list[dict[str, Any]] = [{"local_pref_in": PREFERENCE[role]}, {"local_pref_in": PREFERENCE[ROLES[role]]}]
        for opt, mine in zip(opts, (role, ROLES[role]), strict=True):
            opt["role"] = mine if roles else None
        if leak and b == "c":
            opts[1]["role"] = None
        links.append({"id": f"l{i}"} | ends)
        sessions.append({"id": f"{a}-{b}", "a_opts": opts[0], "b_opts": opts[1]} | ends)
    return parse({
        "routers": [{"name": n, "asn": 64601 + i, "router_id": f"10.0.0.{i + 1}"} for i, n in enumerate(NAMES)],
        "links": links, "sessions": sessions,
        "originate": [{"router": n, "prefix": f"10.65.{i}.0/26"} for i, n in enumerate(NAMES)],
    })[0]  # fmt: skip


def tables(scenario: Scenario) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return each router's way to each other one, by name."""
    simulation = scenario.simulation()
    scenario.start(simulation)
    assert simulation.run().converged
    return {(name, other): tuple(NAMES[asn - 64601] for asn in decision.best.attributes.as_path)  # type: ignore[operator]
            for name, speaker in simulation.speakers.items() for i, other in enumerate(NAMES) if name != other
            if (decision := speaker.loc_rib.get(f"10.65.{i}.0/26")) and decision.best}  # fmt: skip


def test_routes_go_down_and_never_up_again() -> None:
    """Every way goes up, at most once across, and down: p and q use their link for each other and not for the tops."""
    ways = tables(network())
    assert ways["p", "t2"] == ("t1", "t2")
    assert ways["p", "q"] == ("q",)
    assert ways["t1", "q"] == ("t2", "q")
    assert ways["t1", "c"] == ("p", "c")
    assert ways["c", "t2"] == ("q", "t2")
    assert len(ways) == 20
    without = tables(network(roles=False))  # p hears of t2 from its peer and its customer too, and likes that better
    assert without["p", "t2"] == ("c", "q", "t2")


def test_a_leak_is_refused_where_it_arrives() -> None:
    """What c heard from its provider q and passes on to p carries OTC, and p, c's provider, refuses it."""
    scenario = network(leak=True)
    assert tables(scenario) == tables(network()) | {("c", "t1"): ("p", "t1"), ("c", "t2"): ("q", "t2")}
    simulation = scenario.simulation()
    scenario.start(simulation)
    simulation.run()
    lost = {path.source: why for path, why in simulation.speakers["p"].decision("10.65.1.0/26").lost}
    assert lost["c"] == "not eligible: route leak: what AS 64602 meant for customers came from no provider (OTC)"


@pytest.mark.parametrize(
    ("role", "otc", "kept", "passed"),
    [("customer", None, 65002, ()), ("customer", 7, 7, ()), ("peer", None, 65002, ()), ("peer", 65002, 65002, ()),
     ("peer", 7, None, ()), ("provider", 7, None, ()), ("rs", 7, None, ()), ("rs-client", None, 65002, ()),
     ("provider", None, None, ("up", "across", "down")), (None, 7, 7, ()),
     (None, None, None, ("up", "across", "down"))],
)  # fmt: skip
def test_each_role_takes_in_and_passes_on(role: Role | None, otc: int | None, kept: int | None,
                                          passed: tuple[str, ...]) -> None:  # fmt: skip
    """RFC 9234 §5: who marks, who refuses, and to whom besides customers a route may go."""
    roles: dict[str, Role | None] = {"from": role, "up": "customer", "across": "peer", "down": "provider"}
    scenario = parse({
        "routers": [{"name": "me", "asn": 65001, "router_id": "10.0.0.1"}]
        + [{"name": n, "asn": 65002 + i, "router_id": f"10.0.0.{2 + i}"} for i, n in enumerate(roles)],
        "lans": [{"members": {n: f"10.0.0.{1 + i}" for i, n in enumerate(("me", *roles))}}],
        "sessions": [{"a": "me", "b": n, "a_opts": {"role": r}} for n, r in roles.items()],
    })[0]  # fmt: skip
    me = scenario.simulation().speakers["me"]
    path = me.take_in(me.neighbours[0], Attributes(as_path=(65002, 9), next_hop="10.0.0.2", otc=otc))
    refused = (role in ("provider", "rs") and otc is not None) or (role == "peer" and otc == 7)
    assert (path.refused is not None) == refused
    if not refused:
        assert path.attributes.otc == kept
        sent = {end.peer.name: me.export(end, path) for end in me.neighbours[1:]}
        assert {name for name, attributes in sent.items() if attributes} == {"down", *passed}
        down = sent["down"]
        assert down
        assert down.otc == (kept or 65001)
        assert wire.read_update(wire.encode([("10.1.0.0/16", 0)], down)).attributes == down


def test_roles_that_do_not_fit_are_refused() -> None:
    """Two providers of one another, an unknown role, and a role set on a running session are sentences."""
    case: dict[str, Any] = {
        "routers": [{"name": n, "asn": i, "router_id": f"10.0.0.{i}"} for i, n in ((1, "a"), (2, "b"))],
        "lans": [{"members": {"a": "10.0.0.1", "b": "10.0.0.2"}}],
    }  # fmt: skip
    for opts, steps, sentence in (
        ({"a_opts": {"role": "provider"}, "b_opts": {"role": "provider"}}, [], "b must be the customer"),
        ({"a_opts": {"role": "boss"}}, [], 'names role "boss", which there is not; there are provider, customer, peer'),
        ({}, [{"actions": [{"op": "set_session_opt", "session": "s", "side": "a", "opt": "role", "value": "peer"}]}],
         "a role, which is agreed on when a session opens"),
    ):  # fmt: skip
        with pytest.raises(CourseError, match=sentence):
            parse(case | {"sessions": [{"id": "s", "a": "a", "b": "b", **opts}], "steps": steps})


@pytest.mark.tool("bird")
@pytest.mark.parametrize("leak", [False, True])
def test_bird_has_the_same_tables(leak: bool) -> None:
    """BIRD with `local role` comes to the same routes, OTC included, also where somebody leaks."""
    scenario = network(leak=leak)
    simulation = scenario.simulation("bird")
    scenario.start(simulation)
    simulation.run()
    with Birds(simulation, 245) as birds:
        assert birds.differences() == []
