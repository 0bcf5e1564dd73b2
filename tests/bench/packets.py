"""Importing coursekit, and taking frames apart, against scapy alone."""

from __future__ import annotations

import sys

from tests.bench.measure import ROOT, medians, python, table, wall

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


def main() -> None:
    """Measure and print two tables."""
    bare = medians({"bare": "pass"}, wall, 9)["bare"]
    print(f"Python {sys.version.split()[0]}; a bare interpreter takes {bare * 1000:.0f} ms, part of each import below")
    table("Import, whole process (aim: coursekit at most 0.25 x)", medians(IMPORTS, wall, 9), "ms", 1000)
    found = medians(DISSECTIONS, lambda code: float(python(code)), 5)
    table("One frame taken apart (aim: coursekit not slower)", found, "ms", 1000)
