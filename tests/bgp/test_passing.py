"""What is passed on, and what not, on the designs of the course."""

from __future__ import annotations

from coursekit.bgp.passing import passings
from coursekit.bgp.topologies import as_per_rack, full_mesh, in_cluster_reflectors, route_reflectors, tor


def told(scenario) -> dict[tuple[str, str], set[bool]]:
    simulation = scenario.simulation()
    scenario.start(simulation)
    simulation.run()
    found: dict[tuple[str, str], set[bool]] = {}
    for one in passings(simulation):
        found.setdefault((one.heard_from, one.to), set()).add(one.told)
    return found


def test_only_ibgp_to_ibgp_is_never_passed_on() -> None:
    """The iBGP rule (RFC 4271 §9.2.1) and its exception for clients (RFC 4456 §6), as a run has them."""
    assert told(full_mesh(4)) == {("iBGP peer", "iBGP peer"): {False}}
    assert told(route_reflectors(4)) == {("client", "client"): {True}}
    assert told(tor(4)) == {("eBGP peer", "eBGP peer"): {True}}
    assert told(in_cluster_reflectors(5, 2)) == {
        ("client", "client"): {True}, ("client", "iBGP peer"): {True}, ("iBGP peer", "client"): {True},
        ("iBGP peer", "iBGP peer"): {False},
    }  # fmt: skip
    assert told(as_per_rack(2, 2))[("client", "eBGP peer")] == {True}


def test_a_session_that_is_down_is_no_chance() -> None:
    """Nobody is expected to tell a peer whom it does not reach; own routes are not passed on but announced."""
    scenario = route_reflectors(3)
    simulation = scenario.simulation()
    scenario.start(simulation)
    simulation.run()
    before = len(list(passings(simulation)))
    simulation.session_down("rr-n3")
    simulation.run()
    assert (before, len(list(passings(simulation)))) == (6, 2)
    assert {one.router for one in passings(simulation)} == {"rr"}
