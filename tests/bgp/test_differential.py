"""Random networks against real daemons: every best path with every attribute, before and after a failure.

BIRD runs on loopback addresses, FRR in network namespaces. `COURSEKIT_SEEDS=first:last` runs other seeds than
those of every day. A failure is shrunk to a small scenario file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from coursekit.bgp import decision as decision_module
from coursekit.bgp.loopback import Birds
from coursekit.bgp.route import Attributes, address_key
from coursekit.bgp.scenario_file import parse, written
from coursekit.bgp.session import Options
from coursekit.bgp.speaker import Speaker
from tests.bgp.frr import Frrs
from tests.bgp.random_networks import Draw
from tests.bgp.trials import Laboratory, Trial

JOBS = 6
LABORATORIES = {
    "bird": Laboratory("bird", Birds, patience=6.0),  # it takes 1 to 2
    "frr": Laboratory("frr", lambda simulation, place: Frrs(simulation), patience=20.0,
                      inspect=lambda simulation, frrs: frrs.wrong_reasons()),
}  # fmt: skip
SEEDS = {"bird": (1000, 1066), "frr": (2000, 2024)}
LEAST = {"bird": 60, "frr": 15}  # networks that must have been compared
if os.environ.get("COURSEKIT_SEEDS"):
    first, last = map(int, os.environ["COURSEKIT_SEEDS"].split(":"))
    SEEDS = dict.fromkeys(SEEDS, (first, last))
    LEAST = dict.fromkeys(SEEDS, 0)
EACH = [pytest.param("bird", marks=pytest.mark.tool("bird")),
        pytest.param("frr", marks=[pytest.mark.root, pytest.mark.tool("/usr/lib/frr/bgpd")])]  # fmt: skip


@cache
def trials(daemon: str) -> list[Trial]:
    """Run all seeds, several at a time."""
    laboratory = LABORATORIES[daemon]
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(lambda seed: laboratory.compare(Draw(seed).network(), seed % 250 + 1, seed),
                             range(*SEEDS[daemon])))  # fmt: skip


@pytest.mark.parametrize("daemon", EACH)
def test_a_daemon_holds_what_the_simulator_holds(
    daemon: str, record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    """In random networks, with a failure in each, the daemon's best routes are ours, or as stable."""
    outcomes = LABORATORIES[daemon].report(trials(daemon), tmp_path)
    record_property(f"networks in {daemon}", len(trials(daemon)))
    record_property(f"equal to {daemon}", outcomes["equal"])
    assert outcomes["no convergence"] <= len(trials(daemon)) // 10
    assert sum(outcomes.values()) - outcomes["no convergence"] >= LEAST[daemon]


# ---- would it notice? ----------------------------------------------------------------------------------------------


def _no_cluster_check(speaker: Speaker, neighbour: Any, attributes: Attributes,
                      real: Callable[..., str | None] = Speaker.refusal) -> str | None:  # fmt: skip
    reason = real(speaker, neighbour, attributes)
    return None if reason and reason.startswith("cluster loop") else reason


def _highest_id(address: str) -> tuple[int, int]:
    version, number = address_key(address)
    return version, -number


MUTATIONS: dict[str, tuple[Any, str, Any]] = {
    "the highest router id wins": (decision_module, "address_key", _highest_id),
    "ORIGINATOR_ID is not compared": (decision_module, "tie_break_id", lambda path, profile: path.peer.router_id),
    "MED is not compared": (decision_module, "_med", lambda run, own_as: None),
    "no AS loop check": (Attributes, "as_count", lambda attributes, asn: 0),
    "the cluster id is ignored": (Speaker, "refusal", _no_cluster_check),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("daemon", EACH)
def test_a_daemon_refutes_a_wrong_rule(daemon: str, mutation: str, monkeypatch: pytest.MonkeyPatch,
                                       record_property: Callable[[str, object], None]) -> None:  # fmt: skip
    """With one rule changed, the daemon's tables are not stable any more, in at least one of the networks."""
    ran = [trial for trial in trials(daemon) if not trial.wrong]
    monkeypatch.setattr(*MUTATIONS[mutation])
    caught = [trial.seed for trial in ran if LABORATORIES[daemon].refuted(trial)]
    print(f"{mutation}: refuted by {len(caught)} of {len(ran)} networks in {daemon}, seeds {caught[:12]}")
    record_property(f"networks in {daemon} refute: {mutation}", len(caught))
    assert caught or not LEAST[daemon]


@pytest.mark.parametrize("daemon", EACH)
def test_nothing_is_refuted_by_the_right_rules(daemon: str) -> None:
    """With all rules in place, every table that the daemon came to is stable: the check above has no false alarms."""
    laboratory = LABORATORIES[daemon]
    assert [trial.seed for trial in trials(daemon) if not trial.wrong and laboratory.refuted(trial)] == []


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
