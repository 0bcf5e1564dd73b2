"""Packets that people send to find out: ping's echo request, traceroute's UDP datagram, a TCP segment.

Byte for byte what iputils ping and Linux traceroute put on the wire, given the values they draw; and what a host
answers them with.
"""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from coursekit.cluster.datagram import Datagram
from coursekit.cluster.given import check_ping
from coursekit.cluster.tables import Address
from coursekit.errors import CourseError

TRACEROUTE_PORT = 33434  # traceroute's first destination port; each probe takes the next


@dataclass(frozen=True)
class Probe:
    """An IP packet to send. `may_fragment`: the sender's stack may clear DF and fragment (ping without -M do)."""

    packet: bytes
    may_fragment: bool = True


def echo_request(
    src: Address, dst: Address, *, size: int = 56, df: bool = True, ttl: int = 64, tos: int = 0,
    ident: int = 1, seq: int = 1, ip_id: int = 1, payload: bytes | None = None,
) -> bytes:  # fmt: skip
    """Return ping's echo request with `size` bytes of data.

    ping's data are 16 bytes of time (zero here), then 0x10, 0x11, …; `payload` replaces them. Raises CourseError for
    a size that fits in no IP packet.
    """
    check_ping(size, df, ttl, tos)
    data = payload if payload is not None else (bytes(16) + bytes(i & 0xFF for i in range(16, size)))[:size]
    if src.version == 6:
        return bytes(_ip(src, dst, ttl, tos, 0, False) / ICMPv6EchoRequest(id=ident, seq=seq, data=data))
    return bytes(_ip(src, dst, ttl, tos, ip_id, df) / ICMP(type=8, code=0, id=ident, seq=seq) / Raw(data))


def udp_probe(
    src: Address,
    dst: Address,
    *,
    sport: int,
    dport: int = TRACEROUTE_PORT,
    ttl: int = 64,
    ip_id: int = 1,
    size: int = 32,
) -> bytes:
    """Return a UDP datagram as `traceroute -n` sends it: `size` bytes of data counting up from 0x40, DF clear."""
    data = bytes((0x40 + i) & 0x7F for i in range(size))
    return bytes(_ip(src, dst, ttl, 0, ip_id, False) / UDP(sport=sport, dport=dport) / Raw(data))


def tcp_segment(
    src: Address, dst: Address, *, sport: int = 40000, dport: int = 80, flags: str = "S", size: int = 0, ttl: int = 64,
    seq: int = 0, ack: int = 0, window: int = 64240, mss: int | None = None, ip_id: int = 1,
) -> bytes:  # fmt: skip
    """Return a TCP segment with `size` bytes of data, DF set as Linux does; a SYN offers `mss` if given."""
    options = [("MSS", mss)] if mss is not None and "S" in flags else []
    segment = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=window, options=options)
    return bytes(_ip(src, dst, ttl, 0, ip_id, True) / segment / Raw(b"x" * size))


def _ip(src: Address, dst: Address, ttl: int, tos: int, ip_id: int, df: bool) -> Packet:
    if src.version != dst.version:
        raise CourseError(f"{src} and {dst} are of different IP versions; a packet has one.")
    if not 1 <= ttl <= 255:
        raise CourseError(f"A packet starts with a TTL of 1 to 255; {ttl} was asked for.")
    if src.version == 6:
        return IPv6(src=str(src), dst=str(dst), hlim=ttl, tc=tos)
    return IP(src=str(src), dst=str(dst), ttl=ttl, tos=tos, id=ip_id, flags="DF" if df else 0)


def echo_reply(request: Datagram, ip_id: int) -> bytes:
    """Return a host's answer to an echo request: same data and TOS, TTL 64, DF clear (Linux icmp_reply)."""
    body = request.payload
    ident, seq = int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big")
    if request.version == 6:
        echo = ICMPv6EchoReply(id=ident, seq=seq, data=body[8:])
        return bytes(_ip(request.dst, request.src, 64, request.tos, 0, False) / echo)
    reply = ICMP(type=0, code=0, id=ident, seq=seq) / Raw(body[8:])
    return bytes(_ip(request.dst, request.src, 64, request.tos, ip_id, False) / reply)


def reset(segment: Datagram) -> bytes:
    """Return the RST for a segment to a closed port (RFC 9293 §3.5.2): Linux sends it with IP id 0 and DF."""
    tcp = TCP(segment.payload)
    length = len(tcp.payload) + (1 if "S" in tcp.flags else 0) + (1 if "F" in tcp.flags else 0)
    if "A" in tcp.flags:
        answer = TCP(sport=tcp.dport, dport=tcp.sport, flags="R", seq=tcp.ack, ack=0, window=0)
    else:
        answer = TCP(sport=tcp.dport, dport=tcp.sport, flags="RA", seq=0, ack=(tcp.seq + length) & 0xFFFFFFFF, window=0)
    return bytes(_ip(segment.dst, segment.src, 64, 0, 0, True) / answer)


def syn_ack(syn: Datagram, *, mss: int, sequence: int, timestamp: int, window: int, window_scale: int) -> bytes:
    """Return a listener's answer to a SYN: the options that the SYN offered, in Linux's order, IP id 0 and DF."""
    tcp = TCP(syn.payload)
    offered = dict(tcp.options)
    options: list[tuple[str, object]] = [("MSS", mss)]
    if "SAckOK" in offered and "Timestamp" in offered:
        options.append(("SAckOK", b""))
    if "Timestamp" in offered:
        options.append(("Timestamp", (timestamp, offered["Timestamp"][0])))
    elif "SAckOK" in offered:
        options += [("NOP", None), ("NOP", None), ("SAckOK", b"")]
    if "WScale" in offered:
        options += [("NOP", None), ("WScale", window_scale)]
    answer = TCP(
        sport=tcp.dport, dport=tcp.sport, flags="SA", seq=sequence, ack=(tcp.seq + 1) & 0xFFFFFFFF, window=window,
        options=options,
    )  # fmt: skip
    return bytes(_ip(syn.dst, syn.src, 64, 0, 0, True) / answer)
