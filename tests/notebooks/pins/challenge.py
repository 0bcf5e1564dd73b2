"""Numbers in 02, the cross-node challenge."""

from __future__ import annotations

import re

from coursekit import recording

from .pin import Pin

WORDS = dict(enumerate("zero one two three four five six seven eight nine".split()))


def counter(name: str) -> int:
    """Return a counter of the router in the recording without an overlay."""
    found = re.search(rf"^{name}\s+(\d+)", recording("no-overlay").output("router-counters"), re.M)
    assert found
    return int(found[1])


def ttl() -> int:
    """Return the TTL that ping printed with static routes on the router."""
    found = re.search(r"ttl=(\d+)", recording("static-routes").output("ping"))
    assert found
    return int(found[1])


def hops(name: str) -> int:
    """Return how many lines a recorded traceroute has."""
    return len(re.findall(r"^ ?\d+ ", recording(name).output("traceroute"), re.M))



PINS: tuple[Pin, ...] = (
    Pin("02", "explain-counters", "{} packets found no route", lambda: WORDS[counter("IpExtInNoRoutes")].capitalize()),
    Pin("02", "explain-counters", "{} one Destination Unreachable was sent",
        lambda: "Not" if counter("IcmpOutDestUnreachs") == 0 else "More than"),
    Pin("02", "explain-ttl", "Look at ttl={}. The reply started with {}",
        lambda: (ttl(), ttl() + hops("static-routes") - 1)),
    Pin("02", "explain-ttl", "{} devices forwarded it", lambda: WORDS[hops("static-routes") - 1]),
    Pin("02", "explain-hops", "{} lines, and the router is gone",
        lambda: WORDS[hops("flannel-direct-routing")].capitalize()),
)
