"""Reading the VNI out of the eight bytes of a VXLAN header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from coursekit.exercises import reading
from coursekit.exercises.judge import Judge, beliefs_of, correct, draw, not_yet
from coursekit.exercises.status import Judgement
from coursekit.packets.encapsulation import ENCAPSULATIONS, encapsulate
from coursekit.packets.layout import dissect
from coursekit.views.panel import Code, Part
from coursekit.views.sheet import Sheet

_FIRST = 3125  # the VNI of variant 1; no notebook shows it
_HEADER = slice(42, 50)  # behind Ethernet 14, IPv4 20 and UDP 8


@cache
def _frame(n: int) -> bytes:
    """Return a VXLAN frame with the variant's VNI; none of its bytes is 0, so that no two beliefs meet."""
    rng = draw("vni", n)
    vni = _FIRST if n == 1 else rng.randrange(1, 256) << 16 | rng.randrange(1, 256) << 8 | rng.randrange(1, 256)
    ping = bytes.fromhex("450000140001000040010000c6336401cb007101")
    return encapsulate(
        ping, replace(ENCAPSULATIONS["calico-vxlan"], vni=vni), src="192.0.2.1", dst="192.0.2.2", ip_id=1, sport=40000,
        eth_src="02:00:c0:00:02:01", eth_dst="02:00:c0:00:02:02",
        inner_eth_src="02:00:c6:33:64:01", inner_eth_dst="02:00:cb:00:71:01",
    )  # fmt: skip


class Vni(Judge):
    """The answer is a number; dissecting the frame that holds the header says which."""

    def facts(self, n: int) -> Mapping[str, Any]:
        """Return the header's bytes and the VNI."""
        header = _frame(n)[_HEADER]
        return {"header": header.hex(" "), "three": header[4:7].hex(" "), "vni": self._right(n)}

    def figures(self, n: int) -> tuple[Part, ...]:
        """Return the eight bytes."""
        return (Code(_frame(n)[_HEADER].hex(" ")),)

    def judge(self, n: int, answer: Any) -> Judgement:
        """Judge a number; a wrong one is compared with what each belief reads."""
        value, right = reading.number(answer, example=42), self._right(n)
        hexed = f"{value:#x}"
        values = {"given": value, "hex": hexed, "right_hex": f"{right:#08x}"}
        decoded = f"You gave {value}, in hexadecimal {hexed}."
        if value == right:
            return Judgement((correct(**values),), decoded, (self._bytes(n),))
        otherwise = "too-big" if not 0 <= value < 1 << 24 else "other-bytes"
        found = not_yet(beliefs_of(value, self.rivals(n), right), otherwise, values)
        return Judgement((found,), decoded)

    def rivals(self, n: int) -> Mapping[str, int]:
        """Return the value that each belief gives."""
        h = _frame(n)[_HEADER]
        return {
            "last-four-bytes": int.from_bytes(h[4:8], "big"),
            "little-endian": int.from_bytes(h[4:7], "little"),
            "little-endian-four": int.from_bytes(h[4:8], "little"),
            "first-four-bytes": int.from_bytes(h[:4], "big"),
            "one-byte-early": int.from_bytes(h[3:6], "big"),
            "one-byte-late": int.from_bytes(h[5:8], "big"),
            "two-bytes": int.from_bytes(h[4:6], "big"),
            "last-two-bytes": int.from_bytes(h[6:8], "big"),
            "whole-header": int.from_bytes(h, "big"),
            "first-byte": h[0],
            "flannel-has-one": 1,
            "calico-has-4096": 4096,
            "byte-by-byte": int("".join(str(byte) for byte in h[4:7])),
            "digit-dropped": h[6],
            "ports": 4789,
            "port-of-linux": 8472,
        }

    def reference(self, n: int) -> int:
        """Return the VNI."""
        return self._right(n)

    def explanation(self, n: int) -> tuple[Part, ...]:
        """Return the header's bytes by field."""
        return (self._bytes(n),)

    @staticmethod
    def _right(n: int) -> int:
        return int(dissect(_frame(n))["vxlan.vni"].raw)

    @staticmethod
    def _bytes(n: int) -> Sheet:
        """Return the fields of the header with their bytes, as dissected."""
        data = _frame(n)
        rows: dict[tuple[int, int], list[str]] = {}
        for field in dissect(data).layer("vxlan").fields:
            first, last = field.bit_offset // 8, (field.bit_offset + field.width - 1) // 8
            rows.setdefault((first - _HEADER.start, last - _HEADER.start), []).append(f"{field.name}: {field.value}")
        listed = [[f"{a}" if a == b else f"{a}–{b}", data[_HEADER][a : b + 1].hex(" "), names]
                  for (a, b), names in rows.items()]  # fmt: skip
        return Sheet(listed, ("byte", "hex", "field"), "The header, as it is dissected")
