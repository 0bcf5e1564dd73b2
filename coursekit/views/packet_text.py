"""The text twin of a frame: a hex dump, then every field in columns."""

from __future__ import annotations

from typing import Any

from coursekit.views.packet_data import caption, field_place, field_value, hidden_before, layer_place, layer_title
from coursekit.views.twin import columns, count


def packet_text(data: dict[str, Any]) -> str:
    """Return a PacketView's data as text of at most about a hundred columns."""
    lines = [caption(data)]
    if data["stopped"]:
        lines.append(f"! {data['stopped']}")
    for hidden, row in hidden_before(data["rows"], data["size"]):
        if hidden:
            lines.append(f"  …   {count(hidden, 'byte')} not drawn")
        if row:
            digits = " ".join(chunk["hex"] for chunk in row["chunks"])
            lines.append(f"{row['offset']:04x}  {digits[:23]}  {digits[24:]}".rstrip())
    nested = any(layer["depth"] for layer in data["layers"])
    rows = [_cells(field) for layer in data["layers"] for field in layer["fields"]]
    drawn = iter(columns(rows, indent="  "))
    for layer in data["layers"]:
        lines.append(f"{layer_title(layer, nested)}, {layer_place(layer)}")
        lines.extend(next(drawn) for _ in layer["fields"])
    return "\n".join(lines)


def _cells(field: dict[str, Any]) -> tuple[str, ...]:
    return (field_place(field), field["name"], field_value(field) + (f"  [{field['bits']}]" if field["bits"] else ""))
