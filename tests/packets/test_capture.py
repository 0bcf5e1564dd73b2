"""Captures: every file format, real BPF filters, and a sentence for every file that is none."""

import gzip
import struct
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.packets import capture
from coursekit.packets.capture import Capture, Frame, frames, load
from coursekit.paths import data_dir

RECORDINGS = data_dir() / "recordings"
PING = bytes.fromhex("020000000002020000000001080045000054000040004001") + bytes(74)
NANO = 1_795_401_569_529_998_123


def pcap(data: list[bytes], endian: str = "<", nano: bool = False, length: int | None = None) -> bytes:
    head = struct.pack(endian + "IHHIIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    fraction = NANO % 10**9 if nano else NANO % 10**9 // 1000
    return head + b"".join(
        struct.pack(endian + "IIII", NANO // 10**9, fraction, len(item), length or len(item)) + item for item in data
    )


def block(endian: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(endian + "I", len(body) + 12)
    return struct.pack(endian + "I", kind) + size + body + size


def pcapng(endian: str, interfaces: list[tuple[int, int]], packets: list[tuple[int, bytes]]) -> bytes:
    """A section with interfaces (link type, decimal places of the clock), then packets (interface, data)."""
    parts = [block(endian, 0x0A0D0D0A, struct.pack(endian + "IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for linktype, places in interfaces:
        option = struct.pack(endian + "HHB3x", 9, 1, places) + bytes(4)
        parts.append(block(endian, 1, struct.pack(endian + "HHI", linktype, 0, 0) + option))
    for interface, data in packets:
        ticks = NANO // 10 ** (9 - interfaces[interface][1])
        head = struct.pack(endian + "5I", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        parts.append(block(endian, 6, head + data))
    return b"".join(parts)


@pytest.fixture
def written(tmp_path: Path):
    def write(data: bytes, name: str = "some.pcap") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def test_every_recording_is_read_whole(record_property: Callable[[str, object], None]) -> None:
    """Every capture of the course loads, none is truncated, and each knows the recording it belongs to."""
    loaded = [load(path) for path in sorted(RECORDINGS.glob("*/*.pcap"))]
    count = sum(len(item) for item in loaded)
    record_property("frames", count)
    print(f"{len(loaded)} captures, {count} frames")
    assert count > 2000
    assert [item.path for item in loaded if item.truncated] == []
    assert [item.path for item in loaded if item.provenance.get("name") != item.path.parent.name] == []


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("nano", [False, True])
def test_pcap_of_either_byte_order_and_clock(written, endian: str, nano: bool) -> None:
    """Byte order and clock of a pcap file make no difference to data and time."""
    (frame,) = load(written(pcap([PING], endian, nano)))
    assert frame == Frame(PING, 1, NANO if nano else NANO // 1000 * 1000, 1, len(PING))


@pytest.mark.parametrize("endian", "<>")
def test_pcapng_with_several_interfaces(written, endian: str) -> None:
    """Each pcapng frame has the link type and the clock of the interface that it came from."""
    data = pcapng(endian, [(1, 6), (101, 9)], [(0, PING), (1, PING[14:]), (0, PING)])
    read = load(written(data, "some.pcapng"))
    assert [frame.linktype for frame in read] == ["ethernet", "raw", "ethernet"]
    assert [frame.time_ns for frame in read] == [NANO // 1000 * 1000, NANO, NANO // 1000 * 1000]
    assert read.linktype == "ethernet+raw"
    assert [len(frame.data) for frame in read.filter("icmp")] == [98, 84, 98]


def test_compressed_capture(written) -> None:
    """A gzip-compressed capture is read like a plain one."""
    assert [frame.data for frame in load(written(gzip.compress(pcap([PING, PING])), "some.pcap.gz"))] == [PING, PING]


def test_filter_is_libpcaps() -> None:
    """A filter selects what tcpdump's would, on Ethernet and on raw IP, and filters add up."""
    node = load(RECORDINGS / "flannel-vxlan" / "node1-eth0.pcap")
    assert (len(node), len(node.filter("udp port 8472")), len(node.filter("arp"))) == (28, 26, 2)
    assert len(node.filter("udp[8:4] = 0x08000000 and udp[12:4] = 0x100")) == 26
    assert len(node.filter("udp port 8472").filter("src host 192.168.1.10")) == 14
    assert [frame.number for frame in node.filter("arp")] == [1, 2]
    assert node.filter("arp").selected == "arp"
    tunnel = load(RECORDINGS / "calico-ipip" / "node1-tunl0.pcap")
    assert (len(tunnel), len(tunnel.filter("icmp")), len(tunnel.filter("tcp port 80"))) == (29, 13, 11)


@pytest.mark.parametrize("bpf", ["udp prt 8472", "(" * 5000, "host", "port 70000", "é", "ether host 1.2.3.4"])
def test_refused_filter_gets_libpcaps_words(bpf: str) -> None:
    """A filter that libpcap refuses is answered by libpcap's own message in a sentence."""
    with pytest.raises(CourseError, match=r"libpcap does not accept .* frames: \w.*pcap-filter\(7\)"):
        load(RECORDINGS / "flannel-vxlan" / "node1-eth0.pcap").filter(bpf)


def test_filter_of_no_frames_is_still_checked(written) -> None:
    """A wrong filter is wrong on an empty capture too."""
    with pytest.raises(CourseError, match="syntax error"):
        load(written(pcap([]))).filter("udp prt 1")
    with pytest.raises(CourseError, match="tcpdump's language"):
        load(written(pcap([]))).filter("udp\0")


def test_no_libpcap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libpcap the sentence says how to get it, and what else filters."""
    monkeypatch.setitem(__import__("sys").modules, "scapy.libs.winpcapy", None)
    monkeypatch.delattr("scapy.libs.winpcapy", raising=False)
    with pytest.raises(CourseError, match=r"apt install libpcap.*tshark"):
        load(RECORDINGS / "flannel-vxlan" / "node1-eth0.pcap").filter("arp")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"), (b"ab", "cannot be read as a capture"), (pcap([])[:20], "cannot be read as a capture"),
        (b"PK\x03\x04" + bytes(100), "expected pcap or pcapng"), (b"\x0a\x0d\x0d\x0a" * 20, "cannot be read"),
        (gzip.compress(gzip.compress(pcap([PING]), mtime=0), mtime=0), "compressed twice"),
        (b"\x1f\x8b" + bytes(50), "cannot be read"),
        (gzip.compress(pcap([PING]), mtime=0)[:15], "cannot be read"),
    ],
)
def test_no_capture(written, data: bytes, words: str) -> None:
    """What is no capture gets a sentence that names the file."""
    path = written(data)
    with pytest.raises(CourseError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """A missing file, a directory, a device and an impossible name get a sentence."""
    for path, words in (
        (tmp_path / "missing.pcap", "No such file"), (tmp_path, "is a directory"), ("/dev/null", "not a regular file"),
        ("a\0b", "cannot be read"), ("x" * 5000, "cannot be read"),
    ):
        with pytest.raises(CourseError, match=words):
            load(path)


@pytest.mark.parametrize(("kind", "before", "per_frame"), [("pcap", [24], 16), ("pcapng", [28, 32], 32 + 2)])
def test_every_cut_keeps_the_frames_before_it(written, kind: str, before: list[int], per_frame: int) -> None:
    """A file cut at any byte keeps its whole frames, and says so unless the cut is between two of its records."""
    whole = pcap([PING] * 3) if kind == "pcap" else pcapng("<", [(1, 6)], [(0, PING)] * 3)
    borders = list(accumulate([*before, *[per_frame + len(PING)] * 3]))
    assert borders[-1] == len(whole)
    for size in range(28, len(whole)):
        read = load(written(whole[:size]))
        assert [frame.data for frame in read] == [PING] * sum(border <= size for border in borders[len(before) :])
        assert (read.truncated is None) == (size in borders), size


@pytest.mark.parametrize("absurd", [0x7FFFFFFF, 0xFFFFFFFF, 300_000])
def test_absurd_lengths(written, absurd: int) -> None:
    """A length that no frame has ends the reading with a sentence, and eats no memory."""
    broken = pcap([PING]) + struct.pack("<IIII", 1, 1, absurd, absurd) + PING
    read = load(written(broken))
    assert [frame.data for frame in read] == [PING]
    assert f"{absurd} bytes" in (read.truncated or "")
    ng = pcapng("<", [(1, 6)], [(0, PING)]) + struct.pack("<II", 6, absurd & ~3) + PING
    assert load(written(ng)).truncated is not None


def test_snaplen_is_told(written) -> None:
    """A frame of which the capture kept only the beginning says so."""
    (frame,) = load(written(pcap([PING], length=1514)))
    assert (frame.cut, frame.length, len(frame.data)) == (True, 1514, 98)


def test_too_many_frames(written, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture too big to hold gets a sentence; going through it frame by frame works."""
    path = written(pcap([PING] * 100))
    with pytest.raises(CourseError, match="more than 99 frames"):
        load(path, limit=99)
    monkeypatch.setattr(capture, "MAX_BYTES", 5000)
    with pytest.raises(CourseError, match="too big to hold"):
        load(path)
    assert sum(1 for _ in frames(path)) == 100


def test_provenance_is_only_believed_for_these_bytes(tmp_path: Path) -> None:
    """A file that is not the one that was recorded gets no provenance from the folder it lies in."""
    source = RECORDINGS / "mtu-1450"
    (tmp_path / "provenance.json").write_bytes((source / "provenance.json").read_bytes())
    data = (source / "podA-eth0.pcap").read_bytes()
    (tmp_path / "podA-eth0.pcap").write_bytes(data)
    assert load(tmp_path / "podA-eth0.pcap").provenance["name"] == "mtu-1450"
    (tmp_path / "podA-eth0.pcap").write_bytes(data[:-1])
    assert load(tmp_path / "podA-eth0.pcap").provenance == {}
    (tmp_path / "provenance.json").write_text("[" * 100_000)
    assert load(tmp_path / "podA-eth0.pcap").provenance == {}


def test_frame_by_number() -> None:
    """Frames are asked for by Wireshark's numbers; another number gets a sentence."""
    node: Capture = load(RECORDINGS / "flannel-vxlan" / "node1-eth0.pcap")
    assert node[3] is node.frames[2]
    with pytest.raises(CourseError, match="has no frame number 99: it has 1 to 28"):
        node[99]
