"""Bytes of BGP: what a run would send is what BIRD sends, BIRD takes what we send, and damage is a sentence."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.bgp import wire
from coursekit.bgp.bird import PORT, stand_ins
from coursekit.bgp.loopback import Birds
from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario_file import load, parse
from coursekit.errors import CourseError
from coursekit.paths import data_dir

CASES = {case.id: case for case in load(data_dir() / "bgp" / "cases.json")}

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


@settings(max_examples=150, deadline=None, derandomize=True)
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


@settings(max_examples=300, deadline=None, derandomize=True)
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


# ---- beside BIRD ---------------------------------------------------------------------------------------------------


@pytest.mark.tool("bird")
def test_bird_takes_a_session_spoken_by_our_bytes() -> None:
    """Our OPEN, KEEPALIVE and UPDATE bring a session up in BIRD, and the route stands in its table."""
    (scenario,) = parse({
        "routers": [{"name": "us", "asn": 4_200_000_001, "router_id": "10.0.0.2"},
                    {"name": "b", "asn": 65002, "router_id": "10.0.0.1"}],
        "lans": [{"id": "lan", "members": {"us": "10.0.0.2", "b": "10.0.0.1"}}],
        "sessions": [{"id": "s", "a": "us", "b": "b", "a_addr": "10.0.0.2", "b_addr": "10.0.0.1"}],
        "originate": [{"router": "us", "prefix": "10.65.1.0/26", "med": 5, "communities": ["64512:7"]},
                      {"router": "b", "prefix": "10.65.2.0/26"}],
    })  # fmt: skip
    simulation = scenario.simulation("bird", record=True)
    scenario.start(simulation)
    simulation.run()
    us = simulation.sessions["s"][0]
    addresses = stand_ins(simulation, 252)
    with socket.socket() as listening, Birds(simulation, 252, only=["b"]) as birds:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((addresses["10.0.0.2"], PORT))
        listening.listen(1)
        listening.settimeout(10)
        with listening.accept()[0] as stream:
            stream.settimeout(5)
            stream.sendall(wire.open_message(us))
            heard = b""
            while True:
                heard += stream.recv(65536)
                whole = list(wire.messages(heard)) if _whole(heard) else []
                if [m[18] for m in whole[:2]] == [1, 4]:
                    break
            stream.sendall(wire.keepalive() + b"".join(
                wire.update_bytes(m.update) for m in simulation.messages if m.sender == "us"))  # fmt: skip
            assert birds.differences() == []
            while not _whole(heard) or not _updates(heard):
                heard += stream.recv(65536)
    theirs = _updates(heard)
    assert theirs == [wire.update_bytes(m.update) for m in simulation.messages if m.sender == "b"]
    assert whole[0] == wire.open_message(simulation.sessions["s"][1])


def _updates(stream: bytes) -> list[bytes]:
    """Return the UPDATEs of a stream, each cut into one per prefix, and End-of-RIB left out."""
    out = []
    for message in wire.messages(stream):
        if message[18] == 2 and message != END_OF_RIB:
            end = 23 + int.from_bytes(message[21:23], "big")
            at = end
            while message[19:21] == b"\0\0" and at < len(message):
                size = 1 + (message[at] + 7) // 8
                length = (end + size).to_bytes(2, "big")
                out.append(message[:16] + length + message[18:end] + message[at : at + size])
                at += size
            if message[19:21] != b"\0\0":
                out.append(message)
    return out


def _whole(data: bytes) -> bool:
    try:
        return bool(list(wire.messages(data)))
    except CourseError:
        return False


class Listener(threading.Thread):
    """Keeps every TCP segment between addresses in 127.{net}.0.0/16 on lo."""

    def __init__(self, net: int) -> None:
        super().__init__(daemon=True)
        self.prefix = bytes([127, net])
        self.done = threading.Event()
        self.segments: dict[tuple[Any, ...], dict[int, bytes]] = {}
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.bind(("lo", 0x0800))
        self.socket.settimeout(0.1)

    def run(self) -> None:
        while not self.done.is_set():
            try:
                packet = self.socket.recv(65536)
            except TimeoutError:
                continue
            size = (packet[0] & 15) * 4
            if packet[9] == 6 and packet[12:14] == self.prefix:
                tcp = packet[size : int.from_bytes(packet[2:4], "big")]
                payload = tcp[(tcp[12] >> 4) * 4 :]
                if payload:
                    key = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), tcp[:4]
                    self.segments.setdefault(key, {})[int.from_bytes(tcp[4:8], "big")] = payload
        self.socket.close()

    def updates(self) -> Counter[tuple[str, str, bytes]]:
        """Return the UPDATEs that were seen, End-of-RIB apart, by source and destination."""
        return Counter(
            (source, destination, message)
            for (source, destination, _), parts in self.segments.items()
            for message in _updates(b"".join(parts[at] for at in sorted(parts)))
        )


@pytest.mark.root
@pytest.mark.tool("bird")
@pytest.mark.parametrize("case_id", ["C01", "C03", "C04", "C05", "C06", "C10", "C11a", "C11b"])
def test_birds_capture_holds_our_bytes(case_id: str) -> None:
    """Every UPDATE of the run is in the capture of the same network in BIRD, byte for byte, and no other is.

    BIRD may say the same thing twice: when a route arrives while it is telling a new peer of its table.
    """
    scenario = CASES[case_id]
    simulation = scenario.simulation("bird", record=True)
    scenario.start(simulation)
    simulation.run()
    addresses = stand_ins(simulation, 253)
    ours = Counter(
        (addresses[m.update.to.peer.address], addresses[m.update.to.local_address], wire.update_bytes(m.update))
        for m in simulation.messages
    )
    listener = Listener(253)
    listener.start()
    with Birds(simulation, 253) as birds:
        assert birds.differences() == []
        time.sleep(0.3)
        listener.done.set()
        listener.join()
    captured = listener.updates()
    assert ours - captured == Counter()
    assert set(captured) == set(ours)
