"""Panels: one data structure, two twins, and other views inside."""

from __future__ import annotations

from coursekit import load_cluster, tables, views
from coursekit.views.panel import Code, Folded, Items, Panel, evidence

ROWS = views.table(tables(load_cluster("chapter"))["node1"].routes, "node1: ip route")
PANEL = Panel(
    "4.8: works, but <this>", ["A sentence & more.", Items((("a)", "one"), ("", "two"))), Code("ip route"), ROWS,
                               Folded("The other options", (Items((("b)", "three"),)), ROWS))], "first",
)  # fmt: skip


def test_both_twins_hold_every_part() -> None:
    """Heading, sentences, lists, code, views and folded parts are in text and HTML, and the mark is a sign."""
    text, html = PANEL.text(), PANEL.figure()

    assert text.splitlines()[0] == "! 4.8: works, but <this>"
    for words in ("a) one", "· two", "    ip route", "10.244.1.0/24 via", "The other options:", "b) three"):
        assert words in text
    for words in ("! 4.8: works, but &lt;this&gt;", "A sentence &amp; more.", "<code>ip route</code>", "ck-table",
                  "<details><summary data-lm-suppress-shortcuts=true>The other options"):  # fmt: skip
        assert words in html


def test_evidence_is_a_view_or_what_it_prints() -> None:
    """A view stays one, anything else becomes text."""
    assert evidence(ROWS) is ROWS
    assert evidence(12) == Code("12")


def test_the_same_parts_have_the_same_key() -> None:
    """A panel's key depends on its data alone."""
    assert Panel("x", ["a"]).key == Panel("x", ["a"]).key != Panel("x", ["b"]).key
