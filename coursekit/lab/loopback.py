"""A replay whose BIRDs are real: daemons on 127.x, which any user may start, hold the cluster's sessions and routes.

They write no kernel table, so packets are still replayed; what `birdc` says is their own. This works where namespaces
do not, in a Binder container for example.
"""

from __future__ import annotations

import atexit
from typing import Any

from coursekit.bgp.loopback import Birds
from coursekit.cluster.faults import Fault
from coursekit.cluster.model import Cluster
from coursekit.cluster.relearn import learning_of
from coursekit.errors import CourseError
from coursekit.lab.replay import Replay

LIVE = "captured live, on loopback addresses"


class Loopback(Replay):
    """A replay with a real BIRD for every node and router; `down` ends them."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._birds: Birds | None = None

    def birdc(self, host: str, command: str = "show protocols") -> str:
        """Return what `birdc` prints on a node or router now; addresses are 127.x here."""
        if self._birds is None:
            self._birds = self._started()
        if host not in self._birds.simulation.speakers:
            known = ", ".join(self._birds.simulation.speakers)
            raise CourseError(f"No BIRD runs on {host!r}; it runs on {known}.")
        said = self._birds.ask(host, command)
        self.evidence = LIVE
        return said

    def differences(self) -> list[str]:
        """Return where the daemons' best paths differ from the simulation's, each in a line; [] if nowhere."""
        self.birdc(next(iter(learning_of(self._now).simulation().speakers)))
        assert self._birds is not None
        return self._birds.differences()

    def break_(self, fault: str | Fault, **options: Any) -> Any:
        """Break as a replay does; the daemons start anew when they are asked next."""
        self._stop()
        return super().break_(fault, **options)

    def repair(self) -> Any:
        """Mend as a replay does; the daemons start anew when they are asked next."""
        self._stop()
        return super().repair()

    def down(self) -> None:
        """End the daemons."""
        self._stop()

    def _started(self) -> Birds:
        birds = Birds(learning_of(self._now).simulation())
        atexit.register(birds.__exit__, None, None, None)
        birds.__enter__()
        birds.differences()  # waits until the tables stand
        return birds

    def _stop(self) -> None:
        if self._birds is not None:
            self._birds.__exit__(None, None, None)
            atexit.unregister(self._birds.__exit__)
        self._birds = None
