"""Read what tshark says about the position and the value of every field (`tshark -T pdml`)."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

# Every packet by itself: nothing is reassembled, and application protocols stay data.
OPTIONS = (
    "-o ip.defragment:FALSE -o ipv6.defragment:FALSE -o tcp.desegment_tcp_streams:FALSE "
    "-o bgp.desegment:FALSE -o tcp.analyze_sequence_numbers:FALSE "
    "-o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -o tcp.check_checksum:TRUE "
    "--disable-protocol http --disable-protocol stp "
    "-d udp.port==8472,vxlan -d udp.port==9,data -d udp.port==33434-33700,data"
).split()
_MASK = re.compile(r"^([01. ]+) = ")


@dataclass(frozen=True, slots=True)
class Claim:
    """One field as tshark sees it: its bits, counted from the frame's start (a mask may have gaps), and their value."""

    proto: str
    key: str
    bits: tuple[int, ...] | range
    value: int | None
    hidden: bool


def write_pcap(path: Path, frames: Iterable[bytes], linktype: int) -> None:
    """Write frames into a pcap file, without their times."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, linktype))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def claims(path: Path) -> Iterator[tuple[list[Claim], dict[int, str]]]:
    """Yield for every frame tshark's fields, and its checksum verdicts by the checksum's byte offset."""
    command = ["tshark", "-n", "-r", str(path), "-T", "pdml", *OPTIONS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for _, packet in ElementTree.iterparse(process.stdout):
            if packet.tag == "packet":
                found: list[Claim] = []
                verdicts: dict[int, str] = {}
                for proto in packet:
                    if proto.get("name") not in ("geninfo", "frame", "fake-field-wrapper"):
                        _collect(proto, proto.get("name", ""), found, verdicts)
                    elif proto.get("name") == "fake-field-wrapper":
                        _collect(proto, "data", found, verdicts)
                yield found, verdicts
                packet.clear()
    assert process.returncode == 0, f"{' '.join(command)} failed"


def _collect(element: ElementTree.Element, proto: str, found: list[Claim], verdicts: dict[int, str]) -> None:
    checksum = -1
    for item in element:
        key, size, position = item.get("name", ""), int(item.get("size") or 0), int(item.get("pos") or 0)
        if key.endswith(".checksum"):
            checksum = position
        if key.endswith(".checksum.status"):
            verdicts[checksum] = item.get("show", "")
        elif size:
            found.append(_claim(item, proto, key, position, size))
        _collect(item, proto, found, verdicts)


def _claim(item: ElementTree.Element, proto: str, key: str, position: int, size: int) -> Claim:
    text = item.get("unmaskedvalue") or item.get("value") or ""
    whole = int(text, 16) if len(text) == 2 * size else None
    hidden = item.get("hide") == "yes"
    mask = _MASK.match(item.get("showname") or "")
    digits = mask[1].replace(" ", "") if mask else ""
    first, end = position * 8, (position + size) * 8
    for last in (end, end + 8, end + 16):  # the mask may cover more bytes than the field: it is aligned to its right
        bits = tuple(last - len(digits) + place for place, digit in enumerate(digits) if digit != ".")
        if bits and first <= bits[0] and bits[-1] < end:
            return Claim(proto, key, bits, int("".join(digit for digit in digits if digit != "."), 2), hidden)
    return Claim(proto, key, range(first, end), whole, hidden)
