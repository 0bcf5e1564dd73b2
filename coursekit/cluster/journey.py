"""The journey of a packet through a network's tables, stop by stop, and of whatever comes back.

`send` runs the events of `travel` through `stack`, `wire` and `tunnels` until nothing is under way any more, and
says how it ended. It reads tables, never profile names: recorded, generated or edited ones are all the same to it.
"""

from __future__ import annotations

from collections import deque
from ipaddress import ip_address

from coursekit.cluster import asks, icmp, probes, stack, wire
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.given import check_hops, check_ping, check_seconds
from coursekit.cluster.network import Network
from coursekit.cluster.path import Journey, Outcome, Stop
from coursekit.cluster.prints import Hop
from coursekit.cluster.probes import Probe
from coursekit.cluster.tables import Address
from coursekit.cluster.travel import Arrive, Draws, Event, FixedDraws, Originate, Transmit, Trip, World
from coursekit.errors import CourseError, expect, given

_MOST_EVENTS = 5000  # a packet with TTL 255 that goes round in circles stays below; a bridge loop does not


def send(
    network: Network, packet: bytes | Probe, src: str, *, wait: float = 10.0, draws: Draws | None = None
) -> Journey:
    """Send an IP packet from host `src` and return its journey, answers and errors included.

    `wait` is how many seconds the sender listens for an answer (ping's -W); a "Host Unreachable" after a vain ARP
    takes three. Raises CourseError for an unknown host, bytes that are no IP packet, or bridges that form a loop.
    """
    check_seconds("wait", wait)
    return send_in(World(network, draws or FixedDraws(), wait), packet, src)


def send_in(world: World, packet: bytes | Probe, src: str) -> Journey:
    """Send a packet where others have been before: translated flows are remembered, and fragments kept."""
    probe = packet if isinstance(packet, Probe) else Probe(packet, may_fragment=False)
    world.host(src)
    Datagram(probe.packet)
    trip = Trip(src, probe.packet, probe=True)
    # A program's fragments leave one by one, each when the one before has come to rest (as on one CPU).
    for event in _step(world, Originate(trip, src, probe.packet, may_fragment=probe.may_fragment)):
        _run(world, event)
    return _journey(trip)


def _run(world: World, first: Event) -> None:
    """Carry out an event and all that follow; a host finishes with a frame before it takes the next from a cable."""
    cables: deque[Event] = deque()
    here: deque[Event] = deque([first])
    for _ in range(_MOST_EVENTS):
        if not here and not cables:
            return
        following = _step(world, here.popleft() if here else cables.popleft())
        cables.extend(event for event in following if isinstance(event, Arrive))
        here.extendleft(event for event in reversed(following) if not isinstance(event, Arrive))
    raise CourseError("The packet never comes to rest: bridges of this network form a loop. Unplug one of the cables.")


def _step(world: World, event: Event) -> list[Event]:
    if isinstance(event, Originate):
        return stack.originate(world, event)
    if isinstance(event, Transmit):
        return wire.transmit(world, event)
    if isinstance(event, Arrive):
        return wire.arrive(world, event)
    return stack.up(world, event)


def ping(
    network: Network, src: str, dst: str, size: int = 56, df: bool | None = None, ttl: int = 64, *,
    tos: int = 0, seq: int = 1, ident: int = 1, payload: bytes | None = None, wait: float = 10.0,
    draws: Draws | None = None,
) -> Journey:  # fmt: skip
    """Send one echo request of `size` data bytes from host `src` to a host or address `dst`; the answer is the reply.

    `df` is ping's -M: True "do", False "dont", None ping's own "want" (DF set, but fragments what is too long itself).
    `ttl` and `tos` go into the IP header; an answer counts within `wait` seconds. CourseError for unknown hosts and
    numbers that no packet can have; a ping that fails is an outcome, not an error.
    """
    check_ping(size, df, ttl, tos)
    draws = draws or FixedDraws()
    target, source = ends(network, src, dst)
    about = f"{source} {target} {ident} {seq}".encode()
    packet = probes.echo_request(
        source, target, size=size, df=df is not False, ttl=ttl, tos=tos, ident=ident, seq=seq, payload=payload,
        ip_id=draws.ip_id(src, "probe", about),
    )  # fmt: skip
    return send(network, Probe(packet, may_fragment=df is not True), src, wait=wait, draws=draws)


def ends(network: Network, src: str, dst: str) -> tuple[Address, Address]:
    """Return the destination address, and the one that `src` would use towards it."""
    expect(network, Network, 'A network is what network(load_cluster("chapter")) returns')
    host = network.host(src)
    version = None
    try:
        target = ip_address(dst)
    except ValueError:
        if not isinstance(dst, str) or dst not in network.hosts:
            known = ", ".join(network.hosts)
            raise CourseError(
                f"{given(dst)} is neither an IP address nor a host of this network; the hosts are {known}."
            ) from None
        own = {a.version for a in host.addresses()}
        version = 4 if 4 in own and network.host(dst).addresses(version=4) else None
        target = network.address_of(dst, version)
    if target.is_multicast or target.is_unspecified or target == ip_address("255.255.255.255"):
        raise CourseError(f"{target} is no address of one host; the model follows packets to one, such as 10.244.1.7.")
    if target in host.addresses():
        return target, target
    way, _ = asks.route(host, target, target)
    source = asks.source_address(host, way, target.version) if way else None
    return target, source or network.address_of(src, target.version)


def traceroute(
    network: Network, src: str, dst: str, *, max_hops: int = 30, wait: float = 5.0, draws: Draws | None = None
) -> list[Hop]:
    """Return the hops that `traceroute -n -q 1` shows: one UDP probe per TTL, until something says "unreachable".

    A hop counts within `wait` seconds; at most `max_hops` are tried. CourseError for unknown hosts and bad numbers.
    """
    draws = draws or FixedDraws()
    target, source = ends(network, src, dst)
    check_hops(max_hops)
    hops: list[Hop] = []
    while len(hops) < max_hops and not (hops and hops[-1].final):
        ttl = len(hops) + 1
        about = f"{source} {target} hop {ttl}".encode()
        packet = probes.udp_probe(
            source, target, sport=draws.probe_port(src, ttl), dport=probes.TRACEROUTE_PORT + ttl - 1, ttl=ttl,
            ip_id=draws.ip_id(src, "probe", about),
        )  # fmt: skip
        journey = send(network, Probe(packet), src, wait=wait, draws=draws)
        hops.append(Hop.of(ttl, journey))
        network = network.after(journey)
    return hops


def _journey(trip: Trip) -> Journey:
    """Turn a finished trip into what is shown: stops, how it ended, the reply that matters, what was learned."""
    stops = tuple(
        Stop(m.host, m.device, m.action, m.frame, m.note, tuple(m.decisions), m.direction, m.order) for m in trip.marks
    )
    replies = [_journey(child) for child in trip.caused]
    told = next((n for n, child in enumerate(trip.caused) if _tells(child, trip)), None)
    reply = replies.pop(told or 0) if replies else None
    error = Datagram(trip.caused[told].taken) if told is not None else None
    heard = [*([reply] if reply else []), *replies]
    learned = dict.fromkeys((*trip.learned, *(p for r in heard for p in r.learned)))
    return Journey(stops, _outcome(trip, stops, error, reply), reply, tuple(learned), tuple(replies))


def _tells(child: Trip, parent: Trip) -> bool:
    """Whether a trip brought the parent's sender an ICMP error about the parent's packet, not about an outer one."""
    if child.reached != parent.origin or not child.taken or not (error := Datagram(child.taken)).is_icmp_error:
        return False
    sent, quoted = Datagram(parent.packet), error.quoted
    ends = slice(12, 20) if sent.version == 4 else slice(8, 40)
    kind = 9 if sent.version == 4 else 6
    return quoted[ends] == sent.data[ends] and quoted[kind : kind + 1] == sent.data[kind : kind + 1]


def _outcome(trip: Trip, stops: tuple[Stop, ...], error: Datagram | None, reply: Journey | None) -> Outcome:
    seen = [stop.point for stop in stops if stop.frame is not None and stop.action != "asks"]
    last = seen[-1] if seen else ""
    why = trip.endings[-1] if trip.endings else ""
    if trip.refused:
        return Outcome("refused", trip.refused[0], None, last, why, trip.refused[1])
    if error is not None:
        return Outcome("error", icmp.words(error), str(error.src), last, why, icmp.mtu_of(error))
    if trip.reached:
        return Outcome("delivered", "", None, last, stops[-1].note)
    if reply is not None:
        fate = reply.outcome
        why += (
            f"; it complains, but to {reply.stops[-1].host}"
            if fate.kind == "delivered"
            else f"; its complaint is lost: {fate.reason}"
        )
    return Outcome("lost", "", None, last, why)
