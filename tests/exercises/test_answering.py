"""The six outcomes, and that a reply decodes, shows, explains and goes on."""

from __future__ import annotations

import time

import pytest

from coursekit import again, check, exercise, hint, show_solution
from coursekit.errors import CourseError
from coursekit.exercises.catalogue import exercises
from coursekit.exercises.judges import JUDGES
from coursekit.exercises.status import Status


@pytest.mark.parametrize(
    ("id", "answer", "status"),
    [
        ("4.2", 3125, Status.CORRECT), ("4.2", "0xc35", Status.CORRECT), ("4.2", 3125.0, Status.CORRECT),
        ("4.2", "3 125", Status.CORRECT), ("4.2", [3125], Status.CORRECT), (" 4.2#1 ", " 3125\n", Status.CORRECT),
        ("4.8#1", "00:00:00:00:00:00 dev flannel.1 dst 192.168.1.175", Status.WORKS_BUT),
        ("4.2", 800000, Status.NOT_YET), ("4.2", -1, Status.NOT_YET), ("4.2", 10**30, Status.NOT_YET),
        ("4.2", "3125 bytes", Status.UNREADABLE), ("4.2", True, Status.UNREADABLE), ("4.2", {}, Status.UNREADABLE),
        ("4.2", object, Status.UNREADABLE), ("4.8", 17, Status.UNREADABLE), ("4.6", b"udp", Status.UNREADABLE),
        ("4.1", 5, Status.UNREADABLE), ("4.1", {"gateway": 1, "nonsense": 2}, Status.UNREADABLE),
        ("4.2", ..., Status.NOT_ATTEMPTED), ("4.2", None, Status.NOT_ATTEMPTED), ("4.2", " ", Status.NOT_ATTEMPTED),
        ("4.2", lambda: 3125, Status.CORRECT), ("4.2", lambda: 1 // 0, Status.ERROR_IN_YOUR_CELL),
        ("4.2", lambda x: x, Status.ERROR_IN_YOUR_CELL),
    ],
)  # fmt: skip
def test_an_answer_has_one_of_six_outcomes(id: str, answer: object, status: Status) -> None:  # noqa: A002
    """Whatever is given, the outcome is one of six, and its name stands in the first line."""
    result = check(id, answer)

    assert result.status is status, result
    assert status.value.split("-")[0] in result.text().splitlines()[0].replace("could not read", "unreadable")


def test_an_error_in_the_cell_names_the_learners_own_line() -> None:
    """Of an answer that raises, the error and its own line are told, and no line of the course's."""

    def mine() -> int:
        return int("eleven")

    said = check("4.2", mine).message

    assert "ValueError" in said
    assert 'return int("eleven")' in said
    assert "coursekit" not in said


def test_a_fault_of_the_course_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the judge itself breaks, nobody is told that the answer was wrong."""
    monkeypatch.setattr(type(JUDGES["vni"]), "judge", lambda *_: 1 // 0)
    with pytest.raises(CourseError, match="fault of the course, not yours"):
        check("4.2", 5)


@pytest.mark.parametrize("id", ["4.9", "4.a", "x", 4.2, "4.2#0", "4.2#", ""])
def test_an_unknown_id_is_a_sentence(id: object) -> None:  # noqa: A002
    """An id that is none names those that are."""
    with pytest.raises(CourseError, match=r"There is no exercise .*4\.1"):
        check(id, 5)  # type: ignore[arg-type]


def test_the_id_alone_says_which_numbers() -> None:
    """`4.2#2` has other numbers than `4.2`, `again` leads there, and each is judged by its own."""
    other = JUDGES["vni"].reference(2)

    assert again("4.2").text() == exercise("4.2#2").text()
    assert again("4.2#2").heading.startswith("Exercise 4.2#3.")
    assert check("4.2#2", other).status is Status.CORRECT
    assert check("4.2", other).status is Status.NOT_YET


def test_a_number_that_fits_two_beliefs_names_both_and_asks() -> None:
    """1418 lacks 8 bytes: of UDP's header or of VXLAN's, nobody can know."""
    result = check("4.5", vxlan=1418, ipip=1440, vxlan6=1390)

    assert result.belief == "no-vxlan-header/no-udp-header"
    assert "Which one was it?" in result.message


def test_half_a_repair_does_not_pass() -> None:
    """One of two rows mends one direction of one pair only; the place where the other dies is drawn."""
    first, second = JUDGES["fdb-row"].reference(2).splitlines()

    for half in first, second:
        result = check("4.8#2", half)
        assert (result.status, result.belief) == (Status.NOT_YET, "half-repair")
        assert "dropped after" in result.text()
    assert check("4.8#2", f"{second}\n{first}").status is Status.CORRECT


def test_the_direction_that_dies_is_drawn() -> None:
    """Where the request arrives and the reply is lost, the reply's journey is shown, to the place where it dies."""
    request = check("4.8", "12:ef:63:87:b8:7f dev flannel.1 dst 192.168.1.11")
    reply = check("4.8#3", "02:00:0a:f4:01:00 dev flannel.1 dst 192.168.1.12")

    assert request.belief == reply.belief == "other-node"
    assert "computed with your answer: the ping from podA to podD" in request.text()
    assert "computed with your answer: the reply of podD to podB" in reply.text()
    assert "node3: the frame is for 02:00:0a:f4:01:00" in reply.message


@pytest.mark.parametrize(
    "row",
    [
        "{mac} dev flannel.1 dst {address} self permanent", "{mac} dst {address}", "{mac} dev flannel.1 dst {address}",
        "bridge fdb append {mac} dev flannel.1 dst {address}",
        "$ sudo bridge fdb add {mac} dev flannel.1 dst {address}",
        "bridge fdb replace {mac} dev flannel.1 dst {address} self permanent",
        "\n  {mac} dev flannel.1 dst {address} \n",
    ],
)  # fmt: skip
def test_a_row_may_be_written_as_one_does(row: str) -> None:
    """A printed row and the command that adds it are the same answer."""
    assert check("4.8", row.format_map(JUDGES["fdb-row"].facts(1))).status is Status.CORRECT


def test_hints_come_in_rungs_and_the_solution_at_any_time() -> None:
    """Each hint leads to the next and the last one stays; the solution holds an answer that passes."""
    told = [hint("4.6#9").text() for _ in range(5)]

    assert len(set(told)) == len(exercises()["4.6"].hints)
    assert told[-1] == told[-2]
    assert f"check('4.6#9', {JUDGES['bpf-filter'].reference(9)!r})" in show_solution("4.6#9").text()


@pytest.mark.parametrize("id", list(exercises()))
def test_a_reply_draws_itself(id: str) -> None:  # noqa: A002
    """Question and reply have a text twin and an HTML twin, neither of them wide or heavy."""
    judge = JUDGES[exercises()[id].judge]
    for panel in (exercise(id), check(id, judge.reference(1)), check(id), show_solution(id)):
        bundle = panel._repr_mimebundle_()
        assert bundle["text/plain"] == str(panel)
        assert panel.heading in bundle["text/html"]
        assert len(bundle["text/html"]) < 60_000, len(bundle["text/html"])


@pytest.mark.parametrize("id", list(exercises()))
def test_a_check_is_quick(id: str) -> None:  # noqa: A002
    """A check takes a tenth of a second of processor time at most, one that pings or filters a second."""
    judge = JUDGES[exercises()[id].judge]
    check(id, judge.reference(1))
    start = time.process_time()
    check(id, judge.reference(1))
    took = time.process_time() - start
    print(f"{id}: {1000 * took:.0f} ms")

    assert took < (1 if id in ("4.6", "4.8") else 0.1)


@pytest.mark.parametrize("words", ["dev flannel.1 {} dst 192.168.1.175", "dst 192.168.1.175 dev flannel.1 to {}"])
def test_bridge_fdb_takes_its_words_in_any_order(words: str) -> None:
    """As iproute2 does: the MAC may stand behind dev and dst, and behind `to`."""
    assert check("4.8", f"bridge fdb add {words.format('12:ef:63:87:b8:7f')}").status is Status.CORRECT


def test_the_command_wants_a_device_and_a_printed_row_does_not() -> None:
    """`bridge fdb add` without dev is refused by iproute2; `bridge fdb show dev flannel.1` prints rows without it."""
    row = "12:ef:63:87:b8:7f dst 192.168.1.175"
    assert check("4.8", f"bridge fdb add {row}").status is Status.UNREADABLE
    assert check("4.8", f"{row} self permanent").status is Status.CORRECT
