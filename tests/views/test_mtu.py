"""MtuBar: the parts of a packet add up to what the link sees."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from coursekit import views
from coursekit.errors import CourseError
from coursekit.lab.recording import recording
from coursekit.packets.encapsulation import ENCAPSULATIONS, encapsulate
from coursekit.packets.layout import dissect
from coursekit.packets.mtu import inner_mtu, overhead
from tests.seeds import examples
from tests.views.markup import offences, read, sanitised

MACS = {"eth_src": "02:00:00:00:00:0a", "eth_dst": "02:00:00:00:00:0b"}
INNER_MACS = {"inner_eth_src": "02:00:00:00:00:01", "inner_eth_dst": "02:00:00:00:00:02"}


def packet(size: int) -> bytes:
    """A bare IPv4 packet of that size."""
    header = IP(src="10.244.0.5", dst="10.244.1.7", id=1, ttl=63, proto=1, len=size) / ICMP(id=1, seq=1)
    return bytes(header / Raw(bytes(size - 28)))


def wrapped(size: int, name: str, src: str = "192.0.2.1", dst: str = "192.0.2.2") -> bytes:
    """A packet of that size in an envelope and an Ethernet frame."""
    extra = INNER_MACS if ENCAPSULATIONS[name].kind == "vxlan" else {}
    return encapsulate(packet(size), ENCAPSULATIONS[name], src=src, dst=dst, ip_id=1, **MACS, **extra)


def parts(view: views.MtuBar) -> list[tuple[str, int, str]]:
    """Name, bytes and place of every row of the table."""
    rows = [[cell.text for cell in row.all("td")] for row in read(view.figure()).all("tr") if row.all("td")]
    return [(name, int(size), place) for _, name, size, place in rows]


def svg(view: views.MtuBar) -> ElementTree.Element:
    """The picture, read back."""
    found = re.search(r"data:image/svg\+xml;base64,([^\"]+)", view.figure())
    assert found
    return ElementTree.fromstring(base64.b64decode(found[1]))


def test_vxlan() -> None:
    """Outer IPv4, UDP, VXLAN and the inner Ethernet count, the outer one stands apart."""
    view = views.mtu(wrapped(1450, "flannel-vxlan"))
    assert parts(view) == [
        ("outer Ethernet", 14, "not counted"), ("outer IPv4", 20, "0–20"), ("UDP", 8, "20–28"), ("VXLAN", 8, "28–36"),
        ("inner Ethernet", 14, "36–50"), ("inner IPv4 packet", 1450, "50–1500"), ("spare", 0, "MTU 1500"),
    ]
    assert "The IP packet has 1500 bytes, the link takes 1500: it fits exactly." in str(view)


def test_one_byte_too_many() -> None:
    """One byte more than the MTU is one byte too many, in words, colour and sign."""
    view = views.mtu(wrapped(1451, "flannel-vxlan"))
    assert parts(view)[-1] == ("too many", 1, "MTU 1500")
    assert "1 byte too many" in str(view)
    assert read(view.figure()).all("p", "ck-bad")[0].text.startswith("✗ The IP packet has 1501 bytes")
    assert "1 byte to spare" in str(views.mtu(wrapped(1449, "flannel-vxlan")))


@pytest.mark.parametrize("name", list(ENCAPSULATIONS))
@pytest.mark.parametrize("link", [1280, 1500, 9000])
def test_agrees_with_the_arithmetic(name: str, link: int) -> None:
    """The largest packet that the arithmetic lets through fits exactly, and everything before it is the overhead."""
    largest = inner_mtu(link, ENCAPSULATIONS[name])
    view = views.mtu(wrapped(largest, name), link_mtu=link)
    assert (view.data["size"], view.data["spare"]) == (link, 0)
    if ENCAPSULATIONS[name].kind != "native":
        assert sum(part["bytes"] for part in view.data["parts"][:-1]) == overhead(ENCAPSULATIONS[name])


def test_ipip_has_one_header_in_front() -> None:
    """IPIP: the outer IPv4 header, then the packet."""
    assert [row[:2] for row in parts(views.mtu(wrapped(1480, "calico-ipip")))] == [
        ("outer Ethernet", 14), ("outer IPv4", 20), ("inner IPv4 packet", 1480), ("spare", 0),
    ]  # fmt: skip


def test_ipv6_underlay() -> None:
    """An IPv6 underlay costs 20 bytes more."""
    view = views.mtu(wrapped(1430, "flannel-vxlan", "2001:db8::1", "2001:db8::2"))
    assert parts(view)[1] == ("outer IPv6", 40, "0–40")
    assert view.data["spare"] == 0


def test_without_a_tunnel() -> None:
    """A bare packet is its headers and what they carry; a VLAN tag belongs to the link."""
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / Dot1Q(vlan=5)
    frame /= IP(src="10.0.0.1", dst="10.0.0.2", id=1) / UDP(sport=4000, dport=4001) / Raw(bytes(72))
    assert [row[:2] for row in parts(views.mtu(bytes(frame)))] == [
        ("Ethernet", 14), ("802.1Q", 4), ("IPv4", 20), ("UDP", 8), ("Data", 72), ("spare", 1400),
    ]  # fmt: skip


def test_a_quotation_is_no_tunnel() -> None:
    """The packet that an ICMP error quotes is not taken for an inner one, not even if it has an envelope itself."""
    quoted = IP(src="10.0.0.2", dst="10.0.0.9", id=7) / UDP(sport=1, dport=2)
    for quotation in (quoted, IP(src="10.0.0.3", dst="10.0.0.2", id=8, proto=4) / quoted):
        error = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=1) / ICMP(type=3, code=4) / quotation)
        view = views.mtu(error)
        assert not any("inner" in name or "outer" in name for name, _, _ in parts(view))
        assert view.data["size"] == len(error)


def test_padding_does_not_count() -> None:
    """What Ethernet adds to reach 60 bytes is not the packet's."""
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2", id=1)
    assert views.mtu(bytes(frame / UDP(sport=1, dport=2)) + bytes(18)).data["size"] == 28
    arp = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.1", pdst="10.0.0.2")
    assert views.mtu(bytes(arp) + bytes(18)).data["size"] == 28


def test_a_capture_that_was_cut() -> None:
    """A snaplen does not make a packet smaller: its own length counts."""
    for name in ("flannel-vxlan", "native"):
        assert views.mtu(wrapped(1400, name)[:96]).data["size"] == 1400 + overhead(ENCAPSULATIONS[name])


def test_given_in_words() -> None:
    """Pairs of name and bytes do as well; the outer Ethernet header is not counted among them either."""
    view = views.mtu([("outer Ethernet", 14), ("outer IPv4", 20), ("inner packet", 1500)])
    assert (view.data["size"], view.data["spare"]) == (1520, -20)
    assert parts(view)[0] == ("outer Ethernet", 14, "not counted")


def test_picture_is_to_scale() -> None:
    """The boxes of the upper bar are as wide as their bytes, and the line stands at the MTU."""
    view = views.mtu(wrapped(1450, "flannel-vxlan"), link_mtu=3000)
    boxes = [box for box in svg(view).iter() if box.get("y") == "24" and "stroke-dasharray" not in box.attrib]
    widths = [float(box.attrib["width"]) for box in boxes]
    assert widths == [pytest.approx(720 * size / 3000, abs=0.06) for size in (20, 8, 8, 14, 1450)]
    lines = [path.attrib["d"] for path in svg(view).iter() if path.get("stroke-width") == "3"]
    assert lines == ["M0 8L8 0", "M760.0 16V66"]  # the hatching of what is too much, the line


def test_picture_has_its_own_ground_and_words() -> None:
    """The picture has a background of its own, and the verdict as its alternative text."""
    view = views.mtu(wrapped(1451, "flannel-vxlan"))
    assert [box.get("width") for box in svg(view).iter() if box.get("height") == "100%"] == ["100%"]
    assert read(view.figure()).all("img")[0].attributes["alt"].startswith("The IP packet has 1501 bytes")


def test_text_bar() -> None:
    """The bar of characters has the MTU at its right place, and every part in it."""
    lines = str(views.mtu(wrapped(700, "flannel-vxlan"))).splitlines()
    assert lines[0] == "  1234" + "5" * 26 + "." * 30
    assert lines[1] == "  " + "─" * 59 + "┤ MTU 1500"


@pytest.mark.parametrize("mtu", [0, -1, 1500.0, "1500", True])
def test_what_is_no_mtu(mtu: Any) -> None:
    """An MTU is a positive whole number."""
    with pytest.raises(CourseError, match="number of bytes"):
        views.mtu(packet(84), link_mtu=mtu)


@pytest.mark.parametrize("given", [[], [("a", -1)], [("a", "b")], [1]])
def test_what_is_no_packet(given: Any) -> None:
    """Pairs are names and numbers of bytes."""
    with pytest.raises(CourseError, match="pairs of a name and a number"):
        views.mtu(given)


def test_a_frame_that_ends_before_its_packet() -> None:
    """A lone Ethernet header holds nothing to compare."""
    with pytest.raises(CourseError, match="no packet in this frame"):
        views.mtu(dissect(bytes.fromhex("020000000001020000000002") + b"\x08\x00"))


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=160), st.sampled_from(["ethernet", "raw"]))
def test_any_bytes(data: bytes, linktype: str) -> None:
    """Any frame is drawn or refused with a sentence, and its parts always add up."""
    try:
        view = views.mtu(dissect(data, linktype))
    except CourseError:
        return
    assert sum(part["bytes"] for part in view.data["parts"]) == view.data["size"]
    assert all(part["bytes"] >= 0 for part in view.data["parts"])
    assert offences(view.figure()) == []
    assert max(map(len, str(view).splitlines())) <= 100


def test_recorded_frames(record_property: Any) -> None:
    """For every frame of a recorded cluster the parts add up to the IP length in its header."""
    drawn = 0
    for point in ("node1:eth0", "podA:eth0"):
        for frame in recording("flannel-vxlan").capture(point).frames:
            dissection = dissect(frame.data)
            if any(layer.key == "ip" for layer in dissection.layers):
                assert views.mtu(frame).data["size"] == dissection.layer("ip").fields[4].raw
                drawn += 1
    record_property("frames drawn", drawn)
    print(f"{drawn} recorded frames drawn")
    assert drawn > 10


def test_twins_and_size(record_property: Any) -> None:
    """The data is plain, a sanitizer leaves table and verdict, and a stored bar stays small."""
    view = views.mtu(wrapped(1450, "flannel-vxlan"), title="<script>$")
    assert json.loads(json.dumps(view.data)) == view.data
    assert offences(view.figure()) == []
    assert "inner IPv4 packet" in sanitised(read(view.figure())).text
    record_property("bytes", len(view.figure()))
    assert len(view.figure()) < 8500


def test_udp_checksum_or_not_costs_the_same() -> None:
    """An envelope without checksum has the same size."""
    without = replace(ENCAPSULATIONS["flannel-vxlan"], udp_checksum=False)
    assert overhead(without) == 50


def test_ipv6_inside() -> None:
    """A bare IPv6 packet counts with its 40 bytes of header."""
    whole = bytes(IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=4000, dport=4001) / Raw(bytes(52)))
    assert [row[:2] for row in parts(views.mtu(whole))][:3] == [("IPv6", 40), ("UDP", 8), ("Data", 52)]
