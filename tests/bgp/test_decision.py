"""The decision process: each step in its turn, MED by sets, and the reasons in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from coursekit.bgp.decision import decide
from coursekit.bgp.profiles import profile
from coursekit.bgp.route import Attributes, Path, Peer

OWN_AS = 65000
COSTS = {"192.0.2.1": 10, "192.0.2.2": 20}


def path(name: str, *, external: bool = True, router_id: str = "9.9.9.9", address: str = "10.0.0.1",
         **attributes: Any) -> Path:  # fmt: skip
    """Return a path heard from a peer, by default like every other."""
    given = {"as_path": (65010,), "next_hop": "192.0.2.1", "local_pref": 100} | attributes
    return Path(Attributes(**given), Peer(name, 65010 if external else OWN_AS, router_id, address, external))


BETTER: list[tuple[str, Path, Path, str]] = [
    ("local-pref", path("a", local_pref=200, as_path=(1, 2, 3)), path("b"), "lost at LOCAL_PREF: 100 < 200"),
    ("as-path-length", path("a", origin="incomplete"), path("b", as_path=(1, 2)), "lost at AS_PATH length: 2 > 1"),
    ("as-path-length", path("a", as_path=(1, frozenset({2, 3, 4}))), path("b", as_path=(1, 2, 3)),
     "lost at AS_PATH length: 3 > 2"),
    ("origin", path("a", med=50), path("b", origin="egp"), "lost at ORIGIN: egp > igp"),
    ("origin", path("a", origin="egp"), path("b", origin="incomplete"), "lost at ORIGIN: incomplete > egp"),
    ("med", path("a", med=10, external=False), path("b", med=50), "lost at MED: 50 > 10, same neighbour AS 65010"),
    ("med", path("a", external=False), path("b", med=1), "lost at MED: 1 > 0, same neighbour AS 65010"),
    ("med", path("a", as_path=(), external=False), path("b", as_path=(), med=1, external=False),
     "lost at MED: 1 > 0, same neighbour AS 65000"),
    ("ebgp-over-ibgp", path("a", next_hop="192.0.2.2"), path("b", external=False),
     "lost at eBGP over iBGP: from b over iBGP, from a over eBGP"),
    ("igp-metric", path("a"), path("b", next_hop="192.0.2.2", router_id="1.1.1.1"),
     "lost at IGP metric: 20 to 192.0.2.2 > 10 to 192.0.2.1"),
    ("router-id", path("a", router_id="9.9.9.9", address="10.0.0.9"), path("b", router_id="9.9.9.10"),
     "lost at router id: 9.9.9.10 > 9.9.9.9"),
    ("router-id", path("a", router_id="9.9.9.9", originator_id="1.1.1.1"), path("b", router_id="2.2.2.2"),
     "lost at router id: 2.2.2.2 > 1.1.1.1"),
    ("router-id", path("a", router_id="2.2.2.2"), path("b", router_id="1.1.1.1", originator_id="3.3.3.3"),
     "lost at ORIGINATOR_ID: 3.3.3.3 > 2.2.2.2"),
    ("cluster-list-length", path("a", address="10.0.0.9"), path("b", cluster_list=("1.1.1.1",)),
     "lost at CLUSTER_LIST length: 1 > 0"),
    ("peer-address", path("a", address="10.0.0.9"), path("b", address="10.0.0.10"),
     "lost at peer address: 10.0.0.10 > 10.0.0.9"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "winner", "loser", "words"), BETTER)
def test_each_step_decides_in_its_turn(step: str, winner: Path, loser: Path, words: str) -> None:
    """What an earlier step says outweighs all later ones, in either order of arrival, and the reason is said."""
    for paths in permutations((winner, loser)):
        decision = decide(paths, COSTS.get, OWN_AS)
        assert (decision.best, decision.decided_by, decision.candidates) == (winner, step, 2)
        assert decision.lost == ((loser, words),)


def test_med_is_an_elimination_by_sets() -> None:
    """MED removes the worse path of its neighbour AS before router ids are compared, in any order of arrival."""
    paths = [path("p1", router_id="1.1.1.1", med=10), path("p2", router_id="2.2.2.2", as_path=(65020,)),
             path("p3", router_id="3.3.3.3", med=5)]  # fmt: skip
    for order in permutations(paths):
        decision = decide(order, COSTS.get, OWN_AS)
        assert decision.best is paths[1]
        assert {p.source: words for p, words in decision.lost} == {
            "p1": "lost at MED: 10 > 5, same neighbour AS 65010", "p3": "lost at router id: 3.3.3.3 > 2.2.2.2",
        }  # fmt: skip


def test_med_is_not_compared_between_neighbour_ases() -> None:
    """A lower MED from another AS says nothing."""
    paths = [path("a", med=50, router_id="1.1.1.1"), path("b", as_path=(65020,), med=0)]
    assert decide(paths, COSTS.get, OWN_AS).best is paths[0]


def test_unresolvable_and_refused_paths_take_no_part() -> None:
    """A next hop without a route, or a refusal on import, excludes a path however good it is."""
    good = path("good", local_pref=1)
    far = path("far", next_hop="203.0.113.9")
    refused = replace(path("refused"), refused="AS loop")
    decision = decide([far, refused, good], COSTS.get, OWN_AS)
    assert (decision.best, decision.decided_by, decision.candidates) == (good, "only-path", 1)
    assert {p.source: words for p, words in decision.lost} == {
        "far": "not eligible: next hop 203.0.113.9 is unreachable", "refused": "not eligible: AS loop",
    }  # fmt: skip
    nothing = decide([far, refused], COSTS.get, OWN_AS)
    assert (nothing.best, nothing.decided_by, nothing.candidates) == (None, None, 0)


def test_an_own_route_beats_what_is_heard() -> None:
    """What a router originates itself is best, whatever others send."""
    own = Path(Attributes())
    decision = decide([path("a", local_pref=500), own], COSTS.get, OWN_AS)
    assert (decision.best, decision.decided_by) == (own, "local")


def test_multipath_balances_over_next_hops() -> None:
    """Paths that tie down to the IGP metric balance up to max_paths, best first, one per next hop, AS_PATHs relaxed."""
    a, b = path("a", router_id="1.1.1.1"), path("b", router_id="2.2.2.2", as_path=(65020,), next_hop="192.0.2.3")
    again = path("again", router_id="3.3.3.3")
    longer = path("longer", as_path=(1, 2), next_hop="192.0.2.4")
    costs = dict.fromkeys(("192.0.2.1", "192.0.2.3", "192.0.2.4"), 10)
    assert decide([longer, again, b, a], costs.get, OWN_AS, max_paths=8).multipath == (a, b)
    assert decide([b, a], costs.get, OWN_AS, max_paths=1).multipath == (a,)


def test_gobgp_breaks_ties_its_own_way() -> None:
    """The GoBGP profile compares the peer's router id and no CLUSTER_LIST."""
    a = path("a", router_id="2.2.2.2", originator_id="1.1.1.1", cluster_list=("5.5.5.5",), address="10.0.0.1")
    b = path("b", router_id="1.1.1.1", originator_id="2.2.2.2", address="10.0.0.2")
    assert decide([a, b], COSTS.get, OWN_AS).best is a
    assert decide([a, b], COSTS.get, OWN_AS, profile=profile("gobgp")).best is b
    c = path("c", router_id="1.1.1.1", cluster_list=("5.5.5.5",), address="10.0.0.1")
    assert decide([b, c], COSTS.get, OWN_AS, profile=profile("gobgp")).decided_by == "peer-address"


def test_two_paths_over_one_session_have_an_order() -> None:
    """ADD-PATH brings paths that tie to the end: the lower path id wins, so that a run can be repeated."""
    a, b = replace(path("a"), path_id=1), replace(path("a"), path_id=2)
    assert decide([b, a], COSTS.get, OWN_AS).best is a
