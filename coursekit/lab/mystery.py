"""Diagnose it: a fault that nobody names. You see what an operator sees, and say what you think it is.

A diagnosis is right if it explains everything: the same fault in the model gives the same symptoms and the same rows.
So no key is kept to compare with, and two names for one and the same change are both right.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from coursekit.cluster import faults
from coursekit.cluster.faults import Fault
from coursekit.cluster.journey import ping
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Network, network
from coursekit.cluster.path import Journey
from coursekit.cluster.prints import packet_at, ping_line
from coursekit.cluster.tables import HostTables, Link
from coursekit.errors import CourseError, expect, given
from coursekit.lab.replay import TAKES
from coursekit.lab.results import Get, Ping, Traceroute
from coursekit.lab.session import Net, Session, evidence


@dataclass(frozen=True)
class Judgement:
    """What becomes of a diagnosis: right, and if not, the first thing that it does not explain."""

    right: bool
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def mystery(session: Session, seed: int = 0) -> Case:
    """Break something, drawn by `seed`, in a cluster drawn by `seed`; the same seed gives the same case in each mode.

    Clusters are those of which something broken was recorded; each fault that fits one is drawn equally often. In a
    replay what was recorded is shown as captured, the rest is computed.
    """
    expect(session, Session, "Something is broken in a session, as in mystery(s, seed=7)")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise CourseError(f"A seed is a whole number, as in mystery(s, seed=7); {given(seed)} was given.")
    cluster, profile, name = drawn(seed)
    return Case(session.up(cluster, profile), faults.fault(name))


def drawn(seed: int) -> tuple[str, str, str]:
    """Return cluster, profile and fault of a seed: all are dealt once, in an order by lot, before any comes again."""
    places = dict.fromkeys((take.cluster, take.profile) for take in TAKES if take.faults)
    deck = [(*place, name) for place in places for name in fitting(load(place[0]).with_profile(place[1]))]
    lap, card = divmod(seed, len(deck))
    return random.Random(f"mystery {lap}").sample(deck, len(deck))[card]


@cache
def fitting(cluster: Cluster) -> tuple[str, ...]:
    """Return the faults that fit a cluster: each shows, in a symptom or a row, and leaves the profile what it is.

    A filter for protocol 4 does not show under VXLAN; a forgotten route reflector does not fit a mesh.
    """
    sound = network(cluster)
    broken = {name: faults.apply(sound, name) for name in faults.applicable(sound)}
    return tuple(name for name, other in broken.items() if _shows(cluster, sound, other))


def _shows(cluster: Cluster, sound: Network, broken: Network) -> bool:
    if broken.learning is not None and broken.learning.cluster.profile != cluster.profile:
        return False
    return any(True for _ in chain(_symptoms(cluster, sound, broken), _rows(sound, sound, broken)))


class Case:
    """A broken cluster whose fault is not told. Look with the lab's verbs, then `diagnose`; `reveal` gives up."""

    def __init__(self, net: Net, hidden: Fault) -> None:
        self._net, self._hidden = net, hidden
        self._sound = network(net.cluster)
        net.break_(hidden)

    @property
    def suspects(self) -> Mapping[str, str]:
        """The faults that fit this cluster, each with a line about it."""
        return {name: faults.FAULTS[name].about for name in fitting(self._net.cluster)}

    @property
    def evidence(self) -> str:
        """What the last answer was: captured live, captured before, or computed."""
        return evidence(self._net)

    def ping(self, src: str, dst: str, size: int = 56, df: bool | None = None, count: int = 1, wait: float = 1) -> Ping:
        """Ping as the lab does."""
        return self._net.ping(src, dst, size, df, count=count, wait=wait)

    def traceroute(self, src: str, dst: str) -> Traceroute:
        """Trace as the lab does."""
        return self._net.traceroute(src, dst)

    def get(self, src: str, dst: str, size: int | None = None, wait: float = 3.0) -> Get:
        """Fetch as the lab does."""
        return self._net.get(src, dst, size=size, wait=wait)

    def tables(self, host: str) -> HostTables:
        """Return a host's tables as they are now."""
        return self._net.tables(host)

    def diagnose(self, name: str, **options: Any) -> Judgement:
        """Say whether a fault, with its options, explains all that can be seen; if not, what it does not explain.

        Raises CourseError for a fault that does not exist, or that this cluster cannot have.
        """
        guess = faults.apply(self._sound, faults.fault(name, **options))
        real = _quiet(self._net.network())
        for said in chain(_symptoms(self._net.cluster, guess, real), _rows(self._sound, guess, real)):
            return Judgement(False, f"{name} does not explain it:{said}")
        return Judgement(True, f"{name} explains everything: each symptom, and each row that is not as it should be.")

    def reveal(self) -> str:
        """Give up: say what was broken."""
        return f"It was {self._hidden}: {faults.FAULTS[self._hidden.name].about}"

    def repair(self) -> list[str]:
        """Mend the cluster, and return the commands that did it."""
        return [str(command) for command in self._net.repair()]


def _quiet(network: Network) -> Network:
    """Return a network without the neighbours that ARP found: they outlive, for a while, the node that answered."""
    for name, host in network.hosts.items():
        kept = tuple(row for row in host.tables.neighbours if row.state == "PERMANENT")
        network = network.change(name, {"neighbours": kept})
    return network


def _symptoms(cluster: Any, guess: Network, real: Network) -> Iterator[str]:
    """Yield where a ping fares differently under the guess than under what is there."""
    pods = [pod.name for pod in cluster.pods]
    for src, dst in (pods[:2], pods[1::-1]):
        full = min(n.host(src).link("eth0").mtu for n in (guess, real)) - 28
        for size, df in ((56, None), (full, True), (full, False)):
            expected, seen = (ping(n, src, dst, size, df) for n in (guess, real))
            if _fate(expected) != _fate(seen):
                how = f"ping -s {size}" + {True: " -M do", False: " -M dont", None: ""}[df]
                yield f"\n   from {src}, {how} would give {_words(expected)};\n   here it gives {_words(seen)}."


def _fate(journey: Journey) -> tuple[object, ...]:
    """Return what two pings that fare alike have in common: how each way ended and where it was seen last."""
    there, both = journey.outcome, journey.round_trip
    back = journey.reply.outcome.kind if journey.reply is not None else ""
    return there.kind, there.last_seen, both.kind, both.symptom, both.last_seen, ping_line(journey), back


def _words(journey: Journey) -> str:
    line = ping_line(journey)
    way = "answer" if journey.outcome.kind == "delivered" else "request"
    last = journey.round_trip.last_seen or "no capture point"
    first = packet_at(journey.reply.stops[0]) if journey.reply else None
    told = f", and {first.src} complains to {first.dst}" if first is not None and first.is_icmp_error else ""
    return f"“{line}”" if line else f"silence in the pod, the {way} seen last at {last}{told}"


def _rows(sound: Network, guess: Network, real: Network) -> Iterator[str]:
    """Yield rows of the sound cluster that the guess takes away and reality has, or the other way round."""
    for name in sound.hosts:
        before, wanted, found = (_lines(n.host(name).tables) for n in (sound, guess, real))
        for row in sorted((before & found) - wanted):
            yield f" {name} would not have “{row}”, and it has."
        for row in sorted((before & wanted) - found):
            yield f" {name} no longer has “{row}”, and that would leave it alone."


def _lines(tables: HostTables) -> set[str]:
    """Return the rows that programs write: no row that traffic makes, no index, no counter."""
    return {
        *(f"{r.type} {r.dst} via {r.via} dev {r.dev}" for r in tables.routes),
        *(f"{n.dst} dev {n.dev} lladdr {n.lladdr} PERMANENT" for n in tables.neighbours if n.state == "PERMANENT"),
        *(f"{e.mac} dev {e.dev} dst {e.dst} self permanent" for e in tables.fdb if e.dst),
        *(_link(link) for link in tables.links if "LOOPBACK" not in link.flags),
    }


def _link(link: Link) -> str:
    info = link.info
    tunnel = f" vxlan id {info['id']} dstport {info['port']} link/ether {link.mac}" if link.kind == "vxlan" else ""
    return f"{link.name} mtu {link.mtu} {'UP' if link.up else 'DOWN'}{tunnel}"
