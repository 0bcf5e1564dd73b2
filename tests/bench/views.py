"""A step of the stage, from the key to the paint, beside three ways to draw the same step in a notebook.

In a real JupyterLab and Chromium, next to the kernel, and through a proxy that delays what it passes on. A frame lasts
16.7 ms; a key comes at any moment of it, so that medians of what is faster can be told apart, single steps cannot.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.measure import table
from tests.browser.conftest import ARGUMENTS, Lab, free_port, serving
from tests.conftest import chromium

DELAY = 0.06  # seconds each way: 120 ms from a key to the kernel's answer
ROUNDS = 3  # times from the first stop to the last and back

_SETUP = """
from coursekit import load_cluster, network, ping, views
from coursekit.views.packed import unpacked
view = views.journey(ping(network(load_cluster("chapter")), "podA", "podB"))
run, scene = unpacked(view.alive()["run"]), view.scene()
steps, pieces = run["trips"][0]["steps"], run["pieces"]
svgs = [scene.svg(0, n, "delivered") for n in range(len(steps))]
said = [pieces[step["status"]] for step in steps]
rows = [pieces[step["rows"]] for step in steps]
"""
_BARE = """
import anywidget, traitlets
class Bare(anywidget.AnyWidget):
    svg, steps = traitlets.Unicode(svgs[0]).tag(sync=True), traitlets.List().tag(sync=True)
    _esm = '''export default { render({ model, el }) {
        const steps = model.get("steps"), root = document.createElement("div");
        root.className = "bare";
        root.tabIndex = 0;
        root.innerHTML = `${model.get("svg")}<p></p><div></div>`;
        const [token, zoom] = ["token", "zoom"].map(name => root.querySelector(`.ck-${name}`));
        const [said, rows] = root.querySelectorAll(":scope > p, :scope > div");
        let now = 0;
        const show = () => {
            const step = steps[now];
            token.style.transform = `translate(${step.x}px, ${step.y}px)`;
            [token.innerHTML, zoom.innerHTML, said.innerHTML, rows.innerHTML] = step.parts;
        };
        root.addEventListener("keydown", event => {
            now += event.key === "ArrowRight" ? 1 : -1;
            show();
            event.preventDefault();
            event.stopPropagation();
        });
        el.append(root);
        show();
    } }'''
Bare(steps=[dict(x=s["x"], y=s["y"], parts=[pieces[s[name]] for name in ("token", "sheet", "status", "rows")])
            for s in steps])
"""
_INTERACT = """
from IPython.display import HTML, display
from ipywidgets import IntSlider, interact
def show(n):
    display(HTML(f"<div class=shown>{svgs[n]}<p>{said[n]}</p>{rows[n]}</div>"))
interact(show, n=IntSlider(0, 0, len(steps) - 1));
"""
# Rooms and devices stay; the marker, the boxes of the packet with their names, the title and the rows change.
_PLOTLY = """
import re
import plotly.graph_objects as go
from ipywidgets import HTML, IntSlider, VBox
stops, most = view.trips[0], max(len(stop["parts"]) for stop in view.trips[0])
chips, rooms = scene.layout.chips.values(), scene.layout.rooms
title = lambda n: re.sub("<[^>]*>", "", said[n])
def boxes(n):
    parts = [*stops[n]["parts"], *[None] * (most - len(stops[n]["parts"]))]
    return [([part["bytes"] if part else 0], [part["label"] if part else ""]) for part in parts]
fig = go.FigureWidget([
    go.Scatter(x=[c.x for c in chips], y=[-c.y for c in chips], text=[c.label for c in chips], mode="markers+text",
               textposition="bottom center", marker=dict(symbol="square", size=18)),
    go.Scatter(x=[steps[0]["x"]], y=[-steps[0]["y"]], mode="markers", marker=dict(size=24)),
    *(go.Bar(x=x, y=["packet"], text=text, orientation="h", xaxis="x2", yaxis="y2") for x, text in boxes(0))])
fig.update_layout(
    width=784, height=304, barmode="stack", showlegend=False, title=title(0), yaxis=dict(domain=[0.4, 1]),
    yaxis2=dict(domain=[0, 0.3], anchor="x2"), xaxis2=dict(anchor="y2"),
    shapes=[dict(type="rect", x0=r.x, x1=r.x + r.wide, y0=-r.y, y1=-140) for r in rooms])
slider, table = IntSlider(0, 0, len(steps) - 1), HTML(rows[0])
def show(change):
    n = change["new"]
    with fig.batch_update():
        fig.data[1].x, fig.data[1].y = [steps[n]["x"]], [-steps[n]["y"]]
        for bar, (x, text) in zip(fig.data[2:], boxes(n)):
            bar.x, bar.text = x, text
        fig.layout.title = title(n)
    table.value = rows[n]
slider.observe(show, "value")
VBox([slider, fig, table])
"""
# Per way: its cell, what has the focus, and what says which stop is drawn.
WAYS = {
    "a bare anywidget": (_BARE, ".bare", ".bare p"),
    "the stage": ("view", ".ck-bar", ".ck-walk .ck-said"),
    "interact and HTML": (_INTERACT, ".noUi-handle", ".shown p"),
    "a plotly FigureWidget": (_PLOTLY, ".noUi-handle", ".gtitle"),
}
# From the key to the first task after the frame that has the wanted stop: by then it is painted. Gliding is not in it.
_WATCH = """([where, wanted]) => { window.painted = new Promise(done => {
    addEventListener('keydown', () => {
        const start = performance.now(), after = new MessageChannel();
        after.port1.onmessage = () => done(performance.now() - start);
        const look = () => document.querySelector(where)?.textContent.startsWith(wanted)
            ? after.port2.postMessage(0) : requestAnimationFrame(look);
        requestAnimationFrame(look);
    }, {capture: true, once: true});
}); }"""


def steps(page: Any, lab: Lab, way: str) -> list[float]:
    """Return the seconds of each step, from the first stop to the last and back."""
    cell, focused, where = WAYS[way]
    lab.open(page, lab.write("step.ipynb", _SETUP, cell))
    first = "where => document.querySelector(where)?.textContent.startsWith('Stop 1 of 12')"
    page.wait_for_function(first, arg=where, timeout=120_000)
    page.locator(focused).first.focus()
    page.wait_for_timeout(3000)  # what JupyterLab does after loading is over
    took = []
    for _ in range(ROUNDS):
        for wanted, key in [*((n, "Right") for n in range(2, 13)), *((n, "Left") for n in range(11, 0, -1))]:
            page.evaluate(_WATCH, [where, f"Stop {wanted} of 12"])
            page.keyboard.press(f"Arrow{key}")
            took.append(page.evaluate("() => window.painted") / 1000)
            page.wait_for_timeout(50)
    return took


@contextmanager
def delayed(lab: Lab, delay: float) -> Iterator[Lab]:
    """The same JupyterLab behind a proxy through which each byte takes that many seconds longer, each way."""
    loop, port, server = asyncio.new_event_loop(), free_port(), urlsplit(lab.url).port

    async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            loop.call_later(delay, writer.write, data)
        loop.call_later(delay, writer.close)

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server)
        with suppress(asyncio.CancelledError):  # what a server's connection raises, asyncio prints
            await asyncio.gather(one_way(reader, back), one_way(there, writer), return_exceptions=True)

    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)  # playwright has this thread's loop
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.start_server(both, "127.0.0.1", port), loop).result(10)
    try:
        yield Lab(f"http://127.0.0.1:{port}", lab.root, lab.environment)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def main() -> None:
    """Print the table next to the kernel, and the one with the delay."""
    from playwright.sync_api import sync_playwright

    if not chromium():
        print("\nThe views are not measured: this needs Chromium (Debian: apt install chromium)")
        return
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        for title, way_there in (("", nullcontext(lab)), (", 120 ms away from the kernel", delayed(lab, DELAY))):
            with way_there as there:
                found = {}
                for way in WAYS:  # each on a page of its own: the course's script watches the whole page
                    page = browser.new_page(viewport={"width": 1300, "height": 1000})
                    found[way] = statistics.median(steps(page, there, way))
                    page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")  # and its models
                    page.close()
                table(f"A step, from key to paint{title} (aim: the stage at most 3 x)", found, "ms", 1000)
        browser.close()
