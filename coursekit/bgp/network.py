"""Speakers and sessions on an IGP, and what follows at once when something in it goes up, goes down or is changed.

Every change yields the messages that it causes; `simulation` carries them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from coursekit.bgp.igp import Igp
from coursekit.bgp.route import Attributes
from coursekit.bgp.session import END_OF_RIB, Neighbour, Update, check_option
from coursekit.bgp.speaker import Speaker
from coursekit.errors import CourseError, Named

Death = Literal["clean", "killed", "cable"]
HOLD_TIME = 90_000  # milliseconds without a message after which a session is dead (RFC 4271 §10)
RESTART_TIME = 120_000  # milliseconds for which the routes of a restarting peer are kept (Calico's BIRD)


class Network(ABC):
    """What is up and who is told. A session is up if its routers are, its ends are reachable, and nobody closed it."""

    def __init__(self, speakers: Mapping[str, Speaker], sessions: Mapping[str, tuple[Neighbour, Neighbour]],
                 igp: Igp) -> None:  # fmt: skip
        self.speakers, self.sessions, self.igp = Named("router", speakers), Named("session", sessions), igp
        self.stale: dict[str, list[str]] = {}  # what the latest graceful restart left stale, by router
        self.closed: set[str] = set()  # sessions taken down by hand
        for speaker in self.speakers.values():
            speaker.options_changed()
        self._adjust()

    @abstractmethod
    def send(self, updates: Iterable[Update]) -> None:
        """Take messages to be carried."""

    @abstractmethod
    def alarm(self, router: str, milliseconds: int, ring: Callable[[], None]) -> None:
        """Call `ring` when that much time has passed, unless it is cancelled."""

    @abstractmethod
    def cancel(self, router: str) -> None:
        """Cancel the alarm set for a router, if there is one."""

    @property
    def established(self) -> int:
        """The number of sessions that are up at both ends."""
        return sum(a.up and b.up for a, b in self.sessions.values())

    # ---- routes ----------------------------------------------------------------------------------------------------

    def originate(self, router: str, prefix: str, attributes: Attributes = Attributes()) -> None:  # noqa: B008
        """Let a router announce a prefix of its own."""
        speaker = self.speakers[router]
        speaker.own[prefix] = attributes
        if speaker.up:
            self.send(speaker.decide(prefix))

    def withdraw(self, router: str, prefix: str) -> None:
        """Let a router announce a prefix of its own no longer."""
        speaker = self.speakers[router]
        if speaker.own.pop(prefix, None) is not None and speaker.up:
            self.send(speaker.decide(prefix))

    # ---- what carries them -----------------------------------------------------------------------------------------

    def session_down(self, session: str) -> None:
        """Close a session by hand (NOTIFICATION Cease)."""
        self.closed.add(session)
        self._adjust()

    def session_up(self, session: str) -> None:
        """Open a session again that was closed by hand."""
        self.closed.discard(session)
        self._adjust()

    def link_down(self, link: str) -> None:
        """Take a link or LAN down; sessions over it fall at once, as with BFD or a carrier that is lost."""
        self.igp.subnets[link].up = False
        self._moved()

    def link_up(self, link: str) -> None:
        """Take a link or LAN up again."""
        self.igp.subnets[link].up = True
        self._moved()

    def set_cost(self, link: str, cost: int) -> None:
        """Change the IGP cost of a link."""
        self.igp.subnets[link].cost = cost
        self._moved()

    def router_down(self, router: str, death: Death = "clean", *, graceful: bool = False) -> None:
        """Let a router die.

        `clean`: its peers get a NOTIFICATION. `killed`: the kernel resets its TCP connections; with `graceful`
        restart agreed on, peers keep its routes as stale until the restart time is over. `cable`: nobody is told,
        peers wait for the hold timer. Without `graceful` the tables end up the same; only the time differs.
        """
        speaker = self.speakers[router]
        if not speaker.up:
            return
        told = death == "clean" or (death == "killed" and not graceful)
        ends = [end for end in speaker.neighbours if end.up]
        speaker.up = False
        speaker.restart()
        for end in speaker.neighbours:
            end.up = False
            end.epoch += 1
        if told:
            self._buried(speaker)
            return
        if death == "killed":
            self._keep_stale(ends)
        self.alarm(router, HOLD_TIME if death == "cable" else RESTART_TIME, lambda: self._buried(speaker))

    def router_up(self, router: str) -> None:
        """Start a router again, with empty tables and its own prefixes.

        Peers that kept its routes as stale go on using them until it has sent End-of-RIB; it decides nothing until
        it has heard End-of-RIB from all of them (RFC 4724 §4). Otherwise all sessions start afresh at once.
        """
        speaker = self.speakers[router]
        if speaker.up:
            return
        self.cancel(router)
        speaker.up = True
        waiting = [end for end in speaker.neighbours if end.other.up]
        resumed = [end for end in waiting if router not in self.igp.down and self._may_be_up(end.session)
                   and end.other.restarting]  # fmt: skip
        self.igp.down.discard(router)
        self._hang_up([end.other for end in waiting if end not in resumed])
        speaker.holding.update(end.index for end in resumed)
        for end in resumed:
            end.up = True
            end.other.restarting = False
        for end in resumed:
            other = end.other.speaker
            for prefix in list(other.loc_rib):
                self.send(other.advertise(prefix, [end.other]))
            self.send([Update(end, END_OF_RIB, 0, None, end.other.epoch)])
        for prefix in speaker.own:
            self.send(speaker.decide(prefix))
        self._moved()

    def router_graceful_restart(self, router: str) -> None:
        """Restart a router's BGP while it goes on forwarding (RFC 4724)."""
        self.stale = {}
        self.router_down(router, "killed", graceful=True)
        self.router_up(router)

    def end_of_rib(self, at: Neighbour) -> None:
        """Act on End-of-RIB: a restarting speaker decides once all have sent it, its peers drop what is still stale."""
        speaker = at.speaker
        if speaker.holding:
            speaker.holding.discard(at.index)
            if not speaker.holding:
                self._finish_restart(speaker)
            return
        for prefix in speaker.forget(at, lambda path: path.stale):
            self.send(speaker.decide(prefix))

    def set_session_opt(self, session: str, side: Literal["a", "b"], opt: str, value: Any) -> None:
        """Set an option of one end: what it took in is judged anew, what it sends is worked out anew."""
        end = self.sessions[session][side == "b"]
        if side not in ("a", "b"):
            raise CourseError(f'A side is "a" or "b", the first or second router of a session; {side!r} was given.')
        check_option(opt, value)
        was_up = end.up and end.other.up
        end.options = end.options._replace(**{opt: value})
        end.speaker.options_changed()
        if opt == "add_path" and was_up:  # a capability: agreed on in OPEN, so the session starts again
            self.session_down(session)
            self.session_up(session)
            return
        speaker = end.speaker
        for prefix in speaker.taken_in_again(end):
            self.send(speaker.decide(prefix))
        for prefix in list(speaker.loc_rib):
            self.send(speaker.advertise(prefix))

    # ---- consequences ----------------------------------------------------------------------------------------------

    def _keep_stale(self, ends: Iterable[Neighbour]) -> None:
        """Mark stale what the peers at the other ends heard, and let them forget what they sent."""
        for end in ends:
            other = end.other
            other.epoch += 1
            held = [path for paths in other.speaker.adj_rib_in.values() for key, path in paths.items()
                    if key[0] == other.index]  # fmt: skip
            for path in held:
                path.stale = True
            prefixes = [prefix for prefix, paths in other.speaker.adj_rib_in.items()
                        if any(key[0] == other.index and path.refused is None for key, path in paths.items())]
            if prefixes:
                self.stale[other.speaker.name] = prefixes
            other.restarting = True
            other.speaker.hang_up(other)

    def _buried(self, speaker: Speaker) -> None:
        """Let everybody know that a router is dead."""
        self.igp.down.add(speaker.name)
        self._moved()

    def _finish_restart(self, speaker: Speaker) -> None:
        for prefix in dict.fromkeys((*speaker.own, *speaker.adj_rib_in)):
            self.send(speaker.decide(prefix))
        self.send(Update(end.other, END_OF_RIB, 0, None, end.epoch) for end in speaker.neighbours if end.up)

    def _moved(self) -> None:
        """Let sessions and decisions follow a change of the IGP: what fell, then whom it moves, then what rose."""
        moved = self.igp.change()
        risen = self._fall()
        for speaker in self.speakers.values():
            if speaker.up and speaker.name in moved and not speaker.profile.has("next-hops-not-looked-at"):
                for prefix in list(speaker.loc_rib):
                    self.send(speaker.decide(prefix))
                    self.send(speaker.advertise(prefix))
        self._rise(risen)

    def _may_be_up(self, session: str) -> bool:
        a, b = self.sessions[session]
        return (session not in self.closed and a.speaker.up and b.speaker.up
                and self.igp.reaches(a.speaker.name, b.local_address)
                and self.igp.reaches(b.speaker.name, a.local_address))  # fmt: skip

    def _adjust(self) -> None:
        """Let the sessions follow what is up."""
        self._rise(self._fall())

    def _fall(self) -> list[Neighbour]:
        """Take the sessions down that cannot be up; return the ends of those that can and are not yet."""
        fallen, rising = list[Neighbour](), list[Neighbour]()
        for session, (a, b) in self.sessions.items():
            if self._may_be_up(session):
                rising += () if a.up and b.up else (a, b)
                continue
            for end in (a, b):
                dead = end.other.speaker
                # After a silent death the other end stays up: it waits for its timer.
                silent = not dead.up and dead.name not in self.igp.down and session not in self.closed
                if end.up and not silent:
                    fallen.append(end)
        self._hang_up(fallen)
        return rising

    def _rise(self, ends: list[Neighbour]) -> None:
        """Bring sessions up; only when all are Established is anything sent over them."""
        for end in ends:
            end.up = True
        for end in ends:
            for prefix in list(end.speaker.loc_rib):
                self.send(end.speaker.advertise(prefix, [end]))

    def _hang_up(self, ends: list[Neighbour]) -> None:
        """Take ends of sessions down; each speaker then decides once on every prefix that it heard over them."""
        lost: dict[Speaker, dict[str, None]] = {}
        for end in ends:
            end.up = end.restarting = False
            end.epoch += 1
            end.speaker.hang_up(end)
            lost.setdefault(end.speaker, {}).update(dict.fromkeys(end.speaker.forget(end)))
            if end.index in end.speaker.holding:
                end.speaker.holding.discard(end.index)
                if not end.speaker.holding:
                    self._finish_restart(end.speaker)
        for speaker, prefixes in lost.items():
            for prefix in prefixes if speaker.up else ():
                self.send(speaker.decide(prefix))
