"""A prediction and a check as a learner meets them: JupyterLab, Chromium, mouse and keyboard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.conftest import Lab

pytestmark = pytest.mark.browser

SETUP = "from coursekit import check, exercise, outcome, predict"
WIDER = """() => [...document.querySelectorAll('.jp-OutputArea-output')].filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.textContent.slice(0, 80))"""
NAMELESS = """() => [...document.querySelectorAll('.ck-form input, .ck-form button')].filter(e =>
    !(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))).map(e => e.outerHTML)"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_prediction_is_committed_with_the_keyboard(lab: Lab, page: Any, theme: str) -> None:
    """Space and arrows choose, Tab goes on, Enter commits; the cell is not cut on x, and the outcome knows it."""
    lab.write("predict.ipynb", SETUP, 'form = predict("4.a")\nform', 'outcome("4.a", "evidence")')
    lab.open(page, "predict.ipynb", dark=theme == "dark")
    form = page.locator(".ck-form").first
    assert page.evaluate(NAMELESS) == []
    radios = form.locator("input[type=radio]")
    assert radios.count() == 4
    assert form.get_by_role("radiogroup", name="Options").count() == 1
    assert form.locator("button").is_disabled()

    radios.nth(0).focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("!document.querySelector('.ck-form button').disabled")
    page.keyboard.press("x")
    for _ in range(3):  # each radio button is a stop of its own
        if page.evaluate("document.activeElement.tagName") != "BUTTON":
            page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("text=committed: c) 63 and 62").wait_for()
    assert page.locator(".jp-CodeCell").count() == 3

    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator("text=4.a: predicted c").wait_for()
    assert page.evaluate(WIDER) == []
    assert page.problems == []


def test_a_check_draws_the_learners_row(lab: Lab, page: Any) -> None:
    """Question, reply and journey fit the notebook's width, and nothing fails on the page."""
    page.set_viewport_size({"width": 900, "height": 900})
    cells = ['exercise("4.8")', 'check("4.8", "12:ef:63:87:b8:7f dev flannel.1 dst 10.244.63.0")', 'check("4.1")',
             'exercise("4.1")', 'check("4.6", "udp port 8472")']  # fmt: skip
    lab.write("check.ipynb", SETUP, *cells)
    lab.open(page, "check.ipynb")
    text = page.locator(".jp-Notebook").inner_text()
    page.set_viewport_size({"width": 1300, "height": 1000})

    assert "4.8: not yet" in text
    assert "4.1: not attempted" in text
    assert "What libpcap passes" in text
    assert page.evaluate(WIDER) == []
    assert page.problems == []


def test_a_notebook_does_not_grow_with_its_forms(lab: Lab, page: Any) -> None:
    """After fifty forms for one question, what is saved is below 300 kB."""
    lab.write("grow.ipynb", SETUP, 'for _ in range(50):\n    form = predict("4.a").commit("a")\nform')
    lab.open(page, "grow.ipynb")
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    saved = (lab.root / "grow.ipynb").read_text()
    print(f"{len(saved)} bytes, {len(json.dumps(json.loads(saved)['metadata'].get('widgets', {})))} of them widgets")

    assert len(saved) < 300_000
