"""What the notebooks' verbs say to what cannot be: always a sentence, never an exception from inside."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from scapy.layers.inet import IP

import coursekit
from coursekit import ENCAPSULATIONS as KNOWN
from coursekit import (
    break_,
    compare,
    dissect,
    encapsulate,
    inner_mtu,
    largest_ping,
    load_cluster,
    lookup,
    network,
    overhead,
    ping,
    recording,
    tables,
    traceroute,
    views,
)
from coursekit.cluster.iproute2 import parse_routes
from coursekit.errors import CourseError, Named, NotThereError, given, octets
from coursekit.packets.encapsulation import decapsulate, forward
from coursekit.packets.mtu import fate

CHAPTER = load_cluster("chapter")
NET = network(CHAPTER)
NODE1 = tables(CHAPTER)["node1"]
REC = recording("flannel-vxlan")
WIRE = REC.capture("node1:eth0")
FRAME = WIRE[3].data
VXLAN = KNOWN["flannel-vxlan"]
TEXT = replace(NODE1.fdb[-1], dst="192.168.1.12")  # type: ignore[arg-type]
PING = ping(NET, "podA", "podB")
NODES: dict[str, Any] = {"src": "192.168.1.10", "dst": "192.168.1.11", "ip_id": 1, "sport": 1}
VTEPS: dict[str, Any] = {"inner_eth_src": "02:00:00:00:00:01", "inner_eth_dst": "02:00:00:00:00:02"}

Verb = Callable[[Any], object]
VERBS: dict[str, Verb] = {
    "load_cluster": load_cluster, "network": network, "tables": tables, "recording": recording,
    "capture": REC.capture, "output": REC.output, "filter": WIRE.filter, "frame number": lambda x: WIRE[x],
    "frames": lambda x: WIRE.frames[x], "with_profile": CHAPTER.with_profile, "pods_on": CHAPTER.pods_on,
    "version": lambda x: CHAPTER.with_profile("calico-ipip", version=x), "parse_routes": parse_routes,
    "lookup rows": lambda x: lookup(x, "10.244.1.7"), "lookup": lambda x: lookup(NODE1.routes, x),
    "ping network": lambda x: ping(x, "podA", "podB"), "ping from": lambda x: ping(NET, x, "podB"),
    "ping to": lambda x: ping(NET, "podA", x), "ping size": lambda x: ping(NET, "podA", "podB", size=x),
    "traceroute": lambda x: traceroute(x, "podA", "podB"), "break_": lambda x: break_(NET, x),
    "break_ network": lambda x: break_(x, "missing-fdb"), "frames_at": PING.frames_at, "host": NET.host,
    "change": lambda x: NET.change("node1", x), "change rows": lambda x: NET.change("node1", {"fdb": x}),
    "dissect": dissect, "layer": lambda x: dissect(FRAME).layer(x), "nth": lambda x: dissect(FRAME).layer("eth", x),
    "field": lambda x: dissect(FRAME)[x], "layer's field": lambda x: dissect(FRAME).layers[0][x],
    "compare": lambda x: compare(FRAME, x), "forward": forward, "decapsulate": decapsulate,
    "encapsulate": lambda x: encapsulate(x, VXLAN, **NODES, **VTEPS),
    "encapsulation": lambda x: encapsulate(FRAME[64:], x, **NODES, **VTEPS), "ENCAPSULATIONS": lambda x: named(x),
    "src": lambda x: encapsulate(FRAME[64:], VXLAN, **NODES | VTEPS | {"src": x}),
    "mac": lambda x: encapsulate(FRAME[64:], VXLAN, **NODES | VTEPS | {"inner_eth_src": x}),
    "overhead": overhead, "outer": lambda x: overhead(VXLAN, outer=x), "inner_mtu": lambda x: inner_mtu(1500, x),
    "underlay": lambda x: inner_mtu(x, VXLAN), "largest_ping": largest_ping,
    "fate": lambda x: fate(x, True, VXLAN, pod_mtu=1450), "pod_mtu": lambda x: fate(99, True, VXLAN, pod_mtu=x),
    "path": lambda x: fate(99, True, VXLAN, pod_mtu=1450, path=x), "packet": views.packet, "journey": views.journey,
    "title": lambda x: views.packet(FRAME, x), "table": views.table, "diff": lambda x: views.diff(FRAME, x),
    "table's lookup": lambda x: views.table(NODE1.routes, lookup=x), "chain": views.chain, "curve": views.curve,
    "labels": lambda x: views.diff(FRAME, FRAME, x), "explore_mtu": views.explore_mtu,
}  # fmt: skip
NOTHING = (None, -1, 2.5, "", "no such thing", b"\x45", [], {}, ["podA"], object(), 10**30)
ODD = (*NOTHING, WIRE, WIRE[3], NET, dissect(FRAME))


def named(name: Any) -> object:
    """Return an encapsulation by name; a name is text."""
    return KNOWN[str(name)]


@pytest.mark.parametrize("verb", VERBS)
def test_odd_things(verb: str) -> None:
    """Whatever is given to a verb, it answers, or says in a sentence of readable length what it should have been."""
    said = []
    for odd in ODD:
        try:
            VERBS[verb](odd)
        except CourseError as error:
            said.append(str(error))
    assert len(said) > 3
    assert [text for text in said if len(text) > 500 or text[-1] not in ".?"] == []


@pytest.mark.parametrize(("mistake", "words"), [
    (lambda: network("chapter"), r"^A cluster is what load_cluster\(\"chapter\"\) returns; 'chapter' was given\.$"),  # type: ignore[arg-type]
    (lambda: ping(CHAPTER, "podA", "podB"), r"^A network is what network\(.* returns; a Cluster was given"),  # type: ignore[arg-type]
    (lambda: break_(CHAPTER, "missing-fdb"), "a network, as .*; a Cluster was given"),  # type: ignore[arg-type]
    (lambda: ping(NET, "podA", "224.0.0.1"), "no address of one host"),
    (lambda: ping(NET, "podA", "0.0.0.0"), "no address of one host"),
    (lambda: traceroute(NET, "podA", "255.255.255.255"), "no address of one host"),
    (lambda: overhead("flannel-vxlan"), r"such as ENCAPSULATIONS\[\"flannel-vxlan\"\]; 'flannel-vxlan' was given"),  # type: ignore[arg-type]
    (lambda: KNOWN["calico"], "no encapsulation 'calico'; choose one of flannel-vxlan, calico-vxlan"),
    (lambda: tables(CHAPTER)["node9"], "no host 'node9'; choose one of node1, node2"),
    (lambda: REC.tables()["node9"], "no host 'node9'; choose one of node1, node2"),
    (lambda: lookup(NODE1, "10.244.1.7"), r"such as tables\(cluster\)\['node1'\].routes; a HostTables was given"),  # type: ignore[arg-type]
    (lambda: dissect(WIRE[3]), r"such as frame\.data of a capture; a Frame was given"),  # type: ignore[arg-type]
    (lambda: dissect(5), "5 was given"),  # type: ignore[arg-type]
    (lambda: dissect(FRAME)["ip.tll"], r"no field 'ip.tll' here; did you mean 'ip.ttl'\?"),
    (lambda: dissect(FRAME)["dns"], "no field 'dns' here; the frame has the layers eth, ip, udp, vxlan"),
    (lambda: dissect(FRAME).layer("tcp"), "no layer 'tcp', number 0; there are eth, ip, udp"),
    (lambda: dissect(FRAME).layers[1]["sport"], "The IPv4 header has no field 'sport'; it has ip.version"),
    (lambda: WIRE.filter("tcp").frames[0], r"no frames\[0\]: node1-eth0.pcap has no frames through .* 'tcp'\.$"),
    (lambda: WIRE.frames[28], r"no frames\[28\]: node1-eth0.pcap has 28 frames, counted from 0"),
    (lambda: largest_ping(1500, ip="ipv5"), "\"ipv4\" or \"ipv6\"; 'ipv5' was given"),  # type: ignore[arg-type]
    (lambda: CHAPTER.pods_on("nod1"), "no node 'nod1'"),
    (lambda: PING.frames_at("node1"), 'A capture point is "host:device"'),
    (lambda: NET.change("node1", {"fbd": ()}), "no table 'fbd'; it has links"),
    (lambda: NET.change("node1", fdb=()), "no setting 'fdb'; it has forwarding"),
    (lambda: NET.change("node1", {"fdb": ["x"]}), "A row of fdb is of class FdbEntry.*'x' was given"),
    (lambda: NET.change("node1", {"fdb": [TEXT]}), r"an address, not text; write ip_address\('192.168.1.12'\)"),
    (lambda: fate(99, True, VXLAN, pod_mtu=1450, path="routr"), 'a "switch" or a "router"; path=\'routr\''),  # type: ignore[arg-type]
    (lambda: views.table(NODE1.routes, lookup(NODE1.routes, "10.244.1.7")), "A title is text; a Lookup was given"),  # type: ignore[arg-type]
    (lambda: views.table(NODE1), r"such as tables\(cluster\)\['node1'\].routes; a HostTables"),  # type: ignore[arg-type]
    (lambda: views.journey(NET), "A journey is what ping.* returns; a Network was given"),  # type: ignore[arg-type]
    (lambda: views.diff(FRAME, FRAME, "before"), "labels are two words"),  # type: ignore[arg-type]
    (lambda: views.diff(FRAME, FRAME, ("before", 2)), "labels are two words"),  # type: ignore[arg-type]
    (lambda: octets(IP(src="10.0.0.1", dst="10.0.0.2", ttl=999)), "cannot be built into bytes"),
])  # fmt: skip
def test_likely_mistakes(mistake: Callable[[], object], words: str) -> None:
    """The slips that learners make get the sentence that mends them."""
    with pytest.raises(CourseError, match=words):
        mistake()


def test_what_is_accepted() -> None:
    """A cluster stands for itself, bytes may be of any kind, a table may come as a list or a generator."""
    assert load_cluster(CHAPTER) is CHAPTER
    packet = FRAME[64:]
    assert forward(bytearray(packet)) == forward(memoryview(packet)) == forward(packet)
    assert decapsulate(bytearray(FRAME)) == decapsulate(FRAME) == packet
    for rows in list(NODE1.fdb), (row for row in NODE1.fdb):
        assert NET.change("node1", {"fdb": rows}) == NET
    assert ping(NET, "podA", "10.244.0.255").outcome.kind == "lost"  # a subnet's broadcast address has one segment


def test_not_there() -> None:
    """The error of a missing name is a KeyError and an IndexError too, without quotation marks around the sentence."""
    table = Named("host", {"node1": 1})
    assert (table == {"node1": 1}, table.get("node2"), "node2" in table) == (True, None, False)
    with pytest.raises(KeyError) as caught:
        table["node2"]
    assert isinstance(caught.value, NotThereError)
    assert isinstance(caught.value, IndexError)
    assert str(caught.value) == "There is no host 'node2'; choose one of node1."
    assert caught.value._render_traceback_() == ["NotThereError: There is no host 'node2'; choose one of node1."]
    assert pickle.loads(pickle.dumps(WIRE.filter("icmp"))) == WIRE.filter("icmp")


def test_given_is_short() -> None:
    """What was given is shown if it is text or a number, cut when long, and else named by its class."""
    assert [given(x) for x in (None, 7, "x", b"\x01", NET)] == ["None", "7", "'x'", "b'\\x01'", "a Network"]
    assert len(given("x" * 1000)) < 60


def test_help_shows_what_verbs_take() -> None:
    """help() of every verb names its parameters, no *args that hide them; and the kit's say what they refuse."""
    hidden = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    for name in ("packet", "diff", "table", "journey", "chain", "mtu", "curve", "explore_mtu", "explore_fault",
                 "explore_profile", "explore_choice", "explore_bgp"):  # fmt: skip
        kinds = {item.kind for item in inspect.signature(getattr(views, name)).parameters.values()}
        assert not kinds & set(hidden), name
    verbs = {name: getattr(coursekit, name) for name in coursekit.__all__ if name not in ("__version__", "recordings")}
    told = {name: str(verb.__doc__) for name, verb in verbs.items() if inspect.isfunction(verb)}
    assert [name for name, text in told.items() if "CourseError" not in text] == []
