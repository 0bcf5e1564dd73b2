"""What a journey is made of: stops, the rows that decided, and how it ended.

The model (`journey.py`), a live lab and a recording all return these types, so one view draws them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from coursekit.cluster.tables import Address
from coursekit.errors import CourseError, given


@dataclass(frozen=True)
class Decision:
    """One look-up at a stop: which table was asked for what, the row that answered, and why it won."""

    table: str  # "route", "neigh", "fdb", "local", "bridge", "filter", "nat", "mtu", "port", "protocol", "vni"
    asked: str  # "10.244.1.7"
    row: Any | None  # a row of tables.py, or None when nothing matched
    why: str  # "/24 is the longest of 2 matching prefixes"
    considered: tuple[Any, ...] = ()  # all matching rows, best first
    sets: str = ""  # the header field this look-up fills, as a Wireshark key: "eth.dst", "ip.dst", …


@dataclass(frozen=True)
class Stop:
    """A packet at one capture point. `frame` is what `tcpdump -i device` on `host` records, None if nothing."""

    host: str
    device: str
    # sends, receives, switches, forwards, encapsulates, decapsulates, fragments, answers, drops, delivers; or asks:
    action: str  # an ARP request that nobody answered, which is not the packet itself
    frame: bytes | None
    note: str  # one sentence for the learner
    decisions: tuple[Decision, ...] = ()
    direction: str = "out"  # "in" or "out" of that device
    order: int = 0  # its place in time among all stops of a journey and its replies

    @property
    def point(self) -> str:
        """The capture point, as recordings name it: `node1:eth0`."""
        return f"{self.host}:{self.device}"


@dataclass(frozen=True)
class Outcome:
    """How a journey ended. `symptom` is what the sender is told: "" for silence, else ping's own words."""

    # delivered (of one packet, one way; of a round trip: answered), lost, error (an ICMP error came back), refused (the
    kind: str  # sender's own stack said no)
    symptom: str  # "Destination Net Unreachable" …, as ping prints it without the address
    sender: str | None  # address the error came from
    last_seen: str  # capture point that saw the packet last: "node1:flannel.1"
    reason: str  # one sentence: which row or rule ended it
    mtu: int | None = None  # of a "Frag needed"


@dataclass(frozen=True)
class PathMtu:
    """What a host remembers after a "Frag needed": packets to that destination may be this long, in bytes."""

    host: str
    destination: Address
    mtu: int


@dataclass(frozen=True)
class Journey:
    """One packet through the tables, stop by stop, and what came back, if anything: an answer or an ICMP error."""

    stops: tuple[Stop, ...]
    outcome: Outcome
    reply: Journey | None = None
    learned: tuple[PathMtu, ...] = ()  # path MTUs that hosts remember from now on
    others: tuple[Journey, ...] = ()  # further replies: fragments and flooded copies may each cause one

    @property
    def round_trip(self) -> Outcome:
        """How it ended for a sender who waits for an answer, as ping does.

        `kind` is "answered" where the packet was delivered and its answer was too; "lost" where one of the two was
        not, with the `last_seen` and `reason` of that one; else "error" or "refused", as in `outcome`.
        """
        there, back = self.outcome, self.reply
        if there.kind != "delivered":
            return there
        if back is None:
            return replace(there, kind="lost", reason=f"{there.reason}; nothing is sent back")
        if back.outcome.kind == "delivered" and back.stops and back.stops[-1].host == self.stops[0].host:
            return replace(back.outcome, kind="answered")
        return Outcome("lost", "", None, back.outcome.last_seen, back.outcome.reason)

    @property
    def answered(self) -> bool:
        """Whether the packet was delivered and its answer was delivered back: what ping counts as received."""
        return self.round_trip.kind == "answered"

    def points(self) -> Iterator[str]:
        """Yield each capture point that saw the packet, in order."""
        for stop in self.stops:
            if stop.frame is not None and stop.action != "asks":
                yield stop.point

    def frames_at(self, point: str) -> list[bytes]:
        """Return the frames that a capture at `point` ("node1:eth0") holds, this way and back, in order."""
        if not isinstance(point, str) or ":" not in point:
            raise CourseError(f'A capture point is "host:device", such as "node1:eth0"; {given(point)} was given.')
        stops = sorted(self.all_stops(), key=lambda stop: stop.order)
        return [stop.frame for stop in stops if stop.point == point and stop.frame is not None]

    def all_stops(self) -> Iterator[Stop]:
        """Yield the stops of this journey, then those of its replies."""
        yield from self.stops
        for reply in (self.reply, *self.others):
            if reply is not None:
                yield from reply.all_stops()
