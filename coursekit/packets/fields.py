"""What a dissection is made of: fields with bit positions, grouped in layers.

Keys are Wireshark's display-filter names (`ip.ttl`, `vxlan.vni`), because they are the names that
engineers type and because `tshark -T pdml` is the independent check of every position.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from coursekit.errors import NotThereError, given


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a frame. `bit_offset` counts from the first bit of the frame; `width` is in bits."""

    key: str  # Wireshark's filter name, e.g. "ip.ttl"
    name: str  # the RFC's name, e.g. "Time to Live"
    bit_offset: int
    width: int
    raw: int | bytes  # unsigned integer in network order, or bytes where a number has no meaning
    value: str  # as people read it: "64", "192.168.1.10", "0x0800 (IPv4)"
    meaning: str = ""  # one sentence for a learner
    source: str = ""  # "RFC 791 §3.1"
    verdict: str = ""  # checksums only: "correct", "wrong: …", "left to the NIC (offload): …", "not computed: …"


@dataclass(frozen=True, slots=True)
class Layer:
    """One header (or payload) of a frame, with its fields in wire order.

    `depth` is 0 for headers of the outer packet, 1 for those inside the first tunnel or ICMP quotation, …
    """

    key: str  # Wireshark's protocol name: eth, vlan, arp, ip, ipv6, icmp, icmpv6, udp, vxlan, tcp, bgp, data
    name: str  # "IPv4"
    depth: int
    bit_offset: int
    width: int
    fields: tuple[Field, ...]
    summary: str = ""  # "192.168.1.10 → 192.168.1.11, UDP, TTL 64"
    source: str = ""

    def __getitem__(self, key: str) -> Field:
        """Return the field by full key (`ip.ttl`) or its last part (`ttl`)."""
        for item in self.fields:
            if item.key in (key, f"{self.key}.{key}"):
                return item
        known = ", ".join(item.key for item in self.fields)
        raise NotThereError(f"The {self.name} header has no field {given(key)}; it has {known}.")


@dataclass(frozen=True, slots=True)
class Dissection:
    """A frame taken apart. `stopped` says in a sentence where and why it ended early, or is None."""

    data: bytes = field(repr=False)
    layers: tuple[Layer, ...]
    stopped: str | None = None

    def fields(self) -> Iterator[Field]:
        """Yield every field of every layer in wire order."""
        for layer in self.layers:
            yield from layer.fields

    def layer(self, key: str, nth: int = 0) -> Layer:
        """Return the nth layer with that protocol key, outermost first; NotThereError if there is none."""
        found = [layer for layer in self.layers if layer.key == key]
        try:
            return found[nth]
        except (IndexError, TypeError):
            known = ", ".join(layer.key for layer in self.layers) or "nothing"
            raise NotThereError(f"There is no layer {given(key)}, number {given(nth)}; there are {known}.") from None

    def __getitem__(self, key: str) -> Field:
        """Return the outermost field with that key, e.g. `frame["ip.ttl"]`; NotThereError if none has it."""
        for item in self.fields():
            if item.key == key:
                return item
        known = [item.key for item in self.fields()]
        near = get_close_matches(str(key), known, n=1)
        layers = ", ".join(layer.key for layer in self.layers)
        hint = f"did you mean {near[0]!r}?" if near else f"the frame has the layers {layers or 'none'}."
        raise NotThereError(f"There is no field {given(key)} here; {hint}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready data: what `python -m coursekit dissect --json` prints for one frame."""
        return {
            "length": len(self.data),
            "layers": [
                {
                    "key": layer.key, "name": layer.name, "depth": layer.depth, "summary": layer.summary,
                    "bit_offset": layer.bit_offset, "width": layer.width, "source": layer.source,
                    "fields": [
                        {
                            "key": f.key, "name": f.name, "bit_offset": f.bit_offset, "width": f.width,
                            "raw": f.raw.hex() if isinstance(f.raw, bytes) else f.raw, "value": f.value,
                            "meaning": f.meaning, "source": f.source, "verdict": f.verdict,
                        }
                        for f in layer.fields
                    ],
                }
                for layer in self.layers
            ],
            "stopped": self.stopped,
        }
