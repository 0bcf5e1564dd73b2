"""Who passes on to whom what came from whom: every chance that a finished run had, and whether it was taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from coursekit.bgp.session import Neighbour
from coursekit.bgp.simulation import Simulation
from coursekit.errors import expect

Kind = Literal["iBGP peer", "client", "eBGP peer"]


class Passing(NamedTuple):
    """A router's best route to a prefix, heard from one kind of peer, and another of its peers: told of it, or not."""

    router: str
    prefix: str
    heard_from: Kind
    to: Kind
    told: bool


def kind_of(neighbour: Neighbour) -> Kind:
    """Return what a neighbour is to the speaker: in another AS, a client that it reflects for, or neither."""
    return "eBGP peer" if neighbour.peer.external else "client" if neighbour.client else "iBGP peer"


def passings(simulation: Simulation) -> Iterator[Passing]:
    """Yield every heard best route with every session that is up, but the one that it came over."""
    expect(simulation, Simulation, "Passings are those of a simulation, such as Learning(cluster).simulation()")
    for speaker in simulation.speakers.values():
        for prefix, decision in speaker.loc_rib.items():
            if decision.best is None or decision.best.peer is None:
                continue
            source = speaker.neighbours[decision.best.index]
            for to in speaker.neighbours:
                if to is not source and to.up:
                    yield Passing(speaker.name, prefix, kind_of(source), kind_of(to), bool(to.sent.get(prefix)))
