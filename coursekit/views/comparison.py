"""The usual comparison tables, one aspect each, with every cell worked out from the modes' own tables and packets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from coursekit.cluster.choice import QUESTIONS, SEPARATOR, UNDOCUMENTED, Choice, choose, documented
from coursekit.cluster.firewall import BGP_PORT, Allow
from coursekit.cluster.model import Cluster
from coursekit.cluster.modes import COMPUTED, MODES, Trial, trial
from coursekit.cluster.path import Journey
from coursekit.cluster.watch import watch
from coursekit.errors import CourseError, expect, few
from coursekit.packets.goodput import goodput
from coursekit.views.sheet import Sheet

Row = list[Any]
_SIGNS = {"out": "✗", "first": "✓ if", "works": "✓"}


def comparison(aspect: str, cluster: Cluster | str = "two-racks", title: str = "") -> Sheet:
    """Return the table of one of ASPECTS for all modes; CourseError, listing them, for another."""
    if aspect not in ASPECTS:
        raise CourseError(f"There is no aspect {aspect!r} to compare by; there are {', '.join(ASPECTS)}.")
    head, row = ASPECTS[aspect]
    tried = [trial(name, cluster) for name in MODES]
    shown = [[one.mode.name, *row(one)] for one in tried]
    kind = "documented" if aspect == "clouds" else f"{COMPUTED}, {tried[0].cluster.title or tried[0].cluster.name}"
    notes = list(dict.fromkeys(_conditions())) if aspect == "clouds" else []
    return Sheet(shown, ("mode", *head), title or f"{kind}: {aspect}", notes=notes)


def watched(journeys: Mapping[str, Journey], filters: Iterable[str] | str, hosts: Iterable[str] | str | None = None,
            title: str = "") -> Sheet:  # fmt: skip
    """Return how many frames each filter shows at each device of `hosts` (None: of all), for journeys by name."""
    expect(journeys, Mapping, "Journeys are given by name, such as {'host-gw': ping(network, 'podA', 'podB')}")
    wanted = [filters] if isinstance(filters, str) else list(filters)
    seen = {name: watch(journey, wanted) for name, journey in journeys.items()}
    there = dict.fromkeys(point.partition(":")[0] for points in seen.values() for point in points)
    only = there if hosts is None else [hosts] if isinstance(hosts, str) else list(hosts)
    if strangers := [host for host in only if host not in there]:
        raise CourseError(f"No packet passes {few(strangers)}; the hosts on the way are {few(there)}.")
    rows = [
        [f"{name}, {point}", *(shown[bpf] or "" for bpf in wanted)]
        for name, points in seen.items()
        for point, shown in points.items()
        if point.partition(":")[0] in only
    ]
    return Sheet(rows, ("capture point", *wanted), title or "computed: frames that each filter shows")


def _firewall(tried: Trial) -> Row:
    needed = tried.needs
    return [", ".join(rule.name for rule in needed), "yes" if any(rule.pods for rule in needed) else "no"]


def _setup(tried: Trial) -> Row:
    cluster, first = tried.cluster, tried.cluster.nodes[0]
    node, blocks = tried.tables[first.name], {block for other in cluster.nodes[1:] for block in other.blocks}
    device = cluster.profile.device
    tunnel = sum(n.dev == device for n in node.neighbours) + sum(e.dev == device for e in node.fdb)
    routes = sum(row.dst in blocks for row in node.routes)
    return [routes, tunnel, device or "", len(tried.router_rows),
            _sessions(tried.needs)]  # fmt: skip


def _clouds(tried: Trial) -> Row:
    return [_tick(choose(cloud=cloud), tried.mode.name) for cloud in _named_clouds()]


def _named_clouds() -> tuple[str, ...]:
    return QUESTIONS["cloud"].answers[1:]


def _tick(chosen: Choice, name: str) -> str:
    """Return what the sources say: without one there is no tick."""
    verdict = chosen[name]
    if any(reason.evidence == UNDOCUMENTED for reason in verdict.first):
        return UNDOCUMENTED
    return "✗" if verdict.out else "✓ if …" if verdict.first else "✓"


def _conditions() -> Iterator[str]:
    """Yield once what each source says, with the clouds' names: refusals, or else conditions and that it works."""
    for cloud in _named_clouds():
        for verdict in choose(cloud=cloud).verdicts:
            for reason in verdict.out or (*verdict.first, *verdict.works):
                if reason.evidence != UNDOCUMENTED:
                    yield f"{cloud} {_SIGNS[reason.effect]}: {reason.sentence} ({_short(reason.source)})"
    data = documented()
    for own in data["own"]:
        yield f"{own['cloud']} itself: {own['sentence']} ({_short(data['sources'][own['source']])})"


def _short(source: str) -> str:
    """Return who says it and when: "tigera/docs, faq.mdx, 2026-08-21"; several are joined."""
    shown = []
    for one in source.split(SEPARATOR):
        dates = re.findall(r"\d{4}-\d\d-\d\d", one)
        shown.append(f"{one.split()[0]}, {one.rpartition('/')[2]}, {dates[-1]}")
    return SEPARATOR.join(shown)


def _everything(tried: Trial) -> Row:
    others = tried.cluster.nodes[1:]
    carried = dict.fromkeys(tried.carried(node.name) for node in others)
    lost = tried.failed
    share = "" if lost else f"{100 * goodput(tried.cluster.profile.encapsulation, mtu=_mtu(tried)).share:.1f} %"
    ipv6 = "no" if choose(pods_ipv6="yes")[tried.mode.name].out else "yes"
    needed = tried.needs
    return [
        " / ".join(carried), tried.lost_mtu, share, f"lost at {_host(lost)}" if lost else "yes",
        [rule.name + (" of pods" if rule.pods else "") for rule in needed], _plain_at(tried), _sessions(needed),
        "yes" if tried.router_rows else "no", ipv6,
    ]  # fmt: skip


def _host(lost: Journey) -> str:
    return lost.round_trip.last_seen.partition(":")[0]


def _plain_at(tried: Trial) -> list[str]:
    """Return where the first node shows tcpdump a pod's packet without an envelope, of its ways to other nodes."""
    bpf, first = f"net {tried.cluster.pod_network}", tried.cluster.nodes[0].name
    seen = [watch(journey, [bpf]) for journey in tried.journeys.values()]
    devices = [device for device in (tried.cluster.profile.device, "eth0") if device]
    return [dev for dev in devices if any(at.get(f"{first}:{dev}", {}).get(bpf) for at in seen)]


def _sessions(needed: Iterable[Allow]) -> int | str:
    return sum(len(rule.pairs) // 2 for rule in needed if rule.port == BGP_PORT) or ""


def _mtu(tried: Trial) -> int:
    first = tried.cluster.nodes[0]
    return first.mtu or tried.cluster.segment_of(first).mtu


ASPECTS: Mapping[str, tuple[tuple[str, ...], Callable[[Trial], Row]]] = {
    "what a firewall must pass": (("protocol and port", "pods' addresses between nodes?"), _firewall),
    "what has to be set up": (
        ("routes on a node", "neighbour and FDB rows", "device", "routes on routers", "BGP sessions"), _setup,
    ),
    "clouds": (_named_clouds(), _clouds),
    "everything": (
        ("carried", "less MTU", "goodput", "reaches every node", "firewalls pass", "plain for tcpdump at",
         "BGP sessions", "router knows pods", "IPv6 pods"), _everything,
    ),
}  # fmt: skip
