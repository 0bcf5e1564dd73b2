"""A table as iproute2 or birdc prints it; with a look-up, which row wins and how far each row matches, bit by bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Any

from coursekit.bgp import birdc
from coursekit.cluster.lookup import Lookup, prefix_bits
from coursekit.cluster.tables import FdbEntry, HostAddress, Link, Neighbour, Route
from coursekit.errors import CourseError, expect
from coursekit.views.bits import bits_data, bits_html, bits_text
from coursekit.views.twin import View, columns, escape, left, tag

WIDTH = 100  # columns of a text twin
_SIGNS = {"wins": "▶", "matches": "·", "unusable": "×", "no": " ", "": " "}
_HEADS = {
    Route: ("destination", "next hop", "device", "as ip route prints it"),
    Neighbour: ("address", "device", "MAC", "as ip neigh prints it"),
    FdbEntry: ("MAC", "device", "leaves for", "as bridge fdb prints it"),
    Link: ("device", "kind", "MTU", "as ip link prints it"),
    HostAddress: ("device", "address", "scope", "as ip addr prints it"),
    birdc.Route: ("destination", "next hop", "heard from", "birdc show route, in one line"),
    birdc.Protocol: ("protocol", "kind", "state", "birdc show protocols"),
}


class TableView(View):
    """Rows of `cluster.tables` or `bgp.birdc` (all of one kind), each as its columns and as the program prints it.

    With `lookup`, the result of one of `cluster.lookup`'s functions over these rows, every row says whether it wins,
    matches or where it first differs. `marked` rows are pointed out.
    """

    kind = "table"

    def __init__(
        self, rows: Iterable[Any], title: str = "", *, lookup: Lookup[Any] | None = None, marked: Iterable[Any] = ()
    ) -> None:
        expect(rows, Iterable, "A table is drawn from rows, such as tables(cluster)['node1'].routes")
        expect(lookup, Lookup | None, "The lookup is what lookup(rows, '10.244.1.7') returns")
        listed = list(rows)
        kind = _kind(listed, lookup)
        pointed = list(marked)
        verdicts = _verdicts(listed, lookup) if lookup else [("", "")] * len(listed)
        self.data: dict[str, Any] = {
            "title": title,
            "head": list(_HEADS[kind]),
            "rows": [
                {
                    "cells": list(_cells(row)), "line": str(row), "state": state, "verdict": words,
                    "marked": row in pointed,
                }
                for row, (state, words) in zip(listed, verdicts, strict=True)
            ],
            "asked": str(lookup.asked) if lookup else "",
            "why": _why(listed, lookup) if lookup else "",
            "error": lookup.error if lookup else "",
            "bits": None,
        }
        if lookup and lookup.bits and kind is Route:
            prefixes = [
                (str(row.dst), prefix_bits(row.dst), state, lookup.matched_bits(row))
                for row, (state, _) in zip(listed, verdicts, strict=True)
                if row.dst.max_prefixlen == len(lookup.bits)
            ]
            self.data["bits"] = bits_data(str(lookup.asked), lookup.bits, prefixes)

    def text(self) -> str:
        """Return the printed rows with their verdicts, then the bits."""
        data = self.data
        lines = [_caption(data)] if _caption(data) else []
        lines += _rows_text(data["rows"]) or ["  (no rows)"]
        if data["why"]:
            lines += wrap(f"→ {data['why']}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        if data["bits"]:
            lines += ["", *bits_text(data["bits"])]
        return "\n".join(lines)

    def html(self) -> str:
        """Return the table, the answer in words and the bits."""
        data = self.data
        asked = bool(data["asked"])
        heads = [*(["answer"] if asked else []), *data["head"]]
        head = "".join(f"<th scope=col>{escape(name)}" for name in heads)
        body = "".join(_row_html(row, asked) for row in data["rows"])
        if not body:
            body = f"<tr><td colspan={len(heads)}>no rows"
        caption = f"<figcaption>{escape(_caption(data))}</figcaption>" if _caption(data) else ""
        why = ""
        if asked:
            mark = "ck-bad" if data["error"] or not any(row["state"] == "wins" for row in data["rows"]) else "ck-good"
            why = tag("p", f"→ {escape(data['why'])}", class_=mark)
        bits = bits_html(data["bits"]) if data["bits"] else ""
        return left(f"{caption}<table class=ck-rows><thead><tr>{head}<tbody>{body}</table>{why}{bits}")


def _kind(rows: Sequence[Any], lookup: Lookup[Any] | None) -> type:
    given = {type(row) for row in rows} or ({type(lookup.winner)} if lookup and lookup.winner else {Route})
    kind = next(iter(given))
    if len(given) == 1 and kind in _HEADS:
        return kind
    names = ", ".join(sorted(item.__name__ for item in given))
    raise CourseError(
        f"A table is drawn from rows of one kind, {', '.join(item.__name__ for item in _HEADS)}; {names} was given. "
        "Pass for example `tables.routes` of a host."
    )


def _cells(row: Any) -> tuple[str, ...]:
    """Return what the columns of the row's kind say."""
    if isinstance(row, Route):
        hops = row.nexthops or (row,)
        kind = "" if row.type == "unicast" else f"{row.type} "
        prefix = "default" if row.dst.prefixlen == 0 else str(row.dst)
        vias = ", ".join(str(hop.via) if hop.via else "on the link" if hop.dev else "none" for hop in hops)
        return f"{kind}{prefix}", vias, ", ".join(dict.fromkeys(hop.dev or "none" for hop in hops))
    if isinstance(row, Neighbour):
        return str(row.dst), row.dev, f"{row.lladdr or 'none'} {row.state}"
    if isinstance(row, FdbEntry):
        return row.mac, row.dev, str(row.dst) if row.dst else f"port of {row.master}" if row.master else "itself"
    if isinstance(row, Link):
        return row.name, row.kind or "device", str(row.mtu)
    if isinstance(row, birdc.Protocol):
        return row.name, row.kind, " ".join(filter(None, (row.state, row.info)))
    if isinstance(row, birdc.Route):
        ways = ", ".join(via or f"on {dev}" for via, dev in row.hops) or row.kind
        return f"{row.net}{' *' * row.primary}", ways, row.source or row.protocol
    return row.dev, str(row.interface), row.scope


def _verdicts(rows: Sequence[Any], lookup: Lookup[Any]) -> list[tuple[str, str]]:
    """Return each row's state and its verdict in words. Of equal rows the first one wins."""
    winner = lookup.winner
    first = rows.index(winner) if winner in rows else -1
    return [_verdict(row, lookup, i == first) for i, row in enumerate(rows)]


def _verdict(row: Any, lookup: Lookup[Any], wins: bool) -> tuple[str, str]:
    length = f", /{row.dst.prefixlen}" if isinstance(row, Route) else ""
    if wins:
        return "wins", f"wins{length}" + (", and refuses" if lookup.error else "")
    if row in lookup.skipped:
        return "unusable", f"cannot be used{length}"
    if row in lookup.matches:
        return "matches", f"matches{length}"
    if not isinstance(row, Route):
        same = getattr(row, "dst" if isinstance(row, Neighbour) else "mac", None)
        other = str(same).lower() != str(lookup.asked).lower()
        return "no", "no match" if other else "no match, other device"
    if isinstance(lookup.asked, str) or row.dst.version != lookup.asked.version:
        return "no", f"no match, IPv{row.dst.version}"
    return "no", f"no match, differs at bit {lookup.matched_bits(row) + 1}"


def _why(rows: Sequence[Any], lookup: Lookup[Any]) -> str:
    """Return the look-up's reason; also that the winner is not in this table, if so."""
    if lookup.winner is None or lookup.winner in rows:
        return lookup.why
    return f"{lookup.why}; that row is not in this table: {lookup.winner}"


def _caption(data: dict[str, Any]) -> str:
    return " · ".join(filter(None, (data["title"], data["asked"] and f"asked for {data['asked']}")))


def _rows_text(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the printed lines with a sign in front and the verdict behind, or beneath where it does not fit."""
    lines = []
    for row in rows:
        first, *more = [part for line in row["line"].splitlines() for part in _wrapped(line, WIDTH - 5)] or [""]
        sign = ("*" if row["marked"] else " ") + (_SIGNS[row["state"]])
        lines += [(f"{sign} {first}", row["verdict"] if not more else "")]
        lines += [(f"     {line}", "") for line in more]
        if more and row["verdict"]:
            lines.append((f"     ↳ {row['verdict']}", ""))
    longest = max((len(line) for line, verdict in lines if verdict), default=0)
    if longest + 2 + max((len(verdict) for _, verdict in lines), default=0) <= WIDTH:
        return columns(lines)
    return [part for line, verdict in lines for part in ([line, f"     ↳ {verdict}"] if verdict else [line])]


def _wrapped(line: str, width: int) -> list[str]:
    return wrap(line, width, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _row_html(row: dict[str, Any], asked: bool) -> str:
    names = " ".join(filter(None, (f"ck-{row['state']}" if row["state"] else "", "ck-marked" if row["marked"] else "")))
    sign = _SIGNS[row["state"]].strip()
    marked = "★ " if row["marked"] else ""
    answer = f"<th scope=row>{' '.join(filter(None, (sign, escape(row['verdict']))))}" if asked else ""
    cells = "".join(f"<td>{marked if i == 0 else ''}{escape(cell)}" for i, cell in enumerate(row["cells"]))
    return f'<tr class="{names}">{answer}{cells}<td><code>{escape(row["line"])}</code>'
