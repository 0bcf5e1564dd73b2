"""A network of speakers in time: messages under way, failures, and the run until nothing is under way any more.

Not every network falls quiet. A run in lock-step whose whole state returns will go on for ever: it is stopped, tried
again in random order (two routers that only ever pass each other in step settle then), and if that does not settle
either it is named an oscillation, with the routers and prefixes that take part.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from coursekit.bgp.decision import Decision
from coursekit.bgp.igp import Igp
from coursekit.bgp.network import Network
from coursekit.bgp.route import Attributes
from coursekit.bgp.schedule import Fifo, Schedule, Shuffled
from coursekit.bgp.session import END_OF_RIB, Neighbour, Update
from coursekit.bgp.speaker import Speaker

WATCH_AFTER = 40  # rounds without quiet after which states are compared; any number is right, small ones cost time


@dataclass(frozen=True)
class Oscillation:
    """A network that never falls quiet: who keeps changing its mind about what, and after how many messages."""

    routers: tuple[str, ...]
    prefixes: tuple[str, ...]
    period: int | None  # messages until the whole state returns; None if it was not seen to return
    sentence: str


@dataclass(frozen=True)
class Run:
    """What came of a run, and the UPDATEs sent since the one before. `livelock`: only the schedule kept it going.

    `period` is the number of messages after which the whole state returned in lock-step; None if it was not seen to.
    """

    converged: bool
    updates: int
    oscillation: Oscillation | None = None
    livelock: bool = False
    period: int | None = None

    @property
    def note(self) -> str | None:
        """What has to be said of a run that did not simply fall quiet, in a sentence."""
        if self.oscillation:
            return self.oscillation.sentence
        if not self.livelock:
            return None
        return ("In lock-step the network never falls quiet" if self.period else
                "In this order of messages the network was not quiet after very many"
                ) + "; it settled when messages came in random order."  # fmt: skip


@dataclass(frozen=True)
class Message:
    """One UPDATE of a recorded run: when it was sent (milliseconds), by whom, to whom, over which session."""

    number: int
    sent: int
    session: str
    sender: str
    receiver: str
    prefix: str
    attributes: Attributes | None
    path_id: int
    update: Update


class Simulation(Network):
    """A network in time, with a schedule; `record` keeps every message sent."""

    def __init__(self, speakers: Mapping[str, Speaker], sessions: Mapping[str, tuple[Neighbour, Neighbour]], igp: Igp,
                 schedule: Schedule | None = None, record: bool = False) -> None:  # fmt: skip
        self.schedule = Fifo() if schedule is None else schedule
        self.time = 0  # milliseconds
        self.updates = 0  # UPDATEs sent so far; End-of-RIB is none
        self.count: Callable[[Update], int] | None = None  # for how many an UPDATE counts
        self.deaf: frozenset[str] = frozenset()  # routers that are sent to, and whose tables nobody will look at
        self.longest_taken = 0  # hops in the longest AS_PATH held or taken in since the step began
        self._counted = 0  # those sent until the latest run ended
        self.messages: list[Message] = []
        self._record = record
        self._timers: list[tuple[int, str, Callable[[], None]]] = []
        self._state: int | None = None  # a hash of all Adj-RIBs-In, kept only while a run is watched
        self._changed: set[tuple[str, str]] | None = None  # who changed which best route, likewise
        super().__init__(speakers, sessions, igp)

    # ---- messages --------------------------------------------------------------------------------------------------

    def send(self, updates: Iterable[Update]) -> None:
        """Hand messages to the schedule and count them."""
        for update in updates:
            fresh = self.schedule.push(self.time, update)
            if update.prefix != END_OF_RIB and fresh:
                self.updates += 1 if self.count is None else self.count(update)
                if self._record:
                    sender = update.to.other
                    self.messages.append(Message(len(self.messages) + 1, self.time, sender.session, sender.speaker.name,
                                                 update.to.speaker.name, update.prefix, update.attributes,
                                                 update.path_id, update))  # fmt: skip

    def alarm(self, router: str, milliseconds: int, ring: Callable[[], None]) -> None:
        """Set the timer of a router."""
        heapq.heappush(self._timers, (self.time + milliseconds, router, ring))

    def cancel(self, router: str) -> None:
        """Cancel the timer of a router."""
        self._timers = [timer for timer in self._timers if timer[1] != router]
        heapq.heapify(self._timers)

    def step(self) -> Update | None:
        """Deliver the next message, or let the next timer ring; return the message, None for a timer or a lost one."""
        arrives = self.schedule.next_time(self.time)
        if self._timers and (arrives is None or self._timers[0][0] <= arrives):
            self.time, _, ring = heapq.heappop(self._timers)
            ring()
            return None
        self.time, update = self.schedule.pop(self.time)
        end = update.to
        speaker = end.speaker
        if not end.up or not speaker.up or update.epoch != end.other.epoch:
            return None  # the session went down while it was under way
        if update.prefix == END_OF_RIB:
            self.end_of_rib(end)
            return update
        if speaker.name in self.deaf:
            return update
        if self._state is not None:
            key = end, update.prefix, update.path_id
            held = speaker.adj_rib_in.get(update.prefix, {}).get((end.index, update.path_id))
            self._state ^= hash((key, held and held.received)) ^ hash((key, update.attributes))
        before = speaker.loc_rib.get(update.prefix)
        self.send(speaker.receive(end, update))
        if self._changed is not None and _best(before) != _best(speaker.loc_rib.get(update.prefix)):
            self._changed.add((speaker.name, update.prefix))
        if update.attributes and len(update.attributes.as_path) > self.longest_taken:
            path = speaker.adj_rib_in[update.prefix].get((end.index, update.path_id))
            if path and path.refused is None:
                self.longest_taken = len(update.attributes.as_path)
        return update

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way and no timer is set."""
        return not len(self.schedule) and not self._timers

    # ---- runs ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a step: what is stale, and the longest AS_PATH held, count from now on."""
        self.stale = {}
        self.longest_taken = max((
            len(path.received.as_path) for speaker in self.speakers.values() if speaker.up
            for paths in speaker.adj_rib_in.values() for path in paths.values()
            if path.received and path.refused is None), default=0)  # fmt: skip

    def advance(self, time: int) -> None:
        """Deliver all that arrives, and ring all that rings, before a time (milliseconds) and at it; be there then.

        Where that would never end, what is under way after very many messages waits until then.
        """
        for _ in range(self._enough()):
            if self.quiet or (due := self.next_time()) is None or due > time:
                self.time = max(self.time, time)
                return
            self.step()
        while self._timers and self._timers[0][0] <= time:
            self.time, _, ring = heapq.heappop(self._timers)
            ring()
        self.time = time
        self._reschedule(self.schedule)

    def next_time(self) -> int | None:
        """Return when the next message arrives or the next timer rings, None if neither will."""
        arrives = self.schedule.next_time(self.time)
        rings = self._timers[0][0] if self._timers else arrives
        return rings if arrives is None or (rings is not None and rings < arrives) else arrives

    def run(self, limit: int | None = None) -> Run:
        """Deliver until quiet, or until it is clear that this will not come; `limit` bounds the deliveries."""
        before = self._counted
        done = self._run_on(self._enough() if limit is None else limit)
        self._counted = self.updates
        return replace(done, updates=self.updates - before)

    def _enough(self) -> int:
        """Return after how many deliveries it is time to ask whether quiet will ever come."""
        prefixes = len({prefix for speaker in self.speakers.values() for prefix in speaker.own}) + 1
        return max(20_000, 200 * (len(self.sessions) + 1) * prefixes)

    def _run_on(self, limit: int) -> Run:
        own, period = self.schedule, None
        if isinstance(own, Fifo):
            period = self._run_in_step(limit)
        else:
            self._run_watched(limit)
        if self.quiet:
            return Run(True, 0)
        # Two speakers may only ever pass each other in lock-step, and without coalescing a clique explores every path
        # that there is. Where some order settles, daemons will come upon it.
        self._reschedule(Shuffled(seed=1))
        prefixes = len({update.prefix for update in self.schedule.waiting()})
        enough = 10 * len(self.speakers) * len(self.sessions) * prefixes  # a clique takes this much, and not more
        settled, changed = self._run_watched(max(5_000, min(limit, enough)))
        self._reschedule(own)
        return Run(True, 0, None, True, period) if settled else Run(False, 0, _named(changed, period), False, period)

    def _reschedule(self, schedule: Schedule) -> None:
        """Let another schedule carry what is under way."""
        waiting = [self.schedule.pop(self.time)[1] for _ in range(len(self.schedule))]
        self.schedule = schedule
        for update in waiting:
            schedule.push(self.time, update)

    def _run_in_step(self, limit: int) -> int | None:
        """Run in lock-step until quiet or until the whole state returns; return after how many messages it does."""
        rounds, round_time = 0, self.time
        seen: dict[int, int] = {}
        try:
            for count in range(limit):
                due = self.schedule.next_time(self.time)
                if self.quiet:
                    break
                if due is not None and due > round_time:
                    rounds, round_time = rounds + 1, due
                    if rounds == WATCH_AFTER:
                        self._state = 0
                    if self._state is not None and not self._timers:
                        signature = hash((self._state, tuple(update[:4] for update in self.schedule.waiting())))
                        if signature in seen:
                            return count - seen[signature]
                        seen[signature] = count
                self.step()
            return None
        finally:
            self._state = None

    def _run_watched(self, limit: int) -> tuple[bool, set[tuple[str, str]]]:
        """Deliver at most `limit` messages; return whether quiet came, and who still changed which best route late."""
        changed: set[tuple[str, str]] = set()
        for count in range(limit):
            if self.quiet:
                return True, changed
            if count == limit // 2:
                self._changed = changed
            self.step()
        self._changed = None
        return self.quiet, changed


def _best(decision: Decision | None) -> Attributes | None:
    return decision.best.attributes if decision and decision.best else None


def _named(changed: set[tuple[str, str]], period: int | None) -> Oscillation:
    """Say which routers keep changing which routes."""
    routers = tuple(sorted({router for router, _ in changed}))
    prefixes = tuple(sorted({prefix for _, prefix in changed}))
    again = f"; in lock-step the whole state returns every {period} messages" if period else ""
    return Oscillation(routers, prefixes, period, (
        f"The network does not converge: {', '.join(routers) or 'its routers'} keep changing their best route "
        f"to {', '.join(prefixes) or 'a prefix'}{again}."))  # fmt: skip
