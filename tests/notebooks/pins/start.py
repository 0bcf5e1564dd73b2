"""Numbers in 00 and 01, the start page and the introduction."""

from __future__ import annotations

from .pin import Pin, ipip_ping, plain_ping, vxlan_ping

PINS: tuple[Pin, ...] = (
    Pin("00", "the-map", "what do {} bytes instead of {} cost?",
        lambda: (ipip_ping() - plain_ping(), vxlan_ping() - plain_ping())),
    Pin("01", "explain-identical", "{} bytes, {} bytes, {} bytes",
        lambda: (vxlan_ping(), ipip_ping(), plain_ping())),
)
