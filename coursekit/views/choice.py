"""What a choice means, drawn: every mode, whether it remains, and the constraint that ruled it out."""

from __future__ import annotations

from typing import Any

from coursekit.cluster.choice import QUESTIONS, SEPARATOR, Choice, Verdict
from coursekit.cluster.modes import COMPUTED, grid
from coursekit.errors import expect
from coursekit.views.sheet import Sheet


def choice_sheet(choice: Choice, title: str = "") -> Sheet:
    """Return the verdicts: what remains comes first, then what is conditional, then what is out and why."""
    expect(choice, Choice, 'What remains is what choose(one_subnet="no") returns, or card("Home lab").choice')
    ranked = sorted(choice.verdicts, key=lambda v: (not v.remains, bool(v.first)))
    rows = [[v.mode.name, _said(v), *_price(v)] for v in ranked]
    states = ["bad" if not v.remains else "first" if v.first else "good" for v in ranked]
    count = len(choice.remaining)
    free = len(choice.unconditional)
    notes = [f"{count} of {len(choice.verdicts)} modes remain, {free} of them without a condition; {COMPUTED}."]
    if not count:
        notes.append("Nothing remains: one of the answers has to change. " + _single(choice))
    reasons = [r for v in choice.verdicts for r in (*v.out, *v.first, *v.works) if r.evidence == "documented"]
    sources = dict.fromkeys(source for reason in reasons for source in reason.source.split(SEPARATOR))
    notes += [f"documented in {source}" for source in sources]
    head = ("mode", "✗ ruled out by, ! to settle first", "firewalls let pass", "less MTU")
    return Sheet(rows, head, title or _asked(choice), states=states, notes=notes)


def grid_sheet(cluster: Any, title: str = "") -> Sheet:
    """Return the two axes: how routes are learned, in rows, by how packets are carried, in columns."""
    cells = grid(cluster)
    columns = sorted({how for _, how in cells}, key=lambda how: (" far" in how, how != "plain", how))
    learned = list(dict.fromkeys(who for who, _ in cells))
    rows = [[who, *(cells.get((who, how), [""]) for how in columns)] for who in learned]
    return Sheet(rows, ("routes come from", *columns), title or f"{COMPUTED}: how modes learn routes and carry packets")


def _said(verdict: Verdict) -> list[str]:
    return [str(reason) for reason in verdict.out or verdict.first] or ["nothing"]


def _price(verdict: Verdict) -> tuple[list[str], str]:
    return (list(verdict.openings), f"{verdict.lost_mtu} bytes") if verdict.remains else ([], "")


def _asked(choice: Choice) -> str:
    said = " · ".join(f"{QUESTIONS[key].short}: {answer}" for key, answer in choice.answers.items())
    return said or "No question answered yet"


def _single(choice: Choice) -> str:
    """Say which answers rule out the most, to see which one would have to change."""
    counts = {key: len(choice.ruled_out_by(key)) for key in choice.answers}
    return "They rule out: " + ", ".join(f"{QUESTIONS[key].short} {n}" for key, n in counts.items() if n) + "."
