"""IPIP in the lab: the kernel's tunl0 or the user-space one, with the bytes that tunl0 sends."""

from __future__ import annotations

import pytest

from coursekit import lab
from coursekit.cluster import journey
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.faults import apply
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.lab.frames import Captured
from coursekit.lab.probe import probe
from coursekit.packets.encapsulation import ENCAPSULATIONS, encapsulate_frame
from tests.lab.test_live import outcome

pytestmark = [pytest.mark.namespaces, pytest.mark.root, pytest.mark.tool("bird")]


def at(frames: tuple[Captured, ...], point: str) -> list[Datagram]:
    """The IP packets that left at a capture point, in order."""
    return [packet for frame in frames if frame.point == point and frame.out and (packet := frame.packet)]


def test_ipip_has_the_bytes_of_tunl0() -> None:
    """Outside: TTL and DF of the inner packet, TOS 0, an id that is never 0; nothing else differs from a built one."""
    with lab.up("lab", "calico-ipip") as net:
        assert net.userspace_ipip != probe().ipip.works
        found = net.ping("podA", "podB", tos=0x28, ttl=9, count=2)
        inner, outer = (at(found.frames, f"node1:{device}") for device in ("tunl0", "eth0"))
        outer = [packet for packet in outer if packet.protocol == 4]
        assert [len(p.data) for p in outer] == [104, 104]
        for inside, outside in zip(inner, outer, strict=True):
            assert outside.ip_id != 0
            assert (outside.ttl, outside.df, outside.tos) == (8, True, 0)
            assert outside.data == encapsulate_frame(
                inside.data, ENCAPSULATIONS["calico-ipip"], src=outside.src, dst=outside.dst, ip_id=outside.ip_id
            )


@pytest.mark.parametrize(
    ("fault", "size", "df"),
    [("", 56, None), ("pod-mtu", 1472, True), ("vtep-mtu", 1472, True), ("vtep-mtu", 1472, False),
     ("node-mtu", 1452, False),
     ("receiver-without-tunnel", 56, None), ("protocol-4-filtered", 56, None), ("missing-route", 56, None)],
)  # fmt: skip
def test_ipip_fails_as_the_model_says(fault: str, size: int, df: bool | None) -> None:
    """Too long, filtered, nobody there: the symptom and the last place are the model's."""
    sound = network(load("lab").with_profile("calico-ipip", version="3.33"))  # Felix's routes: no daemon to wait for
    with lab.up("lab", "calico-ipip", version="3.33") as net:
        if fault:
            net.break_(fault)
        found = net.ping("podA", "podB", size=size, df=df, wait=0.5)
        traced = net.traceroute("podA", "podB", max_hops=4, wait=0.3)

    wanted = apply(sound, fault) if fault else sound
    assert outcome(found.journey) == outcome(journey.ping(wanted, "podA", "podB", size=size, df=df, wait=0.5))
    assert list(traced) == journey.traceroute(wanted, "podA", "podB", max_hops=4, wait=0.3)
