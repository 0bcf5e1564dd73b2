"""Who speaks BGP with whom in a Calico cluster, as a scenario that runs in `bgp`.

Sources: Calico's BGP documentation (mesh, BGPPeer, RouteReflectorClusterID, numAllowedLocalASNumbers), its design
notes on IP fabrics (AS per rack, AS per compute server), and confd's bird.cfg.template: AS 64512 by default, eBGP as
`multihop`, so that a node always names itself as next hop.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from coursekit.bgp import scenario as bgp
from coursekit.bgp.igp import Subnet
from coursekit.bgp.session import Options
from coursekit.cluster.model import Cluster, Node
from coursekit.cluster.model import Router as UnderlayRouter
from coursekit.errors import CourseError

CLUSTER_AS = 64512  # Calico's default
TOR_AS = 65000  # of the first router; the others count down
NODE_AS = 65001  # of the first node where each has its own, 4200000001 where two bytes do not suffice
RACK_AS = 65101  # of the first rack
CLUSTER_ID = "244.0.0.1"  # of reflectors that are nodes, as in Calico's documentation
MERGED_PATHS = 16  # BIRD's limit for `merge paths on`

_CALICO_EBGP = Options(next_hop_self=True)
_PLAIN = Options()
Speaker = Node | UnderlayRouter


def scenario(cluster: Cluster) -> bgp.Scenario:
    """Return the cluster's BGP network: nodes and routers, their sessions, and every node's blocks.

    Routers are in it even if they speak with nobody: they carry packets, and that they learn nothing can then be
    seen. Raises CourseError if the profile has no BGP in it.
    """
    profile = cluster.profile
    if not profile.learns_by_bgp:
        later = " since 3.33 Felix writes IPIP's routes;" if profile.name == "calico-ipip" else ""
        raise CourseError(
            f"Profile {profile.name} learns no routes by BGP:{later} take calico-bgp, or calico-ipip up to 3.32."
        )
    subnets = tuple(
        Subnet(s.name, s.subnet.prefixlen, members, igp=True, lan=True)
        for s in cluster.segments
        if (members := {m.name: str(_on(cluster, m, s.name)) for m in _members(cluster, s.name)})
    )
    speakers: tuple[Speaker, ...] = (*cluster.nodes, *cluster.routers)
    routers = tuple(_router(cluster, speaker) for speaker in speakers)
    blocks = tuple(bgp.Origination(node.name, str(block)) for node in cluster.nodes for block in node.blocks)
    title = f"{cluster.title or cluster.name}: {_words(cluster)}"
    return bgp.Scenario(cluster.name, routers, tuple(_sessions(cluster)), subnets, blocks, title=title)


def _words(cluster: Cluster) -> str:
    profile = cluster.profile
    rack = profile.bgp == "tor" or profile.reflector == "tor"
    what = {
        "mesh": "node-to-node mesh",
        "route-reflector": f"route reflector ({'ToR' if rack else ', '.join(_reflectors(cluster))})",
        "tor": f"ToR, AS {profile.asn.replace('per-', 'per ')}",
    }[profile.bgp]
    return what + (", mesh left on" if profile.keep_mesh else "")


def _members(cluster: Cluster, segment: str) -> Iterator[Speaker]:
    yield from (n for n in cluster.nodes if cluster.segment_of(n).name == segment)
    yield from (r for r in cluster.routers if _on(cluster, r, segment))


def _on(cluster: Cluster, speaker: Speaker, segment: str) -> object:
    subnet = next(s.subnet for s in cluster.segments if s.name == segment)
    own = (speaker.address,) if isinstance(speaker, Node) else speaker.addresses
    return next((address for address in own if address in subnet), None)


def _reflectors(cluster: Cluster) -> tuple[str, ...]:
    """Return the names of the nodes that reflect."""
    profile = cluster.profile
    if profile.bgp != "route-reflector" or profile.reflector != "node":
        return ()
    return tuple(node.name for node in cluster.nodes[: profile.reflectors])


def as_number(cluster: Cluster, speaker: Speaker) -> int:
    """Return the AS number of a node or router."""
    profile = cluster.profile
    racks = [s.name for s in cluster.segments if any(cluster.segment_of(n) is s for n in cluster.nodes)]
    rack = next((place for place, name in enumerate(racks) if _on(cluster, speaker, name)), None)
    if profile.bgp == "tor" and profile.asn == "per-rack" and rack is not None:
        return RACK_AS + rack
    if isinstance(speaker, Node):
        if profile.bgp != "tor" or profile.asn == "shared":
            return CLUSTER_AS
        return (NODE_AS if len(cluster.nodes) < 500 else 4_200_000_001) + cluster.nodes.index(speaker)
    return CLUSTER_AS if profile.reflector == "tor" else TOR_AS - cluster.routers.index(speaker)


def _router(cluster: Cluster, speaker: Speaker) -> bgp.Router:
    address = str(speaker.address if isinstance(speaker, Node) else speaker.addresses[0])
    cluster_id = CLUSTER_ID if speaker.name in _reflectors(cluster) else address
    merged = MERGED_PATHS if isinstance(speaker, Node) else 1
    return bgp.Router(speaker.name, as_number(cluster, speaker), address, cluster_id, merged)


def _sessions(cluster: Cluster) -> Iterator[bgp.Session]:
    profile = cluster.profile
    reflectors = _reflectors(cluster)
    if profile.bgp == "mesh" or profile.keep_mesh:
        # Calico leaves reflectors out of the mesh.
        meshed = [node for node in cluster.nodes if node.name not in reflectors]
        yield from (_session(cluster, a, b) for a, b in combinations(meshed, 2))
    if reflectors:
        serving = [cluster.node(name) for name in reflectors]
        yield from (_session(cluster, a, b) for a, b in combinations(serving, 2))
        clients = [node for node in cluster.nodes if node.name not in reflectors]
        yield from (_session(cluster, node, reflector) for reflector in serving for node in clients)
    if profile.bgp == "tor" or profile.reflector == "tor":
        peering = list[UnderlayRouter]()
        for node in cluster.nodes:
            for router in cluster.routers:
                if _on(cluster, router, cluster.segment_of(node).name):
                    yield _session(cluster, router, node)
                    peering += [router] if router not in peering else []
        if profile.reflector == "tor":  # reflectors are each other's ordinary iBGP peers, wherever they are
            yield from (_session(cluster, a, b) for a, b in combinations(peering, 2))
        else:
            shared = ((a, b) for a, b in combinations(cluster.routers, 2) if _shared(cluster, a, b))
            yield from (_session(cluster, a, b) for a, b in shared)


def _shared(cluster: Cluster, a: Speaker, b: Speaker) -> str | None:
    """Return the segment that both are on; of several the one with the fewest nodes."""
    both = [s.name for s in cluster.segments if _on(cluster, a, s.name) and _on(cluster, b, s.name)]
    return min(both, key=lambda name: len(list(_members(cluster, name))), default=None)


def _session(cluster: Cluster, a: Speaker, b: Speaker) -> bgp.Session:
    segment = _shared(cluster, a, b)
    ends = [_router(cluster, end).router_id if segment is None else str(_on(cluster, end, segment)) for end in (a, b)]
    return bgp.Session(f"{a.name}-{b.name}", a.name, b.name, ends[0], ends[1], _side(cluster, a, b),
                       _side(cluster, b, a))  # fmt: skip


def _side(cluster: Cluster, one: Speaker, other: Speaker) -> Options:
    """Return what `one` does towards `other`."""
    profile = cluster.profile
    external = as_number(cluster, one) != as_number(cluster, other)
    if isinstance(one, Node):
        towards_router = not isinstance(other, Node)
        client = one.name in _reflectors(cluster) and other.name not in _reflectors(cluster) and profile.rr_client
        if external:
            return _CALICO_EBGP._replace(allowas_in=profile.allowas_in if towards_router else 0)
        return Options(rr_client=True) if client else _PLAIN
    if not isinstance(other, Node):
        return _PLAIN
    if external:
        return Options(as_override=profile.as_override, next_hop_self=profile.next_hop_self)
    return Options(rr_client=profile.rr_client, next_hop_self=profile.bgp == "tor")
