"""What a router does to an IP packet: count the hop, and cut it when it is too big for the next link.

Works on bytes, because options, padding and wrong checksums must come through as the kernel lets them through.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from coursekit.errors import CourseError, octets

MAX_PACKET = 65_535
IP_PACKET = "An IP packet is bytes, such as frame.data[14:] of an Ethernet frame"
DF, MF, OFFSET = 0x4000, 0x2000, 0x1FFF


def internet_checksum(data: bytes) -> int:
    """Return the one's complement of the one's complement sum of `data` (RFC 1071)."""
    number = int.from_bytes(data, "big") << 8 * (len(data) % 2)
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))  # 0x10000 is 1 modulo 0xffff: all words add up


def header_length(packet: bytes) -> int:
    """Return the length of the IP header in bytes: IHL for IPv4, 40 for IPv6; CourseError if there is none."""
    version = packet[0] >> 4 if packet else 0
    size = 4 * (packet[0] & 15) if version == 4 else 40
    if version not in (4, 6) or size < 20 or len(packet) < size:
        raise CourseError(
            f"An IP packet was expected; these {len(packet)} bytes do not begin with an IPv4 or IPv6 header: "
            f"{packet[:20].hex(' ') or 'nothing'}."
        )
    return size


def with_checksum(header: bytes) -> bytes:
    """Return an IPv4 header with its checksum computed afresh."""
    return header[:10] + internet_checksum(header[:10] + b"\0\0" + header[12:]).to_bytes(2, "big") + header[12:]


def forward(packet: bytes) -> bytes:
    """Return the packet as it is after one router: TTL or hop limit one less.

    The checksum is adjusted, not recomputed, as the kernel does (ip_decrease_ttl, RFC 1141), so that a wrong one
    stays wrong. Raises CourseError when the packet dies here, its TTL being 1 or 0.
    """
    packet = octets(packet, IP_PACKET)
    header_length(packet)
    place = 8 if packet[0] >> 4 == 4 else 7
    if packet[place] <= 1:
        raise CourseError(
            f"A router does not forward a packet whose TTL is {packet[place]}: it drops it and answers with "
            "ICMP Time Exceeded. Start with a higher TTL."
        )
    shorter = bytes([packet[place] - 1])
    if place == 7:
        return packet[:7] + shorter + packet[8:]
    checksum = int.from_bytes(packet[10:12], "big") + 0x0100
    checksum = (checksum + (checksum >= 0xFFFF)) & 0xFFFF
    return packet[:8] + shorter + packet[9:10] + checksum.to_bytes(2, "big") + packet[12:]


def fragment(packet: bytes, mtu: int, ip_id: int | None = None, came_as: Sequence[int] = ()) -> list[bytes]:
    """Return the IPv4 packet in fragments of at most `mtu` bytes each, as the kernel cuts it (ip_do_fragment).

    Every fragment but the last carries a multiple of 8 bytes (RFC 791 §3.2). A fragment can be cut again. `ip_id`
    replaces the identification. `came_as` are the bytes of data in the fragments that this host put together: where
    all of them fit, the kernel cuts in the same places. Raises CourseError for a packet that may not be cut: Don't
    Fragment, or IPv6.
    """
    size = header_length(packet)
    total = int.from_bytes(packet[2:4], "big") if packet[0] >> 4 == 4 else len(packet)
    packet = packet[:total] if size <= total <= len(packet) else packet
    if packet[0] >> 4 == 4 and ip_id is not None:
        packet = with_checksum(packet[:4] + ip_id.to_bytes(2, "big") + packet[6:size]) + packet[size:]
    if len(packet) <= mtu:
        return [packet]
    if packet[0] >> 4 == 6:
        raise CourseError(
            f"No router cuts an IPv6 packet (RFC 8200 §5): {len(packet)} bytes do not pass an MTU of {mtu}, the sender "
            "is told so by ICMPv6 Packet Too Big."
        )
    flags = int.from_bytes(packet[6:8], "big")
    if flags & DF:
        raise CourseError(
            f"The packet of {len(packet)} bytes says Don't Fragment and does not pass an MTU of {mtu}: a router drops "
            "it and answers with ICMP Fragmentation Needed."
        )
    step = (mtu - size) // 8 * 8
    if step < 8:
        raise CourseError(f"An MTU of {mtu} has no room for data behind a header of {size} bytes; {size + 8} has.")
    payload = packet[size:]
    again = sum(came_as) == len(payload) and max(came_as, default=0) <= mtu - size
    starts = [*accumulate(came_as[:-1], initial=0)] if again else [*range(0, len(payload), step)]
    pieces = []
    for start, stop in zip(starts, [*starts[1:], len(payload)], strict=True):
        # the kernel gives what still fits whole, and rounds down only what it cuts
        last = stop == len(payload) if again else len(payload) - start <= mtu - size
        piece = payload[start:] if last else payload[start:stop]
        header = packet[:size] if start == 0 else packet[:20] + _copied_options(packet[20:size])
        more = MF if not last or flags & MF else 0
        place = (flags & ~(OFFSET | MF)) | more | ((flags & OFFSET) + start // 8)
        length = size + len(piece)
        pieces.append(
            with_checksum(header[:2] + length.to_bytes(2, "big") + header[4:6] + place.to_bytes(2, "big") + header[8:])
            + piece
        )
        if last:
            break
    return pieces


def _copied_options(options: bytes) -> bytes:
    """Return a later fragment's options: those without the copied bit become No-Operation (ip_options_fragment)."""
    kept = bytearray(options)
    at = 0
    while at < len(kept) and kept[at] != 0:
        if kept[at] == 1:
            at += 1
            continue
        size = kept[at + 1] if at + 1 < len(kept) else 0
        if size < 2 or at + size > len(kept):
            break
        if not kept[at] & 0x80:
            kept[at : at + size] = b"\x01" * size
        at += size
    return bytes(kept)
