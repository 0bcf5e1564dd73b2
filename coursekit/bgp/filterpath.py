"""What GoBGP sends a peer when its best path changes: a path that is filtered on its way out withdraws nothing.

So a peer may keep what it was sent before, for good: when the new best path loops, and even when there is none any more
and the last one looped. The names are GoBGP's (v3.10.0 pkg/server/server.go, filterpath; peer.go,
filterPathFromSourcePeer).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from coursekit.bgp.route import Path
from coursekit.bgp.session import Neighbour

if TYPE_CHECKING:
    from coursekit.bgp.speaker import Speaker

Verdict = Literal["send", "withdraw", "nothing"]


def filterpath(speaker: Speaker, neighbour: Neighbour, old: Path | None, new: Path | None) -> Verdict:
    """Return what happens towards a peer as the best path changes; with no new one the old one is to be withdrawn."""
    path = new or old
    if path is None:
        return "nothing"
    if path.peer and not neighbour.peer.external:
        if neighbour.client:
            if speaker.cluster_id in path.attributes.cluster_list:
                return "nothing"
        elif not path.peer.external and not path.client:
            known = old is None or (old.peer is not None and (old.index == neighbour.index or not old.peer.external))
            return "nothing" if new is None or known else "withdraw"
    if path.peer and path.peer.router_id == neighbour.peer.router_id:
        return "withdraw" if new and old and old.index != neighbour.index else "nothing"
    if path.peer and as_loop(neighbour, path):
        return "nothing"
    return "send" if new else "withdraw"


def as_loop(neighbour: Neighbour, path: Path) -> bool:
    """Return whether the peer's AS stands in AS_PATH, once as-override is done (isASLoop)."""
    if neighbour.options.as_override and neighbour.peer.external:
        return False
    return path.attributes.as_count(neighbour.peer.asn) > 0
