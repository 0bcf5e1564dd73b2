"""Runs at the size of a large cluster: routers that nothing tells apart share one table and one message.

Daemons do the same on a small scale and call it update groups. Three facts make it exact. Prefixes do not influence
each other. A router that never passes on what it hears (a client of reflectors, a member of a mesh, a stub) can be left
out without anybody noticing. And of such routers with the same sessions, options and subnets, one stands for all, but
for those that originate the prefix or that something happens to: they are split off. What is left of the network is
small, and the plain engine runs it. Runs that differ only in names, and in which no comparison of ids can fall
differently, are done once.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coursekit.bgp.decision import NOTHING, Decision
from coursekit.bgp.igp import Subnet
from coursekit.bgp.profiles import profile
from coursekit.bgp.route import address_key
from coursekit.bgp.scenario import Origination, Router, Scenario, Session, act
from coursekit.bgp.session import Options
from coursekit.bgp.simulation import Message, Simulation
from coursekit.errors import CourseError

Action = Mapping[str, Any]


@dataclass(frozen=True)
class Totals:
    """What one step cost the whole network."""

    updates: int
    sessions: int  # Established afterwards
    converged: bool


class GroupedNetwork:
    """A scenario run by groups; `steps` are lists of actions, the first usually empty, each run until it is quiet."""

    def __init__(self, scenario: Scenario, steps: Sequence[Sequence[Action]] = ((),),
                 profile_name: str = "rfc") -> None:  # fmt: skip
        self.scenario, self.steps, self.profile = scenario, steps, profile_name
        self._routers = {router.name: router for router in scenario.routers}
        self._sessions: dict[str, list[Session]] = {name: [] for name in self._routers}
        for session in scenario.sessions:
            self._sessions[session.a].append(session)
            self._sessions[session.b].append(session)
        self._order = {session.id: place for place, session in enumerate(scenario.sessions)}
        self._subnets: dict[str, list[int]] = {name: [] for name in self._routers}
        for place, subnet in enumerate(scenario.subnets):
            for name in subnet.members:
                self._subnets[name].append(place)
        self.touched = self._touched()
        self.groups = self._group()
        self._group_of = {name: place for place, names in enumerate(self.groups) for name in names}
        self._alone = [name for name in self._routers if name not in self._group_of]
        # Ids that an originator's can be compared with. What only a stub hears decides nothing.
        self._ids = sorted({address_key(self._routers[name].router_id) for name in self._alone} | {
            address_key(address) for name in self._alone for session in self._sessions[name]
            for address, other in [(session.a_addr, session.b) if session.a == name else (session.b_addr, session.a)]
            if not (other in self._group_of and len(self._sessions[other]) == 1)})  # fmt: skip
        self._by_prefix: dict[str, list[Origination]] = {}
        for origination in scenario.originate:
            self._by_prefix.setdefault(origination.prefix, []).append(origination)

    # ---- who is like whom ------------------------------------------------------------------------------------------

    def _touched(self) -> set[str]:
        """Return the routers that some action names, or whose session or link it names."""
        ends = {session.id: {session.a, session.b} for session in self.scenario.sessions} if any(
            "session" in action for actions in self.steps for action in actions) else {}  # fmt: skip
        links = {subnet.name: subnet for subnet in self.scenario.subnets}
        out: set[str] = set()
        for action in (action for actions in self.steps for action in actions):
            if "router" in action:
                out.add(action["router"])
            if "session" in action:
                out |= ends[action["session"]]
            if "link" in action:
                if links[action["link"]].lan:
                    raise CourseError(f"LAN {action['link']} carries whole groups: let it fail in the plain simulator.")
                out |= set(links[action["link"]].members)
        return out

    def _addresses(self, name: str) -> set[str]:
        return {session.a_addr if session.a == name else session.b_addr for session in self._sessions[name]}

    def _silent(self, router: Router) -> bool:
        """Return whether a router never passes on what it hears, however its network fares."""
        sessions = self._sessions[router.name]
        if len(sessions) == 1:
            return not profile(self.profile).has("echo")
        return all(self._routers[session.a].asn == self._routers[session.b].asn
                   and not (session.a_opts if session.a == router.name else session.b_opts).rr_client
                   for session in sessions)  # fmt: skip

    def _group(self) -> list[list[str]]:
        """Return groups of at least two silent routers that have all in common but their names."""
        clusters = {router.cluster_id for router in self.scenario.routers if router.cluster_id != router.router_id}
        members = Counter(router.asn for router in self.scenario.routers)
        likes: dict[object, list[str]] = {}
        numbers: dict[int, int] = {}
        known: dict[Options, int] = {}

        def number(options: Options) -> int:
            """Return a number for options: cheaper to hash, and most sessions share the object."""
            if id(options) not in numbers:
                numbers[id(options)] = known.setdefault(options, len(known))
            return numbers[id(options)]

        for router in self.scenario.routers:
            name = router.name
            subnets = [self.scenario.subnets[place] for place in self._subnets[name]]
            if (name in self.touched or router.cluster_id != router.router_id or router.router_id in clusters
                    or any(subnet.igp for subnet in subnets) or not self._silent(router)):  # fmt: skip
                continue
            sessions = self._sessions[name]
            # An AS that is one router's alone stands in no path but those of its own prefixes.
            fixed = (router.asn if members[router.asn] > 1 else "its own", router.max_paths, len(sessions) == 1,
                     frozenset(s.name if s.lan else (*(set(s.members) - {name}),) for s in subnets))  # fmt: skip
            alone = len(sessions) == 1
            peers, own_address = set[tuple[str, int, int, str]](), set[str]()
            for _, a, b, a_addr, b_addr, a_opts, b_opts in sessions:
                if a == name:
                    peers.add((b, number(a_opts), number(b_opts), "" if alone else b_addr))
                    own_address.add(a_addr)
                else:
                    peers.add((a, number(b_opts), number(a_opts), "" if alone else a_addr))
                    own_address.add(b_addr)
            if len({peer[0] for peer in peers}) < len(sessions):
                continue  # parallel sessions
            if len(sessions) > 1 and own_address != {router.router_id}:
                continue  # an address per session could decide a tie
            # Those who peer with the same others; or, as in a mesh, with the same others and with each other.
            likes.setdefault((fixed, frozenset(peers)), []).append(name)
            for options in {peer[1] for peer in peers if peer[1] == peer[2]} if len(sessions) > 1 else ():
                closed = frozenset(peers | {(name, options, options, router.router_id)})
                likes.setdefault((fixed, closed), []).append(name)
        groups, taken = [], set[str]()
        for names in sorted(likes.values(), key=len, reverse=True):
            left = [name for name in names if name not in taken]
            if len(left) > 1:
                groups.append(left)
                taken.update(left)
        return groups

    # ---- the small network -----------------------------------------------------------------------------------------

    def reduced(self, originations: Sequence[Origination],
                extra: Sequence[str] = ()) -> tuple[Scenario, dict[str, int]]:  # fmt: skip
        """Return the network that is left for a prefix, and for how many routers each of its members stands."""
        kept = dict.fromkeys([*self._alone, *(o.router for o in originations), *extra], 1)
        split: dict[int, int] = {}
        for name in kept:
            if name in self._group_of:
                split[self._group_of[name]] = split.get(self._group_of[name], 0) + 1
        for place, names in enumerate(self.groups):
            rest = len(names) - split.get(place, 0)
            if rest:
                kept[next(name for name in names if name not in kept)] = rest
        # Whoever has the most sessions need not be asked: the other ends know.
        busiest = max(kept, key=lambda name: len(self._sessions[name]))
        places = {self._order[session.id] for name in kept if name != busiest for session in self._sessions[name]
                  if session.a in kept and session.b in kept}  # fmt: skip
        busiest = max(kept, key=lambda name: len(self._subnets[name]))
        subnets = sorted({place for name in kept if name != busiest for place in self._subnets[name]})
        return Scenario(
            self.scenario.id, tuple(self._routers[name] for name in kept),
            tuple(self.scenario.sessions[place] for place in sorted(places)),
            tuple(self._part(self.scenario.subnets[place], kept) for place in subnets), tuple(originations),
        ), kept  # fmt: skip

    def _part(self, subnet: Subnet, kept: Mapping[str, int]) -> Subnet:
        """Return a subnet with the members that are left."""
        if len(subnet.members) < len(kept):
            return replace(subnet, members={name: at for name, at in subnet.members.items() if name in kept})
        return replace(subnet, members={name: subnet.members[name] for name in kept if name in subnet.members})

    def _run(self, scenario: Scenario) -> Iterator[tuple[Simulation, bool]]:
        """Run the steps on a small network; yield it, and whether it fell quiet, after each."""
        simulation = scenario.simulation(self.profile, record=True)
        scenario.start(simulation)
        for actions in self.steps:
            for action in actions:
                if "prefix" not in action or any(o.prefix == action["prefix"] for o in scenario.originate):
                    act(simulation, action)
            yield simulation, simulation.run().converged

    # ---- what comes of it ------------------------------------------------------------------------------------------

    def totals(self) -> list[Totals]:
        """Run everything; return what each step cost."""
        sessions = self._established()
        updates = [0] * len(self.steps)
        converged = [True] * len(self.steps)
        known: dict[object, list[tuple[int, bool]]] = {}
        for originations in self._by_prefix.values():
            key = self._kind(originations)
            if key not in known:
                scenario, stands = self.reduced(originations)
                known[key], seen = [], 0
                for simulation, quiet in self._run(scenario):
                    known[key].append((sum(stands[m.receiver] for m in simulation.messages[seen:]), quiet))
                    seen = len(simulation.messages)
            for place, (count, quiet) in enumerate(known[key]):
                updates[place] += count
                converged[place] &= quiet
        return [Totals(*row) for row in zip(updates, sessions, converged, strict=True)]

    def _kind(self, originations: Sequence[Origination]) -> object:
        """Return what a run depends on: of two with one kind, every comparison of ids falls alike."""
        names = {o.router for o in originations}
        if len(names) > 1 or not names <= self._group_of.keys() or any(
                o.prefix == action.get("prefix") for o in originations for action in self._actions()):  # fmt: skip
            return tuple(originations)
        (name,) = names
        own = self._routers[name].router_id, *sorted(self._addresses(name))
        ranks = tuple(bisect(self._ids, address_key(at)) for at in own)
        return self._group_of[name], ranks, tuple(o.attributes for o in originations)

    def _actions(self) -> Iterator[Action]:
        for actions in self.steps:
            yield from actions

    def _established(self) -> list[int]:
        """Return how many sessions are up after each step."""
        scenario, stands = self.reduced(())
        inside = 0
        for names in self.groups:
            rest = next((stands[name] for name in names if name in stands), 0)
            if any(names[1] in (session.a, session.b) for session in self._sessions[names[0]]):
                inside += rest * (rest - 1) // 2
        return [inside + sum(stands[a.speaker.name] * stands[b.speaker.name]
                             for a, b in simulation.sessions.values() if a.up and b.up)
                for simulation, _ in self._run(scenario)]  # fmt: skip

    def decision(self, router: str, prefix: str, step: int = -1) -> Decision:
        """Return what a router holds of a prefix after a step."""
        scenario, _ = self.reduced(self._by_prefix.get(prefix, []), [router])
        found = [simulation.speakers[router].loc_rib.get(prefix, NOTHING) for simulation, _ in self._run(scenario)]
        return found[step]

    def messages_to(self, router: str, prefix: str) -> list[Message]:
        """Return every message about a prefix that a router was sent, in order, through all steps."""
        scenario, _ = self.reduced(self._by_prefix.get(prefix, []), [router])
        *_, (simulation, _) = self._run(scenario)
        return [message for message in simulation.messages if message.receiver == router]
