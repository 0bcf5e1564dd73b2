"""The verbs of an exercise: see it, check an answer, take a hint, see the solution, and do it again.

An id alone says which exercise and which numbers, so `check` needs nothing that was run before.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from coursekit.errors import CourseError
from coursekit.exercises import reading
from coursekit.exercises.catalogue import Asked, asked
from coursekit.exercises.judge import Judge
from coursekit.exercises.judges import JUDGES
from coursekit.exercises.status import Finding, Judgement, Missing, Status, Unreadable
from coursekit.exercises.store import Data, store
from coursekit.views.panel import Code, Items, Panel, Part

_HEADINGS = {
    Status.CORRECT: ("correct", "good"),
    Status.WORKS_BUT: ("works, but", "first"),
    Status.NOT_YET: ("not yet", "bad"),
    Status.UNREADABLE: ("could not read that; no attempt was spent", "open"),
    Status.NOT_ATTEMPTED: ("not attempted", "open"),
    Status.ERROR_IN_YOUR_CELL: ("error in your cell", "open"),
}


class Result(Panel):
    """What became of an answer; it draws itself.

    `belief` is the id of the belief that explains a wrong answer, two with "/" between them where both do, or None.
    `message` is what is said, `evidence` the views that are shown.
    """

    def __init__(self, id: str, status: Status, message: Iterable[str], *, belief: str | None = None,  # noqa: A002
                 decoded: str = "", evidence: Iterable[Part] = (), after: Iterable[Part] = ()) -> None:  # fmt: skip
        said = list(message)
        self.id, self.status, self.belief = id, status, belief
        self.message = " ".join(filter(None, (decoded, *said)))
        self.evidence = tuple(evidence)
        words, mark = _HEADINGS[status]
        told: list[Part] = [Items(tuple(("", line) for line in said))] if len(said) > 1 else list(said)
        parts: list[Part] = [*([decoded] if decoded else []), *self.evidence, *told, *after]
        super().__init__(f"{id}: {words}", parts, mark)


def exercise(id: str) -> Panel:  # noqa: A002
    """Return an exercise as a figure: what is asked, what is given, how to answer. CourseError for an unknown id."""
    it = asked(id)
    judge, facts = _facts(it)
    question: list[Part] = [_fill(line, facts) for line in it.exercise.question]
    answer = Code(_fill(it.exercise.starter, facts).replace("{id}", it.id))
    help_ = f"{_call('hint', it)} helps. {_call('show_solution', it)} shows the solution."
    return Panel(f"Exercise {it.id}. {it.exercise.title}", [*question, *judge.figures(it.variant), answer, help_])


def check(id: str, answer: Any = ..., /, **named: Any) -> Result:  # noqa: A002
    """Judge an answer. Where several values are asked for, give each by its name: `check("4.1", gateway=…, …)`.

    An answer that can be called is called without arguments. CourseError for an unknown id, nothing else.
    """
    it = asked(id)
    if callable(answer) and not isinstance(answer, type):
        try:
            answer = answer()
        except Exception as error:  # whatever the learner's own function raises
            return _finished(it, Result(it.id, Status.ERROR_IN_YOUR_CELL, [_their_own(error)]), answer)
    judge, facts = _facts(it)
    try:
        readable = _readable(judge, it.variant, answer, named)
        judged = judge.judge(it.variant, readable)
    except Missing as missing:
        still = f"Still to fill in: {missing}." if str(missing) else "Put your answer in the place of the three dots."
        return _finished(it, Result(it.id, Status.NOT_ATTEMPTED, [still]), answer)
    except Unreadable as how:
        return _finished(it, Result(it.id, Status.UNREADABLE, [str(how)]), answer)
    except Exception as error:
        raise CourseError(
            f"This is a fault of the course, not yours: checking {it.id} ended with {type(error).__name__}: {error}. "
            f"Please report it with your answer. {_call('show_solution', it)} shows a right one."
        ) from error
    return _finished(it, _result(it, judged, facts), readable)


def hint(id: str) -> Panel:  # noqa: A002
    """Return the next hint of an exercise; after the last one, the last one again. CourseError for an unknown id."""
    it = asked(id)
    _, facts = _facts(it)
    number = store().read()["exercises"].get(it.id, {}).get("hints", 0)
    rung = it.exercise.hints[min(number, len(it.exercise.hints) - 1)]

    def change(data: Data) -> None:
        _item(data, it)["hints"] = number + 1

    store().change(change)
    return Panel(f"Hint for {it.id}", [_fill(rung, facts), *store().take_notices()])


def show_solution(id: str) -> Panel:  # noqa: A002
    """Return the solution, at any time; the exercise then counts as seen, and its next variant is offered.

    CourseError for an unknown id.
    """
    it = asked(id)
    judge, facts = _facts(it)

    def change(data: Data) -> None:
        item = _item(data, it)
        item["shown"] = item.get("shown") or not item.get("solved")

    store().change(change)
    solved = judge.judge(it.variant, _readable(judge, it.variant, judge.reference(it.variant), {}))
    text = [_fill(line, {**facts, **_values(solved)}) for line in it.exercise.solution]
    offer = f"Now with other numbers: {_call('again', it)}."
    answer = Code(f"check({it.id!r}, {_typed(judge.reference(it.variant))})")
    shown = [*judge.explanation(it.variant), offer, *store().take_notices()]
    return Panel(f"Solution of {it.id}", [*text, answer, *shown])


def again(id: str) -> Panel:  # noqa: A002
    """Return the same exercise with other numbers: the next variant, whose id is in its heading.

    CourseError for an unknown id.
    """
    it = asked(id)
    return exercise(Asked(it.exercise, it.variant + 1).id)


def _facts(it: Asked) -> tuple[Judge, Mapping[str, Any]]:
    judge = JUDGES[it.exercise.judge]
    return judge, {"id": it.id, **judge.facts(it.variant)}


def _readable(judge: Judge, n: int, answer: Any, named: Mapping[str, Any]) -> Any:
    if names := judge.names(n):
        return reading.parts(names, answer, named)
    if named:
        if len(named) > 1 or not reading.is_starter(answer):
            raise Unreadable("One value is asked for. Write it after the id, as in check(id, answer).")
        answer = next(iter(named.values()))
    if reading.is_starter(answer):
        raise Missing
    return answer


def _result(it: Asked, judged: Judgement, facts: Mapping[str, Any]) -> Result:
    known = it.exercise.beliefs
    worst = [found for found in judged.findings if found.status == judged.status]
    named = [code for code in next((f.codes for f in worst if f.codes[0] in known), ()) if code in known]
    said = [_say(it, found, facts) for found in judged.findings]
    if judged.status is Status.NOT_YET:
        after = f"{_call('hint', it)} helps. {_call('show_solution', it)} shows the solution."
    else:
        after = f"Again, with other numbers: {_call('again', it)}."
    decoded = _fill(judged.decoded, facts)
    return Result(it.id, judged.status, filter(None, said), belief="/".join(named) or None, decoded=decoded,
                  evidence=judged.evidence, after=[after])  # fmt: skip


def _say(it: Asked, found: Finding, facts: Mapping[str, Any]) -> str:
    """Return the text of a finding; where two beliefs fit, both, and which of them it was is asked."""
    known = it.exercise.beliefs
    texts = [known[code].says if code in known else it.exercise.messages[code] for code in found.codes]
    values = {**facts, **found.values}
    if len(texts) == 1:
        return _fill(texts[0], values)
    one, other = (_fill(text, values) for text in texts)
    return f"Two ways lead to this value. Either: {one} Or: {other} Which one was it?"


def _finished(it: Asked, result: Result, answer: Any) -> Result:
    """Store what was done, and add what the store has to say."""
    kept = store()

    def change(data: Data) -> None:
        item = _item(data, it)
        item["status"] = result.status.value
        item["tries"] = item.get("tries", 0) + 1
        if result.status in (Status.CORRECT, Status.WORKS_BUT):
            item["solved"] = True

    if result.status.counts:
        kept.change(change)
    if result.status is Status.NOT_YET and result.belief is None:
        kept.keep_answer({"id": it.id, "answer": repr(answer)[:2000], "message": result.message[:500]})
    if notices := kept.take_notices():
        result.parts += tuple(notices)
        result.data["parts"] += notices
    return result


def _item(data: Data, it: Asked) -> Data:
    item: Data = data["exercises"].setdefault(it.id, {})
    return item


def _values(judged: Judgement) -> dict[str, Any]:
    return {key: value for found in judged.findings for key, value in found.values.items()}


def _fill(text: str, values: Mapping[str, Any]) -> str:
    return text.format_map(values)


def _call(verb: str, it: Asked) -> str:
    return f'{verb}("{it.id}")'


def _typed(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return ", ".join(f"{key}={value!r}" for key, value in answer.items())
    return repr(answer)


def _their_own(error: Exception) -> str:
    """Return what went wrong in the learner's function, with their own line, and nothing of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    own = frames[-1] if len(frames) < 2 else frames[1]
    line = f" in line {own.lineno}: {own.line}" if own.line else f" in line {own.lineno}"
    return f"Your answer was called, and it raised {type(error).__name__}: {error};{line}"
