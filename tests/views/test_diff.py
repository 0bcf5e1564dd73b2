"""PacketDiff: what two frames share, and what one has more."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6

from coursekit import views
from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.errors import CourseError
from coursekit.packets.compare import compare
from coursekit.packets.encapsulation import ENCAPSULATIONS
from coursekit.packets.layout import dissect
from coursekit.packets.mtu import overhead
from coursekit.views.diff import align
from tests.seeds import examples
from tests.views.markup import offences, read, sanitised

CHAPTER = load("chapter")


def frames(profile: str) -> dict[str, bytes]:
    """The frames of a ping between nodes, by capture point."""
    journey = ping(network(CHAPTER.with_profile(profile)), "podA", "podB")
    return {stop.point: stop.frame for stop in reversed(journey.stops) if stop.frame}


VXLAN, IPIP = frames("flannel-vxlan"), frames("calico-ipip")
INSIDE, OUTSIDE = VXLAN["node1:flannel.1"], VXLAN["node1:eth0"]


def heads(view: views.PacketDiff) -> list[str]:
    """The header rows as drawn in HTML."""
    return [row.text for row in read(view.figure()).all(class_="ck-head")]


def rows(view: views.PacketDiff) -> list[tuple[str, str, str]]:
    """Name and values of the field rows as drawn in HTML."""
    listed = [row.all("td") for row in read(view.figure()).all("tr") if len(row.all("td")) == 4]
    return [(cells[1].text, cells[2].text, cells[3].text) for cells in listed]


def test_an_envelope_is_summed() -> None:
    """The first line says what was added, header by header."""
    assert str(views.diff(INSIDE, OUTSIDE)).splitlines()[1].startswith(
        "+50 bytes: Ethernet 14, IPv4 20, UDP 8, VXLAN 8; 0 fields"
    )
    assert str(views.diff(OUTSIDE, INSIDE)).splitlines()[1].startswith(
        "−50 bytes: Ethernet 14, IPv4 20, UDP 8, VXLAN 8; 0 fields"
    )
    assert "+30 bytes: UDP 8, VXLAN 8, Ethernet 14" in str(views.diff(IPIP["node1:eth0"], OUTSIDE))


@pytest.mark.parametrize(("profile", "name"), [
    ("flannel-vxlan", "flannel-vxlan"), ("calico-vxlan", "calico-vxlan"), ("calico-ipip", "calico-ipip"),
])  # fmt: skip
def test_sum_is_the_overhead(profile: str, name: str) -> None:
    """What a diff adds between pod and underlay is what the MTU arithmetic takes."""
    seen = frames(profile)
    assert f"+{overhead(ENCAPSULATIONS[name])} bytes: " in str(views.diff(seen["podA:eth0"], seen["node1:eth0"]))


def test_inner_headers_meet() -> None:
    """VXLAN, IPIP and the bare packet are aligned at the inner IP header."""
    bare = frames("host-gw")["podA:eth0"]
    for other in (OUTSIDE, IPIP["node1:eth0"]):
        a, b = dissect(bare), dissect(other)
        inner = [y for x, y in align(a.layers, b.layers) if x and x.key == "ip"]
        assert inner == [b.layer("ip", 1)]
    assert heads(views.diff(bare, OUTSIDE))[4].startswith("≠ 1 inner · Ethernet")


def test_like_meets_like() -> None:
    """A header is paired with the one that it is most equal to, inner or outer."""
    outer, inner = (dissect(IPIP["node1:eth0"]).layer("ip", nth) for nth in (0, 1))
    assert align([outer], [outer, inner]) == [(outer, outer), (None, inner)]
    assert align([outer, inner], [inner]) == [(outer, None), (inner, inner)]


def test_changed_fields() -> None:
    """Between the ends of a path only MACs, TTL and its checksum change; equal fields are counted, not listed."""
    view = views.diff(VXLAN["podA:eth0"], VXLAN["podB:eth0"], labels=("sent", "received"))
    assert [row[0] for row in rows(view)] == ["Destination", "Source", "Time to Live", "Header Checksum"]
    assert ("Time to Live", "64", "62") in rows(view)
    assert "≠ 0 outer · IPv4: 2 of 15 fields differ" in heads(view)
    assert "= 0 outer · ICMP: equal" in heads(view)
    assert "a: sent, 98 bytes; b: received, 98 bytes" in str(view)


def test_marks_are_words_too() -> None:
    """No row is told by its colour alone."""
    cells = [row.all("td")[0].text for row in read(views.diff(INSIDE, OUTSIDE).figure()).all("tr") if row.all("td")]
    assert set(cells) == {"+ only in b"}
    cells = [row.all("td")[0].text for row in read(views.diff(OUTSIDE, INSIDE).figure()).all("tr") if row.all("td")]
    assert set(cells) == {"− only in a"}


def test_fields_agree_with_compare() -> None:
    """Where two frames have the same headers, the fields listed are those that `compare` finds."""
    a, b = VXLAN["podA:eth0"], VXLAN["podB:eth0"]
    assert rows(views.diff(a, b)) == [(item.name, item.a, item.b) for item in compare(a, b)]


def test_payload_that_grows() -> None:
    """A shared header or payload that changes its size is named with both sizes."""
    data = INSIDE + b"abcd"
    grown = data[:16] + (int.from_bytes(data[16:18], "big") + 4).to_bytes(2, "big") + data[18:]
    assert "Data 56 → 60 bytes" in str(views.diff(INSIDE, grown))


def test_identical() -> None:
    """Equal frames are said to be equal, and no field is listed."""
    view = views.diff(OUTSIDE, OUTSIDE)
    assert "The two frames are identical, byte for byte." in str(view)
    assert rows(view) == []


def test_bare_packet_is_recognised() -> None:
    """What a tunnel device without Ethernet shows is compared as the IP packet it is."""
    assert "+14 bytes: Ethernet 14" in str(views.diff(INSIDE[14:], INSIDE))


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=120))
def test_any_bytes(a: bytes, b: bytes) -> None:
    """Any two frames can be compared; each header stands in the diff once, in the order of its frame."""
    one, other = dissect(a), dissect(b)
    pairs = align(one.layers, other.layers)
    assert tuple(x for x, _ in pairs if x) == one.layers
    assert tuple(y for _, y in pairs if y) == other.layers
    view = views.diff(one, other)
    assert offences(view.figure()) == []
    assert max(map(len, str(view).splitlines())) <= 100
    assert json.loads(json.dumps(view.data)) == view.data


def test_what_is_no_frame() -> None:
    """Something else than a frame is refused by name."""
    with pytest.raises(CourseError, match="dict was given"):
        views.diff({}, OUTSIDE)  # type: ignore[arg-type]


def test_text_fits() -> None:
    """The text twin stays within 100 columns, and cuts no address: not even two of IPv6 side by side."""
    for other in (VXLAN["podB:eth0"], INSIDE, IPIP["node1:eth0"]):
        assert max(map(len, str(views.diff(OUTSIDE, other)).splitlines())) <= 100
    ends = [f"2001:db8:1111:2222:3333:4444:5555:666{i}" for i in range(4)]
    a, b = (bytes(IPv6(src=src, dst=dst) / UDP(sport=1, dport=2)) for src, dst in (ends[:2], ends[2:]))
    text = str(views.diff(a, b))
    assert max(map(len, text.splitlines())) <= 100
    assert f"Source Address: {ends[0]} → {ends[2]}" in " ".join(text.split())


def test_a_sanitizer_leaves_the_diff() -> None:
    """Without style sheet, marks, names and values are still there."""
    text = sanitised(read(views.diff(INSIDE, OUTSIDE).figure())).text
    assert all(part in text for part in ("+50 bytes", "+ only in b", "VXLAN Network Identifier", "192.168.1.11"))


def picture(view: views.PacketDiff) -> str:
    """The drawing of both frames."""
    source = read(view.figure()).all("img")[0].attributes["src"]
    return base64.b64decode(source.split(",")[1]).decode()


def test_lone_headers_are_folded_and_changed_ones_open() -> None:
    """What only one frame has is one closed line with a count; what differs stands open; what is equal has no rows."""
    folded = read(views.diff(INSIDE, OUTSIDE).figure()).all("details")
    assert [("open" in it.attributes, it.all("summary")[0].text) for it in folded] == [
        (False, "+ 0 outer · Ethernet: only in b, 14 bytes, 3 fields"),
        (False, "+ 0 outer · IPv4: only in b, 20 bytes, 15 fields"),
        (False, "+ 0 outer · UDP: only in b, 8 bytes, 4 fields"),
        (False, "+ 0 outer · VXLAN: only in b, 8 bytes, 7 fields"),
    ]
    changed = read(views.diff(VXLAN["podA:eth0"], VXLAN["podB:eth0"]).figure()).all("details")
    assert ["open" in it.attributes for it in changed] == [True, True]


@pytest.mark.parametrize(("a", "b", "marked", "words"), [
    (INSIDE, OUTSIDE, ["ck-eth", "ck-ip", "ck-udp", "ck-vxlan"], "+50 = 14 + 20 + 8 + 8"),
    (OUTSIDE, INSIDE, ["ck-eth", "ck-ip", "ck-udp", "ck-vxlan"], "−50 = 14 + 20 + 8 + 8"),
    (IPIP["podA:eth0"], IPIP["node1:eth0"], ["ck-ip"], "+20"),
    (IPIP["node1:eth0"], OUTSIDE, ["ck-udp", "ck-vxlan", "ck-eth"], "+30 = 8 + 8 + 14"),
], ids=["put on", "taken off", "IPIP", "IPIP against VXLAN"])  # fmt: skip
def test_what_one_has_more_stands_out_in_the_picture(a: bytes, b: bytes, marked: list[str], words: str) -> None:
    """Both frames are drawn to one scale, letter above letter; the lone headers have a bold edge and their sum."""
    drawn = picture(views.diff(a, b))
    assert re.findall(r'class="ck-box ([\w-]+) ck-mark"', drawn) == marked
    assert f">{words}<" in drawn
    letters = re.findall(r'class="ck-letter" x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    assert len(letters) == 2
    assert len(set(letters)) == 1


def test_equal_frames_are_drawn_once() -> None:
    """Of two equal frames one is drawn, with no mark."""
    drawn = picture(views.diff(OUTSIDE, OUTSIDE))
    assert drawn.count("ck-envelope\"") == 1
    assert "ck-mark\"" not in drawn


def test_size(record_property: Any) -> None:
    """A stored diff stays small."""
    size = len(views.diff(INSIDE, OUTSIDE).figure())
    record_property("bytes", size)
    assert size < 20_000
