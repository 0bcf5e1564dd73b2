"""The routers of a simulation as network namespaces: its links as cables, its IGP as the kernel's routes.

A namespace lives as long as the process that holds it, and that process dies with this one: nothing is left behind.
"""

from __future__ import annotations

import ctypes
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType

from coursekit.bgp.simulation import Simulation

HOLD = ["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "sh", "-c", "echo ready; exec sleep infinity"]


class Namespaces:
    """One namespace per router of a simulation; `follow` makes links, addresses and routes as they stand there."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._stack = ExitStack()
        self._pids: dict[str, int] = {}
        self._routes: dict[str, dict[str, str]] = {name: {} for name in simulation.speakers}
        self._up: dict[str, bool] = {}

    def __enter__(self) -> Namespaces:
        for name in self.simulation.speakers:
            process = subprocess.Popen(HOLD, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self._stack.callback(self._end, process)
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            self._pids[name] = process.pid
        self._wire()
        self.follow()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:  # fmt: skip
        self._stack.close()

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.communicate()

    def inside(self, router: str, *command: str) -> list[str]:
        """Return a command line that runs in a router's namespace and dies with this process."""
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", "-t", str(self._pids[router]), "-n", "--", *command]

    def socket(self, router: str) -> socket.socket:
        """Return a TCP socket in a router's namespace."""

        def made() -> socket.socket:
            with open(f"/proc/{self._pids[router]}/ns/net") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000):  # CLONE_NEWNET
                    raise OSError(ctypes.get_errno(), f"no way into the namespace of {router}")
            return socket.socket()

        with ThreadPoolExecutor(1) as pool:  # setns moves the thread that calls it, and that one ends here
            return pool.submit(made).result()

    def _batch(self, router: str, lines: list[str]) -> None:
        if lines:
            subprocess.run(self.inside(router, "ip", "-batch", "-"), input="\n".join(lines), text=True, check=True,
                           capture_output=True)  # fmt: skip

    def _wire(self) -> None:
        igp = self.simulation.igp
        lines: dict[str, list[str]] = {name: ["link set lo up"] for name in self._pids}
        for number, subnet in enumerate(igp.subnets.values()):
            ends = list(subnet.members)
            hub = ends[0]
            for place, name in enumerate(ends[1:], 1):
                lines[hub].append(f"link add h{number}.{place} type veth peer name l{number} netns {self._pids[name]}")
            if len(ends) == 2 and not subnet.lan:
                lines[hub].append(f"link set h{number}.1 name l{number}")
            else:  # the first member's namespace holds the LAN's bridge, which is its own interface too
                lines[hub].append(f"link add l{number} type bridge")
                lines[hub] += [f"link set h{number}.{place} master l{number} up" for place in range(1, len(ends))]
        for name in self._pids:
            self._batch(name, lines[name])
        for name in self._pids:
            own = [f"addr add {address}/32 dev lo" for address in [igp.loopback.get(name)] if address]
            for number, subnet in enumerate(igp.subnets.values()):
                if name in subnet.members:
                    own.append(f"addr add {subnet.members[name]}/{subnet.prefix_len} dev l{number}")
            self._batch(name, own)
            subprocess.run(self.inside(name, "sysctl", "-qw", "net.ipv4.ip_forward=1"), check=True)

    def follow(self) -> None:
        """Make links and routes what they are in the simulation now."""
        igp = self.simulation.igp
        for number, subnet in enumerate(igp.subnets.values()):
            if self._up.get(subnet.name) != subnet.up:
                self._up[subnet.name] = subnet.up
                for name in subnet.members:
                    self._batch(name, [f"link set l{number} {'up' if subnet.up else 'down'}"])
        for name, before in self._routes.items():
            after = dict(self._wanted(name))
            gone = [f"route del {route}" for to, route in before.items() if after.get(to) != route]
            subprocess.run(self.inside(name, "ip", "-force", "-batch", "-"), input="\n".join(gone), text=True,
                           check=False, capture_output=True)  # what lay on a link that is down is gone already
            again = {to: route for to, route in after.items() if before.get(to) != route or not all(self._up.values())}
            self._batch(name, [f"route replace {route}" for route in again.values()])
            self._routes[name] = after

    def _wanted(self, router: str) -> Iterator[tuple[str, str]]:
        """Yield the IGP's routes of a router: a /32 for each address it reaches, its cost as metric."""
        igp = self.simulation.igp
        for address, owner in igp.owner.items():
            cost = igp.cost(router, address)
            if cost is None or owner == router or igp.connected(router, address):
                continue
            if via := self._first_hop(router, owner):
                yield address, f"{address}/32 via {via} metric {cost}"

    def _first_hop(self, router: str, target: str) -> str | None:
        """Return the neighbour's address on a shortest path; the members of a LAN reach each other directly."""
        igp = self.simulation.igp
        for subnet in igp.attached[router]:
            if subnet.up and subnet.lan and target in subnet.members:
                return subnet.members[target]
        whole = igp.distances(router)
        for subnet in igp.attached[router]:
            step = 0 if subnet.lan else subnet.cost
            for other, address in subnet.members.items():
                rest = igp.distances(other).get(target)
                if subnet.up and subnet.igp and other != router and rest is not None and step + rest == whole[target]:
                    return address
        return None


