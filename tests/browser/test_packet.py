"""PacketView as a learner meets it: JupyterLab, Chromium, mouse and keyboard."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.conftest import ARGUMENTS, Lab, code
from tests.conftest import chromium

pytestmark = pytest.mark.browser

SETUP = """
from coursekit import dissect, recording, views
frames = (dissect(frame.data) for frame in recording("flannel-vxlan").capture("node1:eth0").frames)
frame = next(f for f in frames if any(layer.key == "vxlan" for layer in f.layers))
"""
DRAW = SETUP + 'views.packet(frame, "Echo request")'
# An IPv4 packet of an unknown protocol with text that MathJax would take for formulas
DOLLARS = """views.packet(
    bytes.fromhex("4500002e0000000040fd0000c0000201c0000202") + b"GET /?a=$x$&b=$y$ HTTP/1.1", linktype="raw")"""
ENVELOPES = {
    "packet": "views.packet(frame)",
    "diff": 'views.diff(recording("flannel-vxlan").capture("podA:eth0").frames[0], frame)',
}
# Of each envelope: the smallest letters in pixels of the page, the room that it has, whether it keeps to
# it, and the pixels of its scroll bar.
LETTERS = """() => [...document.querySelectorAll('.ck-env')].map(room => {
    const image = room.querySelector('img'), host = document.body.appendChild(document.createElement('div'));
    host.attachShadow({mode: 'open'}).innerHTML = atob(image.src.split(',')[1]);
    const svg = host.shadowRoot.firstElementChild;
    const scale = image.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const sizes = [...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize) * scale);
    host.remove();
    const figure = room.closest('figure'), edges = [room, figure].map(e => e.getBoundingClientRect().right);
    return [Math.min(...sizes), room.clientWidth, edges[0] <= edges[1] + 1
        && figure.scrollWidth <= figure.clientWidth, room.offsetHeight - room.clientHeight];
})"""
LIT = "rgb(255, 224, 138)"
# The numbers of the fields that are lit: in the bytes, in the table.
LIT_FIELDS = """colour => ['.ck-hex b', '.ck-fields tr'].map(where => [...new Set(
    [...document.querySelectorAll(where)].filter(e => getComputedStyle(e).backgroundColor === colour)
        .flatMap(e => [...e.classList].filter(n => /^f\\d+$/.test(n)).map(n => Number(n.slice(1)))))])"""
LIT_BYTES = """colour => [...document.querySelectorAll('.ck-hex b')]
    .filter(e => getComputedStyle(e).backgroundColor === colour).map(e => e.textContent).join(' ')"""


@pytest.fixture
def drawn(lab: Lab, page: Any) -> Any:
    """A page with one live figure; drawn anew only if another test has put something else there."""
    shown = "() => window.jupyterapp?.shell.currentWidget?.title.label"
    if page.evaluate(shown) != "packet.ipynb":
        lab.write("packet.ipynb", DRAW, DOLLARS)
        lab.open(page, "packet.ipynb")
    page.wait_for_function("() => document.querySelectorAll('.ck-on').length === 2")
    return page


def field(page: Any, name: str, nth: int = 0) -> Any:
    """Return the row of a field, by its name, in a header that is open."""
    return page.locator(".ck-layer[open] .ck-fields tr", has_text=name).nth(nth)


def unfold(page: Any, *numbers: int) -> None:
    """Leave just these headers of the first figure open, counted from 0."""
    page.evaluate("""numbers => document.querySelector('.ck-packet').querySelectorAll('.ck-layer')
        .forEach((layer, i) => layer.open = numbers.includes(i))""", numbers)
    page.wait_for_timeout(100)


def opened(page: Any) -> list[int]:
    """Return which headers of the first figure are open."""
    return page.evaluate("""() => [...document.querySelector('.ck-packet').querySelectorAll('.ck-layer')]
        .flatMap((layer, i) => layer.open ? [i] : [])""")


def rest(page: Any) -> None:
    """Take pointer and focus away from the figure, and fold its headers."""
    page.mouse.move(5, 5)
    page.evaluate("() => document.activeElement.blur()")
    unfold(page)


def test_hovering_a_byte_lights_its_field(drawn: Any) -> None:
    """The pointer on a byte lights that byte's field, all its bytes, and nothing else."""
    rest(drawn)
    assert drawn.evaluate(LIT_FIELDS, LIT) == [[], []]
    unfold(drawn, 1)
    drawn.locator(".ck-hex .f13").first.hover()  # the Time to Live
    assert drawn.evaluate(LIT_FIELDS, LIT) == [[13], [13]]


def test_hovering_a_field_lights_its_bytes(drawn: Any) -> None:
    """The pointer on a field lights the row and every byte of the field, over the end of a row too."""
    rest(drawn)
    unfold(drawn, 1)
    field(drawn, "Destination Address").hover()
    assert drawn.evaluate(LIT_BYTES, LIT) == "c0 a8 01 0b"


def test_a_byte_of_several_fields_lights_them_all(drawn: Any) -> None:
    """The first byte of an IPv4 header holds two fields, and both are lit."""
    rest(drawn)
    drawn.locator(".ck-hex .f3").first.hover()
    assert sorted(drawn.evaluate(LIT_FIELDS, LIT)[1]) == [3, 4]


def test_explanation_is_read_out(drawn: Any) -> None:
    """The field under the pointer is explained, with its source, in a line that screen readers announce."""
    rest(drawn)
    unfold(drawn, 3)
    field(drawn, "VXLAN Network Identifier").hover()
    detail = drawn.locator(".ck-detail").first
    assert (detail.get_attribute("role"), detail.get_attribute("aria-live")) == ("status", "polite")
    text = detail.inner_text()
    assert "VXLAN Network Identifier (vxlan.vni)" in text
    assert "byte 46–48 = 1" in text
    assert "RFC 7348 §5" in text


def test_arrow_keys_walk_through_fields(drawn: Any) -> None:
    """One Tab stop for all open fields; the arrow keys, Home and End move inside and light the bytes."""
    rest(drawn)
    unfold(drawn, *range(8))
    assert drawn.locator(".ck-packet").first.locator('.ck-fields [tabindex="0"]').count() == 1
    field(drawn, "Destination").focus()
    for _ in range(3):
        drawn.keyboard.press("ArrowDown")
    assert drawn.evaluate(LIT_FIELDS, LIT) == [[3, 4], [3]]  # the version's byte is the header length's too
    drawn.keyboard.press("ArrowUp")
    assert drawn.evaluate(LIT_FIELDS, LIT) == [[2], [2]]
    drawn.keyboard.press("End")
    focused = drawn.evaluate("() => document.activeElement.textContent")
    assert focused.startswith("92–147Data")
    drawn.keyboard.press("Home")
    assert drawn.evaluate("() => document.activeElement.textContent").startswith("0–5Destination")


def test_arrow_keys_walk_through_bytes(drawn: Any) -> None:
    """The bytes are one Tab stop as well: left and right to the neighbour, up and down to the next row."""
    rest(drawn)
    drawn.locator(".ck-hex b").first.focus()
    drawn.keyboard.press("ArrowRight")
    assert drawn.evaluate(LIT_FIELDS, LIT)[1] == [1]
    drawn.keyboard.press("ArrowLeft")
    drawn.keyboard.press("ArrowDown")
    assert drawn.evaluate("() => document.activeElement.closest('tr').rowIndex") == 2
    assert drawn.evaluate(LIT_FIELDS, LIT)[1] == [7]  # Total Length starts at byte 16
    assert "Total Length" in drawn.locator(".ck-detail").first.inner_text()


def test_the_lit_field_is_in_sight(drawn: Any) -> None:
    """Pointing at a byte scrolls its field into the table's window, and the page stays where it is."""
    rest(drawn)
    unfold(drawn, *range(8))
    drawn.locator(".ck-hex .f50").first.hover()
    inside = """() => { const row = document.querySelector('.ck-fields .f50').getBoundingClientRect(),
        box = document.querySelector('.ck-scroll').getBoundingClientRect();
        return row.top >= box.top - 1 && row.bottom <= box.bottom + 1; }"""
    assert drawn.evaluate(inside)


@pytest.mark.parametrize("where", [".ck-fields tr.f5", ".ck-hex b.f5", ".ck-env i.h1", "summary.h1"])
def test_command_keys_do_not_reach_the_notebook(drawn: Any, where: str) -> None:
    """Typing x, b or d d with the focus in the figure neither cuts, adds nor deletes a cell."""
    unfold(drawn, 1)
    drawn.locator(where).first.focus()
    before = drawn.locator(".jp-Cell").count()
    for key in "xbadd":
        drawn.keyboard.press(key)
    drawn.wait_for_timeout(300)
    assert drawn.locator(".jp-Cell").count() == before


def test_pointing_opens_nothing_and_a_click_opens_its_header(drawn: Any) -> None:
    """All headers are folded; the pointer on a byte or a box opens none; a click on either opens that one."""
    rest(drawn)
    assert opened(drawn) == []
    drawn.locator(".ck-hex .f37").first.hover()
    assert opened(drawn) == []
    assert drawn.locator(".ck-detail").first.inner_text() != ""
    drawn.locator(".ck-hex .f23").first.click()
    assert opened(drawn) == [3]
    drawn.locator(".ck-env i").nth(5).hover()
    assert opened(drawn) == [3]
    drawn.locator(".ck-env i").nth(5).click()
    assert opened(drawn) == [3, 5]
    drawn.locator(".ck-env i").nth(5).click()
    assert opened(drawn) == [3]


def test_boxes_by_keyboard(drawn: Any) -> None:
    """The boxes are one Tab stop; arrow keys move among them, Enter opens a header and says that it is open."""
    rest(drawn)
    boxes = drawn.locator(".ck-packet").first.locator(".ck-env i")
    assert boxes.and_(drawn.locator('[tabindex="0"]')).count() == 1
    boxes.first.focus()
    drawn.keyboard.press("ArrowRight")
    drawn.keyboard.press("Enter")
    assert opened(drawn) == [1]
    assert [boxes.nth(i).get_attribute("aria-expanded") for i in (0, 1)] == ["false", "true"]
    assert "0 outer · IPv4" in (boxes.nth(1).get_attribute("aria-label") or "")


def test_the_explanation_has_the_edge_of_its_depth(drawn: Any) -> None:
    """The panel's edge is the outer colour for a field of the outer packet, and the inner one for an inner field."""
    rest(drawn)
    edge = "() => getComputedStyle(document.querySelector('.ck-detail')).borderLeftColor"
    drawn.locator(".ck-hex .f13").first.hover()
    assert drawn.evaluate(edge) == "rgb(0, 114, 178)"
    drawn.locator(".ck-hex .f37").first.hover()
    assert drawn.evaluate(edge) == "rgb(213, 94, 0)"


def test_macs_stay_whole_where_scroll_bars_take_room(lab: Lab, browser: Any) -> None:
    """With scroll bars that take space, as on Linux and Windows, no MAC is broken in two, however wide the page."""
    lab.write("macs.ipynb", DRAW)
    shown = ["--hide-scrollbars"]  # Playwright hides them unless told not to
    with browser.browser_type.launch(executable_path=chromium(), args=ARGUMENTS, ignore_default_args=shown) as other:
        page = other.new_page(viewport={"width": 1440, "height": 900})
        lab.open(page, "macs.ipynb")
        page.wait_for_selector(".ck-on")
        page.evaluate("() => document.querySelectorAll('.ck-layer').forEach(layer => layer.open = true)")
        measured = []
        for width in (1440, *range(1180, 1000, -12), 900, 700):  # among them the narrowest columns side by side
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(60)
            measured.append(page.evaluate("""() => { const box = document.querySelector('.ck-scroll'); return [
                box.offsetWidth - box.clientWidth, box.offsetWidth, box.scrollWidth <= box.clientWidth,
                [...document.querySelectorAll('.ck-fields td:last-child')]
                    .filter(e => /^(..:){5}..$/.test(e.textContent))
                    .map(e => { const range = document.createRange(); range.selectNodeContents(e);
                                return range.getClientRects().length; })]; }"""))
    assert min(bars for bars, *_ in measured) > 0, "scroll bars take no room here"
    assert min(room for _, room, *_ in measured) < 460
    assert [lines for *_, lines in measured] == [[1] * 4] * len(measured)
    assert all(fits for _, _, fits, _ in measured)


def test_letters_of_the_envelope_stay_large(lab: Lab, browser: Any) -> None:
    """On a page of 900 px with scroll bars no letter is under 11 px, and the drawing scrolls in its figure alone."""
    shown = ["--hide-scrollbars"]
    with browser.browser_type.launch(executable_path=chromium(), args=ARGUMENTS, ignore_default_args=shown) as other:
        page = other.new_page(viewport={"width": 900, "height": 900})
        for kind, view in ENVELOPES.items():  # each on a page of its own: style sheets of figures reach each other
            lab.write(f"narrow-{kind}.ipynb", SETUP + view)
            page.goto("about:blank")
            lab.open(page, f"narrow-{kind}.ipynb")
            page.wait_for_selector(".ck-env img")
            [[smallest, room, within, bar]] = page.evaluate(LETTERS)
            assert smallest >= 11, kind
            assert room < 840, f"{kind}: this page is not narrow"
            assert within, f"{kind}: the picture sticks out of its figure"
            assert bar > 0, f"{kind}: nothing says that there is more"
            if kind == "packet":
                page.wait_for_selector(".ck-on")
                page.locator(".ck-env i").last.click()  # out of sight until it is scrolled to
                assert page.locator(".ck-layer").last.get_attribute("open") is not None
                assert page.locator(".ck-env").evaluate("e => e.scrollLeft") > 0


def test_dollar_signs_are_left_alone(drawn: Any) -> None:
    """A payload with dollar signs is shown as it is: MathJax finds no formula in it."""
    drawn.wait_for_timeout(500)
    assert "$x$&b=$y$" in drawn.locator(".ck-packet").nth(1).locator(".ck-fields").last.text_content()
    assert drawn.locator(".ck mjx-container").count() == 0


def test_nothing_of_a_widget_is_stored(lab: Lab, drawn: Any) -> None:
    """What is saved is text and HTML, without a widget view, and the console saw no error."""
    bundle = stored(lab, drawn)
    assert set(bundle) == {"text/plain", "text/html"}
    assert drawn.problems == []


def stored(lab: Lab, page: Any) -> dict[str, str]:
    """Return what the figure's cell stores."""
    data = lab.saved(page, "packet.ipynb")["cells"][0]["outputs"][0]["data"]
    return {mime: "".join(lines) for mime, lines in data.items()}


def test_a_reloaded_page_is_alive_again(lab: Lab, drawn: Any) -> None:
    """After a reload with the kernel still running the figure explains itself again, with nothing run anew."""
    lab.saved(drawn, "packet.ipynb")
    drawn.goto("about:blank")
    lab.open(drawn, "packet.ipynb", run=False)
    drawn.wait_for_selector(".ck-on", timeout=30_000)


def test_a_slow_machine_has_live_figures_too(lab: Lab, page: Any) -> None:
    """A script that takes longer than anywidget waits, as on a busy machine, gives the figure its behaviour late."""
    slow = """
from coursekit.views import live
quick = live.script
live.script = lambda: "await new Promise(done => setTimeout(done, 2500));\\n" + quick()
"""
    lab.write("slow.ipynb", slow + DRAW)
    page.goto("about:blank")
    lab.open(page, "slow.ipynb")
    page.wait_for_selector(".ck-on", timeout=30_000)
    assert page.problems == []
    assert page.late > 0


def test_trusted_and_reopened_without_a_kernel_it_still_lights(lab: Lab, drawn: Any) -> None:
    """A trusted notebook that nobody ran lights byte and field together by its style sheet alone."""
    lab.write("trusted.ipynb", code("'trusted'", stored(lab, drawn)))
    lab.trust("trusted.ipynb")
    drawn.goto("about:blank")  # a page that has met no live figure yet
    lab.open(drawn, "trusted.ipynb", run=False)
    drawn.locator("summary.h1").first.click()  # HTML's own: no script is there
    drawn.locator(".ck-hex .f13").first.hover()
    assert drawn.evaluate(LIT_FIELDS, LIT) == [[13], [13]]
    assert drawn.locator(".ck-on").count() == 0
    rest(drawn)
    unfold(drawn, 1)
    field(drawn, "Time to Live").focus()
    assert drawn.evaluate(LIT_FIELDS, LIT) == [[13], [13]]


def test_untrusted_it_shows_bytes_and_fields(lab: Lab, drawn: Any) -> None:
    """In a notebook that is not trusted, as a fresh clone is, bytes, fields and the borders' colours are there."""
    lab.write("untrusted.ipynb", code("'not trusted'", stored(lab, drawn)))
    lab.open(drawn, "untrusted.ipynb", run=False)
    shown = drawn.locator(".jp-OutputArea-output").inner_text()
    assert "02 00 c0 a8 01 0b" in re.sub(r"\s+", " ", shown)
    assert "0 outer · VXLAN" in shown
    drawn.locator(".jp-OutputArea-output summary", has_text="VXLAN").click()
    assert "VXLAN Network Identifier" in drawn.locator(".jp-OutputArea-output").inner_text()
    assert "Error displaying widget" not in shown
    assert drawn.evaluate("() => document.querySelectorAll('.jp-OutputArea-output style').length") == 0
    colour = drawn.evaluate("() => getComputedStyle(document.querySelector('.ck-hex span')).borderBottomColor")
    assert colour == "rgb(0, 114, 178)"
