"""Numbers in 04, the VXLAN deep dive."""

from __future__ import annotations

from coursekit import (
    ENCAPSULATIONS,
    break_,
    dissect,
    inner_mtu,
    largest_ping,
    load_cluster,
    network,
    overhead,
    ping,
    recording,
)
from coursekit.packets.encapsulation import PORT_RANGE
from coursekit.packets.fields import Dissection

from .pin import Pin, plain_ping, vxlan_ping


def seen(name: str, point: str = "node1:eth0") -> Dissection:
    """Return the first ping or VXLAN frame of a recording at a capture point, taken apart."""
    frames = recording(name).capture(point).filter("icmp or udp port 8472 or udp port 4789").frames
    apart: Dissection = dissect(frames[0].data)
    return apart


def first(point: str = "node1:eth0") -> Dissection:
    """Return the first ping of flannel's recording at a capture point."""
    return seen("flannel-vxlan", point)


def inside(key: str) -> str:
    """Return a field of the IP packet inside that ping's envelope."""
    return first().layer("ip", 1)[key].value


def sizes(start: int, stop: int) -> tuple[int, ...]:
    """Return the sizes in bytes of some layers of that ping between the nodes."""
    return tuple(layer.width // 8 for layer in first().layers[start:stop])


def ports() -> tuple[str, str]:
    """Return the UDP port that flannel's VXLAN goes to, and Calico's."""
    return first()["udp.dstport"].value, seen("calico-vxlan")["udp.dstport"].value


def vnis() -> tuple[str, str]:
    """Return the VNI of flannel's recording, and of Calico's."""
    return first()["vxlan.vni"].value, seen("calico-vxlan")["vxlan.vni"].value


def entropy() -> tuple[int, int]:
    """Return how many inner UDP flows were recorded, and how many outer source ports they had."""
    frames = [dissect(f.data) for f in recording("source-port-entropy").capture("node1:eth0").filter("udp port 8472")]
    udp = [d for d in frames if d.layer("ip", 1)["proto"].raw == 17]
    return len({d.layer("udp", 1)["srcport"].raw for d in udp}), len({d["udp.srcport"].raw for d in udp})


def full_frame() -> int:
    """Return the bytes of the frame that a full packet makes on an underlay of 1500."""
    return max(len(f.data) for f in recording("mtu-1450").capture("node1:eth0"))


def arp_patience() -> int:
    """Return after how many seconds the sender of a ping hears that nobody answered the ARP for it."""
    broken = break_(network(load_cluster("chapter")), "missing-neighbour")
    return next(wait for wait in range(1, 10) if ping(broken, "podA", "podB", wait=wait).outcome.kind == "error")


WORDS = ("no", "one", "two", "three", "four")
POD_MTU = inner_mtu(1500, ENCAPSULATIONS["flannel-vxlan"])

PINS: tuple[Pin, ...] = (
    Pin("04", "predict-ttl", "sends its ping with TTL {}", lambda: first("podA:eth0")["ip.ttl"].value),
    Pin("04", "explain-six-steps", "before it wraps it: {}. Node 2 routes it after unwrapping: {}",
        lambda: (inside("ttl"), first("podB:eth0")["ip.ttl"].value)),
    Pin("04", "explain-six-steps", "The outer TTL is the node's own {}", lambda: first()["ip.ttl"].value),
    Pin("04", "explain-six-steps", "its TTL is {} lower",
        lambda: WORDS[int(first("podA:eth0")["ip.ttl"].value) - int(first("podB:eth0")["ip.ttl"].value)]),
    Pin("04", "explain-six-steps", "where {} bytes become {}", lambda: (plain_ping(), vxlan_ping())),
    Pin("04", "explain-inner-mac", "Look at byte {}", lambda: first().layer("eth", 1)["dst"].bit_offset // 8),
    Pin("04", "explain-outer", "Ethernet, {} bytes. Destination: the next hop", lambda: sizes(0, 1)),
    Pin("04", "explain-outer", "IP, {} bytes. Node to node, protocol {}, TTL {} whatever is inside",
        lambda: (*sizes(1, 2), first()["ip.proto"].raw, first()["ip.ttl"].value)),
    Pin("04", "explain-outer", "UDP, {} bytes. Source port", lambda: sizes(2, 3)),
    Pin("04", "explain-outer", "Destination {}, Linux's own number, because flannel sets none; {} is the registered",
        ports),
    Pin("04", "explain-outer", "Length {}:", lambda: first()["udp.length"].value),
    Pin("04", "explain-outer", "VXLAN, {} bytes. One flag", lambda: sizes(3, 4)),
    Pin("04", "explain-outer", "{} reserved bytes; the VNI, {} bytes; {} more reserved",
        lambda: tuple(WORDS[first()[f"vxlan.{key}"].width // 8] for key in ("reserved24", "vni", "reserved8"))),
    Pin("04", "explain-outer", "Inner Ethernet, {} bytes", lambda: sizes(4, 5)),
    Pin("04", "explain-outer", "Inner IP, TTL {}", lambda: inside("ttl")),
    Pin("04", "entropy", "one datagram each of {} flows", lambda: entropy()[0]),
    Pin("04", "explain-entropy", "{} flows, {} ports", entropy),
    Pin("04", "explain-entropy", "local port range, {}–{}", lambda: PORT_RANGE),
    Pin("04", "explain-entropy", "both directions go to {}", lambda: ports()[0]),
    Pin("04", "why-vxlan", "must admit UDP {} (or {})", ports),
    Pin("04", "why-vxlan", "The VNI has {} bits, so {}",
        lambda: ((width := first()["vxlan.vni"].width), f"{2**width:,}")),
    Pin("04", "why-vxlan", "for the whole cluster, {}; Calico one, {}", vnis),
    Pin("04", "explain-offload", "Count down to {}", lambda: POD_MTU),
    Pin("04", "explain-offload", "A full packet of 1500 makes a frame of {}", full_frame),
    Pin("04", "explain-fifty", "as {} + {} + {} + {}, outer Ethernet first", lambda: sizes(0, 4)),
    Pin("04", "explain-fifty", "and costs {}", lambda: overhead(ENCAPSULATIONS["calico-ipip"])),
    Pin("04", "explain-fifty", "gives pods {}", lambda: POD_MTU),
    Pin("04", "exercise-mtu", "ride behind {} bytes of IPv4 and ICMP", lambda: POD_MTU - largest_ping(POD_MTU)),
    Pin("04", "predict-ping-size", "-s {}, then -s {}", lambda: (largest_ping(POD_MTU), largest_ping(POD_MTU) + 1)),
    Pin("04", "wrong-mtu", "while flannel.1 has {}",
        lambda: next(x.mtu for x in recording("pod-mtu-1500-df").tables()["node1"].links if x.kind == "vxlan")),
    Pin("04", "explain-wrong-mtu", "names the limit, {}", lambda: POD_MTU),
    Pin("04", "explain-failures", "counts {} drops",
        lambda: WORDS[int(recording("missing-fdb").output("node1-stats").split()[-3])]),
    Pin("04", "explain-failures", "gives up its ARP after {}", lambda: WORDS[arp_patience()]),
    Pin("04", "takeaways", "Flannel's port is {}", lambda: ports()[0]),
    Pin("04", "takeaways", "{} = 1500 less", lambda: POD_MTU),
)
