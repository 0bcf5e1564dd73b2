"""Situations to choose for: a story and what is known of the network. Which modes are right follows from `choose`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from coursekit.cluster.choice import QUESTIONS, Choice, choose
from coursekit.cluster.modes import mode
from coursekit.errors import CourseError, suggestion
from coursekit.keys import check_keys, load_toml
from coursekit.paths import data_dir

_LINE = 96  # columns


@dataclass(frozen=True)
class Card:
    """A situation: `answers` go to `choose`."""

    name: str
    story: str
    answers: Mapping[str, str]

    @property
    def choice(self) -> Choice:
        """The verdicts that follow from what the card says."""
        return choose(self.answers)

    def judge(self, picked: Iterable[str] | str) -> list[str]:
        """Say of each mode picked whether it holds here, with the reason; then which ones were not thought of."""
        names = [picked] if isinstance(picked, str) else list(dict.fromkeys(picked))
        choice, said = self.choice, []
        for name in names:
            verdict = choice[mode(name).name]
            if verdict.remains:
                needs = ", ".join(verdict.openings)
                said.append(f"✓ {name}: nothing rules it out; let {needs} pass; {verdict.lost_mtu} bytes less MTU")
                said += [f"  ! first {reason}" for reason in verdict.first]
            else:
                said += [f"✗ {name}: {reason}" for reason in verdict.out]
        free = [name for name in choice.unconditional if name not in names]
        bound = [name for name in choice.remaining if name not in (*names, *free)]
        said += _listed("also right here", free) + _listed("also right, on a condition", bound)
        return said

    def __str__(self) -> str:
        return f"{self.name}. {self.story}"


def _listed(what: str, names: list[str]) -> list[str]:
    """Return "what: name, name" in lines short enough for a notebook; names stay whole."""
    lines = [f"{what}:"] if names else []
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append("   ")
        lines[-1] += f" {name}" + ("" if name == names[-1] else ",")
    return lines


@cache
def cards() -> tuple[Card, ...]:
    """Return all cards of data/choice/cards.toml; the chapter's come first."""
    return read_cards((data_dir() / "choice" / "cards.toml").read_text(encoding="utf-8"))


def read_cards(text: str, source: str = "cards.toml") -> tuple[Card, ...]:
    """Return the cards of a TOML text; CourseError for a key or a question that there is not."""
    data = load_toml(text, source)
    check_keys(data, ("cards",), source)
    for number, card in enumerate(data["cards"]):
        check_keys(card, ("name", "story", "answers"), f"{source}: cards[{number}]")
        check_keys(card["answers"], QUESTIONS, f"{source}: cards[{number}].answers")
    return tuple(Card(card["name"], card["story"], {key: card["answers"][key] for key in QUESTIONS
                                                    if key in card["answers"]}) for card in data["cards"])  # fmt: skip


def card(name: str) -> Card:
    """Return the card of that name, or whose name begins so; CourseError, listing all, if there is none."""
    found = [c for c in cards() if c.name.lower().startswith(str(name).lower())]
    if len(found) != 1:
        names = [c.name for c in cards()]
        raise CourseError(f"There is no card {name!r}{suggestion(str(name), names)}; there are {'; '.join(names)}.")
    return found[0]
