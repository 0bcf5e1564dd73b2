"""Scenarios: what to build, what to break and what to type, from which a recording is made anew.

They are data (`scenarios.toml`); a step is "HOST: COMMAND > OUTPUT", and OUTPUT the name of the file it goes to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from coursekit.cluster import faults
from coursekit.cluster.faults import Fault
from coursekit.cluster.model import Cluster, load
from coursekit.errors import CourseError, expect, suggestion
from coursekit.keys import FREE, check_keys, load_toml

_CHANGES = ("pod_mtu", "tunnel_mtu")
_STEP = re.compile(r"(?P<host>\w+): (?P<command>.+?)(?: > (?P<output>[\w.-]+))?")


@dataclass(frozen=True)
class Step:
    """One thing that is typed on a host, and the output file that gets what it prints ("" if none does)."""

    host: str
    command: str
    output: str = ""

    @classmethod
    def parse(cls, line: str) -> Step:
        """Read "HOST: COMMAND > OUTPUT"; CourseError for anything else."""
        found = _STEP.fullmatch(line)
        if found is None:
            raise CourseError(f"{line!r} is no step; a step is 'HOST: COMMAND' or 'HOST: COMMAND > OUTPUT'.")
        return cls(found["host"], found["command"], found["output"] or "")

    def __str__(self) -> str:
        return f"{self.host}: {self.command}"


@dataclass(frozen=True)
class Scenario:
    """How a recording is made. `cannot` says in words why it cannot be made here, "" if it can."""

    name: str
    title: str
    cluster: str | Mapping[str, Any]  # the name of a bundled one, or what a cluster file would say
    profile: str
    setup: str
    points: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()  # steps before anything is captured
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the cluster: _CHANGES
    faults: tuple[Mapping[str, Any], ...] = ()
    kernel: str = ""  # "debian": one that has ipip; "" any
    offload: bool = False
    race: bool = False  # which of several equal paths comes first differs, and the UPDATEs with it
    bgp: bool = False  # BIRDs with the configurations that the recording holds
    state: bool = True
    state_text: bool = False
    cannot: str = ""

    def made(self) -> Cluster:
        """Return the cluster, with its profile."""
        found = load(self.cluster) if isinstance(self.cluster, str) else Cluster.from_dict(dict(self.cluster))
        return replace(found.with_profile(self.profile, **_plain(self.options)), **_plain(self.changes))

    def broken(self) -> tuple[Fault, ...]:
        """Return what is broken in it."""
        return tuple(faults.fault(**_plain(one)) for one in self.faults)

    def typed(self, which: str = "steps") -> tuple[Step, ...]:
        """Return the steps, or with "prepare" what comes before."""
        return tuple(Step.parse(line) for line in getattr(self, which))


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without remarks."""
    return {key: value for key, value in table.items() if key not in FREE}


def read(text: str) -> dict[str, Scenario]:
    """Return the scenarios of a TOML text by name; CourseError says what is wrong in which."""
    found = load_toml(text, "scenarios.toml")
    known = [one.name for one in fields(Scenario) if one.name != "name"]
    scenarios = {}
    for name, values in found.items():
        where = f"Scenario {name}"
        expect(values, Mapping, f"{where} is a table of keys")
        check_keys(values, known, where)
        check_keys(values.get("changes", {}), _CHANGES, f"{where}: changes")
        missing = [key for key in ("title", "cluster", "profile", "setup") if key not in values]
        if missing and not values.get("cannot"):
            raise CourseError(f"Scenario {name} does not say: {', '.join(missing)}.")
        blank = dict.fromkeys(("title", "cluster", "profile", "setup"), "")
        lists = {key: tuple(value) for key, value in values.items() if key in known and isinstance(value, list)}
        for one in values.get("faults", ()):
            if "name" not in one:
                raise CourseError(f"{where}: a fault does not say its name{suggestion('name', one)}.")
        given = {key: value for key, value in values.items() if key in known}
        scenario = Scenario(name, **{**blank, **given, **lists})
        scenario.broken()  # refuses a fault, or an option of one, that there is not
        if not scenario.cannot:
            hosts = scenario.made()
            names = {one.name for group in (hosts.nodes, hosts.pods, hosts.routers) for one in group} | {"router"}
            for step in (*scenario.typed(), *scenario.typed("prepare")):
                if step.host not in names:
                    raise CourseError(f"Scenario {name}: {str(step)!r}: there is no host {step.host!r}.")
        scenarios[name] = scenario
    return scenarios


@cache
def scenarios() -> Mapping[str, Scenario]:
    """Return the scenarios of the course, in the order of the file."""
    return read((Path(__file__).parent / "scenarios.toml").read_text(encoding="utf-8"))


def chosen(names: list[str]) -> list[Scenario]:
    """Return the scenarios of those names, all without any; CourseError for a name that there is not."""
    known = scenarios()
    for name in names:
        if name not in known:
            raise CourseError(f"There is no scenario {name!r}{suggestion(name, known)}; there are {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(names or known)]
