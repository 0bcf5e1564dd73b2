"""Daemons of the sandbox: started, ended, asked whether they run, and what BIRD's control sockets say."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from typing import IO


class Daemons:
    """The processes that stay, by name; what one prints goes to /run/<name>.log."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def add(self, name: str, start: Callable[[IO[bytes]], subprocess.Popen[bytes]]) -> None:
        """Start a daemon; `start` is given the file for what it prints."""
        with open(f"/run/{name}.log", "ab") as log:
            self._processes[name] = start(log)

    def running(self) -> dict[str, bool]:
        """Return the daemons, and whether each still runs."""
        return {name: process.poll() is None for name, process in self._processes.items()}

    def end(self, name: str, number: int) -> None:
        """Send a daemon a signal that ends it, and wait until it has."""
        process = self._processes.pop(name)
        process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def files(files: dict[str, str]) -> None:
    """Write files, by path under /run."""
    for path, text in files.items():
        with open(f"/run/{path}", "w") as file:
            file.write(text)


def read(path: str) -> str:
    """Return a file under /run, such as a daemon's log."""
    with open(f"/run/{path}", errors="replace") as file:
        return file.read()


def talk(lines: list[tuple[str, str]]) -> list[str]:
    """Say lines to BIRDs' control sockets under /run; return the answers, without the reply codes."""
    return [_talk(path, line) for path, line in lines]


def _talk(path: str, line: str) -> str:
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(5)
        control.connect(f"/run/{path}")
        with control.makefile("rw", encoding="utf-8") as stream:
            _reply(stream)
            stream.write(f"{line}\n")
            stream.flush()
            return _reply(stream)


def _reply(stream: IO[str]) -> str:
    lines = []
    for line in stream:
        coded = line[:4].isdigit()
        lines.append(line[5:] if coded else line[1:])
        if coded and line[4:5] == " ":
            break
    return "".join(lines)
