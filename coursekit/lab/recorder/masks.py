"""What a kernel draws at random, or a clock decides, taken out: what stays of a recording may not change.

Frames are told apart by what they carry, as conversations interleave differently each time. Of a TCP stream stay its
distinct segments with sequence numbers from 0; when something is acknowledged, or sent once more, is up to the clock.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from coursekit.cluster.tables import HostTables, Link
from coursekit.packets.capture import Frame
from coursekit.packets.fields import Dissection, Field, Layer
from coursekit.packets.layout import dissect

Row = tuple[tuple[str, str], ...]  # the fields of a frame, each as (place, value), in wire order
Stream = tuple[object, ...]  # addresses and ports

_EPHEMERAL = 32768  # net.ipv4.ip_local_port_range begins there; VXLAN source ports do too
_ANY = "drawn at random"
_TIMES = {"tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr", "icmp.ident", "tcp.ack_raw", "tcp.flags.push"}
_STAMP = 16  # bytes of the struct timeval in what ping and, 8 bytes later, tracepath send
_KERNELS = ("ipip", "sit", "gre")  # of each the kernel puts a device into every namespace, down
_TRACEPATH = range(44444, 44500)  # its first port and those after it

_TEXT = tuple((re.compile(pattern, re.M), by) for pattern, by in (
    (r"^rtt min/.*\n", ""),
    (r",? ?time[ =][\d.]+ ?ms", ""),
    (r" +[\d.]+ ?ms\b", " (time)"),
    (r"\bexpires \d+sec ?", ""),
    (r" uid \d+", ""),
    (r"^\d+: (?=\S+: <)", ""),
    (r"^(Ip\w+|Icmp\w+) +(\d+) +[\d.]+$", r"\1 \2"),
    (r"\b\d\d:\d\d:\d\d\.\d{3}\b", "(time)"),
    (r"[ \t]+$", ""),
))  # fmt: skip


def text(output: str) -> list[str]:
    """Return the lines of a command's output without times, user ids and numbers of devices."""
    for pattern, by in _TEXT:
        output = pattern.sub(by, output)
    return output.splitlines()


def frames(captured: Iterable[Frame]) -> dict[str, list[Row]]:
    """Return what may not change of the frames at one capture point, by kind of traffic.

    ICMP keeps its order. UDP probes are sent side by side, so they are sorted, as are distinct TCP segments and the
    distinct ARP broadcasts and their answers.
    """
    found: dict[str, list[Row]] = {"arp": [], "icmp": [], "udp": [], "tcp": [], "bgp": []}
    starts: dict[Stream, int] = {}
    asked: set[tuple[object, object]] = set()
    for frame in captured:
        seen = dissect(frame.data, frame.dlt)
        kind = _kind(seen)
        if kind == "arp" and not _of_interest(seen, asked):
            continue
        if kind == "bgp":
            found[kind] += [row for row in _messages(seen) if row not in found[kind]]
            continue
        if kind == "tcp" and _is_ack(seen):
            continue
        row = tuple(_row(seen, starts))
        found[kind] += [row] if kind in ("icmp", "udp") or row not in found[kind] else []
    if found["bgp"]:  # sessions come up side by side, and who asks for a MAC first is a race
        found["arp"] = []
    return {kind: rows if kind == "icmp" else sorted(rows) for kind, rows in found.items() if rows}


def _kind(seen: Dissection) -> str:
    keys = [layer.key for layer in seen.layers]
    if "arp" in keys:
        return "arp"
    if "tcp" in keys:
        return "bgp" if 179 in (seen["tcp.srcport"].raw, seen["tcp.dstport"].raw) else "tcp"
    last = [layer for layer in seen.layers if layer.key == "ip"][-1:]
    return "udp" if last and last[0]["ip.proto"].raw == 17 else "icmp"


def _of_interest(seen: Dissection, asked: set[tuple[object, object]]) -> bool:
    """Whether an ARP frame is a broadcast or answers one; others only ask whether a neighbour is still there."""
    request, ends = seen["arp.opcode"].raw == 1, (seen["arp.src.proto_ipv4"].raw, seen["arp.dst.proto_ipv4"].raw)
    if request and seen["eth.dst"].value == "ff:ff:ff:ff:ff:ff":
        asked.add(ends)
        return True
    return not request and ends[::-1] in asked


def _is_ack(seen: Dissection) -> bool:
    segment = [layer for layer in seen.layers if layer.key == "tcp"][-1]
    bare = not any(segment[f"tcp.flags.{flag}"].raw for flag in ("syn", "fin", "reset"))
    return bare and seen.layers[-1].key != "data"


def _messages(seen: Dissection) -> Iterator[Row]:
    """Yield the BGP messages of a segment, with who sent it to whom; path identifiers count up as routes come."""
    ends = tuple((f"{item.name} ({item.key})", item.value) for item in (seen["ip.src"], seen["ip.dst"]))
    for layer in seen.layers:
        if layer.key == "bgp":
            yield ends + tuple((f"{f.name} ({f.key})", _ANY if "path_id" in f.key else f.value) for f in layer.fields)


def _row(seen: Dissection, starts: dict[Stream, int]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a frame with what is drawn at random masked; `starts` are the first TCP numbers seen."""
    layers: Counter[str] = Counter()
    before: Layer | None = None
    stream: Stream = ()
    for layer in seen.layers:
        place = f"{layer.key}#{layers[layer.key]}"
        layers[layer.key] += 1
        if layer.key == "ip":
            stream = (layer["ip.src"].raw, layer["ip.dst"].raw)
        if layer.key == "tcp":
            stream += (layer["tcp.srcport"].raw, layer["tcp.dstport"].raw)
        syn = layer.key == "tcp" and bool(layer["tcp.flags.syn"].raw)
        for item in layer.fields:
            value = _drawn(item, layer, before)
            if item.key == "tcp.seq_raw" and isinstance(item.raw, int):
                value = str((item.raw - starts.setdefault(stream, item.raw)) % 2**32)
            elif item.key == "tcp.window_size_value" and not syn:
                value = _ANY  # how much of its buffer was free
            yield f"{place} {item.name} ({item.key})", value
        before = layer


def _drawn(item: Field, layer: Layer, before: Layer | None) -> str:
    """Return the value of a field, or that it may be any."""
    if item.key in _TIMES:
        return _ANY
    if item.key == "ip.id":
        return "0" if item.raw == 0 else _ANY
    if item.key.endswith(".checksum"):
        return item.verdict.split(":")[0] or _ANY
    if item.key in ("udp.srcport", "tcp.srcport", "tcp.dstport"):
        return _ANY if isinstance(item.raw, int) and item.raw >= _EPHEMERAL else item.value
    if item.key == "data.data" and isinstance(item.raw, bytes):
        if before is not None and before.key == "icmp" and before["icmp.type"].raw in (0, 8):
            return item.raw[_STAMP:].hex()
        if before is not None and before.key == "udp" and before["udp.dstport"].raw in _TRACEPATH:
            return (item.raw[:8] + item.raw[8 + _STAMP :]).hex()
        return item.raw.hex()
    return item.value


def table(tables: HostTables) -> dict[str, list[str]]:
    """Return the rows of a host's tables that commands or daemons put there, in sorted order."""
    shown = [link for link in tables.links if link.name != "lo" and (link.up or link.kind not in _KERNELS)]
    devices = {link.name for link in shown}
    return {
        "links": sorted(_link(link) for link in shown),
        "addresses": sorted(f"{row.dev} {row.interface}" for row in tables.addresses if row.dev in devices),
        "routes": sorted(str(row) for row in tables.routes),
        "neighbours": sorted(str(row) for row in tables.neighbours if row.state == "PERMANENT"),
        "FDB": sorted(str(row) for row in tables.fdb if row.dst is not None),
    }


def _link(link: Link) -> str:
    # the kernel draws the MAC of a port of a bridge; nobody ever sees it
    mac = link.mac if link.master is None else "any"
    return f"{link.name} {link.kind} mtu {link.mtu} {'up' if link.up else 'down'} mac {mac} master {link.master} " \
           f"{_info(link)}"  # fmt: skip


def _info(link: Link) -> str:
    kept = ("id", "local", "link", "port", "learning", "df", "udp_csum", "remote", "ttl", "pmtudisc")
    return " ".join(f"{key} {link.info[key]}" for key in kept if key in link.info and link.kind in ("vxlan", "ipip"))
