"""The closed forms of a scenario file (`parametric`): what a family of topologies costs, by formula, against a run.

A formula is arithmetic over the sizes, such as `k*n + k*(k-1)/2`. Each family is known by its id; the network of each
size in `check_n` is built, run, and its counts are compared.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from coursekit.bgp import topologies
from coursekit.bgp.scenario import Scenario
from coursekit.errors import CourseError

LARGEST = 300  # nodes, reflectors, leaves or spines in a network that is built for a formula
MOST = 1_000_000  # UPDATEs of such a network, roughly
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Pow: lambda a, b: a**b if b < 10 else None,
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """Topologies of one shape: the names of the sizes as `check_n` lists them, and who builds one."""

    sizes: tuple[str, ...]
    build: Callable[..., Scenario]


FAMILIES = {
    "F1": Family(("n",), topologies.full_mesh),
    "F2": Family(("n",), topologies.route_reflectors),
    "F3": Family(("k", "n"), lambda k, n: topologies.route_reflectors(n, k)),
    "F4": Family(("n",), topologies.tor),
    "F5": Family(("L", "S"), topologies.leaf_spine),
    "F6": Family(("k", "n"), lambda k, n: topologies.in_cluster_reflectors(n, k)),
}
COUNTS = ("sessions", "updates", "loc_rib_total", "node_fail_updates", "node_recover_updates", "rr_fail_updates")


def value(formula: object, sizes: Mapping[str, int]) -> int:
    """Work out a formula. CourseError if it is anything but arithmetic over the sizes."""

    def walk(node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](walk(node.left), walk(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -walk(node.operand)
        if isinstance(node, ast.Name) and node.id in sizes:
            return sizes[node.id]
        if isinstance(node, ast.Name) and node.id == "m":  # nodes that do not reflect
            return sizes["n"] - sizes["k"]
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        raise ValueError

    try:
        text = str(formula).replace("^", "**")
        if len(text) > 200:
            raise ValueError
        return int(walk(ast.parse(text, mode="eval").body))
    except (SyntaxError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        names = ", ".join(sizes)
        raise CourseError(f"The formula {str(formula)[:60]!r} is no arithmetic over {names}: "
                          "+ - * / and brackets were expected.") from None  # fmt: skip


def counts(family: Family, sizes: tuple[int, ...], profile: str = "rfc") -> Iterator[tuple[str, int]]:
    """Build and run one network; yield its counts, then those of a failure and of a return, which come after it."""
    scenario = family.build(*sizes)
    simulation = scenario.simulation(profile)
    scenario.start(simulation)
    yield "updates", simulation.run().updates
    yield "sessions", simulation.established
    yield "loc_rib_total", sum(decision.best is not None for speaker in simulation.speakers.values()
                               for decision in speaker.loc_rib.values())  # fmt: skip
    simulation.router_down("n1")
    yield "node_fail_updates", simulation.run().updates
    simulation.router_up("n1")
    yield "node_recover_updates", simulation.run().updates
    if "rr1" in simulation.speakers:
        simulation.router_down("rr1")
        yield "rr_fail_updates", simulation.run().updates


def check(form: Mapping[str, Any], profile: str = "rfc") -> tuple[list[tuple[int, ...]], list[str]]:
    """Check one entry of `parametric`; return the sizes that were run, and every difference as a sentence.

    The FRR profile echoes: there `updates_echo_profile` holds, and neither `updates` nor the counts of a failure do.
    """
    family = FAMILIES[form["id"]]
    wanted = {key: form[key] for key in COUNTS if key in form}
    if profile == "frr":
        wanted = {"updates": form["updates_echo_profile"]} if "updates_echo_profile" in form else {}
    given = form.get("check_n")
    ran, wrong = [], []
    for item in given if isinstance(given, list) else []:
        sizes = tuple(item) if isinstance(item, list) else (item,)
        if len(sizes) != len(family.sizes) or not all(type(size) is int and 1 <= size <= LARGEST for size in sizes):
            raise CourseError(f"{form['id']} is to be checked for {item}: {' and '.join(family.sizes)} from 1 to "
                              f"{LARGEST} was expected.")  # fmt: skip
        if prod(sizes) * sum(sizes) > MOST:
            raise CourseError(f"{form['id']} is to be checked for {item}, which takes more than {MOST:,} UPDATEs; "
                              "choose smaller sizes, or ask coursekit.bgp.groups.")  # fmt: skip
        if not wanted:
            continue
        names = dict(zip(family.sizes, sizes, strict=True))
        said = ", ".join(f"{name} = {size}" for name, size in names.items())
        ran.append(sizes)
        left = dict(wanted)
        for key, got in counts(family, sizes, profile):
            if key in left and got != (expected := value(formula := left[key], names)):
                wrong.append(f"{form['id']}, {said}: {key} is {got}, by the formula {formula} it is {expected}")
            left.pop(key, None)
            if not left:
                break
    return ran, wrong
