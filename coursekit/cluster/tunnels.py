"""Tunnel devices: VXLAN (drivers/net/vxlan) and IPIP (net/ipv4/ip_tunnel.c), in and out.

A packet that enters becomes the payload of one that the host itself sends; a packet that leaves was taken
from one addressed to the host, and comes up again as if the tunnel device had received it.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Literal

from coursekit.cluster import asks, icmp
from coursekit.cluster.complain import complain
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.network import Host
from coursekit.cluster.path import Decision, PathMtu
from coursekit.cluster.tables import Address, Link
from coursekit.cluster.travel import Event, Mark, Originate, Trip, Up, World
from coursekit.errors import CourseError
from coursekit.packets.encapsulation import ENCAPSULATIONS, Encapsulation, encapsulate_frame

_DF: dict[str, Literal["clear", "inherit", "set"]] = {"unset": "clear", "set": "set", "inherit": "inherit"}
_ETHERNET, _UDP, _VXLAN = 14, 8, 8


def encapsulation_of(link: Link, version: int = 4) -> Encapsulation:
    """Return what a tunnel device puts around a packet on an IPv4 or IPv6 underlay, read from its `ip -d link`."""
    info = link.info
    ttl = info.get("ttl", 0)
    fixed = ttl if isinstance(ttl, int) and ttl else None
    if link.kind == "ipip":
        return replace(
            ENCAPSULATIONS["calico-ipip"], name=link.name, ttl=fixed, df="set" if info.get("pmtudisc") else "inherit"
        )
    checksum = not info.get("udp_zero_csum6_tx", False) if version == 6 else bool(info.get("udp_csum", True))
    return replace(
        ENCAPSULATIONS["flannel-vxlan"],
        name=link.name,
        vni=int(info.get("id", 0)),
        port=vxlan_port(link),
        udp_checksum=checksum,
        ttl=None if ttl == "inherit" else fixed or 64,
        df=_DF[str(info.get("df", "unset"))],
    )


def vxlan_port(link: Link) -> int:
    """Return the UDP port that a VXLAN device sends to and listens on (the kernel's default is 8472)."""
    return int(link.info.get("port", 8472))


def _configured(link: Link, which: str) -> Address | None:
    """Return the `local` or `remote` address of a tunnel device, if it has one."""
    value = str(link.info.get(which) or link.info.get(f"{which}6") or "any")
    try:
        return None if value == "any" else ip_address(value)
    except ValueError:
        raise CourseError(
            f"{link.name}: {value!r} was given as its {which} address; an IP address or 'any' was expected."
        ) from None


def into_vxlan(world: World, trip: Trip, host: Host, link: Link, frame: bytes, mark: Mark) -> list[Event]:
    """Put a frame that was handed to a VXLAN device into UDP, once for every node that the FDB names."""
    inner = Datagram(frame[_ETHERNET:])
    mac = frame[:6].hex(":")
    decision, remotes = asks.vxlan_remotes(host, link, mac)
    made_with = _configured(link, "remote")
    if not remotes and made_with is not None:
        why, remotes = f"no row for {mac}: {link.name} was made with a remote", (made_with,)
        decision = replace(decision, row=f"{link.name}: remote {made_with}", why=why)
    mark.decisions.append(decision)
    if not remotes:
        trip.lose(mark, f"{decision.why}: {link.name} drops the frame without a word (TX dropped counts up)")
    events: list[Event] = []
    forwarded = mark.note
    for remote in remotes:
        mark.action, mark.note = "encapsulates", f"{forwarded}; {link.name} puts the frame into UDP to {remote}"
        events += _send_outer(world, trip, host, link, remote, frame, inner, mark)
    return events


def into_ipip(
    world: World, trip: Trip, host: Host, link: Link, packet: bytes, hop: Address | None, mark: Mark
) -> list[Event]:
    """Put a packet that was handed to an IPIP device behind a second IP header."""
    inner, remote = Datagram(packet), _configured(link, "remote")
    if inner.version != 4:
        trip.lose(mark, f"{link.name} carries IPv4 only")
        return []
    target = remote or hop or inner.dst
    why = (
        f"{link.name} has a fixed remote address"
        if remote
        else f"{link.name} has no table: the route's gateway is the outer destination"
    )
    mark.decisions.append(
        Decision("tunnel", str(inner.dst), f"{link.name}: ipip remote {remote or 'any'}", why, (), "ip.dst")
    )
    mark.action, mark.note = "encapsulates", f"{mark.note}; {link.name} puts a second IP header to {target} in front"
    return _send_outer(world, trip, host, link, target, packet, inner, mark)


def _send_outer(
    world: World, trip: Trip, host: Host, link: Link, remote: Address, frame: bytes, inner: Datagram, mark: Mark
) -> list[Event]:
    """Hand the outer packet to the host's own stack, unless there is no way to `remote` or DF forbids it."""
    encap, local = encapsulation_of(link, remote.version), _configured(link, "local")
    mine = asks.local(host, remote).row is not None
    way, decision = asks.route(host, remote, local or remote)
    if not mine and (way is None or way.type != "unicast" or way.dev == link.name):
        loop = way is not None and way.dev == link.name
        why = f"the route to {remote} leads back into {link.name}" if loop else f"no route to the other end, {remote}"
        trip.lose(mark, why, decision)
        return []
    src = local or (asks.source_address(host, way, remote.version) if way else remote)
    if src is None or src.version != remote.version:
        trip.lose(mark, f"{link.name} has no IPv{remote.version} address to send from towards {remote}", decision)
        return []
    ip_id = world.draws.ip_id(host.name, "outer", inner.data)
    port = world.draws.source_port(host.name, inner.data) if link.kind == "vxlan" else None
    outer = encapsulate_frame(frame, encap, src=src, dst=remote, ip_id=ip_id, sport=port)
    if way is not None and not mine:
        room = world.mtu(host, way, remote) - (len(outer) - len(inner.data))
        if len(inner.data) > room and link.kind == "ipip" and inner.df:  # tnl_update_pmtu
            trip.lose(mark, f"{len(inner.data)} bytes and {link.name}'s header do not fit the underlay, and DF is set")
            return complain(world, trip, host, mark, icmp.FRAG_NEEDED, inner, room)
        if len(inner.data) > room:  # skb_tunnel_check_pmtu: noted for the node's own packets, forwarded ones do not ask
            trip.learned.append(PathMtu(host.name, inner.dst, room))
    return [Originate(trip, host.name, outer, mark)]


def listening(host: Host, packet: Datagram) -> list[Link]:
    """Return the host's VXLAN devices whose UDP socket takes a packet: same port, same IP version, up."""
    port = packet.ports[1] if packet.ports else None
    devices = [link for link in host.tables.links if link.kind == "vxlan" and link.up and vxlan_port(link) == port]
    return [link for link in devices if (_configured(link, "local") or packet.dst).version == packet.version]


def out_of_vxlan(trip: Trip, host: Host, packet: Datagram, devices: list[Link], mark: Mark) -> list[Event]:
    """Take the frame out of a UDP datagram and let the device of that VNI receive it."""
    datagram = packet.payload
    number, owner = vxlan_port(devices[0]), devices[0].name
    mark.decisions.append(
        Decision("port", str(number), f"{owner}: dstport {number}", f"{owner} listens on this UDP port")
    )
    body = datagram[_UDP:]
    frame = body[_VXLAN:]
    if len(frame) < _ETHERNET or body[:1] != b"\x08" or any(body[1:4]) or body[7]:
        trip.lose(mark, "its VXLAN header is not one that Linux takes (I flag set, reserved bits zero)")
        return []
    vni = int.from_bytes(body[4:7], "big")
    device = next((link for link in devices if link.info.get("id") == vni), None)
    known = ", ".join(f"{link.name} has {link.info.get('id')}" for link in devices)
    if device is None:
        trip.lose(
            mark, f"no device has VNI {vni} ({known}): dropped without a word", Decision("vni", str(vni), None, known)
        )
        return []
    mark.decisions.append(Decision("vni", str(vni), f"{device.name}: id {vni}", f"VNI {vni} is {device.name}'s"))
    mark.note = f"UDP port {vxlan_port(device)}, VNI {vni}: for {device.name}"
    inside = trip.stop(
        Mark(host.name, device.name, "decapsulates", frame, f"{device.name} gets the inner frame", direction="in")
    )
    return [Up(trip, host.name, device.name, frame, inside)]


def ipip_device(host: Host, packet: Datagram) -> Link | None:
    """Return the IPIP device for a packet: both addresses match, else one, else the catch-all (ip_tunnel_lookup)."""

    def rank(link: Link) -> int:
        ends = ((_configured(link, "local"), packet.dst), (_configured(link, "remote"), packet.src))
        return (
            -1
            if any(end is not None and end != actual for end, actual in ends)
            else sum(end is not None for end, _ in ends)
        )

    found = [link for link in host.tables.links if link.kind == "ipip" and link.up and rank(link) >= 0]
    return max(found, key=rank, default=None)


def out_of_ipip(world: World, trip: Trip, host: Host, packet: Datagram, mark: Mark) -> list[Event]:
    """Take the inner packet out and let the IPIP device receive it; without a device the host says so."""
    device = ipip_device(host, packet)
    if device is None:
        # tunnel4_rcv answers "port unreachable"; a kernel without the ipip module does not know the protocol
        module = any(link.kind == "ipip" for link in host.tables.links)
        trip.lose(
            mark,
            f"protocol 4, and no IPIP device is up on {host.name}",
            Decision("protocol", "4", None, "no device"),
        )
        mark.action = "answers"
        return complain(world, trip, host, mark, icmp.PORT_UNREACHABLE if module else icmp.PROTOCOL_UNREACHABLE, packet)
    mark.decisions.append(Decision("protocol", "4", f"{device.name}: ipip", f"{device.name} takes IP in IP"))
    mark.note = f"protocol 4: for {device.name}"
    note = f"{device.name} gets the inner packet"
    inside = trip.stop(Mark(host.name, device.name, "decapsulates", packet.payload, note, direction="in"))
    return [Up(trip, host.name, device.name, packet.payload, inside)]
