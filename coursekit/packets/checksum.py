"""Verify the Internet checksum, and tell a wrong one from one that was left to the network card.

A capture on the sending host sees packets before the card has finished them: with checksum offload the kernel
writes only the pseudo-header's sum into the field (not complemented), and the card adds the rest.
"""

from __future__ import annotations

from dataclasses import replace

from coursekit.packets.walk import Check, Walk

CORRECT = "correct"
OFFLOADED = "left to the NIC (offload): holds only the pseudo-header sum"
NOT_COMPUTED = "not computed (0)"


def fold(total: int) -> int:
    """Return the ones' complement sum of all 16-bit words of a number (RFC 1071 §2)."""
    return total % 0xFFFF or (0xFFFF if total else 0)


def words(data: bytes) -> int:
    """Return a number whose 16-bit words are those of `data`, padded to an even length with a zero byte."""
    return int.from_bytes(data, "big") << (8 * (len(data) % 2))


def judge(walk: Walk) -> None:
    """Write the verdict into every checksum field that the walk asked for.

    Innermost first: where the inner checksum is left to the card, the outer one was computed by the kernel as if
    the card had already filled it in (local checksum offload, Documentation/networking/checksum-offloads).
    """
    finished = walk.data  # as the frame will be once the card has filled in what was left to it
    for check in reversed(walk.checks):
        field = check.fields[check.index]
        at = field.bit_offset // 8
        value = int.from_bytes(walk.data[at : at + 2], "big")
        right = _right(finished, at, check)
        if check.zero_means_none and value == 0:
            verdict = NOT_COMPUTED
        elif not check.obstacle and _sums_up(walk.data, check):
            verdict = CORRECT
        elif check.pseudo and value == fold(check.pseudo):
            verdict = OFFLOADED
            finished = finished[:at] + right.to_bytes(2, "big") + finished[at + 2 :]
        elif check.obstacle:
            verdict = check.obstacle
        elif _sums_up(finished, check):
            verdict = CORRECT + ", once the NIC has filled in the inner checksum"
        else:
            verdict = f"wrong: 0x{value:04x} should be 0x{_right(walk.data, at, check):04x}"
            if value == 0:
                verdict += " (zero often means that the NIC fills it in)"
        check.fields[check.index] = replace(field, verdict=verdict)


def _sums_up(data: bytes, check: Check) -> bool:
    """Tell whether all words together, checksum included, come to minus zero."""
    return fold(words(data[check.start : check.end]) + (check.pseudo or 0)) == 0xFFFF


def _right(data: bytes, at: int, check: Check) -> int:
    """Return the checksum that the bytes should carry; UDP writes 0xffff for a sum of zero (RFC 768)."""
    without = data[check.start : at] + b"\0\0" + data[at + 2 : check.end]
    right = 0xFFFF - fold(words(without) + (check.pseudo or 0))
    return 0xFFFF if check.zero_means_none and right == 0 else right
