"""What goes to the browser beside the figure: the script once, the data of each figure once, and not without end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.views import live
from coursekit.views.dissected import dissected
from coursekit.views.packed import unpacked
from coursekit.views.packet import PacketView
from coursekit.views.stage import Stage


class Model:
    """Stands in for the anywidget; remembers what was opened and closed."""

    opened: list[Model]

    def __init__(self, key: str, data: dict[str, Any]) -> None:
        self.key, self.data, self.closed = key, data, False
        Model.opened.append(self)

    def close(self) -> None:
        """Take the model from the browser."""
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Model]]:
    """A kernel with nothing in the browser yet; the models that are opened there."""
    monkeypatch.setattr(live, "in_kernel", lambda: True)
    monkeypatch.setattr(live, "_model_class", lambda: Model)
    monkeypatch.setattr(live, "_models", {})
    Model.opened = []
    yield Model.opened
    Model.opened = []


JOURNEY = ping(network(load("chapter")), "podA", "podB")


def test_nothing_is_sent_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a script or in plain IPython, drawing opens nothing and needs no anywidget."""
    monkeypatch.setattr(live, "_models", {})
    Stage(JOURNEY)._repr_mimebundle_()
    assert live._models == {}


def test_the_script_is_sent_once(opened: list[Model]) -> None:
    """However many frames are drawn, one model carries the script, and it carries no data."""
    for stop in JOURNEY.stops:
        PacketView(dissected(stop.frame))._repr_mimebundle_()
    assert [(model.key, model.data) for model in opened] == [("", {})]


def test_a_journey_sends_the_frame_of_each_stop(opened: list[Model]) -> None:
    """Once per journey, each different frame once, compressed to some kB."""
    view = Stage(JOURNEY)
    view._repr_mimebundle_()
    view._repr_mimebundle_()
    (model,) = opened
    assert f"ck-key-{model.key}" in view.figure()
    run = unpacked(model.data["run"])
    assert len(run["frames"]) == len({stop.frame for stop in JOURNEY.all_stops()})
    assert [len(trip["steps"]) for trip in run["trips"]] == [12, 12]
    assert len(model.data["run"]) < 20_000


def test_old_data_goes(opened: list[Model]) -> None:
    """A form that is changed a hundred times leaves a bounded number of models, and always the script."""
    live.enliven("", {})
    for number in range(100):
        live.enliven(str(number), {"number": number})
    left = [model.key for model in opened if not model.closed]
    assert left[0] == ""
    assert left[-1] == "99"
    assert len(left) == live._MOST


def test_the_script_is_one_module() -> None:
    """The parts make one module with one default export; what one part uses of another is there."""
    script = live.script()
    assert script.count("export default") == 1
    for name in ("SUPPRESS", "enlivenPacket", "enlivenJourney"):
        assert script.count(f"const {name} ") + script.count(f"function {name}(") == 1
