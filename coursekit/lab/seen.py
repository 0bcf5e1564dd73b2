"""From captured frames to a journey: the type that the model returns, with stops in the order of the kernel's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from coursekit.cluster import icmp
from coursekit.cluster.datagram import ICMP, ICMPV6, reassemble
from coursekit.cluster.network import Network
from coursekit.cluster.path import Journey, Outcome, PathMtu, Stop
from coursekit.lab.frames import About, Captured, Reader

_Placed = tuple[int, Captured]  # a frame and its place in time


def journeys(network: Network, frames: Iterable[Captured], src: str, outcomes: Mapping[int, Outcome]) -> list[Journey]:
    """Return the journey of every echo request of `src`, by sequence number.

    `outcomes` is what ping printed of each; "lost" becomes "delivered" where the request was captured at its
    destination. `network` says which host has which device and address.
    """
    kept = sorted(frames, key=lambda frame: frame.time_ns)
    reader = Reader(network, kept)
    told = [(order, frame, reader.about(frame.packet)) for order, frame in enumerate(kept) if not frame.is_arp]
    mine = next((a.ident for _, f, a in told if a and f.host == src and f.out and a.kind == "request"), None)
    groups: dict[About, list[_Placed]] = {}
    for order, frame, about in told:
        if about is not None and about.ident == mine and about.seq in outcomes:
            groups.setdefault(about, []).append((order, frame))
    asked = list(_in_vain(kept))
    found = []
    for seq, outcome in sorted(outcomes.items()):
        request = About("request", mine or 0, seq)
        found.append(_journey(network, groups, request, outcome, asked))
    return found


def _in_vain(frames: list[Captured]) -> Iterator[_Placed]:
    """Yield the first of the ARP requests, by device and target, that nobody answered.

    Who asked counts: Calico's pods all ask for 169.254.1.1, each its own node.
    """
    answered = {(f.data[32:38], f.data[28:32]) for f in frames if f.is_arp and f.data[20:22] == b"\0\2"}
    seen = set()
    for order, frame in enumerate(frames):
        what = (frame.point, frame.data[38:42])
        if frame.is_arp and frame.out and frame.data[20:22] == b"\0\1" and what not in seen:
            seen.add(what)
            if (frame.data[22:28], frame.data[38:42]) not in answered:
                yield order, frame


def _journey(
    network: Network, groups: Mapping[About, list[_Placed]], about: About, told: Outcome | None, asked: list[_Placed]
) -> Journey:
    """Return one packet's journey with all that it caused; `told` is what its sender printed, None for an answer."""
    placed = groups.get(about, [])
    children = [(other, _journey(network, groups, other, None, [])) for other in groups if other.cause == about]
    goal = _arrived(network, placed)
    points = [frame.point for _, frame in placed]
    last = points[-1] if points else ""
    outcome = told or Outcome("lost", "", None, last, "")
    if outcome.kind == "lost" and goal:
        outcome = replace(outcome, kind="delivered")
    reason = f"captured last at {last}" if last else "nothing was captured"
    outcome = replace(outcome, last_seen=last, reason=reason)
    errors = [child for other, child in children if other.errors != about.errors and child.outcome.kind == "delivered"]
    echoes = [child for other, child in children if other.errors == about.errors]
    first = errors if outcome.kind == "error" else echoes
    reply = next(iter([*first, *(child for _, child in children)]), None)
    others = tuple(child for _, child in children if child is not reply)
    learned = dict.fromkeys([*_learned(placed, goal), *(path for _, child in children for path in child.learned)])
    stops = _stops(network, placed, asked, outcome.kind)
    return Journey(stops, outcome, reply, tuple(learned), others)


def _arrived(network: Network, placed: list[_Placed]) -> str | None:
    """Return the host that took the packet: bare, whole, and addressed to it."""
    if not placed:
        return None
    frame = placed[-1][1]
    packet = frame.packet
    host = network.host(frame.host)
    if frame.out or packet is None or packet.protocol not in (ICMP, ICMPV6) or packet.dst not in host.addresses():
        return None
    if packet.is_fragment:
        pieces = [p for _, f in placed if f.point == frame.point and (p := f.packet) and p.ip_id == packet.ip_id]
        if reassemble(pieces) is None:
            return None
    return frame.host


def _learned(placed: list[_Placed], host: str | None) -> Iterator[PathMtu]:
    """Yield what a host learns from a “fragmentation needed” that reached it."""
    packet = placed[-1][1].packet if placed else None
    mtu = icmp.mtu_of(packet) if packet is not None and host else None
    if packet is not None and host and mtu:
        start = 16 if packet.version == 4 else 24
        raw = packet.quoted[start : start + (4 if packet.version == 4 else 16)]
        yield PathMtu(host, type(packet.dst)(raw), mtu)


def _stops(network: Network, placed: list[_Placed], asked: list[_Placed], kind: str) -> tuple[Stop, ...]:
    stops: list[Stop] = []
    for order, frame in placed:
        packet, size = frame.packet, len(frame.data)
        action = "sends" if not stops else _action(network, frame)
        before = placed[len(stops) - 1][1].packet if stops else None
        if frame.out and packet and packet.is_fragment and before and not before.is_fragment:
            action = "fragments"
        note = f"captured at {frame.point}: {size} bytes"
        stops.append(Stop(frame.host, frame.device, action, frame.data, note, (), "out" if frame.out else "in", order))
    if stops and kind in ("delivered", "lost"):
        stops[-1] = replace(stops[-1], action="delivers" if kind == "delivered" else "drops")
    for order, frame in asked:
        note = f"captured at {frame.point}: an ARP request that nobody answered"
        stops.append(Stop(frame.host, frame.device, "asks", frame.data, note, (), "out", order))
    return tuple(stops)


def _action(network: Network, frame: Captured) -> str:
    """Return what a host does with a packet at a device, told from the kind of device and the direction."""
    link = network.host(frame.host).tables.link(frame.device)
    if link is not None and link.master is not None:
        return "switches"
    if link is not None and link.kind in ("vxlan", "ipip", "tun"):
        return "encapsulates" if frame.out else "decapsulates"
    return "forwards" if frame.out else "receives"
