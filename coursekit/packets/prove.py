"""The proof: rebuild the frames outside a tunnel from those inside it, and compare every field.

What an encapsulation leaves open is learned from the outside capture (learning.py); what the kernel draws at random
(IP identification, UDP source port) is taken from each frame. All the rest is predicted, so one wrong bit shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from coursekit.errors import CourseError
from coursekit.packets.capture import Capture, Frame
from coursekit.packets.compare import first_difference
from coursekit.packets.encapsulation import Encapsulation, encapsulate_frame
from coursekit.packets.ip import forward, fragment
from coursekit.packets.learning import Learned, ends, entering, learn
from coursekit.packets.matching import Inside, Match, inside_packets, match
from coursekit.packets.offload import UDP, finish_checksum, seed
from coursekit.packets.pieces import ENVELOPE, link_size


@dataclass(frozen=True)
class Mismatch:
    """A frame that is not as predicted: its first differing field, by Wireshark's key and by name."""

    inside_frame: int
    outside_frame: int
    field: str
    name: str
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        return (
            f"frame {self.outside_frame} (inside: {self.inside_frame}): {self.name} ({self.field}) should be "
            f"{self.expected or 'absent'}, is {self.found or 'absent'}"
        )


@dataclass(frozen=True)
class Proof:
    """The outcome. `not_seen_outside` counts inside packets that no outside frame carries, `outside_unmatched` others.

    `expected` and `found` of a difference are the field's value as `dissect` shows it, or its bits in hexadecimal.
    """

    profile: str
    inside: str
    outside: str
    learned: dict[str, Any]
    compared: int
    identical: int
    different: tuple[Mismatch, ...]
    not_seen_outside: int
    outside_unmatched: int
    notes: tuple[str, ...] = field(default=())

    @property
    def proved(self) -> bool:
        """Whether at least one frame was compared and all were identical."""
        return self.compared == self.identical > 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready data."""
        return {
            **{key: getattr(self, key) for key in ("profile", "inside", "outside", "learned", "compared", "identical")},
            "different": [vars(item) for item in self.different],
            "not_seen_outside": self.not_seen_outside, "outside_unmatched": self.outside_unmatched,
            "proved": self.proved, "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"{self.profile}: {self.compared} frames compared, {self.identical} identical byte for byte"]
        lines += [f"  {item}" for item in self.different]
        if self.not_seen_outside or self.outside_unmatched:
            lines.append(
                f"  not compared: {self.not_seen_outside} inside packets that no outside frame carries, "
                f"{self.outside_unmatched} outside frames that carry no inside packet"
            )
        lines += [f"  learned: {key} {value}" for key, value in self.learned.items()]
        return "\n".join([*lines, *self.notes])


def prove(
    inside: Capture, outside: Capture, encap: Encapsulation, *, vni: int | None = None, port: int | None = None,
    src: str | None = None, dst: str | None = None, ttl: int | None = None, df: str | None = None,
    udp_checksum: bool | None = None, hops: int = 0,
) -> Proof:
    """Rebuild the frames of `outside` from those of `inside` that enter a tunnel there, and compare them.

    `inside` is taken at a pod, at its host's end, or at the tunnel device itself; `outside` where the envelope is on,
    `hops` routers further (0: on the node's link). Everything else that is given is not learned but demanded: VNI and
    UDP port, node addresses, TTL, DF, and whether the UDP checksum is computed. Raises CourseError for what cannot be.
    """
    for which, text in (("src", src), ("dst", dst)):
        try:
            ip_address(text or "0.0.0.0")
        except ValueError:
            raise CourseError(f"{which} must be the IP address of a node; {text!r} was given.") from None
    if not 0 <= hops <= 254:
        raise CourseError(f"hops is how many routers are between node and capture, 0 to 254; {hops!r} was given.")
    fixed = {"vni": vni, "port": port, "ttl": ttl, "df": df, "udp_checksum": udp_checksum}
    encap = replace(encap, **{key: value for key, value in fixed.items() if value is not None})  # type: ignore[arg-type]
    packets = [p for p in inside_packets(inside.frames) if encap.kind != "ipip" or p.packet[0] >> 4 == 4]
    frames = [frame for frame in outside.frames if not frame.cut]
    matches = match(packets, frames, encap.kind)
    down = 1 + (hops if encap.kind == "native" else 0)
    coming = entering(matches, src, down)
    numbers = {item.inside.frame.number for item in coming}
    leaving = [item for item in matches if item.inside.frame.number not in numbers]
    learned = learn(coming, leaving, encap, fixed, src, dst)
    different, compared = [], 0
    for item in coming:
        for found, expected in _rebuilt(item, learned, down, hops):
            compared += 1
            body = _trimmed(found, expected)
            wrong = first_difference(expected, body, found.linktype, {learned.encap.port: "vxlan"})
            if wrong:
                different.append(
                    Mismatch(item.inside.frame.number, found.number, wrong.key, wrong.name, wrong.a, wrong.b)
                )
    seen = {item.inside.frame.number for item in matches}
    used = {frame.number for item in matches for frame in item.frames if frame}
    local = {ends(item.inside.packet)[0] for item in coming}
    missing = [p for p in packets if p.frame.number not in seen and ends(p.packet)[1] not in local]
    missing_pieces = sum(frame is None for item in coming for frame in item.frames)
    unmatched = [f for f in frames if f.number not in used and _carries(f, learned.encap)]
    notes = [*learned.notes, *_notes(inside, outside, encap, packets, matches, coming, compared)]
    if not hops and any(item.field in ("ip.ttl", "ipv6.hlim") for item in different):
        notes.append("If the outside capture was taken behind N routers, say --hops N: each lowers the TTL by 1.")
    return Proof(
        encap.name, str(inside.path), str(outside.path), learned.shown(), compared, compared - len(different),
        tuple(different), len(missing) + missing_pieces, len(unmatched), tuple(notes),
    )


def _rebuilt(item: Match, learned: Learned, down: int, hops: int) -> list[tuple[Frame, bytes]]:
    """Return each outside frame of the match with the bytes that it should have."""
    encap, slot = learned.encap, item.slot
    packet = item.inside.packet
    try:
        for _ in range(down - learned.device):
            packet = forward(packet)
    except CourseError:
        return []
    pairs: list[tuple[Frame, bytes]] = []
    for frames, piece in zip(item.parts, item.cut.parts(packet), strict=True):
        seen = next((frame for frame in frames if frame), item.first).data
        finished = finish_checksum(piece)  # captured before the card had finished it, and after
        if finished[20:].startswith(seen[slot.at + 20 : slot.at + len(piece)]):
            piece = finished
        whole = piece
        if encap.kind != "native":
            whole = _enveloped(item, piece, seen, learned)
            for _ in range(hops):
                whole = forward(whole)
        outer = _fragments(whole, item.cut.outer_mtu) if item.cut.outer_mtu else [whole]
        both = zip(frames, outer, strict=False)
        pairs += [(frame, _linked(item, frame, part, learned)) for frame, part in both if frame]
    return pairs


def _fragments(packet: bytes, mtu: int) -> list[bytes]:
    """Return the outer packet in fragments; whole, where the profile would not have it cut."""
    try:
        return fragment(packet, mtu)
    except CourseError:
        return [packet]


def _enveloped(item: Match, packet: bytes, seen: bytes, learned: Learned) -> bytes:
    """Return the outer packet, with IP identification and source port as seen."""
    encap, slot, remote = learned.encap, item.slot, learned.remote(item)
    ethertype = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    inner = packet
    if encap.kind == "vxlan":
        inner = (item.inside.link if learned.device else remote.inner_link + ethertype) + packet
    behind = slot.link + slot.outer
    whole = encapsulate_frame(
        inner, encap, src=ip_address(remote.source), dst=ip_address(remote.target),
        ip_id=int.from_bytes(seen[slot.link + 4 : slot.link + 6], "big"),
        sport=int.from_bytes(seen[behind : behind + 2], "big"),
    )
    if encap.kind == "vxlan" and encap.udp_checksum:
        header = len(whole) - len(inner) - ENVELOPE["vxlan"]
        left = seed(remote.source, remote.target, UDP, len(whole) - header).to_bytes(2, "big")
        if seen[behind + 6 : behind + 8] == left:  # left to the card
            whole = whole[: header + 6] + left + whole[header + 8 :]
    return whole


def _linked(item: Match, found: Frame, packet: bytes, learned: Learned) -> bytes:
    """Return the packet behind the link header that it has on this link."""
    ethertype = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    if found.linktype != "ethernet":
        return found.data[: link_size(found)] + packet
    return learned.remote(item).link + ethertype + packet


def _trimmed(found: Frame, expected: bytes) -> bytes:
    """Return the frame without the zeros with which a card pads a frame that is too short for Ethernet."""
    short = len(expected) < len(found.data) == 60 and not any(found.data[len(expected) :])
    return found.data[: len(expected)] if short else found.data


def _carries(frame: Frame, encap: Encapsulation) -> bool:
    """Tell whether the frame looks like one of that encapsulation."""
    packet = frame.data[link_size(frame) :]
    if len(packet) < 20 or packet[0] >> 4 not in (4, 6):
        return False
    start, protocol = (20, packet[9]) if packet[0] >> 4 == 4 else (40, packet[6])
    if encap.kind == "vxlan":
        later = start == 20 and int.from_bytes(packet[6:8], "big") & 0x1FFF
        return protocol == 17 and bool(later or packet[start + 2 : start + 4] == encap.port.to_bytes(2, "big"))
    return encap.kind == "native" or protocol == 4


def _notes(
    inside: Capture, outside: Capture, encap: Encapsulation, packets: Sequence[Inside], matches: Sequence[Match],
    coming: Sequence[Match], compared: int,
) -> list[str]:
    """Return sentences on what stood in the way."""
    notes = [capture.truncated for capture in (inside, outside) if capture.truncated]
    for capture in (inside, outside):
        cut = sum(frame.cut for frame in capture.frames)
        if cut:
            notes.append(f"{cut} frames of {capture.path.name} were left out: the capture kept only their beginning.")
    if compared:
        return notes
    if not packets:
        notes.append(f"{inside.path.name} holds no whole IP packet, so there is nothing to rebuild.")
    elif matches and not coming:
        notes.append(
            "All packets that both captures show leave the tunnel here; those that enter it were expected. On the "
            "tunnel device itself their times tell: where clocks differ, say --src ADDRESS, the node that encapsulates."
        )
    elif not matches:
        others = [kind for kind in ENVELOPE if kind != encap.kind and match(packets, outside.frames, kind)]
        carried = {"vxlan": "in VXLAN", "ipip": "in IPIP", "native": "as they are"}
        if others:
            notes.append(f"The outside frames hold the inside packets {carried[others[0]]}, not {carried[encap.kind]}.")
        else:
            notes.append(f"No outside frame carries one of the {len(packets)} inside packets {carried[encap.kind]}.")
    return notes
