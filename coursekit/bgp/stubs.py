"""Stubs: routers from which no neighbour learns what they heard.

A *silent* stub sends nothing of what it hears: it has one session, or only iBGP peers that are no clients of it, or by
its roles only providers and peers (RFC 9234). An *unheard* stub sends, but in vain: all its neighbours are of one other
AS, which stands in every AS_PATH that it hears, so that they refuse what it says. A leaf below spines of one AS is such
a router. A stub of either kind changes the tables of others only by what it originates itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from coursekit.bgp.profiles import Profile
from coursekit.bgp.scenario import Scenario, Session
from coursekit.bgp.session import ONLY_DOWN


class Stubs(NamedTuple):
    """The stubs of a network; everybody else is active."""

    silent: frozenset[str]
    unheard: frozenset[str]


def find(scenario: Scenario, sessions: Mapping[str, list[Session]], profile: Profile, busy: Collection[str]) -> Stubs:
    """Return the stubs of a network; `busy` are routers to which something happens, and which are none for that.

    A router on an IGP is none either: the packets of others, and so their sessions, may cross it.
    """
    asn = {router.name: router.asn for router in scenario.routers}
    never = {*busy, *_entangled(scenario)}
    inside, external, talks = set[str](), set[str](), set[str]()
    for _, a, b, _, _, a_opts, b_opts in scenario.sessions:
        kind = inside if asn[a] == asn[b] else external
        kind.add(a)
        kind.add(b)
        if a_opts.rr_client or (kind is external and a_opts.role not in ONLY_DOWN):
            talks.add(a)
        if b_opts.rr_client or (kind is external and b_opts.role not in ONLY_DOWN):
            talks.add(b)
    most = 0 if profile.has("echo") else 1  # sessions of those who have nobody else to tell
    talks |= inside & external
    silent = {name for name in asn if name not in never and (len(sessions[name]) <= most or name not in talks)}
    unheard = {name for name in external - silent - never if _in_vain(name, sessions[name], asn)}
    return Stubs(frozenset(silent), frozenset(unheard))


def _in_vain(name: str, sessions: list[Session], asn: Mapping[str, int]) -> bool:
    """Return whether every neighbour refuses whatever this router heard from any of them."""
    peers = {asn[session.b if session.a == name else session.a] for session in sessions}
    if len(peers) > 1 or asn[name] in peers:
        return False
    return not any(mine.as_override or theirs.allowas_in for _, a, _, _, _, a_opts, b_opts in sessions
                   for mine, theirs in [(a_opts, b_opts) if a == name else (b_opts, a_opts)])  # fmt: skip


def _entangled(scenario: Scenario) -> set[str]:
    """Return the routers on an IGP, and those on a subnet in which an address lies that is not one of its members'."""
    out = {name for subnet in scenario.subnets if subnet.igp for name in subnet.members}
    given = {address for subnet in scenario.subnets for address in subnet.members.values()}
    spans = [(int(subnet.network[0]), int(subnet.network[-1]), {*subnet.members}) for subnet in scenario.subnets]
    spans += [(at, at, {router.name}) for router in scenario.routers if router.router_id not in given
              for at in [int(ip_address(router.router_id))]]  # fmt: skip
    spans.sort(key=lambda span: span[:2])
    reach, widest = -1, set[str]()
    for low, high, members in spans:
        if low <= reach:
            out |= members | widest
        if high > reach:
            reach, widest = high, members
    return out
