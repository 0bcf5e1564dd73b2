"""Which sessions, stubs and prefixes of a network are alike but for names, so that one can be run for all."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

from coursekit.bgp.route import address_key
from coursekit.bgp.scenario import Origination, Scenario, Session
from coursekit.bgp.session import Options
from coursekit.bgp.stubs import Stubs

LOOPBACK, LINK = -1, -2


def other_end(session: Session, name: str) -> tuple[str, str]:
    """Return who is at the other end of a session, and the address there."""
    return (session[2], session[4]) if session[1] == name else (session[1], session[3])


class Likeness:
    """Compares by numbers: what has the same number is alike."""

    def __init__(self, scenario: Scenario, sessions: Mapping[str, list[Session]], stubs: Stubs,
                 delays: Mapping[str, int]) -> None:  # fmt: skip
        self._routers = {router.name: router for router in scenario.routers}
        self._sessions, self._stubs, self._delays = sessions, stubs, delays
        self._active = self._routers.keys() - stubs.silent - stubs.unheard
        self._members = Counter(router.asn for router in scenario.routers)
        self._numbers: dict[object, int] = {}
        self._sides: dict[object, tuple[int, int]] = {}
        self._kept: dict[int, tuple[Options, int]] = {}
        self._ends = self._addresses(scenario)
        self._ids = sorted(address_key(self._routers[name].router_id) for name in self._active)
        self._holders = Counter(router.router_id for router in scenario.routers)
        # Sessions between silent stubs carry only what one of the two originates: counted here, by their numbers.
        self.between = Counter[int]()
        self._between: dict[str, dict[int, int]] = {name: {} for name in stubs.silent}
        silent, counts = stubs.silent, self._between
        for session in scenario.sessions:
            if session[1] in silent and session[2] in silent:
                here, there = self.sides(session)
                self.between[min(here, there)] += 1
                mine, theirs = counts[session[1]], counts[session[2]]
                mine[here] = mine.get(here, 0) + 1
                theirs[there] = theirs.get(there, 0) + 1

    def _addresses(self, scenario: Scenario) -> dict[str, int]:
        """Return a number for each address that says whose it could be, and how it is connected."""
        lans: dict[str, tuple[int, ...]] = dict.fromkeys(self._routers, ())
        ends = dict[str, int]()
        for number, subnet in enumerate(scenario.subnets):
            for name in subnet.members if subnet.lan else ():
                lans[name] += (number,)
        # An AS that is one router's alone stands in no path but those of its own prefixes.
        about = {name: self.number((router.asn if self._members[router.asn] > 1 else None, lans[name]))
                 for name, router in self._routers.items()}  # fmt: skip
        for number, subnet in enumerate(scenario.subnets):
            for name, address in subnet.members.items():
                ends[address] = self.number(("end", about[name], number if subnet.lan else LINK))
        for name, router in self._routers.items():
            if router.router_id not in ends:
                ends[router.router_id] = self.number(("end", about[name], LOOPBACK))
        return ends

    def number(self, value: object) -> int:
        """Return the number of a value, from 1: cheaper to hash and to compare."""
        return self._numbers.setdefault(value, len(self._numbers) + 1)

    def _of_options(self, options: Options) -> int:
        if id(options) not in self._kept:  # most sessions share the object, which must live on for its id to mean it
            self._kept[id(options)] = options, self.number(options)
        return self._kept[id(options)][1]

    def sides(self, session: Session) -> tuple[int, int]:
        """Return a number for all that matters of a session but who is at its ends, as each end sees it."""
        name, _, _, a_addr, b_addr, a_opts, b_opts = session
        a, b = (self._of_options(a_opts), self._ends[a_addr]), (self._of_options(b_opts), self._ends[b_addr])
        delay = self._delays.get(name) if self._delays else None
        if (a, b, delay) not in self._sides:
            self._sides[a, b, delay] = self.number((a, b, delay)), self.number((b, a, delay))
        return self._sides[a, b, delay]

    def from_side(self, session: Session, name: str) -> int:
        """Return the number of a session as one of its ends sees it: to a silent receiver the same will be sent."""
        return self.sides(session)[session[1] != name]

    # ---- stubs -----------------------------------------------------------------------------------------------------

    def hears(self, name: str) -> object:
        """Return what tells an unheard stub from another: whom it hears, in which order, and by what rules."""
        peers = [other_end(session, name) for session in self._sessions[name]]
        order = sorted(range(len(peers)), key=lambda i: address_key(peers[i][1]))
        return (self._routers[name].max_paths, tuple(peer for peer, _ in peers), tuple(order),
                tuple(self.from_side(session, name) for session in self._sessions[name]))  # fmt: skip

    # ---- prefixes --------------------------------------------------------------------------------------------------

    def kind(self, originations: Sequence[Origination]) -> object:
        """Return what the run of a prefix depends on: of two with one kind, every comparison of ids falls alike.

        An originator's id meets those of active routers; its addresses meet each other, on parallel sessions.
        """
        name, _, attributes = originations[0]
        router_id = self._routers[name].router_id
        if len(originations) > 1 or name in self._active or self._holders[router_id] > 1:
            return tuple((origination.router, origination.attributes) for origination in originations)
        up = [session for session in self._sessions[name] if other_end(session, name)[0] in self._active]
        own = sorted(address_key(session[3] if session[1] == name else session[4]) for session in up)
        told = [(other_end(session, name)[0], self.from_side(session, name),
                 bisect_left(own, address_key(session[3] if session[1] == name else session[4]))) for session in up]
        others = self.hears(name) if name in self._stubs.unheard else frozenset(self._between[name].items())
        return attributes, bisect_left(self._ids, address_key(router_id)), tuple(told), others
