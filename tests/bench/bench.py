"""Speed and memory, as ratios against what one would use instead: `make bench`.

Whole processes, medians of several, in turns, so that a busy moment hits both sides. No part of the tests: a table
to look at before and after a change.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CAPTURE = ROOT / "data" / "recordings" / "tcp-pod-mtu-1450" / "node1-eth0.pcap"

IMPORTS = {
    "scapy.all": "from scapy.all import *",
    "coursekit": "import coursekit",
    "coursekit, dissecting": "from coursekit import dissect",
    "coursekit, a journey": "from coursekit import load_cluster, network, ping",
    "coursekit, a view": "from coursekit import recording, views; views.packet",
}

# Each program prints seconds for the same frames, read beforehand.
_READ = f"""
import time, itertools
from coursekit.packets.capture import load
frames = [f.data for f in load({str(CAPTURE)!r})]
def timed(work):
    for data in frames[:3]: work(data)
    start, count = time.perf_counter(), 0
    for data in itertools.islice(itertools.cycle(frames), 400): work(data); count += 1
    print((time.perf_counter() - start) / count)
"""
DISSECTIONS = {
    "scapy, show(dump=True)": _READ + "from scapy.all import Ether\ntimed(lambda data: Ether(data).show(dump=True))",
    "coursekit.dissect": _READ + "from coursekit import dissect\ntimed(dissect)",
    "coursekit.dissect, to_dict": _READ + "from coursekit import dissect\ntimed(lambda data: dissect(data).to_dict())",
}


def python(code: str) -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"This does not run, so it cannot be measured:\n{code.strip()}\n{done.stderr}")
    return done.stdout


def wall(code: str) -> float:
    """Return the seconds that a whole process takes."""
    start = time.perf_counter()
    python(code)
    return time.perf_counter() - start


def medians(programs: dict[str, str], measure: Callable[[str], float], rounds: int) -> dict[str, float]:
    """Return the median of each program, all measured in turns."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, code in programs.items():
            found[name].append(measure(code))
    return {name: statistics.median(values) for name, values in found.items()}


def table(title: str, found: dict[str, float], unit: str, scale: float) -> None:
    """Print medians and their ratio to the first."""
    first = next(iter(found.values()))
    print(f"\n{title}")
    for name, value in found.items():
        print(f"  {name:28} {value * scale:9.2f} {unit}   {value / first:6.2f} x")


def kernels() -> None:
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


def main() -> None:
    """Measure everything and print the tables."""
    bare = medians({"bare": "pass"}, wall, 9)["bare"]
    print(f"Python {sys.version.split()[0]}; a bare interpreter takes {bare * 1000:.0f} ms, part of each import below")
    table("Import, whole process (aim: coursekit at most 0.25 x)", medians(IMPORTS, wall, 9), "ms", 1000)
    found = medians(DISSECTIONS, lambda code: float(python(code)), 5)
    table("One frame taken apart (aim: coursekit not slower)", found, "ms", 1000)
    kernels()


if __name__ == "__main__":
    main()
