"""A packet socket that keeps copies: PACKET_RX_RING, TPACKET_V3 (Linux Documentation/networking/packet_mmap.rst).

A plain packet socket holds on to the packet itself until somebody reads, and the kernel may write into it meanwhile: a
fragment that connection tracking takes apart again shows the Ethernet header that it gets later. tcpdump has a ring.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import socket
import struct
import time
from collections.abc import Iterator

_ETH_P_ALL = 3
_SO_TIMESTAMPNS = 35
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_SOL_PACKET, _RX_RING, _STATISTICS, _VERSION = 263, 5, 6, 10
_V3 = 2
_BLOCK, _BLOCKS, _FRAME = 1 << 18, 16, 1 << 11  # bytes of a block, which is handed over when full or …
_RETIRED_AFTER = 4  # … milliseconds old
_USER = 1  # a block's status when it is ours to read
_SIOCGIFNAME = 0x8910
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0), 8)  # one BPF instruction: ret #0

Row = tuple[int, str, bool, int, bytes]  # nanoseconds, device, whether it left, hardware type, frame


class Ring:
    """The tap of one host, on all its devices; deaf until `hear`. Its namespace must be the current one when made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self.deafen()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(_SOL_PACKET, _VERSION, _V3)
        frames = _BLOCK // _FRAME * _BLOCKS
        request = struct.pack("7I", _BLOCK, _BLOCKS, _FRAME, frames, _RETIRED_AFTER, 0, 0)
        self._socket.setsockopt(_SOL_PACKET, _RX_RING, request)
        self._memory = mmap.mmap(self._socket.fileno(), _BLOCK * _BLOCKS)
        self._block = 0
        self._names: dict[int, str] = {}

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def hear(self) -> None:
        """Begin to listen."""
        self.lost()
        self._names.clear()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def deafen(self) -> None:
        """Take no more frames."""
        program = struct.pack("HxxxxxxP", 1, ctypes.addressof(_DROP_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def lost(self) -> int:
        """Return how many frames found no room since this was asked last."""
        drops: int = struct.unpack("3I", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))[1]
        return drops

    def read(self) -> Iterator[Row]:
        """Yield the frames of all blocks that are ours, and give the blocks back."""
        while True:
            start = self._block * _BLOCK
            status, count, offset = struct.unpack_from("3I", self._memory, start + 8)
            if not status & _USER:
                return
            at = start + offset
            for _ in range(count):
                length, seconds, nanoseconds, kept = struct.unpack_from("4I", self._memory, at)
                mac = struct.unpack_from("H", self._memory, at + 24)[0]
                index, hardware, kind = struct.unpack_from("iHB", self._memory, at + 48 + 4)
                data = self._memory[at + mac : at + mac + kept]
                yield seconds * 10**9 + nanoseconds, self._name(index), kind == socket.PACKET_OUTGOING, hardware, data
                at += length
            struct.pack_into("I", self._memory, start + 8, 0)
            self._block = (self._block + 1) % _BLOCKS

    def rest(self) -> Iterator[Row]:
        """Yield all that has arrived, waiting for the block that the kernel still fills."""
        until = time.monotonic() + 0.2
        yield from self.read()
        while struct.unpack_from("I", self._memory, self._block * _BLOCK + 12)[0] and time.monotonic() < until:
            time.sleep(0.001)
            yield from self.read()

    def _name(self, index: int) -> str:
        if index not in self._names:
            request = struct.pack("16si20x", b"", index)
            try:
                self._names[index] = fcntl.ioctl(self._socket, _SIOCGIFNAME, request)[:16].split(b"\0")[0].decode()
            except OSError:  # the device went away
                self._names[index] = ""
        return self._names[index]
