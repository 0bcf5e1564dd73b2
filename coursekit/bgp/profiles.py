"""What the protocol leaves open, or a daemon does its own way: each difference by name, with its source.

`rfc` is the oracle. The daemons are taken with the settings that bring them closest to it: BIRD `deterministic med`;
FRR `bgp deterministic-med`, `bgp bestpath compare-routerid`; GoBGP `external-compare-router-id`.
"""

from __future__ import annotations

from dataclasses import dataclass

from coursekit.errors import CourseError

# The divergences that exist, and where each can be read or was seen.
DIVERGENCES = {
    "cluster-id-only-on-client-sessions":
        "BIRD looks for its cluster id in CLUSTER_LIST only on `rr client` sessions (2.0.12 proto/bgp/attrs.c:1437): "
        "reflectors that share a cluster id still use each other's copies themselves",
    "no-cluster-loop-to-clients":
        "BIRD and GoBGP do not send a client what has their cluster id in CLUSTER_LIST (BIRD 2.0.12 attrs.c:1753, "
        "bgp_preexport; GoBGP v3.10.0 pkg/server/server.go, filterpath)",
    "unresolvable-still-advertised":
        "BIRD ranks an unresolvable path last instead of excluding it, and passes it on when it is the only one "
        "(2.0.12 attrs.c:2013, bgp_rte_better; bgp_preexport has no test)",
    "third-party-only-between-direct-sessions":
        "BIRD keeps a NEXT_HOP towards an eBGP peer only if the route came over a single-hop session on the same "
        "interface (2.0.12 packets.c, bgp_use_next_hop)",
    "echo":
        "FRR sends a route back to the peer it came from, its own NEXT_HOP in it, unless `neighbor X solo` "
        "(bgpd/bgp_route.c, subgroup_announce_check): more UPDATEs, the same tables",
    "originator-id-not-compared":
        "GoBGP breaks ties by the peer's router id and ignores ORIGINATOR_ID "
        "(v3.10.0 internal/pkg/table/destination.go)",
    "cluster-list-not-compared":
        "GoBGP ignores the length of CLUSTER_LIST in the tie-break (v3.10.0 internal/pkg/table/destination.go)",
    "reflection-attributes-to-clients-only":
        "GoBGP adds ORIGINATOR_ID and CLUSTER_LIST to all that it sends to a client, its own and eBGP routes too, and "
        "takes them away towards iBGP peers that are no clients (v3.10.0 internal/pkg/table/path.go, UpdatePathAttrs)",
    "cluster-id-not-checked-on-receipt":
        "GoBGP does not look for its cluster id in what it receives; it only keeps it from clients "
        "(v3.10.0 pkg/server/server.go, filterpath)",
    "own-route-after-local-pref":
        "GoBGP compares LOCAL_PREF before it prefers a route of its own (v3.10.0 internal/pkg/table/destination.go)",
    "sender-side-as-loop-check":
        "GoBGP does not send a route to a peer whose AS stands in AS_PATH, over iBGP neither "
        "(v3.10.0 pkg/server/server.go, filterpath, isASLoop)",
    "next-hops-not-looked-at":
        "GoBGP without zebra takes every NEXT_HOP for reachable at equal cost, its own address and the peer's too "
        "(v3.10.0 pkg/server/zclient.go tracks next hops, through zebra only; nothing in pkg/server/peer.go)",
    "filtered-without-withdrawal":
        "GoBGP sends nothing when its new best path loops at the peer, nor when the last one goes that looped: the "
        "peer keeps what it had before (v3.10.0 pkg/server/server.go, filterpath; see coursekit/bgp/filterpath.py)",
    "refused-update-replaces-nothing":
        "GoBGP keeps the old path of a peer whose new one it refuses for a loop "
        "(v3.10.0 pkg/server/peer.go, handleUpdate)",
    "split-horizon-by-router-id":
        "GoBGP sends no path back to the router that it came from, over none of several sessions with it "
        "(v3.10.0 pkg/server/peer.go, filterPathFromSourcePeer)",
    "well-known-communities-ignored":
        "GoBGP does not act on NO_EXPORT and NO_ADVERTISE (v3.10.0: no code but their names; policies must do it)",
    "no-third-party-next-hop":
        "GoBGP writes its own address into NEXT_HOP towards every eBGP peer "
        "(v3.10.0 internal/pkg/table/path.go, UpdatePathAttrs)",
}  # fmt: skip

# Seen, and in no profile: what comes of it depends on history, and the next change in the table mends it.
HISTORY = {
    "deterministic-med-regroup":
        "BIRD with `deterministic med` makes a path best unseen when it replaces the best one on its session and "
        "comes from another neighbour AS: the old path is marked suppressed, and nobody compares the new one with the "
        "rest (2.0.12 proto/bgp/attrs.c, bgp_rte_recalculate; nest/rt-table.c:1395)",
    "med-by-age":
        "BIRD without `deterministic med` and FRR without `bgp deterministic-med`, which is how both come, compare MED "
        "as paths come in: three paths to one prefix give three answers in three orders (BIRD 2.0.12, observed; FRR "
        "8.4.4 also prefers the oldest eBGP path unless `bgp bestpath compare-routerid`)",
    "med-in-pairs":
        "GoBGP compares MED in pairs, in the order in which paths came: with paths from several neighbour ASes the "
        "best one depends on that order (v3.10.0 internal/pkg/table/destination.go, compareByMED)",
}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """A way of being BGP: its name and the divergences from the RFCs that it has."""

    name: str
    divergences: frozenset[str] = frozenset()

    def has(self, divergence: str) -> bool:
        """Return whether it diverges so; a name that nobody defined is a bug."""
        assert divergence in DIVERGENCES, divergence
        return divergence in self.divergences


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("rfc"),
        Profile("bird", frozenset({"cluster-id-only-on-client-sessions", "no-cluster-loop-to-clients",
                                   "unresolvable-still-advertised", "third-party-only-between-direct-sessions"})),
        Profile("frr", frozenset({"echo"})),
        Profile("gobgp", frozenset({"originator-id-not-compared", "cluster-list-not-compared",
                                    "reflection-attributes-to-clients-only", "sender-side-as-loop-check",
                                    "next-hops-not-looked-at", "no-third-party-next-hop",
                                    "no-cluster-loop-to-clients", "cluster-id-not-checked-on-receipt",
                                    "own-route-after-local-pref", "filtered-without-withdrawal",
                                    "refused-update-replaces-nothing", "split-horizon-by-router-id",
                                    "well-known-communities-ignored"})),
    )
}  # fmt: skip


def profile(name: str) -> Profile:
    """Return a profile by name: rfc, bird, frr or gobgp."""
    if name not in PROFILES:
        raise CourseError(f"There is no BGP profile {name!r}; there are {', '.join(PROFILES)}.")
    return PROFILES[name]
