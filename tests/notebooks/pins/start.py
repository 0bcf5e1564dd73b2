"""Numbers in 00 and 01, the start page and the introduction."""

from __future__ import annotations

import json
import re

from coursekit import dissect, recording
from coursekit.paths import data_dir

from .pin import Pin, ipip_ping, plain_ping, vxlan_ping

KEPT = ("rp_filter", "icmp_ratelimit", "IPv6")
PROVENANCES = sorted((data_dir() / "recordings").glob("*/provenance.json"))


def ttls() -> tuple[str, str]:
    """Return the outer and the inner TTL of flannel's first ping between the nodes."""
    frame = recording("flannel-vxlan").capture("node1:eth0").filter("udp port 8472").frames[0].data
    apart = dissect(frame)
    return apart.layer("ip", 0)["ttl"].value, apart.layer("ip", 1)["ttl"].value


def complaint() -> tuple[int | bytes, int | bytes]:
    """Return the ICMP type and code that Pod A received without a route."""
    apart = dissect(recording("no-default-route").capture("podA:eth0").filter("icmp[icmptype] == 3").frames[0].data)
    return apart["icmp.type"].raw, apart["icmp.code"].raw


def conditions() -> tuple[str, ...]:
    """Return rp_filter, icmp_ratelimit and IPv6 as every provenance.json says them; there is one answer."""
    told = [json.loads(path.read_text(encoding="utf-8"))["conditions"] for path in PROVENANCES]
    found = {tuple(re.search(rf"{what} (\w+)", one)[1] for what in KEPT) for one in told}  # type: ignore[index]
    (only,) = found
    return only


PINS: tuple[Pin, ...] = (
    Pin("00", "three-ways", "All of them have `rp_filter` {}, `icmp_ratelimit` {} and IPv6 {}:", conditions),
    Pin("00", "find-two", "which of the two TTLs is {}", lambda: ttls()[1]),
    Pin("00", "the-map", "what do {} bytes instead of {} cost?",
        lambda: (ipip_ping() - plain_ping(), vxlan_ping() - plain_ping())),
    Pin("01", "explain-two-rows", "an ICMP message of type {}, code {}", complaint),
    Pin("01", "explain-identical", "{} bytes, {} bytes, {} bytes",
        lambda: (vxlan_ping(), ipip_ping(), plain_ping())),
)
