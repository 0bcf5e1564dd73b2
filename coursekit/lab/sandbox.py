"""The sandbox: Linux namespaces with one process inside that does what it is asked, and nothing that outlives us.

unshare(1) makes user (unless we are root), network, mount and process namespaces; the agent in them ends when its
stdin does, so a killed kernel leaves no process, namespace, device or mount behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import coursekit
from coursekit.errors import CourseError
from coursekit.lab.probe import NAMESPACES, SEARCH_PATH, USER, mend, which

_ROOM = Path(coursekit.__file__).parent.parent
_START = f"import sys; sys.path.insert(0, {str(_ROOM)!r}); from coursekit.lab.inside.agent import main; main()"
# Where Debian and Ubuntu keep what the lab runs.
_PACKAGES = {
    "ip": "iproute2", "bridge": "iproute2", "ping": "iputils-ping", "traceroute": "traceroute", "unshare": "util-linux",
    "iptables": "iptables", "ebtables": "iptables", "bird": "bird2", "sysctl": "procps",
}  # fmt: skip
_GOODBYE = 5.0  # seconds
_SILENCE = 90.0  # seconds that another machine may take for an answer; an agent here ends when it fails


def command() -> list[str]:
    """Return the command that starts the sandbox: the same for root and for others, but for the user namespace."""
    user = [] if os.geteuid() == 0 else USER.split()
    # Any Python will do inside; a virtual environment may lie where only its owner looks.
    python = sys.executable if os.access(sys.executable, os.X_OK) else which("python3") or "python3"
    return ["unshare", *user, *NAMESPACES, python, "-I", "-S", "-c", _START]


def _not_installed(program: str) -> str:
    package = _PACKAGES.get(program)
    how = f"`sudo apt install {package}` on Debian and Ubuntu" if package else "check its name, or install it"
    return f"{program} is not installed, and the lab was to run it: {how}."


class Sandbox:
    """The client's end. Not for several threads at once: a lock lets one request through at a time."""

    def __init__(self, started_by: Sequence[str] = ()) -> None:
        """Start the agent: in namespaces, or by a command whose stdin and stdout are the agent's."""
        self._patience = _SILENCE if started_by else None
        self._complaints = open(os.memfd_create("complaints"), "w+b")  # noqa: SIM115 - closed in close()
        self._lock = threading.Lock()
        self._count = 0
        environment = {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C"}
        try:
            self._process = subprocess.Popen(
                list(started_by) or command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._complaints, env=environment, start_new_session=True, cwd="/", bufsize=0,
            )  # fmt: skip
        except FileNotFoundError:
            self._complaints.close()
            raise CourseError(_not_installed(started_by[0] if started_by else "unshare")) from None
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def ask(self, op: str, **arguments: Any) -> Any:
        """Let the agent do something and return what came of it.

        Raises CourseError for a program that is not installed, or with what the system said. An interrupt (Ctrl-C)
        ends what runs and leaves the sandbox usable.
        """
        with self._lock:
            self._count += 1
            number = self._count
            self._write({"id": number, "op": op, **arguments})
            try:
                answer = self._answer_to(number)
            except BaseException:
                self._cancel(number)
                raise
        if "missing" in answer:
            raise CourseError(_not_installed(answer["missing"]))
        if "error" in answer:
            raise CourseError(f"The lab could not do that: {answer['error']}.")
        return answer["value"]

    def _answer_to(self, number: int) -> dict[str, Any]:
        while True:
            answer = self._read()
            if answer["id"] == number:
                return answer

    def _cancel(self, number: int) -> None:
        """Let the agent drop what it does, and take its answer away; whoever does not answer is closed."""
        try:
            self._write({})
            assert self._process.stdout is not None
            if select.select([self._process.stdout], [], [], _GOODBYE)[0]:
                self._answer_to(number)
                return
        except (CourseError, OSError):
            pass
        self.close()

    def _write(self, message: dict[str, Any]) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            raise CourseError("This lab is down: it was ended, or another took its place. Bring one up again: s.up(…).")
        data = json.dumps(message).encode()
        view = memoryview(struct.pack("!I", len(data)) + data)
        try:
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except BrokenPipeError:
            raise self._gone() from None

    def _read(self) -> dict[str, Any]:
        (size,) = struct.unpack("!I", self._take(4))
        found = json.loads(self._take(size))
        assert isinstance(found, dict)
        return found

    def _take(self, size: int) -> bytes:
        assert self._process.stdout is not None
        got = bytearray()
        while len(got) < size:
            if not select.select([self._process.stdout], [], [], self._patience)[0]:
                raise CourseError(f"The lab's machine has said nothing for {self._patience:.0f} s; try again.")
            piece = self._process.stdout.read(size - len(got))
            if not piece:
                raise self._gone()
            got += piece
        return bytes(got)

    def _gone(self) -> CourseError:
        """Return why the agent is not there: what unshare or it said last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else f"exit status {self._process.returncode}"
        if self._count:
            return CourseError(f"The lab has ended before its time: {said}. Start another with lab.up(cluster).")
        return CourseError(f"The lab cannot run here ({said}): {mend(said)}.")

    def close(self) -> None:
        """End everything that is inside; more than once does no harm."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()
