"""A host's IP stack: what it sends itself, what is for it, what it passes on.

Linux net/ipv4: ip_input.c, ip_forward.c, ip_output.c. The order of the questions is the kernel's: is it mine, which
route, TTL, MTU, filters, NAT, fragments, neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from coursekit.cluster import asks, icmp, nat, sockets
from coursekit.cluster.complain import complain
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.lookup import ERRORS, NO_ROUTE
from coursekit.cluster.network import Host
from coursekit.cluster.path import Decision
from coursekit.cluster.tables import Address, Link, Route
from coursekit.cluster.travel import Event, Mark, Originate, Transmit, Trip, Up, World
from coursekit.cluster.wire import ETHERNET, ethernet, filtered, mac_at, refused
from coursekit.packets.encapsulation import forward, fragment
from coursekit.packets.ip import with_checksum

ARP_SECONDS = 3.0  # three requests, one second apart (neigh/default/mcast_solicit, retrans_time_ms)
_COMPLAINTS = {"unreachable": icmp.HOST_UNREACHABLE, "prohibit": icmp.FILTERED, "blackhole": None}


@dataclass
class Going:
    """A packet on its way out of a host; `before` is the stop where it is lost if it gets no further."""

    trip: Trip
    host: Host
    way: Route
    action: str
    note: str
    decisions: list[Decision]
    before: Mark | None = None
    came_as: tuple[int, ...] = ()  # bytes in each fragment that connection tracking put together here


def originate(world: World, event: Originate) -> list[Event]:
    """Send a packet of the host's own: a probe, an answer, an ICMP error, or the outer packet of a tunnel."""
    host, trip, packet = world.host(event.host), event.trip, Datagram(event.packet)
    mine = asks.local(host, packet.dst)
    way, decision = (None, mine) if mine.row is not None else asks.route(host, packet.dst, packet.src)
    rule = filtered(host, "output", packet.data)
    if rule is not None:
        matched = Decision("filter", str(rule), rule, "the packet matches")
        _stuck(event, way, "a filter drops what the host itself sends", matched)
        return []
    if mine.row is not None:
        frame = ethernet(asks.NOBODY, asks.NOBODY, packet.data)
        mark = trip.stop(Mark(host.name, "lo", "sends", frame, f"{host.name} talks to itself", [mine]))
        return sockets.deliver(world, trip, host, packet, mark)
    if way is None or way.type != "unicast":
        why = f"no route to {packet.dst}" if way is None else f"the route to {packet.dst} is a {way.type}"
        _stuck(event, way, why, decision)
        _refuse(event, ERRORS.get(way.type, NO_ROUTE) if way else NO_ROUTE, None)
        return []
    mtu, size = world.mtu(host, way, packet.dst), len(packet.data)
    going = Going(trip, host, way, "sends", f"{host.name} sends it", [mine, decision], event.near)
    if size <= mtu:
        return _leave(world, going, packet.data, mtu)
    asked = Decision("mtu", f"{size} bytes", way, f"{host.name} sends at most {mtu} bytes at once to {packet.dst}")
    if packet.version == 6 or (packet.df and not event.may_fragment):
        mark = _stuck(event, way, f"{size} bytes exceed {mtu}, and may not be fragmented", asked)
        _refuse(event, f"message too long, mtu={mtu}", mtu)
        # an outer packet's "Frag needed" goes to the node itself, which tells nobody
        return complain(world, trip, host, mark, icmp.FRAG_NEEDED, packet, mtu) if event.near else []
    going.decisions.append(asked)
    going.action, going.note = "fragments", f"{host.name} cuts it into pieces of at most {mtu} bytes"
    return _leave(world, going, _without_df(packet), mtu)


def _without_df(packet: Datagram) -> bytes:
    data, head = packet.data, packet.header_length
    return with_checksum(data[:6] + bytes([data[6] & 0xBF]) + data[7:head]) + data[head:]


def _stuck(event: Originate, way: Route | None, why: str, *decisions: Decision) -> Mark:
    """Record that a packet of the host's own never left."""
    device = way.dev if way and way.dev else "lo"
    mark = event.near or event.trip.stop(Mark(event.host, device, "drops", None, why))
    event.trip.lose(mark, why, *decisions)
    return mark


def _refuse(event: Originate, words: str, mtu: int | None) -> None:
    """Tell the program that sent a probe; nobody is told about answers, errors and outer packets."""
    if event.trip.probe and event.near is None:
        event.trip.refused = (words, mtu)


def up(world: World, event: Up) -> list[Event]:
    """Take a frame that a device hands up: is it for this MAC, this host, or somebody beyond."""
    host, trip, mark = world.host(event.host), event.trip, event.mark
    link = host.link(event.device)
    data = event.frame
    if _has_ethernet(link):
        if mac_at(data, 0) not in (link.mac, asks.BROADCAST):
            why = f"the frame is for {mac_at(data, 0)}, {link.name} has {link.mac}: not mine"
            trip.lose(mark, why, Decision("local", mac_at(data, 0), None, why))
            return []
        data = data[ETHERNET:]
    pieces: tuple[Datagram, ...] = ()
    if host.masquerade and Datagram(data).is_fragment:  # connection tracking puts fragments together first
        whole = world.collect(host.name, Datagram(data))
        if whole is None:
            mark.note = "connection tracking keeps it until the other fragments are there"
            return []
        data, pieces = whole[0], tuple(sorted(whole[1], key=lambda piece: piece.offset))
    packet = Datagram(nat.prerouting(world, host, data, mark))
    mine = asks.local(host, packet.dst)
    mark.decisions.append(mine)
    if mine.row is not None:
        if _martian(host, event.device, packet, trip, mark):
            return []
        return sockets.deliver(world, trip, host, packet, mark)
    return _forward(world, trip, host, packet, mark, pieces)


def _martian(host: Host, device: str, packet: Datagram, trip: Trip, mark: Mark) -> bool:
    """Drop a packet that comes in from outside with an address of this host as its source (fib_validate_source)."""
    source = asks.local(host, packet.src)
    if packet.src.version != 4 or device == "lo" or source.row is None:
        return False
    trip.lose(mark, f"it comes in from {packet.src}, which is {host.name} itself: a martian source, dropped", source)
    return True


def _forward(
    world: World, trip: Trip, host: Host, packet: Datagram, mark: Mark, pieces: tuple[Datagram, ...]
) -> list[Event]:
    largest = max((len(piece.data) for piece in pieces), default=len(packet.data))
    way, decision = asks.route(host, packet.dst, packet.src)
    if not host.forwarding:
        trip.lose(mark, f"{packet.dst} is no address of {host.name}, and it does not forward")
        return []
    if way is None or way.type != "unicast":
        kind = way.type if way else None
        why = f"no route to {packet.dst}" if way is None else f"the route {way.dst} is a {kind}"
        trip.lose(mark, why, decision)
        complaint = _COMPLAINTS.get(kind or "", icmp.NET_UNREACHABLE)
        return complain(world, trip, host, mark, complaint, packet) if complaint else []
    if _martian(host, mark.device, packet, trip, mark):
        return []
    if packet.ttl <= 1:
        trip.lose(mark, f"its TTL of {packet.ttl} ends here", decision)
        return complain(world, trip, host, mark, icmp.TIME_EXCEEDED, packet)
    mtu = way.mtu or host.link(way.dev or "lo").mtu  # path MTUs that the host learned do not count for forwarding
    asked = Decision("mtu", f"{largest} bytes", way, f"{way.dev} takes {mtu} bytes")
    if largest > mtu and packet.df:
        trip.lose(mark, f"{largest} bytes do not fit {way.dev} (MTU {mtu}), and DF is set", decision, asked)
        return complain(world, trip, host, mark, icmp.FRAG_NEEDED, packet, mtu)
    rule = filtered(host, "forward", packet.data)
    if rule is not None:
        trip.lose(mark, "a filter drops what the host forwards", Decision("filter", str(rule), rule, "it matches"))
        return []
    going = Going(
        trip, host, way, "forwards", f"{host.name} forwards it, TTL {packet.ttl} → {packet.ttl - 1}", [decision]
    )
    going.before, going.came_as = mark, tuple(len(piece.payload) for piece in pieces)
    if len(packet.data) > min(mtu, largest):
        mtu = min(mtu, largest)
        going.action, going.note = "fragments", f"{going.note}, in pieces of at most {mtu} bytes"
        going.decisions.append(asked)
    return _leave(world, going, forward(packet.data), mtu)


def _leave(world: World, going: Going, data: bytes, mtu: int) -> list[Event]:
    """Give a packet, whole or in fragments, to the device of its route, behind the next hop's MAC if it needs one."""
    host, way, packet = going.host, going.way, Datagram(data)
    link, hop = host.link(way.dev or ""), way.via or packet.dst
    data, translated = nat.postrouting(world, host, way, data)
    going.decisions += [translated] if translated else []
    frames = fragment(data, mtu, came_as=going.came_as) if len(data) > mtu else [data]
    if _has_ethernet(link):
        found = asks.neighbour(world.network, host, link, hop)
        going.decisions.append(found)
        if found.row is None:
            return _nobody_answers(world, going, link, hop, packet, Datagram(data).src if translated else None)
        frames = [ethernet(found.row.lladdr, link.mac or asks.NOBODY, piece) for piece in frames]
    stuck = next((place for place, frame in enumerate(frames) if refused(world, host, link, frame)), len(frames))
    frames = frames[: stuck + 1]  # ip_do_fragment gives up at the first fragment that does not get out
    more = (going.action, going.note, tuple(going.decisions), hop)
    return [Transmit(going.trip, host.name, link.name, frame, *more) for frame in frames]


def _nobody_answers(
    world: World, going: Going, link: Link, hop: Address, packet: Datagram, left_as: Address | None
) -> list[Event]:
    """ARP goes unanswered: the packet waits, and after three seconds its sender is told, if it still listens."""
    host, trip = going.host, going.trip
    mark = going.before or trip.stop(Mark(host.name, link.name, "drops", None, ""))
    why = f"nobody on {link.name} says who has {hop}"
    in_time = world.wait >= ARP_SECONDS
    if not in_time:
        why += f"; the sender would be told after {ARP_SECONDS:g} seconds, and stops waiting before"
    trip.lose(mark, why, *going.decisions)
    asker = asks.source_address(host, going.way, hop.version)
    frame = None if "NO-CARRIER" in link.flags else _arp_request(link.mac or asks.NOBODY, asker, hop)
    note = f"{host.name} asks three times who has {hop}: no answer"
    trip.stop(Mark(host.name, link.name, "asks", frame, note, [going.decisions[-1]]))
    return complain(world, trip, host, mark, icmp.HOST_UNREACHABLE, packet, left_as=left_as) if in_time else []


def _arp_request(mac: str, asker: Address | None, target: Address) -> bytes | None:
    """Return the broadcast "who has `target`?" (RFC 826), or None for IPv6, which asks otherwise."""
    if not isinstance(target, IPv4Address) or not isinstance(asker, IPv4Address):
        return None
    source = bytes.fromhex(mac.replace(":", ""))
    head = b"\xff" * 6 + source + b"\x08\x06"
    return head + bytes.fromhex("0001080006040001") + source + asker.packed + bytes(6) + target.packed


def _has_ethernet(link: Link) -> bool:
    return link.kind != "ipip" and "NOARP" not in link.flags
