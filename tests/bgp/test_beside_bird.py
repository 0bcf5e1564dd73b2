"""What tables of best paths do not show, beside BIRD: all paths of ADD-PATH, and MED that depends on who came first."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from coursekit.bgp import loopback
from coursekit.bgp.bird import configuration, protocol
from coursekit.bgp.loopback import Birds
from coursekit.bgp.profiles import HISTORY
from coursekit.bgp.scenario import take
from coursekit.bgp.scenario_file import load, parse
from coursekit.bgp.simulation import Simulation
from coursekit.paths import data_dir
from tests.bgp.divergent import CLIENT, PEERS, P, lan

Seen = tuple[str, str | None, str | None]  # peer, next hop, cluster list
ADD = {"rr_client": True, "add_path": True}
ADD_PATH = {
    "one reflector": lan(
        dict.fromkeys(("o1", "o2", "o3", "rr", "n"), 65001),
        {"rr o1": CLIENT, "rr o2": CLIENT, "rr o3": PEERS, "rr n": (ADD, {})},
        ["o1", {"router": "o2", "med": 5}, {"router": "o3", "origin": "egp"}]),
    "two reflectors": lan(
        dict.fromkeys(("o1", "o2", "rr1", "rr2", "n"), 65001),
        {"rr1 o1": (ADD, {"add_path": True}), "rr2 o2": (ADD, {"add_path": True}),
         "rr1 rr2": ({"add_path": True}, {"add_path": True}), "rr1 n": (ADD, {}), "rr2 n": (ADD, {})}, ["o1", "o2"]),
    "reflectors of each other": lan(
        dict.fromkeys(("o1", "o2", "rr1", "rr2", "n"), 65001),
        {"rr1 o1": CLIENT, "rr2 o2": CLIENT, "rr1 rr2": (ADD, ADD), "rr2 n": (ADD, {})}, ["o1", "o2", "rr1"]),
}  # fmt: skip


def theirs(birds: Birds, router: str) -> Iterator[Seen]:
    """Yield every path that a BIRD holds for P, the best one and the others."""
    ends = {protocol(end.session): end.peer.name for end in birds.simulation.speakers[router].neighbours}
    parts = re.split(r"^\S*\s+(?:unicast|unreachable|blackhole)\s+\[(\S+).*$",
                     birds.ask(router, "show route all table master4"), flags=re.M)  # fmt: skip
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        hop, clusters = (re.search(rf"BGP\.{key}: (.*)", text) for key in ("next_hop", "cluster_list"))
        yield ends.get(name, "local"), hop and hop[1].split()[0], clusters and clusters[1].strip()


def ours(simulation: Simulation, router: str) -> Iterator[Seen]:
    """Yield every path that a speaker can use."""
    for path in simulation.speakers[router].paths(P):
        if path.refused is None:
            clusters = " ".join(path.attributes.cluster_list)
            yield path.source, path.attributes.next_hop if path.peer else None, clusters or None


@pytest.mark.tool("bird")
@pytest.mark.parametrize("name", ADD_PATH)
def test_add_path_brings_the_paths_that_it_brings_in_bird(name: str) -> None:
    """With ADD-PATH (RFC 7911) every router holds the same paths as BIRD, not only the same best one."""
    (scenario,) = parse(ADD_PATH[name])
    simulation = scenario.simulation("bird")
    scenario.start(simulation)
    simulation.run()
    expected = {router: Counter(ours(simulation, router)) for router in simulation.speakers}
    assert max(found.total() for found in expected.values()) > 1
    with Birds(simulation, 248) as birds:
        assert birds.differences() == []
        until = time.monotonic() + 5
        while (held := {router: Counter(theirs(birds, router)) for router in expected}) != expected:
            assert time.monotonic() < until, [(r, held[r], expected[r]) for r in held if held[r] != expected[r]]
            time.sleep(0.1)


def _in_order(net: int, order: tuple[str, ...]) -> str:
    """Return whose path r prefers in C19 in BIRD after its sessions came up in an order."""
    (scenario,) = (case for case in load(data_dir() / "bgp" / "cases.json") if case.id == "C19")
    simulation = scenario.simulation("bird")
    scenario.start(simulation)
    simulation.run()
    with Birds(simulation, net) as birds:
        birds.differences(3)  # till all are up
        for session in order:
            birds.ask("r", f"disable {protocol(session)}")
        for session in order:
            birds.ask("r", f"enable {protocol(session)}")
            until = time.monotonic() + 10
            while not _held(birds, session):
                assert time.monotonic() < until, session
                time.sleep(0.1)
        time.sleep(0.5)
        ((path, _),) = birds.tables()["r"].values()
        return path.source


def _held(birds: Birds, session: str) -> bool:
    return f"[{protocol(session)} " in birds.ask("r", "show route")


@pytest.mark.tool("bird")
@pytest.mark.parametrize("deterministic", ["on", "off"])
def test_med_without_its_option_depends_on_who_came_first(deterministic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """BIRD with `deterministic med` comes to one answer whoever comes first; as it is by default, to three."""
    assert "med-by-age" in HISTORY
    monkeypatch.setattr(loopback, "configuration", lambda *given: configuration(*given).replace(
        "deterministic med on", f"deterministic med {deterministic}"))  # fmt: skip
    orders = [("s1", "s2", "s3"), ("s1", "s3", "s2"), ("s2", "s3", "s1")]
    with ThreadPoolExecutor(len(orders)) as pool:
        best = list(pool.map(_in_order, (247, 246, 244), orders))
    assert sorted(best) == (["p2", "p2", "p2"] if deterministic == "on" else ["p1", "p2", "p3"])


POLICIES = lan(
    {"e": 65002, "b": 65001, "x": 65003, "y": 65004}, {"e b": PEERS, "b x": PEERS, "e y": PEERS, "y x": PEERS}, ["e"],
    [[{"op": "set_session_opt", "session": "s1", "side": "a", "opt": "prepend", "value": 2}],
     [{"op": "set_session_opt", "session": "s1", "side": "b", "opt": "local_pref_in", "value": 150}],
     [{"op": "set_session_opt", "session": "s1", "side": "a", "opt": "next_hop_self", "value": True}],
     [{"op": "set_session_opt", "session": "s1", "side": "b", "opt": "max_as_path_in", "value": 3}]])  # fmt: skip


@pytest.mark.tool("bird")
def test_policies_changed_in_mid_run_on_one_lan() -> None:
    """ASes on one LAN pass on a third party's next hop, and what changes after a change of policy is the same."""
    (scenario,) = parse(POLICIES)
    simulation = scenario.simulation("bird")
    scenario.start(simulation)
    simulation.run()
    seen = []
    with Birds(simulation) as birds:
        for step in scenario.steps:
            take(simulation, step.actions)
            simulation.run()
            birds.follow()
            assert birds.differences() == [], step.name
            best = simulation.speakers["x"].loc_rib[P].best
            assert best
            seen.append((best.source, len(best.attributes.as_path), best.attributes.next_hop))
    assert seen == [("b", 2, "10.0.0.1"), ("y", 2, "10.0.0.1"), ("b", 4, "10.0.0.1"), ("b", 4, "10.0.0.2"),
                    ("y", 2, "10.0.0.1")]  # fmt: skip
