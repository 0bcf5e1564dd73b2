"""What BIRD tells the kernel: the rows that a run of a cluster's BGP leaves in the tables of nodes and routers.

BIRD resolves a next hop through what it knows without BGP (`gateway recursive`): the connected subnets that `protocol
direct` shows it, and the routes that `protocol kernel { learn; }` found, which are those that other programs wrote. A
route whose next hop cannot be resolved so is kept, and the kernel gets it as `unreachable` (seen in BIRD 2.0.12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_address
from typing import Any

from coursekit.bgp.decision import Decision
from coursekit.bgp.simulation import Simulation
from coursekit.cluster import peering
from coursekit.cluster.host import Host
from coursekit.cluster.model import Cluster, Node
from coursekit.cluster.tables import Address, Network, NextHop, Route
from coursekit.errors import expect

_SOON = 1_000  # milliseconds: all messages have arrived, no timer has rung
ROUTER_METRIC = 32  # with which BIRD 2 writes; Calico's BIRD 1.6 writes 0
Known = list[tuple[Network, NextHop]]


@dataclass(frozen=True)
class Event:
    """Something that happens to a running network: a method of Simulation and its arguments.

    `settled`: so long ago that every timer has rung (hold time, restart time), and peers have drawn the consequences.
    """

    op: str
    arguments: tuple[Any, ...]
    options: tuple[tuple[str, Any], ...] = ()
    settled: bool = False


@dataclass(frozen=True)
class Learning:
    """A cluster whose routes come by BGP, and what has happened to it since all was well."""

    cluster: Cluster
    events: tuple[Event, ...] = ()
    without: frozenset[tuple[str, str]] = (
        frozenset()
    )  # ("node1", "direct"): its BIRD lacks it; or "default": its kernel
    earlier: Learning | None = None  # as it was until its daemons were configured as they are now

    def simulation(self) -> Simulation:
        """Return the network as it stands after all events. CourseError if the cluster is none that learns by BGP."""
        expect(self.cluster, Cluster, 'A cluster is what load_cluster("chapter") returns')
        found = peering.scenario(self.cluster)
        simulation = found.simulation()
        for session in self._unmet():
            simulation.session_down(session)
        found.start(simulation)
        simulation.run()
        for event in self.events:
            if event.arguments[0] not in (simulation.sessions if "session" in event.op else simulation.speakers):
                continue  # the peering has been changed since, and there is no such session now
            getattr(simulation, event.op)(*event.arguments, **dict(event.options))
            if event.settled:
                simulation.run()
            else:
                simulation.advance(simulation.time + _SOON)
        return simulation

    def after(self, event: Event) -> Learning:
        """Return the same with one more event."""
        return replace(self, events=(*self.events, event))

    def otherwise(self, **changes: Any) -> Learning:
        """Return the same with another `cluster`, or `without` something else, from now on."""
        changed = replace(self, **changes)
        return self if changed == self else replace(changed, earlier=self)

    def _unmet(self) -> set[str]:
        """Return the sessions that were configured when one end was gone: BIRD restarts what is configured anew."""
        if self.earlier is None:
            return set()
        gone = {event.arguments[0] for event in self.earlier.events if event.op == "router_down"}
        if not gone:
            return set()
        before, now = peering.scenario(self.earlier.cluster), peering.scenario(self.cluster)
        kept, unmet = {*before.sessions, *before.routers}, self.earlier._unmet()
        routers = {router.name: router for router in now.routers}
        return {
            s.id for s in now.sessions
            if {s.a, s.b} & gone and (s.id in unmet or not {s, routers[s.a], routers[s.b]} <= kept)
        }  # fmt: skip

    def when_alive(self, name: str) -> Learning:
        """Return what a speaker that is gone knew last.

        Behind a pulled cable BIRD lives on: it is configured anew, and its own hold timers ring. A dead one is not.
        """
        for place, event in enumerate(self.events):
            if event.op == "router_down" and event.arguments == (name, "cable"):
                own = [s.id for s in peering.scenario(self.cluster).sessions if name in (s.a, s.b)]
                rung = [Event("session_down", (session,)) for session in own if event.settled]
                return replace(self, events=(*self.events[:place], *rung))
        if self.simulation().speakers[name].up or not self.events:
            return self
        if self.earlier is not None and self.earlier.events == self.events:
            return self.earlier.when_alive(name)
        return replace(self, events=self.events[:-1]).when_alive(name)


def fill(learning: Learning, hosts: Mapping[str, Host]) -> None:
    """Add to `hosts` the rows that BIRD writes: blackholes for own blocks, ways to those of others."""
    simulation = learning.simulation()
    speakers: tuple[peering.Speaker, ...] = (*learning.cluster.nodes, *learning.cluster.routers)
    for speaker in speakers:
        host, then, ran = hosts[speaker.name], learning, simulation
        if not ran.speakers[speaker.name].up:  # who is gone leaves in the kernel what it had (`persist`)
            then = learning.when_alive(speaker.name)
            ran = then.simulation()
        known = _known(host, {what for name, what in then.without if name == speaker.name})
        rows = [
            row
            for prefix, decision in ran.speakers[speaker.name].loc_rib.items()
            for row in _rows(then.cluster, speaker, IPv4Network(prefix), decision, known)
        ]
        host.routes += rows


def _rows(
    cluster: Cluster, speaker: peering.Speaker, block: IPv4Network, decision: Decision, known: Known
) -> Iterator[Route]:
    node = isinstance(speaker, Node)
    metric = ROUTER_METRIC if not node else 1024 if cluster.profile.version >= "3.32" else None
    if decision.best is not None and decision.best.peer is None:
        yield Route(block, type="blackhole", protocol="bird")  # an aggregate: pods' own rows are longer
        return
    hops = [ip_address(path.attributes.next_hop) for path in decision.multipath]
    ways = [way for hop in hops if (way := _way(cluster, speaker, hop, known))]
    legs = tuple(dict.fromkeys(ways))
    if not legs:
        if hops:
            yield Route(block, type="unreachable", protocol="bird", metric=metric)
    elif len(legs) == 1:
        yield Route(block, legs[0].via, legs[0].dev, protocol="bird", metric=metric, flags=legs[0].flags)
    else:
        yield Route(block, protocol="bird", metric=metric, nexthops=legs)


def _way(cluster: Cluster, speaker: peering.Speaker, hop: Address, known: Known) -> NextHop | None:
    """Return gateway and device for a next hop; None if it cannot be resolved."""
    found = _resolve(known, hop)
    if found is None:
        return None
    tunnel = cluster.profile.device if isinstance(speaker, Node) else None
    near = isinstance(speaker, Node) and hop in cluster.segment_of(speaker).subnet
    if tunnel and not (near and cluster.profile.direct):
        return NextHop(hop, tunnel, flags=("onlink",))  # krt_tunnel: the BGP next hop itself becomes the gateway
    return found


def _known(host: Host, without: set[str]) -> Known:
    """Return what a host's BIRD resolves next hops with: its subnets, and the routes that others wrote."""
    subnets = [(a.interface.network, NextHop(None, a.dev)) for a in host.addresses if "direct" not in without]
    learned = [(r.dst, NextHop(r.via, r.dev)) for r in host.routes if r.via is not None and r.protocol != "bird"]
    if "learn" in without:
        return subnets
    return [*subnets, *(row for row in learned if row[0].prefixlen or "default" not in without)]


def _resolve(known: Known, hop: Address) -> NextHop | None:
    """Return by which gateway and device a next hop is reached."""
    fitting = [row for row in known if row[0].version == hop.version and hop in row[0]]
    if not fitting:
        return None
    way = max(fitting, key=lambda row: row[0].prefixlen)[1]
    return way if way.via else replace(way, via=hop)
