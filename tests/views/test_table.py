"""TableView: every row, its verdict, and the bits that decide."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import views
from coursekit.bgp import birdc
from coursekit.cluster.lookup import lookup, lookup_fdb, lookup_neighbour
from coursekit.cluster.model import load
from coursekit.cluster.profiles import tables
from coursekit.cluster.tables import FdbEntry, HostAddress, Link, Neighbour, Route
from coursekit.errors import CourseError
from coursekit.lab.recording import recording, recordings
from tests.seeds import examples
from tests.views.markup import offences, read, sanitised

NODE1 = tables(load("chapter"))["node1"]


def routes(*prefixes: str) -> list[Route]:
    """Rows to these prefixes."""
    return [Route(ip_network(prefix), dev=f"eth{i}") for i, prefix in enumerate(prefixes)]


def asked(rows: list[Route], dst: str) -> views.TableView:
    """A table with the look-up of `dst` in it."""
    return views.table(rows, lookup=lookup(rows, dst))


def verdicts(view: views.TableView) -> list[str]:
    """The verdicts as drawn in HTML, without their signs."""
    rows = read(view.figure()).all("table", "ck-rows")[0].all("tbody")[0].all("tr")
    return [row.all("th")[0].text.lstrip("▶·× ") for row in rows]


def strip_of(view: views.TableView) -> list[str]:
    """The lines of digits as drawn in HTML, the asked address first."""
    rows = read(view.figure()).all("table", "ck-bits")[0].all("tr")
    return [row.all("code")[0].text for row in rows if row.all("code")]


def test_rows_as_iproute2_prints_them() -> None:
    """Every row of every kind stands in both twins as iproute2 prints it."""
    for rows in (NODE1.routes, NODE1.neighbours, NODE1.fdb, NODE1.addresses, NODE1.links):
        view = views.table(rows)
        drawn = [code.text for code in read(view.figure()).all("code")]
        assert drawn == [" ".join(str(row).split()) for row in rows]
        assert all(" ".join(str(row).split()) in " ".join(str(view).split()) for row in rows)


def test_longest_prefix_wins() -> None:
    """The winner, the other matches and where the rest differ are said in words."""
    view = asked(routes("0.0.0.0/0", "10.244.0.0/16", "10.244.1.0/24", "10.244.2.0/24", "fd00::/8"), "10.244.1.7")
    assert verdicts(view) == [
        "matches, /0", "matches, /16", "wins, /24", "no match, differs at bit 23", "no match, IPv6",
    ]  # fmt: skip
    assert "/24 is the longest of 3 matching prefixes" in str(view)
    assert all(words in str(view) for words in verdicts(view))


def test_bits() -> None:
    """The digits are the asked address's and each prefix's fixed bits; the first that differs is pointed at."""
    view = asked(routes("10.244.0.0/16", "10.244.2.0/24"), "10.244.1.7")
    assert strip_of(view) == [
        "00001010 11110100 00000001 00000111",
        "00001010 11110100 ........ ........",
        "00001010 11110100 00000010 ........",
    ]
    assert [mark.text for mark in read(view.figure()).all("mark")] == ["1"]
    words = [row.all("th")[0].text for row in read(view.figure()).all("table", "ck-bits")[0].all("tr")]
    assert words == ["asked", "wins", "differs at bit 23"]
    lines = str(view).splitlines()
    row = next(i for i, line in enumerate(lines) if "10.244.2.0/24" in line and "00001010" in line)
    assert lines[row].index("00001010") + 22 + 2 == lines[row + 1].index("^")  # bit 23, with two blanks before it


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_differing_bit(address: int, other: int, length: int) -> None:
    """The number of the first differing bit is right, whatever address and prefix."""
    prefix = ip_network((other, length), strict=False)
    dst = ip_address(address)
    view = asked([Route(prefix, dev="eth0")], str(dst))
    if dst in prefix:
        assert verdicts(view) == [f"wins, /{length}"]
    else:
        shift = 32 - (address ^ int(prefix.network_address)).bit_length()
        assert verdicts(view) == [f"no match, differs at bit {shift + 1}"]


def test_ipv6_is_compact() -> None:
    """IPv6 is drawn in hexadecimal digits, and one that a prefix cuts in bits."""
    view = asked(routes("::/0", "fd00:10:244:1::/64", "fd00:10:244:1::/122", "fd00:10:245::/48"), "fd00:10:244:1::7")
    assert verdicts(view) == ["matches, /0", "matches, /64", "wins, /122", "no match, differs at bit 48"]
    assert strip_of(view) == [
        "fd00 0010 0244 0001 0000 0000 0000 00[0000]7",
        ".... .... .... .... .... .... .... ..[....].",
        "fd00 0010 0244 0001 .... .... .... ..[....].",
        "fd00 0010 0244 0001 0000 0000 0000 00[00..].",
        "fd00 0010 0245 .... .... .... .... ..[....].",
    ]
    assert [mark.text for mark in read(view.figure()).all("mark")] == ["5"]


def test_neighbours_and_fdb() -> None:
    """Exact look-ups name the row that answers, and have no bits."""
    neighbours = views.table(NODE1.neighbours, lookup=lookup_neighbour(NODE1.neighbours, "10.244.1.0", "flannel.1"))
    assert verdicts(neighbours) == ["wins", "no match"]
    other = [Neighbour(ip_address("10.0.0.1"), dev, "02:00:00:00:00:01") for dev in ("eth0", "eth1")]
    view = views.table(other, lookup=lookup_neighbour(other, "10.0.0.1", "eth1"))
    assert verdicts(view) == ["no match, other device", "wins"]
    remote = next(row for row in NODE1.fdb if row.dst)
    fdb = views.table(NODE1.fdb, lookup=lookup_fdb(NODE1.fdb, remote.mac, remote.dev))
    assert verdicts(fdb)[NODE1.fdb.index(remote)] == "wins"
    assert [bool(read(v.figure()).all("table", "ck-bits")) for v in (neighbours, view, fdb)] == [False, False, False]


def test_rows_that_refuse_or_do_not_count() -> None:
    """A blackhole wins and refuses; a dead row would match, but cannot be used; no match at all is said."""
    rows = [
        Route(ip_network("10.0.0.0/8"), type="blackhole"),
        Route(ip_network("10.1.0.0/16"), dev="eth0", flags=("dead", "linkdown")),
    ]
    assert verdicts(asked(rows, "10.1.2.3")) == ["wins, /8, and refuses", "cannot be used, /16"]
    none = asked(routes("10.0.0.0/8"), "192.0.2.1")
    assert "no row matches 192.0.2.1" in str(none)
    assert read(none.figure()).all("p", "ck-bad")[0].text.startswith("→ no row matches")


def test_equal_rows_have_one_winner() -> None:
    """Of two equal rows the first one wins, the other matches."""
    rows = [*routes("10.0.0.0/8"), *routes("10.0.0.0/8")]
    assert verdicts(asked(rows, "10.1.1.1")) == ["wins, /8", "matches, /8"]


def test_winner_in_another_table() -> None:
    """Where the row that wins is not among those drawn, the table says so."""
    found = lookup((*NODE1.local_routes, *NODE1.routes), "10.244.0.1")
    view = views.table(NODE1.routes, lookup=found)
    assert "that row is not in this table: local 10.244.0.1" in " ".join(str(view).split())


def test_a_long_table_draws_few_bits() -> None:
    """A big table lists all rows, but draws the bits of the nearest only, and says how many it leaves out."""
    view = asked(routes(*(f"10.{i}.0.0/16" for i in range(60))), "10.59.0.1")
    assert (len(verdicts(view)), len(strip_of(view))) == (60, 13)
    assert "48 more" in read(view.figure()).all("table", "ck-bits")[0].text
    assert "10.59.0.0/16" in read(view.figure()).all("table", "ck-bits")[0].text


def test_marked_rows() -> None:
    """A marked row has a star, also in text."""
    rows = routes("10.0.0.0/8", "11.0.0.0/8")
    view = views.table(rows, marked=rows[1:])
    first = [row.all("td")[0].text for row in read(view.figure()).all("tbody")[0].all("tr")]
    assert first == ["10.0.0.0/8", "★ 11.0.0.0/8"]
    assert [line[0] for line in str(view).splitlines()] == [" ", "*"]


def test_nothing_to_draw() -> None:
    """An empty table says that it is empty."""
    assert (str(views.table([])), read(views.table([]).figure()).all("td")[0].text) == ("  (no rows)", "no rows")


@pytest.mark.parametrize("rows", [["10.0.0.0/8"], [NODE1.routes[0], NODE1.fdb[0]], [1]])
def test_what_is_no_table(rows: list[Any]) -> None:
    """Rows of several kinds, or of none, are refused with what to pass."""
    with pytest.raises(CourseError, match="rows of one kind"):
        views.table(rows)


def test_every_recorded_table(record_property: Any) -> None:
    """Every table of every recording can be drawn, within 100 columns, without forbidden markup, the same twice."""
    drawn = 0
    for made in (recording(name) for name in recordings()):
        for host in made.tables().values() if "state.json" in made.provenance["sha256"] else ():
            for rows in (host.routes, host.local_routes, host.neighbours, host.fdb, host.links, host.addresses):
                view = views.table(rows, title=host.host)
                if rows and isinstance(rows[0], Route) and rows[0].dst.version == 4:
                    view = views.table(rows, title=host.host, lookup=lookup(rows, "10.244.1.7"))
                assert offences(view.figure()) == []
                assert max(map(len, str(view).splitlines())) <= 100
                assert json.loads(json.dumps(view.data)) == view.data
                drawn += 1
    record_property("tables drawn", drawn)
    print(f"{drawn} recorded tables drawn")
    assert drawn > 300


def test_a_sanitizer_leaves_the_answer() -> None:
    """Without style sheet, ids and ARIA, rows, verdicts and digits are still there."""
    view = asked(routes("0.0.0.0/0", "10.244.1.0/24"), "10.244.1.7")
    text = sanitised(read(view.figure())).text
    assert all(part in text for part in ("wins, /24", "matches, /0", "00001010 11110100 00000001 ........"))


def test_markup_is_escaped() -> None:
    """A title or a device name cannot break out."""
    view = views.table([Route(ip_network("10.0.0.0/8"), dev="<b>$x$")], title="<script>$1")
    assert offences(view.figure()) == []


def test_kinds_are_all_covered() -> None:
    """There are columns for each kind of row that a host has."""
    rows: list[Any] = [
        NODE1.routes[0], NODE1.neighbours[0], NODE1.fdb[0], NODE1.links[0], NODE1.addresses[0],
    ]  # fmt: skip
    assert [type(row) for row in rows] == [Route, Neighbour, FdbEntry, Link, HostAddress]
    assert all(len(read(views.table([row]).figure()).all("th")) == 4 for row in rows)


def test_what_birdc_printed() -> None:
    """Sessions show their state and error; routes show next hops, from whom, and a star on the best path."""
    said = recording("bgp-mesh-left-on").output("birdc-router")
    sessions = views.table(birdc.protocols(said), title="router")
    row = read(sessions.figure()).all("tbody")[0].all("tr")[-1]
    assert [cell.text for cell in row.all("td")[:3]] == ["Node_192_168_1_12", "BGP", "up Established"]
    paths = views.table(birdc.routes(said))
    cells = [[cell.text for cell in row.all("td")[:3]] for row in read(paths.figure()).all("tbody")[0].all("tr")]
    assert cells[3:5] == [
        ["10.244.1.0/24 *", "192.168.1.10", "Node_192_168_1_10"],
        ["10.244.1.0/24", "192.168.1.11", "Node_192_168_1_11"],
    ]
    blind = views.table(birdc.routes(recording("bgp-without-direct").output("birdc-node1")))
    found = read(blind.figure()).all("tbody")[0].all("tr")[1].all("td")
    assert [cell.text for cell in found[:3]] == ["10.244.1.0/24 *", "unreachable", "192.168.1.1"]
    for view in (sessions, paths, blind):
        assert offences(view.figure()) == []
        assert max(map(len, str(view).splitlines())) <= 100


def test_size(record_property: Any) -> None:
    """A stored table with bits stays small."""
    size = len(asked(list(NODE1.routes), "10.244.1.7").figure())
    record_property("bytes", size)
    assert size < 7000
