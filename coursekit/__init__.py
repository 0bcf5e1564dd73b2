"""coursekit: the helper package of the course on how Kubernetes pods talk across nodes.

What a notebook needs, by name. Nothing is imported before it is used, so `import coursekit` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CourseError": "errors",
    "dissect": "packets.layout",
    "ENCAPSULATIONS": "packets.encapsulation",
    "encapsulate": "packets.encapsulation",
    "compare": "packets.compare",
    "recording": "lab.recording",
    "recordings": "lab.recording",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pods-across-nodes")
    if name in _HOMES:
        return getattr(import_module(f"coursekit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'coursekit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
