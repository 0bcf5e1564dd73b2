"""JourneyView: map, stops, outcome and what comes back, in both twins, for journeys of every kind."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
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
from coursekit.lab.minikube import KubeLab
from coursekit.lab.session import Session
from coursekit.views.journey import JourneyView
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
    view = JourneyView(journey)
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
    view = JourneyView(journey)
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
    view = JourneyView(journey)
    assert journey.outcome.kind == "delivered"
    assert "✕ unanswered after 12 stops" in view.text()
    assert "✕ unanswered at 12" in svg_of(view.figure())
    assert "ck-bad" in view.html()
    assert "ck-good" not in view.html()
    assert "The answer is lost: " in view.text()
    assert "✓" not in view.text()


def test_a_datagram_that_asks_for_nothing_is_delivered() -> None:
    """One that arrives at a program that never answers is delivered, with the good mark."""
    listener = NETWORK.change("podB", listens=NETWORK.host("podB").listens | {("udp", 33434)})
    probe = udp_probe(CHAPTER.pod("podA").address, CHAPTER.pod("podB").address, sport=4000)
    text = JourneyView(send(listener, probe, "podA")).text()
    assert "✓ delivered after 12 stops" in text
    assert "Nothing is sent back." in text


def test_what_a_lab_returns_is_drawn() -> None:
    """A ping of a lab, live or replayed, draws the way of its first request, as the model's does."""
    asked = Session("replay", "").up("lab", "flannel-vxlan").ping("podA", "podB", count=2)
    assert JourneyView(asked).text() == JourneyView(asked.journey).text()  # type: ignore[arg-type]


def test_long_names_stay_in_their_boxes() -> None:
    """Names that Kubernetes makes up are cut in the middle, to the width of their box; others stay whole."""
    one = KubeLab()
    svg = ElementTree.fromstring(svg_of(JourneyView(one.ping(*one.pair)).figure()))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [int(box.get("width", "0")) for box in svg.iter(f"{space}rect") if box.get("class") == "b"]
    names = [text.text or "" for text in svg.iter(f"{space}text") if text.get("class") == "h"]

    chips = [text.text or "" for text in svg.iter(f"{space}text") if text.get("class") is None]

    assert names == ["pingte…b5z78", "ip-172…7-123", "router, as a switch", "ip-172…0-217", "pingte…jmzq6"]
    assert all(len(name) * 9 <= box for name, box in zip(names, boxes, strict=True))
    assert chips == ["eth0", "cali5b30…", "eth0", "sw1", "sw2", "eth0", "calib261…", "eth0"]
    assert "podA" in svg_of(JourneyView(PING).figure())


@each
def test_the_map_shows_every_device_and_every_number(journey: Journey) -> None:
    """Hosts stand side by side in the order of the path, every device is inside its host's box, none on another."""
    svg = svg_of(JourneyView(journey).figure())
    if not journey.stops:
        assert svg == ""
        return
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    boxes = [_box(e) for e in root.iter(f"{space}rect") if e.get("class") == "b"]
    chips = [_box(e) for e in root.iter(f"{space}rect") if e.get("class") == "c"]
    names = [e.text for e in root.iter(f"{space}text") if e.get("class") == "h"]
    routes = {stop.host for stop in journey.stops if stop.action != "switches"}
    hosts = dict.fromkeys(stop.host for stop in journey.stops)
    assert names == [host if host in routes else f"{host}, as a switch" for host in hosts]
    assert len(chips) == len({stop.point for stop in journey.stops})
    for chip in chips:
        assert sum(b[0] <= chip[0] and b[1] <= chip[1] and chip[2] <= b[2] and chip[3] <= b[3] for b in boxes) == 1
        assert not [other for other in chips if other is not chip and _overlap(chip, other)]
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert all(min(b) >= 0 and b[2] <= width and b[3] <= height for b in boxes)
    ground = next(root.iter(f"{space}rect"))
    assert (ground.get("width"), ground.get("fill")) == ("100%", "#fff")


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _box(rect: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(rect.get(key, 0)) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


@each
def test_nothing_is_stored_that_sanitizers_drop(journey: Journey) -> None:
    """No script, inline SVG, id, handler or dollar sign; sanitised, the list still holds every stop; compact."""
    view = JourneyView(journey)
    figure = view.figure()
    assert offences(figure) == []
    assert len(stops_of(figure)) == len(sanitised(read(figure)).all("tr", "ck-stop"))
    assert len(view.html()) < 24_000


@each
def test_drawing_is_deterministic(journey: Journey) -> None:
    """The same journey is drawn the same, its data is plain JSON, and the drawing is made from it."""
    one, other = JourneyView(journey), JourneyView(journey)
    assert (one.figure(), repr(one)) == (other.figure(), repr(other))
    assert json.loads(json.dumps(one.data)) == one.data


def test_where_the_line_is_double() -> None:
    """The line is double exactly between devices where the frame is in an envelope, and the label names it."""
    svg = svg_of(JourneyView(PING).figure())
    assert len(re.findall(r'class="e" d="M\d+ \d+L', svg)) == 5  # flannel.1, eth0, sw1, sw2, eth0, flannel.1
    assert len(re.findall(r'class="p" d=', svg)) == 6
    assert "inside VXLAN (VNI 1)" in svg
    ipip = svg_of(JourneyView(ping(network(CHAPTER.with_profile("calico-ipip")), "podA", "podB")).figure())
    assert (len(re.findall(r'class="e" d="M\d+ \d+L', ipip)), "inside IPIP" in ipip) == (5, True)
    native = svg_of(JourneyView(ping(network(CHAPTER.with_profile("host-gw")), "podA", "podB")).figure())
    assert 'class="e" d' not in native


def test_a_quotation_is_no_envelope() -> None:
    """The packet quoted in an ICMP error is shown in brackets, but the error does not count as encapsulated."""
    for name in ("expired", "wrong-port 56"):  # the second quotes a packet that is itself in an envelope
        assert JourneyView(JOURNEYS[name]).data["replies"][0]["stops"][-1]["envelope"] == ""
    assert "VXLAN" in JourneyView(JOURNEYS["wrong-port 56"]).text().partition("What comes back")[2]
    assert "· [IPv4 10.244.0.5→10.244.1.7 TTL 1" in JourneyView(JOURNEYS["expired"]).text()


def test_frames_as_nested_headers() -> None:
    """A frame reads as its headers from the outside in; where it is as before, that stop is named."""
    text = JourneyView(PING).text()
    assert (
        "148 bytes: Eth →02:00:c0:a8:01:0b · IPv4 192.168.1.10→192.168.1.11 TTL 64 · UDP 43685→8472 · VXLAN 1 · "
        "[Eth →02:00:0a:f4:01:00 · IPv4 10.244.0.5→10.244.1.7 TTL 63, DF · ICMP echo request, sequence 1]"
    ) in text
    assert "98 bytes, as at stop 4" in text  # what comes out of the envelope is what went in


def test_a_device_without_ethernet() -> None:
    """On tunl0 a frame begins with its IP header, and is not taken for Ethernet."""
    stop = next(s for s in JourneyView(JOURNEYS["chapter calico-ipip"]).data["stops"] if s["device"] == "tunl0")
    assert stop["headers"][0]["text"] == "IPv4 10.244.0.5→10.244.2.9 TTL 63, DF"
    address = ip_address("fd00::1")
    packet = udp_probe(address, ip_address("fd00::2"), sport=1, dport=2)
    bare = Stop("a", "tun0", "sends", packet, "it goes")
    view = JourneyView(Journey((bare,), Outcome("lost", "", None, "a:tun0", "gone")))
    assert view.data["stops"][0]["headers"][0]["text"] == "IPv6 fd00::1→fd00::2 hop limit 64"


def test_what_the_sender_sees() -> None:
    """For a ping it is ping's own line; for another packet it is the error, the answer or nothing."""
    seen = {name: JourneyView(journey).data["outcome"]["sees"] for name, journey in JOURNEYS.items()}
    assert JourneyView(PING).data["outcome"]["sees"] == "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62"
    assert seen["missing-neighbour 56"] == "From 10.244.0.1 icmp_seq=1 Destination Host Unreachable"
    assert seen["wrong-vni 56"] == "nothing: ping waits, and counts the packet as lost"
    assert seen["refused"] == "ping: local error: message too long, mtu=1450"
    probe = udp_probe(ip_address("10.244.0.5"), ip_address("10.244.1.7"), sport=40000, dport=33434, ttl=2)
    sent = send(NETWORK, Probe(probe), "podA")
    assert JourneyView(sent).data["outcome"]["sees"] == "an ICMP error from 10.244.1.0: Time to live exceeded"


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
    view = JourneyView(journey)
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

    view = JourneyView(renamed(PING), "<i>$title")
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
