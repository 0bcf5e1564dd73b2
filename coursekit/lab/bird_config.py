"""The configuration of each BIRD of a lab: Calico's templates in BIRD 2's language, and a plain ToR for routers.

Source: projectcalico/calico confd/etc/calico/confd/templates/bird.cfg.template and bird_ipam.cfg.template. Two things
are put another way, for BIRD 2: `metric 0` (1.6's default), and Calico's own `krt_tunnel`, which here is a table of
next hops that are reached through tunl0.
"""

from __future__ import annotations

from collections.abc import Iterator

from coursekit.bgp.route import address_key
from coursekit.bgp.session import Neighbour
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker
from coursekit.cluster.learned import Learning
from coursekit.cluster.model import Cluster, Node, Router

_LATE_METRIC = 1024  # of routes that BIRD learned, since Calico 3.32


def protocol(end: Neighbour) -> str:
    """Return the name of a session's protocol, as Calico writes them: the peer's address with underscores."""
    return "Peer_" + end.peer.address.replace(".", "_")


def configurations(
    learning: Learning, simulation: Simulation, withheld: frozenset[tuple[str, str]] = frozenset()
) -> dict[str, str]:
    """Return the text of bird.conf for every node, and for each router that speaks BGP.

    `simulation` is the cluster's BGP as it was wired; `learning` says what a BIRD lacks; `withheld` names (node,
    prefix) that are kept from the node's kernel, for a row that is only deleted BIRD writes again.
    """
    cluster, found = learning.cluster, {}
    for node in cluster.nodes:
        lacks = {what for name, what in learning.without if name == node.name}
        kept_back = sorted(prefix for name, prefix in withheld if name == node.name)
        found[node.name] = "\n".join(_node(cluster, node, simulation.speakers[node.name], lacks, kept_back)) + "\n"
    for router in cluster.routers:
        if simulation.speakers[router.name].neighbours:
            found[router.name] = "\n".join(_router(router, simulation.speakers[router.name])) + "\n"
    return found


def _node(cluster: Cluster, node: Node, own: Speaker, lacks: set[str], kept_back: list[str]) -> Iterator[str]:
    late = f"if source = RTS_BGP then krt_metric = {_LATE_METRIC};" if cluster.profile.version >= "3.32" else ""
    yield f"router id {node.address};"
    yield "function calico_aggr() {"
    for block in node.blocks:
        yield f"  if ( net = {block} ) then {{ accept; }}"
        yield f"  if ( net ~ {block} ) then {{ reject; }}"
    yield "}"
    yield "filter calico_export_to_bgp_peers {"
    yield "  calico_aggr();"
    yield f"  if ( net ~ {cluster.pod_network} ) then {{ accept; }}"
    yield "  reject;\n}"
    yield "filter calico_kernel_programming {"
    yield "  if source = RTS_DEVICE then reject;  # BIRD 1.6 (Calico's) never writes device routes to the kernel"
    yield from (f"  if net = {prefix} then reject;" for prefix in kept_back)
    yield f"  {late}\n  accept;\n}}" if late else "  accept;\n}"
    learn = "" if "learn" in lacks else "learn; "
    yield f"protocol kernel {{ {learn}persist; scan time 2; metric 0; merge paths on; graceful restart;"
    yield "  ipv4 { import all; export filter calico_kernel_programming; };\n}"
    yield "protocol device { scan time 2; }"
    if "direct" not in lacks:
        yield 'protocol direct { ipv4; interface -"cali*", -"kube-ipvs*", "*"; }'
    yield "protocol static { ipv4;"
    yield from (f"  route {block} blackhole;" for block in node.blocks)
    yield "}"
    table = ""
    if cluster.profile.device:
        table = "igp table tunnels; "
        yield from _tunnels(cluster, node, lacks)
    nodes = {other.name for other in cluster.nodes}
    for end in own.neighbours:
        yield f"protocol bgp {protocol(end)} {{"
        yield f"  local {end.local_address} as {own.asn}; neighbor {end.peer.address} as {end.peer.asn};"
        yield "  multihop; graceful restart on; connect delay time 1; connect retry time 3; error wait time 5,60;"
        if end.peer.name in nodes and address_key(end.local_address) < address_key(end.peer.address):
            yield "  passive on;"
        yield from _options(end, own)
        yield f"  ipv4 {{ {table}gateway recursive; import all; add paths on;"
        yield "    export filter calico_export_to_bgp_peers; };"
        yield "}"


def _tunnels(cluster: Cluster, node: Node, lacks: set[str]) -> Iterator[str]:
    """Yield the next hops that lie behind the tunnel device, and those that CrossSubnet reaches without it.

    In Calico's BIRD 1.6 a next hop must be known to the main table first: one of another subnet by the default route.
    """
    segment = cluster.segment_of(node)
    yield "ipv4 table tunnels;"
    yield "protocol static krt_tunnel { ipv4 { table tunnels; };"
    hops = [n.address for n in cluster.nodes if n is not node]
    hops += [address for router in cluster.routers for address in router.addresses]
    hops = [] if {"direct", "learn"} <= lacks else hops  # the table stays: without it BIRD would restart its sessions
    for hop in hops:
        if cluster.profile.direct and hop in segment.subnet:
            yield f'  route {hop}/32 via "eth0";'
        elif hop in segment.subnet or not {"default", "learn"} & lacks:
            yield f"  route {hop}/32 via {hop}%'{cluster.profile.device}' onlink;"
    yield "}"


def _options(end: Neighbour, own: Speaker) -> Iterator[str]:
    if end.client:
        yield f"  rr client; rr cluster id {own.cluster_id};"
    if end.options.allowas_in:
        yield f"  allow local as {end.options.allowas_in};"


def _router(router: Router, own: Speaker) -> Iterator[str]:
    yield f"router id {router.addresses[0]};"
    yield "protocol device { scan time 2; }"
    yield "protocol direct { ipv4; }"
    yield "protocol kernel { scan time 2; learn; ipv4 { import all; export where source = RTS_BGP; }; }"
    for end in own.neighbours:
        kind = "direct" if end.peer.external else "multihop"
        yield f"protocol bgp {protocol(end)} {{"
        yield f"  local {end.local_address} as {own.asn}; neighbor {end.peer.address} as {end.peer.asn}; {kind};"
        yield "  connect delay time 1; connect retry time 3; graceful restart on;"
        yield from _options(end, own)
        yield "  ipv4 { import all; add paths on;"
        yield "    gateway recursive;" if not end.peer.external else ""
        yield f"    next hop self{'' if end.peer.external else ' ebgp'};" if end.options.next_hop_self else ""
        yield "    export filter { if source != RTS_BGP then reject;"
        if end.options.as_override:
            yield f"      if bgp_path ~ [= * {end.peer.asn} * =] then {{"
            yield f"        bgp_path.delete({end.peer.asn}); bgp_path.prepend({own.asn}); }}"
        yield "      accept; };"
        yield "  };\n}"

