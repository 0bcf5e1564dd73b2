"""The sandbox: nothing outlives it, whoever is in it and however it ends, and every mistake gets a sentence."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scapy

import coursekit
from coursekit import lab
from coursekit.cluster.model import Cluster
from coursekit.errors import CourseError
from coursekit.lab import birds, limits, live, probe, sandbox
from coursekit.lab.machines import Machines
from coursekit.lab.results import Result
from tests.conftest import soon

pytestmark = pytest.mark.namespaces

SIGNAL_ME = """
import sys, time
from coursekit import lab
net = lab.up("lab", "{profile}")
print("up", net._sandbox._process.pid, flush=True)
{busy}
"""
RUNS = 'net.exec("podA", "sleep 300 & sleep 300", seconds=300)'
BUILDS = 'net._sandbox.ask("commands", steps=[("podA", ["sleep", "300"], ""), ("podB", ["sleep", "300"], "")])'
TALKS_ON = """
import sys
from coursekit import lab
with lab.up("lab") as net:
    print("up", flush=True)
    try:
        net.exec("podA", "sleep 300", seconds=300)
    except KeyboardInterrupt:
        print(net.ping("podA", "podB").journey.outcome.kind)
"""


def descendants(pid: int) -> dict[int, str]:
    """Every process under `pid`, with its command line."""
    found, queue = {}, [pid]
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(stat[1])
            except OSError:
                continue
    while queue:
        one = queue.pop()
        for child, parent in parents.items():
            if parent == one:
                with contextlib.suppress(OSError):  # it may have ended since
                    found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                    queue.append(child)
    return found


def traces() -> tuple[list[str], set[str], int]:
    """What a lab could leave behind in the machine: devices, named namespaces, mounts."""
    names = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
    return sorted(os.listdir("/sys/class/net")), names, len(Path("/proc/self/mounts").read_text().splitlines())


def running(pid: int, words: str, least: int = 1) -> bool:
    """Whether processes under `pid` run these words."""
    return sum(words in line for line in descendants(pid).values()) >= least


def gone(pids: dict[int, str], seconds: float = 60.0) -> dict[int, str]:
    """Those of `pids` that are still there after at most `seconds`."""
    until = time.monotonic() + seconds
    while True:
        left = {p: line for p, line in pids.items() if Path(f"/proc/{p}/cmdline").exists()}
        left = {p: line for p, line in left.items() if " Z " not in _stat(p)}
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.02)


def _stat(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return " Z "


@pytest.mark.parametrize(
    ("profile", "number", "busy"),
    [("flannel-vxlan", signal.SIGKILL, BUILDS), ("calico-bgp", signal.SIGKILL, RUNS),
     ("flannel-vxlan", signal.SIGTERM, RUNS)],
)  # fmt: skip
@pytest.mark.tool("bird")
def test_a_killed_kernel_leaves_nothing(profile: str, number: int, busy: str) -> None:
    """When the process that made a lab is killed in the middle, no process, device, namespace or mount is left."""
    before = traces()
    command = [sys.executable, "-c", SIGNAL_ME.format(profile=profile, busy=busy)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline().startswith("up")
    assert soon(lambda: running(client.pid, "sleep 300", 2))
    inside = descendants(client.pid)
    assert sum("bird -f" in line for line in inside.values()) == (2 if profile == "calico-bgp" else 0)
    client.send_signal(number)
    client.communicate()

    assert gone(inside) == {}
    assert traces() == before


def test_down_takes_everything_along() -> None:
    """After `with`, or `down()`, nothing is left, and the lab says so to whoever goes on using it."""
    before = traces()
    net = lab.up("lab")
    net.exec("podA", "sleep 300 >/dev/null 2>&1 &")
    inside = descendants(net._sandbox._process.pid)
    assert any("sleep 300" in line for line in inside.values())
    net.down()
    net.down()

    assert gone(inside) == {}
    assert traces() == before
    with pytest.raises(CourseError, match="This lab is down: it was ended, or another took its place"):
        net.ping("podA", "podB")


@pytest.fixture
def interrupt() -> Iterator[Any]:
    """Interrupt this process as Ctrl-C does, when something has become true."""
    waiting = []

    def when(true: Callable[[], object]) -> None:
        def wait() -> None:
            if soon(true):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        waiting.append(threading.Thread(target=wait))
        waiting[-1].start()

    yield when
    for thread in waiting:
        thread.join()


def test_an_interrupted_ping_leaves_the_lab_usable(interrupt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the command that runs and nothing else; what it would have printed is nobody's answer."""
    monkeypatch.setattr(sandbox, "_GOODBYE", 60.0)
    with lab.up("lab") as net:
        inside = net._sandbox._process.pid
        net.break_("wrong-vni")
        interrupt(lambda: running(inside, "ping -n"))
        with pytest.raises(KeyboardInterrupt):
            net.ping("podA", "podB", count=50, wait=60)
        assert not running(inside, "ping -n")
        interrupt(lambda: running(inside, "sleep 99"))
        with pytest.raises(KeyboardInterrupt), net.capture():
            net.exec("podA", "sleep 99", seconds=99)
        net.repair()
        assert net.ping("podA", "podB").journey.outcome.kind == "delivered"
        began = time.monotonic()
        interrupt(lambda: net._sandbox._lock.locked() and time.monotonic() > began + 0.3)
        with pytest.raises(KeyboardInterrupt):
            net.get("podA", "10.244.1.99", wait=60)
        assert net.exec("podA", "echo still here").text == "still here\n"


def test_ctrl_c_at_a_terminal_ends_the_command_only() -> None:
    """A terminal sends Ctrl-C to every process of the group; the lab is not in it and goes on."""
    client = subprocess.Popen(
        [sys.executable, "-c", TALKS_ON], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "up\n"
    assert soon(lambda: running(client.pid, "sleep 300"))
    os.killpg(client.pid, signal.SIGINT)

    assert client.communicate(timeout=120)[0] == "delivered\n"


def test_an_interrupt_while_a_lab_is_built_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, or an error, in the middle of up() takes down what was there already."""
    made = []
    real = sandbox.Sandbox

    def kept(*started_by: object) -> sandbox.Sandbox:
        made.append(real(*started_by))
        return made[-1]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "Sandbox", kept)
    monkeypatch.setattr(Machines, "_batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lab.up("lab")

    assert made[0]._process.poll() is not None


def test_a_lab_that_dies_says_so() -> None:
    """If the sandbox is killed from outside, the next request gets a sentence."""
    with lab.up("lab") as net:
        os.kill(net._sandbox._process.pid, signal.SIGKILL)
        with pytest.raises(CourseError, match=r"The lab has ended before its time.*Start another with lab\.up"):
            net.ping("podA", "podB")


def test_names_of_the_machine_do_not_clash(tmp_path: Path) -> None:
    """A lab's hosts may be called as namespaces that are there already, and two labs run side by side."""
    with lab.up("lab") as one, lab.up("lab", "host-gw") as other:
        assert "flannel.1" in one.exec("node1", "ip -br link").text
        assert "flannel.1" not in other.exec("node1", "ip -br link").text
        assert other.ping("podA", "podB").journey.outcome.kind == "delivered"


def test_a_lab_outlives_whatever_it_is_asked() -> None:
    """What the sandbox cannot do gets a sentence, and the next one is answered."""
    with lab.up("lab") as net:
        for request in ({"op": "frobnicate"}, {"op": "run", "host": "podA", "command": [], "seconds": 1},
                        {"op": "run", "host": "podX", "command": ["true"], "seconds": 1}, {"op": "heard"}):  # fmt: skip
            with pytest.raises(CourseError, match=r"The lab could not do that: [A-Z][A-Za-z]+Error: "):
                net._sandbox.ask(**request)
        assert net.exec("podA", "echo still here").text == "still here\n"


def test_settings_reach_every_host_and_nothing_else() -> None:
    """Settings are written in each namespace; one that the kernel does not have, or refuses, is named."""
    with lab.up("lab", settings={"ipv4/ip_default_ttl": "33"}) as net:
        assert net.exec("router", "sysctl -n net.ipv4.ip_default_ttl").text == "33\n"
    with pytest.raises(CourseError, match=r"/proc/sys/net/ipv4/no_such_thing: No such file"):
        lab.up("lab", settings={"ipv4/no_such_thing": "1"})
    with pytest.raises(CourseError, match=r"/proc/sys/net/ipv4/ip_default_ttl = high: Invalid argument"):
        lab.up("lab", settings={"ipv4/ip_default_ttl": "high"})
    with pytest.raises(CourseError, match="names under /proc/sys/net"):
        lab.up("lab", settings={"../kernel/ostype": "1"})


def test_an_interrupted_fault_can_be_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a fault is made leaves it made; the repair finds all of it."""
    with lab.up("lab") as net:
        before = {name: host.tables for name, host in net.network().hosts.items()}
        real = sandbox.Sandbox.ask

        def interrupted(self: sandbox.Sandbox, op: str, **arguments: Any) -> Any:
            found = real(self, op, **arguments)
            if op == "commands":
                monkeypatch.setattr(sandbox.Sandbox, "ask", real)
                raise KeyboardInterrupt
            return found

        for name in ("missing-route", "wrong-vni", "icmp-filtered", "node-down"):
            monkeypatch.setattr(sandbox.Sandbox, "ask", interrupted)
            with pytest.raises(KeyboardInterrupt):
                net.break_(name)
            assert [fault.name for fault in net.faults] == [name]
            assert net.repair()
            after = net.network()
            assert all(after.host(host).tables.routes == tables.routes for host, tables in before.items()), name
        net.forget()
        assert net.ping("podA", "podB").journey.outcome.kind == "delivered"
        monkeypatch.setattr(sandbox.Sandbox, "ask", lambda self, op, **_: [(1, "No.\n`ip route del`")])
        with pytest.raises(CourseError, match="node1 could not be changed: `ip route del`: No"):
            net.break_("missing-route")
        assert net.faults == ()


def test_a_machine_without_temporary_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab needs none; only captures do, and say so."""
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with lab.up("lab") as net:
        assert net.ping("podA", "podB").journey.outcome.kind == "delivered"
        with pytest.raises(CourseError, match=r"No temporary folder .*Let TMPDIR name"), net.capture():
            pass


def test_mistakes_get_sentences() -> None:
    """Unknown hosts, commands, faults, points and filters, and commands that never end."""
    with lab.up("lab") as net:
        for mistake, words in (
            (lambda: net.ping("podX", "podB"), "There is no host 'podX'"),
            (lambda: net.ping("podA", "podX"), "There is no host 'podX'"),
            (lambda: net.exec("podA", ["frobnicate", "-x"]), "frobnicate is not installed"),
            (lambda: net.exec("podA", "frobnicate -x"), "podA: 'frobnicate -x' could not run: sh: .*not found"),
            (lambda: net.exec("podA", "sleep 9", seconds=0.2), r"'sleep 9' was ended after 0\.2 s"),
            (lambda: net.tables("nowhere"), "There is no host 'nowhere'"),
            (lambda: net.exec("podA", []), "A command is a line for the shell or a list of words"),
            (lambda: net.exec("podA", ["echo", 5]), r"list of words, without NUL characters; \['echo', 5\]"),  # type: ignore[list-item]
            (lambda: net.exec("podA", "echo \0"), "without NUL characters"),
            (lambda: net.exec("podA", "true", seconds=float("inf")), "seconds is a number of seconds from 0 to 86400"),
            (lambda: net.ping("podA", "podB", size=65508), "0 to 65507 bytes of data; 65508"),
            (lambda: net.ping("podA", "podB", count=0), "count is the number of echo requests"),
            (lambda: net.ping("podA", "podB", wait=-1), "wait is a number of seconds"),
            (lambda: net.ping("podA", 1), "There is no host 1"),  # type: ignore[arg-type]
            (lambda: net.get("podA", "podB", "a b"), "path is what a URL has behind its host"),
            (lambda: net.get("podA", "podB", size=1 << 24), "0 to 16777215 bytes"),
            (lambda: net.traceroute("podA", "podB", max_hops=0), "1 to 255 hops"),
            (lambda: net.capture(5).__enter__(), "points are capture points"),  # type: ignore[arg-type]
            (lambda: net.capture(folder=5).__enter__(), "folder is where pcap files"),  # type: ignore[arg-type]
            (lambda: net.break_(None), "There is no fault None"),  # type: ignore[arg-type]
            (lambda: lab.up(42), "A cluster is a Cluster"),  # type: ignore[arg-type]
            (lambda: net.break_("missing-fdb", node="node9"), "'node9' is no node"),
            (lambda: net.capture(["node1:wlan0"]).__enter__(), "'node1:wlan0' is no capture point"),
            (lambda: lab.up("lab", "flanel"), "'flanel' is no profile"),
            (lambda: lab.up("lab", vni=7), "options go with a profile"),
            (lambda: lab.up("nowhere"), "no cluster file can be read there"),
        ):
            with pytest.raises(CourseError, match=words):
                mistake()
        assert net.exec("podA", "exit 3").status == 3
        assert net.exec("podA", "exit 127") == Result("", 127)
        cut = net.exec("podA", "head -c 3000000 /dev/zero | tr '\\0' x").text
        assert cut.endswith("xxx\n[cut here: 3000000 bytes were printed]\n")
        assert len(cut) < 3_000_000
        assert net.ping("podA", "podB").journey.outcome.kind == "delivered"


def test_a_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without iproute2, ping, BIRD or unshare the lab says what to install, and nothing is left."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("unshare", "sh", "ip", "bridge"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setattr(sandbox, "SEARCH_PATH", str(programs))
    with lab.up("lab") as net, pytest.raises(CourseError, match=r"ping is not installed.*apt install iputils-ping"):
        net.ping("podA", "podB")
    (programs / "ip").unlink()
    with pytest.raises(CourseError, match=r"ip is not installed.*apt install iproute2"):
        lab.up("lab")
    monkeypatch.setattr(birds, "which", lambda name: None)
    with pytest.raises(CourseError, match="BIRD is not installed: `sudo apt install bird2`"):
        lab.up("lab", "calico-bgp")
    monkeypatch.setattr(sandbox, "command", lambda: ["no-such-unshare"])
    with pytest.raises(CourseError, match="unshare is not installed"):
        lab.up("lab")


def test_a_refusal_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where namespaces are forbidden, the sentence has the system's words and the way out."""
    said = "unshare: unshare failed: No space left on device"
    monkeypatch.setattr(sandbox, "command", lambda: ["sh", "-c", f"echo '{said}' >&2; exit 1"])
    with pytest.raises(CourseError, match=r"cannot run here \(unshare.*\): sudo sysctl user.max_user_namespaces"):
        lab.up("lab")


def big(nodes: int, profile: str) -> Cluster:
    """A cluster of many nodes on one LAN."""
    return Cluster.from_dict(
        {
            "profile": {"name": profile},
            "segments": [{"name": "lan", "subnet": "172.16.0.0/16"}],
            "pod_network": "10.0.0.0/8",
            "nodes": [
                {"name": f"n{i}", "address": f"172.16.{i >> 8}.{(i & 255)}", "block": f"10.{i >> 8}.{i & 255}.0/24"}
                for i in range(1, nodes + 1)
            ],
        }
    )


def test_what_is_too_big_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many neighbours, bridge ports or hosts: a sentence, and no process was started."""
    monkeypatch.setattr(limits, "_setting", lambda name, default: default)
    monkeypatch.setattr(live, "Sandbox", lambda: pytest.fail("started"))
    with pytest.raises(CourseError, match=r"528 BGP sessions need 1056 neighbour entries, and the kernel holds 1024"):
        lab.up(big(33, "calico-bgp"))
    monkeypatch.setattr(limits.resource, "getrlimit", lambda what: (1024, 1024))
    with pytest.raises(CourseError, match=r"This cluster has 131 hosts.*takes 120 at most"):
        lab.up(big(130, "host-gw"))
    monkeypatch.setattr(limits.resource, "getrlimit", lambda what: (16, 16))
    with pytest.raises(CourseError, match=r"this machine takes 0 at most"):
        lab.up("lab")
    monkeypatch.setattr(limits.resource, "getrlimit", lambda what: (1 << 20, 1 << 20))
    with pytest.raises(CourseError, match="br0 on lan would have 1024 ports, and a Linux bridge has 1023 at most"):
        lab.up(big(1024, "none"))


ORDINARY = """
import os
from coursekit import lab
assert os.geteuid() != 0
with lab.up("lab", "calico-ipip") as net:
    net.break_("icmp-filtered")
    net.repair()
    print(net.ping("podA", "podB").journey.outcome.kind, net.get("podA", "podB").status,
          [str(hop.address) for hop in net.traceroute("podA", "podB")][-1], flush=True)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A place that everybody may read: pytest shuts its own folders, those of other runs too."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.root
@pytest.mark.tool("setpriv", "bird")
@pytest.mark.parametrize("tun", [True, False])
def test_an_ordinary_user_has_the_same_lab(tun: bool, open_folder: Path) -> None:
    """As nobody, in a user namespace, BIRD and IPIP work; IPIP needs a /dev/net/tun that one may open, or a module."""
    home = open_folder / "open"
    for package in (coursekit, scapy):
        shutil.copytree(Path(package.__file__).parent, home / package.__name__)
    shutil.copytree(Path(coursekit.__file__).parent.parent / "data" / "clusters", home / "data" / "clusters")
    (home / "ordinary.py").write_text(ORDINARY)
    device = open_folder / "tun"
    prepare = f"mknod -m {'666' if tun else '600'} {device} c 10 200 && mount --bind {device} /dev/net/tun && exec "
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    command = f"{prepare} {nobody} env PYTHONPATH={home} HOME={home} {python} {home}/ordinary.py"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, cwd="/")

    lines = done.stdout.splitlines()
    if tun or probe.probe().ipip.works:
        assert lines == ["delivered 200 10.244.1.7"], done.stderr
    else:
        assert "none can be made in user space" in done.stderr.splitlines()[-1]
        assert "chmod 666 /dev/net/tun" in done.stderr.splitlines()[-1]
