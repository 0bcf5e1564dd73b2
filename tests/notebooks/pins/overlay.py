"""Numbers in 03, overlay networks."""

from __future__ import annotations

from coursekit import ENCAPSULATIONS, dissect, overhead, recording
from coursekit.packets.fields import Dissection

from .pin import Pin, ipip_ping, plain_ping, vxlan_ping


def seen(point: str) -> Dissection:
    """Return the first ping of flannel's recording at a capture point, taken apart."""
    frame = recording("flannel-vxlan").capture(point).filter("icmp or udp port 8472").frames[0]
    apart: Dissection = dissect(frame.data)
    return apart


def cost(key: str, nth: int = 0) -> int:
    """Return the bytes of one header of that ping between the nodes."""
    return seen("node1:eth0").layer(key, nth).width // 8


PINS: tuple[Pin, ...] = (
    Pin("03", "explain-headers", "at byte {}", lambda: seen("node1:eth0").layer("eth", 1).bit_offset // 8),
    Pin("03", "predict-size",
        "sends {} bytes of data. With headers that is an IP packet of {} bytes, and a frame of {} bytes",
        lambda: (seen("podA:eth0").layer("data").width // 8, seen("podA:eth0")["ip.len"].raw, plain_ping())),
    Pin("03", "predict-size", "a) {} bytes · b) {} bytes · c) {} bytes",
        lambda: (plain_ping(), ipip_ping(), vxlan_ping())),
    Pin("03", "explain-diff", "grew by {} bytes: Ethernet {}, IPv4 {}, UDP {}, VXLAN {}",
        lambda: (vxlan_ping() - plain_ping(), cost("eth"), cost("ip"), cost("udp"), cost("vxlan"))),
    Pin("03", "explain-ends", "{} to {}, because two nodes",
        lambda: (seen("podA:eth0")["ip.ttl"].value, seen("podB:eth0")["ip.ttl"].value)),
    Pin("03", "predict-overhead", "VXLAN takes {} bytes", lambda: overhead(ENCAPSULATIONS["flannel-vxlan"])),
    Pin("03", "explain-1500", "That would make {}", lambda: 1500 + overhead(ENCAPSULATIONS["flannel-vxlan"])),
    Pin("03", "open-it", "{} bytes into the frame", lambda: cost("eth", 1)),
    Pin("03", "takeaways", "VXLAN costs {} bytes and IPIP {}",
        lambda: (overhead(ENCAPSULATIONS["flannel-vxlan"]), overhead(ENCAPSULATIONS["calico-ipip"]))),
)
