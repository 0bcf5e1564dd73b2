"""A run as a list of events: each message as it arrives, each failure, and what every event changed in which table.

`simulation` says what a network comes to; a trace says how. It is what a drawing steps through, so it is bounded: after
`most` events the rest of a run is one event, and what is not watched is not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from coursekit.bgp.decision import Decision
from coursekit.bgp.route import Attributes, Path, address_key
from coursekit.bgp.scenario import Scenario, Step, act
from coursekit.bgp.schedule import Fifo, Schedule
from coursekit.bgp.session import END_OF_RIB, Neighbour, Update
from coursekit.bgp.simulation import Run, Simulation
from coursekit.bgp.speaker import Speaker

MOST = 400  # events that are kept one by one

Verdict = Literal["best", "balanced", "lost", "refused"]
Kind = Literal["start", "action", "arrives", "is lost", "timer", "rest"]


class Candidate(NamedTuple):
    """One path that a router holds to a prefix, and what the decision process made of it, in words.

    `source` is the peer it was heard from, or `local`; `session` is empty then. "balanced" carries traffic beside
    the best; "refused" never took part.
    """

    source: str
    session: str
    path_id: int
    attributes: Attributes
    stale: bool
    verdict: Verdict
    words: str


@dataclass(frozen=True)
class Held:
    """All that a router holds of a prefix: Adj-RIB-In with its own route first, the decision, and the kernel's route.

    `gateways` are the connected addresses that the kernel sends to, each with the router that owns it; a route of
    one's own has none.
    """

    candidates: tuple[Candidate, ...] = ()
    decided_by: str | None = None
    gateways: tuple[tuple[str, str], ...] = ()

    @property
    def best(self) -> Candidate | None:
        """The path in the Loc-RIB."""
        return next((candidate for candidate in self.candidates if candidate.verdict == "best"), None)


NOTHING = Held()


@dataclass
class Sent:
    """A message of the run: events say when it was sent and when it arrived (None: not within the trace)."""

    number: int
    event: int
    time: int  # milliseconds
    update: Update
    arrives: int | None = None
    replaced: int = 0  # how often a newer UPDATE took its place while it waited

    @property
    def sender(self) -> str:
        """The router that sent it."""
        return self.update.to.other.speaker.name

    @property
    def receiver(self) -> str:
        """The router it was sent to."""
        return self.update.to.speaker.name

    @property
    def end_of_rib(self) -> bool:
        """Whether it only says that the table is complete."""
        return self.update.prefix == END_OF_RIB


class Change(NamedTuple):
    """What a router holds of a prefix, before and after an event."""

    router: str
    prefix: str
    before: Held
    after: Held


@dataclass
class Event:
    """Something that happened at a time (milliseconds): `message` is the one that arrived or was lost.

    `silent` says that the receiver changed its best route and yet had nobody to tell, for all that are up are iBGP
    peers and so is the one it came from.
    """

    chapter: int
    time: int
    kind: Kind
    message: Sent | None = None
    action: Mapping[str, Any] | None = None
    sent: list[Sent] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    sessions: dict[str, bool] = field(default_factory=dict)  # those that went up or down
    routers: dict[str, bool] = field(default_factory=dict)
    links: dict[str, bool] = field(default_factory=dict)
    updates: int = 0  # UPDATEs sent, also those that `sent` does not hold
    silent: bool = False


@dataclass(frozen=True)
class Chapter:
    """One step of the scenario: its first event, how it ended, the UPDATEs it cost, the sessions then up."""

    name: str
    first: int
    run: Run
    sessions: int


@dataclass(frozen=True)
class Trace:
    """A run: chapters, events in order, messages in the order of sending, and the network as it is at the end."""

    chapters: tuple[Chapter, ...]
    events: tuple[Event, ...]
    messages: tuple[Sent, ...]
    final: Mapping[tuple[str, str], Held]  # by router and prefix
    prefixes: tuple[str, ...]
    begins: Mapping[str, Mapping[str, bool]]  # which sessions, routers and links are up before the first event
    simulation: Simulation


class _Listening(Schedule):
    """A schedule that tells the trace what is sent and what arrives."""

    def __init__(self, inner: Schedule) -> None:
        super().__init__(inner.coalesce)
        self.inner = inner
        self.messages: list[Sent] = []
        self.event = 0
        self.popped: Sent | None = None
        self._under_way: dict[tuple[Neighbour, str, int], list[Sent]] = {}

    def push(self, now: int, update: Update) -> bool:
        """Take a message, and note it; one that replaces a waiting one takes its place."""
        fresh = self.inner.push(now, update)
        waiting = self._under_way.setdefault((update.to, update.prefix, update.path_id), [])
        if fresh or not waiting:
            message = Sent(len(self.messages) + 1, self.event, now, update)
            self.messages.append(message)
            waiting.append(message)
        else:
            waiting[-1].update = update
            waiting[-1].replaced += 1
        return fresh

    def pop(self, now: int) -> tuple[int, Update]:
        """Return the next message, and note that it arrives."""
        time, update = self.inner.pop(now)
        self.popped = self._under_way[update.to, update.prefix, update.path_id].pop(0)
        self.popped.arrives = self.event
        return time, update

    def next_time(self, now: int) -> int | None:
        """Return when the next message arrives."""
        return self.inner.next_time(now)

    def waiting(self) -> list[Update]:
        """Return all messages under way."""
        return self.inner.waiting()

    def __len__(self) -> int:
        return len(self.inner)


def trace(
    scenario: Scenario, profile: str = "rfc", schedule: Schedule | None = None, steps: Sequence[Step] | None = None,
    most: int = MOST, watched: Collection[str] | None = None,
) -> Trace:  # fmt: skip
    """Run a scenario's steps, or those given, and keep what happened: `most` events one by one, the rest as a whole.

    `watched` are the routers whose tables are followed, all of them if not given.
    """
    return _Recorder(scenario, profile, schedule, most, watched).run(scenario.steps if steps is None else steps)


class _Recorder:
    """Runs the network event by event and compares the tables after each."""

    def __init__(self, scenario: Scenario, profile: str, schedule: Schedule | None, most: int,
                 watched: Collection[str] | None) -> None:  # fmt: skip
        self.scenario = scenario
        self.inner = Fifo() if schedule is None else schedule
        self.schedule = _Listening(self.inner)
        self.simulation = scenario.simulation(profile, self.schedule)
        self.most = most
        self.events: list[Event] = []
        self.held: dict[tuple[str, str], Held] = {}
        self.prefixes = dict.fromkeys(scenario.prefixes())
        self._speakers = [s for name, s in self.simulation.speakers.items() if watched is None or name in watched]
        self._watched = {speaker.name for speaker in self._speakers}
        self._up = self._begins = self._state()

    def run(self, steps: Iterable[Step]) -> Trace:
        chapters = []
        for number, step in enumerate(steps):
            first = len(self.events)
            self.simulation.begin()
            if number == 0:
                with_all = Event(0, 0, "start")
                self._during(with_all, lambda: self.scenario.start(self.simulation))
            self._act(number, step.actions)
            self._until(number, None)
            chapters.append(Chapter(step.name, first, self._finish(number), self.simulation.established))
        messages = tuple(self.schedule.messages)
        return Trace(tuple(chapters), tuple(self.events), messages, dict(self.held), tuple(self.prefixes),
                     self._begins, self.simulation)  # fmt: skip

    def _act(self, chapter: int, actions: Iterable[Mapping[str, Any]]) -> None:
        """Do the actions of a step, each at its time, as `scenario.take` does."""
        begun = self.simulation.time
        for action in sorted(actions, key=lambda action: int(action.get("at", 0))):
            due = begun + int(action.get("at", 0))
            self._until(chapter, due)
            self.simulation.advance(due)
            event = Event(chapter, due, "action", action=action)
            self._during(event, lambda action=action: act(self.simulation, action))
            if "prefix" in action:
                self.prefixes.setdefault(action["prefix"])

    def _until(self, chapter: int, time: int | None) -> None:
        """Deliver one message after the other until a time, or until nothing is under way; or as many as are kept."""
        while len(self.events) < self.most and not self.simulation.quiet:
            due = self.simulation.next_time()
            if time is not None and (due is None or due > time):
                return
            self._deliver(chapter)

    def _deliver(self, chapter: int) -> None:
        event = Event(chapter, 0, "timer")
        self.schedule.event, self.schedule.popped = len(self.events), None
        known, before = len(self.schedule.messages), self.simulation.updates
        arrived = self.simulation.step()
        event.time, event.message = self.simulation.time, self.schedule.popped
        if event.message:
            event.kind = "arrives" if arrived else "is lost"
        narrow = arrived is not None and arrived.prefix != END_OF_RIB
        self._close(event, known, before, [(arrived.to.speaker, arrived.prefix)] if arrived and narrow else None)
        if arrived and narrow and not event.sent:
            event.silent = self._silenced(arrived.to.speaker, event)

    def _silenced(self, speaker: Speaker, event: Event) -> bool:
        """Whether a changed best route goes to nobody only because iBGP routes do not go to iBGP peers."""
        changed = [c for c in event.changes if c.after.best and (c.before.best or ())[:5] != c.after.best[:5]]
        best = speaker.passed_on(changed[0].prefix) if changed else None
        if best is None or best.peer is None or best.peer.external:
            return False
        others = [n for n in speaker.neighbours if n.up and n.index != best.index]
        return bool(others) and not any(n in others for n in speaker.eligible(best))

    def _during(self, event: Event, change: Any) -> None:
        """Do something to the network as one event."""
        self.schedule.event = len(self.events)
        known, before = len(self.schedule.messages), self.simulation.updates
        change()
        self._close(event, known, before, None)

    def _close(self, event: Event, known: int, before: int, places: list[tuple[Speaker, str]] | None) -> None:
        """Enter into an event what it brought about, and append it; `places` None: anywhere."""
        event.sent = self.schedule.messages[known:]
        event.updates = self.simulation.updates - before
        if places is None:
            for speaker in self.simulation.speakers.values():
                self.prefixes.update(dict.fromkeys(speaker.own))
            places = [(speaker, prefix) for speaker in self._speakers for prefix in self.prefixes]
            now = self._state()
            for kind, states in now.items():
                changed = {name: up for name, up in states.items() if up != self._up[kind][name]}
                getattr(event, kind).update(changed)
            self._up = now
        for speaker, prefix in places:
            if speaker.name in self._watched:
                before_it = self.held.get((speaker.name, prefix), NOTHING)
                after = held(speaker, prefix)
                if after != before_it:
                    self.held[speaker.name, prefix] = after
                    event.changes.append(Change(speaker.name, prefix, before_it, after))
        self.events.append(event)

    def _finish(self, chapter: int) -> Run:
        """Let the simulator say how the chapter ends; what it still had to deliver becomes one event."""
        quiet = self.simulation.quiet
        self.simulation.schedule = self.inner
        known, before = len(self.schedule.messages), self.simulation.updates
        done = self.simulation.run()
        if not quiet:
            self._close(Event(chapter, self.simulation.time, "rest"), known, before, None)
        self.inner = self.simulation.schedule
        self.schedule.inner = self.inner
        self.simulation.schedule = self.schedule
        return done

    def _state(self) -> dict[str, dict[str, bool]]:
        simulation = self.simulation
        return {
            # After a silent death one end still takes the session for Established, until its hold timer runs out.
            "sessions": {name: a.up or b.up for name, (a, b) in simulation.sessions.items()},
            "routers": {name: speaker.up for name, speaker in simulation.speakers.items()},
            "links": {name: subnet.up for name, subnet in simulation.igp.subnets.items()},
        }


def held(speaker: Speaker, prefix: str) -> Held:
    """Return what a router holds of a prefix now."""
    if not speaker.up:
        return NOTHING
    decision = speaker.decision(prefix)
    candidates = tuple(_candidates(speaker, speaker.paths(prefix), decision))
    hops = [path.attributes.next_hop for path in decision.multipath if path.peer]
    gateways = dict.fromkeys(filter(None, (speaker.igp.gateway(speaker.name, hop) for hop in hops)))
    return Held(candidates, decision.decided_by, tuple(
        (at, speaker.igp.owner.get(at, "")) for at in sorted(gateways, key=address_key)))  # fmt: skip


def _candidates(speaker: Speaker, paths: Iterable[Path], decision: Decision) -> Iterator[Candidate]:
    lost = {id(path): words for path, words in decision.lost}
    balanced = {id(path) for path in decision.multipath}
    for path in paths:
        words = lost.get(id(path), "")
        verdict: Verdict = "refused" if words.startswith("not eligible") else "lost"
        if path is decision.best or (path.peer is None and decision.best and decision.best.peer is None):
            verdict, words = "best", f"best: {(decision.decided_by or '').replace('-', ' ')}"
        elif id(path) in balanced:
            verdict, words = "balanced", "shares the traffic: equal to the best down to the IGP metric"
        session = speaker.neighbours[path.index].session if path.peer else ""
        yield Candidate(path.source, session, path.path_id, path.attributes, path.stale, verdict, words)
