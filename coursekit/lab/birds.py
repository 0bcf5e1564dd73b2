"""The BIRDs of a lab: one per node and per router that speaks BGP, each writing its kernel's routes.

A fault changes what they should be (configuration, running or not, sessions closed); `follow` makes it so.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from coursekit.bgp import birdc
from coursekit.cluster.learned import Learning
from coursekit.cluster.network import Network
from coursekit.cluster.profiles import tables
from coursekit.cluster.relearn import learning_of
from coursekit.errors import CourseError
from coursekit.lab.bird_config import configurations, protocol
from coursekit.lab.probe import which
from coursekit.lab.sandbox import Sandbox

STEADY = 0.3  # seconds for which tables must stay the same
PATIENCE = 20.0  # seconds to wait for sessions and tables
_DEATHS = {"clean": signal.SIGTERM, "killed": signal.SIGKILL}


@dataclass(frozen=True)
class Wanted:
    """What the daemons of a lab should be: texts by host, who is dead and of what, protocols that are closed."""

    texts: dict[str, str]
    dead: dict[str, str]
    closed: frozenset[tuple[str, str]]  # host, protocol
    up: frozenset[tuple[str, str]]  # likewise: the sessions that should be Established


def wanted(network: Network) -> Wanted:
    """Return what the daemons should be after all that happened to a network's BGP."""
    learning = learning_of(network)
    start, now = Learning(learning.cluster, without=learning.without).simulation(), learning.simulation()
    dead: dict[str, str] = {}
    closed: set[tuple[str, str]] = set()
    for event in learning.events:
        name = str(event.arguments[0])
        if event.op == "session_down" and name in start.sessions:
            alive = [end for end in start.sessions[name] if end.speaker.name not in dead]  # the dead notice nothing
            closed |= {(end.speaker.name, protocol(end)) for end in alive[:1]}
        if event.op == "router_down" and name in start.speakers:
            dead[name] = str(event.arguments[1])
            if event.settled:  # the timers have rung; nobody wants to wait for them here
                ends = start.speakers[name].neighbours
                closed |= {(one.speaker.name, protocol(one)) for end in ends for one in (end, end.other)}
    up = {
        (end.speaker.name, protocol(end))
        for ends in now.sessions.values()
        for end in ends
        if end.up and not {end.speaker.name, end.peer.name} & set(dead)
    }
    texts = configurations(learning, start, frozenset(_withheld(network, set(dead))))
    return Wanted(texts, dead, frozenset(closed), frozenset(up))


def _withheld(network: Network, dead: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (host, prefix) of routes that BIRD would write and that are missing in `network` all the same.

    They were deleted, or their tunnel is down: Calico's BIRD 1.6 then fails to write them, where BIRD 2 makes them
    `unreachable`.
    """
    learning = learning_of(network)
    for name, told in tables(learning.cluster, learning).items():
        there = {row.dst for row in network.host(name).tables.routes}
        if name not in dead:
            yield from ((name, str(r.dst)) for r in told.routes if r.protocol == "bird" and r.dst not in there)


def check(network: Network) -> None:
    """Raise CourseError if `network` needs BIRD and there is none."""
    if network.learning is not None and not which("bird"):
        raise CourseError(
            f"Profile {network.learning.cluster.profile.name} learns its routes by BGP, and BIRD is not installed: "
            "`sudo apt install bird2`, or choose a profile without BGP."
        )


class Birds:
    """The daemons, following a network's learning."""

    def __init__(self, sandbox: Sandbox, network: Network) -> None:
        self._sandbox = sandbox
        self._now = Wanted({}, {}, frozenset(), frozenset())
        self._settled = True  # no `follow` was cut short: the daemons are what `_now` says
        self.begin(network)
        self.follow(network)

    def begin(self, network: Network) -> None:
        """Do what comes before the network changes: daemons that are to die do so."""
        then = wanted(network)
        for name in self._alive():
            if name not in then.texts or (name in then.dead and then.dead[name] in _DEATHS):
                number = _DEATHS[then.dead.get(name, "clean")]
                self._sandbox.ask("end", name=f"bird-{name}", number=int(number))

    def follow(self, network: Network) -> None:
        """Make the daemons what they should be now, and wait until they have told each other everything."""
        before, self._now = self._now, wanted(network)
        known, self._settled = self._settled, False
        running, alive = self._running(self._now), self._alive()
        changed = [name for name in running if not known or before.texts.get(name) != self._now.texts[name]]
        self._sandbox.ask("files", files={f"{name}.conf": self._now.texts[name] for name in changed})
        self._tell((name, f'configure "/run/{name}.conf"') for name in changed if name in alive)
        for name in running:
            if name not in alive:
                words = ["bird", "-f", "-c", f"/run/{name}.conf", "-s", f"/run/{name}.ctl", "-P", f"/run/{name}.pid"]
                self._sandbox.ask("spawn", name=f"bird-{name}", host=name, command=words)
        fresh = set(running) - set(alive)
        opened = before.closed - self._now.closed  # after what was cut short, `configure` enables all
        self._until_established(fresh, opened)
        self._settled = True

    def _until_established(self, fresh: set[str], opened: Iterable[tuple[str, str]]) -> None:
        until = time.monotonic() + PATIENCE
        running = self._running(self._now)
        self._until_listening(fresh, until)
        self._tell((name, f"enable {session}") for name, session in opened if name in running)
        self._tell((name, f"disable {session}") for name, session in self._now.closed if name in running)
        self._tell((name, f"restart {session}") for name, session in self._held(running) & self._now.up)
        seen: object = None
        since = 0.0
        while True:
            missing = self._now.up - {(name, row.name) for name, row in self._sessions(running) if row.established}
            routes = undated(self._ask([(name, "show route primary") for name in running]))
            if (missing, routes) != seen:  # what a session that has just come up has to tell is still on its way
                seen, since = (missing, routes), time.monotonic()
            if not missing and time.monotonic() > since + STEADY:
                return
            if time.monotonic() > until:
                name, session = min(missing, default=("", ""))
                what = f"{name}'s session {session} does not come up" if name else "the tables do not come to rest"
                raise CourseError(f"BGP has not converged after {PATIENCE:.0f} s: {what}.")
            time.sleep(0.03)

    def _sessions(self, running: Sequence[str]) -> Iterator[tuple[str, birdc.Protocol]]:
        for name, text in zip(running, self._ask([(name, "show protocols") for name in running]), strict=True):
            yield from ((name, row) for row in birdc.protocols(text))

    def _held(self, running: Sequence[str]) -> set[tuple[str, str]]:
        """Return the sessions whose link was down; BIRD waits a minute (its `error wait time`) to try again."""
        return {(name, row.name) for name, row in self._sessions(running) if "Link down" in row.info}

    def _until_listening(self, names: set[str], until: float) -> None:
        left = set(names)
        while left:
            for name in sorted(left):
                try:
                    self._ask([(name, "show status")])
                    left.discard(name)
                except CourseError:
                    self._complain(name, until)
            time.sleep(0.02)

    def _complain(self, name: str, until: float) -> None:
        """Say why a daemon does not answer, unless it may yet."""
        alive = self._sandbox.ask("running").get(f"bird-{name}", False)
        if not alive or time.monotonic() > until:
            said = self._sandbox.ask("read", path=f"bird-{name}.log").strip().splitlines()
            raise CourseError(f"BIRD of {name} did not start: {said[-1] if said else 'it said nothing'}.")

    def _alive(self) -> list[str]:
        """Return the hosts whose daemon runs, whatever was cut short before."""
        return [name.removeprefix("bird-") for name, runs in self._sandbox.ask("running").items() if runs]

    @staticmethod
    def _running(state: Wanted) -> list[str]:
        return [name for name in state.texts if state.dead.get(name) not in _DEATHS]

    def _tell(self, lines: Iterable[tuple[str, str]]) -> None:
        self._ask(list(lines))

    def _ask(self, lines: list[tuple[str, str]]) -> list[str]:
        found = self._sandbox.ask("talk", lines=[(f"{name}.ctl", line) for name, line in lines])
        return [str(text) for text in found]

    def ask(self, name: str, command: str) -> str:
        """Return what `birdc` prints on a host; CourseError if no BIRD runs there."""
        running = self._running(self._now)
        if name not in running:
            raise CourseError(f"No BIRD runs on {name}; they run on {', '.join(running) or 'no host'}.")
        return self._ask([(name, command)])[0]


def undated(texts: Iterable[str]) -> list[str]:
    """Return what BIRDs print without times of day: one and the same moment may be printed a millisecond apart."""
    return [re.sub(r"\d\d:\d\d:\d\d\.\d+", "", text) for text in texts]
