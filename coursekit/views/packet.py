"""A frame: its envelope to scale, then bytes and fields, each lighting up the other; or 32 bits to a row as in RFCs.

The fields of a header are folded until asked for: by its line, by its box in the envelope, or by one of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from coursekit.packets.fields import Dissection
from coursekit.views.envelope import EDGE, boxes, fit, picture_of
from coursekit.views.folded import layer_head
from coursekit.views.packet_data import (
    ROW,
    caption,
    field_place,
    field_value,
    hidden_before,
    packet_data,
)
from coursekit.views.packet_text import packet_text
from coursekit.views.ruler import ruler_html
from coursekit.views.twin import View, count, depth_colour, escape, style, tag

_HEX = "text-align:left"
_WIDE = 840  # pixels of the envelope's picture


class PacketView(View):
    """A dissected frame.

    `title` stands above it. `ruler=True` draws each header as its RFC does, 32 bits to a row, in place of the field
    table. Of a payload of more than 128 bytes 64 are drawn.
    """

    kind = "packet"
    tinted = True

    def __init__(self, dissection: Dissection, title: str = "", *, ruler: bool = False) -> None:
        self.dissection = dissection
        self.ruler = ruler
        self.data = packet_data(dissection, title)

    def text(self) -> str:
        """Return the hex dump and the fields as aligned text."""
        return packet_text(self.data)

    def html(self) -> str:
        """Return envelope, hex dump and the headers' fields (or rulers)."""
        fields = ruler_html(self.data) if self.ruler else _fields_html(self.data)
        stopped = tag("p", f"⚠ {escape(self.data['stopped'])}", class_="ck-stopped") if self.data["stopped"] else ""
        kind = "ck-split ck-tall" if self.ruler else "ck-split"
        return (
            f"<figcaption>{escape(caption(self.data))}</figcaption>{stopped}{_envelope_html(self.data)}"
            f'<div class="{kind}"><div class=ck-left>{_hex_html(self.data)}</div>{fields}</div>'
        )

    def rules(self) -> str:
        """Return the rules that light byte and field together: CSS alone, so a stored figure has them too."""
        last = sum(len(layer["fields"]) for layer in self.data["layers"])
        layers = range(len(self.data["layers"]))
        pairs = [f".ck-packet:has(.f{n}:is(:hover,:focus)) .f{n}" for n in range(last)]
        pairs += [f".ck-packet:has(.h{n}:hover) .l{n}" for n in layers]
        pairs += [f".ck-packet:has(.l{n}:hover) summary.h{n}" for n in layers]
        lit = ",".join(pairs) + "{background:var(--ck-lit)!important;color:var(--ck-fg)}" if pairs else ""
        return style("ruler") + lit if self.ruler else lit


def _envelope_html(data: dict[str, Any]) -> str:
    """Return the frame to scale, and over each box a spot for the pointer, which a running kernel makes a button."""
    frame = data["parts"]
    if not frame:
        return ""
    words = ", ".join(f"{part['name']} {part['bytes']}" for part in frame)
    spots = "".join(
        f'<i class=h{box.part["layer"]} style="left:{box.x + EDGE:.0f}px;width:{box.wide:.0f}px"></i>'
        for box in boxes(frame, fit([frame], _WIDE - 2 * EDGE))
    )
    return f"<div class=ck-env>{picture_of(frame, f'To scale, in bytes: {words}', _WIDE)}{spots}</div>"


def _hex_html(data: dict[str, Any]) -> str:
    lines = []
    for hidden, row in hidden_before(data["rows"], data["size"]):
        if hidden:
            lines.append(f"<tr><th scope=row>…<td>{count(hidden, 'byte')} not drawn")
        if row:
            runs = groupby(row["chunks"], key=lambda chunk: chunk["layer"])
            cells = " ".join(_run_html(number, chunks, data["layers"]) for number, chunks in runs)
            lines.append(f"<tr><th scope=row>{row['offset']:04x}<td style={_HEX}><tt>{cells}</tt>")
    if not lines:
        return ""
    digits = " ".join(f"{i:02x}" + (" " if i == ROW // 2 - 1 else "") for i in range(ROW))
    head = f'<thead><tr><th scope=col>byte<th scope=col style={_HEX}><tt>{digits}</tt>'
    return f'<table class=ck-hex aria-label="Bytes of the frame">{head}<tbody>{"".join(lines)}</table>'


def _run_html(number: int, chunks: Iterable[dict[str, Any]], layers: list[dict[str, Any]]) -> str:
    """Return neighbouring bytes of one header."""
    layer: dict[str, Any] = layers[number] if number >= 0 else {"depth": 0, "tint": "data"}
    inner = " ".join(map(_chunk_html, chunks))
    edge = f"border-bottom:3px solid {depth_colour(layer['depth'])}"
    return f'<span class="l{number} ck-{layer["tint"]}" style="{edge}">{inner}</span>'


def _chunk_html(chunk: dict[str, Any]) -> str:
    """Return neighbouring bytes of the same fields."""
    names = " ".join(f"f{number}" for number in chunk["fields"])
    gap = 8 - chunk["at"] % ROW  # a wider gap in the middle of the row
    text = chunk["hex"]
    if 0 < gap < (len(text) + 1) // 3:
        text = text[: 3 * gap] + " " + text[3 * gap :]
    elif gap == 0:
        names += " m"
    return f'<b class="{names.strip()}">{text}</b>' if " " in names else f"<b class={names or 'm'}>{text}</b>"


def _fields_html(data: dict[str, Any]) -> str:
    nested = any(layer["depth"] for layer in data["layers"])
    groups = "".join(
        f"{layer_head(i, layer, nested)}<table class=ck-fields><tbody>"
        f"{''.join(_field_html(field, layer['source']) for field in layer['fields'])}</table></details>"
        for i, layer in enumerate(data["layers"])
    )
    return f'<div class=ck-scroll>{groups}</div>' if groups else ""


def _field_html(field: dict[str, Any], known: str) -> str:
    """Return a row; the source stands in it where it is another one than the header's, which is `known`."""
    source = f" ({field['source']})" if field["source"] not in ("", known) else ""
    meaning = escape(f"{field['key']}: {field['meaning']}{source}").replace("&#x27;", "'")
    bits = f" <code>{field['bits']}</code>" if field["bits"] else ""
    return (
        f'<tr class=f{field["id"]} tabindex=0 data-lm-suppress-shortcuts=true title="{meaning}">'
        f"<td>{field_place(field)}<td>{escape(field['name'])}{bits}"
        f"<td style=text-align:left>{escape(field_value(field))}"
    )
