"""What all views share: one data structure, and the twins that are drawn from it.

A view is a plain object with `data` (JSON-ready). From it come the text twin (`repr`, what nbval compares) and the
HTML twin. The HTML is also what a learner works with: no second, live drawing exists. It carries its own style
sheet, so that hovering works without JavaScript in a trusted notebook, and it stays readable where a sanitizer
strips sheets and ids (untrusted notebooks, GitHub): semantic tables, text in the theme's own colours, marks as words,
pictures as `<img>`. A running kernel adds keyboard, stepping and explanations to it (see live.py); what is stored
holds no widget, so nothing can say "model not found" later.
"""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape as _escape
from importlib.resources import files
from json import dumps
from typing import Any

from coursekit.views import live

# Okabe and Ito's colours, dark enough for a border on white and light enough for one on black; depth 0 first.
DEPTHS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
GOOD, BAD = "#006b4e", "#a84300"  # of text on a light card: 4.5 : 1 and more
_WORDS = ("outer", "inner")
_DRAWN = "bg|fg|quiet|line|good|bad"  # colours of base.css that drawings use beside those of palette.css


class View(ABC):
    """Base of the views. A subclass sets `kind` and `data`, and draws `text()` and `html()` from `data` alone."""

    kind: str
    tinted = False  # whether the tints of headers are used outside of pictures too
    data: dict[str, Any]

    @abstractmethod
    def text(self) -> str:
        """Return the text twin."""

    @abstractmethod
    def html(self) -> str:
        """Return the HTML twin, without the frame and the style sheet around it."""

    def alive(self) -> Mapping[str, Any] | None:
        """Return what the browser additionally gets while a kernel runs, stored in no output; None if nothing."""
        return None

    def enliven(self) -> None:
        """Give the figure its behaviour in the browser, if a kernel runs."""
        if live.in_kernel():
            extra = self.alive()
            live.enliven("" if extra is None else self.key, extra or {}, getattr(self, "answer", None))

    def __repr__(self) -> str:
        return self.text()

    @property
    def sheets(self) -> list[str]:
        """The names of the style sheets that the figure needs."""
        return ["base", *(["palette"] if self.tinted else []), self.kind]

    def figure(self, without: Collection[str] = ()) -> str:
        """Return the whole HTML twin: a figure with its own style sheets, but those that stand around it already."""
        key = "" if type(self).alive is View.alive else f" ck-key-{self.key}"
        sheets = [style(name) for name in self.sheets if name not in without]
        return (
            f'<figure class="ck ck-{self.kind}{key} tex2jax_ignore mathjax_ignore" style="margin:0">'
            f"<style>{''.join(sheets)}{self.rules()}</style>{self.html()}</figure>"
        )

    def rules(self) -> str:
        """Return style rules that depend on the data."""
        return ""

    @property
    def key(self) -> str:
        """A name for this data: the same wherever and whenever it is drawn."""
        return sha256(dumps(self.data, sort_keys=True).encode()).hexdigest()[:10]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        self.enliven()
        return {"text/plain": self.text(), "text/html": self.figure()}


def escape(text: object) -> str:
    """Return text as HTML that neither the browser nor MathJax takes for markup."""
    return _escape(str(text)).replace("$", "&#36;")


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; `class_` and `data_x` give `class` and `data-x`, None leaves an attribute out."""
    named = ((key.strip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    given = "".join(f" {key}={_quoted(value)}" for key, value in named)
    return f"<{name}{given}>{content}</{name}>"


def _quoted(value: object) -> str:
    text = escape(value)
    return text if re.fullmatch(r"[\w:#;.-]+", text, re.ASCII) else f'"{text}"'


def picture(svg: str, alt: str, width: int) -> str:
    """Return an `<img>` with the SVG inside its address: this survives sanitizers, an inline `<svg>` does not."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img class=ck-picture width={width} alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'


@cache
def style(name: str) -> str:
    """Return a style sheet of this package without its comments and blanks; nothing if there is none."""
    source = files(__package__).joinpath("static", f"{name}.css")
    if not source.is_file():
        return ""
    sheet = re.sub(r"/\*.*?\*/", "", source.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"\s+", " ", sheet)).replace(": ", ":").strip()


@cache
def palette() -> str:
    """Return the colours of drawings for an SVG inside an `<img>`: light, or dark if the image's `color-scheme` is.

    The rules hold nothing but the root of an SVG document: taken into a page, they do nothing.
    """
    base, tints = (re.findall(r"\.ck{([^}]*)}", style(name)) for name in ("base", "palette"))
    kept = ("".join(re.findall(rf"--ck-(?:{_DRAWN}):[^;]*;", f"{block};")) for block in base)
    both = [one + more for one, more in zip(kept, tints, strict=True)]
    return f"svg:root{{{both[0]}}}@media (prefers-color-scheme:dark){{svg:root{{{both[1]}}}}}"


def left(html: str) -> str:
    """Return a table whose cells keep to the left where JupyterLab's own style would put them to the right."""
    return re.sub(r"<(t[dh])\b(?![^>]*style)", r"<\1 style=text-align:left", html)


def depth_words(depth: int) -> str:
    """Return how deep a header lies, in words: the colours only repeat it."""
    return _WORDS[depth] if depth < len(_WORDS) else f"inner, {depth} deep"


def depth_colour(depth: int) -> str:
    """Return the border colour of a depth."""
    return DEPTHS[depth % len(DEPTHS)]


def count(number: int, noun: str) -> str:
    """Return "1 byte", "2 bytes"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def columns(rows: Iterable[Sequence[str]], *, gap: str = "  ", indent: str = "") -> list[str]:
    """Return rows of text aligned in columns, without blanks at the end."""
    listed = [[str(cell) for cell in row] for row in rows]
    most = max(map(len, listed), default=0)
    widths = [max((len(row[i]) for row in listed if i < len(row) - 1), default=0) for i in range(most)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] for row in listed)
    return [(indent + gap.join(row)).rstrip() for row in padded]
