"""`python -m coursekit bgp FILE.json`: run every case of a scenario file and compare it with what the file expects."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from coursekit.bgp.expectations import StepResult
from coursekit.bgp.expectations import run as run_scenario
from coursekit.bgp.profiles import PROFILES
from coursekit.bgp.scenario_file import FEATURES, load


def add_parser(commands: Any) -> None:
    """Add the command's arguments to the command line."""
    parser = commands.add_parser("bgp", help="run a BGP scenario and print the tables it settles on",
                                 description="Run every case of a scenario file. Exit status 1: something differs from "
                                             "what the file expects; 2: the file is wrong.")  # fmt: skip
    parser.add_argument("file", metavar="FILE.json", help="scenarios, as data/bgp/README.md describes them")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="rfc", help="whose ways to follow (default: rfc)")
    parser.add_argument("--seed", type=int, help="deliver messages in random order, repeatable by this number")


def run(args: argparse.Namespace) -> int:
    """Run the command; return 1 if an expectation of the file is not met, else 0."""
    cases: list[dict[str, Any]] = []
    wrong: list[str] = []
    for scenario in load(args.file):
        missing = [feature for feature in scenario.requires if feature not in FEATURES]
        if missing:
            print(f"{scenario.id}: skipped, it requires {', '.join(missing)}", file=sys.stderr)
            continue
        steps = list(run_scenario(scenario, args.profile, args.seed))
        cases.append({"id": scenario.id, "steps": [step.as_json() for step in steps]})
        if not args.json:
            print(f"{scenario.id}  {scenario.title}".rstrip())
        for step in steps:
            if not args.json:
                print("\n".join(_text(step)))
            wrong += [f"{scenario.id}, step {step.name!r}: {difference}" for difference in step.differences]
    if args.json:
        json.dump({"cases": cases}, sys.stdout, indent=1)
        print()
    for sentence in wrong:
        print(sentence if sentence.endswith(".") else f"{sentence}.", file=sys.stderr)
    return 1 if wrong else 0


def _text(step: StepResult) -> list[str]:
    """Return a step as lines: what happened, then each router's best routes."""
    quiet = "converged" if step.converged else "does not converge"
    lines = [f"  {step.name}: {quiet}, {step.sessions} sessions up, {step.updates} UPDATEs"]
    if step.note:
        lines.append(f"    {step.note}")
    for router, rows in step.rib.items():
        for prefix, route in rows.items():
            if route and route["from"] == "local":
                lines.append(f"    {router:8} {prefix:18} local")
            elif route:
                path = " ".join(map(str, route["as_path"])) or "-"
                also = f", with {', '.join(route['multipath_from'])}" if len(route["multipath_from"]) > 1 else ""
                lines.append(f"    {router:8} {prefix:18} via {route['next_hop']} from {route['from']}, "
                             f"AS path {path}, {route['decided_by']} of {route['candidates']}{also}")  # fmt: skip
    return lines
