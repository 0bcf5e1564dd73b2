"""A prediction as a form: a question, its options, and a button that commits the one that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as W  # noqa: N812

from coursekit.errors import CourseError, given
from coursekit.views.forms import Form
from coursekit.views.panel import Items, Panel
from coursekit.views.twin import View, escape, style

_forms: dict[str, PredictionForm] = {}  # the form that stands for each question; one that it replaces is closed


class PredictionForm(Form):
    """`question` above `options` by letter. `commit("c")` is what choosing and clicking does.

    `store` is called with the letter, and returns a sentence if it will not have it. `committed` is None or a letter.
    """

    children: Any  # ipywidgets' trait

    def __init__(
        self, key: str, question: str, options: Mapping[str, str], store: Callable[[str], str],
        committed: str | None = None, note: str = "",
    ) -> None:  # fmt: skip
        self.question, self.options, self.committed = question, dict(options), committed
        self._store, self._note = store, note
        lines = [(f"{letter}) {words}", letter) for letter, words in self.options.items()]
        wide = W.Layout(width="auto", max_width="100%")
        self.choice = W.RadioButtons(options=lines, value=committed, layout=wide)
        self.button = W.Button(description="Commit", tooltip=f"Commit the answer to {key}", disabled=committed is None)
        asked = W.HTML(f'<div class="ck tex2jax_ignore mathjax_ignore"><style>{style("base")}</style>'
                       f"<p><b>{escape(question)}</b></p></div>")  # fmt: skip
        super().__init__(choice=self.choice)
        self._row = self.children[0]
        self.children = (asked, self.choice, self.button, *self.children[1:])
        self.button.on_click(self._clicked)
        before, _forms[key] = _forms.get(key), self
        if before is not None:
            before.close_all()

    def answer(self) -> tuple[list[str], list[View]]:
        """Return what is committed, in a sentence."""
        if hasattr(self, "button"):
            self.button.disabled = self.choice.value is None or self.choice.value == self.committed
        return [self.state()], []

    def state(self) -> str:
        """Say what is committed."""
        if self._note:
            return self._note
        if self.committed is None:
            return "Not committed yet. Choose an option and click Commit."
        return f"committed: {self.committed}) {self.options[self.committed]}"

    def commit(self, letter: str) -> PredictionForm:
        """Commit an option by its letter; CourseError for one that is none."""
        chosen = letter.strip().rstrip(").").lower() if isinstance(letter, str) else letter
        if not isinstance(chosen, str) or chosen not in self.options:
            raise CourseError(f"The options are {', '.join(self.options)}; {given(letter)} was given.")
        self._note = self._store(chosen)
        if not self._note:
            self.committed = chosen
        self.choice.value = self.committed
        self.redraw()
        return self

    def close_all(self) -> None:
        """Close every model of this form, so that a saved notebook does not keep them."""
        for widget in (self._row, *self.children, self):
            for part in (widget, getattr(widget, "layout", None), getattr(widget, "style", None)):
                if part is not None:
                    part.close()

    def text(self) -> str:
        """Return question, options, and what is committed."""
        return self._panel().text()

    def figure(self) -> str:
        """Return question, options, and what is committed, as HTML."""
        return self._panel().figure()

    def _panel(self) -> Panel:
        listed = Items(tuple((f"{letter})", words) for letter, words in self.options.items()))
        return Panel(self.question, [listed, self.state()])

    def _clicked(self, button: object) -> None:
        if self.choice.value is not None:
            self.commit(self.choice.value)
