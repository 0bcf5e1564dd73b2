"""VXLAN, and the generic protocol extension (VXLAN-GPE) that looks almost like it."""

from __future__ import annotations

from coursekit.packets.walk import Part, Table, Walk, flag, hexed, meant, named

_NEXT = {1: "ip", 2: "ipv6", 3: "eth"}
_PROTOCOLS = {1: "IPv4", 2: "IPv6", 3: "Ethernet", 4: "NSH", 5: "MPLS"}
_VNI_FLAG = meant("The VNI does not count: a VXLAN receiver drops this packet.", "The VNI is valid; must be set.")
_VNI = Part("vxlan.vni", "VXLAN Network Identifier", 24, str,
            "Which virtual network the inner frame belongs to: flannel uses 1, Calico 4096.")  # fmt: skip
_LAST = Part("vxlan.reserved8", "Reserved", 8, hexed(2), "Always zero.")

VXLAN = Table(
    "RFC 7348 §5",
    Part("vxlan.flag_g", "Reserved (G: group policy)", 1, flag, "Zero in RFC 7348; set by the group policy extension."),
    Part("vxlan.flags_reserved", "Reserved", 3, str, "Must be zero."),
    Part("vxlan.flag_i", "VNI flag (I)", 1, flag, _VNI_FLAG),
    Part("vxlan.flags_reserved", "Reserved", 3, str, "Must be zero; 4 here would make it VXLAN-GPE."),
    Part("vxlan.reserved24", "Reserved", 24, hexed(6), "Must be zero."),
    _VNI,
    _LAST,
)
VXLAN_GBP = Table(
    "draft-smith-vxlan-group-policy §2.1",
    Part("vxlan.flag_g", "Group policy flag (G)", 1, flag, "A group policy identifier is present."),
    Part("vxlan.flags_reserved", "Reserved", 3, str, "Must be zero."),
    Part("vxlan.flag_i", "VNI flag (I)", 1, flag, _VNI_FLAG),
    Part("vxlan.flags_reserved", "Reserved", 4, str, "Must be zero."),
    Part("vxlan.flag_d", "Don't learn (D)", 1, flag, "The receiver must not learn from this packet."),
    Part("vxlan.flags_reserved", "Reserved", 2, str, "Must be zero."),
    Part("vxlan.flag_a", "Policy applied (A)", 1, flag, "The policy was applied already."),
    Part("vxlan.flags_reserved", "Reserved", 3, str, "Must be zero."),
    Part("vxlan.gbp", "Group policy identifier", 16, str, "Which group the sender belongs to."),
    _VNI,
    _LAST,
)
VXLAN_GPE = Table(
    "draft-ietf-nvo3-vxlan-gpe §3",
    Part("vxlan.flags_reserved", "Reserved", 2, str, "Must be zero."),
    Part("vxlan.ver", "Version", 2, str, "Zero."),
    Part("vxlan.i_bit", "VNI flag (I)", 1, flag, _VNI_FLAG),
    Part("vxlan.p_bit", "Next protocol flag (P)", 1, flag,
         "The header names what it carries; a plain VXLAN receiver such as Linux drops the packet."),
    Part("vxlan.flags_reserved", "Reserved (B)", 1, str, "Broadcast or multicast traffic; else zero."),
    Part("vxlan.o_bit", "OAM flag (O)", 1, flag, "A message for the network's own upkeep."),
    Part("vxlan.reserved_16", "Reserved", 16, hexed(4), "Must be zero."),
    Part("vxlan.next_proto", "Next Protocol", 8, named(_PROTOCOLS), "What follows; 3 is Ethernet as in plain VXLAN."),
    _VNI,
    _LAST,
)  # fmt: skip


def vxlan(walk: Walk, *, extended: bool = False) -> str | None:
    """Read a VXLAN header; one with the next-protocol flag is read as VXLAN-GPE, on whatever port it comes."""
    flags = walk.data[walk.position] if walk.left else 0
    extended = extended or bool(flags & 0x04)
    layer = walk.begin("vxlan", "VXLAN-GPE" if extended else "VXLAN", (VXLAN_GPE if extended else VXLAN).rows[0][4])
    following: str | None = "eth"
    if extended:
        values = walk.take(VXLAN_GPE)
        following = _NEXT.get(values[7]) if values[3] else "eth"
    else:
        values = walk.take(VXLAN_GBP if flags & 0x80 else VXLAN)
    layer.summary = f"VNI {values[-2]}"
    walk.depth += 1
    return following
