"""BgpView: both twins hold what the run came to, and nothing that it did not."""

from __future__ import annotations

import base64
import json
import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest

from coursekit import views
from coursekit.bgp import topologies
from coursekit.bgp.scenario import Scenario, Step
from coursekit.bgp.scenario_file import decoded, parse
from coursekit.bgp.schedule import Shuffled
from coursekit.errors import CourseError
from coursekit.paths import data_dir
from coursekit.views import bgp_words as words
from coursekit.views.bgp import BgpView
from coursekit.views.bgp_layout import Box
from coursekit.views.bgp_map import Map, _width
from tests.views.markup import offences, read, sanitised

N2_DIES = {"op": "router_down", "router": "n2"}
BUILT = [
    topologies.full_mesh(1), topologies.full_mesh(2), topologies.full_mesh(3), topologies.full_mesh(5),
    topologies.full_mesh(12), topologies.route_reflectors(3), topologies.route_reflectors(5),
    topologies.route_reflectors(12), topologies.route_reflectors(4, 2), topologies.route_reflectors(12, 2),
    topologies.in_cluster_reflectors(6, 2), topologies.mesh_and_reflector(3), topologies.tor(3),
    topologies.tor(3, "shared"), topologies.tor(5, "shared", lan=True, mesh=True), topologies.as_per_rack(3, 3),
    topologies.leaf_spine(4, 2), topologies.leaf_spine(12, 4),
]  # fmt: skip
CASES = list(parse(decoded(str(data_dir() / "bgp" / "cases.json")), []))
VIEWS = {scenario.id: views.bgp(scenario) for scenario in [*BUILT, *CASES]}
MESH = views.bgp(topologies.full_mesh(3), actions=[N2_DIES])
each = pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))


def folded(text: str) -> str:
    """Return text with every run of blanks as one."""
    return re.sub(r"\s+", " ", text)


def svg_of(view: BgpView) -> ElementTree.Element:
    """Return the picture behind the address of the image."""
    found = re.search(r"data:image/svg\+xml;base64,([^\"]+)\"", view.figure())
    assert found
    return ElementTree.fromstring(base64.b64decode(found[1]).decode())


@each
def test_both_twins_hold_the_tables_of_the_run(view: BgpView) -> None:
    """Every row that is stored is a path of the run with its verdict, and is in both twins; what is cut is counted."""
    text, page = folded(view.text()), sanitised(read(view.figure()))
    rows = [[cell.text for cell in row.all("td")] for table in page.all("table", "ck-held") for row in table.all("tr")]
    held = dict(view.trace.final)
    for table in view.data["tables"]:
        candidates = [(prefix, held[table["router"], prefix], candidate) for prefix in view.trace.prefixes
                      if (table["router"], prefix) in held
                      for candidate in held[table["router"], prefix].candidates]  # fmt: skip
        assert len(table["rows"]) + table["hidden"] == len(candidates)
        for row, (prefix, found, candidate) in zip(table["rows"], candidates, strict=False):
            assert (row["prefix"], row["source"], row["words"]) == (prefix, candidate.source, candidate.words)
            assert row["hop"] == (candidate.attributes.next_hop or "–")
            assert row["kernel"] == (words.kernel(found) if candidate.verdict == "best" else "")
            assert any(cells[0] == prefix and candidate.words in cells[5] and cells[6] == row["kernel"]
                       for cells in rows if len(cells) == 7)  # fmt: skip
            assert folded(f"{row['prefix']} {row['source']} {row['hop']} {row['path']}") in text


@each
def test_both_twins_say_how_it_ended(view: BgpView) -> None:
    """Each step of the scenario ends in a sentence with its UPDATEs, marked with a sign and a word."""
    page = sanitised(read(view.figure())).text
    for chapter, run in zip(view.data["chapters"], view.trace.chapters, strict=True):
        sign = "✓" if run.run.converged else "✕"
        for twin in (folded(view.text()), page):
            assert folded(f"{sign} {chapter['name']}: {chapter['says']}") in twin
        assert f"{chapter['updates']:,} UPDATE" in chapter["says"] or chapter["updates"] == 0
        assert f"{run.sessions} of {len(view.scenario.sessions)} session" in chapter["says"]


@each
def test_both_twins_tell_the_events(view: BgpView) -> None:
    """The first events are in both twins, and how many more there were."""
    text, page = folded(view.text()), sanitised(read(view.figure())).text
    told = view.data["events"]
    assert len(told) + view.data["hidden_events"] == len(view.trace.events)
    for event, happened in zip(told, view.trace.events, strict=False):
        assert event["time"] == happened.time
        assert folded(event["says"]) in text
        assert folded(event["says"]) in page
        if happened.message:
            assert event["says"].startswith(f"{happened.message.sender} → {happened.message.receiver}: ")


@each
def test_the_picture(view: BgpView) -> None:
    """Every router has a box with its name and every session a line; boxes keep apart, words stay inside or alone."""
    drawing, root = Map(view.data), svg_of(view)
    space = "{http://www.w3.org/2000/svg}"
    boxes = list(drawing.layout.boxes.values())
    assert len(boxes) == len(view.scenario.routers)
    assert not any(a.meets(b, 3) for a, b in combinations(boxes, 2))
    groups = [e for e in root.iter(f"{space}g") if e.get("data-r") is not None]
    assert [group.find(f"{space}text").text for group in groups] == [r["name"] for r in view.data["routers"]]  # type: ignore[union-attr]
    lines = {e.get("data-s"): e.get("class") for e in root.iter(f"{space}path") if e.get("data-s") is not None}
    assert [lines[str(i)].split()[0] for i in range(len(lines))] == [  # type: ignore[union-attr]
        s["kind"][0].lower() for s in view.data["sessions"]]  # fmt: skip
    labels = [Box(x, y, _width(word), 12) for x, y, word in drawing.labels]
    assert not any(a.meets(b) for a, b in combinations([*boxes, *labels], 2))
    assert max(_width(line) for lines in drawing.lines_of.values() for line in lines) < drawing.size[0] - 8
    assert all(box.x + box.width / 2 <= drawing.width for box in boxes)


@pytest.mark.parametrize("scenario", [s for s in BUILT if s.id != "mesh-12"], ids=lambda s: s.id)
def test_no_session_runs_through_a_router(scenario: Scenario) -> None:
    """In the topologies of the course no line crosses the box of a router that it does not end at."""
    assert Map(VIEWS[scenario.id].data).layout.faults == 0


@each
def test_markup(view: BgpView) -> None:
    """Nothing is stored that a sanitizer drops or that leaks, and the picture has words."""
    html = view.figure()
    assert offences(html) == []
    (image,) = read(html).all("img")
    assert all(router["name"] in image.attributes["alt"] for router in view.data["routers"])
    assert json.loads(json.dumps(view.data)) == view.data


def test_a_failure_is_a_step() -> None:
    """What happens after the scenario's steps has a name, an ending, and marks in picture and tables."""
    assert [chapter["name"] for chapter in MESH.data["chapters"]] == ["initial", "n2 goes down"]
    assert "quiet at once, without an UPDATE; 1 of 3 sessions Established." in MESH.text()
    assert "n2 goes down. 2 sessions go down: n1-n2 and n2-n3. n1 and n3 lose 10.64.0.128/26. No UPDATE" in folded(
        MESH.text())  # fmt: skip
    assert "n2 (AS 64512, down)" in Map(MESH.data).alt()
    assert "✕ iBGP" in ElementTree.tostring(svg_of(MESH), encoding="unicode")
    assert "n2" not in [table["router"] for table in MESH.data["tables"]]


def test_the_text_twin() -> None:
    """The smallest network in full: who is there, how it ended, tables, events."""
    assert str(views.bgp(topologies.full_mesh(2))).splitlines() == [
        "iBGP full mesh, 2 nodes · computed, profile rfc",
        "  n1  AS 64512  192.168.0.1  announces 10.64.0.64/26",
        "  n2  AS 64512  192.168.0.2  announces 10.64.0.128/26",
        "  Sessions: n1–n2 iBGP",
        "✓ initial: quiet after 2 UPDATEs; 1 of 1 session Established.",
        "n1: 2 routes to 2 prefixes",
        "  prefix          from   next hop     AS path  decision           kernel",
        "  10.64.0.64/26   local  –            empty    ▶ best: only path  local",
        "  10.64.0.128/26  n2     192.168.0.2  empty    ▶ best: only path  via 192.168.0.2",
        "n2: 2 routes to 2 prefixes",
        "  prefix          from   next hop     AS path  decision           kernel",
        "  10.64.0.64/26   n1     192.168.0.1  empty    ▶ best: only path  via 192.168.0.1",
        "  10.64.0.128/26  local  –            empty    ▶ best: only path  local",
        "  0 ms  All sessions are Established. 2 routers announce what they have: 2 UPDATEs leave.",
        "  1 ms  n1 → n2: 10.64.0.64/26 announced. n2 installs it (only path).",
        "  1 ms  n2 → n1: 10.64.0.128/26 announced. n1 installs it (only path).",
    ]


def test_drawing_is_deterministic_and_small() -> None:
    """The same run is drawn the same, under a random schedule too; a run of five nodes stays under 25 kB stored."""
    def drawn() -> dict[str, str]:
        scenario = topologies.route_reflectors(5)
        return views.bgp(scenario, schedule=Shuffled(7), actions=[N2_DIES])._repr_mimebundle_()

    assert drawn() == drawn()
    for scenario in (topologies.full_mesh(5), topologies.route_reflectors(5), topologies.tor(5)):
        bundle = views.bgp(scenario, actions=[N2_DIES])._repr_mimebundle_()
        assert len(json.dumps(bundle, ensure_ascii=False).encode()) < 25_000, scenario.id


def test_a_network_that_never_settles_is_named() -> None:
    """BAD GADGET ends in a sentence that names the routers, with a mark that says so."""
    view = VIEWS["C31"]
    assert "✕ initial: The network does not converge: " in view.text()
    assert "are not drawn message by message" in words.event(view.trace.events[-1], view.scenario)


def test_two_hundred_nodes() -> None:
    """Of a large network a few routers of each kind are drawn, the sentence counts all, and the output stays small."""
    view = views.bgp(topologies.route_reflectors(200), actions=[N2_DIES])
    assert "✓ initial: quiet after 40,000 UPDATEs; 200 of 200 sessions Established." in view.text()
    assert "✓ n2 goes down: quiet after 199 UPDATEs" in view.text()
    assert "6 of 201 routers are drawn, and no single message" in view.text()
    assert "rr" in [router["name"] for router in view.data["routers"]]
    assert len(json.dumps(view._repr_mimebundle_(), ensure_ascii=False)) < 30_000


@pytest.mark.parametrize("given", ["cases.json", None, 5])
def test_only_a_scenario_is_drawn(given: Any) -> None:
    """A path, or nothing, gets a sentence that says where scenarios come from; so does an action that is a number."""
    with pytest.raises(CourseError, match=r"draws a Scenario, from bgp\.topologies .* was given"):
        views.bgp(given)
    with pytest.raises(CourseError, match="5 was given"):
        views.bgp(topologies.full_mesh(2), actions=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("actions", "sentence"),
    [
        ([{"op": "explode"}], "There is no action 'explode'; there are router_down"),
        ([{"op": "router_down", "router": "n9"}], "There is no router 'n9' in mesh-3; there are n1, n2, n3"),
        ([{"op": "session_down"}], "The action session_down needs session; session is missing"),
        (["n2"], "'n2' was given|n2 was given"),
        ([{"router": "n2"}], "was given"),
    ],
)
def test_what_cannot_happen(actions: list[Any], sentence: str) -> None:
    """An action that the scenario cannot take is refused in a sentence."""
    with pytest.raises(CourseError, match=sentence):
        views.bgp(topologies.full_mesh(3), actions=actions)


def test_actions_in_every_form() -> None:
    """An action, a list of actions and a Step each make one step of the run."""
    back = {"op": "router_up", "router": "n2"}
    view = views.bgp(topologies.full_mesh(3), actions=[N2_DIES, [back, N2_DIES], Step("again", (back,))])
    names = [chapter["name"] for chapter in view.data["chapters"]]
    assert names == ["initial", "n2 goes down", "n2 comes up again, n2 goes down", "again"]


def test_profiles_differ() -> None:
    """The profile decides, and the caption says which it was."""
    sent = {name: views.bgp(topologies.route_reflectors(3), name).data["chapters"][0]["updates"]
            for name in ("rfc", "frr")}  # fmt: skip
    assert sent == {"rfc": 9, "frr": 12}
    assert "profile frr" in str(views.bgp(topologies.full_mesh(2), "frr"))
