"""The same network in BIRD 2: the configuration of every router of a simulation, and BIRD's tables read back.

The daemons live on 127.x.y.z with a high port, without namespaces or root: a loopback address stands for each address
of the scenario, in the same order, so that the last tie-break falls alike. Next hops keep their real addresses. A
table of static routes with `igp_metric` plays the IGP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from coursekit.bgp.route import ORIGINS, WELL_KNOWN, Attributes, Path, address_key
from coursekit.bgp.session import Neighbour
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker

PORT = 1790


def protocol(session: str) -> str:
    """Return the name of a session's protocol: any session id becomes a word that BIRD does not know yet."""
    return "s_" + "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in session)


def stand_ins(simulation: Simulation, net: int) -> dict[str, str]:
    """Return the loopback address that stands for each session address: 127.{net}.*, in the order of the originals."""
    own = {end.local_address for ends in simulation.sessions.values() for end in ends}
    return {address: f"127.{net}.{place >> 8}.{place & 255}"
            for place, address in enumerate(sorted(own, key=address_key), 1)}  # fmt: skip


def configuration(simulation: Simulation, router: str, net: int) -> str:
    """Return the configuration of one router, as things stand in the simulation."""
    speaker = simulation.speakers[router]
    return "\n".join((
        f"router id {speaker.router_id};",
        "protocol device { }",
        "ipv4 table underlay;",
        *_igp(simulation, speaker),
        *(f"protocol static own_{i} {{ ipv4; route {prefix} blackhole; }}" for i, prefix in enumerate(speaker.own)),
        *(line for end in speaker.neighbours for line in _session(end, stand_ins(simulation, net))),
        "",
    ))  # fmt: skip


def _igp(simulation: Simulation, speaker: Speaker) -> Iterator[str]:
    yield "protocol static { ipv4 { table underlay; };"
    for address in sorted(simulation.igp.owner, key=address_key):
        cost = simulation.igp.cost(speaker.name, address)
        if cost is not None and not simulation.igp.owns(speaker.name, address):
            yield f'  route {address}/32 via "lo" {{ igp_metric = {cost}; }};'
    yield "}"


def _session(end: Neighbour, addresses: dict[str, str]) -> Iterator[str]:
    options, asn = end.options, end.speaker.asn
    own, peer = addresses[end.local_address], addresses[end.peer.address]
    yield f"protocol bgp {protocol(end.session)} {{"
    yield f"  local {own} port {PORT} as {asn}; neighbor {peer} port {PORT} as {end.peer.asn};"
    yield "  strict bind on; multihop; deterministic med on; graceful restart off;"
    yield "  connect delay time 1; connect retry time 1; error wait time 1,2;"
    if address_key(end.local_address) > address_key(end.peer.address):
        yield "  passive on;"
    if not end.up:
        yield "  disabled;"
    if options.role and end.peer.external:
        yield f"  local role {'rs_server' if options.role == 'rs' else options.role.replace('-', '_')};"
    if options.allowas_in:
        yield f"  allow local as {options.allowas_in};"
    if end.client:
        yield f"  rr client; rr cluster id {end.speaker.cluster_id};"
    yield f"  ipv4 {{ igp table underlay; gateway recursive; next hop address {end.local_address};"
    if options.next_hop_self:
        yield f"    next hop self{'' if end.peer.external else ' ebgp'};"
    if options.add_path or end.other.options.add_path:
        ways = {(True, True): "on", (True, False): "tx", (False, True): "rx"}
        yield f"    add paths {ways[options.add_path, end.other.options.add_path]};"
    yield "    import filter {"
    if options.max_as_path_in is not None:
        yield f"      if bgp_path.len > {options.max_as_path_in} then reject;"
    if options.local_pref_in is not None:
        yield f"      bgp_local_pref = {options.local_pref_in};"
    yield "      accept; };"
    yield "    export filter {"
    if options.as_override and end.peer.external:  # BIRD has no such option; prepending twice keeps the order
        yield "      bgppath turned = +empty+; bgppath again = +empty+;"
        yield f"      for int one in bgp_path do if one = {end.peer.asn} then turned = prepend(turned, {asn});"
        yield "        else turned = prepend(turned, one);"
        yield "      for int one in turned do again = prepend(again, one);"
        yield "      bgp_path = again;"
    yield from (f"      bgp_path.prepend({asn});" for _ in range(options.prepend))
    # Multihop, as sessions on a loopback must be, BIRD never keeps a third party's next hop; set by hand it stays.
    yield from (f'      if proto = "{protocol(other.session)}" then bgp_next_hop = bgp_next_hop;'
                for other in end.speaker.neighbours if _keeps_next_hop(end, other))  # fmt: skip
    for prefix, attributes in end.speaker.own.items():
        yield f"      if source = RTS_STATIC && net = {prefix} then {{"
        yield f"        bgp_origin = ORIGIN_{attributes.origin.upper()};"
        if attributes.med is not None:
            yield f"        bgp_med = {attributes.med};"
        for community in attributes.communities:
            code = WELL_KNOWN.get(community)
            high, low = (code >> 16, code & 0xFFFF) if code else map(int, community.split(":"))
            yield f"        bgp_community.add(({high}, {low}));"
        yield "      }"
    yield "      if source = RTS_STATIC || source = RTS_BGP then accept; reject; };"
    yield "  };\n}"


def _keeps_next_hop(end: Neighbour, other: Neighbour) -> bool:
    """Return whether BIRD would pass on NEXT_HOP as it came: between single-hop eBGP sessions on one subnet."""
    igp, name = end.speaker.igp, end.speaker.name
    shared = igp.connected(name, end.peer.address)
    return (end.peer.external and other.peer.external and not end.options.next_hop_self and shared is not None
            and igp.connected(name, other.peer.address) is shared)  # fmt: skip


_ROUTE = re.compile(r"^(\S+)\s+(unicast|unreachable|blackhole)\s+\[(\S+)")
_COMMUNITY = re.compile(r"\((\d+),(\d+)\)")


def best_paths(simulation: Simulation, router: str, shown: str) -> dict[str, tuple[Path, bool]]:
    """Read `show route primary all`: each prefix's best path, and whether its next hop can be resolved.

    BIRD keeps a path that it cannot resolve as the best one if it has no other, and shows it as unreachable.
    """
    ends = {protocol(end.session): end for end in simulation.speakers[router].neighbours}
    found: dict[str, tuple[Neighbour | None, bool, dict[str, str]]] = {}
    fields: dict[str, str] = {}
    for line in shown.splitlines():
        if head := _ROUTE.match(line):
            prefix, kind, name = head.groups()
            fields = {}
            found[prefix] = ends.get(name), kind != "unreachable", fields
        key, _, text = line.strip().partition(":")
        if key.startswith("BGP."):
            fields[key[4:]] = text.strip()
    return {prefix: (_path(simulation.speakers[router], prefix, end, fields), usable)
            for prefix, (end, usable, fields) in found.items()}  # fmt: skip


def _path(speaker: Speaker, prefix: str, end: Neighbour | None, fields: dict[str, str]) -> Path:
    if end is None:
        return Path(speaker.own[prefix])
    pairs = _COMMUNITY.findall(fields.get("community", ""))
    names = {code: name for name, code in WELL_KNOWN.items()}
    attributes = Attributes(
        tuple(int(asn) for asn in fields["as_path"].split()), fields["next_hop"].split()[0], int(fields["local_pref"]),
        int(fields["med"]) if "med" in fields else None,
        next(origin for origin in ORIGINS if origin.startswith(fields["origin"].lower()[:3])),
        fields.get("originator_id"), tuple(fields.get("cluster_list", "").split()),
        tuple(names.get(int(high) << 16 | int(low), f"{high}:{low}") for high, low in pairs),
        int(fields["otc"]) if "otc" in fields else None)  # fmt: skip
    return Path(attributes, end.peer, client=end.client, index=end.index)
