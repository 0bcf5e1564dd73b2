"""A list of frames: one capture point as Wireshark has it, several side by side, a row opens its frame."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from coursekit import views
from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.errors import CourseError
from coursekit.lab.recording import recording
from coursekit.lab.session import session
from coursekit.packets.capture import Capture
from coursekit.views import live
from coursekit.views.frames import FramesView
from tests.views.markup import offences, read, sanitised

RECORD = recording("flannel-vxlan")
JOURNEY = ping(network(load("chapter")), "podA", "podB")
POINTS = ["podA:eth0", "node1:flannel.1", "node1:eth0"]
ALL = views.frames(RECORD, filter="icmp", most=4)
ONE = views.frames(RECORD, "node1:eth0", "udp port 8472", most=5)


def cells(view: FramesView) -> list[list[str]]:
    """The text of the cells of each packet, as drawn in HTML."""
    rows = read(view.figure()).all("table", "ck-points")[0].all("tbody")[0].all("tr")
    return [[cell.text for cell in row.all("td") if cell.classes & {"ck-unseen"} or "data-frame" in cell.attributes]
            for row in rows if row.all("td") and not row.classes & {"ck-more", "ck-words"}]  # fmt: skip


def test_one_point_reads_as_in_wireshark() -> None:
    """Number, time, ends, protocol, bytes, TTLs from the outside in, and what is inside the envelope."""
    assert str(ONE).splitlines()[:5] == [
        "26 frames at node1:eth0 · filter udp port 8472",
        RECORD.banner,
        "no.  time      from          to            protocol  bytes  TTL    info",
        "3    0.000000  192.168.1.10  192.168.1.11  VXLAN     148    64/63  VNI 1 · 10.244.0.5 → 10.244.1.7 ICMP echo",
        " " * 67 + "request, id 27022, seq 1",
    ]
    assert str(ONE).splitlines()[-1] == "21 more are not drawn."


def test_rows_are_the_captures_own() -> None:
    """Numbers, lengths and times are those of the captured frames that pass the filter."""
    frames = RECORD.capture("node1:eth0").filter("udp port 8472").frames[:5]
    expected = [(f.number, len(f.data), f"{(f.time_ns - frames[0].time_ns) / 1e9:.6f}") for f in frames]
    assert [(row["n"], row["length"], row["time"]) for row in ONE.data["rows"]] == expected


def test_a_packet_at_several_points() -> None:
    """One row a packet, one column a point, in the order of the path: 98, 148, 98, and the TTLs on the way."""
    lines = str(ALL).splitlines()
    assert lines[2:6] == [
        "                                          podA  node1  node1      node1  router  node2  node2      podB",
        "no.  time      packet                     eth0  cni0   flannel.1  eth0   sw1     eth0   flannel.1  eth0",
        "  1  0.000000  → 10.244.0.5 → 10.244.1.7  98    98     98         (148)  (148)   (148)  98         98",
        "               ICMP echo request, id      64    64     63         64/63  64/63   64/63  63         62",
    ]
    back = "  2  0.000332  ← 10.244.1.7 → 10.244.0.5  98    98     98         (148)  (148)   (148)  98         98"
    assert back in lines
    assert "(…): seen there, but the filter 'icmp' does not show it." in lines
    assert cells(ALL)[0] == ["9864", "9864", "9863", *["(148)64/63 VXLAN"] * 3, "9863", "9862"]


def test_brackets_are_what_tcpdump_would_leave_out() -> None:
    """A cell is in brackets exactly where that point's capture, filtered, does not hold the frame."""
    for row in ALL.data["rows"]:
        for point, cell in zip(ALL.data["points"], row["cells"], strict=True):
            number = ALL.frames[cell["frame"]].frame.number
            assert cell["shown"] == (number in [f.number for f in RECORD.capture(point).filter("icmp")])


def test_a_lost_packet_shows_where_it_was_seen_last() -> None:
    """Columns end where the packet was seen last; points that captured and saw nothing are named; asked for, a dash."""
    lost = recording("missing-fdb")
    view = views.frames(lost, filter="icmp")
    assert view.data["points"] == ["podA:eth0", "node1:cni0", "node1:flannel.1"]
    assert "none of this was seen there: node1:eth0, node2:eth0, node2:flannel.1, podB:eth0, router:sw1." in " ".join(
        str(view).split()
    )
    assert cells(views.frames(lost, POINTS, "icmp"))[0] == ["9864", "9863", "–"]
    assert "–: not seen there." in str(views.frames(lost, POINTS, "icmp"))


@pytest.mark.parametrize("source", [
    RECORD.capture("node1:eth0"), {"node1:eth0": RECORD.capture("node1:eth0").frames},
    [frame.data for frame in RECORD.capture("node1:eth0")],
], ids=["capture", "mapping", "bytes"])  # fmt: skip
def test_any_source_of_frames(source: Any) -> None:
    """A capture, frames by point, and bare bytes give the rows that the recording gives, bytes without their times."""
    keys = ("n", "src", "dst", "protocol", "length", "ttl", "info")
    expected = [[row[key] for key in keys] for row in views.frames(RECORD, "node1:eth0").data["rows"]]
    assert [[row[key] for key in keys] for row in views.frames(source).data["rows"]] == expected


def test_a_journey_and_a_labs_ping() -> None:
    """A computed journey and what a lab's ping returns are listed too; a computed frame has no time."""
    computed = views.frames(JOURNEY)
    assert computed.data["points"] == list(JOURNEY.points())
    assert [row["way"] for row in computed.data["rows"]] == ["→", "←"]
    assert {row["time"] for row in computed.data["rows"]} == {""}
    assert str(computed).splitlines()[1] == "computed"
    net = session("replay").up("lab", "flannel-vxlan")
    recorded = views.frames(net.ping("podA", "podB", count=3), at="node1", filter="icmp")
    assert recorded.data["points"] == ["node1:cni0", "node1:flannel.1", "node1:eth0"]
    odd = views.frames(net.ping("podA", "podB", size=77))  # nobody recorded that size
    assert [[cell["length"] for cell in row["cells"]][:5] for row in odd.data["rows"]] == [[119] * 4 + [169]] * 2
    assert [row["way"] for row in odd.data["rows"]] == ["→", "←"]


@pytest.mark.parametrize("view", [
    ALL, ONE, views.frames(JOURNEY), views.frames(RECORD), views.frames(recording("tcp-pod-mtu-1500"), filter="tcp"),
    views.frames({f"a-host-with-a-long-name-{i}:eth0": RECORD.capture("podA:eth0") for i in range(12)}, most=3),
    views.frames(recording("wrong-port")), views.frames(recording("bgp-session"), most=60),
    views.frames(RECORD, filter="vlan"),
], ids=range(9))  # fmt: skip
def test_both_twins(view: FramesView) -> None:
    """Text is at most 110 wide, nothing forbidden is in the HTML, data is JSON, the stored figure under 25 kB."""
    assert max(map(len, str(view).splitlines())) <= 110
    assert offences(view.figure()) == []
    assert json.loads(json.dumps(view.data)) == view.data
    assert len(view.figure().encode()) < (25_000 if len(view.data["rows"]) <= 20 else 60_000)
    for row in view.data["rows"]:
        for words in (row["src"], row["dst"], row["info"]):
            assert words in read(view.figure()).text.replace("\u200b", "")


def test_some_frames_open_without_a_kernel() -> None:
    """The first frame stands folded in what is stored, as text; sanitizers leave it."""
    folded = sanitised(read(ALL.figure())).all("details")
    assert [it.all("summary")[0].text for it in folded] == ["open frame 4 at podA:eth0, 98 bytes"]
    number = RECORD.capture("podA:eth0").filter("icmp").frames[0].number
    shown = str(views.packet(RECORD.capture("podA:eth0")[number])).split("\n", 1)[1]
    assert " ".join(shown.split()) in folded[0].text


def test_the_kernel_answers_with_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a row asks is answered with that frame's figure; nothing is sent before, nor for what is no frame."""
    heard: list[Any] = []

    class Model:
        def __init__(self, key: str, data: dict[str, Any]) -> None:
            self.data, self.sent = data, list[Any]()
            heard.append(self)

        def on_msg(self, called: Any) -> None:
            self.called = called

        def send(self, content: Any) -> None:
            self.sent.append(content)

    monkeypatch.setattr(live, "in_kernel", lambda: True)
    monkeypatch.setattr(live, "_model_class", lambda: Model)
    monkeypatch.setattr(live, "_models", {})
    ALL._repr_mimebundle_()
    (model,) = heard
    assert model.data == {}
    place = ALL.data["rows"][0]["cells"][3]["frame"]
    for asked in ({"frame": place}, {"frame": 10_000}, {"frame": "x"}, {}):
        model.called(model, asked, [])
    answer, *rest = model.sent
    assert rest == [{}, {}, {}]
    assert answer["frame"] == place
    item = ALL.frames[place]
    assert answer["html"] == views.packet(item.dissection, f"Frame {item.frame.number} at node1:eth0").figure()


@pytest.mark.parametrize(("call", "words"), [
    (lambda: views.frames(7), "Frames are listed of a recording, .*; 7 was given"),
    (lambda: views.frames(RECORD, "node9"), "Nothing was captured at 'node9'; the capture points are node1:cni0"),
    (lambda: views.frames(RECORD, 5), "capture point, such as .node1:eth0., a host, or several; 5 was given"),
    (lambda: views.frames(RECORD, filter="no such"), "libpcap does not accept"),
    (lambda: views.frames(RECORD, most=0), "how many rows to draw, 1 or more; 0 was given"),
    (lambda: views.frames({}), "no capture point here"),
    (lambda: views.frames({"a": 5}), "a capture or a list of frames; 5 was given"),
    (lambda: views.frames([1]), "A frame is bytes.*1 was given"),
    (lambda: views.frames(RECORD, title=5), "A title is text"),
])  # fmt: skip
def test_mistakes_are_sentences(call: Any, words: str) -> None:
    """What cannot be listed is refused by name."""
    with pytest.raises(CourseError, match=words):
        call()


def test_an_empty_capture() -> None:
    """Where nothing passed, the twins say so."""
    view = views.frames(RECORD, "node1:eth0", "vlan")
    assert str(view).splitlines()[-1] == "no frame"
    assert read(view.figure()).all("p")[0].text == "no frame"
    assert isinstance(RECORD.capture("node1:eth0"), Capture)
    assert not re.search("ck-more", view.html())
