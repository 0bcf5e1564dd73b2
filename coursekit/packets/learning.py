"""What an outside capture shows of a tunnel's set-up: which frames enter it there, between which nodes and MACs.

Every frame has a vote, so that one that somebody damaged does not decide for the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from statistics import median
from typing import Any, TypeVar

from coursekit.packets.encapsulation import ENCAPSULATIONS, Encapsulation
from coursekit.packets.matching import Match

T = TypeVar("T")


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
    device: bool = False
    source: bytes = b""
    target: Callable[[Match], bytes] = lambda item: b""
    link: Callable[[Match], bytes] = lambda item: b""  # Ethernet header without its EtherType
    inner_link: Callable[[Match], bytes] = lambda item: b""
    remotes: dict[bytes, tuple[bytes, bytes, bytes]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """Return it for people."""
        if not self.remotes:
            return {}
        result: dict[str, Any] = {}
        if self.encap.kind == "vxlan":
            result |= {"port": self.encap.port, "vni": self.encap.vni}
            result |= {"udp_checksum": "computed" if self.encap.udp_checksum else "zero"}
        if self.source:
            result["src"] = str(ip_address(self.source))
        remotes = {}
        for target, link, inner in self.remotes.values():
            macs = _shown_link(link, "")
            name = str(ip_address(target)) if target else str(macs.get("eth_dst", ""))
            remotes[name] = macs | _shown_link(inner, "inner_")
        return result | {"remotes": remotes}


def _shown_link(link: bytes, prefix: str) -> dict[str, Any]:
    """Return the parts of an Ethernet header by name."""
    if len(link) < 12:
        return {}
    tag = {prefix + "vlan": int.from_bytes(link[14:16], "big") & 0xFFF} if len(link) > 14 else {}
    return {prefix + "eth_src": link[6:12].hex(":"), prefix + "eth_dst": link[:6].hex(":"), **tag}


def learn(
    coming: Sequence[Match], encap: Encapsulation, fixed: dict[str, Any], src: str | None, dst: str | None
) -> Learned:
    """Read off what the encapsulation leaves open, and nobody has given."""
    learned = Learned(encap)
    sure = [item for item in coming if item.exact] or list(coming)
    if not sure:
        return learned
    if encap.kind == "vxlan":
        learned.encap = _learn_vxlan(sure, encap, fixed, learned.notes)
    learned.device = _at_device(sure)
    if encap.kind != "native":
        learned.source = ip_address(src).packed if src else most((outer_ends(i)[0] for i in sure), b"")

    def remote(item: Match) -> tuple[bytes, bytes, bytes]:
        target = outer_ends(item)[1] if encap.kind != "native" else b""
        if dst and target:
            target = ip_address(dst).packed
        link = item.first.data[: item.slot.link - 2] if item.first.linktype == "ethernet" else b""
        return target, link, b"" if learned.device else inner_link(item)[:-2]

    everywhere = Counter(remote(item) for item in sure)
    by_target: dict[bytes, list[tuple[bytes, bytes, bytes]]] = defaultdict(list)
    for item in sure:
        by_target[ends(item.inside.packet)[1]].append(remote(item))
    for address, seen in by_target.items():
        best = most(seen, seen[0])
        if seen.count(best) == 1 and all(best):
            # a lone frame that is like many others but for one part is more likely damaged than a node of its own
            alike = [r for r in everywhere if sum(a == b for a, b in zip(r, best, strict=True)) == 2]
            best = max([best, *alike], key=lambda r: everywhere[r])
        learned.remotes[address] = best
    anyone = most(everywhere.elements(), next(iter(everywhere)))

    def known(item: Match) -> tuple[bytes, bytes, bytes]:
        return learned.remotes.get(ends(item.inside.packet)[1], anyone)

    learned.target = lambda item: known(item)[0]
    learned.link = lambda item: known(item)[1]
    learned.inner_link = lambda item: known(item)[2]
    return learned


def _learn_vxlan(
    sure: Sequence[Match], encap: Encapsulation, fixed: dict[str, Any], notes: list[str]
) -> Encapsulation:
    """Return the encapsulation with the port, VNI and checksum policy that the frames show."""
    def number(at: int, size: int) -> int:
        found = (int.from_bytes(i.first.data[i.slot.link + i.slot.outer + at :][:size], "big") for i in sure)
        return most(found, 0)

    zero = most((not any(i.first.data[i.slot.link + i.slot.outer + 6 :][:2]) for i in sure), False)
    shown = {"port": number(2, 2), "vni": number(12, 3), "udp_checksum": not zero}
    other = next(
        (
            known for known in ENCAPSULATIONS.values()
            if known.kind == "vxlan" and "rfc7348" not in (known.name, encap.name)
            and (known.port, known.vni) == (shown["port"], shown["vni"]) != (encap.port, encap.vni)
        ),
        None,
    )
    if other and fixed["port"] is None and fixed["vni"] is None:
        notes.append(
            f"The outside frames go to UDP port {other.port} with VNI {other.vni}: that is {other.name}, "
            f"not {encap.name}. If the cluster is set up so, say it with --port and --vni."
        )
        del shown["port"], shown["vni"]
    return replace(encap, **{key: value for key, value in shown.items() if fixed[key] is None})  # type: ignore[arg-type]
