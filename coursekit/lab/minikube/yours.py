"""A real cluster in the course's own types: a Cluster, HostTables and a Network out of what kubectl and `ip` printed.

Give what the commands of `steps` print, as text. What no output tells is not guessed: a CourseError asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Any

from coursekit.cluster.iproute2 import parse_routes, parse_state_text
from coursekit.cluster.model import Cluster, Node, Pod, Router, Segment
from coursekit.cluster.network import Host, Network
from coursekit.cluster.network import network as planned
from coursekit.cluster.options import make_profile
from coursekit.cluster.tables import HostTables, Route
from coursekit.errors import CourseError
from coursekit.lab.minikube import kubectl
from coursekit.lab.minikube.kubectl import Given, KubeNode, KubePod, Pool

Rows = Mapping[str, str | HostTables]  # node -> `ip route`, or all its tables
DAEMONS = {"calico-node": "calico", "kube-flannel": "flannel", "kindnet": "kindnet"}


def host_tables(text: str) -> dict[str, HostTables]:
    """Read the tables of hosts, as the commands of `steps` print them: `######## host`, `# ip route` and so on."""
    kept = [line for line in text.splitlines() if not line.startswith(("Defaulted container", "Warning: "))]
    return parse_state_text("\n".join(kept))


def cluster(nodes: Given | None, pods: Given, *, pools: Given | None = None, blocks: Given | None = None,
            routes: Rows | None = None, subnet: str | None = None) -> Cluster:  # fmt: skip
    """Return the cluster that outputs of kubectl describe, for the model to compute with.

    `routes` are `ip route` (or all tables) of nodes; without them `subnet` tells the nodes' network, its first address
    being the gateway. Without `nodes` they are those that pods tell of (`kubectl.nodes_of`). Pods on their node's own
    network are left out. CourseError says which output is missing.
    """
    all_pods = kubectl.pods(pods)
    there = kubectl.nodes(nodes) if nodes is not None else kubectl.nodes_of(all_pods)
    found = kubectl.pools(pools) if pools is not None else ()
    rows = {name: _rows(given) for name, given in (routes or {}).items()}
    if strangers := sorted(set(rows) - {node.name for node in there}):
        known = ", ".join(node.name for node in there)
        raise CourseError(f"Routes were given for {', '.join(strangers)}; the nodes are {known}.")
    name, options, _ = mode(pools=found, pods=all_pods, routes=rows)
    mine = [pod for pod in all_pods if _counts(pod, there)]
    homes = _blocks(there, mine, found, blocks, rows, name.startswith("calico-"))
    segments = _segments(there, rows, subnet)
    gateways = tuple(segment.gateway for segment in segments if segment.gateway is not None)
    return Cluster(
        nodes=tuple(Node(node.name, node.address, homes[node.name]) for node in there),
        pods=tuple(Pod(_host(pod), pod.address, pod.node) for pod in mine if isinstance(pod.address, IPv4Address)),
        segments=segments,
        routers=(Router("router", gateways),) if gateways else (),
        pod_network=_pod_network(found, homes),
        profile=make_profile(name, options),
        name="yours", title="Your cluster, as kubectl tells", source="your cluster",
    )  # fmt: skip


def mode(*, pools: Iterable[Pool] | Given = (), pods: Iterable[KubePod] | Given = (),
         routes: Mapping[str, Iterable[Route]] | Rows | None = None) -> tuple[str, dict[str, Any], str]:  # fmt: skip
    """Return the course's profile with its options, and which output tells so.

    Calico's pools come first, then the routes between nodes, then the names of the CNI's pods.
    """
    some = [pool for pool in _given(pools, kubectl.pools) if not pool.disabled]
    rows = [row for given in (routes or {}).values() for row in _rows(given)]
    names = [pod.name for pod in _given(pods, kubectl.pods)]
    daemons = {cni for name in names for start, cni in DAEMONS.items() if name.startswith(start)}
    if some:
        pool = some[0]
        if len({(one.ipip, one.vxlan) for one in some}) > 1:
            raise CourseError("The IP pools differ in mode; give the one that your pods are in.")
        name = "calico-ipip" if pool.ipip != "Never" else "calico-vxlan" if pool.vxlan != "Never" else "calico-bgp"
        options: dict[str, Any] = {"masquerade": "outside"} if pool.nat else {}
        if "CrossSubnet" in (pool.ipip, pool.vxlan):
            options["cross_subnet"] = True
        if version := _version(rows):
            options["version"] = version
        return name, options, f"pool {pool.name}: ipipMode {pool.ipip}, vxlanMode {pool.vxlan}"
    for row in rows:
        device = row.dev or ""
        if row.via is not None and device.startswith("flannel."):
            return "flannel-vxlan", {"vni": int(device[8:]), "masquerade": "outside"}, f"route `{row}`"
        if row.via is not None and device in ("tunl0", "vxlan.calico"):
            return ("calico-ipip" if device == "tunl0" else "calico-vxlan"), {}, f"route `{row}`"
        if row.via is not None and row.protocol == "bird":
            return "calico-bgp", {}, f"route `{row}`"
    if daemons == {"flannel"}:
        return "flannel-vxlan", {"masquerade": "outside"}, "pods kube-flannel-…"
    if daemons == {"kindnet"}:
        return "host-gw", {"masquerade": "outside"}, "pods kindnet-…"
    if daemons == {"calico"} or any(row.protocol == "80" for row in rows):  # 80 is Felix (RTPROT of felix)
        raise CourseError("Calico runs there, and its pools tell the mode: give pools=`kubectl get ippools -o json`.")
    if any(row.via is not None and row.dst.prefixlen for row in rows):
        return "host-gw", {"masquerade": "outside"}, "routes to pod prefixes without a tunnel"
    raise CourseError("No output tells the mode; give `kubectl get pods -A -o wide`, or `kubectl get ippools -o json`.")


def network(cluster: Cluster, tables: Mapping[str, HostTables]) -> Network:
    """Return a network in which hosts hold the tables that they really have; journeys then go by these.

    `tables` has every node and pod of the cluster. What is between the nodes (Minikube: a Docker bridge) shows in no
    table of theirs and is the model's: a switch that is also the gateway.
    """
    lacking = [n for n in (*(n.name for n in cluster.nodes), *(p.name for p in cluster.pods)) if n not in tables]
    if lacking:
        raise CourseError(f"The tables of {', '.join(lacking)} are missing; run the steps that read them.")
    eths = {node.name: _uplink(tables[node.name], node) for node in cluster.nodes}
    real = replace(cluster, nodes=tuple(replace(n, mac=eths[n.name][1]) for n in cluster.nodes))
    model = planned(real)
    cables = {}
    for node in real.nodes:
        cables[f"{node.name}:{eths[node.name][0]}"] = model.cables[f"{node.name}:eth0"]
    for pod in real.pods:
        own = next((li for li in tables[pod.name].links if li.name == "eth0"), None)
        other = next((li for li in tables[pod.node].links if own and li.ifindex == own.extra.get("link_index")), None)
        if own is None or other is None:
            raise CourseError(f"{pod.name}'s eth0 has no other end on {pod.node}: were both read at the same time?")
        cables[f"{pod.name}:eth0"] = f"{pod.node}:{other.name}"
    both = {**{b: a for a, b in cables.items()}, **cables}
    hosts = {}
    for name, host in model.hosts.items():
        if name not in tables:
            hosts[name] = host
            continue
        calis = frozenset(link.name for link in tables[name].links if link.name.startswith("cali"))
        hosts[name] = Host(tables[name], host.forwarding, calis, host.masquerade, host.filters)
    others = {a: b for a, b in model.cables.items() if {a.partition(":")[0], b.partition(":")[0]}.isdisjoint(tables)}
    return Network(MappingProxyType(hosts), MappingProxyType({**others, **both}))


def _uplink(tables: HostTables, node: Node) -> tuple[str, str | None]:
    device = next((row.dev for row in tables.addresses if row.interface.ip == node.address), None)
    link = tables.link(device) if device else None
    if link is None:
        raise CourseError(f"No device in the tables of {node.name} has its address, {node.address}: are they its own?")
    return link.name, link.mac


def _given(given: Any, read: Any) -> tuple[Any, ...]:
    return tuple(read(given)) if isinstance(given, str | Mapping) else tuple(given)


def _rows(given: Any) -> tuple[Route, ...]:
    if isinstance(given, HostTables):
        return given.routes
    return parse_routes(given) if isinstance(given, str) else tuple(given)


def _host(pod: KubePod) -> str:
    return pod.name if pod.namespace == "default" else f"{pod.name}.{pod.namespace}"


def _counts(pod: KubePod, nodes: Iterable[KubeNode]) -> bool:
    """Whether a pod has a network of its own, and runs."""
    return pod.running and pod.address is not None and pod.address not in {node.address for node in nodes}


def _version(rows: Iterable[Route]) -> str:
    """Return the Calico version whose routes these are, where they tell one."""
    tunnels = [row for row in rows if row.dev == "tunl0" and row.via is not None]
    if any(row.protocol == "80" for row in tunnels):
        return "3.33"
    return "3.32" if any(row.metric == 1024 for row in tunnels) else ""


def _blocks(nodes: Iterable[KubeNode], pods: Iterable[KubePod], pools: tuple[Pool, ...], given: Given | None,
            rows: Mapping[str, tuple[Route, ...]], calico: bool) -> dict[str, tuple[IPv4Network, ...]]:  # fmt: skip
    """Return the blocks of each node, from the first output that tells: IPAM blocks, routes, pod CIDRs, addresses."""
    found: dict[str, set[IPv4Network]] = {node.name: set() for node in nodes}
    by_address = {node.address: node.name for node in nodes}
    for block in kubectl.blocks(given) if given is not None else ():
        if isinstance(block.cidr, IPv4Network) and block.node in found:
            found[block.node].add(block.cidr)
    for name, routes in rows.items() if calico and given is None else ():
        for row in routes:
            owner = name if row.type == "blackhole" else by_address.get(row.via) if row.via is not None else None
            if owner and isinstance(row.dst, IPv4Network) and 16 < row.dst.prefixlen < 32:
                found[owner].add(row.dst)
    for node in nodes:
        if not calico:
            found[node.name] |= {cidr for cidr in node.pod_cidrs if isinstance(cidr, IPv4Network)}
        homes = [pod.address for pod in pods if pod.node == node.name and isinstance(pod.address, IPv4Address)]
        size = pools[0].block_size if pools else 26 if calico else 24  # the defaults
        for address in homes if calico or not found[node.name] else ():
            if not any(address in block for block in found[node.name]):
                found[node.name].add(IPv4Network(f"{address}/{size}", strict=False))
        if not found[node.name]:
            what = "kubectl get ipamblocks -o json` (blocks=…" if calico else "kubectl get nodes -o json` (nodes"
            raise CourseError(f"No output tells which pod addresses {node.name} has; give `{what}).")
    return {name: tuple(sorted(some)) for name, some in found.items()}


def _segments(
    nodes: tuple[KubeNode, ...], rows: Mapping[str, tuple[Route, ...]], subnet: str | None
) -> tuple[Segment, ...]:
    found: dict[IPv4Network | IPv6Network, Segment] = {}
    if subnet is not None:
        try:
            lan = ip_network(subnet)
        except ValueError:
            raise CourseError(f"subnet={subnet!r} is no prefix like '192.168.49.0/24'.") from None
        found[lan] = Segment("nodes", lan, lan[1])
    for node in nodes:
        routes = rows.get(node.name, ())
        on_link = (r for r in routes if r.via is None and r.type == "unicast" and r.dst.prefixlen)
        direct = [r for r in on_link if node.address in r.dst]
        if direct and not any(node.address in known for known in found):
            lan = direct[0].dst
            gateway = next((r.via for r in routes if not r.dst.prefixlen and r.via is not None and r.via in lan), None)
            found[lan] = Segment(f"lan{len(found) + 1}" if found else "nodes", lan, gateway)
    for node in nodes:
        if not any(node.address in known for known in found):
            raise CourseError(
                f"No output tells the network of {node.name} ({node.address}); give routes={{{node.name!r}: `ip route` "
                "of it}, or subnet='192.168.49.0/24', which is Minikube's."
            )
    return tuple(found.values())


def _pod_network(pools: tuple[Pool, ...], homes: Mapping[str, tuple[IPv4Network, ...]]) -> IPv4Network:
    """Return the prefix that holds every pod: the pool's, or the smallest around all blocks (a /16 at least)."""
    every = [block for some in homes.values() for block in some]
    for pool in pools:
        if isinstance(pool.cidr, IPv4Network) and all(block.subnet_of(pool.cidr) for block in every):
            return pool.cidr
    around = every[0].supernet(new_prefix=min(16, every[0].prefixlen))
    while not all(block.subnet_of(around) for block in every):
        around = around.supernet()
    return around
