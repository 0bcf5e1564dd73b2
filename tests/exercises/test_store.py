"""Progress survives two notebooks, a full disk, a damaged file and a newer version."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from coursekit import check, progress, show_solution
from coursekit.exercises import store as stores
from coursekit.exercises.store import Data, Store


def count(file: str, name: str, times: int) -> None:
    """Write `times` changes to one file, as one notebook of several does."""
    for n in range(times):
        Store(Path(file)).change(lambda data, n=n: data["exercises"].update({f"{name}.{n}": {"tries": n}}))  # type: ignore[misc]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(stores.VARIABLE, str(tmp_path / "deep" / "progress.json"))
    return tmp_path / "deep" / "progress.json"


def mark(name: str) -> stores.Change:
    def change(data: Data) -> None:
        data["exercises"][name] = {"tries": 1}

    return change


def test_what_was_done_is_in_the_file(file: Path) -> None:
    """An attempt is stored with its status; a starter and an unreadable answer are not."""
    check("4.2", 3125)
    check("4.5")
    check("4.5", "many")
    kept = json.loads(file.read_text())

    assert kept["exercises"] == {"4.2": {"solved": True, "status": "correct", "tries": 1}}
    assert [path.name for path in file.parent.iterdir() if path.suffix != ".lock"] == ["progress.json"]


def test_two_notebooks_lose_nothing(file: Path) -> None:
    """Three processes that write at once leave all that each of them did."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=count, args=(str(file), f"n{i}", 15)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert len(json.loads(file.read_text())["exercises"]) == 45


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 99, "predictions": {}, "exercises": {}}', b"\xff\xfe",
                                     b'{"version": 1, "predictions": [], "exercises": {}}'])  # fmt: skip
def test_a_file_that_cannot_be_read_is_kept_aside(file: Path, content: bytes) -> None:
    """Damaged or foreign, it stays as it was under another name, and a sentence says so once."""
    file.parent.mkdir()
    file.write_bytes(content)
    first, second = check("4.2", 3125), check("4.2", 3125)

    assert file.with_name("progress.json.aside-1").read_bytes() == content
    assert "progress.json.aside-1" in first.text()
    assert "aside" not in second.text()
    assert json.loads(file.read_text())["exercises"]["4.2"]["tries"] == 2


def test_a_full_disk_loses_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is said in a sentence, kept in memory, and written when there is room again."""
    kept = Store(file)
    kept.change(mark("before"))
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        kept.change(mark("during"))
        assert "No space left on device" in kept.take_notices()[0]
        assert set(kept.read()["exercises"]) == {"before", "during"}
        assert set(json.loads(file.read_text())["exercises"]) == {"before"}
    kept.change(mark("after"))

    assert set(json.loads(file.read_text())["exercises"]) == {"before", "during", "after"}
    assert not list(file.parent.glob(".progress*"))


def test_an_empty_variable_keeps_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under tests and where notebooks are refreshed no file is made."""
    monkeypatch.setenv(stores.VARIABLE, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    check("4.2", 1)

    assert stores.path() is None
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_answer_that_nobody_foresaw_is_kept(file: Path) -> None:
    """It goes into a file beside the progress; one whose belief is named does not."""
    check("4.2", 1254)
    check("4.2", 800000)
    lines = [json.loads(line) for line in file.with_name("unforeseen-answers.jsonl").read_text().splitlines()]

    assert [(line["id"], line["answer"]) for line in lines] == [("4.2", "1254")]


def test_progress_is_told_per_skill_and_never_as_a_percentage(file: Path) -> None:
    """Solved alone, solved after the solution was seen, and tried are three things."""
    check("4.2", 3125)
    show_solution("4.6")
    check("4.8", "please 02:00:00:00:00:01 dst 192.168.1.1")
    check("4.5", vxlan=1, ipip=1, vxlan6=1)
    shown = progress()
    rows = {row[0][0]: [" ".join(cell) for cell in row[1:]] for row in shown.data["rows"]}

    assert rows["read bytes"][0] == "4.2"
    assert rows["filter"][1] == "4.6"
    assert rows["size"][2] == "4.5"
    assert rows["diagnose"][3] == "4.7 4.8"
    assert "%" not in shown.text()
    assert str(file) in shown.text()


def test_a_variant_solved_without_looking_outweighs_a_solution_that_was_seen(file: Path) -> None:
    """Who looks, and then solves the next variant alone, has solved it."""
    from coursekit.exercises.judges import JUDGES

    show_solution("4.2")
    check("4.2", 3125)
    assert progress().data["rows"][1][2] == ["4.2"]
    check("4.2#2", JUDGES["vni"].reference(2))
    assert progress().data["rows"][1][1] == ["4.2"]
