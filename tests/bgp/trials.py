"""One random network in a daemon and in the simulator, step by step; what became of it; and a smaller one like it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from coursekit.bgp.loopback import Held, compared, expected
from coursekit.bgp.scenario import Scenario, act
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.scenario_writer import written
from coursekit.bgp.simulation import Simulation
from coursekit.errors import CourseError
from tests.bgp.stable_states import adopt


class Daemons(Protocol):
    """Routing daemons that follow a simulation."""

    def follow(self) -> None: ...
    def tables(self) -> dict[str, Held]: ...
    def differences(self, patience: float) -> list[str]: ...
    def restart(self, router: str, session: str) -> None: ...
    def unsettled(self) -> bool: ...


@dataclass
class Trial:
    """How one network went: `equal`, another `stable` state, `regrouped` (profiles.HISTORY), `livelock`, or wrong."""

    seed: int
    scenario: Scenario
    outcome: str = "equal"
    wrong: list[str] = field(default_factory=list)
    tables: list[dict[str, Held]] = field(default_factory=list)  # the daemons', after each step


@dataclass(frozen=True)
class Laboratory:
    """A kind of daemon: its profile, how to start it on a simulation, and how long it may take to settle."""

    profile: str
    start: Callable[[Simulation, int], AbstractContextManager[Any]]
    patience: float  # seconds
    jobs: int = 6  # networks at a time
    make_up: float = 2.5  # seconds in which a session that was restarted is up again
    inspect: Callable[[Simulation, Any], list[str]] = lambda simulation, daemons: []  # what else is wrong

    def compare(self, scenario: Scenario, place: int, seed: int = 0) -> Trial:
        """Run a network in both, step by step; `place` keeps those apart that run at the same time."""
        trial = Trial(seed, scenario)
        simulation = scenario.simulation(self.profile)
        scenario.start(simulation)
        done = simulation.run()
        if not done.converged:
            trial.outcome = "no convergence"
            return trial
        lockstep = done.livelock
        with self.start(simulation, place) as daemons:
            for step in scenario.steps:
                for action in step.actions:
                    act(simulation, action)
                done = simulation.run()
                lockstep = lockstep or done.livelock
                if not done.converged:
                    trial.outcome = "no convergence"
                    return trial
                daemons.follow()
                differs, tables = self._settle(simulation, daemons)
                if differs:
                    if lockstep and daemons.unsettled():
                        trial.outcome = "livelock"
                        return trial
                    outcome, trial.wrong, tables = self._explain(simulation, daemons, tables)
                    trial.outcome = outcome if trial.outcome != "regrouped" else trial.outcome
                if not trial.wrong:
                    trial.wrong = self.inspect(simulation, daemons)
                trial.tables.append(tables)
                if trial.wrong:
                    trial.wrong = [f"step {step.name} {list(step.actions)}: {line}" for line in trial.wrong]
                    return trial
        return trial

    def _settle(self, simulation: Simulation, daemons: Daemons) -> tuple[list[str], dict[str, Held]]:
        """Return where the daemons differ, and their tables at that time."""
        while True:  # on a busy machine an UPDATE may come between the two
            differs, tables = daemons.differences(self.patience), daemons.tables()
            if differs or all(compared(held) == expected(simulation, name) for name, held in tables.items()):
                return differs, tables

    def _explain(self, simulation: Simulation, daemons: Daemons,
                 tables: dict[str, Held]) -> tuple[str, list[str], dict[str, Held]]:  # fmt: skip
        """Return what kind of difference it is, and the daemons' tables; the network goes on from there."""
        wrong = adopt(simulation, tables)
        if not wrong:
            return "stable", [], tables
        # Sessions that brought a path in question start again: then the daemon compares it with the others.
        for line in wrong:
            name, prefix = line.split(":")[0].split(" ")
            held = tables[name].get(prefix)
            if held and held[0].peer:
                daemons.restart(name, simulation.speakers[name].neighbours[held[0].index].session)
        time.sleep(self.make_up)
        tables = daemons.tables()
        return "regrouped", adopt(simulation, tables), tables

    def refuted(self, trial: Trial) -> bool:
        """Return whether the daemons' tables of some step are not stable under the rules that hold now."""
        for number in range(len(trial.tables)):
            simulation = trial.scenario.simulation(self.profile)
            trial.scenario.start(simulation)
            for step in trial.scenario.steps[: number + 1]:
                for action in step.actions:
                    act(simulation, action)  # no message need arrive: the tables are the daemons'
            if adopt(simulation, trial.tables[number]):
                return True
        return False

    def shrunk(self, scenario: Scenario, seconds: float = 40) -> Scenario:
        """Return a smaller network that still differs, as far as that can be found in the time."""
        until = time.monotonic() + seconds
        smaller = True
        while smaller and time.monotonic() < until:
            smaller = False
            for candidate in _reductions(scenario):
                if time.monotonic() > until:
                    break
                if self.compare(candidate, 251).wrong:
                    scenario, smaller = candidate, True
                    break
        return scenario

    def report(self, trials: list[Trial], folder: Path) -> Mapping[str, int]:
        """Print how the networks went and return the counts; fail, with the first one made small, if one is wrong."""
        outcomes = Counter("wrong" if trial.wrong else trial.outcome for trial in trials)
        print(f"{self.profile}: seeds {trials[0].seed}-{trials[-1].seed}: {dict(outcomes)}")
        wrong = [trial for trial in trials if trial.wrong]
        if wrong:
            path = folder / f"{self.profile}-seed-{wrong[0].seed}.json"
            path.write_text(json.dumps({"cases": [written(self.shrunk(wrong[0].scenario))]}, indent=1))
            pytest.fail(f"{self.profile}: seeds {[trial.seed for trial in wrong]} differ; {wrong[0].seed} is shrunk "
                        f"to {path}:\n" + "\n".join(wrong[0].wrong))  # fmt: skip
        return outcomes


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
