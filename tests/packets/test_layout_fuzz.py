"""Whatever the bytes are: a dissection, in time, in which every bit has exactly one field."""

from __future__ import annotations

import random
import re
import time
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coursekit.packets.capture import load
from coursekit.packets.fields import Dissection
from coursekit.packets.layout import MAX_DEPTH, MAX_HEADERS, dissect
from coursekit.paths import data_dir
from tests.packets import zoo
from tests.seeds import examples

_LINKTYPES = ("ethernet", "raw", "linux_sll", "linux_sll2", "null", 228, 229, "linktype 127")
_TELLING = (0, 1, 2, 4, 5, 6, 41, 43, 44, 51, 60, 0x45, 0x60, 255)  # lengths, types and protocols that lead somewhere
_MANY = settings(
    max_examples=examples(1000), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@cache
def _seeds() -> tuple[bytes, ...]:
    """Return real frames of every kind, and the built ones."""
    recorded: dict[tuple[int, ...], bytes] = {}
    for path in sorted((data_dir() / "recordings").glob("*/*eth0.pcap")):
        for frame in load(path):
            if frame.dlt == 1:
                recorded.setdefault((len(frame.data), *frame.data[12:14], *frame.data[20:24]), frame.data)
    return (*recorded.values(), *zoo.FRAMES.values(), *(data for _, data in zoo.COOKED.values()))


def assert_sound(data: bytes, dissection: Dissection) -> None:
    """Check what must hold for every dissection."""
    position = 0
    for layer in dissection.layers:
        assert layer.bit_offset == position
        assert layer.fields
        assert 0 <= layer.depth <= MAX_DEPTH + 1
        for field in layer.fields:
            assert field.bit_offset == position, f"{field.key} starts at {field.bit_offset}, {position} was free"
            assert field.width > 0
            bits = int.from_bytes(data, "big") >> (8 * len(data) - position - field.width) & ((1 << field.width) - 1)
            raw = int.from_bytes(field.raw, "big") if isinstance(field.raw, bytes) else field.raw
            assert raw == bits
            assert field.value
            assert field.name
            position += field.width
        assert layer.width == position - layer.bit_offset
    assert position == 8 * len(data)
    if dissection.stopped is not None:
        assert re.fullmatch(r"[A-Z].+[.]", dissection.stopped)
        assert re.search(r"[Bb]ytes? \d|[Ll]ink type|empty", dissection.stopped)
    dissection.to_dict()


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Return a frame with bytes changed, put in, taken out, repeated or cut off."""
    data = bytearray(draw(st.sampled_from(_seeds())))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 5)):
            case 0 | 1:
                data[at : at + 1] = bytes([draw(st.sampled_from(_TELLING))])
            case 2:
                data[at : at + 2] = draw(st.binary(min_size=2, max_size=2))
            case 3:
                data[at:at] = draw(st.binary(max_size=8))
            case 4:
                del data[at:]
            case _:
                size = draw(st.integers(1, 64))
                data[at:at] = data[at : at + size]
    return bytes(data)


@given(mangled(), st.sampled_from(_LINKTYPES[:1] * 5 + _LINKTYPES))
@_MANY
def test_mangled_frames_give_sound_dissections(data: bytes, linktype: str | int) -> None:
    """A frame that was cut or changed anywhere is dissected without an exception, and no bit is lost or told twice."""
    assert_sound(data, dissect(data, linktype))


@given(st.binary(max_size=200), st.sampled_from(_LINKTYPES))
@_MANY
def test_random_bytes_give_sound_dissections(data: bytes, linktype: str | int) -> None:
    """So are bytes that never were a frame."""
    assert_sound(data, dissect(data, linktype))


def test_every_cut_of_every_frame_is_told(record_property: object) -> None:
    """A frame cut after any byte is dissected up to there, and `stopped` is set unless only padding is gone."""
    count = 0
    for data in random.Random(5).sample(_seeds()[: -len(zoo.COOKED)], 60):
        padding = [layer for layer in dissect(data).layers if layer.key == "padding" and layer.depth == 0]
        content = len(data) - sum(layer.width // 8 for layer in padding)
        for size in range(min(content, 400)):
            part = dissect(data[:size])
            assert_sound(data[:size], part)
            assert part.stopped
            count += 1
    print(f"{count} cuts of 60 frames")
    record_property("cuts", count)  # type: ignore[operator]


def test_wide_mutation_run(record_property: object) -> None:
    """Ten thousand quick mutations with a fixed seed: none raises, none takes long."""
    chance = random.Random(2026)
    slowest = 0.0
    seeds = _seeds()
    for _ in range(10_000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 12)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 2, 4, 6, 17, 41, 0x45, 255, chance.randrange(256)))
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        start = time.process_time()
        dissection = dissect(bytes(data))
        slowest = max(slowest, time.process_time() - start)
        assert sum(field.width for field in dissection.fields()) == 8 * len(data)
    print(f"10000 mutated frames from {len(seeds)}, the slowest took {slowest * 1000:.1f} ms")
    record_property("slowest_ms", slowest * 1000)  # type: ignore[operator]
    assert slowest < 1.0


def _ipip(times: int) -> bytes:
    packet, head = bytes(zoo.ip4() / zoo.udp()), bytes(zoo.ip4(proto=4))
    for _ in range(times):
        packet = head[:2] + (len(packet) + 20).to_bytes(2, "big") + head[4:] + packet
    return packet


def test_deep_nesting_is_bounded() -> None:
    """Thousands of tunnels, tags or extension headers inside each other end with a sentence, quickly."""
    tags = bytes.fromhex("02000a000001 02000a000002") + bytes.fromhex("8100 0001") * 16000 + b"\x08\x00"
    headers = bytes.fromhex("60000000 ffff 00 40") + bytes(32) + bytes.fromhex("3c00010400000000") * 8000
    for data, linktype in ((_ipip(3000), "raw"), (tags, "ethernet"), (headers, "raw")):
        start = time.process_time()
        dissection = dissect(data, linktype)
        assert time.process_time() - start < 1.0
        assert sum(field.width for field in dissection.fields()) == 8 * len(data)
        assert len(dissection.layers) <= MAX_HEADERS + 2
        assert "no real packet is wrapped so often" in str(dissection.stopped)


def test_a_segment_full_of_messages_is_read_to_its_end() -> None:
    """Thousands of BGP messages in one packet are no nesting: all are read, in linear time."""
    keepalives = zoo.bgp(4, "") * 3000
    data = bytes(zoo.ip4(len=0, proto=6)) + bytes(zoo.tcp(179, flags="PA")) + keepalives
    start = time.process_time()
    dissection = dissect(data, "raw")
    assert time.process_time() - start < 2.0
    assert [layer.key for layer in dissection.layers].count("bgp") == 3000
