"""What is under way in a network: trips, the events that move them on, and the values a kernel draws at random.

`stack`, `wire` and `tunnels` each turn one event into the next ones; `journey` runs them until none is left.
None of the three needs to know the others: they meet in these events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol
from zlib import crc32

from coursekit.cluster.datagram import Datagram, reassemble
from coursekit.cluster.network import Host, Network
from coursekit.cluster.path import Decision, PathMtu
from coursekit.cluster.tables import Address, Route


@dataclass(frozen=True)
class TcpDraw:
    """What a listening host chooses for its SYN-ACK."""

    sequence: int
    timestamp: int
    window: int
    window_scale: int


class Draws(Protocol):
    """Values that a kernel draws. `purpose` is probe, outer, error or reply; `about` the packet that is the cause."""

    def ip_id(self, host: str, purpose: str, about: bytes) -> int:
        """Return the IPv4 identification of a packet that `host` makes."""

    def source_port(self, host: str, inner: bytes) -> int | None:
        """Return the outer UDP source port for a packet that enters a VXLAN device; None: a hash of its flow."""

    def probe_port(self, host: str, ttl: int) -> int:
        """Return the source port of a traceroute probe."""

    def tcp(self, host: str, syn: bytes) -> TcpDraw:
        """Return what `host` answers a SYN with."""


class FixedDraws:
    """The same values every time: hashes of what they are for, inside the ranges a kernel uses."""

    def ip_id(self, host: str, purpose: str, about: bytes) -> int:
        """Return a number from 1 to 65535."""
        return crc32(f"{host} {purpose}".encode() + about) % 0xFFFF + 1

    def source_port(self, host: str, inner: bytes) -> int | None:
        """Leave it to the flow's hash, which is the same in both directions."""
        return None

    def probe_port(self, host: str, ttl: int) -> int:
        """Return another port for each probe, as traceroute does."""
        return 32768 + crc32(f"{host} {ttl}".encode()) % 28232

    def tcp(self, host: str, syn: bytes) -> TcpDraw:
        """Return values as a Linux host with default buffers shows them."""
        seed = crc32(host.encode() + syn)
        return TcpDraw(seed, seed ^ 0xFFFFFFFF, 65160, 7)


@dataclass
class Mark:
    """A stop that is still being written."""

    host: str
    device: str
    action: str
    frame: bytes | None
    note: str
    decisions: list[Decision] = field(default_factory=list)
    direction: str = "out"
    order: int = 0

    def end(self, note: str, *decisions: Decision) -> None:
        """The packet gets no further than here."""
        self.action, self.note = "drops", note
        self.decisions += decisions


@dataclass
class Trip:
    """A journey that is still under way: one packet (or its fragments and copies) and the trips it caused."""

    origin: str
    packet: bytes
    marks: list[Mark] = field(default_factory=list)
    caused: list[Trip] = field(default_factory=list)
    probe: bool = False  # what a person sent, rather than an answer or an error
    reached: str | None = None  # the host whose stack took the packet
    taken: bytes = b""  # the packet as that host got it
    endings: list[str] = field(default_factory=list)  # why a copy or fragment got no further
    refused: tuple[str, int | None] | None = None  # the sender's own stack said no: ping's words, MTU
    learned: list[PathMtu] = field(default_factory=list)
    clock: Iterator[int] = field(default_factory=count, repr=False)  # shared with the trips it causes

    def cause(self, origin: str, packet: bytes) -> Trip:
        """Start the trip of an answer or error."""
        self.caused.append(Trip(origin, packet, clock=self.clock))
        return self.caused[-1]

    def lose(self, mark: Mark, why: str, *decisions: Decision) -> None:
        """The packet gets no further than `mark`."""
        mark.end(why, *decisions)
        self.endings.append(f"{mark.host}: {why}")

    def stop(self, mark: Mark) -> Mark:
        """Add a stop and return it."""
        mark.order = next(self.clock)
        self.marks.append(mark)
        return mark


@dataclass(frozen=True)
class Originate:
    """A host's own stack makes a packet; `near` is the stop that caused it, if any."""

    trip: Trip
    host: str
    packet: bytes
    near: Mark | None = None
    may_fragment: bool = False  # whether the host may clear DF and fragment it (ping, unless told -M do)


@dataclass(frozen=True)
class Transmit:
    """A frame (a bare IP packet for devices without link layer) is handed to a device."""

    trip: Trip
    host: str
    device: str
    frame: bytes
    action: str
    note: str
    decisions: tuple[Decision, ...] = ()
    hop: Address | None = None  # the next hop that the route named: what an IPIP device takes as outer destination


@dataclass(frozen=True)
class Arrive:
    """A frame comes in from the wire."""

    trip: Trip
    host: str
    device: str
    frame: bytes


@dataclass(frozen=True)
class Up:
    """A device hands a frame to the IP stack of its host; `mark` is the stop where it was seen last."""

    trip: Trip
    host: str
    device: str
    frame: bytes
    mark: Mark


Event = Originate | Transmit | Arrive | Up


@dataclass(frozen=True)
class Translation:
    """A masqueraded flow: whose packet it was, and what it was made to look like."""

    inside: Address
    outside: Address


@dataclass
class World:
    """The network while packets are under way, with what hosts remember in the meantime."""

    network: Network
    draws: Draws
    wait: float  # seconds that the sender waits for an answer
    flows: dict[str, dict[tuple[object, ...], Translation | None]] = field(default_factory=lambda: defaultdict(dict))
    pieces: dict[tuple[str, Address, Address, int, int], list[Datagram]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def host(self, name: str) -> Host:
        """Return a host of the network."""
        return self.network.host(name)

    def collect(self, host: str, packet: Datagram) -> tuple[bytes, list[Datagram]] | None:
        """Keep a fragment; return the whole packet and its fragments once all are there."""
        key = (host, packet.src, packet.dst, packet.ip_id, packet.protocol)
        pieces = self.pieces[key]
        pieces.append(packet)
        whole = reassemble(pieces)
        if whole is None:
            return None
        del self.pieces[key]
        return whole, pieces

    def mtu(self, host: Host, way: Route, dst: Address) -> int:
        """Return how long a host's own packets on a route may be: what it learned, the route's MTU, or the device's."""
        learned = self.network.path_mtus.get((host.name, dst))
        return learned or way.mtu or host.link(way.dev or "lo").mtu
