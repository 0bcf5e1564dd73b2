"""Is this checksum wrong? Three frames, judged by the dissector: right, left to the card, or damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from coursekit.exercises import reading
from coursekit.exercises.judge import Judge, correct, draw, not_yet
from coursekit.exercises.status import Judgement
from coursekit.lab.recording import recording
from coursekit.packets.checksum import CORRECT, OFFLOADED, fold, words
from coursekit.packets.layout import dissect
from coursekit.views.panel import Code, Part
from coursekit.views.sheet import Sheet

GOOD, LEFT, BAD = "good", "offloaded", "bad"
_NAMES = ("a", "b", "c")
_INNER = 64  # where the inner IPv4 header begins: Ethernet 14, IPv4 20, UDP 8, VXLAN 8, Ethernet 14
_MEANS = {
    GOOD: ("right", "ok", "correct", "fine", "valid", "true", "good checksum", "yes"),
    LEFT: ("offload", "left to the nic", "nic", "card", "left to the card", "seed", "pseudo header", "partial",
           "checksum offload", "tx offload", "offloading"),
    BAD: ("wrong", "broken", "damaged", "corrupt", "corrupted", "incorrect", "invalid", "error", "false"),
}  # fmt: skip
_BELIEFS = {
    (LEFT, BAD): "bad-says-tcpdump", (LEFT, GOOD): "any-number-is-good", (BAD, LEFT): "blames-the-card",
    (BAD, GOOD): "nobody-damages", (GOOD, BAD): "good-is-suspicious", (GOOD, LEFT): "all-are-offloaded",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One frame, the sums of its inner TCP segment as numbers, and the dissector's verdict."""

    frame: bytes
    stands: int
    pseudo: int
    due: int
    verdict: str


@cache
def _case(frame: bytes) -> Case:
    """Return the sums of the innermost TCP header: what stands there, the pseudo-header's, and the whole (RFC 9293)."""
    taken = dissect(frame, ports={8472: "vxlan"})
    ip, tcp = taken.layer("ip", 1), taken.layer("tcp")
    start = tcp.bit_offset // 8
    end = ip.bit_offset // 8 + int(ip["len"].raw)
    address = ip["src"].bit_offset // 8
    segment = frame[start:end]
    pseudo = words(frame[address : address + 8]) + 6 + len(segment)
    without = segment[:16] + b"\0\0" + segment[18:]
    verdict = tcp["checksum"].verdict
    means = GOOD if verdict == CORRECT else LEFT if verdict == OFFLOADED else BAD
    due = 0xFFFF - fold(words(without) + pseudo)
    return Case(frame, int.from_bytes(segment[16:18], "big"), fold(pseudo), due, means)


@cache
def cases(n: int) -> tuple[Case, ...]:
    """Return three recorded frames, one of each kind; the bad one had one bit turned over on the way."""
    rng = draw("checksum", n)
    segments = "udp port 8472 and ether[73] == 6"
    plain = [f.data for f in recording("flannel-vxlan").capture("node1:eth0").filter(segments) if len(f.data) < 400]
    spared = [f.data for f in recording("offload-on").capture("node2:eth0").filter(segments) if len(f.data) < 400]
    whole, hurt = rng.sample(plain, 2)
    at = rng.randrange(86, 96)  # sequence and acknowledgement numbers of the inner TCP header
    damaged = hurt[:at] + bytes([hurt[at] ^ 1 << rng.randrange(8)]) + hurt[at + 1 :]
    found = [whole, rng.choice(spared), damaged]
    rng.shuffle(found)
    return tuple(_case(frame) for frame in found)


class ChecksumVerdict(Judge):
    """One word for each of three frames."""

    def names(self, n: int) -> tuple[str, ...]:
        """Return the three frames' letters."""
        return _NAMES

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return the sums, and which frame is which."""
        facts: dict[str, Any] = {}
        for name, case in zip(_NAMES, cases(n), strict=True):
            facts |= {f"stands_{name}": f"0x{case.stands:04x}", f"verdict_{name}": case.verdict, case.verdict: name}
        return facts

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return the packets inside, and the sums."""
        rows = [[name, f"0x{c.stands:04x}", f"0x{c.pseudo:04x}", f"0x{c.due:04x}"]
                for name, c in zip(_NAMES, cases(n), strict=True)]  # fmt: skip
        sums = Sheet(rows, ("frame", "stands in the segment", "pseudo-header alone sums to", "the whole segment needs"),
                     "Checksums of the inner TCP segments")  # fmt: skip
        return (*(_dump(name, case.frame) for name, case in zip(_NAMES, cases(n), strict=True)), sums)

    def judge(self, n: int, answer: Any) -> Judgement:
        """Judge a word for each frame against the dissector's verdict."""
        findings, said = [], []
        for name, case in zip(_NAMES, cases(n), strict=True):
            word = reading.word(answer[name], _MEANS)
            said.append(f"{name} {word}")
            values = {"part": name, "given": word, "stands": f"0x{case.stands:04x}", "pseudo": f"0x{case.pseudo:04x}",
                      "due": f"0x{case.due:04x}"}  # fmt: skip
            if word == case.verdict:
                findings.append(correct(f"{word}-right", **values))
            else:
                findings.append(not_yet((_BELIEFS[case.verdict, word],), "", values))
        return Judgement(tuple(findings), f"You say: {', '.join(said)}.")

    def reference(self, n: int) -> Mapping[str, str]:
        """Return the verdicts."""
        return {name: case.verdict for name, case in zip(_NAMES, cases(n), strict=True)}

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return the verdicts in the dissector's words."""
        rows = [[name, dissect(case.frame, ports={8472: "vxlan"}).layer("tcp")["checksum"].verdict]
                for name, case in zip(_NAMES, cases(n), strict=True)]  # fmt: skip
        return (Sheet(rows, ("frame", "the dissector's verdict")),)


def _dump(name: str, frame: bytes) -> Code:
    """Return the inner packet as `tcpdump -x` prints it: a dissection would tell the verdict."""
    taken = dissect(frame, ports={8472: "vxlan"})
    ip, tcp, inside = taken.layer("ip", 1), taken.layer("tcp"), frame[_INNER:]
    ends = f"{ip['src'].value}.{tcp['srcport'].raw!r} > {ip['dst'].value}.{tcp['dstport'].raw!r}"
    pieces = ((at, inside[at : at + 16].hex(" ", -2)) for at in range(0, min(len(inside), 64), 16))
    rows = (f"    0x{at:04x}:  {piece}" for at, piece in pieces)
    return Code("\n".join([f"{name}: IP {ends}: TCP, checksum at bytes 36 and 37", *rows]))
