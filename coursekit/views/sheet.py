"""A table of words: what is compared in rows, by what in columns. A row may be good, bad, or good on a condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Any

from coursekit.errors import CourseError, given
from coursekit.views.twin import View, escape, left, tag

WIDTH = 100  # columns of a text twin
SIGNS = {"good": "✓", "first": "!", "bad": "✗", "": ""}
_CLASSES = {"good": "ck-wins", "first": "ck-first", "bad": "ck-out", "": ""}
_LEAST = 10  # columns that a cell keeps before it is wrapped


class Sheet(View):
    """Rows of cells under `head`; the first cell of a row names it. `states` says per row "good", "first" or "bad".

    A cell is a text, a number or a list of lines. `notes` are sentences beneath.
    """

    kind = "sheet"

    def __init__(
        self, rows: Iterable[Sequence[Any]], head: Sequence[str], title: str = "", *, states: Iterable[str] = (),
        notes: Iterable[str] = (),
    ) -> None:  # fmt: skip
        rows = list(rows) if isinstance(rows, Iterable) else [rows]
        for row in rows:
            if isinstance(row, str) or not isinstance(row, Sequence):
                raise CourseError(f"A table is a list of rows, each a list of cells; {given(row)} was given as a row.")
        listed = [[_lines(cell) for cell in row] for row in rows]
        marks = list(states) or [""] * len(listed)
        for row in listed:
            if len(row) != len(head):
                names = ", ".join(map(str, head))
                raise CourseError(f"A row has {len(row)} cells under {len(head)} headings: {names}.")
        if len(marks) != len(listed) or not set(marks) <= set(SIGNS):
            known = ", ".join(repr(s) for s in SIGNS)
            raise CourseError(f"Each of the {len(listed)} rows has one state, of {known}; given were {marks}.")
        self.data: dict[str, Any] = {
            "title": title, "head": [str(name) for name in head], "rows": listed, "states": marks, "notes": list(notes),
        }  # fmt: skip

    def text(self) -> str:
        """Return the rows in columns, wide cells wrapped."""
        data = self.data
        rows, head = data["rows"], [[name] for name in data["head"]]
        signed = any(data["states"])
        columns = [[line for row in (head, *rows) for line in row[i]] for i in range(len(head))]
        widths = _fit(columns, WIDTH - 3 if signed else WIDTH)
        if signed:
            head, widths = [[""], *head], [1, *widths]
            rows = [[[SIGNS[state]], *row] for state, row in zip(data["states"], rows, strict=True)]
        lines = wrap(data["title"], WIDTH)
        shown = [_row(row, widths) for row in (head, *rows)]
        tall = any(len(part) > 1 for part in shown[1:])
        lines += shown[0] + ["─" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1))]
        for number, part in enumerate(shown[1:]):
            lines += [*([""] if tall and number else []), *part]
        for note in data["notes"]:
            lines += wrap(note, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        return "\n".join(lines)

    def html(self) -> str:
        """Return the table, with a row's sign before its name."""
        data = self.data
        head = "".join(f"<th scope=col>{escape(name)}" for name in data["head"])
        body = "".join(_row_html(row, s) for s, row in zip(data["states"], data["rows"], strict=True))
        caption = f"<figcaption>{escape(data['title'])}</figcaption>" if data["title"] else ""
        notes = "".join(tag("p", escape(note)) for note in data["notes"])
        return left(f"{caption}<table class=ck-words><thead><tr>{head}<tbody>{body}</table>{notes}")


def _lines(cell: Any) -> list[str]:
    return [str(line) for line in cell] if isinstance(cell, list | tuple) else str(cell).splitlines() or [""]


def _fit(columns: list[list[str]], room: int) -> list[int]:
    """Return widths: the widest columns are narrowed until a row fits, names last, and to the longest word first."""
    widths = [max(map(len, lines), default=0) for lines in columns]
    # A word that can be the first of a further line has a blank before it there.
    words = [max((len(word) + (i > 0) for line in lines for i, word in enumerate(line.split())), default=0)
             for lines in columns]  # fmt: skip
    for least in [max(widths[0], words[0]), *words[1:]], words, [_LEAST] * len(columns):
        while sum(widths) + 2 * (len(widths) - 1) > room:
            wide = [i for i in range(len(widths)) if widths[i] > least[i]]
            if not wide:
                break
            widths[max(wide, key=lambda i: widths[i])] -= 1
    return widths


def _row(row: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    cells = [
        [part for line in cell for part in wrap(line, width, subsequent_indent=" ", break_on_hyphens=False) or [""]]
        for cell, width in zip(row, widths, strict=True)
    ]
    high = max(map(len, cells))
    filled = [[*cell, *[""] * (high - len(cell))] for cell in cells]
    lines = (zip((cell[i] for cell in filled), widths, strict=True) for i in range(high))
    return ["  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines]


def _row_html(row: Sequence[Sequence[str]], state: str) -> str:
    first, *rest = ("<br>".join(map(escape, cell)) for cell in row)
    sign = f"{SIGNS[state]} " if state else ""
    named = f' class="{_CLASSES[state]}"' if state else ""
    return f"<tr{named}><th scope=row>{sign}{first}" + "".join(f"<td>{cell}" for cell in rest)
