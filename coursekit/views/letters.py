"""How wide text is drawn, without a browser: in DejaVu Sans, the widest of the fonts that pages fall back to."""

from __future__ import annotations

from collections.abc import Iterable

# Advance widths in thousandths of the font's size; what is not listed is as wide as most small letters.
_WIDTHS = {
    **dict.fromkeys("il|'", 278), **dict.fromkeys("j", 278), **dict.fromkeys(" .,", 318), **dict.fromkeys(":;/", 337),
    **dict.fromkeys("f-()[]", 361), **dict.fromkeys("t", 392), **dict.fromkeys("r", 411), **dict.fromkeys("sczk", 550),
    **dict.fromkeys("mwM", 900), **dict.fromkeys("W…", 1000), **dict.fromkeys("→←+=−", 838), **dict.fromkeys("·", 318),
    **dict.fromkeys("I", 295), **dict.fromkeys("ABCDEFGHKNPRSTUVXYZ", 690), "L": 560, **dict.fromkeys("OQ", 787),
}  # fmt: skip
_OTHER, _BOLD = 630, 1.12


def width(text: str, size: float = 12, bold: bool = False) -> float:
    """Return how many pixels a line of text takes at most, at a font size in pixels."""
    return sum(_WIDTHS.get(letter, _OTHER) for letter in text) / 1000 * size * (_BOLD if bold else 1)


def cut(name: str, room: float, size: float = 12, bold: bool = False) -> str:
    """Return a name that fits in so many pixels; of names that Kubernetes makes up, both ends tell them apart."""
    if width(name, size, bold) <= room:
        return name
    for kept in range(len(name) - 1, 1, -1):
        tail = kept // 2
        shorter = f"{name[: kept - tail]}…{name[-tail:]}"
        if width(shorter, size, bold) <= room:
            return shorter
    return "…"


def fitting(words: Iterable[str], room: float, size: float = 12, bold: bool = False) -> str:
    """Return the first of some words that fits in so many pixels; "" if none does."""
    return next((word for word in words if width(word, size, bold) <= room), "")
