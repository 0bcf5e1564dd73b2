"""Real BIRDs on 127.x.y.z that follow a simulation: started from it, reconfigured with it, asked for their tables.

No root and no namespace is needed, only `bird`; nothing reaches the kernel's routing table.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Collection
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from coursekit.bgp.bird import PORT, best_paths, configuration, protocol, stand_ins
from coursekit.bgp.route import Attributes, Path
from coursekit.bgp.simulation import Simulation
from coursekit.errors import CourseError, expect
from coursekit.scratch import swept

STEADY = 0.3  # seconds for which tables must stay the same
Held = dict[str, tuple[Path, bool]]  # by prefix: the best path, and whether its next hop can be resolved
Compared = dict[str, "tuple[str, Attributes]"]


class Birds:
    """One BIRD per router of a simulation, or per one of `only`.

    They listen on 127.{net}.*; without a `net` (1-254), on one where nobody listens yet, so that two runs can go on
    side by side.
    """

    def __init__(self, simulation: Simulation, net: int | None = None, only: Collection[str] | None = None) -> None:
        expect(simulation, Simulation, "BIRDs run what a simulation ran, such as Learning(cluster).simulation()")
        found = shutil.which("bird", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if not found:
            raise CourseError("There is no bird on this machine; on Debian and Ubuntu: apt install bird2.")
        setpriv = shutil.which("setpriv")  # util-linux: daemons end with whoever started them, even if that is killed
        self._bird = [setpriv, "--pdeathsig", "TERM", found] if setpriv else [found]
        self.simulation, self.net = simulation, _quiet_net(simulation) if net is None else net
        self._room = ExitStack()
        self.home = self._room.enter_context(swept())
        self._names = list(simulation.speakers) if only is None else list(only)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._files = {name: f"r{place}" for place, name in enumerate(simulation.speakers)}
        self._written: dict[str, str] = {}

    def __enter__(self) -> Birds:
        self.follow()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:  # fmt: skip
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._room.close()

    def follow(self) -> None:
        """Make the daemons stand as the simulation does: start, stop and reconfigure what differs."""
        for name in self._names:
            speaker = self.simulation.speakers[name]
            file = self.home / self._files[name]
            if not speaker.up:
                if process := self._running.pop(name, None):
                    process.terminate()
                    process.wait()
                continue
            text = configuration(self.simulation, name, self.net)
            if name in self._running and self._written[name] == text:
                continue
            file.with_suffix(".conf").write_text(text)
            self._written[name] = text
            if name in self._running:
                said = self.ask(name, "configure")
                if "Reconfigur" not in said:
                    raise CourseError(f"BIRD refuses the configuration of {name}: {said}")
            else:
                words = ["-f", "-c", f"{file.name}.conf", "-s", f"{file.name}.ctl", "-P", f"{file.name}.pid"]
                with file.with_suffix(".log").open("wb") as log:
                    self._running[name] = subprocess.Popen(
                        [*self._bird, *words], cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=log)  # fmt: skip

    def ask(self, router: str, command: str) -> str:
        """Return what a daemon answers on its control socket, without the reply codes."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            home = os.open(self.home, os.O_RDONLY)
            try:  # the kernel takes 107 bytes for a socket's path, and TMPDIR may be longer
                control.connect(f"/proc/self/fd/{home}/{self._files[router]}.ctl")
            finally:
                os.close(home)
            with control.makefile("rw", encoding="utf-8") as stream:
                _reply(stream)
                stream.write(f"{command}\n")
                stream.flush()
                return _reply(stream)

    def restart(self, router: str, session: str) -> None:
        """Let a router close a session and open it again."""
        self.ask(router, f"restart {protocol(session)}")

    def tables(self) -> dict[str, Held]:
        """Return every running router's best paths, those with an unresolvable next hop too."""
        return {name: best_paths(self.simulation, name, self.ask(name, "show route primary all"))
                for name in self._running}  # fmt: skip

    def differences(self, patience: float = 10.0) -> list[str]:
        """Wait until the daemons hold what the simulation holds; if that does not come, return where they differ."""
        wanted = {name: expected(self.simulation, name) for name in self._running}
        until = time.monotonic() + patience
        got: dict[str, Compared] = {}
        since = None
        while time.monotonic() < until:
            try:
                got = {name: compared(held) for name, held in self.tables().items()}
            except OSError:  # not up yet
                self._complain()
            # Tables may be equal for a moment while something is still on its way.
            since = (since or time.monotonic()) if got == wanted else None
            if since and time.monotonic() > since + STEADY:
                return []
            time.sleep(0.05)
        return [f"{name} {prefix}: BIRD has {got.get(name, {}).get(prefix)}, we have {wanted[name].get(prefix)}"
                for name in wanted for prefix in sorted({*wanted[name], *got.get(name, {})})
                if wanted[name].get(prefix) != got.get(name, {}).get(prefix)]  # fmt: skip

    def unsettled(self) -> bool:
        """Return whether tables still change."""
        before = self.tables()
        time.sleep(STEADY)
        return self.tables() != before

    def _complain(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                said = (self.home / f"{self._files[name]}.log").read_text(errors="replace").strip()
                raise CourseError(f"BIRD of {name} stopped: {said or process.returncode}.")


def _quiet_net(simulation: Simulation) -> int:
    """Return a net in which nobody listens on an address that a router would take."""
    own = os.getpid() + id(simulation) // 64  # where another process, or another run of this one, would not begin
    for place in range(254):
        net = (own + place) % 254 + 1
        try:
            for address in stand_ins(simulation, net).values():
                with socket.socket() as listener:
                    listener.bind((address, PORT))
        except OSError:
            continue
        return net
    raise CourseError(f"Somebody listens on port {PORT} of every 127.x net; end the BIRDs that an earlier run left.")


def _reply(stream: Any) -> str:
    lines = []
    for line in stream:
        coded = line[:4].isdigit()
        lines.append(line[5:] if coded else line[1:])
        if coded and line[4:5] == " ":
            break
    return "".join(lines)


def compared(held: Held) -> Compared:
    """Return the usable routes of a table in a form that can be compared: whom from, and the attributes."""
    return {prefix: (path.source, path.attributes._replace(med=path.attributes.med or None,
                                                           communities=tuple(sorted(path.attributes.communities))))
            for prefix, (path, usable) in held.items() if usable}  # fmt: skip


def expected(simulation: Simulation, router: str) -> Compared:
    """Return what a router holds in a simulation, in the form of `compared`."""
    rows = simulation.speakers[router].loc_rib
    return compared({prefix: (row.best, True) for prefix, row in rows.items() if row.best})
