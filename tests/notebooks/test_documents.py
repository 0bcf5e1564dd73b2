"""The notebooks as documents: each keeps every rule, and each rule refuses a notebook that breaks it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from coursekit.exercises.editions import ANSWER

from . import documents as rules
from .documents import RULES, Document, all_notebooks, links
from .refresh import CHECKED, METADATA, SUMMARY, WIDGET_VIEW, normalised

NAMES = ("00-start-here.ipynb", "01-meet.ipynb", "02-cross.ipynb")


def markdown(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def code(name: str, source: str, output: str = "") -> dict[str, Any]:
    data = {"output_type": "execute_result", "data": {"text/plain": output}, "metadata": {}, "execution_count": 0}
    return {
        "cell_type": "code", "id": name, "source": source, "execution_count": 0,
        "metadata": {"tags": [CHECKED]} if output else {}, "outputs": [data] if output else [],
    }


def good() -> dict[str, Any]:
    """Return a notebook in which every rule is kept, by the skin of its teeth where there is a limit."""
    cells = [
        markdown("title", "# 1. Meet a packet\n\n[Start](00-start-here.ipynb) · [Next](02-cross.ipynb)"),
        markdown("you-will", "What you will **do**, **learn**, **need**. 20 minutes. Captured or computed."),
        code("imports", "from coursekit import dissect"),
        code("packet", "Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')", "a packet"),
        code("table", "\n".join(f"row{n} = {n}" for n in range(11)) + "\nrow1", "1"),
        *(markdown(f"idea-{n}", f"## Idea {n}\n\n" + "word " * 42) for n in range(19)),
        markdown("end", "## Takeaways\n\n![a picture of it](00-start-here.ipynb) [Next](02-cross.ipynb)"),
    ]
    notebook = {"cells": cells, "metadata": copy.deepcopy(METADATA), "nbformat": 4, "nbformat_minor": 5}
    return recount(notebook)


def recount(notebook: dict[str, Any]) -> dict[str, Any]:
    for count, cell in enumerate((c for c in notebook["cells"] if c["cell_type"] == "code"), start=1):
        cell["execution_count"] = count
    return notebook


def document(notebook: dict[str, Any], name: str = NAMES[1]) -> Document:
    return Document(name, notebook, len(json.dumps(notebook)), NAMES)


def cell(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in notebook["cells"] if c["id"] == name)


def source(name: str, text: str) -> Callable[[dict[str, Any]], None]:
    return lambda nb: cell(nb, name).update(source=text)


def also(name: str, text: str) -> Callable[[dict[str, Any]], None]:
    return lambda nb: cell(nb, name).update(source=cell(nb, name)["source"] + "\n" + text)


def outputs(name: str, *found: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda nb: cell(nb, name).update(outputs=list(found))


def stored(**data: Any) -> dict[str, Any]:
    mimes = {mime.replace("_", "/", 1): value for mime, value in data.items()}
    return {"output_type": "display_data", "data": mimes, "metadata": {}}


BAD: tuple[tuple[str, Any, Callable[[dict[str, Any]], Any]], ...] = (
    ("a magic", rules.plain_python, source("packet", "%timeit 1")),
    ("another kernel", rules.bland_metadata, lambda nb: nb["metadata"]["kernelspec"].update(name="course")),
    ("an old format", rules.bland_metadata, lambda nb: nb.update(nbformat_minor=4)),
    ("a cell that was not run", rules.run_in_order, lambda nb: cell(nb, "table").update(execution_count=None)),
    ("a cell run twice", rules.run_in_order, lambda nb: cell(nb, "table").update(execution_count=4)),
    ("a traceback", rules.no_errors, outputs("table", {"output_type": "error", "ename": "E", "text": "E"})),
    ("a warning", rules.no_errors, outputs("table", {"output_type": "stream", "name": "stderr", "text": "careful"})),
    ("an untagged output", rules.tagged_outputs, lambda nb: cell(nb, "table").update(metadata={})),
    ("a check of no output", rules.tagged_outputs, outputs("table")),
    ("a check of an empty output", rules.tagged_outputs, outputs("table", stored(text_plain=""))),
    ("an unknown tag", rules.tagged_outputs, lambda nb: cell(nb, "end").update(metadata={"tags": ["nbval-skip"]})),
    (
        "both tags", rules.tagged_outputs,
        lambda nb: cell(nb, "table").update(metadata={"tags": [CHECKED, "nbval-ignore-output"]}),
    ),
    (
        "an answer that stands open", rules.answers_are_closed,
        lambda nb: (cell(nb, "table").update(metadata={"tags": [ANSWER, CHECKED]}),
                    outputs("table", stored(text_plain="63", text_html="<p>63"))(nb)),
    ),
    (
        "an answer that is printed", rules.answers_are_closed,
        lambda nb: (cell(nb, "table").update(metadata={"tags": [ANSWER, CHECKED]}),
                    outputs("table", {"output_type": "stream", "name": "stdout", "text": "63"})(nb)),
    ),
    ("widget state", rules.no_stored_widgets, lambda nb: nb["metadata"].update(widgets={})),
    (
        "a stored widget", rules.no_stored_widgets,
        lambda nb: cell(nb, "table")["outputs"][0]["data"].update({WIDGET_VIEW: {"model_id": "1"}}),
    ),
    ("an address in memory", rules.no_chance_in_outputs, outputs("table", stored(text_plain="<W object at 0x7f0a89>"))),
    ("a bare Ether()", rules.packets_with_addresses, source("packet", "Ether()")),
    ("an IP() without source", rules.packets_with_addresses, source("packet", "IP(dst='10.0.0.1')")),
    ("a bare IPv6()", rules.packets_with_addresses, source("packet", "inet6.IPv6(hlim=64)")),
    ("a renamed IP()", rules.packets_with_addresses, source("imports", "from scapy.layers.inet import IP as P\nP()")),
    ("scapy.all", rules.packets_with_addresses, source("imports", "from scapy.all import *")),
    ("scapy.all by name", rules.packets_with_addresses, source("imports", "import scapy.all as s")),
    ("scapy's all", rules.packets_with_addresses, source("imports", "from scapy import all")),
    ("a ping judged one way", rules.judges_round_trips, source("packet", "ping(net, a, b).outcome.kind")),
    ("a def", rules.defines_nothing, source("packet", "def f():\n    return 1\nf()")),
    ("a class", rules.defines_nothing, source("packet", "class A: pass")),
    ("a late import", rules.imports_once, source("packet", "import json\njson")),
    ("interact", rules.only_what_nbval_sees, source("packet", "widgets.interact(f, x=1)")),
    ("an Output", rules.only_what_nbval_sees, source("imports", "from ipywidgets import Output")),
    ("plotly.express", rules.only_what_nbval_sees, source("imports", "import plotly.express as px")),
    ("thirteen lines", rules.short_cells, also("table", "row2")),
    ("few cells", rules.right_length, lambda nb: nb["cells"].pop(10)),
    ("few words", rules.right_length, lambda nb: [cell(nb, f"idea-{n}").update(source="## No") for n in range(8)]),
    ("500 kB", rules.right_length, outputs("table", stored(text_plain="1" * rules.MOST_BYTES))),
    ("a random id", rules.readable_ids, lambda nb: cell(nb, "idea-1").update(id="a1b2c3d4")),
    ("an id with a capital", rules.readable_ids, lambda nb: cell(nb, "idea-1").update(id="Idea")),
    ("an id used twice", rules.readable_ids, lambda nb: cell(nb, "idea-1").update(id="idea-2")),
    ("no way back", rules.navigation, source("title", "# Meet a packet\n\n[Next](02-cross.ipynb)")),
    ("no way on", rules.navigation, source("end", "## Takeaways\n\n")),
    ("a dead link", rules.links_lead_somewhere, also("idea-1", "[there](nowhere.md)")),
    ("an absolute link", rules.links_lead_somewhere, also("idea-1", "[there](/lab/tree/x)")),
    ("a dead anchor", rules.links_lead_somewhere, also("idea-1", "[there](#Nowhere)")),
    ("a noun as title", rules.titled_by_a_verb, source("title", "# A [b](00-start-here.ipynb)[c](02-cross.ipynb)")),
    ("two titles", rules.titled_by_a_verb, also("idea-1", "# Meet another")),
    ("a jump of headings", rules.headings_in_order, also("idea-1", "#### Deep")),
    ("an image without alt", rules.images_described, also("end", "![](00-start-here.ipynb)")),
    ("an <img> without alt", rules.images_described, outputs("table", stored(text_html="<img src='data:,'>"))),
    ("an <img> with an empty alt", rules.images_described, outputs("table", stored(text_html="<img alt='' src='#'>"))),
    ("a home folder", rules.of_no_machine, outputs("table", stored(text_plain="/home/someone/x"))),
    ("a local server", rules.of_no_machine, also("idea-1", "http://localhost:8888/lab")),
    ("no evidence", rules.says_its_evidence, source("you-will", "do learn need minutes")),
    ("no minutes", rules.opens_and_closes, source("you-will", "do learn need; captured, computed")),
    ("no takeaways", rules.opens_and_closes, source("end", "## End\n\n[Next](02-cross.ipynb)")),
)


def test_a_good_notebook_breaks_no_rule() -> None:
    """The notebook that the bad ones are made from is refused by no rule."""
    complaints = [complaint for rule in RULES for complaint in rule(document(good()))]

    assert complaints == []


@pytest.mark.parametrize(("rule", "spoil"), [pytest.param(*case[1:], id=case[0]) for case in BAD])
def test_each_rule_refuses_what_breaks_it(rule: Any, spoil: Callable[[dict[str, Any]], Any]) -> None:
    """A notebook spoilt in one respect is refused by the rule about it, and by no other."""
    notebook = good()
    spoil(notebook)
    refused_by = {r.__name__ for r in RULES if list(r(document(notebook)))}

    assert refused_by == {rule.__name__}


def test_every_rule_is_seen_to_refuse() -> None:
    """No rule is without a notebook that it refuses."""
    assert {rule for _, rule, _ in BAD} == set(RULES)


def test_a_learner_may_define_what_the_stub_asks_for() -> None:
    """A cell tagged as the learner's stub may define and import."""
    notebook = good()
    cell(notebook, "packet").update(source="import json\ndef mine(): ...", metadata={"tags": [CHECKED, rules.STUB]})

    assert not [c for rule in RULES for c in rule(document(notebook))]


def test_the_course_has_notebooks() -> None:
    """There are notebooks to test: six with this issue, starting with the start page."""
    names = [path.name for path in all_notebooks()]

    assert names[:1] == [rules.START]
    assert len(names) >= 6


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path: Any) -> None:
    """A notebook of the course breaks no rule."""
    doc = Document.read(path)
    complaints = [f"{rule.__name__}: {complaint}" for rule in RULES for complaint in rule(doc)]

    assert not complaints, "\n" + "\n".join(complaints)


def test_every_notebook_is_reached_from_the_start() -> None:
    """Following links from the start page alone, a reader comes to every notebook."""
    reached, ahead = set(), [rules.START]
    while ahead:
        name = ahead.pop()
        reached.add(name)
        found = {target for c in Document.read(rules.NOTEBOOKS / name).markdown for _, _, target in links(c)}
        ahead += [path.name for path in all_notebooks() if path.name in found - reached]

    assert reached == {path.name for path in all_notebooks()}


def test_the_map_knows_titles_and_minutes() -> None:
    """The start page's map gives each notebook's title and its minutes as the notebook itself does."""
    start, *others = (Document.read(path) for path in all_notebooks())
    rows = re.findall(
        r"^\| \d\d \| \[(.+?)\]\((.+?)\) \|.*\| (\d+) \|$", "\n".join(map(rules.prose, start.markdown)), re.M
    )
    own = []
    for doc in others:
        opening = rules.prose(doc.cells[0])
        own.append((opening.splitlines()[0][2:], doc.name, *re.findall(r"About (\d+) minutes", opening)))

    assert rows == own


def test_refresh_stores_no_widget_and_joins_streams() -> None:
    """Refresh stores no live widget, one piece per stream, no odd metadata, and the same when it is repeated."""
    notebook = good()
    notebook["metadata"]["widgets"] = {"state": {}}
    cell(notebook, "table").update(
        metadata={"execution": {"iopub.status.busy": "now"}, "trusted": True},
        outputs=[
            {"output_type": "stream", "name": "stdout", "text": "a"},
            {"output_type": "stream", "name": "stdout", "text": "b"},
            {"output_type": "display_data", "data": {WIDGET_VIEW: {"model_id": "1"}}, "metadata": {}},
            {**stored(text_plain="twin", **{WIDGET_VIEW: {}}), "metadata": {WIDGET_VIEW: {}}},
        ],
    )
    once = normalised(notebook)

    assert once["metadata"] == METADATA
    assert cell(once, "table")["metadata"] == {"tags": [CHECKED]}
    assert cell(once, "table")["outputs"] == [
        {"output_type": "stream", "name": "stdout", "text": "ab"},
        {"output_type": "display_data", "data": {"text/plain": "twin"}, "metadata": {}},
    ]
    assert normalised(copy.deepcopy(once)) == once


def test_answers_are_stored_closed() -> None:
    """The HTML of an `answer` cell is wrapped, its text stays; other cells are stored as they are."""
    notebook = good()
    shows = {"text/plain": "63", "text/html": "<p>63</p>"}
    for name, tags in (("table", [ANSWER]), ("packet", [])):
        cell(notebook, name).update(metadata={"tags": tags}, outputs=[stored() | {"data": dict(shows)}])

    stored_as = {c["id"]: c["outputs"][0]["data"] for c in normalised(notebook)["cells"] if c.get("outputs")}

    assert shows == stored_as["packet"]
    assert {**shows, "text/html": f"<details>{SUMMARY}<p>63</p></details>"} == stored_as["table"]
