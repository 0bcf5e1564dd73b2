"""Taps: what tcpdump would see on every device of every host, by one packet socket per host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coursekit.lab.inside.ring import Ring, Row

_ETHERNET = (1, 772)  # ARPHRD_ETHER, ARPHRD_LOOPBACK: devices whose frames begin with an Ethernet header


@dataclass(frozen=True)
class Seen:
    """A frame at a capture point. `dlt` is 1 for Ethernet, 101 for a bare IP packet."""

    time_ns: int
    host: str
    device: str
    out: bool
    dlt: int
    data: bytes


class Taps:
    """The packet sockets of a lab. They are deaf until `start`."""

    def __init__(self) -> None:
        self._rings: dict[str, Ring] = {}
        self._seen: list[Seen] = []
        self._lost = 0

    def add(self, host: str) -> None:
        """Open the tap of a host; its namespace must be the current one."""
        self._rings[host] = Ring()

    def sockets(self) -> Iterable[Ring]:
        """Return what to wait on."""
        return self._rings.values()

    def start(self) -> None:
        """Begin to listen: what went by before is forgotten."""
        self._seen.clear()
        for ring in self._rings.values():
            ring.hear()

    def read(self) -> None:
        """Take what has arrived."""
        for host, ring in self._rings.items():
            self._take(host, ring.read())

    def _take(self, host: str, rows: Iterable[Row]) -> None:
        for when, device, out, hardware, data in rows:
            if device:
                self._seen.append(Seen(when, host, device, out, 1 if hardware in _ETHERNET else 101, data))

    def since(self, begun: int) -> list[Seen]:
        """Return the frames from a time on (ns, of the kernel's clock), in the order of time."""
        return sorted((f for f in self._seen if f.time_ns >= begun), key=lambda frame: frame.time_ns)

    def __len__(self) -> int:
        return len(self._seen)

    def lost(self) -> int:
        """Return how many frames found no room so far."""
        self._lost += sum(ring.lost() for ring in self._rings.values())
        return self._lost

    def stop(self) -> None:
        """Fall deaf again."""
        for ring in self._rings.values():
            ring.deafen()
        for host, ring in self._rings.items():
            self._take(host, ring.rest())
