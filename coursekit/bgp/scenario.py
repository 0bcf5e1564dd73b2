"""A scenario: routers, LANs, links, sessions, what is originated, and steps with what is expected after each.

It comes from a file (`scenario_file`), from a builder (`topologies`), or from a cluster. The schema is documented in
data/bgp/README.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from coursekit.bgp.igp import Igp, Subnet
from coursekit.bgp.profiles import Profile, profile
from coursekit.bgp.route import Attributes, Peer
from coursekit.bgp.schedule import Schedule
from coursekit.bgp.session import Neighbour, Options
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker
from coursekit.errors import CourseError, few
from coursekit.keys import check_keys

ACTIONS = {  # op: what it needs, and of what kind
    "router_down": {"router": "router"}, "router_up": {"router": "router"},
    "router_graceful_restart": {"router": "router"},
    "session_down": {"session": "session"}, "session_up": {"session": "session"},
    "link_down": {"link": "link"}, "link_up": {"link": "link"}, "set_cost": {"link": "link", "cost": "cost"},
    "withdraw": {"router": "router", "prefix": "prefix"}, "originate": {"router": "router", "prefix": "prefix"},
    "set_session_opt": {"session": "session", "side": "side", "opt": "opt", "value": "value"},
}  # fmt: skip
OPTIONAL = {"router_down": {"death": "death"}}  # likewise; and every action may have `at`


def check_actions(scenario: Scenario, actions: Iterable[Any]) -> None:
    """Refuse what is no list of actions, an action that lacks something, and one on what the scenario has not."""
    if isinstance(actions, str | Mapping) or not isinstance(actions, Iterable):
        raise CourseError('Actions are a list, such as [{"op": "router_down", "router": "n1"}]; '
                          f"{actions!r} was given.")  # fmt: skip
    known: dict[str, dict[str, None]] = {
        "router": dict.fromkeys(router.name for router in scenario.routers),
        "session": dict.fromkeys(session.id for session in scenario.sessions),
        "link": dict.fromkeys(subnet.name for subnet in scenario.subnets),
    } if actions else {}
    for action in actions:
        op = action.get("op") if isinstance(action, Mapping) else action
        if not isinstance(op, str) or op not in ACTIONS:
            raise CourseError(f"There is no action {op!r}; there are {', '.join(ACTIONS)}.")
        also = ("attributes",) if op == "originate" else OPTIONAL.get(op, ())
        check_keys(action, ("op", *ACTIONS[op], *also, "at"), f"The action {op}")
        for key in ACTIONS[op]:
            if key not in action:
                raise CourseError(f"The action {op} needs {' and '.join(ACTIONS[op])}; {key} is missing.")
            if key in known and action[key] not in known[key]:
                raise CourseError(f"There is no {key} {action[key]!r} in {scenario.id}; there are {few(known[key])}.")


@dataclass(frozen=True)
class Router:
    """A router: `cluster_id` is the router id unless it was given."""

    name: str
    asn: int
    router_id: str
    cluster_id: str
    max_paths: int = 1


class Session(NamedTuple):
    """A session between two addresses, with what each end does towards the other."""

    id: str
    a: str
    b: str
    a_addr: str
    b_addr: str
    a_opts: Options = Options()
    b_opts: Options = Options()


class Origination(NamedTuple):
    """A prefix that a router announces."""

    router: str
    prefix: str
    attributes: Attributes = Attributes()


@dataclass(frozen=True)
class Step:
    """Actions, and what is expected when the network is quiet again (keys as in the file)."""

    name: str
    actions: tuple[Mapping[str, Any], ...] = ()
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """One case: a network to be built with `simulation()`, and the steps to take with it."""

    id: str
    routers: tuple[Router, ...]
    sessions: tuple[Session, ...]
    subnets: tuple[Subnet, ...] = ()
    originate: tuple[Origination, ...] = ()
    steps: tuple[Step, ...] = (Step("initial"),)
    title: str = ""
    requires: tuple[str, ...] = ()

    def simulation(self, profile_name: str = "rfc", schedule: Schedule | None = None,
                   record: bool = False) -> Simulation:  # fmt: skip
        """Build the network with all sessions up and nothing originated yet; CourseError if a peer is unreachable."""
        chosen = profile(profile_name)
        igp = Igp({router.name: router.router_id for router in self.routers},
                  [Subnet(s.name, s.prefix_len, s.members, s.igp, s.cost, s.up, s.lan) for s in self.subnets])
        speakers = {router.name: _speaker(router, chosen, igp) for router in self.routers}
        sessions = {}
        for session in self.sessions:
            name, a, b, a_addr, b_addr, a_opts, b_opts = session
            for here, there, address in ((a, b, b_addr), (b, a, a_addr)):
                if not igp.reaches(here, address):
                    raise CourseError(
                        f"Case {self.id}: session {name} has an unreachable peer: {here} has no route to {address} of "
                        f"{there}; put both on one LAN or link, or connect their loopbacks by links with igp = true.")
            ends = (_end(speakers[a], speakers[b], name, a_addr, b_addr, a_opts),
                    _end(speakers[b], speakers[a], name, b_addr, a_addr, b_opts))  # fmt: skip
            ends[0].other, ends[1].other = ends[1], ends[0]
            sessions[name] = ends
        return Simulation(speakers, sessions, igp, schedule, record)

    def start(self, simulation: Simulation) -> None:
        """Originate everything, in the order of the file."""
        for origination in self.originate:
            simulation.originate(origination.router, origination.prefix, origination.attributes)

    def prefixes(self) -> list[str]:
        """Return every prefix that the scenario mentions, in the order of the file."""
        return list(dict.fromkeys([o.prefix for o in self.originate] + [
            action["prefix"] for step in self.steps for action in step.actions if "prefix" in action]))  # fmt: skip


def _speaker(router: Router, chosen: Profile, igp: Igp) -> Speaker:
    return Speaker(router.name, router.asn, router.router_id, router.cluster_id, router.max_paths, chosen, igp)


def _end(speaker: Speaker, peer: Speaker, session: str, own: str, address: str, options: Options) -> Neighbour:
    about = Peer(peer.name, peer.asn, peer.router_id, address, peer.asn != speaker.asn)
    end = Neighbour(speaker, session, about, own, options, len(speaker.neighbours))
    speaker.neighbours.append(end)
    return end


def act(simulation: Simulation, action: Mapping[str, Any]) -> None:
    """Do one action of a step to a running network."""
    if action["op"] == "originate":
        simulation.originate(action["router"], action["prefix"], action["attributes"])
        return
    given = [action[key] for key in (*ACTIONS[action["op"]], *OPTIONAL.get(action["op"], ())) if key in action]
    getattr(simulation, action["op"])(*given)


def take(simulation: Simulation, actions: Iterable[Mapping[str, Any]]) -> None:
    """Do the actions of a step, each `at` its time (milliseconds after the step began): while messages are under way.

    Actions without a time come first; the order of the file holds among those of one time.
    """
    begun = simulation.time
    for action in sorted(actions, key=lambda action: int(action.get("at", 0))):
        simulation.advance(begun + int(action.get("at", 0)))
        act(simulation, action)
