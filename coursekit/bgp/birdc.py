"""What `birdc` prints, as rows: `show protocols` and `show route [all]` of BIRD 2 and 3, and of BIRD 1.6, Calico's.

Both generations say the same in another order: 1.6 puts next hop, protocol and preference on one line, 2 puts the kind
first and each next hop on a line of its own. Formats as in BIRD 2.0.12 (nest/rt-table.c, rt_show_rte) and 1.6.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from coursekit.errors import CourseError

_CLOCK = r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?|\S+)"
_PROTOCOL = re.compile(rf"^(\S+)\s+(\S+)\s+(\S+)\s+(up|down|start|stop|flush)\s+({_CLOCK})(?:\s+(.*?))?\s*$")
_ROUTE = re.compile(
    rf"^(?P<net>\S*)\s+(?P<what>.*?)\s*\[(?P<protocol>\S+) (?P<since>{_CLOCK})(?: from (?P<source>[\w.:%]+))?\]"
    r"\s*(?P<primary>[*!]?)\s*\((?P<preference>\d+)(?:/(?P<metric>[^)]*))?\)(?:\s*\[(?P<origin>[^\]]*)\])?\s*$"
)
_HOP = re.compile(r"^\s+(?:via (?P<via>\S+) on (?P<dev>\S+)|dev (?P<only>\S+))(?: .*)?$")
_ONE_LINE_HOP = re.compile(r"^(?:via (?P<via>\S+) on (?P<dev>\S+)|dev (?P<only>\S+))(?: .*)?$")
_ATTRIBUTE = re.compile(r"^\s+([A-Za-z][\w.]*):\s?(.*)$")
_KINDS = ("unicast", "unreachable", "blackhole", "prohibit", "prohibited", "multipath")
_PASSED = re.compile(r"^(BIRD\b.*|Table \S+:|name\s+proto\b.*|Name\s+Proto\b.*|bird> .*|Access restricted.*)?\s*$")
NOTHING = re.compile(r"^Network not (found|in table)|^Network not found", re.M)


@dataclass(frozen=True)
class Protocol:
    """One line of `show protocols`. `info` of a BGP session is its state and the last error."""

    name: str
    kind: str  # BGP, Kernel, Device, Direct, Static, …
    table: str
    state: str  # up, start, down, …
    since: str
    info: str = ""

    @property
    def established(self) -> bool:
        """Whether it is a BGP session that is Established."""
        return self.kind == "BGP" and self.info.split()[:1] == ["Established"]

    def __str__(self) -> str:
        return f"{self.name:<20} {self.kind:<8} {self.state:<5} {self.since:<12} {self.info}".rstrip()


@dataclass(frozen=True)
class Route:
    """One path of `show route`. BIRD holds several for a destination; `primary` is the best one.

    `attributes` are those of `show route all`, under BIRD's names: `BGP.as_path`, `BGP.next_hop`, …
    """

    net: str
    kind: str  # unicast, unreachable, blackhole, …
    protocol: str
    since: str
    hops: tuple[tuple[str | None, str], ...] = ()  # gateway and device; no gateway: on the link
    primary: bool = False
    preference: int = 0
    source: str | None = None  # the peer, where it is not the next hop
    metric: str | None = None
    origin: str | None = None  # last AS and i, e or ?, as in AS65001i
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __getitem__(self, key: str) -> str:
        """Return an attribute by BIRD's name; CourseError if there is none (`show route` without `all` has none)."""
        found = dict(self.attributes)
        if key not in found:
            known = ", ".join(found) or "none: take the output of `show route all`"
            raise CourseError(f"The route to {self.net} has no attribute {key!r}; it has {known}.")
        return found[key]

    def __str__(self) -> str:
        ways = ", ".join(f"via {via} on {dev}" if via else f"dev {dev}" for via, dev in self.hops)
        heard = f" from {self.source}" if self.source else ""
        more = f" [{self.origin}]" if self.origin else ""
        preference = str(self.preference) + (f"/{self.metric}" if self.metric else "")
        first = f"{self.net:<18} {self.kind} [{self.protocol} {self.since}{heard}]"
        return f"{first}{' *' * self.primary} ({preference}){more}{'  ' * bool(ways)}{ways}"


def sections(text: str) -> dict[str, str]:
    """Split a transcript at its `bird> command` lines; text without any is one section, called ""."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in text.splitlines():
        if line.startswith("bird>"):
            name = line[5:].strip()
            found[name] = []
        else:
            found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items() if name or "".join(lines).strip()}


def protocols(text: str) -> tuple[Protocol, ...]:
    """Read `show protocols` (alone, or within a transcript). CourseError for a line that is none of it."""
    rows = []
    for number, line in _lines(text, "show protocols"):
        found = _PROTOCOL.match(line)
        if found is None:
            raise _strange(number, line, "show protocols", "Mesh_192_168_1_11 BGP --- up 03:00:43.619 Established")
        rows.append(Protocol(*found.groups(default="")))
    return tuple(rows)


def routes(text: str) -> tuple[Route, ...]:
    """Read `show route` or `show route all` (alone, or within a transcript, `all` first).

    An answer that there is no route gives no rows. CourseError for a line that belongs to neither form.
    """
    rows: list[Route] = []
    example = "10.244.1.0/24 unicast [Mesh_192_168_1_11 03:00:43.619] * (100) [i]"
    for number, line in _lines(text, "show route all", "show route"):
        if NOTHING.match(line):
            continue
        if head := _ROUTE.match(line):
            rows.append(_route(head, rows[-1].net if rows else "", number, line, example))
        elif rows and (hop := _HOP.match(line)):
            rows[-1] = replace(rows[-1], hops=(*rows[-1].hops, _hop(hop)))
        elif rows and (attribute := _ATTRIBUTE.match(line)):
            key, value = attribute.groups()
            rows[-1] = replace(rows[-1], attributes=(*rows[-1].attributes, (key, value.strip())))
        else:
            raise _strange(number, line, "show route", example)
    return tuple(rows)


def _lines(text: str, *commands: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that say something, of the first of `commands` that the transcript has."""
    if not isinstance(text, str):
        raise CourseError(f"The output of birdc is text; {type(text).__name__} was given.")
    parts = sections(text)
    chosen = next((parts[command] for command in commands if command in parts), None)
    if chosen is None:
        if set(parts) - {""}:
            asked = " or ".join(f"`{command}`" for command in commands)
            raise CourseError(f"This transcript has no {asked}; it has {', '.join(filter(None, parts))}.")
        chosen = text
    for number, line in enumerate(chosen.splitlines(), 1):
        if not _PASSED.match(line):
            yield number, line


def _strange(number: int, line: str, command: str, example: str) -> CourseError:
    return CourseError(
        f"Line {number} is no part of birdc's `{command}`: {line.strip()[:60]!r}. Lines like {example!r} were "
        "expected; paste the whole output."
    )


def _route(head: re.Match[str], above: str, number: int, line: str, example: str) -> Route:
    what, net = head["what"], head["net"] or above
    hop = _ONE_LINE_HOP.match(what)
    kind = "unicast" if hop or what == "multipath" else what
    if not net or (hop is None and what not in _KINDS):
        raise _strange(number, line, "show route", example)
    return Route(net, kind, head["protocol"], head["since"], (_hop(hop),) if hop else (), head["primary"] == "*",
                 int(head["preference"]), head["source"], head["metric"], head["origin"])  # fmt: skip


def _hop(found: re.Match[str]) -> tuple[str | None, str]:
    return found["via"], found["dev"] or found["only"]
