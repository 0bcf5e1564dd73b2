"""JourneyView and the forms as a learner meets them: JupyterLab, Chromium, mouse and keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.views.forms import explore_fault
from coursekit.views.journey import JourneyView
from tests.browser.conftest import Lab, code, watched

pytestmark = pytest.mark.browser

SETUP = """
from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.views.forms import explore_fault
from coursekit.views.journey import JourneyView
view = JourneyView(ping(network(load("chapter")), "podA", "podB"))
"""
CELLS = "() => document.querySelectorAll('.jp-CodeCell').length"
SUPPRESSED = """root => [...root.querySelectorAll('button, select, input, [tabindex="0"]')]
    .filter(e => e.closest('.ck-bar') || e.closest('.ck-form')).map(e => e.dataset.lmSuppressShortcuts)"""


@pytest.fixture(scope="module")
def drawn(lab: Lab, browser: Any) -> Iterator[Any]:
    """A page with a live journey and a live form."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = watched(context.new_page())
    lab.write("journey.ipynb", SETUP, "view", "form = explore_fault(); form", "'another cell'")
    lab.open(page, "journey.ipynb")
    page.wait_for_selector(".ck-form .ck-bar")
    yield page
    assert page.problems == []
    context.close()


@pytest.fixture
def bar(drawn: Any) -> Any:
    """The bar of the journey, with all stops shown."""
    found = drawn.locator(".ck-bar").first
    found.focus()
    drawn.keyboard.press("Escape")
    return found


def now(page: Any) -> list[str]:
    """Return the numbers of the stops that are current."""
    return page.locator(".ck-journey").first.locator(".ck-now > td:first-child").all_inner_texts()


def test_nothing_moves_until_asked(drawn: Any, bar: Any) -> None:
    """At first all stops are shown in full, without a mark on the map."""
    assert now(drawn) == []
    assert drawn.locator(".ck-why").nth(3).is_visible()
    assert not drawn.locator(".ck-here").first.is_visible()


def test_step_and_back(drawn: Any, bar: Any) -> None:
    """Step goes to the next stop, opens it alone, and says where it is; Back goes back; Show all shows all."""
    step = bar.get_by_text("Step ▶")
    for number in range(1, 4):
        step.click()
        assert now(drawn) == [str(number)]
    assert bar.get_by_role("status").inner_text() == "Stop 3, node1:cni0: cni0 takes the frame for its host"
    assert [drawn.locator(".ck-why").nth(i).is_visible() for i in range(4)] == [False, False, True, False]
    bar.get_by_text("Back").click()
    assert now(drawn) == ["2"]
    bar.get_by_text("Show all").click()
    assert now(drawn) == []


def test_arrow_keys_and_both_ends(drawn: Any, bar: Any) -> None:
    """On the focused bar the arrow keys step, Home and End jump, and no key leaves the ends."""
    bar.focus()
    seen = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "End", "ArrowRight", "Home"):
        drawn.keyboard.press(key)
        seen += now(drawn)
    assert seen == ["1", "2", "1", "1", "12", "12", "1"]
    assert bar.get_by_text("Back").get_attribute("aria-disabled") == "true"


def test_the_mark_lies_on_the_device(drawn: Any, bar: Any) -> None:
    """The mark on the map is where the stop's device is drawn, also when the picture has shrunk."""
    figure = drawn.locator(".ck-journey").first
    bar.focus()
    drawn.keyboard.press("Home")
    for width in (1300, 700):
        drawn.set_viewport_size({"width": width, "height": 1000})
        drawn.wait_for_timeout(300)
        picture, mark = figure.locator("img").bounding_box(), figure.locator(".ck-here").bounding_box()
        scale = picture["width"] / float(figure.locator("img").get_attribute("width"))
        # podA's eth0 is the first chip: its middle is 70 right and 60 down of the corner, in the picture's own units.
        middle = (mark["x"] + mark["width"] / 2 - picture["x"], mark["y"] + mark["height"] / 2 - picture["y"])
        assert middle == pytest.approx((70 * scale, 60 * scale), abs=3)
    drawn.set_viewport_size({"width": 1300, "height": 1000})


def test_x_does_not_cut_the_cell(drawn: Any, bar: Any) -> None:
    """Letters typed on the bar, its buttons or a form's drop-down are not JupyterLab's commands."""
    before = drawn.evaluate(CELLS)
    for focused in (bar, bar.get_by_text("Step ▶"), drawn.locator(".ck-form select").first):
        focused.focus()
        drawn.keyboard.press("x")
        drawn.keyboard.press("d")
        drawn.keyboard.press("d")
    drawn.wait_for_timeout(200)
    assert drawn.evaluate(CELLS) == before == 4
    assert set(drawn.evaluate(SUPPRESSED, drawn.query_selector(".jp-Notebook"))) == {"true"}


def test_a_form_changes_the_journey(drawn: Any) -> None:
    """A fault chosen in the drop-down draws another journey, which steps as well; the drop-down keeps its focus."""
    form = drawn.locator(".ck-form")
    form.get_by_label("What is broken").select_option("wrong-vni")
    form.locator("figcaption", has_text="dropped after 8 stops").wait_for()
    form.locator(".ck-bar").get_by_text("Step ▶").click()
    assert form.locator(".ck-now > td:first-child").all_inner_texts() == ["1"]
    form.get_by_label("Profile").select_option("host-gw")
    form.get_by_text("node2 has no VXLAN device, so there is no VNI to break").wait_for()
    form.get_by_label("What is broken").select_option("nothing")
    form.locator("figcaption", has_text="delivered after 10 stops").wait_for()


def test_what_is_stored(lab: Lab, page: Any) -> None:
    """A stored journey and the twin of a form are readable without a kernel, trusted or not, and without a widget."""
    form = explore_fault()
    form.fault.value = "wrong-vni"
    journey = JourneyView(ping(network(load("chapter")), "podA", "podB"))
    bundles = [drawn._repr_mimebundle_() for drawn in (journey, form)]
    for bundle in bundles:
        bundle.pop("application/vnd.jupyter.widget-view+json", None)
    lab.write("stored.ipynb", *(code("stored", bundle) for bundle in bundles))
    page.goto("about:blank")  # a page that has met no live figure yet
    for trusted in (False, True):
        if trusted:
            lab.trust("stored.ipynb")
        lab.open(page, "stored.ipynb", run=False)
        page.wait_for_selector("img.ck-picture")
        assert page.locator(".ck-stops tr", has_text="node1:flannel.1").first.is_visible()
        assert page.get_by_text("no device has VNI 1 (flannel.1 has 2)").first.is_visible()
        assert page.evaluate("() => document.querySelector('img.ck-picture').naturalWidth") > 500
        assert page.locator(".ck-bar").count() == 0
    assert page.problems == []
