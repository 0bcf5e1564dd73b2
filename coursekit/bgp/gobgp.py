"""The same network in GoBGP: gobgpd's configuration of every router of a simulation, and its tables read back.

GoBGP without zebra tracks no next hops. `external-compare-router-id` brings it closer to the RFCs. What a router
originates is not in the file: `gobgp global rib add` does that, see `originations`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from coursekit.bgp.route import ORIGINS, WELL_KNOWN, Attributes, Path, address_key
from coursekit.bgp.session import Neighbour
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker


def configuration(simulation: Simulation, router: str) -> str:
    """Return gobgpd's configuration of one router, as things stand in the simulation; it is JSON (`-t json`)."""
    speaker = simulation.speakers[router]
    ends = speaker.neighbours
    statements = [s for end in ends for s in _import(end)], [s for end in ends for s in _export(end)]
    return json.dumps({
        "global": {
            "config": {"as": speaker.asn, "router-id": speaker.router_id},
            "route-selection-options": {"config": {"external-compare-router-id": True}},
            "apply-policy": {"config": {"import-policy-list": ["in"], "export-policy-list": ["out"],
                                        "default-import-policy": "accept-route",
                                        "default-export-policy": "accept-route"}},
        },
        "defined-sets": {
            "neighbor-sets": [{"neighbor-set-name": f"p{end.index}", "neighbor-info-list": [f"{end.peer.address}/32"]}
                              for end in ends],
            "prefix-sets": [{"prefix-set-name": f"own{i}", "prefix-list": [{"ip-prefix": prefix}]}
                            for i, prefix in enumerate(speaker.own)],
        },
        "policy-definitions": [{"name": name, "statements": list(found)}
                               for name, found in zip(("in", "out"), statements, strict=True)],
        "neighbors": [_neighbour(end) for end in ends],
    }, indent=1)  # fmt: skip


def _neighbour(end: Neighbour) -> dict[str, Any]:
    calls = address_key(end.local_address) < address_key(end.peer.address)
    family: dict[str, Any] = {"config": {"afi-safi-name": "ipv4-unicast"}}
    found: dict[str, Any] = {
        "config": {"neighbor-address": end.peer.address, "peer-as": end.peer.asn, "admin-down": not end.up},
        "transport": {"config": {"local-address": end.local_address, "passive-mode": not calls}},
        "timers": {"config": {"connect-retry": 1, "idle-hold-time-after-reset": 1}},
        "afi-safis": [family],
        "as-path-options": {"config": {"allow-own-as": end.options.allowas_in,
                                       "replace-peer-as": end.options.as_override and end.peer.external}},
    }  # fmt: skip
    if end.peer.external:
        found["ebgp-multihop"] = {"config": {"enabled": True, "multihop-ttl": 255}}
    if end.client:
        found["route-reflector"] = {"config": {"route-reflector-client": True,
                                               "route-reflector-cluster-id": end.speaker.cluster_id}}  # fmt: skip
    if end.options.add_path:
        family["add-paths"] = {"config": {"send-max": 8}}
    if end.other.options.add_path:
        family.setdefault("add-paths", {"config": {}})["config"]["receive"] = True
    return found


def _import(end: Neighbour) -> Iterator[dict[str, Any]]:
    about: dict[str, Any] = {"match-neighbor-set": {"neighbor-set": f"p{end.index}"}}
    if end.options.max_as_path_in is not None:
        too_long = {"operator": "ge", "value": end.options.max_as_path_in + 1}
        yield {"name": f"long{end.index}", "actions": {"route-disposition": "reject-route"},
               "conditions": about | {"bgp-conditions": {"as-path-length": too_long}}}  # fmt: skip
    if end.options.local_pref_in is not None:
        yield {"name": f"pref{end.index}", "conditions": about,
               "actions": {"bgp-actions": {"set-local-pref": end.options.local_pref_in}}}  # fmt: skip


def _export(end: Neighbour) -> Iterator[dict[str, Any]]:
    about: dict[str, Any] = {"match-neighbor-set": {"neighbor-set": f"p{end.index}"}}
    for number, attributes in enumerate(end.speaker.own.values()):
        if attributes.communities:
            attach = {"options": "add", "set-community-method": {"communities-list": list(attributes.communities)}}
            yield {"name": f"own{end.index}-{number}", "actions": {"bgp-actions": {"set-community": attach}},
                   "conditions": about | {"match-prefix-set": {"prefix-set": f"own{number}"},
                                          "bgp-conditions": {"route-type": "local"}}}  # fmt: skip
    if end.options.prepend:
        words = {"repeat-n": end.options.prepend, "as": str(end.speaker.asn)}
        yield {"name": f"prepend{end.index}", "conditions": about,
               "actions": {"bgp-actions": {"set-as-path-prepend": words}}}  # fmt: skip
    if end.options.next_hop_self and not end.peer.external:
        yield {"name": f"self{end.index}", "actions": {"bgp-actions": {"set-next-hop": "self"}},
               "conditions": about | {"bgp-conditions": {"route-type": "external"}}}  # fmt: skip


def originations(speaker: Speaker) -> Iterator[list[str]]:
    """Yield the arguments of `gobgp` that make a running router originate its prefixes."""
    for prefix, attributes in speaker.own.items():
        med = ["med", str(attributes.med)] if attributes.med is not None else []
        yield ["global", "rib", "add", prefix, "origin", attributes.origin, *med]


def best_paths(simulation: Simulation, router: str, shown: str) -> dict[str, tuple[Path, bool]]:
    """Read `gobgp global rib -j`: each prefix's best path; GoBGP takes every next hop for resolved."""
    speaker = simulation.speakers[router]
    return {prefix: (_path(speaker, prefix, row), True) for prefix, rows in json.loads(shown).items()
            for row in rows if row.get("best")}  # fmt: skip


def _path(speaker: Speaker, prefix: str, row: dict[str, Any]) -> Path:
    end = next((end for end in speaker.neighbours if end.peer.address == row.get("neighbor-ip")), None)
    if end is None:
        return Path(speaker.own.get(prefix, Attributes()))
    values = {attribute["type"]: attribute for attribute in row["attrs"]}
    path = tuple(asn for segment in values.get(2, {}).get("as_paths", ()) for asn in segment["asns"])
    names = {code: name for name, code in WELL_KNOWN.items()}
    communities = tuple(names.get(code, f"{code >> 16}:{code & 0xFFFF}")
                        for code in values.get(8, {}).get("communities", ()))  # fmt: skip
    attributes = Attributes(
        path, values[3]["nexthop"], values[5]["value"] if 5 in values else 100,
        values[4]["metric"] if 4 in values else None, ORIGINS[values[1]["value"]],
        values[9]["value"] if 9 in values else None, tuple(values[10]["value"]) if 10 in values else (),
        communities)  # fmt: skip
    return Path(attributes, end.peer, client=end.client, index=end.index)
