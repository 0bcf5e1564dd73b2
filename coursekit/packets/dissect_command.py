"""`python -m coursekit dissect FILE`: every frame of a capture, taken apart field by field.

Frames are read, filtered and printed as they come, so that a file of any size starts to show at once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.packets.capture import Capture, Frame, frames
from coursekit.packets.fields import Dissection
from coursekit.packets.layout import PORT_MEANINGS, dissect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 256  # frames that are filtered at once


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser(
        "dissect", help="take every frame of a capture apart, field by field",
        description="Print every frame of a capture (pcap, pcapng): layers, and fields with bit offset, width, value "
        "and, for checksums, a verdict. Exit status 2 if the file is no capture or ends in the middle of a frame.",
    )
    parser.add_argument("file", metavar="FILE", help="capture file, as `tcpdump -w` or Wireshark writes it")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--filter", metavar="BPF", help="only frames that pass this filter, e.g. 'udp port 8472'")
    parser.add_argument("--frames", metavar="LIST", help="only these frame numbers, e.g. 1,3-5 or 10-")
    parser.add_argument("--explain", action="store_true", help="add what each field means and where it is specified")
    parser.add_argument(
        "--port", metavar="N=PROTOCOL", action="append", default=[],
        help=f"read another port as {', '.join(sorted(PORT_MEANINGS))}, e.g. 9999=vxlan",
    )


def run(args: argparse.Namespace) -> int:
    """Print the frames that were asked for. Raises CourseError for bad arguments and for a damaged file."""
    wanted = _numbers(args.frames) if args.frames is not None else None
    ports = dict(_port(text) for text in args.port)
    reader = frames(args.file)
    chosen = _chosen(reader, args.filter, wanted, Path(args.file))
    dissected = ((frame, dissect(frame.data, frame.dlt, ports)) for frame in chosen)
    shown = _print_json(args.file, dissected) if args.json else _print_text(dissected, explain=args.explain)
    if reader.truncated:
        raise CourseError(f"{reader.truncated} The frames before that were read.")
    if not shown and not args.json:
        asked = "that was asked for" if args.filter or wanted else "at all"
        print(f"{args.file} holds no frame {asked}.")
    return 0


@dataclass(frozen=True)
class _Numbers:
    """Frame numbers as ranges; None stands for the end of the file."""

    ranges: tuple[tuple[int, int | None], ...]

    def __contains__(self, number: int) -> bool:
        return any(low <= number and (high is None or number <= high) for low, high in self.ranges)

    @property
    def last(self) -> int | None:
        """The highest number asked for, or None if there is no end."""
        highest = [high for _, high in self.ranges]
        return None if None in highest else max(high for high in highest if high is not None)


def _numbers(text: str) -> _Numbers:
    """Parse "1,3-5,10-"."""
    ranges = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        bad = not low.isdecimal() or not (high.isdecimal() or not high) or int(low) < 1
        if bad or (high and int(high) < int(low)):
            raise CourseError(f"--frames {text!r} is no list of frame numbers; expected something like 1,3-5 or 10-.")
        ranges.append((int(low), int(high) if high else None if dash else int(low)))
    return _Numbers(tuple(ranges))


def _port(text: str) -> tuple[int, str]:
    """Parse "9999=vxlan"."""
    number, _, protocol = text.partition("=")
    if not number.isdecimal() or not 0 < int(number) < 65536 or protocol not in PORT_MEANINGS:
        raise CourseError(
            f"--port {text!r} was given; expected a port number from 1 to 65535, “=” and one of "
            f"{', '.join(sorted(PORT_MEANINGS))}, e.g. 9999=vxlan."
        )
    return int(number), protocol


def _chosen(reader: Iterable[Frame], bpf: str | None, wanted: _Numbers | None, path: Path) -> Iterator[Frame]:
    """Yield the frames that were asked for, reading no further than needed."""
    if bpf is not None:
        Capture(path, (), "").filter(bpf)  # a bad filter is told before the first frame is printed
    stream = iter(reader)
    while batch := tuple(islice(stream, _BATCH if bpf is not None else 1)):
        for frame in Capture(path, batch, "").filter(bpf) if bpf is not None else batch:
            if wanted is None or frame.number in wanted:
                yield frame
        if wanted is not None and wanted.last is not None and batch[-1].number >= wanted.last:
            return


def _print_json(name: str, dissected: Iterable[tuple[Frame, Dissection]]) -> int:
    """Print one JSON document, frame by frame; return how many there were."""
    print(f'{{"file": {json.dumps(name)}, "frames": [', end="")
    linktypes: dict[str, None] = {}
    count = 0
    for frame, dissection in dissected:
        linktypes[frame.linktype] = None
        entry = {"number": frame.number, "time": frame.time, **dissection.to_dict()}
        print(",\n" if count else "\n", json.dumps(entry, ensure_ascii=False), sep="", end="")
        count += 1
    print(f'\n], "linktype": {json.dumps("+".join(linktypes) or None)}}}')
    return count


def _print_text(dissected: Iterable[tuple[Frame, Dissection]], *, explain: bool) -> int:
    """Print a table per layer; return how many frames there were."""
    count = 0
    for frame, dissection in dissected:
        print(*_heading(frame), *_tables(dissection, explain=explain), "", sep="\n")
        count += 1
    return count


def _heading(frame: Frame) -> Iterator[str]:
    time = _EPOCH + timedelta(microseconds=frame.time_ns // 1000) if frame.time_ns < 250e18 else _EPOCH
    cut = f", of {frame.length} on the wire" if frame.cut else ""
    nanoseconds = f"{frame.time_ns % 1_000_000_000:09d}"
    yield f"Frame {frame.number} · {time:%Y-%m-%d %H:%M:%S}.{nanoseconds} UTC · {len(frame.data)} bytes{cut}"
    yield "     bit  bits  field, value [verdict] · name"


def _tables(dissection: Dissection, *, explain: bool) -> Iterator[str]:
    for layer in dissection.layers:
        indent = "  " * layer.depth
        last = (layer.bit_offset + layer.width - 1) // 8
        yield f"{indent}{layer.name} · bytes {layer.bit_offset // 8}–{last} · {layer.summary}"
        keys = max(len(field.key) for field in layer.fields)
        for field in layer.fields:
            verdict = f"  [{field.verdict}]" if field.verdict else ""
            yield (
                f"{indent}  {field.bit_offset:>6} {field.width:>5}  {field.key:<{keys}}  "
                f"{field.value}{verdict}  · {field.name}"
            )
            if explain and field.meaning:
                yield f"{indent}{'':>16}{field.meaning}" + (f" ({field.source})" if field.source else "")
    if dissection.stopped:
        yield f"Stopped: {dissection.stopped}"
