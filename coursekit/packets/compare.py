"""Two frames, field by field: which fields differ, and where the first difference is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coursekit.packets.fields import Dissection, Field
from coursekit.packets.layout import dissect


@dataclass(frozen=True)
class Difference:
    """One field that differs between frames a and b; `a` or `b` is None where a frame does not have the field.

    `layer` and `nth` say which header it is in: ("ip", 1) is the second IPv4 header. `bit_offset` is the field's
    place in a, or in b if a does not have it.
    """

    key: str
    name: str
    layer: str
    nth: int
    bit_offset: int
    a: str | None
    b: str | None

    def __str__(self) -> str:
        return f"{self.layer}#{self.nth} {self.name} ({self.key}): {self.a or 'absent'} → {self.b or 'absent'}"


Place = tuple[str, int, str, int]  # layer, which one of that kind, field, which one of that kind in the layer


def compare(
    a: bytes, b: bytes, linktype: str = "ethernet", ports: Mapping[int, str] | None = None
) -> tuple[Difference, ...]:
    """Return the fields that differ, in wire order of frame a; fields that only b has come last.

    Fields are paired by name: the TTL of the second IPv4 header with the TTL of the second IPv4 header. So a frame
    and its encapsulated form can be compared, or a frame before and after a router. CourseError for what
    is no bytes.
    """
    in_a = dict(_places(dissect(a, linktype, ports)))
    in_b = dict(_places(dissect(b, linktype, ports)))
    found = []
    for place in [*in_a, *(place for place in in_b if place not in in_a)]:
        one, other = in_a.get(place), in_b.get(place)
        if one and other and (one.raw, one.width) == (other.raw, other.width):
            continue
        field = one or other
        assert field is not None
        found.append(
            Difference(
                field.key, field.name, place[0], place[1], field.bit_offset,
                one.value if one else None, other.value if other else None,
            )
        )
    return tuple(found)


def first_difference(
    expected: bytes, found: bytes, linktype: str = "ethernet", ports: Mapping[int, str] | None = None
) -> Difference | None:
    """Return the first field of `expected` whose bits are not the same in `found`; None if all are.

    Fields are paired by place, so that a frame with a damaged EtherType or length is still judged field by field.
    A checksum that is right for what was found only follows from another difference, and is named last.
    """
    if expected == found:
        return None
    theirs = {field.bit_offset: field for _, field in _places(dissect(found, linktype, ports))}
    following: Difference | None = None
    for place, field in _places(dissect(expected, linktype, ports)):
        if _bits(expected, field) == _bits(found, field):
            continue
        other = theirs.get(field.bit_offset)
        same = other is not None and (other.key, other.width) == (field.key, field.width)
        text = other.value if same and other else _bits(found, field)
        difference = Difference(field.key, field.name, place[0], place[1], field.bit_offset, field.value, text)
        if not (same and other and field.key.endswith(".checksum") and other.verdict.startswith("correct")):
            return difference
        following = following or difference
    if following is None or len(expected) != len(found):
        sizes = f"{len(expected)} bytes", f"{len(found)} bytes"
        return Difference("frame.len", "Frame length", "frame", 0, 8 * min(len(expected), len(found)), *sizes)
    return following


def _places(dissection: Dissection) -> Iterator[tuple[Place, Field]]:
    """Yield every field with the name of its place, in wire order."""
    layers: Counter[str] = Counter()
    for layer in dissection.layers:
        fields: Counter[str] = Counter()
        for field in layer.fields:
            yield (layer.key, layers[layer.key], field.key, fields[field.key]), field
            fields[field.key] += 1
        layers[layer.key] += 1


def _bits(frame: bytes, field: Field) -> str | None:
    """Return the bits of `frame` at the field's place in hexadecimal, or None if the frame ends before."""
    start, end = field.bit_offset, field.bit_offset + field.width
    if end > 8 * len(frame):
        return None
    window = int.from_bytes(frame[start // 8 : -(-end // 8)], "big")
    value = window >> (-end % 8) & ((1 << field.width) - 1)
    return f"0x{value:0{-(-field.width // 4)}x}"
