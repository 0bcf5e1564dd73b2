"""traceroute, as printed and as captured: which address answers for which hop, and where nothing comes back."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from coursekit.cluster.faults import apply
from coursekit.cluster.journey import ping, send, traceroute
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.cluster.prints import Hop, ping_line, traceroute_text
from coursekit.cluster.probes import Probe, udp_probe
from coursekit.cluster.tables import Route
from coursekit.errors import CourseError
from tests.cluster.evidence import Captured, Evidence, packet_of
from tests.cluster.test_failures import CASES, predicted

POD_B = ip_network("10.244.1.7")

RECORDED = sorted(
    (path.parent.name, path.name) for path in Evidence("flannel-vxlan").folder.parent.glob("*/traceroute*.txt")
)
WITH_PODS = [found for found in RECORDED if Evidence(found[0]).network().host("podA").addresses()]
# ip_error() lets five errors about an `unreachable` route pass, then one a second; the model has no such limits.
LIMITED = {"bgp-without-direct"}
CAPTURED = [found for found in RECORDED if "podA:eth0" in Evidence(found[0]).captures and found[0] not in LIMITED]


def printed(name: str, file: str) -> tuple[str, int, str]:
    """The destination, the -m option and the lines of a recorded traceroute, times left out."""
    header, *lines = (Evidence(name).folder / file).read_text().splitlines()
    found = re.match(r"traceroute to (\S+) .*, (\d+) hops max", header)
    return found[1], int(found[2]), "\n".join(re.sub(r"  [\d.]+ ms", "", line).rstrip() for line in lines)


@pytest.mark.parametrize(("name", "file"), WITH_PODS)
def test_recorded_tables_give_the_recorded_hops(name: str, file: str) -> None:
    """The lines that traceroute printed come out of the recorded tables."""
    dst, most, lines = printed(name, file)
    hops = traceroute(Evidence(name).network(), "podA", dst, max_hops=most, wait=1)
    assert traceroute_text(hops) == lines


@pytest.mark.parametrize(("name", "file"), [found for found in RECORDED if found[0] in CASES])
def test_a_cluster_gives_the_recorded_hops(name: str, file: str) -> None:
    """The same lines come out of a cluster, a profile and faults."""
    dst, most, lines = printed(name, file)
    assert traceroute_text(traceroute(predicted(CASES[name]), "podA", dst, max_hops=most, wait=1)) == lines


@pytest.mark.parametrize(("name", "file"), CAPTURED)
def test_every_probe_and_answer_was_captured(name: str, file: str) -> None:
    """Each recorded probe, sent again, passes every point with captured bytes, and so does the ICMP error about it."""
    evidence = Evidence(name)
    model, dst = evidence.network(), printed(name, file)[0]
    probes = [packet_of(frame) for frame in evidence.frames["podA:eth0"]]
    probes = [p for p in probes if p and p.protocol == 17 and str(p.dst) == dst]
    compared = 0
    for probe in probes:
        sport, dport = probe.ports
        built = udp_probe(probe.src, probe.dst, sport=sport, dport=dport, ttl=probe.ttl, ip_id=probe.ip_id)
        assert built == probe.data
        journey = send(model, Probe(probe.data), "podA", draws=Captured(evidence))
        for point in {*journey.points(), *(journey.reply.points() if journey.reply else ())} & set(evidence.frames):
            for frame in journey.frames_at(point):
                assert frame in evidence.frames[point], (probe.ttl, point)
                compared += 1
    print(f"{name} {file}: {len(probes)} probes, {compared} frames identical")
    assert len(probes) >= (1 if name == "no-default-route" else 4)
    assert compared > len(probes)


def test_ipip_over_a_router_hides_hop_two() -> None:
    """The outer TTL is the inner one, so it runs out in the underlay router, which tells node1 and not the pod."""
    model = network(load("two-racks").with_profile("calico-ipip"))
    second = ping(model, "podA", "podC", ttl=2)
    assert (second.outcome.kind, second.outcome.last_seen) == ("lost", "router:br1")
    assert second.reply.outcome.last_seen == "node1:eth0"
    assert [str(hop) for hop in traceroute(model, "podA", "podC")][1] == " 2  *"


def test_a_vxlan_keeps_the_underlay_out_of_sight() -> None:
    """The outer TTL of VXLAN is 64 whatever is inside, so the remote VTEP is hop two, across the same router."""
    model = network(load("two-racks").with_profile("flannel-vxlan"))
    assert [str(hop.address) for hop in traceroute(model, "podA", "podC")] == ["10.244.0.1", "10.244.2.0", "10.244.2.9"]


def test_unreachable_marks() -> None:
    """!H and !X stand where a node says host unreachable or prohibited, and traceroute stops there."""
    base = network(load("lab").with_profile("none"))
    rows = base.host("node1").tables.routes
    for kind, mark in (("unreachable", "!H"), ("prohibit", "!X")):
        hops = traceroute(base.change("node1", {"routes": (*rows, Route(POD_B, type=kind))}), "podA", "podB")
        assert [str(hop) for hop in hops] == [f" 1  10.244.0.1 {mark}"]


def test_frag_needed_has_its_mtu() -> None:
    """A large DF probe that does not fit is marked !F-1450, as traceroute -F prints it."""
    model = apply(network(load("lab").with_profile("flannel-vxlan")), "pod-mtu")
    a, b = model.address_of("podA"), model.address_of("podB")
    probe = bytearray(udp_probe(a, b, sport=40000, size=1472))
    probe[6] |= 0x40
    assert str(Hop.of(1, send(model, bytes(probe), "podA"))) == " 1  10.244.0.1 !F-1450"


def test_too_many_hops() -> None:
    """A number of hops that no TTL can have is refused with a sentence."""
    with pytest.raises(CourseError, match="1 to 255 hops; 0 were asked for"):
        traceroute(network(load("lab")), "podA", "podB", max_hops=0)


def test_ttl_decides_who_answers() -> None:
    """A ping with TTL 1 ends at node1, with TTL 2 at node2, and with TTL 3 arrives."""
    model = network(load("lab"))
    lines = [ping_line(ping(model, "podA", "podB", ttl=ttl)) for ttl in (1, 2, 3)]
    assert lines == [
        "From 10.244.0.1 icmp_seq=1 Time to live exceeded",
        "From 10.244.1.0 icmp_seq=1 Time to live exceeded",
        "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62",
    ]
