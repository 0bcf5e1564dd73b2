"""Learning a network's routes anew after something happened to its BGP, and leaving all else as it was.

Only the rows that BIRD now writes differently are exchanged: what other faults broke stays broken.
"""

from __future__ import annotations

from dataclasses import replace

from coursekit.cluster.carrier import NO_CARRIER
from coursekit.cluster.host import in_kernel_order, linkdown
from coursekit.cluster.learned import Learning
from coursekit.cluster.network import Network
from coursekit.cluster.profiles import tables
from coursekit.cluster.tables import HostTables, Route
from coursekit.errors import CourseError


def learning_of(network: Network) -> Learning:
    """Return how a network came to its routes; CourseError if not by BGP."""
    if network.learning is None:
        raise CourseError(
            "Nothing in this network learns routes by BGP: take network(cluster) of a cluster with calico-bgp, "
            "or with calico-ipip up to 3.32."
        )
    return network.learning


def _bird_rows(learning: Learning) -> dict[str, tuple[Route, ...]]:
    return {
        h: tuple(r for r in t.routes if r.protocol == "bird") for h, t in tables(learning.cluster, learning).items()
    }


def relearn(network: Network, learning: Learning) -> Network:
    """Exchange the rows that BIRD now writes differently, on every host that still has the device for them."""
    before, after = _bird_rows(learning_of(network)), _bird_rows(learning)
    for name, rows in after.items():
        held = network.host(name).tables
        dark = {link.name for link in held.links if NO_CARRIER in link.flags}
        old, new = ([linkdown(row, dark) for row in told] for told in (before[name], rows))
        kept = [row for row in held.routes if row not in old or row in new]
        fresh = [row for row in new if row not in old and _possible(row, held)]
        if len(kept) != len(held.routes) or fresh:
            network = network.change(name, {"routes": in_kernel_order([*kept, *fresh])})
    return replace(network, learning=learning)


def _possible(row: Route, held: HostTables) -> bool:
    devices = [row.dev, *(leg.dev for leg in row.nexthops)]
    return all((link := held.link(dev)) is not None and link.up for dev in devices if dev)
