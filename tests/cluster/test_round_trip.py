"""A ping needs both ways: delivered is one packet, answered is the round trip, and every judge asks for the latter."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from coursekit import load_cluster
from coursekit.cluster.choice import _across_a_router
from coursekit.cluster.exchange import get
from coursekit.cluster.faults import apply
from coursekit.cluster.journey import ping, send
from coursekit.cluster.modes import MODES, Trial
from coursekit.cluster.network import Network, network
from coursekit.cluster.prints import ping_line
from coursekit.cluster.probes import echo_request, udp_probe
from coursekit.views.comparison import _host

LAB = network(load_cluster("lab").with_profile("host-gw"))


def one_sided(built: Network, block: str = "10.244.0.0/24") -> Network:
    """Return a network in which node1 knows the way to podB, and node2 none back."""
    rows = built.host("node2").tables.routes
    return built.change("node2", {"routes": tuple(row for row in rows if str(row.dst) != block)})


def test_a_route_on_one_side_delivers_and_is_not_answered() -> None:
    """The request arrives at podB and the answer dies at the router: ping prints nothing, and that is how it ended."""
    journey = ping(one_sided(LAB), "podA", "podB")
    assert (journey.outcome.kind, journey.outcome.last_seen) == ("delivered", "podB:eth0")
    assert (journey.answered, journey.round_trip.kind, ping_line(journey)) == (False, "lost", "")
    assert journey.round_trip.last_seen == "router:br0"
    assert "no route to 10.244.0.5" in journey.round_trip.reason


def test_an_error_about_the_answer_is_silence_for_the_sender() -> None:
    """Where podB is told that its answer has no way, podA hears nothing: no symptom, no address, no error."""
    journey = ping(apply(one_sided(LAB), "no-default-route", node="node2"), "podA", "podB")
    assert journey.reply is not None
    assert journey.reply.outcome.symptom == "Destination Net Unreachable"
    end = journey.round_trip
    assert (end.kind, end.symptom, end.sender, end.mtu) == ("lost", "", None, None)
    assert end.last_seen == "node2:cni0"


def test_both_sides_answer() -> None:
    """A healthy ping is answered, and was seen last where it began."""
    journey = ping(LAB, "podA", "podB")
    assert journey.answered
    assert (journey.round_trip.kind, journey.round_trip.last_seen) == ("answered", "podA:eth0")


@pytest.mark.parametrize(("name", "kind"), [
    ("missing-route", "lost"), ("missing-neighbour", "error"), ("missing-fdb", "lost"),
])  # fmt: skip
def test_what_is_not_delivered_ends_as_it_ends(name: str, kind: str) -> None:
    """Where the request itself fails, the round trip ends as the request does."""
    journey = ping(apply(network(load_cluster("lab")), name), "podA", "podB")
    assert journey.round_trip == journey.outcome
    assert (journey.round_trip.kind, journey.answered) == (kind, False)


def test_an_answer_to_somebody_else_is_none() -> None:
    """A ping with a borrowed source address is delivered, and its answer too, to the owner of that address."""
    journey = send(LAB, echo_request(ip_address("192.168.1.1"), ip_address("10.244.1.7")), "podA")
    assert journey.reply is not None
    assert (journey.outcome.kind, journey.reply.outcome.kind) == ("delivered", "delivered")
    assert (journey.answered, journey.round_trip.kind, ping_line(journey)) == (False, "lost", "")


def test_what_asks_for_no_answer_gets_none() -> None:
    """A datagram to a program that says nothing is delivered, and nobody answers."""
    listener = LAB.change("podB", listens=LAB.host("podB").listens | {("udp", 33434)})
    journey = send(listener, udp_probe(ip_address("10.244.0.5"), ip_address("10.244.1.7"), sport=4000), "podA")
    assert (journey.outcome.kind, journey.round_trip.kind) == ("delivered", "lost")
    assert journey.round_trip.reason.endswith("nothing is sent back")


def test_a_mode_with_one_side_fails() -> None:
    """A trial calls the ping failed; comparison and choice name the place where the answer was lost, and why."""
    tried = Trial(MODES["host-gw"], load_cluster("lab").with_profile("host-gw"))
    assert tried.failed is None
    tried.__dict__["journeys"] = {"node2": ping(one_sided(LAB), "podA", "podB")}
    assert tried.failed is not None
    assert _host(tried.failed) == "router"
    assert "dies: router: no route to 10.244.0.5" in next(_across_a_router(tried, "no"))


def test_a_get_names_where_its_answer_was_lost() -> None:
    """The SYN arrives, the SYN-ACK does not: it is the SYN-ACK that was seen last at the router."""
    exchange = get(one_sided(LAB), "podA", "podB")
    assert (exchange.error, exchange.last_seen) == ("timed out", "router:br0")
