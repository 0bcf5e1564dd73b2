"""The lab of the chapter as commands for Minikube, worked out from a cluster description, to paste into a shell.

What differs from most pages has its reason as a note. Sources: minikube 1.38 (pkg/minikube/cni/calico.yaml,
flannel.yaml, kindnet.go, cni.go, deploy/kicbase/Dockerfile), Calico 3.31 (node/cmd/calico-node, felix).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from coursekit.cluster.iproute2 import COMMANDS
from coursekit.cluster.journey import traceroute
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.mtus import pod_mtu
from coursekit.cluster.network import network
from coursekit.errors import CourseError, suggestion
from coursekit.lab.minikube.manifest import LABEL, made, pod_name, whole

PING_HEAD = 28  # bytes of IPv4 and ICMP header around what `ping -s` counts
# What `minikube start` is told, the pods that must be ready, and the course's profile and cluster for it.
_CNIS: dict[str, tuple[str, str, str, str]] = {
    "calico": ("--cni=calico", "-l k8s-app=calico-node -n kube-system", "calico-ipip", "minikube-calico"),
    "flannel": ("--cni=flannel", "-l app=flannel -n kube-flannel", "flannel-vxlan", "lab"),
    "kindnet": ("", "-l app=kindnet -n kube-system", "host-gw", "lab"),
}
_POOL = {"calico-ipip": ("ipipMode", "vxlanMode"), "calico-vxlan": ("vxlanMode", "ipipMode")}
_SHOWS = {"native": "icmp", "ipip": "ip proto 4"}
TOPICS = ("start", "pods", "reach", "envelope", "mtu", "mode", "tables", "end")


@dataclass(frozen=True)
class Step:
    """One command. `prints` names what comes back; `beside` is what to run in another terminal meanwhile.

    `topic` is the part of the lab that it belongs to, one of TOPICS.
    """

    what: str
    command: str
    prints: str = ""  # nodes, pods, pools, blocks, status, tables, ping, traceroute, capture, or "" for a word or two
    note: str = ""
    stdin: str = ""
    beside: str = ""
    seconds: float = 60.0  # patience
    destroys: bool = False  # only done when asked for
    fails: bool = False  # a non-zero exit status is what should happen
    topic: str = ""


def steps(
    cluster: Cluster | str = "calico", *, minikube: str = "minikube", nodes: Sequence[str] = ()
) -> tuple[Step, ...]:
    """Return the lab for a CNI ("calico", "flannel", "kindnet" or "default") or for a Cluster.

    `minikube` is the name of the Minikube cluster (its -p). Of a Cluster count nodes, pods and profile: the addresses
    are drawn there. With `nodes`, the names that nodes have, it is any context of kubectl, and is neither started nor
    deleted. CourseError for an unknown CNI, or for what Minikube cannot be told to do.
    """
    cni, described = _described(cluster)
    names = _names(described, minikube, nodes)
    kubectl = f"kubectl --context {shlex.quote(minikube)}"
    parts = {
        "start": [] if nodes else _start(cni, described, minikube, kubectl),
        "pods": _pods(described, names, kubectl),
        "reach": _reach(described, kubectl),
        "envelope": _envelope(described, names, kubectl),
        "mtu": _mtu(described, kubectl),
        "mode": _mode(cni, kubectl),
        "tables": read_tables(_hosts(described, names), kubectl),
        "end": _clean_up(described, names, "" if nodes else minikube, kubectl),
    }
    return tuple(replace(step, topic=topic) for topic in TOPICS for step in parts[topic])


def script(found: Iterable[Step]) -> str:
    """Return steps as a shell script with the notes as comments; what destroys is commented out."""
    parts = []
    for number, step in enumerate(found, 1):
        lines = [f"# {number}. {step.what}", *(f"#    {note}" for note in step.note.splitlines())]
        body = step.command + (f" <<'EOF'\n{step.stdin}EOF" if step.stdin else "")
        if step.beside:
            body = f"{{ {body}; }} & sleep 2; {step.beside}; wait"
        parts.append("\n".join([*lines, "\n".join(f"#{x}" for x in body.splitlines()) if step.destroys else body]))
    return "\n\n".join(parts) + "\n"


def manifest(cluster: Cluster | str = "calico", *, minikube: str = "minikube") -> str:
    """Return the YAML of the test pods, and of one pod in the network of each node, for `kubectl apply -f`."""
    described = _described(cluster)[1]
    return whole(described, _names(described, minikube))


def _described(cluster: Cluster | str) -> tuple[str, Cluster]:
    """Return the CNI, and the cluster that Minikube would make of it."""
    if isinstance(cluster, str):
        cni = "kindnet" if cluster == "default" else cluster
        if cni not in _CNIS:
            raise CourseError(f"No CNI {cluster!r} here{suggestion(cluster, _CNIS)}; there are {', '.join(_CNIS)}.")
        described = load(_CNIS[cni][3]).with_profile(_CNIS[cni][2])
        named = tuple(replace(pod, name=f"pod-on-node{i}") for i, pod in enumerate(described.pods, 1))
        described = replace(described, pods=named)
    else:
        described, name = cluster, cluster.profile.name
        found = [cni for cni, told in _CNIS.items() if told[2] == name or (cni == "calico" and name in _CALICO)]
        if not found:
            known = ", ".join(told[2] for told in _CNIS.values())
            raise CourseError(f"Minikube has no CNI for profile {name}; take {known}.")
        cni = found[0]
    if len(described.nodes) < 2 or len({pod.node for pod in described.pods}) < 2:
        raise CourseError("The lab needs pods on two nodes; this cluster has them on fewer.")
    if len(described.segments) > 1:
        raise CourseError(f"Minikube puts all nodes on one network; this cluster has {len(described.segments)}.")
    if len({pod_name(pod.name) for pod in described.pods}) < len(described.pods):
        raise CourseError("Two pods of this cluster would have the same name in Kubernetes, which has no upper case.")
    return cni, described


_CALICO = ("calico-ipip", "calico-vxlan", "calico-bgp")


def _names(cluster: Cluster, minikube: str, there: Sequence[str] = ()) -> dict[str, str]:
    """Return the name of each node: that which Minikube gives to it, or one of those that are there."""
    if 0 < len(there) < len(cluster.nodes):
        raise CourseError(f"The lab needs {len(cluster.nodes)} nodes; {minikube} has {len(there)}.")
    if there:
        return dict(zip((node.name for node in cluster.nodes), there, strict=False))
    if not LABEL.fullmatch(minikube):
        raise CourseError(f"{minikube!r} can be no Minikube cluster: use lower-case letters, digits and '-'.")
    return {n.name: minikube if i == 1 else f"{minikube}-m{i:02}" for i, n in enumerate(cluster.nodes, 1)}


def _start(cni: str, cluster: Cluster, minikube: str, kubectl: str) -> list[Step]:
    flag, selector, _, _ = _CNIS[cni]
    own = "" if minikube == "minikube" else f"-p {minikube}"
    words = ["minikube start", own, f"--nodes {len(cluster.nodes)}", flag]
    why = {
        "calico": "Minikube's Calico is IPIP, always (ipipMode: Always), in every version from 1.30 to 1.38: no VXLAN.",
        "flannel": "VXLAN with VNI 1 on UDP port 8472, the kernel's default, not on 4789.",
        "kindnet": "Without --cni a cluster of several nodes gets kindnet: static routes, no envelope, no BGP.",
    }[cni]
    again = "Only if one is in the way: an existing cluster keeps its CNI. `-p NAME` makes another one beside it."
    profile, wait = cluster.profile, "wait --for=condition=ready"
    found = [
        Step("Delete an old cluster of this name", _delete(minikube), "", again, seconds=300, destroys=True),
        Step(f"Start {len(cluster.nodes)} nodes", " ".join(filter(None, words)), "", why, seconds=900),
        Step("Wait for the nodes", f"{kubectl} {wait} node --all --timeout=300s", seconds=310),
        Step("Wait for the CNI on each node", f"{kubectl} {wait} pod {selector} --timeout=300s", seconds=310),
    ]
    if cni == "calico" and (profile.name != "calico-ipip" or profile.cross_subnet):
        mode = "CrossSubnet" if profile.cross_subnet else "Always"
        on, off = _POOL.get(profile.name, ("", ""))
        spec = {on: mode, off: "Never"} if on else {"ipipMode": "Never", "vxlanMode": "Never"}
        patch = shlex.quote(json.dumps({"spec": spec}))
        change = f"{kubectl} patch ippool default-ipv4-ippool --type=merge -p {patch}"
        found.append(Step("Change the pool's mode", change, "", "Pods keep their MTU until they are made again."))
    return found


def _pods(cluster: Cluster, names: dict[str, str], kubectl: str) -> list[Step]:
    wanted = made(cluster, names)
    tools = "The pods on-… are in the nodes' own network: neither node image nor ISO has tcpdump."
    expect = f"{kubectl} wait --for=condition=ready {' '.join(wanted)} --timeout=180s"
    return [
        Step("Make a test pod per node", f"{kubectl} apply -f -", "", tools, stdin=whole(cluster, names)),
        Step("Wait for them", expect, seconds=190),
        Step("See the nodes", f"{kubectl} get nodes -o json", "nodes", "Their InternalIP is what an envelope carries."),
        Step("See the pods' addresses", f"{kubectl} get pods -A -o wide", "pods",
             "Calico takes /26 blocks, drawn by host name: 10.244.120.64/26 for `minikube`; others take a /24."),
    ]  # fmt: skip


def _address(kubectl: str, pod: str) -> str:
    return f"$({kubectl} get pod {pod} -o jsonpath='{{.status.podIP}}')"


def _ends(cluster: Cluster) -> tuple[str, str, str]:
    """Return two pods on two nodes, by the names that they get, and the node of the first."""
    one = cluster.pods[0]
    other = next(pod for pod in cluster.pods if pod.node != one.node)
    return pod_name(one.name), pod_name(other.name), one.node


def _reach(cluster: Cluster, kubectl: str) -> list[Step]:
    a, b, _ = _ends(cluster)
    one, other = cluster.pods[0].name, next(pod.name for pod in cluster.pods if pod_name(pod.name) == b)
    hops = len(traceroute(network(cluster), one, other))
    way = f"{hops} hops: a node answers by its bridge's, its tunnel's or its own address; nothing between them shows."
    there, back = (f"{kubectl} exec {x} -- ping -c 3 {_address(kubectl, y)}" for x, y in ((a, b), (b, a)))
    return [
        Step(f"Ping from {a} to {b}", there, "ping", "ttl=62: each node took one."),
        Step("Ping the other way", back, "ping", "Each direction has rows of its own."),
        Step("Trace the way", f"{kubectl} exec {a} -- traceroute -n {_address(kubectl, b)}", "traceroute", way),
    ]


def _envelope(cluster: Cluster, names: dict[str, str], kubectl: str) -> list[Step]:
    a, b, home = _ends(cluster)
    shows, silent = _filters(cluster)
    node = f"{kubectl} exec on-{names[home]} --"
    burst = f"{kubectl} exec {a} -- ping -c 5 -i 0.5 {_address(kubectl, b)}"
    why = "On one subnet nothing is wrapped: the pods' own packets are on the wire." if shows == "icmp" else ""
    return [
        Step(f"See the envelope on {names[home]}", f"{node} timeout 15 tcpdump -ni eth0 -c 5 {shlex.quote(shows)}",
             "capture", why, beside=burst, seconds=30),
        Step("See what the filter of most pages shows", f"{node} timeout 6 tcpdump -ni eth0 -c 1 {shlex.quote(silent)}",
             "capture", "Nothing; with -c and no timeout it waits for ever.", beside=burst, seconds=30, fails=True),
        Step("Keep a capture for `python -m coursekit dissect`",
             f"{node} timeout 8 tcpdump -i eth0 -U -w - {shlex.quote(shows)} > {names[home]}-eth0.pcap", "",
             beside=burst, seconds=30, fails=True),
    ]  # fmt: skip


def _mtu(cluster: Cluster, kubectl: str) -> list[Step]:
    a, b, home = _ends(cluster)
    mtu = pod_mtu(cluster, cluster.node(home))
    fits = mtu - PING_HEAD
    largest, larger = (f"{kubectl} exec {a} -- ping -c 1 -M do -s {s} {_address(kubectl, b)}" for s in (fits, fits + 1))
    return [
        Step("The largest ping that fits", largest, "ping", f"{fits} + 28 = {mtu}, if nodes have 1500."),
        Step("One byte more", larger, "ping", "The pod's own kernel refuses.", fails=True),
    ]


def _filters(cluster: Cluster) -> tuple[str, str]:
    """Return tcpdump's filter that shows this mode's pod traffic on eth0, and a well-known one that does not."""
    profile, segment = cluster.profile, cluster.segment_of(cluster.nodes[0])
    if profile.direct and all(cluster.segment_of(node) == segment for node in cluster.nodes):
        return _SHOWS["native"], "ip proto 4" if profile.kind == "ipip" else f"udp port {profile.port}"
    if profile.kind == "vxlan":
        return f"udp port {profile.port}", "udp port 4789" if profile.port != 4789 else "ip proto 4"
    return _SHOWS[profile.kind], "udp port 4789"


def _mode(cni: str, kubectl: str) -> list[Step]:
    if cni != "calico":
        return []
    pod = f"$({kubectl} get pod -n kube-system -l k8s-app=calico-node -o name | head -1)"
    show = f"{kubectl} exec -n kube-system {pod} -c calico-node -- calico-node -show-status"
    both = "ipipMode and vxlanMode decide together; CrossSubnet wraps only what leaves the subnet."
    until = "Until Calico 3.32; later the binary is `calico component node`."
    return [
        Step("Read the mode", f"{kubectl} get ippools -o json", "pools", both),
        Step("Read which block is whose", f"{kubectl} get ipamblocks -o json", "blocks"),
        Step("Ask BIRD", show, "status", f"{until} An established session says nothing about packets."),
    ]


def _hosts(cluster: Cluster, names: dict[str, str]) -> dict[str, str]:
    """Return, for each node and test pod, the pod in whose network its tables are seen."""
    return {name: f"on-{name}" for name in names.values()} | {x: x for x in (pod_name(p.name) for p in cluster.pods)}


def read_tables(hosts: Mapping[str, str], kubectl: str) -> list[Step]:
    """Return the steps that print all tables of hosts; `hosts` has the pod in whose network each is seen."""
    found = []
    note = "The route to the other node's block tells the mode: its device is tunl0, flannel.1, vxlan.calico or eth0."
    for host, pod in hosts.items():
        shown = "; ".join(f'echo "# {command}"; {command}' for command in COMMANDS.values())
        line = shlex.quote(f'echo "######## {host}"; {shown}')
        command = f"{kubectl} exec {pod} -- sh -c {line}"
        found.append(Step(f"Read the tables of {host}", command, "tables", note, topic="tables"))
        note = ""
    return found


def _delete(minikube: str) -> str:
    return "minikube delete" if minikube == "minikube" else f"minikube delete -p {minikube}"


def _clean_up(cluster: Cluster, names: dict[str, str], minikube: str, kubectl: str) -> list[Step]:
    pods = f"{kubectl} delete {' '.join(made(cluster, names))} --now"
    found = [Step("Remove the test pods", pods, "", seconds=120, destroys=True)]
    whole = Step("Delete the cluster", _delete(minikube), "", seconds=300, destroys=True)
    return [*found, whole] if minikube else found
