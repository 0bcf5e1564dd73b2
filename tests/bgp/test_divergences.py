"""Each named divergence: the profile differs from the RFCs by it, and the real daemon does what the profile says.

The same daemons run the scenarios worked out by hand, step by step, under their profiles.
"""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from coursekit.bgp import wire
from coursekit.bgp.loopback import Compared, compared
from coursekit.bgp.profiles import DIVERGENCES, PROFILES, Profile
from coursekit.bgp.scenario import Scenario, take
from coursekit.bgp.scenario_file import load, parse
from coursekit.bgp.session import Neighbour, Update
from coursekit.bgp.simulation import Simulation
from coursekit.paths import data_dir
from tests.bgp.daemons import Frrs, Gobgps
from tests.bgp.divergent import NETWORKS, PEERS, P, lan, network
from tests.bgp.test_differential import EACH, LABORATORIES
from tests.bgp.trials import Trial

FILE = data_dir() / "bgp" / "cases.json"
OBSERVED = {case["id"]: {name.split("-")[0] for name in case["observed"]}
            for case in json.loads(FILE.read_text())["cases"]}  # fmt: skip
CASES = [case for case in load(FILE) if all(step.expect.get("converges", True) for step in case.steps)]
BY_CHANCE = {("gobgp", "C19")}  # profiles.HISTORY, med-in-pairs: the table depends on which path came first
ELSEWHERE = {("frr", "echo"), ("gobgp", "refused-update-replaces-nothing")}  # tested below, each in its own way


def tables(scenario: Scenario, profile: Profile) -> list[dict[str, Compared]]:
    """Return every router's table after each step, under a profile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "here", profile)
        simulation = scenario.simulation("here")
    scenario.start(simulation)
    out = []
    for step in scenario.steps:
        take(simulation, step.actions)
        assert simulation.run().converged
        out.append({name: compared({prefix: (row.best, True) for prefix, row in speaker.loc_rib.items() if row.best})
                    for name, speaker in simulation.speakers.items()})  # fmt: skip
    return out


def test_every_divergence_has_a_network() -> None:
    """Whatever a profile claims to do its own way is shown somewhere in this file, and every name is claimed."""
    claimed = {(profile.name, name) for profile in PROFILES.values() for name in profile.divergences}
    assert claimed == NETWORKS.keys() | ELSEWHERE
    assert {name for _, name in claimed} == DIVERGENCES.keys()


@pytest.mark.parametrize(("profile", "divergence"), NETWORKS)
def test_a_divergence_is_what_makes_the_difference(profile: str, divergence: str) -> None:
    """Its network comes to other tables with it than without: added to the RFCs, or taken from the profile."""
    scenario, whole = network(profile, divergence), PROFILES[profile]
    alone = tables(scenario, Profile("alone", frozenset({divergence}))) != tables(scenario, PROFILES["rfc"])
    without = tables(scenario, Profile("without", whole.divergences - {divergence})) != tables(scenario, whole)
    assert alone or without


@cache
def trials(daemon: str) -> dict[str, Trial]:
    """Run a daemon's divergent networks, and the scenarios worked out by hand that were observed in it."""
    laboratory = LABORATORIES[daemon]
    scenarios = [network(profile, name) for profile, name in NETWORKS if profile == daemon]
    scenarios += [case for case in CASES if daemon in OBSERVED[case.id] and (daemon, case.id) not in BY_CHANCE]
    with ThreadPoolExecutor(2 * laboratory.jobs) as pool:  # they are small
        ran = pool.map(lambda place: laboratory.compare(scenarios[place], 200 + place), range(len(scenarios)))
        return {trial.scenario.id: trial for trial in ran}


@pytest.mark.parametrize("daemon", EACH)
def test_the_daemon_does_what_its_profile_says(daemon: str) -> None:
    """In every such network the real daemon has our tables after every step, all of them, every attribute."""
    ran = trials(daemon)
    print(f"{daemon}: {', '.join(ran)}")
    assert {name: trial.wrong or trial.outcome for name, trial in ran.items()} == dict.fromkeys(ran, "equal")


@pytest.mark.root
@pytest.mark.tool("/usr/lib/frr/bgpd")
def test_frr_echoes() -> None:
    """FRR sends routes back where they came from: its Adj-RIBs-Out are ours, 18 announcements where the RFCs need 9."""
    scenario = next(case for case in CASES if case.id == "C10")

    def ours(simulation: Simulation) -> set[tuple[str, str, str]]:
        return {(name, end.peer.address, prefix) for name, speaker in simulation.speakers.items()
                for end in speaker.neighbours for prefix, sent in end.sent.items() if sent}  # fmt: skip

    quiet, simulation = scenario.simulation("rfc"), scenario.simulation("frr")
    for each in (quiet, simulation):
        scenario.start(each)
        each.run()
    with Frrs(simulation) as frrs:
        assert frrs.differences(20) == []
        theirs = {(name, end.peer.address, prefix) for name, speaker in simulation.speakers.items()
                  for end in speaker.neighbours for prefix in json.loads(frrs.ask(
                      name, f"show bgp ipv4 unicast neighbors {end.peer.address} advertised-routes json"
                  ))["advertisedRoutes"]}  # fmt: skip
    assert theirs == ours(simulation)
    assert (len(ours(quiet)), len(theirs)) == (9, 18)


@pytest.mark.root
@pytest.mark.tool("gobgpd", "gobgp")
def test_gobgp_keeps_what_a_refused_update_should_replace() -> None:
    """We send GoBGP a route, then one in its place that holds its own AS: it goes on using the first, as we do."""
    (scenario,) = parse(lan({"us": 65001, "g": 65002}, {"us g": PEERS}, ["us"]))
    simulation = scenario.simulation("gobgp")
    scenario.start(simulation)
    simulation.run()
    us, g = simulation.sessions["s0"]
    first = us.sent[P][0]
    second = first._replace(as_path=(65001, 65002, 9))
    with Gobgps(simulation) as gobgps:
        (ours,) = gobgps.running.pop("us")
        ours.kill()
        ours.wait()
        with _opened(gobgps, us) as stream:
            stream.sendall(wire.keepalive() + wire.encode([(P, 0)], first) + wire.encode([(P, 0)], second))
            until = time.monotonic() + 10
            while "65001 65002 9" not in (came := gobgps.ask("g", "neighbor", us.local_address, "adj-in")):
                assert time.monotonic() < until, came
                time.sleep(0.1)
            assert compared(gobgps.held("g")) == {P: ("us", first._replace(local_pref=100))}
    for name, kept in (("gobgp", (65001,)), ("rfc", None)):
        g.speaker.profile = PROFILES[name]
        list(g.speaker.receive(g, Update(g, P, 0, second, us.epoch)))
        best = g.speaker.decision(P).best
        assert (best and best.attributes.as_path) == kept


def _opened(gobgps: Gobgps, end: Neighbour) -> socket.socket:
    """Return a connection to the other end's GoBGP, on which OPENs are exchanged; it refuses some when it starts."""
    until = time.monotonic() + 40
    while True:
        stream = gobgps.net.socket(end.speaker.name)
        try:
            stream.settimeout(10)
            stream.bind((end.local_address, 0))
            stream.connect((end.peer.address, 179))
            stream.sendall(wire.open_message(end))
            heard = b""
            while wire.keepalive() not in heard:
                more = stream.recv(4096)
                if not more:
                    raise ConnectionError(f"GoBGP hung up after {heard!r}")
                heard += more
        except OSError:
            stream.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return stream
