"""Ctrl-C, wherever it comes while the lab works: afterwards the lab answers, or it is closed and says why."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import coursekit
from coursekit import lab
from coursekit.cluster.model import Cluster, load
from coursekit.errors import CourseError, Interrupted
from coursekit.lab import channel, live, sandbox
from coursekit.lab.live import Lab
from coursekit.lab.sandbox import Sandbox
from tests.conftest import soon
from tests.lab.interrupts import Boundaries, Steps, bare, no_hang

ROOT = Path(coursekit.__file__).parent.parent
CLOSED = r"Bring one up again: s\.up\(…\)"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No recovery is given up because the machine is busy, and nothing hangs."""
    monkeypatch.setattr(sandbox, "_GOODBYE", 60.0)
    with no_hang():
        yield


def answers(one: Sandbox) -> bool:
    """Whether a sandbox answers; one that does not has been closed, with a sentence."""
    try:
        return bool(one.ask("running") == {})
    except CourseError as error:
        assert "Bring one up again" in str(error)
        assert one._process.poll() is not None
        return False


@pytest.mark.parametrize("size", [10, 300_000])
def test_an_interrupt_before_any_bytecode_of_a_request(size: int, tmp_path: Path, record_property: Any) -> None:
    """The sandbox goes on after every one; a request that was begun has been carried out whole, another not at all."""
    one, number = bare(ROOT), 0
    stride = 1 if size == 10 else 7  # a large request takes many writes, which are all alike
    while True:
        path = tmp_path / str(number)
        before, interrupted = one.asked, None
        with Steps(number, [sandbox, channel], but=["ask"]) as steps:
            try:
                one.ask("files", files={f"..{path}": "x" * size})
            except KeyboardInterrupt as error:
                interrupted = error
        begun = one.asked > before
        assert answers(one), number
        assert (path.read_text() if path.exists() else None) == ("x" * size if begun else None), number
        if steps.left > 0:
            break
        assert interrupted is not None
        number += stride
    one.close()
    assert number > 150
    record_property("bytecodes", number // stride)


def test_an_interrupt_before_any_bytecode_of_a_large_answer(tmp_path: Path, record_property: Any) -> None:
    """However much of an answer was read, the next one is read from its beginning."""
    (tmp_path / "large").write_text("y" * 300_000)
    one, number = bare(ROOT), 0
    while True:
        with Steps(number, [sandbox, channel], but=["ask"]) as steps, contextlib.suppress(KeyboardInterrupt):
            assert len(one.ask("read", path=f"..{tmp_path}/large")) == 300_000
        assert answers(one), number
        if steps.left > 0:
            break
        number += 5
    one.close()
    assert number > 150
    record_property("bytecodes", number // 5)


def test_a_second_interrupt_before_any_bytecode_of_the_recovery(
    monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """It closes the sandbox with a sentence, or came too late to do so; nothing of the sandbox is left."""
    real, number, closed = Sandbox._recover, 0, 0
    while True:
        one = bare(ROOT)
        steps = Steps(number, [sandbox, channel], but=["close"])

        def recover(self: Sandbox, steps: Steps = steps) -> None:
            with steps:
                real(self)

        def interrupted(*_: object) -> None:
            monkeypatch.setattr(channel.Channel, "receive", received)
            raise KeyboardInterrupt

        received = channel.Channel.receive
        monkeypatch.setattr(Sandbox, "_recover", recover)
        monkeypatch.setattr(channel.Channel, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            one.ask("running")
        monkeypatch.setattr(Sandbox, "_recover", real)
        if not answers(one):
            closed += 1
            assert "a second time" in str(caught.value)
        one.close()
        if steps.left > 0:
            break
        number += 3
    assert closed > number // 3 - 5
    record_property("bytecodes", number // 3)


def test_an_interrupt_before_any_bytecode_of_the_end(record_property: Any) -> None:
    """Whoever is interrupted while a sandbox closes has one that answers, or one that can be closed again."""
    number = 0
    while True:
        one = bare(ROOT)
        with Steps(number, [sandbox, channel]) as steps, contextlib.suppress(KeyboardInterrupt):
            one.close()
        with contextlib.suppress(CourseError):
            assert one.ask("running") == {}
        one.close()
        assert one._process.poll() is not None
        with pytest.raises(CourseError, match=CLOSED):
            one.ask("running")
        if steps.left > 0:
            break
        number += 1
    assert number > 20
    record_property("bytecodes", number)


def test_an_agent_that_does_not_come_to_rest_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interrupt it has a few seconds; the interrupt says what became of the lab, and so does every request."""
    monkeypatch.setattr(sandbox, "_GOODBYE", 0.2)
    one = bare(ROOT)
    received, count = channel.Channel.receive, []

    def silent(self: channel.Channel, quiet: float | None = None) -> Any:
        count.append(quiet)
        if len(count) == 1:
            one._process.send_signal(signal.SIGSTOP)
            raise KeyboardInterrupt
        return received(self, quiet)

    monkeypatch.setattr(channel.Channel, "receive", silent)
    with pytest.raises(Interrupted, match=r"You stopped .* said nothing for 0\.2 s, and was closed\. Bring one up"):
        one.ask("running")
    assert count == [None, 0.2] or count == [90.0, 0.2]
    with pytest.raises(CourseError, match=r"said nothing for 0\.2 s, and was closed"):
        one.ask("running")
    assert one._process.poll() is not None


def test_a_notebook_shows_one_sentence() -> None:
    """An interrupt that has reached the lab is one line in a notebook, and still a KeyboardInterrupt."""
    error = Interrupted("You stopped what the lab was doing. The lab still runs.")
    assert error._render_traceback_() == ["KeyboardInterrupt: You stopped what the lab was doing. The lab still runs."]
    assert isinstance(error, KeyboardInterrupt)


# --- a lab in namespaces ----------------------------------------------------------------------------------------------


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab.up("lab") as running:
        yield running


def captured(net: Lab) -> None:
    with net.capture(["podA:eth0"]) as found:
        net.exec("podA", "true")
    assert list(found) == ["podA:eth0"]


def broken(net: Lab) -> None:
    net.break_("wrong-vni")
    net.repair()


def large(net: Lab) -> None:
    assert len(net.get("podA", "podB", size=4_000_000).body) == 4_000_000


def works(net: Lab) -> None:
    """After whatever happened, faults are undone, nothing listens, and a ping arrives."""
    net.repair()
    assert net.exec("podA", "ping -c 1 10.244.1.7 | grep -c 'bytes from'").text == "1\n"
    assert net._sandbox.ask("heard", inside=0) == {"frames": [], "lost": 0}


def step(boundaries: Boundaries, net: Lab, do: Callable[[Lab], object], which: Callable[[int], bool]) -> int:
    """Interrupt before each boundary of an operation for which `which` holds; return how many these were."""
    boundaries.interrupt()
    do(net)
    every, stepped = boundaries.count, 0
    at = 0
    while True:
        boundaries.interrupt(at)
        try:
            do(net)
        except KeyboardInterrupt:
            pass
        else:
            break
        boundaries.interrupt()
        works(net)
        stepped += 1
        at = next(number for number in range(at + 1, max(every, at) + 1000) if which(number))
    assert boundaries.count <= at
    return stepped


OPERATIONS: dict[str, Callable[[Lab], object]] = {
    "exec": lambda net: net.exec("podA", "echo here"),
    "tables": lambda net: net.tables("node1"),
    "ping": lambda net: net.ping("podA", "podB"),
    "get": lambda net: net.get("podA", "podB"),
    "capture": captured,
    "break": broken,
}


@pytest.mark.namespaces
def test_an_interrupt_at_any_boundary_leaves_a_lab_that_works(
    net: Lab, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Before every wait, read and write of every kind of request; a fault that was cut short can be repaired."""
    boundaries = Boundaries(monkeypatch)
    for name, do in OPERATIONS.items():
        stepped = step(boundaries, net, do, lambda number: True)
        assert stepped >= 6, name
        record_property(f"boundaries of {name}", stepped)
    assert net.ping("podA", "podB").journey.outcome.kind == "delivered"


@pytest.mark.namespaces
def test_an_interrupt_in_a_large_answer_leaves_a_lab_that_works(
    net: Lab, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """A GET of 4,000,000 bytes comes back in hundreds of reads, with all its frames; some of them are interrupted."""
    boundaries = Boundaries(monkeypatch)
    record_property("boundaries", step(boundaries, net, large, lambda number: number in (13, 14, 15, 16, 17, 101, 102)
                                       or number > 102 and number % 1000 == 0))  # fmt: skip


@pytest.mark.namespaces
def test_a_signal_in_a_large_answer_leaves_a_lab_that_works(net: Lab) -> None:
    """A real SIGINT while a large answer is half read: the next question gets its own answer."""
    def half_read() -> bool:
        return net._sandbox._channel.got > 1_000_000

    def interrupt() -> None:
        if soon(half_read):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with pytest.raises(Interrupted, match=r"^You stopped what the lab was doing\. The lab still runs\.$"):
        large(net)
    waiting.join()
    works(net)
    assert net.ping("podA", "podB").journey.outcome.kind == "delivered"
