"""A capture filter for packets to one pod inside VXLAN: libpcap runs it over captures with traps among their frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from coursekit.cluster.journey import ping
from coursekit.cluster.network import network
from coursekit.errors import CourseError
from coursekit.exercises import reading
from coursekit.exercises.four_nodes import TUNNEL, four_nodes, spoken
from coursekit.exercises.judge import Judge, correct, draw, not_yet
from coursekit.exercises.status import Finding, Judgement, Status, Unreadable
from coursekit.lab.recording import recording
from coursekit.packets.capture import Capture, Frame
from coursekit.packets.encapsulation import ENCAPSULATIONS, encapsulate
from coursekit.packets.layout import dissect
from coursekit.views.panel import Code, Part
from coursekit.views.sheet import Sheet

POINT = "node1:eth0"
INNER_DST, UDP_AT, IP_AT = 80, 34, 14  # bytes: Ethernet 14, IPv4 20, UDP 8, VXLAN 8, Ethernet 14, and 16 into IPv4
_BASE = {"ether": 0, "link": 0, "ip": IP_AT, "udp": UDP_AT, "tcp": UDP_AT}
_ACCESS = re.compile(
    r"\b(ether|link|ip|udp|tcp)\s*\[\s*(\d+)\s*(?::\s*([124])\s*)?\]\s*(?:&\s*\w+\s*)?==?\s*(0x[0-9a-f]+|\d+)", re.I
)
_CASES = (("flannel-vxlan", "podB"), ("calico-vxlan", "podD"), ("flannel-vxlan", "podC"), ("calico-vxlan", "podB"))
_OFFSETS = {  # how far from the right byte, and what was left out or counted twice on the way
    -14: ("forgot-inner-ethernet",), -8: ("forgot-udp-header", "forgot-vxlan-header"),
    -4: ("source-not-destination",),
    -16: ("forgot-both-headers",), -20: ("forgot-outer-ip",), -30: ("inner-header-alone",), -34: ("counted-from-udp",),
    14: ("counted-from-the-frame",), 34: ("counted-from-the-frame",),
    20: ("counted-from-ip",), 1: ("counted-from-one",),
    -1: ("counted-from-zero-twice",),
}  # fmt: skip


class BpfFilter(Judge):
    """The frames that a filter must pass are those whose inner destination, as dissected, is the pod."""

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return the pod, its node, and the port."""
        profile, pod = _case(n)
        target = _target(n)
        encap = ENCAPSULATIONS[profile]
        return {
            "target": target, "port": encap.port, "hex": f"0x{target.packed.hex()}", "profile": profile,
            "node_ip": four_nodes(n).address(_node(n)), "node": spoken(_node(n)), "answer": self.reference(n),
            "Pod": spoken(pod),
        }

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return the command that the filter is for."""
        return (Code(f"tcpdump -i eth0 -n 'YOUR FILTER'      on node1, under {_case(n)[0]}"),)

    def judge(self, n: int, answer: Any) -> Judgement:
        """Run a filter over all captures, and compare what passes with what should."""
        bpf = reading.text(answer, "udp port 53").strip("'")
        bpf = re.sub(r"^(sudo\s+)?tcpdump\s+(-\w+\s+(eth0\s+)?)*", "", bpf).strip("'\" ")
        sets, target = captures(n), _target(n)
        try:
            passed = {name: {frame.number for frame in capture.filter(bpf)} for name, capture in sets.items()}
        except CourseError as refused:
            raise Unreadable(_refused(bpf, str(refused))) from None
        wanted = {name: _to(capture, target) for name, capture in sets.items()}
        missed = sum(len(wanted[name] - passed[name]) for name in sets)
        extra = {name: passed[name] - wanted[name] for name in sets}
        first = next(iter(sets))
        values = {
            "bpf": bpf, "caught": len(passed[first]), "total": len(sets[first]), "due": len(wanted[first]),
            "first": first, "missed": missed, "extra": sum(map(len, extra.values())),
            "at": ", ".join(f"{m[0]} reads {_field_at(n, m)}" for m in _ACCESS.finditer(bpf)),
        }
        decoded = (f"Your filter passes {len(passed[first])} of the {len(sets[first])} frames of the first capture; "
                   f"{len(wanted[first])} of them go to {target}.")  # fmt: skip
        table = _table(sets, wanted, passed)
        if not missed and not values["extra"]:
            return Judgement((correct(**values),), decoded, (table,))
        if not missed and set(extra["built"]) == _holding(n) and values["extra"] == len(extra["built"]):
            return Judgement((Finding(Status.WORKS_BUT, ("holds-the-bytes",), values),), decoded, (table,))
        codes = self._like(n, bpf, passed) or (_by_offset(n, bpf) if missed else ())
        if codes == ("both-directions",):
            return Judgement((Finding(Status.WORKS_BUT, codes, values),), decoded, (table,))
        values |= _values_of_accesses(bpf)
        otherwise = "nothing" if not any(passed.values()) else "too-narrow" if missed else "too-wide"
        return Judgement((not_yet(codes, otherwise, values),), decoded, (table,))

    def reference(self, n: int) -> str:
        """Return a filter that asks for the port and the inner destination."""
        port = ENCAPSULATIONS[_case(n)[0]].port
        return f"udp port {port} and udp[{INNER_DST - UDP_AT}:4] = 0x{_target(n).packed.hex()}"

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return what the reference passes."""
        solved = self.judge(n, self.reference(n))
        return solved.evidence

    def rivals(self, n: int) -> Mapping[str, tuple[str, ...]]:
        """Return filters that the beliefs lead to."""
        four, target, port = four_nodes(n), _target(n), ENCAPSULATIONS[_case(n)[0]].port
        here, there = f"0x{target.packed.hex()}", four.address(_node(n))
        block = four.cluster.node(_node(n)).blocks[0]
        other = 4789 + 8472 - port
        return {
            "first-ip-header": (f"ip[16:4] = {here}", f"ip[12:4] = {here}", f"ether[30:4] = {here}"),
            "looks-inside": (f"host {target}", f"dst host {target}", f"icmp and dst host {target}",
                             f"src host 10.244.0.5 and dst host {target}", f"udp and host {target}",
                             f"udp port {port} and host {target}", f"udp port {port} and dst host {target}",
                             f"net {block}", f"dst net {block}", f"udp port {port} and net {block}",
                             f"host {target} or host 10.244.0.5"),
            "near-enough": (f"udp port {port}", f"udp dst port {port}", "udp", f"port {port}", f"udp[2:2] = {port}"),
            "node-is-enough": (f"udp port {port} and dst host {there}", f"dst host {there}", f"host {there}",
                               f"udp port {port} and host {there}", f"udp and dst host {there}"),
            "direction-is-enough": (f"udp port {port} and src host {four.address('node1')}",
                                    f"src host {four.address('node1')}"),
            "source-not-destination": (f"udp[42:4] = {here}", f"udp port {port} and udp[42:4] = {here}",
                                       f"ether[76:4] = {here}"),
            "both-directions": (f"udp[42:4] = {here} or udp[46:4] = {here}",
                                f"udp port {port} and (udp[42:4] = {here} or udp[46:4] = {here})"),
            "icmp-outside": ("icmp", "icmp[0] == 8", "tcp", "icmp or tcp"),
            "wrong-port": (f"udp port {other}", f"udp port {other} and udp[46:4] = {here}"),
            "one-pair-only": (f"udp[42:4] = 0x0af40005 and udp[46:4] = {here}",),
        }  # fmt: skip

    def _like(self, n: int, bpf: str, passed: Mapping[str, set[int]]) -> tuple[str, ...]:
        """Return the belief whose filter passes the very same frames; of those that pass none, by what it asks for."""
        if not any(passed.values()):
            other = 4789 + 8472 - ENCAPSULATIONS[_case(n)[0]].port
            if re.search(rf"\bport {other}\b", bpf):
                return ("wrong-port",)
            return ("looks-inside",) if re.search(r"\b(host|net|dst|src)\b", bpf) and "[" not in bpf else ()
        fitting = [code for code, found in _signatures(n).items() if dict(passed) in found]
        if {"looks-inside", "first-ip-header"} <= set(fitting):
            return ("first-ip-header",) if "[" in bpf else ("looks-inside",)
        return tuple(fitting[:2])


@cache
def _signatures(n: int) -> Mapping[str, list[dict[str, set[int]]]]:
    """Return which frames each belief's filters pass; those that pass none tell nothing."""
    sets = captures(n)

    def passed(bpf: str) -> dict[str, set[int]]:
        return {name: {frame.number for frame in capture.filter(bpf)} for name, capture in sets.items()}

    return {code: [found for found in map(passed, filters) if any(found.values())]
            for code, filters in BpfFilter().rivals(n).items()}  # fmt: skip


def _case(n: int) -> tuple[str, str]:
    return _CASES[(n - 1) % len(_CASES)]


def _target(n: int) -> IPv4Address:
    return four_nodes(n).cluster.pod(_case(n)[1]).address


def _node(n: int) -> str:
    return four_nodes(n).cluster.pod(_case(n)[1]).node


def _to(capture: Capture, target: IPv4Address) -> set[int]:
    """Return the numbers of the frames that carry a packet to the pod inside VXLAN."""
    found = set()
    for frame in capture:
        layers = dissect(frame.data).layers
        inside = [layer for layer in layers if layer.key == "ip" and layer.depth == 1]
        if inside and any(layer.key == "vxlan" for layer in layers) and inside[0]["dst"].value == str(target):
            found.add(frame.number)
    return found


@cache
def captures(n: int) -> Mapping[str, Capture]:
    """Return the captures that a filter is tried on, all at Node 1's eth0: recorded, computed, and built against it."""
    profile, pod = _case(n)
    four = four_nodes(n)
    under = network(four.cluster.with_profile(profile))
    pairs = [("podA", pod), (pod, "podA"), *(("podA", other) for other in ("podB", "podC", "podD") if other != pod),
             ("node1", pod)]  # fmt: skip
    traffic = [data for a, b in pairs for data in ping(under, a, b).frames_at(POINT)]
    swapped = [data for a, b in pairs[1:2] * 2 for data in ping(under, a, b).frames_at(POINT)]
    sets = {"computed": _capture(traffic), "swapped": _capture(swapped), "built": _capture(_built(n))}
    if _target(n) == IPv4Address("10.244.1.7") and profile in ("flannel-vxlan", "calico-vxlan"):
        return {"recorded": recording(profile).capture(POINT), **sets}
    return sets


def _capture(frames: Iterable[bytes]) -> Capture:
    numbered = tuple(Frame(data, i, 0, 1, len(data)) for i, data in enumerate(frames, 1))
    return Capture(Path("node1-eth0.pcap"), numbered, "")


def _ip(source: Any, target: Any, body: Any, protocol: int, **fields: Any) -> bytes:
    header = {"version": 4, "ihl": 5, "tos": 0, "id": 7, "flags": 0, "frag": 0, "ttl": 63, **fields}
    return bytes(IP(src=str(source), dst=str(target), proto=protocol, **header) / body)


def _built(n: int) -> list[bytes]:
    """Return frames made to tell filters apart; those without an envelope come first."""
    four, target, encap = four_nodes(n), _target(n), ENCAPSULATIONS[_case(n)[0]]
    one, other = four.address("node1"), four.address(_node(n))
    macs: dict[str, Any] = {"eth_src": four.mac("node1", "eth0"), "eth_dst": four.mac(_node(n), "eth0")}
    native = ENCAPSULATIONS["native"]
    filler = bytes(INNER_DST - IP_AT - 20 - 20)
    segment = TCP(sport=40001, dport=443, seq=1, ack=1, flags="PA", window=500) / Raw(filler + target.packed + bytes(9))
    bodies = [
        _ip(one, other, segment, 6),  # the pod's address happens to be in its data
        _ip(one, other, ICMP(type=8, id=1, seq=1) / Raw(bytes(56)), 1),  # a node pings a node
        _ip("10.244.0.5", target, ICMP(type=8, id=1, seq=1) / Raw(bytes(56)), 1),  # as host-gw would carry it
        _ip(target, "10.244.0.5", ICMP(type=0, id=1, seq=1) / Raw(bytes(56)), 1),
        _ip("10.244.0.5", target, UDP(sport=4000, dport=53) / Raw(bytes(30)), 17),
    ]
    plain = [encapsulate(body, native, src=one, dst=other, ip_id=1, **macs) for body in bodies]
    near = int(target)
    inner = [
        _ip("10.244.0.9", target, TCP(sport=40002, dport=80, flags="S"), 6),  # another pod of Node 1
        _ip("10.244.0.0", target, UDP(sport=4001, dport=53) / Raw(b"q"), 17),  # Node 1 itself
        _ip("10.244.0.5", target, Raw(bytes(64)), 1, frag=100),  # a fragment
        _ip("10.244.0.5", ip_address(near ^ 0x01), ICMP(type=8, id=2, seq=1) / Raw(bytes(56)), 1),  # its neighbour
        _ip("10.244.0.5", ip_address(near ^ 0x2000), ICMP(type=8, id=2, seq=1) / Raw(bytes(56)), 1),  # same last byte
        _ip("10.244.0.5", ip_address(near ^ 0x40), TCP(sport=40003, dport=80, flags="PA") / Raw(target.packed * 20), 6),
    ]
    vteps: dict[str, Any] = {"inner_eth_src": four.mac("node1", TUNNEL), "inner_eth_dst": four.mac(_node(n), TUNNEL)}
    rng = draw("bpf", n)
    wrapped = [encapsulate(packet, encap, src=one, dst=other, ip_id=rng.randrange(1 << 16), **macs, **vteps)
               for packet in inner]  # fmt: skip
    return plain + wrapped


def _holding(n: int) -> set[int]:
    """Return the numbers of the built frames that hold the pod's address at its byte, but in no VXLAN."""
    target = _target(n).packed
    return {f.number for f in captures(n)["built"] if f.data[INNER_DST : INNER_DST + 4] == target and f.data[23] != 17}


def _refused(bpf: str, said: str) -> str:
    if re.search(r"\b(ip|udp|vxlan|icmp|eth|frame)\.\w+", bpf):
        return (f"{bpf!r} is Wireshark's display filter. tcpdump's language is asked for, see pcap-filter(7): "
                "it reads bytes as in udp[4:2], and compares them with a number.")  # fmt: skip
    if re.search(r"\]\s*==?\s*\d+\.\d+", bpf):
        return (f"{bpf!r}: bytes are compared with a number, and an address with dots is none. Write its four bytes in "
                "hexadecimal: 192.0.2.1 is 0xc0000201.")  # fmt: skip
    return said


def _by_offset(n: int, bpf: str) -> tuple[str, ...]:
    """Return the beliefs that a filter's offsets show, where it compares with the pod's address or a part of it."""
    target = _target(n)
    for match in _ACCESS.finditer(bpf):
        at = _BASE[match[1].lower()] + int(match[2])
        size, value = int(match[3] or 1), int(match[4], 0)
        if size == 4 and at == INNER_DST and value != int(target):
            known = {address for host in four_nodes(n).network.hosts.values() for address in host.addresses()}
            return ("another-address",) if ip_address(value) in known else ("address-in-hex",)
        if size == 4 and value == int(target) and at != INNER_DST:
            return _OFFSETS.get(at - INNER_DST, ())
    return ()


def _field_at(n: int, match: re.Match[str]) -> str:
    """Return the field of a frame to the pod that lies where an access reads."""
    frame = next(f for f in captures(n)["computed"] if f.number in _to(captures(n)["computed"], _target(n)))
    at = 8 * (_BASE[match[1].lower()] + int(match[2]))
    for layer in dissect(frame.data).layers:
        for field in layer.fields:
            if field.bit_offset <= at < field.bit_offset + field.width:
                return f"{'the inner' if layer.depth else 'the outer'} {layer.name}, {field.name}"
    return "no byte of it"


def _values_of_accesses(bpf: str) -> dict[str, Any]:
    found = next((m for m in _ACCESS.finditer(bpf) if m[3] == "4"), None)
    value = int(found[4], 0) if found else 0
    return {"read": ip_address(value & 0xFFFFFFFF)}


def _table(sets: Mapping[str, Capture], wanted: Mapping[str, set[int]], passed: Mapping[str, set[int]]) -> Sheet:
    about = {
        "recorded": "recorded at node1:eth0", "computed": "computed: pings from and to other pods",
        "swapped": "computed: the pod pings, and is answered", "built": "built to tell filters apart",
    }
    rows = [[about[name], str(len(capture)), str(len(wanted[name])), str(len(wanted[name] & passed[name])),
             str(len(passed[name] - wanted[name]))] for name, capture in sets.items()]  # fmt: skip
    states = ["good" if wanted[name] == passed[name] else "bad" for name in sets]
    head = ("capture at node1:eth0", "frames", "to the pod", "of these passed", "others passed")
    return Sheet(rows, head, "What libpcap passes", states=states)
