"""Four pings that hear nothing, for four reasons: what each capture point saw tells which table to mend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from coursekit.cluster.datagram import Datagram
from coursekit.cluster.faults import apply, fault
from coursekit.cluster.journey import ping
from coursekit.cluster.path import Journey
from coursekit.exercises import reading
from coursekit.exercises.four_nodes import PODS, four_nodes, spoken
from coursekit.exercises.judge import Judge, correct, draw, not_yet
from coursekit.exercises.status import Judgement
from coursekit.packets.encapsulation import ip_part
from coursekit.views.panel import Part
from coursekit.views.sheet import Sheet

FDB, NEIGHBOUR, VNI, PORT = "missing-fdb", "missing-neighbour", "wrong-vni", "wrong-port"
OTHERS = ("pod-down", "missing-route", "mtu", "firewall")
_NAMES = ("a", "b", "c", "d")
_PAIRS = (("node3", "node1"), ("node4", "node2"), ("node2", "node4"), ("node1", "node3"))
_MEANS = {
    FDB: ("fdb", "bridge fdb", "no fdb", "missing fdb row", "forwarding database", "fdb entry missing", "mac table"),
    NEIGHBOUR: ("neighbour", "neighbor", "missing-neighbor", "neigh", "ip neigh", "arp", "missing arp", "arp table",
                "neighbour table", "missing neighbour row"),
    VNI: ("vni", "vni mismatch", "wrong vxlan id", "different vni"),
    PORT: ("port", "udp port", "port mismatch", "wrong udp port", "different port"),
    "pod-down": ("pod b is down", "pod down", "the pod is down", "target down", "pod"),
    "missing-route": ("route", "no route", "ip route"),
    "mtu": ("wrong mtu", "too big", "fragmentation"),
    "firewall": ("filtered", "iptables", "network policy", "networkpolicy"),
}  # fmt: skip
_SENDER, _RECEIVER = (FDB, NEIGHBOUR), (VNI, PORT)


@cache
def _cases(n: int) -> tuple[tuple[str, Journey], ...]:
    """Return the fault of each case with the journey of one ping under it, waiting one second."""
    rng = draw("silent", n)
    source, target = _pair(n)
    four = four_nodes(n)
    faults = [
        fault(FDB, node=source, peer=target), fault(NEIGHBOUR, node=source, peer=target),
        fault(VNI, node=target, vni=rng.randrange(2, 4000)), fault(PORT, node=target),
    ]  # fmt: skip
    rng.shuffle(faults)
    return tuple((each.name, ping(apply(four.network, each), PODS[source], PODS[target], wait=1.0)) for each in faults)


def _pair(n: int) -> tuple[str, str]:
    return _PAIRS[(n - 1) % len(_PAIRS)]


def observed(n: int, journey: Journey) -> list[str]:
    """Return what captures show of a ping: echo requests at each point, ARP, and ICMP errors at the sender's eth0."""
    source, target = _pair(n)
    points = [f"{PODS[source]}:eth0", f"{source}:cni0", f"{source}:flannel.1", f"{source}:eth0", f"{target}:eth0",
              f"{target}:flannel.1", f"{PODS[target]}:eth0"]  # fmt: skip
    passed = list(journey.points())
    asks = [stop for stop in journey.stops if stop.action == "asks" and stop.device == "flannel.1"]
    told = [stop for stop in journey.all_stops() if stop.point == f"{source}:eth0" and stop.frame
            and Datagram(ip_part(stop.frame)).is_icmp_error]  # fmt: skip
    return [*(str(min(1, passed.count(point))) for point in points), str(len(asks)), str(len(told))]


class SilentFaults(Judge):
    """A fault for each of four cases; the model breaks the network and says what each capture point saw."""

    def names(self, n: int) -> tuple[str, ...]:
        """Return the four cases' letters."""
        return _NAMES

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return who pings whom, and which case is which."""
        source, target = _pair(n)
        return {
            "source": spoken(source), "target": spoken(target),
            "pod": spoken(PODS[source]), "other": spoken(PODS[target]),
            **{f"fault_{name}": found for name, (found, _) in zip(_NAMES, _cases(n), strict=True)},
            **{found.partition("-")[2]: name for name, (found, _) in zip(_NAMES, _cases(n), strict=True)},
        }

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return how many frames each capture point saw."""
        source, target = _pair(n)
        heads = [f"ping at {PODS[source]}:eth0", f"ping at {source}:cni0", f"ping at {source}:flannel.1",
                 f"ping at {source}:eth0, wrapped", f"ping at {target}:eth0, wrapped", f"ping at {target}:flannel.1",
                 f"ping at {PODS[target]}:eth0", f"ARP question at {source}:flannel.1",
                 f"ICMP error at {source}:eth0"]  # fmt: skip
        seen = [observed(n, journey) for _, journey in _cases(n)]
        rows = [[head, *(case[i] for case in seen)] for i, head in enumerate(heads)]
        return (Sheet(rows, ("frames seen", *_NAMES), "What captures show in each case, computed"),)

    def judge(self, n: int, answer: Any) -> Judgement:
        """Judge a fault for each case."""
        findings, said = [], []
        for name, (right, journey) in zip(_NAMES, _cases(n), strict=True):
            word = reading.word(answer[name], _MEANS)
            said.append(f"{name} {word}")
            values = {"part": name, "given": word, "last": journey.outcome.last_seen, "reason": journey.outcome.reason}
            if word == right:
                findings.append(correct(f"{word}-right", **values))
                continue
            findings.append(not_yet((_belief(right, word),), "", values))
        return Judgement(tuple(findings), f"You say: {', '.join(said)}.")  # a journey would name the fault

    def reference(self, n: int) -> Mapping[str, str]:
        """Return the faults that the model was given."""
        return {name: found for name, (found, _) in zip(_NAMES, _cases(n), strict=True)}

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return where each ping ended, and why."""
        rows = [[name, found, journey.outcome.last_seen, journey.outcome.reason]
                for name, (found, journey) in zip(_NAMES, _cases(n), strict=True)]  # fmt: skip
        return (Sheet(rows, ("case", "fault", "last seen at", "why it ended there"), "computed by the model"),)


def _belief(right: str, said: str) -> str:
    """Return the belief of who takes one fault for another."""
    if said in OTHERS:
        return f"blames-{said}"
    if {right, said} == {FDB, NEIGHBOUR}:
        return "arp-is-fdb" if said == FDB else "fdb-is-arp"
    if {right, said} == {VNI, PORT}:
        return "silence-is-silence" if said == VNI else "every-receiver-complains"
    return "never-left" if right in _SENDER else "had-left"
