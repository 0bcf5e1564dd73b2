"""Networks in which routers look alike that are not, each for another reason."""

from __future__ import annotations

from dataclasses import replace

from coursekit.bgp import topologies
from coursekit.bgp.groups import Action
from coursekit.bgp.igp import Subnet
from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario import Origination, Router, Scenario, Session
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.session import Options

Steps = list[list[Action]]


def _fabric(**changes: Options) -> Scenario:
    """Return a fabric with other options on the sessions of its first spine with all leaves but one."""
    fabric = topologies.leaf_spine(6, 2)
    return replace(fabric, sessions=tuple(
        session._replace(**changes) if session.a == "s1" and session.b != "n1" else session
        for session in fabric.sessions))  # fmt: skip


def _shared_customer(leaves: int) -> Scenario:
    """Return a fabric whose leaves all have one more neighbour of the spines' AS, a customer that passes nothing on."""
    fabric = topologies.leaf_spine(leaves, 2)
    ends = [(f"n{i}", f"10.8.{i}.0", f"10.8.{i}.1") for i in range(1, leaves + 1)]
    return replace(
        fabric, routers=(*fabric.routers, Router("x", topologies.SPINE_AS, "10.9.0.1", "10.9.0.1")),
        subnets=(*fabric.subnets, *(Subnet(f"x-{n}", 31, {n: here, "x": there}) for n, here, there in ends)),
        sessions=(*fabric.sessions, *(Session(f"x-{n}", n, "x", here, there, Options(), Options(role="customer"))
                                      for n, here, there in ends)))  # fmt: skip


def _one_as(scenario: Scenario, *names: str) -> Scenario:
    return replace(scenario, routers=tuple(replace(router, asn=65000) if router.name in names else router
                                           for router in scenario.routers))  # fmt: skip


def _twice_linked(n: int) -> Scenario:
    """Return nodes with two sessions each to a ToR; of every other node the addresses stand the other way round."""
    rack = topologies.tor(n)
    subnets, sessions = list(rack.subnets), list(rack.sessions)
    for i in range(1, n + 1):
        tor, node = (f"172.{16 if i % 2 else 15}.{100 + i}.{side}" for side in (0, 1))
        subnets.append(Subnet(f"k{i}", 31, {"tor": tor, f"n{i}": node}))
        sessions.append(Session(f"t{i}", "tor", f"n{i}", tor, node))
    return replace(rack, subnets=tuple(subnets), sessions=tuple(sessions))


def _two_providers(n: int) -> Scenario:
    """Return customers of two providers that prepend to the first: there the ids of customer and peer are compared."""
    ids = {"n1": 3, "n2": 9, "p1": 8, "p2": 5, **{f"n{i}": 10 + i for i in range(3, n + 1)}}
    return parse({
        "routers": [{"name": name, "asn": 65000 + i, "router_id": f"10.0.0.{i}"} for name, i in ids.items()],
        "lans": [{"id": "lan", "members": {name: f"10.0.0.{i}" for name, i in ids.items()}}],
        "sessions": [{"a": "p1", "b": "p2", "a_opts": {"role": "peer"}, "b_opts": {"role": "peer"}}] + [
            {"a": "p1", "b": f"n{i}", "a_opts": {"role": "provider"}, "b_opts": {"role": "customer", "prepend": 1}}
            for i in range(1, n + 1)] + [
            {"a": f"n{i}", "b": "p2", "a_opts": {"role": "customer"}, "b_opts": {"role": "provider"}}
            for i in range(1, n + 1)],
        "originate": [{"router": f"n{i}", "prefix": topologies.block(i)} for i in range(1, n + 1)],
    })[0]  # fmt: skip


def _across(n: int) -> Scenario:
    """Return clients over loopbacks, whose reflector reaches them only through the first of them."""
    return parse({
        "routers": [{"name": name, "asn": 1, "router_id": f"10.0.0.{i}"}
                    for i, name in enumerate(("rr", *(f"n{i}" for i in range(1, n + 1))), 1)],
        "links": [{"id": f"l{i}", "a": "n1" if i > 1 else "rr", "b": f"n{i}", "a_addr": f"172.16.{i}.0", "igp": True,
                   "b_addr": f"172.16.{i}.1", "cost": i} for i in range(1, n + 1)],
        "sessions": [{"id": f"s{i}", "a": "rr", "b": f"n{i}", "a_opts": {"rr_client": True}} for i in range(n, 0, -1)],
        "originate": [{"router": f"n{i}", "prefix": topologies.block(i)} for i in range(1, n + 1)],
    })[0]  # fmt: skip


def _namesakes(n: int) -> Scenario:
    """Return nodes of an AS each behind a ToR, of which one has the router id of a node of another rack."""
    rack = topologies.tor(n)
    other = Router("far", 64999, "192.168.0.4", "192.168.0.4")
    return replace(rack, routers=(*rack.routers, other), subnets=(
        *rack.subnets, Subnet("lf", 31, {"tor": "172.31.0.0", "far": "172.31.0.1"})), sessions=(
        *rack.sessions, Session("sf", "tor", "far", "172.31.0.0", "172.31.0.1")))  # fmt: skip


def _gateway(n: int) -> Scenario:
    """Return meshed nodes of which some have an eBGP neighbour each, whose prefix they pass on."""
    mesh = topologies.full_mesh(n)
    out = [Router(f"e{i}", 65000 + i, f"10.9.0.{i}", f"10.9.0.{i}") for i in (1, 2)]
    ends = [(f"n{i}", f"e{i}", f"10.8.{i}.0", f"10.8.{i}.1") for i in (1, 2)]
    return replace(
        mesh, routers=(*mesh.routers, *out), originate=(*mesh.originate, Origination("e1", "10.1.0.0/16")),
        subnets=(*mesh.subnets, *(Subnet(f"l{b}", 31, {a: here, b: there}) for a, b, here, there in ends)),
        sessions=(*mesh.sessions, *(Session(f"s{b}", a, b, here, there, Options(role="customer"))
                                    for a, b, here, there in ends)))  # fmt: skip


def _less(scenario: Scenario, session: str) -> Scenario:
    return replace(scenario, sessions=tuple(s for s in scenario.sessions if s.id != session))


def _two_prefixes(n: int) -> Scenario:
    """Return a reflector's clients, one of which announces two prefixes."""
    scenario = topologies.route_reflectors(n)
    return replace(scenario, originate=(*scenario.originate, Origination("n3", "10.1.0.0/16")))


def _two_lans(n: int) -> Scenario:
    """Return clients of one reflector, all on two LANs: every other one has its session over the LAN that will fail."""
    names = ["rr", *(f"n{i}" for i in range(1, n + 1))]
    return parse({
        "routers": [{"name": name, "asn": 1, "router_id": f"10.9.0.{i}"} for i, name in enumerate(names, 1)],
        "lans": [{"id": f"lan{lan}", "members": {name: f"10.{lan}.0.{i}" for i, name in enumerate(names, 1)}}
                 for lan in (0, 1)],
        "sessions": [{"id": f"s{i}", "a": "rr", "b": f"n{i}", "a_opts": {"rr_client": True},
                      "a_addr": f"10.{i % 2}.0.1", "b_addr": f"10.{i % 2}.0.{i + 1}"} for i in range(1, n + 1)],
        "originate": [{"router": f"n{i}", "prefix": topologies.block(i)} for i in range(1, n + 1)],
    })[0]  # fmt: skip


def _reordered(leaves: int) -> Scenario:
    """Return a fabric of which half the leaves speak to their spines in the other order."""
    fabric, half = topologies.leaf_spine(leaves, 3), leaves // 2 * 3
    return replace(fabric, sessions=(*fabric.sessions[half:], *fabric.sessions[half - 1 :: -1]))


LAN_FAILS: Steps = [[], [{"op": "link_down", "link": "lan1"}], [{"op": "router_down", "router": "n2"}]]
GOES: Steps = [[{"op": "withdraw", "router": "n3", "prefix": topologies.block(3)}],
               [{"op": "originate", "router": "n4", "prefix": topologies.block(3), "attributes": Attributes()}]]
DIES: Steps = [[], [{"op": "router_down", "router": "n3"}]]
TRAPS: list[tuple[str, Scenario, Steps, str, dict[str, int]]] = [  # what looks alike, and is not
    ("a spine that listens to a leaf", _fabric(a_opts=Options(allowas_in=1)), DIES, "rfc", {}),
    ("a leaf that hides where its routes are from", _fabric(b_opts=Options(as_override=True)), DIES, "rfc", {}),
    ("leaves that share a customer", _shared_customer(5), DIES, "rfc", {}),
    ("leaves of one AS, and spines of one", _one_as(topologies.leaf_spine(5, 3), *(f"n{i}" for i in range(1, 6))), DIES,
     "rfc", {}),
    ("nodes of which two share an AS", _one_as(topologies.tor(6), "n4", "n5"), DIES, "gobgp", {}),
    ("parallel sessions", _twice_linked(6), DIES, "rfc", {}),
    ("ids on either side of a provider's", _two_providers(7), DIES, "rfc", {}),
    ("a client that carries the others' packets", _across(5), DIES, "rfc", {}),
    ("two LANs", _two_lans(7), LAN_FAILS, "rfc", {}),
    ("a router id that two have", _namesakes(6), DIES, "rfc", {}),
    ("nodes with a way out", _gateway(6), DIES, "rfc", {}),
    ("a prefix that goes and comes", _two_prefixes(6), GOES, "rfc", {}),
    ("a mesh with a hole", _less(topologies.full_mesh(6), "n4-n5"), DIES, "rfc", {}),
    ("a slow session", topologies.route_reflectors(6), DIES, "rfc", {"rr-n5": 50, "rr-n6": 70}),
    ("leaves that hear their spines in another order", _reordered(6), DIES, "rfc", {}),
]  # fmt: skip
