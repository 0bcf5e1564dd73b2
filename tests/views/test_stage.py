"""The stage: drawing, envelope, chapters, stops, outcome and replies, in both twins, for journeys of every kind."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any
from xml.etree import ElementTree

import pytest

from coursekit.cluster.faults import applicable, apply
from coursekit.cluster.journey import ping, send
from coursekit.cluster.model import clusters, load
from coursekit.cluster.network import Network, network
from coursekit.cluster.options import PROFILES
from coursekit.cluster.path import Journey, Outcome, Stop
from coursekit.cluster.probes import Probe, udp_probe
from coursekit.cluster.tables import Route
from coursekit.errors import CourseError
from coursekit.lab.minikube import KubeLab
from coursekit.lab.session import Session
from coursekit.views.chapters import Knows
from coursekit.views.letters import width
from coursekit.views.packed import unpacked
from coursekit.views.stage import Stage
from tests.views.markup import Element, offences, read, sanitised

CHAPTER = load("chapter")
NETWORK = network(CHAPTER)
PING = ping(NETWORK, "podA", "podB")


def journeys() -> dict[str, Journey]:
    """Return pings across every cluster, profile and fault, small and large, and what is no ping."""
    found: dict[str, Journey] = {}
    for cluster in map(load, clusters()):
        for profile in PROFILES if cluster.underlay_version == 4 else ["flannel-vxlan"]:
            built = network(cluster.with_profile(profile))
            found[f"{cluster.name} {profile}"] = ping(built, cluster.pods[0].name, cluster.pods[-1].name)
    for fault in applicable(NETWORK):
        for size in (56, 1400):
            found[f"{fault} {size}"] = ping(apply(NETWORK, fault), "podA", "podB", size=size)
    found["refused"] = ping(NETWORK, "podA", "podB", size=1472, df=True)
    found["no host"] = ping(NETWORK, "podA", "10.244.9.9")
    found["itself"] = ping(NETWORK, "podA", "podA")
    found["expired"] = ping(NETWORK, "podA", "podB", ttl=2)
    found["from a node"] = ping(NETWORK, "node1", "podB")
    found["to a node"] = ping(NETWORK, "podA", "node2")
    for back in ("missing-route", "missing-neighbour", "missing-fdb"):
        found[f"no answer: {back}"] = ping(apply(NETWORK, back, node="node2"), "podA", "podB")
    found["nothing"] = Journey((), Outcome("lost", "", None, "", "nobody sent anything"))
    return found


JOURNEYS = journeys()
each = pytest.mark.parametrize("journey", JOURNEYS.values(), ids=list(JOURNEYS))


def stops_of(html: str) -> list[Element]:
    """Return the rows of the list of stops."""
    return read(html).all("tr", "ck-stop")


def svg_of(html: str) -> str:
    """Return the picture behind the address of the first image; nothing if there is none."""
    found = re.search(r"data:image/svg\+xml;base64,([^\"]+)\"", html)
    return base64.b64decode(found[1]).decode() if found else ""


@each
def test_both_twins_hold_every_stop_and_row(journey: Journey) -> None:
    """Each stop's number, place and note, each row that decided and each size are in the list and in the text."""
    view = Stage(journey)
    rows, text = stops_of(view.figure()), view.text()
    assert len(rows) == len(journey.stops)
    for number, (stop, row) in enumerate(zip(journey.stops, rows, strict=True), 1):
        assert row.all("td")[0].text == str(number)
        assert [cell.text for cell in row.all("th")] == [stop.point]
        words = re.sub(r"\s+", " ", stop.note)
        assert words in row.text
        assert re.search(rf"^ ?{number}  {re.escape(stop.point)}  {stop.action}: {re.escape(stop.note)}$", text, re.M)
        for decision in stop.decisions:
            if decision.row is not None:
                assert f"{decision.table} {decision.asked}: {decision.row}" in row.text
                assert f"      {decision.table} {decision.asked}: {decision.row}\n" in text
        filled = {d.sets for d in stop.decisions if d.sets and d.row is not None}
        assert all(f"sets {key}" in row.text for key in filled)
        assert not [d for d in stop.decisions if d.sets and d.sets not in filled and f"sets {d.sets}" in row.text]
        if stop.frame:
            assert f"{len(stop.frame)} bytes" in row.text


@each
def test_both_twins_tell_the_outcome(journey: Journey) -> None:
    """The reason and what came back are said in both, with a mark and a word, and the picture's alt ends with it."""
    view = Stage(journey)
    delivered = "delivered" if journey.answered else "unanswered"
    word = {"delivered": delivered, "refused": "refused"}.get(journey.outcome.kind, "dropped")
    for twin in (read(view.figure()).text, view.text()):
        assert journey.outcome.reason in twin
        assert f"{'✓' if word == 'delivered' else '✕'} {word} after {len(journey.stops)} stop" in twin
        for reply in filter(None, (journey.reply, *journey.others)):
            assert all(stop.note in twin for stop in reply.stops)
    pictures = read(view.figure()).all("img")
    assert [image.attributes["alt"].endswith(f"End: {word}.") for image in pictures] == [True] * bool(journey.stops)


@pytest.mark.parametrize("fault", ["missing-route", "missing-neighbour", "missing-fdb"])
def test_a_ping_without_its_answer_is_not_called_delivered(fault: str) -> None:
    """Where only node1 knows the way, caption, picture and mark say ✕ unanswered, and the sentence says where."""
    journey = JOURNEYS[f"no answer: {fault}"]
    view = Stage(journey)
    assert journey.outcome.kind == "delivered"
    assert "✕ unanswered after 12 stops" in view.text()
    assert "✕ unanswered<" in svg_of(view.figure())
    assert "ck-bad" in view.html()
    assert "ck-good" not in view.html()
    assert "The answer is lost: " in view.text()
    assert "✓" not in view.text()


def test_a_datagram_that_asks_for_nothing_is_delivered() -> None:
    """One that arrives at a program that never answers is delivered, with the good mark."""
    listener = NETWORK.change("podB", listens=NETWORK.host("podB").listens | {("udp", 33434)})
    probe = udp_probe(CHAPTER.pod("podA").address, CHAPTER.pod("podB").address, sport=4000)
    text = Stage(send(listener, probe, "podA")).text()
    assert "✓ delivered after 12 stops" in text
    assert "Nothing is sent back." in text


def test_what_a_lab_returns_is_drawn() -> None:
    """A ping of a lab, live or replayed, draws the way of its first request, as the model's does."""
    asked = Session("replay", "").up("lab", "flannel-vxlan").ping("podA", "podB", count=2)
    assert Stage(asked).text() == Stage(asked.journey).text()  # type: ignore[arg-type]


SPACE = "{http://www.w3.org/2000/svg}"


def boxes_of(root: ElementTree.Element, kind: str) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of the rectangles of a class, or of those inside groups of that class."""
    rects = [e for e in root.iter(f"{SPACE}rect") if kind in (e.get("class") or "").split()]
    for group in root.iter(f"{SPACE}g"):
        if kind in (group.get("class") or "").split():
            rects += group.findall(f"{SPACE}rect")
    return [_box(rect) for rect in rects]


def _box(rect: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, wide, tall = (float(rect.get(key, 0)) for key in ("x", "y", "width", "height"))
    return x, y, x + wide, y + tall


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_long_names_are_cut_in_the_middle() -> None:
    """Names that Kubernetes makes up are cut to the width of their box, both ends stay; others are whole."""
    one = KubeLab()
    root = ElementTree.fromstring(svg_of(Stage(one.ping(*one.pair)).figure()))
    names = [text.text or "" for text in root.iter(f"{SPACE}text") if text.get("class") == "ck-host"]
    rooms = boxes_of(root, "ck-room")
    assert any("…" in name for name in names)
    assert all(width(name, 13, bold=True) + 14 <= right - left + 0.1
               for name, (left, _, right, _) in zip(names, rooms, strict=True))  # fmt: skip
    assert ">podA</text>" in svg_of(Stage(PING).figure())


@each
def test_the_drawing_shows_every_device(journey: Journey) -> None:
    """Every device of every trip is inside one host's box, none on another, and all is inside the picture."""
    view = Stage(journey)
    svg = svg_of(view.figure())
    if not journey.stops:
        assert svg == ""
        return
    root = ElementTree.fromstring(svg)
    rooms, chips = boxes_of(root, "ck-room"), boxes_of(root, "ck-chip")
    assert len(chips) == len({stop.point for stop in journey.all_stops()} & {":".join(k) for k in view.scene().keys})
    assert len(rooms) == len({stop["host"] for trip in view.trips for stop in trip})
    for chip in chips:
        assert sum(b[0] <= chip[0] and b[1] <= chip[1] and chip[2] <= b[2] and chip[3] <= b[3] for b in rooms) == 1
        assert not [other for other in chips if other is not chip and _overlap(chip, other)]
    wide, tall = float(root.get("width", 0)), float(root.get("height", 0))
    assert all(b[0] >= 0 and b[1] >= 0 and b[2] <= wide + 0.1 and b[3] <= tall for b in [*rooms, *chips])
    assert tall <= 304


@each
def test_letters_are_at_least_11_pixels_and_inside(journey: Journey) -> None:
    """No style of the picture is smaller than 11 px; words in a device's box fit; marks stay in the picture."""
    svg = svg_of(Stage(journey).figure())
    assert all(float(size) >= 11 for size in re.findall(r"font(?:-size)?:(?:[^;}]*\s)?([\d.]+)px", svg))
    for group in ElementTree.fromstring(svg).iter(f"{SPACE}g") if svg else ():
        if "ck-chip" in (group.get("class") or ""):
            left, _, right, _ = _box(group.findall(f"{SPACE}rect")[0])
            assert width(group.findall(f"{SPACE}text")[0].text or "", 12) <= right - left


@each
def test_the_picture_is_drawn_at_the_most_telling_stop(journey: Journey) -> None:
    """Where the envelope is put on; for a packet that died, where it died; the device is marked there."""
    view = Stage(journey)
    if not journey.stops:
        return
    svg = svg_of(view.figure())
    marked = re.findall(r'class="ck-chip( ck-here)?', svg)
    here = [":".join(key) for key, mark in zip(view.scene().keys, marked, strict=True) if mark]
    wrapping = [stop.point for stop in journey.stops if stop.action == "encapsulates"]
    assert len(here) == 1
    if journey.outcome.kind != "delivered":
        assert here[0] == journey.stops[-1].point
    elif wrapping:
        assert here[0] == wrapping[0]
    word = view.data["outcome"]["word"]
    assert f"{'✓' if word == 'delivered' else '✕'} {word}</text>" in svg


def trips(journey: Journey) -> dict[str, Any]:
    """Return what the browser gets of a journey."""
    alive = Stage(journey).alive()
    assert alive
    return unpacked(alive["run"])  # type: ignore[no-any-return]


@each
def test_every_stop_can_be_shown(journey: Journey) -> None:
    """The browser gets each stop of each trip: its words and rows, its frame's boxes to scale and their fields."""
    if not journey.stops:
        return
    run = trips(journey)
    view = Stage(journey)
    assert [len(trip["steps"]) for trip in run["trips"]] == [len(stops) for stops in view.trips]
    for trip, stops in zip(run["trips"], view.trips, strict=True):
        for step, stop in zip(trip["steps"], stops, strict=True):
            said, sheet = run["pieces"][step["status"]], run["pieces"][step["sheet"]]
            assert f"Stop {stop['n']} of " in said
            assert step is trip["steps"][-1] or read(said).text.endswith(re.sub(r"\s+", " ", stop["note"]))
            solid = re.findall(r'<g class="ck-box ck-\w+" data-part="([^"]+)"', sheet)
            assert solid == [part["key"] for part in stop["parts"]]
            assert sum(part["bytes"] for part in stop["parts"]) == stop["size"]
            if solid:
                assert set(solid) <= set(run["frames"][step["frame"]])


def test_the_chapters_of_each_way_of_carrying() -> None:
    """The six steps over the stops: all six in a tunnel, four without one, three on one node; failures end early."""
    numbers = {name: [stop["chapter"] for stop in Stage(journey).data["stops"]] for name, journey in JOURNEYS.items()}
    assert [stop["chapter"] for stop in Stage(PING).data["stops"]] == [1, 2, 2, 3, 4, 4, 4, 5, 5, 6, 6, 6]
    assert numbers["chapter calico-ipip"] == [1, 2, 3, 4, 4, 4, 5, 5, 6, 6]
    assert numbers["chapter host-gw"] == [1, 2, 2, 2, 4, 4, 6, 6, 6, 6]
    assert numbers["from a node"][0] == 3
    assert numbers["wrong-vni 56"] == [1, 2, 2, 3, 4, 4, 4, 5]
    assert numbers["stale-vtep-mac 56"] == [1, 2, 2, 3, 4, 4, 4, 5, 5]
    assert numbers["missing-fdb 56"] == [1, 2, 2, 2]
    assert numbers["itself"] == [1] * len(numbers["itself"])
    assert 6 not in numbers["missing-route 56"]
    assert trips(PING)["trips"][0]["names"] == {
        "1": "podA sends", "2": "node routes", "3": "VTEP wraps", "4": "underlay carries", "5": "VTEP unwraps",
        "6": "node routes to pod"}  # fmt: skip
    assert trips(JOURNEYS["chapter calico-ipip"])["trips"][0]["names"]["3"] == "tunl0 wraps"


def test_who_knows() -> None:
    """Nobody, the sender, or the node that put the envelope on: from the outcome and the replies."""
    who = {name: Stage(journey).data["knows"]["who"] for name, journey in JOURNEYS.items()}
    silent = ("wrong-vni 56", "missing-fdb 56", "missing-route 56", "stale-vtep-mac 56")
    assert {who[name] for name in silent} == {Knows.NOBODY}
    assert who["wrong-port 56"] == who["node-down 56"] == who["receiver-without-tunnel 56"] == Knows.OTHER
    assert who["missing-neighbour 56"] == who["refused"] == who["expired"] == Knows.SENDER
    assert who["chapter flannel-vxlan"] == Knows.NO_LOSS
    assert "node1 knows" in read(Stage(JOURNEYS["wrong-port 56"]).figure()).text
    assert "Nobody knows" in read(Stage(JOURNEYS["wrong-vni 56"]).figure()).text


def test_the_envelope_is_put_on_in_front_of_the_eyes() -> None:
    """At the tunnel device the headers to come are dashed in front of the frame, and taken off again at the other."""
    view = Stage(PING)
    scene = view.scene()
    for place, words in ((3, "put on by flannel.1, 50 bytes"), (8, "taken off by flannel.1, 50 bytes")):
        sheet = scene.sheet(0, place)
        assert words in sheet
        assert sheet.count("ck-box ck-eth ck-ghost") == sheet.count("ck-box ck-vxlan ck-ghost") == 1
    assert "ck-ghost" not in scene.sheet(0, 4)


def test_arp_that_had_to_ask_is_said_in_order() -> None:
    """A row that ARP made is not called missing beside REACHABLE: first it is not there, then it is."""
    text = Stage(PING).text()
    assert "not there yet; ARP asks, node1:cni0 answers; then this row; sets eth.dst" in text
    assert not re.search("REACHABLE\n.*no entry", text)


@each
def test_nothing_is_stored_that_sanitizers_drop(journey: Journey) -> None:
    """No script, inline SVG, id, handler or dollar sign; sanitised, the list still holds every stop; compact."""
    view = Stage(journey)
    figure = view.figure()
    assert offences(figure) == []
    assert len(stops_of(figure)) == len(sanitised(read(figure)).all("tr", "ck-stop"))
    assert len(view.html()) < 45_000


@each
def test_drawing_is_deterministic(journey: Journey) -> None:
    """The same journey is drawn the same, its data is plain JSON, and the drawing is made from it."""
    one, other = Stage(journey), Stage(journey)
    assert (one.figure(), repr(one)) == (other.figure(), repr(other))
    assert json.loads(json.dumps(one.data)) == one.data


def test_where_the_line_is_a_tube() -> None:
    """A tube lies around the way exactly between devices where the frame is in an envelope."""
    assert svg_of(Stage(PING).figure()).count('class="ck-tube"') == 5  # flannel.1, eth0, sw1, sw2, eth0, flannel.1
    assert svg_of(Stage(JOURNEYS["chapter calico-ipip"]).figure()).count('class="ck-tube"') == 5
    assert "ck-tube\"" not in svg_of(Stage(JOURNEYS["chapter host-gw"]).figure())


def test_a_quotation_is_no_envelope() -> None:
    """The packet quoted in an ICMP error is shown in brackets, but the error does not count as encapsulated."""
    for name in ("expired", "wrong-port 56"):  # the second quotes a packet that is itself in an envelope
        assert Stage(JOURNEYS[name]).data["replies"][0]["stops"][-1]["envelope"] == ""
    assert "VXLAN" in Stage(JOURNEYS["wrong-port 56"]).text().partition("What comes back")[2]
    assert "· [IPv4 10.244.0.5→10.244.1.7 TTL 1" in Stage(JOURNEYS["expired"]).text()


def test_frames_as_nested_headers() -> None:
    """A frame reads as its headers from the outside in; where it is as before, that stop is named."""
    text = Stage(PING).text()
    assert (
        "148 bytes: Eth →02:00:c0:a8:01:0b · IPv4 192.168.1.10→192.168.1.11 TTL 64 · UDP 43685→8472 · VXLAN 1 · "
        "[Eth →02:00:0a:f4:01:00 · IPv4 10.244.0.5→10.244.1.7 TTL 63, DF · ICMP echo request, sequence 1]"
    ) in text
    assert "98 bytes, as at stop 4" in text  # what comes out of the envelope is what went in


def test_a_device_without_ethernet() -> None:
    """On tunl0 a frame begins with its IP header, and is not taken for Ethernet."""
    stop = next(s for s in Stage(JOURNEYS["chapter calico-ipip"]).data["stops"] if s["device"] == "tunl0")
    assert stop["headers"][0]["text"] == "IPv4 10.244.0.5→10.244.2.9 TTL 63, DF"
    address = ip_address("fd00::1")
    packet = udp_probe(address, ip_address("fd00::2"), sport=1, dport=2)
    bare = Stop("a", "tun0", "sends", packet, "it goes")
    view = Stage(Journey((bare,), Outcome("lost", "", None, "a:tun0", "gone")))
    assert view.data["stops"][0]["headers"][0]["text"] == "IPv6 fd00::1→fd00::2 hop limit 64"


def test_what_the_sender_sees() -> None:
    """For a ping it is ping's own line; for another packet it is the error, the answer or nothing."""
    seen = {name: Stage(journey).data["outcome"]["sees"] for name, journey in JOURNEYS.items()}
    assert Stage(PING).data["outcome"]["sees"] == "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62"
    assert seen["missing-neighbour 56"] == "From 10.244.0.1 icmp_seq=1 Destination Host Unreachable"
    assert seen["wrong-vni 56"] == "nothing: ping waits, and counts the packet as lost"
    assert seen["refused"] == "ping: local error: message too long, mtu=1450"
    probe = udp_probe(ip_address("10.244.0.5"), ip_address("10.244.1.7"), sport=40000, dport=33434, ttl=2)
    sent = send(NETWORK, Probe(probe), "podA")
    assert Stage(sent).data["outcome"]["sees"] == "an ICMP error from 10.244.1.0: Time to live exceeded"


def loop() -> Network:
    """Two nodes that each have the other as the way to one subnet."""
    built = network(CHAPTER.with_profile("host-gw"))
    for node, via in (("node1", "192.168.1.11"), ("node2", "192.168.1.10")):
        route = Route(ip_network("10.244.9.0/24"), ip_address(via), "eth0")
        built = built.change(node, {"routes": (*built.host(node).tables.routes, route)})
    return built


def test_a_packet_that_goes_round_in_circles() -> None:
    """Of a very long journey beginning and end are drawn, and how many stops are left out is said."""
    journey = ping(loop(), "podA", "10.244.9.9")
    view = Stage(journey)
    left_out = len(journey.stops) - len(stops_of(view.figure()))
    assert left_out > 100
    assert f"{left_out} stops not drawn" in view.text()
    assert f"{left_out} stops not drawn" in read(view.figure()).text
    assert stops_of(view.figure())[-1].all("td")[0].text == str(len(journey.stops))
    assert offences(view.figure()) == []


def test_names_are_escaped() -> None:
    """Whatever hosts and devices are called is text, also in the picture."""
    names = {"podA": "<b>&pod", "eth0": 'a"$x'}

    def renamed(one: Journey) -> Journey:
        stops = tuple(
            replace(s, host=names.get(s.host, s.host), device=names.get(s.device, s.device)) for s in one.stops
        )
        return replace(one, stops=stops, reply=one.reply and renamed(one.reply))

    view = Stage(renamed(PING), "<i>$title")
    assert offences(view.figure()) == []
    assert read(view.figure()).all("figcaption")[0].text.startswith("<i>$title · ✓")
    ElementTree.fromstring(svg_of(view.figure()))
    assert stops_of(view.figure())[0].all("th")[0].text == '<b>&pod:a"$x'


def test_what_the_views_were_tried_on(record_property: Callable[[str, object], None]) -> None:
    """Journeys of every outcome were drawn."""
    outcomes = [journey.outcome.kind for journey in JOURNEYS.values()]
    kinds = {kind: outcomes.count(kind) for kind in ("delivered", "lost", "error", "refused")}
    record_property("journeys", len(JOURNEYS))
    print(f"{len(JOURNEYS)} journeys drawn: {kinds}")
    assert all(kinds.values())


def test_the_stored_picture_shows_the_stop_that_is_asked_for() -> None:
    """`at` names the stop of the stored picture and its rows; the text twin is the same, another number is refused."""
    first = Stage(PING, at=1)
    assert "Drawn: stop 1, 98 bytes" in first.figure()
    assert first.text() == Stage(PING).text()
    with pytest.raises(CourseError, match="its stops are 1, 2, 3"):
        Stage(PING, at=99)
