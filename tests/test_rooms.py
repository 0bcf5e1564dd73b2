"""The shape of the house: which room may import which, what is public, what is stored and how big it is."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import coursekit
from coursekit.lab.recording import recording, recordings
from coursekit.paths import data_dir

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "coursekit"
GROUND = {"errors", "keys", "paths", "scratch"}
# Who may import whom, beside itself and the ground. A room that is not listed may be imported by nobody.
MAY_IMPORT = {
    "packets": set[str](),
    "bgp": {"packets"},
    "cluster": {"packets", "bgp"},
    "lab": {"packets", "cluster", "bgp"},
    "views": {"packets", "cluster", "bgp"},
    "exercises": {"packets", "cluster", "bgp", "lab", "views"},
}
JUPYTER = {"IPython", "anywidget", "ipywidgets", "jupyterlab", "plotly", "traitlets", "notebook", "nbformat"}
WITHOUT_JUPYTER = {"packets", "cluster", "bgp"}


def imports(path: Path, text: str | None = None) -> Iterator[str]:
    """Yield the absolute name of every module that a file imports, wherever in it."""
    package = ["coursekit", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8") if text is None else text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def trespasses(path: Path, text: str | None = None) -> list[str]:
    """Return what a file imports and may not."""
    parts = path.relative_to(PACKAGE).parts
    room = parts[0] if len(parts) > 1 else ""
    found = []
    for name in imports(path, text):
        first, *rest = name.split(".")
        other = rest[0] if first == "coursekit" and rest else ""
        if room and other and (PACKAGE / other).is_dir() and other != room and other not in MAY_IMPORT[room]:
            found.append(f"{room} imports {name}")
        if room in WITHOUT_JUPYTER and first in JUPYTER:
            found.append(f"{room} imports {name}")
        if room == "bgp" and first == "scapy" and parts[-1] != "wire.py":
            found.append(f"bgp imports {name} outside wire")
        if name == "scapy.all" or name.startswith("scapy.all."):
            found.append(f"{path.name} imports scapy.all")
        if path.stem in GROUND and first == "coursekit" and (path.stem == "errors" or other != "errors"):
            found.append(f"the ground imports {name}")
    return sorted(set(found))


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs git and a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_imports_run_one_way() -> None:
    """No room imports one above it or beside it, and what computes imports nothing that draws."""
    found = [trespass for path in modules() for trespass in trespasses(path)]
    print(f"{len(modules())} modules")

    assert len(modules()) > 20
    assert found == []


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("packets", "from coursekit.cluster import tables"),
        ("packets", "def late():\n    import coursekit.cluster.tables"),
        ("packets", "from ..cluster import tables"),
        ("packets", "from .. import cluster"),
        ("cluster", "from coursekit import views"),
        ("cluster", "from coursekit.lab.recording import recording"),
        ("lab", "import coursekit.views.packet"),
        ("views", "from coursekit.lab import recording"),
        ("bgp", "from scapy.contrib.bgp import BGPOpen"),
        ("bgp", "import plotly.graph_objects"),
        ("cluster", "from IPython.display import HTML"),
        ("views", "from scapy.all import Ether"),
        ("views", "from scapy import all"),
    ],
)
def test_a_step_the_wrong_way_is_seen(room: str, text: str) -> None:
    """An import against the direction is found, also a relative one and one inside a function."""
    assert trespasses(PACKAGE / room / "intruder.py", text)


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("cluster", "from coursekit.packets.fields import Field"),
        ("lab", "from ..cluster.tables import Route"),
        ("views", "import anywidget"),
        ("packets", "from coursekit.errors import CourseError"),
        ("packets", "from scapy.layers.inet import IP"),
    ],
)
def test_a_step_the_right_way_is_free(room: str, text: str) -> None:
    """Imports along the direction, of the ground, and of libraries are no trespass."""
    assert trespasses(PACKAGE / room / "guest.py", text) == []


def test_only_views_draws() -> None:
    """No room but views writes HTML or SVG."""
    drawing = re.compile(r"</?(?:div|span|table|tr|td|svg|img|script|style)\b|_repr_(?:html|svg|mimebundle)_")
    found = [
        str(path.relative_to(PACKAGE))
        for path in modules()
        if path.relative_to(PACKAGE).parts[0] != "views"
        and any(
            isinstance(node, ast.Constant | ast.FunctionDef)
            and drawing.search(node.value if isinstance(node, ast.Constant) and isinstance(node.value, str)
                               else getattr(node, "name", ""))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]

    assert found == []


def test_every_module_is_one_concept() -> None:
    """No module is longer than 350 lines, and each but an empty __init__ says in its docstring why it exists."""
    long = {p.name: n for p in modules() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 350}
    parsed = {p.name: ast.parse(p.read_text(encoding="utf-8")) for p in modules()}
    mute = [name for name, tree in parsed.items() if tree.body and not ast.get_docstring(tree)]

    assert (long, mute) == ({}, [])


def public(body: list[ast.stmt], where: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield (name, node) of what a module offers: functions, classes and their methods without a leading underscore."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list):
                continue  # a signature; the docstring is the implementation's
            yield f"{where}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{where}.{node.name}")


def test_everything_public_has_a_docstring() -> None:
    """Every public function, class and method says what it does."""
    offered = [o for path in modules() for o in public(ast.parse(path.read_text(encoding="utf-8")).body, path.stem)]
    print(f"{len(offered)} public names")

    assert [name for name, node in offered if not ast.get_docstring(node)] == []  # type: ignore[arg-type]


def test_the_public_face_is_true() -> None:
    """Every name in `coursekit.__all__` is there, and an unknown one is an AttributeError."""
    for name in coursekit.__all__:
        assert getattr(coursekit, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        coursekit.nonsense  # noqa: B018


def test_importing_coursekit_imports_nothing_heavy() -> None:
    """`import coursekit` loads neither scapy nor anything of Jupyter."""
    code = "import sys, coursekit; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not set(loaded) & (JUPYTER | {"scapy"})


def test_every_module_can_be_imported_alone() -> None:
    """No module needs another one to have been imported before it."""
    for path in modules():
        if path.name != "__main__.py":
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def test_data_is_small() -> None:
    """All of data/ is under 4 MB."""
    size = sum(path.stat().st_size for path in data_dir().rglob("*") if path.is_file())
    print(f"{size} bytes of data")

    assert 0 < size < 4_000_000


def test_every_recording_is_what_was_recorded() -> None:
    """Provenance is complete, names every file of its folder and no other, and every SHA-256 is true."""
    files = 0
    for name in recordings():
        found = recording(name)
        present = {path.name for path in found.folder.iterdir()} - {"provenance.json"}
        sums = {item: hashlib.sha256((found.folder / item).read_bytes()).hexdigest() for item in present}
        files += len(sums)

        assert found.provenance["name"] == name
        assert found.provenance["evidence"] == "captured"
        assert found.provenance["sha256"] == sums
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", found.provenance["date"])
        assert all(found.provenance[key] for key in ("kernel", "tools", "topology", "conditions", "setup", "commands"))
    print(f"{len(recordings())} recordings, {files} files, every SHA-256 true")

    assert {path.name for path in (data_dir() / "recordings").iterdir()} == {*recordings(), "SHA256SUMS"}
    assert files > 300


def test_no_file_is_of_one_machine() -> None:
    """No tracked file names a place of the machine it was written on, and the lock names no index."""
    here = "|".join(map(re.escape, {str(ROOT), str(Path.home())} - {"/", "/root"}))
    pattern = re.compile(rf"{here}|/(?:home|Users)/\w|/root/\w|file:///|/\.pyenv/|/opt/pypi".removeprefix("|"))
    found = []
    for path in tracked():
        if path.suffix in (".pcap", ".png") or path == Path(__file__) or path.parent.name == "notebooks":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {m.group()}" for m in [pattern.search(text)] if m]
        if path.name == "requirements.lock" and "://" in text:
            found.append("requirements.lock names an address")

    assert found == []


def test_the_top_level_holds_what_a_reader_expects() -> None:
    """The only folders are notebooks, coursekit, data, tests, the licences and what forges read."""
    folders = {path.relative_to(ROOT).parts[0] for path in tracked() if len(path.relative_to(ROOT).parts) > 1}

    assert folders - {".ci", ".github"} == {"LICENSES", "coursekit", "data", "notebooks", "tests"}


def test_versions_agree() -> None:
    """The citation and the changelog speak of the version that is installed; JSON files of the project are JSON."""
    version = coursekit.__version__

    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M).group(1) == version
    assert all(json.loads(path.read_text()) for path in PACKAGE.rglob("*.json"))


def test_readme_can_be_followed_as_it_stands() -> None:
    """No address in README or CONTRIBUTING has a part that a reader must replace."""
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r"https?://\S*(?:[A-Z]{4,}|<)\S*", text) == []
        assert re.findall(r"\b(?:OWNER|USER|REPO|REPOSITORY)\b", text) == []


def test_conda_gets_what_pip_gets() -> None:
    """environment.yml pins Python in the form repo2docker reads, installs this checkout, and nothing shadows it."""
    text = (ROOT / "environment.yml").read_text()

    assert re.search(r"^  - python=3\.1[1-4]$", text, re.M)
    assert re.search(r"^      - -e \.$", text, re.M)
    assert not [name for name in ("binder", ".binder", "environment.yaml") if os.path.lexists(ROOT / name)]
