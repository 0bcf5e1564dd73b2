"""For each named divergence a small network in which it shows, in the tables at the end of some step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coursekit.bgp.scenario import Scenario
from coursekit.bgp.scenario_file import parse

P = "10.65.0.0/26"


def lan(asns: dict[str, int], sessions: dict[str, Any], originate: list[Any],
        steps: list[list[dict[str, Any]]] | None = None, **more: Any) -> dict[str, Any]:  # fmt: skip
    """Return a case with routers on one LAN, named `a`, `b`, … with ids in the order given; sessions are "a b"."""
    at = {name: f"10.0.0.{i}" for i, name in enumerate(asns, 1)}
    return {
        "routers": [{"name": n, "asn": asn, "router_id": at[n], **more.get(n, {})} for n, asn in asns.items()],
        "lans": [{"members": at}],
        "sessions": [{"id": f"s{i}", "a": ends.split()[0], "b": ends.split()[1], "a_opts": a, "b_opts": b}
                     for i, (ends, (a, b)) in enumerate(sessions.items())],
        "originate": [{"router": o, "prefix": P} if isinstance(o, str) else {"prefix": P} | o for o in originate],
        "steps": [{"name": "initial"}, *({"name": f"step {i}", "actions": s} for i, s in enumerate(steps or [], 1))],
    }  # fmt: skip


def withdraw(router: str) -> list[dict[str, Any]]:
    return [{"op": "withdraw", "router": router, "prefix": P}]


CLIENT: tuple[dict[str, Any], dict[str, Any]] = {"rr_client": True}, {}
PEERS: tuple[dict[str, Any], dict[str, Any]] = {}, {}

SHARED = {"cluster_id": "10.0.0.99"}
# n1 - rr1 - rr2 - n2, reflectors with one cluster id; in the second, rr2 is rr1's client, and has another, m
TWO_RRS = lan(dict.fromkeys(("n1", "n2", "rr1", "rr2"), 65001),
              {"rr1 n1": CLIENT, "rr1 rr2": PEERS, "rr2 n2": CLIENT}, ["n1"], rr1=SHARED, rr2=SHARED)
RR_OF_RR = lan(dict.fromkeys(("m", "n1", "n2", "rr1", "rr2"), 65001),
               {"rr1 n1": CLIENT, "rr1 rr2": CLIENT, "rr2 n2": CLIENT, "rr2 m": CLIENT}, ["m", "n1"],
               [withdraw("m"), withdraw("n1")], rr1=SHARED, rr2=SHARED)  # fmt: skip
# e and b and n share a LAN that no IGP knows of; rr reaches b and n over links, and not e
FAR = {
    "routers": [{"name": "e", "asn": 65002, "router_id": "10.0.0.1"}]
    + [{"name": n, "asn": 65001, "router_id": f"10.0.0.{i}"} for i, n in enumerate(("b", "n", "rr"), 2)],
    "lans": [{"members": {"e": "192.168.0.1", "b": "192.168.0.2", "n": "192.168.0.3"}}],
    "links": [{"a": "b", "b": "rr", "a_addr": "172.16.0.0", "b_addr": "172.16.0.1", "igp": True},
              {"a": "n", "b": "rr", "a_addr": "172.16.0.2", "b_addr": "172.16.0.3", "igp": True}],
    "sessions": [{"id": "e", "a": "e", "b": "b", "a_addr": "192.168.0.1", "b_addr": "192.168.0.2"},
                 *({"id": n, "a": "rr", "b": n, "a_addr": "10.0.0.4", "b_addr": f"10.0.0.{i}", "a_opts": CLIENT[0]}
                   for i, n in enumerate(("b", "n"), 2))],
    "originate": [{"router": "e", "prefix": P}],
}  # fmt: skip
# x - a, and a triangle a - b - d - a, with c behind b, who likes c best and then d
GHOST = lan(
    {"x": 65006, "a": 65001, "b": 65002, "d": 65004, "c": 65003},
    {"x a": PEERS, "a b": PEERS, "a d": PEERS,
     "d b": ({}, {"local_pref_in": 200}), "c b": ({}, {"local_pref_in": 300})},
    ["x", "c"], [withdraw("c"), withdraw("x"), [{"op": "router_down", "router": "d"}]])  # fmt: skip
TWO_LINKS = {
    "routers": [{"name": "a", "asn": 65001, "router_id": "10.0.0.1"},
                {"name": "b", "asn": 65002, "router_id": "10.0.0.2"}],
    "links": [{"a": "a", "b": "b", "a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1"} for i in (0, 1)],
    "sessions": [{"a": "a", "b": "b", "a_addr": f"172.16.{i}.0", "b_addr": f"172.16.{i}.1",
                  "a_opts": {"local_pref_in": 200}, "b_opts": {"as_override": True}} for i in (0, 1)],
    "originate": [{"router": "a", "prefix": P}],
}  # fmt: skip
ONE_AS = {"x": 65001, "y": 65001, "n": 65001, "tor": 65100}
NETWORKS: dict[tuple[str, str], dict[str, Any]] = {
    ("bird", "cluster-id-only-on-client-sessions"): TWO_RRS,
    ("bird", "no-cluster-loop-to-clients"): TWO_RRS,
    ("bird", "unresolvable-still-advertised"): FAR,
    ("bird", "third-party-only-between-direct-sessions"):
        lan({"e": 65002, "b": 65001, "n": 65001}, {"e b": PEERS, "b n": PEERS}, ["n"]),
    ("gobgp", "originator-id-not-compared"):
        lan(dict.fromkeys(("o1", "o2", "rr2", "rr1", "n"), 65001),
            {"rr1 o1": CLIENT, "rr2 o2": CLIENT, "rr1 n": CLIENT, "rr2 n": CLIENT}, ["o1", "o2"]),
    ("gobgp", "cluster-list-not-compared"):
        lan(dict.fromkeys(("o", "rr1", "rr2", "rr3", "n"), 65001),
            {"rr3 o": CLIENT, "rr2 o": CLIENT, "rr2 rr1": CLIENT, "rr1 n": CLIENT, "rr3 n": CLIENT}, ["o"]),
    ("gobgp", "reflection-attributes-to-clients-only"):
        lan(dict.fromkeys(("c", "n", "rr"), 65001), {"rr c": CLIENT, "rr n": PEERS}, ["c"]),
    ("gobgp", "sender-side-as-loop-check"):
        lan(ONE_AS, {f"tor {n}": ({}, {"allowas_in": 1}) for n in ("x", "y", "n")}, ["x"]),
    ("gobgp", "next-hops-not-looked-at"): FAR,
    ("gobgp", "no-third-party-next-hop"):
        lan({"n1": 65001, "n2": 65002, "tor": 65100}, {"tor n1": PEERS, "tor n2": PEERS}, ["n1"]),
    ("gobgp", "no-cluster-loop-to-clients"): RR_OF_RR,
    ("gobgp", "cluster-id-not-checked-on-receipt"): RR_OF_RR,
    ("gobgp", "own-route-after-local-pref"):
        lan({"a": 65001, "b": 65002}, {"a b": ({"local_pref_in": 200}, {})}, ["a", "b"]),
    ("gobgp", "filtered-without-withdrawal"): GHOST,
    ("gobgp", "split-horizon-by-router-id"): TWO_LINKS,
    ("gobgp", "well-known-communities-ignored"):
        lan({"a": 65001, "b": 65002, "c": 65003, "d": 65002}, {"a b": PEERS, "b c": PEERS, "b d": PEERS},
            [{"router": "a", "communities": ["no-export"]}]),
}  # fmt: skip


def network(profile: str, divergence: str) -> Scenario:
    """Return the network in which a divergence of a profile shows."""
    return replace(parse(NETWORKS[profile, divergence])[0], id=divergence)
