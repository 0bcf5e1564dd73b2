"""The drawing of a packet: boxes to scale, one tint per header, and what a link's MTU counts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.cluster.path import Journey
from coursekit.views import envelope
from coursekit.views.dissected import dissected
from coursekit.views.envelope import Part, fit, parts, svg
from coursekit.views.letters import cut, fitting, width
from coursekit.views.twin import style
from tests.views.markup import offences

WIDTH = 840.0


def journey(profile: str = "flannel-vxlan", size: int = 56, ttl: int = 64) -> Journey:
    """Return a ping across the chapter's cluster."""
    return ping(network(load("chapter").with_profile(profile)), "podA", "podB", size=size, ttl=ttl)


def frames() -> dict[str, bytes]:
    """Return frames of every kind that a cluster carries."""
    vxlan, ipip = journey(), journey("calico-ipip")
    six = load("ipv6-underlay")
    found = {
        "plain": vxlan.stops[0].frame, "vxlan": vxlan.stops[4].frame,
        "large": journey(size=1400).stops[4].frame, "bare": next(s.frame for s in ipip.stops if s.device == "tunl0"),
        "ipip": next(s.frame for s in ipip.stops if s.device == "eth0" and s.host == "node1"),
        "ipv6": max((s.frame or b"" for s in ping(network(six), six.pods[0].name, six.pods[-1].name).stops), key=len),
    }  # fmt: skip
    error = journey(ttl=2).reply
    assert error is not None
    found["error"] = max((s.frame or b"" for s in error.stops), key=len)
    return {name: frame for name, frame in found.items() if frame}


FRAMES = frames()
each = pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))


@dataclass(frozen=True)
class Drawn:
    """A box that was drawn: its part's key, left edge and width in pixels, and whether it is a ghost."""

    key: str
    x: float
    wide: float
    ghost: bool


def drawn(fragment: str) -> list[Drawn]:
    """Return the boxes of a drawing."""
    root = ElementTree.fromstring(fragment)
    found = []
    for group in root.iter("g"):
        rect = group.find("rect")
        if "data-part" in group.attrib and rect is not None:
            x, wide = float(rect.get("x", "0")), float(rect.get("width", "0"))
            found.append(Drawn(group.attrib["data-part"], x, wide, "ck-ghost" in group.get("class", "")))
    return found


def bracket(fragment: str) -> tuple[float, float]:
    """Return where the bracket of the MTU begins and ends."""
    found = re.search(r'class="ck-mtu" d="M([\d.]+) 22v-5H([\d.]+)v5"', fragment)
    assert found
    return float(found[1]), float(found[2])


@each
def test_the_parts_are_the_frame(frame: bytes) -> None:
    """Parts follow each other without a gap, add up to the frame, have keys of their own and are plain data."""
    found = parts(dissected(frame))
    assert [part["offset"] for part in found] == [sum(p["bytes"] for p in found[:i]) for i in range(len(found))]
    assert sum(part["bytes"] for part in found) == len(frame)
    assert len({part["key"] for part in found}) == len(found)
    assert json.loads(json.dumps(found)) == found


@each
def test_boxes_are_to_scale(frame: bytes) -> None:
    """Each box is as wide as its bytes, but for a payload drawn broken; no two overlap, and none sticks out."""
    found = parts(dissected(frame))
    scale = fit([found], WIDTH)
    fragment = svg(found, WIDTH, scale)
    boxes = drawn(fragment)
    assert [box.key for box in boxes] == [part["key"] for part in found]
    broken = 0
    for box, part in zip(boxes, found, strict=True):
        if box.wide != pytest.approx(part["bytes"] * scale.byte, abs=0.1):
            assert part["tint"] == "data"
            assert box.wide < part["bytes"] * scale.byte
            broken += 1
    assert fragment.count('class="ck-cut"') == broken
    for one, other in pairwise(boxes):
        assert one.x + one.wide <= other.x + 0.1
    assert boxes[0].x >= 0
    assert boxes[-1].x + boxes[-1].wide <= WIDTH + 0.1


@each
def test_the_bracket_is_what_the_mtu_counts(frame: bytes) -> None:
    """It begins behind the outer Ethernet header and ends with the frame, and says how many bytes that is."""
    found = parts(dissected(frame))
    fragment = svg(found, WIDTH)
    boxes = drawn(fragment)
    ethernet = found[0]["key"] == "eth#1"
    assert bracket(fragment) == pytest.approx((boxes[ethernet].x, boxes[-1].x + boxes[-1].wide), abs=0.1)
    assert f"the link's MTU counts {len(frame) - 14 * ethernet} bytes" in fragment
    assert ("not counted" in fragment) is ethernet


def test_the_sum_is_not_the_famous_wrong_one() -> None:
    """Of 148 bytes 134 count: 20 + 8 + 8 outside, and the Ethernet header inside; both are apart from the letter."""
    found = parts(dissected(FRAMES["vxlan"]))
    assert [(p["key"], p["bytes"]) for p in found if not p["counted"]] == [("eth#1", 14)]
    assert [(p["key"], p["bytes"]) for p in found if p["counted"] and not p["letter"]] == [
        ("ip#1", 20), ("udp#1", 8), ("vxlan#1", 8), ("eth#2", 14)]  # fmt: skip
    assert sum(p["bytes"] for p in found if p["letter"]) == 84
    boxes = {box.key: box for box in drawn(svg(found, WIDTH))}
    for before, behind in (("eth#1", "ip#1"), ("eth#2", "ip#2")):
        assert boxes[behind].x - boxes[before].x - boxes[before].wide == pytest.approx(7, abs=0.1)


def test_an_error_is_a_letter_of_its_own() -> None:
    """What an ICMP error quotes belongs to the error, not to a letter inside it."""
    found = parts(dissected(FRAMES["error"]))
    letter = [part["key"] for part in found if part["letter"]]
    assert letter[:2] == ["ip#2", "icmp#1"]
    assert "ip#3" in letter


def test_the_letter_stays_where_it_is() -> None:
    """At one scale, headers come and go in front of the letter; the letter begins at the same place in every frame."""
    listed = [parts(dissected(stop.frame)) for stop in journey().stops if stop.frame]
    scale = fit(listed, WIDTH)
    places = set()
    for frame in listed:
        boxes = {box.key: box for box in drawn(svg(frame, WIDTH, scale))}
        letter = next(part["key"] for part in frame if part["letter"])
        places.add(boxes[letter].x)
    assert len(places) == 1


def test_headers_on_their_way() -> None:
    """Ghosts stand dashed in front, where the next frame has them solid; the bracket then holds the inner Ethernet."""
    inside, outside = (parts(dissected(journey().stops[i].frame)) for i in (3, 4))
    ghosts: list[Part] = [part for part in outside if part["depth"] == 0]
    scale = fit([outside], WIDTH)
    before = svg(inside, WIDTH, scale, ghosts=ghosts, ghost="put on")
    after = drawn(svg(outside, WIDTH, scale))
    assert [(box.x, box.wide) for box in drawn(before)] == [(box.x, box.wide) for box in after]
    assert [box.ghost for box in drawn(before)] == [True] * 4 + [False] * 4
    assert "the link's MTU counts 134 bytes" in before
    assert "put on, 50 bytes" in before


@each
def test_every_tint_has_a_colour_in_both_themes(frame: bytes) -> None:
    """Each box's class has a rule, whose colour palette.css defines for light and for dark."""
    base = style("palette")
    for part in parts(dissected(frame)):
        assert f".ck-{part['tint']} rect{{fill:var(--ck-{part['tint']})" in style("envelope")
        assert len(re.findall(rf"--ck-{part['tint']}:#[0-9a-f]{{6}}", base)) == 2


@each
def test_no_letters_under_11_pixels_and_none_outside_its_box(frame: bytes) -> None:
    """Text in a box fits in it; the style sheet knows no size under 11."""
    scale = fit([parts(dissected(frame))], WIDTH)
    root = ElementTree.fromstring(svg(parts(dissected(frame)), WIDTH, scale))
    for group in root.iter("g"):
        rect = group.find("rect")
        for text in group.findall("text") if "data-part" in group.attrib else ():
            assert rect is not None
            named = text.get("class") == "ck-name"
            assert width(text.text or "", 12 if named else 11, named) <= float(rect.get("width", "0"))
    assert min(float(size) for size in re.findall(r"([\d.]+)px", style("envelope"))) >= 11


def test_the_picture_brings_its_own_colours() -> None:
    """The image has a ground, both themes' colours, and nothing that would leak if it were taken into a page."""
    picture = envelope.picture_of(parts(dissected(FRAMES["vxlan"])), "a frame in VXLAN")
    assert not offences(picture)
    assert 'alt="a frame in VXLAN"' in picture


def test_nothing_to_draw() -> None:
    """A frame without a byte is an empty drawing."""
    assert drawn(svg([], WIDTH)) == []


def test_names_are_cut_in_the_middle() -> None:
    """Both ends of a long name stay; a name that fits is whole; the first words that fit are taken."""
    assert cut("podA", 100) == "podA"
    shorter = cut("nginx-deployment-7c5ddbdf54-x8v2q", 100)
    assert shorter.startswith("nginx")
    assert shorter.endswith("8v2q")
    assert width(shorter) <= 100
    assert fitting(["a long sentence", "short"], 40) == "short"
    assert fitting(["wide"], 3) == ""
