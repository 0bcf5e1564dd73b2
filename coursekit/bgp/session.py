"""A BGP session: its two ends, what each end does towards the other, and what travels between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from coursekit.bgp.route import Attributes, Peer
from coursekit.errors import CourseError

if TYPE_CHECKING:
    from coursekit.bgp.speaker import Speaker


Role = Literal["provider", "customer", "peer", "rs", "rs-client"]
ROLES: dict[Role, Role] = {  # who may stand at the other end (RFC 9234 §4.2)
    "provider": "customer", "customer": "provider", "peer": "peer", "rs": "rs-client", "rs-client": "rs",
}  # fmt: skip
ONLY_DOWN = ("customer", "peer", "rs-client")  # to whom I am that hears only what came from my customers


class Options(NamedTuple):
    """What one end of a session does towards the other."""

    rr_client: bool = False  # the other end is my client (RFC 4456)
    next_hop_self: bool = False  # for own and eBGP-learned routes, never for reflected ones
    allowas_in: int = 0  # take AS_PATHs that hold my AS this often
    as_override: bool = False  # write my AS over the peer's in AS_PATH
    local_pref_in: int | None = None  # LOCAL_PREF of what I take in
    prepend: int = 0  # extra copies of my AS in what I send
    max_as_path_in: int | None = None  # refuse longer AS_PATHs
    add_path: bool = False  # send all usable paths, not only the best (RFC 7911)
    role: Role | None = None  # what I am to the other, over eBGP: routes then never leak (RFC 9234)


NUMBERS = {"allowas_in": (0, 255), "local_pref_in": (0, 2**32 - 1), "prepend": (0, 255), "max_as_path_in": (0, 255)}


def check_option(opt: Any, value: Any) -> None:
    """Refuse an option that an end of a session does not have, and a value that the option cannot have."""
    if opt not in Options._fields:
        raise CourseError(f"A session has no option {opt!r}; it has {', '.join(Options._fields)}.")
    if value is None and Options._field_defaults[opt] is None:
        return
    if opt in NUMBERS:
        least, most = NUMBERS[opt]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise CourseError(f"{opt} is a whole number from {least} to {most}; {value!r} was given.")
    elif value not in (get_args(Role) if opt == "role" else (True, False)):
        raise CourseError(f"{opt} cannot be {value!r}; say {'a role' if opt == 'role' else 'True or False'}.")


@dataclass(eq=False, slots=True)
class Neighbour:
    """One end of a session, as the speaker that holds it sees it. `other` is the opposite end."""

    speaker: Speaker
    session: str
    peer: Peer
    local_address: str
    options: Options
    index: int  # place among the speaker's neighbours: the order in which it sends
    up: bool = False
    restarting: bool = False  # the peer is: its routes are kept as stale (RFC 4724)
    epoch: int = 0  # counts the times the session went down: what was under way then is lost
    sent: dict[str, dict[int, Attributes]] = field(default_factory=dict)  # Adj-RIB-Out: prefix, path id
    other: Neighbour = field(init=False)

    @property
    def client(self) -> bool:
        """Whether the peer is a client of this reflector; only iBGP peers can be."""
        return self.options.rr_client and not self.peer.external


END_OF_RIB = ""  # stands where a prefix would: "that was my whole table" (RFC 4724 §2)


class Update(NamedTuple):
    """One prefix in one UPDATE: announced with attributes, or withdrawn (None)."""

    to: Neighbour  # the receiving end
    prefix: str
    path_id: int
    attributes: Attributes | None
    epoch: int
