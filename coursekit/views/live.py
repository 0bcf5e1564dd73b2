"""What a running kernel adds to views that are already drawn: keyboard, stepping, explanations.

An anywidget without a view: its module's `initialize` runs once per page as soon as the browser hears of the
model, and from then on every figure of the course on that page answers to it, also one that was stored. Because no
widget is displayed, no output holds `application/vnd.jupyter.widget-view+json`. Measured in JupyterLab 4.6: a
page that is reloaded gets the model back from the kernel, a notebook that is reopened gets it from its saved state,
and without either the figures are what they are in HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_MOST = 24  # figures whose data is kept for a page that is loaded anew; a form makes one at each change
_models: dict[str, Any] = {}


def in_kernel() -> bool:
    """Whether somebody with a browser may be listening: this process is a Jupyter kernel."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def enliven(key: str, data: Mapping[str, Any], answer: Answer | None = None) -> None:
    """Send the behaviour of the views, and `data` for the figure called `key`, to the browser; once per key.

    `answer` is called with what the figure asks, and its return value is sent back.
    """
    if key in _models or not in_kernel():
        return
    model = _models[key] = _model_class()(key=key, data=dict(data))
    if answer is not None:
        model.on_msg(lambda _, asked, __: model.send(answer(asked)))
    if len(_models) > _MOST:
        oldest = next(name for name in _models if name)
        _models.pop(oldest).close()


@cache
def script() -> str:
    """Return the JavaScript module: the parts in static/, one after another."""
    static = files(__package__).joinpath("static")
    names = ("packet", "frames", "bgp_map", "journey", "bgp_detail", "bgp", "live")
    parts = (static.joinpath(f"{name}.js") for name in names)
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


@cache
def _model_class() -> Any:
    import anywidget
    import traitlets

    class Live(anywidget.AnyWidget):
        """Carries the script and one figure's data to the browser."""

        _esm = script()
        key = traitlets.Unicode().tag(sync=True)
        data = traitlets.Dict().tag(sync=True)

    return Live
