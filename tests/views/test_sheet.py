"""Tables of words: rows, columns, states; a choice and the two axes drawn with them; the form that asks."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit import CourseError, views
from coursekit.cluster.cards import card
from coursekit.cluster.choice import QUESTIONS, choose
from coursekit.cluster.modes import MODES, grid
from coursekit.views.sheet import WIDTH, Sheet

from .markup import offences, read, sanitised

ROWS = [["one", "a", 1], ["two", ["b", "c"], "d <e> $f"]]
HEAD = ("name", "letters", "rest")


def cells(sheet: Sheet) -> list[list[str]]:
    """Return the cells of the HTML, its row heads included."""
    rows = read(sheet.figure()).all("tbody")[0].all("tr")
    return [[e.text for e in row.children if not isinstance(e, str)] for row in rows]


def test_twins_say_the_same() -> None:
    """Every cell, heading and note stands in the text and in the HTML, also after a sanitizer."""
    sheet = views.sheet(ROWS, HEAD, title="A title", states=["good", "bad"], notes=["a note"])

    for word in ("A title", "name", "letters", "rest", "one", "two", "a", "b", "c", "d <e> $f", "a note"):
        assert word in sheet.text()
        assert word in sanitised(read(sheet.figure())).text
    assert cells(sheet) == [["✓ one", "a", "1"], ["✗ two", "bc", "d <e> $f"]]
    assert offences(sheet.figure()) == []


def test_states_are_words_and_not_only_colours() -> None:
    """A state shows as a sign in both twins; without states there are none."""
    sheet = views.sheet(ROWS, HEAD, states=["first", ""])

    assert [line[:1] for line in sheet.text().splitlines() if "one" in line or "two" in line] == ["!", " "]
    assert cells(sheet)[0][0] == "! one"
    assert not set("✓!✗") & set(views.sheet(ROWS, HEAD).text())


def test_wide_cells_are_wrapped() -> None:
    """Text stays within its width without losing a word, and splits none that fits."""
    long = " ".join(f"word-{i}" for i in range(60))
    text = views.sheet([["row", long, long], ["x", "y", "z"]], HEAD).text()

    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.split().count("word-59") == 2
    narrow = views.sheet([["calico-bgp route-reflector", long]], ("mode", "says")).text()
    assert "route-reflector" in narrow


def test_columns_of_sentences_give_way_to_words() -> None:
    """A column is not narrowed below its longest word while another has blanks to break at."""
    text = views.sheet([["w" * 60, "a b c " * 12]], ("word", "sentence")).text()

    assert "w" * 60 in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_word_too_long_is_cut_and_not_lost() -> None:
    """Words wider than the page are broken where nothing else helps."""
    text = views.sheet([["a" * 90, "b" * 90]], ("one", "two")).text()

    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("a") == 90
    assert text.count("b") == 90


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": [["a", "b"]]}, "A row has 2 cells under 3 headings: name, letters, rest"),
        ({"states": ["good"]}, "Each of the 2 rows has one state"),
        ({"states": ["good", "green"]}, "of 'good', 'first', 'bad', ''; given were"),
    ],
)
def test_what_does_not_fit(options: dict[str, object], said: str) -> None:
    """Rows of another length and unknown states get a sentence."""
    with pytest.raises(CourseError, match=said):
        views.sheet(**{"rows": ROWS, "head": HEAD, **options})  # type: ignore[arg-type]


def test_a_choice_is_drawn_whole() -> None:
    """Each mode has a row with its state and every reason; what remains comes first; documented places are named."""
    chosen = choose(one_subnet="no", routers="no", windows="yes")
    sheet = views.choice(chosen)
    rows = {row[0][2:]: row for row in cells(sheet)}

    assert set(rows) == set(MODES)
    for verdict in chosen.verdicts:
        sign = "✓" if not (verdict.out or verdict.first) else "!" if verdict.remains else "✗"
        assert rows[verdict.mode.name][0].startswith(sign)
        for reason in verdict.out or verdict.first:
            assert str(reason) in rows[verdict.mode.name][1]
            assert reason.evidence != "documented" or reason.source in sheet.text().replace("\n  ", " ")
        assert bool(rows[verdict.mode.name][2]) == verdict.remains
    assert [row[0][0] for row in cells(sheet)] == sorted((row[0][0] for row in cells(sheet)), key="✓!✗".index)
    text = sheet.text().replace("\n  ", " ")
    assert "2 of 11 modes remain, 1 of them without a condition; computed for Calico 3.32." in text


def test_nothing_remains() -> None:
    """Where every mode is ruled out, the sheet says so, and which answers do it."""
    text = views.choice(choose(one_subnet="no", routers="no", full_mtu="yes")).text().replace("\n  ", " ")

    assert "Nothing remains: one of the answers has to change." in text
    assert "one subnet 3, routers 2, full MTU 6" in text


def test_the_grid_has_every_mode_in_its_cell() -> None:
    """Rows are who writes the routes, columns how packets are carried; plain first, mixed ones last."""
    sheet = views.grid("two-racks")
    head, found = sheet.data["head"], {}
    for learned, *row in sheet.data["rows"]:
        for how, names in zip(head[1:], row, strict=True):
            found |= {(learned[0], how): [n for n in names if n]} if any(names) else {}

    assert found == grid("two-racks")
    assert head[:2] == ["routes come from", "plain"]
    assert [" far" in how for how in head[1:]] == sorted(" far" in how for how in head[1:])


def test_the_form_asks_and_answers() -> None:
    """The first control after the card asks for the subnet; a changed answer changes the verdicts."""
    form = views.explore_choice()

    assert list(form.controls)[:2] == ["card", "one_subnet"]
    assert set(form.ask) == set(QUESTIONS)
    assert len(form.choice.remaining) == len(MODES)
    form.ask["one_subnet"].value = "no"
    assert form.choice.remaining == choose(one_subnet="no").remaining
    assert "Do all nodes share one layer 2 subnet? no" in form.text()
    assert form.views[0].text() in form.text()
    form.ask["one_subnet"].value = "–"
    assert len(form.choice.remaining) == len(MODES)


def test_a_card_answers_and_may_be_changed() -> None:
    """A card sets the answers and tells its story; answers may then be changed; no card clears them."""
    form = views.explore_choice("Home lab")

    assert {k: c.value for k, c in form.ask.items() if c.value != "–"} == dict(card("Home lab").answers)
    assert card("Home lab").story in form.text()
    form.ask["one_subnet"].value = "no"
    assert "host-gw" not in form.choice.remaining
    assert form.card.value == "Home lab"
    form.card.value = "Dual stack"
    assert dict(form.choice.answers) == dict(card("Dual stack").answers)
    form.card.value = "none"
    assert form.choice.answers == {}
    assert "Nothing answered" in form.text()


def test_an_unknown_card() -> None:
    """A card that does not exist is told by name."""
    with pytest.raises(CourseError, match="no card 'Moon'"):
        views.explore_choice("Moon")


@pytest.mark.parametrize("rows", [3, [1], ["host-gw"], [["a"], None]])
def test_what_is_no_row(rows: Any) -> None:
    """What is no list of rows, each a list of cells, gets a sentence; so does what is no choice."""
    with pytest.raises(CourseError, match=r"A table is a list of rows, each a list of cells; .* was given as a row"):
        views.sheet(rows, ["mode"])
    with pytest.raises(CourseError, match=r"What remains is what choose\(one_subnet=.*was given"):
        views.choice(rows)
