"""Filling the chain of look-ups for a new node: gateway, inner MAC, outer address, with one stale row in the way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Address
from typing import Any

from coursekit import views
from coursekit.cluster.journey import ping
from coursekit.cluster.lookup import lookup, lookup_fdb
from coursekit.cluster.network import Network
from coursekit.cluster.path import Decision, Journey
from coursekit.cluster.tables import FdbEntry, Neighbour
from coursekit.exercises import reading
from coursekit.exercises.four_nodes import TUNNEL, FourNodes, four_nodes
from coursekit.exercises.judge import Judge, beliefs_of, correct, draw, not_yet
from coursekit.exercises.status import Judgement
from coursekit.views.panel import Part

_FROM, _TO, _POD = "node1", "node4", "podD"
_PARTS = {"gateway": "route", "mac": "neigh", "outer": "fdb"}


@cache
def _stale(n: int) -> FdbEntry:
    """Return the row of an earlier flannel.1 of node 4: another MAC that looks alike, and an address of nobody."""
    four, rng = four_nodes(n), draw("stale row", n)
    mac = four.mac(_TO, TUNNEL)
    other = f"{mac[:-2]}{(int(mac[-2:], 16) + 7) % 256:02x}"
    free = [i for i in range(31, 240) if IPv4Address(f"192.168.1.{i}") != four.address(_TO)]
    return FdbEntry(other, TUNNEL, IPv4Address(f"192.168.1.{rng.choice(free)}"), flags=("self",), state="permanent")


@cache
def _network(n: int) -> Network:
    """Return the network with the stale row, and with what node 1 has learned on eth0."""
    four, rng = four_nodes(n), draw("order", n)
    own = four.network.host(_FROM).tables
    fdb = [*own.fdb, _stale(n)]
    learned = [Neighbour(four.address(node), "eth0", four.mac(node, "eth0")) for node in ("node4", "node2", "node3")]
    neighbours = [*own.neighbours, *learned]
    rng.shuffle(fdb)
    rng.shuffle(neighbours)
    return four.network.change(_FROM, {"fdb": tuple(fdb), "neighbours": tuple(neighbours)})


@cache
def _journey(n: int) -> Journey:
    return ping(_network(n), "podA", _POD)


def _decision(n: int, table: str) -> Decision:
    stop = next(stop for stop in _journey(n).stops if stop.action == "encapsulates")
    return next(decision for decision in stop.decisions if decision.table == table)


class Chain(Judge):
    """Three values, each from the row that answered the look-up when the model sent the packet."""

    def names(self, n: int) -> tuple[str, ...]:
        """Return gateway, mac and outer."""
        return tuple(_PARTS)

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return the right values, and those that tempt."""
        four = four_nodes(n)
        node_mac, pod_mac = four.mac(_TO, "eth0"), four.mac(_POD, "eth0")
        return {
            **self._right(n), "pod": four.pod(_TO), "block": four.cluster.node(_TO).blocks[0],
            "node": four.address(_TO), "node_mac": node_mac, "pod_mac": pod_mac, "stale_mac": _stale(n).mac,
            "stale_outer": _stale(n).dst, "bridge": four.vtep(_TO) + 1,
        }

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return Node 1's three tables."""
        own = _network(n).host(_FROM).tables
        fdb = [row for row in own.fdb if row.dst is not None]
        return (
            views.table(own.routes, "ip route on Node 1"), views.table(own.neighbours, "ip neigh on Node 1"),
            views.table(fdb, "bridge fdb show dev flannel.1 on Node 1"),
        )

    def judge(self, n: int, answer: Any) -> Judgement:
        """Judge three addresses, each by the row that the model used."""
        four, right = four_nodes(n), self._right(n)
        given: dict[str, Any] = {"gateway": reading.address(answer["gateway"]), "mac": reading.mac(answer["mac"]),
                 "outer": reading.address(answer["outer"])}  # fmt: skip
        decoded = "; ".join(f"{name} {value} is {four.owner(value)}" for name, value in given.items()) + "."
        findings = []
        for name, value in given.items():
            values = {"part": name, "given": value, "owner": four.owner(value)}
            if value == right[name]:
                findings.append(correct(f"{name}-right", **values))
            else:
                codes = beliefs_of(value, self._rivals(four, n)[name], right[name])
                findings.append(not_yet(codes, f"{name}-other", values))
        return Judgement(tuple(findings), decoded, self._evidence(n, given, right))

    def reference(self, n: int) -> Mapping[str, str]:
        """Return what the rows say."""
        return {name: str(value) for name, value in self._right(n).items()}

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return the whole chain."""
        return (views.chain(_journey(n), f"computed: what node1 looks up for {four_nodes(n).pod(_TO)}"),)

    @staticmethod
    def _right(n: int) -> dict[str, Any]:
        rows = {name: _decision(n, table).row for name, table in _PARTS.items()}
        return {"gateway": rows["gateway"].via, "mac": rows["mac"].lladdr, "outer": rows["outer"].dst}  # type: ignore[union-attr]

    @staticmethod
    def _rivals(four: FourNodes, n: int) -> Mapping[str, Mapping[str, Any]]:
        """Return, for each value asked for, what each belief gives."""
        others = ("node2", "node3")
        return {
            "gateway": {
                "node-as-gateway": four.address(_TO), "pod-as-gateway": four.pod(_TO),
                "bridge-as-gateway": four.vtep(_TO) + 1, "default-gateway": IPv4Address("192.168.1.1"),
                "pods-own-gateway": four.vtep(_FROM) + 1, "own-vtep": four.vtep(_FROM),
                "other-node": tuple(four.vtep(node) for node in others),
            },
            "mac": {
                "node-mac": tuple(four.mac(node, "eth0") for node in (_TO, _FROM, *others)),
                "pod-mac": tuple(four.mac(pod, "eth0") for pod in (_POD, "podA")), "stale-mac": _stale(n).mac,
                "own-mac": four.mac(_FROM, TUNNEL), "broadcast": "ff:ff:ff:ff:ff:ff",
                "bridge-mac": four.mac(_TO, "cni0"), "first-hop-mac": four.mac(_FROM, "cni0"),
                "other-node": tuple(four.mac(node, TUNNEL) for node in others),
            },
            "outer": {
                "gateway-outside": four.vtep(_TO), "pod-outside": four.pod(_TO), "stale-outer": _stale(n).dst,
                "router-outside": IPv4Address("192.168.1.1"), "own-address": four.address(_FROM),
                "other-node": tuple(four.address(node) for node in others),
            },
        }

    @staticmethod
    def _evidence(n: int, given: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[Part, ...]:
        """Return the chain, or where the first wrong value would lead: the learner's own value, looked up."""
        own = _network(n).host(_FROM).tables
        if given == right:
            return (views.chain(_journey(n), "computed: the same chain, as the packet went"),)
        if given["gateway"] == right["gateway"] and given["mac"] != right["mac"]:
            rows = [row for row in own.fdb if row.dst is not None]
            return (views.table(rows, "Your MAC in the FDB", lookup=lookup_fdb(rows, given["mac"], TUNNEL)),)
        wrong = "outer" if given["gateway"] == right["gateway"] else "gateway"
        found = lookup(own.routes, given[wrong])
        return (views.table(own.routes, f"Your {wrong} address in the routes", lookup=found),)
