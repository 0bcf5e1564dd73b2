"""What Calico says of its BGP: `calico-node -show-status`, `calicoctl node status`, and `birdcl` itself, as rows.

Table formats as in calico node/pkg/status/populators (peers.go, route.go, v3.31) and calicoctl/commands/node/status.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from coursekit.bgp import birdc
from coursekit.bgp.birdc import Route
from coursekit.errors import CourseError

_STATUS = "calico-node -show-status"
_RULE = re.compile(r"^\s*\+[-+]+\+\s*$")
_KINDS = {"node-to-node mesh": "Mesh", "node specific": "Node", "global": "Global"}
_DOWN = re.compile(r"(?im)^.*(calico process is not running|error getting bird.*|command not found|is not running.*)$")


@dataclass(frozen=True)
class Peer:
    """A BGP session of a node. `kind` is Mesh, Node or Global; `info` the state of BGP's own state machine."""

    address: str
    kind: str
    state: str  # up, start, down: BIRD's
    since: str
    info: str

    @property
    def established(self) -> bool:
        """Whether routes can be exchanged."""
        return self.info.split()[:1] == ["Established"]

    def __str__(self) -> str:
        return f"{self.address:<16} {self.kind:<6} {self.state:<5} {self.since:<10} {self.info}"


def peers(text: str) -> tuple[Peer, ...]:
    """Return the sessions that a node has; no session is an empty tuple, an output that shows none a CourseError."""
    found = [
        Peer(row["PEER ADDRESS"], _KINDS.get(row["PEER TYPE"].lower(), row["PEER TYPE"].title()), row["STATE"],
             row["SINCE"], row.get("BGPSTATE", row.get("INFO", "")))
        for row in _rows(text) if "PEER ADDRESS" in row
    ]  # fmt: skip
    if found or "No IPv4 peers found" in text or "PEER ADDRESS" in text:
        return tuple(found)
    if re.search(r"(?m)^name\s+proto\s", text, re.I):
        return tuple(
            Peer(kind_and_address(row.name)[1], kind_and_address(row.name)[0], row.state, row.since, row.info)
            for row in birdc.protocols(_said(text)) if row.kind == "BGP"
        )  # fmt: skip
    raise _nothing(text, "BGP peers", f"`{_STATUS}` or `calicoctl node status`")


def routes(text: str) -> tuple[Route, ...]:
    """Return the routes that BIRD holds, from `calico-node -show-status` or `birdcl show route`.

    The table leaves out preference and time, which are then 0 and "".
    """
    found = []
    for row in _rows(text):
        if "DESTINATION" in row:
            via, dev = row["GATEWAY"], row["IFACE"]
            plain = dev not in ("blackhole", "unreachable")
            hops = ((None if via == "N/A" else via, dev),) if plain else ()
            primary = row["PRIMARY"] == "*"
            found.append(Route(row["DESTINATION"], "unicast" if plain else dev, row["LEARNEDFROM"], "", hops, primary))
    if found or "DESTINATION" in text:
        return tuple(found)
    if " [" in text:
        return birdc.routes(_said(text))
    raise _nothing(text, "routes", f"`{_STATUS}` or `birdcl show route`")


def kind_and_address(session: str) -> tuple[str, str]:
    """Take the name of a session apart: `Mesh_192_168_49_3` is ("Mesh", "192.168.49.3")."""
    kind, _, rest = session.partition("_")
    return kind, rest.replace("_", "." if rest.count("_") == 3 and "__" not in rest else ":")


class _Row(dict[str, str]):
    """A row by the headings of its columns."""

    def __missing__(self, column: str) -> str:
        raise CourseError(f"The table has no column {column}; it has {', '.join(self)}. Paste the whole output.")


def _rows(text: str) -> Iterator[_Row]:
    """Yield each row of each ruled table, by the headings of its columns."""
    if not isinstance(text, str):
        raise CourseError(f"The output of a command is text; {type(text).__name__} was given.")
    heads: list[str] = []
    ruled = False
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip().removeprefix("# ")
        if _RULE.match(line):
            ruled = True
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if ruled and all(cell == cell.upper() for cell in cells) and cells[0].isascii() and "." not in line:
                heads = cells
            elif len(cells) != len(heads):
                raise CourseError(f"Line {number} breaks the table off: {line[:60]!r}; paste the whole output.")
            else:
                yield _Row(zip(heads, cells, strict=True))
            ruled = False
        else:
            ruled = False


def _said(text: str) -> str:
    """Leave out what kubectl says before BIRD does, and a shell's prompts."""
    lines = [line for line in text.splitlines() if not line.startswith(("Defaulted container", "[root@", "$ "))]
    return "\n".join(line for line in lines if not re.match(r"BIRD v\S+ ready", line))


def _nothing(text: str, what: str, command: str) -> CourseError:
    if down := _DOWN.search(text):
        return CourseError(f"Calico tells no {what}: {down.group(1).strip().rstrip('.')}; does calico-node run?")
    begins = f"it begins with {text.strip()[:40]!r}" if text.strip() else "there is nothing"
    return CourseError(f"There is no table of {what} here ({begins}): paste the output of {command}.")
