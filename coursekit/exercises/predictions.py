"""Predictions: a question that is committed before its outcome is shown, and both side by side afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coursekit.errors import CourseError
from coursekit.exercises import oracles_vxlan
from coursekit.exercises.catalogue import Option, Prediction, prediction
from coursekit.exercises.store import store
from coursekit.views.panel import Folded, Items, Panel, Part, evidence

if TYPE_CHECKING:
    from coursekit.views.prediction_form import PredictionForm

_ORACLES = {**oracles_vxlan.ORACLES}


def predict(id: str) -> PredictionForm:  # noqa: A002
    """Return a question with its options as a form; a click commits, and so does `predict("4.a").commit("c")`.

    It may be changed until the outcome was seen. CourseError for an unknown id.
    """
    from coursekit.views.prediction_form import PredictionForm

    asked = prediction(id)
    chosen = store().read()["predictions"].get(asked.id, {}).get("chosen")
    options = {option.letter: option.text for option in asked.options}
    return PredictionForm(
        asked.id, f"Prediction {asked.id}. {asked.question}", options, lambda letter: _commit(asked, letter),
        chosen if chosen in options else None,
    )


def _commit(asked: Prediction, letter: str) -> str:
    """Store a choice; return why not, if the outcome of an earlier one was shown."""
    kept = store()
    before = kept.read()["predictions"].get(asked.id, {})
    if before.get("chosen") and before.get("seen"):
        if before["chosen"] == letter:
            return ""
        return f"committed: {before['chosen']}. The outcome was shown, so the prediction stays as it was."

    def change(data: dict[str, Any]) -> None:
        item = data["predictions"].setdefault(asked.id, {})
        item["chosen"], item["late"] = letter, bool(item.get("seen"))

    kept.change(change)
    return " ".join(kept.take_notices())


def truth(id: str) -> Option:  # noqa: A002
    """Return the option that is true, as recordings and the model have it."""
    asked = prediction(id)
    value = _ORACLES[asked.oracle]()
    fitting = [option for option in asked.options if option.value == value]
    if len(fitting) != 1:
        raise CourseError(f"This is a fault of the course, not yours: {asked.id} has no option {value!r}.")
    return fitting[0]


def outcome(id: str, *shown: Any) -> Panel:  # noqa: A002
    """Return prediction and truth side by side, why the chosen option is right or wrong, and then the evidence.

    `shown` are views, or anything that prints itself. Without a prediction it is headed "not predicted". CourseError
    for an unknown id.
    """
    asked, kept = prediction(id), store()
    right = truth(id)
    item = kept.read()["predictions"].get(asked.id, {})
    chosen = next((option for option in asked.options if option.letter == item.get("chosen")), None)
    if not item.get("seen"):
        kept.change(_mark_seen(asked.id))
    parts: list[Part] = [asked.question]
    if chosen is None:
        heading, mark = f"{asked.id}: not predicted", "open"
        parts += [Items((("it is", f"{right.letter}) {right.text}"),)), right.why]
    else:
        late = ", after the outcome had been shown" if item.get("late") else ""
        mark = "good" if chosen == right else "bad"
        heading = f"{asked.id}: predicted {chosen.letter}{late}, and it is {'so' if chosen == right else right.letter}"
        pair = ("you predicted", f"{chosen.letter}) {chosen.text}"), ("it is", f"{right.letter}) {right.text}")
        parts.append(Items(pair))
        parts.append(chosen.why)
        if chosen != right:
            parts.append(right.why)
    others = [option for option in asked.options if option not in (chosen, right)]
    parts.append(Folded("The other options", (Items(tuple((f"{o.letter}) {o.text}:", o.why) for o in others)),)))
    return Panel(heading, [*parts, *kept.take_notices(), *map(evidence, shown)], mark)


def _mark_seen(key: str) -> Any:
    def change(data: dict[str, Any]) -> None:
        data["predictions"].setdefault(key, {})["seen"] = True

    return change
