"""A BGP run as a learner plays it: JupyterLab, Chromium, mouse and keyboard, compared with the run in Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit import views
from coursekit.bgp import topologies
from coursekit.bgp.trace import Held
from coursekit.bgp.wire import update_bytes
from coursekit.views import bgp_words as words
from tests.browser.conftest import Lab, code, watched
from tests.browser.test_all_views import PALE

pytestmark = pytest.mark.browser

SETUP = """
from coursekit import views
from coursekit.bgp import topologies
down, up = ({"op": f"router_{way}", "router": "n2"} for way in ("down", "up"))
view = views.bgp(topologies.tor(3, "shared", lan=True, mesh=True), actions=[down, up])
"""
DOWN, UP = ({"op": f"router_{way}", "router": "n2"} for way in ("down", "up"))
RUN = views.bgp(topologies.tor(3, "shared", lan=True, mesh=True), actions=[DOWN, UP])
LAST = len(RUN.trace.events)
CELLS = "() => document.querySelectorAll('.jp-CodeCell').length"
SUPPRESSED = """root => [...root.querySelectorAll('.ck-stage :is(button, select, input, [tabindex="0"])')]
    .map(e => e.dataset.lmSuppressShortcuts)"""
# Frames that the browser paints in two seconds of playing, and the longest time between two, in milliseconds.
FRAMES = """() => new Promise(done => {
    const times = [];
    const tick = now => { times.push(now); times.at(-1) - times[0] < 2000 ? requestAnimationFrame(tick) : done(
        [(times.length - 1) * 1000 / (times.at(-1) - times[0]),
         Math.max(...times.slice(1).map((t, i) => t - times[i]))]); };
    requestAnimationFrame(tick);
})"""
# Whether a message has been seen in more than two places.
MOVES = """() => {
    const message = document.querySelector('.ck-topo .ck-on'), places = (window.ckPlaces ??= new Set());
    return message && places.add(message.getAttribute('transform')).size > 2;
}"""
# Text in the boxes of the drawing that stands out less than 4.5 : 1 from what its box is filled with.
FAINT = """stage => {
    const light = colour => colour.match(/[\\d.]+/g).slice(0, 3)
        .map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const fill = e => light(getComputedStyle(e).fill);
    return [...stage.querySelectorAll('.ck-topo g[data-r] text, .ck-topo .ck-on text, .ck-topo g.ck-off text')]
        .filter(text => getComputedStyle(text).display !== 'none').map(text => {
            const under = text.parentNode.querySelector('rect, circle, path');
            const [a, b] = [fill(text), fill(under)].sort((x, y) => y - x);
            return [(a + .05) / (b + .05), text.textContent];
        }).filter(([ratio]) => ratio < 4.5);
}"""


@pytest.fixture(scope="module")
def drawn(lab: Lab, browser: Any) -> Iterator[Any]:
    """A page with a run and the form."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = watched(context.new_page())
    lab.write("bgp.ipynb", SETUP, "view", "form = views.explore_bgp(); form", "'another cell'")
    lab.open(page, "bgp.ipynb")
    page.wait_for_selector(".ck-form .ck-stage .ck-held")
    yield page
    assert page.problems == []
    context.close()


@pytest.fixture
def stage(drawn: Any) -> Any:
    """The run at its beginning, with nothing chosen."""
    drawn.emulate_media(reduced_motion="no-preference")
    found = drawn.locator(".ck-stage").first
    if pressed := found.locator(".ck-flight [aria-pressed=true]").all():
        pressed[0].click()
    if chosen := found.locator(".ck-held .ck-chosen button").all():
        chosen[0].click()
    found.locator("select").select_option("-1")
    bar(found).focus()
    drawn.keyboard.press("Home")
    return found


def bar(stage: Any) -> Any:
    """The bar of a stage, which takes the keys."""
    return stage.locator(".ck-bar")


def go(stage: Any, step: int) -> None:
    """Move the slider, as a learner drags it."""
    stage.locator("input[type=range]").fill(str(step))


def at(stage: Any) -> int:
    """The step that is shown."""
    return int(stage.locator(".ck-count").inner_text().split(" / ")[0])


def status(stage: Any) -> str:
    """What a screen reader is told."""
    return str(stage.get_by_role("status").inner_text())


def tables_at(step: int) -> dict[str, dict[str, Held]]:
    """What every router holds after a number of events, from the run in Python."""
    found: dict[str, dict[str, Held]] = {router["name"]: {} for router in RUN.data["routers"]}
    for event in RUN.trace.events[:step]:
        for change in event.changes:
            found[change.router][change.prefix] = change.after
    return found


def rows(stage: Any) -> list[list[str]]:
    """The rows of the shown tables, cell by cell."""
    every = stage.locator(".ck-held tbody tr").evaluate_all("rows => rows.map(r => [...r.cells].map(c => c.innerText))")
    return [row for row in every if len(row) > 1]


def expected(router: str, step: int) -> list[list[str]]:
    """The rows that a router has after a number of events, from the run in Python."""
    held = tables_at(step)[router]
    return [
        [prefix, c.source, c.attributes.next_hop or "–", dict(words.attributes(c.attributes))["AS_PATH"],
         c.words, words.kernel(held[prefix]) if c.verdict == "best" else ""]
        for prefix in RUN.trace.prefixes if prefix in held for c in held[prefix].candidates
    ]  # fmt: skip


def test_nothing_moves_until_asked(drawn: Any, stage: Any) -> None:
    """The run waits before its first event, and says how to begin; the drawing in its place is the only one."""
    drawn.wait_for_timeout(400)
    assert (at(stage), status(stage)[:24]) == (0, "Before the first event: ")
    assert stage.locator(".ck-on, .ck-topo .ck-off").count() == 0
    assert not drawn.locator(".ck-still").first.is_visible()


def test_every_step_shows_the_tables_of_the_run(drawn: Any, stage: Any) -> None:
    """At every step the tables of every router are those of the run in Python, and the sentence is its own."""
    for step in range(0, LAST + 1, 3):
        go(stage, step)
        if step:
            says = words.event(RUN.trace.events[step - 1], RUN.scenario)
            assert status(stage) == f"Step {step} of {LAST}, {RUN.trace.events[step - 1].time} ms. {says}"
        for place, router in enumerate(RUN.data["routers"]):
            stage.locator("select").select_option(str(place))
            shown = [[*row[:4], re.sub(r"^. | new$", "", row[4]), row[5]] for row in rows(stage)]
            assert shown == expected(router["name"], step), (step, router["name"])


def test_nothing_moves_under_the_pointer(drawn: Any, stage: Any) -> None:
    """While a run is stepped with a route chosen, the bar and the tables stay where they are, on a small page too."""
    drawn.set_viewport_size({"width": 1000, "height": 1000})
    go(stage, LAST)
    stage.locator("select").select_option("0")
    stage.locator(".ck-held tbody button").first.click()
    places = set()
    for step in range(LAST + 1):
        go(stage, step)
        places.add(tuple(round(found.bounding_box()["y"]) for found in (bar(stage), stage.locator("select"))))
    drawn.set_viewport_size({"width": 1300, "height": 1000})
    assert len(places) == 1


def test_step_back_and_keys(drawn: Any, stage: Any) -> None:
    """Step moves a message to where it goes, Back undoes it, and the keys do the same; none leaves the ends."""
    bar(stage).get_by_text("Step ▶").click()
    drawn.wait_for_function("() => document.querySelector('.ck-count').textContent.startsWith('1 ')")
    bar(stage).get_by_text("Back").click()
    assert at(stage) == 0
    bar(stage).focus()
    seen = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowLeft", "End", "ArrowRight", "Home"):
        drawn.keyboard.press(key)
        seen.append(at(stage))
    assert seen == [1, 2, 1, 0, 0, LAST, LAST, 0]
    ends = [chapter["last"] + 1 for chapter in RUN.data["chapters"]]
    for key, stops in (("PageDown", ends), ("PageUp", [c["first"] + 1 for c in reversed(RUN.data["chapters"])])):
        for stop in stops:
            drawn.keyboard.press(key)
            assert at(stage) == stop


def test_play_and_pause(drawn: Any, stage: Any) -> None:
    """Space plays and pauses; messages travel meanwhile, and on pause they are where the step has them."""
    bar(stage).focus()
    drawn.keyboard.press(" ")
    drawn.wait_for_function("() => document.querySelector('.ck-topo .ck-on')")
    drawn.wait_for_function(MOVES)
    assert stage.get_by_role("status").get_attribute("aria-live") == "off"
    fps, longest = drawn.evaluate(FRAMES)
    print(f"{fps:.1f} frames a second, the longest {longest:.0f} ms")
    drawn.keyboard.press(" ")
    assert bar(stage).get_by_text("▶ Play").is_visible()
    stopped = at(stage)
    assert 0 < stopped < LAST
    assert stage.get_by_role("status").get_attribute("aria-live") == "polite"
    drawn.wait_for_timeout(1000)  # a step takes half a second here
    assert at(stage) == stopped


def test_reduced_motion(drawn: Any, stage: Any) -> None:
    """Where motion is not wanted, a step jumps, and playing goes from step to step without anything that travels."""
    drawn.emulate_media(reduced_motion="reduce")
    bar(stage).get_by_text("Step ▶").click()
    assert at(stage) == 1
    bar(stage).get_by_text("▶ Play").click()
    places = stage.locator(".ck-topo .ck-on").evaluate_all("all => all.map(e => e.getAttribute('transform')).join()")
    drawn.wait_for_timeout(60)
    if at(stage) == 1:
        assert places == stage.locator(".ck-topo .ck-on").evaluate_all(
            "all => all.map(e => e.getAttribute('transform')).join()")  # fmt: skip
    bar(stage).get_by_text("Pause").click()


def test_run_to_quiet_and_chapters(drawn: Any, stage: Any) -> None:
    """Run to quiet ends where the step of the scenario ends; each failure is a chapter of its own to begin at."""
    for chapter in RUN.data["chapters"]:
        bar(stage).get_by_text("Run to quiet").click()
        assert at(stage) == chapter["last"] + 1
        assert stage.locator(".ck-flight").inner_text().endswith("Nothing is in flight")
    assert bar(stage).get_by_text("Run to quiet").get_attribute("aria-disabled") == "true"
    stage.locator(".ck-chapters button", has_text="n2 goes down").click()
    assert at(stage) == RUN.data["chapters"][1]["first"] + 1
    assert "n2 goes down." in status(stage)
    assert stage.locator(".ck-topo g.off[data-r]").text_content().startswith("n2")
    lines = stage.locator(".ck-topo path.off[data-s]").evaluate_all("all => all.map(e => +e.dataset.s)")
    failure = RUN.trace.events[RUN.data["chapters"][1]["first"]]
    assert [RUN.data["sessions"][i]["id"] for i in lines] == list(failure.sessions)
    stage.locator(".ck-chapters button", has_text="n2 comes up").click()
    assert stage.locator(".ck-topo .off").count() == 0


def test_choose_a_node_and_a_route(drawn: Any, stage: Any) -> None:
    """A click on a router shows its tables; a route shows the decision, candidate by candidate, and its way."""
    drawn.keyboard.press("End")
    stage.locator(".ck-topo g[data-r='3'] text").first.click()
    assert stage.locator("select").input_value() == "3"
    held = tables_at(LAST)["tor"]["10.64.0.128/26"]
    assert (held.decided_by, len(held.candidates)) == ("router-id", 3)
    stage.locator(".ck-held button", has_text="10.64.0.128/26").first.click()
    decision = stage.locator(".ck-decision")
    assert decision.locator("h4").inner_text() == "tor decides on 10.64.0.128/26"
    assert decision.locator(".ck-decider").inner_text() == "router id ◀ decided here"
    told = decision.locator(".ck-candidate b").all_inner_texts()
    assert [line.split(": ", 1)[1] for line in told] == [c.words for c in held.candidates]
    for box, candidate in zip(decision.locator(".ck-attributes").all_inner_texts(), held.candidates, strict=True):
        assert box == " · ".join(f"{name} {value}" for name, value in words.attributes(candidate.attributes))
    ways = sum(len(t[held_prefix].gateways) for t in tables_at(LAST).values() for held_prefix in ["10.64.0.128/26"])
    assert stage.locator(".ck-way path").count() == ways
    go(stage, 1)
    assert decision.inner_text().endswith("It holds no path to it.")
    assert stage.locator(".ck-arrows").inner_text().endswith("No route: n1, n3, tor.")


def test_choose_a_message(drawn: Any, stage: Any) -> None:
    """A message in flight says when, from, to, prefix and attributes, and shows the bytes that a daemon would send."""
    go(stage, 1)
    first = stage.locator(".ck-flight button").first
    first.click()
    sent = RUN.trace.messages[0]
    box = stage.locator(".ck-message")
    says = f"Message 1: {sent.sender} → {sent.receiver} announces {sent.update.prefix}"
    assert box.locator("h4").inner_text() == says
    assert sent.arrives
    assert (f"sent at {sent.time} ms in step 1; arrives at {RUN.trace.events[sent.arrives].time} ms, "
            f"as step {sent.arrives + 1}.") in box.inner_text()  # fmt: skip
    cells = box.locator("tr").evaluate_all("rows => rows.map(r => [...r.cells].map(c => c.innerText))")
    assert sent.update.attributes
    assert cells == [list(pair) for pair in words.attributes(sent.update.attributes)]
    box.get_by_text("Show its bytes").click()
    packet = stage.locator(".ck-packet")
    packet.locator(".ck-on, .ck-hex").first.wait_for()
    digits = packet.locator(".ck-hex tbody span").evaluate_all("all => all.map(span => span.textContent).join('')")
    assert re.sub(r"\s", "", digits) == update_bytes(sent.update).hex()


def test_x_does_not_cut_the_cell(drawn: Any, stage: Any) -> None:
    """No key typed on anything of the stage is a command of JupyterLab: each such element says so itself."""
    before = drawn.evaluate(CELLS)
    drawn.keyboard.press("End")
    for focused in (bar(stage), bar(stage).get_by_text("Back"), stage.locator("select"), stage.locator("input"),
                    stage.locator(".ck-held button").first):  # fmt: skip
        focused.focus()
        for key in "xdd":
            drawn.keyboard.press(key)
    drawn.wait_for_timeout(200)
    assert drawn.evaluate(CELLS) == before == 4
    marks = drawn.evaluate(SUPPRESSED, drawn.query_selector(".jp-Notebook"))
    assert len(marks) > 20
    assert set(marks) == {"true"}


def test_the_form_draws_another_run(drawn: Any) -> None:
    """Another peering is another run, which plays as well; what fails and comes back are its chapters."""
    form = drawn.locator(".ck-form")
    form.get_by_label("Peering").select_option("plain iBGP to the ToR")
    form.locator("figcaption", has_text="plain iBGP to the ToR").wait_for()
    form.get_by_label("Then fails").select_option("node2")
    form.locator(".ck-chapters button", has_text="node2 comes up again").wait_for()
    bar(form).get_by_text("Run to quiet").click()
    form.locator("select").last.select_option("0")
    assert [row[0] for row in rows(form.locator(".ck-stage"))] == ["10.244.0.0/24"]
    form.get_by_label("Nodes").fill("5")
    form.get_by_label("Nodes").press("Enter")
    form.locator("g[data-r='5']").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_readable(lab: Lab, drawn: Any, stage: Any, theme: str, tmp_path: Path) -> None:
    """In either theme all text of the stage stands out 4.5 : 1: at the start, at a decision, at a message's bytes."""
    drawn.evaluate("async dark => window.jupyterapp.commands.execute('apputils:change-theme',"
                   " {theme: `JupyterLab ${dark ? 'Dark' : 'Light'}`})", theme == "dark")  # fmt: skip
    drawn.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=f"JupyterLab {theme.title()}")
    drawn.wait_for_timeout(500)
    first = RUN.data["chapters"][1]["first"] + 1
    for name, step in (("start", 0), ("flight", 9), ("failed", first), ("message", 1), ("route", LAST)):
        go(stage, step)
        if name == "message":
            stage.locator(".ck-flight button").first.click()
            stage.get_by_text("Show its bytes").click()
            stage.locator(".ck-packet").wait_for()
        if name == "route":
            stage.locator(".ck-topo g[data-r='3'] text").first.click()
            stage.locator(".ck-held button", has_text="10.64.0.128/26").first.click()
        stage.screenshot(path=tmp_path / f"{name}-{theme}.png")
        seen, pale = stage.evaluate(f"stage => ({PALE})(stage.closest('.jp-Cell'))")
        assert seen > 20
        assert pale == []
        assert stage.evaluate(FAINT) == []
    print(f"screenshots in {tmp_path}")


def test_a_stored_run(lab: Lab, page: Any) -> None:
    """Without a kernel and untrusted, the twin is there: picture, tables, events; and no stage."""
    bundle = {mime: json.loads(json.dumps(value)) for mime, value in RUN._repr_mimebundle_().items()}
    lab.write("stored-bgp.ipynb", code("stored", bundle))
    page.goto("about:blank")  # a page that has met no live figure yet
    for trusted in (False, True):
        if trusted:
            lab.trust("stored-bgp.ipynb")
        lab.open(page, "stored-bgp.ipynb", run=False)
        page.wait_for_selector("img.ck-picture")
        assert page.locator("summary", has_text="tor: ").is_visible()
        assert page.locator(".ck-stage").count() == 0
        assert page.evaluate("() => document.querySelector('img.ck-picture').naturalWidth") > 200
    assert page.problems == []
