"""Networks from recorded tables and from clusters: wiring, settings, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coursekit.cluster.iproute2 import parse_state_json, parse_state_text
from coursekit.cluster.model import load
from coursekit.cluster.network import Filter, Masquerade, network, network_from_tables
from coursekit.cluster.profiles import tables as profile_tables
from coursekit.errors import CourseError
from tests.cluster.evidence import POD_NETWORK, Evidence
from tests.cluster.test_failures import NAMES

PLUGGED = {"node1:eth0": "router:sw1", "node2:eth0": "router:sw2"}


@pytest.mark.parametrize("name", [name for name in NAMES if (Evidence(name).folder / "state.json").exists()])
def test_cables_follow_from_interface_indexes(name: str) -> None:
    """Nodes end at their switch ports and pods at their veths, although the indexes fit several pairs."""
    cables = network_from_tables(Evidence(name).tables).cables
    three = "two-racks" in name or name.startswith("bgp-")
    expected = PLUGGED | ({"node3:eth0": "router:sw3"} if three else {})
    assert {end: cables[end] for end in expected} == expected
    pods = [end for end in cables if end.startswith("pod")]
    assert all(cables[end].endswith(end.partition(":")[0]) for end in pods)
    assert len(pods) == (3 if three else 2)


def test_text_and_json_give_the_same_network() -> None:
    """The text of `ip -d link` names the namespace of the other end; the cables are the same."""
    evidence = Evidence("flannel-vxlan")
    text = network_from_tables(parse_state_text((evidence.folder / "state.txt").read_text()))
    assert dict(text.cables) == dict(evidence.network().cables)


def test_a_cluster_is_wired_as_its_recording() -> None:
    """The model's own network has the cables of the recorded one."""
    assert dict(network(load("lab")).cables) == dict(Evidence("flannel-vxlan").network().cables)


def test_who_forwards_and_answers_for_others() -> None:
    """Nodes and routers forward, pods do not; only cali devices answer ARP for others."""
    model = Evidence("calico-ipip").network()
    assert {name for name, host in model.hosts.items() if host.forwarding} == {"node1", "node2", "router"}
    assert model.host("node1").proxy_arp == {"calipodA"}
    assert (model.pods(), model.nodes(), model.pods("node2")) == (("podA", "podB"), ("node1", "node2"), ("podB",))


@pytest.mark.parametrize("lost", ["routes", "neighbours"])
@pytest.mark.parametrize("name", ["flannel-vxlan", "calico-ipip"])
def test_device_names_need_not_tell(name: str, lost: str) -> None:
    """Real veths are called veth1a2b3c4d: what hosts know of each other's MACs, or of their addresses, is enough."""
    text = (Evidence(name).folder / "state.json").read_text()
    for letter in "AB":
        text = text.replace(f"vethpod{letter}", f"veth{letter}").replace(f"calipod{letter}", f"cali{letter}")
    cables = network_from_tables({h: replace(t, **{lost: ()}) for h, t in parse_state_json(text).items()}).cables
    assert [cables[f"pod{letter}:eth0"][-1] for letter in "AB"] == ["A", "B"]


def test_two_devices_make_a_forwarder() -> None:
    """A node whose only devices are eth0 and one pod's veth forwards, with nothing but its tables to tell."""
    tables = profile_tables(load("lab").with_profile("calico-bgp"))
    model = network_from_tables(tables)
    assert [link.name for link in tables["node1"].links] == ["lo", "eth0", "calipodA"]
    assert (model.host("node1").forwarding, model.host("podA").forwarding) == (True, False)


def test_tables_that_do_not_tell_the_wiring_are_refused() -> None:
    """Two pods that fit the same two veths equally well get a sentence that says how to go on."""
    tables = Evidence("flannel-vxlan").tables
    bare = {
        name: replace(t, neighbours=(), fdb=(), routes=(), addresses=(), links=tuple(map(anonymous, t.links)))
        for name, t in tables.items()
    }
    with pytest.raises(CourseError, match=r"do not tell whether .* is plugged into .*Give cables="):
        network_from_tables(bare)


def anonymous(link):
    """A device whose name tells nothing."""
    return replace(link, name=f"dev{link.ifindex}")


def test_cables_may_be_given() -> None:
    """Cables given by hand count in both directions."""
    model = network_from_tables(Evidence("flannel-vxlan").tables, cables=PLUGGED)
    assert model.cables["router:sw1"] == "node1:eth0"


def test_settings_for_unknown_hosts_are_refused() -> None:
    """A setting or cable that names a host without tables gets a sentence."""
    tables = Evidence("flannel-vxlan").tables
    for more in ({"forwarding": ["node9"]}, {"cables": {"node9:eth0": "router:sw1"}}, {"filters": {"node9": []}}):
        with pytest.raises(CourseError, match="No tables were given for node9"):
            network_from_tables(tables, **more)


def test_unknown_hosts_and_devices_are_refused() -> None:
    """Asking for what is not there gets a sentence with what is."""
    model = network(load("lab"))
    with pytest.raises(CourseError, match="There is no host 'x'"):
        model.host("x")
    with pytest.raises(CourseError, match="node1 has no device 'eth9'; it has lo, eth0"):
        model.host("node1").link("eth9")
    with pytest.raises(CourseError, match="podA has no IPv6 address"):
        model.address_of("podA", 6)


def test_rules_print_as_their_programs_print_them() -> None:
    """The rule of the recording prints as `iptables -t nat -S` printed it; a filter names hook, device and type."""
    recorded = (Evidence("no-overlay-masquerade").folder / "node1-nat.txt").read_text()
    assert str(Masquerade(POD_NETWORK, device="eth0")) in recorded.splitlines()
    assert str(Filter("output", 1, icmp=(3, 4))) == "-A OUTPUT -p icmp --icmp-type 3/4 -j DROP"
    assert str(Filter("ingress", 4, "sw1")) == "-A INGRESS -i sw1 -p ipencap -j DROP"


def test_owners_and_addresses() -> None:
    """A host is found by any of its addresses, and pinged at the one that is no tunnel's."""
    model = network(load("lab").with_profile("calico-ipip"))
    assert model.owner(model.address_of("podB")) == "podB"
    assert str(model.address_of("node1")) == "192.168.1.10"
