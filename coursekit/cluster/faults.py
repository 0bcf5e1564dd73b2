"""Ways to break a network, by name: each takes a network and returns the broken one.

The names are those of the recordings and of the lab, which breaks the same thing for real. Faults compose:
`apply(network, "pod-mtu", "vtep-mtu")`, or `apply(network, fault("wrong-vni", node="node2", vni=7))`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coursekit.cluster import breaks, breaks_bgp
from coursekit.cluster.network import Network
from coursekit.errors import CourseError, expect, given


@dataclass(frozen=True)
class Fault:
    """One thing that is broken: its name in FAULTS, and the options given."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """Return `wrong-vni (node=node2, vni=7)`."""
        given = ", ".join(f"{key}={value}" for key, value in self.options)
        return f"{self.name} ({given})" if given else self.name


@dataclass(frozen=True)
class Kind:
    """A kind of fault: the function that breaks, whose name, docstring and parameters say the rest."""

    breaks: Callable[..., Network]

    @property
    def name(self) -> str:
        """Its name: `missing-route`."""
        return self.breaks.__name__.replace("_", "-")

    @property
    def about(self) -> str:
        """One line for a picker."""
        return (self.breaks.__doc__ or "").splitlines()[0]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options; what is not given is chosen."""
        return tuple(inspect.signature(self.breaks).parameters)[1:]


_BREAKS: tuple[Callable[..., Network], ...] = (
    breaks.missing_route,
    breaks.no_default_route,
    breaks.missing_neighbour,
    breaks.missing_fdb,
    breaks.stale_vtep_mac,
    breaks.wrong_vni,
    breaks.wrong_port,
    breaks.pod_mtu,
    breaks.vtep_mtu,
    breaks.node_mtu,
    breaks.port_mtu,
    breaks.icmp_filtered,
    breaks.protocol_4_filtered,
    breaks.receiver_without_tunnel,
    breaks_bgp.node_down,
    breaks_bgp.session_lost,
    breaks_bgp.mesh_left_on,
    breaks_bgp.nodes_in_one_as,
    breaks_bgp.no_rr_client,
    breaks_bgp.bird_without_direct,
)
FAULTS: Mapping[str, Kind] = {kind.name: kind for kind in (Kind(function) for function in _BREAKS)}


def fault(name: str, **options: Any) -> Fault:
    """Return a fault; CourseError for an unknown name or option."""
    if not isinstance(name, str) or name not in FAULTS:
        raise CourseError(f"There is no fault {given(name)}; there are {', '.join(FAULTS)}.")
    known = FAULTS[name].options
    for key in options:
        if key not in known:
            raise CourseError(f"The fault {name} takes no option {key!r}; it takes {', '.join(known)}.")
    return Fault(name, tuple(sorted(options.items())))


def named(given: str | Fault, **options: Any) -> Fault:
    """Return the fault that is meant: by its name, with options, or whole."""
    if not isinstance(given, Fault):
        return fault(given, **options)
    if options:
        raise CourseError(f"Options go with a name; {given} has its own already. Use fault(name, option=…).")
    return given


def apply(network: Network, *faults: str | Fault, **options: Any) -> Network:
    """Return `network` with all `faults` in place; `options` go with a single fault given by name.

    Raises CourseError where a fault cannot be: an unknown node, nothing there to break, or nothing changed.
    """
    expect(network, Network, 'What breaks is a network, as network(load_cluster("chapter")) returns it')
    if options and (len(faults) != 1 or not isinstance(faults[0], str)):
        raise CourseError("Options go with one fault given by name; for several, use fault(name, option=…) for each.")
    for each in faults:
        one = named(each, **options)
        broken = FAULTS[one.name].breaks(network, **dict(one.options))
        if broken == network:
            raise CourseError(f"The fault {one} changes nothing here: all of it is so already. Give it other options.")
        network = broken
    return network


def applicable(network: Network) -> Mapping[str, Kind]:
    """Return the faults that this network can have with their default options."""

    def fits(name: str) -> bool:
        try:
            apply(network, name)
        except CourseError:
            return False
        return True

    return {name: kind for name, kind in FAULTS.items() if fits(name)}
