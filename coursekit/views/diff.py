"""Two frames side by side: which headers one has and the other has not, and which fields of the shared ones differ."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from coursekit.errors import CourseError, given
from coursekit.packets.fields import Dissection, Field, Layer
from coursekit.views.envelope import EDGE, fit, parts, pictured, svg, tint
from coursekit.views.packet_data import layer_title
from coursekit.views.twin import View, columns, count, depth_colour, escape

_MARKS = {"same": "=", "changed": "≠", "added": "+", "removed": "−"}
_WORDS = {"same": "equal", "changed": "changed", "added": "only in b", "removed": "only in a"}
_WIDE = 840  # pixels of the picture
_WIDTH = 100  # columns of text
_WIDEST = 39  # characters of a name or value in text, as many as an IPv6 address has; payloads are longer
Pair = tuple[Layer | None, Layer | None]


class PacketDiff(View):
    """Frames a and b, aligned by header. `labels` name them; `everything=True` lists equal fields too."""

    kind = "diff"
    tinted = True

    def __init__(
        self, a: Dissection, b: Dissection, labels: tuple[str, str] = ("a", "b"), title: str = "", *,
        everything: bool = False,
    ) -> None:  # fmt: skip
        self.everything = everything
        if not isinstance(labels, tuple | list) or [type(label) for label in labels] != [str, str]:
            raise CourseError(f"labels are two words, such as ('before', 'after'); {given(labels)} was given.")
        self.data: dict[str, Any] = {
            "title": title, "labels": list(labels), "sizes": [len(a.data), len(b.data)],
            "layers": [_layer(one, other) for one, other in align(a.layers, b.layers)], "same": a.data == b.data,
            "parts": [parts(a), parts(b)], "lone": _lone(a, b),
        }  # fmt: skip

    def text(self) -> str:
        """Return the sum, then headers and differing fields in columns, one mark each."""
        data = self.data
        a, b = data["labels"]
        lines = [data["title"]] if data["title"] else []
        lines.append(f"a: {a}, {count(data['sizes'][0], 'byte')}; b: {b}, {count(data['sizes'][1], 'byte')}")
        lines += wrap(verdict(data), _WIDTH)
        listed = [self._listed(layer) for layer in data["layers"]]
        cells = [(_MARKS[f["mark"]], *(_cut(f[key]) for key in ("name", "a", "b"))) for some in listed for f in some]
        drawn = iter(_aligned(cells))
        for layer, fields in zip(data["layers"], listed, strict=True):
            lines.append(f"{_sign(layer)} {_layer_words(layer)}")
            lines += [line for _ in fields for line in next(drawn)]
        return "\n".join(lines)

    def html(self) -> str:
        """Return both envelopes to scale, then the headers with a row per differing field; lone ones are folded."""
        data = self.data
        title = f"<figcaption>{escape(data['title'])}</figcaption>" if data["title"] else ""
        named = zip("ab", data["labels"], data["sizes"], strict=True)
        names = [f"{letter}: {label} ({count(size, 'byte')})" for letter, label, size in named]
        head = "".join(f"<th scope=col style=text-align:left>{escape(name)}" for name in ("", "field", *names))
        groups = "".join(self._group(layer, head) for layer in data["layers"])
        return f"{title}<p><b>{escape(verdict(data))}</b></p>{self._picture(names)}{groups}"

    def _picture(self, names: Sequence[str]) -> str:
        """Return both frames, the letters one above the other; headers that only one has stand out, with their sum."""
        a, b = self.data["parts"]
        if not a or not b:
            return ""
        scale = fit([a, b], _WIDE - 2 * EDGE)
        frames = []
        for sign, name, frame, lone in zip("−+", names, (a, b), self.data["lone"], strict=True):
            sizes = [part["bytes"] for part in frame if part["key"] in lone]
            words = f"{sign}{sum(sizes)} = {' + '.join(map(str, sizes))}" if len(sizes) > 1 else f"{sign}{sum(sizes)}"
            frames.append((name, svg(frame, scale.width, scale, marked=lone, mark=words)))
        drawn = pictured(frames[1:] if self.data["same"] else frames, f"To scale: {verdict(self.data)}", _WIDE)
        return f"<div class=ck-env>{drawn}</div>"

    def _group(self, layer: dict[str, Any], head: str) -> str:
        """Return a header: open if both frames have it and it differs, folded with a count if only one has it."""
        listed = self._listed(layer)
        lone = layer["mark"] != "same"
        words = f"{_sign(layer)} {_layer_words(layer)}" + (f", {count(len(listed), 'field')}" if lone else "")
        names = f"ck-head ck-{layer['tint']} d{layer['depth'] % 4}"
        edge = f'style="border-left:6px solid {depth_colour(layer["depth"])}"'
        if not listed:
            return f'<div class="{names}" {edge}>{escape(words)}</div>'
        rows = "".join(
            f"<tr class=ck-{f['mark']}><td style=text-align:left>{_MARKS[f['mark']]} {_WORDS[f['mark']]}"
            + "".join(f"<td style=text-align:left>{escape(f[key])}" for key in ("name", "a", "b"))
            for f in listed
        )
        return (
            f'<details{"" if lone else " open"}><summary class="{names}" data-lm-suppress-shortcuts=true {edge}>'
            f"{escape(words)}</summary><table class=ck-diff><thead><tr>{head}<tbody>{rows}</table></details>"
        )

    def _listed(self, layer: dict[str, Any]) -> list[dict[str, str]]:
        """Return the fields to list: of a shared header those that differ, of a lone one all."""
        return [f for f in layer["fields"] if self.everything or f["mark"] != "same"]


def verdict(data: dict[str, Any]) -> str:
    """Return the sum of a diff in one sentence."""
    if data["same"]:
        return "The two frames are identical, byte for byte."
    parts = []
    for mark, sign in (("added", "+"), ("removed", "−")):
        lone = [layer for layer in data["layers"] if layer["mark"] == mark]
        names = ", ".join(f"{layer['name']} {layer['bytes']}" for layer in lone)
        if lone:
            parts.append(f"{sign}{count(sum(layer['bytes'] for layer in lone), 'byte')}: {names}")
    shared = [layer for layer in data["layers"] if layer["mark"] == "same"]
    parts += [f"{it['name']} {it['was']} → {count(it['bytes'], 'byte')}" for it in shared if it["was"] != it["bytes"]]
    changed = sum(f["mark"] != "same" for layer in shared for f in layer["fields"])
    parts.append(f"{count(changed, 'field')} of the shared headers differ{'s' if changed == 1 else ''}")
    return "; ".join(parts) + "."


def _sign(layer: dict[str, Any]) -> str:
    """Return a header's mark; of a shared one, whether anything in it differs."""
    differs = layer["mark"] == "same" and any(f["mark"] != "same" for f in layer["fields"])
    return _MARKS["changed" if differs else layer["mark"]]


def _aligned(cells: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """Return each field's lines: one, in columns, unless columns were too wide for two IPv6 addresses."""
    lines = columns(cells, indent="    ")
    if max(map(len, lines), default=0) <= _WIDTH:
        return [[line] for line in lines]
    named = [(f"{mark}  {name}:", " → ".join(filter(None, (a, b)))) for mark, name, a, b in cells]
    return [wrap(f"    {name} {values}", _WIDTH, subsequent_indent="         ") for name, values in named]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


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
    """Pair the headers of two frames so that as many as possible of the same kind, with the most equal fields, meet.

    Where that leaves a choice, the inner ones are paired: an envelope is put around a packet, not inside it.
    """
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + _likeness(a[i], b[j]))
    pairs: list[Pair] = []
    i = j = 0
    while i < len(a) or j < len(b):
        if i < len(a) and best[i][j] == best[i + 1][j]:
            pairs.append((a[i], None))
            i += 1
        elif j < len(b) and best[i][j] == best[i][j + 1]:
            pairs.append((None, b[j]))
            j += 1
        else:
            pairs.append((a[i], b[j]))
            i, j = i + 1, j + 1
    return pairs


def _likeness(a: Layer, b: Layer) -> int:
    """Return 0 for headers of different kinds, else 1000 to 1999: more, the more of their fields are equal."""
    if a.key != b.key:
        return 0
    equal = sum((f.key, f.raw) == (g.key, g.raw) for f, g in zip(a.fields, b.fields, strict=False))
    return 1000 + 999 * equal // max(len(a.fields), len(b.fields), 1)


def _layer(a: Layer | None, b: Layer | None) -> dict[str, Any]:
    layer = a or b
    assert layer is not None
    return {
        "key": layer.key, "name": layer.name, "depth": (b or layer).depth,
        "bytes": ((b or layer).width + 7) // 8, "was": (layer.width + 7) // 8,
        "tint": tint(layer.key), "mark": "same" if a and b else "added" if b else "removed", "fields": _fields(a, b),
    }  # fmt: skip


def _lone(a: Dissection, b: Dissection) -> list[list[str]]:
    """Return the keys of the parts that only frame a has, and of those that only b has."""
    reached, alone = [0, 0], [set[int](), set[int]()]
    for pair in align(a.layers, b.layers):
        for end, layer in enumerate(pair):
            if layer is not None and pair[1 - end] is None:
                alone[end].add(reached[end])
            reached[end] += layer is not None
    return [[part["key"] for part in parts(it) if part["layer"] in at] for it, at in zip((a, b), alone, strict=True)]


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
        values = {"a": one.value if one else "", "b": other.value if other else ""}
        if one and other and mark == "changed" and one.value == other.value:
            values = {key: f"{field.value} ({count(field.width, 'bit')})" for key, field in (("a", one), ("b", other))}
        rows.append({"key": shown.key, "name": shown.name, "mark": mark, **values})
    return rows


def _numbered(layer: Layer | None) -> dict[tuple[str, int], Field]:
    found: dict[tuple[str, int], Field] = {}
    for field in layer.fields if layer else ():
        nth = sum(key == field.key for key, _ in found)
        found[field.key, nth] = field
    return found
