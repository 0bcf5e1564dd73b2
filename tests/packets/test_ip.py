"""What a router does: TTL, checksum, fragments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, IPOption_NOP, IPOption_Router_Alert, IPOption_RR, defragment
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from coursekit.errors import CourseError
from coursekit.packets.ip import forward, fragment, internet_checksum
from tests.seeds import examples

packets = st.builds(
    lambda size, ttl, tos, ip_id: bytes(
        IP(src="10.244.0.5", dst="10.244.1.7", id=ip_id, ttl=ttl, tos=tos, proto=17)
        / Raw(bytes(n % 251 for n in range(size)))
    ),
    st.integers(0, 3000), st.integers(2, 255), st.integers(0, 255), st.integers(0, 65535),
)


@given(packets)
def test_forward_takes_one_off_the_ttl(packet: bytes) -> None:
    """A forwarded packet differs in its TTL alone, and its checksum is what scapy computes for it."""
    moved = forward(packet)
    fresh = IP(packet)
    fresh.ttl -= 1
    del fresh.chksum
    assert moved == bytes(fresh)


def test_forward_never_writes_minus_zero() -> None:
    """A checksum that would become 0xffff becomes 0, as in the kernel."""
    packet = IP(src="10.0.0.1", dst="10.0.0.2", ttl=64, chksum=0)
    packet.id = (internet_checksum(bytes(packet)[:4] + b"\0\0" + bytes(packet)[6:]) - 0xFEFF) % 0xFFFF
    del packet.chksum
    whole = bytes(packet)
    assert (whole[10:12], forward(whole)[10:12]) == (b"\xfe\xff", b"\0\0")


def test_forward_keeps_a_wrong_checksum_wrong() -> None:
    """The checksum is adjusted, not recomputed: what was damaged stays recognisable."""
    packet = bytearray(bytes(IP(src="10.0.0.1", dst="10.0.0.2", ttl=64)))
    packet[11] ^= 0x55
    assert internet_checksum(forward(bytes(packet))[:20]) != 0


def test_forward_ipv6_and_death() -> None:
    """IPv6 has a hop limit and no checksum; a packet whose TTL runs out is not forwarded."""
    packet = bytes(IPv6(src="fd00::5", dst="fd00::7", hlim=64))
    assert forward(packet) == packet[:7] + b"\x3f" + packet[8:]
    for dying in (bytes(IP(src="10.0.0.1", dst="10.0.0.2", ttl=1)), bytes(IPv6(src="::1", dst="::1", hlim=0))):
        with pytest.raises(CourseError, match="Time Exceeded"):
            forward(dying)


@pytest.mark.parametrize("junk", [b"", b"E", bytes(40), b"\x41" + bytes(40), b"\x60" + bytes(20), b"O" + bytes(30)])
def test_no_packet(junk: bytes) -> None:
    """Bytes that are no IP packet get a sentence."""
    for function in (forward, lambda packet: fragment(packet, 1500)):
        with pytest.raises(CourseError, match="An IP packet was expected"):
            function(junk)


@settings(max_examples=examples(60))
@given(packets, st.integers(68, 1600))
def test_fragments_fit_and_add_up(packet: bytes, mtu: int) -> None:
    """Fragments fit the MTU, all but the last are as full as multiples of 8 allow, and scapy puts them together."""
    pieces = fragment(packet, mtu)
    assert max(map(len, pieces)) <= mtu
    assert {len(piece) for piece in pieces[:-1]} <= {20 + (mtu - 20) // 8 * 8}
    assert all(internet_checksum(piece[:20]) == 0 for piece in pieces)
    whole = defragment([IP(piece) for piece in pieces])
    assert [bytes(item)[20:] for item in whole] == [packet[20:]]


def test_fragments_of_recorded_sizes() -> None:
    """1500 bytes through 1450 are 1444 + 76; 1550 through 1500 are 1500 + 70; 1500 through 1400 are 1396 + 124."""
    def sizes(size: int, mtu: int) -> list[int]:
        packet = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=7) / Raw(bytes(size - 20)))
        return [len(piece) for piece in fragment(packet, mtu)]

    assert (sizes(1500, 1450), sizes(1550, 1500), sizes(1500, 1400)) == ([1444, 76], [1500, 70], [1396, 124])
    assert (sizes(1451, 1450), sizes(1450, 1450), sizes(1456, 1450)) == ([1444, 27], [1450], [1444, 32])
    assert sizes(1444 + 1428, 1450) == [1444, 1448]  # the last one need not be a multiple of 8


def test_fragment_of_a_fragment() -> None:
    """A fragment can be cut again: offsets go on, and More Fragments stays with all pieces of one that had it."""
    packet = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=7) / ICMP() / Raw(bytes(3000)))
    first = fragment(packet, 1500)[0]
    again = [IP(piece) for piece in fragment(first, 600)]
    assert [(int(piece.flags), piece.frag * 8) for piece in again] == [(1, 0), (1, 576), (1, 1152)]


def test_options_of_fragments() -> None:
    """Only options with the copied bit go into later fragments (RFC 791 §3.1); the others become No-Operation."""
    options = [IPOption_Router_Alert(), IPOption_RR(routers=["1.2.3.4"]), IPOption_NOP()]
    packet = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=7, options=options) / Raw(bytes(2000)))
    first, second = fragment(packet, 1500)
    assert first[20:32] == packet[20:32]
    assert second[20:32] == packet[20:24] + b"\x01" * 8
    assert [internet_checksum(piece[:32]) for piece in (first, second)] == [0, 0]


def test_what_is_not_cut() -> None:
    """Don't Fragment, IPv6 and an MTU without room for data get a sentence; padding behind the packet is dropped."""
    packet = IP(src="10.0.0.1", dst="10.0.0.2", flags="DF") / Raw(bytes(100))
    with pytest.raises(CourseError, match="Don't Fragment"):
        fragment(bytes(packet), 100)
    with pytest.raises(CourseError, match="IPv6"):
        fragment(bytes(IPv6(src="::1", dst="::1") / Raw(bytes(2000))), 1500)
    packet.flags = 0
    with pytest.raises(CourseError, match="28 has"):
        fragment(bytes(packet), 27)
    assert fragment(bytes(packet) + b"pad", 1500) == [bytes(packet)]
    assert IP(fragment(bytes(packet), 1500, ip_id=99)[0]).id == 99


def test_fragments_are_cut_where_they_were_before() -> None:
    """What was put together is cut in the same places if all pieces fit (ip_do_fragment's fast path), else anew."""
    whole = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=7) / (b"x" * 2000))
    same = fragment(whole, 1500, came_as=[1376, 56, 568])
    assert [len(piece) - 20 for piece in same] == [1376, 56, 568]
    assert [int.from_bytes(piece[6:8], "big") for piece in same] == [0x2000, 0x2000 | 172, 179]
    assert [len(piece) - 20 for piece in fragment(whole, 1000, came_as=[1376, 56, 568])] == [976, 976, 48]
    assert fragment(whole, 1500, came_as=[1, 2]) == fragment(whole, 1500)
