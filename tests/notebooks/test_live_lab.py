"""The lab's notebook for real: every cell runs on this kernel, and shows what the replay shows where that is fixed."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from .documents import Document, shown, text
from .refresh import NOTEBOOKS, executed

LAB = NOTEBOOKS / "08-multi-node-lab.ipynb"
# Cells whose outputs hold nothing drawn by lot, no time and no place: live they are the same, label of evidence aside.
SAME = ("check-ippools", "predicted-tables", "observe-connectivity", "bisect-mtu", "black-hole", "check-filter",
        "break-and-repair", "diagnose", "observe-mode", "claim")  # fmt: skip


def bare(cell: dict[str, Any]) -> list[str]:
    """Return the lines of text that a cell shows, without evidence, times and the points that were captured."""
    said = "\n".join(text(o.get("text", "") or o.get("data", {}).get("text/plain", "")) for o in cell["outputs"])
    said = re.sub(r"captured live|captured( ·[^\n]*)?|computed|,? time \d+ms|seen at:.*|\d+ hops max", "", said)
    said = re.sub(r"\d+\.\d+ ms", "", said)
    return [" ".join(line.split()).strip(" ·,") for line in said.splitlines() if line.strip(" ·,─")]


@pytest.mark.namespaces
@pytest.mark.tool("ping", "traceroute")
def test_the_notebook_runs_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """In namespaces no cell fails, and ten cells show what the stored replay shows."""
    monkeypatch.setenv("COURSEKIT_LAB", "namespaces")
    stored = {cell["id"]: cell for cell in Document.read(LAB).code}
    ran = {cell["id"]: cell for cell in executed(LAB)["cells"] if cell["cell_type"] == "code"}

    assert shown(ran["banner"]).startswith("live")
    assert "captured live" in shown(ran["observe-connectivity"])
    assert not [cell for cell in ran.values() for output in cell["outputs"] if output["output_type"] == "error"]
    for name in SAME:
        assert bare(ran[name]) == bare(stored[name]), name


def test_the_stored_run_is_a_replay() -> None:
    """What is stored was replayed, and says so; no mode is set in the notebook itself."""
    doc = Document.read(LAB)
    banner = next(cell for cell in doc.code if cell["id"] == "banner")

    assert shown(banner).startswith("replay")
    assert "COURSEKIT_LAB" not in os.environ or os.environ["COURSEKIT_LAB"] in ("replay", "namespaces", "")
    assert not any("captured live" in shown(cell) for cell in doc.code)
