"""An unknown capture: what was caught at one node of a cluster that you have never seen. Take it apart.

The cluster is drawn by a seed: addresses, mode, VNI and port. Live, its traffic is captured from a real kernel; in a
replay it is computed by the model. What you claim is held against the bytes: nothing is compared with a key.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, ip_address
from typing import Any

from coursekit.cluster.datagram import Datagram
from coursekit.cluster.model import Cluster
from coursekit.errors import CourseError, expect
from coursekit.lab.session import Net, Session, captured, evidence
from coursekit.packets.capture import Capture, Frame
from coursekit.packets.encapsulation import decapsulate
from coursekit.packets.fields import Dissection
from coursekit.packets.layout import dissect

PLAIN, IPIP, VXLAN = "plain", "IPIP", "VXLAN"
SIZE = 4000  # bytes of the answer that is fetched: several full segments


def drawn(seed: int) -> Cluster:
    """Return a cluster of two nodes drawn by `seed`: its addresses, its profile, its VNI and port."""
    draw = random.Random(f"unknown {seed}")
    lan = IPv4Network((int(IPv4Network("172.16.0.0/12")[0]) + draw.randrange(1 << 12) * 256, 24))
    pods = IPv4Network((int(IPv4Network("10.0.0.0/8")[0]) + draw.randrange(1 << 8) * 65536, 16))
    blocks = draw.sample([*pods.subnets(new_prefix=24)], 2)
    nodes = draw.sample(range(10, 250), 2)
    name, options = draw.choice([
        ("flannel-vxlan", {"vni": draw.randrange(1, 4000), "port": draw.choice((8472, 4789))}),
        ("flannel-vxlan", {}), ("calico-vxlan", {}), ("calico-ipip", {}), ("host-gw", {}),
    ])  # fmt: skip
    mtu = draw.choice((1500, 1460, 1400))
    return Cluster.from_dict({
        "name": f"unknown-{seed}", "title": f"Unknown cluster {seed}", "pod_network": str(pods),
        "profile": {"name": name, **options},
        "segments": [{"name": "lan", "subnet": str(lan), "gateway": str(lan[1]), "mtu": mtu}],
        "nodes": [{"name": f"node{i}", "address": str(lan[n]), "block": str(b)}
                  for i, (n, b) in enumerate(zip(nodes, blocks, strict=True), 1)],
        "pods": [{"name": pod, "address": str(block[draw.randrange(2, 250)])}
                 for pod, block in zip(("podA", "podB"), blocks, strict=True)],
    })  # fmt: skip


def unknown(session: Session, seed: int = 0) -> Unknown:
    """Bring up a cluster drawn by `seed`, let its pods talk, and return what one node's eth0 saw."""
    expect(session, Session, "An unknown capture is taken in a session, as in unknown(s, seed=3)")
    return Unknown(session.up(drawn(seed)))


class Unknown:
    """A capture of unknown origin: `capture` is it, `check` holds claims against it."""

    def __init__(self, net: Net) -> None:
        answers = [net.ping("podA", "podB", count=2), net.get("podB", "podA", size=SIZE)]
        frames = [f for a in answers for f in captured(a)["node1:eth0"] if f.data[12:14] == b"\x08\x00"]
        numbered = tuple(Frame(f.data, i, f.time_ns, f.dlt, f.length) for i, f in enumerate(frames, 1))
        first = captured(answers[0])["node1:eth0"]
        self.capture: Capture = Capture(first.path, numbered, "")
        self.evidence = evidence(net)

    def check(self, **claims: Any) -> Report:
        """Hold claims against the bytes: mode, nodes, pods, vni, port, pod_mtu (bytes). What is not claimed stays open.

        Raises CourseError for a claim about something else.
        """
        for name in claims:
            if name not in _CHECKS:
                raise CourseError(f"There is no claim {name!r}; claims are {', '.join(_CHECKS)}.")
        return Report(tuple(
            Line(name, *_CHECKS[name](self, claims[name])) if name in claims else Line(name, None, "not claimed yet")
            for name in _CHECKS if name in claims or name not in self._silent
        ))  # fmt: skip

    @cached_property
    def _taken(self) -> list[tuple[int, Dissection, Datagram]]:
        """Number, dissection and innermost IP packet of each frame."""
        return [(f.number, dissect(f.data), _inside(f.data)) for f in self.capture]

    @property
    def _silent(self) -> tuple[str, ...]:
        """What frames of this mode do not tell."""
        return {VXLAN: (), IPIP: ("vni", "port"), PLAIN: ("vni", "port", "nodes")}[self._mode]

    @property
    def _mode(self) -> str:
        layers = [layer.key for layer in self._taken[0][1].layers]
        return VXLAN if "vxlan" in layers else IPIP if layers[1:3] == ["ip", "ip"] else PLAIN


@dataclass(frozen=True)
class Line:
    """One claim: whether the bytes bear it out (None: not claimed), and which ones say so."""

    claim: str
    right: bool | None
    sentence: str

    def __str__(self) -> str:
        return f"{ {True: '✓', False: '✗', None: '·'}[self.right] } {self.claim}: {self.sentence}"


@dataclass(frozen=True, repr=False)
class Report:
    """What became of the claims."""

    lines: tuple[Line, ...]

    @property
    def solved(self) -> bool:
        """Whether everything that can be claimed is, and is right."""
        return all(line.right for line in self.lines)

    def __repr__(self) -> str:
        return "\n".join(map(str, self.lines))


def _inside(frame: bytes) -> Datagram:
    try:
        return Datagram(decapsulate(frame, ports=tuple(range(1, 65536))) if _tunnel(frame) else frame[14:])
    except CourseError:
        return Datagram(frame[14:])


def _tunnel(frame: bytes) -> bool:
    return any(layer.key == "vxlan" for layer in dissect(frame).layers) or frame[23] == 4


def _mode(self: Unknown, claim: Any) -> tuple[bool, str]:
    number, taken, _ = self._taken[0]
    seen = {VXLAN: "UDP, then a VXLAN header", IPIP: "protocol 4, then IPv4 again", PLAIN: "no second IPv4 header"}
    right = str(claim).lower() == self._mode.lower()
    if right:
        return True, f"in frame {number} there is {seen[self._mode]}"
    if str(claim).lower() not in (PLAIN, IPIP.lower(), VXLAN.lower()):
        return False, f"say {PLAIN!r}, {IPIP!r} or {VXLAN!r}"
    return False, f"look at byte 23 of frame {number}, the protocol: {taken['ip.proto'].value}"


def _ends(what: str, where: str, which: Callable[[tuple[int, Dissection, Datagram]], tuple[Any, Any]]) -> Any:
    def check(self: Unknown, claim: Any) -> tuple[bool, str]:
        if what in self._silent:
            return False, "a plain packet names the pods, and its frame only the nodes' MACs"
        found = {str(end) for taken in self._taken for end in which(taken)}
        try:
            claimed = {str(ip_address(str(one))) for one in ([claim] if isinstance(claim, str) else claim)}
        except (TypeError, ValueError):
            return False, 'give two addresses, such as ["192.0.2.1", "192.0.2.2"]'
        if claimed == found:
            return True, f"the {where} of every frame"
        strange = sorted(claimed - found)
        return False, f"{strange[0]} is in no {where}" if strange else f"the {where} names one more"

    return check


def _number(key: str, what: str) -> Any:
    def check(self: Unknown, claim: Any) -> tuple[bool, str]:
        if self._mode != VXLAN:
            return False, f"this traffic has no {what}"
        if isinstance(claim, bool) or not isinstance(claim, int):
            return False, "give a whole number"
        number, taken, _ = self._taken[0]
        field = taken[key]
        right = claim == field.raw
        where = f"bytes {field.bit_offset // 8} to {(field.bit_offset + field.width - 1) // 8} of frame {number}"
        return right, where if right else f"look at {where}"

    return check


def _pod_mtu(self: Unknown, claim: Any) -> tuple[bool, str]:
    longest = max(packet.length for _, _, packet in self._taken)
    offers = [mss for _, taken, _ in self._taken for mss in _mss(taken)]
    if isinstance(claim, bool) or not isinstance(claim, int):
        return False, "give a whole number of bytes"
    if claim < longest:
        number = next(n for n, _, packet in self._taken if packet.length == longest)
        return False, f"frame {number} carries a pod's packet of {longest} bytes"
    if offers and claim != min(offers) + 40:
        return False, f"a pod offers segments of {min(offers)} bytes: what does that leave for the MTU?"
    offered = f"the MSS offered is {min(offers)}" if offers else "no MSS was seen"
    return True, f"the longest packet has {longest} bytes, and {offered}"


def _mss(taken: Dissection) -> Iterator[int]:
    yield from (int(field.raw) for field in taken.fields() if field.key == "tcp.options.mss_val")


_CHECKS: dict[str, Callable[[Unknown, Any], tuple[bool, str]]] = {
    "mode": _mode,
    "nodes": _ends("nodes", "outer IPv4 header", lambda taken: (taken[1]["ip.src"].value, taken[1]["ip.dst"].value)),
    "pods": _ends("pods", "innermost IPv4 header", lambda taken: (taken[2].src, taken[2].dst)),
    "vni": _number("vxlan.vni", "VNI"),
    "port": _number("udp.dstport", "UDP port"),
    "pod_mtu": _pod_mtu,
}
