"""Captures: frames as tcpdump, Wireshark or dumpcap wrote them, with where they come from.

scapy reads the files (pcap in µs and ns, pcapng, either byte order, gzip) and libpcap's own compiler filters them.
What is added here is what a learner's file needs: a file cut in the middle keeps the frames before the cut and
says so, and a mistake is a sentence.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from scapy.error import Scapy_Exception, log_runtime
from scapy.libs.structures import bpf_program
from scapy.utils import RawPcapNgReader, RawPcapReader

from coursekit.errors import CourseError, NotThereError, given
from coursekit.keys import load_json

# https://www.tcpdump.org/linktypes.html
LINKTYPES = {
    0: "null", 1: "ethernet", 113: "linux_sll", 276: "linux_sll2",
    12: "raw", 14: "raw", 101: "raw", 228: "raw", 229: "raw",
}
MAX_FRAME = 262_144  # libpcap's MAXIMUM_SNAPLEN
MAX_BLOCK = 16 << 20  # no pcapng block of a packet capture comes near it
MAX_FRAMES = 200_000
MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame. `number` counts from 1, as in Wireshark; `length` is its size on the wire, in bytes."""

    data: bytes
    number: int
    time_ns: int = 0  # nanoseconds since 1970; 0 where the file has no time
    dlt: int = 1  # LINKTYPE_ number
    length: int = 0

    @property
    def time(self) -> float:
        """Seconds since 1970."""
        return self.time_ns / 1e9

    @property
    def linktype(self) -> str:
        """What the frame begins with: "ethernet", "raw" (an IP packet), "linux_sll", … or "linktype N"."""
        return LINKTYPES.get(self.dlt, f"linktype {self.dlt}")

    @property
    def cut(self) -> bool:
        """Whether the capture kept only the beginning of the frame (snaplen)."""
        return len(self.data) < self.length


class Frames(tuple[Frame, ...]):
    """The frames of a capture in a tuple, which says in a sentence that there are fewer; `of` says whose they are."""

    of: str

    def __getitem__(self, place: Any) -> Any:
        try:
            return super().__getitem__(place)
        except (IndexError, TypeError):
            raise NotThereError(f"There is no frames[{given(place)}]: {self.of}.") from None


@dataclass(frozen=True, repr=False)
class Capture:
    """The frames of one file. `provenance` is that of the recording it belongs to, or empty."""

    path: Path
    frames: tuple[Frame, ...]
    sha256: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    truncated: str | None = None  # a sentence, if the file ends in the middle of a frame
    selected: str = ""  # the filter that these frames passed

    def __post_init__(self) -> None:
        frames = Frames(self.frames)
        passed = f" through the filter {self.selected!r}" if self.selected else ""
        frames.of = f"{self.path.name} has {len(frames) or 'no'} frames{passed}{', counted from 0' if frames else ''}"
        object.__setattr__(self, "frames", frames)

    @property
    def linktype(self) -> str:
        """The link type of the frames; several are joined with "+"."""
        return "+".join(dict.fromkeys(frame.linktype for frame in self.frames)) or "ethernet"

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def __getitem__(self, number: int) -> Frame:
        """Return the frame with that number in the file, counted from 1 as Wireshark does."""
        for frame in self.frames:
            if frame.number == number:
                return frame
        have = f"1 to {self.frames[-1].number}" if self.frames else "no frame at all"
        raise CourseError(f"{self.path.name} has no frame number {given(number)}: it has {have}.")

    def filter(self, bpf: str) -> Capture:
        """Return the frames that pass a BPF filter in tcpdump's language (pcap-filter(7)).

        libpcap's compiler decides. Raises CourseError with libpcap's own words for a filter that it refuses.
        """
        verdicts = {dlt: _compiled(bpf, dlt) for dlt in dict.fromkeys(frame.dlt for frame in self.frames)}
        if not verdicts:
            _compiled(bpf, 1).close()
        try:
            passed = tuple(frame for frame in self.frames if verdicts[frame.dlt].passes(frame))
        finally:
            for program in verdicts.values():
                program.close()
        both = f"({self.selected}) and ({bpf})" if self.selected and bpf else bpf or self.selected
        return replace(self, frames=passed, selected=both)

    def __repr__(self) -> str:
        kept = f" that pass {self.selected!r}" if self.selected else ""
        lines = [f"{self.path.name}: {len(self.frames)} frames ({self.linktype}){kept}"]
        return "\n".join([*lines, self.truncated] if self.truncated else lines)


class FrameReader:
    """Reads a capture frame by frame, however big; after the last one, `truncated` says whether the file was whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.truncated: str | None = None

    def __iter__(self) -> Iterator[Frame]:
        with _opened(self.path) as file:
            with _quiet():
                reader = _reader(file, self.path)
            number = 0
            while True:
                start = file.tell()
                try:
                    with _quiet():
                        read = self._next(reader)
                except StopIteration:
                    return
                except (EOFError, OSError, Scapy_Exception, zlib.error, ArithmeticError, ValueError) as error:
                    if file.tell() != start or str(error):
                        why = f": {error}" if str(error) else ""
                        after = f"after frame {number}" if number else "before its first frame ends"
                        self.truncated = f"{self.path.name} is cut short or damaged {after}, at byte {start}{why}."
                    return
                if read is not None:
                    number += 1
                    data, time_ns, dlt, length = read
                    yield Frame(data, number, time_ns, dlt, length)

    @staticmethod
    def _next(reader: Any) -> tuple[bytes, int, int, int] | None:
        """Return the next frame, or None for a block that holds none."""
        if isinstance(reader, RawPcapNgReader):
            block = reader._read_block(size=MAX_FRAME)  # one block, where _read_packet() hides how far it came
            if block is None:
                return None
            data, meta = block
            ticks = ((meta.tshigh or 0) << 32) + (meta.tslow or 0)
            return data, ticks * 1_000_000_000 // meta.tsresol, meta.linktype, meta.wirelen
        data, meta = reader._read_packet(size=MAX_FRAME)
        if meta.caplen > MAX_FRAME:
            raise EOFError(f"a frame claims to be {meta.caplen} bytes long, libpcap's limit is {MAX_FRAME}")
        if len(data) < meta.caplen:
            raise EOFError(f"a frame of {meta.caplen} bytes is announced, {len(data)} are there")
        nanoseconds = meta.sec * 1_000_000_000 + meta.usec * (1 if reader.nano else 1000)
        return data, nanoseconds, reader.linktype & 0xFFFF, meta.wirelen


def frames(path: str | os.PathLike[str]) -> FrameReader:
    """Return an iterable over the frames of a capture of any size, reading as it goes."""
    return FrameReader(path)


def load(path: str | os.PathLike[str], limit: int = MAX_FRAMES) -> Capture:
    """Read a pcap or pcapng file.

    A file cut in the middle gives the frames before the cut and a sentence in `truncated`. Raises CourseError for
    what is no capture, and for more than `limit` frames or 256 MiB (`frames` reads those).
    """
    reader = frames(path)
    kept: list[Frame] = []
    size = 0
    for frame in reader:
        kept.append(frame)
        size += len(frame.data)
        if len(kept) > limit or size > MAX_BYTES:
            raise CourseError(
                f"{reader.path} is too big to hold: more than {limit} frames or {MAX_BYTES >> 20} MiB. Cut it, "
                f"e.g. with `tcpdump -r {reader.path.name} -w smaller.pcap -c {limit} FILTER`, or go through it "
                "with frames(path)."
            )
    with reader.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Capture(reader.path, tuple(kept), digest, _provenance(reader.path, digest), reader.truncated)


def _provenance(path: Path, digest: str) -> Mapping[str, Any]:
    """Return what `provenance.json` beside the file says, if it is about exactly these bytes."""
    try:
        found = load_json((path.parent / "provenance.json").read_bytes(), "it")
        return found if found["sha256"][path.name] == digest else {}
    except (CourseError, OSError, KeyError, TypeError):
        return {}


class _Bounded:
    """A file that refuses to read absurd amounts at once, so that a damaged length cannot eat the memory."""

    def __init__(self, file: Any, name: str) -> None:
        self.file, self.name = file, name

    def read(self, size: int) -> bytes:
        if size > MAX_BLOCK:
            raise OSError(f"a block claims to be {size} bytes long")
        return bytes(self.file.read(size))

    def seek(self, position: int) -> int:
        raise OSError("compressed twice")  # the one case in which scapy would go back

    def tell(self) -> int:
        return int(self.file.tell())

    def close(self) -> None:
        self.file.close()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Bounded]:
    try:
        if path.is_dir():
            raise CourseError(f"{path} is a directory; a capture file (pcap or pcapng) was expected.")
        if not path.is_file() and path.exists():
            raise CourseError(f"{path} is not a regular file; a capture file (pcap or pcapng) was expected.")
        raw: BinaryIO = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CourseError(f"{path} cannot be read: {reason}. A capture file (pcap or pcapng) was expected.") from None
    with raw:
        magic = raw.read(2)
        if not magic:
            raise CourseError(f"{path} is empty; a capture file (pcap or pcapng) was expected.")
        zipped = magic == b"\x1f\x8b"
        raw.seek(0)
        yield _Bounded(gzip.GzipFile(fileobj=raw) if zipped else raw, str(path))


def _reader(file: Any, path: Path) -> Any:
    """Return scapy's reader for the file, which has read the file's header."""
    try:
        return RawPcapReader(file)  # finds out by itself which kind of file it is
    except (EOFError, OSError, Scapy_Exception, zlib.error) as error:
        raise CourseError(
            f"{path} cannot be read as a capture ({str(error).rstrip('.!')}); expected pcap or pcapng, "
            "as `tcpdump -w` or Wireshark writes it."
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep scapy's warnings about damaged files off the screen: `truncated` tells it."""
    before, log_runtime.disabled = log_runtime.disabled, True
    try:
        yield
    finally:
        log_runtime.disabled = before


class _Header(ctypes.Structure):
    """struct pcap_pkthdr: a timeval, which no filter looks at, then the two lengths."""

    _fields_ = (
        ("seconds", ctypes.c_long), ("fraction", ctypes.c_long), ("caplen", ctypes.c_uint32), ("len", ctypes.c_uint32),
    )


class _Program:
    """A filter that libpcap has compiled for one link type."""

    def __init__(self, libpcap: Any, program: Any) -> None:
        self._libpcap, self._program = libpcap, program
        self._run = libpcap._lib.pcap_offline_filter
        self._run.argtypes, self._run.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p), ctypes.c_int

    def passes(self, frame: Frame) -> bool:
        header = _Header(0, 0, len(frame.data), max(frame.length, len(frame.data)))
        return bool(self._run(ctypes.byref(self._program), ctypes.byref(header), frame.data))

    def close(self) -> None:
        self._libpcap.pcap_freecode(ctypes.byref(self._program))


def _compiled(bpf: str, linktype: int) -> _Program:
    try:
        from scapy.libs import winpcapy as libpcap
    except (OSError, ImportError, KeyError):
        raise CourseError(
            "The filter needs libpcap, which is not on this machine: install it (`apt install libpcap0.8`, "
            "`dnf install libpcap`, on Windows Npcap; macOS has it), or filter the file with "
            "`tshark -r FILE -Y 'DISPLAY FILTER' -w SMALLER` first."
        ) from None
    if not isinstance(bpf, str) or "\0" in bpf:
        raise CourseError(f"A filter is a line in tcpdump's language, such as 'udp port 8472'; {given(bpf)} was given.")
    dead = libpcap.pcap_open_dead(12 if linktype == 101 else linktype, MAX_FRAME)  # LINKTYPE_RAW is DLT_RAW, 12
    program = bpf_program()
    try:
        if libpcap.pcap_compile(dead, ctypes.byref(program), bpf.encode(), 1, 0xFFFFFFFF) != 0:
            said = ctypes.string_at(libpcap.pcap_geterr(dead)).decode(errors="replace")
            raise CourseError(
                f"libpcap does not accept the filter {bpf!r} on {LINKTYPES.get(linktype, linktype)} frames: {said}. "
                "The language is tcpdump's, see pcap-filter(7): 'udp port 8472', 'ip proto 4', 'icmp'."
            )
    finally:
        libpcap.pcap_close(dead)
    return _Program(libpcap, program)
