"""Our bytes beside BIRD: it takes a session that we speak, refuses damage, and says itself what we say."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache

import pytest

from coursekit.bgp import wire
from coursekit.bgp.bird import PORT, stand_ins
from coursekit.bgp.captured import content, messages_of
from coursekit.bgp.loopback import Birds
from coursekit.bgp.scenario import Scenario, take
from coursekit.bgp.scenario_file import load, parse
from coursekit.bgp.schedule import Schedule, Shuffled
from coursekit.bgp.simulation import Simulation
from coursekit.packets.capture import Frame
from coursekit.paths import data_dir

Said = tuple[str, str, bytes]  # sender, receiver, UPDATE
CASES = {case.id: case for case in load(data_dir() / "bgp" / "cases.json")}
END_OF_RIB = wire.encode([], None)
encode = cache(wire.encode)  # 40 orders of the same messages

def dialogue(internal: bool) -> Simulation:
    """Return a run of two routers: `us`, who has routes with every attribute, and `b`."""
    own = [{"router": "us", "prefix": "10.65.1.0/26", "med": 5, "communities": ["64512:7", "no-peer"]},
           {"router": "us", "prefix": "10.65.3.0/26", "origin": "incomplete"},
           {"router": "b", "prefix": "10.65.2.0/26"}]
    (scenario,) = parse({
        "routers": [{"name": "us", "asn": 4_200_000_001, "router_id": "10.0.0.2"},
                    {"name": "b", "asn": 4_200_000_001 if internal else 65002, "router_id": "10.0.0.1"},
                    {"name": "c", "asn": 4_200_000_001, "router_id": "10.0.0.3"},
                    {"name": "e", "asn": 65005, "router_id": "10.0.0.5"}],
        "lans": [{"members": {"us": "10.0.0.2", "b": "10.0.0.1", "c": "10.0.0.3", "e": "10.0.0.5"}}],
        "sessions": [
            {"id": "s", "a": "us", "b": "b", "a_opts": {"rr_client": internal, "prepend": 2 * (not internal)}},
            {"id": "c", "a": "us", "b": "c", "a_opts": {"rr_client": True}},
            {"id": "e", "a": "c", "b": "e", "a_opts": {"local_pref_in": 321}}],
        "originate": [*own, {"router": "e", "prefix": "10.65.4.0/26", "origin": "egp", "med": 77}],
    })  # fmt: skip
    simulation = scenario.simulation("bird", record=True)
    scenario.start(simulation)
    simulation.run()
    return simulation


class Spoken:
    """A session that we speak with one real BIRD, `b`, byte by byte."""

    def __init__(self, simulation: Simulation, net: int) -> None:
        self.simulation, self.net, self.heard = simulation, net, b""
        self._stack = ExitStack()

    def __enter__(self) -> Spoken:
        listening = self._stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((stand_ins(self.simulation, self.net)["10.0.0.2"], PORT))
        listening.listen(1)
        listening.settimeout(10)
        self.birds = self._stack.enter_context(Birds(self.simulation, self.net, only=["b"]))
        self.stream = self._stack.enter_context(listening.accept()[0])
        self.stream.settimeout(5)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def say(self, *messages: bytes) -> None:
        self.stream.sendall(b"".join(messages))

    def wait(self, done: Callable[[list[bytes]], bool]) -> list[bytes]:
        """Return what was heard, when it is all that is waited for."""
        while not done(whole := list(_whole(self.heard))):
            more = self.stream.recv(65536)
            assert more, f"BIRD hung up after {whole}"
            self.heard += more
        return whole


@pytest.mark.tool("bird")
@pytest.mark.parametrize("internal", [False, True])
def test_bird_takes_a_session_spoken_by_our_bytes(internal: bool) -> None:
    """Our OPEN, KEEPALIVE and UPDATE bring a session up in BIRD; its table holds our routes with all attributes."""
    simulation = dialogue(internal)
    ours = [m for m in simulation.messages if (m.sender, m.receiver) == ("us", "b")]
    held = [m.attributes for m in ours if m.attributes]
    assert len(ours) == 3
    if internal:
        assert {(a.originator_id, a.cluster_list, a.local_pref, a.med, a.as_path) for a in held} >= {
            ("10.0.0.3", ("10.0.0.2",), 321, 77, (65005,))}  # fmt: skip
    with Spoken(simulation, 252) as spoken:
        spoken.say(wire.open_message(simulation.sessions["s"][0]))
        whole = spoken.wait(lambda found: [m[18] for m in found[:2]] == [1, 4])
        assert whole[0] == wire.open_message(simulation.sessions["s"][1])
        spoken.say(wire.keepalive(), *(wire.update_bytes(m.update) for m in ours))
        assert spoken.birds.differences() == []
        heard = spoken.wait(lambda found: any(m[18] == 2 and m != END_OF_RIB for m in found))
        theirs = [part for m in heard if m[18] == 2 for part in _one_per_prefix(m)]
        assert theirs == [wire.update_bytes(m.update) for m in simulation.messages
                          if (m.sender, m.receiver) == ("b", "us")]  # fmt: skip
        gone = simulation.sessions["s"][0]
        spoken.say(*(wire.encode([(m.prefix, 0)], None) for m in ours))
        simulation.session_down("s")  # what b holds then is its own
        simulation.run()
        assert spoken.birds.differences() == []
        assert not gone.up


ROUTE_WITHOUT_ORIGIN = wire.message(2, b"\0\0\0\x07\x40\3\4\x0a\0\0\2\x1a\x0a\x41\1\0")
DAMAGED: dict[str, tuple[bytes, str]] = {
    "marker": (b"\0" + wire.keepalive()[1:], "Message Header Error: connection not synchronized"),
    "length": (wire.keepalive()[:16] + b"\0\x12\4", "Message Header Error: bad message length"),
    "type": (wire.message(9), "Message Header Error: bad message type"),
    "open again": (wire.message(1, b"\4\1\1\0\xf0\1\1\1\1\0"), "Finite State Machine Error: in Established"),
    "lengths": (wire.message(2, b"\0\0\0\x50\x40\1\1\0"), "UPDATE Message Error: malformed attribute list"),
    "prefix": (wire.message(2, b"\0\x0b\x50" + bytes(12)), "UPDATE Message Error: invalid network field"),
}  # fmt: skip


@pytest.mark.tool("bird")
@pytest.mark.parametrize("damage", DAMAGED)
def test_bird_answers_damage_with_a_notification(damage: str) -> None:
    """A message that is not as it should be ends the session, with a NOTIFICATION that we read."""
    data, answer = DAMAGED[damage]
    with Spoken(dialogue(False), 251) as spoken:
        spoken.say(wire.open_message(spoken.simulation.sessions["s"][0]))
        spoken.wait(lambda found: [m[18] for m in found[:2]] == [1, 4])
        spoken.say(wire.keepalive(), data)
        last = spoken.wait(lambda found: any(m[18] == 3 for m in found))[-1]
    assert str(content("NOTIFICATION", last[19:])) == answer


@pytest.mark.tool("bird")
def test_bird_takes_an_incomplete_route_for_a_withdrawal() -> None:
    """An UPDATE without ORIGIN takes the route away and leaves the session up (RFC 7606 §3)."""
    simulation = dialogue(False)
    with Spoken(simulation, 250) as spoken:
        spoken.say(wire.open_message(simulation.sessions["s"][0]))
        spoken.wait(lambda found: [m[18] for m in found[:2]] == [1, 4])
        spoken.say(wire.keepalive(), *(wire.update_bytes(m.update) for m in simulation.messages if m.receiver == "b"))
        assert spoken.birds.differences() == []
        spoken.say(ROUTE_WITHOUT_ORIGIN)
        simulation.withdraw("us", "10.65.1.0/26")
        simulation.run()
        assert spoken.birds.differences() == []


def _one_per_prefix(message: bytes) -> list[bytes]:
    """Cut an UPDATE into one per prefix: attributes as they are, in the bytes that came; none for End-of-RIB."""
    gone, end = 21 + int.from_bytes(message[19:21], "big"), len(message)
    start = gone + 2 + int.from_bytes(message[gone : gone + 2], "big")
    out = []
    for at, stop in ((21, gone), (start, end)):
        while at < stop:
            prefix = message[at : at + 1 + (message[at] + 7) // 8]
            at += len(prefix)
            body = len(prefix).to_bytes(2, "big") + prefix + bytes(2) if stop == gone else message[19:start] + prefix
            out.append(message[:16] + (19 + len(body)).to_bytes(2, "big") + message[18:19] + body)
    return out


def _whole(data: bytes) -> Iterator[bytes]:
    """Yield the messages that are there in whole."""
    while len(data) >= 19 and len(data) >= (size := int.from_bytes(data[16:18], "big")):
        yield data[:size]
        data = data[size:]


class Listener(threading.Thread):
    """Keeps every IP packet between addresses in 127.{net}.0.0/16 on lo."""

    def __init__(self, net: int) -> None:
        super().__init__(daemon=True)
        self.prefix = bytes([127, net])
        self.done = threading.Event()
        self.frames: list[Frame] = []
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.bind(("lo", 0x0800))
        self.socket.settimeout(0.1)

    def run(self) -> None:
        while not self.done.is_set():
            try:
                packet = self.socket.recv(65536)
            except TimeoutError:
                continue
            if packet[12:14] == self.prefix:
                self.frames.append(Frame(packet, len(self.frames) + 1, time.time_ns(), 101, len(packet)))
        self.socket.close()

    def updates(self) -> Counter[Said]:
        """Return the UPDATEs that were seen, one per prefix and End-of-RIB apart, by sender and receiver."""
        return Counter((m.sender, m.receiver, part) for m in messages_of(list(self.frames)) if m.kind == "UPDATE"
                       for part in _one_per_prefix(m.data))  # fmt: skip


CAPTURED = ("C01", "C03", "C04", "C05", "C06", "C10", "C11a", "C11b", "C11c", "C12")


@cache
def bird_says() -> dict[str, list[tuple[str, list[str], Counter[Said]]]]:
    """Run the cases in BIRD, side by side; for each step its name, what differs in the tables, and the UPDATEs."""
    with ThreadPoolExecutor(5) as pool:
        return dict(zip(CAPTURED, pool.map(_overheard, CAPTURED), strict=True))


def _overheard(case_id: str) -> list[tuple[str, list[str], Counter[Said]]]:
    scenario, net = CASES[case_id], _net(case_id)
    listener = Listener(net)
    listener.start()
    simulation = scenario.simulation("bird")
    scenario.start(simulation)
    out = []
    with Birds(simulation, net) as birds:
        before: Counter[Said] = Counter()
        for step in scenario.steps:
            take(simulation, step.actions)
            simulation.run()
            birds.follow()
            differences = birds.differences()
            time.sleep(0.3)
            seen = listener.updates()
            out.append((step.name, differences, seen - before))
            before = seen
    listener.done.set()
    listener.join()
    return out


def _net(case_id: str) -> int:
    return 230 + CAPTURED.index(case_id)


@pytest.mark.root
@pytest.mark.tool("bird")
@pytest.mark.parametrize("case_id", CAPTURED)
def test_birds_capture_holds_our_bytes(case_id: str, record_property: Callable[[str, object], None]) -> None:
    """Every UPDATE of every step is in the capture of the same network in BIRD, byte for byte.

    Only what we ourselves replace before the step is over may be missing: BIRD may have waited and said the last word.
    BIRD may say more: the same thing twice, when a route arrives while it is telling a new peer of its table; what we
    would say in another order; and withdrawals while it is shut down itself.
    """
    scenario = CASES[case_id]
    orders = [list(_steps(scenario, schedule)) for schedule in (None, *map(Shuffled, range(40)))]
    possible = {said for steps in orders for _, messages, _ in steps for said in messages}
    for (name, differences, captured), (down, ours, replaced) in zip(bird_says()[case_id], orders[0], strict=True):
        assert differences == [], name
        assert (ours - captured) - replaced == Counter(), name
        assert {said for said in captured if said[0] not in down} <= possible, name
        assert not replaced or case_id == "C12"
        record_property("UPDATEs of ours in BIRD's captures", (ours & captured).total())


def _steps(scenario: Scenario,
           schedule: Schedule | None) -> Iterator[tuple[set[str], Counter[Said], Counter[Said]]]:  # fmt: skip
    """Yield for each step the addresses of routers that are down, the UPDATEs sent, and those replaced within it."""
    simulation = scenario.simulation("bird", schedule, record=True)
    addresses = stand_ins(simulation, _net(scenario.id))
    scenario.start(simulation)
    sent = 0
    for step in scenario.steps:
        take(simulation, step.actions)
        simulation.run()
        down = {addresses[end.local_address] for speaker in simulation.speakers.values() if not speaker.up
                for end in speaker.neighbours}  # fmt: skip
        ours, replaced = list[Said](), list[Said]()
        latest = {(m.update.to, m.prefix, m.path_id): m for m in simulation.messages[sent:]}
        for m in simulation.messages[sent:]:
            said = (addresses[m.update.to.peer.address], addresses[m.update.to.local_address],
                    encode(((m.prefix, m.path_id),), m.attributes, m.update.to.other.options.add_path))  # fmt: skip
            ours.append(said)
            if latest[m.update.to, m.prefix, m.path_id] is not m:
                replaced.append(said)
        yield down, Counter(ours), Counter(replaced)
        sent = len(simulation.messages)
