"""The rules that every notebook keeps as a document; each returns what breaks it, in sentences."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from coursekit.exercises.editions import ANSWER

from .refresh import CHECKED, IGNORED, METADATA, NOTEBOOKS, SUMMARY, WIDGET_VIEW

START = "00-start-here.ipynb"
STUB = "learner-stub"
TAGS = {CHECKED, IGNORED, STUB, ANSWER, "prediction", "exercise"}
MOST_BYTES = 500_000
VERBS = set(
    """ask assemble break build call carry catch change check choose climb compare count cross decide dig draw
    explore find fit follow get give go have install keep know lay learn let look make measure meet move open pack
    peel pick play put reach read replay route run see send set share show shrink spread start step strip swap take
    teach test trace try unpack unwrap use walk watch wrap write""".split()
)
ADDRESSED = {"Ether": ("src", "dst"), "IP": ("src", "dst"), "IPv6": ("src", "dst"), "ARP": ("hwsrc", "psrc", "pdst")}
UNTESTABLE = {"interact", "interactive", "interact_manual", "clear_output", "Output", "FigureWidget"}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
_THIS_MACHINE = re.compile(r"/(?:home|root|Users|tmp|work|mnt)/\w|[A-Z]:\\\\?\w|file://|https?://(?:localhost|127\.)")


@dataclass(frozen=True)
class Document:
    """A notebook as stored: its file name, its JSON and its size on disk in bytes."""

    name: str
    json: dict[str, Any]
    size: int
    siblings: tuple[str, ...]  # all notebooks of the course, in order

    @classmethod
    def read(cls, path: Path) -> Document:
        text = path.read_text(encoding="utf-8")
        return cls(path.name, json.loads(text), len(text.encode()), tuple(p.name for p in all_notebooks()))

    @property
    def cells(self) -> list[dict[str, Any]]:
        return self.json["cells"]

    @property
    def code(self) -> list[dict[str, Any]]:
        return [cell for cell in self.cells if cell["cell_type"] == "code"]

    @property
    def markdown(self) -> list[dict[str, Any]]:
        return [cell for cell in self.cells if cell["cell_type"] == "markdown"]


def all_notebooks() -> list[Path]:
    """Return the course's notebooks in order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def text(lines: str | list[str]) -> str:
    """Return a multi-line string of the notebook format, which stores it as a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def source(cell: dict[str, Any]) -> str:
    """Return what is written in a cell."""
    return text(cell["source"])


def tags(cell: dict[str, Any]) -> set[str]:
    """Return the tags of a cell."""
    return set(cell["metadata"].get("tags", []))


def shown(cell: dict[str, Any]) -> str:
    """Return all text that the outputs of a cell hold."""
    parts = []
    for output in cell.get("outputs", []):
        parts.append(text(output.get("text", "")))
        parts += [text(v) if isinstance(v, str | list) else json.dumps(v) for v in output.get("data", {}).values()]
    return "\n".join(parts)


def prose(cell: dict[str, Any]) -> str:
    """Return a Markdown cell without its fenced code."""
    return re.sub(r"^(```|~~~).*?^\1", "", source(cell), flags=re.M | re.S)


def links(cell: dict[str, Any]) -> Iterator[tuple[bool, str, str]]:
    """Yield (is an image, text, target) of each link of a Markdown cell."""
    for image, label, target in _LINK.findall(prose(cell)):
        yield bool(image), label, target


def _parsed(doc: Document) -> Iterator[tuple[dict[str, Any], ast.Module]]:
    for cell in doc.code:
        try:
            yield cell, ast.parse(source(cell))
        except SyntaxError:
            continue


def plain_python(doc: Document) -> Iterator[str]:
    """Code is Python: no magics and no shell, which are not the same on every machine."""
    for cell in doc.code:
        try:
            ast.parse(source(cell))
        except SyntaxError as error:
            yield f"{cell['id']} is not plain Python: {error.msg}"


def bland_metadata(doc: Document) -> Iterator[str]:
    """All notebooks have the same metadata, with the kernel everybody has."""
    if {key: value for key, value in doc.json["metadata"].items() if key != "widgets"} != METADATA:
        yield f"metadata is {doc.json['metadata']}, not {METADATA}"
    if (doc.json["nbformat"], doc.json["nbformat_minor"]) != (4, 5):
        yield "is not nbformat 4.5, the first with cell ids"


def run_in_order(doc: Document) -> Iterator[str]:
    """Every code cell was run, from the top, once: nbval compares nothing in a cell that was not."""
    counts = [cell["execution_count"] for cell in doc.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def no_errors(doc: Document) -> Iterator[str]:
    """No traceback and nothing on stderr is stored."""
    for cell in doc.code:
        for output in cell["outputs"]:
            if output["output_type"] == "error" or output.get("name") == "stderr":
                yield f"{cell['id']} stores {output.get('ename', 'stderr')}"


def tagged_outputs(doc: Document) -> Iterator[str]:
    """Every output is checked, or said not to be; nothing empty is said to be checked."""
    for cell in doc.cells:
        nbval = tags(cell) & {CHECKED, IGNORED}
        if unknown := tags(cell) - TAGS:
            yield f"{cell['id']} has tags that nobody reads: {sorted(unknown)}"
        if cell.get("outputs") and len(nbval) != 1:
            yield f"{cell['id']} shows something and has of {CHECKED}, {IGNORED}: {sorted(nbval) or 'neither'}"
        if CHECKED in nbval and not shown(cell).strip():
            yield f"{cell['id']} is tagged {CHECKED} and shows nothing: that check cannot fail"


def answers_are_closed(doc: Document) -> Iterator[str]:
    """What answers a question is stored in a closed `<details>`: nothing of it stands open on GitHub or on paper."""
    for cell in doc.code:
        for output in cell["outputs"] if ANSWER in tags(cell) else ():
            html = text(output.get("data", {}).get("text/html", ""))
            if not html.startswith(f"<details>{SUMMARY}") or not html.endswith("</details>"):
                yield f"{cell['id']} is tagged {ANSWER} and stores an output that stands open"


def no_stored_widgets(doc: Document) -> Iterator[str]:
    """No live widget is stored: without its kernel it shows an error instead of the static twin."""
    if "widgets" in doc.json["metadata"]:
        yield "metadata.widgets is stored"
    for cell in doc.code:
        if any(WIDGET_VIEW in output.get("data", {}) for output in cell["outputs"]):
            yield f"{cell['id']} stores a widget-view"


def no_chance_in_outputs(doc: Document) -> Iterator[str]:
    """No memory address is stored: it is another one in the next run."""
    for cell in doc.code:
        if found := re.search(r" at 0x[0-9a-f]{6,}", shown(cell)):
            yield f"{cell['id']} shows an address in memory:{found.group()}"


def packets_with_addresses(doc: Document) -> Iterator[str]:
    """No scapy layer is built without its addresses, which scapy reads from the host; nothing is from scapy.all."""
    for cell, tree in _parsed(doc):
        names = {name: name for name in ADDRESSED}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom | ast.Import):
                modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                names |= {alias.asname: alias.name for alias in node.names if alias.asname and alias.name in ADDRESSED}
                if "scapy.all" in modules or ("scapy" in modules and "all" in modules):
                    yield f"{cell['id']} imports scapy.all"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = names.get(getattr(node.func, "attr", getattr(node.func, "id", "")), "")
                missing = set(ADDRESSED.get(called, ())) - {word.arg for word in node.keywords}
                if missing and not node.args:
                    yield f"{cell['id']} builds {called}() without {', '.join(sorted(missing))}"


def judges_round_trips(doc: Document) -> Iterator[str]:
    """A ping is judged by `answered` or `round_trip`: `outcome` says delivered of a request whose answer is lost."""
    for cell, tree in _parsed(doc):
        if any(isinstance(node, ast.Attribute) and node.attr == "outcome" for node in ast.walk(tree)):
            yield f"{cell['id']} reads .outcome, which is of one way; .round_trip is of both"


def defines_nothing(doc: Document) -> Iterator[str]:
    """No def or class, but in the learner's own stub."""
    for cell, tree in _parsed(doc):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if STUB not in tags(cell) and any(isinstance(node, kinds) for node in ast.walk(tree)):
            yield f"{cell['id']} defines something and is not tagged {STUB}"


def imports_once(doc: Document) -> Iterator[str]:
    """One cell imports, the first one with code."""
    for cell, tree in _parsed(doc):
        imports = any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))
        if imports and cell is not doc.code[0] and STUB not in tags(cell):
            yield f"{cell['id']} imports; imports belong in {doc.code[0]['id']}"


def only_what_nbval_sees(doc: Document) -> Iterator[str]:
    """Nothing draws through channels that nbval cannot compare, or stores megabytes."""
    for cell, tree in _parsed(doc):
        words = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)}
        words |= {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom | ast.Import) for a in n.names}
        if found := words & (UNTESTABLE | {"plotly.express"}):
            yield f"{cell['id']} uses {', '.join(sorted(found))}"


def short_cells(doc: Document) -> Iterator[str]:
    """At most 12 lines of code in a cell."""
    for cell in doc.code:
        if (lines := len(source(cell).splitlines())) > 12:
            yield f"{cell['id']} has {lines} lines"


def right_length(doc: Document) -> Iterator[str]:
    """At least 25 cells and 800 words, under the size a page on GitHub opens quickly; the start page may be shorter."""
    words = sum(len(re.findall(r"[^\W_][\w.'’-]*", prose(cell))) for cell in doc.markdown)
    least_cells, least_words = (1, 1) if doc.name == START else (25, 800)
    if len(doc.cells) < least_cells:
        yield f"has {len(doc.cells)} cells, fewer than {least_cells}"
    if words < least_words:
        yield f"has {words} words, fewer than {least_words}"
    if doc.size >= MOST_BYTES:
        yield f"has {doc.size} bytes, not under {MOST_BYTES // 1000} kB"


def readable_ids(doc: Document) -> Iterator[str]:
    """Cell ids are words that a person chose, each once."""
    ids = [cell.get("id", "") for cell in doc.cells]
    for name in ids:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 64:
            yield f"the cell id {name!r} is not a slug"
        elif re.fullmatch(r"[0-9a-f]{8}", name) and re.search(r"\d", name):
            yield f"the cell id {name!r} was drawn by lot"
        if ids.count(name) > 1:
            yield f"the cell id {name!r} is used twice"


def navigation(doc: Document) -> Iterator[str]:
    """A line in the first two cells links the start page and the neighbours; the last cell links what comes next."""
    at = doc.siblings.index(doc.name)
    before, after = doc.siblings[max(at - 1, 0) : at], doc.siblings[at + 1 : at + 2]
    wanted = set(before + after) if doc.name == START else {START, *before, *after}
    lines = [line for cell in doc.cells[:2] if cell["cell_type"] == "markdown" for line in source(cell).splitlines()]
    targets = [{target.split("#")[0] for _, _, target in _LINK.findall(line)} for line in lines]
    if not any(wanted <= found for found in targets):
        yield f"no line of the first two cells links {', '.join(sorted(wanted))}"
    if after and after[0] not in {target for _, _, target in links(doc.cells[-1])}:
        yield f"the last cell does not link {after[0]}"


def links_lead_somewhere(doc: Document) -> Iterator[str]:
    """Relative links point at files of the course, or at headings of this page."""
    anchors = {h.strip().replace(" ", "-") for c in doc.markdown for h in re.findall(r"^#+ (.+)$", prose(c), re.M)}
    for cell in doc.markdown:
        for _, _, target in links(cell):
            path, _, anchor = target.partition("#")
            if re.match(r"https?://|mailto:|data:|attachment:", target):
                continue
            if path.startswith("/") or (path and not (NOTEBOOKS / path).exists() and path not in doc.siblings):
                yield f"{cell['id']} links {path}, which is not there"
            if not path and anchor not in anchors:
                yield f"{cell['id']} links #{anchor}, which is no heading here"


def titled_by_a_verb(doc: Document) -> Iterator[str]:
    """The first line is the only title, and begins with what the reader does."""
    titles = [title for cell in doc.markdown for title in re.findall(r"^# (.+)$", prose(cell), re.M)]
    first = source(doc.cells[0]).splitlines()[0] if doc.cells and source(doc.cells[0]) else ""
    if len(titles) != 1 or not first.startswith("# "):
        yield f"has {len(titles)} titles, the first line is {first!r}"
        return
    word = re.sub(r"^[\d.\s:·—–-]+", "", titles[0]).split(" ")[0].lower().strip(",:")
    if word not in VERBS:
        yield f"its title begins with {word!r}, not with a verb (documents.py lists those in use)"


def headings_in_order(doc: Document) -> Iterator[str]:
    """No heading is more than one level below the one before."""
    levels = [(cell["id"], len(h)) for cell in doc.markdown for h in re.findall(r"^(#+) ", prose(cell), re.M)]
    for (_, above), (cell_id, level) in pairwise(levels):
        if level > above + 1:
            yield f"{cell_id} jumps from a heading of level {above} to level {level}"


def images_described(doc: Document) -> Iterator[str]:
    """Every picture says in words what it shows."""
    for cell in doc.cells:
        html = shown(cell) + (source(cell) if cell["cell_type"] == "markdown" else "")
        if any(not re.search(r"""\balt=(["'])[^"']{3,}\1""", tag) for tag in re.findall(r"<img\b[^>]*>", html)):
            yield f"{cell['id']} has an <img> without alt"
        if cell["cell_type"] == "markdown" and any(image and len(alt) < 3 for image, alt, _ in links(cell)):
            yield f"{cell['id']} has an image without alt text"


def of_no_machine(doc: Document) -> Iterator[str]:
    """Nothing points at the machine it was written on."""
    for cell in doc.cells:
        if found := _THIS_MACHINE.search(source(cell) + "\n" + shown(cell)):
            yield f"{cell['id']} names a place on one machine: {found.group()}"


def says_its_evidence(doc: Document) -> Iterator[str]:
    """The kind of evidence is said in the words captured, computed, documented; the start page explains all three."""
    everything = "\n".join(shown(c) + (source(c) if c["cell_type"] == "markdown" else "") for c in doc.cells).lower()
    used = {word for word in ("captured", "computed", "documented") if re.search(rf"\b{word}\b", everything)}
    if len(used) < (3 if doc.name == START else 2):
        yield f"of captured, computed, documented it says only: {', '.join(sorted(used)) or 'none'}"


def opens_and_closes(doc: Document) -> Iterator[str]:
    """It begins with what you will do, learn and need, and in how many minutes; it ends with takeaways."""
    if doc.name == START:
        return
    opening = " ".join(source(cell) for cell in doc.cells[:4] if cell["cell_type"] == "markdown").lower()
    for word in ("do", "learn", "need", "minutes"):
        if not re.search(rf"\b{word}\b", opening):
            yield f"its first four cells do not say {word!r}"
    if not re.search(r"take ?aways?\b", " ".join(source(cell) for cell in doc.cells[-4:]).lower()):
        yield "its last four cells have no takeaways"


RULES: tuple[Callable[[Document], Iterator[str]], ...] = (
    plain_python, bland_metadata, run_in_order, no_errors, tagged_outputs, answers_are_closed, no_stored_widgets,
    no_chance_in_outputs, packets_with_addresses, judges_round_trips, defines_nothing, imports_once,
    only_what_nbval_sees, short_cells,
    right_length, readable_ids, navigation, links_lead_somewhere, titled_by_a_verb, headings_in_order, images_described,
    of_no_machine, says_its_evidence, opens_and_closes,
)
