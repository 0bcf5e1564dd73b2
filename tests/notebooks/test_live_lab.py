"""The lab's notebook for real: every cell runs on this kernel, and shows what the replay shows where that is fixed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scapy

from tests.lab import fake_kubectl

from .documents import Document, shown, text
from .refresh import NOTEBOOKS, executed

LAB = NOTEBOOKS / "08-multi-node-lab.ipynb"
ROOT = NOTEBOOKS.parent
# Cells whose outputs hold nothing drawn by lot, no time and no place: live they are the same, label of evidence aside.
SAME = ("check-ippools", "predicted-tables", "observe-connectivity", "bisect-mtu", "black-hole", "check-filter",
        "break-and-repair", "diagnose", "observe-mode", "claim")  # fmt: skip
# Cells that ask a Kubernetes cluster, which is the documented one unless the mode is minikube.
ASKING = ("minikube-build", "minikube-reach", "minikube-mode", "minikube-tables", "paste", "your-tables", "down")
HERE = [pytest.mark.namespaces, pytest.mark.tool("bird", "ping", "traceroute")]


def bare(said: str) -> list[str]:
    """Return the lines of a text that a cell shows, without evidence, times and the points that were captured."""
    said = re.sub(r"captured( live)?( ·[^\n]*)?|computed|,? time \d+ms|seen at:.*|\d+ hops max", "", said)
    said = re.sub(r"\d+\.\d+ ms", "", said)
    return [" ".join(line.split()).strip(" ·,") for line in said.splitlines() if line.strip(" ·,─")]


def said(cell: dict[str, Any]) -> str:
    """Return a cell's outputs as text."""
    return "\n".join(text(o.get("text", "") or o.get("data", {}).get("text/plain", "")) for o in cell["outputs"])


STORED = {cell["id"]: cell for cell in Document.read(LAB).code}


@pytest.mark.parametrize("mode", [pytest.param("namespaces", marks=HERE),
                                  pytest.param("loopback", marks=pytest.mark.tool("bird"))])  # fmt: skip
def test_the_notebook_runs_live(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In namespaces, and with daemons on loopback, no cell fails, and those without chance show what is stored."""
    monkeypatch.setenv("COURSEKIT_LAB", mode)
    live = "captured live" if mode == "namespaces" else "captured ·"
    ran = {cell["id"]: cell for cell in executed(LAB)["cells"] if cell["cell_type"] == "code"}

    assert shown(ran["banner"]).startswith("live" if mode == "namespaces" else mode)
    assert live in shown(ran["observe-connectivity"])
    assert "captured live" in shown(ran["observe-bird"])
    assert shown(ran["observe-bird"]).count("Established") == 2
    assert not [cell for cell in ran.values() for output in cell["outputs"] if output["output_type"] == "error"]
    for name in (*SAME, *ASKING):
        assert bare(said(ran[name])) == bare(said(STORED[name])), name


@pytest.mark.namespaces
@pytest.mark.tool("bird", "ping", "traceroute")
def test_the_notebook_drives_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a kubectl that answers the same cells run: pods are made, tables read, a journey drawn by them."""
    fake_kubectl.install(tmp_path, pods=False)
    monkeypatch.setenv("COURSEKIT_LAB", "minikube")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    try:
        ran = {cell["id"]: cell for cell in executed(LAB)["cells"] if cell["cell_type"] == "code"}
    finally:
        (NOTEBOOKS / "minikube-eth0.pcap").unlink(missing_ok=True)

    assert not [cell for cell in ran.values() for output in cell["outputs"] if output["output_type"] == "error"]
    assert shown(ran["banner"]).startswith("minikube · context minikube answers, 2 nodes")
    for name in ("minikube-build", "minikube-reach", "minikube-mode", "minikube-tables", "bisect-mtu"):
        assert "[captured live · kubectl --context minikube]" in said(ran[name]), name
        assert "documented" not in said(ran[name]), name
    assert "that is: calico-ipip · pool " in said(ran["minikube-mode"])
    assert "ping: local error: message too long, mtu=1480" in said(ran["bisect-mtu"])
    assert "10.244.1.0/24 via 192.168.1.11 dev tunl0" in said(ran["your-tables"]) + said(ran["your-journey"])
    assert "minikube:tunl0" in said(ran["your-journey"])
    assert "delivered" in said(ran["your-journey"])
    assert "not run: it destroys" in said(ran["down"])
    assert "delete" not in (tmp_path / "log").read_text()
    for name in SAME[:1] + SAME[4:]:
        assert bare(said(ran[name])) == bare(said(STORED[name])), name


# Cells one after the other without Jupyter, whose packages nobody may be able to read; what each shows, as JSON.
SCRIPT = """
import ast, contextlib, io, json, os, sys
assert os.geteuid() != 0
room, found = {}, {}
for name, source in json.load(open(sys.argv[1])):
    tree = ast.parse(source)
    shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(tree, name, "exec"), room)
        if shown is not None:
            value = eval(compile(ast.Expression(shown.value), name, "eval"), room)
            print("" if value is None else repr(value))
    found[name] = out.getvalue()
print(json.dumps(found))
"""
AS_NOBODY = """
cd $1 || exit
exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '
for python in "$@"; do "$python" -c "import scapy" && exec "$python" script.py cells.json; done' - "$2" /usr/bin/python3
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a copy of the course that everybody may read; pytest shuts its own folders."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in (ROOT / "coursekit", ROOT / "data", Path(scapy.__file__).parent):
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "script.py").write_text(SCRIPT)
        (folder / "cells.json").write_text(json.dumps([(name, text(cell["source"])) for name, cell in STORED.items()]))
        folder.chmod(0o755)
        yield folder


@pytest.mark.root
@pytest.mark.tool("setpriv", "bird", "ping", "traceroute")
def test_the_notebook_runs_live_for_an_ordinary_user(open_folder: Path) -> None:
    """As nobody, in a user namespace, the same cells show the same; frames are captured there and then."""
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(open_folder), "HOME": str(open_folder),
                "COURSEKIT_LAB": "namespaces", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    command = ["sh", "-c", AS_NOBODY, "-", str(open_folder), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    assert done.returncode == 0, done.stderr
    ran = json.loads(done.stdout.splitlines()[-1])

    assert ran["banner"].startswith("live · the lab without root: network namespaces inside a user namespace")
    assert "captured live" in ran["observe-connectivity"]
    assert ran["observe-bird"].count("Established") == 2
    for name in (*SAME, *ASKING):
        assert bare(ran[name]) == bare(said(STORED[name])), name


def test_the_stored_run_is_a_replay() -> None:
    """What is stored was replayed, and says so; no mode is set in the notebook itself."""
    assert shown(STORED["banner"]).startswith("replay")
    assert "COURSEKIT_LAB" not in os.environ or os.environ["COURSEKIT_LAB"] in ("replay", "")
    assert not any("captured live" in shown(cell) for cell in STORED.values())
    for name in ("minikube-build", "minikube-reach", "minikube-mode", "paste"):
        assert "documented · tigera/docs, a cluster that is not yours" in said(STORED[name]), name
