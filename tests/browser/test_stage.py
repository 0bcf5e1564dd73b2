"""The stage as a learner meets it: JupyterLab, Chromium with scroll bars, mouse and keyboard, light and dark."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.cluster.faults import apply
from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.views.stage import Stage
from tests.browser.conftest import ARGUMENTS, Lab, code, watched
from tests.browser.test_all_views import PALE
from tests.conftest import chromium

pytestmark = pytest.mark.browser

NET = network(load("chapter"))
SETUP = """
from coursekit import break_, load_cluster, network, ping, views
net = network(load_cluster("chapter"))
racks = network(load_cluster("two-racks"))
"""
DRAWN = {
    "flannel": 'views.journey(ping(net, "podA", "podB"))',
    "lost": 'views.journey(ping(break_(net, "wrong-port"), "podA", "podB"))',
    "racks": 'views.journey(ping(racks, "podA", "podC"))',
    "ipip": 'views.journey(ping(network(load_cluster("chapter").with_profile("calico-ipip")), "podA", "podB"))',
}
CELLS = "() => document.querySelectorAll('.jp-CodeCell').length"
SUPPRESSED = """root => [...root.querySelectorAll('.ck-walk :is(button, input, [tabindex="0"])')]
    .map(e => e.dataset.lmSuppressShortcuts)"""
# What sticks out of the figure at the right, or is drawn with letters under 11 px; scenes may scroll by themselves.
FAULTS = """figure => {
    const edge = figure.getBoundingClientRect().right + 1, found = [];
    for (const e of figure.querySelectorAll('.ck-walk, .ck-walk *')) {
        if (!e.checkVisibility() || e.closest('svg, style')) continue;
        const box = e.getBoundingClientRect();
        if (box.right > edge && !e.closest('.ck-scene, .ck-steps, .ck-panel')) found.push(`out: ${e.className}`);
    }
    const svg = figure.querySelector('.ck-walk svg');
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    for (const text of svg.querySelectorAll('text')) {
        const size = parseFloat(getComputedStyle(text).fontSize) * scale;
        if (text.textContent && size < 10.99) found.push(`small: ${size} ${text.textContent}`);
        const inside = text.getBoundingClientRect(), whole = svg.getBoundingClientRect();
        if (inside.left < whole.left - 1 || inside.right > whole.right + 1) found.push(`cut: ${text.textContent}`);
        const box = text.parentNode.matches('.ck-box, .ck-chip') && text.parentNode.querySelector('rect');
        if (box && inside.width > box.getBoundingClientRect().width + 1) found.push(`wide: ${text.textContent}`);
    }
    return found;
}"""
# Text of the drawing that stands out less than 4.5 : 1 from what it is written on.
FAINT = """svg => {
    const light = colour => colour.match(/[\\d.]+/g).slice(0, 3)
        .map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const fill = e => light(getComputedStyle(e).fill);
    const found = [];
    let seen = 0;
    for (const text of svg.querySelectorAll('text')) {
        const box = text.parentNode.querySelector(':scope > rect');
        const solid = box && text.parentNode !== svg && getComputedStyle(box).fill !== 'none';
        const grounds = solid ? [box] : [svg.querySelector('.ck-room'), svg.querySelector('.ck-sheet')];
        for (const under of grounds) {
            seen += 1;
            const [a, b] = [fill(text), fill(under)].sort((x, y) => y - x);
            if ((a + .05) / (b + .05) < 4.5) found.push([(a + .05) / (b + .05), text.textContent]);
        }
    }
    return [seen, found];
}"""

# The colour of a screenshot near its upper left corner, on the ground of the drawing.
CORNER = """async shot => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${shot}`)).blob());
    const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    pen.drawImage(bitmap, 0, 0);
    return [...pen.getImageData(20, 12, 1, 1).data].slice(0, 3);
}"""


@pytest.fixture(scope="module")
def bars(browser: Any) -> Iterator[Any]:
    """A Chromium that shows scroll bars, which take space as on Linux and Windows."""
    opened = browser.browser_type.launch(
        executable_path=chromium(), headless=True, args=ARGUMENTS, ignore_default_args=["--hide-scrollbars"]
    )
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def drawn(lab: Lab, bars: Any) -> Iterator[Any]:
    """A page of 1440 × 900 with several stages, alive."""
    context = bars.new_context(viewport={"width": 1440, "height": 900})
    page = watched(context.new_page())
    lab.write("stage.ipynb", SETUP, *DRAWN.values(), "views.explore_fault()", "'another cell'")
    lab.open(page, "stage.ipynb")
    page.wait_for_function(f"() => document.querySelectorAll('.ck-walk').length === {len(DRAWN) + 1}")
    yield page
    assert page.problems == []
    context.close()


@pytest.fixture
def stage(drawn: Any) -> Any:
    """The first stage, at its first stop."""
    found = drawn.locator(".ck-journey").first
    found.locator(".ck-bar").focus()
    drawn.keyboard.press("Home")
    return found


def now(stage: Any) -> str:
    """Return what the line under the drawing says, to its first dot: "Stop 4 of 12"."""
    return str(stage.locator(".ck-walk .ck-said").inner_text()).partition(" ·")[0]


def test_one_stop_at_a_time_from_the_first(stage: Any) -> None:
    """It begins at stop 1; Step and Back go on and back; the list is closed until somebody asks."""
    assert now(stage) == "Stop 1 of 12"
    assert not stage.locator(".ck-stops").first.is_visible()
    step = stage.get_by_role("button", name="Step")
    for number in (2, 3, 4):
        step.click()
        assert now(stage) == f"Stop {number} of 12"
    assert "node1:flannel.1 · 98 bytes" in stage.locator(".ck-walk .ck-said").inner_text()
    assert stage.locator(".ck-walk .ck-chip.ck-here").text_content() == "flannel.1"
    assert "bridge fdb" in stage.locator(".ck-panel").inner_text()
    stage.get_by_role("button", name="Back").click()
    assert now(stage) == "Stop 3 of 12"
    stage.get_by_text("All 12 stops").click()
    assert stage.locator(".ck-stops").first.is_visible()
    stage.get_by_text("All 12 stops").click()


def test_the_packet_grows_and_shrinks(stage: Any, drawn: Any) -> None:
    """98 bytes, 148 in the envelope, 98 again: in words and in boxes; the answer goes the other way."""
    sizes, boxes = [], []
    for _ in range(24):
        said = stage.locator(".ck-walk .ck-said").inner_text()
        sizes.append(int(re.search(r"(\d+) bytes", said)[1]))  # type: ignore[index]
        boxes.append(stage.locator(".ck-walk .ck-box:not(.ck-ghost)").count())
        drawn.keyboard.press("ArrowRight")
    assert sizes == ([98] * 4 + [148] * 4 + [98] * 4) * 2
    assert boxes == ([4] * 4 + [8] * 4 + [4] * 4) * 2
    assert now(stage) == "Stop 12 of 12"
    assert stage.get_by_role("button", name="Answer").get_attribute("aria-pressed") == "true"


def test_keys_scrub_chapters_and_devices(stage: Any, drawn: Any) -> None:
    """Arrow keys, Home and End, the scrubber, a chapter's stop and a device in the drawing all go where they say."""
    for key, where in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 12), ("Home", 1)):
        drawn.keyboard.press(key)
        assert now(stage) == f"Stop {where} of 12"
    scrub = stage.get_by_role("slider", name="Stop")
    scrub.fill("6")
    assert now(stage) == "Stop 7 of 12"
    scrub.focus()
    drawn.keyboard.press("ArrowRight")
    assert now(stage) == "Stop 8 of 12"
    stage.get_by_role("button", name="Stop 10", exact=True).click()
    assert now(stage) == "Stop 10 of 12"
    stage.locator(".ck-walk .ck-chip", has_text="flannel.1").first.click()
    assert now(stage) == "Stop 4 of 12"
    assert stage.locator(".ck-chapter.ck-here").inner_text().startswith("3 VTEP wraps")
    stage.get_by_role("button", name="Answer").click()
    assert "podB:eth0" in stage.locator(".ck-walk .ck-said").inner_text()


def test_a_box_opens_its_fields(stage: Any, drawn: Any) -> None:
    """A click or Enter on a header shows its fields in the place of the rows; another click shows the rows again."""
    for _ in range(4):
        drawn.keyboard.press("ArrowRight")
    height = stage.bounding_box()["height"]
    box = stage.locator('.ck-walk [data-part="vxlan#1"]')
    box.click()
    assert "VXLAN Network Identifier" in stage.locator(".ck-panel").inner_text()
    assert stage.bounding_box()["height"] == height
    box.click()
    assert "ip route" in stage.locator(".ck-panel").inner_text()
    box.focus()
    drawn.keyboard.press("Enter")
    assert "VXLAN, 8 bytes" in stage.locator(".ck-panel").inner_text()
    drawn.keyboard.press("ArrowRight")
    assert now(stage) == "Stop 6 of 12"
    drawn.keyboard.press("ArrowRight")
    assert now(stage) == "Stop 7 of 12", "the keys still work after the box with the focus is gone"


def test_play_only_when_asked(stage: Any, drawn: Any) -> None:
    """Nothing moves by itself; Play goes on to the next stop, Pause stays."""
    drawn.wait_for_timeout(2000)
    assert now(stage) == "Stop 1 of 12"
    drawn.keyboard.press("Space")
    drawn.wait_for_function("() => document.querySelector('.ck-said[role=status]').textContent.startsWith('Stop 2 ')")
    stage.get_by_role("button", name="Pause").click()
    stopped = now(stage)
    drawn.wait_for_timeout(2000)
    assert now(stage) == stopped


def test_motion_is_reduced(stage: Any, drawn: Any) -> None:
    """The small packet glides from device to device, but not for those who asked for less motion."""
    glide = "() => getComputedStyle(document.querySelector('.ck-walk .ck-token')).transitionDuration"
    assert drawn.evaluate(glide) == "0.45s"
    drawn.emulate_media(reduced_motion="reduce")
    assert drawn.evaluate(glide) == "0s"
    drawn.emulate_media(reduced_motion="no-preference")


def test_letters_are_no_commands(stage: Any, drawn: Any) -> None:
    """Letters typed on whatever can have the focus do not cut the cell."""
    before = drawn.evaluate(CELLS)
    for focused in (".ck-bar", ".ck-step-on", "input[type=range]", ".ck-box[tabindex]", ".ck-panel"):
        stage.locator(focused).first.focus()
        for key in "xdd":
            drawn.keyboard.press(key)
    drawn.wait_for_timeout(200)
    assert drawn.evaluate(CELLS) == before
    marked = drawn.evaluate(SUPPRESSED, drawn.query_selector(".jp-Notebook"))
    assert set(marked) == {"true"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_is_readable(lab: Lab, drawn: Any, theme: str, tmp_path: Path) -> None:
    """At every stop of every stage: at most 620 px, nothing cut or small at 1440 and 900 px, contrast 4.5 : 1."""
    drawn.evaluate("dark => window.jupyterapp.commands.execute('apputils:change-theme', "
                   "{theme: `JupyterLab ${dark ? 'Dark' : 'Light'}`})", theme == "dark")  # fmt: skip
    drawn.wait_for_function(f"() => document.body.dataset.jpThemeName.endsWith('{theme.title()}')")
    faults = []
    for wide in (1440, 900):
        drawn.set_viewport_size({"width": wide, "height": 900})
        drawn.wait_for_timeout(300)
        for i, name in enumerate(DRAWN):
            stage = drawn.locator(".ck-journey").nth(i)
            stage.scroll_into_view_if_needed()
            stage.locator(".ck-bar").focus()
            drawn.keyboard.press("Home")
            heights = set()
            for place in range(stage.locator("input[type=range]").evaluate("e => Number(e.max)") + 1):
                heights.add(round(stage.bounding_box()["height"]))
                faults += [(name, wide, place, fault) for fault in stage.evaluate(FAULTS)]
                seen, faint = stage.locator(".ck-walk svg").evaluate(FAINT)
                assert seen > 20
                faults += [(name, wide, place, fault) for fault in faint]
                if place in (3, 4):
                    stage.screenshot(path=tmp_path / f"{name}-{wide}-{place + 1}-{theme}.png")
                drawn.keyboard.press("ArrowRight")
            stage.screenshot(path=tmp_path / f"{name}-{wide}-last-{theme}.png")
            faults += [(name, wide, "pale", fault) for fault in stage.evaluate(PALE.replace("'.ck'", "'.ck-walk'"))[1]]
            print(name, wide, theme, "heights", sorted(heights))
            if wide == 1440:
                assert max(heights) <= 620, (name, heights)
    drawn.set_viewport_size({"width": 1440, "height": 900})
    print(f"screenshots in {tmp_path}")
    assert faults == []


def test_a_form_changes_the_stage(drawn: Any) -> None:
    """A fault chosen in the drop-down draws another journey, which steps as well."""
    form = drawn.locator(".ck-form")
    form.get_by_label("What is broken").select_option("wrong-vni")
    form.locator("figcaption", has_text="dropped after 8 stops").wait_for()
    form.get_by_role("button", name="Step").click()
    assert now(form) == "Stop 2 of 8"
    form.locator(".ck-bar", has_text="Step").focus()
    drawn.keyboard.press("End")
    assert "Nobody knows" in form.locator(".ck-walk .ck-said").inner_text()
    assert "✕ dropped" in form.locator(".ck-walk .ck-end-mark").text_content()
    form.get_by_label("What is broken").select_option("nothing")
    form.locator("figcaption", has_text="delivered after 12 stops").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_stored_picture_follows_the_theme(lab: Lab, page: Any, theme: str) -> None:
    """Without a kernel, the image of a stage is drawn in the theme's colours: its ground is light, or dark."""
    lab.write("still-stage.ipynb", code("still", Stage(ping(NET, "podA", "podB"))._repr_mimebundle_()))
    lab.trust("still-stage.ipynb")
    page.goto("about:blank")  # a page that has met no live figure yet
    lab.open(page, "still-stage.ipynb", run=False, dark=theme == "dark")
    page.wait_for_function("() => document.querySelector('img.ck-picture')?.complete")
    shot = base64.b64encode(page.locator("img.ck-picture").screenshot()).decode()
    red, green, blue = page.evaluate(CORNER, shot)
    assert max(red, green, blue) < 60 if theme == "dark" else min(red, green, blue) > 235


def test_what_is_stored(lab: Lab, page: Any, drawn: Any) -> None:
    """Reopened without a kernel, trusted or not, the twin shows picture and rows; the saved output is small."""
    output = lab.saved(drawn, "stage.ipynb")["cells"][1]["outputs"][0]["data"]
    assert set(output) == {"text/plain", "text/html"}
    assert len("".join(output["text/html"])) < 60_000
    views = [Stage(ping(NET, "podA", "podB")), Stage(ping(apply(NET, "wrong-vni"), "podA", "podB"))]
    lab.write("stored-stage.ipynb", *(code("stored", view._repr_mimebundle_()) for view in views))
    page.goto("about:blank")  # a page that has met no live figure yet
    for trusted in (False, True):
        if trusted:
            lab.trust("stored-stage.ipynb")
        lab.open(page, "stored-stage.ipynb", run=False)
        page.wait_for_selector("img.ck-picture")
        assert page.locator(".ck-decided", has_text="bridge fdb").first.is_visible()
        assert page.get_by_text("Nobody knows").first.is_visible()
        assert page.evaluate("() => document.querySelector('img.ck-picture').naturalWidth") > 700
        assert page.locator(".ck-walk").count() == 0
    assert page.problems == []
