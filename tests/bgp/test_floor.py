"""What the room stands on: the standard library, and scapy for the wire alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.test_rooms import GROUND


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [("bgp_command, groups, topologies, loopback", set()), ("wire", {"scapy"})],
)
def test_bgp_imports_nothing_heavy(modules: str, allowed: set[str]) -> None:
    """The room brings in no Jupyter or plotly, and no room but the ground; only `wire` brings in scapy."""
    code = (f"import sys; from coursekit.bgp import {modules}; print(*{{m.split('.')[0] for m in sys.modules}}, "
            "*(m for m in sys.modules if m.startswith('coursekit.')))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"scapy", "plotly", "ipywidgets", "anywidget", "IPython", "ipykernel", "numpy"}
    assert loaded & heavy == allowed
    rooms = {name.split(".")[1] for name in loaded if name.startswith("coursekit.")}
    assert rooms - GROUND == {"bgp"}
