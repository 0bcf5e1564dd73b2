"""The comparison tables: every cell is what the modes' tables, rules and packets say, on any cluster."""

from __future__ import annotations

import re

import pytest

from coursekit import CourseError, load_cluster, network, ping, views
from coursekit.cluster.choice import UNDOCUMENTED, choose, documented
from coursekit.cluster.firewall import allows
from coursekit.cluster.modes import CALICO, MODES, trial
from coursekit.cluster.watch import watch
from coursekit.packets.goodput import goodput
from coursekit.views.comparison import ASPECTS
from coursekit.views.sheet import Sheet

from .markup import offences


def rows(sheet: Sheet) -> dict[str, list[str]]:
    """Return the cells by the row's name."""
    return {row[0][0]: [" ".join(cell) for cell in row[1:]] for row in sheet.data["rows"]}


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("cluster", ["two-racks", "chapter", "minikube-calico"])
def test_every_mode_has_a_row(cluster: str, aspect: str) -> None:
    """Each aspect of each cluster is a whole table that says its evidence, and fits a page."""
    sheet = views.compare(aspect, cluster)

    assert list(rows(sheet)) == list(MODES)
    assert sheet.text().startswith("documented" if aspect == "clouds" else f"computed for Calico {CALICO}, ")
    assert max(map(len, sheet.text().splitlines())) <= 100
    assert offences(sheet.figure()) == []


def test_firewalls() -> None:
    """The rules by name, and whether pods' addresses are in them."""
    for name, (needs, pods) in rows(views.compare("what a firewall must pass")).items():
        rules = allows(MODES[name].on(load_cluster("two-racks")))
        assert needs == ", ".join(rule.name for rule in rules)
        assert pods == ("yes" if any(rule.pods for rule in rules) else "no")


def test_setting_up() -> None:
    """Rows that a node and the routers hold, the device, and the sessions."""
    found = rows(views.compare("what has to be set up"))

    assert found["flannel-vxlan"] == ["2", "4", "flannel.1", "0", ""]
    assert found["calico-ipip"] == ["2", "0", "tunl0", "0", "3"]
    assert found["calico-bgp route-reflector"][-1] == "2"
    assert found["calico-bgp tor"][3:] == ["3", "3"]
    assert found["route table"] == ["0", "0", "", "3", ""]
    assert found["host-gw"][0] == "1"
    assert rows(views.compare("what has to be set up", "chapter"))["host-gw"][0] == "2"


SOURCED = re.compile(r"^(AWS|Azure|Google Cloud) (✗|✓ if|✓|itself): .* \((\S+, \S+, \d{4}-\d\d-\d\d(; )?)+\)$")


def test_clouds() -> None:
    """A tick, a tick on a condition, or a cross has a rule with a source, which stands below with its cloud."""
    sheet = views.compare("clouds")
    for name, cells in rows(sheet).items():
        for cloud, cell in zip(sheet.data["head"][1:], cells, strict=True):
            verdict = choose(cloud=cloud)[name]
            said = {"✗": verdict.out, "✓ if …": verdict.first, "✓": verdict.works}[cell]
            assert said, (name, cloud)
            for reason in said:
                assert reason.evidence == "documented"
                assert any(note.startswith(cloud) and reason.sentence in note for note in sheet.data["notes"])
    assert all(SOURCED.match(note) for note in sheet.data["notes"])
    assert [note for note in sheet.data["notes"] if note.startswith("Azure itself: Azure CNI gives pods addresses of")]


def test_no_tick_without_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rules on VXLAN in a cloud the cell says that nothing is documented, and no choice calls it free."""
    known = documented()
    rules = [rule for rule in known["rules"] if rule["effect"] != "works"]
    monkeypatch.setattr("coursekit.cluster.choice.documented", lambda: {**known, "rules": rules})
    sheet = views.compare("clouds")

    assert rows(sheet)["calico-vxlan"] == [UNDOCUMENTED] * 3  # a firewall rule for whatever passes is no evidence
    assert rows(sheet)["host-gw"] == ["✓ if …", "✗", "✗"]
    assert not any(UNDOCUMENTED in note or "✓:" in note for note in sheet.data["notes"])
    assert "calico-vxlan" not in choose(cloud="Azure").unconditional
    shown = {row[0][0]: row[1] for row in views.choice(choose(cloud="Azure")).data["rows"]}
    assert shown["calico-vxlan"] == ["cloud: no source says whether it works (not documented)"]


def test_clouds_as_sources_have_it() -> None:
    """UDP needs a rule of the firewall; in Azure and Google Cloud no plain packet reaches a neighbour."""
    cells = rows(views.compare("clouds"))

    assert cells["flannel-vxlan"] == cells["calico-vxlan"] == ["✓ if …", "✓", "✓ if …"]
    neighbours = ("host-gw", "calico-bgp mesh", "calico-bgp route-reflector", "calico-vxlan CrossSubnet",
                  "flannel-vxlan DirectRouting", "calico-ipip CrossSubnet")  # fmt: skip
    assert {tuple(cells[name]) for name in neighbours} == {("✓ if …", "✗", "✗")}
    assert cells["calico-ipip"] == ["✓ if …", "✗", "✓ if …"]
    for cloud, words in {"AWS": "security group", "Google Cloud": "firewall rule"}.items():
        assert any(words in reason.sentence for reason in choose(cloud=cloud)["calico-vxlan"].first)


def test_a_cloud_s_own_router_is_a_service() -> None:
    """A BGP session with a cloud is a service to set up, under another name in each; Azure's takes 8 peers."""
    services = {"AWS": "VPC Route Server", "Azure": "Azure Route Server", "Google Cloud": "router appliance"}
    for cloud, service in services.items():
        verdict = choose(cloud=cloud)["calico-bgp tor"]
        assert verdict.remains
        assert any(service in reason.sentence for reason in verdict.first)
    assert any("takes 8 BGP peers" in reason.sentence for reason in choose(cloud="Azure")["calico-bgp tor"].first)


def test_everything() -> None:
    """How it is carried, what it costs, whether it arrives: from the trial of the mode."""
    for name, cells in rows(views.compare("everything")).items():
        tried = trial(name)
        lost = tried.failed
        ways = list(dict.fromkeys(tried.carried(node) for node in ("node2", "node3")))
        assert cells[0] == " / ".join(ways)
        assert cells[1] == str(tried.lost_mtu)
        share = f"{100 * goodput(tried.cluster.profile.encapsulation).share:.1f} %"
        assert cells[2] == ("" if lost else share)
        assert cells[3] == ("lost at router" if lost else "yes")
        assert cells[4] == " ".join(choose(one_subnet="no")[name].openings)
        assert cells[7:] == ["yes" if tried.router_rows else "no", "no" if "ipip" in name else "yes"]


def test_everything_says_where_to_look() -> None:
    """Where a pod's packet is plain on the sending node, and how many sessions stand."""
    found = {name: (cells[5], cells[6]) for name, cells in rows(views.compare("everything")).items()}

    # No word is broken in the text twin.
    assert all(word in views.compare("everything").text() for word in ("vxlan.calico", "route-reflector", "sessions"))
    assert found["host-gw"] == ("eth0", "")
    assert found["flannel-vxlan"] == ("flannel.1", "")
    assert found["calico-vxlan CrossSubnet"] == ("vxlan.calico eth0", "")
    assert found["calico-ipip"] == ("tunl0", "3")
    assert found["calico-bgp route-reflector"] == ("eth0", "2")


def test_watching() -> None:
    """Frames by filter at the devices of the hosts asked for, and nowhere else."""
    journey = ping(network(load_cluster("lab")), "podA", "podB")
    filters = ["icmp", "udp port 8472"]
    found = rows(views.watch({"one": journey}, filters, hosts=["node1"]))

    expected = {p: s for p, s in watch(journey, filters).items() if p.startswith("node1:")}
    assert found == {f"one, {p}": [str(s[f] or "") for f in filters] for p, s in expected.items()}
    assert found["one, node1:eth0"] == ["", "2"]


def test_watching_everywhere_and_nowhere() -> None:
    """Without hosts all devices are shown; one filter or host may be given as it is; a host off the way is told."""
    journey = ping(network(load_cluster("lab")), "podA", "podB")
    everywhere = rows(views.watch({"one": journey}, "icmp"))
    assert list(everywhere) == [f"one, {point}" for point in watch(journey, ["icmp"])]
    assert list(rows(views.watch({"one": journey}, "icmp", "podA"))) == ["one, podA:eth0"]
    with pytest.raises(CourseError, match="No packet passes node9; the hosts on the way are podA, node1"):
        views.watch({"one": journey}, ["icmp"], hosts=["node1", "node9"])
    with pytest.raises(CourseError, match=r"Journeys are given by name, such as .*; a Journey was given"):
        views.watch(journey, ["icmp"])  # type: ignore[arg-type]


def test_unknown_aspect() -> None:
    """An aspect that nobody worked out is told, with those that there are."""
    with pytest.raises(CourseError, match="no aspect 'speed' to compare by; there are what a firewall must pass"):
        views.compare("speed")
