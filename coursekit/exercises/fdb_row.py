"""Mending a node that has lost rows of its FDB: the learner's rows go into the model, and all pairs of pods ping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import permutations
from typing import Any

from coursekit import views
from coursekit.cluster.iproute2 import parse_fdb
from coursekit.cluster.journey import ping
from coursekit.cluster.network import Network
from coursekit.cluster.path import Journey
from coursekit.cluster.tables import FdbEntry
from coursekit.errors import CourseError
from coursekit.exercises import reading
from coursekit.exercises.four_nodes import PODS, TUNNEL, FourNodes, four_nodes, spoken
from coursekit.exercises.judge import Judge, correct, not_yet
from coursekit.exercises.status import Finding, Judgement, Status, Unreadable
from coursekit.views.panel import Part
from coursekit.views.twin import View

ZERO, BROADCAST = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
_CASES = (("node1", ("node4",)), ("node3", ("node4", "node1")), ("node4", ("node2",)), ("node2", ("node4", "node3")))
_COMMAND = re.compile(r"(?:sudo\s+)?bridge\s+fdb\s+(add|append|replace|change)\s+", re.IGNORECASE)
_EXAMPLE = "02:00:5e:00:53:01 dev flannel.1 dst 192.0.2.1"


class WrongTable(Exception):  # noqa: N818
    """A line that is right for another table; its text is the id of the belief."""


class FdbRow(Judge):
    """Rows as `bridge fdb` prints them, or as the command that adds them."""

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return who has lost which rows, and the numbers that rows could be made of."""
        four = four_nodes(n)
        node, peers = _case(n)
        return {
            "node": spoken(node), "peers": " and ".join(map(spoken, peers)),
            "asker": spoken(_asks(n)[0]), "asked": spoken(_asks(n)[1]),
            "rows": "one row" if len(peers) == 1 else f"{len(peers)} rows",
            "gateways": " and ".join(str(four.vtep(peer)) for peer in peers),
            "answer": self.reference(n), **self._numbers(four, node, peers[0]),
        }  # fmt: skip

    @staticmethod
    def _numbers(four: FourNodes, node: str, peer: str) -> Mapping[str, Any]:
        other = next(name for name in PODS if name not in (node, peer))
        return {
            "mac": four.mac(peer, TUNNEL), "address": four.address(peer), "gateway": four.vtep(peer),
            "node_mac": four.mac(peer, "eth0"), "pod_mac": four.mac(PODS[peer], "eth0"), "pod_address": four.pod(peer),
            "other_address": four.address(other), "own_mac": four.mac(node, TUNNEL), "own_address": four.address(node),
            "block": four.cluster.node(peer).blocks[0],
        }  # fmt: skip

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return the node's tables and the list of nodes."""
        four, (node, _) = four_nodes(n), _case(n)
        own = broken(n).host(node).tables
        nodes = [[name, str(four.address(name)), four.mac(name, "eth0")] for name in PODS]
        fdb = [row for row in own.fdb if row.dst is not None]
        return (
            views.sheet(nodes, ("node", "address of eth0", "MAC of eth0"), "The nodes"),
            views.table([row for row in own.routes if row.dev == TUNNEL], f"ip route on {node}, rows of flannel.1"),
            views.table(own.neighbours, f"ip neigh show dev flannel.1 on {node}"),
            views.table(fdb, f"bridge fdb show dev flannel.1 on {node}"),
        )

    def judge(self, n: int, answer: Any) -> Judgement:
        """Put the rows into the model, and let every pod ping every other."""
        four, (node, _) = four_nodes(n), _case(n)
        try:
            rows = read(answer)
        except WrongTable as table:
            lost = _lost(n)[0]
            found = Finding(Status.NOT_YET, (str(table),), {"reason": _reason(lost[0])})
            return Judgement((found,), "", (_drawn(*lost),))
        decoded = " ".join(_decoded(four, row) for row in rows)
        mended = with_rows(broken(n), node, rows)
        failing = failures(mended, _asks(n)[0])
        wrong = [self._wrong(n, row) for row in rows]
        codes = list(dict.fromkeys(code for found in wrong for code in found))
        if not failing:
            return Judgement(self._cost(n, rows), decoded, (_way(mended, *_asks(n)),))
        journey, source, target = failing[0]
        values = {"source": source, "target": target, "reason": _reason(journey),
                  "direction": "the request" if journey.outcome.kind != "delivered" else "the reply"}  # fmt: skip
        still = "half-repair" if len(failing) < len(_lost(n)) else "not-delivered"
        findings = tuple(not_yet((code,), still, values) for code in codes[:2]) or (not_yet((), still, values),)
        return Judgement(findings, decoded, (_drawn(journey, source, target),))

    def reference(self, n: int) -> str:
        """Return the rows that were taken away."""
        four, (node, peers) = four_nodes(n), _case(n)
        whole = four.network.host(node).tables.fdb
        return "\n".join(str(row) for peer in peers for row in whole if row.dst == four.address(peer))

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return the journey of a ping, mended."""
        return (_way(with_rows(broken(n), _case(n)[0], read(self.reference(n))), *_asks(n)),)

    def _wrong(self, n: int, row: FdbEntry) -> list[str]:
        """Return the beliefs that a row's device, MAC and address show; none for a row of the whole network."""
        four, (node, peers) = four_nodes(n), _case(n)
        whole = four.network.host(node).tables.fdb
        if any((row.mac, row.dev, row.dst) == (right.mac, right.dev, right.dst) for right in whole):
            return []
        if row.dev != TUNNEL:
            return ["wrong-device"]
        vteps = {four.mac(other, TUNNEL): other for other in PODS}
        macs = {
            "node-mac": [four.mac(other, "eth0") for other in PODS], "broadcast": [BROADCAST],
            "pod-mac": [four.mac(pod, "eth0") for pod in PODS.values()], "own-mac": [four.mac(node, TUNNEL)],
            "bridge-mac": [four.mac(other, "cni0") for other in PODS],
        }  # fmt: skip
        outer: dict[str, list[Any]] = {
            "overlay-outside": [four.vtep(other) for other in PODS],
            "pod-outside": [four.pod(other) for other in PODS],
            "own-node": [four.address(node)], "router-outside": [four.cluster.segments[0].gateway],
        }
        found = [code for code, known in macs.items() if row.mac in known]
        if row.dst is None:
            return [*found, "no-destination"]
        found += [code for code, known in outer.items() if row.dst in known]
        nodes: dict[Any, str] = {four.address(other): other for other in PODS if other != node}
        if not found and row.dst in nodes:
            lives_on = [vteps[row.mac]] if row.mac in vteps else list(peers) if row.mac == ZERO else [nodes[row.dst]]
            found += [] if nodes[row.dst] in lives_on else ["other-node"]
        return found

    def _cost(self, n: int, rows: Iterable[FdbEntry]) -> tuple[Finding, ...]:
        """Return that all pairs reach each other, and what the rows do beyond that."""
        four, (node, peers) = four_nodes(n), _case(n)
        listed = list(rows)
        zero = next((row for row in listed if row.mac == ZERO), None)
        if zero is not None:
            return (Finding(Status.WORKS_BUT, ("all-zero",), {"dst": zero.dst}),)
        needed = {four.mac(peer, TUNNEL) for peer in peers}
        known = {row.mac for row in broken(n).host(node).tables.fdb}
        more = [row for row in listed if row.mac not in needed | known]
        if more:
            return (Finding(Status.WORKS_BUT, ("superfluous",), {"row": more[0]}),)
        return (correct(),)


def _asks(n: int) -> tuple[str, str]:
    """Return the pod that hears nothing, and the one it pings; in every fourth variant it is the reply that dies."""
    node, peers = _case(n)
    return (PODS[peers[0]], PODS[node]) if n % len(_CASES) == 3 else (PODS[node], PODS[peers[0]])


def _case(n: int) -> tuple[str, tuple[str, ...]]:
    return _CASES[(n - 1) % len(_CASES)]


@cache
def broken(n: int) -> Network:
    """Return the network of a variant: a node has lost its FDB rows for its peers."""
    four, (node, peers) = four_nodes(n), _case(n)
    gone = {four.address(peer) for peer in peers}
    rows = four.network.host(node).tables.fdb
    return four.network.change(node, {"fdb": tuple(row for row in rows if row.dst not in gone)})


def with_rows(network: Network, node: str, rows: Iterable[FdbEntry]) -> Network:
    """Return the network with rows added on a node; a row takes the place of one for the same MAC."""
    new = {(row.mac, row.dev): row for row in rows}
    kept = [row for row in network.host(node).tables.fdb if (row.mac, row.dev) not in new]
    return network.change(node, {"fdb": (*kept, *new.values())})


def failures(network: Network, first: str) -> list[tuple[Journey, str, str]]:
    """Return the journey of each ping from pod to pod that is not answered; of those that one pod sends first."""
    found = []
    for source, target in permutations(PODS.values(), 2):
        journey = ping(network, source, target)
        if not journey.answered:
            found.append((journey, source, target))
    return sorted(found, key=lambda lost: lost[1] != first)


@cache
def _lost(n: int) -> list[tuple[Journey, str, str]]:
    """Return what fails before anything is mended."""
    return failures(broken(n), _asks(n)[0])


def read(answer: Any) -> tuple[FdbEntry, ...]:
    """Return the rows that were typed. WrongTable for another table's line, Unreadable for what is none."""
    if isinstance(answer, FdbEntry):
        answer = [answer]
    if isinstance(answer, list | tuple) and answer and all(isinstance(row, FdbEntry) for row in answer):
        return tuple(answer)
    lines = [line.strip() for line in reading.text(answer, _EXAMPLE).splitlines() if line.strip()]
    return tuple(_row(line) for line in lines)


def _row(line: str) -> FdbEntry:
    typed = line.lstrip("$# ")
    words = _in_order(_COMMAND.sub("", typed).strip())
    stray = next((word for word in ("lladdr", "via") if f" {word} " in f" {words} "), "")
    if stray and _COMMAND.match(typed):
        raise Unreadable(f"`bridge fdb` takes no {stray!r} in front of an address: the node's address stands behind "
                         f"`dst`, as in {_EXAMPLE!r}.")  # fmt: skip
    if re.match(r"(?:sudo\s+)?ip\s+(-\d\s+)?n\w*\s", words) or " lladdr " in f" {words} ":
        raise WrongTable("neighbour-row")
    if re.match(r"(?:sudo\s+)?ip\s+(-\d\s+)?r\w*\s", words) or " via " in f" {words} ":
        raise WrongTable("route-row")
    if re.match(r"(?:sudo\s+)?bridge\s+fdb\s+del", words):
        raise Unreadable(f"A row is missing, so one has to be added. Write it as in {_EXAMPLE!r}.")
    first, _, rest = words.partition(" ")
    if re.fullmatch(r"[\d.]+(/\d+)?", first):
        raise WrongTable("asks-for-an-address")
    try:
        row = parse_fdb(f"{reading.mac(first)} {rest}")[0]
    except CourseError as error:
        raise Unreadable(str(error)) from None
    unknown = row.extra.get("words")
    if unknown:
        raise Unreadable(f"{unknown[0][1].strip()!r} is no word of a row. Write it as `bridge fdb` prints it, as in "
                         f"{_EXAMPLE!r}.")  # fmt: skip
    if not row.dev and _COMMAND.match(typed):
        raise Unreadable(f"`bridge fdb` wants a device: write `dev {TUNNEL}` too, as in {_EXAMPLE!r}.")
    return row if row.dev else FdbEntry(row.mac, TUNNEL, row.dst, flags=row.flags, state=row.state)


def _in_order(words: str) -> str:
    """Return a row with its MAC in front, as `bridge fdb` prints it; the command takes its words in any order."""
    parts = words.split()
    mac = next((part for part in parts if re.fullmatch(r"([\da-fA-F]{1,2}:){5}[\da-fA-F]{1,2}", part)), "")
    if not mac or parts[0] not in ("dev", "dst", "to", "self", "permanent", "static"):
        return words
    return " ".join([mac, *(part for part in parts if part not in (mac, "to"))])


def _decoded(four: FourNodes, row: FdbEntry) -> str:
    to = f"in an envelope to {row.dst}, {four.owner(row.dst)}" if row.dst is not None else "without an envelope"  # type: ignore[arg-type]
    return f"Your row says: a frame for {row.mac}, {four.owner(row.mac)}, leaves {row.dev} {to}."


def _reason(journey: Journey) -> str:
    return journey.round_trip.reason


def _drawn(journey: Journey, source: str, target: str) -> View:
    """Return the journey to the place where it dies: the reply's, if the request arrives."""
    if journey.outcome.kind == "delivered" and journey.reply is not None:
        return views.journey(journey.reply, f"computed with your answer: the reply of {target} to {source}")
    return views.journey(journey, f"computed with your answer: the ping from {source} to {target}")


def _way(network: Network, source: str, target: str) -> View:
    return views.journey(ping(network, source, target), f"computed with the row: the ping from {source} to {target}")
