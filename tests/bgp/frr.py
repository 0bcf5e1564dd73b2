"""The same network in FRR: a bgpd and a zebra per router, in namespaces, that follow a simulation.

The settings are those that bring FRR closest to the RFCs: `bgp deterministic-med`, `bgp bestpath compare-routerid`,
no default policies. The IGP is the kernel's: FRR's next-hop tracking takes a route's metric for its cost.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path as File
from types import TracebackType
from typing import Any

from coursekit.bgp.decision import decide
from coursekit.bgp.loopback import Compared, Held, compared
from coursekit.bgp.route import WELL_KNOWN, Attributes, Path, address_key
from coursekit.bgp.session import Neighbour
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker
from tests.bgp.namespaces import Namespaces

PROGRAMS = "/usr/lib/frr"
STEADY = 0.4  # seconds for which tables must stay the same
REASONS = {  # what FRR calls the steps (bgpd/bgp_route.c, bgp_path_selection_reason2str)
    "First path received": "only-path", "Local Pref": "local-pref", "AS Path": "as-path-length", "Origin": "origin",
    "MED": "med", "Peer Type": "ebgp-over-ibgp", "IGP Metric": "igp-metric", "Router ID": "router-id",
    "Cluster length": "cluster-list-length", "Neighbor IP": "peer-address", "Weight": "local",
    "Locally configured route": "local",
}  # fmt: skip


def configuration(speaker: Speaker) -> str:
    """Return bgpd's configuration for a router, as things stand in the simulation."""
    lines = [
        "frr defaults traditional", *_route_maps(speaker), f"router bgp {speaker.asn}",
        f" bgp router-id {speaker.router_id}", f" bgp cluster-id {speaker.cluster_id}",
        " bgp deterministic-med", " bgp bestpath compare-routerid", " bgp bestpath as-path multipath-relax",
        " no bgp ebgp-requires-policy", " no bgp default ipv4-unicast", " no bgp network import-check",
        " timers bgp 60 180",
    ]  # fmt: skip
    for end in speaker.neighbours:
        peer = end.peer.address
        lines += [f" neighbor {peer} remote-as {end.peer.asn}", f" neighbor {peer} update-source {end.local_address}",
                  f" neighbor {peer} timers connect 1", f" neighbor {peer} advertisement-interval 0"]  # fmt: skip
        if address_key(end.local_address) > address_key(peer):  # the other end calls
            lines.append(f" neighbor {peer} passive")
        if end.peer.external:
            lines.append(f" neighbor {peer} disable-connected-check")
        if not end.up:
            lines.append(f" neighbor {peer} shutdown")
    lines.append(" address-family ipv4 unicast")
    lines += [f"  {line}" for line in _networks(speaker)]
    for end in speaker.neighbours:
        lines += [f"  neighbor {end.peer.address} {words}" for words in _policy(end)]
    lines += [f"  maximum-paths {speaker.max_paths}", f"  maximum-paths ibgp {speaker.max_paths}"]
    return "\n".join([*lines, " exit-address-family", "exit", ""])


def _networks(speaker: Speaker) -> Iterator[str]:
    for number, prefix in enumerate(speaker.own):
        yield f"network {prefix} route-map own{number}"


def _policy(end: Neighbour) -> Iterator[str]:
    options = end.options
    yield "activate"
    if end.client:
        yield "route-reflector-client"
    if options.next_hop_self:
        yield "next-hop-self"
    if options.allowas_in:
        yield f"allowas-in {options.allowas_in}"
    if options.as_override and end.peer.external:
        yield "as-override"
    if options.add_path:
        yield "addpath-tx-all-paths"
    yield f"route-map in{end.index} in"
    yield f"route-map out{end.index} out"


def _route_maps(speaker: Speaker) -> Iterator[str]:
    for number, (prefix, attributes) in enumerate(speaker.own.items()):
        yield f"ip prefix-list own{number} seq 5 permit {prefix}"
        yield f"route-map own{number} permit 10"
        yield f" set origin {attributes.origin}"
        if attributes.med is not None:
            yield f" set metric {attributes.med}"
        yield "exit"
    for end in speaker.neighbours:
        options, prepend = end.options, " ".join([str(speaker.asn)] * end.options.prepend)
        if options.max_as_path_in is not None:
            yield f"bgp as-path access-list short{end.index} permit ^([0-9]+( |$)){{0,{options.max_as_path_in}}}$"
        yield f"route-map in{end.index} permit 10"
        if options.max_as_path_in is not None:
            yield f" match as-path short{end.index}"
        if options.local_pref_in is not None:
            yield f" set local-preference {options.local_pref_in}"
        yield "exit"
        # The originator attaches communities on export; on the route itself they would bind the originator too.
        for number, attributes in enumerate(speaker.own.values()):
            if attributes.communities:
                yield f"route-map out{end.index} permit {10 + number}"
                yield f" match ip address prefix-list own{number}"
                yield f" set community {' '.join(_community(name) for name in attributes.communities)}"
                if prepend:
                    yield f" set as-path prepend {prepend}"
                yield "exit"
        yield f"route-map out{end.index} permit 999"
        if prepend:
            yield f" set as-path prepend {prepend}"
        yield "exit"


def _community(name: str) -> str:
    return {"no-export-subconfed": "local-AS"}.get(name, name)


class Frrs:
    """FRR on every router of a simulation, each in a namespace of its own."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.net = Namespaces(simulation)
        self.home = File(tempfile.mkdtemp(prefix="frr-"))
        self._running: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._written: dict[str, str] = {}
        self.compared_reasons = 0

    def __enter__(self) -> Frrs:
        self.home.chmod(0o755)
        self.net.__enter__()
        self.follow()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:  # fmt: skip
        for name in list(self._running):
            self._stop(name)
        self.net.__exit__(kind, error, where)
        shutil.rmtree(self.home, ignore_errors=True)

    def _stop(self, name: str) -> None:
        for process in self._running.pop(name):
            process.kill()
            process.wait()

    def _start(self, name: str, text: str) -> None:
        place = self.home / f"r{list(self.simulation.speakers).index(name)}"
        place.mkdir(exist_ok=True)
        shutil.chown(place, "frr", "frr")
        (place / "zebra.conf").write_text("")
        (place / "bgpd.conf").write_text(text)
        self._running[name] = [
            subprocess.Popen(self.net.inside(
                name, f"{PROGRAMS}/{program}", "-f", f"{place}/{program}.conf", "-z", f"{place}/zserv.api", "-i",
                f"{place}/{program}.pid", "--vty_socket", str(place), "-u", "frr", "-g", "frr", "-P", "0",
                "--log", f"file:{place}/{program}.log"),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for program in self._programs(place)
        ]

    @staticmethod
    def _programs(place: File) -> Iterator[str]:
        yield "zebra"
        until = time.monotonic() + 20
        while not (place / "zserv.api").exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield "bgpd"

    def follow(self) -> None:
        """Make links, routes and daemons stand as the simulation does."""
        self.net.follow()
        for name, speaker in self.simulation.speakers.items():
            if not speaker.up:
                if name in self._running:
                    self._stop(name)
                continue
            text = configuration(speaker)
            if name not in self._running:
                self._start(name, text)
            elif text != self._written[name]:
                self._change(name, speaker)
            self._written[name] = text

    def _change(self, name: str, speaker: Speaker) -> None:
        """Tell a running bgpd what is different: sessions closed or opened, prefixes withdrawn."""
        commands = ["configure terminal", f"router bgp {speaker.asn}"]
        commands += [f"{'no ' if end.up else ''}neighbor {end.peer.address} shutdown" for end in speaker.neighbours]
        commands.append("address-family ipv4 unicast")
        before = set(re.findall(r"network (\S+) ", self._written[name]))
        commands += [f"no network {prefix}" for prefix in sorted(before - speaker.own.keys())]
        said = self.ask(name, *commands)
        assert "%" not in said, said

    def ask(self, router: str, *commands: str) -> str:
        """Return what bgpd answers on its vty socket to the last of some commands."""
        place = self.home / f"r{list(self.simulation.speakers).index(router)}"
        said = b""
        with socket.socket(socket.AF_UNIX) as vty:
            vty.settimeout(10)
            vty.connect(str(place / "bgpd.vty"))
            for command in ("enable", *commands):
                vty.sendall(command.encode() + b"\0")
                said = b""
                while said[-4:-1] != b"\0\0\0":  # three zeros and the status end an answer
                    said += vty.recv(65536)
        return said[:-4].decode(errors="replace")

    def shown(self, router: str) -> dict[str, list[dict[str, Any]]]:
        """Return every path that bgpd holds, by prefix."""
        text = self.ask(router, "show bgp ipv4 unicast json detail")
        routes = json.loads(text)["routes"] if text.strip() else {}
        return {prefix: [row for row in rows if "aspath" in row and not row.get("removed")]
                for prefix, rows in routes.items()}  # fmt: skip

    def tables(self) -> dict[str, Held]:
        """Return every running router's best paths."""
        return {name: dict(self._held(name)) for name in self._running}

    def _held(self, name: str) -> Iterator[tuple[str, tuple[Path, bool]]]:
        speaker = self.simulation.speakers[name]
        for prefix, rows in self.shown(name).items():
            for row in rows:
                if row.get("bestpath", {}).get("overall"):
                    yield prefix, (_path(speaker, prefix, row), bool(row.get("valid")))

    def restart(self, router: str, session: str) -> None:
        """Let a router close a session and open it again."""
        end = next(end for end in self.simulation.speakers[router].neighbours if end.session == session)
        self.ask(router, f"clear bgp ipv4 unicast {end.peer.address}")

    def wrong_reasons(self) -> list[str]:
        """Return where FRR gives another reason for its choice than our decision process does."""
        return [line for name in self._running for prefix, rows in self.shown(name).items()
                for line in self._wrong_reason(name, prefix, rows)]  # fmt: skip

    def _wrong_reason(self, name: str, prefix: str, rows: list[dict[str, Any]]) -> Iterator[str]:
        speaker = self.simulation.speakers[name]
        best = next((row for row in rows if row.get("bestpath", {}).get("overall")), None)
        if best is None:
            return
        said = REASONS.get(best["bestpath"]["selectionReason"], best["bestpath"]["selectionReason"])
        paths = [_path(speaker, prefix, row) for row in rows if row.get("valid")]
        if said != (ours := last_comparison(speaker, paths)):
            yield f"{name} {prefix}: FRR says {said}, its last comparison was decided by {ours} for us"
        # With two candidates the last comparison is the only one, so it is the step that left one path.
        held = speaker.loc_rib[prefix]
        if len(paths) == held.candidates == 2 and said != held.decided_by and _in_groups_of_one(paths):
            yield f"{name} {prefix}: FRR says {said}, we say {held.decided_by}"
        self.compared_reasons += 1

    def differences(self, patience: float = 20.0) -> list[str]:
        """Wait until the daemons hold what the simulation holds; if that does not come, return where they differ."""
        wanted = {name: _ours(self.simulation, name) for name in self._running}
        until = time.monotonic() + patience
        got: dict[str, Compared] = {}
        since = None
        while time.monotonic() < until:
            try:
                got = {name: compared(held) for name, held in self.tables().items()}
            except OSError:  # not up yet
                got = {}
            since = (since or time.monotonic()) if got == wanted else None
            if since and time.monotonic() > since + STEADY:
                return []
            time.sleep(0.1)
        return [f"{name} {prefix}: FRR has {got.get(name, {}).get(prefix)}, we have {wanted[name].get(prefix)}"
                for name in wanted for prefix in sorted({*wanted[name], *got.get(name, {})})
                if wanted[name].get(prefix) != got.get(name, {}).get(prefix)]  # fmt: skip


def last_comparison(speaker: Speaker, paths: list[Path]) -> str | None:
    """Return the step that decided FRR's last comparison of two paths, by our decision process.

    FRR compares in pairs, in the order of its list: first within each neighbour AS (`deterministic-med`; an empty
    AS_PATH is a group of its own), then the winners. It names what decided the last pair (bgpd/bgp_route.c,
    bgp_best_selection).
    """

    def better(new: Path, old: Path) -> tuple[bool, str | None]:
        found = decide([new, old], speaker.cost, speaker.asn, profile=speaker.profile, explain=False)
        return found.best is new, found.decided_by

    groups: dict[object, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.attributes.as_path[0] if path.attributes.as_path else id(path), []).append(path)
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


def _ours(simulation: Simulation, router: str) -> Compared:
    rows = simulation.speakers[router].loc_rib
    return compared({prefix: (row.best, True) for prefix, row in rows.items() if row.best})


def _path(speaker: Speaker, prefix: str, row: dict[str, Any]) -> Path:
    peer = row["peer"]["peerId"]
    if peer == "0.0.0.0":
        return Path(speaker.own[prefix])
    end = next(end for end in speaker.neighbours if end.peer.address == peer)
    path: list[int | frozenset[int]] = []
    for segment in row["aspath"]["segments"]:
        assert segment["type"] == "as-sequence", segment
        path += segment["list"]
    names = {f"{code >> 16}:{code & 0xFFFF}": name for name, code in WELL_KNOWN.items()}
    words = row.get("community", {}).get("string", "").split()
    communities = tuple(names.get(w, "no-export-subconfed" if w == "local-AS" else w) for w in words)
    attributes = Attributes(
        tuple(path), row["nexthops"][0]["ip"], row.get("locPrf", 100), row.get("metric"), row["origin"].lower(),
        row.get("originatorId"), tuple(row.get("clusterList", {}).get("list", ())), communities)  # fmt: skip
    return Path(attributes, end.peer, client=end.client, index=end.index)
