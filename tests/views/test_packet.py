"""PacketView: bytes, fields, ruler and text say the same thing."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.lab.recording import recording, recordings
from coursekit.packets.fields import Dissection, Field
from coursekit.packets.layout import dissect
from coursekit.views.envelope import parts
from coursekit.views.packet import PacketView
from coursekit.views.packet_data import bit_pattern
from tests.seeds import examples
from tests.views.markup import offences, read, sanitised

TINTS = {"ck-eth", "ck-ip", "ck-udp", "ck-vxlan", "ck-l4", "ck-data"}
RAW = {"tunl0", "ipip0"}


def encapsulated() -> Dissection:
    """The first ping of the recorded flannel cluster, on the underlay."""
    frames = (dissect(frame.data) for frame in recording("flannel-vxlan").capture("node1:eth0").frames)
    return next(frame for frame in frames if any(layer.key == "vxlan" for layer in frame.layers))


FRAME = encapsulated()
VIEW = PacketView(FRAME, "Echo request")


def hex_of(html: str) -> bytes:
    """Read the bytes back from the hex dump."""
    cells = (row.all("td")[0].text for row in read(html).all("table", "ck-hex")[0].all("tbody")[0].all("tr"))
    return bytes.fromhex(" ".join(cell for cell in cells if "not drawn" not in cell))


def fields_of(html: str) -> list[tuple[int, str, str, str]]:
    """Read number, place, name with bits, and value of every field back from the field table."""
    rows = [row for table in read(html).all("table", "ck-fields") for row in table.all("tr") if len(row.all("td")) == 3]
    return [(_number(row), *(cell.text for cell in row.all("td"))) for row in rows]  # type: ignore[misc]


def _number(element: Any) -> int:
    return next(int(name[1:]) for name in element.classes if re.fullmatch(r"f\d+", name))


def test_html_holds_the_frame() -> None:
    """The bytes read back from the HTML are the frame's."""
    assert hex_of(VIEW.figure()) == FRAME.data


def test_html_holds_the_fields() -> None:
    """Places, names, bits and values read back from the HTML are those of the dissection, in wire order."""
    expected = []
    for number, field in enumerate(FRAME.fields()):
        first, last = field.bit_offset // 8, (field.bit_offset + field.width - 1) // 8
        place = str(first) if first == last else f"{first}–{last}"
        name = " ".join(filter(None, (field.name, bit_pattern(field))))
        value = field.value + (" ✓ correct" if field.verdict else "")
        expected.append((number, place, name, value))
    assert fields_of(VIEW.figure()) == expected


def test_bytes_and_fields_share_a_class() -> None:
    """Every field's class stands on exactly the bytes that the field lies in: this is what lights them together."""
    at: dict[int, list[int]] = {}
    for row in read(VIEW.figure()).all("table", "ck-hex")[0].all("tbody")[0].all("tr"):
        position = int(row.all("th")[0].text, 16)
        for chunk in row.all("b"):
            for _ in chunk.text.split():
                for name in chunk.classes:
                    if re.fullmatch(r"f\d+", name):
                        at.setdefault(int(name[1:]), []).append(position)
                position += 1
    spans = [(f.bit_offset // 8, (f.bit_offset + f.width + 7) // 8) for f in FRAME.fields()]
    assert at == {number: list(range(*span)) for number, span in enumerate(spans)}


def test_each_field_has_its_rule_for_hover_and_focus() -> None:
    """The style sheet has one rule for each field, so that hovering works without JavaScript."""
    sheet = VIEW.rules()
    expected = [(str(n), str(n)) for n, _ in enumerate(FRAME.fields())]
    assert re.findall(r":has\(\.f(\d+):is\(:hover,:focus\)\) \.f(\d+)", sheet) == expected
    layers = [(str(n), str(n)) for n, _ in enumerate(FRAME.layers)]
    assert re.findall(r":has\(\.h(\d+):hover\) \.l(\d+)", sheet) == layers  # a box or a line lights its bytes
    assert re.findall(r":has\(\.l(\d+):hover\) summary\.h(\d+)", sheet) == layers  # a byte lights its header's line


def test_headers_are_folded() -> None:
    """Each header is a closed `<details>` with its fields inside, in wire order, whose line says name, place, size."""
    for view in (VIEW, PacketView(FRAME, ruler=True)):
        folded = read(view.figure()).all("details", "ck-layer")
        assert not [it for it in folded if "open" in it.attributes]
        lines = [it.all("summary")[0].text for it in folded]
        for line, layer in zip(lines, FRAME.layers, strict=True):
            assert f"{layer.name} bytes {layer.bit_offset // 8}–" in line
            assert f"({layer.width // 8})" in line
            assert layer.summary in line
        numbers = [[_number(e) for e in it.all() if "tabindex" in e.attributes] for it in folded]
        assert [len(some) for some in numbers] == [len(layer.fields) for layer in FRAME.layers]
        assert [n for some in numbers for n in some] == list(range(len(list(FRAME.fields()))))


def test_one_tint_per_header() -> None:
    """A header has the same tint in the bytes, in its line and in the picture: that of the envelope."""
    tree = read(VIEW.figure())
    expected = {number: f"ck-{part['tint']}" for number, part in enumerate(parts(FRAME))}
    assert list(expected.values()) == ["ck-eth", "ck-ip", "ck-udp", "ck-vxlan", "ck-eth", "ck-ip", "ck-l4", "ck-data"]
    runs = tree.all("table", "ck-hex")[0].all("span")
    assert {int(next(n for n in it.classes if re.fullmatch(r"l\d+", n))[1:]): (it.classes & TINTS).pop() for it in runs
            } == expected  # fmt: skip
    lines = tree.all("summary")
    assert [(it.classes & TINTS).pop() for it in lines] == list(expected.values())
    picture = base64.b64decode(tree.all("img")[0].attributes["src"].split(",")[1]).decode()
    assert re.findall(r'class="ck-box (ck-\w+)"', picture) == list(expected.values())


def test_spots_lie_over_the_boxes() -> None:
    """What takes the pointer over the picture stands where the picture's boxes are, to a pixel."""
    tree = read(VIEW.figure())
    image = tree.all("img")[0]
    drawn = base64.b64decode(image.attributes["src"].split(",")[1]).decode()
    boxes = re.findall(r'class="ck-box [\w-]+"><rect x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    shift = float(re.findall(r"translate\((\d+) ", drawn)[0])
    for spot, (x, width) in zip(tree.all("div", "ck-env")[0].all("i"), boxes, strict=True):
        left, across = (float(n) for n in re.findall(r"([\d.]+)px", spot.attributes["style"]))
        assert abs(left - float(x) - shift) < 1
        assert abs(across - float(width)) < 1


def test_data_is_json_and_deterministic() -> None:
    """`data` survives JSON, and the same frame always gives the same figure and text."""
    again = PacketView(dissect(FRAME.data), "Echo request")
    assert json.loads(json.dumps(VIEW.data)) == VIEW.data
    assert (again.figure(), repr(again)) == (VIEW.figure(), repr(VIEW))


def test_depth_is_said_in_words() -> None:
    """Each header says its depth as number and word where something is nested, and nothing where nothing is."""
    heads = [row.text for row in read(VIEW.figure()).all("summary")]
    assert [head.split(" · ")[0] for head in heads] == ["0 outer"] * 4 + ["1 inner"] * 4
    plain = PacketView(dissect(recording("flannel-vxlan").capture("podA:eth0").frames[0].data))
    assert not any("outer" in row.text for row in read(plain.figure()).all("summary"))


def test_text_twin() -> None:
    """The text twin has the bytes, every field's value, the bits of small fields and the verdicts."""
    lines = repr(VIEW).splitlines()
    assert lines[0] == "Echo request · 148 bytes"
    digits = " ".join(line[6:] for line in lines if re.match(r"[0-9a-f]{4}  ", line))
    assert bytes.fromhex(digits) == FRAME.data
    body = [line for line in lines if line.startswith("  ")]
    for line, field in zip(body, FRAME.fields(), strict=True):
        assert field.name in line
        assert field.value in line
    assert "  20      Don't Fragment                     0 (not set)  [·0·· ····]" in lines
    assert any(line.endswith("0x8eda ✓ correct") for line in lines)
    assert max(map(len, lines)) <= 100


def test_only_the_given_keys_in_the_bundle() -> None:
    """The bundle is text and HTML: no widget that a stored notebook could not find again."""
    assert set(VIEW._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_nothing_forbidden_in_the_markup() -> None:
    """No inline SVG, script, handler, id or dollar sign, and every rule keeps to the course's own classes."""
    assert offences(VIEW.figure()) == []
    assert offences(PacketView(FRAME, ruler=True).figure()) == []


def test_survives_a_sanitizer() -> None:
    """With style sheet and data attributes gone, bytes, names, values and the borders' colours are still there."""
    tree = sanitised(read(VIEW.figure()))
    assert tree.text == read(VIEW.figure()).text
    borders = {span.attributes["style"] for span in tree.all("span") if "style" in span.attributes}
    assert borders == {"border-bottom:3px solid #0072B2", "border-bottom:3px solid #D55E00"}


def test_focusable_parts_keep_shortcuts_out() -> None:
    """Whatever can be focused carries Lumino's attribute itself; on an ancestor it has no effect."""
    for view in (VIEW, PacketView(FRAME, ruler=True)):
        focusable = [e for e in read(view.figure()).all() if "tabindex" in e.attributes]
        assert len(focusable) == len(list(FRAME.fields()))
        assert {e.attributes.get("data-lm-suppress-shortcuts") for e in focusable} == {"true"}


def test_size_of_a_stored_figure(record_property: Any) -> None:
    """A frame of 148 bytes takes less than 30 kB in a notebook."""
    size = len(VIEW.figure().encode())
    record_property("bytes of HTML for 148 bytes of frame", size)
    print(f"PacketView of {len(FRAME.data)} bytes: {size} bytes of HTML")
    assert size < 30_000


def test_a_title_cannot_break_out() -> None:
    """Markup and dollar signs in a title or a payload are shown, not obeyed."""
    frame = dissect(b"\x45\x00\x00\x24" + bytes(5) + b"\xff" + bytes(10) + b"$x$<script>&amp;"[:16], "raw")
    view = PacketView(frame, '<b onclick="x">$a$</b>')
    assert offences(view.html()) == []
    assert view.html().count("&lt;b onclick") == 1
    assert "$x$<script>" in repr(view)


def test_long_payload_is_cut_and_says_so() -> None:
    """Of a long payload 64 bytes are drawn, to the end of a row; the number left out stands there."""
    frame = dissect(bytes.fromhex("450005dc00000000 40fd0000 c0000201 c0000202") + bytes(1480), "raw")
    text = repr(PacketView(frame))
    drawn = hex_of(PacketView(frame).figure())
    left_out = len(frame.data) - len(drawn)
    assert f"{left_out} bytes not drawn" in text
    assert f"{left_out} bytes not drawn" in PacketView(frame).html()
    assert drawn == frame.data[: len(drawn)]
    assert len(drawn) % 16 == 0


def test_a_partial_dissection_says_where_it_stopped() -> None:
    """The sentence of a dissection that ended early stands in both twins."""
    frame = dissect(FRAME.data[:30])
    assert frame.stopped
    assert f"! {frame.stopped}" in repr(PacketView(frame))
    assert read(PacketView(frame).figure()).all("p", "ck-stopped")[0].text == f"⚠ {frame.stopped}"


def test_an_empty_frame() -> None:
    """A frame without bytes is drawn as the sentence that says so."""
    view = PacketView(dissect(b""))
    assert repr(view).splitlines() == ["0 bytes", "! The frame is empty: there is no byte to dissect."]
    assert offences(view.figure()) == []


@pytest.mark.parametrize(
    ("offset", "width", "raw", "expected"),
    [
        (112, 4, 4, "0100 ····"),
        (116, 4, 5, "···· 0101"),
        (161, 1, 1, "·1·· ····"),
        (163, 13, 185, "···0 0000 1011 1001"),
        (176, 8, 64, ""),
        (208, 32, b"\xc0\xa8\x01\x0a", ""),
    ],
)
def test_bits_of_small_fields(offset: int, width: int, raw: int | bytes, expected: str) -> None:
    """A field that does not fill its bytes shows its own digits where they stand, dots for its neighbours'."""
    assert bit_pattern(Field("k", "n", offset, width, raw, "v")) == expected


def test_wrong_and_open_checksums() -> None:
    """A verdict is told by a sign and by words: correct, wrong, or left to somebody else."""
    broken = bytearray(FRAME.data)
    broken[24] ^= 0xFF
    assert re.search(r"Header Checksum +0x71da ✗ wrong", repr(PacketView(dissect(bytes(broken)))))
    offload = recording("offload-on").capture("podA:eth0").frames
    verdicts = [f.verdict for frame in offload for f in dissect(frame.data).fields() if f.verdict.startswith("left")]
    assert verdicts
    assert any(f"– {verdicts[0]}" in repr(PacketView(dissect(frame.data))) for frame in offload)


def test_ruler_rows_have_32_bits() -> None:
    """In the ruler every row but a header's last is 32 bits wide, and a header's cells add up to its bits."""
    tables = read(PacketView(FRAME, ruler=True).figure()).all("table", "ck-ruler")
    assert len(tables) == len(FRAME.layers)
    for table, layer in zip(tables, FRAME.layers, strict=True):
        widths = [[int(c.attributes["colspan"]) for c in row.all("td")] for row in table.all("tbody")[0].all("tr")]
        assert [sum(row) for row in widths[:-1]] == [32] * (len(widths) - 1)
        if layer.width <= 320:
            assert sum(map(sum, widths)) == layer.width


def test_ruler_names_every_field() -> None:
    """In the ruler each field stands once with its value; small ones by their sign (DF, ECN)."""
    table = read(PacketView(FRAME, ruler=True).figure()).all("table", "ck-ruler")[1]
    texts = [cell.text for cell in table.all("td")]
    assert "DF0" in texts
    assert "Time to Live64" in texts
    assert "Source Address192.168.1.10" in texts


@settings(max_examples=examples(150), deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["ethernet", "raw"]))
def test_any_bytes_can_be_drawn(data: bytes, linktype: str) -> None:
    """Whatever the bytes are, both twins draw them, and the bytes drawn are the frame's."""
    frame = dissect(data, linktype)
    for view in (PacketView(frame), PacketView(frame, ruler=True)):
        assert offences(view.figure()) == []
        assert repr(view)
    if data:
        drawn = hex_of(PacketView(frame).figure())
        assert len(drawn) <= len(data)
        assert len(drawn) == len(data) or "not drawn" in repr(PacketView(frame))


def test_every_recorded_frame_can_be_drawn(record_property: Any) -> None:
    """Of every recording, the first frames at each point read back as they were captured."""
    drawn = 0
    for name in recordings():
        record = recording(name)
        for point in record.points():
            for frame in record.capture(point).frames[:2]:
                dissection = dissect(frame.data, "raw" if point.split(":")[1] in RAW else "ethernet")
                html = PacketView(dissection).html()
                if "not drawn" not in html:
                    assert hex_of(html) == frame.data
                assert len(fields_of(html)) == len(list(dissection.fields()))
                drawn += 1
    record_property("frames drawn", drawn)
    print(f"{drawn} recorded frames drawn")
    assert drawn > 100
