"""The sandbox's first process: makes hosts, runs commands in them, listens on their devices, and ends with its client.

Requests and answers are JSON behind four bytes of length, on stdin and stdout. When stdin ends, so does this process,
and with it, as it is process 1 of its namespace, everything in the sandbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

from coursekit.lab.inside import daemons, spaces
from coursekit.lab.inside.daemons import Daemons
from coursekit.lab.inside.ipip import Endpoint
from coursekit.lab.inside.spaces import Spaces
from coursekit.lab.inside.taps import Seen, Taps
from coursekit.lab.inside.web import Get, listen

_AT_ONCE = 4  # commands side by side while a lab is built
_QUIET, _PATIENCE = 0.015, 0.25  # seconds: frames may still be on their way when a command has ended
_CARRIER = 3.0  # seconds: linkwatch may take one to notice
_KEPT = 1 << 20  # bytes of a command's output


class Cancelled(Exception):  # noqa: N818 - an interrupt is no error
    """The client does not want the answer any more."""


class Missing(Exception):  # noqa: N818
    """A program that is not installed."""


class Agent:
    """Serves one client."""

    def __init__(self) -> None:
        self._spaces, self._taps = Spaces(), Taps()
        self._daemons = Daemons()
        self._servers: dict[str, socket.socket] = {}
        self._listening: list[tuple[int, int]] = []  # captures lie in one another: when each began, and lost before it
        self._do: dict[str, Callable[..., Any]] = {
            "hosts": self.hosts, "commands": self.commands, "settings": self.settings, "checksums": self.checksums,
            "run": self.run, "get": self.get, "serve": self.serve, "listen": self.listen, "heard": self.heard,
            "ipip": self.ipip, "carrier": self.carrier, "spawn": self.spawn, "end": self._daemons.end,
            "cancel": lambda: None,  # what ran has ended when this is read: a word from the client cancels
            "running": self._daemons.running, "files": daemons.files, "read": daemons.read, "talk": daemons.talk,
        }  # fmt: skip

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what was asked."""
        try:
            return {"value": self._do[request.pop("op")](**request)}
        except Cancelled:
            return {"cancelled": True}
        except Missing as missing:
            return {"missing": str(missing)}
        except OSError as error:
            return {"error": f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")}
        except Exception as error:  # whatever was asked, the lab lives on
            return {"error": f"{type(error).__name__}: {error}"}

    def hosts(self, names: list[str], settings: dict[str, dict[str, str]], asked: dict[str, str] | None = None,
              deaf: bool = False) -> list[str]:  # fmt: skip
        """Make a namespace for each name, with its tap and settings; return the devices that the kernel puts there.

        `asked` are settings for all that must be possible.

        A kernel that has loaded ipip, sit or gre puts a device of each in every new namespace.
        """
        found: list[str] = []
        for name in names:
            self._spaces.add(name)
            with self._spaces.inside(name):
                spaces.write(settings.get(name, {}))
                spaces.write(asked or {}, strict=True)
                if not deaf:
                    self._taps.add(name)
                found = found or [device for _, device in socket.if_nameindex()]
        return found

    def carrier(self, devices: dict[str, dict[str, bool]]) -> None:
        """Wait until devices have carrier or have none, as told: until then the kernel drops what they should send."""
        until = time.monotonic() + _CARRIER
        for name, wanted in devices.items():
            while time.monotonic() < until:
                with self._spaces.inside(name):
                    found = spaces.running()
                if all(found.get(device) == up for device, up in wanted.items()):
                    break
                time.sleep(0.002)

    def ipip(self, names: list[str], device: str) -> None:
        """Make a device on hosts at which IPIP is done in this process."""
        for name in names:
            with self._spaces.inside(name):
                Endpoint(device)

    def settings(self, hosts: dict[str, dict[str, str]]) -> None:
        """Write settings of hosts, by name under /proc/sys/net."""
        for name, values in hosts.items():
            with self._spaces.inside(name):
                spaces.write(values)

    def checksums(self, names: list[str]) -> None:
        """Make all devices of hosts compute checksums themselves."""
        for name in names:
            with self._spaces.inside(name):
                spaces.compute_checksums()

    def _start(self, host: str, command: list[str], **more: Any) -> subprocess.Popen[bytes]:
        if not shutil.which(command[0]):
            raise Missing(command[0])
        with self._spaces.inside(host):
            return subprocess.Popen(command, start_new_session=True, **more)

    def commands(self, steps: list[tuple[str, list[str], str]]) -> list[tuple[int, str]]:
        """Run (host, command, input) side by side; return each one's exit status and what it printed."""
        results: list[tuple[int, str]] = []
        for first in range(0, len(steps), _AT_ONCE):
            started = []
            for host, command, text in steps[first : first + _AT_ONCE]:
                given = os.memfd_create("input")
                os.write(given, text.encode())
                os.lseek(given, 0, os.SEEK_SET)
                said = os.memfd_create("output")
                started.append((self._start(host, command, stdin=given, stdout=said, stderr=said), said))
                os.close(given)
            for process, said in started:
                process.wait()
                with open(said, "rb") as file:
                    file.seek(0)
                    results.append((process.returncode, file.read().decode(errors="replace")))
        return results

    def run(self, host: str, command: list[str], seconds: float, watch: bool = False) -> dict[str, Any]:
        """Run a command to its end, or for `seconds`; with `watch`, return the frames that went by meanwhile."""
        with self._watching(watch) as frames:
            process = self._start(host, command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)  # fmt: skip
            try:
                said, late = self._attend(process, time.monotonic() + seconds)
            finally:
                with contextlib.suppress(ProcessLookupError):  # what it left in the background stays
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
        return {"status": process.returncode, "text": said.decode(errors="replace"), "late": late, **frames}

    def _attend(self, process: subprocess.Popen[bytes], until: float) -> tuple[bytes, bool]:
        """Collect what a process prints until it ends; return that, and whether it was too slow."""
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        said, size, ended = b"", 0, os.pidfd_open(process.pid)
        try:
            while True:
                done = ended in self._wait([process.stdout.fileno(), ended], until - time.monotonic())
                while piece := _read(process.stdout):
                    size += len(piece)
                    said += piece[: max(0, _KEPT - len(said))]
                if done or time.monotonic() >= until:
                    cut = f"\n[cut here: {size} bytes were printed]\n".encode() if size > _KEPT else b""
                    return said + cut, not done
        finally:
            os.close(ended)

    def _wait(self, files: list[int], seconds: float) -> list[int]:
        """Wait for one of `files`, listening at the taps meanwhile; a word from the client cancels."""
        taps = [tap.fileno() for tap in self._taps.sockets()] if self._listening else []
        waiting = select.poll()
        for file in (0, *files, *taps):
            waiting.register(file, select.POLLIN)
        ready = [file for file, _ in waiting.poll(max(0.0, seconds) * 1000)]
        if taps:
            self._taps.read()
        if 0 in ready:
            raise Cancelled
        return [file for file in ready if file in files]

    @contextlib.contextmanager
    def _watching(self, watch: bool) -> Iterator[dict[str, Any]]:
        """Listen while a command runs, and until the network has fallen quiet after it."""
        found: dict[str, Any] = {}
        if not watch:
            yield found
            return
        inside = len(self._listening)
        self.listen(inside)
        try:
            yield found
        finally:
            heard = self.heard(inside)
        found |= heard

    def _settle(self) -> None:
        until = last = time.monotonic()
        until += _PATIENCE
        while time.monotonic() < min(until, last + _QUIET):
            before = len(self._taps)
            self._wait([], _QUIET / 3)
            if len(self._taps) > before:
                last = time.monotonic()

    def listen(self, inside: int) -> None:
        """Begin to listen at every device, inside so many other captures; further ones are nobody's any more."""
        self._forget(inside)
        if not self._listening:
            self._taps.start()
        self._taps.read()  # so that there is room
        self._listening.append((time.time_ns(), self._taps.lost()))

    def heard(self, inside: int) -> dict[str, Any]:
        """End what `listen` began; return its frames in the order of time, and how many found no room.

        A client that was interrupted may end what never began: then there are none.
        """
        if len(self._listening) <= inside:
            return {"frames": [], "lost": 0}
        begun, before = self._listening[inside]
        try:
            self._settle()
        finally:
            self._forget(inside)
        return {"frames": _rows(self._taps.since(begun)), "lost": self._taps.lost() - before}

    def _forget(self, inside: int) -> None:
        """End all captures but the outermost ones."""
        if len(self._listening) > inside:
            del self._listening[inside:]
            if not self._listening:
                self._taps.stop()

    def spawn(self, name: str, host: str, command: list[str]) -> None:
        """Start a daemon on a host."""
        quiet = subprocess.DEVNULL
        self._daemons.add(name, lambda log: self._start(host, command, stdin=quiet, stdout=log, stderr=log))

    def serve(self, host: str) -> None:
        """Let a host answer HTTP on port 80."""
        if host not in self._servers:
            with self._spaces.inside(host):
                self._servers[host] = listen(host, socket.AF_INET)

    def get(self, host: str, address: str, path: str, seconds: float) -> dict[str, Any]:
        """Fetch a path from port 80 of an address."""
        with self._watching(True) as frames:
            with self._spaces.inside(host):
                client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            asking = Get(client, address, path, host, seconds)
            asking.start()
            try:
                while asking.is_alive():
                    self._wait([], 0.01)
            except Cancelled:
                asking.give_up()
                raise
        return {**asking.answer, **frames}


def _rows(frames: list[Seen]) -> list[tuple[int, str, str, bool, int, str]]:
    return [(f.time_ns, f.host, f.device, f.out, f.dlt, f.data.hex()) for f in frames]


def _read(file: IO[bytes]) -> bytes:
    try:
        return os.read(file.fileno(), 65536)
    except BlockingIOError:
        return b""


def _take(size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = os.read(0, size - len(got))
        if not piece:
            os._exit(0)
        got += piece
    return got


def _end_with_client() -> None:
    """End at once when nobody holds the other end of stdin any more, whatever the main thread is waiting for."""
    watch = select.poll()
    watch.register(0, 0)  # a hang-up is always reported
    watch.poll()
    os._exit(0)


def main() -> None:
    """Serve until the client is gone."""
    threading.Thread(target=_end_with_client, daemon=True).start()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    spaces.prepare()
    agent = Agent()
    out = os.dup(1)
    os.dup2(2, 1)
    os.write(out, struct.pack("!I", 2) + b"{}")
    while True:
        (size,) = struct.unpack("!I", _take(4))
        request = json.loads(_take(size))
        answer = json.dumps({"id": request.pop("id"), **agent.answer(request)}).encode()
        sys.stderr.flush()
        view = memoryview(struct.pack("!I", len(answer)) + answer)
        while view:
            view = view[os.write(out, view) :]


if __name__ == "__main__":
    main()
