"""What a packet takes of a link's MTU, drawn to scale: each header of the envelope, the packet inside, what is left."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from coursekit.errors import CourseError
from coursekit.packets.fields import Dissection, Layer
from coursekit.views.twin import View, columns, count, escape, picture

_LINK = ("eth", "vlan", "sll", "sll2", "null")
_IP = ("ip", "ipv6")
_FILLS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")  # Okabe and Ito's
_INSIDE, _SPARE, _INK, _PAPER, _OVER = "#e8e8e8", "#ffffff", "#1a1a1a", "#ffffff", "#a84300"
_WIDTH, _LEFT, _BAR = 770, 40, 720  # of the picture, in its own units
_CELLS = 60  # characters of the bar in text
_SIGNS = "123456789"


class MtuBar(View):
    """An IP packet against the MTU of a link: a dissected frame, or (name, bytes) pairs from the outside in.

    The link's own header is drawn apart and does not count; among pairs it is the one called "outer Ethernet …".
    """

    kind = "mtu"

    def __init__(self, packet: Dissection | Sequence[tuple[str, int]], link_mtu: int = 1500, title: str = "") -> None:
        if not isinstance(link_mtu, int) or isinstance(link_mtu, bool) or link_mtu < 1:
            raise CourseError(f"The MTU of a link is a number of bytes, such as 1500; {link_mtu!r} was given.")
        apart, parts = _parts(packet) if isinstance(packet, Dissection) else _given(packet)
        size = sum(part["bytes"] for part in parts)
        start = 0
        for part in parts:
            part["start"] = start
            start += part["bytes"]
        self.data: dict[str, Any] = {
            "title": title, "mtu": link_mtu, "size": size, "spare": link_mtu - size, "apart": apart, "parts": parts,
        }  # fmt: skip

    def text(self) -> str:
        """Return a bar of characters, the parts in columns and the verdict."""
        data = self.data
        lines = [data["title"]] if data["title"] else []
        lines += [*_bar_text(data), *columns(_rows(data), indent="  ")]
        return "\n".join([*lines, *wrap(verdict(data), 100)])

    def html(self) -> str:
        """Return the bar as a picture, the parts as a table and the verdict."""
        data = self.data
        caption = f"<figcaption>{escape(data['title'])}</figcaption>" if data["title"] else ""
        fills = [*[None] * len(data["apart"]), *_fills(data["parts"]), None]
        rows = ""
        for (sign, name, size, place), fill in zip(_rows(data), fills, strict=True):
            edge = f' style="border-left:10px solid {fill}"' if fill else ""
            part = f"<td style=text-align:left>{escape(name)}"
            rows += f"<tr><td{edge}>{sign}{part}<td class=ck-n>{size}<td>{escape(place)}"
        head = "".join(f"<th scope=col>{name}" for name in ("", "part", "bytes", "place"))
        mark, sign = ("ck-bad", "✗") if data["spare"] < 0 else ("ck-good", "✓")
        return (
            f"{caption}{picture(_svg(data), verdict(data), _WIDTH)}"
            f"<table class=ck-parts><thead><tr>{head}<tbody>{rows}</table>"
            f"<p class={mark}>{sign} {escape(verdict(data))}</p>"
        )


def verdict(data: dict[str, Any]) -> str:
    """Return in a sentence whether it fits, with the numbers."""
    fact = f"The IP packet has {count(data['size'], 'byte')}, the link takes {data['mtu']}"
    spare = data["spare"]
    if spare < 0:
        fact += f": {count(-spare, 'byte')} too many."
    else:
        fact += f": it fits, with {count(spare, 'byte')} to spare." if spare else ": it fits exactly."
    apart = sum(part["bytes"] for part in data["apart"])
    return fact + (f" The {apart} bytes of the link's own header are not counted." if apart else "")


def _given(pairs: Sequence[tuple[str, int]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    try:
        listed = [(str(name), size) for name, size in pairs]
        good = bool(listed) and all(isinstance(size, int) and size >= 0 for _, size in listed)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise CourseError(
            "An MTU bar is drawn from a frame, or from pairs of a name and a number of bytes, such as "
            f"[('outer IPv4', 20), ('inner packet', 1450)]; {str(pairs)[:60]} was given."
        )
    outside = [name.lower().startswith("outer ethernet") for name, _ in listed]
    return tuple(  # type: ignore[return-value]
        [{"name": n, "bytes": size} for (n, size), out in zip(listed, outside, strict=True) if out is which]
        for which in (True, False)
    )


def _parts(dissection: Dissection) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the link's own headers, and what counts: headers down to the innermost packet of a tunnel, then that one.

    Padding and whatever else follows the packet is not counted, as it is not part of it.
    """
    layers = [layer for layer in dissection.layers if layer.key != "padding"]
    own = next((i for i, layer in enumerate(layers) if layer.key not in _LINK), len(layers))
    apart = [_part(layer, "outer " if own < _inside(layers) else "") for layer in layers[:own]]
    counted = layers[own:]
    if not counted:
        raise CourseError("There is no packet in this frame that an MTU could be compared with: it ends before one.")
    begin = counted[0].bit_offset // 8
    end = begin + (_length(counted[0]) or max((layer.bit_offset + layer.width) // 8 for layer in counted) - begin)
    inner = _inside(layers)
    if inner <= own:  # no tunnel: its headers, then what they carry
        parts = [_part(layer) for layer in counted]
    else:
        headers = layers[own:inner]
        parts = [_part(it, "inner " if it.depth else "outer " if it.key in _IP else "") for it in headers]
        if inner < len(layers):
            parts.append({"name": f"inner {layers[inner].name} packet", "bytes": 0})
    missing = end - begin - sum(part["bytes"] for part in parts)
    if inner > own and inner < len(layers):
        parts[-1]["bytes"] = missing
    elif missing > 0:
        parts.append({"name": "data not in the capture", "bytes": missing})
    return apart, parts


def _part(layer: Layer, which: str = "") -> dict[str, Any]:
    return {"name": f"{which}{layer.name}", "bytes": (layer.width + 7) // 8}


def _inside(layers: Sequence[Layer]) -> int:
    """Return where the packet inside the innermost tunnel begins; 0 if there is none. ICMP's quotations are none."""
    found = 0
    for i, layer in enumerate(layers):
        if layer.key in ("icmp", "icmpv6"):
            break
        before = layers[i - 1].key if i else ""
        if layer.key in _IP and before in _IP:
            found = i
        elif before == "vxlan":
            found = next((k for k in range(i, len(layers)) if layers[k].key not in _LINK), len(layers))
    return found


def _length(layer: Layer) -> int:
    """Return an IP packet's length as its header says it; 0 if it does not."""
    try:
        key, more = ("len", 0) if layer.key == "ip" else ("plen", 40)
        raw = layer[key].raw if layer.key in _IP else 0
    except KeyError:
        return 0
    return raw + more if isinstance(raw, int) and raw else 0


def _rows(data: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return every part as its sign in the bar, name, bytes and place."""
    rows = [("", part["name"], str(part["bytes"]), "not counted") for part in data["apart"]]
    for i, part in enumerate(data["parts"]):
        last = part["start"] + part["bytes"]
        rows.append((_sign(i), part["name"], str(part["bytes"]), f"{part['start']}–{last}"))
    spare = data["spare"]
    rows.append(("✗" if spare < 0 else "", "too many" if spare < 0 else "spare", str(abs(spare)), f"MTU {data['mtu']}"))
    return rows


def _sign(i: int) -> str:
    return _SIGNS[i] if i < len(_SIGNS) else "+"


def _bar_text(data: dict[str, Any]) -> list[str]:
    """Return the bar in characters, each part at least one wide, and a line that shows where the MTU ends."""
    scale = max(data["size"], data["mtu"])
    bar = ""
    for i, part in enumerate(data["parts"]):
        if part["bytes"]:
            upto = round(_CELLS * (part["start"] + part["bytes"]) / scale)
            bar += _sign(i) * max(1, upto - len(bar))
    limit = round(_CELLS * data["mtu"] / scale)
    return [f"  {bar.ljust(limit, '.')}", f"  {'─' * (limit - 1)}┤ MTU {data['mtu']}"]


def _fills(parts: Sequence[dict[str, Any]]) -> list[str]:
    return [_INSIDE if i == len(parts) - 1 else _FILLS[i % len(_FILLS)] for i in range(len(parts))]


def _svg(data: dict[str, Any]) -> str:
    """Return the bar to scale, and beneath it the headers before the last part enlarged."""
    scale = _BAR / max(data["size"], data["mtu"])
    parts = list(zip(data["parts"], _fills(data["parts"]), range(len(data["parts"])), strict=True))
    limit = _LEFT + data["mtu"] * scale
    drawn = [_box(_LEFT + part["start"] * scale, 24, part["bytes"] * scale, 34, fill) for part, fill, _ in parts]
    last = parts[-1][0]
    if last["bytes"] * scale > 60:
        middle = _LEFT + (last["start"] + last["bytes"] / 2) * scale
        drawn.append(_text(middle, 46, f"{_sign(len(parts) - 1)} · {last['bytes']}"))
    if data["spare"] > 0:
        left, width = _LEFT + data["size"] * scale, data["spare"] * scale
        drawn.append(_box(left, 24, width, 34, f'{_SPARE}" stroke-dasharray="4 3'))
    elif data["spare"] < 0:
        drawn.append(_box(limit, 24, -data["spare"] * scale, 34, "url(#o)"))
    own = sum(part["bytes"] for part in data["apart"])
    if own:
        width = min(max(own * scale, 4), _LEFT - 16)
        drawn.append(_box(_LEFT - 10 - width, 24, width, 34, f'{_SPARE}" stroke-dasharray="2 2'))
        drawn.append(_text(_LEFT - 10 - width, 14, f"{own} not counted", "start"))
    drawn.append(f'<path d="M{limit:.1f} 16V66" stroke="{_OVER}" stroke-width="3"/>')
    drawn.append(_text(limit - 6, 14, f"MTU {data['mtu']}", "end"))
    height = 74
    if len(parts) > 1 and last["start"] and last["start"] * scale < _BAR / 2:
        zoom = _BAR * 0.8 / last["start"]
        edge = _LEFT + last["start"] * scale
        lines = f"M{_LEFT} 58V86M{edge:.1f} 58L{_LEFT + _BAR * 0.8:.1f} 86"
        drawn.append(f'<path d="{lines}" stroke="{_INK}" stroke-dasharray="3 3"/>')
        for part, fill, i in parts[:-1]:
            x, width = _LEFT + part["start"] * zoom, part["bytes"] * zoom
            drawn.append(_box(x, 86, width, 34, fill))
            if width > 40:
                card = f'x="{x + width / 2 - 22:.1f}" y="94" width="44" height="19" rx="3"'
                drawn.append(f'<rect {card} fill="{_PAPER}"/>')
                drawn.append(_text(x + width / 2, 108, f"{_sign(i)} · {part['bytes']}"))
        drawn.append(_text(_LEFT + _BAR * 0.8 + 8, 108, f"{count(last['start'], 'byte')} enlarged", "start"))
        height = 128
    stripes = (
        '<pattern id="o" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill="{_PAPER}"/>'
        f'<path d="M0 8L8 0" stroke="{_OVER}" stroke-width="3"/></pattern>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" fill="{_INK}">{stripes}'
        f'<rect width="100%" height="100%" fill="{_PAPER}"/>{"".join(drawn)}</svg>'
    )


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{fill}" stroke="{_INK}"/>'


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{words}</text>'
