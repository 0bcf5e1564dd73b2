"""The scenarios worked out by hand and seen in real daemons: every table, count and reason, in any order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.__main__ import main
from coursekit.bgp.expectations import run
from coursekit.bgp.scenario import Scenario
from coursekit.bgp.scenario_file import load
from coursekit.paths import data_dir
from tests.seeds import examples

FILE = data_dir() / "bgp" / "cases.json"
CASES = load(FILE)
SCHEDULES = examples(200)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_meets_its_expectations(case: Scenario) -> None:
    """Every step of every case ends with the tables, counts, sessions and reasons that the file expects."""
    assert [(step.name, step.differences) for step in run(case)] == [(step.name, ()) for step in case.steps]


@pytest.mark.parametrize("profile", ["bird", "frr", "gobgp"])
def test_daemon_profiles_come_to_the_same_tables_where_daemons_did(profile: str) -> None:
    """Where `observed` says that a daemon matched, its profile has the same tables."""
    observed = {case["id"]: case.get("observed", {}) for case in json.loads(FILE.read_text())["cases"]}
    for case in CASES:
        seen = next((steps for name, steps in observed[case.id].items() if name.startswith(profile)), [])
        for step, what in zip(run(case, profile), seen, strict=False):
            if what == "match":
                assert [d for d in step.differences if "UPDATEs" not in d] == [], case.id


@pytest.mark.parametrize("case", [c for c in CASES if all("converges" not in s.expect for s in c.steps)],
                         ids=lambda case: case.id)  # fmt: skip
def test_order_of_messages_does_not_matter(case: Scenario, record_property: Callable[[str, object], None]) -> None:
    """Where the answer is unique, all of 200 random schedules come to it, or of the sample's 40."""
    for seed in range(SCHEDULES):
        for step in run(case, seed=seed):
            assert step.differences == (), f"seed {seed}, step {step.name}"
    record_property("schedules", SCHEDULES)


def test_every_case_was_read() -> None:
    """The file holds 19 cases, and all of them ran above."""
    assert len(CASES) == 19


# ---- the command line ----------------------------------------------------------------------------------------------


def test_json_has_the_agreed_form(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the command prints each step's tables in the schema's own form, and nothing else."""
    assert main(["bgp", str(FILE), "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert [case["id"] for case in out["cases"]] == [case.id for case in CASES]
    step = out["cases"][0]["steps"][0]
    assert {"name", "converged", "sessions", "updates", "rib", "fib"} <= set(step)
    assert step["rib"]["n1"]["10.65.1.0/26"] == {"from": "local"}
    assert step["rib"]["n1"]["10.65.2.0/26"] == {
        "from": "n2", "as_path": [], "next_hop": "192.168.0.2", "local_pref": 100, "med": None, "origin": "igp",
        "originator_id": None, "cluster_list": [], "decided_by": "only-path", "candidates": 1, "multipath_from": ["n2"],
    }  # fmt: skip
    assert step["fib"]["n1"] == {"10.65.1.0/26": "local"} | {f"10.65.{i}.0/26": f"192.168.0.{i}" for i in (2, 3, 4)}


def _file(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> str:
    case = next(case for case in json.loads(FILE.read_text())["cases"] if case["id"] == "C04")
    change(case)
    path = tmp_path / "case.json"
    path.write_text(json.dumps({"cases": [case]}))
    return str(path)


EXPECTATIONS: list[tuple[str, Any, str]] = [
    ("updates", 10, "9 UPDATEs were sent, expected 10"),
    ("sessions", 2, "3 sessions are up, expected 2"),
    ("converges", False, "it converges, expected that it does not"),
    ("fib", {"n1": {"10.65.2.1": "1.2.3.4"}}, "n1 sends packets for 10.65.2.1 to 192.168.0.2, expected 1.2.3.4"),
    ("rib", {"n1": {"10.65.2.0/26": None}}, "n1 10.65.2.0/26: a route from rr, expected nothing"),
    ("rib", {"n1": {"10.65.2.0/26": {"as_path": [1]}}}, "n1 10.65.2.0/26: as_path is [], expected [1]"),
    ("rib", {"n1": {"10.65.2.0/26": {"decided_by": "med"}}}, "decided_by is only-path, expected med"),
    ("rib", {"n1": {"10.65.2.0/26": {"next_hop_any_of": ["1.2.3.4"]}}}, "expected one of 1.2.3.4"),
    ("rib_any_of", [{"n1": {"10.65.2.0/26": None}}], "none of the 1 stable states was reached"),
    ("rib_override", {"rfc": {"n1": {"10.65.2.0/26": {"med": 5}}}}, "med is nothing, expected 5"),
    ("stale_during", {"n1": ["10.65.2.0/26"]}, "stale during the restart: nothing, expected at n1 [10.65.2.0/26]"),
    ("max_as_path_len_accepted", 3, "the longest AS_PATH taken in has 0 hops, expected 3"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), EXPECTATIONS)
def test_a_difference_is_a_sentence_and_status_1(key: str, value: Any, sentence: str, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """An expectation that is not met is said in a sentence, and the command exits with 1."""
    assert main(["bgp", _file(tmp_path, lambda case: case["steps"][0].update({key: value}))]) == 1
    said = capsys.readouterr().err
    assert said.startswith("C04, step 'initial': ")
    assert sentence in said


def test_text_names_the_route_and_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json each best route is a line with next hop, peer, AS path and the deciding step."""
    assert main(["bgp", _file(tmp_path, lambda case: None)]) == 0
    assert "n1       10.65.2.0/26       via 192.168.0.2 from rr, AS path -, only-path of 1" in capsys.readouterr().out


def test_a_case_that_requires_the_unknown_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that requires a feature nobody has is skipped, with a word about it."""
    assert main(["bgp", _file(tmp_path, lambda case: case.update(requires=["confederations"])), "--json"]) == 0
    assert capsys.readouterr().err == "C04: skipped, it requires confederations\n"
