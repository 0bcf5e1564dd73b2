"""What a frame costs on the wire, against captured frames and against arithmetic from the standards."""

from __future__ import annotations

import pytest

from coursekit import ENCAPSULATIONS, CourseError, dissect, overhead, recording
from coursekit.packets.goodput import goodput

NATIVE, IPIP, VXLAN = (ENCAPSULATIONS[name] for name in ("native", "calico-ipip", "flannel-vxlan"))


@pytest.mark.parametrize(("name", "encap"), [("tcp-pod-mtu-1450", VXLAN), ("ipip-tcp", IPIP)])
def test_a_full_frame_is_the_captured_one(name: str, encap: object) -> None:
    """The longest captured frame of a TCP transfer has the computed size and carries the computed data."""
    longest = max((frame.data for frame in recording(name).capture("node2:eth0")), key=len)
    full = goodput(encap)  # type: ignore[arg-type]

    assert (full.frame, full.data) == (len(longest), dissect(longest).layers[-1].width // 8)


@pytest.mark.parametrize(
    ("encap", "full", "small"), [(NATIVE, 0.9493, 0.4507), (IPIP, 0.9363, 0.3951), (VXLAN, 0.9168, 0.3333)]
)
def test_known_shares(encap: object, full: float, small: float) -> None:
    """1538 bytes of wire for a full frame: preamble 8, FCS 4, gap 12, Ethernet 14; 40 bytes of IP and TCP inside."""
    assert goodput(encap, timestamps=False).share == pytest.approx(full, abs=5e-5)  # type: ignore[arg-type]
    assert goodput(encap, timestamps=False, payload=64).share == pytest.approx(small, abs=5e-5)  # type: ignore[arg-type]
    assert goodput(encap, timestamps=False).wire == 1538  # type: ignore[arg-type]


@pytest.mark.parametrize("encap", [NATIVE, IPIP, VXLAN], ids=lambda encap: encap.name)
@pytest.mark.parametrize("mtu", [1280, 1500, 9000])
def test_the_envelope_and_the_options_come_off_the_data(encap: object, mtu: int) -> None:
    """Data is the MTU less envelope, IP, TCP and 12 bytes of timestamps; the frame fills the MTU."""
    full = goodput(encap, mtu=mtu)  # type: ignore[arg-type]

    assert full.data == mtu - overhead(encap) - 20 - 20 - 12  # type: ignore[arg-type]
    assert full.frame == mtu + 14


def test_ip_versions() -> None:
    """IPv6 costs 20 bytes more per header, inside and outside."""
    assert goodput(VXLAN, inner="ipv6").data == goodput(VXLAN).data - 20
    assert goodput(VXLAN, outer="ipv6").data == goodput(VXLAN).data - 20
    assert goodput(VXLAN, inner="ipv6", outer="ipv6").frame == 1514


def test_short_frames_are_padded() -> None:
    """An acknowledgement without data takes 84 bytes of time, as the shortest frame does (64 + 8 + 12)."""
    ack = goodput(NATIVE, payload=0, timestamps=False)

    assert (ack.frame, ack.wire, ack.share) == (54, 84, 0)
    assert goodput(NATIVE, payload=6, timestamps=False).wire == 84
    assert goodput(NATIVE, payload=7, timestamps=False).wire == 85


def test_a_rate_and_words() -> None:
    """The share times the line; printed as data of wire bytes."""
    full = goodput(NATIVE)

    assert full.rate(1e9) == pytest.approx(1e9 * 1448 / 1538)
    assert str(full) == "1448 of 1538 bytes, 94.1 %"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"payload": 1399}, "an MTU of 1500 leaves 1398 bytes of data in flannel-vxlan; 1399 do not fit"),
        ({"payload": -1}, "-1 do not fit"),
        ({"inner": "ipv5"}, 'The inner family is "ipv4" or "ipv6"'),
        ({"outer": "ip"}, 'The outer family is "ipv4" or "ipv6"'),
        ({"mtu": 100}, "leaves 50 bytes inside"),
    ],
)
def test_what_cannot_be(options: dict[str, object], said: str) -> None:
    """Too much data, an unknown family and a tiny MTU get a sentence."""
    with pytest.raises(CourseError, match=said):
        goodput(VXLAN, **options)  # type: ignore[arg-type]


def test_ipip_carries_no_ipv6() -> None:
    """IPIP with IPv6 inside or outside is refused."""
    for options in ({"inner": "ipv6"}, {"outer": "ipv6"}):
        with pytest.raises(CourseError, match="IPv4 in IPv4 only"):
            goodput(IPIP, **options)  # type: ignore[arg-type]
