"""A graph of ASes of the shape that CAIDA measures: a clique on top, providers that attract customers, many peers.

The same graph for both simulators: as a scenario with roles and LOCAL_PREF (Gao-Rexford), and as a graph of BGPy. An
AS number is also the router id, so that both break ties alike: for the neighbour with the lowest number.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coursekit.bgp.scenario import Scenario

CLIQUE = 15
TRANSIT = 0.15  # the share of ASes that have customers
Links = list[tuple[int, int]]


def graph(n: int, seed: int = 1) -> tuple[Links, Links]:
    """Return (provider, customer) and (peer, peer) links over the ASes 1 to n: about 1.75 n and 5 n of them."""
    draw = random.Random(seed)
    transit = max(CLIQUE + 1, int(n * TRANSIT))
    numbers = draw.sample(range(1, n + 1), n)  # rank says nothing about the number
    down: Links = []
    attractive = list(range(CLIQUE)) * 3  # by how many customers they have already
    for place in range(CLIQUE, n):
        wanted = draw.choices([1, 2, 3, 4], [50, 30, 15, 5])[0]
        chosen = {draw.choice(attractive) for _ in range(wanted)}
        down += [(up, place) for up in chosen]
        attractive += chosen
        if place < transit:
            attractive.append(place)
    taken = {frozenset(link) for link in down}
    across = [(a, b) for a in range(CLIQUE) for b in range(a)]
    taken |= {frozenset(link) for link in across}
    while len(across) < 5 * n:
        a = draw.randrange(transit) if draw.random() < 0.7 else draw.randrange(n)
        b = draw.randrange(CLIQUE, n if draw.random() < 0.3 else transit)
        if a >= CLIQUE and a != b and frozenset((a, b)) not in taken:
            taken.add(frozenset((a, b)))
            across.append((a, b))
    return ([(numbers[a], numbers[b]) for a, b in down], [(numbers[a], numbers[b]) for a, b in across])


def origins(n: int, count: int, seed: int = 2) -> list[int]:
    """Return the ASes that announce a prefix each."""
    return random.Random(seed).sample(range(1, n + 1), count)


def prefix(i: int) -> str:
    """Return the i-th prefix."""
    return f"{IPv4Address(int(IPv4Address('203.0.0.0')) + 256 * i)}/24"


def scenario(n: int, count: int) -> Scenario:
    """Return the graph as a scenario: customers before peers before providers, and nothing leaks (RFC 9234)."""
    from coursekit.bgp.igp import Subnet
    from coursekit.bgp.scenario import Origination, Router, Scenario, Session
    from coursekit.bgp.session import Options

    down, across = graph(n)
    at = {asn: str(IPv4Address(int(IPv4Address("10.0.0.0")) + asn)) for asn in range(1, n + 1)}
    to_customer = Options(role="provider", local_pref_in=300, next_hop_self=True)
    to_provider = Options(role="customer", local_pref_in=100, next_hop_self=True)
    to_peer = Options(role="peer", local_pref_in=200, next_hop_self=True)
    sessions = [Session(f"{a}>{b}", f"as{a}", f"as{b}", at[a], at[b], to_customer, to_provider) for a, b in down]
    sessions += [Session(f"{a}={b}", f"as{a}", f"as{b}", at[a], at[b], to_peer, to_peer) for a, b in across]
    return Scenario(
        f"as-graph-{n}", tuple(Router(f"as{asn}", asn, address, address) for asn, address in at.items()),
        tuple(sessions), (Subnet("all", 8, {f"as{asn}": address for asn, address in at.items()}, lan=True),),
        tuple(Origination(f"as{asn}", prefix(i)) for i, asn in enumerate(origins(n, count))),
    )  # fmt: skip


def bgpy_engine(n: int) -> Any:
    """Return the same graph in an engine of BGPy."""
    from bgpy.as_graphs import ASGraph, ASGraphInfo, CustomerProviderLink, PeerLink
    from bgpy.simulation_engine import SimulationEngine

    down, across = graph(n)
    return SimulationEngine(ASGraph(ASGraphInfo(
        customer_provider_links=frozenset(CustomerProviderLink(customer_asn=b, provider_asn=a) for a, b in down),
        peer_links=frozenset(PeerLink(*sorted(link)) for link in across)), store_customer_cone_size=False))  # fmt: skip
