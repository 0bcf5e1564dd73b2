"""Numbers in prose are what coursekit computes, and every number of bytes in prose is pinned."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .documents import Document, all_notebooks, prose
from .pins import ASSUMED, PINS, Pin

DOCUMENTS = [Document.read(path) for path in all_notebooks()]


def plain(text: str) -> str:
    """Return prose without emphasis, code marks and line breaks."""
    return re.sub(r"\s+", " ", re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", text))


def prose_of(documents: list[Document], notebook: str, cell: str) -> str | None:
    for doc in documents:
        if doc.name.startswith(notebook):
            return next((plain(prose(c)) for c in doc.markdown if c["id"] == cell), None)
    return None


def complaint(documents: list[Document], pin: Pin) -> str | None:
    """Return what is wrong with the sentence that a pin holds, or None."""
    said = prose_of(documents, pin.notebook, pin.cell)
    if said is None:
        return f"notebook {pin.notebook} has no text cell {pin.cell!r}"
    if plain(pin.expected) in said:
        return None
    pattern = re.escape(plain(pin.phrase)).replace(re.escape("{}"), r"\S+?")
    found = re.search(pattern + r"(?![\w.])", said)
    return f"{pin.cell} says {found.group() if found else said!r}, computed is {pin.expected!r}"


def unpinned(documents: list[Document], pins: tuple[Pin, ...]) -> list[str]:
    """Return every "N bytes" of the prose that no pin of its cell covers."""
    loose = []
    for doc in documents:
        for cell in doc.markdown:
            held = " ".join(p.expected for p in pins if doc.name.startswith(p.notebook) and p.cell == cell["id"])
            stated = re.findall(r"(?<![\w.])(\d[\d,]*)[ -]bytes?\b", plain(prose(cell)))
            open_ = [n for n in stated if n not in ASSUMED and not re.search(rf"(?<![\w.]){n}(?![\w.])", held)]
            loose += [f"{doc.name} {cell['id']}: {number} bytes" for number in open_]
    return loose


def a_notebook(text: str) -> list[Document]:
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "id": "sizes", "metadata": {}, "source": text}]
    return [Document("04-vxlan.ipynb", {"cells": cells}, 0, ())]


SIZES = Pin("04", "sizes", "it grows from {} to {} bytes", lambda: (98, 98 + 50))


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: f"{pin.notebook}-{pin.cell}")
def test_a_number_in_prose_is_what_is_computed(pin: Pin) -> None:
    """The sentence stands in its cell, with the numbers that coursekit computes now."""
    wrong = complaint(DOCUMENTS, pin)

    assert wrong is None, wrong


def test_every_number_of_bytes_is_pinned() -> None:
    """No "N bytes" stands in prose without a pin: add one to pins/."""
    loose = unpinned(DOCUMENTS, PINS)

    assert not loose, "\n" + "\n".join(loose)


@pytest.mark.parametrize("text", ["**it grows\nfrom `98` to 148 bytes**.", "It is so: it grows from 98 to 148 bytes"])
def test_a_true_sentence_passes(text: str) -> None:
    """Emphasis, code marks and line breaks do not matter."""
    assert complaint(a_notebook(text), SIZES) is None
    assert unpinned(a_notebook(text), (SIZES,)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("it grows from 98 to 150 bytes", "it grows from 98 to 150 bytes"),
        ("it grows from 98 to 1480 bytes", "it grows from 98 to 1480 bytes"),
        ("it shrinks", "it shrinks"),
    ],
)
def test_an_untrue_or_missing_sentence_is_told(text: str, said: str) -> None:
    """Another number, or another sentence, is refused, with what is said and what is computed."""
    wrong = complaint(a_notebook(text), SIZES) or ""

    assert said in wrong
    assert "computed is 'it grows from 98 to 148 bytes'" in wrong
    assert "no text cell" in (complaint([], SIZES) or "")


def test_an_unpinned_number_is_found() -> None:
    """A number of bytes that no pin of that cell covers is named; one that is only assumed is not."""
    text = "it grows from 98 to 148 bytes, or 118 bytes, on a link of 1500 bytes, a 20-byte header"

    assert unpinned(a_notebook(text), (SIZES,)) == ["04-vxlan.ipynb sizes: 118 bytes", "04-vxlan.ipynb sizes: 20 bytes"]
