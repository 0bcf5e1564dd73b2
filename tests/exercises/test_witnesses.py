"""Every exercise knows its wrong answers: each gives its own belief, none passes, and what is right passes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from coursekit.exercises.answering import check, exercise, show_solution
from coursekit.exercises.catalogue import Exercise, Witness, exercises
from coursekit.exercises.judges import JUDGES
from coursekit.exercises.status import Status

VARIANTS = (1, 2, 3)
CASES = [(item, witness) for item in exercises().values() for witness in item.witnesses]


def name(item: Exercise, n: int) -> str:
    return f"{item.id}#{n}"


def filled(value: Any, facts: dict[str, Any]) -> Any:
    """Return an answer of the data with the numbers of a variant in it."""
    if isinstance(value, str):
        return value.format_map(facts)
    if isinstance(value, list):
        return [filled(inner, facts) for inner in value]
    return {filled(k, facts): filled(v, facts) for k, v in value.items()} if isinstance(value, dict) else value


def facts(item: Exercise, n: int) -> dict[str, Any]:
    return dict(JUDGES[item.judge].facts(n))


IDS = [f"{item.id}-{witness.belief or witness.status}-{n}" for n, (item, witness) in enumerate(CASES)]


@pytest.mark.parametrize(("item", "witness"), CASES, ids=IDS)
def test_a_wrong_answer_gives_its_own_belief(item: Exercise, witness: Witness) -> None:
    """Each witness has exactly the status and the belief that it declares, and is not correct."""
    result = check(item.id, filled(witness.answer, facts(item, 1)))

    assert (result.status.value, result.belief or "") == (witness.status, witness.belief), result
    assert result.status is not Status.CORRECT
    assert "{" not in result.text()


@pytest.mark.parametrize("n", [n for n in VARIANTS if n > 1])
def test_no_wrong_answer_passes_with_other_numbers(n: int) -> None:
    """A witness, with a variant's numbers in it, is right in no variant; a field may well be the forged one there."""
    tried = [check(name(item, n), filled(witness.answer, facts(item, n))) for item, witness in CASES
             if item.judge not in ("forged-field", "pod-mtu")]  # fmt: skip

    assert len(tried) > 50
    assert [result for result in tried if result.status is Status.CORRECT] == []


@pytest.mark.parametrize("n", VARIANTS)
def test_beliefs_about_numbers_part_in_every_variant(n: int) -> None:
    """Whoever believes something wrong about a size or a VNI gives a wrong number, and is told a belief."""
    for key, judge in (("vni", JUDGES["vni"]), *((kind, JUDGES["pod-mtu"]) for kind in JUDGES["pod-mtu"].names(n))):
        right = judge.reference(n)
        rivals = judge.rivals(n) if key == "vni" else judge.rivals(judge.facts(n)["underlay"], key)  # type: ignore[attr-defined]
        for code, value in rivals.items():
            asked = "4.2" if key == "vni" else "4.5"
            result = check(f"{asked}#{n}", value if key == "vni" else {**right, key: value})
            assert result.status is not Status.CORRECT, (key, code)
            assert result.belief is not None, (key, code)


@pytest.mark.parametrize("item", exercises().values(), ids=list(exercises()))
@pytest.mark.parametrize("n", VARIANTS)
def test_the_reference_passes_in_every_variant(item: Exercise, n: int) -> None:
    """The reference is right, also as other learners would write it, and other numbers make another question."""
    judge = JUDGES[item.judge]
    for answer in (judge.reference(n), *(filled(other, facts(item, n)) for other in item.also_right)):
        assert check(name(item, n), answer).status is Status.CORRECT, answer
    assert exercise(name(item, n)).text() != exercise(name(item, n + 1)).text()
    assert "correct" not in show_solution(name(item, n)).text().splitlines()[0]


@pytest.mark.parametrize("item", exercises().values(), ids=list(exercises()))
def test_the_starter_is_not_attempted(item: Exercise) -> None:
    """What the cell holds at first is no attempt, whole and in parts, and neither is nothing at all."""
    names = JUDGES[item.judge].names(1)
    results = [check(item.id), check(item.id, ...), check(item.id, **dict.fromkeys(names, ...))]

    assert {result.status for result in results} == {Status.NOT_ATTEMPTED}


@pytest.mark.parametrize("item", exercises().values(), ids=list(exercises()))
def test_an_exercise_has_three_witnesses_and_every_belief_has_one_use(item: Exercise) -> None:
    """At least three wrong answers are tried per exercise, and every text can be filled."""
    believed = {belief for w in item.witnesses for belief in w.belief.split("/") if belief}

    assert len(believed) >= 3
    assert believed <= set(item.beliefs)
    assert len(item.hints) >= 2


MUTABLE = [item for item in exercises().values() if item.judge not in ("checksum-verdict", "silent-faults")]


def mutated(answer: Any, rng: random.Random) -> Any:
    """Return an answer with one digit of one value changed, or moved by a little."""
    if isinstance(answer, dict):
        key = rng.choice(list(answer))
        return {**answer, key: mutated(answer[key], rng)}
    if isinstance(answer, int):
        return answer + rng.randrange(1, 40)
    places = [i for i, ch in enumerate(answer) if ch in "0123456789abcdef" and answer[i - 1 : i + 2].strip("0x")]
    at = rng.choice(places)
    return answer[:at] + rng.choice([d for d in "123456789" if d != answer[at]]) + answer[at + 1 :]


@pytest.mark.parametrize("item", [i for i in MUTABLE if i.judge != "forged-field"], ids=lambda i: i.id)
def test_a_changed_answer_does_not_pass(item: Exercise) -> None:
    """Of answers that differ from the reference in one place, at least 95 of 100 are not correct."""
    rng = random.Random(item.id)
    judge = JUDGES[item.judge]
    reference = judge.reference(1)
    tried = [check(item.id, mutated(reference, rng)) for _ in range(60)]
    passed = [result for result in tried if result.status is Status.CORRECT]
    print(f"{len(tried)} mutations, {len(passed)} passed")

    assert len(passed) <= 0.05 * len(tried)
