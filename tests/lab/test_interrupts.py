"""Ctrl-C, wherever it comes while the lab works: afterwards the lab answers, or it is closed and says why."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import coursekit
from coursekit import lab
from coursekit.cluster.model import Cluster
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
        sentence = str(error)
    assert "Bring one up again" in sentence
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
    real, received, number, closed = Sandbox._recover, channel.Channel.receive, 0, 0
    while True:
        one = bare(ROOT)
        steps = Steps(number, [sandbox, channel], but=["close"])

        def recover(self: Sandbox, steps: Steps = steps) -> None:
            with steps:
                real(self)

        def interrupted(*_: object) -> None:
            monkeypatch.setattr(channel.Channel, "receive", received)
            raise KeyboardInterrupt

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
        number += 17
    assert closed > number // 17 - 3
    record_property("bytecodes", number // 17)


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
        number += 3
    assert number > 20
    record_property("bytecodes", number // 3)


def test_two_interrupts_that_nobody_could_recover_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second before the recovery began, the agent writing, and then a request that no pipe takes at once."""
    (tmp_path / "large").write_text("y" * 500_000)
    one = bare(ROOT)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(channel.Channel, "receive", interrupted)
        patched.setattr(Sandbox, "_recover", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.ask("read", path=f"..{tmp_path}/large")
    one.ask("files", files={f"..{tmp_path}/other": "x" * 500_000})
    assert (tmp_path / "other").stat().st_size == 500_000
    one.close()


def test_an_agent_that_does_not_come_to_rest_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interrupt it has a few seconds; the interrupt says what became of the lab, and so does every request."""
    monkeypatch.setattr(sandbox, "_GOODBYE", 0.2)
    one = bare(ROOT)
    received = channel.Channel.receive

    def stopped(*_: object) -> None:
        monkeypatch.setattr(channel.Channel, "receive", received)
        one._process.send_signal(signal.SIGSTOP)
        raise KeyboardInterrupt

    monkeypatch.setattr(channel.Channel, "receive", stopped)
    with pytest.raises(Interrupted, match=r"You stopped .* said nothing for 0\.2 s, and was closed\. Bring one up"):
        one.ask("running")
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
    net.break_("missing-route")  # its commands, and those of the repair, can only be given once
    net.repair()


def large(net: Lab) -> None:
    assert len(net.get("podA", "podB", size=4_000_000).body) == 4_000_000


def works(net: Lab) -> None:
    """After whatever happened, faults are undone, nothing listens, and a ping arrives."""
    net.repair()
    assert net.exec("podA", "ping -c 1 10.244.1.7 | grep -c 'bytes from'").text == "1\n"
    assert net._sandbox.ask("heard", inside=0) == {"frames": [], "lost": 0}


def step(boundaries: Boundaries, net: Lab, do: Callable[[Lab], object], which: Iterable[int]) -> int:
    """Interrupt before these boundaries of an operation, until it has no more; return how many it had of them."""
    stepped = 0
    for at in which:
        boundaries.interrupt(at)
        try:
            do(net)
        except KeyboardInterrupt:
            stepped += 1
        else:
            assert boundaries.count <= at
            break
        finally:
            boundaries.interrupt()
        works(net)
    return stepped


OPERATIONS: dict[str, Callable[[Lab], object]] = {
    "exec": lambda net: net.exec("podA", "echo here"),
    "tables": lambda net: net.tables("node1"),
    "ping": lambda net: net.ping("podA", "podB"),
    "get": lambda net: net.get("podA", "podB"),
    "capture": captured,
    "break and repair": broken,
    "break": lambda net: net.break_("wrong-vni"),
}


@pytest.mark.namespaces
def test_an_interrupt_at_any_boundary_leaves_a_lab_that_works(
    net: Lab, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Before every wait, read and write of every kind of request; a fault that was cut short can be repaired."""
    boundaries = Boundaries(monkeypatch)
    for name, do in OPERATIONS.items():
        stepped = step(boundaries, net, do, count())
        assert stepped >= 6, name
        record_property(f"boundaries of {name}", stepped)
    works(net)
    assert net.ping("podA", "podB").journey.outcome.kind == "delivered"


@pytest.mark.namespaces
def test_a_change_that_never_began_is_not_believed(net: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C just before the commands of a repair are sent: the fault is still there, and the next repair finds it."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    net.break_("missing-route")
    with monkeypatch.context() as patched:
        patched.setattr(channel.Channel, "send", interrupted)
        with pytest.raises(Interrupted):
            net.repair()
    works(net)


@pytest.mark.namespaces
def test_an_interrupt_in_a_large_answer_leaves_a_lab_that_works(
    net: Lab, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """A GET of 4,000,000 bytes comes back in hundreds of reads, with all its frames; some of them are interrupted."""
    boundaries = Boundaries(monkeypatch)
    record_property("boundaries", step(boundaries, net, large, [15, 102]))


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


@pytest.mark.namespaces
def test_a_second_interrupt_closes_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """A double Ctrl-C while a lab recovers: one sentence, the same for whoever asks next, and no process is left."""
    boundaries = Boundaries(monkeypatch)
    for second in (6, 9):  # the request has six boundaries, and so has the recovery
        net = lab.up("lab")
        boundaries.interrupt(5, second)
        with pytest.raises(Interrupted, match=f"You stopped the lab a second time.*closed. {CLOSED}"):
            net.exec("podA", "true")
        boundaries.interrupt()
        with pytest.raises(CourseError, match=f"You stopped the lab a second time.*closed. {CLOSED}"):
            net.ping("podA", "podB")
        assert net._sandbox._process.poll() is not None
        net.down()


@pytest.mark.namespaces
def test_an_interrupt_while_a_lab_comes_up_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Before some wait, read or write of every request with which a lab is built, and of the greeting."""
    made: list[Sandbox] = []

    class Kept(Sandbox):
        def __init__(self, *arguments: Any) -> None:
            made.append(self)
            super().__init__(*arguments)

    small = Cluster.from_dict(
        {
            "profile": {"name": "none"},
            "segments": [{"name": "lan", "subnet": "192.0.2.0/24"}],
            "nodes": [{"name": "node1", "address": "192.0.2.1", "block": "10.244.0.0/24"}],
            "pods": [{"name": "podA", "address": "10.244.0.7"}],
        }
    )
    monkeypatch.setattr(live, "Sandbox", Kept)
    boundaries = Boundaries(monkeypatch)
    for at in count(0, 5):
        boundaries.interrupt(at)
        try:
            lab.up(small).down()
        except KeyboardInterrupt:
            assert made[-1]._process.poll() is not None
        else:
            break
    assert len(made) > 8
    record_property("boundaries", len(made) - 1)


@pytest.mark.namespaces
@pytest.mark.tool("bird")
def test_an_interrupted_bird_can_be_repaired(monkeypatch: pytest.MonkeyPatch, record_property: Any) -> None:
    """What birdc says is interrupted at every boundary, and a fault of BGP at some; the repair finds all of it."""
    boundaries = Boundaries(monkeypatch)
    with lab.up("lab", "calico-bgp") as net:

        for at in count():
            boundaries.interrupt(at)
            try:
                net.birdc("node1")
            except KeyboardInterrupt:
                pass
            else:
                break
            boundaries.interrupt()
            assert net.birdc("node1").count("Established") == 1
        record_property("boundaries of birdc", at)
        for at in (2, 8, 14):  # 8: the daemon is being ended
            boundaries.interrupt(at)
            with pytest.raises(KeyboardInterrupt):
                net.break_("node-down", death="killed")
            boundaries.interrupt()
            if at == 8:
                net.break_("node-down", death="killed")
            net.repair()
            assert net.birdc("node1").count("Established") == 1, at
        for fault, at in (("session-lost", 20), ("session-lost", 37), ("nodes-in-one-as", 26)):
            net.break_(fault)
            boundaries.interrupt(at)
            with pytest.raises(KeyboardInterrupt):
                net.repair()
            boundaries.interrupt()
            net.repair()
            assert net.birdc("node1").count("Established") == 1, (fault, at)
        assert net.ping("podA", "podB").journey.outcome.kind == "delivered"
