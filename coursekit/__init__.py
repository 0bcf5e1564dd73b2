"""coursekit: the helper package of the course on how Kubernetes pods talk across nodes.

What a notebook needs, by name. Nothing is imported before it is used, so `import coursekit` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CourseError": "errors:CourseError",
    "dissect": "packets.layout:dissect",
    "ENCAPSULATIONS": "packets.encapsulation:ENCAPSULATIONS",
    "encapsulate": "packets.encapsulation:encapsulate",
    "forward": "packets.encapsulation:forward",
    "compare": "packets.compare:compare",
    "overhead": "packets.mtu:overhead",
    "inner_mtu": "packets.mtu:inner_mtu",
    "largest_ping": "packets.mtu:largest_ping",
    "load_cluster": "cluster.model:load",
    "tables": "cluster.profiles:tables",
    "lookup": "cluster.lookup:lookup",
    "network": "cluster.network:network",
    "ping": "cluster.journey:ping",
    "traceroute": "cluster.journey:traceroute",
    "break_": "cluster.faults:apply",
    "load_capture": "packets.capture:load",
    "recording": "lab.recording:recording",
    "recordings": "lab.recording:recordings",
    "predict": "exercises.predictions:predict",
    "outcome": "exercises.predictions:outcome",
    "exercise": "exercises.answering:exercise",
    "check": "exercises.answering:check",
    "hint": "exercises.answering:hint",
    "show_solution": "exercises.answering:show_solution",
    "again": "exercises.answering:again",
    "progress": "exercises.progress:progress",
    "Status": "exercises.status:Status",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pods-across-nodes")
    if name in _HOMES:
        module, attribute = _HOMES[name].split(":")
        return getattr(import_module(f"coursekit.{module}"), attribute)
    raise AttributeError(f"module 'coursekit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
