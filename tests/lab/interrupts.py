"""Interrupts at will: before the n-th bytecode of some modules, or the n-th time that a channel reads or writes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, ModuleType
from typing import Any

import pytest

from coursekit.lab import channel
from coursekit.lab.sandbox import Sandbox

HUNG = 300  # seconds: far more than any test here takes on a busy machine

# The real agent, in no namespaces: what needs none of them works, and any user can start it.
BARE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from coursekit.lab.inside import agent; "
    "agent.spaces.prepare = lambda: None; agent.main()"
)


def bare(root: object) -> Sandbox:
    """Return a sandbox with the real agent in it, and without namespaces."""
    return Sandbox([sys.executable, "-I", "-S", "-c", BARE, str(root)])


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """Fail what waits for ever."""

    def fail(*_: object) -> None:
        pytest.fail(f"something has been waiting for {HUNG} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, HUNG, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Steps:
    """A trace that raises KeyboardInterrupt before the n-th bytecode of modules; `left` is above 0 if it never did."""

    def __init__(self, number: int, modules: Sequence[ModuleType], but: Sequence[str] = ()) -> None:
        self.left = number + 1
        self._files = {module.__file__ for module in modules}
        self._but = but  # functions in which the interpreter cannot be interrupted where a trace can

    def _enter(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        code = frame.f_code
        if code.co_filename not in self._files or code.co_name in self._but:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt  # which also ends the tracing
        return self._step

    def __enter__(self) -> Steps:
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)


class Boundaries:
    """Counts the waits, reads and writes of all channels, and raises KeyboardInterrupt before some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.at: tuple[int, ...] = ()

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                self.count += 1
                if self.count - 1 in self.at:
                    raise KeyboardInterrupt
                return real(*arguments)

            return call

        monkeypatch.setattr(channel, "_wait", counted(channel._wait))
        monkeypatch.setattr(channel, "os", Counted(read=counted(os.read), write=counted(os.write)))

    def interrupt(self, *at: int) -> None:
        """Begin to count, and interrupt before these boundaries from now on."""
        self.count, self.at = 0, at


class Counted:
    """The module os, but for some functions."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)
