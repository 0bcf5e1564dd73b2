"""Every view side by side: light and dark, trusted and not, offline, and readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Lab, code

pytestmark = pytest.mark.browser

SETUP = """
from coursekit import break_, dissect, load_cluster, lookup, network, ping, recording, tables, views
from coursekit import check, exercise, outcome
from coursekit.cluster.choice import choose
frames = [dissect(frame.data) for frame in recording("flannel-vxlan").capture("node1:eth0").frames]
outside = next(frame for frame in frames if any(layer.key == "vxlan" for layer in frame.layers))
inside = dissect(recording("flannel-vxlan").capture("podA:eth0").frames[0].data)
cluster = load_cluster("chapter")
routes = tables(cluster)["node1"].routes
net = network(cluster)
"""
VIEWS = {
    "packet": 'views.packet(outside, "Echo request")',
    "ruler": "views.packet(outside, ruler=True)",
    "diff": "views.diff(inside, outside)",
    "frames": 'views.frames(recording("flannel-vxlan"), filter="icmp")',
    "frames at a point": 'views.frames(recording("flannel-vxlan"), "node1:eth0")',
    "table": 'views.table(routes, lookup=lookup(routes, "10.244.1.7"), title="node1: ip route")',
    "no match": 'views.table(routes[1:], lookup=lookup(routes[1:], "192.0.2.1"), title="no row")',
    "journey": 'views.journey(ping(net, "podA", "podB"))',
    "lost": 'views.journey(ping(break_(net, "wrong-port"), "podA", "podB"))',
    "chain": 'views.chain(ping(net, "podA", "podB"))',
    "broken chain": 'views.chain(ping(break_(net, "missing-fdb"), "podA", "podB"))',
    "mtu": "views.mtu(outside)",
    "too big": "views.mtu(outside, link_mtu=100)",
    "curve": 'views.curve({"VXLAN": [(64, 43.9), (1400, 3.4)], "IPIP": [(64, 23.8), (1400, 1.4)]}, "bytes", "%")',
    "explore_mtu": "views.explore_mtu()",
    "explore_fault": "views.explore_fault()",
    "choice": 'views.choice(choose(one_subnet="no", routers="no", windows="yes"))',
    "grid": "views.grid()",
    "compare": 'views.compare("clouds")',
    "explore_choice": 'views.explore_choice("Home lab")',
    "explore_bgp": "views.explore_bgp()",
    "outcome": 'outcome("4.f", views.table(routes))',
    "exercise": 'exercise("4.1")',
    "check": 'check("4.8", "12:ef:63:87:b8:7f dev flannel.1 dst 10.244.63.0")',
    "works, but": 'check("4.6", "ether[80:4] = 0x0af40107")',
}
# Text in a cell's figures that stands out less than 4.5 : 1 from what is painted behind it (WCAG 2.2, 1.4.3).
PALE = """cell => {
    const parse = colour => [...(colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number), 1].slice(0, 4);
    const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
    const light = colour => colour.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const ground = element => {
        const stack = [];
        for (let e = element; e; e = e.parentElement) stack.push(parse(getComputedStyle(e).backgroundColor));
        return stack.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
    };
    let seen = 0;
    const pale = [];
    for (const figure of cell.querySelectorAll('.ck')) {
        const walk = document.createTreeWalker(figure, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
            const e = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
            if (!text || !e.checkVisibility() || e.closest('style, :disabled')) continue;
            seen += 1;
            const back = ground(e), ink = over(parse(getComputedStyle(e).color), back);
            const [a, b] = [light(back), light(ink)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
            if (ratio < 4.5) pale.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className}: ${text.slice(0, 40)}`);
        }
    }
    return [seen, pale];
}"""
# Drop-downs of a cell that stick out of its output, or whose widest answer does not fit in them.
CUT = """cell => {
    const pen = document.createElement('canvas').getContext('2d');
    const wide = (select, css) => Math.max(...[...select.options].map(option => {
        pen.font = css.font;
        return pen.measureText(option.text).width;
    }));
    return [...cell.querySelectorAll('.ck-form select')].filter(select => {
        const css = getComputedStyle(select), room = select.clientWidth
            - parseFloat(css.paddingLeft) - parseFloat(css.paddingRight);
        const edge = select.closest('.jp-OutputArea-output').getBoundingClientRect().right;
        return select.getBoundingClientRect().right > edge || wide(select, css) > room;
    }).map(select => `${select.parentNode.innerText.split('\\n')[0]}: ${select.value}`);
}"""
PICTURES = "cell => [...cell.querySelectorAll('.ck img')].every(image => image.complete && image.naturalWidth > 0)"


@pytest.fixture(scope="module")
def cells() -> list[str]:
    """The cells of a notebook that shows every view."""
    return [SETUP, *VIEWS.values()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_is_readable(lab: Lab, page: Any, cells: list[str], theme: str, tmp_path: Path) -> None:
    """In either theme all text stands out 4.5 : 1, no drop-down cuts an answer, and nothing comes from elsewhere."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    lab.write("all.ipynb", *cells)
    lab.open(page, "all.ipynb", dark=theme == "dark")
    page.wait_for_selector(".ck-on")
    page.wait_for_timeout(1000)
    pale, cut = [], []
    for number, name in enumerate(VIEWS, 1):
        cell = page.locator(".jp-Cell").nth(number)
        cell.scroll_into_view_if_needed()
        cell.screenshot(path=tmp_path / f"{name.replace(' ', '-')}-{theme}.png")
        seen, faults = cell.evaluate(PALE)
        assert seen > 8, name
        pale += faults
        cut += cell.evaluate(CUT)
    arrow = page.locator(".ck-form select").first.evaluate("e => getComputedStyle(e).backgroundImage")
    print(f"screenshots in {tmp_path}")
    assert pale == []
    assert cut == []
    assert ("%23e0e0e0" in arrow) == (theme == "dark"), "the arrow of a drop-down is black by itself"
    assert page.problems == []
    assert [url for url in asked if not url.startswith((lab.url, "data:", "blob:"))] == []


def test_every_view_is_there_in_an_untrusted_notebook(lab: Lab, page: Any, cells: list[str]) -> None:
    """A fresh clone shows every output before anything runs, with no widget and no error in its place."""
    lab.write("all.ipynb", *cells)
    lab.open(page, "all.ipynb")
    page.wait_for_timeout(1000)
    ran = lab.saved(page, "all.ipynb")["cells"][1:]
    bundles = [[clean(output["data"]) for output in cell["outputs"]] for cell in ran]
    lab.write("clone.ipynb", *(code(f"{name!r}", *bundle) for name, bundle in zip(VIEWS, bundles, strict=True)))
    page.goto("about:blank")  # a page that has met no live figure yet
    lab.open(page, "clone.ipynb", run=False)
    for number, name in enumerate(VIEWS):
        cell = page.locator(".jp-Cell").nth(number)
        cell.scroll_into_view_if_needed()
        output = cell.locator(".jp-OutputArea-output")
        assert output.count() == len(bundles[number]), name
        for i in range(output.count()):
            box = output.nth(i).bounding_box()
            assert box, name
            assert box["height"] > 40, name
        assert cell.locator(".ck").count(), name
        assert "Error displaying widget" not in cell.inner_text(), name
        assert cell.evaluate(PICTURES), name


def clean(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return what the course stores of an output: no widget, and not the picture that the browser adds to a curve."""
    return {mime: json.loads(json.dumps(value)) for mime, value in bundle.items()
            if "widget" not in mime and mime != "image/png"}  # fmt: skip
