"""Wireshark's dissector and ours, field by field: same bits, same value, same name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from coursekit.packets.capture import load
from coursekit.packets.layout import dissect
from coursekit.paths import data_dir
from tests.packets import pdml, zoo

# Same bits and same value under another name.
RENAMED = {
    "tcp.seq_raw": ("tcp.seq",),  # in a quoted packet tshark gives the raw number under the relative number's name
    "vlan.etype": ("ieee8021ah.etype",),
    "eth.trailer": ("eth.fcs",),  # four bytes behind a long frame: tshark believes in a checksum, we cannot know
    "llc.pid": ("llc.cisco_pid",),
    "ip.rec_rt": ("ip.empty_rt",),  # tshark names a slot by whether the option's pointer has passed it
    "ip.src_rt": ("ip.dst",),  # and calls a source route's last address the destination
    "ip.dst": ("ip.cur_rt",),
    "tcp.options.unknown.payload": ("tcp.options.experimental.exid",),
    "bgp.notify.minor_data": ("bgp.notify.error_open.bad_peer_as",),
}
# Our fields that tshark groups otherwise.
OURS_GROUPED = {
    "vxlan.flags_reserved": "RFC 7348's reserved bits, run by run; tshark shows all of them as one masked number",
    "vxlan.reserved24": "one reserved field in RFC 7348; tshark always shows the group policy extension's split",
    "icmp.unused": "byte 5 is the length of the quotation since RFC 4884; tshark joins it to the unused bytes if zero",
    "icmp.length": "see icmp.unused",
    "ip.opt.type": "tshark does not split an option that it does not know",
    "ip.opt.len": "see ip.opt.type",
    "ip.opt.padding": "tshark leaves the padding behind an end-of-options without a name",
    "tcp.options.padding": "tshark reads each zero of the padding as one more end-of-options",
    "tcp.options.unknown.payload": "tshark splits the user timeout option",
    "icmpv6.opt.reserved": "tshark gives the place without the value",
    "data.data": "what tshark takes further apart: a timestamp option, spanning tree, an ICMP extension",
    "bgp.cap.gr.timers.reserved": "tshark counts reserved bits to the flags around them without naming them",
    "bgp.cap.gr.flag.reserved": "see bgp.cap.gr.timers.reserved",
    "sll.reserved": "tshark skips the reserved bytes of a cooked header",
    "bgp.update.path_attribute.mp_reach_nlri.next_hop.length": "tshark has no field for the length alone",
}
# tshark's fields that we do not have.
THEIRS = {
    r"eth\.(addr|(dst|src)\.(lg|ig))": "bits inside an address: ours is one field, the meaning says which kind it is",
    r"(ip|ipv6)\.(dsfield|flags|tclass)|tcp\.flags(\.str)?|vxlan\.flags|ip\.opt\.type\.\w+|ipv6\.opt\.type\.\w+":
        "sums of fields that we give one by one, or a split of one that we give whole",
    r".*\.(checksum_calculated|ident_le|seq_le|len_oct|multiplier|original_datagram)|tcp\.window_size(_scalefactor)?":
        "worked out from other fields, or the same bytes in another unit",
    r"tcp\.(seq|ack)": "relative to the stream's beginning; ours are seq_raw and ack_raw",
    r"tcp\.options(\.\w+)?|ip\.options\.\w+|ipv6\.(opt|hopopts|dstopts|routing|fraghdr)|icmpv6\.opt|icmp\.ext|":
        "brackets around an option whose fields we give one by one",
    r"(ip|ipv6|udp|tcp|icmp|icmpv6|vxlan|eth|bgp)": "brackets around a quoted packet's header",
    r"(tcp|udp)\.payload": "bracket around everything behind the header",
    r"vxlan\.(flag_[da]|flags_reserved|gbp)": "see vxlan.reserved24: the group policy extension's names",
    r"icmp\.unused": "see OURS_GROUPED", r"tcp\.option_kind": "see tcp.options.padding",
    r"icmp\.(ext|mpls)\..*": "ICMP extension (RFC 4884), which we show as trailing bytes",
    r"bgp\.(ext_communities|ext_community|ext_com\.\w+(\.\w+)?)": "extended communities, which we do not split",
    r"(llc\.\w+|gre\.flags)\..*": "bits of LLC and GRE, which we only name",
    r"ip\.opt\.(ptr|overflow|flag|time_stamp)": "inside the timestamp option, which we do not split",
    r"tcp\.options\.\w+\..*|tcp\.options\.user_to\w*": "inside options that we do not split",
    r"icmpv6\.(nd\.\w+\.flag|opt\.prefix\.flag|opt\.reserved)": "sums of flags that we give one by one, no value",
    r"bgp\.(open\.opt(\.param)?|cap|cap\.gr\.(timers|flag)|update\.(nlri|withdrawn_routes|path_attributes?)|"
    r"update\.path_attribute\.(flags|as_path_segment|communit(y|ies)|mp_(un)?reach_nlri(\.next_hop)?)|"
    r"path_attribute\.cluster_list|large_communities)": "brackets around fields that we give one by one",
}  # fmt: skip
# our verdict → what tshark's checksum status may be: 0 bad, 1 good, 2 unverified, 3 not present
STATUS = {
    "correct": {"1", "2"},  # 2: tshark does not verify inside quotations, we do
    "wrong": {"0"},
    "left to the NIC": {"0"},  # tshark calls them bad
    "correct, once the NIC": {"0"},  # so is the outer checksum around an inner one that the card fills in
    "not computed": {"", "3"},
    "cannot be verified": {"0", "1", "2"},  # tshark sums up what there is
}


def _explained(key: str) -> str | None:
    return next((pattern for pattern in THEIRS if re.fullmatch(pattern, key)), None)


def _compare(frames: dict[bytes, int], folder: Path, count: Counter[str], used: set[str]) -> list[str]:
    """Compare all frames of one link type; return the differences that nothing explains."""
    linktype = next(iter(frames.values()))
    file = folder / f"{linktype}.pcap"
    pdml.write_pcap(file, frames, linktype)
    bad: list[str] = []
    for data, (theirs, statuses) in zip(frames, pdml.claims(file), strict=True):
        count["frames"] += 1
        at = {(claim.key, tuple(claim.bits)): claim.value for claim in theirs}
        known = set()
        for field in dissect(data, linktype).fields():
            count["fields"] += 1
            bits = tuple(range(field.bit_offset, field.bit_offset + field.width))
            raw = int.from_bytes(field.raw, "big") if isinstance(field.raw, bytes) else field.raw
            known.add((field.key, bits))
            alias = next((name for name in RENAMED.get(field.key, ()) if at.get((name, bits)) == raw), None)
            if at.get((field.key, bits)) == raw:
                count["agreed"] += 1
            elif alias:
                count["agreed under another name"] += 1
                known.add((alias, bits))
                used.add(f"{field.key} is {alias}")
            elif field.key in OURS_GROUPED and at.get((field.key, bits)) is None:
                count["explained"] += 1
                used.add(field.key)
            else:
                bad.append(f"frame {count['frames']}: ours alone: {field.key} bits {bits[0]}-{bits[-1]} raw {raw:x}")
            if field.verdict:
                count["checksums"] += 1
                kind = max((kind for kind in STATUS if field.verdict.startswith(kind)), key=len)
                if statuses.get(field.bit_offset // 8, "") not in STATUS[kind]:
                    bad.append(f"frame {count['frames']}: {field.key} {field.verdict!r}, tshark says "
                               f"{statuses.get(field.bit_offset // 8)!r}")
        for claim in theirs:
            if claim.hidden or (claim.key, tuple(claim.bits)) in known:
                continue
            count["theirs alone"] += 1
            pattern = _explained(claim.key)
            if pattern is None:
                bad.append(f"frame {count['frames']}: tshark alone: {claim.key} bits {claim.bits[0]}-{claim.bits[-1]}")
            else:
                used.add(pattern)
    return bad


@pytest.fixture(scope="module")
def used() -> set[str]:
    """Return the explanations that were needed, filled by the comparisons."""
    return set()


def _report(count: Counter[str], record_property: object) -> None:
    print(", ".join(f"{number} {what}" for what, number in count.items()))
    for what, number in count.items():
        record_property(what, number)  # type: ignore[operator]


@pytest.mark.tool("tshark")
def test_recordings_agree_with_tshark(tmp_path: Path, used: set[str], record_property: object) -> None:
    """Every field of every recorded frame has tshark's place, value and name, or an explanation."""
    by_link: dict[int, dict[bytes, int]] = {}
    for path in sorted((data_dir() / "recordings").glob("*/*.pcap")):
        for frame in load(path):
            by_link.setdefault(frame.dlt, {})[frame.data] = frame.dlt
    count: Counter[str] = Counter()
    bad = [line for frames in by_link.values() for line in _compare(frames, tmp_path, count, used)]
    _report(count, record_property)
    assert bad == []
    assert count["frames"] > 1000
    assert count["agreed"] > 0.95 * count["fields"]


@pytest.mark.tool("tshark")
def test_rare_headers_agree_with_tshark(tmp_path: Path, used: set[str], record_property: object) -> None:
    """So do VLAN tags, options, IPv6, extension headers, BGP messages and other link types, which are not recorded."""
    by_link: dict[int, dict[bytes, int]] = {1: dict.fromkeys(zoo.FRAMES.values(), 1)}
    for linktype, data in zoo.COOKED.values():
        by_link.setdefault(linktype, {})[data] = linktype
    count: Counter[str] = Counter()
    bad = [line for frames in by_link.values() for line in _compare(frames, tmp_path, count, used)]
    _report(count, record_property)
    assert bad == []


@pytest.mark.tool("tshark")
def test_no_explanation_is_idle(used: set[str]) -> None:
    """Every explanation above is needed by some frame: the lists hold nothing that would hide a mistake."""
    aliases = {f"{ours} is {theirs}" for ours, names in RENAMED.items() for theirs in names}
    assert sorted({*aliases, *OURS_GROUPED, *THEIRS} - used) == []
