"""Source NAT by MASQUERADE, with the connection tracking that undoes it for what comes back (net/netfilter).

A host with NAT rules remembers each flow that passes; answers, and ICMP errors that quote the flow, get the
inside address back, in the quoted packet too.
"""

from __future__ import annotations

from coursekit.cluster import asks
from coursekit.cluster.datagram import Datagram, requoted, with_address
from coursekit.cluster.network import Host
from coursekit.cluster.path import Decision
from coursekit.cluster.tables import Route
from coursekit.cluster.travel import Mark, Translation, World

_Key = tuple[object, ...]


def _key(packet: Datagram) -> _Key | None:
    """Return what identifies a packet's flow in its own direction."""
    return None if packet.ports is None else (packet.protocol, packet.src, packet.dst, *packet.ports)


def _answer_key(packet: Datagram) -> _Key | None:
    """Return what identifies the packets that answer this one."""
    return None if packet.ports is None else (packet.protocol, packet.dst, packet.src, *reversed(packet.ports))


def prerouting(world: World, host: Host, data: bytes, mark: Mark) -> bytes:
    """Return a packet that came in with the inside address put back, if it belongs to a masqueraded flow."""
    packet = Datagram(data)
    if not host.masquerade or packet.version == 6:
        return data
    known = world.flows[host.name]
    if packet.is_icmp_error:
        quoted = _quoted(packet)
        flow = known.get(_answer_key(quoted) or ()) if quoted else None
        if flow is None:
            return data
        mark.decisions.append(_undone(packet, flow))
        inner = with_address(packet.quoted, src=flow.inside)
        return requoted(with_address(data, dst=flow.inside), inner)
    flow = known.get(_key(packet) or ())
    if flow is None:
        return data
    mark.decisions.append(_undone(packet, flow))
    inside = with_address(data, dst=flow.inside)
    known[_key(Datagram(inside)) or ()] = None  # on its way out no rule is asked about it
    return inside


def _undone(packet: Datagram, flow: Translation) -> Decision:
    return Decision(
        "nat", str(packet.dst), flow, f"a masqueraded flow comes back: {flow.outside} was {flow.inside}", (), "ip.dst"
    )


def _quoted(error: Datagram) -> Datagram | None:
    """Return the quoted packet, padded to the length it claims: errors quote only the start of long ones."""
    data = error.quoted
    return Datagram(data + bytes(max(0, int.from_bytes(data[2:4], "big") - len(data)))) if len(data) >= 28 else None


def postrouting(world: World, host: Host, way: Route, data: bytes) -> tuple[bytes, Decision | None]:
    """Return a packet about to leave, masqueraded if it starts a flow and a rule says so."""
    packet = Datagram(data)
    key = _key(packet)
    if not host.masquerade or packet.version == 6 or key is None:
        return data, None
    known = world.flows[host.name]
    if key in known:  # it answers a tracked flow: rules are asked for the first packet only
        return data, None
    for rule in host.masquerade:
        away = rule.outside is None or packet.dst not in rule.outside
        if packet.src in rule.source and away and rule.device in (None, way.dev):
            outside = asks.source_address(host, way, 4)
            if outside is None or outside == packet.src:
                continue
            changed = with_address(data, src=outside)
            known[_answer_key(Datagram(changed)) or ()] = Translation(packet.src, outside)
            return changed, Decision(
                "nat", str(packet.src), rule, f"{packet.src} leaves as {outside}", (rule,), "ip.src"
            )
    known[_answer_key(packet) or ()] = None
    return data, None
