"""The same network in FRR: bgpd's configuration of every router of a simulation, and its tables read back.

The settings are those that bring FRR closest to the RFCs: `bgp deterministic-med`, `bgp bestpath compare-routerid`,
no default policies. FRR's next-hop tracking takes the metric of the kernel's route to a next hop for its IGP cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from coursekit.bgp.route import WELL_KNOWN, Attributes, Path, address_key
from coursekit.bgp.session import Neighbour
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker

SHOW = "show bgp ipv4 unicast json detail"
REASONS = {  # what FRR calls the steps (bgpd/bgp_route.c, bgp_path_selection_reason2str)
    "First path received": "only-path", "Local Pref": "local-pref", "AS Path": "as-path-length", "Origin": "origin",
    "MED": "med", "Peer Type": "ebgp-over-ibgp", "IGP Metric": "igp-metric", "Router ID": "router-id",
    "Cluster length": "cluster-list-length", "Neighbor IP": "peer-address", "Weight": "local",
    "Locally configured route": "local",
}  # fmt: skip


def configuration(simulation: Simulation, router: str) -> str:
    """Return bgpd's configuration of one router, as things stand in the simulation."""
    speaker = simulation.speakers[router]
    lines = [
        "frr defaults traditional", *_route_maps(speaker), f"router bgp {speaker.asn}",
        f" bgp router-id {speaker.router_id}", f" bgp cluster-id {speaker.cluster_id}",
        " bgp deterministic-med", " bgp bestpath compare-routerid", " bgp bestpath as-path multipath-relax",
        " no bgp ebgp-requires-policy", " no bgp default ipv4-unicast", " no bgp network import-check",
        " timers bgp 60 180",
    ]  # fmt: skip
    for end in speaker.neighbours:
        peer = end.peer.address
        lines += [f" neighbor {peer} remote-as {end.peer.asn}", f" neighbor {peer} update-source {end.local_address}",
                  f" neighbor {peer} timers connect 1", f" neighbor {peer} advertisement-interval 0"]  # fmt: skip
        if address_key(end.local_address) > address_key(peer):  # the other end calls
            lines.append(f" neighbor {peer} passive")
        if end.peer.external:
            lines.append(f" neighbor {peer} ebgp-multihop 255")
        if not end.up:
            lines.append(f" neighbor {peer} shutdown")
    lines.append(" address-family ipv4 unicast")
    lines += [f"  {line}" for line in _networks(speaker)]
    for end in speaker.neighbours:
        lines += [f"  neighbor {end.peer.address} {words}" for words in _policy(end)]
    lines += [f"  maximum-paths {speaker.max_paths}", f"  maximum-paths ibgp {speaker.max_paths}"]
    return "\n".join([*lines, " exit-address-family", "exit", ""])


def _networks(speaker: Speaker) -> Iterator[str]:
    for number, prefix in enumerate(speaker.own):
        yield f"network {prefix} route-map own{number}"


def _policy(end: Neighbour) -> Iterator[str]:
    options = end.options
    yield "activate"
    if end.client:
        yield "route-reflector-client"
    if options.next_hop_self:
        yield "next-hop-self"
    if options.allowas_in:
        yield f"allowas-in {options.allowas_in}"
    if options.as_override and end.peer.external:
        yield "as-override"
    if options.add_path:
        yield "addpath-tx-all-paths"
    yield f"route-map in{end.index} in"
    yield f"route-map out{end.index} out"


def _route_maps(speaker: Speaker) -> Iterator[str]:
    for number, attributes in enumerate(speaker.own.values()):
        yield f"route-map own{number} permit 10"
        yield f" set origin {attributes.origin}"
        yield f" set tag {number + 1}"
        if attributes.med is not None:
            yield f" set metric {attributes.med}"
        yield "exit"
    for end in speaker.neighbours:
        options, prepend = end.options, " ".join([str(speaker.asn)] * end.options.prepend)
        if options.max_as_path_in is not None:
            yield f"bgp as-path access-list short{end.index} permit ^([0-9]+( |$)){{0,{options.max_as_path_in}}}$"
        yield f"route-map in{end.index} permit 10"
        if options.max_as_path_in is not None:
            yield f" match as-path short{end.index}"
        if options.local_pref_in is not None:
            yield f" set local-preference {options.local_pref_in}"
        yield "exit"
        # The originator attaches communities on export; on the route itself they would bind the originator too.
        for number, attributes in enumerate(speaker.own.values()):
            if attributes.communities:
                yield f"route-map out{end.index} permit {10 + number}"
                yield f" match tag {number + 1}"
                yield f" set community {' '.join(_community(name) for name in attributes.communities)}"
                if prepend:
                    yield f" set as-path prepend {prepend}"
                yield "exit"
        yield f"route-map out{end.index} permit 999"
        if prepend:
            yield f" set as-path prepend {prepend}"
        yield "exit"


def _community(name: str) -> str:
    return {"no-export-subconfed": "local-AS"}.get(name, name)


def rows(shown: str) -> dict[str, list[dict[str, Any]]]:
    """Read `show bgp ipv4 unicast json detail`: by prefix, every path that bgpd holds, as it describes it."""
    routes = json.loads(shown)["routes"] if shown.strip() else {}
    return {prefix: [row for row in found if "aspath" in row and not row.get("removed")]
            for prefix, found in routes.items()}  # fmt: skip


def best_paths(simulation: Simulation, router: str, shown: str) -> dict[str, tuple[Path, bool]]:
    """Read `show bgp ipv4 unicast json detail`: each prefix's best path, and whether its next hop can be resolved."""
    speaker = simulation.speakers[router]
    return {prefix: (path_of(speaker, prefix, row), bool(row.get("valid"))) for prefix, found in rows(shown).items()
            for row in found if row.get("bestpath", {}).get("overall")}  # fmt: skip


def path_of(speaker: Speaker, prefix: str, row: dict[str, Any]) -> Path:
    """Return one path that bgpd describes, as our decision process takes it."""
    peer = row["peer"]["peerId"]
    if peer == "0.0.0.0":
        return Path(speaker.own[prefix])
    end = next(end for end in speaker.neighbours if end.peer.address == peer)
    path: list[int | frozenset[int]] = []
    for segment in row["aspath"]["segments"]:
        path += segment["list"] if segment["type"] == "as-sequence" else [frozenset(segment["list"])]
    names = {f"{code >> 16}:{code & 0xFFFF}": name for name, code in WELL_KNOWN.items()}
    words = row.get("community", {}).get("string", "").split()
    communities = tuple(names.get(w, "no-export-subconfed" if w == "local-AS" else w) for w in words)
    attributes = Attributes(
        tuple(path), row["nexthops"][0]["ip"], row.get("locPrf", 100), row.get("metric"), row["origin"].lower(),
        row.get("originatorId"), tuple(row.get("clusterList", {}).get("list", ())), communities)  # fmt: skip
    return Path(attributes, end.peer, client=end.client, index=end.index)
