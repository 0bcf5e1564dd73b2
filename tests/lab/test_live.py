"""The lab: clusters in namespaces do what the model says, and come and go without a trace."""

from __future__ import annotations

import struct
import time
from dataclasses import replace

import pytest

from coursekit import lab
from coursekit.cluster import journey
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.faults import apply
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import network
from coursekit.cluster.path import Journey
from coursekit.errors import CourseError
from coursekit.lab.frames import Captured
from coursekit.packets.ip import internet_checksum

pytestmark = pytest.mark.namespaces


def outcome(found: Journey) -> tuple[object, ...]:
    """What a learner is told of a journey, and where it went."""
    end, reply = found.outcome, found.reply
    heard = sorted(stop.point for stop in found.all_stops() if stop.frame is not None and stop.action != "asks")
    back = sorted(reply.points()) if reply is not None else []
    return end.kind, end.symptom, end.sender, end.last_seen, sorted(found.points()), back, heard


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
        for name, where in (("missing-route", {}), ("missing-route", {"node": "node2"}), ("missing-fdb", {}),
                            ("wrong-vni", {}), ("wrong-port", {}), ("pod-mtu", {}), ("node-down", {})):  # fmt: skip
            assert net.break_(name, **where)
            assert outcome(net.ping("podA", "podB", size=1422, df=True, wait=0.5).journey) == outcome(
                journey.ping(apply(sound, name, **where), "podA", "podB", size=1422, df=True, wait=0.5)
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


def odd_cluster() -> Cluster:
    """Two racks behind a ToR each, of which one is empty, a node without pods, long names, other MTUs, an uplink."""
    return Cluster.from_dict(
        {
            "profile": {"name": "flannel-vxlan", "direct_routing": True, "df": "inherit", "masquerade": "outside"},
            "segments": [
                {"name": "rack1", "subnet": "172.20.7.0/26", "gateway": "172.20.7.1", "mtu": 9000},
                {"name": "rack2", "subnet": "172.21.7.0/25", "gateway": "172.21.7.1"},
                {"name": "empty", "subnet": "172.22.7.0/24", "gateway": "172.22.7.1"},
                {"name": "spine", "subnet": "172.31.0.0/24"},
            ],
            "routers": [
                {"name": "tor1", "addresses": ["172.20.7.1", "172.31.0.1"], "uplink": "203.0.113.2/30",
                 "default_gateway": "203.0.113.1"},
                {"name": "tor2", "addresses": ["172.21.7.1", "172.22.7.1", "172.31.0.2"]},
            ],
            "nodes": [
                {"name": "a-node-with-a-long-name.example.org", "address": "172.20.7.9", "block": "10.244.3.0/25"},
                {"name": "n2", "address": "172.20.7.8", "block": "10.244.9.0/26", "port_mtu": 1400},
                {"name": "n3", "address": "172.21.7.8", "block": "10.244.4.0/24", "mtu": 1400},
                {"name": "n4", "address": "172.21.7.9", "block": "10.244.5.0/24"},
            ],
            "pods": [
                {"name": "web-7c9d8b6f4-x2kqp", "address": "10.244.3.5"},
                {"name": "web-7c9d8b6f4-9zzzz", "address": "10.244.3.6"},
                {"name": "db", "address": "10.244.9.7"},
                {"name": "far", "address": "10.244.4.8"},
            ],
        }
    )  # fmt: skip


def test_an_odd_cluster_is_built_to_the_row() -> None:
    """Devices with MAC, MTU and index, addresses and every row of every table are what the model puts there."""
    cluster = odd_cluster()
    sound = network(cluster)
    with lab.up(cluster) as net:
        real = net.network()
        rows = 0
        for name, host in sound.hosts.items():
            ours, theirs = host.tables, real.host(name).tables
            for link in ours.links:
                found = theirs.link(link.name)
                assert found is not None, link.name
                for key in ("mtu", "mac", "kind", "master", "ifindex", "peer"):
                    assert getattr(found, key) == getattr(link, key), (name, link.name, key)
                assert set(link.flags) - {"MULTICAST"} == set(found.flags) - {"MULTICAST"}, (name, link.name)
                assert {key: found.info.get(key) for key in link.info} == link.info
            assert [(a.dev, a.interface) for a in theirs.addresses] == [(a.dev, a.interface) for a in ours.addresses]
            assert [str(r) for r in theirs.routes] == [str(r) for r in ours.routes], name
            assert [str(r) for r in theirs.local_routes] == [str(r) for r in ours.local_routes], name
            assert {str(n) for n in ours.neighbours} <= {str(n) for n in theirs.neighbours}
            assert {str(e) for e in ours.fdb} <= {str(e) for e in theirs.fdb}
            rows += len(ours.routes) + len(ours.local_routes) + len(ours.neighbours) + len(ours.fdb)
        for dst in ("web-7c9d8b6f4-9zzzz", "db", "far"):
            for df in (True, False):
                found = net.ping("web-7c9d8b6f4-x2kqp", dst, size=1372, df=df, wait=0.5).journey
                wanted = journey.ping(sound, "web-7c9d8b6f4-x2kqp", dst, size=1372, df=df, wait=0.5)
                sound = sound.after(wanted)
                assert outcome(found) == outcome(wanted), (dst, df)
    assert rows > 100


def whole(frame: Captured) -> bool:
    """Whether a TCP segment, bare or in VXLAN, is right to the last byte and no longer than its link allows."""
    packet = frame.packet
    if packet is not None and packet.protocol == 17:
        packet = Datagram(packet.payload[16 + 14 :])
    if packet is None or packet.protocol != 6:
        return True
    pseudo = packet.data[12:20] + struct.pack("!BBH", 0, 6, len(packet.payload))
    return internet_checksum(pseudo + packet.payload) == 0 and len(packet.data) <= 1500


def test_captures_show_what_a_wire_would_carry() -> None:
    """Checksums are right and segments fit, also on a device that was made again; times are the kernel's to the ns."""
    with lab.up("lab") as net:
        net.break_("wrong-vni")
        net.repair()
        begun = time.time_ns()
        with net.capture() as captures:
            for client in ("podA", "node2"):  # a node's own packets meet the VXLAN device first
                assert net.get(client, "podB" if client == "podA" else "podA", size=20000).status == 200
        ended = time.time_ns()

    segments = [frame for frame in captures.frames if not frame.is_arp]
    assert len(segments) > 100
    assert [frame.point for frame in segments if not whole(frame)] == []
    assert {f.time_ns for capture in captures.values() for f in capture} == {f.time_ns for f in captures.frames}
    assert all(begun <= frame.time_ns <= ended for frame in captures.frames)
    assert {capture.linktype for capture in captures.values()} == {"ethernet"}


def test_captures_lie_in_one_another() -> None:
    """A capture inside another has what went by meanwhile; the outer one has everything."""
    with lab.up("lab") as net:
        with net.capture(["node1:eth0"], "icmp or udp port 8472") as outer:
            net.ping("podA", "podB")
            with net.capture(["node1:eth0"], "icmp or udp port 8472") as inner:
                net.ping("podA", "podB", count=2)
            net.ping("podA", "podB")
        assert (len(outer["node1:eth0"]), len(inner["node1:eth0"])) == (8, 4)
        assert outer.lost == inner.lost == 0
        assert "missing" not in repr(outer)


def test_a_capture_says_what_it_missed() -> None:
    """More frames than a ring holds: those that found no room are counted, as tcpdump does."""
    with lab.up("lab") as net:
        with net.capture(["podA"]) as found:
            flood = ["ping", "-q", "-f", "-c", "4000", "-s", "1400", "10.244.1.7"]
            net._sandbox.ask("commands", steps=[("podA", flood, "")])  # meanwhile nobody reads
            with net.capture(["podA"]) as later:
                net.ping("podA", "podB")
        assert 0 < len(found["podA:eth0"]) < 8000
        assert found.lost >= 8000 - len(found["podA:eth0"])
        assert f"{found.lost} frames are missing" in repr(found)
        assert later.lost == 0


def test_a_redirect_is_no_answer() -> None:
    """Routers send none, nor do the model's; where a setting lets them, what ping prints of it ends nothing."""
    router = load("lab").with_profile("none", router_routes=True)
    allowed = {"ipv4/conf/all/send_redirects": "1"}
    for settings, redirects in ((None, 0), (allowed, 1)):
        with lab.up(router, settings=settings) as net:
            found = net.ping("node1", "podB")  # out of the device that it came in by
        assert found.text.count("Redirect Host(New nexthop: 192.168.1.11)") == redirects
        assert len(found.journey.others) == redirects
        assert (found.journey.outcome.kind, found.answered) == ("delivered", 1)


@pytest.mark.parametrize(("port_mtu", "mtu", "bridge"), [(None, 1400, 1400), (None, 2000, 1500), (1400, 1300, 1500)])
def test_a_bridge_follows_its_smallest_port_until_it_is_told_otherwise(
    port_mtu: int | None, mtu: int, bridge: int
) -> None:
    """A switch whose ports had the segment's MTU follows the smallest; one that was set by hand stays as it is."""
    lan = load("lab")
    cluster = replace(lan, nodes=(lan.nodes[0], replace(lan.nodes[1], port_mtu=port_mtu)))
    wanted = apply(network(cluster), "port-mtu", node="node1", mtu=mtu)
    with lab.up(cluster) as net:
        net.break_("port-mtu", node="node1", mtu=mtu)
        real = net.network()
    for found in (wanted, real):
        assert [link.mtu for link in found.host("router").tables.links if link.kind == "bridge"] == [bridge]
