"""Filling every host's tables as the cluster's profile does: underlay first, then pods, then the ways between nodes."""

from __future__ import annotations

from coursekit.cluster import calico, flannel, underlay
from coursekit.cluster.host import Host, join_peers
from coursekit.cluster.learned import Learning
from coursekit.cluster.model import Cluster
from coursekit.cluster.tables import HostTables
from coursekit.errors import Named, expect


def tables(cluster: Cluster, learning: Learning | None = None) -> dict[str, HostTables]:
    """Return what `ip` and `bridge` show on every host of `cluster`, by host name, before the first packet is sent.

    Rows that traffic makes (ARP answers, learned bridge entries) are not there yet; what a program or the kernel
    puts in by itself is, save for multicast groups and IPv6's housekeeping (::1, link-local addresses, ff00::/8).
    MACs that a kernel would draw at random are readable: 02:00:<IP address>. `learning` holds what happened to BGP.
    CourseError for no Cluster.
    """
    expect(cluster, Cluster, 'A cluster is what load_cluster("chapter") returns')
    hosts = {name: Host(name) for name in cluster.hosts()}
    underlay.fill(cluster, hosts)
    if cluster.profile.calico:
        calico.fill(cluster, hosts, learning)
    else:
        flannel.fill(cluster, hosts)
    return Named("host", join_peers({name: host.tables() for name, host in hosts.items()}))
