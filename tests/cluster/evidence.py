"""What a recording holds, in the shape in which the model's predictions can be compared with it.

The values that a kernel drew at random (IP identifications, UDP source ports, TCP sequence numbers) are read from
the captures; everything else the model has to get right by itself.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_network

from scapy.layers.inet import TCP

from coursekit.cluster.datagram import ICMP, UDP, Datagram, reassemble
from coursekit.cluster.iproute2 import parse_state_json
from coursekit.cluster.journey import ping
from coursekit.cluster.network import Filter, Masquerade, Network, network_from_tables
from coursekit.cluster.prints import ping_line
from coursekit.cluster.tables import HostTables
from coursekit.cluster.travel import FixedDraws, TcpDraw
from coursekit.errors import CourseError
from coursekit.packets.capture import Capture, load
from coursekit.paths import data_dir

TUNNEL_PORTS = (4789, 8472)
POD_NETWORK = ip_network("10.244.0.0/16")


@dataclass(frozen=True)
class Run:
    """One ping command and the lines it printed, times left out."""

    host: str
    count: int
    dst: str
    options: dict[str, str]
    lines: tuple[str, ...]

    @property
    def settings(self) -> dict[str, object]:
        """The same options as arguments of `journey.ping`."""
        df = {"do": True, "dont": False}.get(self.options.get("-M", ""))
        wait = float(self.options.get("-W", 10))
        return {
            "size": int(self.options.get("-s", 56)),
            "df": df,
            "ttl": int(self.options.get("-t", 64)),
            "tos": int(self.options.get("-Q", "0"), 0),
            "wait": wait,
        }


@dataclass(frozen=True)
class Evidence:
    """One recording."""

    name: str
    state_of: str | None = None  # the recording whose tables it shares, if it has none of its own

    @cached_property
    def folder(self):
        return data_dir() / "recordings" / self.name

    @cached_property
    def provenance(self) -> dict[str, object]:
        return json.loads((self.folder / "provenance.json").read_text())

    @cached_property
    def tables(self) -> dict[str, HostTables]:
        return parse_state_json((data_dir() / "recordings" / (self.state_of or self.name) / "state.json").read_text())

    @cached_property
    def captures(self) -> dict[str, Capture]:
        """The captures, by capture point."""
        named = {path.stem.replace("-", ":", 1): path for path in sorted(self.folder.glob("*.pcap"))}
        return {point: load(path) for point, path in named.items()}

    @cached_property
    def frames(self) -> dict[str, list[bytes]]:
        """Captured frames without ARP, by capture point."""
        return {p: [f.data for f in c if f.data[12:14] != b"\x08\x06"] for p, c in self.captures.items()}

    @cached_property
    def arp(self) -> dict[str, list[bytes]]:
        """Captured ARP frames, by capture point."""
        return {p: [f.data for f in c if f.data[12:14] == b"\x08\x06"] for p, c in self.captures.items()}

    def network(self) -> Network:
        """The network as its tables show it, with what tables do not show and the provenance tells."""
        setup = str(self.provenance["setup"])
        filters: dict[str, list[Filter]] = {}
        if "match ip protocol 4 action drop" in setup:
            filters["router"] = [Filter("ingress", 4, "sw1")]
        if "icmp-type fragmentation-needed -j DROP" in setup:
            filters["node2"] = [Filter("output", ICMP, icmp=(3, 4))]
        masquerade = {"node1": [Masquerade(POD_NETWORK, device="eth0")]} if "MASQUERADE" in setup else {}
        return network_from_tables(self.tables, filters=filters, masquerade=masquerade)

    def runs(self) -> list[Run]:
        """The pings of the recording, in order."""
        text = (self.folder / "ping.txt").read_text()
        sections = re.split(r"^PING .*\n", text, flags=re.M)[1:]
        commands = [c for c in self.provenance["commands"] if ": ping " in c]
        runs = []
        for command, section in zip(commands, sections, strict=True):
            host, _, line = command.partition(": ")
            words = shlex.split(line)
            options = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))
            lines = tuple(
                re.sub(r" time=.*", "", x) for x in section.splitlines() if re.match(r"(\d+ bytes from|From|ping:)", x)
            )
            runs.append(Run(host, int(options.get("-c", 1)), words[-1], options, lines))
        return runs

    def requests(self, point: str) -> Iterator[Datagram]:
        """The echo requests captured at a point, each whole."""
        pieces: dict[int, list[Datagram]] = {}
        for frame in self.frames[point]:
            packet = innermost(frame)  # a node's own requests are in its tunnel already
            if packet and packet.protocol == ICMP and packet.is_fragment:
                mine = pieces.setdefault(packet.ip_id, [])
                mine.append(packet)
                whole = reassemble(mine)
                packet = Datagram(whole) if whole else None
            if packet and packet.icmp == (8, 0):
                yield packet

    @cached_property
    def draws(self) -> Captured:
        return Captured(self)

    def saw(self, request: Datagram) -> set[str]:
        """The capture points that saw an echo request, bare or in a tunnel, or a fragment of it."""
        mark = request.payload[4:8] + request.payload[8:24]
        return {point for point, frames in self.frames.items() if any(_carries(f, mark) for f in frames)}

    def last_seen(self, request: Datagram | None) -> str:
        """The capture point that saw an echo request last, by the clocks of the captures; "" if none did."""
        if request is None:
            return ""
        mark = request.payload[4:8] + request.payload[8:24]
        times = {p: [f.time_ns for f in c if _carries(f.data, mark)] for p, c in self.captures.items()}
        return max((max(found), point) for point, found in times.items() if found)[1]


def _carries(frame: bytes, mark: bytes) -> bool:
    at = frame.find(mark)
    packet = innermost(frame)
    return at >= 4 and frame[at - 4 : at - 2] == b"\x08\x00" and not (packet and packet.is_icmp_error)


def packet_of(frame: bytes) -> Datagram | None:
    """The IP packet of an Ethernet frame or of a bare one."""
    for start in (14, 0):
        try:
            return Datagram(frame[start:])
        except CourseError:
            continue
    return None


def innermost(frame: bytes) -> Datagram | None:
    """The IP packet inside all tunnels."""
    packet = packet_of(frame)
    while packet is not None and not packet.is_fragment:
        if packet.protocol == 4:
            inner = packet_of(packet.payload)
        elif packet.protocol == UDP and packet.ports and packet.ports[1] in TUNNEL_PORTS:
            inner = packet_of(packet.payload[16:])
        else:
            return packet
        if inner is None:
            return packet
        packet = inner
    return packet


def is_ping(frame: bytes) -> bool:
    """Whether a captured frame belongs to a ping: an echo, a fragment, or an error about either."""
    packet = innermost(frame)
    if packet is None:
        return False
    if packet.is_icmp_error:
        quoted = packet.quoted + bytes(max(0, int.from_bytes(packet.quoted[2:4], "big") - len(packet.quoted)))
        inner = innermost(quoted)
        return inner is not None and inner.protocol == ICMP
    return packet.protocol == ICMP or packet.is_fragment


@dataclass
class Captured(FixedDraws):
    """Draws as the recording's kernel drew them."""

    evidence: Evidence

    def _find(self, pattern: bytes, before: int, check) -> bytes | None:
        """Return the IP header that stands `before` bytes in front of `pattern` in some captured frame."""
        for frames in self.evidence.frames.values():
            for frame in frames:
                at = frame.find(pattern)
                while at >= 0:
                    head = frame[at - before : at]
                    if at >= before and check(head, frame, at):
                        return head
                    at = frame.find(pattern, at + 1)
        return None

    def ip_id(self, host: str, purpose: str, about: bytes) -> int:
        inner = Datagram(about) if about[:1] and about[0] >> 4 == 4 else None
        head = None
        if purpose == "outer" and inner:
            own = self._own(host)
            pattern = about[:64]
            head = self._find(pattern, 20, lambda h, f, a: h[9:10] == b"\x04" and h[12:16] in own)
            head = head or self._find(pattern, 50, lambda h, f, a: h[9:10] == b"\x11" and h[12:16] in own)
        if purpose == "error" and inner:
            head = self._find(about[:56], 28, lambda h, f, a: h[9:10] == b"\x01" and h[20] in (3, 11))
        if purpose == "reply" and inner:
            pattern = inner.payload[4:60]
            head = self._find(pattern, 24, lambda h, f, a: h[9:10] == b"\x01" and h[20:22] == b"\0\0" and h[8] == 64)
        if head is None:
            return super().ip_id(host, purpose, about)
        return int.from_bytes(head[4:6], "big")

    def _own(self, host: str) -> set[bytes]:
        return {a.interface.ip.packed for a in self.evidence.tables[host].addresses}

    def source_port(self, host: str, inner: bytes) -> int | None:
        own = self._own(host)
        head = self._find(inner[:64], 50, lambda h, f, a: h[9:10] == b"\x11" and h[12:16] in own)
        return None if head is None else int.from_bytes(head[20:22], "big")

    def tcp(self, host: str, syn: bytes) -> TcpDraw:
        ports = syn[22:24] + syn[20:22]
        for frame in self.evidence.frames[f"{host}:eth0"]:
            answer = packet_of(frame)
            if answer and answer.protocol == 6 and answer.payload[:4] == ports and answer.payload[13] == 0x12:
                options = dict(TCP(answer.payload).options)
                sequence, window = (
                    int.from_bytes(answer.payload[4:8], "big"),
                    int.from_bytes(answer.payload[14:16], "big"),
                )
                return TcpDraw(sequence, options["Timestamp"][0], window, options["WScale"])
        return super().tcp(host, syn)


class FromCapture(Captured):
    """Draws of the recording, with the IP identification of one captured echo request."""

    def __init__(self, evidence: Evidence, request: Datagram) -> None:
        super().__init__(evidence)
        self.request = request

    def ip_id(self, host: str, purpose: str, about: bytes) -> int:
        return self.request.ip_id if purpose == "probe" else super().ip_id(host, purpose, about)


@dataclass
class Replay:
    """All pings of a recording, run through a model: what differs from the recording, and how much was compared."""

    differences: list[str] = field(default_factory=list)
    pings: int = 0
    failures: int = 0
    frames: int = 0


def replay(evidence: Evidence, network: Network, renamed: Mapping[str, str] | None = None) -> Replay:
    """Run a recording's pings through `network` and compare: lines printed, points reached, last one, every frame.

    `renamed` gives the model's capture point for a recorded one where only the device's name differs.
    """
    report, model = Replay(), {point: [] for point in evidence.frames}
    alias = {(renamed or {}).get(point, point): point for point in evidence.frames}
    captured = {run.host: list(evidence.requests(f"{run.host}:eth0")) for run in evidence.runs()}
    for run in evidence.runs():
        lines = []
        for seq in range(1, run.count + 1):
            waiting = captured[run.host]
            settings = dict(run.settings)
            ours = bool(waiting) and waiting[0].payload[6:8] == seq.to_bytes(2, "big")
            ours = ours and len(waiting[0].payload) - 8 == settings["size"]
            request = waiting.pop(0) if ours else None  # None: the pod's own stack refused, nothing was sent
            if request:
                ident = int.from_bytes(request.payload[4:6], "big")
                settings |= {"ident": ident, "payload": request.payload[8:], "draws": FromCapture(evidence, request)}
            journey = ping(network, run.host, run.dst, seq=seq, **settings)
            network = network.after(journey)
            report.pings += 1
            lines += [ping_line(journey, seq)] if ping_line(journey, seq) else []
            seen = [alias[point] for point in journey.points() if point in alias]
            expected = evidence.saw(request) if request else set()
            if set(seen) != expected:
                report.differences.append(f"seq {seq}: seen at {sorted(set(seen))}, recorded at {sorted(expected)}")
            report.failures += "bytes from" not in ping_line(journey, seq)
            if journey.outcome.kind != "delivered":
                last = next((alias[p] for p in reversed([*journey.points()]) if p in alias), "")
                if last != evidence.last_seen(request):
                    report.differences.append(f"seq {seq}: last seen at {last}, not {evidence.last_seen(request)}")
            for point, recorded in alias.items():
                model[recorded] += [frame for frame in journey.frames_at(point) if frame[12:14] != b"\x08\x06"]
        if tuple(lines) != run.lines:
            report.differences.append(f"printed {lines}, recorded {list(run.lines)}")
    for point, frames in evidence.frames.items():
        pings = [frame for frame in frames if is_ping(frame)]
        report.frames += len(pings)
        same = sum(a == b for a, b in zip(model[point], pings, strict=False))
        if model[point] != pings:
            report.differences.append(f"{point}: {same} of {len(pings)} recorded frames, {len(model[point])} predicted")
    return report
