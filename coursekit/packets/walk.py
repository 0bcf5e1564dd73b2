"""Walk through a frame from its first byte to its last, and note every field with its place.

The course has its own layout, a table per header, instead of scapy's field walk. scapy dissects well but does
not keep positions: conditional fields, options, flags and padding have to be re-measured from outside, its
option names depend on the host's /etc files, it raises on some mangled frames, and it reads only the first of
several BGP capabilities. A table row (key, name, width, how to show it, what it means) is both the
documentation that a learner reads and the only place where a width is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from coursekit.packets.fields import Field, Layer

Show = Callable[[Any], str]


class Stop(Exception):  # noqa: N818 - not an error: the sentence that ends a partial dissection
    """Ends the dissection; the message is the sentence for `Dissection.stopped`."""


@dataclass(frozen=True, slots=True)
class Part:
    """One row of a header table. `show` turns the raw value into text; `raw` is bytes where `octets` is true."""

    key: str
    name: str
    width: int  # bits
    show: Show = str
    meaning: str | Show = ""
    octets: bool = False
    source: str = ""


class Table:
    """The fixed part of a header: parts in wire order, together a whole number of bytes."""

    __slots__ = ("rows", "size")

    def __init__(self, source: str, *parts: Part) -> None:
        total = sum(part.width for part in parts)
        assert total % 8 == 0, f"{parts[0].key}: {total} bits are not whole bytes"
        self.size = total // 8
        self.rows: list[tuple[Part, int, int, int, str]] = []
        offset = 0
        for part in parts:
            shift = total - offset - part.width
            self.rows.append((part, offset, shift, (1 << part.width) - 1, part.source or source))
            offset += part.width


@dataclass(slots=True)
class Draft:
    """A layer that is still being written."""

    key: str
    name: str
    depth: int
    start: int
    source: str
    fields: list[Field] = field(default_factory=list)
    summary: str = ""

    def finished(self) -> Layer:
        """Return the layer with the extent of its fields."""
        end = self.fields[-1].bit_offset + self.fields[-1].width if self.fields else self.start * 8
        return Layer(
            self.key, self.name, self.depth, self.start * 8, end - self.start * 8,
            tuple(self.fields), self.summary, self.source,
        )


@dataclass(slots=True)
class Check:
    """A checksum to verify once the whole frame has been walked. Bytes `start` to `end`, plus `pseudo`."""

    fields: list[Field]
    index: int
    start: int
    end: int
    pseudo: int | None  # the pseudo-header's sum; None where the protocol has none
    obstacle: str  # why it cannot be verified, or ""
    zero_means_none: bool = False


class Walk:
    """The state of one dissection: where we are, where the current packet ends, what has been read."""

    def __init__(self, data: bytes, ports: Mapping[int, str]) -> None:
        self.data = data
        self.ports = ports
        self.position = 0
        self.end = len(data)
        self.depth = 0
        self.layers: list[Draft] = []
        self.checks: list[Check] = []
        self.outer_ends: list[tuple[int, int, bool]] = []  # bytes after a packet: where they end, depth, Ethernet?
        self.sentences: list[str] = []
        self.quoted = False  # inside the packet that an ICMP error quotes
        self.fragment = False  # inside a fragment: lengths and checksums speak of the whole packet
        self.short = False  # a length field points behind the last byte
        self.partial = False  # the message goes on in the next segment
        self.routed = False  # source routing: the destination in the header is not the last one
        self.pseudo: Callable[[int, int], int] = lambda protocol, length: 0

    @property
    def left(self) -> int:
        """Bytes left in the current packet."""
        return self.end - self.position

    @property
    def obstacle(self) -> str:
        """Why a checksum of the current packet cannot be verified, or ''."""
        if self.fragment:
            return "cannot be verified: fragment, the checksum covers the whole packet"
        if self.routed:
            return "cannot be verified: source routing, the checksum speaks of the last destination"
        return "cannot be verified: cut short, some of the bytes it covers are not here" if self.short else ""

    def begin(self, key: str, name: str, source: str = "") -> Draft:
        """Start a new layer at the current position."""
        draft = Draft(key, name, self.depth, self.position, source)
        self.layers.append(draft)
        return draft

    def take(self, table: Table) -> list[Any]:
        """Read the table's fields; return their raw values. Raise Stop, after what is there, if bytes are missing."""
        layer = self.layers[-1]
        size, start = table.size, self.position
        fields, base = layer.fields, start * 8
        window = self.data[start : min(start + size, self.end)]
        missing = size - len(window)
        number = int.from_bytes(window, "big") << (8 * missing)
        values: list[Any] = []
        reached = 0
        for part, offset, shift, mask, source in table.rows:
            if missing and offset + part.width > 8 * len(window):
                break
            raw: Any = number >> shift & mask
            if part.octets:
                raw = raw.to_bytes(part.width // 8, "big")
            meaning = part.meaning
            fields.append(
                Field(
                    part.key, part.name, base + offset, part.width, raw, part.show(raw),
                    meaning if isinstance(meaning, str) else meaning(raw), source,
                )
            )
            values.append(raw)
            reached = offset + part.width
        if missing:
            while fields and (fields[-1].bit_offset + fields[-1].width) % 8 and fields[-1].bit_offset >= base:
                reached -= fields.pop().width  # half a byte is no place to go on from
            self.position = start + max(reached, 0) // 8
            raise Stop(
                f"The {layer.name} header at byte {layer.start} is cut short: "
                f"{size} bytes were expected at byte {start}, {len(window)} are there{self.whose}."
            )
        self.position = start + size
        return values

    @property
    def whose(self) -> str:
        """Say whose shortage it is: an ICMP error quotes only the beginning of a packet."""
        if self.quoted:
            return " (an ICMP error quotes only the beginning of a packet)"
        return " (a fragment carries only a part of its packet)" if self.fragment else ""

    def one(
        self, key: str, name: str, size: int, show: Show = str, meaning: str | Show = "", source: str = "",
        *, octets: bool = False,
    ) -> Any:
        """Read one field of `size` bytes, none if that is zero; return its raw value."""
        layer = self.layers[-1]
        if not size:
            return b"" if octets else 0
        if size > self.left:
            raise Stop(
                f"The {layer.name} at byte {layer.start} is cut short: the field “{name}” at byte "
                f"{self.position} has {size} bytes, {self.left} are left{self.whose}."
            )
        window = self.data[self.position : self.position + size]
        raw: Any = window if octets else int.from_bytes(window, "big")
        text = meaning if isinstance(meaning, str) else meaning(raw)
        layer.fields.append(
            Field(key, name, self.position * 8, size * 8, raw, show(raw), text, source or layer.source)
        )
        self.position += size
        return raw

    def check(
        self, index: int, start: int, end: int, pseudo: int | None = None, *, zero_means_none: bool = False
    ) -> None:
        """Have the checksum in field `index` of the current layer verified at the end."""
        fields = self.layers[-1].fields
        self.checks.append(Check(fields, index, start, end, pseudo, self.obstacle, zero_means_none))

    def limit(self, end: int, said_by: str) -> None:
        """Let the current packet end at byte `end`, as a length field says; what follows belongs to the outer one."""
        if end > self.end:
            if not (self.quoted or self.fragment or self.short):
                whole = "frame" if self.end == len(self.data) else "packet around it"
                self.sentences.append(
                    f"The {said_by} goes on to byte {end}, but the {whole} ends at byte {self.end}: "
                    f"{end - self.end} bytes are missing."
                )
            self.short = True
        elif end < self.end:
            ethernet = len(self.layers) > 1 and self.layers[-2].key in ("eth", "vlan", "llc")
            self.outer_ends.append((self.end, self.depth, ethernet))
            self.end = end

    @contextmanager
    def bound(self, size: int, what: str) -> Iterator[None]:
        """Read inside the next `size` bytes only; what the reader leaves becomes a field of its own."""
        if size > self.left and self.partial:
            size = self.left
        if size > self.left:
            raise Stop(
                f"The {what} at byte {self.position} is {size} bytes long by its own length field, "
                f"but {self.left} are left{self.whose}."
            )
        outer, self.end = self.end, self.position + size
        try:
            yield
            if self.left:
                self.one("data.data", "Rest", self.left, octet_text, f"Bytes of the {what} that are not read further.",
                         octets=True)
        finally:
            self.end = outer

    def rest(self, name: str, meaning: str, layer: str = "data", key: str = "data.data") -> None:
        """Put what is left of the current packet into a layer of its own."""
        if self.left:
            draft = self.begin(layer, name)
            draft.summary = f"{self.left} byte{'s' if self.left > 1 else ''}"
            self.one(key, name, self.left, octet_text, meaning, octets=True)


def octet_text(raw: bytes) -> str:
    """Show bytes: as text where they are text, as hexadecimal digits otherwise, shortened."""
    head = raw[:24]
    if len(raw) >= 4 and all(32 <= byte < 127 or byte in (9, 10, 13) for byte in head):
        text = repr(head.decode("ascii"))
    else:
        text = head.hex()
    return text + ("…" if len(raw) > len(head) else "")


def words(raw: bytes) -> str:
    """Show a name that came over the network: no control character reaches a terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in raw.decode("utf-8", "replace"))


def named(names: Mapping[int, str], digits: int = 0) -> Show:
    """Show a number with its name, decimal, or hexadecimal with that many digits."""

    def show(raw: int) -> str:
        number = f"0x{raw:0{digits}x}" if digits else str(raw)
        return f"{number} ({names[raw]})" if raw in names else number

    return show


def hexed(digits: int) -> Show:
    """Show a number in hexadecimal with that many digits."""
    return lambda raw: f"0x{raw:0{digits}x}"


def flag(raw: int) -> str:
    """Show a single bit."""
    return "1 (set)" if raw else "0 (not set)"


def meant(clear: str, is_set: str) -> Show:
    """Explain a single bit by its value."""
    return lambda raw: is_set if raw else clear


def mac(raw: bytes) -> str:
    """Show a MAC address as `ip link` does."""
    return raw.hex(":")


def ipv4(raw: bytes) -> str:
    """Show an IPv4 address."""
    return f"{raw[0]}.{raw[1]}.{raw[2]}.{raw[3]}"


def join(parts: Sequence[str]) -> str:
    """Join the parts of a summary that are not empty."""
    return ", ".join(part for part in parts if part)
