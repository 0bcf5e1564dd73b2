"""Running a scenario step by step, and comparing what came out with what the file expects: differences as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from coursekit.bgp.decision import Decision
from coursekit.bgp.route import address_key
from coursekit.bgp.scenario import Scenario, Step, take
from coursekit.bgp.schedule import Shuffled
from coursekit.bgp.simulation import Run, Simulation
from coursekit.keys import FREE

Rib = dict[str, dict[str, "dict[str, Any] | None"]]


@dataclass(frozen=True)
class StepResult:
    """Where the network stood after one step, in the schema's own form.

    `fib` has the next hops that BGP chose, `gateways`, where a file asks, the neighbours that the IGP resolves them to.
    """

    name: str
    converged: bool
    sessions: int
    updates: int
    rib: Rib
    fib: dict[str, dict[str, Any]]
    max_as_path_len_accepted: int
    stale_during: dict[str, list[str]]
    note: str | None
    gateways: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the step as it is printed with --json."""
        out = {"name": self.name, "converged": self.converged, "sessions": self.sessions, "updates": self.updates,
               "rib": self.rib, "fib": self.fib, "max_as_path_len_accepted": self.max_as_path_len_accepted}  # fmt: skip
        return out | {key: value for key, value in (("stale_during", self.stale_during), ("note", self.note)) if value}


def run(scenario: Scenario, profile: str = "rfc", seed: int | None = None) -> Iterator[StepResult]:
    """Run the steps of a scenario in order; with a seed, messages arrive in random order and coalesce."""
    simulation = scenario.simulation(profile, None if seed is None else Shuffled(seed))
    prefixes = scenario.prefixes()
    for number, step in enumerate(scenario.steps):
        simulation.begin()
        if number == 0:
            scenario.start(simulation)
        take(simulation, step.actions)
        done = simulation.run()
        result = _result(simulation, step, done, prefixes)
        found = tuple(differences(step, result, profile, counts=seed is None))
        yield StepResult(**{**result.__dict__, "differences": found})


def _result(simulation: Simulation, step: Step, done: Run, prefixes: list[str]) -> StepResult:
    rib: Rib = {}
    entries: dict[object, dict[str, Any] | None] = {}
    fib: dict[str, dict[str, Any]] = {}
    gateways: dict[str, dict[str, Any]] = {}
    asked = step.expect.get("fib") or {}
    for name, speaker in simulation.speakers.items():
        rows = {prefix: speaker.loc_rib.get(prefix) for prefix in prefixes}
        rib[name] = {prefix: shared(decision, entries) for prefix, decision in rows.items()}
        table = {prefix: hops(decision) for prefix, decision in rows.items() if decision and decision.best}
        fib[name] = {prefix: _one(found) for prefix, found in table.items()}
        fib[name] |= {dst: _one(lookup(table, dst)) for dst in asked.get(name, ()) if dst not in fib[name]}
        gateways[name] = {dst: _one([hop if hop == "local" else simulation.igp.gateway(name, hop) or hop
                                     for hop in lookup(table, dst)]) for dst in asked.get(name, ())}  # fmt: skip
    return StepResult(step.name, done.converged, simulation.established, done.updates, rib, fib,
                      simulation.longest_taken, simulation.stale, done.note, gateways)  # fmt: skip


def shared(decision: Decision | None, entries: dict[object, dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return `entry`, one object for all who hold the same: a thousand clients of a reflector do."""
    if decision is None or decision.best is None:
        return None
    key = (decision.best.source, decision.best.attributes, decision.decided_by, decision.candidates,
           tuple(path.source for path in decision.multipath))  # fmt: skip
    if key not in entries:
        entries[key] = entry(decision)
    return entries[key]


def entry(decision: Decision | None) -> dict[str, Any] | None:
    """Return a router's best route in the schema's form; None when it has no usable one."""
    if decision is None or decision.best is None:
        return None
    best = decision.best
    if best.peer is None:
        return {"from": "local"}
    attributes = best.attributes
    return {
        "from": best.source,
        "as_path": [sorted(hop) if isinstance(hop, frozenset) else hop for hop in attributes.as_path],
        "next_hop": attributes.next_hop,
        "local_pref": attributes.local_pref,
        "med": attributes.med,
        "origin": attributes.origin,
        "originator_id": attributes.originator_id,
        "cluster_list": list(attributes.cluster_list),
        "decided_by": decision.decided_by,
        "candidates": decision.candidates,
        "multipath_from": sorted({path.source for path in decision.multipath}),
    }


def hops(decision: Decision) -> list[str]:
    """Return the next hops that go into the kernel's table: several if they balance, `local` for an own prefix."""
    if decision.best and decision.best.peer is None:
        return ["local"]
    return sorted((path.attributes.next_hop for path in decision.multipath), key=address_key)


def lookup(table: Mapping[str, list[str]], destination: str) -> list[str]:
    """Return the next hops of the longest prefix that holds an address (or a prefix); none if no prefix does."""
    try:
        target = ip_network(destination)
    except ValueError:
        return []
    holding = [network for network in map(ip_network, table)
               if network.version == target.version and network.supernet_of(target)]  # type: ignore[arg-type]  # fmt: skip
    return table[str(max(holding, key=lambda network: network.prefixlen))] if holding else []


def _one(found: list[str]) -> Any:
    return (found[0] if len(found) == 1 else found) if found else None


# ---- comparing -----------------------------------------------------------------------------------------------------


def differences(step: Step, result: StepResult, profile: str, counts: bool = True) -> Iterator[str]:
    """Yield a sentence for everything that differs from what the step expects."""
    expect = step.expect
    if "converges" in expect and bool(expect["converges"]) != result.converged:
        yield f"it {'converges' if result.converged else 'does not converge'}, expected that it does" \
              f"{' not' if result.converged else ''}"  # fmt: skip
    elif "converges" not in expect and not result.converged:
        yield result.note or "it does not converge"
    if result.converged:
        yield from _ribs(expect, result.rib, profile)
        yield from _fibs(expect.get("fib") or {}, result.fib, result.gateways)
        if "stale_during" in expect and not _stale(expect["stale_during"], result.stale_during):
            yield (f"stale during the restart: {_listed(result.stale_during)}, "
                   f"expected {_listed(expect['stale_during'])}")  # fmt: skip
    if "sessions" in expect and expect["sessions"] != result.sessions:
        up = "session is" if result.sessions == 1 else "sessions are"
        yield f"{result.sessions} {up} up, expected {expect['sessions']}"
    updates = expect.get(f"updates_{profile}", expect.get("updates") if profile in ("rfc", "bird") else None)
    if counts and updates is not None and updates != result.updates:
        sent = "UPDATE was" if result.updates == 1 else "UPDATEs were"
        yield f"{result.updates} {sent} sent, expected {updates}"
    longest = expect.get("max_as_path_len_accepted")
    if counts and longest is not None and longest != result.max_as_path_len_accepted:
        held = f"{result.max_as_path_len_accepted} hop{'s' * (result.max_as_path_len_accepted != 1)}"
        yield f"the longest AS_PATH taken in has {held}, expected {longest}"


def _ribs(expect: Mapping[str, Any], rib: Rib, profile: str) -> Iterator[str]:
    wanted = {router: dict(rows) for router, rows in (expect.get("rib") or {}).items()}
    if profile != "rfc":
        wanted = _routes_only(wanted)
    for name, override in (expect.get("rib_override") or {}).items():
        if name == profile or name.startswith(f"{profile}-"):
            for router, rows in override.items():
                wanted.setdefault(router, {}).update(rows)
    yield from _rib(wanted, rib)
    choices = expect.get("rib_any_of")
    if isinstance(choices, dict):  # states by name
        choices = list(choices.values())
    if isinstance(choices, list) and choices:
        states = [choice.get("rib", choice) for choice in choices if isinstance(choice, dict)]
        found = [list(_rib(state if profile == "rfc" else _routes_only(state), rib)) for state in states]
        if found and all(found):
            yield f"none of the {len(found)} stable states was reached; nearest: {min(found, key=len)[0]}"


def _rib(wanted: Mapping[str, Mapping[str, Any]], rib: Rib) -> Iterator[str]:
    for router, rows in wanted.items():
        for prefix, expected in rows.items():
            where = f"{router} {prefix}"
            got = rib[router].get(_canonical(prefix))
            if expected is None or got is None:
                if expected is not got:
                    yield f"{where}: {_said(got)}, expected {_said(expected)}"
                continue
            for key, value in expected.items():
                if key in FREE:
                    continue
                if key == "next_hop_any_of":
                    if got.get("next_hop") not in value:
                        yield f"{where}: next_hop is {got.get('next_hop')}, expected one of {', '.join(value)}"
                elif not (key == "next_hop" and "next_hop_any_of" in expected) and not _same(key, got.get(key), value):
                    yield f"{where}: {key} is {_said(got.get(key))}, expected {_said(value)}"


def _routes_only(rib: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out which losers a daemon keeps, and the step that it would name: its own affair, as routes are not."""
    return {router: {prefix: {key: value for key, value in route.items() if key not in ("candidates", "decided_by")}
                     if isinstance(route, dict) else route for prefix, route in rows.items()}
            for router, rows in rib.items()}  # fmt: skip


def _same(key: str, got: Any, expected: Any) -> bool:
    if key == "med":
        return (got or 0) == (expected or 0)
    if key == "multipath_from" and isinstance(expected, list):
        return sorted(got or []) == sorted(expected)
    return bool(got == expected)


def _fibs(expect: Mapping[str, Mapping[str, Any]], *tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Compare with BGP's next hops, and with the gateways that they resolve to: files have either."""
    for router, rows in expect.items():
        for destination, expected in rows.items():
            got = [table[router].get(destination) for table in tables]
            if not any(_sends(found, expected) for found in got):
                yield f"{router} sends packets for {destination} to {_said(got[0])}, expected {_said(expected)}"


def _sends(got: Any, expected: Any) -> bool:
    several = got if isinstance(got, list) else [got]
    wanted = expected if isinstance(expected, list) else [expected]
    return got == expected or set(wanted) == set(several) or (len(wanted) == 1 and wanted[0] in several)


def _stale(expected: Any, got: Mapping[str, list[str]]) -> bool:
    """Compare in the forms that files use: true, router names, or prefixes by router."""
    if isinstance(expected, bool) or expected is None:
        return bool(expected) == bool(got)
    if isinstance(expected, dict):
        return all(
            bool(got.get(router)) == bool(rows) if isinstance(rows, bool) or rows is None else
            len(got.get(router, [])) == rows if isinstance(rows, int) else
            set(map(_canonical, [rows] if isinstance(rows, str) else rows)) <= set(got.get(router, []))
            for router, rows in expected.items())  # fmt: skip
    if isinstance(expected, list):
        return set(expected) <= set(got)
    return bool(expected == sum(map(len, got.values())))


def _canonical(prefix: str) -> str:
    try:
        return str(ip_network(prefix))
    except ValueError:
        return prefix


def _listed(stale: Any) -> str:
    """Say what is stale, in any of the forms that files use."""
    if isinstance(stale, dict):
        return "; ".join(f"at {router} {_said(rows)}" for router, rows in stale.items()) or "nothing"
    return ("something" if stale else "nothing") if isinstance(stale, bool) else _said(stale)


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a route from {value.get('from')}"
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)
