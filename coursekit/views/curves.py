"""Lines through points, drawn by plotly where a notebook is trusted, and as a table of numbers everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from textwrap import wrap
from typing import Any

from coursekit.bgp import closed_forms
from coursekit.errors import CourseError, expect
from coursekit.views.twin import View, escape

PLOTLY = "application/vnd.plotly.v1+json"
_WIDTH = 100
# Okabe and Ito's colours that stand out from white, each with a dash and a marker of its own.
_STYLES = (
    ("#0072B2", "solid", "circle"), ("#D55E00", "dash", "square"), ("#00795a", "dot", "diamond"),
    ("#a8467f", "dashdot", "triangle-up"), ("#1a1a1a", "longdash", "cross"),
)  # fmt: skip
_INK, _CARD = "#1a1a1a", "#ffffff"
_AXIS = {"gridcolor": "#d4d4d4", "linecolor": _INK}


class Curve(View):
    """Named series of (x, y) points over a common x; `x` and `y` are the axes' titles, with units.

    `formulas` give a series its closed form in n, which x then is: the points are drawn as points, the form as a line
    through or past them, and the numbers say where they part. `log` makes both axes logarithmic.

    Two outputs: the plot, which an untrusted notebook replaces by its line of text, and beneath it the numbers.
    """

    kind = "curve"

    def __init__(
        self, series: Mapping[str, Iterable[tuple[float, float]]], x: str = "", y: str = "", title: str = "",
        formulas: Mapping[str, str] | None = None, log: bool = False,
    ) -> None:  # fmt: skip
        expect(series, Mapping, "A curve's series are a dict, such as {'VXLAN': [(84, 37.3), (1400, 3.4)]}")
        points = {str(name): _points(name, given) for name, given in series.items()}
        if not any(points.values()):
            raise CourseError("A curve needs a series with points, such as {'VXLAN': [(84, 37.3), (1400, 3.4)]}.")
        xs = sorted({at for line in points.values() for at, _ in line})
        found = [dict(line) for line in points.values()]
        self.data: dict[str, Any] = {
            "title": title, "x": x or "x", "y": y or "y", "names": list(points), "xs": xs,
            "ys": [[line.get(at) for line in found] for at in xs],
            "formulas": dict(formulas or {}), "lines": {}, "log": log, "agreement": "",
        }  # fmt: skip
        for name, formula in self.data["formulas"].items():
            if name not in points:
                raise CourseError(f"There is no series {name!r} for the formula {formula}; there are {list(points)}.")
            self.data["lines"][name] = [(n, closed_forms.value(formula, {"n": n})) for n in _between(xs, log)]
        self.data["agreement"] = _agreement(points, self.data["formulas"])

    def text(self) -> str:
        """Return the numbers in columns: x, then each series."""
        data = self.data
        head = [data["x"], *data["names"]]
        rows = list(_rows(data))
        widths = [max(len(row[i]) for row in ([""] * len(head), *rows)) for i in range(len(head))]
        widths = [max(width, min(len(name), 24)) for width, name in zip(widths, head, strict=True)]
        lines = [*wrap(data["title"], _WIDTH), *wrap(f"{data['y']}, by {data['x']}", _WIDTH)]
        lines.append("  " + "  ".join(_cut(name, width).rjust(width) for name, width in zip(head, widths, strict=True)))
        lines += ["  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines += wrap(data["agreement"], _WIDTH)
        return "\n".join(lines)

    def html(self) -> str:
        """Return the numbers as a table."""
        data = self.data
        head = "".join(f"<th scope=col>{escape(name)}" for name in (data["x"], *data["names"]))
        body = "".join(f"<tr><th scope=row>{at}" + "".join(f"<td>{y}" for y in ys) for at, *ys in _rows(data))
        caption = escape(f"{data['y']}, by {data['x']}")
        agreement = f"<p>{escape(data['agreement'])}</p>" if data["agreement"] else ""
        return f"<figcaption>{caption}</figcaption><table><thead><tr>{head}<tbody>{body}</table>{agreement}"

    def plot(self) -> Any:
        """Return the plotly figure: a light card in either theme, without plotly's own template of 6 kB."""
        from plotly.graph_objects import Figure

        data = self.data
        figure = Figure(layout={
            "template": {}, "title": {"text": escape(data["title"]), "x": 0, "xref": "paper", "font": {"size": 14}},
            "paper_bgcolor": _CARD, "plot_bgcolor": _CARD, "font": {"color": _INK, "size": 13}, "height": 360,
            "margin": {"l": 60, "r": 20, "t": 40, "b": 60}, "hovermode": "x",
            "xaxis": {"title": {"text": escape(data["x"])}, **_AXIS},
            "yaxis": {"title": {"text": escape(data["y"])}, **_AXIS, "rangemode": "tozero"},
        })  # fmt: skip
        if data["log"]:
            figure.update_layout(xaxis={"type": "log"}, yaxis={"type": "log"})
        for i, name in enumerate(data["names"]):
            colour, dash, symbol = _STYLES[i % len(_STYLES)]
            line = [(at, ys[i]) for at, ys in zip(data["xs"], data["ys"], strict=True) if ys[i] is not None]
            form = data["lines"].get(name)
            if form:
                figure.add_scatter(
                    name=escape(f"{name} = {data['formulas'][name]}"), mode="lines", x=[n for n, _ in form],
                    y=[value for _, value in form], line={"color": colour, "dash": dash},
                )  # fmt: skip
            figure.add_scatter(
                name=escape(name), mode="markers" if form else "lines+markers",
                x=[at for at, _ in line], y=[y for _, y in line],
                line={"color": colour, "dash": dash, "width": 2}, marker={"symbol": symbol, "size": 8},
                showlegend=True,
            )  # fmt: skip
        return figure

    def _ipython_display_(self) -> None:
        from IPython.core.display_functions import publish_display_data

        plot = self.plot().to_plotly_json() | {"config": {"displayModeBar": False, "responsive": True}}
        words = f"{self.data['title'] or 'A curve'}: the numbers stand below."
        publish: Any = publish_display_data  # IPython has no types
        publish({PLOTLY: plot, "text/plain": words})
        publish({"text/plain": self.text(), "text/html": self.figure()})


def _between(xs: list[float], log: bool) -> list[int]:
    """Return whole numbers for a smooth line: those measured, and more between them unless the axes are logarithmic."""
    own = {int(x) for x in xs if x >= 1}
    if log:  # powers of n are all but straight there
        return sorted(own)
    return sorted(own | {round(xs[0] + i * (xs[-1] - xs[0]) / 30) for i in range(1, 30)})


def _agreement(points: Mapping[str, list[tuple[float, float]]], formulas: Mapping[str, str]) -> str:
    """Say whether the points lie on their formulas, or which do not."""
    if not formulas:
        return ""
    apart = [f"{name} at {x:g}: {y:g}, by formula {closed_forms.value(formula, {'n': int(x)}):g}"
             for name, formula in formulas.items() for x, y in points[name]
             if y != closed_forms.value(formula, {"n": int(x)})]  # fmt: skip
    words = ", ".join(f"{name} = {formula}" for name, formula in formulas.items())
    return f"By formula: {words}. " + ("Not so: " + "; ".join(apart) + "." if apart else "Every point lies on it.")


def _points(name: object, given: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    try:
        points = [(x, y) for x, y in given]
        if all(isinstance(value, (int, float)) and isfinite(value) for point in points for value in point):
            return points
    except (TypeError, ValueError):
        pass
    raise CourseError(f"The series {str(name)!r} must be a list of (x, y) points of two finite numbers; it is not.")


def _rows(data: dict[str, Any]) -> Iterator[list[str]]:
    for at, ys in zip(data["xs"], data["ys"], strict=True):
        yield [_number(at), *("–" if y is None else _number(y) for y in ys)]


def _number(value: float) -> str:
    """Return a whole number whole, its thousands apart, and any other with one decimal or three digits."""
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
