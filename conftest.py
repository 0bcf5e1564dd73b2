"""What nbval compares in the notebooks: text, which is the contract; markup is held by `make refresh` and git diff."""

from __future__ import annotations

import pytest


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let nbval skip the drawn twins, so that a change of style does not fail every cell."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("text/html", "application/vnd.plotly.v1+json")
