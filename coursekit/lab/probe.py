"""What this machine can do: found by doing it, in a namespace that is gone afterwards.

Four answers, best first: the lab as root, the lab without root (a user namespace), routing daemons on loopback
addresses only, and replay of recordings, which works everywhere.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Debian keeps ip, bridge and bird where an ordinary user's PATH does not look.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))

MODES = {
    "root": "the lab as root: network namespaces with the real kernel",
    "user": "the lab without root: network namespaces inside a user namespace",
    "loopback": "routing daemons on 127.x addresses; no namespaces",
    "replay": "replay of recordings",
}

# What the lab is in: with --kill-child nothing outlives unshare. Whoever is not root needs a user namespace around it.
NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
USER = "--user --map-root-user"

# Each step needs the ones before it; the first that fails tells what is missing.
_STEPS = (
    ("an address of its own", "ip link set lo up && ip addr add 192.0.2.1/32 dev lo"),
    ("a veth pair", "ip link add v0 type veth peer name v1"),
    ("a bridge", "ip link add b0 type bridge"),
    ("a VXLAN device", "ip link add x0 type vxlan id 1 dstport 4789"),
    ("forwarding", "echo 1 > /proc/sys/net/ipv4/ip_forward"),
    ("a named namespace", "mount -t tmpfs t /run && mkdir /run/netns && ip netns add n0 && ip netns exec n0 true"),
)
_IPIP = "ip link show tunl0 >/dev/null 2>&1 || ip link add t0 type ipip local 192.0.2.1 remote 192.0.2.2"


@dataclass(frozen=True)
class Attempt:
    """One try at something: whether it worked, and what the system said if not."""

    works: bool
    said: str = ""


@dataclass(frozen=True)
class Probe:
    """What this machine can do; `mode` is the best of MODES."""

    mode: str
    root: Attempt
    user: Attempt
    loopback: Attempt
    ipip: Attempt  # an ipip device; VXLAN is part of root and user
    tun: Attempt = Attempt(False, "not tried")  # what the lab does IPIP with where there is no ipip device

    @property
    def advice(self) -> str:
        """Say in a sentence what keeps this machine from the whole lab, and how to get it; "" if nothing does."""
        if self.root.works or self.user.works:
            return ""
        said = self.user.said if self.root.said == "not root" else self.root.said
        return f"Network namespaces cannot be made here ({said}): {mend(said)}."

    def __str__(self) -> str:
        return MODES[self.mode]


def which(name: str) -> str | None:
    """Return the path of a program, looking in the system's directories too."""
    return shutil.which(name, path=SEARCH_PATH)


def attempt(command: list[str], seconds: float = 10) -> Attempt:
    """Run a command without input and return what it printed, or why it failed; never raise."""
    environment = {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds,
            env=environment, check=False,
        )
    except FileNotFoundError:
        return Attempt(False, f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Attempt(False, f"{command[0]} gave no answer in {seconds:.0f} s")
    except OSError as error:
        return Attempt(False, f"{command[0]}: {error.strerror}")
    if done.returncode == 0:
        return Attempt(True, (done.stdout or done.stderr).strip())
    words = (done.stderr or done.stdout).strip().splitlines()
    return Attempt(False, ": ".join(reversed(words[-2:])) or f"exit status {done.returncode}")


def _lab(flags: str) -> Attempt:
    """Try all that the lab needs, in a namespace made with those flags of unshare(1)."""
    script = "\n".join(f"{do} || {{ echo 'no {what}' >&2; exit 1; }}" for what, do in _STEPS)
    return attempt(["unshare", *flags.split(), *NAMESPACES, "sh", "-c", script])


def _tun() -> Attempt:
    """Try to open the device that makes TUN devices."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return Attempt(False, f"/dev/net/tun: {error.strerror}")
    return Attempt(True)


def _loopback() -> Attempt:
    """Try to listen on an address of 127/8 other than 127.0.0.1, and find a daemon to put there."""
    try:
        with socket.socket() as listener:
            listener.bind(("127.77.0.1", 0))
            listener.listen()
    except OSError as error:
        return Attempt(False, f"cannot listen on 127.77.0.1: {error.strerror}")
    return Attempt(bool(which("bird")), "" if which("bird") else "bird is not installed")


def mend(said: str) -> str:
    """Return the line that mends a refused namespace, from what the system said when it refused."""
    if "is not installed" in said:
        return f"sudo apt install {'util-linux' if said.startswith('unshare') else 'iproute2'}"
    if "ip: not found" in said or "ip: command not found" in said:
        return "sudo apt install iproute2"
    if "No space left on device" in said:
        return "sudo sysctl user.max_user_namespaces=10000"
    if "Unknown device type" in said or "not supported" in said:
        return "sudo modprobe vxlan (the kernel has no such device; in a container, on its host)"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return "start the container with --privileged (its seccomp profile refuses unshare)"
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04 and later)"
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return "sudo sysctl kernel.unprivileged_userns_clone=1"
    return "in a container: start it with --privileged; elsewhere: run the lab with sudo"


def _sysctl(name: str) -> str:
    """Return a kernel setting, "" if this kernel has none of that name."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


@cache
def probe() -> Probe:
    """Try everything once, in about a quarter of a second; nothing of it stays behind."""
    if not sys.platform.startswith("linux"):
        elsewhere = Attempt(False, f"network namespaces are Linux's, and this is {sys.platform}")
        return Probe("replay", elsewhere, elsewhere, elsewhere, elsewhere)
    root = _lab("") if os.geteuid() == 0 else Attempt(False, "not root")
    user = _lab(USER)
    loopback = _loopback()
    ipip = attempt(["unshare", "-nm" if root.works else "-Urnm", "sh", "-c", _IPIP])
    attempts = {"root": root, "user": user, "loopback": loopback}
    mode = next((name for name, tried in attempts.items() if tried.works), "replay")
    return Probe(mode, root, user, loopback, ipip, _tun())
