"""How far one is, skill by skill. There is no percentage: a skill is not a number."""

from __future__ import annotations

from coursekit.exercises.catalogue import SKILLS, exercises, predictions
from coursekit.exercises.store import Data, store
from coursekit.views.sheet import Sheet


def progress() -> Sheet:
    """Return what was done, per skill: solved without looking, solution seen, tried, and predicted.

    It raises no CourseError: a file that cannot be read is put aside, and said so.
    """
    kept = store()
    data = kept.read()
    rows, states = [], []
    for skill in SKILLS:
        mine = {key: _stage(data, key) for key, item in exercises().items() if item.skill == skill}
        asked = [key for key, item in predictions().items() if item.skill == skill]
        if not mine and not asked:
            continue
        predicted = [key for key in asked if data["predictions"].get(key, {}).get("chosen")]
        by_stage = {stage: [key for key, s in mine.items() if s == stage] for stage in ("solved", "seen", "tried", "")}
        rows.append([skill, *(" ".join(keys) or "–" for keys in (*by_stage.values(), predicted))])
        states.append("good" if mine and not by_stage["tried"] + by_stage["seen"] + by_stage[""] else "")
    head = ("skill", "solved without looking", "solution seen", "tried", "to come", "predicted")
    where = f"Kept in {kept.file}." if kept.file else "Kept in memory, until this notebook ends."
    return Sheet(rows, head, "Your progress", states=states, notes=[where, *kept.take_notices()])


def _stage(data: Data, key: str) -> str:
    """Return how far one exercise is, over all its variants."""
    items = [item for name, item in data["exercises"].items() if name.partition("#")[0] == key]
    if any(item.get("solved") and not item.get("shown") for item in items):
        return "solved"
    if any(item.get("shown") for item in items):
        return "seen"
    return "tried" if any(item.get("tries") for item in items) else ""
