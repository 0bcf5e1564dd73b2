"""The learner's copy: without answers, never overwritten, restored on request."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.__main__ import main
from coursekit.errors import CourseError
from coursekit.exercises import editions
from coursekit.exercises.editions import ANSWER, Action, copy, learners_edition, reset


def cell(name: str, source: str, *tags: str, shows: str = "") -> dict[str, Any]:
    outputs = [{"output_type": "stream", "name": "stdout", "text": [shows]}] if shows else []
    return {"cell_type": "code", "id": name, "metadata": {"tags": list(tags)}, "source": [source],
            "outputs": outputs, "execution_count": 1}  # fmt: skip


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A course of two notebooks whose answers can be changed, as a new version of the course would."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(editions, "notebooks_dir", lambda: folder)
    monkeypatch.chdir(tmp_path)

    def release(demonstration: str = "98 bytes") -> None:
        shown = cell("shown", "show()", shows=demonstration)
        for name in ("04-vxlan.ipynb", "05-ipip.ipynb"):
            text = json.dumps(notebook(shown, cell("told", "outcome('4.a')", ANSWER, shows="63")))
            (folder / name).write_text(text, encoding="utf-8")

    release()
    return release


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def learner_writes(path: Path, source: str) -> str:
    changed = json.loads(path.read_text(encoding="utf-8"))
    changed["cells"][0]["source"] = [source]
    path.write_text(json.dumps(changed), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_the_learners_edition_shows_no_answer() -> None:
    """Outputs of cells tagged `answer` are gone, all others stay."""
    both = notebook(cell("a", "x", shows="kept"), cell("b", "y", ANSWER, shows="63"))

    left = learners_edition(both)["cells"]

    assert [bool(c["outputs"]) for c in left] == [True, False]
    assert left[1]["execution_count"] is None
    assert both["cells"][1]["outputs"], "the repository's edition was changed"


def test_the_bundled_notebooks_lose_every_answer_and_nothing_else(tmp_path: Path) -> None:
    """In the copy of the real course, exactly the outputs of `answer` cells are missing."""
    for copied in copy(tmp_path / "mine"):
        ours = cells(editions.notebooks_dir() / copied.path.name)
        for mine, original in zip(cells(copied.path), ours, strict=True):
            expected = [] if ANSWER in original["metadata"].get("tags", []) else original.get("outputs")
            assert expected == mine.get("outputs"), (copied.path.name, original["id"])


def test_copying_twice_changes_nothing(course: Callable[..., None]) -> None:
    """A second copy finds everything current."""
    assert [c.action for c in copy()] == [Action.CREATED] * 2
    before = {p: p.read_bytes() for p in Path("my-course").iterdir()}

    assert [c.action for c in copy()] == [Action.CURRENT] * 2
    assert before == {p: p.read_bytes() for p in Path("my-course").iterdir()}


def test_what_a_learner_changed_stays(course: Callable[..., None]) -> None:
    """A changed notebook is left alone, by the same course and by a newer one, and the newer one is announced."""
    copy()
    mine = learner_writes(Path("my-course/04-vxlan.ipynb"), "my own")

    assert Action.CHANGED is copy()[0].action
    course("148 bytes")

    assert [c.action for c in copy()] == [Action.OUTDATED, Action.UPDATED]
    assert mine == Path("my-course/04-vxlan.ipynb").read_text(encoding="utf-8")
    assert "148 bytes" in Path("my-course/05-ipip.ipynb").read_text(encoding="utf-8")


def test_outputs_that_a_learner_made_count_as_changes(course: Callable[..., None]) -> None:
    """A notebook that was only run is not replaced by a newer one either: its outputs are the learner's."""
    copy()
    path = Path("my-course/04-vxlan.ipynb")
    run = json.loads(path.read_text(encoding="utf-8"))
    run["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["63"]}]
    path.write_text(json.dumps(run), encoding="utf-8")
    course("148 bytes")

    assert Action.OUTDATED is copy()[0].action


def test_metadata_that_jupyterlab_rewrites_is_no_change(course: Callable[..., None]) -> None:
    """A notebook that was opened and saved is renewed: JupyterLab changes metadata and white space by itself."""
    copy()
    path = Path("my-course/04-vxlan.ipynb")
    opened = json.loads(path.read_text(encoding="utf-8"))
    opened["metadata"] = {"language_info": {"version": "3.13.1"}}
    for one in opened["cells"]:
        one["source"] = "".join(one["source"])
    path.write_text(json.dumps(opened, indent=4), encoding="utf-8")
    course("148 bytes")

    assert Action.UPDATED is copy()[0].action


@pytest.mark.parametrize("name", ["04", "04-vxlan", "04-vxlan.ipynb"])
def test_reset_restores_and_keeps_the_old(course: Callable[..., None], name: str) -> None:
    """`reset 04` brings the notebook back as it was copied; the learner's stays beside it, each time."""
    copy()
    path = Path("my-course/04-vxlan.ipynb")
    fresh = path.read_text(encoding="utf-8")
    olds = []
    for text in ("first", "second"):
        mine = learner_writes(path, text)
        restored, old = reset(name)
        assert fresh == restored.read_text(encoding="utf-8")
        assert old is not None
        assert mine == old.read_text(encoding="utf-8")
        olds.append(old)

    assert len(set(olds)) == 2
    assert (path, None) == reset(name), "an unchanged notebook needs no keeping"


def test_reset_inside_the_copy_needs_no_folder(course: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder itself, as in a terminal of JupyterLab, it is that folder."""
    copy("elsewhere")
    monkeypatch.chdir("elsewhere")
    Path("05-ipip.ipynb").unlink()

    reset("05")

    assert Path("05-ipip.ipynb").exists()
    assert not Path("my-course").exists()


@pytest.mark.parametrize(("number", "asks"), [("9", "04, 05"), ("", "04, 05"), ("0", "04, 05")])
def test_an_unknown_notebook_gets_a_sentence(course: Callable[..., None], number: str, asks: str) -> None:
    """A number that is none, or several, is refused, with those there are; nothing is lost."""
    copy()

    with pytest.raises(CourseError, match=asks):
        reset(number)


def test_a_damaged_record_and_a_damaged_notebook_lose_nothing(course: Callable[..., None]) -> None:
    """Without a readable record everything that differs counts as the learner's; no traceback."""
    copy()
    Path("my-course", editions.RECORD).write_text("{", encoding="utf-8")
    Path("my-course/04-vxlan.ipynb").write_text("half a noteb", encoding="utf-8")

    assert Action.OUTDATED is copy()[0].action
    assert Path("my-course/04-vxlan.ipynb").read_text(encoding="utf-8") == "half a noteb"


def test_folders_that_cannot_be_used_get_a_sentence(course: Callable[..., None], tmp_path: Path) -> None:
    """A file, and the course's own folder, are refused."""
    Path("taken").write_text("", encoding="utf-8")

    for folder in ("taken", "taken/below", tmp_path / "notebooks"):
        with pytest.raises(CourseError, match="give"):
            copy(folder)


def test_a_failed_write_leaves_what_was_there(course: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk while a notebook is replaced: a sentence, and the old file whole."""
    copy()
    before = Path("my-course/05-ipip.ipynb").read_text(encoding="utf-8")
    course("148 bytes")

    def full(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CourseError, match="No space left"):
        copy()

    assert before == Path("my-course/05-ipip.ipynb").read_text(encoding="utf-8")
    assert not list(Path("my-course").glob("*.part"))


def test_the_command_line(course: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """`copy` says what it did, `reset` where both are, and a mistake ends with status 2."""
    assert main(["copy", "mine"]) == 0
    assert "mine/04-vxlan.ipynb: new" in capsys.readouterr().out
    learner_writes(Path("mine/04-vxlan.ipynb"), "my own")
    course("148 bytes")
    assert main(["copy", "--quiet", "mine"]) == 0
    stays = capsys.readouterr().out.strip()
    assert stays.startswith("mine/04-vxlan.ipynb: changed by you, left as it is")
    assert stays.endswith("python -m coursekit reset 04")
    assert main(["reset", "04", "--folder", "mine"]) == 0
    assert "mine/04-vxlan.mine-" in capsys.readouterr().out
    assert main(["reset", "77", "--folder", "mine"]) == 2
