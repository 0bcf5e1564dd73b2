"""A lab replayed: the verbs of a live one, answered from recordings, and where nothing was recorded, by the model.

`evidence` says which. What was captured is handed out as it is; what is computed is worked out by the model that tests
compare with these very recordings, so that a replay answers any question that a live lab does, commands aside.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from coursekit.cluster import exchange, faults
from coursekit.cluster.commands import Command, commands
from coursekit.cluster.faults import Fault
from coursekit.cluster.given import check_ping, check_seconds
from coursekit.cluster.journey import ping, traceroute
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.network import Network, network, network_from_tables
from coursekit.cluster.prints import ping_line, traceroute_text
from coursekit.cluster.tables import HostTables
from coursekit.cluster.watch import captures
from coursekit.errors import CourseError
from coursekit.lab.frames import Captured, Reader
from coursekit.lab.recording import Recording, recording
from coursekit.lab.results import Get, Ping, Traceroute

CAPTURED, COMPUTED = "captured", "computed"


@dataclass(frozen=True)
class Take:
    """How a recording was made, in the words of a cluster file: the bundled cluster, the profile, what was broken."""

    name: str
    cluster: str
    profile: str
    options: tuple[tuple[str, Any], ...] = ()
    faults: tuple[str, ...] = ()


# Those that a cluster file makes; tests hold each to the model, byte for byte.
TAKES = (
    Take("flannel-vxlan", "lab", "flannel-vxlan"),
    Take("mtu-1450", "lab", "flannel-vxlan"),
    Take("tcp-pod-mtu-1450", "lab", "flannel-vxlan"),
    Take("calico-ipip", "lab", "calico-ipip"),
    Take("ipip-tcp", "lab", "calico-ipip"),
    Take("flannel-direct-routing", "lab", "host-gw"),
    Take("no-overlay", "lab", "none"),
    Take("vxlan-two-racks", "two-racks", "flannel-vxlan"),
    Take("ipip-two-racks", "two-racks", "calico-ipip", (("cross_subnet", True),)),
    Take("bgp-mesh", "chapter", "calico-bgp"),
    Take("bgp-tor-as-per-node", "chapter", "calico-bgp", (("bgp", "tor"),)),
    Take("bgp-two-racks", "two-racks", "calico-bgp"),
    Take("missing-route", "lab", "flannel-vxlan", faults=("missing-route",)),
    Take("missing-neighbour", "lab", "flannel-vxlan", faults=("missing-neighbour",)),
    Take("missing-fdb", "lab", "flannel-vxlan", faults=("missing-fdb",)),
    Take("wrong-vni", "lab", "flannel-vxlan", faults=("wrong-vni",)),
    Take("wrong-port", "lab", "flannel-vxlan", faults=("wrong-port",)),
    Take("pod-mtu-1500-df", "lab", "flannel-vxlan", faults=("pod-mtu",)),
    Take("pod-mtu-1500-nodf", "lab", "flannel-vxlan", faults=("pod-mtu",)),
    Take("node-mtu-1400-later", "lab", "flannel-vxlan", faults=("node-mtu",)),
    Take("ipip-protocol-4-filtered", "lab", "calico-ipip", faults=("protocol-4-filtered",)),
    Take("ipip-receiver-without-tunnel", "lab", "calico-ipip", faults=("receiver-without-tunnel",)),
    Take("ipip-pod-mtu-1500-df", "lab", "calico-ipip", faults=("pod-mtu",)),
)


class Replay:
    """A cluster as it was recorded. `evidence` is what the last answer was: captured, with its place, or computed."""

    live = False

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.faults: tuple[Fault, ...] = ()
        self.evidence = COMPUTED
        self._sound = self._now = network(cluster)
        self._takes = self._found()

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *error: object) -> None:
        self.down()

    def down(self) -> None:
        """End the replay; nothing runs, so nothing has to be stopped."""

    def _found(self) -> list[Recording]:
        """Return the recordings of exactly this cluster, profile and set of faults."""
        return [
            recording(take.name) for take in TAKES
            if take.faults == tuple(f.name for f in self.faults) and not any(f.options for f in self.faults)
            and _same(self.cluster, take)
        ]  # fmt: skip

    def ping(self, src: str, dst: str, size: int = 56, df: bool | None = None, ttl: int = 64, *, count: int = 1,
             wait: float = 4.0, tos: int = 0) -> Ping:  # fmt: skip
        """Return what ping printed when it was recorded with that size, DF, TTL and TOS; else what it would print."""
        check_ping(size, df, ttl, tos, count)
        check_seconds("wait", wait)
        net, journeys = self._now, []
        for seq in range(1, count + 1):
            journeys.append(ping(net, src, dst, size, df, ttl, tos=tos, seq=seq, wait=wait))
            net = net.after(journeys[-1])
        lines = [line for seq, journey in enumerate(journeys, 1) if (line := ping_line(journey, seq))]
        address = self._address(dst)
        asked = {"host": src, "dst": address, "-s": str(size), "-t": str(ttl), "-Q": str(tos),
                 "-M": {True: "do", False: "dont", None: ""}[df]}  # fmt: skip
        for kept in self._takes:
            for said, frames in _pings(kept.name, tuple(asked.items())):
                self.evidence = kept.banner
                return Ping(said, 0 if "bytes from" in said else 1, tuple(journeys), frames)
        self.evidence = COMPUTED
        head = f"PING {address} ({address}) {size}({size + 28}) bytes of data."
        back = sum("bytes from" in line for line in lines)
        tail = f"{count} packets transmitted, {back} received, {100 * (count - back) // count}% packet loss"
        said = "\n".join([head, *lines, "", f"--- {address} ping statistics ---", tail, ""])
        return Ping(said, int(not back), tuple(journeys), _drawn(journeys))

    def traceroute(self, src: str, dst: str, max_hops: int = 30, wait: float = 1.0) -> Traceroute:
        """Return the recorded hops towards a host or an address, or those that the model finds."""
        hops = tuple(traceroute(self._now, src, dst, max_hops=max_hops))
        address = self._address(dst)
        for kept in self._takes:
            for name in (name for name in kept.outputs() if name.startswith("traceroute")):
                if _traced(kept, src, address) and kept.output(name).startswith(f"traceroute to {address} "):
                    self.evidence = kept.banner
                    return Traceroute(hops, kept.output(name), ())
        self.evidence = COMPUTED
        return Traceroute(hops, f"traceroute to {address} ({address})\n{traceroute_text(hops)}\n", ())

    def get(self, src: str, dst: str, path: str = "/api", size: int | None = None, wait: float = 5.0) -> Get:
        """Return what a recorded HTTP GET brought, or what the model says of one whose answer has `size` bytes."""
        check_seconds("wait", wait)
        owner = dst if dst in self._now.hosts else self._owner(dst)
        for kept in self._takes:
            asked = f"{src}: GET {path} from {self._address(dst)}:80"
            recorded = "http" in kept.outputs() and any(c.startswith(asked) for c in kept.provenance["commands"])
            if size is None and recorded:
                self.evidence = kept.banner
                return Get.of(kept.output("http").replace("\n", "\r\n").encode(), "")
        done = exchange.get(self._now, src, owner, 200 if size is None else size)
        self.evidence = COMPUTED
        return Get(200 if done.complete else 0, bytes(done.received), "", done.error, _drawn(done.journeys))

    def tables(self, host: str) -> HostTables:
        """Return a host's tables as they were recorded, or as the model has them."""
        self._now.host(host)
        for kept in self._takes:
            if "state.json" in kept.provenance["sha256"] and host in (found := kept.tables()):
                self.evidence = kept.banner
                return found[host]
        self.evidence = COMPUTED
        return self._now.host(host).tables

    def network(self) -> Network:
        """Return the network, for the model to run on."""
        return self._now

    def break_(self, fault: str | Fault, **options: Any) -> tuple[Command, ...]:
        """Go over to the recording of a fault, or to the model's; return the commands that break a live cluster so."""
        one = faults.named(fault, **options)
        before, self._now = self._now, faults.apply(self._now, one)
        self.faults += (one,)
        self._takes = self._found()
        return commands(before, self._now, without=self._daemons())

    def repair(self) -> tuple[Command, ...]:
        """Go back to the sound cluster; return the commands that mend a live one."""
        before, self._now, self.faults = self._now, self._sound, ()
        self._takes = self._found()
        return commands(before, self._now, without=self._daemons())

    def birdc(self, host: str, command: str = "show protocols") -> str:
        """Return what `birdc` printed on a node or router; CourseError for what was not recorded."""
        self._now.host(host)
        if not self.cluster.profile.learns_by_bgp:
            raise CourseError(f"No BIRD runs here: profile {self.cluster.profile.name} learns no routes by BGP.")
        said: dict[str, str] = {}
        for kept in self._takes:
            if f"birdc-{host}" in kept.outputs():
                parts = re.split(r"(?m)^bird> ", kept.output(f"birdc-{host}"))[1:]
                said = dict(part.split("\n", 1) for part in parts)
                if command in said:
                    self.evidence = kept.banner
                    return said[command]
        known = ", ".join(said) or "nothing"
        raise CourseError(f"birdc {command!r} was not recorded on {host}; recorded was {known}. A live lab knows all.")

    def capture(self, points: Any = None, filter: str = "", folder: Any = None) -> Any:  # noqa: A002 - tcpdump's word
        """Refuse: nothing can be captured anew in a replay."""
        raise CourseError("A replay captures nothing anew. Frames come with each answer, by capture point: "
                          'captured(net.ping("podA", "podB"))["node1:eth0"].')  # fmt: skip

    def exec(self, host: str, command: str, seconds: float = 30.0) -> Any:
        """Refuse: nothing runs in a replay."""
        kept = ", ".join(dict.fromkeys(name for take in self._takes for name in take.outputs())) or "nothing"
        raise CourseError(f"A replay runs no commands, so {host} cannot run {command!r}. Recorded are {kept}: "
                          "take the verbs ping, traceroute, get and tables.")  # fmt: skip

    def _daemons(self) -> tuple[str, ...]:
        return ("bird",) if self.cluster.profile.learns_by_bgp else ()

    def _owner(self, address: str) -> str:
        found = next((n for n in self._now.hosts if str(self._now.address_of(n)) == address), None)
        if found is None:
            raise CourseError(f"{address!r} is neither a host of this cluster nor the address of one.")
        return found

    def _address(self, name: str) -> str:
        if not isinstance(name, str):
            raise CourseError(f"A destination is a host's name, or an address as text; {name!r} was given.")
        return str(self._now.address_of(name)) if name in self._now.hosts else name


@cache
def _made(take: Take) -> Cluster:
    return load(take.cluster).with_profile(take.profile, **dict(take.options))


def _same(cluster: Cluster, take: Take) -> bool:
    made = _made(take)
    parts = "nodes", "pods", "segments", "routers", "profile", "pod_mtu", "tunnel_mtu"
    return all(getattr(made, part) == getattr(cluster, part) for part in parts)


@cache
def _pings(name: str, asked: tuple[tuple[str, str], ...]) -> tuple[tuple[str, tuple[Captured, ...]], ...]:
    """Return text and frames of the recorded pings of that source, destination, size and options."""
    kept, wanted = recording(name), dict(asked)
    if "ping" not in kept.outputs():
        return ()
    typed = [line for line in kept.provenance["commands"] if re.match(r"\w+: ping ", line)]
    said = re.split(r"(?m)^(?=PING )", kept.output("ping"))[1:]
    found = []
    for line, text in zip(typed, said, strict=True):
        host, _, words = line.partition(": ")
        *options, dst = shlex.split(words)[1:]
        given = {"-s": "56", "-t": "64", "-Q": "0", "-M": ""} | dict(zip(options[::2], options[1::2], strict=True))
        given["-Q"] = str(int(given["-Q"], 0))
        if {"host": host, "dst": dst} | {k: given[k] for k in ("-s", "-t", "-Q", "-M")} == wanted:
            found.append((text, tuple(_frames(kept, wanted))))
    return tuple(found)


def _frames(kept: Recording, wanted: Mapping[str, str]) -> Iterator[Captured]:
    """Yield, point by point, the frames of the recorded pings of that kind, their answers and errors about them."""
    model = network_from_tables(kept.tables())
    every = []
    for point in kept.points():
        host, _, device = point.partition(":")
        every += [Captured(f.time_ns, host, device, False, f.dlt, f.data) for f in kept.capture(point)]
    reader = Reader(model, every)
    told = [(frame, reader.about(frame.packet)) for frame in every if not frame.is_arp]
    kinds: dict[int, tuple[int, int, int]] = {}
    for frame, about in told:
        packet = frame.packet
        if about is None or packet is None or about.kind != "request" or about.errors:
            continue
        if frame.point == f"{wanted['host']}:eth0":
            size = max(kinds.get(about.ident, (0,))[0], packet.offset + len(packet.payload) - 8)
            kinds[about.ident] = size, packet.ttl, packet.tos
    kind = int(wanted["-s"]), int(wanted["-t"]), int(wanted["-Q"])
    yield from (frame for frame, about in told if about and kinds.get(about.ident) == kind)


def _traced(kept: Recording, src: str, address: str) -> bool:
    return any(re.match(rf"{src}: traceroute .*{re.escape(address)}", line) for line in kept.provenance["commands"])


def _drawn(journeys: Any) -> tuple[Captured, ...]:
    """Return what the capture points of computed journeys saw, in order."""
    found: list[Captured] = []
    for journey in journeys:
        for point, capture in captures(journey).items():
            host, _, device = point.partition(":")
            found += [Captured(0, host, device, False, frame.dlt, frame.data) for frame in capture]
    return tuple(found)
