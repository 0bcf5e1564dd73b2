"""BGP messages as they stand on the wire."""

from coursekit.packets.walk import Walk


def bgp(walk: Walk) -> str | None:
    """Leave the message as data until its layout is written."""
    return None
