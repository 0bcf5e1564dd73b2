"""Notebook 04 as a learner meets it: their copy, in JupyterLab with scroll bars shown, guessed at and answered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.exercises.editions import copy
from tests.browser.conftest import ARGUMENTS, Lab, watched
from tests.conftest import chromium

pytestmark = pytest.mark.browser

NAME = "04-vxlan-deep-dive.ipynb"
OUTCOMES = """() => [...document.querySelectorAll('.jp-OutputArea-output .ck-panel > figcaption')]
    .map(head => head.textContent).filter(line => /4[.][a-g]: /.test(line))"""
STAGE = "() => document.querySelector('.jp-OutputArea-output .ck-journey').getBoundingClientRect().top"
# What of a figure lies to the right of its output, where nobody can scroll to.
CUT = """() => [...document.querySelectorAll('.jp-OutputArea-output .ck')].flatMap(figure => {
    const edge = figure.closest('.jp-OutputArea-output').getBoundingClientRect().right + 1;
    return [...figure.querySelectorAll('*')].filter(e => e.checkVisibility() && !e.closest('svg')
        && e.getBoundingClientRect().width && e.getBoundingClientRect().right > edge)
        .filter(e => { for (let up = e.parentElement; up && up !== figure.parentElement; up = up.parentElement)
            if (['auto', 'scroll'].includes(getComputedStyle(up).overflowX)) return false; return true; })
        .map(e => `${figure.className.split(' ')[1]}: ${e.tagName} ${e.className}`);
})"""


@pytest.fixture(scope="module")
def learner(lab: Lab) -> Lab:
    """A JupyterLab that serves the learner's copy."""
    copy(lab.root / "my-course")
    return lab


@pytest.fixture(scope="module")
def bars(browser: Any) -> Iterator[Any]:
    """A Chromium that shows its scroll bars."""
    shown = browser.browser_type.launch(
        executable_path=chromium(), headless=True, args=ARGUMENTS, ignore_default_args=["--hide-scrollbars"]
    )
    yield shown
    shown.close()


@pytest.fixture
def page(bars: Any) -> Iterator[Any]:
    """A page of 1440 x 900."""
    context = bars.new_context(viewport={"width": 1440, "height": 900})
    yield watched(context.new_page())
    context.close()


def picture(page: Any, name: str) -> None:
    """Keep pictures of every screen of the notebook where COURSEKIT_SCREENS names a folder."""
    if not (folder := os.environ.get("COURSEKIT_SCREENS")):
        return
    for number, cell in enumerate(page.query_selector_all(".jp-Cell")):
        if cell.query_selector(".jp-OutputArea-output"):
            cell.scroll_into_view_if_needed()
            cell.screenshot(path=Path(folder) / f"{name}-{number:02}.png")


def test_before_anything_runs_the_stage_stands_on_the_first_screen(learner: Lab, page: Any) -> None:
    """The stored picture of the stage begins within the first 900 pixels, and no outcome is told."""
    learner.open(page, f"my-course/{NAME}", run=False)
    page.wait_for_selector(".jp-OutputArea-output .ck-journey")

    assert page.evaluate(STAGE) < 900
    if folder := os.environ.get("COURSEKIT_SCREENS"):
        page.screenshot(path=Path(folder) / "first.png")
    assert page.evaluate(OUTCOMES) == []


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (900, True)])
def test_run_all_without_an_answer(learner: Lab, page: Any, width: int, dark: bool) -> None:
    """Everything runs, every outcome is headed "not predicted", nothing is cut off, and the console stays quiet."""
    page.set_viewport_size({"width": width, "height": 900})
    learner.open(page, f"my-course/{NAME}", dark=dark)
    page.wait_for_function(f"() => ({OUTCOMES})().length >= 7", timeout=120_000)

    said = page.evaluate(OUTCOMES)

    assert [line.split(":")[1].strip() for line in said] == ["not predicted"] * 7
    picture(page, f"{width}-{'dark' if dark else 'light'}")
    assert page.evaluate(CUT) == []
    assert page.problems == []
