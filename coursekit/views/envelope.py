"""A packet as nested boxes to scale: one tint per header, and what a link's MTU counts in a bracket.

The letter is the innermost IP packet: what a pod hands over. It is followed through every wrapping; Ethernet headers
are drawn apart from it, for each hop or tunnel device writes new ones. A link's MTU counts from the outermost IP header
on: the Ethernet header inside VXLAN is in, the one in front of the frame is not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from coursekit.packets.fields import Dissection, Layer
from coursekit.views.letters import fitting, width
from coursekit.views.twin import count, escape, palette, picture, style

EDGE = 8  # pixels of margin left and right in a picture
HEIGHT = 120  # pixels of the whole drawing: bracket, boxes, bracket
_LINK = ("eth", "vlan", "sll", "sll2", "null")
_IP = ("ip", "ipv6")
_TINTS = {"ip": "ip", "ipv6": "ip", "udp": "udp", "vxlan": "vxlan", "data": "data", "padding": "data"}
_SHORT = {"eth": "Ethernet", "ip": "IPv4", "ipv6": "IPv6", "data": "data"}
_ICMP = {
    8: ("echo request", "request", "echo"), 0: ("echo reply", "reply"), 3: ("unreachable",), 11: ("time exceeded",),
    128: ("echo request", "request", "echo"), 129: ("echo reply", "reply"),
}  # fmt: skip
_GAP = 7.0  # pixels between an Ethernet header and what it stands in front of
_MOST, _LEAST = 7.0, 4.9  # pixels a byte: at the least, the name of a header of 8 bytes still fits
_TOP, _BOX, _INSET = 26, 66, 5  # where the boxes begin, how tall the outermost is, how much each level shrinks
_TEXT, _SMALL = 12, 11


class Part(TypedDict):
    """One header or payload of a frame. `offset` and `bytes` count from the first byte of the frame."""

    key: str  # Wireshark's protocol name and its number in this frame, from 1: "ip#2"
    layer: int  # its place among the dissection's layers
    name: str  # "IPv4"
    label: str  # "IPv4", as it is written into a box
    values: list[str]  # what it says in a few letters, longest first: ["→ 10.244.1.7", "→ …1.7"]
    notes: list[str]  # more of it, to stand beside the number of bytes: ["TTL 63"]
    offset: int
    bytes: int
    depth: int  # 0 for the outer packet, 1 inside the first tunnel or quotation, …
    tint: str  # eth, ip, udp, vxlan, l4 or data
    counted: bool  # whether a link's MTU counts it
    letter: bool  # whether it belongs to the innermost packet, which no tunnel touches


def parts(dissection: Dissection) -> list[Part]:
    """Return the headers of a frame and its payload in wire order."""
    layers = [(i, layer) for i, layer in enumerate(dissection.layers) if layer.width]
    own = next((i for i, layer in layers if layer.key not in _LINK), len(dissection.layers))
    letter = _letter(dissection.layers)
    seen: dict[str, int] = {}
    drawn: list[Part] = []
    for i, layer in layers:
        seen[layer.key] = seen.get(layer.key, 0) + 1
        values, notes = _says(layer)
        start, end = layer.bit_offset // 8, (layer.bit_offset + layer.width + 7) // 8
        drawn.append({
            "key": f"{layer.key}#{seen[layer.key]}", "layer": i, "name": layer.name,
            "label": _SHORT.get(layer.key, layer.name), "values": values, "notes": notes, "offset": start,
            "bytes": end - start, "depth": layer.depth, "tint": tint(layer.key),
            "counted": i >= own and layer.key != "padding", "letter": i >= letter and layer.key != "padding",
        })  # fmt: skip
    return drawn


def tint(key: str) -> str:
    """Return the tint of a header by its protocol's name, such as "ip"."""
    return "eth" if key in _LINK else _TINTS.get(key, "l4")


def _letter(layers: Sequence[Layer]) -> int:
    """Return where the innermost packet begins; what an ICMP error quotes is part of that error's own packet."""
    found = len(layers)
    for i, layer in enumerate(layers):
        if layer.key in ("icmp", "icmpv6"):
            break
        if layer.key in _IP:
            found = i
    return found


def _says(layer: Layer) -> tuple[list[str], list[str]]:
    """Return what a header says, and what may stand beside its size, both longest first."""
    values = {field.key.rpartition(".")[2]: field for field in reversed(layer.fields)}

    def value(name: str) -> str:
        return str(values[name].value).split(" (")[0] if name in values else ""

    if layer.key == "eth":
        return [f"→ {value('dst')}", f"→ …{value('dst')[-6:]}"], []
    if layer.key in _IP:
        hops = f"TTL {value('ttl')}" if layer.key == "ip" else f"hop limit {value('hlim')}"
        offset = layer["frag_offset"].raw if layer.key == "ip" and "frag_offset" in values else 0
        piece = [f"{hops}, fragment", hops] if isinstance(offset, int) and (offset or value("mf") == "1") else [hops]
        goal = value("dst")
        return [f"{value('src')} → {goal}", f"→ {goal}", f"→ …{goal[-6:]}"], piece
    if layer.key in ("udp", "tcp"):
        return [f"{value('srcport')} → {value('dstport')}", f"→ {value('dstport')}", value("dstport")], []
    if layer.key == "vxlan":
        return [f"VNI {value('vni')}"], []
    if layer.key in ("icmp", "icmpv6"):
        kind, code = (values[name].raw if name in values else None for name in ("type", "code"))
        numbers = [f"type {kind}", f"{kind}/{code}"] if isinstance(kind, int) and isinstance(code, int) else []
        return [*_ICMP.get(kind, ()), *numbers] if isinstance(kind, int) else [], []
    return [], []


@dataclass(frozen=True)
class Scale:
    """How frames are laid out so that they can be compared: the letter begins at the same place in all of them."""

    width: float  # pixels from edge to edge
    byte: float  # pixels a byte
    letter: float  # where the letter begins, in pixels
    data: float  # the most pixels that one payload takes; a longer one is drawn broken

    def of(self, part: Part) -> float:
        """Return how wide a part is drawn."""
        wide = part["bytes"] * self.byte
        return min(wide, self.data) if part["tint"] == "data" else wide

    def broken(self, part: Part) -> bool:
        """Whether a part is drawn shorter than it is."""
        return part["bytes"] * self.byte > self.of(part) + 0.01


def fit(frames: Iterable[Sequence[Part]], width: float) -> Scale:
    """Return the scale at which each of some frames fits in so many pixels: bytes as wide as possible."""
    listed = [frame for frame in frames if frame]
    before = [[part for part in frame if not part["letter"]] for frame in listed]
    behind = [[part for part in frame if part["letter"]] for frame in listed]

    def need(sides: Sequence[Sequence[Part]], byte: float, data: float) -> float:
        bare = Scale(width, byte, 0, data)
        return max((sum(bare.of(part) + _gap(part) for part in side) for side in sides), default=0)

    longest = need(before, 1, 1e9) + need(behind, 1, 1e9)
    byte, data = min(_MOST, max(_LEAST, width / longest if longest else _MOST)), width
    while byte > 1:  # very long headers: smaller boxes rather than ones that stick out
        data = width - need(before, byte, 1e9) - need(behind, byte, 0)
        if data >= 60:
            break
        byte *= 0.95
    return Scale(width, byte, need(before, byte, data), max(data, 20.0))


@dataclass(frozen=True)
class Box:
    """Where a part is drawn: pixels from the left, how wide, and how many boxes it lies in."""

    part: Part
    x: float
    wide: float
    level: int
    ghost: bool


def boxes(frame: Sequence[Part], scale: Scale, ghosts: Sequence[Part] = ()) -> list[Box]:
    """Return where each part goes; `ghosts` are headers in front that are just being put on or taken off."""
    listed = [*ghosts, *frame]
    if not listed:
        return []
    outside = [part for part in listed if not part["letter"]]
    taken = sum(scale.of(part) + _gap(part) for part in outside)
    x = scale.letter - taken if len(outside) < len(listed) else max(0.0, scale.letter - taken)
    below = (ghosts[-1]["depth"] + 1 - frame[0]["depth"]) if ghosts and frame else 0
    drawn = []
    for i, part in enumerate(listed):
        ghost = i < len(ghosts)
        drawn.append(Box(part, x, scale.of(part), part["depth"] + (0 if ghost else below), ghost))
        x += scale.of(part) + _gap(part)
    return drawn


def _gap(part: Part) -> float:
    return _GAP if part["tint"] == "eth" else 0


def svg(
    frame: Sequence[Part], width: float, scale: Scale | None = None, *, ghosts: Sequence[Part] = (), mtu: bool = True,
    letter: str = "the letter: the IP packet inside", ghost: str = "", marked: Collection[str] = (), mark: str = "",
) -> str:  # fmt: skip
    """Return a frame as an SVG fragment `<g>` of HEIGHT pixels; each box carries its part's key as `data-part`.

    `scale` comes from `fit` where several frames are compared. `ghosts` are drawn dashed in front, with `ghost`
    beneath them; parts with the `marked` keys get a bold edge, and `mark` beneath them. `letter` stands under the
    innermost packet, `mtu` draws what a link's MTU counts.
    """
    scale = scale or fit([[*ghosts, *frame]], width)
    placed = boxes(frame, scale, ghosts)
    drawn = [*_grounds(placed), *(_box(box, scale, box.part["key"] in marked) for box in placed)]
    if mtu and placed:
        drawn += _counted(placed)
    drawn += _named([box for box in placed if box.part["letter"]], "ck-at-letter", letter, scale)
    drawn += _named([box for box in placed if box.ghost], "ck-at-ghost", ghost, scale)
    drawn += _named([box for box in placed if box.part["key"] in marked], "ck-at-ghost", mark, scale, sum_up=False)
    return f'<g class="ck-envelope">{"".join(drawn)}</g>'


def _grounds(placed: Sequence[Box]) -> list[str]:
    """Return the box of each packet, from its IP header to its end; that of the letter has an edge of its own."""
    drawn: list[str] = []
    reached = -1
    for box in placed:
        if box.part["tint"] != "ip" or box.level <= reached:
            continue
        reached = box.level
        last = next((other for other in reversed(placed) if other.part["counted"]), box)
        first = box.part["letter"] and not any("ck-letter" in other for other in drawn)
        kind = "ck-letter" if first else "ck-ground"
        inset = _INSET * box.level - 3
        drawn.append(
            f'<rect class="{kind}{" ck-ghost" if box.ghost else ""}" x="{box.x - 3:.1f}" y="{_TOP + inset}" '
            f'width="{last.x + last.wide - box.x + 6:.1f}" height="{_BOX - 2 * inset}" rx="4"/>'
        )
    return drawn


def _box(box: Box, scale: Scale, marked: bool) -> str:
    """Return one header: its name, what it says and its bytes, as far as they fit, and all of it as a tooltip."""
    part = box.part
    inset = _INSET * (box.level + (part["tint"] == "eth"))
    state = (" ck-ghost" if box.ghost else "") + (" ck-mark" if marked else "")
    tall, middle, room = _BOX - 2 * inset, box.x + box.wide / 2, box.wide - 2
    size = count(part["bytes"], "byte")
    bold = bool(fitting([part["label"]], room, _TEXT, bold=True))
    name = part["label"] if bold else fitting([part["label"], part["label"][:4]], room, _SMALL)
    says = fitting(part["values"], room, _SMALL)
    much = fitting([*(f"{size}, {note}" for note in part["notes"]), *(f"{part['bytes']}, {n}" for n in part["notes"]),
                    size, str(part["bytes"])], room, _SMALL)  # fmt: skip
    names = ((name, ' class="ck-name"' if bold else ""), (says, ""), (much, ""))
    lines = [line for line in names if line[0]]
    y = _TOP + inset + (tall - 14 * len(lines)) / 2 + 11
    texts = "".join(
        f'<text{kind} x="{middle:.1f}" y="{y + 14 * i:.1f}">{escape(line)}</text>'
        for i, (line, kind) in enumerate(lines)
    )
    title = ", ".join([part["name"], size, *part["values"][:1], *part["notes"][:1]])
    broken = _break(box.x + box.wide * 0.8, _TOP + inset, tall) if scale.broken(part) else ""
    return (
        f'<g class="ck-box ck-{part["tint"]}{state}" data-part="{part["key"]}">'
        f"<title>{escape(title)}</title>"
        f'<rect x="{box.x:.1f}" y="{_TOP + inset}" width="{box.wide:.1f}" height="{tall}"/>{broken}{texts}</g>'
    )


def _break(x: float, y: float, tall: float) -> str:
    """Return the mark of a box that is drawn shorter than its bytes: two slanted lines with a gap between."""
    slant = f"{x:.1f} {y - 2:.1f}l-6 {tall + 4:.1f}"
    return (f'<path class="ck-cut" d="M{slant}h6l6 {-tall - 4:.1f}z"/>'
            f'<path class="ck-cut-edge" d="M{slant}M{x + 6:.1f} {y - 2:.1f}l-6 {tall + 4:.1f}"/>')  # fmt: skip


def _counted(placed: Sequence[Box]) -> list[str]:
    """Return the bracket above all that a link's MTU counts, and a word above what it does not."""
    wrapped = any(box.ghost and box.part["counted"] for box in placed)  # an Ethernet header behind those is inside
    inside = [box for box in placed if box.part["counted"] or (wrapped and not box.ghost)]
    outside = [box for box in placed if box not in inside]
    drawn = []
    if inside:
        left, right = inside[0].x, inside[-1].x + inside[-1].wide
        size = count(sum(box.part["bytes"] for box in inside), "byte")
        words = fitting([f"the link's MTU counts {size}", f"MTU counts {size}", size], right - left, _SMALL)
        drawn.append(f'<path class="ck-mtu" d="M{left:.1f} 22v-5H{right:.1f}v5"/>')
        drawn.append(f'<text class="ck-at-mtu" x="{(left + right) / 2:.1f}" y="12">{words}</text>')
    if outside and inside and outside[0].x < inside[0].x:
        words = fitting(["not counted", "not"], outside[0].wide + 6, _SMALL)
        middle = outside[0].x + outside[0].wide / 2
        drawn.append(f'<text class="ck-at-mtu" x="{middle:.1f}" y="12">{words}</text>')
    return drawn


def _named(some: Sequence[Box], kind: str, words: str, scale: Scale, *, sum_up: bool = True) -> list[str]:
    """Return a line beneath some boxes with its words in the middle, moved inside the drawing where they stick out."""
    if not some or not words:
        return []
    left, right = some[0].x, some[-1].x + some[-1].wide
    text = f"{words}, {count(sum(box.part['bytes'] for box in some), 'byte')}" if sum_up else words
    half = width(text, _SMALL) / 2
    middle = min(max((left + right) / 2, half), max(scale.width - half, half))
    y = _TOP + _BOX
    return [f'<path class="{kind}" d="M{left:.1f} {y + 5}v4H{right:.1f}v-4"/>',
            f'<text class="{kind}" x="{middle:.1f}" y="{y + 23}">{escape(text)}</text>']  # fmt: skip


def sheet() -> str:
    """Return the style rules of the drawing; colours are the custom properties of base.css and palette.css."""
    return style("envelope")


def _needed(drawn: str) -> str:
    """Return the rules that a drawing needs, and the colours that those rules need: stored figures stay small."""
    used = {"ck-art", "ck-paper", *re.findall(r"ck-[\w-]+", drawn)}
    rules = re.findall(r"([^{}]+)({[^}]*})", sheet())
    kept = "".join(
        ",".join(some) + body for names, body in rules
        if (some := [name for name in names.split(",") if used >= set(re.findall(r"\.(ck-[\w-]+)", name))])
    )  # fmt: skip
    colours = set(re.findall(r"var\((--ck-[\w-]+)\)", kept))
    named = re.sub(r"(--ck-[\w-]+):[^;}]*;?", lambda m: m[0] if m[1] in colours else "", palette())
    return re.sub(r"var\(--jp-[\w-]+,([^)]*)\)", r"\1", named) + kept  # no theme reaches into an <img>


def picture_of(frame: Sequence[Part], alt: str, width: float = 840, **more: Any) -> str:
    """Return a frame as an `<img>`: what survives sanitizers. `more` goes to `svg`."""
    return pictured([("", svg(frame, width - 2 * EDGE, **more))], alt, width)


def pictured(frames: Sequence[tuple[str, str]], alt: str, width: float = 840) -> str:
    """Return what `svg` drew as one `<img>`, one frame beneath the other, each with a name above it or ""."""
    y, drawn = 4, ""
    for name, one in frames:
        y += 18 if name else 0
        text = f'<text class="ck-name" y="-8">{escape(name)}</text>' if name else ""
        drawn += f'<g transform="translate({EDGE} {y})">{text}{one}</g>'
        y += HEIGHT + 4
    drawn = re.sub(r"\.0(?=[ \"vH])", "", drawn)
    drawn = re.sub(r'<title>.*?</title>| data-part="[^"]*"', "", drawn)  # of no use in an <img>
    return picture(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ck-art" viewBox="0 0 {width:g} {y}" '
        f'width="{width:g}" height="{y}"><style>{_needed(drawn)}</style>'
        f'<rect class="ck-paper" width="100%" height="100%"/>{drawn}</svg>',
        alt, round(width),
    )  # fmt: skip
