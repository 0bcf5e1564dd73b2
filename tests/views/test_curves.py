"""Curve: the plot and the table hold the same numbers, and what is stored stays small."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from coursekit import views
from coursekit.errors import CourseError
from coursekit.views.curves import PLOTLY, Curve
from tests.views.markup import offences, read, sanitised

SERIES = {
    "VXLAN": [(84, 37.313), (400, 11.111), (1400, 3.4)], "IPIP": [(84, 19.23), (1400, 1.409)], "native": [(84, 0)],
}  # fmt: skip
VIEW = views.curve(SERIES, x="size, bytes", y="share, percent", title="A constant price")


def bundles(view: Any) -> list[dict[str, Any]]:
    """What a notebook stores of a view, output by output."""
    InteractiveShell.instance()
    with capture_output() as captured:
        view._ipython_display_()
    return [output.data for output in captured.outputs]


def test_table() -> None:
    """The table has a row per x and a column per series, and a dash where there is no point."""
    rows = [[cell.text for cell in row.all("th") + row.all("td")] for row in read(VIEW.figure()).all("tr")]
    assert rows == [
        ["size, bytes", "VXLAN", "IPIP", "native"], ["84", "37.3", "19.2", "0"], ["400", "11.1", "–", "–"],
        ["1,400", "3.4", "1.41", "–"],
    ]  # fmt: skip


def test_text() -> None:
    """The text twin is that table."""
    assert str(VIEW).splitlines() == [
        "A constant price",
        "share, percent, by size, bytes",
        "  size, bytes  VXLAN  IPIP  native",
        "           84   37.3  19.2       0",
        "          400   11.1     –       –",
        "        1,400    3.4  1.41       –",
    ]


def test_plot_holds_the_points() -> None:
    """The plot has the points as given, and no point where none was given."""
    plot = bundles(VIEW)[0][PLOTLY]
    assert {line["name"]: list(zip(line["x"], line["y"], strict=True)) for line in plot["data"]} == SERIES


def test_lines_differ_without_colour() -> None:
    """Every line has a dash and a marker of its own."""
    plot = bundles(views.curve({str(i): [(0, i), (1, i)] for i in range(5)}))[0][PLOTLY]
    styles = {(line["line"]["dash"], line["marker"]["symbol"]) for line in plot["data"]}
    assert len(styles) == 5


def test_plot_is_a_light_card_without_buttons() -> None:
    """The plot has its own background in either theme, no tool bar (whose button uploads), and no template of 6 kB."""
    plot = bundles(VIEW)[0][PLOTLY]
    assert plot["config"]["displayModeBar"] is False
    assert {plot["layout"]["paper_bgcolor"], plot["layout"]["plot_bgcolor"]} == {"#ffffff"}
    assert plot["layout"]["font"]["color"] == "#1a1a1a"
    assert len(json.dumps(plot["layout"]["template"])) < 100


def test_two_outputs(record_property: Any) -> None:
    """The first output is the plot, or a line of text; the second is the table, in HTML and in text. Both are small."""
    first, second = bundles(VIEW)
    assert (set(first), set(second)) == ({PLOTLY, "text/plain"}, {"text/html", "text/plain"})
    assert first["text/plain"] == "A constant price: the numbers stand below."
    assert second["text/plain"] == str(VIEW)
    size = len(json.dumps(first)) + len(json.dumps(second))
    record_property("bytes", size)
    assert size < 7000


def test_markup() -> None:
    """Names are data, not markup, in table and plot; a sanitizer leaves the numbers."""
    view = views.curve({"<script>$": [(1, 2.5)]}, title="<img onerror=x>")
    assert offences(view.figure()) == []
    assert "<script>" not in json.dumps(bundles(view)[0])
    assert "2.5" in sanitised(read(view.figure())).text


@pytest.mark.parametrize("points", [[], [1, 2], [(1, "x")], [(1, float("nan"))], [(1, 2, 3)], 3])
def test_what_is_no_curve(points: Any) -> None:
    """Series without points, or points that are no numbers, are refused."""
    with pytest.raises(CourseError):
        views.curve({"a": points})


def test_data_is_plain() -> None:
    """The data is JSON-ready, and text stays within 100 columns for five series with long names."""
    assert json.loads(json.dumps(VIEW.data)) == VIEW.data
    long = views.curve({f"a series with a long name {i}": [(1, 2)] for i in range(3)}, x="x" * 60, y="y" * 120)
    assert max(map(len, str(long).splitlines())) <= 110


def test_points_beside_their_formula() -> None:
    """Measured points stand beside their closed form, which is drawn as a line; where they part, a sentence says so."""
    right = Curve({"mesh": [(3, 3), (10, 45)]}, "nodes", "sessions", formulas={"mesh": "n*(n-1)/2"}, log=True)
    wrong = Curve({"mesh": [(3, 3), (10, 46)]}, "nodes", "sessions", formulas={"mesh": "n*(n-1)/2"})
    line, points = right.plot().data

    assert "By formula: mesh = n*(n-1)/2. Every point lies on it." in right.text()
    assert "Not so: mesh at 10: 46, by formula 45." in wrong.text()
    assert ((line.mode, list(line.y)), (points.mode, list(points.y))) == (("lines", [3, 45]), ("markers", [3, 45]))
    assert (right.plot().layout.xaxis.type, wrong.plot().layout.xaxis.type) == ("log", None)
    assert len(wrong.plot().data[0].x) > 5


@pytest.mark.parametrize(("formulas", "says"), [({"ring": "n"}, "no series 'ring'"), ({"mesh": "m+"}, "m+")])
def test_a_formula_for_nothing(formulas: dict[str, str], says: str) -> None:
    """A formula without a series, or one that is no arithmetic, is a sentence."""
    with pytest.raises(CourseError, match=re.escape(says)):
        Curve({"mesh": [(3, 3)]}, formulas=formulas)
