"""Run every notebook in order and store what it shows, so that a second run changes nothing.

    python -m tests.notebooks.refresh [NOTEBOOK ...]

What is stored: stable cell ids, the same bland metadata everywhere, outputs without live widgets (a widget-view
without its kernel says "model not found"; the static twin in the same bundle stays). An output cell without an nbval
tag gets `nbval-check-output`: checked unless its author says otherwise. The HTML of cells tagged `answer` is stored in
a closed `<details>`, so that a page which shows the repository's edition does not tell before somebody has guessed.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from coursekit.exercises.editions import ANSWER

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CHECKED, IGNORED = "nbval-check-output", "nbval-ignore-output"
SUMMARY = "<summary>Make your guess first. Then open this to see what happens.</summary>"


def _output(output: dict[str, Any]) -> dict[str, Any] | None:
    """Return an output without its live widget, or None if nothing else was in it."""
    if "data" not in output:
        return output
    data = {mime: value for mime, value in output["data"].items() if mime != WIDGET_VIEW}
    metadata = {mime: value for mime, value in output.get("metadata", {}).items() if mime in data}
    return {**output, "data": data, "metadata": metadata} if data else None


def _closed(output: dict[str, Any]) -> dict[str, Any]:
    """Return an output whose HTML is inside a closed `<details>`; the text, which nbval compares, stays as it is."""
    html = output.get("data", {}).get("text/html")
    if html is None:
        return output
    return {**output, "data": {**output["data"], "text/html": f"<details>{SUMMARY}{html}</details>"}}


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join neighbouring pieces of one stream: how a kernel cuts them up is chance."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        if joined and output["output_type"] == "stream" and output.get("name") == joined[-1].get("name"):
            joined[-1]["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def normalised(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook (nbformat 4, multi-line strings joined) as it is to be stored."""
    cells = []
    for cell in notebook["cells"]:
        tags = list(cell["metadata"].get("tags", []))
        kept = {key: value for key, value in cell.items() if key not in ("metadata", "outputs")}
        if cell["cell_type"] == "code":
            kept["outputs"] = _joined([o for o in map(_output, cell["outputs"]) if o])
            if ANSWER in tags:
                kept["outputs"] = [_closed(output) for output in kept["outputs"]]
            if kept["outputs"] and not {CHECKED, IGNORED} & set(tags):
                tags.append(CHECKED)
        kept["metadata"] = {"tags": sorted(set(tags))} if tags else {}
        cells.append(kept)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def executed(path: Path) -> dict[str, Any]:
    """Run a notebook in a fresh kernel, beside itself on disk, and return it normalised."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    # A live cell shows what this machine can do; what is stored must be the same wherever it is made.
    live = {cell.id: cell.outputs for cell in notebook.cells
            if IGNORED in cell.metadata.get("tags", []) and cell.outputs}  # fmt: skip
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    os.environ["COURSEKIT_PROGRESS"] = ""  # what is stored is as if nobody had predicted or solved anything
    beside = {"metadata": {"path": path.parent}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=beside).execute()
    for cell in notebook.cells:
        cell.update({"outputs": live[cell.id]} if cell.id in live else {})
    return normalised(notebook)


def main(paths: list[Path]) -> int:
    """Refresh the notebooks; return 1 after the first that does not run."""
    import nbformat
    from nbclient.exceptions import CellExecutionError

    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    os.environ.setdefault("COURSEKIT_LAB", "replay")  # what is stored must be the same wherever it is made
    for path in paths:
        start = time.perf_counter()
        try:
            text = nbformat.writes(nbformat.from_dict(executed(path))) + "\n"
        except CellExecutionError as error:
            print(f"{path.name}: does not run\n{error}", file=sys.stderr)
            return 1
        changed = text != path.read_text(encoding="utf-8")
        if changed:
            path.write_text(text, encoding="utf-8")
        took = time.perf_counter() - start
        print(f"{path.name:32} {took:5.1f} s  {'changed' if changed else 'unchanged'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(name).resolve() for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb"))))
