"""What is asked, as data: questions, options, hints, beliefs and wrong answers, from data/exercises/*.toml.

Ids are the notebook's: `4.a` is a prediction, `4.3` an exercise, `4.3#2` its second variant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from coursekit.errors import CourseError, few, given
from coursekit.keys import check_keys, load_toml
from coursekit.paths import data_dir

SKILLS = ("read tables", "read bytes", "size", "filter", "BGP", "choose", "diagnose")
_ID = re.compile(r"(\d+)\.([a-z]|\d+)(?:#([1-9]\d{0,5}))?")


@dataclass(frozen=True)
class Option:
    """One option of a prediction: the value that an oracle would have to return for it to be true, and why not."""

    letter: str
    text: str
    value: str
    why: str


@dataclass(frozen=True)
class Prediction:
    """A question with options. `oracle` names the function that works out which is true."""

    id: str
    question: str
    oracle: str
    skill: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Witness:
    """A wrong answer that CI tries: it gives exactly this status and belief ("" for none)."""

    answer: Any
    status: str
    belief: str


@dataclass(frozen=True)
class Belief:
    """What somebody who answers so believes, in a sentence, and what is said to them."""

    id: str
    text: str
    says: str


@dataclass(frozen=True)
class Exercise:
    """The words of an exercise. In texts, {name} stands for a fact of the variant or a value that a judge found."""

    id: str
    title: str
    skill: str
    judge: str
    question: tuple[str, ...]
    starter: str
    hints: tuple[str, ...]
    solution: tuple[str, ...]
    messages: Mapping[str, str]
    beliefs: Mapping[str, Belief]
    witnesses: tuple[Witness, ...]
    also_right: tuple[Any, ...]


class Asked(NamedTuple):
    """An exercise and the number of its variant."""

    exercise: Exercise
    variant: int

    @property
    def id(self) -> str:
        """The id: `4.3`, or `4.3#2`."""
        return self.exercise.id if self.variant == 1 else f"{self.exercise.id}#{self.variant}"


_KEYS = {  # of each level of a file; messages and beliefs have names of their own
    "prediction": ("skill", "oracle", "question", "options"),
    "option": ("text", "value", "why"),
    "exercise": ("title", "skill", "judge", "question", "starter", "hints", "solution", "also_right", "messages",
                 "beliefs", "witness"),
    "belief": ("belief", "says"),
    "witness": ("answer", "status", "belief"),
}  # fmt: skip


@cache
def _chapters() -> tuple[dict[str, Prediction], dict[str, Exercise]]:
    predictions, exercises = {}, {}
    for path in sorted((data_dir() / "exercises").glob("*.toml")):
        more = read_exercises(path.read_text(encoding="utf-8"), path.name)
        predictions.update(more[0])
        exercises.update(more[1])
    return dict(sorted(predictions.items())), dict(sorted(exercises.items()))


def read_exercises(text: str, where: str) -> tuple[dict[str, Prediction], dict[str, Exercise]]:
    """Return the predictions and exercises of a TOML text, by id; CourseError for an unknown key says `where`."""
    data = load_toml(text, where)
    check_keys(data, ("prediction", "exercise"), where)
    predictions = {key: _prediction(key, item, where) for key, item in data.get("prediction", {}).items()}
    return predictions, {key: _exercise(key, item, where) for key, item in data.get("exercise", {}).items()}


def _prediction(key: str, item: Mapping[str, Any], where: str) -> Prediction:
    check_keys(item, _KEYS["prediction"], f"{where}: {key}")
    for option in item["options"]:
        check_keys(option, _KEYS["option"], f"{where}: an option of {key}")
    options = tuple(
        Option(letter, option["text"], option["value"], option["why"])
        for letter, option in zip("abcdef", item["options"], strict=False)
    )
    return Prediction(key, item["question"], item["oracle"], item["skill"], options)


def _exercise(key: str, item: Mapping[str, Any], where: str) -> Exercise:
    check_keys(item, _KEYS["exercise"], f"{where}: {key}")
    for name, belief in item["beliefs"].items():
        check_keys(belief, _KEYS["belief"], f"{where}: the belief {name} of {key}")
    for witness in item["witness"]:
        check_keys(witness, _KEYS["witness"], f"{where}: a witness of {key}")
    beliefs = {name: Belief(name, belief["belief"], belief["says"]) for name, belief in item["beliefs"].items()}
    witnesses = tuple(Witness(w["answer"], w["status"], w.get("belief", "")) for w in item["witness"])
    return Exercise(
        key, item["title"], item["skill"], item["judge"], tuple(item["question"]), item["starter"],
        tuple(item["hints"]), tuple(item["solution"]), item["messages"], beliefs, witnesses,
        tuple(item.get("also_right", ())),
    )  # fmt: skip


def predictions() -> Mapping[str, Prediction]:
    """Return all predictions by id."""
    return _chapters()[0]


def exercises() -> Mapping[str, Exercise]:
    """Return all exercises by id."""
    return _chapters()[1]


def prediction(key: str) -> Prediction:
    """Return the prediction with that id, such as "4.a"; CourseError if there is none."""
    known = predictions()
    wanted = key.strip().lower() if isinstance(key, str) else ""
    if wanted not in known:
        raise CourseError(f"There is no prediction {given(key)}; there are {few(known, 20)}.")
    return known[wanted]


def asked(key: str) -> Asked:
    """Return the exercise and variant of an id such as "4.3" or "4.3#2"; CourseError if there is none."""
    known = exercises()
    match = _ID.fullmatch(key.strip().lower()) if isinstance(key, str) else None
    if match is None or f"{match[1]}.{match[2]}" not in known:
        hint = f" {key} is a prediction: commit it with predict({key!r})." if key in predictions() else ""
        raise CourseError(f"There is no exercise {given(key)}; there are {few(known, 20)}, each also with other "
                          f'numbers, as "4.3#2".{hint}')  # fmt: skip
    return Asked(known[f"{match[1]}.{match[2]}"], int(match[3] or 1))
