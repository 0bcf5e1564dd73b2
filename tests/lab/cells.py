"""One cell of the matrix: a cluster with faults, a probe, in the model and in namespaces, and how the two differ.

The model gets nothing from the lab but what the kernel drew at random: IP identifications, source ports, TCP's numbers.
Left out of the comparison: ARP and neighbour discovery (but for requests in vain), and BGP itself. Rates are not the
model's: before the kernel would hold back an ICMP error about a missing route, the cells wait.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from coursekit import lab
from coursekit.cluster import exchange, journey
from coursekit.cluster.datagram import ICMP, ICMPV6, TCP, UDP, Datagram, reassemble
from coursekit.cluster.faults import Fault, apply
from coursekit.cluster.model import Cluster
from coursekit.cluster.network import Network, network
from coursekit.cluster.path import Journey, Outcome
from coursekit.cluster.prints import Hop
from coursekit.cluster.probes import TRACEROUTE_PORT, Probe
from coursekit.cluster.tables import HostTables
from coursekit.cluster.travel import World
from coursekit.lab.frames import Captured as Frame
from coursekit.lab.live import Lab
from coursekit.packets.compare import first_difference
from tests.cluster.evidence import Captured, innermost
from tests.lab.same_tables import table_differences

PATIENT, BRIEF = 3.6, 0.4  # seconds: "Host Unreachable" takes the kernel three
HOPS = 5  # probes at once; the kernel sends 5 errors about missing routes in a row, then one a second (ip_error)
REFILL = 1.05  # seconds for each of these
SMALL, LARGE = 300, 12_000  # bytes of an HTTP body
BGP = 179
Seen = Counter[tuple[str, bytes]]  # how often a frame was seen at a capture point


@dataclass(frozen=True)
class Case:
    """One lab: a cluster and what is broken in it; all probes are run in it."""

    name: str
    cluster: Cluster
    faults: tuple[Fault, ...] = ()
    src: str = ""
    dst: str = ""

    @property
    def ends(self) -> tuple[str, str]:
        """Who asks, and who is asked: the first pod and the first on another node, unless it is said."""
        first = self.cluster.pods[0]
        other = next((pod for pod in self.cluster.pods if pod.node != first.node), first)
        return self.src or first.name, self.dst or other.name


@dataclass
class Report:
    """What was compared in one lab, and what differs."""

    name: str
    cells: int = 0
    failures: int = 0  # cells in which the probe fails, in both worlds
    frames: int = 0
    rows: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Live:
    """What the captures of one probe hold, in the shape in which drawn values are looked up."""

    all_frames: tuple[Frame, ...]
    tables: dict[str, HostTables]
    tcp: bool = False  # otherwise it is what an earlier GET left behind

    @cached_property
    def kept(self) -> list[Frame]:
        """The frames that are compared."""
        return [frame for frame in self.all_frames if compared(frame, self.tcp)]

    @cached_property
    def frames(self) -> dict[str, list[bytes]]:
        """The same by capture point."""
        found: dict[str, list[bytes]] = {f"{h}:{link.name}": [] for h, t in self.tables.items() for link in t.links}
        for frame in self.kept:
            found.setdefault(frame.point, []).append(frame.data)
        return found

    def sent_by(self, host: str, protocol: int) -> list[Datagram]:
        """What a host put on its own first device, in order."""
        return [packet for _, packet in self.sent(host, "eth0", protocol)]

    def sent(self, host: str, device: str, protocol: int) -> list[tuple[int, Datagram]]:
        """The same with the times at which they left a device."""
        mine = [(f.time_ns, f.packet) for f in self.kept if f.point == f"{host}:{device}" and f.out]
        return [(when, packet) for when, packet in mine if packet is not None and packet.protocol == protocol]


def compared(frame: Frame, tcp: bool) -> bool:
    """Whether a frame belongs to a probe: ARP, neighbour discovery and BGP go on beside it."""
    if frame.device == "lo" or frame.packet is None:
        return False
    packet = innermost(frame.data)
    if packet is None or (packet.protocol == ICMPV6 and packet.icmp is not None and packet.icmp[0] >= 130):
        return False
    return packet.protocol != TCP or (tcp and BGP not in (packet.ports or ()))


class Drawn(Captured):
    """Draws as the kernel drew them, with the identification of a probe that was captured."""

    def __init__(self, live: Live, probe: Datagram | None = None) -> None:
        super().__init__(live)  # type: ignore[arg-type]
        self.probe = probe

    def ip_id(self, host: str, purpose: str, about: bytes) -> int:
        if purpose == "probe" and self.probe is not None:
            return self.probe.ip_id
        return super().ip_id(host, purpose, about)

    def source_port(self, host: str, inner: bytes) -> int | None:
        found = super().source_port(host, inner)
        if found is not None:
            return found
        own = self._own(host)  # over IPv6 the outer header is 20 bytes longer
        head = self._find(inner[:64], 70, lambda h, f, a: h[6:7] == b"\x11" and h[8:24] in own)
        return None if head is None else int.from_bytes(head[40:42], "big")


def run(case: Case) -> Report:
    """Run all probes of a case, and compare; a CourseError of either world is a difference too."""
    report = Report(case.name)
    sound = network(case.cluster)
    wanted = apply(sound, *case.faults) if case.faults else sound
    with lab.up(case.cluster) as net:
        for fault in case.faults:
            net.break_(fault)
        _tables(report, "broken" if case.faults else "built", wanted, net)
        net.forget()
        for probe in PROBES:
            differences = []
            wanted, failed, frames, journeys = probe(wanted, net, *case.ends, differences)
            asked, errors = _asks(journeys), sum(map(_route_errors, journeys))
            report.cells += 1
            report.failures += failed
            report.frames += frames
            label = probe.__name__.replace("_", " ")
            report.differences += [f"{case.name}: {label}: {difference}" for difference in differences]
            time.sleep(REFILL * (errors + 1) if errors else 0)
            if asked:  # an unanswered ARP goes on after its probe; the next one starts from nothing
                net.forget()
                wanted = replace(wanted, path_mtus={})
        if case.faults:
            net.repair()
            _tables(report, "repaired", sound, net)
    return report


def _tables(report: Report, when: str, wanted: Network, net: Lab) -> None:
    real = net.network()
    for name, host in wanted.hosts.items():
        rows, differences = table_differences(host.tables, real.host(name).tables, when == "built")
        report.rows += rows
        report.differences += [f"{report.name}: {when}: {name}: {difference}" for difference in differences]


Result = tuple[Network, bool, int, Sequence[Journey]]  # the model afterwards, whether it failed, identical frames


def small_ping(model: Network, net: Lab, src: str, dst: str, differences: list[str]) -> Result:
    """56 bytes, and the patience to hear of an ARP in vain."""
    return _ping(model, net, src, dst, differences, 56, None, PATIENT)


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
    frames = _same_frames(differences, _frames([told]), Counter((f.point, f.data) for f in live.kept))
    return model.after(told), not _answered(told), frames, [told]


def _request(live: Live, src: str) -> Datagram | None:
    """The echo request as it left, put together; None if the sender's own stack refused it."""
    sent = live.sent_by(src, ICMP)
    pieces = [packet for packet in sent if packet.is_fragment]
    whole = reassemble(pieces) if pieces else None
    return Datagram(whole) if whole else next((packet for packet in sent if packet.icmp == (8, 0)), None)


def _asks(journeys: Iterable[Journey]) -> bool:
    return any(stop.action == "asks" for one in journeys for stop in one.all_stops())


def _route_errors(one: Journey) -> int:
    """How many errors about a missing or unreachable route a journey caused."""
    own = one.outcome.kind == "error" and "Destination" in one.outcome.symptom and not _asks([one])
    return own + sum(1 for other in one.others if other.stops)


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
    for host, packet in _segments(live, src, dst):
        one = journey.send_in(world, packet.data, host)
        syn = packet.payload[13] & 0x12 == 0x02
        if syn and one.reply is not None and one.outcome.kind == "delivered":
            answers = [p.data for h, p in _segments(live, src, dst) if h == dst and p.payload[13] & 0x12 == 0x12]
            predicted = next((s.frame for s in one.reply.stops if s.frame is not None), None)
            if predicted is None or predicted[14:] not in answers:
                differences.append("the SYN-ACK is not the predicted one")
        expected += _frames([one], answers=not syn)
    frames = _same_frames(differences, expected, Counter((f.point, f.data) for f in live.kept))
    if told.error:
        _same(differences, "last seen at", told.last_seen, _last_of(live, told))
    for one in told.journeys:
        model = model.after(one)
    return model, bool(told.error), frames, told.journeys


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
    return next((f.point for f in reversed(live.kept) if inner in f.data and not _is_error(f)), "")


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
    frames = _same_frames(differences, _frames(journeys), Counter((f.point, f.data) for f in live.kept))
    return model, not (told and str(told[-1].address) == str(model.address_of(dst))), frames, journeys


PROBES: tuple[Callable[[Network, Lab, str, str, list[str]], Result], ...] = (
    small_ping, large_ping_df, large_ping_no_df, larger_ping, too_large_ping, small_get, large_get, traceroute,
)  # fmt: skip


def _same(differences: list[str], what: str, model: object, real: object) -> None:
    if model != real:
        differences.append(f"{what}: the model says {model}, the kernel {real}")


def _frames(journeys: Iterable[Journey], answers: bool = True) -> Seen:
    """How often the model says that each frame is seen at each point; ARP requests are compared apart."""

    def stops(one: Journey) -> Iterator[tuple[str, bytes]]:
        yield from ((s.point, s.frame) for s in one.stops if s.frame is not None and s.action != "asks")
        for reply in (one.reply, *one.others):
            if reply is not None and (answers or one.outcome.kind != "delivered"):
                yield from stops(reply)

    return Counter(seen for one in journeys for seen in stops(one) if not seen[0].endswith(":lo"))


def _same_frames(differences: list[str], model: Seen, real: Seen) -> int:
    """Note every point where the frames differ, with the first field that does; return how many are identical."""
    missing, extra = model - real, real - model
    for point in dict.fromkeys(point for point, _ in [*missing, *extra]):
        ours, theirs = ([f for (p, f), n in side.items() if p == point for _ in range(n)] for side in (missing, extra))
        text = f"frames at {point}: {len(ours)} predicted were not seen, {len(theirs)} seen were not predicted"
        if ours and theirs:
            near = min(theirs, key=lambda frame: abs(len(frame) - len(ours[0])))
            text += f"; the first differs in {first_difference(ours[0], near, _linktype(point, ours[0]))}"
        differences.append(text)
    return sum((model & real).values())


def _linktype(point: str, frame: bytes) -> str:
    return "raw" if frame[0] >> 4 == 4 and "tunl" in point else "ethernet"
