"""A host's IP stack: what it sends itself, what it takes, what it passes on (Linux net/ipv4 ip_input.c, ip_forward.c, ip_output.c).

The order of the questions is the kernel's: is it mine, which route, TTL, MTU, filters, NAT, fragments, neighbour.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from coursekit.cluster import asks, icmp, nat, probes, tunnels
from coursekit.cluster.complain import complain
from coursekit.cluster.datagram import ICMP, ICMPV6, IPIP, TCP, UDP, Datagram, reassemble
from coursekit.cluster.network import Host
from coursekit.cluster.path import Decision, PathMtu
from coursekit.cluster.tables import Address, Link, Route
from coursekit.cluster.travel import Event, Mark, Originate, Transmit, Trip, Up, World
from coursekit.cluster.wire import ETHERNET, ethernet, filtered, mac_at
from coursekit.packets.encapsulation import forward, fragment

ARP_SECONDS = 3.0  # three requests, one second apart (neigh/default/mcast_solicit, retrans_time_ms)
# What connect() says on the sender's own host: iputils prints "ping: connect: …".
_REFUSED = {
    None: "Network is unreachable",
    "blackhole": "Invalid argument",
    "unreachable": "No route to host",
    "prohibit": "Permission denied",
}
_COMPLAINTS = {None: icmp.NET_UNREACHABLE, "unreachable": icmp.HOST_UNREACHABLE, "prohibit": icmp.FILTERED}


def originate(world: World, event: Originate) -> list[Event]:
    """Send a packet of the host's own: a probe, an answer, an ICMP error, or the outer packet of a tunnel."""
    host, trip, packet = world.host(event.host), event.trip, Datagram(event.packet)
    rule = filtered(host, "output", packet.data)
    mine = asks.local(host, packet.dst)
    way, decision = (None, mine) if mine.row is not None else asks.route(host, packet.dst, packet.src)
    if rule is not None:
        _stuck(event, way, "a filter drops what the host itself sends", Decision("filter", str(rule), rule, "it matches"))
        return []
    if mine.row is not None:
        frame = ethernet(asks.NOBODY, asks.NOBODY, packet.data)
        mark = trip.stop(Mark(host.name, "lo", "sends", frame, "the host talks to itself", [mine]))
        return deliver(world, trip, host, packet, mark)
    if way is None or way.type != "unicast":
        words = _REFUSED.get(way.type if way else None, "Network is unreachable")
        _stuck(event, way, f"no route to {packet.dst}" if way is None else f"the route to {packet.dst} is a {way.type}", decision)
        _refuse(event, words, None)
        return []
    mtu = world.mtu(host, way, packet.dst)
    asked = Decision("mtu", f"{len(packet.data)} bytes", way, f"{host.name} may send {mtu} bytes at once to {packet.dst}")
    too_long = len(packet.data) > mtu
    if too_long and (packet.version == 6 or (packet.df and not event.may_fragment)):
        why = f"{len(packet.data)} bytes exceed {mtu}, and may not be fragmented"
        mark = _stuck(event, way, why, asked)
        _refuse(event, f"message too long, mtu={mtu}", mtu)
        # an outer packet's "Frag needed" goes to the node itself, which tells nobody
        return complain(world, trip, host, mark, icmp.FRAG_NEEDED, packet, mtu) if event.near else []
    data = _without_df(packet) if too_long else packet.data
    action, note = ("fragments", f"{host.name} cuts it to {mtu} bytes") if too_long else ("sends", f"{host.name} sends it")
    decisions = [mine, decision, *([asked] if too_long else [])]
    return _leave(world, trip, host, way, data, mtu, decisions, action, note, event.near)


def _without_df(packet: Datagram) -> bytes:
    data = bytearray(packet.data)
    if data[6] & 0x40:
        data[6] &= 0xBF
        return fragment(bytes(data), len(data), packet.ip_id)[0]  # the same packet, its checksum made right
    return packet.data


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
    data = nat.prerouting(world, host, data, mark)
    packet = Datagram(data)
    mine = asks.local(host, packet.dst)
    mark.decisions.append(mine)
    if mine.row is not None:
        return deliver(world, trip, host, packet, mark)
    largest = len(packet.data)
    if host.masquerade and packet.is_fragment:  # connection tracking puts fragments together first
        whole = _collect(world, host, packet)
        if whole is None:
            mark.note = "connection tracking keeps it until the other fragments are there"
            return []
        largest = max(len(piece.data) for piece in whole[1])
        packet = Datagram(whole[0])
    return _forward(world, trip, host, packet, mark, largest)


def _forward(world: World, trip: Trip, host: Host, packet: Datagram, mark: Mark, largest: int) -> list[Event]:
    way, decision = asks.route(host, packet.dst, packet.src)
    if not host.forwarding:
        trip.lose(mark, f"{packet.dst} is no address of {host.name}, and it does not forward")
        return []
    if way is None or way.type != "unicast":
        kind = way.type if way else None
        why = f"no route to {packet.dst}" if way is None else f"the route {way.dst} is a {kind}"
        trip.lose(mark, why, decision)
        complaint = _COMPLAINTS.get(kind)
        return complain(world, trip, host, mark, complaint, packet) if complaint else []
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
    cut = len(packet.data) > min(mtu, largest)
    action = "fragments" if cut else "forwards"
    note = f"{host.name} forwards it, TTL {packet.ttl} → {packet.ttl - 1}" + (f", in fragments of at most {mtu} bytes" if cut else "")
    decisions = [decision, *([asked] if cut else [])]
    return _leave(world, trip, host, way, forward(packet.data), min(mtu, largest) if cut else mtu, decisions, action, note, None)


def _leave(
    world: World, trip: Trip, host: Host, way: Route, data: bytes, mtu: int, decisions: list[Decision],
    action: str, note: str, near: Mark | None,
) -> list[Event]:  # fmt: skip
    """Give a packet, whole or in fragments, to the device of its route, with the next hop's MAC in front where one is needed."""
    link = host.link(way.dev or "")
    before = Datagram(data)
    data, translated = nat.postrouting(world, host, way, data)
    decisions += [translated] if translated else []
    pieces = fragment(data, mtu) if len(data) > mtu else [data]
    hop = way.via or before.dst
    if not _has_ethernet(link):
        return [Transmit(trip, host.name, link.name, p, action, note, tuple(decisions), hop) for p in pieces]
    found = asks.neighbour(world.network, host, link, hop)
    decisions.append(found)
    if found.row is None:
        return _nobody_answers(world, trip, host, way, link, hop, before, decisions, near)
    frames = [ethernet(found.row.lladdr, link.mac or asks.NOBODY, piece) for piece in pieces]
    return [Transmit(trip, host.name, link.name, frame, action, note, tuple(decisions), hop) for frame in frames]


def _nobody_answers(
    world: World, trip: Trip, host: Host, way: Route, link: Link, hop: Address, packet: Datagram,
    decisions: list[Decision], near: Mark | None,
) -> list[Event]:  # fmt: skip
    """ARP goes unanswered: the packet waits, and after three seconds its sender is told, if it still listens."""
    asker = asks.source_address(host, way, hop.version)
    if near is None:
        near = trip.marks[-1] if trip.marks else trip.stop(Mark(host.name, link.name, "drops", None, ""))
    late = "" if world.wait >= ARP_SECONDS else f"; its sender would be told after {ARP_SECONDS:g} seconds, and stops waiting before"
    trip.lose(near, f"nobody on {link.name} says who has {hop}{late}", *decisions)
    frame = _arp_request(link.mac or asks.NOBODY, asker, hop)
    note = f"asks three times who has {hop}: no answer"
    trip.stop(Mark(host.name, link.name, "asks", frame, note, [decisions[-1]]))
    return complain(world, trip, host, near, icmp.HOST_UNREACHABLE, packet) if not late else []


def _arp_request(mac: str, asker: Address | None, target: Address) -> bytes | None:
    """Return the broadcast "who has `target`?" (RFC 826), or None for IPv6, which asks otherwise."""
    if not isinstance(target, IPv4Address) or not isinstance(asker, IPv4Address):
        return None
    source = bytes.fromhex(mac.replace(":", ""))
    head = b"\xff" * 6 + source + b"\x08\x06"
    return head + bytes.fromhex("0001080006040001") + source + asker.packed + bytes(6) + target.packed


def _has_ethernet(link: Link) -> bool:
    return link.kind != "ipip" and "NOARP" not in link.flags


def _collect(world: World, host: Host, packet: Datagram) -> tuple[bytes, list[Datagram]] | None:
    """Keep a fragment; return the whole packet and its fragments once all are there."""
    key = (host.name, packet.src, packet.dst, packet.ip_id, packet.protocol)
    pieces = world.pieces[key]
    pieces.append(packet)
    whole = reassemble(pieces)
    if whole is None:
        return None
    del world.pieces[key]
    return whole, pieces


def deliver(world: World, trip: Trip, host: Host, packet: Datagram, mark: Mark) -> list[Event]:
    """Give a packet that is addressed to this host to whoever waits for it here."""
    if packet.is_fragment:
        found = _collect(world, host, packet)
        if found is None:
            mark.note = "kept until the other fragments are there"
            return []
        packet = Datagram(found[0])
    rule = filtered(host, "input", packet.data)
    if rule is not None:
        trip.lose(mark, "a filter drops it", Decision("filter", str(rule), rule, "the packet matches"))
        return []
    if packet.protocol == UDP:
        return _udp(world, trip, host, packet, mark)
    if packet.protocol == IPIP:
        return tunnels.out_of_ipip(world, trip, host, packet, mark)
    if packet.protocol == TCP:
        return _tcp(world, trip, host, packet, mark)
    if packet.protocol not in (ICMP, ICMPV6):
        trip.lose(mark, f"nothing on {host.name} handles IP protocol {packet.protocol}")
        return complain(world, trip, host, mark, icmp.PROTOCOL_UNREACHABLE, packet)
    _take(trip, host, packet, mark, f"{host.name} takes the ICMP message")
    if packet.is_icmp_error:
        _learn(trip, host, packet, mark)
    elif packet.icmp and packet.icmp[0] in (8, 128):
        mark.note = f"{host.name} takes the echo request"
        ip_id = world.draws.ip_id(host.name, "reply", packet.data)
        return _answer(trip, host, probes.echo_reply(packet, ip_id))
    return []


def _take(trip: Trip, host: Host, packet: Datagram, mark: Mark, note: str) -> None:
    trip.reached, trip.taken = host.name, packet.data
    mark.action, mark.note = "delivers", note


def _answer(trip: Trip, host: Host, packet: bytes) -> list[Event]:
    child = Trip(host.name, packet)
    trip.caused.append(child)
    return [Originate(child, host.name, packet, may_fragment=True)]


def _learn(trip: Trip, host: Host, error: Datagram, mark: Mark) -> None:
    """Note the MTU of a "Frag needed" for the destination that it is about (RFC 1191)."""
    mark.note = f"{host.name} is told: {icmp.words(error)}"
    mtu, quoted = icmp.mtu_of(error), error.quoted
    if mtu and len(quoted) >= (20 if error.version == 4 else 40):
        start = Datagram(quoted + bytes(max(0, _claimed(quoted) - len(quoted))))
        trip.learned.append(PathMtu(host.name, start.dst, mtu))


def _claimed(packet: bytes) -> int:
    """Return the length that the header of a (perhaps cut) packet claims."""
    at, more = (2, 0) if packet[0] >> 4 == 4 else (4, 40)
    return int.from_bytes(packet[at : at + 2], "big") + more


def _udp(world: World, trip: Trip, host: Host, packet: Datagram, mark: Mark) -> list[Event]:
    devices = tunnels.listening(host, packet)
    if devices:
        return tunnels.out_of_vxlan(trip, host, packet, devices, mark)
    port = packet.ports[1] if packet.ports else 0
    if ("udp", port) in host.listens:
        _take(trip, host, packet, mark, f"a program listens on UDP port {port}")
        return []
    why = f"nothing listens on UDP port {port}"
    trip.lose(mark, why, Decision("port", str(port), None, why))
    mark.action = "answers"
    return complain(world, trip, host, mark, icmp.PORT_UNREACHABLE, packet)


def _tcp(world: World, trip: Trip, host: Host, packet: Datagram, mark: Mark) -> list[Event]:
    port = packet.ports[1] if packet.ports else 0
    flags = packet.payload[13] if len(packet.payload) > 13 else 0
    _take(trip, host, packet, mark, f"{host.name} takes the TCP segment")
    if flags & 0x12 != 0x02 or packet.version == 6:  # only a SYN asks for an answer that the model can know
        return []
    if ("tcp", port) not in host.listens:
        mark.note = f"nothing listens on TCP port {port}: {host.name} answers with a reset"
        return _answer(trip, host, probes.reset(packet))
    draw = world.draws.tcp(host.name, packet.data)
    way, _ = asks.route(host, packet.src, packet.dst)
    mss = (world.mtu(host, way, packet.src) if way else 1500) - 40
    reply = probes.syn_ack(
        packet, mss=mss, sequence=draw.sequence, timestamp=draw.timestamp, window=draw.window, window_scale=draw.window_scale
    )
    return _answer(trip, host, reply)
