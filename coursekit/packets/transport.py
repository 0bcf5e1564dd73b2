"""UDP, and TCP with its options one by one."""

from __future__ import annotations

from coursekit.packets.walk import Part, Stop, Table, Walk, flag, hexed, join, meant, named, octet_text

UDP_PORTS = {8472: "vxlan", 4789: "vxlan", 4790: "vxlan-gpe"}
TCP_PORTS = {179: "bgp"}
_OPTIONS = {0: "end of options", 1: "no operation", 2: "maximum segment size", 3: "window scale", 4: "SACK permitted",
            5: "SACK", 8: "timestamps", 19: "MD5 signature", 28: "user timeout", 29: "authentication",
            30: "Multipath TCP", 34: "fast open cookie"}  # fmt: skip

UDP = Table(
    "RFC 768",
    Part("udp.srcport", "Source Port", 16, str,
         "Which socket sent it; a VXLAN sender derives it from the inner flow, so that routers can spread flows."),
    Part("udp.dstport", "Destination Port", 16, str, "Which socket shall get it; VXLAN is 4789, on flannel 8472."),
    Part("udp.length", "Length", 16, str, "Bytes of this header and its payload."),
    Part("udp.checksum", "Checksum", 16, hexed(4), "Covers payload, ports and addresses; zero means not computed."),
)  # fmt: skip
TCP = Table(
    "RFC 9293 §3.1",
    Part("tcp.srcport", "Source Port", 16, str, "Which socket sent it."),
    Part("tcp.dstport", "Destination Port", 16, str, "Which socket shall get it."),
    Part("tcp.seq_raw", "Sequence Number", 32, str, "Number of the first payload byte in the stream."),
    Part("tcp.ack_raw", "Acknowledgment Number", 32, str, "Next byte expected from the other side, if ACK is set."),
    Part("tcp.hdr_len", "Data Offset", 4, lambda raw: f"{raw * 4} bytes ({raw})",
         "Length of this header in 32-bit words; 5 means no options."),
    Part("tcp.flags.res", "Reserved", 3, str, "Must be zero."),
    Part("tcp.flags.ae", "Accurate ECN", 1, flag, "Used by accurate ECN.", source="RFC 9768"),
    Part("tcp.flags.cwr", "Congestion Window Reduced", 1, flag, "The sender has slowed down.", source="RFC 3168 §6.1"),
    Part("tcp.flags.ece", "ECN-Echo", 1, flag, "The receiver saw a congestion mark.", source="RFC 3168 §6.1"),
    Part("tcp.flags.urg", "Urgent", 1, flag, "The urgent pointer counts."),
    Part("tcp.flags.ack", "Acknowledgment", 1, flag, "The acknowledgment number counts."),
    Part("tcp.flags.push", "Push", 1, flag, "Hand the data over without waiting for more."),
    Part("tcp.flags.reset", "Reset", 1, flag, meant("No reset.", "The connection is refused or torn down.")),
    Part("tcp.flags.syn", "Synchronize", 1, flag, meant("Not the start.", "Opens a connection.")),
    Part("tcp.flags.fin", "Finish", 1, flag, meant("More may follow.", "The sender is done.")),
    Part("tcp.window_size_value", "Window", 16, str, "How much the receiver will take, before window scaling."),
    Part("tcp.checksum", "Checksum", 16, hexed(4), "Covers payload, header and a pseudo-header with both addresses."),
    Part("tcp.urgent_pointer", "Urgent Pointer", 16, str, "Where urgent data ends, if URG is set."),
)  # fmt: skip


def udp(walk: Walk) -> str | None:
    """Read a UDP header; the destination port decides what is looked for behind it."""
    start = walk.position
    layer = walk.begin("udp", "UDP", "RFC 768")
    source, destination, length, _ = walk.take(UDP)
    layer.summary = f"{source} → {destination}, {length} bytes"
    if length and length < 8:
        raise Stop(f"The UDP header at byte {start} claims {length} bytes, less than its own 8.")
    end = start + length if length else walk.end  # zero: a jumbogram, or left to the network card
    walk.limit(end, f"UDP datagram at byte {start}")
    walk.check(3, start, walk.end, walk.pseudo(17, end - start), zero_means_none=True)
    following = walk.ports.get(destination) or UDP_PORTS.get(destination)
    return following if following in ("vxlan", "vxlan-gpe") and walk.left else None


def tcp(walk: Walk) -> str | None:
    """Read a TCP header with its options."""
    start = walk.position
    layer = walk.begin("tcp", "TCP", "RFC 9293 §3.1")
    values = walk.take(TCP)
    source, destination, words = values[0], values[1], values[4]
    names = ("CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")
    flags = [name for name, bit in zip(names, values[7:15], strict=True) if bit]
    walk.check(16, start, walk.end, walk.pseudo(6, walk.end - start))
    layer.summary = join([f"{source} → {destination}", " ".join(flags)])
    if words < 5:
        raise Stop(f"The TCP header at byte {start} claims a length of {words * 4} bytes; at least 20 were expected.")
    options = words * 4 - 20
    if options:
        if options > walk.left and not (walk.quoted or walk.fragment or walk.short):
            raise Stop(f"The TCP header at byte {start} claims {words * 4} bytes, but the packet ends "
                       f"{options - walk.left} bytes before that.")
        _options(walk, start + words * 4)
    layer.summary += f", {walk.left} bytes of data" if walk.left else ""
    for port in (destination, source):
        following = walk.ports.get(port) or TCP_PORTS.get(port)
        if following == "bgp" and walk.left:
            return "bgp"
    return None


def _options(walk: Walk, end: int) -> None:
    """Read TCP options up to byte `end`."""
    one = walk.one
    while walk.position < end:
        kind = one("tcp.option_kind", "Option kind", 1, named(_OPTIONS), "Which option this is.", "RFC 9293 §3.2")
        if kind == 0 and walk.position < end:
            one("tcp.options.padding", "Padding", min(end - walk.position, walk.left), octet_text,
                "Fills the header up to a multiple of four bytes.", "RFC 9293 §3.2", octets=True)
        if kind in (0, 1):
            continue
        length = one("tcp.option_len", "Option length", 1, str, "Bytes of this option, kind and length included.",
                     "RFC 9293 §3.2")
        after = walk.position + length - 2
        if length < 2 or after > end:
            raise Stop(f"The TCP option at byte {walk.position - 2} claims {length} bytes; 2 to "
                       f"{end - walk.position + 2} were expected.")
        if kind == 2 and length == 4:
            one("tcp.options.mss_val", "MSS Value", 2, str,
                "Largest segment the sender will take: its MTU less 40 bytes for IPv4 and TCP.", "RFC 9293 §3.7.1")
        elif kind == 3 and length == 3:
            one("tcp.options.wscale.shift", "Shift count", 1, lambda raw: f"{raw} (multiply by {1 << min(raw, 14)})",
                "The window field counts in units of this power of two.", "RFC 7323 §2.2")
        elif kind == 8 and length == 10:
            one("tcp.options.timestamp.tsval", "Timestamp value", 4, str, "The sender's clock.", "RFC 7323 §3.2")
            one("tcp.options.timestamp.tsecr", "Timestamp echo reply", 4, str, "The last value received.",
                "RFC 7323 §3.2")
        elif kind == 5:
            while after - walk.position >= 8:
                one("tcp.options.sack_le", "SACK left edge", 4, str, "First byte of a block received.", "RFC 2018 §3")
                one("tcp.options.sack_re", "SACK right edge", 4, str, "First byte after the block.", "RFC 2018 §3")
        if walk.position < after:
            key = {19: "tcp.options.md5.digest", 34: "tcp.options.tfo.cookie"}.get(kind, "tcp.options.unknown.payload")
            one(key, "Option data", after - walk.position, octet_text, "What the option says, not read further.",
                "RFC 9293 §3.2", octets=True)
