"""The journey itself: which rows decide, what they set, and the kernel's behaviour where no recording looks."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from coursekit.cluster.datagram import Datagram
from coursekit.cluster.faults import apply
from coursekit.cluster.journey import ping, send
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Filter, Network, network
from coursekit.cluster.path import Journey
from coursekit.cluster.prints import packet_at, ping_line
from coursekit.cluster.probes import echo_request, tcp_segment, udp_probe
from coursekit.cluster.tables import FdbEntry, NextHop, Route
from coursekit.cluster.travel import FixedDraws
from coursekit.errors import CourseError
from tests.cluster.evidence import packet_of

LAB = network(load("lab"))
POD_B = ip_address("10.244.1.7")


def rows(journey: Journey, point: str) -> list[tuple[str, str]]:
    """The tables asked at a stop, with the header field each set."""
    stop = next(s for s in journey.stops if s.point == point)
    return [(decision.table, decision.sets) for decision in stop.decisions]


def with_routes(model: Network, host: str, *routes: Route) -> Network:
    """The network with other routes for podB on one host."""
    kept = [r for r in model.host(host).tables.routes if POD_B not in r.dst or not r.dst.prefixlen]
    return model.change(host, {"routes": (*kept, *routes)})


def test_three_lookups_fill_three_fields() -> None:
    """On flannel.1 the route finds the gateway, the neighbour the inner MAC, and the FDB the outer address."""
    journey = ping(LAB, "podA", "podB")
    assert rows(journey, "node1:flannel.1") == [("route", ""), ("neigh", "eth.dst"), ("fdb", "ip.dst")]
    found = {d.table: d.row for d in next(s for s in journey.stops if s.point == "node1:flannel.1").decisions}
    assert str(found["route"].via) == "10.244.1.0"
    assert found["neigh"].lladdr == found["fdb"].mac
    assert str(found["fdb"].dst) == "192.168.1.11"


def test_ipip_takes_the_gateway_as_outer_destination() -> None:
    """tunl0 asks no table: the gateway of the route becomes the outer destination."""
    journey = ping(network(load("lab").with_profile("calico-ipip")), "podA", "podB")
    assert rows(journey, "node1:tunl0") == [("route", ""), ("tunnel", "ip.dst")]
    outer = packet_at(next(s for s in journey.stops if s.point == "node1:eth0"))
    assert (str(outer.dst), outer.protocol, outer.ttl, outer.df) == ("192.168.1.11", 4, 63, True)


def test_points_of_a_healthy_ping() -> None:
    """The packet passes twelve capture points, and its answer the same ones backwards."""
    journey = ping(LAB, "podA", "podB")
    there = [
        "podA:eth0", "node1:vethpodA", "node1:cni0", "node1:flannel.1", "node1:eth0", "router:sw1",
        "router:sw2", "node2:eth0", "node2:flannel.1", "node2:cni0", "node2:vethpodB", "podB:eth0",
    ]  # fmt: skip
    assert list(journey.points()) == there
    assert list(journey.reply.points()) == there[::-1]


def test_same_journey_every_time() -> None:
    """Drawn values are fixed, so that what is stored in a notebook stays the same."""
    assert ping(LAB, "podA", "podB") == ping(LAB, "podA", "podB")


@pytest.mark.parametrize("profile", ["host-gw", "flannel-vxlan", "calico-vxlan", "calico-ipip", "calico-bgp"])
@pytest.mark.parametrize("cluster", ["chapter", "lab"])
def test_every_pair_of_hosts_talks(profile: str, cluster: str) -> None:
    """With a profile, pods reach pods and nodes from wherever the packet starts."""
    model = network(load(cluster).with_profile(profile))
    hosts = [*model.pods(), *model.nodes()]
    for src in hosts:
        for dst in (host for host in hosts if host != src):
            journey = ping(model, src, dst)
            assert journey.outcome.kind == "delivered", (src, dst, journey.outcome)
            assert "bytes from" in ping_line(journey), (src, dst, journey.reply.outcome)


def test_a_host_talks_to_itself() -> None:
    """A ping to one's own address crosses lo and nothing else."""
    journey = ping(LAB, "podA", "podA")
    assert list(journey.points()) == ["podA:lo"]
    assert ping_line(journey) == "64 bytes from 10.244.0.5: icmp_seq=1 ttl=64"


def test_two_pods_on_a_bridge_need_no_node() -> None:
    """Pods of one node on cni0 are on one LAN: the frame is switched, its TTL untouched."""
    data = {
        "segments": [{"name": "lan", "subnet": "172.16.0.0/24", "gateway": "172.16.0.1"}],
        "nodes": [{"name": "n", "address": "172.16.0.2", "block": "10.1.0.0/24"}],
        "pods": [{"name": "x", "address": "10.1.0.2"}, {"name": "y", "address": "10.1.0.3"}],
        "pod_network": "10.1.0.0/16",
        "profile": {"name": "flannel-vxlan"},
    }
    bridged = ping(network(Cluster.from_dict(data)), "x", "y")
    routed = ping(network(Cluster.from_dict(data).with_profile("calico-vxlan")), "x", "y")
    assert list(bridged.points()) == ["x:eth0", "n:vethx", "n:vethy", "y:eth0"]
    assert (ping_line(bridged), ping_line(routed)) == (
        "64 bytes from 10.1.0.3: icmp_seq=1 ttl=64",
        "64 bytes from 10.1.0.3: icmp_seq=1 ttl=63",
    )


def test_an_ipv6_underlay_carries_vxlan() -> None:
    """VXLAN over IPv6 nodes: 70 bytes more on the wire, hop limit 64, and pods none the wiser."""
    model = network(load("ipv6-underlay"))
    first, second = model.pods()[:2]
    journey = ping(model, first, second)
    assert ping_line(journey).endswith("ttl=62")
    outer = next(packet_at(s) for s in journey.stops if s.point.endswith(":eth0") and packet_at(s).version == 6)
    assert (outer.length - 84, outer.ttl) == (70, 64)


def test_an_ipv6_underlay_fails_as_the_other_one() -> None:
    """Missing FDB, wrong VNI and wrong port end at the same places over IPv6, and ICMPv6 answers the wrong port."""
    model = network(load("ipv6-underlay"))
    first, second = model.pods()[:2]
    node, peer = model.nodes()[:2]
    ends = {name: ping(apply(model, name), first, second) for name in ("missing-fdb", "wrong-vni", "wrong-port")}
    device = next(link.name for link in model.host(node).tables.links if link.kind == "vxlan")
    assert [j.outcome.last_seen for j in ends.values()] == [f"{node}:{device}", f"{peer}:eth0", f"{peer}:eth0"]
    complaint = packet_at(ends["wrong-port"].reply.stops[-1])
    assert (complaint.version, complaint.icmp) == (6, (1, 4))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("blackhole", ""),
        ("unreachable", "From 10.244.0.1 icmp_seq=1 Destination Host Unreachable"),
        ("prohibit", "From 10.244.0.1 icmp_seq=1 Packet filtered"),
        ("throw", "From 10.244.0.1 icmp_seq=1 Destination Net Unreachable"),
    ],
)
def test_routes_that_refuse_forwarded_packets(kind: str, line: str) -> None:
    """A node's blackhole is silent; unreachable, prohibit and throw have each their ICMP error (fib_props)."""
    model = with_routes(LAB, "node1", Route(ip_network(POD_B), type=kind))
    assert ping_line(ping(model, "podA", "podB")) == line


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("blackhole", "ping: connect: Invalid argument"),
        ("unreachable", "ping: connect: No route to host"),
        ("prohibit", "ping: connect: Permission denied"),
    ],
)
def test_routes_that_refuse_the_sender(kind: str, line: str) -> None:
    """On the sender's own host the same rows are errors of connect()."""
    model = with_routes(LAB, "podA", Route(ip_network(POD_B), type=kind))
    journey = ping(model, "podA", "podB")
    assert (ping_line(journey), list(journey.points())) == (line, [])


def test_without_any_route_the_sender_is_refused() -> None:
    """A pod without routes cannot even start: Network is unreachable."""
    model = LAB.change("podA", {"routes": ()})
    assert ping_line(ping(model, "podA", "podB")) == "ping: connect: Network is unreachable"


def test_the_block_blackhole_swallows_unused_addresses() -> None:
    """A packet to an unused address of Calico's own block dies on the node, and nobody is told."""
    model = network(load("lab").with_profile("calico-bgp"))
    journey = ping(model, "podA", "10.244.0.40")
    assert (journey.outcome.kind, journey.outcome.last_seen) == ("lost", "node1:calipodA")
    assert journey.reply is None


def test_no_forwarding_no_word() -> None:
    """A node with ip_forward off drops in silence."""
    journey = ping(LAB.change("node1", forwarding=False), "podA", "podB")
    assert (journey.outcome.kind, journey.outcome.last_seen, journey.reply) == ("lost", "node1:cni0", None)


def test_arp_needs_patience() -> None:
    """An absent neighbour on a LAN is Host Unreachable after three seconds, and silence before."""
    model = network(load("lab").with_profile("host-gw"))
    down = apply(model, "node-down")
    assert ping_line(ping(down, "podA", "podB", wait=2.9)) == ""
    assert ping_line(ping(down, "podA", "podB", wait=3)) == "From 10.244.0.1 icmp_seq=1 Destination Host Unreachable"


def test_proxy_arp_answers_for_what_is_routed() -> None:
    """Calico's 169.254.1.1 exists nowhere: without proxy ARP on the cali device the pod is mute."""
    model = network(load("lab").with_profile("calico-vxlan"))
    mute = ping(model.change("node1", proxy_arp=frozenset()), "podA", "podB")
    assert mute.outcome.symptom == "Destination Host Unreachable"
    assert mute.outcome.sender == "10.244.0.5"


def test_a_default_fdb_row_floods_to_every_remote() -> None:
    """An all-zeros FDB row sends the frame to each node it names; only the right VTEP takes it."""
    model = network(load("chapter"))
    fdb = tuple(
        FdbEntry("00:00:00:00:00:00", "flannel.1", dst=ip_address(node), flags=("self",), state="permanent")
        for node in ("192.168.1.12", "192.168.1.11")
    )
    journey = ping(model.change("node1", {"fdb": fdb}), "podA", "podB")
    assert journey.outcome.kind == "delivered"
    assert [s.action for s in journey.stops if s.point == "node3:flannel.1"] == ["drops"]


def test_multipath_keeps_a_flow_on_one_leg() -> None:
    """A route with two next hops gives each pair of addresses one of them, always the same."""
    legs = (NextHop(ip_address("192.168.1.11"), "eth0"), NextHop(ip_address("192.168.1.1"), "eth0"))
    model = network(load("lab").with_profile("none", router_routes=True))
    model = with_routes(model, "node1", Route(ip_network("10.244.1.0/24"), nexthops=legs))
    journeys = [ping(model, "podA", "podB", seq=seq) for seq in (1, 2, 3)]
    assert len({tuple(j.points()) for j in journeys}) == 1
    assert "hash of the addresses picks" in next(
        d.why for s in journeys[0].stops for d in s.decisions if s.point == "node1:eth0" and d.table == "route"
    )


def test_port_mtu_has_four_bytes_of_slack() -> None:
    """A veth or bridge port lets a packet four bytes above its MTU pass, for a VLAN tag (is_skb_forwardable)."""
    model = apply(network(load("lab").with_profile("host-gw")), "port-mtu", mtu=1400)
    assert "bytes from" in ping_line(ping(model, "podA", "podB", size=1376, df=True))
    assert ping(model, "podA", "podB", size=1377, df=True).outcome.last_seen == "router:sw1"


def test_a_told_sender_remembers() -> None:
    """After one Frag needed the pod refuses by itself; a segment may then be as long as it was told."""
    model = apply(LAB, "pod-mtu")
    first = ping(model, "podA", "podB", size=1472, df=True)
    after = model.after(first)
    assert ping_line(first) == "From 10.244.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1450)"
    assert ping_line(ping(after, "podA", "podB", size=1472, df=True)) == "ping: local error: message too long, mtu=1450"
    assert "bytes from" in ping_line(ping(after, "podA", "podB", size=1422, df=True))


def test_a_small_underlay_answers_ipip_but_fragments_vxlan() -> None:
    """An underlay of 1400 below a tunnel of 1480: IPIP copies DF and tells the pod, VXLAN fragments outside."""
    ipip = apply(network(load("lab").with_profile("calico-ipip")), "node-mtu")
    vxlan = apply(LAB, "node-mtu")
    told = ping(ipip, "podA", "podB", size=1400, df=True)
    assert told.outcome.mtu == 1380
    cut = ping(vxlan, "podA", "podB", size=1400, df=True)
    assert [s.action for s in cut.stops if s.point == "node1:eth0"] == ["fragments", "fragments"]
    assert "bytes from" in ping_line(cut)


def test_masquerade_spares_what_the_rule_spares() -> None:
    """With `! -d` the pod network, a pod shows its own address to pods and its node's to the router."""
    model = network(load("lab").with_profile("host-gw", masquerade="outside"))
    assert str(packet_at(ping(model, "podA", "podB").stops[-1]).src) == "10.244.0.5"
    outside = ping(model, "podA", "192.168.1.1")
    assert str(packet_at(outside.stops[-1]).src) == "192.168.1.10"
    assert ping_line(outside) == "64 bytes from 192.168.1.1: icmp_seq=1 ttl=63"


def test_masqueraded_fragments_come_through() -> None:
    """Connection tracking puts fragments together, translates them and cuts them again as they came."""
    model = network(load("lab").with_profile("host-gw", masquerade="outside"))
    assert ping_line(ping(model, "podA", "192.168.1.1", size=3000)) == "3008 bytes from 192.168.1.1: icmp_seq=1 ttl=63"


def test_tcp_is_answered_by_whoever_listens() -> None:
    """A SYN to a listener gets SYN-ACK, to a closed port RST; a UDP datagram to a closed port a port unreachable."""
    a, b = LAB.address_of("podA"), LAB.address_of("podB")
    syn = tcp_segment(a, b, mss=1410)
    open_ = send(LAB.change("podB", listens=frozenset({("tcp", 80)})), syn, "podA").reply
    closed = send(LAB, syn, "podA").reply
    flags = [packet_at(reply.stops[-1]).payload[13] for reply in (open_, closed)]
    assert flags == [0x12, 0x14]
    assert send(LAB, udp_probe(a, b, sport=4000), "podA").outcome.symptom == "Destination Port Unreachable"
    listener = LAB.change("podB", listens=frozenset({("udp", 33434)}))
    assert send(listener, udp_probe(a, b, sport=4000), "podA").outcome.kind == "delivered"


def test_unknown_protocols_are_answered() -> None:
    """A protocol that nobody handles gets protocol unreachable; IPIP without the module too."""
    a, b = LAB.address_of("podA"), LAB.address_of("podB")
    packet = bytearray(udp_probe(a, b, sport=4000))
    packet[9] = 132
    assert send(LAB, bytes(packet), "podA").outcome.symptom == "Destination Protocol Unreachable"
    packet[9] = 4
    assert send(LAB, bytes(packet), "podA").outcome.symptom == "Destination Protocol Unreachable"


@pytest.mark.parametrize(("hook", "host"), [("input", "podB"), ("forward", "node2"), ("output", "podA")])
def test_filters_are_silent(hook: str, host: str) -> None:
    """A packet dropped at input, forward or output is lost without an error, at that host."""
    journey = ping(LAB.change(host, filters=(Filter(hook, 1),)), "podA", "podB")
    assert (journey.outcome.kind, journey.outcome.symptom) == ("lost", "")
    assert journey.stops[-1].host == host
    assert "-A " + hook.upper() in journey.stops[-1].decisions[-1].asked


def test_broadcasts_and_errors_are_not_complained_about() -> None:
    """No ICMP error answers an ICMP error or a packet to a broadcast address (RFC 1122 §3.2.2)."""
    model = network(load("lab").with_profile("none"))
    error = ping(LAB, "podA", "podB", ttl=1).reply.stops[-1].frame[14:]
    about_error = bytearray(error)
    assert Datagram(bytes(about_error)).is_icmp_error
    assert send(model, bytes(about_error), "node2").reply is None
    assert ping(model, "podA", "10.244.0.255").reply is None


def test_a_stray_vxlan_packet_is_not_taken() -> None:
    """What comes to the VXLAN port without a valid VXLAN header is dropped by the node, in silence."""
    a = LAB.address_of("podA")
    journey = send(LAB, udp_probe(a, ip_address("192.168.1.10"), sport=5000, dport=8472), "podA")
    assert (journey.outcome.kind, journey.outcome.symptom) == ("lost", "")
    assert "VXLAN header" in journey.outcome.reason


def test_a_tunnel_route_into_itself_is_noticed() -> None:
    """A route that sends the outer packet into the tunnel again is a loop, and dropped as the kernel does."""
    circular = Route(ip_network("192.168.1.11"), dev="flannel.1", scope="link")
    model = LAB.change("node1", {"routes": (*LAB.host("node1").tables.routes, circular)})
    assert "leads back into flannel.1" in ping(model, "podA", "podB").outcome.reason


def test_a_routing_loop_ends_with_the_ttl() -> None:
    """Two nodes that point at each other pass a packet to and fro until its TTL is spent."""
    model = network(load("lab").with_profile("host-gw"))
    back = Route(ip_network("10.244.1.0/24"), ip_address("192.168.1.10"), "eth0")
    journey = ping(with_routes(model, "node2", back), "podA", "podB")
    assert journey.outcome.symptom == "Time to live exceeded"
    assert len([s for s in journey.stops if s.point == "node2:eth0"]) > 60


def test_a_bridge_loop_is_a_sentence() -> None:
    """Cables that close a ring of bridges would flood for ever; the learner is told."""
    host = LAB.host("router")
    ports = [replace(host.link("sw1"), name=name, ifindex=9 + n) for n, name in enumerate(("p1", "p2"))]
    model = LAB.change("router", {"links": (*host.tables.links, *ports)})
    model = replace(model, cables={**model.cables, "router:p1": "router:p2", "router:p2": "router:p1"})
    with pytest.raises(CourseError, match="form a loop"):
        ping(model.change("node1", {"neighbours": (*stranger(model),)}), "podA", "podB")


def stranger(model: Network) -> list[object]:
    """node1's neighbours, with a MAC for node2 that nobody has, so that switches flood."""
    from coursekit.cluster.tables import Neighbour

    known = model.host("node1").tables.neighbours
    return [*known, Neighbour(ip_address("192.168.1.11"), "eth0", "02:aa:aa:aa:aa:aa", "PERMANENT")]


def test_a_frame_for_nobody_is_flooded_and_dropped() -> None:
    """A MAC that no one has reaches every port of the switch, and every stack ignores it."""
    model = LAB.change("node1", {"neighbours": tuple(stranger(LAB))})
    journey = ping(model, "podA", "podB")
    assert journey.outcome.kind == "lost"
    assert journey.outcome.last_seen == "node2:eth0"
    assert "not mine" in journey.outcome.reason


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (b"", "0 bytes starting with nothing are no whole IP packet"),
        (b"\x45" + bytes(10), "11 bytes starting with 45000000"),
        (bytes(60), "60 bytes starting with 00000000"),
        (b"\x45\x00\x00\xff" + bytes(30), "34 bytes"),
    ],
)
def test_what_is_no_packet_is_refused(packet: bytes, message: str) -> None:
    """Bytes that are no whole IP packet get a sentence."""
    with pytest.raises(CourseError, match=message):
        send(LAB, packet, "podA")


def test_unknown_names_are_refused() -> None:
    """A host that is not there, as source or destination, gets a sentence with those that are."""
    with pytest.raises(CourseError, match="There is no host 'podX'"):
        ping(LAB, "podX", "podB")
    with pytest.raises(CourseError, match="'podX' is neither an IP address nor a host"):
        ping(LAB, "podA", "podX")


def test_impossible_pings_are_refused() -> None:
    """Sizes, TTLs and address families that no packet can have get a sentence."""
    with pytest.raises(CourseError, match="0 to 65507 bytes"):
        ping(LAB, "podA", "podB", size=65508)
    with pytest.raises(CourseError, match="TTL of 1 to 255; 0"):
        ping(LAB, "podA", "podB", ttl=0)
    with pytest.raises(CourseError, match="different IP versions"):
        echo_request(ip_address("10.0.0.1"), ip_address("fd00::1"))
    with pytest.raises(CourseError, match="podA has no IPv6 address"):
        ping(LAB, "podA", "fd00::1")


def test_the_largest_ping_goes_through() -> None:
    """65507 bytes of data travel in 46 fragments and come back."""
    assert ping_line(ping(LAB, "podA", "podB", size=65507)) == "65515 bytes from 10.244.1.7: icmp_seq=1 ttl=62"


def test_each_fragment_may_cause_an_error() -> None:
    """Two inner fragments to a wrong port are two datagrams, each answered before the next is sent."""
    model = apply(LAB, "wrong-port")
    journey = ping(model, "podA", "podB", size=1472, df=False)
    assert len(journey.others) == 1
    kinds = [packet_of(frame).protocol for frame in journey.frames_at("node2:eth0")]
    assert kinds == [17, 1, 17, 1]


def test_bridge_netfilter_cuts_to_the_bridge_and_not_to_the_port() -> None:
    """With br_netfilter a switch fragments to its bridge's MTU; where only the port is smaller it still drops."""
    small = apply(network(load("lab").with_profile("host-gw")), "port-mtu").change("router", bridge_netfilter=True)
    links = tuple(replace(link, mtu=1500) if link.name == "br0" else link for link in small.host("router").tables.links)
    cut = ping(small, "podA", "podB", size=1472, df=False)
    assert [s.action for s in cut.stops if s.point == "router:sw2"] == ["fragments", "fragments"]
    dropped = ping(small.change("router", {"links": links}), "podA", "podB", size=1472, df=False)
    assert dropped.outcome.last_seen == "router:sw1"


def test_answers_to_tracked_flows_are_not_masqueraded() -> None:
    """With every pod packet masqueraded on both nodes, the answer still comes from the pod that was pinged."""
    model = network(load("lab").with_profile("host-gw", masquerade="all"))
    journey = ping(model, "podA", "podB")
    assert str(packet_at(journey.stops[-1]).src) == "192.168.1.10"
    assert ping_line(journey) == "64 bytes from 10.244.1.7: icmp_seq=1 ttl=62"


def test_a_host_tells_itself() -> None:
    """A pod that cannot find its next hop hears so from its own address, even with no other route."""
    model = LAB.change("podA", {"routes": (Route(ip_network(POD_B), dev="eth0", scope="link"),)})
    assert ping_line(ping(model, "podA", "podB")) == "From 10.244.0.5 icmp_seq=1 Destination Host Unreachable"


def test_a_borrowed_source_address_gets_the_answer() -> None:
    """Whoever sends with another host's address is told nothing: the error goes to the owner."""
    packet = udp_probe(ip_address("192.168.1.1"), POD_B, sport=4000)
    journey = send(LAB, packet, "podA")
    assert (journey.outcome.kind, journey.outcome.symptom) == ("lost", "")
    assert journey.reply.stops[-1].host == "router"


def test_only_the_first_fragment_is_complained_about() -> None:
    """Three fragments whose TTL ends at node1 cause one ICMP error (RFC 1122 §3.2.2)."""
    journey = ping(LAB, "podA", "podB", size=3000, ttl=1)
    assert len([s for s in journey.stops if s.point == "node1:cni0"]) == 3
    assert (journey.reply.outcome.kind, journey.others) == ("delivered", ())


def test_reserved_vxlan_bits_are_not_tolerated() -> None:
    """Linux drops a VXLAN header with a reserved bit set, although RFC 7348 §5 says to ignore it on receipt."""
    outer = next(s for s in ping(LAB, "podA", "podB").stops if s.point == "node1:eth0").frame[14:]
    assert send(LAB, outer, "node1").outcome.kind == "delivered"
    marked = outer[:26] + b"\0\0" + outer[28:29] + b"\x01" + outer[30:]
    assert "VXLAN header" in send(LAB, marked, "node1").outcome.reason


def test_drawn_values_stay_in_the_kernel_s_ranges() -> None:
    """Source ports are 32768 to 60999, IP identifications are never zero."""
    draws = FixedDraws()
    ports = {draws.probe_port("podA", ttl) for ttl in range(1, 256)}
    ids = {draws.ip_id("node1", "outer", bytes([n])) for n in range(256)}
    outer = {packet_at(s).ports[0] for s in ping(LAB, "podA", "podB").stops if s.point == "node1:eth0"}
    assert all(32768 <= port <= 60999 for port in ports | outer)
    assert all(0 < ip_id < 65536 for ip_id in ids)


def test_fragments_stop_at_the_first_that_the_cable_refuses() -> None:
    """A veth tells its sender that the other end takes no such frame: the shorter second fragment is not sent."""
    model = apply(network(load("lab").with_profile("host-gw", masquerade="outside")), "port-mtu", node="node1")
    journey = ping(model, "podA", "podB", size=2000, df=False)
    assert [len(s.frame) for s in journey.stops if s.point == "node1:eth0"] == [1514]
    whole = ping(model, "podA", "podB", size=1300, df=False)
    assert whole.outcome.kind == "delivered"


def test_nobody_hears_itself_from_outside() -> None:
    """What comes in with an address of the host as its source is dropped, to be forwarded or not."""
    for target in ("10.244.1.7", "10.244.0.1"):
        own = echo_request(ip_address("10.244.0.1"), ip_address(target))
        journey = send(LAB, own, "podA")
        assert (journey.outcome.last_seen, journey.reply) == ("node1:cni0", None)
        assert "10.244.0.1, which is node1 itself: a martian source" in journey.outcome.reason
    unrouted = echo_request(ip_address("10.244.0.1"), ip_address(POD_B))
    assert "no route" in send(apply(LAB, "missing-route", "no-default-route"), unrouted, "podA").outcome.reason
    assert ping(LAB, "node1", "10.244.0.1").outcome.kind == "delivered"  # over lo it may
