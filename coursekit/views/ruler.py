"""Headers as the RFCs draw them: 32 bits to a row, every field as wide as its bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coursekit.views.folded import layer_head
from coursekit.views.twin import escape

_WORD = 32
_TALLEST = 10  # rows of one header that are drawn bit by bit; what is longer is payload or a long list of options
_NARROW = 4  # bits: below, only a sign fits in ("DF", "ECN")


def ruler_html(data: dict[str, Any]) -> str:
    """Return one table per header; a field that crosses a row end continues in the next row."""
    nested = any(layer["depth"] for layer in data["layers"])
    numbers = "".join(f"<th scope=col>{bit}" for bit in range(_WORD))
    tables = []
    for i, layer in enumerate(data["layers"]):
        rows = "".join("<tr>" + "".join(cells) for cells in _rows(layer))
        head = layer_head(i, layer, nested)
        tables.append(f"{head}<table class=ck-ruler><thead><tr>{numbers}<tbody>{rows}</table></details>")
    return "<div class=ck-scroll>" + "".join(tables) + "</div>"


def _rows(layer: dict[str, Any]) -> Iterator[list[str]]:
    cells: list[str] = []
    column = 0
    for field in layer["fields"]:
        left, first = field["width"], True
        if left > _WORD * _TALLEST or not left:
            if cells:
                yield cells
            yield [_cell(field, _WORD, True, f"{left // 8} bytes")]
            cells, column = [], 0
            continue
        while left:
            width = min(left, _WORD - column)
            cells.append(_cell(field, width, first, field["value"]))
            column, left, first = (column + width) % _WORD, left - width, False
            if not column:
                yield cells
                cells = []
    if cells:
        yield cells


def _cell(field: dict[str, Any], width: int, first: bool, value: str) -> str:
    """Return a cell; the name and value stand in a field's first cell, the others only say whose they are."""
    name = field["name"]
    if not first:
        text = f"<small>{escape(name)}, continued</small>"
    elif width < _NARROW:
        sign = field["key"].rpartition(".")[2].rpartition("_")[2].upper()
        text = f"{escape(sign[: 2 + width])}<code>{escape(value.split(' ')[0])}</code>"
    else:
        text = f"{escape(name)}<code>{escape(value)}</code>"
    focus = f' tabindex=0 data-lm-suppress-shortcuts=true title="{escape(_words(field))}"' if first else ""
    return f"<td class=f{field['id']} colspan={width}{focus} style=text-align:center>{text}"


def _words(field: dict[str, Any]) -> str:
    source = f" ({field['source']})" if field["source"] else ""
    return f"{field['name']}, {field['width']} bits, {field['value']}. {field['key']}: {field['meaning']}{source}"
