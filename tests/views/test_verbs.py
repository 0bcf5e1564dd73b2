"""`from coursekit import views`: one verb per view, whatever was imported before."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from coursekit import views
from coursekit.errors import CourseError
from coursekit.packets.capture import Frame
from coursekit.packets.layout import dissect

DRAWING = ("bgp", "packet", "diff", "table", "journey", "chain", "mtu", "curve", "sheet", "choice", "grid", "compare",
           "watch", "frames")
VERBS = (*DRAWING, "explore_mtu", "explore_fault", "explore_profile", "explore_choice", "explore_bgp")
MODULES = ("bgp", "packet", "diff", "table", "stage", "chain", "mtu", "curves", "sheet", "choice", "forms", "frames",
           "dissected")
ECHO = IP(src="10.0.0.1", dst="10.0.0.2", id=1) / ICMP(id=1, seq=1)
FRAME = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ECHO)


def test_verbs_stay_verbs() -> None:
    """Importing the modules, some of which are called as a verb is, leaves the verbs what they are."""
    for name in MODULES:
        importlib.import_module(f"coursekit.views.{name}")
    assert [name for name in VERBS if not inspect.isfunction(getattr(views, name))] == []
    assert [name for name in VERBS if not getattr(views, name).__doc__] == []


def test_import_leaves_plotly_and_widgets_out() -> None:
    """What only some views need is not loaded with the others."""
    heavy = "plotly", "ipywidgets", "anywidget", "IPython"
    code = f"import sys; from coursekit import views; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("given", [
    FRAME, bytearray(FRAME), Frame(FRAME, 1), dissect(FRAME), Ether(FRAME),
])  # fmt: skip
def test_frames_in_every_form(given: object) -> None:
    """Bytes, a captured frame, a dissection and a scapy packet draw the same."""
    assert str(views.packet(given)) == str(views.packet(FRAME))  # type: ignore[arg-type]


def test_link_types() -> None:
    """A bare IP packet is recognised; a captured frame knows its link type; the link type given wins."""
    bare = views.packet(bytes(ECHO))
    assert [layer["key"] for layer in bare.data["layers"]][:2] == ["ip", "icmp"]
    cut = Frame(bytes(ECHO)[:22], 1, dlt=101)  # by its length no longer to be told
    assert views.packet(cut).data["layers"][0]["key"] == "ip"
    assert views.packet(bytes(ECHO), linktype="ethernet").data["layers"][0]["key"] == "eth"


def test_what_is_no_frame() -> None:
    """A verb refuses what is no frame by name."""
    with pytest.raises(CourseError, match="7 was given"):
        views.packet(7)  # type: ignore[arg-type]
    with pytest.raises(CourseError, match="cannot be built"):
        views.packet(IP(options=[object()]))
