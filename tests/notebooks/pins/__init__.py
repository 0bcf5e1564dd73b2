"""Every number that prose states as a fact, beside the computation that yields it; a file per notebook or two.

A pin is a phrase of a notebook with `{}` where the numbers are, the cell it stands in, and an expression. If the
model says something else tomorrow, or the sentence is changed, the test says which sentence, and what to write.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .pin import ASSUMED, Pin

__all__ = ["ASSUMED", "PINS", "Pin"]

# each file beside this one but pin.py has its own PINS
_FILES = sorted(module.name for module in iter_modules(__path__) if module.name != "pin")
PINS: tuple[Pin, ...] = tuple(pin for name in _FILES for pin in import_module(f"{__name__}.{name}").PINS)
