"""What filters show at capture points: of a computed journey, as of the recording of the same."""

from __future__ import annotations

import pytest

from coursekit import CourseError, load_cluster, network, ping, recording
from coursekit.cluster.watch import captures, watch

FILTERS = ("icmp", "net 10.244.0.0/16", "udp port 8472", "udp port 4789", "ip proto 4", "icmp or ip proto 4")


@pytest.mark.parametrize("profile", ["flannel-vxlan", "calico-vxlan", "calico-ipip"])
def test_filters_show_what_they_show_of_the_recording(profile: str) -> None:
    """At each recorded point, a filter that sees the captured ping sees the computed one, and no other does."""
    rec = recording(profile)
    seen = watch(ping(network(load_cluster("lab").with_profile(profile)), "podA", "podB"), FILTERS)
    points = [point for point in seen if point in rec.points()]

    assert len(points) >= 5
    for point in points:
        captured = rec.capture(point)
        for bpf in FILTERS:
            assert bool(seen[point][bpf]) == bool(len(captured.filter(bpf))), (point, bpf)


def test_request_and_reply_are_counted() -> None:
    """A ping and its reply are two frames at every point, in order, whatever the link begins with."""
    found = captures(ping(network(load_cluster("lab").with_profile("calico-ipip")), "podA", "podB"))

    assert {point: len(capture) for point, capture in found.items()} == dict.fromkeys(found, 2)
    assert next(iter(found)) == "podA:eth0"
    assert found["node1:tunl0"].linktype == "raw"
    assert found["node1:eth0"].linktype == "ethernet"


def test_a_silent_point_is_left_out() -> None:
    """Where nothing arrives there is no capture; a filter that libpcap refuses is told in a sentence."""
    broken = network(load_cluster("two-racks").with_profile("host-gw"))
    journey = ping(broken, "podA", "podC")

    assert not any(point.startswith("node3") for point in captures(journey))
    with pytest.raises(CourseError, match="libpcap does not accept"):
        watch(journey, ["port x y"])
