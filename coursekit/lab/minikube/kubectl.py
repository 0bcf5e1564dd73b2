"""What kubectl prints, taken apart: `get … -o json` of nodes, pods, IP pools and IPAM blocks, and `-o wide` tables.

Shapes: Node and Pod of core/v1 (Kubernetes 1.35), IPPool and IPAMBlock of crd.projectcalico.org/v1 (Calico 3.31).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from coursekit.cluster.tables import Address, Network
from coursekit.errors import CourseError

Given = str | Mapping[str, Any]
T = TypeVar("T")
# Lines that kubectl and the API server put before what was asked for.
_CHATTER = re.compile(r"Defaulted container |Warning: |W\d{4} |E\d{4} |[$#] |If you don't see a command prompt")
_REFUSED = re.compile(r"(?im)^(error: .*|error from server.*|the connection to the server .*|unable to connect .*)$")
_WIDE_POD = re.compile(
    r"(?P<name>\S+)\s+\d+/\d+\s+(?P<status>\S+)\s+\d+(?: \([^)]*\))?\s+\S+\s+(?P<ip>\S+)\s+(?P<node>\S+)"
)
_AWS_NAME = re.compile(r"ip-(\d+)-(\d+)-(\d+)-(\d+)(?:\..*)?")
# Pods that have their node's address, where the output does not say so.
_ON_THE_NODE = ("calico-node-", "kindnet-", "kube-flannel-", "kube-proxy-", "etcd-", "kube-apiserver-")
_WIDE_NODE = re.compile(r"(?P<name>\S+)\s+(?P<status>\S+)\s+\S+\s+\S+\s+v\S+\s+(?P<ip>[\da-fA-F.:]+)\s")


@dataclass(frozen=True)
class KubeNode:
    """A node: its InternalIP, and the pod prefixes that the controller manager gave it (Calico ignores them)."""

    name: str
    address: Address
    pod_cidrs: tuple[Network, ...] = ()
    ready: bool = True

    def __str__(self) -> str:
        state = "Ready" if self.ready else "NotReady"
        return " ".join([self.name, str(self.address), *map(str, self.pod_cidrs), state])


@dataclass(frozen=True)
class KubePod:
    """A pod; `address` is None before it has one, `host_network` None where the output does not tell."""

    name: str
    namespace: str
    node: str
    address: Address | None
    running: bool = True
    host_network: bool | None = None


@dataclass(frozen=True)
class Pool:
    """A Calico IP pool. `ipip` and `vxlan` are Never, CrossSubnet or Always."""

    name: str
    cidr: Network
    ipip: str = "Never"
    vxlan: str = "Never"
    nat: bool = False
    block_size: int = 26
    disabled: bool = False

    def __str__(self) -> str:
        end = f"blocks of /{self.block_size}{', disabled' if self.disabled else ''}"
        return f"{self.name} {self.cidr} ipipMode {self.ipip}, vxlanMode {self.vxlan}, {end}"


@dataclass(frozen=True)
class Block:
    """A Calico IPAM block and the node that it is bound to ("" if to none)."""

    cidr: Network
    node: str

    def __str__(self) -> str:
        return f"{self.cidr} {self.node or 'of no node'}"


def nodes(given: Given) -> tuple[KubeNode, ...]:
    """Read `kubectl get nodes -o json` (or `-o wide`, which has no pod CIDRs); CourseError for anything else."""
    command = "kubectl get nodes -o json"
    if _table(given, "INTERNAL-IP"):
        rows = _wide(str(given), _WIDE_NODE, command)
        return tuple(KubeNode(r["name"], ip_address(r["ip"]), (), r["status"].startswith("Ready")) for _, r in rows)
    return _each(given, "Node", command, _node)


def nodes_of(pods: Iterable[KubePod]) -> tuple[KubeNode, ...]:
    """Return the nodes that pods tell of: a daemon's pod has its node's address, and a name as AWS gives holds it."""
    found: dict[str, KubeNode] = {}
    for pod in pods:
        daemon = pod.host_network or (pod.host_network is None and pod.name.startswith(_ON_THE_NODE))
        if daemon and pod.address is not None:
            found[pod.node] = KubeNode(pod.node, pod.address)
        elif named := _AWS_NAME.fullmatch(pod.node):
            found.setdefault(pod.node, KubeNode(pod.node, ip_address(".".join(named.groups()))))
    if not found:
        raise CourseError("No pod tells its node's address; give nodes=`kubectl get nodes -o json` too.")
    return tuple(found.values())


def pods(given: Given) -> tuple[KubePod, ...]:
    """Read `kubectl get pods -o json` or `kubectl get pods -o wide` (with or without -A)."""
    command = "kubectl get pods -A -o json"
    if _table(given, "READY"):
        rows = _wide(str(given), _WIDE_POD, "kubectl get pods -A -o wide")
        return tuple(KubePod(r["name"], space, "" if r["node"] == "<none>" else r["node"], _ip(r["ip"], command),
                             r["status"] == "Running") for space, r in rows)  # fmt: skip
    return _each(given, "Pod", command, _pod)


def pools(given: Given) -> tuple[Pool, ...]:
    """Read `kubectl get ippools -o json` or the table of `calicoctl get ippools -o wide`.

    A cluster without Calico has no such resource, and that gives no pools.
    """
    if isinstance(given, str) and "doesn't have a resource type" in given:
        return ()
    if _table(given, "IPIPMODE"):
        return tuple(_pool_row(line) for line in str(given).strip().splitlines()[1:])
    return _each(given, "IPPool", "kubectl get ippools -o json", _pool)


def blocks(given: Given) -> tuple[Block, ...]:
    """Read `kubectl get ipamblocks -o json`: which /26 belongs to which node."""
    if isinstance(given, str) and "doesn't have a resource type" in given:
        return ()
    return _each(given, "IPAMBlock", "kubectl get ipamblocks -o json", _block)


def _node(row: Mapping[str, Any], command: str) -> KubeNode:
    addresses = [a["address"] for a in row["status"]["addresses"] if a["type"] == "InternalIP"]
    if not addresses:
        raise CourseError(f"Node {row['metadata']['name']} has no InternalIP yet; wait until it is Ready.")
    spec = row.get("spec") or {}
    cidrs = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in row["status"].get("conditions", ()))
    return KubeNode(row["metadata"]["name"], ip_address(addresses[0]), tuple(map(ip_network, cidrs)), ready)


def _pod(row: Mapping[str, Any], command: str) -> KubePod:
    spec, status, meta = row["spec"], row.get("status") or {}, row["metadata"]
    address = _ip(status.get("podIP") or "<none>", command)
    return KubePod(meta["name"], meta.get("namespace", "default"), spec.get("nodeName", ""), address,
                   status.get("phase") == "Running", bool(spec.get("hostNetwork", False)))  # fmt: skip


def _pool(row: Mapping[str, Any], command: str) -> Pool:
    spec = row["spec"]
    modes = {key: spec.get(key) or "Never" for key in ("ipipMode", "vxlanMode")}
    for key, value in modes.items():
        if value not in ("Never", "CrossSubnet", "Always"):
            name = row["metadata"]["name"]
            raise CourseError(f"IP pool {name}: {key} is {value!r}, not Never, CrossSubnet or Always.")
    return Pool(row["metadata"]["name"], ip_network(spec["cidr"]), modes["ipipMode"], modes["vxlanMode"],
                bool(spec.get("natOutgoing")), int(spec.get("blockSize", 26)), bool(spec.get("disabled")))  # fmt: skip


def _pool_row(line: str) -> Pool:
    try:
        name, cidr, nat, ipip, vxlan, disabled, *_ = line.split()
        row = {"cidr": cidr, "natOutgoing": nat == "true", "ipipMode": ipip, "vxlanMode": vxlan}
        return _pool({"metadata": {"name": name}, "spec": {**row, "disabled": disabled == "true"}}, "")
    except ValueError:
        raise CourseError(f"{line[:60]!r} is no row of `calicoctl get ippools -o wide`; paste it whole.") from None


def _block(row: Mapping[str, Any], command: str) -> Block:
    affinity = row["spec"].get("affinity") or ""
    return Block(ip_network(row["spec"]["cidr"]), affinity.removeprefix("host:"))


def _ip(text: str, command: str) -> Address | None:
    try:
        return None if text in ("<none>", "") else ip_address(text)
    except ValueError:
        raise CourseError(f"{text!r} stands where an IP address should; paste the output of `{command}`.") from None


def _table(given: Given, column: str) -> bool:
    """Whether it is one of kubectl's tables, with a certain column."""
    return isinstance(given, str) and any(column in line.split() for line in given.splitlines()[:6])


def _wide(text: str, row: re.Pattern[str], command: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield (namespace, row) for each row of a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _CHATTER.match(line)]
    head, *rows = lines
    spaces = head.startswith("NAMESPACE")
    if "IP" not in head.split() and "INTERNAL-IP" not in head.split():
        raise CourseError(f"This table has no addresses; add `-o wide`: `{command}`.")
    for number, line in enumerate(rows, 2):
        space, _, rest = line.partition(" ") if spaces else ("default", "", line)
        found = row.match(rest.strip() + " ")
        if found is None:
            raise CourseError(f"Line {number} is no row of `{command}`: {line[:60]!r}; paste the whole output.")
        yield space, found


def _each(given: Given, kind: str, command: str, convert: Callable[[Mapping[str, Any], str], T]) -> tuple[T, ...]:
    """Convert each item of a list, or the one object."""
    data = _json(given, command) if isinstance(given, str) else given
    if not isinstance(data, Mapping):
        raise CourseError(f"A JSON object was expected, as `{command}` prints it; this is a {type(data).__name__}.")
    rows = data.get("items", [data]) if str(data.get("kind", "")).endswith("List") else [data]
    if not isinstance(rows, list):
        raise CourseError(f"`items` is no list; paste the whole output of `{command}`.")
    found = []
    for number, row in enumerate(rows, 1):
        other = row.get("kind", kind) if isinstance(row, Mapping) else type(row).__name__
        if other != kind:
            raise CourseError(f"This describes a {other}, and a {kind} was expected: paste the output of `{command}`.")
        try:
            found.append(convert(row, command))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise CourseError(f"{kind} {number} of this output cannot be read: {what}; `{command}` has it.") from None
    return tuple(found)


def _json(text: str, command: str) -> Any:
    lines = text.splitlines()
    while lines and (not lines[0].strip() or _CHATTER.match(lines[0])):
        lines.pop(0)
    body = "\n".join(lines).strip()
    if not body:
        raise CourseError(f"There is nothing here; the output of `{command}` was expected.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        if refused := _REFUSED.search(body):
            raise CourseError(f"kubectl has nothing to show: {refused.group(1).strip().rstrip('.')}.") from None
        if body[0] not in "{[":
            raise CourseError(f"This is no JSON (it begins with {body[:30]!r}): `{command}` was expected.") from None
        at = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise CourseError(f"This JSON breaks off at line {at}; paste the whole output of `{command}`.") from None
