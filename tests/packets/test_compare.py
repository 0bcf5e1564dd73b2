"""Field-by-field comparison."""

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from coursekit.packets.capture import load
from coursekit.packets.compare import Difference, compare, first_difference
from coursekit.packets.layout import dissect
from coursekit.paths import data_dir

FRAMES = load(data_dir() / "recordings" / "flannel-vxlan" / "node1-eth0.pcap")
POD = load(data_dir() / "recordings" / "flannel-vxlan" / "podA-eth0.pcap")
FRAME = FRAMES[5].data


def test_equal_frames_have_no_difference() -> None:
    """A frame does not differ from itself, whatever it is."""
    assert [compare(frame.data, frame.data) for frame in FRAMES if compare(frame.data, frame.data)] == []
    assert (compare(b"", b""), first_difference(FRAME, FRAME)) == ((), None)


def test_two_pings() -> None:
    """Two pings of one flow differ in identifications, checksums that follow, sequence number and data."""
    differing = [(item.key, item.layer, item.nth) for item in compare(FRAMES[3].data, FRAMES[5].data)]
    assert differing == [
        ("ip.id", "ip", 0), ("ip.checksum", "ip", 0), ("ip.id", "ip", 1), ("ip.checksum", "ip", 1),
        ("icmp.checksum", "icmp", 0), ("icmp.seq", "icmp", 0), ("data.data", "data", 0),
    ]


def test_before_and_after_the_envelope() -> None:
    """Frames of different structure are compared by name: headers that only one has come as present and absent."""
    inside = next(frame.data for frame in POD if frame.data[18:20] == FRAME[68:70])
    differing = compare(inside, FRAME)
    assert Difference("ip.proto", "Protocol", "ip", 0, 184, "1 (ICMP)", "17 (UDP)") in differing
    assert [item.key for item in differing if item.a is None][:5] == [
        "udp.srcport", "udp.dstport", "udp.length", "udp.checksum", "vxlan.flag_g",
    ]
    assert str(differing[0]) == f"eth#0 Destination (eth.dst): {dissect(inside)['eth.dst'].value} → 02:00:c0:a8:01:0b"


@given(st.integers(0, 8 * len(FRAME) - 1))
def test_every_bit_has_its_field(bit: int) -> None:
    """Flip any bit: the first difference is the field that holds it."""
    flipped = bytearray(FRAME)
    flipped[bit // 8] ^= 0x80 >> bit % 8
    holder = next(f for f in dissect(FRAME).fields() if f.bit_offset <= bit < f.bit_offset + f.width)
    found = first_difference(FRAME, bytes(flipped))
    assert found is not None
    assert (found.key, found.bit_offset) == (holder.key, holder.bit_offset)


def test_a_checksum_that_follows_is_not_the_cause() -> None:
    """Where a field was changed and the checksum before it recomputed, the field is named; alone, the checksum is."""
    good = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2", id=1)
    one, other = (bytes(good / UDP(sport=1, dport=2) / Raw(data)) for data in (b"data", b"DATA"))
    assert [getattr(first_difference(one, b), "key", None) for b in (other, other[:46])] == ["data.data", "data.data"]
    broken = one[:40] + b"\x12\x34" + one[42:]
    assert getattr(first_difference(one, broken), "key", None) == "udp.checksum"


def test_length_alone() -> None:
    """A frame that goes on after the expected one differs in its length."""
    found = first_difference(FRAME, FRAME + b"\0")
    assert found is not None
    assert (found.key, found.a, found.b) == ("frame.len", "148 bytes", "149 bytes")


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_any_bytes(a: bytes, b: bytes) -> None:
    """Any two byte strings can be compared, and differ if they do."""
    compare(a, b)
    assert (first_difference(a, b) is None) == (a == b)
