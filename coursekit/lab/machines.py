"""The hosts of a network made real inside a sandbox: built from their tables, changed, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from coursekit.cluster.commands import Command, commands
from coursekit.cluster.iproute2 import parse_state_json
from coursekit.cluster.network import Host, Network
from coursekit.cluster.tables import HostTables, Link
from coursekit.errors import CourseError
from coursekit.lab.build import OUTSIDE, device_settings, scripts, settings, uplinks
from coursekit.lab.sandbox import Sandbox

_SHOW = ("link show", "addr show", "route show", "route show table local", "neigh show")
_SECTIONS = ("link", "addr", "route", "route_local", "neigh")


class Machines:
    """Every host of a network, each in its namespace. `network` is what was commanded: what the tables should be."""

    def __init__(self, sandbox: Sandbox, wanted: Network, written: frozenset[str] = frozenset(),
                 extra: Mapping[str, str] | None = None) -> None:  # fmt: skip
        self._sandbox, self._written = sandbox, written
        self.network = wanted
        hosts = wanted.hosts
        every = {name: settings(host) for name, host in hosts.items()}
        self._there = sandbox.ask("hosts", names=list(hosts), settings=every, asked=dict(extra or {}))
        if uplinks(wanted):
            sandbox.ask("hosts", names=[OUTSIDE], settings={OUTSIDE: settings(Host(HostTables(OUTSIDE)))}, deaf=True)
        found = scripts(wanted, written, self._there)
        self._batches("ip", {name: script.devices for name, script in found.items()})
        self._ipip()
        sandbox.ask("settings", hosts={name: device_settings(host) for name, host in hosts.items()})
        self._batches("ip", {name: script.tunnels for name, script in found.items()})
        sandbox.ask("checksums", names=list(hosts))
        self._batches("ip", {name: script.rows for name, script in found.items()})
        self._batches("bridge", {name: script.fdb for name, script in found.items()})
        bare = {name: replace(host, masquerade=(), filters=()) for name, host in hosts.items()}
        self._type(commands(replace(wanted, hosts=bare), wanted))
        self._settle()

    def _ipip(self) -> None:
        """Find the kernel's tunl0, or put a user-space one in its place; `userspace_ipip` then says so."""
        linked = [(name, link) for name, host in self.network.hosts.items() for link in host.tables.links]
        ends = {name: link.name for name, link in linked if link.kind == "ipip"}
        self.userspace_ipip = bool(ends) and not set(ends.values()) <= set(self._there)
        if self.userspace_ipip:
            try:
                self._sandbox.ask("ipip", names=list(ends), device=next(iter(ends.values())))
            except CourseError as error:
                raise CourseError(
                    f"This kernel has no IPIP (`sudo modprobe ipip`, if there is such a module), and none can be made "
                    f"in user space: {str(error).rpartition(': ')[2].rstrip('.')} at /dev/net/tun "
                    "(`sudo chmod 666 /dev/net/tun`, or run the lab as root). Recordings have IPIP too."
                ) from None

    def _settle(self) -> None:
        """Wait until every cable is as it should be, and every bridge knows it, a second later (linkwatch)."""
        links = {name: host.tables.links for name, host in self.network.hosts.items()}
        wanted = {
            name: {link.name: "LOWER_UP" in link.flags for link in all_ if link.kind in ("veth", "bridge")}
            for name, all_ in links.items()
        }
        self._sandbox.ask("carrier", devices=wanted)

    def change(self, wanted: Network) -> tuple[Command, ...]:
        """Turn the network that is there into another one of the same hosts; return the commands that did it."""
        typed = commands(self.network, wanted, without=self._written)
        before = self._sandbox.asked
        try:
            self._type(typed)
        except KeyboardInterrupt:
            if self._sandbox.asked > before:  # the sandbox finishes what it has begun
                self.network = wanted
            raise
        self.network = wanted
        self._settle()
        return typed

    def forget(self) -> None:
        """Flush what traffic taught: neighbours, cached path MTUs."""
        self._batches("ip", {name: ["neigh flush all", "route flush cache"] for name in self.network.hosts})

    def _type(self, typed: Iterable[Command]) -> None:
        """Run commands, each host's in order."""
        lines: dict[str, list[str]] = {}
        for command in typed:
            lines.setdefault(command.host, []).append(f"{command.line} || {{ echo '`{command.line}`'; exit 1; }}")
        again = [name for name, script in lines.items() if any("ip link add" in line for line in script)]
        steps = [(name, ["sh"], "\n".join(script)) for name, script in lines.items()]
        for (name, _, _), (status, said) in zip(steps, self._sandbox.ask("commands", steps=steps), strict=True):
            if status:
                *why, line = said.strip().splitlines() or [""]
                raise CourseError(f"{name} could not be changed: {line}: {_plain(why)}.")
        if again:  # a device that was made again offloads again
            self._sandbox.ask("checksums", names=again)

    def _batches(self, program: str, lines: Mapping[str, list[str]]) -> None:
        steps = [(name, [program, "-batch", "-"], "\n".join(rows) + "\n") for name, rows in lines.items() if rows]
        for (name, _, text), (status, said) in zip(steps, self._sandbox.ask("commands", steps=steps), strict=True):
            if status:
                raise CourseError(f"{name} could not be set up: {at_fault(program, text, said)}.")

    def tables(self, names: Iterable[str]) -> dict[str, HostTables]:
        """Return what `ip` and `bridge` print on hosts, by host name."""
        names = list(names)
        asked: list[tuple[str, list[str], str]] = []
        for name in names:
            asked.append((name, ["ip", "-j", "-d", "-batch", "-"], "\n".join(_SHOW) + "\n"))
            asked.append((name, ["bridge", "-j", "fdb"], ""))
            asked.append((name, ["ip", "-6", "-j", "-d", "-batch", "-"], "\n".join(_SHOW[2:]) + "\n"))
        said = iter(self._sandbox.ask("commands", steps=asked))
        state = {name: _state(*(text for _, text in (next(said), next(said), next(said)))) for name in names}
        return {name: self._plugged(tables) for name, tables in parse_state_json(state).items()}

    def _plugged(self, tables: HostTables) -> HostTables:
        """Tell each veth where its other end is, which `ip` does not print by name."""
        cables = self.network.cables
        planned = self.network.host(tables.host).tables
        kernels = {name for name in self._there if planned.link(name) is None}  # nobody's: tunl0, sit0, gre0 …
        links = (replace(li, peer=cables.get(f"{tables.host}:{li.name}")) for li in tables.links)
        return replace(tables, links=tuple(link for link in links if link.name not in kernels))

    def as_the_kernels(self, tables: HostTables) -> HostTables:
        """Return tables in which a device that does IPIP in user space is the ipip device that it stands in for."""
        planned = self.network.host(tables.host).tables
        return replace(tables, links=tuple(_stands_for(link, planned.link(link.name)) for link in tables.links))


def _stands_for(real: Link, planned: Link | None) -> Link:
    if planned is None or planned.kind != "ipip" or real.kind == "ipip":
        return real
    up = ("UP", "LOWER_UP")
    flags = [flag for flag in planned.flags if flag not in up] + [flag for flag in up if flag in real.flags]
    return replace(planned, mtu=real.mtu, flags=tuple(flags))


def at_fault(program: str, text: str, said: str) -> str:
    """Return the line of a batch that iproute2 refused, and why."""
    lines, rows = said.strip().splitlines(), text.splitlines()
    number = next((int(line.rpartition(":")[2]) for line in lines if line.startswith("Command failed")), 0)
    row = rows[number - 1] if 0 < number <= len(rows) else "-batch"
    return f"`{program} {row}`: {_plain([line for line in lines if not line.startswith('Command failed')])}"


def _plain(lines: list[str]) -> str:
    """Return what a tool complained about last, without its prefix."""
    return (lines[-1] if lines else "no reason given").removeprefix("RTNETLINK answers: ").rstrip(".")


def _state(four: str, fdb: str, six: str) -> dict[str, Any]:
    """Return one host of a state.json, from what `ip`, `bridge` and `ip -6` printed."""
    found = dict(zip(_SECTIONS, _values(four), strict=True))
    for section, rows in zip(_SECTIONS[2:], _values(six), strict=True):
        found[section] = found[section] + rows if section != "neigh" else found[section]
    return {**found, "fdb": next(_values(fdb), [])}


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON values that stand one after another in a text."""
    decoder, at, text = json.JSONDecoder(), 0, text.strip()
    while at < len(text):
        value, end = decoder.raw_decode(text, at)
        yield value
        at = end + len(text[end:]) - len(text[end:].lstrip())
