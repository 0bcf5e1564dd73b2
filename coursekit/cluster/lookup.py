"""Which row answers, and why: longest-prefix match over a host's routes, exact match over neighbours and FDB.

As Linux does it (fib_table_lookup in net/ipv4/fib_trie.c, fib6_table_lookup in net/ipv6/route.c): the longest
prefix wins, among equal prefixes the lowest metric, then the row that stands first. As long as nobody adds an
`ip rule`, IPv4's tables local and main are searched as one, with local first among equal prefixes; IPv6 asks
local first and main only if local has no answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Generic, TypeVar

from coursekit.cluster.tables import Address, FdbEntry, Neighbour, Network, Route
from coursekit.errors import CourseError, expect, given

Row = TypeVar("Row", Route, Neighbour, FdbEntry)

# What `ip route get`, and so connect() and ping, are told where a row answers with an error (fib_props[]).
ERRORS = {
    "blackhole": "Invalid argument",
    "unreachable": "No route to host",
    "prohibit": "Permission denied",
    "throw": "Network is unreachable",
}
NO_ROUTE = "Network is unreachable"
_ANYONE = "00:00:00:00:00:00"


@dataclass(frozen=True)
class Lookup(Generic[Row]):
    """The answer to one look-up. `matches` holds every row that fits, best first; `winner` is the first of them.

    `error` is what the kernel tells the sender instead of sending ("" if it sends): a blackhole, unreachable or
    prohibit row wins like any other and then refuses; a throw row ends the search of its table.
    """

    asked: Address | str
    matches: tuple[Row, ...]
    winner: Row | None
    why: str
    error: str = ""
    skipped: tuple[Row, ...] = field(default=(), compare=False)  # fitting rows that do not count: dead, other TOS

    @property
    def bits(self) -> str:
        """The asked address as 32 or 128 binary digits, for drawing the match; nothing for a MAC."""
        return "" if isinstance(self.asked, str) else _bits(self.asked)

    def matched_bits(self, row: Route) -> int:
        """How many leading bits of the asked address equal the row's prefix (its length where the row matches)."""
        own, bits = _bits(row.dst.network_address), self.bits
        same = next((i for i, (a, b) in enumerate(zip(own, bits, strict=False)) if a != b), len(own))
        return min(same, row.dst.prefixlen)


def _bits(address: Address) -> str:
    return f"{int(address):0{address.max_prefixlen}b}"


def prefix_bits(dst: Network) -> str:
    """Return the digits that a prefix fixes, and a dot for every bit that it leaves open."""
    return _bits(dst.network_address)[: dst.prefixlen].ljust(dst.max_prefixlen, ".")


def parse_address(text: Address | str) -> Address:
    """Return the address; CourseError if `text` is none."""
    try:
        return ip_address(text)
    except ValueError:
        raise CourseError(
            f"{given(text)} is no IP address; one like 10.244.1.7 or fd00::1 was expected."
        ) from None


def lookup(routes: Iterable[Route], dst: Address | str) -> Lookup[Route]:
    """Return which of `routes` (of table main, or of local and main together) a packet to `dst` follows, and why.

    Rows of the other IP version never match; rows with a TOS of their own or the flag `dead` do not count.
    Raises CourseError if `dst` is no address.
    """
    asked = parse_address(dst)
    rows = "Rows of `ip route` are looked up, such as tables(cluster)['node1'].routes"
    expect(routes, Iterable, rows)
    routes = tuple(routes)
    for row in routes:
        expect(row, Route, rows)
    fitting = [r for r in routes if r.dst.version == asked.version and asked in r.dst]
    usable = [r for r in fitting if _usable(r)]
    skipped = tuple(r for r in fitting if not _usable(r))
    # sorted() is stable: among equals the row that stands first wins, as `ip route append` promises
    matches = tuple(sorted(usable, key=_rank6 if asked.version == 6 else _rank4))
    winner, note = _search(matches, asked.version)
    error = NO_ROUTE if winner is None else ERRORS.get(winner.type, "")
    why = _explain(asked, matches, winner) + note + _about_skipped(skipped)
    return Lookup(asked, matches, winner, why, error, skipped)


def _usable(route: Route) -> bool:
    return "dead" not in route.flags and str(route.extra.get("tos", "0")) in ("0", "0x0", "default")


def _rank4(route: Route) -> tuple[int, bool, int]:
    return (-route.dst.prefixlen, route.table != "local", route.metric or 0)


def _rank6(route: Route) -> tuple[bool, int, int]:
    return (route.table != "local", -route.dst.prefixlen, route.metric or 0)


def _search(matches: tuple[Route, ...], version: int) -> tuple[Route | None, str]:
    """Return the row that decides. A `throw` in IPv6's table local sends the search on to main."""
    if not matches or matches[0].type != "throw" or version == 4 or matches[0].table != "local":
        return (matches[0] if matches else None), ""
    rest = tuple(row for row in matches if row.table != "local")
    return (rest[0] if rest else matches[0]), "; the throw in table local sends the search on to table main"


def _explain(asked: Address, matches: tuple[Route, ...], winner: Route | None) -> str:
    if winner is None:
        return f"no row matches {asked}, not even a default route: {NO_ROUTE}"
    others = [row for row in matches if row is not winner]
    length = winner.dst.prefixlen
    equal = [row for row in others if row.dst.prefixlen == length]
    if not others:
        reason = f"/{length} is the only row that matches"
    elif not equal:
        reason = f"/{length} is the longest of {len(matches)} matching prefixes"
    elif any(row.table != winner.table for row in equal):
        reason = f"/{length} matches in both tables, and table {winner.table} comes first"
    elif any((row.metric or 0) != (winner.metric or 0) for row in equal):
        reason = f"of {len(equal) + 1} rows with /{length} it has the lowest metric ({winner.metric or 0})"
    else:
        reason = f"of {len(equal) + 1} equal rows with /{length} it stands first"
    if winner.table == "local" and any(row.dst.prefixlen > length for row in others):
        reason = "table local has an answer, so table main is not asked"
    return reason + _effect(winner)


def _effect(winner: Route) -> str:
    effects = {
        "blackhole": ": the packet is discarded without a word",
        "unreachable": ": the packet is discarded and answered with ICMP Destination Host Unreachable",
        "prohibit": ": the packet is discarded and answered with ICMP Packet filtered",
        "throw": ": the search of this table ends, and no other table has an answer",
    }
    return effects.get(winner.type, "")


def _about_skipped(skipped: tuple[Route, ...]) -> str:
    if not skipped:
        return ""
    rows = ", ".join(str(row) for row in skipped)
    return f" ({len(skipped)} more would match but cannot be used: {rows})"


def lookup_neighbour(neighbours: Iterable[Neighbour], dst: Address | str, dev: str) -> Lookup[Neighbour]:
    """Return the row of `ip neigh` that gives the MAC for `dst` on `dev`; CourseError for a bad address."""
    asked = parse_address(dst)
    matches = tuple(row for row in neighbours if row.dst == asked and row.dev in (dev, ""))
    winner = matches[0] if matches else None
    if winner is None:
        why = f"no entry for {asked} on {dev}: the host has to ask with {'NDP' if asked.version == 6 else 'ARP'}"
    elif winner.lladdr is None or winner.state in ("FAILED", "INCOMPLETE"):
        why = f"the entry for {asked} on {dev} is {winner.state}: nobody has answered"
    else:
        why = f"the entry for {asked} on {dev} says {winner.lladdr} ({winner.state})"
    return Lookup(asked, matches, winner, why)


def lookup_fdb(fdb: Iterable[FdbEntry], mac: str, dev: str, vlan: int | None = None) -> Lookup[FdbEntry]:
    """Return where a frame to `mac` leaves `dev`: a bridge (by its ports) or a VXLAN device (by itself).

    A VXLAN device falls back on the all-zero entry, its default destination; without one the frame is dropped. A
    bridge floods what it does not know.
    """
    wanted = mac.lower()
    rows = [r for r in fdb if dev in (r.dev, r.master) and (vlan is None or r.vlan in (None, vlan))]
    matches = tuple(r for r in rows if r.mac.lower() == wanted) + tuple(r for r in rows if r.mac == _ANYONE)
    winner = matches[0] if matches else None
    if winner is None:
        bridge = any(r.master == dev for r in rows)
        why = f"{dev} has no entry for {wanted}: " + ("it floods all ports" if bridge else "no remote to send it to")
    elif winner.mac == _ANYONE and wanted != _ANYONE:
        why = f"{dev} has no entry for {wanted}; the all-zero entry is its default"
    else:
        why = f"{dev} has an entry for {wanted}"
    return Lookup(wanted, matches, winner, why)
