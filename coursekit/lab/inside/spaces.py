"""Network namespaces, one per host: made, entered and named as `ip netns` does, and devices told to compute checksums.

A namespace belongs to a thread; whoever calls here is the agent's one main thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Mapping

_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_HOME = "/run/netns"
_SIOCETHTOOL = 0x8946
_SIOCGIFFLAGS, _IFF_RUNNING = 0x8913, 0x40
# ETHTOOL_SRXCSUM, STXCSUM, STSO, SGSO, SGRO (include/uapi/linux/ethtool.h): what `ethtool -K … off` sends
_OFFLOADS = (0x15, 0x17, 0x1F, 0x24, 0x2C)

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def prepare() -> None:
    """Put a /run of its own over the machine's, so that no name clashes with anything there."""
    _check(_libc.mount(b"none", b"/run", b"tmpfs", 0, None), "mount /run")
    os.mkdir(_HOME)


class Spaces:
    """The namespaces of a lab, by host name."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._fds: dict[str, int] = {}

    def __contains__(self, host: str) -> bool:
        return host in self._fds

    def __iter__(self) -> Iterator[str]:
        return iter(self._fds)

    def add(self, host: str) -> None:
        """Make a namespace that `ip netns` also finds under that name."""
        path = f"{_HOME}/{host}"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o444))
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            _check(_libc.mount(b"/proc/thread-self/ns/net", path.encode(), b"none", _MS_BIND, None), "mount")
        finally:
            _check(_libc.setns(self._home, _CLONE_NEWNET), "setns")
        self._fds[host] = os.open(path, os.O_RDONLY)

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Be in a host's namespace for a while: sockets, processes and /proc/sys/net are then its own."""
        _check(_libc.setns(self._fds[host], _CLONE_NEWNET), f"setns {host}")
        try:
            yield
        finally:
            _check(_libc.setns(self._home, _CLONE_NEWNET), "setns")


def write(settings: Mapping[str, str], strict: bool = False) -> None:
    """Write files under /proc/sys of the current namespace; unless `strict`, what this kernel does not have is left."""
    for name, value in settings.items():
        try:
            with open(f"/proc/sys/net/{name}", "w") as file:
                file.write(value)
        except FileNotFoundError:
            if strict:
                raise
        except OSError as error:  # the kernel refuses a value when it is written, and names no file
            raise OSError(error.errno, error.strerror, f"/proc/sys/net/{name} = {value}") from None


def running() -> dict[str, bool]:
    """Return the devices of the current namespace, and whether each has carrier and has been told so (IFF_RUNNING)."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for _, device in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", device.encode(), 0))
                found[device] = bool(struct.unpack_from("H", answer, 16)[0] & _IFF_RUNNING)
    return found


def compute_checksums() -> None:
    """Switch offloads off on every device of the current namespace: a capture then shows what a wire would carry."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for _, device in socket.if_nameindex():
            for command in _OFFLOADS:
                value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
                request = struct.pack("16sQ", device.encode(), ctypes.addressof(value))
                with contextlib.suppress(OSError):  # a device that cannot offload need not be told
                    fcntl.ioctl(control, _SIOCETHTOOL, request)
