"""Random clusters: 2 to 6 nodes on a LAN or in racks, with addresses, MTUs, a profile and perhaps a fault."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from coursekit.cluster.faults import applicable, fault
from coursekit.cluster.model import Cluster
from coursekit.cluster.network import network
from coursekit.errors import CourseError
from tests.lab.cells import Case

_MTUS = (1500, 1500, 1500, 9000, 1400, 1442, 1280)


def random_case(seed: int) -> Case:
    """Return the cluster that belongs to a seed; the same one every time."""
    draw = random.Random(seed)
    while True:
        try:
            cluster = Cluster.from_dict(_cluster(draw), f"seed {seed}")
            break
        except CourseError:  # addresses clash, or the profile cannot be on that underlay
            continue
    names = sorted(applicable(network(cluster)))
    faults = (fault(draw.choice(names)),) if draw.random() < 0.5 else ()
    src, dst = draw.sample([pod.name for pod in cluster.pods], 2)
    broken = f", {faults[0]}" if faults else ""
    shape = f"{len(cluster.nodes)} nodes, {len(cluster.segments)} segments, {len(cluster.routers)} routers"
    return Case(f"seed {seed}: {cluster.profile.name}, {shape}{broken}", cluster, faults, src, dst)


def _cluster(draw: random.Random) -> dict[str, Any]:
    racks = draw.choice((1, 1, 2, 3))
    subnets = draw.sample(list(IPv4Network(draw.choice(("172.16.0.0/12", "192.168.0.0/16"))).subnets(new_prefix=24)), 4)
    pods = IPv4Network(f"10.{draw.randrange(1, 255)}.0.0/16")
    segments = [
        {"name": f"rack{i + 1}", "subnet": str(subnets[i]), "gateway": str(subnets[i][1]), "mtu": draw.choice(_MTUS)}
        for i in range(racks)
    ]
    routers = [{"name": "router", "addresses": [s["gateway"] for s in segments]}]
    if racks > 1 and draw.random() < 0.4:  # a ToR each, and a spine between them
        segments.append({"name": "spine", "subnet": str(subnets[3]), "mtu": 9000})
        routers = [
            {"name": f"tor{i + 1}", "addresses": [segments[i]["gateway"], str(subnets[3][i + 1])]} for i in range(racks)
        ]
    count = draw.randint(max(2, racks), 6)
    blocks = draw.sample(list(pods.subnets(new_prefix=draw.choice((24, 26)))), count)
    nodes, found = [], []
    for number, block in enumerate(blocks):
        where = number if number < racks else draw.randrange(racks)
        host = IPv4Address(int(subnets[where][0]) + 2 + number * 40 + draw.randrange(38))
        node: dict[str, Any] = {"name": f"n{number + 1}", "address": str(host), "block": str(block)}
        node |= {"port_mtu": draw.choice((1280, 1400))} if draw.random() < 0.1 else {}
        nodes.append(node)
        places = draw.sample(range(2, 50), draw.choice((1, 1, 2)))
        found += [{"name": f"pod{number + 1}-{place}", "address": str(block[place])} for place in places]
    cluster = {"segments": segments, "routers": routers, "nodes": nodes, "pods": found, "pod_network": str(pods)}
    if draw.random() < 0.2:
        cluster["pod_mtu"] = draw.choice((1400, 1500, 1300))
    return cluster | {"profile": _profile(draw, racks)}


def _profile(draw: random.Random, racks: int) -> dict[str, Any]:
    """A profile with options of its own."""
    name = draw.choice(("host-gw", "flannel-vxlan", "calico-vxlan", "calico-ipip", "calico-bgp", "none"))
    profile: dict[str, Any] = {"name": name, "masquerade": draw.choice(("none", "none", "outside"))}
    if name == "none":
        profile["router_routes"] = draw.random() < 0.7
    if name in ("flannel-vxlan", "calico-vxlan"):
        profile |= {"vni": draw.randrange(1, 1 << 24), "port": draw.choice((4789, 8472, draw.randrange(5000, 60000)))}
        profile |= {"udp_checksum": draw.random() < 0.7, "df": draw.choice(("unset", "unset", "set", "inherit"))}
    if name == "flannel-vxlan":
        profile["direct_routing"] = draw.random() < 0.3
    if name.startswith("calico"):
        profile["version"] = draw.choice(("3.30", "3.31", "3.32", "3.33"))
    if name in ("calico-vxlan", "calico-ipip"):
        profile["cross_subnet"] = draw.random() < 0.4
    if name == "calico-bgp":
        profile["bgp"] = "tor" if racks > 1 else draw.choice(("mesh", "route-reflector", "tor"))
    return profile
