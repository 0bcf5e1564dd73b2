"""Runs at the size of a large cluster: receivers that nothing tells apart share one message and one table.

Daemons do the same on a small scale and call it update groups. Three facts make it exact. Prefixes do not influence
each other: the messages of one have the same times and order alone as among all. Nobody learns anything through a stub
(`stubs`): silent ones that a sender treats alike share one session, unheard ones that hear the same share one router,
and each counts for as many as it stands for. And prefixes whose originators differ only in names, and in ids that no
tie-break can see, share one run (`likeness`). What is left the plain engine runs, message by message. Whoever
originates, or has something happen to it, to its session or its link, stands for itself; so does whoever is looked at.

Messages are not kept: those about a prefix to a router are worked out when they are asked for, with time, attributes
and bytes. What is given up: numbers for messages over all prefixes; random schedules, for who is drawn next depends on
everybody; and networks that never fall quiet in lock-step, which are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from coursekit.bgp.decision import NOTHING, Decision
from coursekit.bgp.igp import Subnet
from coursekit.bgp.likeness import Likeness, other_end
from coursekit.bgp.profiles import profile
from coursekit.bgp.scenario import Origination, Scenario, Session, check_actions, take
from coursekit.bgp.schedule import ByDelay
from coursekit.bgp.simulation import Message, Simulation
from coursekit.bgp.stubs import find
from coursekit.errors import CourseError, expect

Action = Mapping[str, Any]


@dataclass(frozen=True)
class Totals:
    """What one step cost the whole network."""

    updates: int
    sessions: int  # Established afterwards


class Part(NamedTuple):
    """A network that stands for a larger one."""

    scenario: Scenario
    counts: dict[str, int]  # for how many each of its sessions stands
    deaf: frozenset[str]  # who is there only to be sent to


class GroupedNetwork:
    """A scenario run by groups; `steps` are lists of actions, the first usually empty, each run until it is quiet.

    `delays` (milliseconds, by session) and `coalesce` are those of the schedule `ByDelay`.
    """

    def __init__(self, scenario: Scenario, steps: Sequence[Sequence[Action]] = ((),), profile_name: str = "rfc", *,
                 delays: Mapping[str, int] | None = None, coalesce: bool = False) -> None:  # fmt: skip
        expect(scenario, Scenario, "A run needs a scenario, such as full_mesh(3)")
        self.scenario, self.steps, self.profile = scenario, [tuple(actions) for actions in steps], profile_name
        self.delays, self.coalesce = dict(delays or {}), coalesce
        self._routers = {router.name: router for router in scenario.routers}
        self._sessions: dict[str, list[Session]] = {name: [] for name in self._routers}
        for session in scenario.sessions:
            self._sessions[session[1]].append(session)
            self._sessions[session[2]].append(session)
        self.stubs = find(scenario, self._sessions, profile(profile_name), self._busy())
        self.active = self._routers.keys() - self.stubs.silent - self.stubs.unheard
        self._likeness = Likeness(scenario, self._sessions, self.stubs, self.delays)
        self._by_prefix: dict[str, list[Origination]] = {}
        for origination in scenario.originate:
            self._by_prefix.setdefault(origination.prefix, []).append(origination)
        self._begun: list[int] = []  # when each step began, in milliseconds
        self._totals: list[Totals] = []
        self._seen: tuple[tuple[str, str], tuple[list[Decision], list[Message]]] | None = None  # who was looked at last

    def after(self, actions: Sequence[Action]) -> GroupedNetwork:
        """Return the network with one more step; whom it touches is told apart. CourseError for what is no action."""
        check_actions(self.scenario, actions)
        return GroupedNetwork(self.scenario, [*self.steps, actions], self.profile, delays=self.delays,
                              coalesce=self.coalesce)  # fmt: skip

    def _busy(self) -> set[str]:
        """Return the routers that some action names, or whose session or link; a LAN its members have in common."""
        actions = [action for actions in self.steps for action in actions]
        sessions = {action["session"] for action in actions if "session" in action}
        links = {action["link"] for action in actions if "link" in action}
        out = {action["router"] for action in actions if "router" in action}
        for session in self.scenario.sessions if sessions else ():
            out.update((session.a, session.b) if session.id in sessions else ())
        for subnet in self.scenario.subnets if links else ():
            out.update(subnet.members if subnet.name in links and not subnet.lan else ())
        return out

    # ---- the small network -----------------------------------------------------------------------------------------

    def part(self, apart: Collection[str]) -> Part:
        """Return a network that stands for the whole one.

        Those in `apart` and all active routers are themselves; of the others there is one of each sort.
        """
        likeness, silent = self._likeness, self.stubs.silent
        stands = dict.fromkeys([*self.active, *apart], 1)
        sorts: dict[object, list[str]] = {}
        for name in self.stubs.unheard - stands.keys():
            sorts.setdefault(likeness.hears(name), []).append(name)
        stands |= {min(names): len(names) for names in sorts.values()}
        counts: dict[str, int] = {}
        shared: dict[object, str] = {}
        between = dict(likeness.between)
        for name, count in stands.items():
            for session in self._sessions[name]:
                peer, _ = other_end(session, name)
                if peer not in stands and peer in silent:
                    first = shared.setdefault((name, likeness.from_side(session, name)), session.id)
                    counts[first] = counts.get(first, 0) + count
                elif peer in stands:
                    counts[session.id] = count * stands[peer]
                if name in silent and peer in silent and (peer not in stands or session.a == name):
                    between[min(likeness.sides(session))] -= 1
        left = {number: count for number, count in between.items() if count}
        for session in self.scenario.sessions if left else ():
            if session.a in silent and session.b in silent and session.a not in stands and session.b not in stands:
                counts[session.id] = left.pop(min(likeness.sides(session)), 0)
                if not left:
                    break
        counts = {session: count for session, count in counts.items() if count}
        sessions = [session for session in self.scenario.sessions if session.id in counts]
        names = stands.keys() | {name for session in sessions for name in (session.a, session.b)}
        small = replace(self.scenario, sessions=tuple(sessions), steps=(), subnets=tuple(self._subnets(names)),
                        routers=tuple(router for router in self.scenario.routers if router.name in names))  # fmt: skip
        return Part(small, counts, frozenset(names - stands.keys()))

    def _subnets(self, names: Collection[str]) -> Iterator[Subnet]:
        """Yield what is left of the subnets; a link of which one end is gone matters for its address alone."""
        for subnet in self.scenario.subnets:
            few = names if len(names) < len(subnet.members) else subnet.members
            kept = [name for name in few if name in names and name in subnet.members]
            if len(kept) > 1 or any(subnet.lan or self._routers[n].router_id == subnet.members[n] for n in kept):
                yield replace(subnet, members={name: subnet.members[name] for name in kept})

    def _started(self, part: Part, originate: tuple[Origination, ...], chosen: Mapping[str, int], *,
                 record: bool = False) -> Simulation:  # fmt: skip
        """Return the simulation of a part, in which prefixes count for several too, with everything originated."""
        plain = not self.delays and not self.coalesce
        scenario = replace(part.scenario, originate=originate)
        simulation = scenario.simulation(self.profile, None if plain else ByDelay(self.delays, self.coalesce), record)
        simulation.count = lambda update: part.counts[update.to.session] * chosen.get(update.prefix, 1)
        simulation.deaf = part.deaf
        scenario.start(simulation)
        return simulation

    # ---- what comes of it ------------------------------------------------------------------------------------------

    def totals(self) -> list[Totals]:
        """Return what each step cost. CourseError if the network does not fall quiet in lock-step."""
        if self._totals:
            return self._totals
        named = {action.get("prefix") for actions in self.steps for action in actions}
        kinds: dict[object, list[str]] = {}
        for prefix, originations in self._by_prefix.items():
            kinds.setdefault(prefix if prefix in named else self._likeness.kind(originations), []).append(prefix)
        chosen = {prefixes[0]: len(prefixes) for prefixes in kinds.values()}
        originate = tuple(o for o in self.scenario.originate if o.prefix in chosen)
        part = self.part({origination.router for origination in originate})
        simulation = self._started(part, originate, chosen)
        for actions in self.steps:
            self._begun.append(simulation.time)
            take(simulation, actions)
            done = simulation.run()
            if done.livelock or not done.converged:
                raise CourseError("This network does not fall quiet in lock-step, and then the order of messages over "
                                  "all prefixes matters: run it with scenario.simulation().")  # fmt: skip
            up = sum(part.counts[name] for name, (a, b) in simulation.sessions.items() if a.up and b.up)
            self._totals.append(Totals(done.updates, up))
        return self._totals

    def _watched(self, router: str, prefix: str) -> tuple[list[Decision], list[Message]]:
        """Run one prefix with a router standing for itself, and whom it hears; return what it held after each step."""
        if router not in self._routers:
            raise CourseError(f"There is no router {router} in {self.scenario.id}.")
        if self._seen and self._seen[0] == (router, prefix):
            return self._seen[1]
        self.totals()
        originate = tuple(self._by_prefix.get(prefix, ()))
        heard = {other_end(session, router)[0] for session in self._sessions[router]} & self.stubs.unheard
        part = self.part({router, *heard, *(origination.router for origination in originate)})
        simulation = self._started(part, originate, {}, record=True)
        held = []
        for begun, actions in zip(self._begun, self.steps, strict=True):
            simulation.advance(begun)
            take(simulation, [action for action in actions if action.get("prefix", prefix) == prefix])
            simulation.run()
            held.append(simulation.speakers[router].loc_rib.get(prefix, NOTHING))
        told = [message for message in simulation.messages if message.receiver == router]
        self._seen = (router, prefix), (held, told)
        return held, told

    def decision(self, router: str, prefix: str, step: int = -1) -> Decision:
        """Return what a router holds of a prefix after a step."""
        return self.decisions(router, prefix)[step]

    def decisions(self, router: str, prefix: str) -> list[Decision]:
        """Return what a router holds of a prefix after each step."""
        return list(self._watched(router, prefix)[0])

    def messages_to(self, router: str, prefix: str) -> list[Message]:
        """Return every message about a prefix that a router was sent, in order, through all steps.

        Times are those of the whole network; numbers count what was sent about this prefix to those looked at.
        """
        return list(self._watched(router, prefix)[1])
