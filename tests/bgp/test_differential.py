"""Random networks against real daemons: every best path with every attribute, before and after a failure.

BIRD runs on loopback addresses, FRR and GoBGP in network namespaces. A failure is shrunk to a small scenario file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path as File
from typing import Any

import pytest

from coursekit.bgp import decision as decision_module
from coursekit.bgp.decision import Contest
from coursekit.bgp.loopback import Birds
from coursekit.bgp.route import Attributes, Path, address_key
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.scenario_writer import written
from coursekit.bgp.session import Neighbour, Options
from coursekit.bgp.speaker import Speaker
from tests.bgp.daemons import Frrs, Gobgps
from tests.bgp.random_networks import Draw, on_one_lan
from tests.bgp.trials import Laboratory, Trial
from tests.seeds import ALL, OTHERS, seeds

LABORATORIES = {
    "bird": Laboratory("bird", Birds, patience=12.0),  # it takes 1 to 2
    "frr": Laboratory("frr", lambda simulation, place: Frrs(simulation), patience=20.0,
                      inspect=lambda simulation, frrs: frrs.wrong_reasons()),
    "gobgp": Laboratory("gobgp", lambda simulation, place: Gobgps(simulation), patience=40.0, make_up=12.0, jobs=10),
}  # fmt: skip
LANS = 9000  # from here on, networks on one LAN
SEEDS: dict[str, Sequence[int]] = {
    "bird": range(1000, 1066),
    "gobgp": (*range(3000, 3008), *range(3009, 3020)),  # in 3008 GoBGP may swing for ever: a minute of CPU for nothing
    "frr": (*range(2000, 2012), 2041, 2062, *range(LANS, LANS + 8)),  # 2041, 2062: MED that must not be compared
}  # fmt: skip
# As few as refute each of the MUTATIONS below twice, or once where no two do; in 3019 GoBGP has a state of its own.
SAMPLE = {
    "bird": (1003, 1005, 1023, 1049, 1052, 1060, 1061, 1063),
    "gobgp": (3002, 3009, 3018, 3019),
    "frr": (2001, 2002, 2004, 2007, 2011, 2041, 2062, 9002, 9004),
}
LEAST = {"bird": 60, "frr": 15, "gobgp": 15} if ALL else {name: len(few) - 1 for name, few in SAMPLE.items()}
SEEDS = {name: seeds(every, SAMPLE[name]) for name, every in SEEDS.items()}
if OTHERS:
    LEAST = dict.fromkeys(SEEDS, 0)  # of seeds that nobody has seen, nothing is known
EACH = [pytest.param("bird", marks=pytest.mark.tool("bird")),
        pytest.param("frr", marks=[pytest.mark.root, pytest.mark.tool("/usr/lib/frr/bgpd")]),
        pytest.param("gobgp", marks=[pytest.mark.root, pytest.mark.tool("gobgpd", "gobgp")])]  # fmt: skip


@cache
def trials(daemon: str) -> list[Trial]:
    """Run the chosen seeds, several at a time."""
    laboratory, apart = LABORATORIES[daemon], os.getpid()  # another run may be going on beside this one

    def ran(seed: int) -> Trial:
        scenario = on_one_lan(seed) if seed >= LANS else Draw(seed, pairs=daemon == "gobgp").network()
        return laboratory.compare(scenario, (seed + apart) % 250 + 1, seed)

    with ThreadPoolExecutor(laboratory.jobs) as pool:
        return list(pool.map(ran, SEEDS[daemon]))


@pytest.mark.parametrize("daemon", EACH)
def test_a_daemon_holds_what_the_simulator_holds(
    daemon: str, record_property: Callable[[str, object], None], tmp_path: File
) -> None:
    """In random networks, with a failure in each, the daemon's best routes are ours, or as stable."""
    outcomes = LABORATORIES[daemon].report(trials(daemon), tmp_path)
    record_property(f"networks in {daemon}", len(trials(daemon)))
    record_property(f"equal to {daemon}", outcomes["equal"])
    assert outcomes["no convergence"] + outcomes["livelock"] <= len(trials(daemon)) // 10
    assert sum(outcomes.values()) - outcomes["no convergence"] - outcomes["livelock"] >= LEAST[daemon]


# ---- would it notice? ----------------------------------------------------------------------------------------------


def _skipping(step: str) -> Any:
    """Return the decision process without one of its steps."""
    def keep_least(contest: Contest, name: str, *rest: Any, real: Any = Contest.keep_least) -> None:
        if name != step:
            real(contest, name, *rest)

    return keep_least


def _no_cluster_check(speaker: Speaker, neighbour: Any, attributes: Attributes,
                      real: Callable[..., str | None] = Speaker.refusal) -> str | None:  # fmt: skip
    reason = real(speaker, neighbour, attributes)
    return None if reason and reason.startswith("cluster loop") else reason


def _changed(name: str, change: Callable[..., Attributes | None]) -> Any:
    """Return one of a speaker's export functions with something changed in what it returns."""
    real = getattr(Speaker, name)

    def export(speaker: Speaker, neighbour: Any, path: Path) -> Attributes | None:
        sent = real(speaker, neighbour, path)
        return change(sent, neighbour, path) if sent else None

    return export


def _highest_id(address: str) -> tuple[int, int]:
    version, number = address_key(address)
    return version, -number


ALL = ("bird", "frr", "gobgp")
RFC_TIES = ("bird", "frr")  # who compares as RFC 4456 says; few networks let GoBGP come as far as these steps
MUTATIONS: dict[str, tuple[tuple[str, ...], Any, str, Any]] = {
    "the highest router id wins": (ALL, decision_module, "address_key", _highest_id),
    "ORIGINATOR_ID is not compared": (RFC_TIES, decision_module, "tie_break_id",
                                      lambda path, profile: path.peer.router_id),
    "MED is not compared": (RFC_TIES, decision_module, "_med", lambda run, own_as: None),
    "MED is compared between ASes": (RFC_TIES, decision_module, "neighbour_as", lambda path, own_as: 0),
    "no AS loop check": (ALL, Attributes, "as_count", lambda attributes, asn: 0),
    "the cluster id is ignored": (RFC_TIES, Speaker, "refusal", _no_cluster_check),
    "every iBGP peer is a client": (ALL, Neighbour, "client", property(lambda end: not end.peer.external)),
    "a reflector writes itself into NEXT_HOP": (ALL, Speaker, "_internal", _changed(
        "_internal", lambda sent, end, path: sent._replace(next_hop=end.local_address))),
    "a received MED goes on to other ASes": (RFC_TIES, Speaker, "_external", _changed(
        "_external", lambda sent, end, path: sent._replace(med=path.attributes.med))),
    "no third-party next hops": (("frr",), Speaker, "_third_party", lambda speaker, end, path: end.local_address),
    "no prepending": (ALL, Speaker, "_external", _changed(
        "_external", lambda sent, end, path: sent._replace(as_path=sent.as_path[end.options.prepend :]))),
    "LOCAL_PREF is not compared": (ALL, decision_module, "_local_pref", lambda path: 100),
    "every next hop is reachable": (RFC_TIES, Speaker, "cost", lambda speaker, next_hop: 0),
} | {f"no step {step}": (daemons, Contest, "keep_least", _skipping(step)) for step, daemons in {
    "as-path-length": ALL, "origin": ALL, "ebgp-over-ibgp": ALL, "igp-metric": RFC_TIES,
    "router-id": ALL, "cluster-list-length": RFC_TIES, "peer-address": RFC_TIES}.items()}  # fmt: skip


def judges(daemon: str) -> list[Trial]:
    """Return the trials whose tables tell right rules from wrong ones.

    What GoBGP holds in a state that is not ours can be a path that its sender never took back: history, not rules.
    """
    return [trial for trial in trials(daemon)
            if not trial.wrong and (trial.outcome == "equal" or daemon != "gobgp")]  # fmt: skip


@pytest.mark.parametrize("daemon", EACH)
def test_a_daemon_refutes_wrong_rules(daemon: str, record_property: Callable[[str, object], None]) -> None:
    """With one rule changed, the daemon's tables are not stable any more, in at least one of the networks."""
    ran = judges(daemon)
    unnoticed = []
    for mutation, (daemons, *patch) in MUTATIONS.items():
        if daemon in daemons:
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.setattr(*patch)
                caught = [trial.seed for trial in ran if LABORATORIES[daemon].refuted(trial)]
            print(f"{mutation}: refuted by {len(caught)} of {len(ran)} networks in {daemon}, seeds {caught[:12]}")
            record_property(f"networks in {daemon} refute: {mutation}", len(caught))
            unnoticed += [] if caught else [mutation]
    assert unnoticed == [] or not LEAST[daemon]


@pytest.mark.parametrize("daemon", EACH)
def test_nothing_is_refuted_by_the_right_rules(daemon: str) -> None:
    """With all rules in place, every table that the daemon came to is stable: the check above has no false alarms."""
    laboratory = LABORATORIES[daemon]
    assert [trial.seed for trial in judges(daemon) if laboratory.refuted(trial)] == []


def test_shrinking_keeps_only_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network is made smaller as long as it differs; here every one with a prepending session does."""

    def differs(self: Laboratory, scenario: Any, place: int, seed: int = 0) -> Trial:
        bad = any(options.prepend for s in scenario.sessions for options in (s.a_opts, s.b_opts))
        return Trial(seed, scenario, wrong=["so it is"] * bad)

    monkeypatch.setattr(Laboratory, "compare", differs)
    laboratory = LABORATORIES["bird"]
    scenario = next(s for s in (Draw(seed).network() for seed in range(50)) if laboratory.compare(s, 1).wrong)
    small = laboratory.shrunk(scenario)
    (session,) = small.sessions
    assert {r.name for r in small.routers} >= {session.a, session.b}
    assert [o for o in (session.a_opts, session.b_opts) if o != Options()] != []
    assert small.originate == ()
    assert replace(small, id="again") == parse({"cases": [written(replace(small, id="again"))]})[0]
