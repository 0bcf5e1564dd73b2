"""Whole hosts: the state files of a recording or lab, every table of every host in one text or one JSON object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from coursekit.cluster.iproute2.devices import parse_addresses, parse_links
from coursekit.cluster.iproute2.links import (
    addresses_from_json,
    addresses_to_json,
    format_addresses,
    format_links,
    links_from_json,
    links_to_json,
)
from coursekit.cluster.iproute2.neighbours import (
    fdb_from_json,
    fdb_to_json,
    format_fdb,
    format_neighbours,
    neighbours_from_json,
    neighbours_to_json,
    parse_fdb,
    parse_neighbours,
)
from coursekit.cluster.iproute2.routes import format_routes, parse_routes, routes_from_json, routes_to_json
from coursekit.cluster.tables import HostTables
from coursekit.errors import CourseError, Named
from coursekit.keys import check_keys, load_json

# JSON section -> the command whose output it holds, as a heading of the text form
COMMANDS = {
    "link": "ip -d link",
    "addr": "ip addr",
    "route": "ip route",
    "route_local": "ip route show table local",
    "neigh": "ip neigh",
    "fdb": "bridge fdb",
}
_HEADING = re.compile(r"#{3,} *(\S+) *$")
_Convert = Callable[[HostTables], Any]
_FORMAT: Mapping[str, Callable[[HostTables], str]] = {
    "link": lambda t: format_links(t.links),
    "addr": lambda t: format_addresses(t.addresses, t.links),
    "route": lambda t: format_routes(t.routes),
    "route_local": lambda t: format_routes(t.local_routes),
    "neigh": lambda t: format_neighbours(t.neighbours),
    "fdb": lambda t: format_fdb(t.fdb),
}
_TO_JSON: Mapping[str, _Convert] = {
    "link": lambda t: links_to_json(t.links),
    "addr": lambda t: addresses_to_json(t.addresses, t.links),
    "route": lambda t: routes_to_json(t.routes),
    "route_local": lambda t: routes_to_json(t.local_routes),
    "neigh": lambda t: neighbours_to_json(t.neighbours),
    "fdb": lambda t: fdb_to_json(t.fdb),
}


def parse_state_text(text: str) -> dict[str, HostTables]:
    """Return the tables of every host of a state.txt: `######## node1`, then `# ip route` and so on.

    A heading may also name host and table at once (`######## node1.route`). Raises CourseError naming host and line.
    """
    sections: dict[str, dict[str, list[str]]] = {}
    names = {command: section for section, command in COMMANDS.items()}
    lines: list[str] | None = None
    host = None
    for number, line in enumerate(text.split("\n"), 1):
        heading = _HEADING.match(line)
        if heading:
            host, _, section = heading.group(1).partition(".")
            lines = sections.setdefault(host, {}).setdefault(section, []) if section in COMMANDS else None
            sections.setdefault(host, {})
        elif host is not None and line.startswith("# ") and line[2:].strip() in names:
            lines = sections[host].setdefault(names[line[2:].strip()], [])
        elif lines is not None:
            lines.append(line)
        elif line.strip():
            raise CourseError(
                f"Line {number} ({line.strip()[:60]!r}) belongs to no host; a state file starts with `######## node1` "
                f"and names each command: {', '.join('# ' + c for c in COMMANDS.values())}."
            )
    if not sections:
        raise CourseError("The text is empty; a state file with `######## host` headings was expected.")
    return {host: _from_text(host, {k: "\n".join(v) for k, v in found.items()}) for host, found in sections.items()}


def _from_text(host: str, found: Mapping[str, str]) -> HostTables:
    try:
        links, addresses = parse_addresses(found.get("addr", ""))
        return HostTables(
            host,
            parse_links(found["link"]) if "link" in found else links,
            addresses,
            parse_routes(found.get("route", "")),
            parse_routes(found.get("route_local", ""), "local"),
            parse_neighbours(found.get("neigh", "")),
            parse_fdb(found.get("fdb", "")),
        )
    except CourseError as error:
        raise CourseError(f"{host}: {error}") from None


def format_state_text(tables: Mapping[str, HostTables], sections: tuple[str, ...] = tuple(COMMANDS)) -> str:
    """Return the hosts as a state.txt: what each command of COMMANDS prints on each host."""
    blocks = []
    for host, rows in tables.items():
        parts = [f"# {COMMANDS[section]}\n{_FORMAT[section](rows)}" for section in sections]
        blocks.append(f"######## {host}\n" + "\n".join(parts))
    return "\n".join(blocks) + "\n"


def parse_state_json(data: str | bytes | Mapping[str, Any]) -> dict[str, HostTables]:
    """Return the tables of every host of a state.json.

    Its shape is {host: {link, addr, route, route_local, neigh, fdb}}, each as -j prints it; any may be missing.
    Raises CourseError naming host and section.
    """
    if isinstance(data, str | bytes):
        data = load_json(data, "The tables of hosts, as `ip -j` prints them: this", depth=2)
    if not isinstance(data, Mapping) or not all(isinstance(host, Mapping) for host in data.values()):
        raise CourseError("A JSON object {host: {link, addr, route, …}} was expected, as in a recording's state.json.")
    return Named("host", {host: _from_json(host, found) for host, found in data.items()})


def _from_json(host: str, found: Mapping[str, Any]) -> HostTables:
    check_keys(found, COMMANDS, f"The host {host}")
    try:
        return HostTables(
            host,
            links_from_json(found.get("link", found.get("addr", []))),
            addresses_from_json(found.get("addr", [])),
            routes_from_json(found.get("route", [])),
            routes_from_json(found.get("route_local", []), "local"),
            neighbours_from_json(found.get("neigh", [])),
            fdb_from_json(found.get("fdb", [])),
        )
    except CourseError as error:
        raise CourseError(f"{host}: {error}") from None


def state_to_json(tables: Mapping[str, HostTables], sections: tuple[str, ...] = tuple(COMMANDS)) -> dict[str, Any]:
    """Return the hosts as a state.json holds them."""
    return {host: {section: _TO_JSON[section](rows) for section in sections} for host, rows in tables.items()}
