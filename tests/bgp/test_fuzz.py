"""Scenario files that were good once, bent in ways that keep their shape: each runs, or gets a sentence."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coursekit.__main__ import main
from coursekit.bgp.scenario_keys import ACTION
from coursekit.paths import data_dir
from tests.bgp.test_schema import CASES
from tests.seeds import examples

GOOD = [*json.loads((data_dir() / "bgp" / "cases.json").read_text())["cases"],
        *({"id": title} | case for title, case in CASES.items())]  # fmt: skip
EDGES = [None, True, False, 0, 1, -1, 255, 256, 2**31, 2**32 - 1, 2**32, 10**30, 0.5, "", "x", [], {}, "0.0.0.0", "::1",
         "::/0", "0.0.0.0/0", "255.255.255.255", "10.0.0.0/33", "no-export", "local",
         "é" * 300, "\ud800", "\x00"]  # fmt: skip


class Bender:
    """Bends one case; the random numbers decide how."""

    def __init__(self, case: dict[str, Any], draw: random.Random) -> None:
        self.case, self.draw = copy.deepcopy(case), draw

    def places(self, value: Any) -> list[tuple[Any, Any]]:
        """Return every container with each of its keys."""
        keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        return [place for key in keys for place in ((value, key), *self.places(value[key]))]

    def bend(self) -> None:
        """Change one thing: drop, double, exchange, swap for an edge, or let something more happen."""
        draw, places = self.draw, self.places(self.case)
        (inside, key), (other, there) = draw.choice(places), draw.choice(places)
        alike = [(c, k) for c, k in places if type(c[k]) is type(inside[key]) and c is not inside]
        match draw.randrange(7):
            case 0:
                del inside[key]
            case 1 if isinstance(inside, list):
                inside.insert(key, copy.deepcopy(inside[key]))
            case 2 if alike:
                other, there = draw.choice(alike)
                inside[key] = copy.deepcopy(other[there])
            case 3:
                inside[key] = draw.choice(EDGES)
            case 4 if isinstance(inside, list):
                draw.shuffle(inside)
            case 5 if isinstance(inside[key], int):
                inside[key] += draw.choice([-1, 1, 100])
            case _:
                self.happen()

    def happen(self) -> None:
        """Add an action, of names that there are."""
        case, draw = self.case, self.draw

        def name(kind: str, key: str) -> Any:
            items = case.get(kind) if isinstance(case.get(kind), list) else None
            return draw.choice([item.get(key) for item in items if isinstance(item, dict)] or ["?"]) if items else "?"

        op = draw.choice([*ACTION])
        action = {"op": op, "router": name("routers", "name"), "session": name("sessions", "id"),
                  "link": name(draw.choice(["links", "lans"]), "id"), "cost": draw.choice([0, 5, 10**6]),
                  "prefix": name("originate", "prefix"), "side": draw.choice("ab"), **draw.choice([
                      {"opt": "allowas_in", "value": 255}, {"opt": "add_path", "value": True},
                      {"opt": "rr_client", "value": True}, {"opt": "prepend", "value": 200},
                      {"opt": "as_override", "value": True}, {"at": draw.choice([1, 3, 10**6])},
                      {"death": draw.choice(["killed", "cable", "clean"])}])}  # fmt: skip
        steps = case.setdefault("steps", [])
        if isinstance(steps, list):
            action = {key: value for key, value in action.items() if key in ACTION[op]}
            steps.insert(draw.randint(0, len(steps)), {"name": "more", "actions": [action]})


@settings(max_examples=examples(300), deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(which=st.integers(0, len(GOOD) - 1), bends=st.integers(1, 6), seed=st.integers(0, 2**32), shuffled=st.booleans())
def test_a_bent_case_runs_or_gets_a_sentence(which: int, bends: int, seed: int, shuffled: bool, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """Whatever was dropped, doubled, exchanged or added: no traceback, JSON in its form, and sentences on stderr."""
    bender = Bender(GOOD[which], random.Random(seed))
    for _ in range(bends):
        bender.bend()
    file = tmp_path / "bent.json"
    file.write_text(json.dumps({"cases": [bender.case]}))
    capsys.readouterr()
    status = main(["bgp", str(file), "--json", *(["--seed", "1"] if shuffled else [])])
    out, err = capsys.readouterr()
    if out:
        (*cases,) = json.loads(out)["cases"]
        assert len(cases) <= 1
        assert all({"name", "converged", "sessions", "updates", "rib", "fib"} <= step.keys()
                   for case in cases for step in case["steps"])  # fmt: skip
    assert status in (0, 1, 2)
    assert (status == 0) == (not err or "skipped, it requires" in err)
    assert all(line.endswith(".") or "skipped" in line for line in err.split("\n") if line)


@pytest.mark.parametrize("n", [10**6, 3 * 10**5])
def test_a_file_of_a_million_nodes_is_refused(n: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with more routers than can be simulated is a sentence, soon, and no heap of memory."""
    file = tmp_path / "million.json"
    file.write_text('{"cases": [{"id": "big", "routers": [' + ",".join(['{"name": "r", "asn": 1}'] * n) + "]}]}")
    assert main(["bgp", str(file)]) == 2
    assert f"has {n:,} routers; the simulator takes at most 10,000" in capsys.readouterr().err
