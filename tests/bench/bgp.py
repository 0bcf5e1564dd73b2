"""BGP at the size of clusters, and of the Internet beside BGPy: wall time and peak memory, each in a fresh process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench.measure import ROOT, python

OTHERS = ROOT / ".venv" / "others" / "bin" / "python"  # `make bench` puts BGPy there

_RUN = """
import json, resource, time
from coursekit.bgp import topologies
from coursekit.bgp.groups import GroupedNetwork
begun = time.perf_counter()
scenario = topologies.{build}
built = time.perf_counter() - begun
network = GroupedNetwork(scenario, {steps!r})
totals = network.totals()
took = time.perf_counter() - begun
(message, *_) = network.messages_to({router!r}, topologies.block(3))
print(json.dumps(dict(seconds=took, built=built, updates=[t.updates for t in totals], time=message.sent,
                      seen=time.perf_counter() - begun - took,
                      memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)))
"""
_PLAIN = """
import json, resource, time
from coursekit.bgp import topologies
begun = time.perf_counter()
scenario = topologies.{build}
simulation = scenario.simulation()
built = time.perf_counter() - begun
scenario.start(simulation)
simulation.run()
print(json.dumps(dict(seconds=time.perf_counter() - begun, built=built, updates=[simulation.updates], seen=0,
                      memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)))
"""
NODE, RR, SESSION = ({"op": "router_down", "router": "n7"}, {"op": "router_down", "router": "rr"},
                     {"op": "session_down", "session": "rr-n9"})  # fmt: skip
RR1, SESSION2 = {"op": "router_down", "router": "rr1"}, {"op": "session_down", "session": "rr2-n9"}
LINK, SPINE = {"op": "link_down", "link": "n7s1"}, {"op": "router_down", "router": "s2"}
CLUSTERS: list[tuple[str, str, list[list[dict[str, str]]], str, str]] = [
    ("full mesh, 1,000 nodes", "full_mesh(1000)", [[]], "n900", "3 s"),
    ("full mesh, 1,000; a node fails", "full_mesh(1000)", [[], [NODE]], "n900", ""),
    ("1 reflector, 5,000 clients", "route_reflectors(5000)", [[]], "n900", "1 s, 300 MB"),
    ("  then a node, a session, the reflector", "route_reflectors(5000)", [[], [NODE], [SESSION], [RR]], "n900", ""),
    ("2 reflectors, 5,000 clients", "route_reflectors(5000, 2)", [[]], "n900", "1 s, 300 MB"),
    ("  then a node, a reflector, a session", "route_reflectors(5000, 2)", [[], [NODE], [RR1], [SESSION2]], "n900", ""),
    ("ToR eBGP, 5,000 nodes; a link fails", "tor(5000)", [[], [{"op": "link_down", "link": "l7"}]], "n900", ""),
    ("leaf-spine, 500 x 4", "leaf_spine(500, 4)", [[]], "n400", ""),
    ("  then a link, a spine", "leaf_spine(500, 4)", [[], [LINK], [SPINE]], "n400", ""),
]
PLAIN = [("full mesh, 200 nodes", "full_mesh(200)"), ("1 reflector, 300 clients", "route_reflectors(300)")]

_OURS = """
import gc, json, resource, time
from dataclasses import replace
from coursekit.bgp.groups import GroupedNetwork
from tests.bench.as_graph import origins, scenario
begun = time.perf_counter()
network = GroupedNetwork(scenario({n}, {count}))
seen = {{f"as{{asn}}" for asn in origins({n}, {seen}, seed=3)}}
part = network.part({{origination.router for origination in network.scenario.originate}} | seen)
scenario = replace(part.scenario, originate=network.scenario.originate)
simulation = scenario.simulation()
simulation.count, simulation.deaf = (lambda update: part.counts[update.to.session]), part.deaf
built = time.perf_counter() - begun
gc.collect()
gc.freeze()
begun = time.perf_counter()
scenario.start(simulation)
done = simulation.run()
took = time.perf_counter() - begun
ways = {{speaker.asn: {{prefix: decision.best.attributes.as_path for prefix, decision in speaker.loc_rib.items()
                       if decision.best}} for name, speaker in simulation.speakers.items()
        if name in network.active or name in seen}}
print(json.dumps(dict(seconds=took, built=built, updates=done.updates, converged=done.converged, ways=ways,
                      memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)))
"""
_THEIRS = """
import gc, json, resource, time
from bgpy.shared.enums import Relationships
from bgpy.simulation_engine import Announcement
from tests.bench.as_graph import bgpy_engine, origins, prefix
begun = time.perf_counter()
engine = bgpy_engine({n})
built = time.perf_counter() - begun
gc.collect()
gc.freeze()
begun = time.perf_counter()
engine._seed_announcements(tuple(Announcement(prefix(i), (asn,), asn, asn, Relationships.ORIGIN)
                                 for i, asn in enumerate(origins({n}, {count}))))
engine._propagate(0, None)
took = time.perf_counter() - begun
ways = {{asn: {{prefix: ann.as_path[1:] for prefix, ann in router.policy.local_rib.items()}}
        for asn, router in engine.as_graph.as_dict.items()}}
print(json.dumps(dict(seconds=took, built=built, ways=ways,
                      memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)))
"""


def main() -> None:
    """Measure and print the tables."""
    clusters()
    graphs()


def clusters() -> None:
    """Print what clusters cost: all UPDATEs counted, one of them looked at."""
    print(f"\n{'BGP, runs by groups':42} {'UPDATEs':>12} {'then':>22} {'all':>8} {'topology':>9} {'1 message':>9} "
          f"{'memory':>8}   aim")  # fmt: skip
    rows = [(name, _RUN.format(build=build, steps=steps, router=router), aim)
            for name, build, steps, router, aim in CLUSTERS]  # fmt: skip
    rows += [(f"{name}, plain engine", _PLAIN.format(build=build), "") for name, build in PLAIN]
    for name, program, aim in rows:
        got = json.loads(python(program))
        first, *then = (f"{count:,}" for count in got["updates"])
        print(f"{name:42} {first:>12} {', '.join(then):>22} {got['seconds']:6.2f} s {got['built']:7.2f} s "
              f"{got['seen']:7.3f} s {got['memory']:5} MB   {aim}")  # fmt: skip


def graphs() -> None:
    """Print what prefixes cost on graphs of ASes, and whether both come to the same AS_PATHs."""
    print("\nPrefixes on an AS graph, Gao-Rexford (aim: at most 1.00 x)")
    if not Path(OTHERS).exists():
        print("  BGPy is not to be had here, so there is nothing to compare with.")
    for n, count, seen in ((10_000, 1, 200), (10_000, 10, 200), (70_000, 1, 200), (70_000, 4, 200)):
        ours = json.loads(python(_OURS.format(n=n, count=count, seen=seen)))
        line = (f"  {n:,} ASes, {count:2} prefixes: {ours['seconds'] / count:5.2f} s per prefix, "
                f"{ours['updates']:,} UPDATEs, {ours['memory']} MB, built in {ours['built']:.1f} s")  # fmt: skip
        if Path(OTHERS).exists():
            theirs = json.loads(python(_THEIRS.format(n=n, count=count), str(OTHERS)))
            ratio, same = ours["seconds"] / theirs["seconds"], compared(ours["ways"], theirs["ways"])
            line += (f"; BGPy {theirs['seconds'] / count:5.2f} s, {theirs['memory']} MB, {theirs['built']:.1f} s: "
                     f"{ratio:.2f} x; {same}")  # fmt: skip
        print(line, flush=True)


def compared(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Say in how many tables of ASes both have the same AS_PATH to every prefix, or none."""
    paths = [(table.get(prefix), theirs[asn].get(prefix)) for asn, table in ours.items()
             for prefix in {*table, *theirs[asn]}]  # fmt: skip
    same = sum(mine == other for mine, other in paths)
    return f"{same:,} of {len(paths):,} AS_PATHs equal"
