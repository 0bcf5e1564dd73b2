"""Read views back: tests compare what is drawn with the data that it was drawn from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = {"img", "br", "wbr", "col", "hr"}
_ENDS = {"tr": {"tr"}, "td": {"td", "th"}, "th": {"td", "th"}, "tbody": {"tbody", "thead"}, "li": {"li"}}


@dataclass
class Element:
    """An element with its attributes; `children` are elements and strings."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """The element's classes."""
        return set(self.attributes.get("class", "").split())

    @property
    def text(self) -> str:
        """All text inside, style sheets left out, blanks folded."""
        if self.name == "style":
            return ""
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return re.sub(r"\s+", " ", "".join(parts)).strip()

    def all(self, name: str = "", class_: str = "") -> list[Element]:
        """Return elements inside, in order, of that name and class."""
        found: list[Element] = []
        for child in self.children:
            if isinstance(child, Element):
                if (not name or child.name == name) and (not class_ or class_ in child.classes):
                    found.append(child)
                found += child.all(name, class_)
        return found


class _Reader(HTMLParser):
    """Builds the tree; closes what HTML lets authors leave open: rows, cells, table bodies."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("root")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        closing = _ENDS.get(tag, set())
        inside = {"tr": closing | {"td", "th"}, "tbody": closing | {"tr", "td", "th"}}.get(tag, closing)
        while self.open[-1].name in inside:
            self.open.pop()
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _EMPTY:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in {element.name for element in self.open}:
            while self.open.pop().name != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: str) -> Element:
    """Return the tree of a piece of HTML."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.root


# What JupyterLab 4.6 lets through in an untrusted notebook (apputils/src/sanitizer.ts), as far as views use it; the
# rest is dropped there, so that nothing may depend on it.
_DROPPED_WITH_CONTENT = ("style", "script", "svg")
_KEPT = {"*": {"class", "style", "title"}, "td": {"colspan", "scope"}, "th": {"colspan", "scope"},
         "img": {"src", "alt", "width"}}  # fmt: skip


def sanitised(element: Element) -> Element:
    """Return a copy as a sanitizer leaves it."""
    kept = _KEPT["*"] | _KEPT.get(element.name, set())
    children = [
        child if isinstance(child, str) else sanitised(child)
        for child in element.children
        if isinstance(child, str) or child.name not in _DROPPED_WITH_CONTENT
    ]
    return Element(element.name, {k: v for k, v in element.attributes.items() if k in kept}, children)


def offences(html: str) -> list[str]:
    """Return what a stored figure must not hold: what sanitizers drop, what leaks, what MathJax eats."""
    found = [f"<{name}>" for name in ("script", "svg", "iframe") if f"<{name}" in html]
    found += ["$"] if "$" in html else []
    found += re.findall(r"<[^>]*\s(on\w+)=", html)
    found += ["id="] if re.search(r"<[^>]*\sid=", html) else []
    for sheet in re.findall(r"<style>(.*?)</style>", html, re.DOTALL):
        selectors = re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]*\{(.*?\})\s*\}", r"\1", sheet))
        found += [f"rule {part}" for rule in selectors for part in _parts(rule) if ".ck" not in part]
    return found


def _parts(selector: str) -> list[str]:
    """Split a list of selectors at the commas that stand outside brackets."""
    return re.split(r",(?![^(]*\))", selector)
