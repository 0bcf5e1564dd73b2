"""A Kubernetes cluster as a lab: documented, pasted, or asked by a kubectl; the same tables and journeys of each."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from coursekit import CourseError, load_cluster, lookup, network, ping, recording
from coursekit.lab.minikube import KubeLab, pods, pools, reached, runner
from coursekit.lab.minikube.kubectl import nodes_of
from coursekit.lab.minikube.steps import TOPICS
from coursekit.lab.session import session
from tests.lab import documented, fake_kubectl


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a kubectl on the way that knows one cluster, in which nobody has made test pods yet."""
    fake_kubectl.install(tmp_path, pods=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin")
    monkeypatch.setattr(runner, "_LEAD", 0.0)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_documented_cluster_is_read_and_foretold() -> None:
    """Calico's documentation tells three nodes, their blocks and pods; the model foretells its ping and its route."""
    one = KubeLab()

    assert one.mode == ("calico-bgp", "pool pool1: ipipMode Never, vxlanMode Never")
    assert {(str(n.address), str(n.blocks[0])) for n in one.cluster.nodes} == {
        ("172.31.37.123", "192.168.38.128/26"), ("172.31.40.217", "192.168.45.192/26"),
        ("172.31.45.29", "192.168.60.64/26")}  # fmt: skip
    assert str(one.cluster.segments[0].subnet) == "172.31.32.0/20"
    said = one.said["ping"]
    journey = one.ping("pingtest-b4b6f8cf-b5z78", "pingtest-b4b6f8cf-jmzq6")
    reply = journey.reply.frames_at("pingtest-b4b6f8cf-b5z78:eth0")[0]
    assert f"ttl={reply[14 + 8]}" in said, "the TTL of the reply, at byte 8 of its IPv4 header, is what was printed"
    row = lookup(one.tables("ip-172-31-40-217").routes, "192.168.38.128").winner
    assert f"via {row.via} dev {row.dev} " in one.said["route"]
    assert one.evidence.startswith("documented · tigera/docs")


def test_documented_answers_say_whose_they_are() -> None:
    """A transcript has each command, what it answers, and below it the documented output with its own command."""
    text = repr(KubeLab().ask("mode"))
    assert "get ippools -o json\n[documented · tigera/docs, a cluster that is not yours · test-networking.mdx]" in text
    assert "[$ calicoctl get ippools -o wide]\nNAME" in text
    reach = repr(KubeLab().ask("reach"))
    assert reach.count("documented") == reach.count("4 packets received") == 1, "the other ping was not documented"


def test_every_command_of_the_lab_has_its_part() -> None:
    """All steps of a lab are in a part; what the chapter types is among them; long inputs and outputs are cut."""
    one = KubeLab("flannel")
    shown = {topic: repr(one.ask(topic)) for topic in TOPICS}
    assert sum(len(one.ask(topic).answers) for topic in TOPICS) == len(one.steps)
    assert "minikube start --nodes 2 --cni=flannel" in shown["start"]
    assert "# … and 3 pods more: script() has all\nEOF" in shown["pods"]
    assert one.script().count("kind: Pod") == 4
    assert "tcpdump -ni eth0 -c 5 'udp port 8472'" in shown["envelope"]
    assert "# The same on minikube-m02, pod-on-node1, pod-on-node2." in shown["tables"]
    assert "minikube delete" in shown["end"]
    assert shown["mode"] == "# flannel needs no command here.", "it has no pools"
    with pytest.raises(CourseError, match=r"no part 'stop'; there are start, pods, reach"):
        one.ask("stop")


def test_pasted_outputs_become_a_cluster() -> None:
    """Pods and a route, or pods and a subnet, are enough; whole tables of all hosts are used as they are."""
    wide = fake_kubectl.WIDE + "default a 1/1 Running 0 1s 10.244.0.5 ip-192-168-1-10 <none>\n"
    wide += "default b 1/1 Running 0 1s 10.244.1.7 ip-192-168-1-11 <none>\n"
    rows = "default via 192.168.1.1 dev eth0", "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10"
    routes = {"ip-192-168-1-10": "\n".join([*rows, "10.244.1.0/26 via 192.168.1.11 dev tunl0 proto bird onlink"])}
    one = session("replay").minikube(pods=wide, routes=routes, nodes="")
    assert (one.evidence, one.mode[0]) == ("captured · pasted", "calico-ipip")
    assert [str(node.blocks[0]) for node in one.cluster.nodes] == ["10.244.0.0/26", "10.244.1.0/26"]
    assert one.ping("a", "b").frames_at("ip-192-168-1-10:eth0")[0][23] == 4
    with pytest.raises(CourseError, match="give pods="):
        session("replay").minikube(routes=routes).cluster  # noqa: B018 - the property reads
    with pytest.raises(CourseError, match="'podz' is no output that can be given; those are nodes, pods"):
        session("replay").minikube(podz="x")
    with pytest.raises(CourseError, match="No pod tells its node's address"):
        session("replay").minikube(pods=documented.MINIKUBE_PODS, subnet="192.168.49.0/24").cluster  # noqa: B018


def test_a_live_cluster_is_asked_and_driven(kubectl: Path) -> None:
    """Pods are made, read and traced; tables are those of the hosts, journeys go by them; nothing is destroyed."""
    one = session("minikube").minikube()
    assert (one.evidence, one.mode[0], one.ask("start").answers) == (
        "captured live · kubectl --context minikube", "calico-ipip", ())  # fmt: skip
    assert repr(one.ask("start")) == "# Context minikube answers already."
    with pytest.raises(CourseError, match=r"No pod on-minikube shows that node's tables yet: ask\('pods'\)"):
        one.cluster  # noqa: B018 - the property reads

    assert "captured live" in repr(one.ask("pods"))
    assert (kubectl / "applied").read_text().count("kind: Pod") == 4
    told = recording("calico-ipip").tables()
    assert one.tables("minikube").routes == told["node1"].routes
    assert [node.name for node in one.cluster.nodes] == ["minikube", "minikube-m02"]
    journey = one.ping("pod-on-node1", "pod-on-node2")
    model = ping(network(load_cluster("lab").with_profile("calico-ipip")), "podA", "podB")
    assert [len(f) for f in journey.frames_at("minikube:eth0")] == [len(f) for f in model.frames_at("node1:eth0")] != []
    assert journey.frames_at("minikube:eth0")[0][23] == 4
    for topic in TOPICS[2:]:
        assert not [a for a in one.ask(topic).answers if a.evidence in ("failed", "not run")], topic
    assert "… 1 line of JSON, read as:\nmy.ippool-1 10.244.0.0/16 ipipMode Always, vxlanMode" in repr(one.ask("mode"))
    assert "read as:\nminikube 192.168.1.10 Ready\nminikube-m02 192.168.1.11 Ready" in repr(one.ask("pods"))
    assert "10.244.1.0/24 minikube-m02" in repr(one.ask("mode"))
    silent = one.ask("envelope").answers[1]
    assert (silent.text, silent.evidence) == ("", one.evidence), "the filter that shows nothing is as it should be"
    assert "not run: it destroys; type it yourself" in repr(one.ask("end"))
    assert "delete" not in (kubectl / "log").read_text()
    assert "#minikube delete" not in one.script(), "nobody started this cluster here"
    again = one.ask("tables")
    assert len(again.answers) == 4
    assert one.tables("pod-on-node1").routes == told["podA"].routes, "read twice, held once"


def test_pasted_outputs_go_before_a_cluster_that_answers(kubectl: Path) -> None:
    """What is pasted is taken even where a cluster answers; blanks are nothing, and then it is the cluster."""
    one = session("minikube")
    pods = fake_kubectl.WIDE + "default a 1/1 Running 0 1s 10.244.0.5 n1 <none>\n"
    assert one.minikube(pods=pods).evidence == "captured · pasted"
    assert one.minikube(pods=" \n", nodes="").live
    assert session("replay").minikube(pods=" \n").evidence.startswith("documented")


def test_a_pair_is_on_two_nodes() -> None:
    """Of pods on one node and pods on another a pair is taken; where all are on one node it is a sentence."""
    rows = [f"default {name} 1/1 Running 0 1s 10.244.{net}.{5 + i} ip-10-0-0-1{net} <none>\n"
            for i, (name, net) in enumerate([("a", 0), ("b", 0), ("c", 1)])]  # fmt: skip
    route = "10.244.1.0/26 via 10.0.0.11 dev tunl0 proto bird onlink"
    given = {"routes": {"ip-10-0-0-10": route}, "subnet": "10.0.0.0/24"}
    assert KubeLab(pods=fake_kubectl.WIDE + "".join(rows), **given).pair == ("a", "c")
    with pytest.raises(CourseError, match="Two pods on two nodes are needed; there are a, b"):
        KubeLab(pods=fake_kubectl.WIDE + "".join(rows[:2]), **given).pair  # noqa: B018 - the property looks


def test_nodes_are_told_by_pods() -> None:
    """A daemon's pod has its node's address, and a name as AWS gives holds it; other pods tell none."""
    wide = fake_kubectl.WIDE + "kube-system kindnet-x 1/1 Running 0 1s 172.18.0.3 kind-worker <none>\n"
    wide += "default web 1/1 Running 0 1s 10.244.1.7 other <none>\n"
    wide += "default web2 1/1 Running 0 1s 10.244.2.7 ip-10-0-0-7.eu-west-1.compute.internal <none>\n"
    found = nodes_of(pods(wide))
    assert [(n.name, str(n.address)) for n in found] == [
        ("kind-worker", "172.18.0.3"), ("ip-10-0-0-7.eu-west-1.compute.internal", "10.0.0.7")]  # fmt: skip


def test_a_table_of_pools_is_read() -> None:
    """The wide table of calicoctl gives both modes, NAT and whether a pool is disabled; a row that was cut is told."""
    head = "NAME CIDR NAT IPIPMODE VXLANMODE DISABLED SELECTOR\n"
    one, other = pools(head + "a 10.0.0.0/16 true Always Never false x\nb 10.1.0.0/16 false Never CrossSubnet true x")
    assert (one.ipip, one.vxlan, one.nat, one.disabled) == ("Always", "Never", True, False)
    assert (other.ipip, other.vxlan, other.nat, other.disabled) == ("Never", "CrossSubnet", False, True)
    with pytest.raises(CourseError, match=r"'a 10.0.0.0/16 true' is no row of `calicoctl get ippools"):
        pools(head + "a 10.0.0.0/16 true")


def test_a_lab_needs_as_many_nodes_as_are_described(kubectl: Path) -> None:
    """A cluster of one node cannot hold the lab, and says so before anything is made."""
    one = json.loads((kubectl / "nodes").read_text())
    (kubectl / "nodes").write_text(json.dumps({**one, "items": one["items"][:1]}))
    with pytest.raises(CourseError, match="The lab needs 2 nodes; minikube has 1"):
        KubeLab(live=True).ask("pods")
    assert not (kubectl / "applied").exists()


def test_what_fails_is_shown_and_ends_it(kubectl: Path) -> None:
    """A command that fails shows its complaint, and those after it are not run."""
    one = KubeLab(live=True)
    (kubectl / "kubectl").write_text("#!/bin/sh\necho 'pods \"pod-on-node1\" not found' >&2; exit 1\n")
    first, *others = one.ask("reach").answers
    assert (first.evidence, "pods \"pod-on-node1\" not found" in first.text) == ("failed", True)
    assert [a.evidence for a in others] == ["not run"] * 2
    (kubectl / "kubectl").write_text("#!/bin/sh\necho '{\"kind\": \"Other\"}'\n")
    assert '{"kind": "Other"}' in repr(one.ask("mode")), "what cannot be read is shown as it is"


def test_another_context_is_asked_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any context can be asked, whatever its name, and no command goes to another."""
    name = "arn:aws:eks:eu-west-1:1234:cluster/x"
    fake_kubectl.install(tmp_path, context=name)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin")
    assert reached(name) == (True, f"context {name} answers, 2 nodes")
    one = session("minikube", context=name).minikube()
    one.ask("tables")
    assert one.ping("pod-on-node1", "pod-on-node2").answered
    assert all(line.startswith(f"--context {name} ") for line in (tmp_path / "log").read_text().splitlines())


@pytest.mark.parametrize(("body", "says"), [
    ("echo 'The connection to the server 192.168.49.2:8443 was refused' >&2; exit 1", "8443 was refused"),
    ("echo '{'", "context minikube does not answer"),
])  # fmt: skip
def test_a_cluster_that_does_not_answer(body: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped cluster, and one that talks nonsense, are told in the banner's words."""
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\n{body}\n")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin")
    there, said = reached()
    assert not there
    assert says in said
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert reached() == (False, "kubectl is not installed (minikube.sigs.k8s.io/docs/start)")
