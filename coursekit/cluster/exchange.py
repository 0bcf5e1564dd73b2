"""An HTTP GET from host to host, segment by segment: handshake, request, answer in full segments, and what they meet.

TCP as far as the network can be seen through it: the MSS that each end offers (RFC 9293 §3.7.1), segments that follow
the path MTU once a "Frag needed" came back (RFC 1191 §6.3), retransmission of what was lost. Times, windows and the
order of acknowledgements are the kernel's own affair. Linux gives up connecting when told that a host is
unreachable (tcp_v4_err in state SYN_SENT), and keeps on trying once connected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from coursekit.cluster import asks, icmp
from coursekit.cluster.datagram import TCP as PROTOCOL_TCP
from coursekit.cluster.given import check_seconds, check_size, within
from coursekit.cluster.journey import ends, send_in
from coursekit.cluster.network import Network
from coursekit.cluster.path import Journey
from coursekit.cluster.prints import packet_at
from coursekit.cluster.tables import Address
from coursekit.cluster.travel import Draws, FixedDraws, World
from coursekit.errors import CourseError

PORT = 80
HEADERS = 40  # IPv4 and TCP, without options: what MSS leaves out of an MTU
TIMESTAMPS = 12  # option bytes in every segment after the handshake (RFC 7323 §3.2)
_WINDOW = 10  # segments that may be under way at once at first (RFC 6928)
_CONNECT_ERRORS = {
    icmp.NET_UNREACHABLE: "Network is unreachable",
    icmp.HOST_UNREACHABLE: "No route to host",
    icmp.FILTERED: "No route to host",
    icmp.TIME_EXCEEDED: "No route to host",
    icmp.PORT_UNREACHABLE: "Connection refused",
    icmp.PROTOCOL_UNREACHABLE: "Protocol not available",
}


@dataclass(frozen=True)
class Exchange:
    """What became of a GET. `journeys` are all segments in the order of sending, each with its answer or error."""

    journeys: tuple[Journey, ...]
    size: int  # bytes of the whole answer, header included
    received: int  # bytes of it that reached the program that asked
    error: str  # what connect() or recv() says: "timed out", "No route to host", …; "" when all came
    mss: int | None  # bytes per segment that both ends agreed on, None without a connection
    lost: Journey | None = None  # the segment that never gets through

    @property
    def complete(self) -> bool:
        """Whether the whole answer came."""
        return self.received == self.size and not self.error

    @property
    def last_seen(self) -> str:
        """The capture point that saw the lost segment last; "" if none was lost."""
        return self.lost.round_trip.last_seen if self.lost is not None else ""

    def frames_at(self, point: str) -> list[bytes]:
        """Return the frames that a capture at `point` holds, in order."""
        return [frame for journey in self.journeys for frame in journey.frames_at(point)]


@dataclass
class _Talk:
    """A connection under way."""

    world: World
    client: str
    server: str
    there: Address  # the address the client connects to
    source: Address  # the client's own
    request: int = 0
    seen_as: Address | None = None  # the client's address as the server sees it, behind NAT
    journeys: list[Journey] = field(default_factory=list)
    ids: int = 0

    def send(self, host: str, flags: str, seq: int, ack: int, payload: bytes = b"", mss: int | None = None) -> Journey:
        mine = host == self.client
        src, dst = (self.source, self.there) if mine else (self.there, self.seen_as or self.source)
        ports = (40000, PORT) if mine else (PORT, 40000)
        options: list[tuple[str, object]] = [("NOP", None), ("NOP", None), ("Timestamp", (1, 0 if mine else 1))]
        if mss is not None:
            options = [("MSS", mss), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
        segment = TCP(sport=ports[0], dport=ports[1], flags=flags, seq=seq, ack=ack, window=502, options=options)
        self.ids += 1
        ip_id = self.world.draws.ip_id(host, "probe", f"{src} {dst} tcp {self.ids}".encode())
        head = IP(src=str(src), dst=str(dst), ttl=64, tos=0, id=ip_id, flags="DF")
        journey = send_in(self.world, bytes(head / segment / Raw(payload)), host)
        self.journeys.append(journey)
        return journey

    def told(self) -> None:
        """Let both ends remember the path MTUs that they were told: what is on its way already was sent before."""
        for journey in self.journeys[-4 * _WINDOW :]:
            self.world.network = self.world.network.after(journey)

    def room(self, host: str, dst: Address) -> int:
        """Bytes of payload and options that `host` now puts into one segment to `dst`."""
        at = self.world.host(host)
        way, _ = asks.route(at, dst, dst)
        return (self.world.mtu(at, way, dst) if way else 1500) - HEADERS


def get(
    network: Network, src: str, dst: str, size: int = 200, *, request: int = 80, patience: float = 2.0,
    draws: Draws | None = None,
) -> Exchange:  # fmt: skip
    """Let host `src` fetch `size` bytes (header and body) from port 80 of host `dst`, IPv4, and tell how far it gets.

    `request` is the length of the question in bytes, `patience` how many seconds the client waits. Raises CourseError
    for an unknown host, one without an IPv4 address, or sizes that are none.
    """
    check_size(size)
    check_seconds("patience", patience)
    if not within(request, 1, 1199):
        raise CourseError(f"A GET asks with 1 to 1199 bytes; {request!r} was given.")
    there, source = ends(network, src, dst)
    server = dst if dst in network.hosts else network.owner(there)
    if there.version != 4:
        raise CourseError(f"{dst} has the address {there}; the model follows TCP over IPv4 only.")
    if server is not None:
        listens = network.host(server).listens | {("tcp", PORT)}
        network = network.change(server, listens=listens)
    world = World(network, draws or FixedDraws(), patience)
    talk = _Talk(world, src, server or "", there, source, request)
    syn = talk.send(src, "S", 0, 0, mss=talk.room(src, there))
    refused = _refusal(syn)
    if refused is not None or server is None:
        return Exchange(tuple(talk.journeys), size, 0, refused or "timed out", None, syn)
    answer = packet_at(syn.reply.stops[-1]) if syn.reply else None
    assert answer is not None
    mss = min(dict(TCP(answer.payload).options)["MSS"], talk.room(src, there))
    arrived = packet_at(syn.stops[-1])
    talk.seen_as = arrived.src if arrived else None
    return _fetch(talk, size, mss)


def _refusal(syn: Journey) -> str | None:
    """Return what connect() says about a SYN, or None if a SYN-ACK came back."""
    fate, reply = syn.outcome, syn.reply
    if fate.kind == "refused":
        return fate.symptom
    answer = packet_at(reply.stops[-1]) if reply and reply.outcome.kind == "delivered" else None
    if fate.kind == "error" and answer is not None:
        complaint = icmp.complaint_of(answer)
        return _CONNECT_ERRORS.get(complaint, "timed out") if complaint else "timed out"
    if fate.kind != "delivered" or answer is None or answer.protocol != PROTOCOL_TCP:
        return "timed out"
    return "Connection refused" if answer.payload[13] & 0x04 else None


def _fetch(talk: _Talk, size: int, mss: int) -> Exchange:
    """Ask, and take the answer."""
    client, server, request = talk.client, talk.server, talk.request
    talk.send(client, "A", 1, 1)
    asked, lost = _deliver(talk, client, server, talk.there, b"g" * request, mss)
    if lost is not None or asked < request:
        return Exchange(tuple(talk.journeys), size, 0, "timed out", mss, lost)
    received, lost = _deliver(talk, server, client, talk.seen_as or talk.source, b"x" * size, mss)
    if lost is None:
        talk.send(server, "FA", 1 + size, 1 + request)
        talk.send(client, "FA", 1 + request, 2 + size)
    return Exchange(tuple(talk.journeys), size, received, "timed out" if lost else "", mss, lost)


def _deliver(talk: _Talk, sender: str, receiver: str, to: Address, data: bytes, mss: int) -> tuple[int, Journey | None]:
    """Send `data` from end to end; return how much of it came in order, and the segment that never came."""
    have: dict[int, int] = {}  # what has come, from offset to offset
    limit = min(mss, talk.room(sender, to)) - TIMESTAMPS
    ack = 1 if sender == talk.client else 1 + talk.request
    while (missing := _in_order(have)) < len(data):
        lost: dict[int, Journey] = {}
        for start, stop in _segments(have, len(data), limit):
            flags = "PA" if stop == len(data) else "A"
            journey = talk.send(sender, flags, 1 + start, ack, data[start:stop])
            if journey.outcome.kind != "delivered":
                lost[start] = journey
                continue
            have[start] = stop
            talk.send(receiver, "A", ack, 1 + _in_order(have))
        before = talk.world.network.path_mtus
        talk.told()
        narrower = min(mss, talk.room(sender, to)) - TIMESTAMPS
        if missing in lost and talk.world.network.path_mtus == before:  # sent again, it will fare no better
            return missing, lost[missing]
        limit = min(limit, narrower)
    return missing, None


def _segments(have: Mapping[int, int], size: int, limit: int) -> list[tuple[int, int]]:
    """Return the next segments to send, from offset to offset: what is missing, as many as may be under way."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size and len(found) < _WINDOW:
        if at in have:
            at = have[at]
            continue
        stop = min(size, at + limit, *(offset for offset in have if offset > at), size)
        found.append((at, stop))
        at = stop
    return found


def _in_order(have: Mapping[int, int]) -> int:
    at = 0
    while at in have:
        at = have[at]
    return at
