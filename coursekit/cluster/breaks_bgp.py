"""What goes wrong with BGP: sessions, daemons, AS numbers, reflectors. The network then learns its routes anew.

Every function takes a network whose routes come by BGP and returns the broken one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coursekit.cluster.breaks import chosen_node, underlay_port
from coursekit.cluster.carrier import set_down
from coursekit.cluster.learned import Event
from coursekit.cluster.network import Network
from coursekit.cluster.options import make_profile
from coursekit.cluster.peering import scenario
from coursekit.cluster.relearn import learning_of, relearn
from coursekit.errors import CourseError

HOLD_TIME = 240  # seconds: BIRD's default, which Calico leaves alone
RESTART_TIME = 120  # seconds: for so long peers keep what a restarting BIRD had told (Calico's, and RFC 4724's limit)
DEATHS = ("cable", "clean", "killed")


def _otherwise(network: Network, **options: Any) -> Network:
    """Learn everything again under other options of the profile."""
    learning = learning_of(network)
    profile = learning.cluster.profile
    shared = {"cross_subnet": profile.cross_subnet} if profile.name == "calico-ipip" else {}
    same = {"masquerade": profile.masquerade, "version": profile.version, **shared}
    cluster = replace(learning.cluster, profile=make_profile(profile.name, {**same, **options}))
    return relearn(network, learning.otherwise(cluster=cluster))


def session_lost(network: Network, node: str | None = None, peer: str | None = None) -> Network:
    """A node's BGP session is down: a firewall dropped TCP port 179, or a password differs."""
    learning, one = learning_of(network), chosen_node(network, node)
    mine = [s for s in scenario(learning.cluster).sessions if one in (s.a, s.b)]
    found = next((s for s in mine if peer in (None, s.a, s.b) and peer != one), None)
    if found is None:
        peers = ", ".join(s.b if s.a == one else s.a for s in mine)
        raise CourseError(f"{one} has no BGP session with {peer or 'anybody'}; it has with {peers or 'nobody'}.")
    return relearn(network, learning.after(Event("session_down", (found.id,))))


def node_down(network: Network, node: str | None = None, death: str = "cable", waited: int = 0) -> Network:
    """A node is gone: cable pulled, shut down cleanly, or only its BIRD killed.

    `death`: "cable" is the switch port's: it tells nobody, and BGP peers notice after the hold time of 240 s; "clean"
    is the whole machine, and its BIRD says goodbye; "killed" is BIRD alone: pods and kernel live on, and peers keep
    the routes for the restart time of 120 s. `waited` is how many seconds ago it was.
    """
    one = chosen_node(network, node, 1 if node is None else 0)
    if death not in DEATHS:
        raise CourseError(f"death is one of {', '.join(DEATHS)}; {death!r} was given.")
    if not isinstance(waited, int | float) or isinstance(waited, bool) or waited < 0:
        raise CourseError(f"waited is a number of seconds from 0; {waited!r} was given.")
    if death == "killed" or network.learning is not None:
        settled = waited >= {"cable": HOLD_TIME, "killed": RESTART_TIME, "clean": 0}[death]
        graceful = (("graceful", True),) if death == "killed" else ()
        network = relearn(network, learning_of(network).after(Event("router_down", (one, death), graceful, settled)))
    if death == "killed":
        return network
    if death == "cable":
        _, switch, port = underlay_port(network, one)
        return set_down(_without_carrier(network, one, switch, port), switch, [port])
    for name in (one, *network.pods(one)):
        network = set_down(network, name, [link.name for link in network.host(name).tables.links])
    return network


def _without_carrier(network: Network, node: str, router: str, port: str) -> Network:
    """Close a router's session with a node that is alone on its LAN: the LAN loses carrier, and BIRD checks the link.

    (`check link` is on where a session is `direct`.) The node's own BIRD, which is `multihop`, notices nothing.
    """
    learning = network.learning
    if learning is None:
        return network
    here, dark = network.address_of(node), set_down(network, router, [port]).host(router)
    if any(here in a.interface.network and "LOWER_UP" in dark.link(a.dev).flags for a in dark.tables.addresses):
        return network
    for session in scenario(learning.cluster).sessions:
        if {session.a, session.b} == {node, router}:
            learning = learning.after(Event("session_down", (session.id,)))
    return relearn(network, learning)


def mesh_left_on(network: Network) -> Network:
    """The node-to-node mesh was left on when the nodes, all in one AS, began to peer with the ToR."""
    _needs_routers(network)
    return _otherwise(network, bgp="tor", asn="shared", keep_mesh=True)


def nodes_in_one_as(network: Network) -> Network:
    """All nodes are in one AS, and refuse what the ToR passes on: their own AS is in its AS_PATH."""
    _needs_routers(network)
    return _otherwise(network, bgp="tor", asn="shared")


def no_rr_client(network: Network) -> Network:
    """The ToR is in the nodes' AS, but was not told that they are its clients: it reflects nothing."""
    _needs_routers(network)
    return _otherwise(network, bgp="route-reflector", reflector="tor", rr_client=False)


def _needs_routers(network: Network) -> None:
    if not learning_of(network).cluster.routers:
        raise CourseError("This cluster has no router that could be a ToR; add one to [[routers]], or a gateway.")


def bird_without_direct(network: Network, node: str | None = None, learn: bool = False) -> Network:
    """A node's BIRD was not told of its own subnets, so that it cannot resolve the next hops of what it hears.

    `protocol direct` is missing. With `learn` in `protocol kernel`, as Calico has it, the default route stands in.
    """
    learning, one = learning_of(network), chosen_node(network, node)
    missing = {(one, "direct"), *(() if learn else ((one, "learn"),))}
    return relearn(network, learning.otherwise(without=learning.without | missing))
