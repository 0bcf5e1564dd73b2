"""Who takes a packet that has reached the host it is addressed to: ICMP, a tunnel device, a program, or nobody.

Linux ip_local_deliver: fragments are put together first, then the protocol decides. What nobody waits for is
answered: ports with ICMP or a TCP reset, unknown protocols with ICMP.
"""

from __future__ import annotations

from coursekit.cluster import asks, icmp, probes, tunnels
from coursekit.cluster.complain import complain
from coursekit.cluster.datagram import ICMP, ICMPV6, IPIP, TCP, UDP, Datagram
from coursekit.cluster.network import Host
from coursekit.cluster.path import Decision, PathMtu
from coursekit.cluster.travel import Event, Mark, Originate, Trip, World
from coursekit.cluster.wire import filtered


def deliver(world: World, trip: Trip, host: Host, packet: Datagram, mark: Mark) -> list[Event]:
    """Give a packet that is addressed to this host to whoever waits for it here."""
    own = asks.local(host, packet.dst).row
    if own is not None and own.type == "broadcast":
        trip.lose(mark, f"{packet.dst} is a broadcast address, and hosts do not answer broadcasts")
        return []
    if packet.is_fragment:
        found = world.collect(host.name, packet)
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
    child = trip.cause(host.name, packet)
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
        packet,
        mss=mss,
        sequence=draw.sequence,
        timestamp=draw.timestamp,
        window=draw.window,
        window_scale=draw.window_scale,
    )
    return _answer(trip, host, reply)
