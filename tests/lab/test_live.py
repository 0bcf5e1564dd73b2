"""The lab: clusters in namespaces do what the model says, and come and go without a trace."""

from __future__ import annotations

import pytest

from coursekit import lab
from coursekit.cluster import journey
from coursekit.cluster.faults import apply
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.cluster.path import Journey
from coursekit.errors import CourseError

pytestmark = pytest.mark.namespaces


def outcome(found: Journey) -> tuple[object, ...]:
    """What a learner is told of a journey, and where it went."""
    end = found.outcome
    return end.kind, end.symptom, end.sender, end.last_seen, sorted(found.points())


PLAIN = ("none", "host-gw", "flannel-vxlan", "calico-vxlan")
BUILT = [(name, profile) for name in ("lab", "two-racks") for profile in PLAIN]
BUILT += [("ipv6-underlay", "none"), ("ipv6-underlay", "flannel-vxlan"), ("ipv6-underlay", "calico-vxlan")]


@pytest.mark.parametrize(("name", "profile"), BUILT)
def test_a_ping_goes_as_the_model_says(name: str, profile: str) -> None:
    """Every bundled cluster is built under every profile, and a ping takes the model's way."""
    cluster = load(name).with_profile(profile)
    first, last = cluster.pods[0].name, cluster.pods[-1].name
    with lab.up(cluster) as net:
        found = net.ping(first, last, wait=1.0)

    assert outcome(found.journey) == outcome(journey.ping(network(cluster), first, last, wait=1.0))


def test_faults_break_for_real_and_repair_mends() -> None:
    """A fault by the model's name has the model's symptom, and nothing of it is left after the repair."""
    sound = network(load("lab"))
    with lab.up("lab") as net:
        before = net.tables("node1")
        for name in ("missing-route", "missing-fdb", "wrong-vni", "wrong-port", "protocol-4-filtered"):
            assert net.break_(name)
            assert outcome(net.ping("podA", "podB", wait=0.5).journey) == outcome(
                journey.ping(apply(sound, name), "podA", "podB", wait=0.5)
            ), name
            net.repair()
            net.forget()
        assert net.faults == ()
        assert net.tables("node1").routes == before.routes
        assert net.ping("podA", "podB").journey.outcome.kind == "delivered"
        with pytest.raises(CourseError, match="There is no fault 'gremlins'"):
            net.break_("gremlins")


def test_what_a_lab_returns() -> None:
    """HTTP, traceroute, commands and captures come back as the course's own types."""
    with lab.up("lab") as net:
        with net.capture(["node1:eth0", "podA"], "udp port 8472") as captures:
            got = net.get("podA", "podB", size=3000)
        hops = net.traceroute("podA", "podB")
        assert (got.status, got.body) == (200, b"x" * 3000)
        assert [str(hop.address) for hop in hops] == ["10.244.0.1", "10.244.1.0", "10.244.1.7"]
        assert set(captures) == {"node1:eth0", "podA:eth0"}
        assert len(captures["node1:eth0"]) > 8
        assert len(captures["podA:eth0"]) == 0
        assert net.exec("node2", ["ip", "route"]).status == 0
        assert "10.244.0.0/24 via 10.244.0.0" in net.exec("node2", "ip route | grep flannel.1").text
        assert outcome(journey.ping(net.network(), "podA", "podB"))[0] == "delivered"
