"""The kernel of this machine builds envelopes of kinds that nobody recorded; they are proved like the recordings."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from coursekit.packets.capture import load
from coursekit.packets.encapsulation import ENCAPSULATIONS
from coursekit.packets.mtu import fate, inner_mtu
from coursekit.packets.prove import prove

VXLAN = ENCAPSULATIONS["flannel-vxlan"]
pytestmark = [pytest.mark.root, pytest.mark.tool("tcpdump", "ping", "socat", "ethtool", "ip", "bridge")]


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the lab once; return the folder of its captures."""
    folder = tmp_path_factory.mktemp("lab")
    script = Path(__file__).with_name("vxlan_lab.sh")
    done = subprocess.run([str(script), str(folder)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("name", "change", "least"),
    [
        ("plain", {}, 7), ("inherit", {"ttl": None, "df": "inherit"}, 7), ("ipv6", {}, 7),
        ("ipv6-zero", {"udp_checksum": False}, 7), ("offload", {}, 8), ("cut", {}, 40), ("cut-twice", {}, 4),
    ],
)
@pytest.mark.parametrize("inside", ["pod1-eth0", "node1-vx", "pod2-eth0"])
def test_what_the_kernel_sends(
    captures: Path, name: str, change: dict[str, object], least: int, inside: str,
    record_property: Callable[[str, object], None],
) -> None:
    """ECN, inherited TTL and DF, an IPv6 underlay, IPv6 pods, segments cut for the card, fragments of fragments."""
    encap = replace(VXLAN, vni=7, **change)  # type: ignore[arg-type]
    done = prove(
        load(captures / name / f"{inside}.pcap"), load(captures / name / "node1-eth0.pcap"), encap,
        vni=7, port=8472, udp_checksum=encap.udp_checksum,
    )
    print(f"{name} {inside}: {done.compared} compared, {done.identical} identical")
    record_property("frames_compared", done.compared)
    record_property("frames_identical", done.identical)
    assert done.different == ()
    assert done.identical >= (least if inside != "pod2-eth0" else 2)


def test_cut_twice_as_predicted(captures: Path) -> None:
    """1500 bytes through a tunnel of 1450 over a link of 1400: cut before the envelope, and the envelope again."""
    wire = load(captures / "cut-twice" / "node1-eth0.pcap").filter("src host 192.168.9.1 and ip")
    predicted = fate(1500, False, VXLAN, pod_mtu=1500, tunnel_mtu=1450, node_mtu=1400)
    assert predicted.outer == (1396, 118, 126)
    assert [len(frame.data) - 14 for frame in wire][:3] == list(predicted.outer)


def test_ipv6_underlay_costs_seventy(captures: Path) -> None:
    """The kernel gives a VXLAN device over IPv6 the MTU that the layers leave."""
    sizes = {len(frame.data) for frame in load(captures / "ipv6" / "node1-eth0.pcap").filter("udp port 8472")}
    assert {14 + 70 + 84, 14 + 70 + 104} <= sizes
    assert inner_mtu(1500, VXLAN, outer="ipv6") == 1430
