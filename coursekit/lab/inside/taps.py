"""Taps: what tcpdump would see on every device of every host, by one packet socket per host."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

_ETH_P_ALL = 3
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_BUFFER = 8 << 20
_LARGEST = 1 << 18
_ETHERNET = (1, 772)  # ARPHRD_ETHER, ARPHRD_LOOPBACK: devices whose frames begin with an Ethernet header
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0), 8)  # one BPF instruction: ret #0
_PACKET_STATISTICS = 6
_SOL_PACKET = 263


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
        self._sockets: dict[str, socket.socket] = {}
        self._seen: list[Seen] = []

    def add(self, host: str) -> None:
        """Open the tap of a host; its namespace must be the current one."""
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        with contextlib.suppress(OSError):
            tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        _deafen(tap)
        tap.setblocking(False)
        self._sockets[host] = tap

    def sockets(self) -> Iterable[socket.socket]:
        """Return the sockets, to wait on."""
        return self._sockets.values()

    def start(self) -> None:
        """Begin to listen: what went by before is forgotten."""
        self.read()
        self._seen.clear()
        for tap in self._sockets.values():
            tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)  # reading them sets them to zero
            tap.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def read(self) -> int:
        """Take what has arrived; return how many frames that was."""
        before = len(self._seen)
        for host, tap in self._sockets.items():
            while True:
                try:
                    data, about, _, (device, _, kind, hardware, _) = tap.recvmsg(_LARGEST, 64)
                except BlockingIOError:
                    break
                except OSError:  # the device went away; the socket lives on
                    continue
                stamp = next(value for _, what, value in about if what == _SO_TIMESTAMPNS)
                seconds, nanoseconds = struct.unpack("qq", stamp[:16])
                dlt = 1 if hardware in _ETHERNET else 101
                self._seen.append(Seen(seconds * 10**9 + nanoseconds, host, device, kind == 4, dlt, data))
        return len(self._seen) - before

    def since(self, place: int) -> list[Seen]:
        """Return the frames after the first `place`, in the order of time."""
        return sorted(self._seen[place:], key=lambda frame: frame.time_ns)

    def __len__(self) -> int:
        return len(self._seen)

    def stop(self) -> int:
        """Fall deaf again; return how many frames got lost for want of room."""
        for tap in self._sockets.values():
            _deafen(tap)
        self.read()
        return sum(struct.unpack("II", tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
                   for tap in self._sockets.values())  # fmt: skip


def _deafen(tap: socket.socket) -> None:
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(_DROP_ALL))
    tap.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
