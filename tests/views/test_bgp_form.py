"""The form around a BGP run: each choice gives the run that the same network gives without the form."""

from __future__ import annotations

import pytest

from coursekit import views
from coursekit.cluster.model import clusters, load
from coursekit.cluster.peering import scenario
from coursekit.errors import CourseError
from coursekit.views.bgp_form import DEATHS, DESIGNS, NOTHING

B = "10.244.1.0/24"


def best(form: object, router: str, prefix: str = B) -> str:
    """Return whom a router's best route came from at the end, "" for none."""
    held = form.run.trace.final.get((router, prefix))  # type: ignore[attr-defined]
    return held.best.source if held and held.best else ""


@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_is_the_cluster_with_that_profile(design: str) -> None:
    """The run is that of the chapter's cluster under the profile's options, drawn the same."""
    form = views.explore_bgp()
    form.design.value = design
    made = scenario(load("chapter").with_profile("calico-bgp", **DESIGNS[design].options))
    assert form.problem == ""
    assert form.said == [DESIGNS[design].about]
    assert form.run.text() == views.bgp(made, title=design).text()
    assert form.run.text() in form.text()


def test_what_the_designs_come_to() -> None:
    """Sessions, and who tells node1 of node2's block: the iBGP rule, the reflector, the trap and its two cures."""
    form, found = views.explore_bgp(), {}
    for design in DESIGNS:
        form.design.value = design
        found[design] = len(form.run.scenario.sessions), best(form, "node1"), best(form, "router")
    assert found == {
        "full mesh": (3, "node2", ""),
        "route reflector: the ToR": (3, "router", "node2"),
        "route reflector: a node": (2, "node2", ""),
        "plain iBGP to the ToR": (3, "", "node2"),
        "eBGP to the ToR, an AS per node": (3, "router", "node2"),
        "eBGP to the ToR, one AS": (3, "", "node2"),
        "eBGP to the ToR, one AS, allowas-in": (3, "router", "node2"),
        "eBGP to the ToR, one AS, as-override": (3, "router", "node2"),
        "eBGP to the ToR, one AS, mesh left on": (6, "node2", "node1"),
    }


def test_everything_can_fail_and_come_back() -> None:
    """Each router, session and segment goes down as a chapter and comes up as the next; then all is as before."""
    form = views.explore_bgp()
    form.design.value = "route reflector: the ToR"
    whole = {place: held.candidates for place, held in form.run.trace.final.items()}
    names = list(form.fails.options)
    assert names == [NOTHING, "node1", "node2", "node3", "router", *(f"router-node{i}" for i in (1, 2, 3)), "lan"]
    for name in names[1:]:
        form.back.value, form.fails.value = "no", name
        assert len(form.run.data["chapters"]) == 2
        assert not all(session["up"] for session in form.run.data["sessions"])
        form.back.value = "yes"
        assert len(form.run.data["chapters"]) == 3
        assert {place: held.candidates for place, held in form.run.trace.final.items()} == whole, name


def test_how_a_router_fails() -> None:
    """A pulled cable is noticed when the hold time is over, a shut down at once: by the clock of the run."""
    form = views.explore_bgp()
    form.fails.value, form.back.value = "node2", "no"
    ended = {}
    for words, death in DEATHS.items():
        form.death.value = words
        ended[death] = form.run.trace.events[-1].time
    assert ended == {"clean": 1, "killed": 1, "cable": 90_001}  # milliseconds; the hold time is 90 s


def test_a_pulled_cable_takes_sessions_down_when_the_hold_timer_says_so() -> None:
    """Nobody is told at 1 ms, so nothing falls then; at 90 s the timer runs out, and sessions and routes go."""
    form = views.explore_bgp()
    form.death.value, form.back.value, form.fails.value = "its cable is pulled", "no", "node2"
    pulled, noticed = form.run.trace.events[-2:]
    assert (pulled.sessions, noticed.time) == ({}, 90_001)
    assert noticed.sessions == {"node1-node2": False, "node2-node3": False}
    text = " ".join(form.run.text().split())
    assert "1 ms node2 goes down (its cable is pulled: nobody is told). Nothing follows at once." in text
    assert "A hold timer runs out: nothing was heard for 90 s, as RFC 4271 suggests. 2 sessions go down: " in text
    assert "node1 and node3 lose 10.244.1.0/24." in text


def test_whose_bgp_it_is() -> None:
    """Each daemon's profile can be chosen: FRR sends a reflected route back to its sender too, BIRD does not."""
    form = views.explore_bgp(profile="bird")
    form.design.value = "route reflector: the ToR"
    sent = {}
    for profile in form.profile.options:
        form.profile.value = profile
        assert f"profile {profile}" in form.run.text()
        sent[profile] = form.run.data["chapters"][0]["updates"]
    assert {name: sent[name] for name in ("rfc", "bird", "frr")} == {"rfc": 9, "bird": 9, "frr": 12}
    with pytest.raises(CourseError, match="no BGP profile 'cisco'; there are rfc, bird, frr, gobgp"):
        views.explore_bgp(profile="cisco")


def test_the_choice_survives_another_design() -> None:
    """What fails stays chosen where it still exists, and is nothing where it does not; one change draws one run."""
    form = views.explore_bgp()
    form.fails.value = "node2"
    form.design.value = "plain iBGP to the ToR"
    assert form.fails.value == "node2"
    form.fails.value = "router"
    form.design.value = "full mesh"
    assert form.fails.value == NOTHING
    assert (form.problem, len(form.run.data["chapters"])) == ("", 1)


@pytest.mark.parametrize("n", [2, 3, 7, 12])
def test_any_number_of_nodes(n: int) -> None:
    """A full mesh of n has n(n-1)/2 sessions and n(n-1) UPDATEs; added nodes have free addresses and blocks."""
    form = views.explore_bgp(n)
    assert len(form.run.scenario.sessions) == n * (n - 1) // 2
    assert form.run.data["chapters"][0]["updates"] == n * (n - 1)
    assert len({router["address"] for router in form.run.data["routers"]}) == n + 1
    assert len(form.run.trace.prefixes) == n
    form.nodes.value = 4
    assert len(form.run.scenario.sessions) == 6


@pytest.mark.parametrize("name", clusters())
def test_every_cluster(name: str) -> None:
    """Every bundled cluster opens: with a run of its own addresses, or with a sentence that says why not."""
    form = views.explore_bgp(5, name)
    if load(name).underlay_version == 6:
        assert "IPv6" in form.problem
        return
    assert form.problem == ""
    assert [r["name"] for r in form.run.data["routers"]][:2] == [node.name for node in load(name).nodes[:2]]


@pytest.mark.parametrize("n", [0, 1, 13, 2.5, "3"])
def test_how_many_nodes_is_checked(n: object) -> None:
    """Too few, too many or no number is refused in a sentence."""
    with pytest.raises(CourseError, match="draws 2 to 12 nodes"):
        views.explore_bgp(n)


def test_a_cluster_is_a_cluster() -> None:
    """What is neither a Cluster nor a name nor a path gets a sentence."""
    with pytest.raises(CourseError, match="`cluster` is a Cluster, or the name or path of one; '5' was given"):
        views.explore_bgp(3, 5)
