"""The order in which messages arrive. On one session it is always the order of sending, as TCP has it.

`Fifo` is the message model of the closed forms: one queue, every message under way for one tick. `ByDelay` gives each
session its own delay. `Shuffled` picks the next session at random, from a seed. Times are whole milliseconds.
"""

from __future__ import annotations

import heapq
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping

from coursekit.bgp.session import Neighbour, Update

TICK = 1  # milliseconds that a message is under way unless a delay is given


class Schedule(ABC):
    """Messages under way. With `coalesce` a newer UPDATE for a prefix replaces one that is still waiting."""

    def __init__(self, coalesce: bool = False) -> None:
        self.coalesce = coalesce

    @abstractmethod
    def push(self, now: int, update: Update) -> bool:
        """Take a message that is sent now; return False if it only replaced one that was waiting."""

    @abstractmethod
    def pop(self, now: int) -> tuple[int, Update]:
        """Return the next message and the time at which it arrives."""

    @abstractmethod
    def next_time(self, now: int) -> int | None:
        """Return when the next message arrives, None if none is under way."""

    @abstractmethod
    def waiting(self) -> list[Update]:
        """Return all messages under way, the next one first where the order is settled."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many are under way."""


class ByDelay(Schedule):
    """Every message takes its session's delay in milliseconds; equal times keep the order of sending."""

    def __init__(self, delays: Mapping[str, int] | None = None, coalesce: bool = False) -> None:
        super().__init__(coalesce)
        self.delays = dict(delays or {})
        self._queue: list[tuple[int, int, tuple[Neighbour, str, int]]] = []
        self._latest: dict[tuple[Neighbour, str, int], deque[Update]] = {}
        self._sent = 0

    def push(self, now: int, update: Update) -> bool:
        """Take a message."""
        channel = update.to, update.prefix, update.path_id
        pending = self._latest.setdefault(channel, deque())
        if self.coalesce and pending:
            pending[-1] = update
            return False
        pending.append(update)
        self._sent += 1
        heapq.heappush(self._queue, (now + self.delays.get(update.to.session, TICK), self._sent, channel))
        return True

    def pop(self, now: int) -> tuple[int, Update]:
        """Return the next message and its time."""
        time, _, channel = heapq.heappop(self._queue)
        return time, self._latest[channel].popleft()

    def next_time(self, now: int) -> int | None:
        """Return when the next one arrives."""
        return self._queue[0][0] if self._queue else None

    def waiting(self) -> list[Update]:
        """Return all messages under way."""
        taken: dict[tuple[Neighbour, str, int], int] = {}
        out = []
        for _, _, channel in sorted(self._queue, key=lambda entry: entry[:2]):
            place = taken.get(channel, 0)
            taken[channel] = place + 1
            out.append(self._latest[channel][place])
        return out

    def __len__(self) -> int:
        return len(self._queue)


class Fifo(Schedule):
    """One queue; every message is under way for one tick."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[tuple[int, Update]] = deque()

    def push(self, now: int, update: Update) -> bool:
        """Take a message."""
        self._queue.append((now + TICK, update))
        return True

    def pop(self, now: int) -> tuple[int, Update]:
        """Return the next message and its time."""
        return self._queue.popleft()

    def next_time(self, now: int) -> int | None:
        """Return when the next one arrives."""
        return self._queue[0][0] if self._queue else None

    def waiting(self) -> list[Update]:
        """Return all messages under way."""
        return [update for _, update in self._queue]

    def __len__(self) -> int:
        return len(self._queue)


class Shuffled(Schedule):
    """The next message comes from a session chosen at random; the seed decides, so a run can be repeated."""

    def __init__(self, seed: int = 0, coalesce: bool = True) -> None:
        super().__init__(coalesce)
        self._random = random.Random(seed)
        self._channels: dict[Neighbour, dict[tuple[str, int, int], Update]] = {}
        self._busy: list[Neighbour] = []
        self._sent = self._waiting = 0

    def push(self, now: int, update: Update) -> bool:
        """Take a message."""
        channel = self._channels.setdefault(update.to, {})
        if not channel:
            self._busy.append(update.to)
        self._sent += not self.coalesce
        key = update.prefix, update.path_id, self._sent
        replaced = key in channel
        channel[key] = update
        self._waiting += not replaced
        return not replaced

    def pop(self, now: int) -> tuple[int, Update]:
        """Return the next message and its time."""
        place = self._random.randrange(len(self._busy))
        channel = self._channels[self._busy[place]]
        update = channel.pop(next(iter(channel)))
        self._waiting -= 1
        if not channel:
            self._busy[place] = self._busy[-1]
            self._busy.pop()
        return now + TICK, update

    def next_time(self, now: int) -> int | None:
        """Return when the next one arrives."""
        return now + TICK if self._busy else None

    def waiting(self) -> list[Update]:
        """Return all messages under way."""
        return [update for channel in self._channels.values() for update in channel.values()]

    def __len__(self) -> int:
        return self._waiting
