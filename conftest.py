"""What nbval compares in the notebooks: text, which is the contract; markup is held by `make refresh` and git diff."""

from __future__ import annotations

import os

import pytest

os.environ["COURSEKIT_PROGRESS"] = ""  # stored outcomes are those of nobody who has predicted


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let nbval skip the drawn twins, so that a change of style does not fail every cell."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("text/html", "application/vnd.plotly.v1+json")
