"""The layout: what a learner reads in a frame."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from scapy.layers.inet import ICMP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from coursekit.packets.capture import Frame, load
from coursekit.packets.checksum import fold
from coursekit.packets.fields import Dissection, Field
from coursekit.packets.layout import dissect
from coursekit.paths import data_dir
from tests.packets import zoo


def keys(dissection: Dissection) -> list[str]:
    return [layer.key for layer in dissection.layers]


def nth(dissection: Dissection, key: str, number: int = 0) -> Field:
    return [field for field in dissection.fields() if field.key == key][number]


def recorded(name: str, file: str, **wanted: int) -> Frame:
    """Return the first frame of a recording whose fields have the wanted raw values."""
    for frame in load(data_dir() / "recordings" / name / file):
        have = dissect(frame.data, frame.dlt)
        try:
            if all(have[key.replace("__", ".")].raw == raw for key, raw in wanted.items()):
                return frame
        except KeyError:
            continue
    raise AssertionError(f"no such frame in {name}/{file}")


def test_vxlan_frame_has_two_depths() -> None:
    """A recorded VXLAN frame is Ethernet, IPv4, UDP, VXLAN at depth 0 and the pod's frame at depth 1."""
    frame = recorded("flannel-vxlan", "node1-eth0.pcap", vxlan__vni=1)
    dissection = dissect(frame.data)
    assert [(layer.key, layer.depth) for layer in dissection.layers] == [
        ("eth", 0), ("ip", 0), ("udp", 0), ("vxlan", 0), ("eth", 1), ("ip", 1), ("icmp", 1), ("data", 1),
    ]  # fmt: skip
    assert dissection.layer("ip", 1)["src"].value == "10.244.0.5"
    assert dissection.stopped is None


def test_sub_byte_fields_have_their_bits() -> None:
    """Flags are fields of one bit at their exact place, not bytes."""
    dissection = dissect(zoo.FRAMES["dscp and ecn"])
    places = {field.key: (field.bit_offset, field.width, field.raw) for field in dissection.layer("ip").fields[:10]}
    assert places == {
        "ip.version": (112, 4, 4), "ip.hdr_len": (116, 4, 5), "ip.dsfield.dscp": (120, 6, 46),
        "ip.dsfield.ecn": (126, 2, 3), "ip.len": (128, 16, 30), "ip.id": (144, 16, 7), "ip.flags.rb": (160, 1, 1),
        "ip.flags.df": (161, 1, 0), "ip.flags.mf": (162, 1, 0), "ip.frag_offset": (163, 13, 0),
    }  # fmt: skip


@pytest.mark.parametrize("name", zoo.FRAMES)
def test_every_field_is_explained(name: str) -> None:
    """Every field has a sentence that says what it means, and all but payloads say where it is specified."""
    for field in dissect(zoo.FRAMES[name]).fields():
        assert field.meaning.endswith("."), field
        assert field.source or field.key.startswith(("data.", "eth.")), field


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vlan in vlan", ["eth", "vlan", "vlan", "ip", "udp", "data"]),
        ("padded arp", ["eth", "arp", "padding"]),
        ("spanning tree", ["eth", "llc", "data"]),
        ("snap", ["eth", "llc", "ip", "udp", "data"]),
        ("second fragment", ["eth", "ip", "data"]),
        ("ipv6 extensions", ["eth", "ipv6", "ipv6.hopopts", "ipv6.dstopts", "udp", "data"]),
        ("ipv6 last fragment", ["eth", "ipv6", "ipv6.fraghdr", "data"]),
        ("packet too big", ["eth", "ipv6", "icmpv6", "ipv6", "udp", "data"]),
        ("ipip", ["eth", "ip", "ip", "icmp", "data"]),
        ("ipv6 in ip", ["eth", "ip", "ipv6", "udp", "data"]),
        ("gre", ["eth", "ip", "gre", "data"]),
        ("gpe with ip", ["eth", "ip", "udp", "vxlan", "ip", "udp", "data"]),
        ("icmp extension", ["eth", "ip", "icmp", "ip", "udp", "data", "data"]),
        ("bgp 1", ["eth", "ip", "tcp", "bgp", "bgp", "bgp"]),
    ],
)
def test_layers(name: str, expected: list[str]) -> None:
    """Tags, padding, fragments, extension headers, tunnels and quotations each get their layers."""
    dissection = dissect(zoo.FRAMES[name])
    assert keys(dissection) == expected
    assert dissection.stopped is None


def test_fragments_are_not_mistaken_for_transport_headers() -> None:
    """The bytes of a later fragment are data, and the first one's checksum is said to be out of reach."""
    later, first = dissect(zoo.FRAMES["second fragment"]), dissect(zoo.FRAMES["fragment"])
    assert "earlier fragment" in nth(later, "data.data").meaning
    assert later["ip.frag_offset"].value == "72 bytes (9)"
    assert first["udp.checksum"].verdict.startswith("cannot be verified: fragment")
    assert first.stopped is None


def test_quoted_packet_is_said_to_be_cut() -> None:
    """Inside an ICMP error the quoted packet is one depth deeper, and its cut payload is no fault of the frame."""
    inner = bytes(zoo.ip4() / zoo.udp(b"a" * 1400))[:60]
    dissection = dissect(bytes(zoo.ethernet() / zoo.ip4() / ICMP(type=3, code=4, nexthopmtu=1450) / inner))
    assert [layer.depth for layer in dissection.layers] == [0, 0, 0, 1, 1, 1]
    assert dissection["icmp.mtu"].raw == 1450
    assert "quotes no more" in nth(dissection, "data.data").meaning
    assert dissection["udp.checksum"].verdict.startswith("cannot be verified: cut short")
    assert dissection.stopped is None


def test_quotation_ends_where_its_length_says() -> None:
    """The quoted packet, here cut to 32 words, may be followed by an extension, which is none of its payload."""
    quoted, extension = bytes(zoo.ip4() / zoo.udp(b"a" * 400))[:128], bytes.fromhex("2000000000080101000641ff")
    message = bytes(ICMP(type=11, length=32))[:8] + quoted + extension
    dissection = dissect(bytes(zoo.ethernet() / zoo.ip4(proto=1) / message))
    assert nth(dissection, "data.data", 0).raw == b"a" * 100
    assert nth(dissection, "data.data", 1).raw == extension
    assert [layer.depth for layer in dissection.layers] == [0, 0, 0, 1, 1, 1, 0]


def test_quotation_that_ends_inside_a_header_is_told() -> None:
    """A router may quote eight bytes only: the rest of the TCP header is missing, and `stopped` says why."""
    inner = bytes(zoo.ip4() / zoo.tcp(4000))[:28]
    dissection = dissect(bytes(zoo.ethernet() / zoo.ip4() / ICMP(type=11) / inner))
    assert dissection["tcp.seq_raw"].raw == 7
    assert dissection.stopped == (
        "The TCP header at byte 62 is cut short: 20 bytes were expected at byte 62, 8 are there "
        "(an ICMP error quotes only the beginning of a packet)."
    )


def test_cut_frame_says_where_and_why() -> None:
    """A frame cut by the capture's snaplen tells which header was not whole and how many bytes are missing."""
    dissection = dissect(zoo.FRAMES["ipv6"][:50])
    assert dissection["ipv6.src"].value == "2001:db8::1"
    assert dissection.layers[-1].key == "data"
    assert dissection.stopped == (
        "The IPv6 header at byte 14 is cut short: 40 bytes were expected at byte 14, 36 are there."
    )
    dissection = dissect(zoo.FRAMES["checksum of the frame behind it"][:100])
    assert dissection.stopped == (
        "The IPv4 packet at byte 14 goes on to byte 122, but the frame ends at byte 100: 22 bytes are missing."
    )
    assert dissection["udp.checksum"].verdict.startswith("cannot be verified: cut short")
    assert dissection["ip.checksum"].verdict == "correct"


def test_empty_and_unknown() -> None:
    """No bytes, or a link type that the course does not read, give a sentence."""
    assert dissect(b"").stopped == "The frame is empty: there is no byte to dissect."
    assert dissect(b"").layers == ()
    unknown = dissect(b"\x08\x00abc", "linktype 127")
    assert keys(unknown) == ["data"]
    assert "Link type 'linktype 127' is not one" in str(unknown.stopped)


def test_wrong_checksum_says_what_would_be_right() -> None:
    """A wrong checksum is told with the right one, and the right one is then correct."""
    frame = zoo.FRAMES["wrong checksums"]
    dissection = dissect(frame)
    scapys = bytes(zoo.ethernet() / zoo.ip4() / zoo.udp())[24:26].hex()
    assert dissection["ip.checksum"].verdict == f"wrong: 0x1234 should be 0x{scapys}"
    assert dissection["udp.checksum"].verdict.startswith("wrong: 0x4321 should be 0x")
    right = int(dissection["udp.checksum"].verdict[-4:], 16).to_bytes(2, "big")
    assert dissect(frame[:40] + right + frame[42:])["udp.checksum"].verdict == "correct"


@pytest.mark.parametrize("name", ["ipv6", "echo6", "syn", "ipip", "vxlan over ipv6", "sack", "mld query"])
def test_one_changed_bit_is_seen(name: str) -> None:
    """Every checksum of a good frame is correct; flip the last bit and the innermost one is wrong."""
    frame = zoo.FRAMES[name]
    good = [field.verdict for field in dissect(frame).fields() if field.key.endswith("checksum")]
    assert set(good) == {"correct"}
    bad = [field.verdict for field in dissect(frame[:-1] + bytes([frame[-1] ^ 1])).fields()
           if field.key.endswith("checksum")]
    assert bad[-1].startswith("wrong: ")


def test_zero_udp_checksum_is_no_fault() -> None:
    """Zero means that the sender did not compute one, as a VXLAN sender may."""
    assert dissect(zoo.FRAMES["no udp checksum"])["udp.checksum"].verdict == "not computed (0)"
    frame = recorded("vxlan-zero-checksum", "node1-eth0.pcap", udp__checksum=0)
    assert dissect(frame.data)["udp.checksum"].verdict == "not computed (0)"


def test_offloaded_checksum_is_told_from_a_wrong_one() -> None:
    """The pseudo-header's sum alone is what the kernel leaves to the card; one off is wrong."""
    raw = zoo.FRAMES["sack"]
    segment = len(raw) - 34
    pseudo = fold(int.from_bytes(raw[26:34], "big") + 6 + segment)
    left = raw[:50] + pseudo.to_bytes(2, "big") + raw[52:]
    assert dissect(left)["tcp.checksum"].verdict == "left to the NIC (offload): holds only the pseudo-header sum"
    off = raw[:50] + (pseudo + 1).to_bytes(2, "big") + raw[52:]
    assert dissect(off)["tcp.checksum"].verdict.startswith("wrong: ")


def test_outer_checksum_around_an_offloaded_one() -> None:
    """Recorded with offload on: the outer UDP checksum holds for the inner one that the card will fill in."""
    verdicts = set()
    for path in sorted((data_dir() / "recordings" / "offload-on").glob("node*-eth0.pcap")):
        for frame in load(path):
            dissection = dissect(frame.data)
            if "vxlan" in keys(dissection) and "tcp" in keys(dissection):
                verdicts.add((dissection["udp.checksum"].verdict, dissection["tcp.checksum"].verdict))
    assert ("correct, once the NIC has filled in the inner checksum",
            "left to the NIC (offload): holds only the pseudo-header sum") in verdicts
    assert not [verdict for pair in verdicts for verdict in pair if verdict.startswith("wrong")]


def test_vxlan_on_any_port() -> None:
    """The kernel's port, IANA's and a port that the caller names are VXLAN; other ports are not guessed."""
    inner = zoo.FRAMES["ipv6"]
    frame = bytes(zoo.ethernet() / zoo.ip4() / UDP(sport=40000, dport=9999) / bytes.fromhex("0800000000000700") / inner)
    assert keys(dissect(frame)) == ["eth", "ip", "udp", "data"]
    assert dissect(frame, ports={9999: "vxlan"})["vxlan.vni"].raw == 7
    assert keys(dissect(zoo.FRAMES["vxlan with a tag"], ports={8472: "data"})) == ["eth", "ip", "udp", "data"]


def test_gpe_flags_are_named() -> None:
    """Scapy's default VXLAN() header sets the next-protocol flag: the layout names it VXLAN-GPE, on any port."""
    inner = zoo.FRAMES["ipv6"]
    frame = bytes(zoo.ethernet() / zoo.ip4() / zoo.vxlan("0c00000300000100") / inner)
    dissection = dissect(frame)
    assert dissection.layer("vxlan").name == "VXLAN-GPE"
    assert dissection["vxlan.p_bit"].raw == 1
    assert dissection["vxlan.next_proto"].value == "3 (Ethernet)"
    assert dissection.layer("eth", 1).depth == 1


def test_missing_vni_flag_is_explained() -> None:
    """Without the I flag a receiver drops the packet, and the field says so."""
    frame = bytes(zoo.ethernet() / zoo.ip4() / zoo.vxlan("0000000000000100") / zoo.FRAMES["ipv6"])
    assert "drops" in dissect(frame)["vxlan.flag_i"].meaning


def test_open_has_every_capability() -> None:
    """All capabilities of a single optional parameter are read, not only the first."""
    dissection = dissect(zoo.FRAMES["bgp 0"])
    assert [field.raw for field in dissection.fields() if field.key == "bgp.cap.type"] == [
        1, 1, 2, 6, 64, 65, 69, 70, 5, 73, 71,
    ]  # fmt: skip
    assert dissection["bgp.cap.4as"].raw == 4200000000
    assert dissection["bgp.cap.orf.fqdn.hostname"].value == "node1"
    assert dissection["bgp.cap.gr.timers.restart_time"].raw == 120


def test_update_is_read_to_the_last_prefix() -> None:
    """AS numbers of four bytes, communities and prefixes come out as an operator writes them."""
    dissection = dissect(zoo.FRAMES["bgp 1"])
    paths = [field.raw for field in dissection.fields() if field.key.endswith("as4")]
    assert paths == [4200000000, 65001, 65002]
    assert dissection.layer("bgp", 1).summary == "UPDATE: announces 10.244.0.0/24, 10.5.1.64/26"
    assert nth(dissection, "bgp.update.path_attribute.community_wellknown").value == "0xffffff01 (NO_EXPORT)"


def test_two_byte_as_path_is_recognised() -> None:
    """An AS_PATH from a session without the 4-octet capability is read with two bytes per number."""
    dissection = dissect(zoo.FRAMES["bgp 8"])
    assert [field.raw for field in dissection.fields() if field.key.endswith("as_path_segment.as2")] == [65001, 65002]


def test_path_identifiers_are_recognised() -> None:
    """Prefixes with ADD-PATH identifiers, which no field announces, are told by their shape."""
    dissection = dissect(zoo.FRAMES["bgp 2"])
    assert [field.raw for field in dissection.fields() if field.key == "bgp.nlri_path_id"] == [1, 2]
    assert dissection.layer("bgp").summary == "UPDATE: announces 10.244.0.0/24 (path 1), 10.244.0.0/24 (path 2)"


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("bgp 3", "UPDATE: withdraws 10.244.2.0/24, 10.244.3.7/32"),
        ("bgp 4", "UPDATE: announces 2001:db8:0:1::/64, 2001:db8:0:f0::/61"),
        ("bgp 5", "UPDATE: withdraws 2001:db8:0:1::/64"),
        ("bgp 6", "UPDATE: End-of-RIB"),
        ("bgp 7", "UPDATE: announces 0.0.0.0/0"),
        ("bgp 9", "NOTIFICATION: Cease, administrative shutdown"),
        ("bgp 10", "NOTIFICATION: OPEN Message Error, bad peer AS"),
        ("bgp 11", "ROUTE-REFRESH"),
    ],
)
def test_bgp_summaries(name: str, summary: str) -> None:
    """Each message says in a line what it does."""
    assert dissect(zoo.FRAMES[name]).layer("bgp").summary == summary


def test_bgp_message_over_two_segments() -> None:
    """A message that goes on in the next segment is read as far as it goes; its rest is named as such there."""
    message = zoo.bgp(4, "") + zoo.update("", zoo.ATTRIBUTES, "180af400")
    head = zoo.ethernet() / zoo.ip4() / zoo.tcp(179, flags="PA")
    first, second = dissect(bytes(head / message[:80])), dissect(bytes(head / (message[80:] + zoo.bgp(4, ""))))
    assert "goes on in the next one" in str(first.stopped)
    assert first["bgp.update.path_attribute.origin"].raw == 0
    assert keys(second) == ["eth", "ip", "tcp", "data", "bgp"]
    assert second.layer("data").name == "BGP continuation"


@pytest.mark.parametrize("name", zoo.COOKED)
def test_other_link_types(name: str) -> None:
    """Captures without Ethernet (tunl0, `-i any`, loopback) are read as well, by libpcap's number."""
    linktype, data = zoo.COOKED[name]
    dissection = dissect(data, linktype)
    assert keys(dissection)[-2:] == ["udp", "data"]
    assert dissection.stopped is None


def test_jumbo_lengths_left_to_the_card() -> None:
    """A total length of zero, as big TCP leaves it, means: up to the frame's end."""
    frame = bytearray(zoo.FRAMES["fragmentation needed"])
    frame[16:18] = b"\0\0"
    assert dissect(bytes(frame)).stopped is None


def test_not_slower_than_scapy(record_property: object) -> None:
    """Dissecting with the layout takes no longer than scapy's dissection with show(dump=True)."""
    frames = [frame.data for path in sorted((data_dir() / "recordings" / "flannel-vxlan").glob("node*-eth0.pcap"))
              for frame in load(path)]

    assert VXLAN in Ether(frames[2])  # or scapy would stop at the outer UDP header

    def seconds(work: object) -> float:
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            for frame in frames:
                work(frame)  # type: ignore[operator]
            best = min(best, time.process_time() - start)
        return best

    ratio = seconds(dissect) / seconds(lambda frame: Ether(frame).show(dump=True))
    print(f"{len(frames)} frames, ratio {ratio:.2f}")
    record_property("ratio", ratio)  # type: ignore[operator]
    assert ratio <= 1.0


def test_result_is_a_value() -> None:
    """Two dissections of the same bytes are equal, whatever buffer they came in."""
    frame = zoo.FRAMES["syn"]
    assert dissect(frame) == dissect(bytearray(frame))  # type: ignore[arg-type]
    assert replace(dissect(frame)) == dissect(memoryview(frame))  # type: ignore[arg-type]
