"""Random networks against real BIRD: every best path with every attribute, before and after a failure.

`COURSEKIT_SEEDS=first:last` runs other seeds than those of every day. A failure is shrunk to a small scenario file.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from coursekit.bgp import decision as decision_module
from coursekit.bgp.loopback import Birds, Held
from coursekit.bgp.route import Attributes, address_key
from coursekit.bgp.scenario import Scenario, act
from coursekit.bgp.scenario_file import parse, written
from coursekit.bgp.session import Options
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker
from coursekit.errors import CourseError
from tests.bgp.random_networks import Draw
from tests.bgp.stable_states import adopt

FIRST, LAST = map(int, os.environ.get("COURSEKIT_SEEDS", "1000:1066").split(":"))
JOBS = 6
PATIENCE = 6.0  # seconds that BIRD may take to come to our tables; it takes 1 to 2

pytestmark = pytest.mark.tool("bird")


@dataclass
class Trial:
    """How one network went: `equal`, or another `stable` state, or `regrouped` (profiles.HISTORY), or wrong."""

    seed: int
    scenario: Scenario
    outcome: str = "equal"
    wrong: list[str] = field(default_factory=list)
    tables: list[dict[str, Held]] = field(default_factory=list)  # BIRD's, after each step


def compare(scenario: Scenario, net: int, seed: int = 0) -> Trial:
    """Run a network in BIRD and in the simulator, step by step."""
    trial = Trial(seed, scenario)
    simulation = scenario.simulation("bird")
    scenario.start(simulation)
    if not simulation.run().converged:
        trial.outcome = "no convergence"
        return trial
    with Birds(simulation, net) as birds:
        for step in scenario.steps:
            for action in step.actions:
                act(simulation, action)
            if not simulation.run().converged:
                trial.outcome = "no convergence"
                return trial
            birds.follow()
            if birds.differences(PATIENCE):
                outcome, trial.wrong = _explain(simulation, birds)
                trial.outcome = outcome if trial.outcome != "regrouped" else trial.outcome
            trial.tables.append(birds.tables())
            if trial.wrong:
                trial.wrong = [f"step {step.name} {list(step.actions)}: {line}" for line in trial.wrong]
                return trial
    return trial


def _explain(simulation: Simulation, birds: Birds) -> tuple[str, list[str]]:
    """Return what kind of difference it is; the network goes on from BIRD's state."""
    wrong = adopt(simulation, birds.tables())
    if not wrong:
        return "stable", []
    # Sessions that brought a path in question start again: then BIRD compares it with the others.
    for line in wrong:
        name, prefix = line.split(":")[0].split(" ")
        held = birds.tables()[name].get(prefix)
        if held and held[0].peer:
            birds.restart(name, simulation.speakers[name].neighbours[held[0].index].session)
    time.sleep(2.5)
    return "regrouped", adopt(simulation, birds.tables())


@cache
def trials() -> list[Trial]:
    """Run all seeds, several at a time."""
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(lambda seed: compare(Draw(seed).network(), seed % 250 + 1, seed), range(FIRST, LAST)))


def test_bird_holds_what_the_simulator_holds(record_property: Callable[[str, object], None], tmp_path: Path) -> None:
    """For at least 60 random networks and a failure in each, BIRD's best routes are ours, or as stable."""
    outcomes = Counter("wrong" if trial.wrong else trial.outcome for trial in trials())
    print(f"seeds {FIRST}-{LAST - 1}: {dict(outcomes)}")
    record_property("outcomes", dict(outcomes))
    wrong = [trial for trial in trials() if trial.wrong]
    if wrong:
        path = tmp_path / f"seed-{wrong[0].seed}.json"
        small = shrunk(wrong[0].scenario)
        path.write_text(json.dumps({"cases": [written(small)]}, indent=1))
        pytest.fail(f"seeds {[trial.seed for trial in wrong]} differ; {wrong[0].seed} is shrunk to {path}:\n"
                    + "\n".join(wrong[0].wrong))  # fmt: skip
    assert outcomes["no convergence"] <= len(trials()) // 20
    assert LAST - FIRST < 60 or sum(outcomes.values()) - outcomes["no convergence"] >= 60


def shrunk(scenario: Scenario, seconds: float = 40) -> Scenario:
    """Return a smaller network that still differs, as far as that can be found in the time."""
    until = time.monotonic() + seconds
    smaller = True
    while smaller and time.monotonic() < until:
        smaller = False
        for candidate in _reductions(scenario):
            if time.monotonic() > until:
                break
            if compare(candidate, 251).wrong:
                scenario, smaller = candidate, True
                break
    return scenario


def _reductions(scenario: Scenario) -> Iterator[Scenario]:
    """Yield the scenario with one thing less in it, where that still is one."""
    case = written(scenario)
    smaller: list[dict[str, Any]] = []
    for router in case["routers"]:
        name = router["name"]
        smaller.append(case | {
            "routers": [r for r in case["routers"] if r is not router],
            "links": [x for x in case["links"] if name not in (x["a"], x["b"])],
            "sessions": [x for x in case["sessions"] if name not in (x["a"], x["b"])],
            "originate": [x for x in case["originate"] if x["router"] != name],
        })  # fmt: skip
    smaller += [case | {key: [x for x in case[key] if x is not gone]} for key in ("sessions", "originate", "links")
                for gone in case[key]]  # fmt: skip
    for session in case["sessions"]:
        for side in ("a_opts", "b_opts"):
            for option in session[side]:
                less = session | {side: {k: v for k, v in session[side].items() if k != option}}
                smaller.append(case | {"sessions": [less if x is session else x for x in case["sessions"]]})
    for candidate in smaller:
        try:
            parsed = parse({"cases": [candidate]})[0]
            parsed.simulation()
        except CourseError:
            continue
        yield parsed


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
def test_bird_refutes_a_wrong_rule(mutation: str, monkeypatch: pytest.MonkeyPatch,
                                   record_property: Callable[[str, object], None]) -> None:  # fmt: skip
    """With one rule changed, BIRD's tables are not stable any more, in several of the networks."""
    monkeypatch.setattr(*MUTATIONS[mutation])
    caught = [trial.seed for trial in trials() if not trial.wrong and _refuted(trial)]
    print(f"{mutation}: refuted by {len(caught)} of {len(trials())} networks, seeds {caught[:12]}")
    record_property("refuted by", len(caught))
    assert caught


def _refuted(trial: Trial) -> bool:
    """Return whether BIRD's tables of some step are not stable under the rules that hold now."""
    for number in range(len(trial.tables)):
        simulation = trial.scenario.simulation("bird")
        trial.scenario.start(simulation)
        simulation.run()
        for step in trial.scenario.steps[: number + 1]:
            for action in step.actions:
                act(simulation, action)
        if adopt(simulation, trial.tables[number]):
            return True
    return False


def test_nothing_is_refuted_by_the_right_rules() -> None:
    """With all rules in place, every table that BIRD came to is stable: the check above has no false alarms."""
    assert [trial.seed for trial in trials() if not trial.wrong and _refuted(trial)] == []


def test_shrinking_keeps_only_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network is made smaller as long as it differs; here every one with a prepending session does."""

    def differs(scenario: Scenario, net: int, seed: int = 0) -> Trial:
        bad = any(options.prepend for s in scenario.sessions for options in (s.a_opts, s.b_opts))
        return Trial(seed, scenario, wrong=["so it is"] * bad)

    monkeypatch.setattr("tests.bgp.test_differential.compare", differs)
    scenario = next(s for s in (Draw(seed).network() for seed in range(50)) if differs(s, 1).wrong)
    small = shrunk(scenario)
    (session,) = small.sessions
    assert {r.name for r in small.routers} >= {session.a, session.b}
    assert [o for o in (session.a_opts, session.b_opts) if o != Options()] != []
    assert small.originate == ()
    assert replace(small, id="again") == parse({"cases": [written(replace(small, id="again"))]})[0]
