"""Numbers in 05, IPIP."""

from __future__ import annotations

from coursekit import ENCAPSULATIONS, dissect, inner_mtu, load_cluster, lookup, overhead, recording, tables
from coursekit.packets.fields import Dissection

from .pin import Pin, ipip_ping, plain_ping, vxlan_ping


def frame(number: int, point: str = "node1:eth0", name: str = "calico-ipip") -> Dissection:
    """Return a frame of a recording, taken apart."""
    taken: Dissection = dissect(recording(name).capture(point)[number].data)
    return taken


def at(key: str, layer: str = "ip", name: str = "calico-ipip") -> int:
    """Return the byte at which a field of the first ping between the nodes begins."""
    return frame(3, name=name).layer(layer)[key].bit_offset // 8


def protocol(name: str, bpf: str) -> int:
    """Return the protocol number of the first packet of a recording that passes a filter."""
    captured = recording(name).capture("podA:eth0").filter(bpf).frames[0].data
    return int(dissect(captured)["ip.proto"].raw)


def full_data(name: str) -> int:
    """Return the bytes of data in the longest frame of a TCP recording."""
    longest = max((f.data for f in recording(name).capture("node2:eth0")), key=len)
    return int(dissect(longest).layers[-1].width // 8)


def limit_named() -> int:
    """Return the MTU that node 1 names when pods believe in 1500."""
    told = recording("ipip-pod-mtu-1500-df").capture("podA:eth0").filter("icmp[icmptype] == icmp-unreach")
    return int(dissect(told.frames[0].data)["icmp.mtu"].raw)


def probe_that_died() -> int:
    """Return the TTL inside the IPIP packet that the router complained about."""
    mixed = recording("ipip-two-racks").capture("node1:eth0")
    late = mixed.filter("icmp[icmptype] == icmp-timxceed and src host 192.168.1.1")
    return int(dissect(late.frames[0].data).layer("ip", 2)["ttl"].raw)


def first_hop() -> str:
    """Return whose address stands in the first line of both traceroutes; which one depends on the order of devices."""
    whose = set()
    for name in ("vxlan-two-racks", "ipip-two-racks"):
        rec = recording(name)
        hop = rec.output("traceroute-podC").splitlines()[1].split()[1]
        whose |= {host for host, its in rec.tables().items() if hop in {str(a.interface.ip) for a in its.addresses}}
    return " or ".join(sorted(whose)).replace("node", "Node ")


def route(version: str) -> str:
    """Return the routing protocol of node 1's row for pod B, as a version of Calico writes it."""
    calico = load_cluster("chapter").with_profile("calico-ipip", version=version)
    row = lookup(tables(calico)["node1"].routes, "10.244.1.7").winner
    assert row is not None
    return str(row.protocol)


WORDS = ("no", "one", "two", "three")
VERSIONS = ("3.30", "3.31", "3.32", "3.33")  # of Calico, as data files may name them
IPIP, VXLAN = ENCAPSULATIONS["calico-ipip"], ENCAPSULATIONS["flannel-vxlan"]

PINS: tuple[Pin, ...] = (
    Pin("05", "predict-outer-ttl", "sends its ping with TTL {}", lambda: frame(3, "podA:eth0")["ip.ttl"].value),
    Pin("05", "explain-outer-ttl", "the inner TTL is {}", lambda: frame(3).layer("ip", 1)["ttl"].value),
    Pin("05", "explain-outer-ttl", "look at byte {}", lambda: at("ttl")),
    Pin("05", "explain-outer-ttl", "from {} to {} bytes", lambda: (plain_ping(), ipip_ping())),
    Pin("05", "explain-outer-ttl", "the first byte is already IP ({})",
        lambda: recording("calico-ipip").capture("node1:tunl0").frames[0].data[:1].hex()),
    Pin("05", "explain-one-byte", "Byte {} would be right", lambda: at("proto") - at("version")),
    Pin("05", "explain-one-byte", "The {} in byte {} is the IP version",
        lambda: (frame(3)["ip.version"].raw, at("version"))),
    Pin("05", "explain-one-byte", "Byte {} holds the protocol, {}", lambda: (at("proto"), frame(3)["ip.proto"].raw)),
    Pin("05", "explain-one-byte", "that means DSCP {}", lambda: frame(9).layer("ip", 1)["dsfield.dscp"].raw),
    Pin("05", "explain-copied", "whose own is {}", lambda: frame(12).layer("ip", 1)["id"].raw),
    Pin("05", "explain-comparison", "protocol {} and a UDP port | protocol {}",
        lambda: (frame(3, name="flannel-vxlan")["ip.proto"].raw, frame(3)["ip.proto"].raw)),
    Pin("05", "explain-comparison", "{} bytes | {} bytes", lambda: (overhead(VXLAN), overhead(IPIP))),
    Pin("05", "explain-comparison", "{} bytes | {} bytes",
        lambda: (vxlan_ping() - plain_ping(), ipip_ping() - plain_ping())),
    Pin("05", "explain-comparison", "outer TTL, DF | {}, clear", lambda: VXLAN.ttl),
    Pin("05", "explain-comparison", "carries {} bytes of data instead of {}: {} per cent more",
        lambda: ((i := full_data("ipip-tcp")), (v := full_data("tcp-pod-mtu-1450")), WORDS[round(100 * i / v - 100)])),
    Pin("05", "exercise-mtu", "Count down to {}", lambda: inner_mtu(1500, IPIP)),
    Pin("05", "exercise-mtu", "{} would subtract an inner Ethernet header", lambda: inner_mtu(1500, IPIP) - 14),
    Pin("05", "explain-wrong-mtu", "names {}", limit_named),
    Pin("05", "explain-filtered", "TCP is protocol {}, UDP {}, ICMP {}",
        lambda: tuple(protocol("calico-ipip", bpf) for bpf in ("tcp", "udp", "icmp"))),
    Pin("05", "explain-filtered", "Behind this outer header stands {}",
        lambda: recording("calico-ipip").capture("node1:eth0")[3].data[34:36].hex(" ")),
    Pin("05", "exercise-filter", "the protocol is byte {} of the IP header", lambda: at("proto") - at("version")),
    Pin("05", "explain-traceroute", "The first line is an address of {}.", first_hop),
    Pin("05", "explain-traceroute", "TTL of {} was copied", probe_that_died),
    Pin("05", "explain-versions", "Up to {}, the BGP daemon", lambda: max(v for v in VERSIONS if route(v) == "bird")),
    Pin("05", "explain-versions", "writes the row, proto {}", lambda: route("3.32")),
    Pin("05", "explain-versions", "From {} Calico's agent", lambda: min(v for v in VERSIONS if route(v) != "bird")),
    Pin("05", "explain-versions", "as proto {}", lambda: route("3.33")),
)
