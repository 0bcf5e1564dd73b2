"""`python -m coursekit bgp FILE.json`: run every case of a scenario file and compare it with what the file expects."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from coursekit.bgp.closed_forms import FAMILIES, check
from coursekit.bgp.expectations import StepResult
from coursekit.bgp.expectations import run as run_scenario
from coursekit.bgp.profiles import PROFILES
from coursekit.bgp.scenario_checks import plain
from coursekit.bgp.scenario_file import FEATURES, decoded, parse
from coursekit.bgp.scenario_keys import check_form
from coursekit.errors import CourseError


def add_parser(commands: Any) -> None:
    """Add the command's arguments to the command line."""
    parser = commands.add_parser("bgp", help="run a BGP scenario and print the tables it settles on",
                                 description="Run every case of a scenario file, and check its closed forms. Exit "
                                             "status 1: something differs from what the file expects; 2: the file, or "
                                             "a case in it, is wrong.")  # fmt: skip
    parser.add_argument("file", metavar="FILE.json", help="scenarios, as data/bgp/README.md describes them")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="rfc", help="whose ways to follow (default: rfc)")
    parser.add_argument("--seed", type=int, help="deliver messages in random order, repeatable by this number")


def run(args: argparse.Namespace) -> int:
    """Run the command; return 2 if a case is no scenario, 1 if an expectation of the file is not met, else 0.

    A case that is wrong keeps none of the others from running.
    """
    data = decoded(args.file)
    begun = False
    bad: list[CourseError] = []
    differ: list[str] = []
    with _no_garbage():
        scenarios = parse(data, bad)
    for scenario in scenarios:
        missing = [feature for feature in scenario.requires if feature not in FEATURES]
        if missing:
            print(plain(f"{scenario.id}: skipped, it requires {', '.join(missing)}"), file=sys.stderr)
            continue
        try:
            with _no_garbage():
                steps = list(run_scenario(scenario, args.profile, args.seed))
        except CourseError as error:
            bad.append(error)
            continue
        if args.json:
            sys.stdout.write(",\n  " if begun else '{\n "cases": [\n  ')
            sys.stdout.writelines(_json({"id": scenario.id, "steps": [step.as_json() for step in steps]}, 5, "  "))
            begun = True
        else:
            print(f"{scenario.id}  {scenario.title}".rstrip())
        for step in steps:
            if not args.json:
                print("\n".join(_text(step)))
            differ += [f"{scenario.id}, step {step.name!r}: {difference}" for difference in step.differences]
    if args.json:
        print("\n ]\n}" if begun else '{\n "cases": []\n}')
    differ += _formulas(data, args, bad)
    for sentence in differ:
        print(plain(sentence if sentence.endswith(".") else f"{sentence}."), file=sys.stderr)
    for refusal in bad:
        print(plain(f"coursekit: {refusal}"), file=sys.stderr)
    return 2 if bad else 1 if differ else 0


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Let Python look for no garbage: a network is one knot of objects, and walking through it took half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _json(value: Any, levels: int, indent: str) -> Iterator[str]:
    """Yield JSON whose outer levels are broken into lines; what is inside, a route, stands on one that C writes."""
    if not levels or not value or not isinstance(value, dict | list):
        yield json.dumps(value)
        return
    named = isinstance(value, dict)
    yield "{" if named else "["
    for place, key in enumerate(value):
        yield f"{',' if place else ''}\n{indent} {f'{json.dumps(key)}: ' if named else ''}"
        yield from _json(value[key] if named else key, levels - 1, f"{indent} ")
    yield f"\n{indent}{'}' if named else ']'}"


def _formulas(data: object, args: argparse.Namespace, bad: list[CourseError]) -> list[str]:
    """Check the closed forms of a file; print which hold for which sizes, return what differs.

    With a seed, or under another profile, the formulas do not hold, and only their keys are checked.
    """
    forms = data.get("parametric") if isinstance(data, Mapping) else None
    counted = args.seed is None and args.profile in ("rfc", "bird", "frr")
    differ: list[str] = []
    for form in forms if isinstance(forms, list) else []:
        try:
            if isinstance(form, dict):
                check_form(form)
        except CourseError as error:
            bad.append(error)
            continue
        if not counted:
            continue
        if not isinstance(form, dict) or not isinstance(form.get("id"), str) or form["id"] not in FAMILIES:
            named = form.get("id") if isinstance(form, dict) else form
            print(f"{plain(named)}: skipped, there are closed forms of {', '.join(FAMILIES)}", file=sys.stderr)
            continue
        try:
            ran, wrong = check(form, args.profile)
        except CourseError as error:
            bad.append(error)
            continue
        differ += wrong
        if not args.json and not wrong:
            sizes = ", ".join(" x ".join(map(str, size)) for size in ran)
            outcome = f"the formulas hold for {sizes}" if ran else "not checked, for want of sizes or formulas"
            print(f"{form['id']}  {plain(form.get('title', ''))}: {outcome}")
    return differ


def _text(step: StepResult) -> list[str]:
    """Return a step as lines: what happened, then each router's best routes."""
    quiet = "converged" if step.converged else "does not converge"
    lines = [f"  {step.name}: {quiet}, {step.sessions} session{'s' * (step.sessions != 1)} up, "
             f"{step.updates} UPDATE{'s' * (step.updates != 1)}"]  # fmt: skip
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
