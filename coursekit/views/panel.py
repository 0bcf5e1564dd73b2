"""A question, or what becomes of an answer: a heading, sentences, and other views between them.

Exercises are drawn with it. Its parts are sentences, lists, code, views, and parts that are folded away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import indent, wrap
from typing import Any

from coursekit.views.twin import View, escape, tag

WIDTH = 100  # columns of a text twin
MARKS = {"good": "✓", "first": "!", "bad": "✗", "open": "…", "": ""}
_CLASSES = {"good": "ck-good", "first": "ck-first", "bad": "ck-bad", "open": "ck-open", "": ""}


@dataclass(frozen=True)
class Items:
    """A list; each item has a label such as "a)", or none."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Code:
    """Lines of code or of a program's output."""

    text: str


@dataclass(frozen=True)
class Folded:
    """Parts that a click on `summary` unfolds; the text twin shows them."""

    summary: str
    parts: tuple[Part, ...]


Part = str | Items | Code | Folded | View


class Panel(View):
    """A heading with a mark, one of MARKS, and parts beneath it in order."""

    kind = "panel"

    def __init__(self, heading: str, parts: Iterable[Part], mark: str = "") -> None:
        self.parts: tuple[Part, ...] = tuple(parts)
        self.heading, self.mark = heading, mark
        self.data: dict[str, Any] = {"heading": heading, "mark": mark, "parts": [_data(part) for part in self.parts]}

    def enliven(self) -> None:
        """Give the views inside their behaviour too."""
        super().enliven()
        for view in _views(self.parts):
            view.enliven()

    def text(self) -> str:
        """Return heading and parts as text."""
        return "\n".join([f"{MARKS[self.mark]} {self.heading}".strip(), *_text(self.parts)])

    def html(self) -> str:
        """Return heading and parts; a view among them is its own figure."""
        sign = f"{MARKS[self.mark]} " if self.mark else ""
        head = f'<figcaption class="{_CLASSES[self.mark]}">{sign}{escape(self.heading)}</figcaption>'
        return head + _html(self.parts, set(self.sheets))


def evidence(shown: Any) -> Part:
    """Return what was passed as evidence as a part: a view as it is, anything else as the text that it prints."""
    return shown if isinstance(shown, View) else Code(str(shown))


def _views(parts: Iterable[Part]) -> Iterable[View]:
    for part in parts:
        if isinstance(part, View):
            yield part
        elif isinstance(part, Folded):
            yield from _views(part.parts)


def _data(part: Part) -> Any:
    if isinstance(part, View):
        return {"view": part.kind, "data": part.data}
    if isinstance(part, Folded):
        return {"summary": part.summary, "parts": [_data(inner) for inner in part.parts]}
    if isinstance(part, Items):
        return {"items": [list(item) for item in part.items]}
    return {"code": part.text} if isinstance(part, Code) else part


def _text(parts: Sequence[Part]) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if isinstance(part, View):
            lines.append(part.text())
        elif isinstance(part, Code):
            lines.append(indent(part.text, "    "))
        elif isinstance(part, Items):
            for label, words in part.items:
                first = f"  {label} " if label else "  · "
                lines += wrap(words, WIDTH, initial_indent=first, subsequent_indent=" " * len(first),
                              break_on_hyphens=False, break_long_words=False)  # fmt: skip
        elif isinstance(part, Folded):
            lines += [f"{part.summary}:", *(indent(line, "  ") for line in _text(part.parts))]
        else:
            lines += wrap(part, WIDTH, break_on_hyphens=False, break_long_words=False)
    return lines


def _html(parts: Sequence[Part], sheets: set[str]) -> str:
    """Return parts as HTML; `sheets` are the style sheets written so far, and grow by those of the views among them."""
    drawn = []
    for part in parts:
        if isinstance(part, View):
            drawn.append(part.figure(without=sheets))
            sheets.update(part.sheets)
        elif isinstance(part, Code):
            drawn.append(tag("pre", tag("code", escape(part.text)), class_="ck-mono"))
        elif isinstance(part, Items):
            rows = (f"<li><b>{escape(label)}</b> {escape(words)}" if label else f"<li>{escape(words)}"
                    for label, words in part.items)  # fmt: skip
            drawn.append(f"<ul>{''.join(rows)}</ul>")
        elif isinstance(part, Folded):
            head = f"<summary data-lm-suppress-shortcuts=true>{escape(part.summary)}</summary>"
            drawn.append(f"<details>{head}{_html(part.parts, sheets)}</details>")
        else:
            drawn.append(tag("p", escape(part)))
    return "".join(drawn)
