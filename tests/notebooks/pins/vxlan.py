"""Numbers in 04, the VXLAN deep dive."""

from __future__ import annotations

from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

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


def last_seen(fault: str) -> str:
    """Return the capture point that sees a default ping last, with a fault, as computed."""
    return ping(break_(network(load_cluster("chapter")), fault), "podA", "podB").outcome.last_seen


def offloaded_frame() -> int:
    """Return the bytes of the third VXLAN frame that Node 2's own capture shows with offloads on."""
    frames = recording("offload-on").capture("node2:eth0").filter("udp port 8472 and src host 192.168.1.11").frames
    return len(frames[2].data)


def scapys_flags() -> str:
    """Return the flags that scapy writes by itself in front of an Ethernet header, in hex."""
    inner = Ether(src="02:00:0a:f4:00:00", dst="02:00:0a:f4:01:00", type=0x0800)
    return f"{bytes(VXLAN(vni=1) / inner)[0]:02x}"


def arp_patience() -> int:
    """Return after how many seconds the sender of a ping hears that nobody answered the ARP for it."""
    broken = break_(network(load_cluster("chapter")), "missing-neighbour")
    return next(wait for wait in range(1, 10) if ping(broken, "podA", "podB", wait=wait).outcome.kind == "error")


WORDS = ("no", "one", "two", "three", "four")
VXLAN_HEADERS = ENCAPSULATIONS["flannel-vxlan"]
POD_MTU = inner_mtu(1500, VXLAN_HEADERS)
BIGGEST = largest_ping(POD_MTU)

PINS: tuple[Pin, ...] = (
    Pin("04", "explain-six-steps", "The inner TTL is {} between the nodes, and the packet reaches Pod B with TTL {}",
        lambda: (inside("ttl"), first("podB:eth0")["ip.ttl"].value)),
    Pin("04", "explain-six-steps", "The outer TTL is {}:", lambda: first()["ip.ttl"].value),
    Pin("04", "explain-six-steps", "where {} bytes become {}", lambda: (plain_ping(), vxlan_ping())),
    Pin("04", "explain-six-steps", "and {} bytes become {} again", lambda: (vxlan_ping(), plain_ping())),
    Pin("04", "explain-inner-mac", "It stands in the captured frame from byte {} on",
        lambda: first().layer("eth", 1)["dst"].bit_offset // 8),
    Pin("04", "explain-outer", "Outer Ethernet, {} bytes", lambda: sizes(0, 1)),
    Pin("04", "explain-outer", "Outer IP, {} bytes. It goes from node to node. The protocol is {}, UDP. The TTL is {}",
        lambda: (*sizes(1, 2), first()["ip.proto"].raw, first()["ip.ttl"].value)),
    Pin("04", "explain-outer", "UDP, {} bytes. The source port", lambda: sizes(2, 3)),
    Pin("04", "explain-outer", "The destination port is {}: flannel sets none, and {} is Linux's own default. "
        "The registered port is {}", lambda: (ports()[0], *ports())),
    Pin("04", "explain-outer", "The length is {}:", lambda: first()["udp.length"].value),
    Pin("04", "explain-outer", "VXLAN, {} bytes. One flag", lambda: sizes(3, 4)),
    Pin("04", "explain-outer", "come {} reserved bytes, the VNI with {} bytes, and {} more reserved",
        lambda: tuple(WORDS[first()[f"vxlan.{key}"].width // 8] for key in ("reserved24", "vni", "reserved8"))),
    Pin("04", "explain-outer", "The VNI of flannel is {}", lambda: vnis()[0]),
    Pin("04", "explain-outer", "Inner Ethernet, {} bytes", lambda: sizes(4, 5)),
    Pin("04", "explain-outer", "the pod's packet, with TTL {}", lambda: inside("ttl")),
    Pin("04", "explain-gpe", "has the flags {}, and the captured one has {}",
        lambda: (scapys_flags(), f"{first().data[42]:02x}")),
    Pin("04", "explain-forge", "byte for byte: all {}", vxlan_ping),
    Pin("04", "explain-entropy", "local port range, {}–{}", lambda: PORT_RANGE),
    Pin("04", "explain-entropy", "one datagram each of {} inner UDP flows. They have {} different source ports",
        entropy),
    Pin("04", "explain-entropy", "goes to destination port {} as well", lambda: ports()[0]),
    Pin("04", "why-vxlan", "must admit UDP {} (or {})", ports),
    Pin("04", "why-vxlan", "The VNI has {} bits, so there are {}",
        lambda: ((width := first()["vxlan.vni"].width), f"{2**width:,}")),
    Pin("04", "why-vxlan", "for the whole cluster, {}; Calico one, {}", vnis),
    Pin("04", "explain-offload", "The third frame has {} bytes", offloaded_frame),
    Pin("04", "mtu", "count down to {}", lambda: POD_MTU),
    Pin("04", "mtu", "A full packet of 1500 bytes makes a frame of {}", full_frame),
    Pin("04", "explain-fifty", "takes {} bytes of outer IP, {} of UDP, {} of VXLAN and {} of inner Ethernet: {} in all."
        " That leaves {} of 1500", lambda: (*sizes(1, 5), overhead(VXLAN_HEADERS), POD_MTU)),
    Pin("04", "explain-fifty", "The sum {} + {} + {} + {}, with the outer", lambda: sizes(0, 4)),
    Pin("04", "explain-fifty", "both Ethernet headers have {} bytes", lambda: sizes(4, 5)),
    Pin("04", "explain-fifty", "it costs only {}", lambda: overhead(ENCAPSULATIONS["calico-ipip"])),
    Pin("04", "explain-fifty", "on the inner frame costs {} more",
        lambda: overhead(VXLAN_HEADERS, inner_vlan=True) - overhead(VXLAN_HEADERS)),
    Pin("04", "where-the-mtu-is-set", "the MTU of its interface, less {}", lambda: overhead(VXLAN_HEADERS)),
    Pin("04", "too-long", "stand {} bytes of IPv4 and ICMP. So -s {} makes a packet of exactly {} bytes",
        lambda: (POD_MTU - BIGGEST, BIGGEST, POD_MTU)),
    Pin("04", "explain-ping-size", "has an MTU of {}, so", lambda: POD_MTU),
    Pin("04", "wrong-mtu", "while flannel.1 has {}",
        lambda: next(x.mtu for x in recording("pod-mtu-1500-df").tables()["node1"].links if x.kind == "vxlan")),
    Pin("04", "explain-df-set", "remembers {} and goes on", lambda: POD_MTU),
    Pin("04", "explain-wrong-mtu", "here ping -M do -s {} makes a packet of 1500 bytes", lambda: largest_ping(1500)),
    Pin("04", "explain-missing-fdb", "It counted {} drops",
        lambda: WORDS[int(recording("missing-fdb").output("node1-stats").split()[-3])]),
    Pin("04", "explain-failures", "Missing FDB row: seen last on {}.", lambda: last_seen("missing-fdb")),
    Pin("04", "explain-failures", "Missing neighbour row: seen last on {}.", lambda: last_seen("missing-neighbour")),
    Pin("04", "explain-failures", "After {} seconds", lambda: WORDS[arp_patience()]),
    Pin("04", "explain-failures", "Wrong VNI: seen last on {}.", lambda: last_seen("wrong-vni")),
    Pin("04", "explain-failures", "Wrong port: seen last on {}.", lambda: last_seen("wrong-port")),
    Pin("04", "explain-failures", "Stale VTEP MAC: seen last on {}.", lambda: last_seen("stale-vtep-mac")),
    Pin("04", "takeaways", "Flannel's port is {}, Calico's is {}", ports),
    Pin("04", "takeaways", "{} is 1500 less", lambda: POD_MTU),
)
