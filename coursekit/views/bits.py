"""An address over the prefixes it is compared with, digit by digit: bits for IPv4, mostly hexadecimal for IPv6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coursekit.views.twin import columns, escape

_MOST = 12  # prefixes drawn; a bigger table shows those that match and the nearest of the others
_OPEN = "."  # a bit that the prefix leaves open
_WORDS = {"wins": "wins", "matches": "matches", "unusable": "cannot be used", "no": "differs at bit {}"}


def bits_data(asked: str, bits: str, prefixes: Sequence[tuple[str, str, str, int]]) -> dict[str, Any]:
    """Return the drawing's data. A prefix is its name, its fixed bits, its state and how many leading bits match.

    A digit is one bit, or for IPv6 four, except where a prefix ends or first differs within the four.
    """
    nearest = sorted(prefixes, key=lambda item: (item[2] == "no", -item[3]))[:_MOST]
    drawn = [item for item in prefixes if item in nearest]
    size = 8 if len(bits) == 32 else 16
    digits = list(_digits(len(bits), [len(fixed.rstrip(_OPEN)) for _, fixed, _, _ in drawn]))
    rows = []
    for name, fixed, state, matched in drawn:
        words = _WORDS[state].format(matched + 1)
        rows.append({"name": name, "state": state, "words": words, **_cut(fixed, digits, size, matched, state == "no")})
    return {
        "asked": {"name": asked, **_cut(bits, digits, size, len(bits), False)},
        "rows": rows, "hidden": len(prefixes) - len(drawn), "unit": "bit" if size == 8 else "hexadecimal digit",
    }  # fmt: skip


def _digits(total: int, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield start and width, in bits, of every digit drawn."""
    for start in range(0, total, 4):
        inside = any(start < length < start + 4 for length in lengths)
        if total == 32 or inside:
            yield from ((start + i, 1) for i in range(4))
        else:
            yield start, 4


def _cut(bits: str, digits: Sequence[tuple[int, int]], size: int, matched: int, differs: bool) -> dict[str, str]:
    """Return the digits in three parts: those that agree, the first that differs, and the rest."""
    same = other = rest = ""
    for start, width in digits:
        part = bits[start : start + width]
        digit = _OPEN if _OPEN in part else f"{int(part, 2):x}"
        if width == 1 and len(bits) > 32:  # the bits of a hexadecimal digit that had to be opened
            digit = "[" * (start % 4 == 0) + digit + "]" * (start % 4 == 3)
        gap = " " if start and start % size == 0 else ""
        if start + width <= matched:
            same += gap + digit
        elif differs and not other:
            same, other = same + gap, digit
        else:
            rest += gap + digit
    return {"same": same, "other": other, "rest": rest}


def bits_text(data: dict[str, Any]) -> list[str]:
    """Return the drawing as lines of text; the first digit that differs has a caret beneath it."""
    rows = [("asked", *_joined(data["asked"]))]
    rows += [(row["words"], *_joined(row)) for row in data["rows"]]
    lines = columns(rows, indent="  ")
    start = 2 + max(len(row[0]) for row in rows) + 2
    drawn = [lines[0]]
    for row, line in zip(data["rows"], lines[1:], strict=True):
        drawn.append(line)
        if row["other"]:
            drawn.append(" " * (start + len(row["same"])) + "^")
    return drawn + ([f"  {_hidden(data)}"] if data["hidden"] else [])


def _joined(row: dict[str, Any]) -> tuple[str, str]:
    return row["same"] + row["other"] + row["rest"], row["name"]


def _hidden(data: dict[str, Any]) -> str:
    return f"… {data['hidden']} more that differ earlier"


def bits_html(data: dict[str, Any]) -> str:
    """Return the drawing as a table: what agrees is underlined, the first digit that differs is boxed."""
    rows = "".join(
        f"<tr class=ck-{state}><th scope=row>{words}<td><code>{_digits_html(row, name)}</code><td>{escape(row['name'])}"
        for state, words, name, row in [
            ("asked", "asked", "b", data["asked"]),
            *((row["state"], row["words"], "u", row) for row in data["rows"]),
        ]
    )
    more = f"<tr><td colspan=3>{_hidden(data)}" if data["hidden"] else ""
    label = f"The address over each prefix, one {data['unit']} a place; a dot is left open"
    return f'<table class=ck-bits aria-label="{label}"><tbody>{rows}{more}</table>'


def _digits_html(row: dict[str, str], name: str) -> str:
    same = f"<{name}>{row['same']}</{name}>" if row["same"] else ""
    return same + (f"<mark>{row['other']}</mark>" if row["other"] else "") + row["rest"]
