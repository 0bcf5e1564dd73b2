"""No notebook prints what a check asks for, outside of the exercise itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from coursekit.exercises.catalogue import exercises
from coursekit.exercises.judges import JUDGES

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
OWN = re.compile(r"\b(?:exercise|check|hint|show_solution|again|progress)\(")
# What is answered with words that every notebook uses (a field, a verdict, a fault) cannot be looked up as a value.
ASKED = [key for key, it in exercises().items() if it.judge in ("vni", "chain", "pod-mtu", "bpf-filter", "fdb-row")]


def rendered(path: Path) -> Iterator[str]:
    """Yield what a notebook's cells show as text, but for those that are about an exercise."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if not OWN.search("".join(cell["source"])):
            for output in cell.get("outputs", ()):
                yield "".join(output.get("text", ())) + "".join(output.get("data", {}).get("text/plain", ()))


def values(answer: Any) -> list[str]:
    """Return the values of an answer that somebody could copy."""
    if isinstance(answer, Mapping):
        return [text for value in answer.values() for text in values(value)]
    return [str(answer)]


@pytest.mark.parametrize("id", ASKED)
def test_the_answer_is_not_printed_anywhere(id: str) -> None:  # noqa: A002
    """No value of the answer stands in a stored output of the exercise's notebook."""
    chapter = id.partition(".")[0].zfill(2)
    shown = "\n".join(text for path in NOTEBOOKS.glob(f"{chapter}-*.ipynb") for text in rendered(path))
    wanted = values(JUDGES[exercises()[id].judge].reference(1))
    printed = [value for value in wanted if re.search(rf"(?<![\w.:]){re.escape(value)}(?![\w.:])", shown)]

    assert shown
    assert printed == []
