"""Link layer: what happens to a frame between a device and whatever is at the other end of it.

veth (drivers/net/veth.c), bridges (net/bridge), and the MTU check that a receiving device makes:
`is_skb_forwardable` lets through MTU + Ethernet header + 4 bytes for a VLAN tag.
"""

from __future__ import annotations

from collections.abc import Sequence

from coursekit.cluster import asks, tunnels
from coursekit.cluster.datagram import Datagram
from coursekit.cluster.network import Filter, Host
from coursekit.cluster.path import Decision
from coursekit.cluster.tables import Link
from coursekit.cluster.travel import Arrive, Event, Mark, Transmit, Trip, Up, World
from coursekit.packets.encapsulation import fragment

ETHERNET = 14
_SLACK = ETHERNET + 4
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"


def ethernet(dst: str, src: str, packet: bytes) -> bytes:
    """Return an Ethernet II frame around an IP packet."""
    kind = _IPV4 if packet[0] >> 4 == 4 else _IPV6
    return bytes.fromhex(dst.replace(":", "")) + bytes.fromhex(src.replace(":", "")) + kind + packet


def mac_at(frame: bytes, at: int) -> str:
    """Return the MAC at a byte offset of a frame: 0 destination, 6 source."""
    return frame[at : at + 6].hex(":")


def transmit(world: World, event: Transmit) -> list[Event]:
    """Move a frame out of a device: over the cable, to a bridge port, or into a tunnel."""
    host, trip = world.host(event.host), event.trip
    link = host.link(event.device)
    mark = trip.stop(Mark(host.name, link.name, event.action, event.frame, event.note, list(event.decisions)))
    if not link.up or "NO-CARRIER" in link.flags:
        mark.frame = None
        trip.lose(mark, f"{link.name} is down" if not link.up else f"{link.name} has no carrier: the cable is out")
        return []
    if link.kind == "vxlan":
        return tunnels.into_vxlan(world, trip, host, link, event.frame, mark)
    if link.kind == "ipip":
        return tunnels.into_ipip(world, trip, host, link, event.frame, event.hop, mark)
    if link.kind == "bridge":
        return _bridge(world, trip, host, link, None, event.frame, mark)
    peer = world.network.cables.get(f"{host.name}:{link.name}")
    if peer is None:
        trip.lose(mark, f"nothing is plugged into {link.name}")
        return []
    name, _, device = peer.partition(":")
    far = world.host(name).link(device)
    if not far.up:
        trip.lose(mark, f"{peer} at the other end is down")
    elif refused(world, host, link, event.frame):
        trip.lose(
            mark,
            f"{len(event.frame) - ETHERNET} bytes do not fit {peer} (MTU {far.mtu}): dropped without a word",
        )
    else:
        return [Arrive(trip, name, device, event.frame)]
    return []


def refused(world: World, host: Host, link: Link, frame: bytes) -> bool:
    """Whether a cable's other end cannot take a frame, which the sender's veth notices (NET_XMIT_DROP, Linux 6.8)."""
    name, _, device = world.network.cables.get(f"{host.name}:{link.name}", "").partition(":")
    return bool(name) and len(frame) > world.host(name).link(device).mtu + _SLACK


def arrive(world: World, event: Arrive) -> list[Event]:
    """Take a frame in from the cable: to the bridge that the device is a port of, or up to the host."""
    host, trip = world.host(event.host), event.trip
    link = host.link(event.device)
    mark = trip.stop(
        Mark(host.name, link.name, "receives", event.frame, f"{link.name} receives the frame", direction="in")
    )
    rule = filtered(host, "ingress", event.frame, link.name)
    if rule:
        trip.lose(mark, f"a filter on {link.name} drops it", Decision("filter", str(rule), rule, "the packet matches"))
        return []
    if link.master is None:
        return [Up(trip, host.name, link.name, event.frame, mark)]
    return _bridge(world, trip, host, host.link(link.master), link, event.frame, mark)


def filtered(host: Host, hook: str, frame: bytes, device: str | None = None) -> Filter | None:
    """Return the rule of a host that drops a frame (hook `ingress`) or an IP packet (the other hooks), or None."""
    rules = [rule for rule in host.filters if rule.hook == hook and rule.device in (None, device)]
    data = frame[ETHERNET:] if hook == "ingress" else frame
    if not rules or (hook == "ingress" and frame[12:14] not in (_IPV4, _IPV6)):
        return None
    packet = Datagram(data)
    return next(
        (r for r in rules if r.protocol in (None, packet.protocol) and (r.icmp is None or r.icmp == packet.icmp)), None
    )


def _bridge(
    world: World, trip: Trip, host: Host, bridge: Link, came_in: Link | None, frame: bytes, mark: Mark
) -> list[Event]:
    """Switch a frame by its destination MAC: up into the host, out of one port, or out of all."""
    if not bridge.up:
        trip.lose(mark, f"the bridge {bridge.name} is down")
        return []
    decision = asks.bridge_port(world.network, host, bridge, mac_at(frame, 0))
    mark.decisions.append(decision)
    if came_in is not None:
        mark.action, mark.note = "switches", f"port {came_in.name} of {bridge.name}: {decision.why}"
    if decision.row is not None and decision.row.dev == bridge.name:
        up = trip.stop(
            Mark(
                host.name, bridge.name, "receives", frame, f"{bridge.name} takes the frame for its host", direction="in"
            )
        )
        return [Up(trip, host.name, bridge.name, frame, up)]
    names = [link.name for link in host.tables.links if link.master == bridge.name]
    chosen = [decision.row.dev] if decision.row is not None else names
    ports = [host.link(name) for name in chosen if came_in is None or name != came_in.name]
    if not ports:
        trip.lose(mark, f"{bridge.name} does not send a frame back where it came from")
    return [event for port in ports for event in _out_of_port(world, trip, host, bridge, port, frame, mark)]


def _out_of_port(
    world: World, trip: Trip, host: Host, bridge: Link, port: Link, frame: bytes, mark: Mark
) -> Sequence[Event]:
    peer = world.network.cables.get(f"{host.name}:{port.name}")
    far_up = peer is None or world.host(peer.partition(":")[0]).link(peer.partition(":")[2]).up
    if not port.up or not far_up:
        trip.lose(mark, f"port {port.name} of {bridge.name} has no link: what is plugged in there is down")
        return []
    frames, size = [frame], len(frame) - ETHERNET
    note = f"{bridge.name} sends it out of port {port.name}"
    if host.bridge_netfilter and size > port.mtu and frame[12:14] == _IPV4 and not Datagram(frame[ETHERNET:]).df:
        # br_nf_ip_fragment asks the bridge's own MTU, not the port's
        frames = [frame[:ETHERNET] + piece for piece in fragment(frame[ETHERNET:], bridge.mtu)]
        note += ", in fragments (bridge netfilter)"
    fitting = [piece for piece in frames if len(piece) <= port.mtu + _SLACK]
    if len(fitting) < len(frames) or (host.bridge_netfilter and len(frames) == 1 and size > port.mtu):
        trip.lose(mark, f"{size} bytes do not fit {port.name} (MTU {port.mtu}): a switch drops them without a word")
        return []
    action = "fragments" if len(frames) > 1 else "switches"
    return [Transmit(trip, host.name, port.name, piece, action, note) for piece in frames]
