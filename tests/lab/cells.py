"""One lab of the matrix: a cluster with faults, in the model and in namespaces, and how the two differ."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from coursekit import lab
from coursekit.cluster.faults import Fault, apply
from coursekit.cluster.model import Cluster
from coursekit.cluster.network import Network, network
from coursekit.cluster.path import Journey
from coursekit.lab.live import Lab
from tests.lab.probes import HOPS, PROBES, asks, traceroute
from tests.lab.same_tables import table_differences

_AT_ONCE, _USUAL = HOPS, 3  # errors about missing routes: of a traceroute, of any other probe at most


@dataclass(frozen=True)
class Case:
    """One lab: a cluster and what is broken in it; all probes are run in it."""

    name: str
    cluster: Cluster
    faults: tuple[Fault, ...] = ()
    src: str = ""
    dst: str = ""

    @property
    def ends(self) -> tuple[str, str]:
        """Who asks, and who is asked: the first pod and the first on another node, unless it is said."""
        first = self.cluster.pods[0]
        other = next((pod for pod in self.cluster.pods if pod.node != first.node), first)
        return self.src or first.name, self.dst or other.name


class Allowance:
    """How many ICMP errors about missing routes the kernel sends (ip_error): five at once, then one more each second.

    Rates are not the model's: before the kernel would hold an error back, the cells wait.
    """

    def __init__(self) -> None:
        self._left, self._since = float(_AT_ONCE), time.monotonic()

    def spend(self, errors: int) -> None:
        """Take what a probe has used, and one to be sure."""
        now = time.monotonic()
        self._left = min(_AT_ONCE, self._left + now - self._since) - (errors + 1 if errors else 0)
        self._since = now

    def wait(self, needed: int) -> None:
        """Wait until there is enough for the next probe."""
        self.spend(0)
        time.sleep(max(0.0, needed - self._left) * 1.05)


@dataclass
class Report:
    """What was compared in one lab, and what differs."""

    name: str
    cells: int = 0
    failures: int = 0  # cells in which the probe fails, in both worlds
    frames: int = 0
    rows: int = 0
    differences: list[str] = field(default_factory=list)


def run(case: Case) -> Report:
    """Run all probes of a case, and compare; a CourseError of either world is a difference too."""
    report = Report(case.name)
    sound = network(case.cluster)
    wanted = apply(sound, *case.faults) if case.faults else sound
    with lab.up(case.cluster) as net:
        for fault in case.faults:
            net.break_(fault)
        _tables(report, "broken" if case.faults else "built", wanted, net)
        net.forget()
        allowance = Allowance()
        for probe in PROBES:
            allowance.wait(_AT_ONCE if probe is traceroute else _USUAL)
            differences = []
            wanted, failed, frames, journeys = probe(wanted, net, *case.ends, differences)
            allowance.spend(sum(map(_route_errors, journeys)))
            report.cells += 1
            report.failures += failed
            report.frames += frames
            label = probe.__name__.replace("_", " ")
            report.differences += [f"{case.name}: {label}: {difference}" for difference in differences]
            if asks(journeys):  # an unanswered ARP goes on after its probe; the next one starts from nothing
                net.forget()
                wanted = replace(wanted, path_mtus={})
        if case.faults:
            net.repair()
            _tables(report, "repaired", sound, net)
    return report


def _tables(report: Report, when: str, wanted: Network, net: Lab) -> None:
    real = net.network()
    for name, host in wanted.hosts.items():
        rows, differences = table_differences(host.tables, real.host(name).tables, when == "built")
        report.rows += rows
        report.differences += [f"{report.name}: {when}: {name}: {difference}" for difference in differences]


def _route_errors(one: Journey) -> int:
    """How many errors about a missing or unreachable route a journey caused."""
    told = one.outcome.symptom in ("Destination Net Unreachable", "Destination Host Unreachable")
    own = one.outcome.kind == "error" and told and not asks([one])
    return own + sum(1 for other in one.others if other.stops)
