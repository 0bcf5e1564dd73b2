"""Two frames side by side: which headers one has and the other has not, and which fields of the shared ones differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coursekit.packets.fields import Dissection, Field, Layer
from coursekit.views.packet_data import layer_title
from coursekit.views.twin import View, columns, count, depth_colour, escape

_MARKS = {"same": "=", "changed": "≠", "added": "+", "removed": "−"}
_WORDS = {"same": "equal", "changed": "changed", "added": "only in b", "removed": "only in a"}
Pair = tuple[Layer | None, Layer | None]


class PacketDiff(View):
    """Frames a and b, aligned by header. `labels` name them; `everything=True` lists equal fields too."""

    kind = "diff"

    def __init__(
        self, a: Dissection, b: Dissection, labels: tuple[str, str] = ("a", "b"), title: str = "", *, everything: bool = False
    ) -> None:
        self.everything = everything
        layers = [_layer(one, other) for one, other in align(a.layers, b.layers)]
        added = [layer for layer in layers if layer["mark"] == "added"]
        removed = [layer for layer in layers if layer["mark"] == "removed"]
        self.data: dict[str, Any] = {
            "title": title, "labels": list(labels), "sizes": [len(a.data), len(b.data)], "layers": layers,
            "bytes_added": sum(layer["bytes"] for layer in added), "bytes_removed": sum(layer["bytes"] for layer in removed),
            "same": a.data == b.data,
        }  # fmt: skip

    def text(self) -> str:
        """Return headers and differing fields in columns, one mark each, and the sum."""
        data = self.data
        a, b = data["labels"]
        lines = [data["title"]] if data["title"] else []
        lines.append(f"a: {a}, {count(data['sizes'][0], 'byte')}; b: {b}, {count(data['sizes'][1], 'byte')}")
        listed = [self._listed(layer) for layer in data["layers"]]
        drawn = iter(columns([(_MARKS[f["mark"]], f["name"], f["a"], f["b"]) for fields in listed for f in fields], indent="    "))
        for layer, fields in zip(data["layers"], listed, strict=True):
            lines.append(f"{_MARKS[layer['mark']]} {_layer_words(layer)}")
            lines += [next(drawn) for _ in fields]
        return "\n".join([*lines, verdict(data)])

    def html(self) -> str:
        """Return one table: a group per header, a row per differing field."""
        data = self.data
        title = f"<figcaption>{escape(data['title'])}</figcaption>" if data["title"] else ""
        names = [f"{label} ({count(size, 'byte')})" for label, size in zip(data["labels"], data["sizes"], strict=True)]
        head = "".join(f'<th scope=col style="text-align:left">{escape(name)}' for name in ("", "field", *names))
        groups = "".join(self._group(layer) for layer in data["layers"])
        return f"{title}<table class=ck-diff><thead><tr>{head}{groups}</table><p>{escape(verdict(data))}</p>"

    def _group(self, layer: dict[str, Any]) -> str:
        colour = depth_colour(layer["depth"])
        head = (
            f'<tbody><tr class="ck-head ck-{layer["mark"]} d{layer["depth"] % 4}"><th scope=rowgroup colspan=4 '
            f'style="text-align:left;border-left:6px solid {colour}">{_MARKS[layer["mark"]]} {escape(_layer_words(layer))}'
        )
        return head + "".join(
            f'<tr class=ck-{f["mark"]}><td style="text-align:left">{_MARKS[f["mark"]]} {_WORDS[f["mark"]]}'
            + "".join(f'<td style="text-align:left">{escape(f[key])}' for key in ("name", "a", "b"))
            for f in self._listed(layer)
        )

    def _listed(self, layer: dict[str, Any]) -> list[dict[str, str]]:
        """Return the fields to list: of a shared header those that differ, of a lone one all."""
        return [f for f in layer["fields"] if self.everything or f["mark"] != "same"]


def verdict(data: dict[str, Any]) -> str:
    """Return the sum of a diff in one sentence."""
    if data["same"]:
        return "The two frames are identical, byte for byte."
    changed = sum(f["mark"] != "same" for layer in data["layers"] if layer["mark"] == "same" for f in layer["fields"])
    parts = [f"{count(changed, 'field')} of the shared headers differ{'s' if changed == 1 else ''}"]
    for key, word in (("added", "more"), ("removed", "fewer")):
        sizes = [layer["bytes"] for layer in data["layers"] if layer["mark"] == key]
        if sizes:
            total = f" = {sum(sizes)}" if len(sizes) > 1 else ""
            parts.append(f"b has {' + '.join(map(str, sizes))}{total} bytes of headers {word}")
    return "; ".join(parts) + "."


def _layer_words(layer: dict[str, Any]) -> str:
    equal = sum(f["mark"] == "same" for f in layer["fields"])
    if layer["mark"] != "same":
        note = f"{_WORDS[layer['mark']]}, {count(layer['bytes'], 'byte')}"
    elif equal == len(layer["fields"]):
        note = "equal"
    elif len(layer["fields"]) == 1:
        note = "differs"
    else:
        note = f"{len(layer['fields']) - equal} of {len(layer['fields'])} fields differ"
    return f"{layer_title(layer, True)}: {note}"


def align(a: Sequence[Layer], b: Sequence[Layer]) -> list[Pair]:
    """Pair the headers of two frames so that as many as possible of the same kind, with the most equal fields, meet."""
    best: list[list[float]] = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + _likeness(a[i], b[j]))
    pairs: list[Pair] = []
    i = j = 0
    while i < len(a) or j < len(b):
        if i < len(a) and j < len(b) and _likeness(a[i], b[j]) and best[i][j] == best[i + 1][j + 1] + _likeness(a[i], b[j]):
            pairs.append((a[i], b[j]))
            i, j = i + 1, j + 1
        elif j == len(b) or (i < len(a) and best[i][j] == best[i + 1][j]):
            pairs.append((a[i], None))
            i += 1
        else:
            pairs.append((None, b[j]))
            j += 1
    return pairs


def _likeness(a: Layer, b: Layer) -> float:
    """Return 0 for headers of different kinds, else 1 to 2: by how many of their fields are equal."""
    if a.key != b.key:
        return 0.0
    equal = sum((f.key, f.raw) == (g.key, g.raw) for f, g in zip(a.fields, b.fields, strict=False))
    return 1 + equal / max(len(a.fields), len(b.fields), 1)


def _layer(a: Layer | None, b: Layer | None) -> dict[str, Any]:
    layer = a or b
    assert layer is not None
    return {
        "key": layer.key, "name": layer.name, "depth": (b or layer).depth, "bytes": (layer.width + 7) // 8,
        "mark": "same" if a and b else "added" if b else "removed", "fields": _fields(a, b),
    }  # fmt: skip


def _fields(a: Layer | None, b: Layer | None) -> list[dict[str, str]]:
    """Pair fields by key, and by their number among those of the same key: options may repeat."""
    mine, theirs = _numbered(a), _numbered(b)
    rows = []
    for place in [*mine, *(place for place in theirs if place not in mine)]:
        one, other = mine.get(place), theirs.get(place)
        shown = one or other
        assert shown is not None
        if one and other:
            mark = "same" if (one.raw, one.width) == (other.raw, other.width) else "changed"
        else:
            mark = "removed" if one else "added"
        rows.append({
            "key": shown.key, "name": shown.name, "a": one.value if one else "", "b": other.value if other else "", "mark": mark,
        })  # fmt: skip
    return rows


def _numbered(layer: Layer | None) -> dict[tuple[str, int], Field]:
    found: dict[tuple[str, int], Field] = {}
    for field in layer.fields if layer else ():
        nth = sum(key == field.key for key, _ in found)
        found[field.key, nth] = field
    return found
