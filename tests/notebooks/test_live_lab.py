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
    said = re.sub(r"captured( live)?( ·[^\n]*)?|computed|,? time \d+ms|seen at:.*|\d+ hops max", "", said)
    said = re.sub(r"\d+\.\d+ ms", "", said)
    return [" ".join(line.split()).strip(" ·,") for line in said.splitlines() if line.strip(" ·,─")]


@pytest.mark.tool("bird")
@pytest.mark.parametrize("mode", [pytest.param("namespaces", marks=[
    pytest.mark.namespaces, pytest.mark.tool("ping", "traceroute")]), "loopback"])  # fmt: skip
def test_the_notebook_runs_live(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In namespaces, and with daemons on loopback, no cell fails, and ten cells show what the stored replay shows."""
    monkeypatch.setenv("COURSEKIT_LAB", mode)
    live = "captured live" if mode == "namespaces" else "captured ·"
    stored = {cell["id"]: cell for cell in Document.read(LAB).code}
    ran = {cell["id"]: cell for cell in executed(LAB)["cells"] if cell["cell_type"] == "code"}

    assert shown(ran["banner"]).startswith("live" if mode == "namespaces" else mode)
    assert live in shown(ran["observe-connectivity"])
    assert "captured live" in shown(ran["observe-bird"])
    assert shown(ran["observe-bird"]).count("Established") == 2
    assert not [cell for cell in ran.values() for output in cell["outputs"] if output["output_type"] == "error"]
    for name in SAME:
        assert bare(ran[name]) == bare(stored[name]), name


def test_the_stored_run_is_a_replay() -> None:
    """What is stored was replayed, and says so; no mode is set in the notebook itself."""
    doc = Document.read(LAB)
    banner = next(cell for cell in doc.code if cell["id"] == "banner")

    assert shown(banner).startswith("replay")
    assert "COURSEKIT_LAB" not in os.environ or os.environ["COURSEKIT_LAB"] in ("replay", "")
    assert not any("captured live" in shown(cell) for cell in doc.code)
