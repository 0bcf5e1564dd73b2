"""Minikube: the commands that are generated, outputs of its tools read back, and a real kernel's tables as "yours"."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coursekit import lab
from coursekit.cluster import journey
from coursekit.cluster.iproute2 import format_state_text
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import network
from coursekit.cluster.profiles import tables
from coursekit.cluster.watch import captures
from coursekit.errors import CourseError
from coursekit.lab import minikube
from coursekit.lab.recording import recording
from tests.conftest import soon
from tests.lab import documented

SCHEMA = json.loads((Path(__file__).parent / "kubernetes-1.35.json").read_text())
CNIS = ("calico", "flannel", "kindnet")


def valid(kind: str, thing: Any) -> None:
    """Hold an object against the API server's schema of its kind; fields that it does not know are refused."""
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/io.k8s.api.core.v1.{kind}", **SCHEMA}).validate(thing)


def listed(kind: str, *items: Any) -> str:
    """Return what `kubectl get … -o json` prints for items."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})


def kube_node(name: str, address: str, cidr: str | None) -> dict[str, Any]:
    """Return a Node of the documented shape."""
    node = yaml.safe_load(documented.NODE_YAML)
    node["metadata"]["name"], node["status"]["addresses"][0]["address"] = name, address
    node["spec"] = {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {}
    valid("Node", node)
    return dict(node)


def kube_pod(name: str, node: str, address: str | None, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """Return a Pod of the documented shape."""
    pod = yaml.safe_load(documented.POD_YAML)
    pod["metadata"] |= {"name": name, "namespace": namespace}
    pod["spec"] |= {"nodeName": node, **spec}
    pod["status"] |= {"podIP": address, "podIPs": [{"ip": address}]} if address else {"phase": "Pending"}
    if not address:
        del pod["status"]["podIP"], pod["status"]["podIPs"]
    valid("Pod", pod)
    return dict(pod)


def outputs(cluster: Cluster, own_cidrs: bool = False) -> tuple[str, str]:
    """Return what kubectl would print of a cluster's nodes and pods, with a pod on each node's own network."""
    cidrs = {n.name: None if own_cidrs else str(n.blocks[0]) for n in cluster.nodes}
    nodes = [kube_node(n.name, str(n.address), cidrs[n.name]) for n in cluster.nodes]
    pods = [kube_pod(p.name, p.node, str(p.address)) for p in cluster.pods]
    pods += [kube_pod(f"on-{n.name}", n.name, str(n.address), hostNetwork=True) for n in cluster.nodes]
    return listed("NodeList", *nodes), listed("PodList", *pods)


def pool(ipip: str = "Never", vxlan: str = "Never", **spec: Any) -> dict[str, Any]:
    """Return an IPPool of the documented shape, named as Calico's first one."""
    found = yaml.safe_load(documented.POOL_YAML)
    found["metadata"]["name"] = "default-ipv4-ippool"
    found["spec"] |= {"cidr": "10.244.0.0/16", "blockSize": 26, "ipipMode": ipip, "vxlanMode": vxlan, **spec}
    return dict(found)


# --- what is to be typed


@pytest.mark.parametrize("cni", CNIS)
def test_the_test_pods_are_what_the_api_server_takes(cni: str) -> None:
    """Each pod of the manifest is valid by the API's own schema, which knows its fields, and goes to its node."""
    pods = list(yaml.safe_load_all(minikube.manifest(cni)))
    for pod in pods:
        valid("Pod", pod)

    assert [pod["spec"]["nodeName"] for pod in pods] == ["minikube", "minikube-m02"] * 2
    assert [pod["spec"].get("hostNetwork", False) for pod in pods] == [False, False, True, True]
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    assert all(re.fullmatch(r"[\w/.-]+:v\d+\.\d+", image) for image in images), images  # a release, not "latest"


def test_the_schema_refuses_what_kubernetes_would() -> None:
    """A misspelt field, a command that is no list, a pod without containers: none is valid."""
    good = next(yaml.safe_load_all(minikube.manifest()))
    for spoilt in (
        {"nodename": "minikube"},
        {"hostNetwork": "yes"},
        {"containers": None},
        {"containers": [{"image": "x"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            valid("Pod", {**good, "spec": {**good["spec"], **spoilt}})


@given(
    st.sampled_from(["Pod_A", "podA", "x.y", "a" * 60, "Null", "1e3", "on-x"]),
    st.sampled_from(["p", "true", "007", "a-b"]),
)
def test_names_of_any_cluster_become_kubernetes_names(name: str, profile: str) -> None:
    """Names of a cluster file become labels that Kubernetes takes; YAML reads them as texts, even `007` and `true`."""
    one = load("lab")
    pods = list(
        yaml.safe_load_all(
            minikube.manifest(replace(one, pods=(replace(one.pods[0], name=name), one.pods[1])), minikube=profile)
        )
    )
    for pod in pods:
        valid("Pod", pod)
    assert pods[0]["spec"]["nodeName"] == profile


@pytest.mark.parametrize(
    ("cni", "shows"), [("calico", "ip proto 4"), ("flannel", "udp port 8472"), ("kindnet", "icmp")]
)
def test_the_filter_shows_what_the_model_puts_on_the_wire(cni: str, shows: str) -> None:
    """Each CNI's capture has the filter that shows its pod traffic, the next one shows none, by the model's bytes."""
    silent = "udp port 4789"
    found = [shlex.split(step.command)[-1] for step in minikube.steps(cni) if step.prints == "capture"]
    name = {"calico": "calico-ipip", "flannel": "flannel-vxlan", "kindnet": "host-gw"}[cni]
    wire = captures(journey.ping(network(load("lab").with_profile(name)), "podA", "podB"))["node1:eth0"].filter(
        "not arp"
    )

    assert found == [shows, silent]
    assert (len(wire.filter(shows)), len(wire.filter(silent))) == (len(wire), 0)
    assert len(wire) == 2


def test_commands_follow_the_cluster_and_name_it() -> None:
    """Profile and count of nodes decide the commands, and each kubectl names its cluster: none can go elsewhere."""
    chapter = load("chapter")
    text = minikube.script(minikube.steps(chapter.with_profile("calico-vxlan", cross_subnet=True), minikube="pods"))

    assert "minikube start -p pods --nodes 3 --cni=calico\n" in text
    assert '"vxlanMode": "CrossSubnet", "ipipMode": "Never"' in text
    assert all("kubectl --context pods" in line for line in text.splitlines() if line.startswith("kubectl"))
    assert "on-pods-m03" in text
    assert "--context minikube" not in text
    assert "ipipMode" not in "".join(s.command for s in minikube.steps("calico")), "Always is what it is"
    assert "--cni" not in "".join(s.command for s in minikube.steps("default"))


@pytest.mark.parametrize(("cni", "mtu"), [("calico", 1480), ("flannel", 1450), ("kindnet", 1500)])
def test_the_mtu_is_proved_from_both_sides(cni: str, mtu: int) -> None:
    """One ping fills the pod's MTU to the byte and the next is a byte larger."""
    sizes = [int(step.command.split(" -s ")[1].split()[0]) for step in minikube.steps(cni) if " -s " in step.command]
    assert sizes == [mtu - 28, mtu - 27]


def test_the_script_is_a_shell_script_in_which_nothing_destroys() -> None:
    """A shell parses the script; what deletes is commented out, and only that."""
    for cni in CNIS:
        text = minikube.script(minikube.steps(cni))
        assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True).stderr == ""
        commands = [line for line in text.splitlines() if not line.startswith("#")]
        assert not any("delete" in line for line in commands)
        assert (
            sum(line.startswith("#") and "delete" in line and not line.startswith("# ") for line in text.splitlines())
            == 3
        )


def test_traceroute_says_as_many_hops_as_the_model_has() -> None:
    """The note on traceroute counts the model's hops."""
    note = next(step.note for step in minikube.steps("calico") if step.prints == "traceroute")
    assert note.startswith("3 hops")


@pytest.mark.parametrize(("ask", "says"), [
    (lambda: minikube.steps("calcio"), "No CNI 'calcio' here .did you mean 'calico'"),
    (lambda: minikube.steps(load("lab").with_profile("none")), "no CNI for profile none"),
    (lambda: minikube.steps(load("two-racks")), "puts all nodes on one network"),
    (lambda: minikube.steps("calico", minikube="My Cluster"), "can be no Minikube cluster"),
    (lambda: minikube.steps(replace(load("lab"), pods=load("lab").pods[:1])), "needs pods on two nodes"),
])  # fmt: skip
def test_what_minikube_cannot_do_is_a_sentence(ask: Callable[[], Any], says: str) -> None:
    """An unknown CNI, a profile without one, racks, and names that cannot be, get a sentence."""
    with pytest.raises(CourseError, match=says):
        ask()


def test_pods_that_differ_in_case_only_are_refused() -> None:
    """`podA` and `poda` would be one pod in Kubernetes."""
    one = load("lab")
    with pytest.raises(CourseError, match="same name in Kubernetes"):
        minikube.manifest(replace(one, pods=(one.pods[0], replace(one.pods[1], name="poda"))))


# --- what comes back


def test_documented_nodes_and_pods_are_read() -> None:
    """The documented Node and Pod, alone or in a list, give name, address, node and state."""
    node, pod = yaml.safe_load(documented.NODE_YAML), yaml.safe_load(documented.POD_YAML)
    valid("Node", node)
    valid("Pod", pod)

    for text in (json.dumps(node), listed("NodeList", node)):
        (found,) = minikube.nodes(text)
        assert (found.name, str(found.address), found.pod_cidrs, found.ready) == (
            "kube-worker-1",
            "192.168.0.113",
            (),
            True,
        )
    (one,) = minikube.pods(json.dumps(pod))
    assert (one.name, one.node, str(one.address)) == ("nginx-deployment-67d4bdd6f5-w6kd7", "kube-worker-1", "10.88.0.3")
    assert (one.namespace, one.running, one.host_network) == ("default", True, False)


def test_documented_tables_of_pods_are_read() -> None:
    """`-o wide` tables, with or without the last columns, a namespace, and restarts with a time."""
    found = minikube.pods(documented.MINIKUBE_PODS)
    assert [(pod.node, str(pod.address)) for pod in found] == [
        ("multinode-demo-m02", "10.244.1.2"),
        ("multinode-demo", "10.244.0.3"),
    ]
    assert {pod.name for pod in minikube.pods(documented.CALICO_PODS)} >= {"calico-node-77zgj", "calico-node-7trv7"}
    spaced = "NAMESPACE   NAME   READY   STATUS    RESTARTS       AGE   IP    NODE   NOMINATED NODE   READINESS GATES\n"
    spaced += "kube-system web   0/1  Pending  2 (3m52s ago)  30m   <none>  <none>  <none>  <none>\n"
    (one,) = minikube.pods(spaced)
    assert (one.namespace, one.name, one.node, one.address, one.running) == ("kube-system", "web", "", None, False)


def test_a_wide_table_of_nodes_is_read() -> None:
    """`kubectl get nodes -o wide` has InternalIPs; who is not ready is marked."""
    text = "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE\n"
    text += "minikube Ready control-plane 5m v1.35.1 192.168.49.2 <none> Debian\n"
    text += "m02 NotReady <none> 4m v1.35.1 192.168.49.3 <none> Debian\n"
    assert [(n.name, str(n.address), n.ready) for n in minikube.nodes(text)] == [
        ("minikube", "192.168.49.2", True), ("m02", "192.168.49.3", False)]  # fmt: skip


def test_documented_pool_is_read() -> None:
    """A pool gives its prefix, both modes, and whether it masquerades; modes left out are Never."""
    (found,) = minikube.pools(json.dumps(yaml.safe_load(documented.POOL_YAML)))
    assert (str(found.cidr), found.ipip, found.vxlan, found.nat, found.block_size) == (
        "10.1.0.0/16",
        "CrossSubnet",
        "Never",
        True,
        26,
    )
    assert minikube.pools('error: the server doesn\'t have a resource type "ippools"') == ()


def test_blocks_name_their_node() -> None:
    """An IPAM block is bound to `host:NAME`."""
    row = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock", "metadata": {"name": "10-244-120-64-26"},
           "spec": {"cidr": "10.244.120.64/26", "affinity": "host:minikube"}}  # fmt: skip
    assert minikube.blocks(listed("IPAMBlockList", row)) == (
        minikube.Block(ip_network("10.244.120.64/26"), "minikube"),
    )


def test_documented_sessions_are_read() -> None:
    """calicoctl, calico-node and birdcl name the same things differently; they become the same rows."""
    told = minikube.peers(documented.CALICOCTL_STATUS)
    assert [(p.address, p.kind, p.established) for p in told] == [
        ("10.0.0.12", "Mesh", True),
        ("10.0.0.11", "Mesh", True),
    ]
    shown = minikube.peers(documented.SHOW_STATUS)
    assert [(p.address, p.kind, p.state, p.info) for p in shown] == [
        ("172.17.8.102", "Mesh", "up", "Established"), ("172.17.8.103", "Global", "up", "Established"),
        ("172.17.8.104", "Node", "down", "OpenSent")]  # fmt: skip
    spoken = minikube.peers(documented.BIRD_PROTOCOLS)
    assert [(p.address, p.kind, p.established) for p in spoken] == [
        ("172.17.8.102", "Mesh", True),
        ("172.17.8.104", "Node", False),
    ]
    assert minikube.peers("Calico process is running.\n\nIPv4 BGP status\nNo IPv4 peers found.\n") == ()


def test_documented_routes_of_bird_are_read() -> None:
    """Status table and birdcl give the same kind of row: who told it, by which way, and whether it is the best."""
    shown = minikube.routes(documented.SHOW_STATUS)
    assert len(shown) == 9
    assert [(r.net, r.kind, r.protocol, r.hops, r.primary) for r in shown][3:5] == [
        ("192.168.82.0/26", "unicast", "Global_100_100_100_100", (("100.100.100.100", "em0"),), False),
        ("192.168.162.128/26", "blackhole", "static1", (), True)]  # fmt: skip
    assert (shown[5].hops, shown[8].kind) == (((None, "tunl0"),), "unreachable")
    spoken = minikube.routes('Defaulted container "calico-node" out of: calico-node\n' + documented.BIRDCL_ROUTES)
    assert len(spoken) == 13
    assert [r.net for r in spoken if r.primary and r.protocol.startswith("Mesh")] == [
        "10.48.180.192/26",
        "10.48.66.128/26",
    ]
    assert spoken[8].source == "10.0.0.12"


@pytest.mark.parametrize("read", [minikube.nodes, minikube.pods, minikube.pools, minikube.blocks])
@pytest.mark.parametrize(("text", "says"), [
    ("", "nothing here"),
    ("{", "breaks off at line 1"),
    (listed("X", {"kind": "Node", "metadata": {"name": "a"}})[:-20], "breaks off"),
    ("[]", "JSON object was expected"),
    ("3", "JSON object was expected"),
    ('{"kind": "List", "items": 3}', "no list"),
    ('{"kind": "List", "items": [3]}', "describes a int"),
    ("Error from server (Forbidden): nodes is forbidden", "kubectl has nothing to show: Error from server"),
    ("The connection to the server 127.0.0.1:8443 was refused", "was refused"),
    ("bash: kubectl: command not found", "no JSON"),
    ("default via 10.0.0.1 dev eth0", "no JSON"),
    (listed("X", {"kind": "ConfigMap", "metadata": {"name": "a"}}), "describes a ConfigMap"),
])  # fmt: skip
def test_what_is_none_of_it_gets_a_sentence(read: Callable[[str], Any], text: str, says: str) -> None:
    """Nothing, half of it, errors of kubectl, and another command's output are told apart in a sentence."""
    with pytest.raises(CourseError, match=says):
        read(text)


@given(st.text() | st.sampled_from([documented.SHOW_STATUS, documented.CALICOCTL_STATUS, documented.MINIKUBE_PODS,
       documented.BIRDCL_ROUTES, listed("X", kube_pod("a", "b", "10.0.0.1"))]), st.data())  # fmt: skip
def test_garbage_is_never_another_exception(text: str, data: st.DataObject) -> None:
    """Any text, and any documented output with a piece cut out or put in, gives rows or a CourseError."""
    at = data.draw(st.integers(0, len(text)))
    cut = text[:at] + data.draw(st.text(max_size=5)) + text[at + data.draw(st.integers(0, 40)) :]
    for read in (minikube.nodes, minikube.pods, minikube.pools, minikube.blocks, minikube.peers, minikube.routes,
                 minikube.host_tables):  # fmt: skip
        with contextlib.suppress(CourseError):
            read(cut)


@pytest.mark.parametrize(("field", "value"), [("status", None), ("status", {"addresses": []}), ("metadata", {})])
def test_a_node_that_lacks_something_is_named(field: str, value: Any) -> None:
    """A node without address or name is a sentence, not a KeyError."""
    with pytest.raises(CourseError, match="Node"):
        minikube.nodes(json.dumps({**yaml.safe_load(documented.NODE_YAML), field: value}))


def test_a_table_that_was_cut_is_told() -> None:
    """A status table whose row was cut is refused by its line, and an error of calico-node is passed on."""
    with pytest.raises(CourseError, match="Line 15 breaks the table off"):
        minikube.peers(documented.SHOW_STATUS[: documented.SHOW_STATUS.index("| 2016-11-21 | OpenSent")])
    with pytest.raises(CourseError, match="does calico-node run"):
        minikube.peers("Error getting bird BGP peers: dial unix /var/run/calico/bird.ctl: connect: no such file\n")
    with pytest.raises(CourseError, match="no table of routes here"):
        minikube.routes("NAME READY STATUS")


# --- that cluster, in the course's types


def test_minikube_with_calico_becomes_the_bundled_cluster() -> None:
    """Nodes, pods and the pool of Minikube's Calico give the cluster of data/clusters/minikube-calico.toml."""
    told = load("minikube-calico")
    nodes, pods = outputs(told)
    node1 = tables(told)["minikube"]
    found = minikube.cluster(nodes, pods, pools=listed("X", pool("Always")), routes={"minikube": node1})

    assert [(n.name, n.address, n.blocks) for n in found.nodes] == [(n.name, n.address, n.blocks) for n in told.nodes]
    assert [(p.name, p.address, p.node) for p in found.pods] == [(p.name, p.address, p.node) for p in told.pods]
    assert (found.profile.name, found.profile.masquerade, found.pod_network) == (
        "calico-ipip",
        "outside",
        told.pod_network,
    )
    assert found.segments[0].gateway == ip_address("192.168.49.1")
    for one, other in (("pod-on-node1", "pod-on-node2"), ("pod-on-node2", "pod-on-node1")):
        mine, theirs = (journey.ping(network(c), one, other) for c in (found, told))
        assert mine.frames_at("minikube:eth0") == theirs.frames_at("minikube:eth0") != []


def test_flannel_and_kindnet_take_their_blocks_from_the_nodes() -> None:
    """Without pools the CNI's pods tell the mode, and podCIDR the blocks; `subnet` can stand for a routing table."""
    one = load("lab")
    nodes, pods = outputs(one)
    rows = json.loads(pods)["items"]
    for name, profile in (("kube-flannel-ds-x7x", "flannel-vxlan"), ("kindnet-b2b", "host-gw")):
        more = listed("X", *rows, kube_pod(name, "node1", "192.168.1.10", "kube-system", hostNetwork=True))
        found = minikube.cluster(nodes, more, subnet="192.168.1.0/24")
        assert found.profile.name == profile
        assert [n.blocks for n in found.nodes] == [n.blocks for n in one.nodes]
        assert [pod.name for pod in found.pods] == ["podA", "podB"], "pods on their node's network are left out"


@pytest.mark.parametrize(("ipip", "vxlan", "profile", "crossing"), [
    ("Always", "Never", "calico-ipip", False), ("CrossSubnet", "Never", "calico-ipip", True),
    ("Never", "Always", "calico-vxlan", False), ("Never", "CrossSubnet", "calico-vxlan", True),
    ("Never", "Never", "calico-bgp", False)])  # fmt: skip
def test_pools_tell_the_mode(ipip: str, vxlan: str, profile: str, crossing: bool) -> None:
    """Both modes of a pool together are one profile of the course, and `why` quotes them."""
    name, options, why = minikube.mode(pools=listed("X", pool(ipip, vxlan)))
    assert (name, options.get("cross_subnet", False)) == (profile, crossing)
    assert f"ipipMode {ipip}, vxlanMode {vxlan}" in why


def test_routes_tell_the_mode_where_no_pool_does() -> None:
    """A route to another node's block tells by its device; Felix's plain routes ask for the pools."""
    assert minikube.mode(routes={"n": documented.ROUTES_BIRD})[0] == "calico-ipip"
    assert minikube.mode(routes={"n": "10.244.1.0/24 via 10.244.1.0 dev flannel.7 onlink"})[:2] == (
        "flannel-vxlan", {"vni": 7, "masquerade": "outside"})  # fmt: skip
    assert minikube.mode(routes={"n": "10.244.1.0/26 via 192.168.49.3 dev eth0 proto bird"})[0] == "calico-bgp"
    assert minikube.mode(routes={"n": "10.244.1.0/24 via 192.168.49.3 dev eth0"})[0] == "host-gw"
    with pytest.raises(CourseError, match="pools tell the mode"):
        minikube.mode(routes={"n": documented.ROUTES_FELIX})
    with pytest.raises(CourseError, match="pools tell the mode"):
        minikube.mode(pods=documented.CALICO_PODS)
    with pytest.raises(CourseError, match="No output tells the mode"):
        minikube.mode(routes={"n": "default via 10.0.0.1 dev eth0"})
    with pytest.raises(CourseError, match="differ in mode"):
        minikube.mode(pools=listed("X", pool("Always"), pool("Never")))
    assert minikube.mode(pools=listed("X", pool("Always"), pool("Never", disabled=True)))[0] == "calico-ipip"


@pytest.mark.parametrize(("row", "version"), [("proto bird onlink", ""), ("proto bird metric 1024 onlink", "3.32"),
                                              ("proto 80 onlink mtu 1480", "3.33")])  # fmt: skip
def test_routes_tell_the_version_of_calico(row: str, version: str) -> None:
    """Metric 1024 came with 3.32, and Felix writes the tunnel's routes since 3.33."""
    routes = {"n": f"10.244.1.0/26 via 192.168.49.3 dev tunl0 {row}"}
    assert minikube.mode(pools=listed("X", pool("Always")), routes=routes)[1].get("version", "") == version


def test_blocks_of_a_node_without_pods_come_from_routes_or_ipam() -> None:
    """A Calico node without a pod shows its block in a route's gateway, in its own blackhole, or in IPAM; else ask."""
    told = replace(load("minikube-calico"), pods=load("minikube-calico").pods[:1])
    nodes, pods = outputs(told, own_cidrs=True)
    pools, rows = listed("X", pool("Always")), tables(told)
    for name in ("minikube", "minikube-m02"):
        given = {name: rows[name]}
        assert minikube.cluster(nodes, pods, pools=pools, routes=given).nodes[1].blocks == told.nodes[1].blocks
    block = {
        "kind": "IPAMBlock",
        "metadata": {"name": "x"},
        "spec": {"cidr": "10.244.205.192/26", "affinity": "host:minikube-m02"},
    }
    found = minikube.cluster(nodes, pods, pools=pools, blocks=listed("X", block), subnet="192.168.49.0/24")
    assert found.nodes[1].blocks == told.nodes[1].blocks
    with pytest.raises(CourseError, match="which pod addresses minikube-m02 has"):
        minikube.cluster(nodes, pods, pools=pools, subnet="192.168.49.0/24")


def test_what_no_output_tells_is_asked_for() -> None:
    """The nodes' network, routes of strangers, and a bad subnet get a sentence with the command to run."""
    nodes, pods = outputs(load("minikube-calico"))
    pools = listed("X", pool("Always"))
    with pytest.raises(CourseError, match=r"the network of minikube .192.168.49.2.; give routes="):
        minikube.cluster(nodes, pods, pools=pools)
    with pytest.raises(CourseError, match="given for node9; the nodes are minikube"):
        minikube.cluster(nodes, pods, pools=pools, routes={"node9": documented.ROUTES_BIRD})
    with pytest.raises(CourseError, match="no prefix like"):
        minikube.cluster(nodes, pods, pools=pools, subnet="192.168.49.0/33")


@pytest.mark.namespaces
@pytest.mark.parametrize(
    ("name", "profile"), [("lab", "flannel-vxlan"), ("lab", "host-gw"), ("lab", "calico-vxlan")]
)
def test_a_journey_goes_by_the_tables_that_hosts_really_have(name: str, profile: str) -> None:
    """What the steps print on each host of a real kernel is read, wired by index, and gives the model's journey."""
    told = load(name).with_profile(profile)
    commands = {step.what.rpartition(" ")[2]: step.command for step in minikube.steps(told) if step.prints == "tables"}
    names = {"minikube": told.nodes[0].name, "minikube-m02": told.nodes[1].name} | {
        p.name.lower(): p.name for p in told.pods}  # fmt: skip
    with lab.up(told) as net:
        net.ping(told.pods[0].name, told.pods[1].name, wait=1)
        read: dict[str, Any] = {}
        for host, command in commands.items():
            words = shlex.split(command)
            said = net.exec(names[host], words[words.index("--") + 1 :]).text
            read |= {names[key]: replace(t, host=names[key]) for key, t in minikube.host_tables(said).items()}
    mine = minikube.network(told, read)
    for one, other in ((told.pods[0].name, told.pods[1].name), (told.pods[1].name, told.pods[0].name)):
        ours, theirs = journey.ping(mine, one, other), journey.ping(network(told), one, other)
        assert ours.answered
        assert [p.partition(":")[0] for p in ours.points()] == [p.partition(":")[0] for p in theirs.points()]
    broken = {**read, told.nodes[0].name: replace(read[told.nodes[0].name], routes=())}
    assert not journey.ping(minikube.network(told, broken), told.pods[0].name, told.pods[1].name).answered


def test_a_recorded_tunl0_is_read_as_the_steps_would_print_it() -> None:
    """The tables of Calico's IPIP as a kernel printed them make a network in which pods reach each other."""
    told = load("lab").with_profile("calico-ipip")
    mine = minikube.network(told, minikube.host_tables(recording("calico-ipip").output("state")))
    found = journey.ping(mine, "podA", "podB")
    assert found.answered
    assert found.frames_at("node1:eth0")[0][23] == 4


def test_tables_that_are_missing_or_anothers_are_told() -> None:
    """A network is made of all tables or of none; tables of another host are recognised by its address."""
    told = load("lab")
    read = minikube.host_tables(format_state_text(tables(told)))
    with pytest.raises(CourseError, match="tables of node2 are missing"):
        minikube.network(told, {k: v for k, v in read.items() if k != "node2"})
    with pytest.raises(CourseError, match="No device in the tables of node1 has its address"):
        minikube.network(told, {**read, "node1": read["node2"]})


# --- running them


def tool(folder: Path, name: str, body: str) -> None:
    """Put an executable shell script on the way."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >>{folder}/log\n{body}\n')
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a minikube and a kubectl that note what they are told; they stand in for the real ones."""
    tool(tmp_path, "minikube", "exit 0")
    tool(
        tmp_path,
        "kubectl",
        f'case "$*" in *"get pods"*) cat <<E\n{documented.MINIKUBE_PODS}E\n;; *apply*) cat >{tmp_path}/applied;; esac',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def short(cni: str) -> list[minikube.Step]:
    """Return steps that take no time: captures are left out."""
    return [step for step in minikube.steps(cni) if not step.beside]


def test_steps_run_in_order_and_destroy_nothing_unasked(tools: Path) -> None:
    """The runner does every step but those that delete; what they print can be read; the manifest arrives whole."""
    done = list(minikube.run(short("calico")))

    log = (tools / "log").read_text()
    assert "delete" not in log
    assert "minikube start --nodes 2 --cni=calico" in log
    assert [one.step.what for one in done if one.left_out] == [
        "Delete an old cluster of this name", "Remove the test pods", "Delete the cluster"]  # fmt: skip
    assert all(one.well for one in done)
    assert len(minikube.pods(next(one.said for one in done if one.step.prints == "pods"))) == 2
    assert (tools / "applied").read_text() == minikube.manifest("calico")
    list(minikube.run(short("calico"), destroy=True))
    assert "minikube delete" in (tools / "log").read_text()


def test_a_step_that_fails_ends_the_run(tools: Path) -> None:
    """After a failure nothing more is run, and the last complaint is shown."""
    tool(tools, "kubectl", "echo 'error: no nodes' >&2; exit 1")
    done = list(minikube.run(short("flannel")))
    assert str(done[-1]) == "failed    Wait for the nodes (exit status 1: error: no nodes)"
    assert len(done) == 3


def test_a_step_that_hangs_is_ended(tools: Path) -> None:
    """A command that takes longer than it may is ended with all that it started, and named."""
    ours = f"600.{os.getpid()}"  # seconds that nobody else sleeps for
    tool(tools, "kubectl", f"sleep {ours} & wait")
    begun = time.monotonic()
    with pytest.raises(CourseError, match=r"Wait: `kubectl wait` has not ended after 0.5 s"):
        list(minikube.run([minikube.Step("Wait", "kubectl wait", seconds=0.5)]))
    assert soon(lambda: not [word for word in _command_lines() if ours.encode() in word])
    assert time.monotonic() - begun < 300


def _command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


def test_a_capture_runs_beside_its_traffic(tools: Path) -> None:
    """What makes traffic runs while the capture does."""
    until = "until test -s sent; do sleep 0.1; done; cat sent"
    capture = minikube.Step("Capture", until, beside="echo now >sent", seconds=60)
    (done,) = minikube.run([capture])
    assert (done.said, done.well) == ("now\n", True)


def test_without_the_programs_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where minikube is not installed the runner says so, and what works instead."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert minikube.missing() == ("minikube", "kubectl", "sh")
    with pytest.raises(CourseError, match=r"minikube and kubectl and sh are missing.*can be pasted instead"):
        list(minikube.run(minikube.steps()))
