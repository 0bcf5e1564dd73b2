"""The topologies of the chapter and of Calico, as scenarios of any size.

Node i is called n{i}, owns the i-th address of 192.168.0.0/16 and announces the i-th /26 of 10.64.0.0/10. Where the
documentation of Calico names a design, the builder does too.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Literal

from coursekit.bgp.igp import Subnet
from coursekit.bgp.scenario import Origination, Router, Scenario, Session
from coursekit.bgp.session import Options
from coursekit.errors import CourseError

CLUSTER_AS = 64512  # Calico's default
TOR_AS = 64601
SPINE_AS = 65100
MOST = 60_000  # addresses of the LAN

_NODES = int(IPv4Address("192.168.0.0"))
_OTHERS = int(IPv4Address("192.168.240.0"))  # reflectors and ToRs: above all nodes, so that ties go to nodes
_BLOCKS = int(IPv4Address("10.64.0.0"))
_LINKS = int(IPv4Address("172.16.0.0"))
_IDS = int(IPv4Address("10.0.0.0"))
_PLAIN = Options()
_CLIENT = Options(rr_client=True)

AsPlan = Literal["per-node", "shared", "shared-allowas-in", "shared-as-override"]


def node_address(i: int) -> str:
    """Return the address of node i (from 1) on the LAN."""
    return str(IPv4Address(_NODES + i))


def block(i: int) -> str:
    """Return the pod block of node i."""
    return f"{IPv4Address(_BLOCKS + 64 * i)}/26"


def _check(**counts: int) -> None:
    for what, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int):
            raise CourseError(f"{what} is a whole number; {count!r} was given.")
        if not 1 <= count <= MOST:
            raise CourseError(f"{what} = {count:,}: a topology has from 1 to {MOST:,} of them.")


def _nodes(n: int, asn: int = CLUSTER_AS) -> list[Router]:
    return [Router(f"n{i}", asn, node_address(i), node_address(i)) for i in range(1, n + 1)]


def _lan(routers: Sequence[Router], subnet: str = "lan0") -> Subnet:
    return Subnet(subnet, 16, {router.name: router.router_id for router in routers}, lan=True)


def _blocks(n: int) -> tuple[Origination, ...]:
    return tuple(Origination(f"n{i}", block(i)) for i in range(1, n + 1))


def _between(a: Router, b: Router, a_opts: Options = _PLAIN, b_opts: Options = _PLAIN) -> Session:
    return Session(f"{a.name}-{b.name}", a.name, b.name, a.router_id, b.router_id, a_opts, b_opts)


def _mesh(routers: Sequence[Router]) -> list[Session]:
    return [_between(a, b) for place, a in enumerate(routers) for b in routers[place + 1 :]]


def _reflectors(k: int, shared_cluster: bool) -> list[Router]:
    out = []
    for i in range(1, k + 1):
        address = str(IPv4Address(_OTHERS + i))
        cluster = "10.255.255.1" if shared_cluster else address
        out.append(Router("rr" if k == 1 else f"rr{i}", CLUSTER_AS, address, cluster))
    return out


def full_mesh(n: int) -> Scenario:
    """Return n nodes, each with an iBGP session to every other: Calico's default, for clusters below 100 nodes."""
    _check(nodes=n)
    nodes = _nodes(n)
    return Scenario(f"mesh-{n}", tuple(nodes), tuple(_mesh(nodes)), (_lan(nodes),), _blocks(n),
                    title=f"iBGP full mesh, {n} nodes")  # fmt: skip


def route_reflectors(n: int, k: int = 1, *, shared_cluster: bool = False) -> Scenario:
    """Return n nodes that are clients of k dedicated reflectors (meshed, with one cluster id or each its own)."""
    _check(nodes=n, reflectors=k)
    nodes, reflectors = _nodes(n), _reflectors(k, shared_cluster)
    sessions = [_between(rr, node, _CLIENT) for rr in reflectors for node in nodes] + _mesh(reflectors)
    return Scenario(f"rr-{n}x{k}", (*nodes, *reflectors), tuple(sessions), (_lan([*nodes, *reflectors]),), _blocks(n),
                    title=f"{k} route reflector{'s' * (k > 1)}, {n} clients")  # fmt: skip


def in_cluster_reflectors(n: int, k: int) -> Scenario:
    """Return n nodes of which the first k reflect for the others, and have pods too."""
    _check(nodes=n, reflectors=k)
    if k >= n:
        raise CourseError(f"{k} of {n} nodes cannot be reflectors: some node must be left as a client.")
    nodes = _nodes(n)
    sessions = [_between(rr, node, _CLIENT) for rr in nodes[:k] for node in nodes[k:]] + _mesh(nodes[:k])
    return Scenario(f"in-cluster-rr-{n}x{k}", tuple(nodes), tuple(sessions), (_lan(nodes),), _blocks(n),
                    title=f"{k} of {n} nodes are route reflectors")  # fmt: skip


def mesh_and_reflector(n: int) -> Scenario:
    """Return a full mesh with a reflector beside it: the middle of a migration from one to the other."""
    both = route_reflectors(n)
    return Scenario(f"mesh-rr-{n}", both.routers, (*_mesh(both.routers[:n]), *both.sessions), both.subnets,
                    both.originate, title=f"full mesh and a route reflector, {n} nodes")  # fmt: skip


def tor(n: int, plan: AsPlan = "per-node", *, lan: bool = False, mesh: bool = False) -> Scenario:
    """Return n nodes with eBGP to a top-of-rack switch.

    `plan` is "per-node" (Calico's "AS per compute server"), or one "shared" AS, in which the loop check lets no node
    hear of another, with its two cures. With `lan` all sit on one subnet, as on a real rack, and the ToR passes on
    third-party next hops; else each node has a link of its own. `mesh` leaves the node-to-node mesh on (needs `lan`
    and a shared AS).
    """
    _check(nodes=n)
    if mesh and (not lan or plan == "per-node"):
        raise CourseError("A mesh beside the ToR needs a LAN and nodes in one AS: give lan=True and a shared plan.")
    nodes = [Router(f"n{i}", 64701 + i if plan == "per-node" and n < 800 else
                    4_200_000_000 + i if plan == "per-node" else CLUSTER_AS, node_address(i), node_address(i))
             for i in range(1, n + 1)]  # fmt: skip
    address = str(IPv4Address(_OTHERS + 1))
    switch = Router("tor", TOR_AS, address, address)
    tor_opts = Options(as_override=plan == "shared-as-override")
    node_opts = Options(allowas_in=1 if plan == "shared-allowas-in" else 0)
    if lan:
        subnets = [_lan([*nodes, switch])]
        sessions = [_between(switch, node, tor_opts, node_opts) for node in nodes]
    else:
        subnets, sessions = [], []
        for i, node in enumerate(nodes):
            ends = str(IPv4Address(_LINKS + 2 * i)), str(IPv4Address(_LINKS + 2 * i + 1))
            subnets.append(Subnet(f"l{i + 1}", 31, {"tor": ends[0], node.name: ends[1]}, cost=1))
            sessions.append(Session(f"s{i + 1}", "tor", node.name, *ends, tor_opts, node_opts))
    return Scenario(f"tor-{plan}-{n}", (*nodes, switch), (*(_mesh(nodes) if mesh else ()), *sessions), tuple(subnets),
                    _blocks(n), title=f"ToR eBGP, {plan} AS, {n} nodes{', mesh left on' * mesh}")  # fmt: skip


def as_per_rack(racks: int, nodes: int) -> Scenario:
    """Return racks of one AS each (Calico's "AS per rack"): the ToR reflects for its nodes and has eBGP to a core."""
    _check(racks=racks, nodes=racks * nodes)
    core = Router("core", SPINE_AS, str(IPv4Address(_IDS + 1)), str(IPv4Address(_IDS + 1)))
    routers, sessions, subnets = [core], list[Session](), list[Subnet]()
    for rack in range(1, racks + 1):
        asn, base = 65200 + rack, int(IPv4Address("10.128.0.0")) + (rack << 12)
        rack_tor = Router(f"tor{rack}", asn, str(IPv4Address(base + 1)), str(IPv4Address(base + 1)))
        places = [str(IPv4Address(base + 1 + i)) for i in range(1, nodes + 1)]
        members = [Router(f"n{(rack - 1) * nodes + i}", asn, at, at) for i, at in enumerate(places, 1)]
        routers += [rack_tor, *members]
        subnets.append(Subnet(f"rack{rack}", 20, {r.name: r.router_id for r in [rack_tor, *members]}, lan=True))
        ends = str(IPv4Address(_LINKS + 2 * rack)), str(IPv4Address(_LINKS + 2 * rack + 1))
        subnets.append(Subnet(f"up{rack}", 31, {"core": ends[0], rack_tor.name: ends[1]}, cost=1))
        sessions += [_between(rack_tor, node, Options(rr_client=True, next_hop_self=True)) for node in members]
        sessions.append(Session(f"core-tor{rack}", "core", rack_tor.name, *ends))
    return Scenario(f"racks-{racks}x{nodes}", tuple(routers), tuple(sessions), tuple(subnets), _blocks(racks * nodes),
                    title=f"AS per rack, {racks} racks of {nodes} nodes")  # fmt: skip


def leaf_spine(leaves: int, spines: int, *, shared_spine_as: bool = True, max_paths: int = 64) -> Scenario:
    """Return a Clos fabric of eBGP (RFC 7938): each leaf is an AS with one block.

    All spines share an AS, so that a route that came down from one is refused by the others. With
    `shared_spine_as=False` they do not, and routes go down and up again: valleys, path hunting.
    """
    _check(leaves=leaves, spines=spines)
    ids = {f"s{j}": _IDS + (1 << 16) + j for j in range(1, spines + 1)}
    ids |= {f"n{i}": _IDS + (2 << 16) + i for i in range(1, leaves + 1)}
    routers = [Router(name, (SPINE_AS if shared_spine_as else 65300 + int(name[1:])) if name[0] == "s"
                      else 4_200_000_000 + int(name[1:]), str(IPv4Address(at)), str(IPv4Address(at)), max_paths)
               for name, at in ids.items()]  # fmt: skip
    subnets, sessions = [], []
    for i in range(1, leaves + 1):
        for j in range(1, spines + 1):
            at = _LINKS + 2 * ((j - 1) * leaves + i - 1)
            ends = str(IPv4Address(at)), str(IPv4Address(at + 1))
            subnets.append(Subnet(f"n{i}s{j}", 31, {f"s{j}": ends[0], f"n{i}": ends[1]}, cost=1))
            sessions.append(Session(f"n{i}-s{j}", f"s{j}", f"n{i}", *ends))
    return Scenario(f"leaf-spine-{leaves}x{spines}", tuple(routers), tuple(sessions), tuple(subnets), _blocks(leaves),
                    title=f"leaf-spine, {leaves} leaves, {spines} spines")  # fmt: skip
