"""Numbers in 06, BGP."""

from __future__ import annotations

import re
from typing import Any

from coursekit import load_cluster, network, ping, recording
from coursekit.bgp import birdc
from coursekit.bgp.captured import Captured, messages_of
from coursekit.bgp.groups import GroupedNetwork, Totals
from coursekit.bgp.topologies import full_mesh, route_reflectors
from coursekit.cluster.breaks_bgp import HOLD_TIME, RESTART_TIME
from coursekit.cluster.learned import Learning
from coursekit.cluster.peering import TOR_AS, scenario

from .pin import Pin


def said() -> list[Captured]:
    """Return the recorded session."""
    return messages_of(recording("bgp-session").capture("router:sw1"))


def withdrawn() -> str:
    """Return when the withdrawal came, in seconds since the first message."""
    late = next(m for m in said() if m.kind == "UPDATE" and m.content.withdrawn)  # type: ignore[union-attr]
    return f"{late.time - said()[0].time:.2f}"


def cost(n: int, reflectors: int = 0) -> Totals:
    """Return what a full mesh, or a cluster with reflectors, costs when it is run."""
    return GroupedNetwork(route_reflectors(n, reflectors) if reflectors else full_mesh(n)).totals()[-1]


def mesh_as() -> int:
    """Return the AS of all nodes of the mesh."""
    (asn,) = {router.asn for router in scenario(load_cluster("lab").with_profile("calico-bgp")).routers[:2]}
    return asn


def next_hop() -> str:
    """Return the next hop that a client of the recorded reflector holds for Pod B's block."""
    rows = birdc.routes(recording("bgp-route-reflector").output("birdc-node1"))
    return next(row for row in rows if row.net == "10.244.1.0/24")["BGP.next_hop"]


def refused() -> str:
    """Return the AS_PATH in which Node 1 finds its own AS."""
    one_as = load_cluster("chapter").with_profile("calico-bgp", bgp="tor", asn="shared")
    path, _ = Learning(one_as).simulation().speakers["node1"].decision("10.244.1.0/24").lost[0]
    return " ".join(map(str, path.attributes.as_path))


def waited(how: str) -> str:
    """Return the seconds after which a recorded death was noticed."""
    return recording("bgp-node-dies").output(f"timeline-{how}").splitlines()[-1].split()[0]


def configured(how: str, what: str) -> str:
    """Return a time that a recorded BIRD was configured with."""
    found = re.search(rf"{what} (\d+);", recording("bgp-node-dies").output(f"node1-{how}.conf"))
    return found[1] if found else "none"


def death(n: int, reflectors: int = 0, who: str = "n1") -> int:
    """Return the UPDATEs that a node's death costs in a full mesh, or under reflectors; or a reflector's."""
    whole = GroupedNetwork(route_reflectors(n, reflectors) if reflectors else full_mesh(n))
    return whole.after([{"op": "router_down", "router": who}]).totals()[-1].updates


def spans() -> tuple[str, ...]:
    """Return the ways of carrying by which a mesh spans two racks, then those by which it does not."""
    racks = load_cluster("two-racks")
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "IPIP": ("calico-ipip", {}),
        "CrossSubnet": ("calico-ipip", {"cross_subnet": True}),
        "plain": ("calico-bgp", {}),
    }
    meshes = {way: racks.with_profile(name, bgp="mesh", **options) for way, (name, options) in ways.items()}
    replies = {way: ping(network(mesh), "podA", "podC").reply for way, mesh in meshes.items()}
    back = [way for way, reply in replies.items() if reply is not None and reply.outcome.kind == "delivered"]
    return (*back, *(way for way in ways if way not in back))


WORDS = ("none", "one", "two", "three")

PINS: tuple[Pin, ...] = (
    Pin("06", "no-envelope", "autonomous system (AS), {}", mesh_as),
    Pin("06", "explain-router-table", "{} rows, each with the node as next hop", lambda: WORDS[len(
        [r for r in recording("bgp-tor-as-per-node").tables()["router"].routes if r.protocol == "bird"])]),
    Pin("06", "explain-session", "hold time, {} s here", lambda: min(m.content.hold_time for m in said()[:2])),
    Pin("06", "explain-session", "at {} s the router takes Node 3's block back", withdrawn),
    Pin("06", "explain-plain-tor", "b) {}, Node 2", next_hop),
    Pin("06", "explain-direct", "in another AS, {}", lambda: TOR_AS),
    Pin("06", "explain-one-as", "AS_PATH {}; Node 1", refused),
    Pin("06", "explain-one-as", "one hop more, TTL {}",
        lambda: re.search(r"ttl=(\d+)", recording("bgp-tor-one-as").output("ping"))[1]),  # type: ignore[index]
    Pin("06", "explain-counts", "{}, {}, {:,}", lambda: tuple(cost(n).sessions for n in (3, 10, 100))),
    Pin("06", "explain-counts", "At {:,} nodes a reflector cuts {:,} to {:,}",
        lambda: (cost(5000, 1).sessions, 5000 * (cost(200).sessions * 2 // 200 + 4800) // 2, cost(5000, 1).sessions)),
    Pin("06", "explain-counts", "more than {} them", lambda: "double" if cost(100, 2).updates > 2 * cost(100, 1).updates
        else "not double"),
    Pin("06", "choose", "A mesh spans subnets where {} carries, always or by {}; {} packets stay in one.", spans),
    Pin("06", "explain-deaths", "Here it was {} s", lambda: configured("cable", "hold time")),
    Pin("06", "explain-deaths", "BIRD's default is {} s", lambda: HOLD_TIME),
    Pin("06", "prove", "{} reflectors say most",
        lambda: WORDS[max(range(3), key=lambda reflectors: death(100, reflectors))].capitalize()),
    Pin("06", "prove", "Losing one of {} reflectors costs {}", lambda: ("two", WORDS[death(100, 2, "rr1")])),
    Pin("06", "explain-deaths", "takes about {}", lambda: WORDS[round(float(waited("cable-bfd")))]),
    Pin("06", "explain-deaths", "here for {} s, in Calico for {} s",
        lambda: (round(float(waited("killed-restart"))), RESTART_TIME)),
)  # fmt: skip
