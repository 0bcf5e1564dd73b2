"""Which MTU pods may have over an underlay: three envelopes over one underlay, judged by building packets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from coursekit.exercises import reading
from coursekit.exercises.judge import Judge, beliefs_of, correct, draw, not_yet
from coursekit.exercises.status import Finding, Judgement, Status
from coursekit.packets.encapsulation import ENCAPSULATIONS, Encapsulation
from coursekit.packets.mtu import Family, fate, inner_mtu, overhead
from coursekit.views.panel import Items, Part
from coursekit.views.sheet import Sheet


class Envelope(NamedTuple):
    """One envelope: what is set up, and how the question calls it."""

    words: str
    encap: Encapsulation
    outer: Family = "ipv4"
    tagged: bool = False


_VXLAN, _IPIP = ENCAPSULATIONS["flannel-vxlan"], ENCAPSULATIONS["calico-ipip"]
ENVELOPES: Mapping[str, Envelope] = {
    "vxlan": Envelope("VXLAN over IPv4", _VXLAN),
    "ipip": Envelope("IPIP", _IPIP),
    "vxlan6": Envelope("VXLAN over IPv6", _VXLAN, "ipv6"),
    "tagged": Envelope("VXLAN over IPv4, with a VLAN tag (4 bytes) on the inner frame", _VXLAN, tagged=True),
}
_UNDERLAYS = (1460, 9001, 1400)  # Google's, Amazon's with jumbo frames, and what Azure leaves of 1500
_SETS = (("vxlan", "ipip", "vxlan6"), ("vxlan", "tagged", "ipip"), ("tagged", "vxlan6", "ipip"))
_WASTE = 64  # bytes that a careful engineer may leave free; less than that is no answer to "the largest"
_ETHERNET, _IPV4, _UDP, _VXLAN_HEADER, _FCS = 14, 20, 8, 8, 4


class PodMtu(Judge):
    """The largest packet that fits: one more byte must not."""

    def names(self, n: int) -> tuple[str, ...]:
        """Return the envelopes that a variant asks for."""
        return _SETS[(n - 1) % len(_SETS)]

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return the underlay's MTU and how the answer begins."""
        return {"underlay": self._underlay(n), "starter": ", ".join(f"{name}=..." for name in self.names(n))}

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return the envelopes in words."""
        return (Items(tuple((f"{name}:", ENVELOPES[name].words) for name in self.names(n))),)

    def judge(self, n: int, answer: Any) -> Judgement:
        """Judge one MTU for each envelope; one that is too small works, and wastes."""
        underlay, findings, said = self._underlay(n), [], []
        for name in self.names(n):
            value, right = reading.number(answer[name], example=1300), self._right(n, name)
            cost = overhead(ENVELOPES[name].encap, outer=ENVELOPES[name].outer, inner_vlan=ENVELOPES[name].tagged)
            values = {"part": name, "words": ENVELOPES[name].words, "given": value, "wire": value + cost,
                      "underlay": underlay, "short": right - value, "over": value - right, "cost": cost}  # fmt: skip
            said.append(f"{name}: {value} inside makes {value + cost} on an underlay that takes {underlay}")
            codes = beliefs_of(value, self.rivals(underlay, name), right)
            if value == right:
                # 14 for the wrong Ethernet header gives the same sum; only a tag inside tells the two apart
                same = name in ("vxlan", "vxlan6") and "tagged" not in self.names(n)
                findings.append(correct("fits-either-way" if same else "fits", **values))
            elif right - _WASTE <= value < right and (not codes or "outer-ethernet-too" in codes):
                findings.append(Finding(Status.WORKS_BUT, codes or ("wastes",), values))
            else:
                findings.append(not_yet(codes, "too-small" if value < right else "does-not-fit", values))
        return Judgement(tuple(findings), "; ".join(said) + ".")

    def rivals(self, underlay: int, kind: str) -> Mapping[str, int]:
        """Return what each belief makes of an underlay."""
        envelope = ENVELOPES[kind]
        right = inner_mtu(underlay, envelope.encap, outer=envelope.outer, inner_vlan=envelope.tagged)
        found = {"constant": 1500 - (underlay - right), "no-envelope": underlay, "added": 2 * underlay - right,
                 "the-cost-itself": underlay - right}  # fmt: skip
        if kind == "ipip":
            found |= {"outer-ethernet-too": right - _ETHERNET, "vxlan-for-ipip": inner_mtu(underlay, _VXLAN),
                      "udp-for-ipip": right - _UDP}  # fmt: skip
        else:
            found |= {
                "no-inner-ethernet": right + _ETHERNET, "outer-ethernet-too": right - _ETHERNET,
                "ipip-for-vxlan": inner_mtu(underlay, _IPIP), "no-vxlan-header": right + _VXLAN_HEADER,
                "no-udp-header": right + _UDP,
                "no-outer-ip": right + (_IPV4 if envelope.outer == "ipv4" else 2 * _IPV4),
                "checksum-counted": right - _FCS,
            }
        if kind == "vxlan6":
            found["ipv4-outside"] = inner_mtu(underlay, _VXLAN)
        if kind == "tagged":
            found["tag-ignored"] = inner_mtu(underlay, _VXLAN)
        return {**found, "ping-size": right - 28, "mss": right - 40, "mss-of-ipv6": right - 60}

    def reference(self, n: int) -> Mapping[str, int]:
        """Return the MTUs that fit exactly."""
        return {name: self._right(n, name) for name in self.names(n)}

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return what each envelope takes, and what becomes of one byte more."""
        rows = []
        for kind in self.names(n):
            envelope, right = ENVELOPES[kind], self._right(n, kind)
            cost = self._underlay(n) - right
            rows.append([envelope.words, str(right), str(cost), _one_more(kind, self._underlay(n))])
        head = ("envelope", "pod MTU", "bytes of the envelope", "one byte more")
        return (Sheet(rows, head, "computed by building it"),)

    @staticmethod
    def _underlay(n: int) -> int:
        return _UNDERLAYS[n - 1] if n <= len(_UNDERLAYS) else draw("pod mtu", n).randrange(1380, 9200)

    def _right(self, n: int, kind: str) -> int:
        envelope = ENVELOPES[kind]
        return inner_mtu(self._underlay(n), envelope.encap, outer=envelope.outer, inner_vlan=envelope.tagged)


def _one_more(kind: str, underlay: int) -> str:
    """Return what becomes of a packet that is one byte longer, its pod and tunnel believing that it fits."""
    envelope = ENVELOPES[kind]
    if envelope.tagged:
        return f"It would make {underlay + 1} bytes, and the underlay takes {underlay}."
    size = inner_mtu(underlay, envelope.encap, outer=envelope.outer) + 1
    return str(fate(size, True, envelope.encap, pod_mtu=size, tunnel_mtu=size, node_mtu=underlay, outer=envelope.outer))
