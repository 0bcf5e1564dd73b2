"""Commands: what breaks a live host as a fault breaks its tables, and what mends it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from coursekit.cluster.commands import commands
from coursekit.cluster.faults import applicable, apply
from coursekit.cluster.model import load
from coursekit.cluster.network import Filter, Masquerade, Network, network
from coursekit.errors import CourseError

LAB = network(load("lab"))


def broken(name: str, profile: str = "flannel-vxlan", **options: object) -> list[str]:
    """The commands of a fault in the two-node network."""
    healthy = network(load("lab").with_profile(profile))
    return [str(command) for command in commands(healthy, apply(healthy, name, **options))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing-route", ["node1: ip route del 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"]),
        ("no-default-route", ["node1: ip route del default via 192.168.1.1 dev eth0"]),
        ("missing-neighbour", ["node1: ip neigh del 10.244.1.0 dev flannel.1"]),
        ("missing-fdb", ["node1: bridge fdb del 02:00:0a:f4:01:00 dev flannel.1 dst 192.168.1.11 self"]),
        ("port-mtu", ["router: ip link set br0 mtu 1400", "router: ip link set sw2 mtu 1400"]),
        ("receiver-without-tunnel", ["node2: ip link set flannel.1 down"]),
        ("node-down", ["router: ip link set sw2 down"]),
        ("protocol-4-filtered", ["router: ebtables -t nat -A PREROUTING -i sw1 -p IPv4 --ip-proto ipencap -j DROP"]),
    ],
)
def test_a_fault_is_what_an_operator_would_type(name: str, expected: list[str]) -> None:
    """Each fault is the shortest thing that one would type."""
    assert broken(name) == expected


def test_a_new_mac_makes_the_kernel_forget_neighbours() -> None:
    """Changing a device's MAC flushes its neighbours, permanent ones too: they are told again."""
    assert broken("stale-vtep-mac") == [
        "node2: ip link set flannel.1 address 02:00:00:00:be:ef",
        "node2: ip neigh replace 10.244.0.0 lladdr 02:00:0a:f4:00:00 dev flannel.1 nud permanent",
    ]


def test_a_vxlan_device_that_cannot_change_is_made_again() -> None:
    """VNI and port are fixed when the device is made: it is deleted, and gets back address, routes and entries."""
    assert broken("wrong-vni") == [
        "node2: ip link del flannel.1",
        "node2: ip link add flannel.1 address 02:00:0a:f4:01:00 mtu 1450 type vxlan id 2 local 192.168.1.11 dev eth0 "
        "dstport 8472 nolearning",
        "node2: ip address add 10.244.1.0/32 dev flannel.1",
        "node2: ip link set flannel.1 up",
        "node2: ip route add 10.244.0.0/24 via 10.244.0.0 dev flannel.1 onlink",
        "node2: ip neigh replace 10.244.0.0 lladdr 02:00:0a:f4:00:00 dev flannel.1 nud permanent",
        "node2: bridge fdb append 02:00:0a:f4:00:00 dev flannel.1 dst 192.168.1.10 self permanent",
    ]
    assert "dstport 4789" in broken("wrong-port")[1]
    unbound = broken("vtep-mtu", df="set")[1]
    assert "mtu 1500 type vxlan id 1 local 192.168.1.10 dstport 8472 nolearning df set" in unbound


def test_zero_checksums_and_ipv6_are_said() -> None:
    """What a VXLAN device was made with is in the command that makes it again."""
    plain = network(load("lab").with_profile("flannel-vxlan", udp_checksum=False))
    assert commands(plain, apply(plain, "wrong-vni"))[1].line.endswith("nolearning noudpcsum")
    six = network(load("ipv6-underlay"))
    assert " local fd" in commands(six, apply(six, "wrong-vni"))[1].line


def test_devices_come_back_with_their_rows() -> None:
    """A device that goes up again has lost its routes and neighbours; gateways come before what lies behind them."""
    off = apply(network(load("lab").with_profile("calico-vxlan")), "node-down", death="clean")
    mended = [str(c) for c in commands(off, network(load("lab").with_profile("calico-vxlan")))]
    assert mended.index("podB: ip route add 169.254.1.1 dev eth0 scope link") < mended.index(
        "podB: ip route add default via 169.254.1.1 dev eth0"
    )
    assert any("ip neigh replace 10.244.0.0" in line for line in mended)
    assert not any("blackhole" in line for line in mended)  # it hangs on no device, and never went


@pytest.mark.parametrize("profile", ["none", "host-gw", "flannel-vxlan", "calico-vxlan", "calico-ipip", "calico-bgp"])
def test_every_fault_has_commands_both_ways(profile: str) -> None:
    """No fault is without commands, and none without those that mend it; between equal networks there are none."""
    healthy = network(load("lab").with_profile(profile))
    assert commands(healthy, healthy) == ()
    for name in applicable(healthy):
        after = apply(healthy, name)
        assert bool(commands(healthy, after)) == bool(commands(after, healthy)) == (after.hosts != healthy.hosts), name


def test_filters_and_settings() -> None:
    """Filters of the stack are iptables', those of a switch port ebtables'; settings are sysctl's."""
    rules = (Filter("forward", 1, icmp=(3, 4)), Filter("ingress", 4, "eth0"), Filter("input"))
    changed = LAB.change(
        "node1", filters=rules, forwarding=False, masquerade=(Masquerade(ip_network("10.244.0.0/16")),)
    )
    changed = changed.change("router", filters=(Filter("ingress", 1, "sw1", (3, 4)),))
    assert [c.line for c in commands(LAB, changed)] == [
        "sysctl -q -w net.ipv4.ip_forward=0",
        "iptables -A FORWARD -p icmp --icmp-type 3/4 -j DROP",
        "iptables -t raw -A PREROUTING -i eth0 -p ipencap -j DROP",
        "iptables -A INPUT -j DROP",
        "iptables -t nat -A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE",
        "ebtables -t nat -A PREROUTING -i sw1 -p IPv4 --ip-proto icmp --ip-icmp-type 3/4 -j DROP",
    ]
    assert [c.line.replace("-D", "-A") for c in commands(changed, LAB)] == [
        c.line.replace("forward=0", "forward=1") for c in commands(LAB, changed)
    ]
    calico = network(load("lab").with_profile("calico-vxlan"))
    deaf = commands(calico, calico.change("node1", proxy_arp=frozenset()))
    assert [c.line for c in deaf] == ["sysctl -q -w net.ipv4.conf.calipodA.proxy_arp=0"]


def test_a_daemon_keeps_its_own_rows() -> None:
    """What BIRD writes is left to BIRD when asked to."""
    healthy = network(load("lab").with_profile("calico-bgp"))
    lost = apply(healthy, "session-lost")
    assert [c.line.split()[2] for c in commands(healthy, lost)] == ["del", "del"]
    assert commands(healthy, lost, without=("bird",)) == ()


def test_what_commands_cannot_do_is_refused() -> None:
    """Other hosts or further devices are no change of a network."""
    with pytest.raises(CourseError, match="these two networks have other hosts"):
        commands(LAB, network(load("chapter")))
    other = network(load("lab").with_profile("host-gw"))
    with pytest.raises(CourseError, match=r"node1 has no device flannel.1 yet"):
        commands(Network({**LAB.hosts, "node1": other.host("node1")}, LAB.cables), LAB)
