"""What each notebook takes, in a kernel of its own."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench.measure import ROOT


def main() -> None:
    """Run every notebook in a kernel of its own; print its seconds and the memory the kernel then holds."""
    import nbformat
    from nbclient import NotebookClient

    rss = "\n".join((
        "for line in open('/proc/self/status'):",
        "    if line.startswith('VmRSS'): print(int(line.split()[1]) // 1024)",
    ))
    print("\nNotebooks, each in a fresh kernel (aims: under 10 s, under 150 MB)")
    total = 0.0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if Path("/proc/self/status").exists():
            notebook.cells.append(nbformat.v4.new_code_cell(rss))
        start = time.perf_counter()
        beside = {"metadata": {"path": path.parent}}
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources=beside).execute()
        took = time.perf_counter() - start
        total += took
        outputs = notebook.cells[-1].get("outputs", [])
        held = outputs[0]["text"].strip() if outputs and "text" in outputs[0] else "?"
        print(f"  {path.name:36} {took:6.2f} s   {held:>4} MB")
    print(f"  {'all':36} {total:6.2f} s")
