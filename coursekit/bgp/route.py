"""A BGP route: a prefix's path attributes, and the path by which a speaker heard of it.

Attributes are immutable and shared: the same object stands in the sender's Adj-RIB-Out, in the message, and in the
Adj-RIB-In of every receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import NamedTuple

ORIGINS = ("igp", "egp", "incomplete")
DEFAULT_LOCAL_PREF = 100
WELL_KNOWN = {  # RFC 1997; RFC 3765
    "no-export": 0xFFFFFF01, "no-advertise": 0xFFFFFF02, "no-export-subconfed": 0xFFFFFF03, "no-peer": 0xFFFFFF04,
}  # fmt: skip

AsPath = tuple["int | frozenset[int]", ...]  # leftmost first; a frozenset is an AS_SET, which counts as one hop


class Attributes(NamedTuple):
    """The path attributes of one route (RFC 4271 §5, RFC 4456 §8, RFC 1997, RFC 9234).

    Addresses and ids are text in canonical form; `cluster_list` is most recent first; None means absent.
    """

    as_path: AsPath = ()
    next_hop: str = ""
    local_pref: int | None = None
    med: int | None = None
    origin: str = "igp"
    originator_id: str | None = None
    cluster_list: tuple[str, ...] = ()
    communities: tuple[str, ...] = ()
    otc: int | None = None  # Only-to-Customer: the AS that sent it down or sideways (RFC 9234)

    def as_count(self, asn: int) -> int:
        """Return how often an AS number stands in AS_PATH, inside sets too."""
        count = self.as_path.count(asn)
        for hop in self.as_path:
            if hop.__class__ is frozenset and asn in hop:
                count += 1
        return count


class Peer(NamedTuple):
    """Who stands at the other end of a session, as the decision process sees it."""

    name: str
    asn: int
    router_id: str
    address: str
    external: bool  # another AS: eBGP


@dataclass(slots=True)
class Path:
    """One entry of an Adj-RIB-In, or a route of the speaker's own (`peer` is None then).

    `attributes` are those after the import policy, `received` those of the message. `refused` says why the path
    cannot be used whatever its next hop is: a loop, a policy.
    """

    attributes: Attributes
    peer: Peer | None = None
    path_id: int = 0
    received: Attributes | None = None
    refused: str | None = None
    stale: bool = False  # RFC 4724: kept while its sender restarts
    client: bool = False  # heard from a client of this reflector
    index: int = -1  # of the neighbour it was heard from

    @property
    def source(self) -> str:
        """The name of the peer it was heard from, or `local`."""
        return self.peer.name if self.peer else "local"


@cache
def address_key(address: str) -> tuple[int, int]:
    """Return what addresses and router ids are compared by: as numbers, never as text (10.0.0.9 < 10.0.0.10)."""
    parsed = ip_address(address)
    return parsed.version, int(parsed)


def neighbour_as(path: Path, own_as: int) -> int:
    """Return the AS from which the route entered this AS (RFC 4271 §9.1.2.2 c): an empty AS_PATH is the own AS's."""
    first = path.attributes.as_path[0] if path.attributes.as_path else own_as
    return own_as if isinstance(first, frozenset) else first
