"""Numbers in 08, the multi-node lab."""

from __future__ import annotations

from coursekit import (
    ENCAPSULATIONS,
    inner_mtu,
    largest_ping,
    load_cluster,
    lookup,
    network,
    overhead,
    recording,
    traceroute,
)
from coursekit.lab.minikube import KubeLab
from coursekit.lab.minikube.manifest import IMAGE
from coursekit.lab.session import Session, captured
from coursekit.packets.mtu import Fate, fate

from .pin import Pin, plain_ping, vxlan_ping

NUMBERS = ("no", "One", "Two", "Three", "Four")
ENCAPS = ("flannel-vxlan", "calico-ipip", "native")


def mtus() -> tuple[int, ...]:
    """Return the pods' MTU of each of the three modes, on nodes of 1500."""
    return tuple(inner_mtu(1500, ENCAPSULATIONS[name]) for name in ENCAPS)


def hops() -> list[str]:
    """Return the addresses that traceroute shows through VXLAN."""
    return [str(hop.address) for hop in traceroute(network(load_cluster("lab")), "podA", "podB")]


def silent(port: int) -> int:
    """Return how many frames a filter for that UDP port shows of a flannel ping."""
    return len(recording("flannel-vxlan").capture("node1:eth0").filter(f"udp port {port}"))


def headers() -> int:
    """Return the bytes of the IPv4 and ICMP headers of a ping."""
    return mtus()[0] - largest_ping(mtus()[0])


def gained() -> int:
    """Return by how many bytes a ping grows between flannel.1 and eth0 of node 1."""
    seen = captured(Session("replay", "").up("lab", "flannel-vxlan").ping("podA", "podB", count=3))
    return len(seen["node1:eth0"].frames[0].data) - len(seen["node1:flannel.1"].frames[0].data)


def documented() -> tuple[int, str]:
    """Return what the model works out for the documented cluster: the TTL of a reply, the next hop to a pod."""
    one = KubeLab()
    here, there = one.pair
    reply = one.ping(here, there).reply
    assert reply is not None
    ttl = reply.frames_at(f"{here}:eth0")[0][14 + 8]
    row = lookup(one.tables(one.cluster.pod(there).node).routes, one.cluster.pod(here).address).winner
    assert row is not None
    return ttl, str(row.via)


def at_a_router(name: str) -> Fate:
    """Return what becomes of the largest packet with DF of a pod where a router between the nodes passes 1400."""
    mtu = inner_mtu(1500, ENCAPSULATIONS[name])
    return fate(mtu, True, ENCAPSULATIONS[name], pod_mtu=mtu, path_mtu=1400, path="router")


def who_answers() -> str:
    """Return how a router meets IPIP's envelope, and who is told."""
    told = at_a_router("calico-ipip")
    answers = told.kind == "frag needed" and told.sender == "a router" and not told.heard
    return "answers with an ICMP error, to the node" if answers else told.sentence


PINS: tuple[Pin, ...] = (
    Pin("08", "explain-connectivity", "{} lines, and no node. {} is Node 2", lambda: (NUMBERS[len(hops())], hops()[1])),
    Pin("08", "explain-mtu", "Add {} bytes", headers),
    Pin("08", "explain-mtu", "the pods' MTUs: {}, {}, {}", mtus),
    Pin("08", "explain-mode", "--profile=netadmin --image={}", lambda: IMAGE),
    Pin("08", "explain-black-hole", "cuts it into {} and {} bytes", lambda: at_a_router("flannel-vxlan").outer),
    Pin("08", "explain-black-hole", "IPIP copies the flag; there the router {}.", who_answers),
    Pin("08", "explain-points", "the frame gains {} bytes", gained),
    Pin("08", "what-holds", "{} bytes against {}",
        lambda: (overhead(ENCAPSULATIONS["flannel-vxlan"]), overhead(ENCAPSULATIONS["calico-ipip"]))),
    Pin("08", "your-cluster", "`ttl={}` and `via {}` are what its documentation printed", documented),
    Pin("08", "explain-points", "gains {} bytes", lambda: vxlan_ping() - plain_ping()),
    Pin("08", "predict-mode", "udp port {}", lambda: next(port for port in (8472, 4789) if not silent(port))),
)  # fmt: skip
