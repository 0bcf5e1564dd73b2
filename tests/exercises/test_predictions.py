"""Predictions: the truth is worked out, a commitment holds once its outcome was seen, and all of it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursekit import outcome, predict, recording, views
from coursekit.errors import CourseError
from coursekit.exercises.catalogue import predictions
from coursekit.exercises.predictions import truth

IDS = list(predictions())


@pytest.fixture(autouse=True)
def progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let each test have progress of its own."""
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def test_recordings_and_model_say_what_is_true() -> None:
    """Each oracle gives the value of exactly one option; here is what a reader of the notebook would name."""
    found = {key: truth(key).text for key in IDS}

    assert found == {
        "4.a": "63 and 62", "4.b": "that of Node 2's flannel.1", "4.c": "none", "4.d": "the UDP source port",
        "4.e": "an error of its own kernel", "4.f": "the ping and the handshake, but not the download",
        "4.g": "silence",
    }  # fmt: skip


@pytest.mark.parametrize("id", IDS)
def test_without_a_prediction_the_outcome_says_so(id: str) -> None:  # noqa: A002
    """The heading is *not predicted*, the truth and every option's sentence stand there."""
    shown = outcome(id).text()

    assert shown.splitlines()[0] == f"… {id}: not predicted"
    for option in predictions()[id].options:
        assert " ".join(option.why.split()) in " ".join(shown.split())


@pytest.mark.parametrize("id", IDS)
def test_prediction_and_truth_stand_side_by_side(id: str) -> None:  # noqa: A002
    """A wrong prediction is told why it tempts, a right one why it is right; the first line says which it was."""
    item, right = predictions()[id], truth(id)
    wrong = next(option for option in item.options if option != right)
    predict(id).commit(wrong.letter)
    lines = outcome(id).text()

    assert lines.startswith(f"✗ {id}: predicted {wrong.letter}, and it is {right.letter}")
    assert " ".join(wrong.why.split()) in " ".join(lines.split())
    assert " ".join(right.why.split()) in " ".join(lines.split())


def test_a_prediction_may_change_until_its_outcome_was_seen() -> None:
    """It is the last one committed that counts, and none after the outcome."""
    form = predict("4.a")
    form.commit("a")
    form.commit(" C) ")
    assert "committed: c) 63 and 62" in form.text()
    assert outcome("4.a").text().startswith("✓ 4.a: predicted c, and it is so")

    form.commit("a")
    assert "stays as it was" in form.text()
    assert outcome("4.a").text().startswith("✓ 4.a: predicted c, and it is so")


def test_a_prediction_after_the_outcome_is_none() -> None:
    """Who commits after Run All is told so, and may not change it again."""
    outcome("4.a")
    predict("4.a").commit("c")

    assert "after the outcome had been shown" in outcome("4.a").heading


def test_a_click_commits_what_is_chosen() -> None:
    """The button is dead until an option is chosen; a click commits it, and another kernel finds it."""
    form = predict("4.b")
    assert form.button.disabled
    form.choice.value = "c"
    assert not form.button.disabled
    form.button.click()

    assert form.committed == "c"
    assert form.button.disabled
    assert predict("4.b").committed == "c"


def test_what_is_stored_of_a_form_reads_by_itself() -> None:
    """Text and HTML twin hold question, options and what is committed."""
    bundle = predict("4.g")._repr_mimebundle_()
    for twin in bundle["text/plain"], bundle["text/html"]:
        assert "Prediction 4.g." in twin
        assert all(option.text in twin for option in predictions()["4.g"].options)
        assert "Not committed yet." in twin


def test_a_form_that_is_replaced_is_closed() -> None:
    """Fifty forms for one question leave the models of one."""
    from ipywidgets.widgets.widget import _instances

    predict("4.c")
    before = len(_instances)
    for _ in range(50):
        predict("4.c")

    assert len(_instances) == before > 0


def test_evidence_is_drawn_with_its_own_view() -> None:
    """Views keep their figures, and anything else its text."""
    frame = recording("flannel-vxlan").capture("node1:eth0").filter("udp port 8472").frames[0]
    shown = outcome("4.a", views.packet(frame), "a line <of> text")

    assert "ck-packet" in shown.figure()
    assert "a line &lt;of&gt; text" in shown.figure()
    assert "a line <of> text" in shown.text()


@pytest.mark.parametrize("id", ["4.z", "4.1", "", 4])
def test_an_unknown_prediction_is_a_sentence(id: object) -> None:  # noqa: A002
    """An id that is none names those that are, and an option that is none the options."""
    with pytest.raises(CourseError, match=r"There is no prediction .*4\.a"):
        predict(id)  # type: ignore[arg-type]
    with pytest.raises(CourseError, match="The options are a, b, c, d"):
        predict("4.a").commit("e")
