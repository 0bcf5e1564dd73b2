"""LookupChain: the rows that make an envelope, in order, and what each of them sets."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest

from coursekit import views
from coursekit.cluster.faults import apply
from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.cluster.path import Decision, Journey, Outcome, Stop
from coursekit.cluster.tables import FdbEntry, Neighbour, NextHop, Route
from coursekit.errors import CourseError
from coursekit.packets.layout import dissect
from tests.views.markup import offences, read, sanitised

CHAPTER = load("chapter")


def journey(profile: str, target: str = "podB") -> Journey:
    """A ping from podA under a profile."""
    return ping(network(CHAPTER.with_profile(profile)), "podA", target)


def steps(view: views.LookupChain) -> list[tuple[str, str, str]]:
    """Command, printed row and effect of each step, as drawn in HTML."""
    found = []
    for row in read(view.figure()).all("tbody")[0].all("tr"):
        answer, effect = row.all("td")
        printed = answer.all("code")
        words = effect.text.removeprefix("→ ")
        found.append((row.all("b")[0].text.split(" ", 1)[1], printed[0].text if printed else "", words))
    return found


def test_vxlan() -> None:
    """Route, neighbour and forwarding entry at the tunnel, then route and neighbour of the envelope."""
    assert steps(views.chain(journey("flannel-vxlan"))) == [
        ("ip route", "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink", "next hop 10.244.1.0 on flannel.1"),
        ("ip neigh", "10.244.1.0 dev flannel.1 lladdr 02:00:0a:f4:01:00 PERMANENT",
         "sets inner eth.dst = 02:00:0a:f4:01:00"),
        ("bridge fdb", "02:00:0a:f4:01:00 dev flannel.1 dst 192.168.1.11 self permanent",
         "sets outer ip.dst = 192.168.1.11"),
        ("ip route", "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10",
         "next hop 192.168.1.11 on eth0"),
        ("ip neigh", "192.168.1.11 dev eth0 lladdr 02:00:c0:a8:01:0b REACHABLE",
         "sets outer eth.dst = 02:00:c0:a8:01:0b"),
    ]  # fmt: skip


@pytest.mark.parametrize("profile", ["flannel-vxlan", "calico-vxlan", "calico-ipip"])
@pytest.mark.parametrize("target", ["podB", "podC"])
def test_what_is_set_is_in_the_frame(profile: str, target: str) -> None:
    """The values that the chain names are those of the frame that leaves the node."""
    way = journey(profile, target)
    frame = dissect(next(stop.frame for stop in way.stops if stop.point == "node1:eth0" and stop.frame))
    depth = {"outer": 0, "inner": 1}
    named = [effect.split() for _, _, effect in steps(views.chain(way)) if effect.startswith("sets")]
    for _, which, key, _, value in named:
        layer = next(layer for layer in frame.layers if layer.key == key.split(".")[0] and layer.depth == depth[which])
        assert layer[key].value == value
    assert len(named) == (2 if profile == "calico-ipip" else 3)


def test_ipip_has_no_table() -> None:
    """IPIP asks no neighbour and no forwarding table: the route's gateway is the outer destination."""
    commands = [step[0] for step in steps(views.chain(journey("calico-ipip")))]
    assert commands == ["ip route", "ip -d link", "ip route", "ip neigh"]


@pytest.mark.parametrize("profile", ["host-gw", "calico-bgp"])
def test_without_a_tunnel(profile: str) -> None:
    """Without an envelope it is the node's own route and neighbour, and nothing is inner or outer."""
    found = steps(views.chain(journey(profile)))
    assert [step[0] for step in found] == ["ip route", "ip neigh"]
    assert found[1][2] == "sets eth.dst = 02:00:c0:a8:01:0b"


@pytest.mark.parametrize("fault", ["missing-fdb", "missing-neighbour", "missing-route"])
def test_a_missing_row(fault: str) -> None:
    """A chain that breaks says where: the step has no row."""
    broken = ping(apply(network(CHAPTER.with_profile("flannel-vxlan")), fault), "podA", "podB")
    view = views.chain(broken)
    assert str(view)
    assert offences(view.figure()) == []
    if fault == "missing-fdb":
        assert [step[1] for step in steps(view)][-1] == ""
        assert "✗ no row" in str(view)
        assert "ip.dst stays unknown" in str(view)


def test_decisions_one_by_one() -> None:
    """Decisions do as well: a multipath route names its first leg, IPv6 its own key, a device no next hop."""
    legs = (NextHop(ip_address("fe80::1"), "eth0"), NextHop(ip_address("fe80::2"), "eth1"))
    view = views.chain([
        Decision("route", "fd00::7", Route(ip_network("fd00::/64"), nexthops=legs), "because"),
        Decision("neigh", "fe80::1",
                 Neighbour(ip_address("fe80::1"), "eth0", "02:00:00:00:00:01"), "known", sets="eth.dst"),
        Decision("fdb", "02:00:00:00:00:01",
                 FdbEntry("02:00:00:00:00:01", "vxlan0", ip_address("2001:db8::2")), "known", sets="ipv6.dst"),
        Decision("route", "192.0.2.1", Route(ip_network("192.0.2.0/24"), type="blackhole"), "only row"),
        Decision("route", "192.0.2.1", None, "no row matches"),
    ])  # fmt: skip
    assert [step[2] for step in steps(view)] == [
        "next hop fe80::1 on eth0", "sets eth.dst = 02:00:00:00:00:01", "sets ipv6.dst = 2001:db8::2", "",
        "nothing: the packet goes no further",
    ]  # fmt: skip


def test_twins() -> None:
    """Both twins hold each row and each reason; text within 100 columns, data plain, markup clean."""
    view = views.chain(journey("flannel-vxlan"), title="$ <b>")
    text, html = " ".join(str(view).split()), sanitised(read(view.figure())).text
    for step in view.data["steps"]:
        assert all(step[key] in text and step[key] in html for key in ("row", "why", "effect", "asked", "place"))
    assert max(map(len, str(view).splitlines())) <= 100
    assert json.loads(json.dumps(view.data)) == view.data
    assert offences(view.figure()) == []
    assert len(view.figure()) < 6000


@pytest.mark.parametrize("given", [
    [], [1], Journey((Stop("a", "eth0", "sends", b"", ""),), Outcome("lost", "", None, "a:eth0", "")),
])  # fmt: skip
def test_what_holds_no_chain(given: object) -> None:
    """Nothing to look up is said in a sentence."""
    with pytest.raises(CourseError):
        views.chain(given)  # type: ignore[arg-type]
