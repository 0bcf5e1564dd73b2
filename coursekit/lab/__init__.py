"""The real thing: a cluster in network namespaces, recordings of such labs, and what this machine can do."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "up":  # loaded when asked for: recordings need no namespaces
        return import_module("coursekit.lab.live").up
    raise AttributeError(f"module 'coursekit.lab' has no attribute {name!r}")
