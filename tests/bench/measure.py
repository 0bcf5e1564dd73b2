"""Measuring whole processes: medians of several, in turns, so that a busy moment hits all alike."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(code: str, interpreter: str = sys.executable) -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    done = subprocess.run([interpreter, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
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
