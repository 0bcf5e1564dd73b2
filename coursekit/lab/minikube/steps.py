"""The lab of the chapter as commands for Minikube, worked out from a cluster description, to paste into a shell.

What differs from most pages has its reason as a note. Sources: minikube 1.38 (pkg/minikube/cni/calico.yaml,
flannel.yaml, kindnet.go, cni.go, deploy/kicbase/Dockerfile), Calico 3.31 (node/cmd/calico-node, felix).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from coursekit.cluster.iproute2 import COMMANDS
from coursekit.cluster.journey import traceroute
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.mtus import pod_mtu
from coursekit.cluster.network import network
from coursekit.cluster.options import suggestion
from coursekit.errors import CourseError

IMAGE = "nicolaka/netshoot"
MANIFEST = "cross-node-test.yaml"
PING_HEAD = 28  # bytes of IPv4 and ICMP header around what `ping -s` counts
# What `minikube start` is told, the pods that must be ready, and the course's profile and cluster for it.
_CNIS: dict[str, tuple[str, str, str, str]] = {
    "calico": ("--cni=calico", "-l k8s-app=calico-node -n kube-system", "calico-ipip", "minikube-calico"),
    "flannel": ("--cni=flannel", "-l app=flannel -n kube-flannel", "flannel-vxlan", "lab"),
    "kindnet": ("", "-l app=kindnet -n kube-system", "host-gw", "lab"),
}
_POOL = {"calico-ipip": ("ipipMode", "vxlanMode"), "calico-vxlan": ("vxlanMode", "ipipMode")}
_SHOWS = {"native": "icmp", "ipip": "ip proto 4"}
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Step:
    """One command. `prints` names what comes back; `beside` is what to run in another terminal meanwhile."""

    what: str
    command: str
    prints: str = ""  # nodes, pods, pools, blocks, status, tables, ping, traceroute, capture, or "" for a word or two
    note: str = ""
    stdin: str = ""
    beside: str = ""
    seconds: float = 60.0  # patience
    destroys: bool = False  # only done when asked for
    fails: bool = False  # a non-zero exit status is what should happen


def steps(cluster: Cluster | str = "calico", *, minikube: str = "minikube") -> tuple[Step, ...]:
    """Return the lab for a CNI ("calico", "flannel", "kindnet" or "default") or for a Cluster.

    `minikube` is the name of the Minikube cluster (its -p). Of a Cluster count nodes, pods and profile: the addresses
    are drawn there. CourseError for an unknown CNI, or for what Minikube cannot be told to do.
    """
    cni, described = _described(cluster)
    if not _LABEL.fullmatch(minikube):
        raise CourseError(f"{minikube!r} can be no Minikube cluster: use lower-case letters, digits and '-'.")
    kubectl, names = f"kubectl --context {minikube}", _names(described, minikube)
    found = [*_start(cni, described, minikube, kubectl), *_pods(described, names, kubectl)]
    found += [*_prove(described, names, kubectl), *_read(cni, described, names, kubectl)]
    return (*found, *_clean_up(described, names, minikube, kubectl))


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
    names = _names(described, minikube)
    pods = [_yaml(pod_name(pod.name), names[pod.node], False) for pod in described.pods]
    return "---\n".join([*pods, *(_yaml(f"on-{name}", name, True) for name in names.values())])


def pod_name(name: str) -> str:
    """Return the name that Kubernetes allows for a pod of a cluster file: `podA` is `poda`."""
    plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    return plain if _LABEL.fullmatch(plain) else f"pod-{plain}"


def _described(cluster: Cluster | str) -> tuple[str, Cluster]:
    """Return the CNI, and the cluster that Minikube would make of it."""
    if isinstance(cluster, str):
        cni = "kindnet" if cluster == "default" else cluster
        if cni not in _CNIS:
            raise CourseError(f"No CNI {cluster!r} here{suggestion(cluster, _CNIS)}; there are {', '.join(_CNIS)}.")
        described = load(_CNIS[cni][3]).with_profile(_CNIS[cni][2])
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


def _names(cluster: Cluster, minikube: str) -> dict[str, str]:
    """Return the name that Minikube gives to each node."""
    return {n.name: minikube if i == 1 else f"{minikube}-m{i:02}" for i, n in enumerate(cluster.nodes, 1)}


def _yaml(name: str, node: str, on_the_node: bool) -> str:
    """Return one pod; the values are JSON strings, which YAML reads as they are."""
    lines = ["apiVersion: v1", "kind: Pod", "metadata:", f"  name: {json.dumps(name)}", "  labels:", "    app: test"]
    lines += ["spec:", f"  nodeName: {json.dumps(node)}"]
    lines += ["  hostNetwork: true"] if on_the_node else []
    lines += ["  terminationGracePeriodSeconds: 0", "  containers:", "  - name: netshoot", f"    image: {IMAGE}"]
    lines += ['    command: ["sleep", "infinity"]']
    lines += ["    securityContext: {capabilities: {add: [NET_ADMIN, NET_RAW]}}"] if on_the_node else []
    return "\n".join(lines) + "\n"


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


def _made(cluster: Cluster, names: dict[str, str]) -> list[str]:
    return [f"pod/{pod_name(pod.name)}" for pod in cluster.pods] + [f"pod/on-{name}" for name in names.values()]


def _pods(cluster: Cluster, names: dict[str, str], kubectl: str) -> list[Step]:
    made = _made(cluster, names)
    text = manifest(cluster, minikube=next(iter(names.values())))
    tools = "The pods on-… are in the nodes' own network: neither node image nor ISO has tcpdump."
    expect = f"{kubectl} wait --for=condition=ready {' '.join(made)} --timeout=180s"
    return [
        Step("Make a test pod per node", f"{kubectl} apply -f -", "", tools, stdin=text),
        Step("Wait for them", expect, seconds=190),
        Step("See the nodes", f"{kubectl} get nodes -o json", "nodes", "Their InternalIP is what an envelope carries."),
        Step("See the pods' addresses", f"{kubectl} get pods -A -o wide", "pods",
             "Calico takes /26 blocks, drawn by host name: 10.244.120.64/26 for `minikube`; others take a /24."),
    ]  # fmt: skip


def _address(kubectl: str, pod: str) -> str:
    return f"$({kubectl} get pod {pod} -o jsonpath='{{.status.podIP}}')"


def _prove(cluster: Cluster, names: dict[str, str], kubectl: str) -> list[Step]:
    one = cluster.pods[0]
    other = next(pod for pod in cluster.pods if pod.node != one.node)
    a, b, on_a = pod_name(one.name), pod_name(other.name), names[one.node]
    ping = f"{kubectl} exec {a} -- ping -c 3 {_address(kubectl, b)}"
    shows, silent = _filters(cluster)
    node = f"{kubectl} exec on-{on_a} --"
    mtu = pod_mtu(cluster, cluster.node(one.node))
    fits, burst = mtu - PING_HEAD, f"{kubectl} exec {a} -- ping -c 5 -i 0.5 {_address(kubectl, b)}"
    largest, larger = (f"{kubectl} exec {a} -- ping -c 1 -M do -s {s} {_address(kubectl, b)}" for s in (fits, fits + 1))
    why = "On one subnet nothing is wrapped: the pods' own packets are on the wire." if shows == "icmp" else ""
    hops = len(traceroute(network(cluster), one.name, other.name))
    way = f"{hops} hops: a node answers by its bridge's, its tunnel's or its own address; nothing between them shows."
    return [
        Step(f"Ping from {a} to {b}", ping, "ping", "ttl=62: each node took one."),
        Step("Ping the other way", f"{kubectl} exec {b} -- ping -c 3 {_address(kubectl, a)}", "ping",
             "Each direction has rows of its own."),
        Step("Trace the way", f"{kubectl} exec {a} -- traceroute -n {_address(kubectl, b)}", "traceroute", way),
        Step(f"See the envelope on {on_a}", f"{node} timeout 15 tcpdump -ni eth0 -c 5 {shlex.quote(shows)}", "capture",
             why, beside=burst, seconds=30),
        Step("See what the filter of most pages shows", f"{node} timeout 6 tcpdump -ni eth0 -c 1 {shlex.quote(silent)}",
             "capture", "Nothing; with -c and no timeout it waits for ever.", beside=burst, seconds=30, fails=True),
        Step("Keep a capture for `python -m coursekit dissect`",
             f"{node} timeout 8 tcpdump -i eth0 -U -w - {shlex.quote(shows)} > {on_a}-eth0.pcap", "",
             beside=burst, seconds=30, fails=True),
        Step("The largest ping that fits", largest, "ping", f"{fits} + 28 = {mtu}, if nodes have 1500."),
        Step("One byte more", larger, "ping", "The pod's own kernel refuses.", fails=True),
    ]  # fmt: skip


def _filters(cluster: Cluster) -> tuple[str, str]:
    """Return tcpdump's filter that shows this mode's pod traffic on eth0, and a well-known one that does not."""
    profile, segment = cluster.profile, cluster.segment_of(cluster.nodes[0])
    if profile.direct and all(cluster.segment_of(node) == segment for node in cluster.nodes):
        return _SHOWS["native"], "ip proto 4" if profile.kind == "ipip" else f"udp port {profile.port}"
    if profile.kind == "vxlan":
        return f"udp port {profile.port}", "udp port 4789" if profile.port != 4789 else "ip proto 4"
    return _SHOWS[profile.kind], "udp port 4789"


def _read(cni: str, cluster: Cluster, names: dict[str, str], kubectl: str) -> list[Step]:
    found = []
    if cni == "calico":
        pod = f"$({kubectl} get pod -n kube-system -l k8s-app=calico-node -o name | head -1)"
        show = f"{kubectl} exec -n kube-system {pod} -c calico-node -- calico-node -show-status"
        both = "ipipMode and vxlanMode decide together; CrossSubnet wraps only what leaves the subnet."
        until = "Until Calico 3.32; later the binary is `calico component node`."
        found += [
            Step("Read the mode", f"{kubectl} get ippools -o json", "pools", both),
            Step("Read which block is whose", f"{kubectl} get ipamblocks -o json", "blocks"),
            Step("Ask BIRD", show, "status", f"{until} An established session says nothing about packets."),
        ]
    every = [(f"on-{name}", name) for name in names.values()]
    every += [(pod_name(pod.name), pod_name(pod.name)) for pod in cluster.pods]
    note = "The route to the other node's block tells the mode: its device is tunl0, flannel.1, vxlan.calico or eth0."
    for pod, host in every:
        shown = "; ".join(f'echo "# {command}"; {command}' for command in COMMANDS.values())
        line = shlex.quote(f'echo "######## {host}"; {shown}')
        found.append(Step(f"Read the tables of {host}", f"{kubectl} exec {pod} -- sh -c {line}", "tables", note))
        note = ""
    return found


def _delete(minikube: str) -> str:
    return "minikube delete" if minikube == "minikube" else f"minikube delete -p {minikube}"


def _clean_up(cluster: Cluster, names: dict[str, str], minikube: str, kubectl: str) -> list[Step]:
    pods = f"{kubectl} delete {' '.join(_made(cluster, names))} --now"
    return [
        Step("Remove the test pods", pods, "", seconds=120, destroys=True),
        Step("Delete the cluster", _delete(minikube), "", seconds=300, destroys=True),
    ]
