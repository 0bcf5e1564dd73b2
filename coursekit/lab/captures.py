"""Captures of a live lab: a pcap file per capture point, named as in recordings, read by packets/capture.py."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

from coursekit.cluster.network import Network
from coursekit.errors import CourseError, suggestion
from coursekit.lab.frames import Captured
from coursekit.packets.capture import Capture, load
from coursekit.scratch import scratch

_MAGIC, _SNAPLEN = 0xA1B23C4D, 262_144  # pcap with nanoseconds; libpcap's MAXIMUM_SNAPLEN


class Captures(Mapping[str, Capture]):
    """What was captured, by capture point ("node1:eth0"); empty until the `with` block has ended."""

    def __init__(self) -> None:
        self._found: dict[str, Capture] = {}
        self.frames: tuple[Captured, ...] = ()  # of all points, in the order of time
        self.lost = 0  # frames for which there was no room, at any device: more came than were read
        self.everything: tuple[Captured, ...] = ()  # at every device, whichever points were asked for

    def __getitem__(self, point: str) -> Capture:
        """Return the capture at a point; CourseError if none was taken there."""
        if point not in self._found:
            known = ", ".join(self._found) or "none: the capture has not ended yet"
            raise CourseError(f"Nothing was captured at {point!r}; the capture points are {known}.")
        return self._found[point]

    def __contains__(self, point: object) -> bool:
        return point in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        lines = [f"{point}: {len(found)} frames" for point, found in self._found.items()]
        lines += [f"{self.lost} frames are missing: they came faster than they were read"] if self.lost else []
        return "\n".join(lines)

    def fill(self, frames: Iterable[Captured], points: Iterable[str], bpf: str, folder: Path | None) -> None:
        """Take in what was captured at `points`; with `folder`, the files stay there."""
        wanted = list(points)
        self.everything = tuple(frames)
        self.frames = tuple(frame for frame in self.everything if frame.point in wanted)
        with scratch() if folder is None else nullcontext(folder) as room:
            found = write(self.frames, wanted, room)
            self._found = {point: load(path).filter(bpf) for point, path in found.items()}


def points_of(network: Network, asked: Iterable[str] | None) -> list[str]:
    """Return the capture points that were asked for: "node1:eth0", all of a host by its name, or None for all."""
    every = [f"{name}:{link.name}" for name, host in network.hosts.items() for link in host.tables.links]
    if asked is None:
        return [point for point in every if not point.endswith(":lo")]
    found = []
    if not isinstance(asked, Iterable):
        raise CourseError(f"points are capture points such as 'node1:eth0', or hosts; {asked!r} was given.")
    for one in [asked] if isinstance(asked, str) else asked:
        of_host = [point for point in every if point.startswith(f"{one}:") and not point.endswith(":lo")]
        if one not in every and not of_host:
            raise CourseError(f"{one!r} is no capture point{suggestion(str(one), every)}; give host:device or a host.")
        found += [one] if one in every else of_host
    return list(dict.fromkeys(found))


def write(frames: Iterable[Captured], points: Iterable[str], folder: Path) -> dict[str, Path]:
    """Write one pcap file per point, `host-device.pcap`, and return their paths by point."""
    kept: dict[str, list[Captured]] = {point: [] for point in points}
    for frame in frames:
        kept[frame.point].append(frame)
    paths = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for point, seen in kept.items():
            paths[point] = folder / f"{point.replace(':', '-', 1)}.pcap"
            paths[point].write_bytes(_pcap(seen))
    except OSError as error:
        raise CourseError(f"The captures cannot be kept in {folder}: {error.strerror}.") from None
    return paths


def _pcap(frames: list[Captured]) -> bytes:
    dlt = frames[0].dlt if frames else 1
    parts = [struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAPLEN, dlt)]
    for frame in frames:
        size = len(frame.data)
        parts += [struct.pack("<IIII", *divmod(frame.time_ns, 10**9), size, size), frame.data]
    return b"".join(parts)
