"""What a pin is, and the computations that several notebooks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coursekit import recording

ASSUMED = {"1500"}  # Ethernet's MTU, which examples start from


@dataclass(frozen=True)
class Pin:
    """A phrase in a cell, and what computes its numbers: a tuple, in the order of the `{}`."""

    notebook: str  # the number of the notebook: "04"
    cell: str
    phrase: str
    value: Callable[[], Any]

    @property
    def expected(self) -> str:
        """The phrase with the numbers as they are computed."""
        value = self.value()
        return self.phrase.format(*(value if isinstance(value, tuple) else (value,)))


def outside(name: str, bpf: str) -> int:
    """Return the bytes of the first frame of a recording that passes a filter between the nodes."""
    return len(recording(name).capture("node1:eth0").filter(bpf).frames[0].data)


def plain_ping() -> int:
    """Return the bytes of a ping that nothing is wrapped around."""
    return outside("flannel-direct-routing", "icmp")


def vxlan_ping() -> int:
    """Return the bytes of the same ping in flannel's VXLAN."""
    return outside("flannel-vxlan", "udp port 8472")


def ipip_ping() -> int:
    """Return the bytes of the same ping in Calico's IPIP."""
    return outside("calico-ipip", "ip proto 4")
