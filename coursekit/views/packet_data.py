"""What is drawn of a frame, as plain data, and the words that go with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coursekit.packets.fields import Dissection, Field, Layer
from coursekit.views.envelope import parts, tint
from coursekit.views.twin import count, depth_words

ROW = 16  # bytes to a row, as every hex dump has them
_SHOWN = 64  # bytes that are drawn of a payload of more than twice as many; the view says how many were left out


def packet_data(dissection: Dissection, title: str) -> dict[str, Any]:
    """Return the JSON-ready data of a PacketView; fields are numbered in wire order."""
    layers: list[dict[str, Any]] = []
    number = 0
    for layer in dissection.layers:
        fields = []
        for field in layer.fields:
            fields.append(_field(field, number))
            number += 1
        layers.append(_layer(layer, fields))
    size = len(dissection.data)
    return {
        "title": title, "size": size, "layers": layers, "stopped": dissection.stopped or "",
        "parts": parts(dissection),
        "rows": list(_rows(dissection.data, layers)),
    }  # fmt: skip


def _layer(layer: Layer, fields: list[dict[str, Any]]) -> dict[str, Any]:
    start, end = layer.bit_offset // 8, (layer.bit_offset + layer.width + 7) // 8
    return {
        "key": layer.key, "name": layer.name, "depth": layer.depth, "start": start, "bytes": end - start,
        "summary": layer.summary, "source": layer.source, "fields": fields, "tint": tint(layer.key),
    }  # fmt: skip


def _field(field: Field, number: int) -> dict[str, Any]:
    return {
        "id": number, "key": field.key, "name": field.name, "bit": field.bit_offset, "width": field.width,
        "value": field.value, "bits": bit_pattern(field), "meaning": field.meaning, "source": field.source,
        "verdict": field.verdict,
    }  # fmt: skip


def bit_pattern(field: Field) -> str:
    """Return the field's own bits among the bytes it lies in ("0100 ····"); nothing if it fills its bytes."""
    lead, tail = field.bit_offset % 8, -(field.bit_offset + field.width) % 8
    if not (lead or tail) or not isinstance(field.raw, int):
        return ""
    digits = "·" * lead + f"{field.raw:0{field.width}b}" + "·" * tail
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _rows(frame: bytes, layers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the hex dump: chunks of neighbouring bytes that belong to the same fields."""
    owners: list[tuple[int, ...]] = [()] * len(frame)
    shown = [True] * len(frame)
    for layer in layers:
        for field in layer["fields"]:
            first, last = field["bit"] // 8, (field["bit"] + field["width"] - 1) // 8
            for i in range(first, min(last + 1, len(frame))):
                owners[i] += (field["id"],)
                # a cut falls on the end of a row
                shown[i] = last - first < 2 * _SHOWN or i - first < _SHOWN + -first % ROW
    layer_of = {field["id"]: i for i, layer in enumerate(layers) for field in layer["fields"]}
    for offset in range(0, len(frame), ROW):
        chunks: list[dict[str, Any]] = []
        for i in range(offset, min(offset + ROW, len(frame))):
            if not shown[i]:
                continue
            if chunks and tuple(chunks[-1]["fields"]) == owners[i]:
                chunks[-1]["hex"] += f" {frame[i]:02x}"
                continue
            own = list(owners[i])
            chunks.append({"at": i, "hex": f"{frame[i]:02x}", "fields": own, "layer": layer_of[own[0]] if own else -1})
        if chunks:
            yield {"offset": offset, "chunks": chunks}


def hidden_before(rows: list[dict[str, Any]], size: int) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield each row of the hex dump with how many bytes were left out before it; last, None and those at the end."""
    reached = 0
    for row in rows:
        yield row["offset"] - reached, row
        reached = row["offset"] + sum((len(chunk["hex"]) + 1) // 3 for chunk in row["chunks"])
    yield size - reached, None


def layer_title(layer: dict[str, Any], nested: bool) -> str:
    """Return a header's name, with how deep it lies if anything in the frame lies deeper than the outside."""
    return f"{layer['depth']} {depth_words(layer['depth'])} · {layer['name']}" if nested else layer["name"]


def layer_place(layer: dict[str, Any]) -> str:
    """Return where a header stands and how long it is."""
    last = layer["start"] + layer["bytes"] - 1
    place = f"bytes {layer['start']}–{last}" if layer["bytes"] > 1 else f"byte {layer['start']}"
    return f"{place} ({layer['bytes']})"


def field_place(field: dict[str, Any]) -> str:
    """Return the bytes that a field lies in: "22" or "16–17"."""
    first, last = field["bit"] // 8, (field["bit"] + field["width"] - 1) // 8
    return f"{first}" if last <= first else f"{first}–{last}"


def field_value(field: dict[str, Any]) -> str:
    """Return a field's value with the verdict on it, if it is a checksum."""
    if not field["verdict"]:
        return str(field["value"])
    mark = "✓" if field["verdict"] == "correct" else "✗" if field["verdict"].startswith("wrong") else "–"
    return f"{field['value']} {mark} {field['verdict']}"


def caption(data: dict[str, Any]) -> str:
    """Return the line above a frame."""
    return " · ".join(filter(None, (data["title"], count(data["size"], "byte"))))
