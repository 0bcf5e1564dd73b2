"""What ping and traceroute print about a journey, as iputils and Linux traceroute word it, times left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coursekit.cluster import icmp
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.path import Journey, Stop
from coursekit.cluster.tables import Address
from coursekit.errors import CourseError


def packet_at(stop: Stop) -> Datagram | None:
    """Return the IP packet that a stop's frame carries, or None if it shows no frame or an ARP request."""
    for start in (14, 0):  # behind an Ethernet header, or bare on a device without one
        try:
            return Datagram((stop.frame or b"")[start:])
        except CourseError:
            continue
    return None


def ping_line(journey: Journey, seq: int = 1) -> str:
    """Return the line that ping prints for one echo request, without its time; "" for silence."""
    outcome = journey.outcome
    if outcome.kind == "refused":
        head = "ping: local error: " if outcome.mtu else "ping: connect: "
        return head + outcome.symptom
    if outcome.kind == "error":
        return f"From {outcome.sender} icmp_seq={seq} {outcome.symptom}"
    answer = packet_at(journey.reply.stops[-1]) if journey.reply is not None and journey.answered else None
    if answer is None:
        return ""
    last = answer.length - answer.header_length if not answer.is_fragment else answer.offset + len(answer.payload)
    return f"{last} bytes from {answer.src}: icmp_seq={seq} ttl={answer.ttl}"


@dataclass(frozen=True)
class Hop:
    """One line of traceroute: which address answered a probe with that TTL, or None for `*`."""

    ttl: int
    address: Address | None
    mark: str = ""  # !N, !H, !X … when it was no "time exceeded"
    final: bool = False  # traceroute stops here

    @classmethod
    def of(cls, ttl: int, journey: Journey) -> Hop:
        """Return the hop that a probe's journey found."""
        if journey.outcome.kind != "error" or journey.reply is None:
            return cls(ttl, None)
        answer = packet_at(journey.reply.stops[-1])
        if answer is None:
            return cls(ttl, None)
        complaint = icmp.complaint_of(answer)
        mark = complaint.mark if complaint else ""
        if complaint is icmp.FRAG_NEEDED:
            mark += f"-{icmp.mtu_of(answer)}"
        return cls(ttl, answer.src, mark, complaint is not icmp.TIME_EXCEEDED)

    def __str__(self) -> str:
        """Return the line as `traceroute -n -q 1` prints it, without the time."""
        return f"{self.ttl:2}  {self.address or '*'}" + (f" {self.mark}" if self.mark else "")


def traceroute_text(hops: Iterable[Hop]) -> str:
    """Return the lines of traceroute, without its header and times."""
    return "\n".join(str(hop) for hop in hops)
