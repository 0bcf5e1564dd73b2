"""What every judge does: draw the numbers of a variant, show them, judge an answer, and know one that is right."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

from coursekit.exercises.status import Finding, Judgement, Status
from coursekit.views.panel import Part


class Judge(ABC):
    """One exercise. `n` is the variant, from 1; the same n gives the same numbers everywhere.

    `names` are the values that it asks for; without any it asks for one, unnamed.
    """

    def names(self, n: int) -> tuple[str, ...]:
        """Return the names of the values that a variant asks for; none, if it asks for one value."""
        return ()

    @abstractmethod
    def facts(self, n: int) -> Mapping[str, Any]:
        """Return the numbers of a variant, by the names that its texts use."""

    @abstractmethod
    def figures(self, n: int) -> tuple[Part, ...]:
        """Return what the question shows."""

    @abstractmethod
    def judge(self, n: int, answer: Any) -> Judgement:
        """Judge an answer, a dict where the exercise has names. Unreadable, if it cannot be read."""

    @abstractmethod
    def reference(self, n: int) -> Any:
        """Return an answer that is right, as a learner would type it."""

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return what the solution shows beside its text."""
        return ()


def draw(exercise: str, n: int) -> random.Random:
    """Return the source of a variant's numbers."""
    return random.Random(f"{exercise} {n}")


def beliefs_of(value: Hashable, rivals: Mapping[str, Hashable], right: Hashable) -> tuple[str, ...]:
    """Return the beliefs whose value this is, the likeliest first, two at most; none for the right value.

    A belief that gives several values has them in a tuple.
    """
    if value == right:
        return ()
    fitting = (code for code, rival in rivals.items() if value in (rival if isinstance(rival, tuple) else (rival,)))
    return tuple(fitting)[:2]


def not_yet(codes: tuple[str, ...], otherwise: str, values: Mapping[str, Any]) -> Finding:
    """Return a finding that names beliefs, or, where there are none, the property that fails."""
    return Finding(Status.NOT_YET, codes or (otherwise,), values)


def correct(code: str = "correct", /, **values: Any) -> Finding:
    """Return the finding that a value is right."""
    return Finding(Status.CORRECT, (code,), values)
