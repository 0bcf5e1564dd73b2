"""The lab: how long a cluster takes to stand, to answer, and to be gone, against what its parts take at least."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable

from coursekit import lab
from coursekit.cluster.model import Cluster, load
from coursekit.errors import CourseError
from coursekit.lab.probe import probe

ROUNDS = 5


def cluster(nodes: int, profile: str) -> Cluster:
    """Return `nodes` nodes on one LAN, a pod on each."""
    numbers = range(1, nodes + 1)
    return Cluster.from_dict(
        {
            "profile": {"name": profile},
            "segments": [{"name": "lan", "subnet": "192.168.0.0/16", "gateway": "192.168.0.1"}],
            "nodes": [{"name": f"node{i}", "address": f"192.168.1.{i}", "block": f"10.244.{i}.0/24"} for i in numbers],
            "pods": [{"name": f"pod{i}", "address": f"10.244.{i}.5"} for i in numbers],
        }
    )


def once(found: Cluster) -> dict[str, float]:
    """Build a cluster, ping through it with every device captured, read all tables, take it down; return seconds."""
    first, last = found.pods[0].name, found.pods[-1].name
    times, begun = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal begun
        times[name], begun = time.perf_counter() - begun, time.perf_counter()

    with lab.up(found) as net:
        lap("up")
        net.ping(first, last)
        lap("ping, captured")
        net.network()
        lap("all tables")
    lap("down")
    return times


def median(measure: Callable[[], dict[str, float]], rounds: int) -> dict[str, float]:
    """Return the median of each time."""
    rows = [measure() for _ in range(rounds)]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def floor() -> float:
    """Return the seconds that an empty sandbox takes: unshare and a Python that does nothing."""
    begun = time.perf_counter()
    user = [] if probe().root.works else ["--user", "--map-root-user"]
    subprocess.run(["unshare", *user, "--net", "--mount", "--pid", "--fork", "true"], check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    if not (probe().root.works or probe().user.works):
        print(f"\nThe lab is not measured: {probe().advice}")
        return
    print(f"\nThe lab, medians in seconds (as {probe().mode}; an empty namespace takes {floor():.3f} s)")
    print(f"  {'':34} {'up':>8} {'ping':>8} {'tables':>8} {'down':>8} {'in all':>8}")
    cases = [(f"{load('lab').profile.name}, 2 nodes", load("lab"), ROUNDS)]
    cases += [(f"{name}, 2 nodes", load("lab").with_profile(name), ROUNDS) for name in ("calico-bgp", "calico-ipip")]
    cases += [("flannel-vxlan, 20 nodes", cluster(20, "flannel-vxlan"), 3)]
    cases += [("calico-bgp, 20 nodes in full mesh", cluster(20, "calico-bgp"), 3)]
    cases += [("flannel-vxlan, 100 nodes", cluster(100, "flannel-vxlan"), 1)]
    for name, found, rounds in cases:
        try:
            times = median(lambda found=found: once(found), rounds)  # type: ignore[misc]
        except CourseError as error:
            print(f"  {name:34} {error}")
            continue
        print(f"  {name:34} " + " ".join(f"{value:8.2f}" for value in (*times.values(), sum(times.values()))))
