"""Which device is plugged into which, worked out from recorded tables.

`ip -j link` of a veth end tells the index of the other end (`link_index`) and a host-local number for the
namespace it is in (`link_netnsid`), not its name; `ip link` in text adds `link-netns`. Two ends that name each
other's index may still belong to several pairs, so MACs and addresses that hosts know of each other decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from coursekit.cluster.tables import HostTables, Link
from coursekit.errors import CourseError

_End = tuple[str, str]  # host, device


def recorded_cables(tables: Mapping[str, HostTables]) -> dict[str, str]:
    """Return the cables, "host:device" to "host:device", one entry for each pair.

    Raises CourseError for a device whose other end cannot be told from the tables.
    """
    ends = {(host, link.name): link for host, t in tables.items() for link in t.links if _other_index(link)}
    offers = {end: [o for o in ends if o[0] != end[0] and _may_pair(ends[end], o, ends[o], end)] for end in ends}
    known = [(end, link.peer) for end, link in ends.items() if link.peer]
    cables: dict[str, str] = {_name(end): peer for end, peer in known if peer.partition(":")[0] in tables}
    done = {*cables, *cables.values()}
    pairs = [(a, b) for a, found in offers.items() for b in found if a < b and not {_name(a), _name(b)} & done]
    for a, b in sorted(pairs, key=lambda pair: -_evidence(tables, *pair)):
        if not {_name(a), _name(b)} & done:
            rivals = [p for p in pairs if (a in p or b in p) and p != (a, b) and not {_name(p[0]), _name(p[1])} & done]
            if any(_evidence(tables, *p) >= _evidence(tables, a, b) for p in rivals):
                raise CourseError(
                    f"The tables do not tell whether {_name(a)} is plugged into {_name(b)}: several devices fit "
                    "equally well. Give cables={'host:device': 'host:device', …}."
                )
            cables[_name(a)] = _name(b)
            done |= {_name(a), _name(b)}
    return cables


def _name(end: _End) -> str:
    return f"{end[0]}:{end[1]}"


def _other_index(link: Link) -> int | None:
    index = link.extra.get("link_index")
    return index if isinstance(index, int) and link.kind in ("veth", "") else None


def _may_pair(link: Link, other_end: _End, other: Link, end: _End) -> bool:
    """Whether two ends name each other's index, and each other's namespace where that is told."""
    if _other_index(link) != other.ifindex or _other_index(other) != link.ifindex:
        return False
    return all(
        not space or str(space).endswith(host)
        for space, host in ((link.extra.get("link_netns"), other_end[0]), (other.extra.get("link_netns"), end[0]))
    )


def _evidence(tables: Mapping[str, HostTables], a: _End, b: _End) -> int:
    """How much two hosts know of each other on these devices: MACs learned, addresses on a shared prefix."""
    return sum(_knows(tables, here, there) for here, there in ((a, b), (b, a)))


def _knows(tables: Mapping[str, HostTables], here: _End, there: _End) -> int:
    mine, theirs = tables[here[0]], tables[there[0]]
    link, other = mine.link(here[1]), theirs.link(there[1])
    if link is None or other is None:
        return 0
    on, at = {link.name, link.master}, {other.name, other.master}
    macs = {other.mac} | {m.mac for m in theirs.links if m.name == other.master}
    score = 4 * any(row.dev in on and row.lladdr in macs for row in mine.neighbours)
    addresses = [x.interface for x in theirs.addresses if x.dev in at]
    routes = [r for r in mine.routes if r.dev in on and r.via is None and r.type == "unicast"]
    score += 2 * any(
        x.ip in r.dst and r.dst.prefixlen for x, r in product(addresses, routes) if x.version == r.dst.version
    )
    return score
