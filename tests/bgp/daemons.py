"""FRR and GoBGP on every router of a simulation, each in a network namespace, following it from step to step."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path as File
from types import TracebackType
from typing import Any, ClassVar, Self

from coursekit.bgp import frr, gobgp
from coursekit.bgp.decision import decide
from coursekit.bgp.loopback import Compared, Held, compared, expected
from coursekit.bgp.route import Path
from coursekit.bgp.session import Neighbour
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker
from tests.bgp.namespaces import Namespaces


class Namespaced(ABC):
    """One daemon, or several programs that are one, per router."""

    steady: ClassVar[float]  # seconds for which tables must stay the same

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.net = Namespaces(simulation)
        self.home = File(tempfile.mkdtemp(prefix="daemons-"))
        self.home.chmod(0o755)
        self.running: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._told: dict[str, tuple[dict[int, bool], set[str]]] = {}  # which ends are up, what is originated

    def __enter__(self) -> Self:
        self.net.__enter__()
        self.follow()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:  # fmt: skip
        for name in list(self.running):
            self._stop(name)
        self.net.__exit__(kind, error, where)
        shutil.rmtree(self.home, ignore_errors=True)

    def place(self, name: str) -> File:
        """Return where the files of a router's daemon are."""
        return self.home / f"r{list(self.simulation.speakers).index(name)}"

    def _stop(self, name: str) -> None:
        for process in self.running.pop(name):
            process.kill()
            process.wait()

    def spawn(self, name: str, *command: str) -> None:
        """Start a program in a router's namespace."""
        with (self.place(name) / f"{File(command[0]).name}.log").open("wb") as log:
            self.running.setdefault(name, []).append(subprocess.Popen(
                self.net.inside(name, *command), stdin=subprocess.DEVNULL, stdout=log, stderr=log))  # fmt: skip

    def follow(self) -> None:
        """Make links, routes and daemons stand as the simulation does."""
        self.net.follow()
        for name, speaker in self.simulation.speakers.items():
            if not speaker.up:
                if name in self.running:
                    self._stop(name)
                continue
            if name in self.running:
                up, own = self._told[name]
                turned = [end for end in speaker.neighbours if end.up != up[end.index]]
                if turned or own - speaker.own.keys():
                    self.change(name, turned, sorted(own - speaker.own.keys()))
            else:
                self.place(name).mkdir(exist_ok=True)
                self.start(name, speaker)
            self._told[name] = {end.index: end.up for end in speaker.neighbours}, set(speaker.own)

    @abstractmethod
    def start(self, name: str, speaker: Speaker) -> None:
        """Start the daemon of a router."""

    @abstractmethod
    def change(self, name: str, turned: list[Neighbour], withdrawn: list[str]) -> None:
        """Close or open the sessions that stand otherwise now, and withdraw prefixes."""

    @abstractmethod
    def restart(self, router: str, session: str) -> None:
        """Let a router close a session and open it again."""

    @abstractmethod
    def held(self, name: str) -> Held:
        """Return a router's best paths; OSError if it cannot be asked yet."""

    @abstractmethod
    def established(self, name: str) -> int:
        """Return how many sessions of a router are up."""

    def tables(self) -> dict[str, Held]:
        """Return every running router's best paths."""
        return {name: self.held(name) for name in self.running}

    def differences(self, patience: float) -> list[str]:
        """Wait until all sessions are up and the daemons hold what the simulation holds; else return where they differ.

        They have come to something else when all sessions are up and tables have not changed for ten times `steady`.
        """
        wanted = {name: expected(self.simulation, name) for name in self.running}
        sessions = {name: sum(end.up and end.other.up for end in self.simulation.speakers[name].neighbours)
                    for name in self.running}  # fmt: skip
        until = time.monotonic() + patience
        got: dict[str, Compared] = {}
        before: dict[str, Compared] | None = None
        since, again = 0.0, False
        while (now := time.monotonic()) < until:
            if any(self._connections(name) < sessions[name] for name in sessions) and now + self.steady < until:
                time.sleep(self.steady / 2)
                continue
            try:
                got = {name: compared(held) for name, held in self.tables().items()}
            except OSError:  # not up yet
                got = {}
            if got != before or not got:
                before, since, again = got, now, False
            due = now > since + self.steady * (1 if got == wanted else 10)
            if due and sessions == {name: self.established(name) for name in self.running}:
                if got == wanted:
                    return []
                if again:
                    break
                since, again = now - 5 * self.steady, True  # the last session may have come up just now
            time.sleep(self.steady / 2)
        return [f"{name} {prefix}: the daemon has {got.get(name, {}).get(prefix)}, we have {wanted[name].get(prefix)}"
                for name in wanted for prefix in sorted({*wanted[name], *got.get(name, {})})
                if wanted[name].get(prefix) != got.get(name, {}).get(prefix)]  # fmt: skip

    def _connections(self, name: str) -> int:
        """Return how many TCP connections of BGP a router has: the kernel is asked for less than the daemon."""
        rows = File(f"/proc/{self.running[name][-1].pid}/net/tcp").read_text().splitlines()[1:]
        return sum(state == "01" and ":00B3" in (own[8:], peer[8:]) for _, own, peer, state, *_ in map(str.split, rows))

    def unsettled(self) -> bool:
        """Return whether tables still change."""
        before = self.tables()
        time.sleep(self.steady)
        return self.tables() != before


class Frrs(Namespaced):
    """FRR: a zebra and a bgpd per router."""

    steady = 0.4
    programs = "/usr/lib/frr"

    def start(self, name: str, speaker: Speaker) -> None:
        """Start zebra, and bgpd when it listens."""
        place = self.place(name)
        shutil.chown(place, "frr", "frr")
        (place / "zebra.conf").write_text("")
        (place / "bgpd.conf").write_text(frr.configuration(self.simulation, name))
        for program in ("zebra", "bgpd"):
            self.spawn(name, f"{self.programs}/{program}", "-f", f"{place}/{program}.conf", "-z", f"{place}/zserv.api",
                       "-i", f"{place}/{program}.pid", "--vty_socket", str(place), "-u", "frr", "-g", "frr", "-P", "0",
                       "--log", f"file:{place}/{program}.txt")  # fmt: skip
            until = time.monotonic() + 20
            while not (place / "zserv.api").exists() and time.monotonic() < until:
                time.sleep(0.02)

    def change(self, name: str, turned: list[Neighbour], withdrawn: list[str]) -> None:
        """Tell a running bgpd what is different."""
        commands = ["configure terminal", f"router bgp {self.simulation.speakers[name].asn}"]
        commands += [f"{'no ' if end.up else ''}neighbor {end.peer.address} shutdown" for end in turned]
        commands.append("address-family ipv4 unicast")
        commands += [f"no network {prefix}" for prefix in withdrawn]
        said = self.ask(name, *commands)
        assert "%" not in said, said

    def ask(self, router: str, *commands: str) -> str:
        """Return what bgpd answers on its vty socket to the last of some commands."""
        said = b""
        with socket.socket(socket.AF_UNIX) as vty:
            vty.settimeout(10)
            vty.connect(str(self.place(router) / "bgpd.vty"))
            for command in ("enable", *commands):
                vty.sendall(command.encode() + b"\0")
                said = b""
                while said[-4:-1] != b"\0\0\0":  # three zeros and the status end an answer
                    said += vty.recv(65536)
        return said[:-4].decode(errors="replace")

    def held(self, name: str) -> Held:
        """Return a router's best paths."""
        return frr.best_paths(self.simulation, name, self.ask(name, frr.SHOW))

    def established(self, name: str) -> int:
        """Return how many sessions of a router are up."""
        found = json.loads(self.ask(name, "show bgp ipv4 unicast summary json") or "{}")
        return sum(peer["state"] == "Established" for peer in found.get("peers", {}).values())

    def restart(self, router: str, session: str) -> None:
        """Let a router close a session and open it again."""
        end = next(end for end in self.simulation.speakers[router].neighbours if end.session == session)
        self.ask(router, f"clear bgp ipv4 unicast {end.peer.address}")

    def wrong_reasons(self, patience: float = 8.0) -> list[str]:
        """Return where FRR gives another reason for its choice than our decision process does.

        FRR's reason may be behind its table for a while, when a path came that changes nothing.
        """
        until = time.monotonic() + patience
        while (wrong := self._wrong_reasons()) and time.monotonic() < until:
            time.sleep(0.5)
        return wrong

    def _wrong_reasons(self) -> list[str]:
        return [line for name in self.running for prefix, rows in frr.rows(self.ask(name, frr.SHOW)).items()
                for line in self._wrong_reason(name, prefix, rows)]  # fmt: skip

    def _wrong_reason(self, name: str, prefix: str, rows: list[dict[str, Any]]) -> Iterator[str]:
        speaker = self.simulation.speakers[name]
        best = next((row for row in rows if row.get("bestpath", {}).get("overall")), None)
        if best is None:
            return
        said = frr.REASONS.get(best["bestpath"]["selectionReason"], best["bestpath"]["selectionReason"])
        paths = [frr.path_of(speaker, prefix, row) for row in rows if row.get("valid")]
        if said != (ours := last_comparison(speaker, paths)):
            yield f"{name} {prefix}: FRR says {said}, its last comparison was decided by {ours} for us"
        # With two candidates the last comparison is the only one, so it is the step that left one path.
        held = speaker.loc_rib[prefix]
        if len(paths) == held.candidates == 2 and said != held.decided_by and _in_groups_of_one(paths):
            yield f"{name} {prefix}: FRR says {said}, we say {held.decided_by}"


def last_comparison(speaker: Speaker, paths: list[Path]) -> str | None:
    """Return the step that decided FRR's last comparison of two paths, by our decision process.

    FRR compares in pairs, in the order of its list: first within each neighbour AS (`deterministic-med`; those with an
    empty AS_PATH are one group), then the winners. It names what decided the last pair (bgpd/bgp_route.c,
    bgp_best_selection).
    """

    def better(new: Path, old: Path) -> tuple[bool, str | None]:
        found = decide([new, old], speaker.cost, speaker.asn, profile=speaker.profile, explain=False)
        return found.best is new, found.decided_by

    groups: dict[object, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.attributes.as_path[:1], []).append(path)
    winners, reason = [], None
    for winner, *others in groups.values():
        for path in others:
            wins, reason = better(path, winner)
            winner = path if wins else winner
        winners.append(winner)
    best = None
    for path in sorted(winners, key=lambda path: next(i for i, p in enumerate(paths) if p is path)):
        if best is None:
            best, reason = path, reason or "only-path"
        else:
            wins, reason = better(path, best)
            best = path if wins else best
    return reason


def _in_groups_of_one(paths: list[Path]) -> bool:
    first = [path.attributes.as_path[0] for path in paths if path.attributes.as_path]
    return len(set(first)) == len(first)


class Gobgps(Namespaced):
    """GoBGP: a gobgpd per router."""

    steady = 0.6

    def start(self, name: str, speaker: Speaker) -> None:
        """Start gobgpd, and let it originate when it answers."""
        file = self.place(name) / "gobgpd.json"
        file.write_text(gobgp.configuration(self.simulation, name))
        self.spawn(name, "gobgpd", "-f", str(file), "-t", "json", "--pprof-disable")
        until = time.monotonic() + 20
        while True:
            try:
                self.ask(name, "global")
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        for words in gobgp.originations(speaker):
            self.ask(name, *words)

    def change(self, name: str, turned: list[Neighbour], withdrawn: list[str]) -> None:
        """Tell a running gobgpd what is different."""
        for prefix in withdrawn:
            self.ask(name, "global", "rib", "del", prefix)
        for end in turned:
            self.ask(name, "neighbor", end.peer.address, "enable" if end.up else "disable")

    def ask(self, router: str, *words: str) -> str:
        """Return what the command line of a router's gobgp prints; OSError if it complains."""
        done = subprocess.run(self.net.inside(router, "gobgp", *words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"gobgp {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def held(self, name: str) -> Held:
        """Return a router's best paths."""
        return gobgp.best_paths(self.simulation, name, self.ask(name, "global", "rib", "-j"))

    def established(self, name: str) -> int:
        """Return how many sessions of a router are up."""
        return self.ask(name, "neighbor").count(" Establ ")

    def restart(self, router: str, session: str) -> None:
        """Let a router close a session and open it again."""
        end = next(end for end in self.simulation.speakers[router].neighbours if end.session == session)
        self.ask(router, "neighbor", end.peer.address, "reset")
