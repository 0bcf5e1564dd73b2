"""What the kernel leaves to the network card, so that a capture on the sending node shows half-finished packets.

Checksums: the field then holds a seed, the sum of the pseudo-header, and the card adds the rest (CHECKSUM_PARTIAL,
Documentation/networking/checksum-offloads). Segments: one packet of up to 64 KiB, which is cut on its way out.
"""

from __future__ import annotations

from coursekit.errors import CourseError
from coursekit.packets.ip import MF, OFFSET, header_length, internet_checksum, with_checksum

TCP, UDP = 6, 17


def pseudo_header(source: bytes, target: bytes, protocol: int, length: int) -> bytes:
    """Return the pseudo-header that TCP and UDP checksums cover, 32-bit length as in RFC 8200 §8.1: sums are equal."""
    return source + target + length.to_bytes(4, "big") + protocol.to_bytes(4, "big")


def seed(source: bytes, target: bytes, protocol: int, length: int) -> int:
    """Return what a checksum field holds while the rest is left to the card: the pseudo-header's sum."""
    return internet_checksum(pseudo_header(source, target, protocol, length)) ^ 0xFFFF


def udp_checksum(datagram: bytes, packet: bytes, source: bytes, target: bytes, offload: bool = False) -> int:
    """Return the outer UDP checksum (RFC 768) of a VXLAN datagram that ends with the inner IP packet `packet`.

    With `offload` it is the seed, as udp_set_csum writes it. Where the inner checksum is itself left to the card, the
    kernel knows what the packet will sum up to and finishes the outer checksum at once (local checksum offload).
    """
    finished = finish_checksum(packet)
    if offload and finished == packet:
        return seed(source, target, UDP, len(datagram))
    body = datagram[: len(datagram) - len(packet)] + finished
    return internet_checksum(pseudo_header(source, target, UDP, len(datagram)) + body) or 0xFFFF


def finish_checksum(packet: bytes) -> bytes:
    """Return the packet with its TCP or UDP checksum filled in, if that was left to the card; unchanged otherwise."""
    if not packet:
        return packet
    if packet[0] >> 4 == 4:
        start, protocol, source, target = header_length(packet), packet[9], packet[12:16], packet[16:20]
        end = int.from_bytes(packet[2:4], "big")
        whole = not int.from_bytes(packet[6:8], "big") & (MF | OFFSET)
    else:
        start, protocol, source, target = 40, packet[6], packet[8:24], packet[24:40]
        end, whole = 40 + int.from_bytes(packet[4:6], "big"), True
    place = start + {TCP: 16, UDP: 6}.get(protocol, 0)
    if place == start or not whole or not place + 2 <= end <= len(packet):
        return packet
    if int.from_bytes(packet[place : place + 2], "big") != seed(source, target, protocol, end - start):
        return packet
    bare = packet[:place] + b"\0\0" + packet[place + 2 :]
    checksum = internet_checksum(pseudo_header(source, target, protocol, end - start) + bare[start:end])
    if protocol == UDP:
        checksum = checksum or 0xFFFF
    return packet[:place] + checksum.to_bytes(2, "big") + packet[place + 2 :]


def segment(packet: bytes, size: int) -> list[bytes]:
    """Return a TCP super-segment as the segments of `size` bytes of data that it is cut into (tcp_gso_segment).

    IPv4 identifications count up, sequence numbers go on, FIN and PSH stay with the last segment, CWR with the
    first. Raises CourseError for what is not TCP.
    """
    start = header_length(packet)
    version = packet[0] >> 4
    if packet[9 if version == 4 else 6] != TCP or len(packet) < start + 20 or size < 1:
        raise CourseError("Only a TCP segment is cut into segments; give the number of data bytes in each, at least 1.")
    behind = start + 4 * (packet[start + 12] >> 4)
    data = packet[behind:]
    segments = []
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        header = bytearray(packet[:behind])
        length = behind + len(piece)
        if version == 4:
            header[2:4] = length.to_bytes(2, "big")
            header[4:6] = ((int.from_bytes(packet[4:6], "big") + at // size) & 0xFFFF).to_bytes(2, "big")
            header[:start] = with_checksum(bytes(header[:start]))
            source, target = packet[12:16], packet[16:20]
        else:
            header[4:6] = (length - 40).to_bytes(2, "big")
            source, target = packet[8:24], packet[24:40]
        sequence = int.from_bytes(packet[start + 4 : start + 8], "big") + at
        header[start + 4 : start + 8] = (sequence & 0xFFFFFFFF).to_bytes(4, "big")
        if at + size < len(data):
            header[start + 13] &= ~0x09
        if at:
            header[start + 13] &= ~0x80
        header[start + 16 : start + 18] = seed(source, target, TCP, length - start).to_bytes(2, "big")
        segments.append(finish_checksum(bytes(header) + piece))
    return segments or [packet]
