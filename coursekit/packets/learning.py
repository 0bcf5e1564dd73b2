"""What an outside capture shows of a tunnel's set-up: which frames enter it there, between which nodes and MACs.

Every frame has a vote, so that one that somebody damaged does not decide for the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from statistics import median
from typing import Any, NamedTuple, TypeVar

from coursekit.packets.encapsulation import ENCAPSULATIONS, Encapsulation
from coursekit.packets.matching import Match

T = TypeVar("T")


class Remote(NamedTuple):
    """What the envelopes to one destination have in common; Ethernet headers without their type."""

    source: bytes
    target: bytes
    link: bytes
    inner_link: bytes


NOBODY = Remote(b"", b"", b"", b"")


def most(values: Iterable[T], default: T) -> T:
    """Return the most frequent value, the first of several: the first frame decides, unless the others outvote it."""
    counted = Counter(values)
    return counted.most_common(1)[0][0] if counted else default


def ends(packet: bytes) -> tuple[bytes, bytes]:
    """Return the source and destination address of an IP packet."""
    return (packet[12:16], packet[16:20]) if packet[0] >> 4 == 4 else (packet[8:24], packet[24:40])


def entering(matches: Sequence[Match], src: str | None, down: int) -> list[Match]:
    """Return the matches that enter the tunnel where the inside capture was taken.

    A pod's packet is forwarded before it enters: its TTL outside is `down` lower. One that has left the tunnel has a
    higher one outside. On the tunnel device itself both are equal: there the node whose frames come out later sends.
    """
    flows: dict[tuple[bytes, bytes], list[Match]] = defaultdict(list)
    for item in matches:
        flows[ends(item.inside.packet)].append(item)
    lag = {flow: median(_lag(item) for item in items) for flow, items in flows.items()}
    if _at_device(matches):
        senders = {flow: most((outer_ends(i)[0] for i in items), b"") for flow, items in flows.items()}
        nodes = {sender: median(lag[flow] for flow in flows if senders[flow] == sender) for sender in senders.values()}
        own = ip_address(src).packed if src else max(nodes, key=lambda node: nodes[node])
        late = src is not None or len(nodes) > 1 or nodes[own] >= 0
        coming = {flow for flow in flows if late and senders[flow] == own}
    else:
        coming = set()
        for flow, items in flows.items():
            votes = Counter(sign for item in items if (sign := {down: 1, -down: -1}.get(item.hops, 0)))
            if (votes.most_common(1)[0][0] if votes else lag[flow]) >= 0:
                coming.add(flow)
        # a lone frame with a damaged TTL may look like one that leaves, but then nothing enters
        coming |= {f for f in flows if not {f, f[::-1]} & coming and lag[f] > lag.get(f[::-1], 0)}
    return [item for item in matches if ends(item.inside.packet) in coming]


def _lag(item: Match) -> int:
    """Return how many nanoseconds later the packet was seen outside than inside."""
    return item.first.time_ns - item.inside.frame.time_ns


def _at_device(matches: Sequence[Match]) -> bool:
    """Tell whether the inside capture shows what the tunnel device gets: same inner Ethernet header, or same TTL."""

    def same(item: Match) -> bool:
        if item.inside.frame.linktype == "ethernet":
            return item.slot.inner_link > 0 and item.inside.link == inner_link(item)
        return item.slot.outer > 0 and item.hops == 0

    return most(map(same, [item for item in matches if item.exact] or matches), False)


def inner_link(item: Match) -> bytes:
    """Return the inner Ethernet header of the match's first outside frame, from where it stands."""
    return item.first.data[item.slot.at - item.slot.inner_link : item.slot.at]


def outer_ends(item: Match) -> tuple[bytes, bytes]:
    """Return the outer addresses of the match's first outside frame, from where they stand."""
    frame, at, size = item.first.data, item.slot.link, 4 if item.slot.outer == 20 else 16
    start = at + (12 if size == 4 else 8)
    return frame[start : start + size], frame[start + size : start + 2 * size]


@dataclass
class Learned:
    """What the outside frames show of the set-up: for all of them, and per remote node."""

    encap: Encapsulation
    device: bool = False  # whether the inside capture was taken at the tunnel device itself
    remotes: dict[bytes, Remote] = field(default_factory=dict)  # by inner destination
    anyone: Remote = NOBODY
    notes: list[str] = field(default_factory=list)

    def remote(self, item: Match) -> Remote:
        """Return what the envelope of that match should have in common with others."""
        return self.remotes.get(ends(item.inside.packet)[1], self.anyone)

    def shown(self) -> dict[str, Any]:
        """Return it for people."""
        if not self.remotes:
            return {}
        result: dict[str, Any] = {}
        if self.encap.kind == "vxlan":
            result |= {"port": self.encap.port, "vni": self.encap.vni}
            result |= {"udp_checksum": "computed" if self.encap.udp_checksum else "zero"}
        sources = dict.fromkeys(str(ip_address(remote.source)) for remote in self.remotes.values() if remote.source)
        if sources:
            result["src"] = " ".join(sources)
        remotes = {}
        for remote in self.remotes.values():
            macs = _shown_link(remote.link, "")
            name = str(ip_address(remote.target)) if remote.target else str(macs.get("eth_dst", ""))
            remotes[name] = macs | _shown_link(remote.inner_link, "inner_")
        return result | {"remotes": remotes}


def _shown_link(link: bytes, prefix: str) -> dict[str, Any]:
    """Return the parts of an Ethernet header by name."""
    if len(link) < 12:
        return {}
    tag = {prefix + "vlan": int.from_bytes(link[14:16], "big") & 0xFFF} if len(link) > 14 else {}
    return {prefix + "eth_src": link[6:12].hex(":"), prefix + "eth_dst": link[:6].hex(":"), **tag}


def learn(
    coming: Sequence[Match], leaving: Sequence[Match], encap: Encapsulation, fixed: dict[str, Any],
    src: str | None, dst: str | None,
) -> Learned:
    """Read off what the encapsulation leaves open, and nobody has given.

    Frames of the other direction (`leaving`) show the same nodes from the other side: they decide where frames that
    enter are at odds with one another.
    """
    learned = Learned(encap)
    sure = [item for item in coming if item.exact] or list(coming)
    if not sure:
        return learned
    back = [item for item in leaving if item.exact]
    if encap.kind == "vxlan":
        learned.encap = _learn_vxlan(sure, back, encap, fixed, learned.notes)
    learned.device = _at_device(sure)
    there: dict[bytes, list[Match]] = defaultdict(list)
    returning: dict[bytes, list[Match]] = defaultdict(list)
    for item in sure:
        there[ends(item.inside.packet)[1]].append(item)
    for item in back:
        returning[ends(item.inside.packet)[0]].append(item)
    for address, items in there.items():
        learned.remotes[address] = _remote(items, returning[address], learned, src, dst)
    everywhere = Counter(learned.remotes[ends(item.inside.packet)[1]] for item in sure)
    for address, items in there.items():
        own = learned.remotes[address]
        if len(items) == 1 and encap.kind == "vxlan" and not learned.device:
            # a lone frame that is like many others but for one part is more likely damaged than a node of its own
            alike = [r for r in everywhere if sum(x == y for x, y in zip(r, own, strict=True)) == 3]
            learned.remotes[address] = max([own, *alike], key=lambda r: everywhere[r])
    learned.anyone = everywhere.most_common(1)[0][0]
    return learned


def _elect(shown: Iterable[T], mirrored: Iterable[T]) -> T:
    """Return what most frames show; of equals what the other direction shows too, else the first."""
    votes = Counter({value: 2 * count for value, count in Counter(shown).items()})
    for witness, _ in Counter(mirrored).most_common(1):
        if witness in votes:
            votes[witness] += 1
    return votes.most_common(1)[0][0]


def _remote(
    items: Sequence[Match], back: Sequence[Match], learned: Learned, src: str | None, dst: str | None
) -> Remote:
    """Return what the frames to one destination show of the node behind which it is."""
    def links(matches: Sequence[Match]) -> list[bytes]:
        frames = [(item, frame) for item in matches for frame in item.frames if frame]
        return [frame.data[: item.slot.link - 2] if frame.linktype == "ethernet" else b"" for item, frame in frames]

    def swapped(link: bytes) -> bytes:
        return link[6:12] + link[:6] + link[12:]

    family = _elect((item.slot.outer for item in items), ())  # a node may have a tunnel of either family
    items = [item for item in items if item.slot.outer == family]
    back = [item for item in back if item.slot.outer == family]
    source = target = inner = b""
    if learned.encap.kind != "native":
        source = ip_address(src).packed if src else _elect(_outer(items, 0), _outer(back, 1))
        target = ip_address(dst).packed if dst else _elect(_outer(items, 1), _outer(back, 0))
    if not learned.device:
        inner = _elect((inner_link(i)[:-2] for i in items), (swapped(inner_link(i)[:-2]) for i in back))
    return Remote(source, target, _elect(links(items), map(swapped, links(back))), inner)


def _outer(items: Sequence[Match], end: int) -> list[bytes]:
    return [outer_ends(item)[end] for item in items]


def _learn_vxlan(
    sure: Sequence[Match], back: Sequence[Match], encap: Encapsulation, fixed: dict[str, Any], notes: list[str]
) -> Encapsulation:
    """Return the encapsulation with the port, VNI and checksum policy that the frames show."""
    def numbers(matches: Sequence[Match], at: int, size: int) -> list[int]:
        starts = [(item.first.data, item.slot.link + item.slot.outer + at) for item in matches]
        return [int.from_bytes(data[start : start + size], "big") for data, start in starts]

    shown = {
        "port": _elect(numbers(sure, 2, 2), numbers(back, 2, 2)),
        "vni": _elect(numbers(sure, 12, 3), numbers(back, 12, 3)),
        "udp_checksum": _elect(map(bool, numbers(sure, 6, 2)), map(bool, numbers(back, 6, 2))),
    }
    # RFC 7348 names a port and no VNI; the CNIs name both
    names = {(known.port, known.vni): known for known in ENCAPSULATIONS.values() if known.name != "rfc7348"}
    other = names.get((shown["port"], shown["vni"]))
    own = shown["port"] == encap.port and (shown["vni"] == encap.vni or encap.name == "rfc7348")
    if other and not own and fixed["port"] is None and fixed["vni"] is None:
        notes.append(
            f"The outside frames go to UDP port {other.port} with VNI {other.vni}, as {other.name} has them. "
            f"To hold {encap.name} to its own, say --port {encap.port} --vni {encap.vni}."
        )
    return replace(encap, **{key: value for key, value in shown.items() if fixed[key] is None})  # type: ignore[arg-type]
