"""A cluster: nodes, pods and the underlay between them, and the profile that makes pods reach each other.

Everything else is worked out from these few facts: `profiles.tables` fills in what each host holds, `network`
wires the hosts, the lab builds them for real. Clusters come from TOML files in data/clusters, or from a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from coursekit.cluster.options import Profile, make_profile
from coursekit.cluster.tables import Address, Interface, Network
from coursekit.errors import CourseError, given, suggestion
from coursekit.keys import load_toml
from coursekit.paths import data_dir

POD_NETWORK = IPv4Network("10.244.0.0/16")  # kube-flannel.yml's and Minikube's


@dataclass(frozen=True)
class Segment:
    """One layer-2 network of the underlay (a LAN, a rack): frames inside it cross no router."""

    name: str
    subnet: Network
    gateway: Address | None = None  # the nodes' default route
    mtu: int = 1500  # bytes of IP packet, as `ip link` prints it


@dataclass(frozen=True)
class Router:
    """A router of the underlay: one address in each segment that it joins."""

    name: str
    addresses: tuple[Address, ...]
    uplink: Interface | None = None  # its address towards the rest of the world, on device wan0
    default_gateway: Address | None = None


@dataclass(frozen=True)
class Node:
    """A Kubernetes node. `blocks` are the pod prefixes that live on it; MTUs left out are worked out."""

    name: str
    address: Address
    blocks: tuple[IPv4Network, ...]
    mtu: int | None = None  # of its eth0
    port_mtu: int | None = None  # of the switch port it is plugged in
    tunnel_mtu: int | None = None
    tunnel_address: IPv4Address | None = None  # Calico: which address of its block the tunnel device has
    mac: str | None = None
    tunnel_mac: str | None = None


@dataclass(frozen=True)
class Pod:
    """A pod: one address of a block of its node."""

    name: str
    address: IPv4Address
    node: str
    mtu: int | None = None
    mac: str | None = None


@dataclass(frozen=True)
class Cluster:
    """A valid cluster: whatever makes it impossible raises CourseError when it is made (see checks.py)."""

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    segments: tuple[Segment, ...]
    routers: tuple[Router, ...] = ()
    pod_network: IPv4Network = POD_NETWORK
    profile: Profile = field(default_factory=Profile)
    pod_mtu: int | None = None
    tunnel_mtu: int | None = None
    name: str = "cluster"
    title: str = ""
    source: str = "cluster"  # where it came from, for error messages

    def __post_init__(self) -> None:
        from coursekit.cluster.checks import check  # the checks read a Cluster, so they cannot come first

        check(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "cluster") -> Cluster:
        """Return the cluster that `data`, shaped like a cluster file, describes; CourseError names the key at fault."""
        from coursekit.cluster.cluster_file import read_cluster

        return read_cluster(data, source)

    def with_profile(self, name: str, **options: Any) -> Cluster:
        """Return the same nodes and pods under another profile, with its defaults where `options` is silent."""
        return replace(self, profile=make_profile(name, options))

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _pods(self) -> dict[str, Pod]:
        return {pod.name: pod for pod in self.pods}

    @cached_property
    def _segment_of(self) -> dict[Address, Segment]:
        return {node.address: s for node in self.nodes for s in self.segments if node.address in s.subnet}

    def node(self, name: str) -> Node:
        """Return the node called `name`."""
        return self._nodes[_known(self._nodes, name, "node")]

    def pod(self, name: str) -> Pod:
        """Return the pod called `name`."""
        return self._pods[_known(self._pods, name, "pod")]

    def pods_on(self, node: str) -> tuple[Pod, ...]:
        """Return the pods of one node; CourseError if there is no such node."""
        known = _known(self._nodes, node, "node")
        return tuple(pod for pod in self.pods if pod.node == known)

    def segment_of(self, node: Node) -> Segment:
        """Return the segment that a node is plugged in."""
        return self._segment_of[node.address]

    def same_subnet(self, one: Node, other: Node) -> bool:
        """Whether two nodes reach each other without a router: what CrossSubnet and DirectRouting ask."""
        return self.segment_of(one) is self.segment_of(other)

    def router_of(self, segment: Segment) -> Router | None:
        """Return the router whose bridge is the segment's switch: its gateway, else the first router on it."""
        on_it = [r for r in self.routers if any(a in segment.subnet for a in r.addresses)]
        return next((r for r in on_it if segment.gateway in r.addresses), on_it[0] if on_it else None)

    def switch_of(self, segment: Segment) -> str:
        """Return the host whose bridge joins the segment: a router, or a plain switch named as the segment."""
        router = self.router_of(segment)
        return router.name if router else segment.name

    def hosts(self) -> tuple[str, ...]:
        """Return every host name: nodes, pods, routers, then switches of segments that have no router."""
        names = [n.name for n in self.nodes] + [p.name for p in self.pods] + [r.name for r in self.routers]
        return tuple(dict.fromkeys([*names, *(self.switch_of(s) for s in self.segments)]))

    @property
    def underlay_version(self) -> int:
        """IP version of the node addresses: 4 or 6."""
        return self.nodes[0].address.version


def _known(table: Mapping[str, Any], name: str, what: str) -> str:
    if not isinstance(name, str) or name not in table:
        near = suggestion(str(name), table)
        raise CourseError(f"There is no {what} {given(name)}{near}; there are {', '.join(table)}.")
    return name


def clusters() -> tuple[str, ...]:
    """Return the names of the bundled clusters, as `load` takes them."""
    return tuple(sorted(path.stem for path in (data_dir() / "clusters").glob("*.toml")))


def load(source: str | Path | Cluster) -> Cluster:
    """Return the cluster of a TOML file, given its path or the name of a bundled one (`"chapter"`); a Cluster as it is.

    Raises CourseError: no such file, not TOML (with the line), or the key that does not fit.
    """
    if isinstance(source, Cluster):
        return source
    if not isinstance(source, str | Path) or not str(source):
        raise CourseError(
            f"A cluster is a Cluster, the path of a .toml file or one of {', '.join(clusters())}; "
            f"{given(source)} was given."
        )
    bundled = data_dir() / "clusters" / f"{source}.toml"
    is_name = isinstance(source, str) and "/" not in source and not source.endswith(".toml")
    path = bundled if is_name else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        known = clusters()
        raise CourseError(
            f"{source!s}: no cluster file can be read there ({_reason(error)}){suggestion(str(source), known)}; "
            f"give the path of a .toml file or one of {', '.join(known)}."
        ) from None
    data = load_toml(text, path.name)
    data.setdefault("name", path.stem)
    return Cluster.from_dict(data, source=path.name)


def _reason(error: Exception) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "it is not UTF-8 text"
