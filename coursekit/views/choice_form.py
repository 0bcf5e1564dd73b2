"""The decision guide as a form: a card or answers of one's own, and which modes then remain."""

from __future__ import annotations

from typing import Any

import ipywidgets as W  # noqa: N812

from coursekit.cluster.cards import card, cards
from coursekit.cluster.choice import QUESTIONS, Choice, choose
from coursekit.views.choice import choice_sheet
from coursekit.views.forms import Form, dropdown
from coursekit.views.twin import View

UNASKED = "–"
NO_CARD = "none"


class ChoiceForm(Form):
    """One control per question, the first of them "Do all nodes share one layer 2 subnet?"; a card answers several.

    `choice` is what follows. From Python: `form.ask["one_subnet"].value = "no"`, `form.card.value = "Home lab"`.
    """

    children: Any  # ipywidgets' trait

    def __init__(self, first: str | None = None) -> None:
        self.choice: Choice | None = None
        self.card = dropdown("Card", [NO_CARD, *(c.name for c in cards())], NO_CARD)
        self.ask = {q.key: dropdown(q.text, [UNASKED, *q.answers], UNASKED) for q in QUESTIONS.values()}
        self._dealt = NO_CARD
        super().__init__(card=self.card, **self.ask)
        asked = self.children[0]
        asked.children = tuple(self.ask.values())
        self.children = (self.card, *self.children)  # a card's name is longer than any answer
        asked.layout = W.Layout(
            display="grid", grid_template_columns="repeat(auto-fit, minmax(38em, 1fr))", grid_gap="2px 12px"
        )
        for control in self.ask.values():  # "auto" fills the cell; with 100 % its margins would stick out
            control.layout.width, control.style.description_width = "auto", "26em"
        if first is not None:
            self.card.value = card(first).name

    def answer(self) -> tuple[list[str], list[View]]:
        """Return the card's story, and the verdict on every mode."""
        if self.card.value != self._dealt:
            self._deal()
        self.choice = choose({key: c.value for key, c in self.ask.items() if c.value != UNASKED})
        told = [] if self.card.value == NO_CARD else [card(self.card.value).story]
        return told, [choice_sheet(self.choice)]

    def _deal(self) -> None:
        """Answer as the card does, without drawing at each answer."""
        self._dealt = self.card.value
        given: dict[str, Any] = {} if self.card.value == NO_CARD else dict(card(self.card.value).answers)
        for key, control in self.ask.items():
            control.unobserve(self._changed, "value")
            control.value = given.get(key, UNASKED)
            control.observe(self._changed, "value")

    def _values(self) -> str:
        asked = [c for c in self.controls.values() if c.value not in (UNASKED, NO_CARD)]
        return " · ".join(f"{c.description} {c.value}" for c in asked) or "Nothing answered"


def explore_choice(card: str | None = None) -> ChoiceForm:
    """Let the learner answer questions about a network, or take a card, and see which modes remain and why."""
    return ChoiceForm(card)
