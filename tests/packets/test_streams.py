"""TCP streams out of segments: whatever order and repetition they come in, the bytes are those that were sent."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.lab.recording import recording
from coursekit.packets.capture import Frame
from coursekit.packets.streams import Stream, streams
from tests.seeds import examples

A, B = ("10.0.0.1", 40000), ("10.0.0.2", 179)


def segment(number: int, sequence: int, payload: bytes = b"", flags: int = 0x10, *, back: bool = False,
            link: str = "ethernet", padding: int = 0) -> Frame:  # fmt: skip
    """Return a frame with one segment from A to B, or back."""
    (source, sport), (target, dport) = (B, A) if back else (A, B)
    tcp = (sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + (sequence % 2**32).to_bytes(4, "big") + bytes(4)
           + bytes([0x50, flags]) + bytes(6) + payload)  # fmt: skip

    def ip(protocol: int, inside: bytes) -> bytes:
        both = IPv4Address(source).packed + IPv4Address(target).packed
        return b"\x45\0" + (20 + len(inside)).to_bytes(2, "big") + bytes([0] * 5 + [protocol, 0, 0]) + both + inside

    packet = ip(4, ip(6, tcp)) if link == "ipip" else ip(6, tcp)
    head, dlt = {"ethernet": (bytes(12) + b"\x08\0", 1), "ipip": (bytes(12) + b"\x81\0\0\5\x08\0", 1),
                 "raw": (b"", 101), "sll": (bytes(16), 113)}[link]  # fmt: skip
    data = head + packet + bytes(padding)
    return Frame(data, number, number * 1000, dlt, len(data))


def only(frames: list[Frame]) -> Stream:
    (stream,) = streams(frames)
    return stream


@settings(max_examples=examples(200), deadline=None, derandomize=True)
@given(st.data())
def test_segments_in_any_order_are_the_stream(data: st.DataObject) -> None:
    """Cut anywhere, repeated, overlapping, out of order and across the end of the sequence space: the same bytes."""
    sent = data.draw(st.binary(min_size=1, max_size=60))
    start = data.draw(st.sampled_from([0, 5, 2**31 - 7, 2**32 - 1, 2**32 - 20]))
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(sent)), max_size=6))), len(sent)]
    parts = [(a, b) for a, b in pairwise(cuts) if a < b]
    extra = data.draw(st.lists(st.tuples(st.integers(0, len(sent)), st.integers(0, len(sent))), max_size=4))
    order = data.draw(st.permutations([*parts, *((min(e), max(e)) for e in extra)]))
    frames = [segment(1, start - 1, flags=2)]
    frames += [segment(n, start + a, sent[a:b], padding=n % 7) for n, (a, b) in enumerate(order, 2)]
    stream = only(frames)
    (run,) = stream.runs
    assert (run.data, run.missed, stream.sender, stream.receiver) == (sent, 0, A, B)
    for at in range(len(sent)):
        origin = run.origin(at)
        assert frames[origin.frame - 1].data[origin.offset] == sent[at]
        assert origin.time_ns == origin.frame * 1000


@pytest.mark.parametrize("link", ["ethernet", "ipip", "raw", "sll"])
def test_any_link_will_do(link: str) -> None:
    """Ethernet with padding, a VLAN tag and IPIP, raw IP and Linux cooked capture give the same stream."""
    stream = only([segment(1, 9, flags=2, link=link), segment(2, 10, b"hello", link=link)])
    assert [run.data for run in stream.runs] == [b"hello"]


def test_what_the_capture_missed_is_counted() -> None:
    """A hole parts a stream in two runs; a capture that begins in the middle does not know how much it missed."""
    first, second = only([segment(1, 9, flags=2), segment(2, 10, b"abc"), segment(3, 17, b"xyz")]).runs
    assert ((first.data, first.missed), (second.data, second.missed)) == ((b"abc", 0), (b"xyz", 4))
    runs = only([segment(1, 9, flags=2), segment(2, 12, b"abc"), segment(3, 25, b"z"), segment(4, 15, b"def")]).runs
    assert [(run.data, run.missed) for run in runs] == [(b"abcdef", 2), (b"z", 7)]
    (run,) = only([segment(1, 10, b"abc")]).runs
    assert run.missed is None
    cut = segment(2, 10, b"abcdef")
    cut = Frame(cut.data[:-2], 2, 0, 1, len(cut.data))
    first, second = only([segment(1, 9, flags=2), cut, segment(3, 16, b"g")]).runs
    assert ((first.data, first.missed), (second.data, second.missed)) == ((b"abcd", 0), (b"g", 2))


def test_connections_are_told_apart() -> None:
    """A SYN with another number between the same ports begins another connection; a repeated SYN does not."""
    found = streams([
        segment(1, 9, flags=2), segment(2, 9, flags=2), segment(3, 99, flags=0x12, back=True), segment(4, 10, b"a"),
        segment(5, 100, b"b", back=True), segment(6, 50_009, flags=2), segment(7, 77, flags=0x12, back=True),
        segment(8, 50_010, b"c"), segment(9, 78, b"d", back=True),
    ])  # fmt: skip
    assert [(s.connection, s.sender, b"".join(r.data for r in s.runs)) for s in found] == [
        (1, A, b"a"), (1, B, b"b"), (2, A, b"c"), (2, B, b"d")]  # fmt: skip


def test_what_is_no_tcp_is_passed_over() -> None:
    """ARP, UDP, a fragment, a cut header, an absurd one and nothing at all are no segments."""
    good = segment(1, 1, b"a").data
    arp, udp, fragment, absurd = bytearray(good), bytearray(good), bytearray(good), bytearray(good)
    arp[12:14], udp[23], fragment[20], absurd[46] = b"\x08\x06", 17, 0x20, 0x40
    frames = [bytes(x) for x in (arp, udp, fragment, absurd)] + [good[:40], b""]
    assert streams([Frame(data, n, 0, 1, len(data)) for n, data in enumerate(frames, 1)]) == []


@pytest.mark.tool("tshark")
def test_streams_are_tsharks() -> None:
    """An HTTP answer of 8 kB is put together from its segments as `tshark -z follow` has it."""
    capture = recording("tcp-pod-mtu-1450").capture("podA-eth0")
    found = streams(capture)
    for stream in found:
        assert [run.missed for run in stream.runs] == [0]
    done = subprocess.run([shutil.which("tshark") or "", "-r", str(capture.path), "-q", "-z", "follow,tcp,raw,0"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.strip() and set(line.strip()) <= set("0123456789abcdef")]
    theirs = [b"".join(bytes.fromhex(line.strip()) for line in lines if line.startswith("\t") == back)
              for back in (False, True)]  # fmt: skip
    assert sorted(theirs) == sorted(stream.runs[0].data for stream in found if stream.connection == 1)
