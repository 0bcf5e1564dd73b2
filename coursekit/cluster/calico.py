"""How Calico sets up nodes and pods: routed veths, blackhole per block, and a route per remote block.

Routes to remote blocks are Felix's here, or BIRD's in `learned`. Sources: felix vxlan_mgr.go, vxlan_fdb.go,
ipip_mgr.go, confd bird templates. `version` picks between the route attributes that Calico 3.30 to 3.33 print.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from coursekit.cluster import learned
from coursekit.cluster.flannel import vxlan_device
from coursekit.cluster.host import Host, readable_mac
from coursekit.cluster.learned import Learning
from coursekit.cluster.model import Cluster, Node, Pod
from coursekit.cluster.mtus import pod_mtu, tunnel_mtu
from coursekit.cluster.tables import FdbEntry, Neighbour
from coursekit.cluster.underlay import device_name

GATEWAY = IPv4Address("169.254.1.1")  # what every pod has as default gateway; proxy ARP answers for it
VETH_MAC = "ee:ee:ee:ee:ee:ee"
FELIX = "80"  # the route protocol number that Felix signs with


def fill(cluster: Cluster, hosts: Mapping[str, Host], learning: Learning | None = None) -> None:
    """Add tunnel devices, pods, and the way to every other node's blocks to `hosts`.

    `learning` says what happened to the cluster's BGP; None: nothing.
    """
    for node in cluster.nodes:
        _tunnel(cluster, node, hosts[node.name])
        for pod in cluster.pods_on(node.name):
            _pod(cluster, node, pod, hosts)
    if cluster.profile.learns_by_bgp:
        learned.fill(learning or Learning(cluster), hosts)
        return
    for node in cluster.nodes:
        host = hosts[node.name]
        for block in node.blocks:
            host.route(block, type="blackhole", protocol=FELIX if cluster.profile.kind == "vxlan" else "bird")
        for other in cluster.nodes:
            if other is not node:
                for block in other.blocks:
                    _way(cluster, node, other, block, host)
                if cluster.profile.kind == "vxlan":  # for every peer, also one that CrossSubnet reaches without
                    _vtep(cluster, other, host)


def vtep_mac(node: Node) -> str:
    """Return the MAC of the node's vxlan.calico: 66: and the SHA-1 of the node's name (felix vxlan_mgr.go)."""
    return node.tunnel_mac or "66:" + sha1(node.name.encode()).digest()[:5].hex(":")


def tunnel_address(node: Node) -> IPv4Address:
    """Return the tunnel device's address: one of the node's block, usually the first."""
    return node.tunnel_address or node.blocks[0][0]


def veth_name(pod: str) -> str:
    """Return the host end of a pod's veth: cali + its name, readable; where that is too long, what Calico calls it.

    Calico always takes 11 hex digits of the SHA-1 of "namespace.pod" (libcalico-go, VethNameForWorkload). A name with
    a dot is "pod.namespace" here, one without is in `default`.
    """
    name, _, namespace = pod.rpartition(".") if "." in pod else (pod, "", "default")
    return device_name("cali", pod, f"{namespace}.{name}")


def _tunnel(cluster: Cluster, node: Node, host: Host) -> None:
    if cluster.profile.kind == "vxlan":
        vxlan_device(cluster, node, tunnel_address(node), vtep_mac(node), host)
    elif cluster.profile.kind == "ipip":
        info = {"remote": "any", "local": "any", "ttl": 0, "pmtudisc": False}
        flags = ("NOARP", "UP", "LOWER_UP")
        host.link("tunl0", tunnel_mtu(cluster, node), kind="ipip", mac="0.0.0.0", flags=flags, info=info)
        host.address("tunl0", IPv4Interface(f"{tunnel_address(node)}/32"))


def _pod(cluster: Cluster, node: Node, pod: Pod, hosts: Mapping[str, Host]) -> None:
    host, inside = hosts[node.name], hosts[pod.name]
    port, mtu = veth_name(pod.name), pod.mtu or pod_mtu(cluster, node)
    host.link(port, mtu, kind="veth", mac=VETH_MAC, peer=f"{pod.name}:eth0")
    host.route(pod.address, dev=port, scope="link", metric=_metric(cluster))
    inside.link("eth0", mtu, kind="veth", mac=pod.mac or readable_mac(pod.address), peer=f"{node.name}:{port}")
    inside.address("eth0", IPv4Interface(f"{pod.address}/32"))
    inside.route(GATEWAY, dev="eth0", scope="link")
    inside.route("0.0.0.0/0", GATEWAY, "eth0")


def _metric(cluster: Cluster) -> int | None:
    """Since v3.32 BIRD-learned routes and pods' /32 carry metric 1024."""
    return 1024 if cluster.profile.version >= "3.32" else None


def _way(cluster: Cluster, node: Node, other: Node, block: IPv4Network, host: Host) -> None:
    """Add the route by which Felix sends from `node` to one block of `other`."""
    profile, device = cluster.profile, cluster.profile.device
    if profile.direct and cluster.same_subnet(node, other):
        host.route(block, other.address, "eth0", protocol=FELIX, flags=("onlink",))
        return
    mtu = tunnel_mtu(cluster, node) if profile.version >= "3.31" else None
    if profile.kind == "vxlan":
        host.route(block, tunnel_address(other), device, flags=("onlink",), mtu=mtu)
    else:
        host.route(block, other.address, device, protocol=FELIX, flags=("onlink",), mtu=mtu)


def _vtep(cluster: Cluster, other: Node, host: Host) -> None:
    """Add the remote tunnel's MAC by its address (neighbour) and the node by that MAC (FDB), as Felix pushes them."""
    device, mac = cluster.profile.device, vtep_mac(other)
    assert device is not None
    host.neighbours.append(Neighbour(tunnel_address(other), device, mac, "PERMANENT"))
    host.fdb.append(FdbEntry(mac, device, dst=other.address, flags=("self",), state="permanent"))
