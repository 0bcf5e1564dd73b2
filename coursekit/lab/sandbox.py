"""The sandbox: Linux namespaces with one process inside that does what it is asked, and nothing that outlives us.

unshare(1) makes user (unless we are root), network, mount and process namespaces; the agent in them ends when its
stdin does, so a killed kernel leaves no process, namespace, device or mount behind.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import coursekit
from coursekit.errors import CourseError, Interrupted
from coursekit.lab.channel import Channel
from coursekit.lab.probe import NAMESPACES, SEARCH_PATH, USER, mend, which

_ROOM = Path(coursekit.__file__).parent.parent
_START = f"import sys; sys.path.insert(0, {str(_ROOM)!r}); from coursekit.lab.inside.agent import main; main()"
# Where Debian and Ubuntu keep what the lab runs.
_PACKAGES = {
    "ip": "iproute2", "bridge": "iproute2", "ping": "iputils-ping", "traceroute": "traceroute", "unshare": "util-linux",
    "iptables": "iptables", "ebtables": "iptables", "bird": "bird2", "sysctl": "procps",
}  # fmt: skip
_GOODBYE = 5.0  # seconds
_AGAIN = "Bring one up again: s.up(…)."
_DOWN = f"This lab is down: it was ended, or another took its place. {_AGAIN}"
_TWICE = f"You stopped the lab a second time before it was ready again, so it was closed. {_AGAIN}"
_GOES_ON = "The lab still runs."
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
        self._idle = True  # the agent has answered all that it was asked
        self._closed = ""  # why, once it is
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
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
            try:
                self._channel.receive(self._patience)
            except (TimeoutError, EOFError) as error:
                raise self._failed(error, self._patience) from None
        except BaseException:
            self.close()
            raise

    @property
    def asked(self) -> int:
        """How many requests were begun; the agent gets each of these, whatever interrupts the wait for its answer."""
        return self._channel.begun

    def ask(self, op: str, **arguments: Any) -> Any:
        """Let the agent do something and return what came of it.

        Raises CourseError for a program that is not installed, or with what the system said. An interrupt (Ctrl-C)
        ends what runs and leaves the sandbox usable, or closed where that cannot be: Interrupted says which.
        """
        with self._lock:
            answer = self._carried_out(op, arguments)
        if "missing" in answer:
            raise CourseError(_not_installed(answer["missing"]))
        if "error" in answer:
            raise CourseError(f"The lab could not do that: {answer['error']}.")
        return answer["value"]

    def _carried_out(self, op: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request; whatever happens, the agent is at rest afterwards, or the sandbox closed."""
        if not self._idle:  # an interrupt came outside of what is tried below
            self._recover()
        before = self.asked
        try:
            return self._exchange(op, arguments, self._patience)
        except CourseError as error:
            self.close(str(error))
            raise
        except BaseException as error:
            if self.asked > before:
                self._recover()
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(f"You stopped what the lab was doing. {self._closed or _GOES_ON}") from None
            raise

    def _exchange(self, op: str, arguments: dict[str, Any], quiet: float | None) -> dict[str, Any]:
        """Send a request and return its answer; answers to earlier ones, which nobody waits for any more, are dropped.

        Raises CourseError where the agent has ended, or lets nothing move for `quiet` seconds.
        """
        if self._closed:
            raise CourseError(self._closed)
        self._idle = False
        number = self.asked + 1
        try:
            self._channel.send({"id": number, "op": op, **arguments}, quiet)
            while (answer := self._channel.receive(quiet)).get("id") != number:
                pass
        except (TimeoutError, EOFError) as error:
            raise self._failed(error, quiet) from None
        self._idle = True
        return answer

    def _recover(self) -> None:
        """Let the agent drop what it does; if it does not answer, or at a second interrupt, the sandbox is closed."""
        try:
            self._exchange("cancel", {}, _GOODBYE)
        except CourseError as error:
            self.close(str(error))
        except KeyboardInterrupt:
            self.close(_TWICE)
            raise Interrupted(_TWICE) from None

    def _failed(self, error: Exception, quiet: float | None) -> CourseError:
        """Return why the agent does not answer; of one that has ended, what unshare or it said last."""
        if isinstance(error, TimeoutError):
            return CourseError(f"The lab has said nothing for {quiet:g} s, and was closed. {_AGAIN}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else f"exit status {self._process.returncode}"
        if self.asked:
            return CourseError(f"The lab has ended before its time: {said}. Start another with lab.up(cluster).")
        return CourseError(f"The lab cannot run here ({said}): {mend(said)}.")

    def close(self, why: str = _DOWN) -> None:
        """End everything that is inside; more than once does no harm. `why` is what the next request is told."""
        self._closed = self._closed or why
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
