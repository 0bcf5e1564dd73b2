"""Finding the first field of a forged frame that the kernel would have written otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw

from coursekit import views
from coursekit.errors import given
from coursekit.exercises import reading
from coursekit.exercises.four_nodes import PODS, TUNNEL, four_nodes
from coursekit.exercises.judge import Judge, correct, draw, not_yet
from coursekit.exercises.status import Judgement, Unreadable
from coursekit.packets.compare import Difference, first_difference
from coursekit.packets.encapsulation import ENCAPSULATIONS, encapsulate, forward
from coursekit.packets.fields import Field, Layer
from coursekit.packets.layout import dissect
from coursekit.views.panel import Part

_KERNEL = ENCAPSULATIONS["flannel-vxlan"]
_PORTS = {8472: "vxlan", 4789: "vxlan"}
Build = Callable[..., bytes]

# A field's name in a question: words that mean it, by its Wireshark key.
_WORDS = {
    "eth.dst": ("dst mac", "destination mac", "mac dst", "ethernet destination", "eth dst", "mac destination", "mac",
                "destination"),
    "eth.src": ("src mac", "source mac", "mac src", "ethernet source", "eth src", "mac source"),
    "eth.type": ("ethertype", "type", "eth type"),
    "ip.ttl": ("ttl", "time to live", "hop limit"),
    "ip.flags.df": ("df", "dont fragment", "don't fragment", "df bit"),
    "ip.len": ("total length", "ip length", "ip len"), "ip.id": ("id", "ip id", "identification"),
    "ip.proto": ("protocol", "proto", "ip protocol"), "ip.checksum": ("ip checksum", "header checksum"),
    "ip.src": ("source address", "src ip", "source ip", "ip source"),
    "ip.dst": ("destination address", "dst ip", "destination ip", "ip destination"),
    "ip.dsfield.dscp": ("tos", "dscp"), "ip.hdr_len": ("ihl", "header length"), "ip.flags.mf": ("mf", "more fragments"),
    "udp.srcport": ("source port", "src port", "sport", "udp source port", "udp src port"),
    "udp.dstport": ("destination port", "dst port", "dport", "udp destination port", "port", "udp port",
                    "udp dst port"),
    "udp.length": ("udp length", "udp len", "length"), "udp.checksum": ("udp checksum", "checksum"),
    "vxlan.vni": ("vni", "vxlan network identifier"),
    "vxlan.flags": ("vxlan flags", "flags", "flag", "vni flag", "i bit"),
    "icmp.checksum": ("icmp checksum",), "icmp.seq": ("sequence", "seq"), "icmp.ident": ("icmp id", "icmp identifier"),
}  # fmt: skip
_LAYERS = {"ethernet": "eth", "ip": "ip", "ipv4": "ip", "udp": "udp", "vxlan": "vxlan", "icmp": "icmp", "eth": "eth"}
# Fields that are as the kernel writes them, and the belief of who takes them for forged: key, outer or inner.
_BELIEFS = {
    ("ip.ttl", 0): "outer-ttl-inherits", ("ip.ttl", 1): "inner-ttl-untouched", ("ip.flags.df", 0): "df-copied",
    ("ip.flags.df", 1): "inner-df-clear", ("udp.dstport", 0): "port-is-4789", ("udp.srcport", 0): "source-port-range",
    ("udp.checksum", 0): "checksum-is-zero", ("eth.dst", 1): "inner-mac-is-the-pods",
    ("eth.src", 1): "inner-mac-is-the-pods", ("vxlan.vni", 0): "vni-is-another", ("ip.id", 0): "id-is-zero",
    ("ip.len", 0): "length-is-the-frame", ("udp.length", 0): "udp-length-without-header", ("eth.dst", 0): "outer-mac",
    ("ip.src", 1): "nat-inside", ("ip.checksum", 1): "checksum-follows", ("ip.checksum", 0): "checksum-follows",
    ("ip.src", 0): "pod-addresses-outside", ("ip.dst", 0): "pod-addresses-outside", ("eth.src", 0): "outer-mac",
    ("vxlan.flag_i", 0): "flags-are-gpe", ("ip.proto", 0): "protocol-is-ipip", ("icmp.checksum", 0): "checksum-follows",
}  # fmt: skip


@dataclass(frozen=True)
class Forgery:
    """What one frame was made with, and the frame that the kernel makes of the same ping."""

    forged: bytes
    kernel: bytes
    difference: Difference


def _outer_ttl_63(build: Build, packet: bytes, **made: Any) -> bytes:
    return build(packet, replace(_KERNEL, ttl=63), **made)


def _pods_mac_inside(build: Build, packet: bytes, *, pod_mac: str, **made: Any) -> bytes:
    return build(packet, _KERNEL, **{**made, "inner_eth_dst": pod_mac})


def _outer_df(build: Build, packet: bytes, **made: Any) -> bytes:
    return build(packet, replace(_KERNEL, df="inherit"), **made)


def _not_forwarded(build: Build, packet: bytes, *, as_sent: bytes, **made: Any) -> bytes:
    return build(as_sent, _KERNEL, **made)


def _source_port_fixed(build: Build, packet: bytes, **made: Any) -> bytes:
    return build(packet, _KERNEL, **{**made, "sport": 8472})


def _no_checksum(build: Build, packet: bytes, **made: Any) -> bytes:
    return build(packet, replace(_KERNEL, udp_checksum=False), **made)


def _vni_in_the_last_bytes(build: Build, packet: bytes, **made: Any) -> bytes:
    return build(packet, replace(_KERNEL, vni=256), **made)


_SPOILS = (_outer_ttl_63, _pods_mac_inside, _outer_df, _source_port_fixed, _not_forwarded, _no_checksum,
           _vni_in_the_last_bytes)  # fmt: skip


@cache
def forgery(n: int) -> Forgery:
    """Return the forged frame of a variant beside the kernel's."""
    rng, four = draw("forged", n), four_nodes(n)
    node = rng.choice(("node2", "node3", "node4"))
    pod = PODS[node]
    body = ICMP(type=8, code=0, id=rng.randrange(1, 1 << 16), seq=1) / Raw(bytes(range(0x10, 0x10 + 56)))
    as_sent = bytes(IP(version=4, ihl=5, tos=0, id=rng.randrange(1 << 16), flags="DF", frag=0, ttl=64, proto=1,
                       src=str(four.pod("node1")), dst=str(four.pod(node))) / body)  # fmt: skip
    made: dict[str, Any] = {
        "src": four.address("node1"), "dst": four.address(node), "ip_id": rng.randrange(1, 1 << 16),
        "sport": rng.randrange(32768, 49000), "eth_src": four.mac("node1", "eth0"), "eth_dst": four.mac(node, "eth0"),
        "inner_eth_src": four.mac("node1", TUNNEL), "inner_eth_dst": four.mac(node, TUNNEL),
    }  # fmt: skip
    more: dict[str, Any] = {"pod_mac": four.mac(pod, "eth0"), "as_sent": as_sent}

    def build(packet: bytes, encap: Any, **values: Any) -> bytes:
        return encapsulate(packet, encap, **{key: value for key, value in values.items() if key not in more})

    packet = forward(as_sent)
    kernel = build(packet, _KERNEL, **made)
    forged = _SPOILS[(n - 1) % len(_SPOILS)](build, packet, **made, **more)
    difference = first_difference(kernel, forged, ports=_PORTS)
    assert difference is not None
    return Forgery(forged, kernel, difference)


class ForgedField(Judge):
    """A field by its name, by Wireshark's key, or by the number of a byte of the frame."""

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return the forged field, and what stands in it in both frames."""
        found = forgery(n).difference
        return {
            "field": _named(found.nth, found.layer, found.name), "kernel": found.a, "forged": found.b,
            "byte": found.bit_offset // 8, "answer": self.reference(n), "part": "inner" if found.nth else "outer",
            "layer": dissect(forgery(n).kernel, ports=_PORTS).layer(found.layer, found.nth).name,
        }  # fmt: skip

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return the forged frame."""
        return (views.packet(dissect(forgery(n).forged, ports=_PORTS), "The frame in question"),)

    def judge(self, n: int, answer: Any) -> Judgement:
        """Judge whether a field is the first that the kernel writes otherwise."""
        it = forgery(n)
        layer, nth, field = self.read(n, answer)
        theirs = dissect(it.forged, ports=_PORTS)
        value = next((f.value for f in theirs.fields() if f.bit_offset == field.bit_offset), "")
        values = {"given": _named(nth, layer.key, field.name), "value": value, "own": field.value}
        decoded = f"You point at {values['given']}; in this frame it is {value}."
        first = it.difference
        if first.bit_offset == field.bit_offset:
            return Judgement((correct(**values),), decoded, self.explanation(n))
        differs = _bits(it.kernel, field) != _bits(it.forged, field)
        if differs:
            code = "checksum-follows" if field.key.endswith(".checksum") else ""
            return Judgement((not_yet((code,) if code else (), "not-the-first", values),), decoded)
        code = _BELIEFS.get((field.key, nth), "")
        return Judgement((not_yet((code,) if code else (), "as-the-kernel", values),), decoded)

    def reference(self, n: int) -> str:
        """Return the field's name."""
        found = forgery(n).difference
        return f"{'inner' if found.nth else 'outer'} {found.key}" if found.layer in ("eth", "ip") else found.key

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return the difference to the kernel's frame."""
        forged, kernel = (dissect(frame, ports=_PORTS) for frame in (forgery(n).forged, forgery(n).kernel))
        return (views.diff(forged, kernel, ("this frame", "the kernel's")),)

    def read(self, n: int, answer: Any) -> tuple[Layer, int, Field]:
        """Return the field that is meant, with its header and whether that is the first or second of its kind."""
        places = list(_places(forgery(n).kernel))
        byte = _byte(answer)
        if byte is not None:
            at = [place for place in places if place[2].bit_offset <= 8 * byte + 7 and 8 * byte < _end(place[2])]
            first = forgery(n).difference.bit_offset
            if not at:
                last = len(forgery(n).kernel) - 1
                raise Unreadable(f"The frame has the bytes 0 to {last}. Give one of them, or a field.")
            return next((place for place in at if place[2].bit_offset == first), at[0])
        words = re.sub(r"[_#(),:']+|(?<=outer)\.|(?<=inner)\.", " ", reading.text(answer, "outer udp.length").lower())
        words = words.replace("don t fragment", "df")
        if not re.search(r"\b(udp|tcp|icmp)\b", words):  # "header checksum" is what the figure calls IPv4's
            words = words.replace("header checksum", "ip checksum")
        which = 0 if re.search(r"\bouter\b", words) else 1 if re.search(r"\binner\b|\bpods?\b", words) else None
        plain = " ".join(re.sub(r"\b(outer|inner|the|of|field|header|in|its|pod s|pods?)\b", " ", words).split())
        found = [place for place in places if _means(place, plain)]
        if which is not None:
            deep = [place for place in found if place[0].depth == which or (place[0].depth == 0 and place[1] == which)]
            found = deep or found
        if not found:
            raise Unreadable(f"{given(answer)} is no field of this frame. Name one as it is drawn, such as "
                             "\"outer Total Length\" or \"udp.length\", or give the number of a byte.")  # fmt: skip
        if len({place[2].bit_offset for place in found}) > 1 and found[0][2].key == found[-1][2].key:
            raise Unreadable(f"There are two fields of that name. Write \"outer {found[0][2].key}\" or "
                             f"\"inner {found[0][2].key}\".")  # fmt: skip
        return found[0]


Place = tuple[Layer, int, Field]


def _places(frame: bytes) -> Iterator[Place]:
    seen: dict[str, int] = {}
    for layer in dissect(frame, ports=_PORTS).layers:
        nth = seen.get(layer.key, -1) + 1
        seen[layer.key] = nth
        yield from ((layer, nth, field) for field in layer.fields)


def _means(place: Place, plain: str) -> bool:
    layer, _, field = place
    key = "vxlan.flags" if layer.key == "vxlan" and "flag" in field.name.lower() else field.key
    bare = plain.replace("ipv4", "ip").replace("ethernet", "eth")
    own = field.name.lower()
    names = {field.key, own, key, f"{layer.key} {own}", f"{layer.key} {field.key.split('.')[-1]}"}
    for word in _WORDS.get(key, ()):
        names |= {word, f"{layer.key} {word}"}
    return plain in names or bare in names


def _byte(answer: Any) -> int | None:
    """Return the number of a byte, if that is what was given."""
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int):
        return answer
    match = re.fullmatch(r"\s*(?:byte|offset)?\s*(\d+|0x[0-9a-fA-F]+)\s*", answer) if isinstance(answer, str) else None
    return int(match[1], 0) if match else None


def _end(field: Field) -> int:
    return field.bit_offset + field.width


def _bits(frame: bytes, field: Field) -> int:
    return int.from_bytes(frame, "big") >> (8 * len(frame) - _end(field)) & ((1 << field.width) - 1)


def _named(nth: int, layer: str, name: str) -> str:
    where = {"eth": "Ethernet", "ip": "IPv4", "udp": "UDP", "vxlan": "VXLAN", "icmp": "ICMP"}.get(layer, layer)
    side = ("the inner" if nth else "the outer") if layer in ("eth", "ip") else "the"
    return f"{side} {where} header's {name}"
