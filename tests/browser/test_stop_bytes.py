"""The frame at a journey's current stop, as bytes and fields: what a running kernel adds to the drawn journey."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Lab

pytestmark = pytest.mark.browser

DRAW = """
from coursekit import load_cluster, network, ping, views
views.journey(ping(network(load_cluster("chapter")), "podA", "podB"))
"""


@pytest.fixture
def figure(lab: Lab, page: Any) -> Any:
    """A live journey, and a form that holds another, in one notebook."""
    shown = "() => window.jupyterapp?.shell.currentWidget?.title.label"
    if page.evaluate(shown) != "bytes.ipynb":
        lab.write("bytes.ipynb", DRAW, "views.explore_fault()")
        lab.open(page, "bytes.ipynb")
        page.wait_for_function("() => document.querySelectorAll('.ck-journey .ck-bar').length === 2")
    return page.locator(".ck-journey").first


def test_bytes_follow_the_steps(figure: Any) -> None:
    """Bytes shows the frame of the current stop, whole and alive, and goes with it from stop to stop."""
    figure.get_by_role("button", name="Bytes").click()
    assert figure.locator(".ck-packet figcaption").inner_text() == "98 bytes"
    for _ in range(4):
        figure.get_by_role("button", name="Step").click()
    assert figure.locator(".ck-packet figcaption").inner_text() == "148 bytes"
    figure.locator(".ck-packet .ck-hex .f0").first.hover()
    assert "Destination (eth.dst)" in figure.locator(".ck-detail").inner_text()
    figure.get_by_role("button", name="Show all").click()
    assert figure.locator(".ck-packet").count() == 0


def test_bytes_inside_a_form(figure: Any, page: Any) -> None:
    """The journey that a form draws has them too, also after the form was changed."""
    page.locator(".ck-form select").first.select_option("wrong-port")
    page.wait_for_function("() => document.querySelectorAll('.ck-journey')[1]?.textContent.includes('Dropped')")
    second = page.locator(".ck-journey").nth(1)
    second.get_by_role("button", name="Bytes").click()
    assert second.locator(".ck-packet figcaption").inner_text() == "98 bytes"


def test_bytes_are_not_stored(lab: Lab, figure: Any, page: Any) -> None:
    """The saved output holds the drawn journey alone: no frame of any stop."""
    output = lab.saved(page, "bytes.ipynb")["cells"][0]["outputs"][0]["data"]
    assert set(output) == {"text/plain", "text/html"}
    assert "ck-hex" not in "".join(output["text/html"]).split("</style>")[-1]
    assert page.problems == []
