"""Running the steps where minikube and kubectl are installed. What destroys is left out unless it is asked for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coursekit.errors import CourseError
from coursekit.lab.minikube.steps import Step

_LEAD = 2.0  # seconds that a capture gets before traffic is made
_KEPT = 1 << 22  # characters of output


@dataclass(frozen=True)
class Done:
    """What came of a step: `said` is what it printed on stdout, `complained` what it printed on stderr."""

    step: Step
    status: int
    said: str
    complained: str = ""
    left_out: bool = False

    @property
    def well(self) -> bool:
        """Whether it ended as it should; what was left out did."""
        return self.left_out or self.step.fails or self.status == 0

    def __str__(self) -> str:
        if self.left_out:
            return f"left out  {self.step.what}: `{self.step.command}` destroys; ask for it with destroy=True"
        last = (self.complained.strip().splitlines() or ["it said nothing"])[-1]
        end = "" if self.well else f" (exit status {self.status}: {last})"
        return f"{'done' if self.well else 'failed':<9} {self.step.what}{end}"


def missing() -> tuple[str, ...]:
    """Return which of the programs that the steps need are not installed."""
    return tuple(program for program in ("minikube", "kubectl", "sh") if not shutil.which(program))


def run(found: Iterable[Step], *, destroy: bool = False) -> Iterator[Done]:
    """Run steps one by one, yielding what came of each, and end after the first that fails.

    Without `destroy`, steps that delete a cluster or pods are yielded as left out. Raises CourseError if a program is
    missing or a step takes longer than it may.
    """
    found = tuple(found)
    used = {step.command.split()[0] for step in found}
    if lacking := [program for program in missing() if program in used or program == "sh"]:
        verb = "is" if len(lacking) == 1 else "are"
        raise CourseError(
            f"{' and '.join(lacking)} {verb} missing; see minikube.sigs.k8s.io/docs/start. Outputs of another cluster "
            "can be pasted instead, and network namespaces or recordings need neither."
        )
    for step in found:
        done = Done(step, 0, "", left_out=True) if step.destroys and not destroy else _one(step)
        yield done
        if not done.well:
            return


def _one(step: Step) -> Done:
    process = _begin(step.command)
    beside = None
    try:
        if step.beside:
            time.sleep(_LEAD)
            beside = _begin(step.beside)
        said, complained = process.communicate(step.stdin, timeout=step.seconds)
    except subprocess.TimeoutExpired:
        raise CourseError(
            f"{step.what}: `{step.command}` has not ended after {step.seconds:g} s. See `kubectl get pods -A` for what "
            "it waits for, then run the rest again."
        ) from None
    finally:
        for one in (process, beside):
            if one is not None:
                _end(one)
    return Done(step, process.returncode, said[:_KEPT], complained[:_KEPT])


def _begin(command: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace", start_new_session=True
    )


def _end(process: subprocess.Popen[str]) -> None:
    """End a command and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
