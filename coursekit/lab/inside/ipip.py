"""IPIP in user space, for kernels without ipip.ko: a TUN device named tunl0, and the outer header put on and off here.

As net/ipv4/ip_tunnel.c does it for tunl0: outer destination is the route's gateway, TTL and DF are the inner packet's,
TOS is 0, the id is never 0. A packet that the way to the other node cannot take whole is fragmented, or, with DF,
answered by “fragmentation needed”; while the device is down, the other end hears “port unreachable” (tunnel4.c).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import socket
import struct
import threading

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 0x1
_RTM_GETROUTE, _NLM_F_REQUEST, _NLMSG_ERROR = 26, 1, 2
_RTA_DST, _RTA_GATEWAY = 1, 5
_IP_MTU = 14
_HEAD = 20
_DF, _MORE = 0x4000, 0x2000


class Endpoint:
    """The tunnel end of one host. Made in its namespace; a thread carries packets until the process ends."""

    def __init__(self, device: str) -> None:
        self._device = device.encode()
        self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self._tun, _TUNSETIFF, struct.pack("16sH22x", self._device, _IFF_TUN | _IFF_NO_PI))
        self._send = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._ways = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._receive = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP)
        self._path = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # as a kernel does, drop what cannot be sent and go on
                self._carry()

    def _carry(self) -> None:
        receive = self._receive.fileno()
        for ready in select.select([self._tun, receive], [], [])[0]:
            if ready == receive:
                packet = self._receive.recv(65535)
                if self._up():
                    os.write(self._tun, packet[(packet[0] & 15) * 4 :])
                else:
                    self._complain(packet, (3, 3), 0, packet[16:20])
            else:
                self.encapsulate(os.read(self._tun, 65535))

    def encapsulate(self, inner: bytes) -> None:
        """Send an IPv4 packet on in another one."""
        if inner[0] >> 4 != 4:
            return
        remote = self._gateway(inner[16:20])
        local, mtu = self._way(remote)
        flags = struct.unpack_from("!H", inner, 6)[0] & _DF
        room = mtu - _HEAD
        if flags and len(inner) > room:
            self._complain(inner, (3, 4), room, self._way(inner[12:16])[0])
            return
        number = random.randrange(1, 65536)
        for offset, piece, more in _pieces(inner, room):
            head = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, _HEAD + len(piece), number, flags | offset // 8 | more, inner[8],
                socket.IPPROTO_IPIP, 0, local, remote,
            )  # fmt: skip
            self._send.sendto(head + piece, (socket.inet_ntoa(remote), 0))

    def _gateway(self, destination: bytes) -> bytes:
        """Ask the kernel which gateway its route to an address names; without one it is the address itself."""
        body = struct.pack("BBBBBBBBI", socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
        body += struct.pack("HH4s", 8, _RTA_DST, destination)
        self._ways.send(struct.pack("IHHII", 16 + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, 0, 0) + body)
        answer = self._ways.recv(65536)
        length, kind = struct.unpack_from("IH", answer)
        at = 28
        while kind != _NLMSG_ERROR and at + 4 <= length:
            size, what = struct.unpack_from("HH", answer, at)
            if what == _RTA_GATEWAY:
                return answer[at + 4 : at + 8]
            at += max(4, size + 3 & ~3)
        return destination

    def _way(self, remote: bytes) -> tuple[bytes, int]:
        """Return the address that the host uses towards another, and the path MTU it knows."""
        self._path.connect((socket.inet_ntoa(remote), 9))
        return socket.inet_aton(self._path.getsockname()[0]), self._path.getsockopt(socket.IPPROTO_IP, _IP_MTU)

    def _up(self) -> bool:
        request = fcntl.ioctl(self._path, _SIOCGIFFLAGS, struct.pack("16sH22x", self._device, 0))
        return bool(struct.unpack_from("H", request, 16)[0] & _IFF_UP)

    def _complain(self, about: bytes, kind: tuple[int, int], mtu: int, own: bytes) -> None:
        """Send an ICMP error to the sender of a packet, as icmp_send() does."""
        message = struct.pack("!BBHHH", *kind, 0, 0, mtu) + about[: 576 - 28]
        message = message[:2] + struct.pack("!H", _checksum(message)) + message[4:]
        head = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0xC0 | about[1] & 0x1E, _HEAD + len(message), random.randrange(1, 65536), 0, 64,
            socket.IPPROTO_ICMP, 0, own, about[12:16],
        )  # fmt: skip
        self._send.sendto(head + message, (socket.inet_ntoa(about[12:16]), 0))


def _pieces(data: bytes, room: int) -> list[tuple[int, bytes, int]]:
    """Cut a packet's data for a way that takes `room` bytes at once: offset, bytes, and the flag for more to come."""
    if len(data) <= room:
        return [(0, data, 0)]
    step = room // 8 * 8
    return [(at, data[at : at + step], _MORE if at + step < len(data) else 0) for at in range(0, len(data), step)]


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
