"""A captured BGP session, message by message: who said what to whom, when, and where its bytes stand in the capture.

What was agreed on in the OPENs of a connection decides how its UPDATEs are read: AS numbers of two or four bytes,
path ids or none. Where the capture has no OPENs, bytes decide by what makes sense.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from coursekit.bgp.wire import MARKER, TYPES, Wire, read_update
from coursekit.errors import CourseError
from coursekit.packets.bgp_messages import CAPABILITIES, ERRORS
from coursekit.packets.bgp_update import AFI, SAFI
from coursekit.packets.capture import Frame
from coursekit.packets.streams import Stream, streams
from coursekit.packets.walk import words

MISSING = "missing"  # the kind of a row that stands for bytes which the capture does not hold


@dataclass(frozen=True)
class Open:
    """An OPEN (RFC 4271 §4.2). `asn` is the whole AS number, `hold_time` in seconds, capabilities in their order."""

    version: int
    asn: int
    hold_time: int
    router_id: str
    capabilities: tuple[tuple[int, bytes], ...]

    def values(self, code: int) -> list[bytes]:
        """Return what is said under a capability code: [] if it is not there (RFC 5492)."""
        return [value for number, value in self.capabilities if number == code]

    @property
    def capability_names(self) -> tuple[str, ...]:
        """The names of the capabilities."""
        return tuple(CAPABILITIES.get(code, f"capability {code}") for code, _ in self.capabilities)

    def __str__(self) -> str:
        return (f"AS {self.asn}, router id {self.router_id}, hold time {self.hold_time} s; "
                f"{', '.join(self.capability_names) or 'no capabilities'}")  # fmt: skip


@dataclass(frozen=True)
class Notification:
    """A NOTIFICATION (RFC 4271 §4.5): the last word of a session."""

    code: int
    subcode: int
    data: bytes

    def __str__(self) -> str:
        name, _, subcodes = ERRORS.get(self.code, (f"error {self.code}", "", {}))
        detail = subcodes.get(self.subcode, f"subcode {self.subcode}" if self.subcode else "")
        said = ""
        if self.code == 6 and self.subcode in (2, 4) and self.data:  # RFC 9003: why, in the operator's words
            said = words(self.data[1 : 1 + self.data[0]])
        return name + (f": {detail}" if detail else "") + (f" ({said})" if said else "")


@dataclass(frozen=True)
class RouteRefresh:
    """A ROUTE-REFRESH (RFC 2918): send all again; or a mark around the answer (RFC 7313)."""

    afi: int
    safi: int
    subtype: int

    def __str__(self) -> str:
        which = {0: "request", 1: "beginning", 2: "end"}.get(self.subtype, f"subtype {self.subtype}")
        return f"{AFI.get(self.afi, self.afi)} {SAFI.get(self.safi, self.safi)}, {which}"


Content = Open | Wire | Notification | RouteRefresh


@dataclass(frozen=True)
class Captured:
    """One message of a captured session.

    `content` is what it says: `Open`, `wire.Wire` for an UPDATE, `Notification`, `RouteRefresh`, None for a KEEPALIVE.
    Its first byte is byte `offset` of frame `frame`; with `last_frame`, at `time_ns` since 1970, TCP can hand it over.
    `problem` is a sentence where it could not be read. Kind "missing" stands for bytes that the capture does not hold.
    """

    time_ns: int
    sender: str
    receiver: str
    connection: int  # which TCP connection of the capture, from 1
    kind: str  # OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH
    content: Content | None
    data: bytes = field(repr=False)
    frame: int
    offset: int
    last_frame: int
    problem: str | None = None

    @property
    def time(self) -> float:
        """Seconds since 1970."""
        return self.time_ns / 1e9

    def __str__(self) -> str:
        said = self.problem or ("" if self.content is None else _update(self.content)
                                if isinstance(self.content, Wire) else str(self.content))  # fmt: skip
        return f"{self.sender} → {self.receiver}  {self.kind}" + (f": {said}" if said else "")


def messages_of(capture: Iterable[Frame]) -> list[Captured]:
    """Return the messages of every BGP session in a capture, both directions, in the order in which they were whole.

    Port numbers do not matter: a TCP stream in which sixteen bytes of ff stand where a message begins is BGP. Repeated
    segments count once; a message that is damaged, cut off or not in the capture has a sentence in `problem`.
    """
    if isinstance(capture, str) or not isinstance(capture, Iterable):
        raise CourseError('A capture is what recording("bgp-session").capture("router:sw1") returns; '
                          f"{type(capture).__name__} was given.")  # fmt: skip
    found: list[Captured] = []
    connections: dict[int, list[Stream]] = {}
    for stream in streams(capture):
        connections.setdefault(stream.connection, []).append(stream)
    for both in connections.values():
        cut = [(stream, list(_cut(stream))) for stream in both if _is_bgp(stream)]
        opened = {stream.sender: message.content for stream, messages in cut for message in messages
                  if isinstance(message.content, Open)}  # fmt: skip
        for stream, messages in cut:
            sends, takes = opened.get(stream.sender), opened.get(stream.receiver)
            found += [_with_update(message, sends, takes) if message.kind == "UPDATE" else message
                      for message in messages]  # fmt: skip
    return sorted(found, key=lambda message: (message.time_ns, message.last_frame))


def _is_bgp(stream: Stream) -> bool:
    first = stream.runs[0]
    if first.missed == 0:
        return first.data[:16] == MARKER[: len(first.data)]
    return any(MARKER in run.data for run in stream.runs)


def _cut(stream: Stream) -> Iterator[Captured]:
    """Yield the messages of a stream, UPDATEs not read yet, and a row wherever bytes are missing."""
    latest = 0, 0  # what TCP hands over waits for all that was sent before it

    def row(at: int, end: int, kind: str, said: Content | None, problem: str | None) -> Captured:
        nonlocal latest
        places = {at, *(start for start in run.starts if at < start < end)}
        latest = max(latest, *((run.origin(place).time_ns, run.origin(place).frame) for place in places))
        first = run.origin(at)
        return Captured(latest[0], stream.sender[0], stream.receiver[0], stream.connection, kind, said,
                        run.data[at:end], first.frame, first.offset, latest[1], problem)  # fmt: skip

    for run in stream.runs:
        at, data = 0, run.data
        if run.missed != 0:
            at = data.find(MARKER)
            at = len(data) if at < 0 else at
            lost = "bytes" if run.missed is None else f"{run.missed} bytes"
            told = f", and with them the beginning of a message of which {at} bytes are here" if at else ""
            if run.missed or at:
                yield row(0, at, MISSING, None, f"the capture does not hold {lost} before these{told}.")
        while at < len(data):
            size = int.from_bytes(data[at + 16 : at + 18], "big") if len(data) >= at + 18 else None
            if data[at : at + 16] != MARKER[: len(data) - at] or (size is not None and size < 19):
                yield row(at, len(data), MISSING, None, f"no BGP message begins here: {data[at : at + 19].hex(' ')}.")
                return
            kind = "message" if len(data) < at + 19 else TYPES.get(data[at + 18], f"type {data[at + 18]}")
            if size is None or at + size > len(data):
                there = f"only {len(data) - at} of its {size or 'unknown'} bytes are in the capture."
                yield row(at, len(data), kind, None, there)
                break
            try:
                said, problem = content(kind, data[at + 19 : at + size]), None
            except (IndexError, ValueError) as error:
                why = "it ends too early" if isinstance(error, IndexError) else error
                said, problem = None, f"this {kind} of {size} bytes is damaged: {why}."
            yield row(at, at + size, kind, said, problem)
            at += size


def content(kind: str, body: bytes) -> Content | None:
    """Read the body of anything but an UPDATE, whose reading needs more; ValueError or IndexError if it is damaged."""
    if kind == "OPEN":
        return _open(body)
    if kind == "NOTIFICATION":
        return Notification(body[0], body[1], body[2:])
    if kind == "ROUTE-REFRESH":
        return RouteRefresh(int.from_bytes(body[:2], "big"), body[3], body[2])
    return None


def _open(body: bytes) -> Open:
    if len(body) < 10:
        raise ValueError("it ends before its optional parameters")
    asn, at, size, wide = int.from_bytes(body[1:3], "big"), 10, body[9], 1
    if size == 255 and body[10:11] == b"\xff":  # RFC 9072: longer lengths follow
        at, size, wide = 13, int.from_bytes(body[11:13], "big"), 2
    if at + size != len(body):
        raise ValueError(f"its optional parameters shall have {size} bytes and have {len(body) - at}")
    found: list[tuple[int, bytes]] = []
    while at < len(body):
        kind, length = body[at], int.from_bytes(body[at + 1 : at + 1 + wide], "big")
        at += 1 + wide
        place, at = at, at + length
        while kind == 2 and place < at:
            found.append((body[place], body[place + 2 : place + 2 + body[place + 1]]))
            place += 2 + body[place + 1]
        if at > len(body) or place > at:
            raise ValueError("a capability is longer than the list")
    whole = next((value for code, value in found if code == 65 and len(value) == 4), None)
    return Open(body[0], int.from_bytes(whole, "big") if whole else asn, int.from_bytes(body[3:5], "big"),
                str(IPv4Address(body[5:9])), tuple(found))  # fmt: skip


def _with_update(message: Captured, sends: Open | None, takes: Open | None) -> Captured:
    """Return an UPDATE with its content, read as the two OPENs agreed."""
    if message.problem:
        return message
    add_path, four = None, True
    if sends and takes:
        add_path = bool(_add_path(sends) & 2 and _add_path(takes) & 1)
        four = bool(sends.values(65) and takes.values(65))
    try:
        content, problem = read_update(message.data, add_path, four), None
    except CourseError as error:
        content, problem = None, str(error)
    return Captured(message.time_ns, message.sender, message.receiver, message.connection, message.kind, content,
                    message.data, message.frame, message.offset, message.last_frame, problem)  # fmt: skip


def _add_path(said: Open) -> int:
    """Return what an OPEN says of ADD-PATH for IPv4 unicast: 1 receives, 2 sends, 3 both (RFC 7911 §4)."""
    families = [value[i : i + 4] for value in said.values(69) for i in range(0, len(value), 4)]
    return next((family[3] for family in families if family[:3] == b"\0\1\1" and len(family) == 4), 0)


def _update(content: Wire) -> str:
    if content.end_of_rib:
        return "End-of-RIB"
    parts = []
    if content.withdrawn:
        parts.append(f"withdraws {', '.join(_prefix(*one) for one in content.withdrawn)}")
    if content.announced and content.attributes:
        a = content.attributes
        path = " ".join("{" + " ".join(map(str, sorted(h))) + "}" if isinstance(h, frozenset) else str(h)
                        for h in a.as_path)  # fmt: skip
        words = [f"next hop {a.next_hop}", f"AS path {path or '-'}", f"origin {a.origin}"]
        words += [f"{name} {value}" for name, value in (
            ("LOCAL_PREF", a.local_pref), ("MED", a.med), ("ORIGINATOR_ID", a.originator_id),
            ("CLUSTER_LIST", " ".join(a.cluster_list) or None), ("communities", " ".join(a.communities) or None),
            ("OTC", a.otc)) if value is not None]  # fmt: skip
        parts.append(f"announces {', '.join(_prefix(*one) for one in content.announced)}: {', '.join(words)}")
    return "; ".join(parts)


def _prefix(prefix: str, path_id: int) -> str:
    return f"{prefix} (path {path_id})" if path_id else prefix
