"""A frame as bytes and as fields, each lighting up the other; or as the RFCs draw headers, 32 bits to a row."""

from __future__ import annotations

from typing import Any

from coursekit.packets.fields import Dissection
from coursekit.views.packet_data import (
    ROW,
    caption,
    field_place,
    field_value,
    hidden_before,
    layer_place,
    layer_title,
    packet_data,
)
from coursekit.views.packet_text import packet_text
from coursekit.views.ruler import ruler_html
from coursekit.views.twin import View, count, depth_colour, escape, tag

_HEX = "text-align:left;font-family:monospace"


class PacketView(View):
    """A dissected frame.

    `title` stands above it. `ruler=True` draws each header as its RFC does, 32 bits to a row, in place of the field
    table. Of a payload of more than 128 bytes 64 are drawn.
    """

    kind = "packet"

    def __init__(self, dissection: Dissection, title: str = "", *, ruler: bool = False) -> None:
        self.dissection = dissection
        self.ruler = ruler
        self.data = packet_data(dissection, title)

    def text(self) -> str:
        """Return the hex dump and the fields as aligned text."""
        return packet_text(self.data)

    def html(self) -> str:
        """Return hex dump and field table (or ruler)."""
        fields = ruler_html(self.data) if self.ruler else _fields_html(self.data)
        stopped = tag("p", f"⚠ {escape(self.data['stopped'])}", class_="ck-stopped") if self.data["stopped"] else ""
        kind = "ck-split ck-tall" if self.ruler else "ck-split"
        return (
            f"<figcaption>{escape(caption(self.data))}</figcaption>{stopped}"
            f'<div class="{kind}"><div class=ck-left>{_hex_html(self.data)}</div>{fields}</div>'
        )

    def rules(self) -> str:
        """Return the rules that light byte and field together: CSS alone, so a stored figure has them too."""
        last = sum(len(layer["fields"]) for layer in self.data["layers"])
        pairs = ",".join(f".ck-packet:has(.f{n}:is(:hover,:focus)) .f{n}" for n in range(last))
        return pairs + "{background:var(--ck-lit)!important;color:var(--ck-fg)}" if pairs else ""


def _hex_html(data: dict[str, Any]) -> str:
    lines = []
    for hidden, row in hidden_before(data["rows"], data["size"]):
        if hidden:
            lines.append(f"<tr><th scope=row>…<td>{count(hidden, 'byte')} not drawn")
        if row:
            chunks = " ".join(_chunk_html(chunk) for chunk in row["chunks"])
            lines.append(f"<tr><th scope=row>{row['offset']:04x}<td style={_HEX}>{chunks}")
    if not lines:
        return ""
    digits = " ".join(f"{i:02x}" + (" " if i == ROW // 2 - 1 else "") for i in range(ROW))
    head = f'<thead><tr><th scope=col>byte<th scope=col style="{_HEX}">{digits}'
    return f'<table class=ck-hex aria-label="Bytes of the frame">{head}<tbody>{"".join(lines)}</table>'


def _chunk_html(chunk: dict[str, Any]) -> str:
    own = " ".join(f"f{number}" for number in chunk["fields"])
    names = f"{own} d{chunk['depth'] % 4} s{chunk['shade']}".strip()
    gap = 8 - chunk["at"] % ROW  # a wider gap in the middle of the row
    text = chunk["hex"]
    if 0 < gap < (len(text) + 1) // 3:
        text = text[: 3 * gap] + " " + text[3 * gap :]
    elif gap == 0:
        names += " m"
    return f'<span class="{names}" style="border-bottom:3px solid {depth_colour(chunk["depth"])}">{text}</span>'


def _fields_html(data: dict[str, Any]) -> str:
    nested = any(layer["depth"] for layer in data["layers"])
    groups = []
    for layer in data["layers"]:
        colour = depth_colour(layer["depth"])
        rows = "".join(_field_html(field) for field in layer["fields"])
        head = (
            f'<tr class="ck-layer d{layer["depth"] % 4}"><th colspan=3 scope=rowgroup '
            f'style="text-align:left;border-left:6px solid {colour}">{escape(layer_title(layer, nested))}'
            f"<small> {escape(layer_place(layer))}</small>"
        )
        groups.append(f"<tbody>{head}{rows}")
    if not groups:
        return ""
    names = "".join(f"<th scope=col style=text-align:left>{name}" for name in ("field", "value"))
    head = f'<table class=ck-fields aria-label="Fields of the frame"><thead><tr><th scope=col>byte{names}'
    return f"<div class=ck-scroll>{head}{''.join(groups)}</table></div>"


def _field_html(field: dict[str, Any]) -> str:
    source = f" ({field['source']})" if field["source"] else ""
    meaning = f"{field['key']}: {field['meaning']}{source}"
    bits = f" <code>{field['bits']}</code>" if field["bits"] else ""
    return (
        f'<tr class=f{field["id"]} tabindex=0 data-lm-suppress-shortcuts=true title="{escape(meaning)}">'
        f"<td>{field_place(field)}<td style=text-align:left>{escape(field['name'])}{bits}"
        f"<td style=text-align:left>{escape(field_value(field))}"
    )
