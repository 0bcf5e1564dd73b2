"""The closed forms: what each family of topologies costs, for every size up to 200."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coursekit.bgp import closed_forms, topologies
from coursekit.bgp.captured import messages_of
from coursekit.bgp.loopback import Birds
from coursekit.bgp.passing import passings
from coursekit.bgp.scenario import Scenario
from coursekit.bgp.simulation import Simulation
from coursekit.cluster.learned import Learning
from coursekit.errors import CourseError
from coursekit.paths import data_dir

FORMS = {form["id"]: form for form in json.loads((data_dir() / "bgp" / "cases.json").read_text())["parametric"]}
FORMS["F5"] = {"sessions": "L*S", "updates": "L*(S + S*(L-1) + (L-1)*(S-1))", "check_n": [[2, 2], [3, 2], [30, 3]]}
FORMS["F6"] = {"sessions": "k*m + k*(k-1)/2", "updates": "k*m*(m+k-1) + k*(m+k-1) + k*(k-1)*m",
               "check_n": [[1, 3], [2, 5], [3, 20]]}  # fmt: skip
MORE = {"F3": [[3, 7], [2, 100]], "F5": [[8, 4]], "F6": [[2, 100]]}
SIZES = [(form_id, size) for form_id, form in FORMS.items()
         for size in [*form["check_n"], *MORE.get(form_id, [200])]]  # fmt: skip


def started(scenario: Scenario, profile: str = "rfc") -> Simulation:
    """Return a network after it fell quiet for the first time."""
    simulation = scenario.simulation(profile)
    scenario.start(simulation)
    assert simulation.run().converged
    return simulation


@pytest.mark.parametrize(("form_id", "size"), SIZES)
def test_closed_forms_hold(form_id: str, size: Any) -> None:
    """Sessions, UPDATEs, routes held, and the cost of a failure and a return are what the formulas say."""
    form = FORMS[form_id] | {"id": form_id, "check_n": [size]}
    sizes = tuple(size) if isinstance(size, list) else (size,)
    assert closed_forms.check(form) == ([sizes], [])
    counted = dict(closed_forms.counts(closed_forms.FAMILIES[form_id], sizes)) if max(sizes) < 20 else {}
    for key in closed_forms.COUNTS:
        if key in form and key in counted:
            (wrong,) = closed_forms.check(form | {key: f"{form[key]} + 1"})[1]
            assert f"{key} is {counted[key]}, by the formula" in wrong


@pytest.mark.parametrize(("form_id", "size"), [("F1", 10), ("F2", 10), ("F4", 10)])
def test_echo_costs_what_frr_was_seen_to_send(form_id: str, size: int) -> None:
    """The FRR profile sends routes back to whom they came from: more UPDATEs, the same routes."""
    assert closed_forms.check(FORMS[form_id] | {"check_n": [size]}, "frr") == ([(size,)], [])
    assert closed_forms.check(FORMS[form_id] | {"check_n": [size], "updates_echo_profile": "n"}, "frr")[1]


def test_a_form_without_a_formula_for_echoes_says_nothing_of_frr() -> None:
    """F3 has none: its `updates` is not held against the FRR profile, which sends more."""
    assert closed_forms.check(FORMS["F3"] | {"check_n": [[2, 3]]}, "frr") == ([], [])


def test_sizes_that_would_take_minutes_are_refused() -> None:
    """300 reflectors for 300 nodes are 54 million UPDATEs: a sentence, before anything is built."""
    with pytest.raises(CourseError, match="takes more than 1,000,000 UPDATEs"):
        closed_forms.check(FORMS["F3"] | {"check_n": [[300, 300]]})


@pytest.mark.parametrize("formula", ["n +", "x*n", "n()", "__import__('os')", "n if n else 1", "n/0", "9**9**9",
                                     "n.real", "1" * 300, "", None, [1], "True", "2.5*n", "m"])  # fmt: skip
def test_a_formula_is_arithmetic_and_nothing_else(formula: Any) -> None:
    """What is no arithmetic over the sizes is refused in a sentence, and never evaluated."""
    with pytest.raises(CourseError, match=r"is no arithmetic over n: .*\.$"):
        closed_forms.value(formula, {"n": 5})


@pytest.mark.parametrize("size", [0, 10**6, -1, "n", True, [1, 2], None, 2.5])
def test_a_formula_is_checked_for_sizes_that_can_be_built(size: Any) -> None:
    """A size that no network has is refused in a sentence."""
    with pytest.raises(CourseError, match=r"F1 is to be checked for .*: n from 1 to 300 was expected\.$"):
        closed_forms.check(FORMS["F1"] | {"check_n": [size]})


@pytest.mark.parametrize(("leaves", "spines"), [(2, 2), (3, 2), (8, 4), (30, 3)])
def test_leaf_spine(leaves: int, spines: int) -> None:
    """Spines in one AS: no path with a valley is taken in, and every leaf balances over all spines."""
    simulation = started(topologies.leaf_spine(leaves, spines))
    assert simulation.longest_taken == 2
    assert len(simulation.speakers["n1"].loc_rib[topologies.block(2)].multipath) == spines


def test_spines_with_an_as_each_make_valleys() -> None:
    """Without a shared AS, a spine takes a route back from a leaf: down and up again, 3 hops instead of 2."""
    assert started(topologies.leaf_spine(4, 3, shared_spine_as=False)).longest_taken == 3


@pytest.mark.parametrize("shared", [True, False])
def test_reflectors_survive_each_other(shared: bool) -> None:
    """With two reflectors, of one cluster id or two, the death of one costs no UPDATE and no route."""
    simulation = started(topologies.route_reflectors(6, 2, shared_cluster=shared))
    simulation.router_down("rr1")
    assert simulation.run().updates == 0
    assert all(simulation.speakers[f"n{i}"].loc_rib[topologies.block(j)].best for i in range(1, 7) for j in range(1, 7))


@pytest.mark.parametrize(
    ("plan", "as_path"),
    [("shared", None), ("shared-allowas-in", (64601, 64512)), ("shared-as-override", (64601, 64601))],
)
def test_one_as_behind_a_tor_and_its_cures(plan: Any, as_path: tuple[int, ...] | None) -> None:
    """All nodes in one AS hear nothing of each other through the ToR, unless one end is told to look away."""
    best = started(topologies.tor(3, plan)).speakers["n1"].loc_rib[topologies.block(2)].best
    assert (best and best.attributes.as_path) == as_path


def test_tor_on_the_nodes_lan_passes_third_party_next_hops() -> None:
    """On one subnet the ToR leaves NEXT_HOP alone, and traffic goes from node to node."""
    simulation = started(topologies.tor(3, lan=True))
    best = simulation.speakers["n1"].loc_rib[topologies.block(2)].best
    assert best
    assert best.attributes.next_hop == topologies.node_address(2)


def test_mesh_left_on_beside_a_tor_hairpins_with_bird() -> None:
    """As measured with BIRD: the ToR hears of n2's block from n1 too, and prefers n1, whose router id is lower."""
    simulation = started(topologies.tor(3, "shared", lan=True, mesh=True), "bird")
    decision = simulation.speakers["tor"].loc_rib[topologies.block(2)]
    assert decision.best
    assert (decision.best.source, decision.best.attributes.next_hop) == ("n1", topologies.node_address(1))
    assert (decision.candidates, decision.decided_by) == (3, "router-id")


def test_as_per_rack_reaches_every_block() -> None:
    """Racks of one AS each: every node has every block, over AS_PATHs of rack, core and rack."""
    simulation = started(topologies.as_per_rack(3, 4))
    best = simulation.speakers["n1"].loc_rib[topologies.block(12)].best
    assert best
    assert best.attributes.as_path == (65100, 65203)
    assert all(s.loc_rib[topologies.block(i)].best for s in simulation.speakers.values() for i in range(1, 13))


def test_migration_prefers_the_mesh() -> None:
    """With mesh and reflector together the direct path wins by its shorter CLUSTER_LIST."""
    decision = started(topologies.mesh_and_reflector(4)).speakers["n1"].loc_rib[topologies.block(2)]
    assert decision.best
    assert (decision.best.source, decision.decided_by, decision.candidates) == ("n2", "cluster-list-length", 2)


@pytest.mark.parametrize(
    "build",
    [lambda: topologies.full_mesh(0), lambda: topologies.route_reflectors(5, 0), lambda: topologies.full_mesh(10**6),
     lambda: topologies.in_cluster_reflectors(3, 3), lambda: topologies.tor(3, mesh=True)],
)  # fmt: skip
def test_impossible_sizes_get_a_sentence(build: Callable[[], Scenario]) -> None:
    """A topology of no nodes, or of a million, is refused."""
    with pytest.raises(CourseError, match=r"\.$"):
        build()


@pytest.mark.parametrize(("verb", "given", "said"), [
    (topologies.full_mesh, "3", "nodes is a whole number; '3' was given."),
    (topologies.tor, 2.5, "nodes is a whole number; 2.5 was given."),
    (topologies.full_mesh, True, "nodes is a whole number; True was given."),
    (topologies.full_mesh, 60_001, "nodes = 60,001: a topology has from 1 to 60,000 of them."),
    (messages_of, "bgp-session", "A capture is what recording("), (messages_of, 3, "A capture is what recording("),
    (Birds, topologies.full_mesh(2), "BIRDs run what a simulation ran, such as Learning(cluster).simulation(); "),
    (lambda given: list(passings(given)), topologies.full_mesh(2), "Passings are those of a simulation, such"),
    (lambda given: Learning(given).simulation(), "chapter", 'A cluster is what load_cluster("chapter") returns; '),
])  # fmt: skip
def test_what_the_verbs_of_a_run_take(verb: Callable[[Any], object], given: Any, said: str) -> None:
    """What a learner may give by mistake to what builds, runs or reads a BGP network gets a sentence."""
    with pytest.raises(CourseError) as caught:
        verb(given)
    assert str(caught.value).startswith(said)
