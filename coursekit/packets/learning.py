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


def _most(values: Iterable[T], default: T) -> T:
    """Return the most frequent value, the first of several: the first frame decides, unless the others outvote it."""
    counted = Counter(values)
    return counted.most_common(1)[0][0] if counted else default


def ends(packet: bytes) -> tuple[bytes, bytes]:
    """Return the source and destination address of an IP packet."""
    return (packet[12:16], packet[16:20]) if packet[0] >> 4 == 4 else (packet[8:24], packet[24:40])


def _inner_link(item: Match) -> bytes:
    return item.first.data[item.slot.at - item.slot.inner_link : item.slot.at]


def _kept(item: Match) -> bool:
    """Tell whether the inside capture shows what the tunnel device gets: same inner Ethernet header, same TTL."""
    if item.inside.frame.linktype == "ethernet":
        return item.slot.inner_link > 0 and item.inside.link == _inner_link(item)
    return item.slot.outer > 0 and item.hops == 0


def entering(
    matches: Sequence[Match], src: str | None, encap: Encapsulation, hops: int
) -> tuple[list[Match], set[bytes]]:
    """Return the matches that enter the tunnel at that place, with `inside` marked, and the addresses they come from.

    A pod's packet is forwarded before it enters: its TTL outside is one lower. One that has left the tunnel has a TTL
    higher outside. On the tunnel device itself both are equal: there the sender is whose frames come out later.
    """
    votes: dict[tuple[bytes, bytes], Counter[str]] = defaultdict(Counter)
    lag: dict[bytes, list[int]] = defaultdict(list)
    sender: dict[tuple[bytes, bytes], list[bytes]] = defaultdict(list)
    down = 1 + (hops if encap.kind == "native" else 0)
    device = _most((_kept(item) for item in matches if item.exact), any(_kept(item) for item in matches))
    for item in matches:
        flow = ends(item.inside.packet)
        first = item.first
        if device:
            outer = _outer_ends(first.data, item)[0]
            sender[flow].append(outer)
            lag[outer].append(first.time_ns - item.inside.frame.time_ns)
        elif item.hops in (down, -down):
            votes[flow]["in" if item.hops == down else "out"] += 1
    if device:
        own = ip_address(src).packed if src else max(lag, key=lambda address: median(lag[address]), default=b"")
        for flow, senders in sender.items():
            late = src is not None or len(lag) > 1 or median(lag[own]) >= 0
            votes[flow]["in" if late and _most(senders, b"") == own else "out"] += 1
    ways = {flow: _most(counted.elements(), "") for flow, counted in votes.items()}
    found = []
    for item in matches:
        flow = ends(item.inside.packet)
        way = ways.get(flow) or {"in": "out", "out": "in"}.get(ways.get(flow[::-1], ""), "in")
        if way == "in":
            found.append(item)
    return found, {ends(item.inside.packet)[0] for item in found}


def _outer_ends(frame: bytes, item: Match) -> tuple[bytes, bytes]:
    """Return the outer addresses, from where they stand in the header."""
    at, size = item.slot.link, 4 if item.slot.outer == 20 else 16
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
            remotes[str(ip_address(target)) if target else macs.get("eth_dst", "")] = macs | _shown_link(inner, "inner_")
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
    learned.device = _most((_kept(item) for item in sure), False)
    if encap.kind != "native":
        learned.source = ip_address(src).packed if src else _most((_outer_ends(i.first.data, i)[0] for i in sure), b"")

    def remote(item: Match) -> tuple[bytes, bytes, bytes]:
        target = _outer_ends(item.first.data, item)[1] if encap.kind != "native" else b""
        if dst and target:
            target = ip_address(dst).packed
        link = item.first.data[: item.slot.link - 2] if item.first.linktype == "ethernet" else b""
        return target, link, b"" if learned.device else _inner_link(item)[:-2]

    everywhere = Counter(remote(item) for item in sure)
    by_target: dict[bytes, list[tuple[bytes, bytes, bytes]]] = defaultdict(list)
    for item in sure:
        by_target[ends(item.inside.packet)[1]].append(remote(item))
    for address, seen in by_target.items():
        best = _most(seen, seen[0])
        if seen.count(best) == 1 and all(best):
            # a lone frame that is like many others but for one part is more likely damaged than a node of its own
            alike = [r for r in everywhere if sum(a == b for a, b in zip(r, best, strict=True)) == 2]
            best = max([best, *alike], key=lambda r: everywhere[r])
        learned.remotes[address] = best
    anyone = _most(everywhere.elements(), next(iter(everywhere)))

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
        return _most(found, 0)

    zero = _most((not any(i.first.data[i.slot.link + i.slot.outer + 6 :][:2]) for i in sure), False)
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
