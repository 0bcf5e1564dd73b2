"""How flannel and the `bridge` CNI plugin set up nodes and pods (also for host-gw and for no profile at all).

Sources: flannel pkg/backend/vxlan/vxlan_network.go (route, ARP and FDB entry per remote node), hostgw.go,
the flannel CNI plugin (pod route to the whole pod network), FACTS §3.1 as recorded on a real kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface

from coursekit.cluster.host import Host, readable_mac
from coursekit.cluster.model import Cluster, Node
from coursekit.cluster.mtus import pod_mtu, tunnel_mtu
from coursekit.cluster.tables import FdbEntry, Neighbour
from coursekit.cluster.underlay import device_name

BRIDGE = "cni0"


def fill(cluster: Cluster, hosts: Mapping[str, Host]) -> None:
    """Add cni0, pods, and the way to every other node's block to `hosts`."""
    for node in cluster.nodes:
        _pods(cluster, node, hosts)
        if cluster.profile.kind == "vxlan":
            vxlan_device(cluster, node, node.blocks[0][0], vtep_mac(node), hosts[node.name])
        for other in cluster.nodes:
            if other is not node and cluster.profile.name != "none":
                _way(cluster, node, other, hosts[node.name])


def vtep_mac(node: Node) -> str:
    """Return the MAC of the node's flannel device: random in reality, kept in a node annotation."""
    return node.tunnel_mac or readable_mac(node.blocks[0][0])


def vxlan_device(cluster: Cluster, node: Node, address: object, mac: str, host: Host) -> None:
    """Add the node's VXLAN device and its /32; `info` holds the keys of `ip -j -d link`."""
    profile, device = cluster.profile, cluster.profile.device
    assert device is not None
    family = "6" if cluster.underlay_version == 6 else ""
    info = {
        "id": profile.vni,
        f"local{family}": str(node.address),
        **({"link": "eth0"} if profile.bound else {}),
        "port_range": {"low": 0, "high": 0},
        "port": profile.port,
        "learning": False,
        "ttl": 0,
        "df": profile.df,
        "ageing": 300,
        "udp_csum": profile.udp_checksum,
        "udp_zero_csum6_tx": bool(family) and not profile.udp_checksum,
        "udp_zero_csum6_rx": bool(family) and not profile.udp_checksum,
    }
    host.link(device, tunnel_mtu(cluster, node), kind="vxlan", mac=mac, info=info)
    host.address(device, IPv4Interface(f"{address}/32"))


def _pods(cluster: Cluster, node: Node, hosts: Mapping[str, Host]) -> None:
    host, block, mtu = hosts[node.name], node.blocks[0], pod_mtu(cluster, node)
    gateway = block[1]
    mac = readable_mac(gateway)
    host.link(BRIDGE, mtu, kind="bridge", mac=mac)
    host.fdb.append(FdbEntry(mac, BRIDGE, master=BRIDGE, state="permanent"))
    host.address(BRIDGE, IPv4Interface(f"{gateway}/{block.prefixlen}"), brd=True)
    for pod in cluster.pods_on(node.name):
        port, port_mac, size = device_name("veth", pod.name), readable_mac(pod.address, second=1), pod.mtu or mtu
        host.link(port, size, kind="veth", mac=port_mac, master=BRIDGE, peer=f"{pod.name}:eth0")
        host.bridge_port(BRIDGE, port, port_mac)
        inside = hosts[pod.name]
        inside.link("eth0", size, kind="veth", mac=pod.mac or readable_mac(pod.address), peer=f"{node.name}:{port}")
        inside.address("eth0", IPv4Interface(f"{pod.address}/{block.prefixlen}"), brd=True)
        inside.route("0.0.0.0/0", gateway, "eth0")
        if block != cluster.pod_network:
            inside.route(cluster.pod_network, gateway, "eth0")


def _way(cluster: Cluster, node: Node, other: Node, host: Host) -> None:
    """Add the rows by which `node` reaches the pods of `other`."""
    block, device = other.blocks[0], cluster.profile.device
    near = cluster.same_subnet(node, other)
    if device is None or (cluster.profile.direct_routing and near):
        if near:  # host-gw beyond the subnet: the gateway is no neighbour, and the kernel refuses the route
            host.route(block, other.address, "eth0")
        return
    gateway, mac = block[0], vtep_mac(other)
    host.route(block, gateway, device, flags=("onlink",))
    host.neighbours.append(Neighbour(gateway, device, mac, "PERMANENT"))
    host.fdb.append(FdbEntry(mac, device, dst=other.address, flags=("self",), state="permanent"))
