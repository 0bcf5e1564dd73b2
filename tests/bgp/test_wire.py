"""Bytes of BGP: as BIRD has them, read back as they were, and damage is a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.bgp import wire
from coursekit.bgp.route import Attributes
from coursekit.errors import CourseError
from tests.seeds import examples

# As BIRD 2.0.12 sent them: a reflector to its client, then a withdrawal, then End-of-RIB.
REFLECTED = bytes.fromhex(
    "ffffffffffffffffffffffffffffffff003e0200000023"
    "40010100400200400304c0a8010b40050400000064800904c0a8010b800a04c0a80101180af401"
)
ROUTE = Attributes(next_hop="192.168.1.11", local_pref=100, originator_id="192.168.1.11", cluster_list=("192.168.1.1",))
WITHDRAWN = bytes.fromhex("ff" * 16 + "001b020004180af4020000")
END_OF_RIB = bytes.fromhex("ff" * 16 + "00170200000000")


def test_a_reflected_route_is_birds_bytes() -> None:
    """A reflected /24 is 62 bytes, attribute by attribute as BIRD has them; a withdrawal and End-of-RIB likewise."""
    assert wire.encode([("10.244.1.0/24", 0)], ROUTE) == REFLECTED
    assert wire.encode([("10.244.2.0/24", 0)], None) == WITHDRAWN
    assert wire.encode([], None) == END_OF_RIB
    assert wire.read_update(REFLECTED) == wire.Wire((), (("10.244.1.0/24", 0),), ROUTE)
    assert wire.read_update(WITHDRAWN) == wire.Wire((("10.244.2.0/24", 0),), (), None)
    assert wire.read_update(END_OF_RIB).end_of_rib


@pytest.mark.parametrize(("hops", "segments"), [(1, [1]), (255, [255]), (256, [1, 255]), (600, [90, 255, 255])])
def test_a_long_as_path_overflows_into_a_segment_in_front(hops: int, segments: list[int]) -> None:
    """A segment holds 255 AS numbers; prepending to a full one begins another in front of it (RFC 4271 §5.1.2 b)."""
    given = ROUTE._replace(as_path=tuple(range(1, hops + 1)))
    data = wire.encode([("10.244.1.0/24", 0)], given)
    at = data.index(b"\x02", 23 + 4)  # after ORIGIN: the type of AS_PATH, then its length
    at += 2 + (data[at - 1] >> 4 & 1)
    found = []
    while len(found) < len(segments):
        assert data[at] == 2
        found.append(data[at + 1])
        at += 2 + 4 * data[at + 1]
    assert found == segments
    assert wire.read_update(data).attributes == given


ASNS = st.integers(1, 2**32 - 1)
IPV4 = st.ip_addresses(v=4).map(str)
ATTRIBUTES = st.builds(
    Attributes,
    as_path=st.lists(ASNS, max_size=8).map(tuple) | st.lists(ASNS, min_size=70, max_size=300).map(tuple)
    | st.tuples(ASNS, st.frozensets(ASNS, min_size=1, max_size=3)),
    next_hop=IPV4, local_pref=st.none() | st.integers(0, 2**32 - 1), med=st.none() | st.integers(0, 2**32 - 1),
    origin=st.sampled_from(["igp", "egp", "incomplete"]), originator_id=st.none() | IPV4,
    cluster_list=st.lists(IPV4, max_size=5).map(tuple),
    communities=st.lists(st.sampled_from(["no-export", "no-advertise", "64512:100", "0:65535"]), max_size=3).map(tuple),
    otc=st.none() | ASNS,
)  # fmt: skip


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(ATTRIBUTES, st.sampled_from([("10.65.1.0/26", 0), ("0.0.0.0/0", 0), ("10.0.0.1/32", 7), ("10.1.0.0/24", 2**31)]))
def test_every_message_reads_back(attributes: Attributes, prefix: tuple[str, int]) -> None:
    """Whatever attributes a route has, its bytes are read back as the same route."""
    data = wire.encode([prefix], attributes, add_path=prefix[1] > 0)
    assert wire.read_update(data) == wire.Wire((), (prefix,), attributes)


@pytest.mark.parametrize("attributes", [Attributes(as_path=(1,), next_hop="fd00::1"), None])
def test_ipv6_prefixes_travel_in_an_attribute(attributes: Attributes | None) -> None:
    """An IPv6 prefix is announced in MP_REACH_NLRI and withdrawn in MP_UNREACH_NLRI, and read back from there."""
    read = wire.read_update(wire.encode([("fd00:10::/64", 0)], attributes))
    assert (read.announced if attributes else read.withdrawn) == (("fd00:10::/64", 0),)
    assert read.attributes == attributes


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(st.data())
def test_damage_is_a_sentence(data: st.DataObject) -> None:
    """A message with any of its bytes changed, or cut, is read as something or refused with a sentence."""
    damaged = bytearray(REFLECTED[: data.draw(st.integers(0, len(REFLECTED)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        wire.read_update(bytes(damaged))
        list(wire.messages(bytes(damaged)))
    except CourseError as error:
        sentence = str(error)
    else:
        sentence = "."
    assert sentence.endswith((".", "?"))


def test_a_stream_is_cut_into_messages() -> None:
    """Messages that lie behind each other are told apart; what is no message is named with its place."""
    assert list(wire.messages(wire.keepalive() + REFLECTED)) == [wire.keepalive(), REFLECTED]
    with pytest.raises(CourseError, match="At byte 19 of the session no BGP message begins"):
        list(wire.messages(wire.keepalive() + b"GET / HTTP/1.1\r\n\r\n..."))
    with pytest.raises(CourseError, match="has 62 bytes, of which 30 are there"):
        list(wire.messages(REFLECTED[:30]))
