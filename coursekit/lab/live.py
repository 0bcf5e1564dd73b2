"""A cluster for real: `with up(cluster) as net` builds it in network namespaces, with the kernel's own code in between.

What a lab returns are the model's types (Journey, Hop, HostTables, Network), so that the same views draw both and the
two can be compared.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any

from coursekit.cluster import faults
from coursekit.cluster.commands import Command
from coursekit.cluster.faults import Fault
from coursekit.cluster.given import check_hops, check_ping, check_seconds, check_settings, check_size
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Network, network, network_from_tables
from coursekit.cluster.tables import HostTables
from coursekit.errors import CourseError
from coursekit.lab import birds, limits
from coursekit.lab.birds import Birds
from coursekit.lab.captures import Captures, points_of
from coursekit.lab.frames import Captured
from coursekit.lab.machines import Machines
from coursekit.lab.results import Get, Ping, Result, Traceroute, hops, ping_outcomes
from coursekit.lab.sandbox import Sandbox
from coursekit.lab.seen import journeys

_PATH = re.compile(r"/[!-~]*")  # visible ASCII: the rest would have to be escaped


def up(cluster: Cluster | str | Path, profile: str | None = None, *, settings: Mapping[str, str] | None = None,
       **options: Any) -> Lab:  # fmt: skip
    """Build a cluster in network namespaces and return the running lab; `with` takes it down again.

    `cluster` is a Cluster, the name of a bundled one or the path of a file; `profile` and `options` as in
    `Cluster.with_profile`. `settings` are written on every host, by name under /proc/sys/net. Raises CourseError
    where this machine, or the cluster, does not allow it.
    """
    found = cluster if isinstance(cluster, Cluster) else load(cluster)
    if profile is not None:
        found = found.with_profile(profile, **options)
    elif options:
        raise CourseError(f"{', '.join(options)}: options go with a profile; give its name too.")
    check_settings(settings or {})
    return Lab(found, settings)


class Lab:
    """A cluster that runs. Hosts are named as in the cluster file; what they do is done by the real kernel."""

    def __init__(self, cluster: Cluster, settings: Mapping[str, str] | None = None, *,
                 routes: str = "learned", started_by: Sequence[str] = ()) -> None:  # fmt: skip
        """Build a cluster. Its BGP routes are "learned" by BIRDs, "typed", or "left" to daemons that others start.

        `started_by` is a command that runs the agent elsewhere, such as in a virtual machine.
        """
        self.cluster = cluster
        self.faults: tuple[Fault, ...] = ()
        self._listening = 0  # captures that are open, each inside the one before it
        self._sound = network(cluster)
        limits.check(self._sound)
        birds.check(self._sound)
        self._sandbox = Sandbox(started_by)
        try:
            learning = self._sound.learning
            written = frozenset({"bird"} if learning and routes != "typed" else ())
            self._machines = Machines(self._sandbox, self._sound, written, settings)
            self._birds = Birds(self._sandbox, self._sound) if learning and routes == "learned" else None
        except BaseException:
            self._sandbox.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """Take everything down; nothing of it is left."""
        self._sandbox.close()

    @property
    def userspace_ipip(self) -> bool:
        """Whether IPIP is done by the lab itself, for want of the kernel's: its frames are then not the kernel's."""
        return self._machines.userspace_ipip

    def _host(self, name: str) -> str:
        self._sound.host(name)
        return name

    def _address(self, name: str) -> str:
        """Return the address of a host, or an address as it is given."""
        try:
            return str(ip_address(name if isinstance(name, str) else str(self._host(name))))
        except ValueError:
            return str(self._sound.address_of(self._host(name)))

    def exec(self, host: str, command: str | Sequence[str], seconds: float = 30.0) -> Result:
        """Run a command on a host to its end, for `seconds` at most; a string goes through the shell.

        Raises CourseError for an unknown host, a program that is not installed, or a command that takes longer.
        """
        words = _words(command)
        check_seconds("seconds", seconds)
        done = self._run(host, words, seconds)
        shown = command if isinstance(command, str) else shlex.join(words)
        if done["late"]:
            raise CourseError(f"{host}: {shown!r} was ended after {seconds:g} s; give it more with seconds=….")
        if done["status"] == 127 and isinstance(command, str) and "not found" in done["text"]:
            raise CourseError(f"{host}: {shown!r} could not run: {done['text'].strip()}.")
        return Result(done["text"], done["status"])

    def _run(self, host: str, words: list[str], seconds: float, watch: bool = False) -> Any:
        return self._sandbox.ask("run", host=self._host(host), command=words, seconds=seconds, watch=watch)

    def ping(self, src: str, dst: str, size: int = 56, df: bool | None = None, ttl: int = 64, *, count: int = 1,
             wait: float = 4.0, tos: int = 0) -> Ping:  # fmt: skip
        """Let host `src` ping a host or an address, and capture at every device of every host meanwhile.

        `size` is ping's -s in bytes, `df` its -M (True do, False dont, None its own choice), `wait` its -W in seconds:
        “Host Unreachable” takes the kernel three. Raises CourseError for unknown hosts or no ping installed.
        """
        check_ping(size, df, ttl, tos, count)
        check_seconds("wait", wait)
        words = ["ping", "-n", "-c", str(count), "-i", "0.2", "-W", f"{wait:g}", "-s", str(size), "-t", str(ttl)]
        words += {True: ["-M", "do"], False: ["-M", "dont"], None: []}[df]
        words += ["-Q", str(tos)] if tos else []
        done = self._run(src, [*words, self._address(dst)], count * 0.2 + wait + 5, watch=True)
        frames = _frames(done)
        found = journeys(self._machines.network, frames, src, ping_outcomes(done["text"], count))
        return Ping(done["text"], done["status"], tuple(found), frames)

    def get(self, src: str, dst: str, path: str = "/api", size: int | None = None, wait: float = 5.0) -> Get:
        """Fetch `path` from port 80 of a pod (or any host) over HTTP; the answer has `size` bytes, if given."""
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise CourseError(f"path is what a URL has behind its host, such as '/api?x=1'; {path!r} was given.")
        check_seconds("wait", wait)
        address = self._address(dst)
        owner = self._sound.owner(ip_address(address))
        if owner is not None:
            self._sandbox.ask("serve", host=owner)
        if size is not None:
            check_size(size, 0)
            path += f"{'&' if '?' in path else '?'}bytes={size}"
        done = self._sandbox.ask("get", host=self._host(src), address=address, path=path, seconds=wait)
        return Get.of(done["got"].encode("latin-1"), done["error"], _frames(done))

    def traceroute(self, src: str, dst: str, max_hops: int = 30, wait: float = 1.0) -> Traceroute:
        """Let host `src` trace the way to a host or an address, with one UDP probe per TTL."""
        check_hops(max_hops)
        check_seconds("wait", wait)
        words = ["traceroute", "-n", "-q", "1", "-w", f"{wait:g}", "-m", str(max_hops), self._address(dst)]
        done = self._run(src, words, max_hops * wait + 5, watch=True)
        return Traceroute(tuple(hops(done["text"])), done["text"], _frames(done))

    @contextlib.contextmanager
    def capture(self, points: Iterable[str] | None = None, filter: str = "",  # noqa: A002 - tcpdump's word
                folder: str | Path | None = None) -> Iterator[Captures]:  # fmt: skip
        """Capture during a `with` block; afterwards what it gave holds a Capture per point.

        `points` are "host:device" or hosts, None all; `filter` is in tcpdump's language; with `folder` the pcap files
        stay there.
        """
        wanted = points_of(self._machines.network, points)
        if not isinstance(folder, str | Path | None):
            raise CourseError(f"folder is where pcap files are to stay, a path; {folder!r} was given.")
        found = Captures()
        inside, self._listening = self._listening, self._listening + 1
        try:
            self._sandbox.ask("listen", inside=inside)
            yield found
            heard = self._sandbox.ask("heard", inside=inside)
        except BaseException:
            with contextlib.suppress(CourseError):  # what listens has to end, unless the lab did
                self._sandbox.ask("heard", inside=inside)
            raise
        finally:
            self._listening = inside
        found.fill(_frames(heard), wanted, filter, Path(folder) if folder is not None else None)
        found.lost = heard["lost"]

    def tables(self, host: str) -> HostTables:
        """Return what `ip` and `bridge` print on a host now."""
        return self._machines.tables([self._host(host)])[host]

    def network(self) -> Network:
        """Return the network as its tables are now, for the model to run on; who does IPIP in user space is tunl0."""
        wanted = self._machines.network
        tables = {n: self._machines.as_the_kernels(found) for n, found in self._machines.tables(wanted.hosts).items()}
        return network_from_tables(
            tables, cables=wanted.cables, forwarding=[n for n, h in wanted.hosts.items() if h.forwarding],
            proxy_arp={n: h.proxy_arp for n, h in wanted.hosts.items()},
            masquerade={n: h.masquerade for n, h in wanted.hosts.items()},
            filters={n: h.filters for n, h in wanted.hosts.items()},
        )  # fmt: skip

    def break_(self, fault: str | Fault, **options: Any) -> tuple[Command, ...]:
        """Break something for real, by the names of `cluster.faults`; return the commands that did it.

        What was broken before stays so. Raises CourseError where the fault cannot be.
        """
        one = faults.named(fault, **options)
        wanted = faults.apply(self._machines.network, one)
        before, self.faults = self.faults, (*self.faults, one)
        try:
            return self._change(wanted)
        except CourseError:
            self.faults = before
            raise

    def repair(self) -> tuple[Command, ...]:
        """Undo all faults; return the commands that did it."""
        self.faults = ()
        return self._change(self._sound)

    def _change(self, wanted: Network) -> tuple[Command, ...]:
        """Go over to another network; whoever dies cleanly says goodbye while the cables are still there."""
        if self._birds is None:
            return self._machines.change(wanted)
        self._birds.begin(wanted)
        typed = self._machines.change(wanted)
        self._birds.follow(wanted)
        return typed

    def birdc(self, host: str, command: str = "show protocols") -> str:
        """Return what `birdc` prints on a node or router where BIRD runs."""
        if self._birds is None:
            raise CourseError(f"No BIRD runs in this lab: profile {self.cluster.profile.name} learns no routes by BGP.")
        return self._birds.ask(self._host(host), command)

    def forget(self) -> None:
        """Let every host forget what traffic taught it: its neighbours' MACs, and path MTUs."""
        self._machines.forget()


def _words(command: Any) -> list[str]:
    """Return a command as its words; a string is the shell's."""
    words = ["sh", "-c", command] if isinstance(command, str) else command
    whole = isinstance(words, list | tuple) and words and all(isinstance(word, str) for word in words)
    if not whole or any("\0" in word for word in words):
        raise CourseError(
            f"A command is a line for the shell or a list of words, without NUL characters; {command!r} was given."
        )
    return list(words)


def _frames(done: Mapping[str, Any]) -> tuple[Captured, ...]:
    return tuple(
        Captured(when, host, device, out, dlt, bytes.fromhex(data))
        for when, host, device, out, dlt, data in done["frames"]
    )
