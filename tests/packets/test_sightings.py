"""The same packet at several capture points: paired one to one, in the order of the path."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coursekit.lab.recording import Recording, recording
from coursekit.packets.capture import Frame
from coursekit.packets.sightings import Passage, along, passages

PATH = ["podA:eth0", "node1:cni0", "node1:flannel.1", "node1:eth0", "router:sw1", "node2:eth0", "node2:flannel.1",
        "podB:eth0"]  # fmt: skip


def captured(record: Recording) -> dict[str, tuple[Frame, ...]]:
    """Every capture of a recording, by point."""
    return {point: record.capture(point).frames for point in record.points()}


def sizes(passage: Passage, points: list[str]) -> list[int | None]:
    """How long the frame was at each point; None where the packet was not seen."""
    return [len(passage.seen[point].frame.data) if point in passage.seen else None for point in points]


def test_one_packet_is_one_row() -> None:
    """A ping through VXLAN is one packet at eight points, 98, then 148, then 98 bytes, there and back."""
    found = [item for item in passages(captured(recording("flannel-vxlan"))) if len(item.seen) == len(PATH)]
    pings = [item for item in found if item.first.headers[-2].key == "icmp" and sizes(item, PATH)[0] == 98]
    assert [sizes(item, PATH) for item in pings] == [[98, 98, 98, 148, 148, 148, 98, 98]] * len(pings)
    ends = [item.ends for item in pings[:4]]
    assert ends == [("10.244.0.5", "10.244.1.7"), ("10.244.1.7", "10.244.0.5")] * 2


@pytest.mark.parametrize("name", ["flannel-vxlan", "calico-ipip", "mtu-1450", "vtep-mtu-1500-nodf", "wrong-port"])
def test_no_frame_is_lost_or_told_twice(name: str) -> None:
    """Every captured frame is in exactly one passage, at its own point."""
    frames = captured(recording(name))
    found = passages(frames)
    listed = [(point, item.frame.number) for passage in found for point, item in passage.seen.items()]
    assert sorted(listed) == sorted((point, frame.number) for point, some in frames.items() for frame in some)


@pytest.mark.parametrize("name", ["flannel-vxlan", "wrong-port", "vtep-mtu-1500-df", "vxlan-4789", "tcp-pod-mtu-1500"])
def test_points_stand_in_the_order_of_the_path(name: str) -> None:
    """The order is the packet's own, also where two devices have the same time in microseconds."""
    order = along(passages(captured(recording(name))))
    assert order == [point for point in PATH if point in order]


def test_a_lost_packet_ends_where_it_was_seen_last() -> None:
    """Without the FDB row nothing leaves flannel.1: no passage holds a point behind it."""
    found = passages(captured(recording("missing-fdb")))
    assert along(found) == PATH[:3]
    assert [sizes(item, PATH[:4]) for item in found if item.ends] == [[98, 98, 98, None]] * 2


def test_pieces_stay_apart() -> None:
    """A packet that is cut outside has its first piece in its own row, and the rest in another."""
    found = passages(captured(recording("vtep-mtu-1500-nodf")))
    assert [1514] * 8 in [sizes(item, PATH) for item in found]
    assert [None, None, None, 84, 84, 84, None, None] in [sizes(item, PATH) for item in found]


def test_a_loop_is_one_passage_a_round() -> None:
    """A point that sees the same packet again, with a lower TTL, has it in the next passage."""
    frame = recording("flannel-vxlan").capture("podA:eth0").filter("icmp").frames[0]
    lower = replace(frame, number=99, time_ns=frame.time_ns + 5, data=frame.data[:22] + b"\x3e" + frame.data[23:])
    found = passages({"a:eth0": [frame, lower], "b:eth0": [replace(frame, time_ns=frame.time_ns + 2)]})
    assert [list(item.seen) for item in found] == [["a:eth0", "b:eth0"], ["a:eth0"]]


def test_an_error_is_not_the_packet_that_it_quotes() -> None:
    """An ICMP error quotes a ping's bytes, and is a packet of its own, with its own ends."""
    found = passages(captured(recording("wrong-port")))
    errors = [item for item in found if item.first.headers[-1].summary.startswith("destination unreachable")]
    assert {item.ends for item in errors} == {("192.168.1.11", "192.168.1.10")}
