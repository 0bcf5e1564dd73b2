"""Pictures: an SVG inside an `<img>`, on a ground of its own, with letters that stand out from it."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pytest

from coursekit import views
from coursekit.cluster.faults import apply
from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.views.twin import View, palette
from tests.views.markup import read

NET = network(load("chapter"))
FRAME = next(stop.frame for stop in ping(NET, "podA", "podB").stops if stop.point == "node1:eth0")
assert FRAME
VIEWS = {
    "delivered": views.journey(ping(NET, "podA", "podB")),
    "lost": views.journey(ping(apply(NET, "wrong-port"), "podA", "podB")),
    "error": views.journey(ping(apply(NET, "missing-neighbour"), "podA", "podB")),
    "racks": views.journey(ping(network(load("two-racks")), "podA", "podC")),
    "mtu": views.mtu(FRAME),
    "too big": views.mtu(FRAME, link_mtu=100),
}
LIGHT = ("#fff", "#f5f5f5")  # what letters stand on: the card and the boxes on it


def pictures(view: View) -> list[tuple[str, str]]:
    """Return the alt text and the SVG of each picture of a view."""
    found = read(view.figure()).all("img")
    return [(i.attributes["alt"], base64.b64decode(i.attributes["src"].partition(",")[2]).decode()) for i in found]


def luminance(colour: str) -> float:
    """Return the relative luminance of #rgb or #rrggbb (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Return how far two colours stand apart: 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", VIEWS)
def test_pictures_say_in_words_what_they_show(name: str) -> None:
    """Each picture is well-formed, has an alt text of some length, and paints its own ground."""
    drawn = pictures(VIEWS[name])
    assert drawn
    for alt, svg in drawn:
        assert len(alt) > 20
        ElementTree.fromstring(svg)
        assert re.search(r'<rect (class="ck-paper" )?width="100%" height="100%"( fill="#fff|/>)', svg)


@pytest.mark.parametrize("name", VIEWS)
def test_letters_stand_out(name: str) -> None:
    """Every colour that text is written in stands out 4.5 : 1 from the ground that it stands on."""
    checked = 0
    for _, svg in pictures(VIEWS[name]):
        classes = dict(re.findall(r"\.(\w+)\{fill:(#\w+)", svg))
        whole = re.search(r"<svg[^>]*fill=\"(#\w+)\"", svg)
        for text in re.findall(r"<text[^>]*>", svg):
            own = re.search(r'fill="(#\w+)"', text)
            named = re.search(r'class="?([\w ]+)', text)
            last = [classes[part] for part in (named.group(1).split() if named else []) if part in classes]
            ink = own.group(1) if own else last[-1] if last else whole.group(1) if whole else "#000"
            on_dark = luminance(ink) > 0.5
            grounds = ("#1a1a1a",) if on_dark else LIGHT
            assert min(contrast(ink, ground) for ground in grounds) >= 4.5, (ink, text)
            checked += 1
    assert checked > 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_the_palette_stands_out(theme: int) -> None:
    """In both themes letters stand out 4.5 : 1 from every tint that they are written on in an image."""
    block = re.findall(r"svg:root{([^}]*)}", palette())[theme]
    named = dict(re.findall(r"--ck-([\w-]+):(?:var\([^,]*,)?\s*(#\w+)", block))
    grounds = ("bg", "panel", "now", "eth", "ip", "udp", "vxlan", "l4", "data")
    pairs = [("fg", ground) for ground in grounds]
    pairs += [(ink, ground) for ink in ("quiet", "good", "bad") for ground in ("bg", "panel")]
    assert min(contrast(named[ink], named[ground]) for ink, ground in pairs) >= 4.5
