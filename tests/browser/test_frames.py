"""FramesView as a learner meets it: rows and cells open frames, by mouse and keyboard, with and without a kernel."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Lab, code

pytestmark = pytest.mark.browser

DRAW = """
from coursekit import recording, views
views.frames(recording("flannel-vxlan"), filter="icmp", most=4)
"""
LIST = 'views.frames(recording("flannel-vxlan"), "node1:eth0", most=6)'


@pytest.fixture
def drawn(lab: Lab, page: Any) -> Any:
    """A page with packets by point and a list; drawn anew only if another test has put something else there."""
    shown = "() => window.jupyterapp?.shell.currentWidget?.title.label"
    if page.evaluate(shown) != "frames.ipynb":
        lab.write("frames.ipynb", DRAW, LIST)
        lab.open(page, "frames.ipynb")
    page.wait_for_function("() => document.querySelectorAll('.ck-live').length === 2")
    while page.locator(".ck-open[aria-expanded=true]").count():
        page.locator(".ck-open[aria-expanded=true]").first.click()
    return page


def test_a_cell_opens_its_frame(drawn: Any) -> None:
    """A click on a packet's cell at a capture point shows that frame, alive; another cell shows another instead."""
    cells = drawn.locator(".ck-points td[data-frame]")
    cells.nth(3).click()
    opened = drawn.locator(".ck-points .ck-packet")
    opened.wait_for()
    assert opened.locator("figcaption").inner_text() == "Frame 3 at node1:eth0 · 148 bytes"
    opened.locator(".ck-env i").nth(3).click()
    assert "VXLAN Network Identifier" in opened.inner_text()
    cells.nth(2).click()
    opened.locator("figcaption", has_text="98 bytes").wait_for()
    assert drawn.locator(".ck-points .ck-packet").count() == 1
    cells.nth(2).click()
    assert drawn.locator(".ck-points .ck-more").count() == 0


def test_a_row_opens_its_frame(drawn: Any) -> None:
    """A click anywhere on a row of the list opens the frame of that number."""
    drawn.locator(".ck-list > tbody > tr").nth(3).locator("td").nth(2).click()
    drawn.locator(".ck-list .ck-packet").wait_for()
    assert drawn.locator(".ck-list .ck-packet figcaption").inner_text() == "Frame 4 at node1:eth0 · 148 bytes"


def test_by_keyboard(drawn: Any) -> None:
    """One Tab stop; arrow keys go to the neighbour and to the next packet; Enter opens, Escape shuts."""
    drawn.locator(".ck-points .ck-open").first.focus()
    assert drawn.locator('.ck-points .ck-open[tabindex="0"]').count() == 1
    drawn.keyboard.press("ArrowRight")
    drawn.keyboard.press("ArrowDown")
    label = drawn.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert "packet 2." in label
    assert "node1:cni0" in label
    drawn.keyboard.press("Enter")
    drawn.locator(".ck-points .ck-packet").wait_for()
    assert drawn.evaluate("() => document.activeElement.getAttribute('aria-expanded')") == "true"
    before = drawn.locator(".jp-Cell").count()
    for key in "xbdd":
        drawn.keyboard.press(key)
    drawn.keyboard.press("Escape")
    assert drawn.locator(".ck-points .ck-more").count() == 0
    assert drawn.locator(".jp-Cell").count() == before


def test_nothing_opened_is_stored(lab: Lab, drawn: Any) -> None:
    """Opening frames adds nothing to what is saved: neither to the output nor to a widget's state."""
    drawn.locator(".ck-points td[data-frame]").nth(4).click()
    drawn.locator(".ck-points .ck-packet").wait_for()
    saved = lab.saved(drawn, "frames.ipynb")
    output = saved["cells"][0]["outputs"][0]["data"]
    assert set(output) == {"text/plain", "text/html"}
    assert "ck-hex" not in "".join(output["text/html"]).split("</style>")[-1]
    assert drawn.problems == []


@pytest.mark.parametrize("width", [1440, 900])
def test_all_columns_fit(drawn: Any, width: int) -> None:
    """Eight capture points, and what is opened beneath them, fit in a narrow page, with nothing cut at the right."""
    size = drawn.viewport_size
    drawn.set_viewport_size({"width": width, "height": 900})
    cut = """() => [...document.querySelectorAll('.ck-frames')].map(table =>
        table.getBoundingClientRect().right - table.closest('.jp-OutputArea-output').getBoundingClientRect().right)"""
    assert max(drawn.evaluate(cut)) <= 0
    drawn.locator(".ck-points td[data-frame]").nth(3).click()
    drawn.locator(".ck-list > tbody > tr").nth(3).click()
    drawn.locator(".ck-points .ck-packet").wait_for()
    drawn.locator(".ck-list .ck-packet").wait_for()
    assert max(drawn.evaluate(cut)) <= 0
    drawn.set_viewport_size(size)


def test_without_a_kernel_frames_unfold_as_text(lab: Lab, drawn: Any) -> None:
    """In a trusted notebook that nobody ran, the first frames open by HTML alone."""
    data = lab.saved(drawn, "frames.ipynb")["cells"][0]["outputs"][0]["data"]
    lab.write("stored.ipynb", code("'stored'", {mime: "".join(lines) for mime, lines in data.items()}))
    lab.trust("stored.ipynb")
    drawn.goto("about:blank")  # a page that has met no live figure yet
    lab.open(drawn, "stored.ipynb", run=False)
    assert drawn.locator(".ck-live").count() == 0
    drawn.locator(".ck-more summary").first.click()
    assert "Time to Live" in drawn.locator(".ck-more pre").first.inner_text()
