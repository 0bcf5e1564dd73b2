"""What the captures of one probe hold, what the kernel drew at random, and where predicted frames differ from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from coursekit.cluster.datagram import ICMPV6, TCP, Datagram
from coursekit.cluster.path import Journey
from coursekit.cluster.tables import HostTables
from coursekit.lab.frames import Captured as Frame
from coursekit.packets.compare import first_difference
from tests.cluster.evidence import Captured, innermost

BGP = 179
Seen = Counter[tuple[str, bytes]]  # how often a frame was seen at a capture point


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


def frames(journeys: Iterable[Journey], answers: bool = True) -> Seen:
    """How often the model says that each frame is seen at each point; ARP requests are compared apart."""

    def stops(one: Journey) -> Iterator[tuple[str, bytes]]:
        yield from ((s.point, s.frame) for s in one.stops if s.frame is not None and s.action != "asks")
        for reply in (one.reply, *one.others):
            if reply is not None and (answers or one.outcome.kind != "delivered"):
                yield from stops(reply)

    return Counter(seen for one in journeys for seen in stops(one) if not seen[0].endswith(":lo"))


def same_frames(differences: list[str], model: Seen, real: Seen) -> int:
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
