# ruff: noqa: W291, E501 (what ip prints ends in spaces and has long lines)
"""Tables read from iproute2's text and JSON are printed back as they were."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.cluster import iproute2
from coursekit.cluster.model import load
from coursekit.cluster.profiles import tables
from coursekit.cluster.tables import NextHop
from coursekit.errors import CourseError
from coursekit.paths import data_dir
from tests.seeds import examples

RECORDINGS = data_dir() / "recordings"
TEXTS = sorted(RECORDINGS.glob("*/state*.txt"))
JSONS = sorted(RECORDINGS.glob("*/state*.json"))
BOTH = [path for path in TEXTS if path.with_suffix(".json").exists()]


def printed_later(text: str) -> str:
    """Blank what changed between the two commands, or what JSON gives as a number where text gives a name."""
    text = re.sub(r"(_timer) +[\d.]+", r"\1 T", text)
    text = re.sub(r" link-netns(id)? \S+", " link-netns N", text)
    return re.sub(r"(REACHABLE|DELAY|STALE|PROBE) $", "ANSWERED ", text, flags=re.M)


def test_recorded_text_is_printed_back(record_property: Any) -> None:
    """Every state.txt of the recordings is parsed and printed back identically, trailing spaces included."""
    lines = 0
    for path in TEXTS:
        text = path.read_text()
        assert iproute2.format_state_text(iproute2.parse_state_text(text)) == text
        lines += text.count("\n")
    assert len(TEXTS) >= 7
    record_property("lines equal", lines)
    print(f"{len(TEXTS)} state.txt, {lines} lines printed back identically")


def test_recorded_json_is_written_back(record_property: Any) -> None:
    """Every state.json of the recordings becomes rows and the same JSON again."""
    rows = 0
    for path in JSONS:
        data = json.loads(path.read_text())
        back = iproute2.state_to_json(iproute2.parse_state_json(path.read_text()))
        for host, sections in data.items():
            assert {section: back[host][section] for section in sections} == sections
            rows += sum(map(len, sections.values()))
    assert len(JSONS) >= 30
    record_property("rows equal", rows)
    print(f"{len(JSONS)} state.json, {rows} rows written back equal")


def test_json_prints_as_the_text_of_the_same_recording(record_property: Any) -> None:
    """Rows read from JSON print as the text that `ip` without -j printed on the same hosts."""
    lines = 0
    for path in BOTH:
        rows = iproute2.parse_state_json(path.with_suffix(".json").read_bytes())
        assert printed_later(iproute2.format_state_text(rows)) == printed_later(path.read_text())
        lines += path.read_text().count("\n")
    assert len(BOTH) >= 7
    record_property("lines equal", lines)
    print(f"{len(BOTH)} recordings, {lines} lines from JSON equal the text")


def test_model_tables_survive_both_ways() -> None:
    """Tables that the model filled in come back equal from their text and from their JSON."""
    for cluster, profile in (("two-racks", "calico-ipip"), ("chapter", "flannel-vxlan"), ("ipv6-underlay", "none")):
        made = tables(load(cluster).with_profile(profile))
        text = iproute2.format_state_text(made)
        assert iproute2.format_state_text(iproute2.parse_state_text(text)) == text
        again = iproute2.parse_state_json(json.dumps(iproute2.state_to_json(made)))
        assert iproute2.format_state_text(again) == text
        for host, mine in made.items():
            assert (again[host].routes, again[host].neighbours, again[host].fdb) == (
                mine.routes,
                mine.neighbours,
                mine.fdb,
            )


# As printed by iproute2 6.1 (and, where marked, documented in the sources of other versions).
ROUTES = """\
default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100 
10.0.5.0/24 dev d1 proto kernel scope link src 10.0.5.1 linkdown 
10.1.0.0/16 
\tnexthop via 10.0.0.2 dev v0 weight 1 
\tnexthop via 10.0.1.2 dev v1 weight 3 linkdown 
10.2.0.0/16  encap mpls 100/200 via 10.0.0.2 dev v0 
10.3.0.0/16  encap ip id 5 src 0.0.0.0 dst 1.2.3.4 ttl 9 tos 0 dev v0 scope link 
10.244.1.0/24  encap bpf xmit node1.o:[lwt_xmit] via 192.168.1.11 dev eth0 
blackhole 10.4.0.0/16 metric 7 
unreachable 10.5.0.0/16 
throw 10.6.0.0/16 
prohibit 10.7.0.0/16 proto 80 
10.8.0.0/16 tos 0x10 via 10.0.0.2 dev v0 proto static src 10.0.0.9 metric 9 mtu 1400 advmss 1300 
10.9.0.0/16 via 10.0.0.2 dev v0 mtu lock 1400 
10.10.0.0/16 via inet6 fd00::2 dev v0 
10.11.0.0/16 nhid 7 via 10.0.0.2 dev v0 proto bgp metric 20 
10.12.0.0/16 via 10.0.0.2 dev v0 realm 4 window 4000 initcwnd 10 rto_min lock 5ms quickack 1 
10.13.0.0/16 via 10.0.0.9 dev v0 dead linkdown 
10.14.0.0/16 via 10.0.0.9 dev v0 offload rt_offload some new words 
10.244.205.192/26 via 192.168.49.3 dev tunl0 proto 80 onlink mtu 1480 
169.254.1.1 dev eth0 scope link 
"""
ROUTES6 = """\
fd00::/64 dev v0 proto kernel metric 256 pref medium
fd00:7::/64 metric 1024 pref medium
\tnexthop via fd00::4 dev v0 weight 1 
\tnexthop via fd00::5 dev v0 weight 1 
fd00:8::/64 via fd00::3 dev v0 metric 5 expires 498sec pref medium
blackhole fd00:9::/64 dev lo metric 1024 pref medium
default via fd00::2 dev v0 metric 1024 pref medium
unreachable default dev lo metric 4294967295 error 4294967183 pref medium
"""
DETAILED = """\
unicast default via 192.168.1.1 dev eth0 proto boot scope global 
local 10.0.0.1 dev v0 table local proto kernel scope host src 10.0.0.1 
unicast 10.11.0.0/16 nhid 7 via 10.0.0.2 dev v0 table main proto boot scope global 
\tnh_info id 7 via 10.0.0.2 dev v0 scope link proto unspec 
"""


@pytest.mark.parametrize(("text", "details"), [(ROUTES, False), (ROUTES6, False), (DETAILED, True)])
def test_route_variants_are_printed_back(text: str, details: bool) -> None:
    """Multipath, encapsulation, metrics, types, flags, IPv6 and unknown words: nothing is lost, nothing moves."""
    rows = iproute2.parse_routes(text)
    assert iproute2.format_routes(rows, details) == text
    assert iproute2.format_routes([row for line in rows for row in [line]], details) == text


def test_route_fields_are_understood() -> None:
    """The words land in their fields, so that look-ups and journeys can use them."""
    rows = {str(row.dst): row for row in iproute2.parse_routes(ROUTES)}
    assert (rows["0.0.0.0/0"].metric, rows["0.0.0.0/0"].protocol) == (100, "dhcp")
    assert [(str(h.via), h.dev, h.weight, h.flags) for h in rows["10.1.0.0/16"].nexthops] == [
        ("10.0.0.2", "v0", 1, ()),
        ("10.0.1.2", "v1", 3, ("linkdown",)),
    ]
    assert (rows["10.8.0.0/16"].mtu, str(rows["10.8.0.0/16"].prefsrc)) == (1400, "10.0.0.9")
    assert rows["10.3.0.0/16"].prefsrc is None
    assert (rows["10.2.0.0/16"].dev, str(rows["10.2.0.0/16"].via)) == ("v0", "10.0.0.2")
    assert rows["10.14.0.0/16"].flags == ("offload", "rt_offload")
    assert {rows[f"10.{n}.0.0/16"].type for n in (4, 5, 6, 7)} == {"blackhole", "unreachable", "throw", "prohibit"}
    six = iproute2.parse_routes(ROUTES6)
    assert [row.dst.version for row in six] == [6] * len(six)


def test_one_line_output_is_the_same_rows() -> None:
    """`ip -o route` writes backslashes for line breaks; the rows are the same."""
    one_line = ROUTES.replace(" \n\tnexthop", " \\\tnexthop")
    assert iproute2.parse_routes(one_line) == iproute2.parse_routes(ROUTES)


def test_pasted_routes_are_tolerated() -> None:
    """Indentation, lost trailing spaces, blank lines and Windows line ends do no harm."""
    pasted = "\r\n".join("  " + line.strip() for line in ROUTES.split("\n")) + "\r\n\r\n"
    assert iproute2.format_routes(iproute2.parse_routes(pasted)).split() == ROUTES.split()


def test_str_of_a_row_is_its_line() -> None:
    """`str(row)` is what ip prints, without spaces around it."""
    row = iproute2.parse_routes("10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink \n")[0]
    assert str(row) == "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"
    assert str(iproute2.parse_neighbours("10.0.0.8 dev v0 FAILED \n")[0]) == "10.0.0.8 dev v0 FAILED"


NEIGHBOURS = """\
10.0.0.3 dev v0 lladdr 02:00:00:00:00:03 router extern_learn DELAY 
10.0.0.2 dev v0 lladdr 02:00:00:00:00:02 PERMANENT 
10.0.0.8 dev v0 FAILED 
10.0.0.4 dev v0 INCOMPLETE 
10.0.0.5 dev v0 lladdr 02:00:00:00:00:05 NOARP proto 80 
10.0.0.9 dev v0 lladdr 02:00:00:00:00:09  ref 1 used 0/61/0probes 0 STALE 
fd00::44 dev v0 lladdr 02:00:00:00:00:44 router REACHABLE 
10.0.0.77 dev v0 proxy 
10.244.1.0 lladdr de:ad:3a:44:55:66 PERMANENT 
"""
FDB = """\
12:16:b5:25:ab:94 dev v1 master br0 
02:00:00:00:09:01 dev v1 sticky master br0 static
ee:d7:15:f4:1e:a5 dev sw2 vlan 1 master br0 permanent
02:00:00:00:09:04 dev vx dst 10.0.0.8 self extern_learn permanent
02:00:00:00:09:03 dev vx dst 10.0.0.7 port 99 vni 12 via v0 self permanent
00:00:00:00:00:00 dev vx6 dst fd00::9 self permanent
02:00:00:00:09:05 dev vx dst 10.0.0.7 link-netnsid 3 self offload permanent
de:ad:3a:44:55:66 dst 192.168.1.11 self permanent
"""


def test_neighbour_and_fdb_variants_are_printed_back() -> None:
    """States, flags, statistics, VLANs, ports and VNIs, with and without `dev`."""
    assert iproute2.format_neighbours(iproute2.parse_neighbours(NEIGHBOURS)) == NEIGHBOURS
    assert iproute2.format_fdb(iproute2.parse_fdb(FDB)) == FDB
    states = [row.state for row in iproute2.parse_neighbours(NEIGHBOURS)]
    assert states[:6] == ["DELAY", "PERMANENT", "FAILED", "INCOMPLETE", "NOARP", "STALE"]
    learned = iproute2.parse_neighbours(NEIGHBOURS)[:6]
    assert {"router", "extern_learn"} <= set(learned[0].extra)
    assert iproute2.neighbours_from_json(iproute2.neighbours_to_json(learned))[:5] == learned[:5]
    entry = iproute2.parse_fdb(FDB)[2]
    assert (entry.vlan, entry.master, entry.state) == (1, "br0", "permanent")


LINKS = """\
2: v1@v0: <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> mtu 1500 qdisc noqueue master br0 state LOWERLAYERDOWN mode DEFAULT group default qlen 1000
    link/ether 0a:d0:23:8d:b9:3e brd ff:ff:ff:ff:ff:ff permaddr 02:00:00:00:00:01 link-netnsid 4 promiscuity 2  allmulti 1 minmtu 68 maxmtu 65535 
    veth 
    bridge_slave state forwarding priority 32 cost 2 hairpin off guard off root_block off fastleave on learning on flood on port_id 0x8001 port_no 0x1 designated_port 32769 designated_cost 0 designated_bridge 8000.a:d0:23:8d:b9:3e designated_root 8000.a:d0:23:8d:b9:3e hold_timer    0.00 message_age_timer    0.00 forward_delay_timer   14.92 topology_change_ack 0 config_pending 0 proxy_arp off proxy_arp_wifi off mcast_router 1 mcast_fast_leave on mcast_flood on addrgenmode eui64 numtxqueues 2 numrxqueues 2 gso_max_size 65536 gso_max_segs 65535 gro_ipv4_max_size 65536 brandnew 3 
    alias a port with words
    altname enp1s0
    altname enx020000000001
5: vx: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/ether 1a:5c:7c:4d:97:ae brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535 
    vxlan id 7 remote 10.0.0.3 local 10.0.0.1 dev v0 srcport 1000 2000 dstport 4789 tos inherit ttl 9 df set ageing 300 noudpcsum noudp6zerocsumtx noudp6zerocsumrx unheard of addrgenmode eui64 numtxqueues 1 numrxqueues 1 gso_max_size 65536 
6: vx6: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1430 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/ether f2:eb:9c:7d:48:b9 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535 
    vxlan external id 8 group ff05::100 local fd00::1 dev v0 srcport 0 0 dstport 4789 nolearning proxy rsc l2miss l3miss ttl auto ageing none maxaddr 9 udpcsum udp6zerocsumtx udp6zerocsumrx gbp addrgenmode eui64 numtxqueues 1 
7: ip0@NONE: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1480 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/ipip 10.0.0.1 peer 10.0.0.2 promiscuity 0  allmulti 0 minmtu 0 maxmtu 0 
    ipip ipip remote 10.0.0.2 local 10.0.0.1 dev v0 ttl 64 tos 0x10 pmtudisc addrgenmode eui64 numtxqueues 1 
8: eth0.10@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 0 maxmtu 65535 
    vlan protocol 802.1Q id 10 <REORDER_HDR> addrgenmode eui64 numtxqueues 1 
9: bond0: <BROADCAST,MULTICAST,MASTER> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535 
    bond mode active-backup miimon 100 updelay 0 peer_notify_delay 0 use_carrier 1 addrgenmode eui64 numtxqueues 16 parentbus virtio parentdev virtio0 
"""


def test_link_variants_are_printed_back() -> None:
    """VXLAN over both families, IPIP, VLAN, bond, bridge ports, alternative names: printed back, unknown words too."""
    rows = iproute2.parse_links(LINKS)
    assert iproute2.format_links(rows) == LINKS
    by_name = {row.name: row for row in rows}
    vxlan = by_name["vx"].info
    assert (vxlan["id"], vxlan["port"], vxlan["udp_csum"], vxlan["df"]) == (7, 4789, False, "set")
    six = by_name["vx6"].info
    assert (six["local6"], six["group6"], six["learning"], six["ttl"], six["ageing"]) == (
        "fd00::1", "ff05::100", False, 0, 0,
    )  # fmt: skip
    assert by_name["ip0"].info["ttl"] == 64
    assert (by_name["v1"].up, by_name["v1"].master, by_name["bond0"].up) == (True, "br0", False)


def test_newer_iproute2_puts_vxlan_switches_last() -> None:
    """iproute2 7 prints the on/off settings of a VXLAN device after the rest; their order is kept."""
    line = "    vxlan id 1 local 10.0.0.1 dev eth0 srcport 0 0 dstport 8472 ttl auto ageing 300 nolearning \n"
    text = "4: flannel.1: <UP> mtu 1450 group default \n    link/ether 02:00:00:00:00:01 promiscuity 0 \n" + line
    rows = iproute2.parse_links(text)
    assert rows[0].info["learning"] is False
    assert iproute2.format_links(rows) == text


ADDRESSES = """\
3: v0@v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether 12:16:b5:25:ab:94 brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.1/24 metric 100 brd 10.0.0.255 scope global dynamic v0
       valid_lft 3599sec preferred_lft 1799sec
    inet 10.0.0.9/24 scope global secondary v0
       valid_lft forever preferred_lft forever
    inet 10.9.9.1 peer 10.9.9.2/32 scope global noprefixroute v0:1
       valid_lft forever preferred_lft forever
    inet6 fe80::1016:b5ff:fe25:ab94/64 scope link deprecated tentative proto kernel_ll 
       valid_lft forever preferred_lft forever
4: tun0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1480 qdisc pfifo_fast state UP group default qlen 500
    link/none 
"""


def test_address_variants_are_printed_back() -> None:
    """Peers, lifetimes, flags, labels and IPv6; text and JSON agree."""
    links, addresses = iproute2.parse_addresses(ADDRESSES)
    assert iproute2.format_addresses(addresses, links) == ADDRESSES
    data = iproute2.addresses_to_json(addresses, links)
    assert iproute2.addresses_from_json(data) == addresses
    assert data[0]["addr_info"][0]["valid_life_time"] == 3599
    assert iproute2.format_addresses(iproute2.addresses_from_json(data), iproute2.links_from_json(data)) == ADDRESSES


JUNK = [
    (iproute2.parse_routes, "hello world", "Line 1 .*destination"),
    (iproute2.parse_routes, "default via 1.1.1.1\nRTNETLINK answers: No such process", "Line 2"),
    (iproute2.parse_routes, "10.0.0.0/8 via", "ends after 'via'"),
    (iproute2.parse_routes, "10.0.0.0/8 via nowhere", "'nowhere' after 'via'"),
    (iproute2.parse_routes, "10.0.0.1/8 dev x", "behind the prefix length: write 10.0.0.0/8;"),
    (iproute2.parse_routes, "10.0.0.0/33 dev x", "does not start with a destination"),
    (iproute2.parse_routes, "10.0.0.0/8 metric many", "'many' after 'metric'"),
    (iproute2.parse_routes, "\tnexthop via 1.1.1.1", "no route before it"),
    (iproute2.parse_routes, "blackhole", "destination"),
    (iproute2.parse_neighbours, "? (10.0.0.1) at 02:00:00:00:00:01 [ether] on eth0", "address"),
    (iproute2.parse_fdb, "port no\tmac addr\tis local?", "MAC"),
    (iproute2.parse_links, "eth0      Link encap:Ethernet", "first line of a device"),
    (iproute2.parse_links, "    link/ether 02:00:00:00:00:01", "before any device"),
    (iproute2.parse_links, "1: lo: <UP> qdisc noqueue", "no mtu"),
    (iproute2.parse_addresses, "1: lo: <UP> mtu 9\n    inet nine/8 scope host", "expected"),
    (iproute2.parse_state_text, "10.0.0.0/8 dev x", "belongs to no host"),
    (iproute2.parse_state_text, "", "empty"),
    (iproute2.parse_state_text, "######## n1\n# ip route\nnonsense", "n1: Line 1"),
    (iproute2.parse_state_json, "{", "no JSON"),
    (iproute2.parse_state_json, "[]", "object"),
    (iproute2.parse_state_json, '{"n": {"route": [{"gateway": "1.1.1.1"}]}}', "n: .*'dst'"),
    (iproute2.parse_state_json, '{"n": {"route": [{"dst": "x"}]}}', "dst is 'x'"),
    (iproute2.parse_state_json, '{"n": {"neigh": {}}}', "list"),
    (iproute2.parse_state_json, '{"n": {"link": [{"ifname": "x"}]}}', "'mtu'"),
    (iproute2.parse_state_json, '{"n": {"addr": [{"ifname": "x", "mtu": 1, "addr_info": [{}]}]}}', "'local'"),
    (iproute2.routes_from_json, "text", "JSON list"),
]


@pytest.mark.parametrize(("parse", "text", "words"), JUNK)
def test_junk_gets_a_sentence(parse: Any, text: str, words: str) -> None:
    """What is no output of the command is refused, naming the line or key."""
    with pytest.raises(CourseError, match=words):
        parse(text)


WORDS = st.sampled_from(
    "default via dev proto scope link src metric mtu onlink blackhole 10.0.0.0/8 10.1.1.1 fd00::/8 eth0 nexthop weight "
    "encap table lladdr PERMANENT dst self master permanent vlan 02:00:00:00:00:01 1: lo: <UP> inet inet6 1 x {} : -1 "
    "link/ether brd vxlan id dstport srcport ttl promiscuity valid_lft altname 9999999999999999999 ########".split()
)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(WORDS, st.sampled_from([" ", "  ", "\n", "\n    ", "\n\t"])), max_size=14))
def test_any_words_are_rows_or_a_sentence(words: list[tuple[str, str]]) -> None:
    """Words in any order either parse, and then print back to rows that parse equal, or raise CourseError."""
    text = "".join(word + gap for word, gap in words)
    for parse, show in (
        (iproute2.parse_routes, iproute2.format_routes),
        (iproute2.parse_neighbours, iproute2.format_neighbours),
        (iproute2.parse_fdb, iproute2.format_fdb),
        (iproute2.parse_links, iproute2.format_links),
        (iproute2.parse_state_text, iproute2.format_state_text),
    ):
        try:
            rows = parse(text)
        except CourseError:
            continue
        shown = show(rows)  # type: ignore[operator]
        assert isinstance(shown, str)


def test_state_of_any_json_is_rows_or_a_sentence() -> None:
    """Mangled JSON states raise CourseError and nothing else."""
    path = Path(RECORDINGS / "flannel-vxlan" / "state.json")
    data = json.loads(path.read_text())["node1"]
    refused = 0
    for section, rows in data.items():
        for key in {key for row in rows for key in row}:
            for value in (None, 7, "x", [], {}, [None], {"a": []}, -1.5, True):
                mangled = [{**row, key: value} for row in rows]
                try:
                    made = iproute2.parse_state_json({"n": {section: mangled}})
                    iproute2.format_state_text(made)
                    iproute2.state_to_json(made)
                except CourseError:
                    refused += 1
    assert refused > 50


def test_a_leg_without_a_gateway() -> None:
    """A nexthop may name a device only, in text and in JSON."""
    rows = iproute2.parse_routes("10.1.0.0/16 \n\tnexthop dev eth0 weight 1 \n\tnexthop dev eth1 weight 1 onlink \n")
    assert rows[0].nexthops == (NextHop(None, "eth0"), NextHop(None, "eth1", 1, ("onlink",)))
    assert iproute2.routes_from_json(iproute2.routes_to_json(rows)) == rows
