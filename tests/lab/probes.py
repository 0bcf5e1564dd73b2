"""Every probe of the matrix, in the model and in a lab: what differs is added to a list of sentences.

The model gets nothing from the lab but what the kernel drew at random: IP identifications, source ports, TCP's numbers.
Left out of the comparison: ARP and neighbour discovery (but for requests in vain), and BGP itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from coursekit.cluster import exchange, icmp, journey
from coursekit.cluster.datagram import ICMP, TCP, UDP, Datagram, reassemble
from coursekit.cluster.network import Network
from coursekit.cluster.path import Journey, Outcome, PathMtu
from coursekit.cluster.prints import Hop
from coursekit.cluster.probes import TRACEROUTE_PORT, Probe
from coursekit.cluster.travel import World
from coursekit.lab.frames import Captured as Frame
from coursekit.lab.live import Lab
from tests.lab.captured import Drawn, Live, Seen, frames, same_frames

PATIENT, BRIEF = 3.6, 0.4  # seconds: "Host Unreachable" takes the kernel three
HOPS = 5  # probes at once; the kernel sends 5 errors about missing routes in a row, then one a second (ip_error)
SMALL, LARGE = 300, 12_000  # bytes of an HTTP body

Result = tuple[Network, bool, int, Sequence[Journey]]  # the model afterwards, whether it failed, identical frames


def small_ping(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """56 bytes, and the patience to hear of an ARP in vain if there is to be one; an unforeseen one is captured."""
    told = journey.ping(model, src, dst, wait=PATIENT)
    return _ping(model, net, src, dst, differences, 56, None, PATIENT if asks([told]) else BRIEF)


def large_ping_df(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """As much as the pod's MTU allows, not to be fragmented."""
    return _ping(model, net, src, dst, differences, _mtu(model, src) - 28, True, BRIEF)


def large_ping_no_df(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """As much as the pod's MTU allows, to be fragmented by whoever needs to."""
    return _ping(model, net, src, dst, differences, _mtu(model, src) - 28, False, BRIEF)


def larger_ping(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """More than the pod's MTU allows: ping's own default, which fragments at the sender."""
    return _ping(model, net, src, dst, differences, _mtu(model, src) + 700, None, BRIEF)


def too_large_ping(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """One byte more than the pod's MTU allows, not to be fragmented: the pod's own stack refuses."""
    return _ping(model, net, src, dst, differences, _mtu(model, src) - 27, True, BRIEF)


def _mtu(model: Network, host: str) -> int:
    return model.host(host).link("eth0").mtu


def _ping(
    model: Network, net: Lab, src: str, dst: str, differences: list[str], size: int, df: bool | None, wait: float
) -> Result:
    found = net.ping(src, dst, size=size, df=df, wait=wait)
    live = Live(found.frames, {name: host.tables for name, host in model.hosts.items()})
    sent = _request(live, src)
    settings: dict[str, object] = {"draws": Drawn(live, sent)}
    if sent is not None:
        settings |= {"ident": int.from_bytes(sent.payload[4:6], "big"), "payload": sent.payload[8:]}
    told = journey.ping(model, src, dst, size, df, wait=wait, **settings)  # type: ignore[arg-type]
    real = found.journey
    _same(differences, "outcome", _said(told.outcome), _said(real.outcome))
    _same(differences, "last seen at", told.outcome.last_seen, real.outcome.last_seen)
    _same(differences, "points", *(_way(one) for one in (told, real)))
    _same(differences, "what came back", *(_way_back(one) for one in (told, real)))
    _same(differences, "ARP in vain", *(_in_vain(one, model) for one in (told, real)))
    identical = same_frames(differences, frames([told]), Counter((f.point, f.data) for f in live.kept))
    return model.after(told), not _answered(told), identical, [told]


def _request(live: Live, src: str) -> Datagram | None:
    """The echo request as it left, put together; None if the sender's own stack refused it."""
    sent = live.sent_by(src, ICMP)
    pieces = [packet for packet in sent if packet.is_fragment]
    whole = reassemble(pieces) if pieces else None
    return Datagram(whole) if whole else next((packet for packet in sent if packet.icmp == (8, 0)), None)


def _said(outcome: Outcome) -> tuple[object, ...]:
    return outcome.kind, outcome.symptom, outcome.sender, outcome.mtu


def _answered(one: Journey) -> bool:
    return one.outcome.kind == "delivered" and one.reply is not None and one.reply.outcome.kind == "delivered"


def _way(one: Journey) -> list[str]:
    """The points that saw a packet, in order; those of fragments, which overtake each other, sorted."""
    points = list(one.points())
    return points if len(points) == len(set(points)) else sorted(points)


def _way_back(one: Journey) -> list[str]:
    replies = (reply for reply in (one.reply, *one.others) if reply is not None)
    return sorted(point for reply in replies for point in reply.points() if not point.endswith(":lo"))


def asks(journeys: Iterable[Journey]) -> bool:
    """Whether an ARP request goes unanswered on the way."""
    return any(stop.action == "asks" for one in journeys for stop in one.all_stops())


def _in_vain(one: Journey, model: Network) -> list[tuple[str, bytes | None]]:
    """The ARP requests that nobody answered, where they were made; they are flooded from there."""
    asked = (stop for stop in one.all_stops() if stop.action == "asks" and stop.frame is not None)
    mine = ((s, (model.host(s.host).link(s.device).mac or "").replace(":", "")) for s in asked)
    return sorted({(stop.point, stop.frame) for stop, mac in mine if stop.frame and stop.frame[6:12].hex() == mac})


def small_get(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """An answer that fits one segment."""
    return _get(model, net, src, dst, differences, SMALL)


def large_get(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """An answer in full segments."""
    return _get(model, net, src, dst, differences, LARGE)


def _get(model: Network, net: Lab, src: str, dst: str, differences: list[str], size: int) -> Result:
    wait = 0.7
    found = net.get(src, dst, size=size, wait=wait)
    live = Live(found.frames, {name: host.tables for name, host in model.hosts.items()}, tcp=True)
    head = len(f"HTTP/1.1 200 OK\r\nServer: {dst}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n"
               "Connection: close\r\n\r\n")  # fmt: skip
    told = exchange.get(model, src, dst, head + size, patience=wait)
    _same(differences, "outcome", (told.error, told.received), (found.error, len(found.text)))
    expected: Seen = Counter()
    serving = model.change(dst, listens=model.host(dst).listens | {("tcp", exchange.PORT)})
    world = World(serving, Drawn(live), wait)
    learned: list[PathMtu] = []
    told_nothing = Outcome("lost", "", None, "", "")
    for host, packet in _segments(live, src, dst):
        heard = _heard(live, packet, (path for path in learned if path.host != host))  # what left its sender has left
        world.network = serving.after(Journey((), told_nothing, learned=heard)) if heard else serving
        one = journey.send_in(world, packet.data, host)
        learned += one.learned
        syn = packet.payload[13] & 0x12 == 0x02
        if syn and one.reply is not None and one.outcome.kind == "delivered":
            answers = [p.data for h, p in _segments(live, src, dst) if h == dst and p.payload[13] & 0x12 == 0x12]
            first = next((s for s in one.reply.stops if s.frame is not None), None)
            asks = first is not None and first.action == "asks"  # the answer waits for an ARP in vain
            if answers if asks else first is None or (first.frame or b"")[14:] not in answers:
                differences.append("the SYN-ACK is not the predicted one")
        expected += frames([one], answers=not syn)
    identical = same_frames(differences, expected, Counter((f.point, f.data) for f in live.kept))
    if told.error:
        _same(differences, "last seen at", told.last_seen, _last_of(live, told))
    for one in told.journeys:
        model = model.after(one)
    return model, bool(told.error), identical, told.journeys


def _heard(live: Live, packet: Datagram, learned: Iterable[PathMtu]) -> tuple[PathMtu, ...]:
    """Those of `learned` that hosts had been told when a segment passed them, as captured: nodes learn under way."""
    found = []
    for path in dict.fromkeys(learned):
        here = [frame for frame in live.kept if frame.host == path.host]
        told = [f.time_ns for f in here if not f.out and f.packet and icmp.mtu_of(f.packet) == path.mtu]
        marks = packet.payload[:16], packet.payload[20:32]  # one sent again has another timestamp
        passed = [f.time_ns for f in here if all(mark in f.data for mark in marks) and not _is_error(f)]
        found += [path] if told and passed and told[0] < passed[0] else []
    return tuple(found)


def _segments(live: Live, src: str, dst: str) -> list[tuple[str, Datagram]]:
    """Every TCP segment that either end sent, in order, with who did."""
    found = [(when, host, packet) for host in (src, dst) for when, packet in live.sent(host, "eth0", TCP)]
    return [(host, packet) for _, host, packet in sorted(found, key=lambda one: one[0])]


def _last_of(live: Live, told: exchange.Exchange) -> str:
    """Where the segment that the model says is lost was captured last."""
    lost = told.lost
    if lost is None or not lost.stops:
        return ""
    fate = lost if lost.outcome.kind != "delivered" or lost.reply is None else lost.reply
    origin = fate.stops[0].point
    length = len(fate.stops[0].frame or b"")
    mark = next((f for f in live.kept if f.point == origin and f.out and len(f.data) == length), None)
    if mark is None:
        return ""
    inner = mark.data[14 + 20 : 14 + 20 + 16]  # TCP's ports, numbers, flags and window: unchanged on the way
    frames = [f for f in live.kept if not _is_error(f)]
    pieces = {_packet_of(f) for f in frames if inner in f.data and f.packet and f.packet.is_fragment}
    return next((f.point for f in reversed(frames) if inner in f.data or _packet_of(f) in pieces), "")


def _packet_of(frame: Frame) -> tuple[object, ...]:
    """What fragments of one packet have in common."""
    packet = frame.packet
    return (packet.src, packet.dst, packet.ip_id, packet.protocol) if packet is not None else ()


def _is_error(frame: Frame) -> bool:
    return frame.packet is not None and frame.packet.is_icmp_error


def traceroute(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """One UDP probe per TTL; each that was sent is compared, also those beyond the goal."""
    wait = 0.3
    found = net.traceroute(src, dst, max_hops=HOPS, wait=wait)
    live = Live(found.frames, {name: host.tables for name, host in model.hosts.items()})
    told = journey.traceroute(model, src, dst, max_hops=HOPS, wait=wait)
    _same(differences, "hops", list(map(str, told)), list(map(str, found.hops)))
    journeys = []
    for packet in live.sent_by(src, UDP):
        one = journey.send(model, Probe(packet.data), src, wait=wait, draws=Drawn(live, packet))
        journeys.append(one)
        ttl = (packet.ports or (0, 0))[1] - TRACEROUTE_PORT + 1
        if ttl <= len(found.hops):
            _same(differences, f"hop {ttl}", str(Hop.of(ttl, one)), str(found.hops[ttl - 1]))
    identical = same_frames(differences, frames(journeys), Counter((f.point, f.data) for f in live.kept))
    return model, not (told and str(told[-1].address) == str(model.address_of(dst))), identical, journeys


PROBES: tuple[Callable[[Network, Lab, str, str, list[str]], Result], ...] = (
    small_ping, large_ping_df, large_ping_no_df, larger_ping, too_large_ping, small_get, large_get, traceroute,
)  # fmt: skip


def _same(differences: list[str], what: str, model: object, real: object) -> None:
    if model != real:
        differences.append(f"{what}: the model says {model}, the kernel {real}")
