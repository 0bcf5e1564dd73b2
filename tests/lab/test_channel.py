"""Messages to and from the agent stay whole, wherever an interrupt comes; no lab and no namespaces are needed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from coursekit.lab import channel
from coursekit.lab.channel import Channel
from tests.lab.interrupts import Steps, no_hang


class Pipes:
    """A channel, and the other ends of its pipes: `asks` is what was written to it, `answers` lead into it."""

    def __init__(self) -> None:
        reading, self.answers = os.pipe()
        self.asks, writing = os.pipe()
        self.files = [reading, self.answers, self.asks, writing]
        self.channel = Channel(reading, writing)

    def answer(self, *messages: object) -> None:
        for message in messages:
            os.write(self.answers, framed(message))

    def asked(self) -> bytes:
        """All that has been written."""
        os.set_blocking(self.asks, False)
        return os.read(self.asks, 1 << 20)


def framed(message: object) -> bytes:
    data = json.dumps(message).encode()
    return struct.pack("!I", len(data)) + data


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    with no_hang():
        yield made
    for file in made.files:
        os.close(file)


def test_messages_are_framed(pipes: Pipes) -> None:
    """Four bytes of length, big-endian, and JSON, both ways; nothing moves past the message that was asked for."""
    pipes.channel.send({"op": "x", "text": "ü"})
    assert pipes.asked() == framed({"op": "x", "text": "ü"})
    pipes.answer({"id": 1}, {}, {"id": 2, "value": [None]})
    assert [pipes.channel.receive() for _ in range(3)] == [{"id": 1}, {}, {"id": 2, "value": [None]}]
    assert pipes.channel.begun == 1


def test_who_says_nothing_or_is_gone(pipes: Pipes) -> None:
    """Silence in the middle of a message, a pipe that stays full, and closed ends raise; what was read is kept."""
    whole = framed({"id": 1, "value": "x" * 100})
    os.write(pipes.answers, whole[:50])
    with pytest.raises(TimeoutError):
        pipes.channel.receive(0.0)
    assert pipes.channel.got == 50
    os.write(pipes.answers, whole[50:])
    assert pipes.channel.receive(0.0)["value"] == "x" * 100
    with pytest.raises(TimeoutError):
        pipes.channel.send({"text": "x" * 1_000_000}, 0.0)
    for file in (pipes.answers, pipes.asks):
        os.close(file)
        pipes.files.remove(file)
    with pytest.raises(EOFError):
        pipes.channel.receive()
    with pytest.raises(EOFError):
        pipes.channel.send({})


def test_an_interrupt_before_any_bytecode_of_a_read_loses_no_byte(pipes: Pipes) -> None:
    """Whoever reads on gets this message whole, or, if it had been read to its end, the next one."""
    number = lost = 0
    while True:
        pipes.answer({"id": 1}, {"id": 2})
        with Steps(number, [channel]) as steps:
            try:
                first = pipes.channel.receive()
            except KeyboardInterrupt:
                first = {}
        if steps.left > 0:
            break
        found = first or pipes.channel.receive()
        lost += found == {"id": 2}
        assert found == {"id": 2} or pipes.channel.receive() == {"id": 2}, number
        assert pipes.channel.got == 0
        number += 1
    assert number > 100
    assert lost <= 3  # bytecodes between the last assignment and the caller


@pytest.mark.parametrize("size", [1, 70_000])
def test_an_interrupt_before_any_bytecode_of_a_write_leaves_no_half(size: int, pipes: Pipes) -> None:
    """A message that was begun is finished by the next one; of one that was not begun nothing is written."""
    got = bytearray()

    def drain() -> None:
        while piece := os.read(pipes.asks, 1 << 16):
            got.extend(piece)

    drainer = threading.Thread(target=drain)
    drainer.start()
    expected, number = b"", 0
    while True:
        one, other = {"id": number, "text": "x" * size}, {"id": -1}
        before = pipes.channel.begun
        with Steps(number, [channel]) as steps, contextlib.suppress(KeyboardInterrupt):
            pipes.channel.send(one)
        expected += framed(one) if pipes.channel.begun > before else b""
        pipes.channel.send(other)
        expected += framed(other)
        if steps.left > 0:
            break
        number += 1
    writing = pipes.files.pop()
    os.close(writing)
    drainer.join()
    assert bytes(got) == expected
    assert number > 60


@pytest.mark.parametrize("blocking", [False, True])
def test_signals_lose_no_byte(blocking: bool, pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real signal at every piece that arrives, whose handler raises wherever in the channel it finds the reader."""
    if blocking:  # most signals then come while os.read has its piece already and has not returned it
        monkeypatch.setattr(channel, "_wait", lambda *_: None)
    interrupted, messages = 0, [{"id": number, "value": "x" * 40_000} for number in range(40)]

    def interrupt(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_filename == channel.__file__:
            raise KeyboardInterrupt

    def write() -> None:
        data = b"".join(map(framed, messages))
        for at in range(0, len(data), 900):
            os.write(pipes.answers, data[at : at + 900])
            signal.pthread_kill(reader, signal.SIGUSR1)
        pipes.answer({"id": 40})

    reader = threading.main_thread().ident or 0
    before = signal.signal(signal.SIGUSR1, interrupt)
    writer = threading.Thread(target=write)
    writer.start()
    last = -1
    while last < 40:
        try:
            found = pipes.channel.receive()
        except KeyboardInterrupt:
            interrupted += 1
            continue
        # an interrupt on the way out loses a message, and only a whole one
        assert found["id"] > last
        assert found == [*messages, {"id": 40}][found["id"]]
        last = found["id"]
    writer.join()
    signal.signal(signal.SIGUSR1, before)
    assert interrupted > 50
