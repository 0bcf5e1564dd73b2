"""Captured sessions, message by message: those that tshark sees, those that BIRD acted on, and damage told."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.bgp import birdc, wire
from coursekit.bgp.captured import MISSING, Captured, Notification, Open, RouteRefresh, messages_of
from coursekit.bgp.route import Attributes
from coursekit.errors import CourseError
from coursekit.lab.recording import recording, recordings
from tests.packets.test_streams import segment
from tests.seeds import examples

SESSIONS = [(name, point) for name in recordings() if name.startswith("bgp-") for point in recording(name).points()
            if point.startswith("router")]  # fmt: skip
ROUTE = Attributes(as_path=(65001,), next_hop="10.0.0.1")


def said(*messages: bytes, back: bytes = b"", first: int = 10) -> list[Captured]:
    """Return what is read of messages that A sends to B, one segment each; `back` is what B sends before."""
    frames, at = [segment(1, 9, flags=2), segment(2, 99, flags=0x12, back=True)], first
    if back:
        frames.append(segment(3, 100, back, back=True))
    for message in messages:
        frames.append(segment(len(frames) + 1, at, message))
        at += len(message)
    return messages_of(frames)


@pytest.mark.tool("tshark")
@pytest.mark.parametrize(("name", "point"), SESSIONS)
def test_messages_are_tsharks(name: str, point: str) -> None:
    """Every message is one that tshark finds, of the same kind and length, in the same frame; and none is missing."""
    capture = recording(name).capture(point)
    found = messages_of(capture)
    fields = [word for name in ("frame.number", "bgp.type", "bgp.length") for word in ("-e", name)]
    done = subprocess.run(["tshark", "-r", str(capture.path), "-Y", "bgp", "-T", "fields", *fields],
                          capture_output=True, text=True, check=True)  # fmt: skip
    theirs = [(int(frame), wire.TYPES[int(kind)], int(length)) for frame, kinds, lengths in
              (line.split("\t") for line in done.stdout.splitlines())
              for kind, length in zip(kinds.split(","), lengths.split(","), strict=True)]  # fmt: skip
    assert [(m.last_frame, m.kind, len(m.data)) for m in found] == theirs
    assert [m.problem for m in found if m.problem] == []
    for m in found:
        assert capture[m.frame].data[m.offset : m.offset + 19] == m.data[:19]


@pytest.mark.parametrize(
    ("name", "output", "to", "withdrawn"),
    [("bgp-session", "birdc-node1", "192.168.1.10", False), ("bgp-mesh", "birdc-node1", "192.168.1.10", False),
     ("bgp-mesh", "birdc-node1-2-node3-stopped", "192.168.1.10", True),
     ("bgp-route-reflector", "birdc-node1", "192.168.1.10", False),
     ("bgp-route-reflector", "birdc-node1-2-node3-stopped", "192.168.1.10", True),
     ("bgp-tor-as-per-node", "birdc-node1", "192.168.1.10", False)],
)  # fmt: skip
def test_what_was_heard_is_what_birdc_showed(name: str, output: str, to: str, withdrawn: bool) -> None:
    """The UPDATEs that a node got, one after another, are the BGP routes in its table, with all attributes."""
    table: dict[tuple[str, str], Attributes] = {}
    for message in messages_of(recording(name).capture("router-sw1")):
        gone = isinstance(message.content, wire.Wire) and message.content.withdrawn
        if not withdrawn and (gone or message.kind == "NOTIFICATION"):
            break
        if message.receiver == to and message.kind == "NOTIFICATION":
            table = {key: held for key, held in table.items() if key[0] != message.sender}
        if message.receiver == to and isinstance(message.content, wire.Wire):
            for prefix, _ in message.content.withdrawn:
                del table[message.sender, prefix]
            for prefix, _ in message.content.announced:
                assert message.content.attributes
                table[message.sender, prefix] = message.content.attributes
    shown = {(row.source or row.hops[0][0], row.net): dict(row.attributes)
             for row in birdc.routes(recording(name).output(output)) if row["Type"] == "BGP univ"}  # fmt: skip
    assert len(table) >= 1
    assert table.keys() == shown.keys()
    for key, attributes in table.items():
        row = shown[key]
        assert row["BGP.next_hop"] == attributes.next_hop
        assert row["BGP.as_path"] == " ".join(map(str, attributes.as_path))
        assert row.get("BGP.originator_id") == attributes.originator_id
        assert row.get("BGP.cluster_list", "") == " ".join(attributes.cluster_list)
        assert int(row["BGP.local_pref"]) == (100 if attributes.local_pref is None else attributes.local_pref)


def test_a_session_reads_as_a_story() -> None:
    """OPEN, KEEPALIVE, UPDATE, withdrawal, End-of-RIB and NOTIFICATION are lines that say what was said."""
    lines = [str(m) for m in messages_of(recording("bgp-session").capture("router-sw1"))]
    assert lines[0] == (
        "192.168.1.10 → 192.168.1.1  OPEN: AS 64512, router id 192.168.1.10, hold time 9 s; multiprotocol, "
        "route refresh, graceful restart, 4-octet AS number, enhanced route refresh, long-lived graceful restart")
    assert "192.168.1.10 → 192.168.1.1  KEEPALIVE" in lines
    assert ("192.168.1.1 → 192.168.1.10  UPDATE: announces 10.244.1.0/24: next hop 192.168.1.11, AS path -, "
            "origin igp, LOCAL_PREF 100, ORIGINATOR_ID 192.168.1.11, CLUSTER_LIST 192.168.1.1") in lines
    assert "192.168.1.1 → 192.168.1.10  UPDATE: withdraws 10.244.2.0/24" in lines
    assert "192.168.1.10 → 192.168.1.1  UPDATE: End-of-RIB" in lines
    assert lines[-1] == "192.168.1.10 → 192.168.1.1  NOTIFICATION: Cease: administrative shutdown"


def opened(asn: int, *capabilities: bytes) -> bytes:
    packed = b"".join(capabilities)
    body = b"\4" + (asn if asn < 65536 else 23456).to_bytes(2, "big") + b"\0\x5a\x0a\0\0\1"
    return wire.message(1, body + bytes([len(packed) + 2, 2, len(packed)]) + packed)


FOUR = b"\x41\4" + (70_000).to_bytes(4, "big")


def test_an_open_is_read_whole() -> None:
    """AS number of four bytes, hold time, router id and every capability, in one parameter or many."""
    content = said(opened(70_000, FOUR, b"\x45\4\0\1\1\3", b"\x63\0"))[0].content
    assert content == Open(4, 70_000, 90, "10.0.0.1", ((65, FOUR[2:]), (69, b"\0\1\1\3"), (99, b"")))
    assert content.capability_names == ("4-octet AS number", "ADD-PATH", "capability 99")
    parted = b"\4\0\1\0\x5a\x0a\0\0\1" + bytes([2 * (2 + 6)]) + 2 * (b"\2\6" + b"\x45\4\0\1\1\1")
    assert said(wire.message(1, parted))[0].content == Open(4, 1, 90, "10.0.0.1", 2 * ((69, b"\0\1\1\1"),))
    long = b"\4\0\1\0\x5a\x0a\0\0\1\xff\xff\0\5\2\0\2\x46\0"  # RFC 9072
    assert said(wire.message(1, long))[0].content == Open(4, 1, 90, "10.0.0.1", ((70, b""),))


@pytest.mark.parametrize(("sends", "takes", "agreed"), [(3, 3, True), (2, 1, True), (1, 3, False), (3, 2, False),
                                                        (3, 0, False), (0, 3, False)])  # fmt: skip
def test_path_ids_are_read_if_both_ends_agreed(sends: int, takes: int, agreed: bool) -> None:
    """ADD-PATH holds in one direction, if that end sends it and the other takes it."""
    def ability(mode: int) -> bytes:
        return b"\x45\4\0\1\1" + bytes([mode]) if mode else b"\x46\0"

    data = wire.encode([("10.1.0.0/16", 5)], ROUTE, add_path=agreed)
    found = said(opened(70_000, FOUR, ability(sends)), data, back=opened(70_000, FOUR, ability(takes)))
    content = found[-1].content
    assert isinstance(content, wire.Wire)
    assert content.announced == (("10.1.0.0/16", 5 if agreed else 0),)
    assert f"announces 10.1.0.0/16{' (path 5)' if agreed else ''}: " in str(found[-1])


@pytest.mark.parametrize("old", ["sender", "receiver"])
def test_as_numbers_of_two_bytes_are_read_if_one_end_is_old(old: str) -> None:
    """Where an OPEN has no four-octet capability AS_PATH has two bytes per AS, and AS4_PATH the whole numbers."""
    path = b"\x40\1\1\0" + b"\x40\2\6\2\2\xfd\xe9\x5b\xa0" + b"\x40\3\4\x0a\0\0\1"
    wide = b"\xc0\x11\6\2\1" + (70_000).to_bytes(4, "big")
    data = wire.message(2, b"\0\0" + (len(path) + len(wide)).to_bytes(2, "big") + path + wide + b"\x10\x0a\1")
    mine, theirs = (b"\x46\0", FOUR) if old == "sender" else (FOUR, b"\x46\0")
    content = said(opened(65001, mine), data, back=opened(65002, theirs))[-1].content
    assert isinstance(content, wire.Wire)
    assert content.attributes == ROUTE._replace(as_path=(65001, 70_000))


@pytest.mark.parametrize(
    ("kind", "body", "content", "text"),
    [(3, b"\2\7\1\4\0\1\1\4", Notification(2, 7, b"\1\4\0\1\1\4"), "OPEN Message Error: unsupported capability"),
     (3, b"\6\2\5hello", Notification(6, 2, b"\5hello"), "Cease: administrative shutdown (hello)"),
     (3, b"\4\0", Notification(4, 0, b""), "Hold Timer Expired"),
     (3, b"\x4d\3", Notification(77, 3, b""), "error 77: subcode 3"),
     (5, b"\0\1\1\1", RouteRefresh(1, 1, 1), "IPv4 unicast, beginning")],
)  # fmt: skip
def test_other_messages_are_read(kind: int, body: bytes, content: Any, text: str) -> None:
    """NOTIFICATION and ROUTE-REFRESH give numbers and words."""
    message = said(wire.message(kind, body))[0]
    assert (message.content, str(message.content)) == (content, text)


def test_what_is_not_there_is_told() -> None:
    """A lost segment, a capture that begins or ends within a message, a damaged one: each a row with a sentence."""
    update = wire.encode([("10.1.0.0/16", 0)], ROUTE)
    keep = wire.keepalive()
    lost = messages_of([segment(1, 9, flags=2), segment(2, 10, keep), segment(3, 129, update[10:] + keep)])
    told = "the capture does not hold 100 bytes before these, and with them the beginning of a message of which "
    assert [(m.kind, m.problem) for m in lost] == [
        ("KEEPALIVE", None), (MISSING, f"{told}{len(update) - 10} bytes are here."), ("KEEPALIVE", None)]  # fmt: skip
    (end,) = said(update[:30])
    assert (end.kind, end.problem) == ("UPDATE", f"only 30 of its {len(update)} bytes are in the capture.")
    (late,) = messages_of([segment(1, 500, keep)])
    assert (late.kind, late.problem) == ("KEEPALIVE", None)
    good, bad = said(keep, b"\xff" * 15 + b"\0" * 8)
    assert (good.problem, bad.kind) == (None, MISSING)
    assert str(bad.problem).startswith("no BGP message begins here: ff ff")
    broken = bytearray(update)
    broken[-3] = 77
    assert "is damaged: a prefix of /77 does not fit." in str(said(bytes(broken))[0].problem)
    assert said(wire.message(3, b"\1"))[0].problem == "this NOTIFICATION of 20 bytes is damaged: it ends too early."


def test_messages_come_in_the_order_in_which_they_were_whole() -> None:
    """A message waits for its last segment, and those behind it on the same stream wait too; the other end does not."""
    update, keep = wire.encode([("10.1.0.0/16", 0)], ROUTE), wire.keepalive()
    found = messages_of([
        segment(1, 9, flags=2), segment(2, 99, flags=0x12, back=True), segment(3, 10, update[:20]),
        segment(4, 10 + len(update), keep), segment(5, 100, keep, back=True), segment(6, 30, update[20:]),
    ])  # fmt: skip
    assert [(m.sender, m.kind, m.frame, m.last_frame, m.time_ns) for m in found] == [
        ("10.0.0.2", "KEEPALIVE", 5, 5, 5000), ("10.0.0.1", "UPDATE", 3, 6, 6000),
        ("10.0.0.1", "KEEPALIVE", 4, 6, 6000)]  # fmt: skip


def test_a_capture_may_begin_within_a_message() -> None:
    """Where the SYN is not in the capture, bytes before the first marker are told of, and what follows is read."""
    update = wire.encode([("10.1.0.0/16", 0)], ROUTE)
    found = messages_of([segment(1, 500, update[20:] + update)])
    assert [(m.kind, len(m.data)) for m in found] == [(MISSING, len(update) - 20), ("UPDATE", len(update))]
    assert "does not hold bytes before these" in str(found[0].problem)


def test_other_tcp_is_passed_over() -> None:
    """What does not begin with sixteen bytes of ff is not BGP, whatever its port is."""
    assert said(b"GET / HTTP/1.1\r\n\r\n") == []
    assert messages_of(recording("tcp-pod-mtu-1450").capture("podA-eth0")) == []


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(st.data())
def test_a_stream_cut_anywhere_gives_the_same_messages(data: st.DataObject) -> None:
    """However TCP cuts and carries it, a session is the same messages; each knows its bytes, and when it was whole."""
    sent = [wire.keepalive(), *data.draw(st.lists(st.sampled_from([
        wire.keepalive(), wire.encode([("10.1.0.0/16", 0), ("10.2.0.0/16", 0)], ROUTE), wire.encode([], None),
        wire.message(5, b"\0\1\0\1")]), max_size=6))]  # fmt: skip
    stream = b"".join(sent)
    cuts = sorted({0, len(stream), *data.draw(st.sets(st.integers(1, len(stream)), max_size=8))})
    pieces = list(pairwise(cuts))
    pieces = data.draw(st.permutations(pieces))
    frames = {n: segment(n, 10 + a, stream[a:b]) for n, (a, b) in enumerate(pieces, 2)}
    found = messages_of([segment(1, 9, flags=2), *frames.values()])
    assert [m.data for m in found] == sent
    ends = [len(b"".join(sent[: i + 1])) for i in range(len(sent))]
    whole = [max(n for n, (a, _) in enumerate(pieces, 2) if a < end) for end in ends]
    assert [m.last_frame for m in found] == whole
    for m in found:
        head = frames[m.frame].data[m.offset :]
        assert head[:1] == b"\xff"
        assert m.data.startswith(head) or head.startswith(m.data)
    assert Counter(m.problem for m in found) == Counter({None: len(sent)})


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    """Any bytes of a recorded session changed, or frames left out: what is left is read, the rest has sentences."""
    frames = list(recording("bgp-session").capture("router-sw1"))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(frames) - 1))
        damaged = bytearray(frames[place].data)
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
        frames[place] = replace(frames[place], data=bytes(damaged))
    kept = [frame for frame in frames if data.draw(st.integers(0, 9))]
    try:
        found = messages_of(kept)
    except CourseError:
        raise AssertionError from None
    assert all(m.problem is None or m.problem.endswith((".", "?")) for m in found)
