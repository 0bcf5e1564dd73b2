"""What can become of an answer: the six outcomes, and what a judge says about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What became of an answer. Only the first three count as an attempt."""

    CORRECT = "correct"
    WORKS_BUT = "works-but"  # accepted, and the cost is named
    NOT_YET = "not-yet"
    UNREADABLE = "unreadable"
    NOT_ATTEMPTED = "not-attempted"  # the starter, `...`
    ERROR_IN_YOUR_CELL = "error-in-your-cell"  # for an answer that is called

    @property
    def counts(self) -> bool:
        """Whether this was an attempt."""
        return self in (Status.CORRECT, Status.WORKS_BUT, Status.NOT_YET)


_ORDER = (Status.CORRECT, Status.WORKS_BUT, Status.NOT_YET)


@dataclass(frozen=True)
class Finding:
    """One thing a judge found. `codes` are ids of beliefs, or of one message; two beliefs where both fit.

    `values` fill the text of that id, beside the facts of the variant.
    """

    status: Status
    codes: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """All that a judge found, the learner's own value in words, and views as evidence."""

    findings: tuple[Finding, ...]
    decoded: str = ""
    evidence: tuple[Any, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of what was found."""
        return worst(found.status for found in self.findings)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of statuses that count as attempts; correct if there is none."""
    return max(statuses, key=_ORDER.index, default=Status.CORRECT)


class Unreadable(Exception):  # noqa: N818  # an outcome, not an error
    """An answer that cannot be read; its text says how to write it. No attempt is spent."""


class Missing(Exception):  # noqa: N818
    """Parts of the answer that are still the starter."""
