"""Reading a cluster file: every key checked for name and type, so that a mistake gets a sentence naming the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_interface, ip_network
from typing import Any

from coursekit.cluster.model import Cluster, Node, Pod, Router, Segment
from coursekit.cluster.options import Profile, make_profile
from coursekit.cluster.tables import Address
from coursekit.errors import CourseError, suggestion
from coursekit.keys import FREE, check_keys

_MISSING = object()


class _Section:
    """One table of the file. Keys are taken one by one; what is left at the end was not understood."""

    def __init__(self, data: Any, where: str, source: str) -> None:
        self.where, self.source = where, source
        if not isinstance(data, Mapping):
            raise self.error("", f"{_shown(data)} was given, a table of keys was expected.")
        self.data = dict(data)
        self.asked: list[str] = []

    def error(self, key: str, sentence: str) -> CourseError:
        place = ".".join(part for part in (self.where, key) if part)
        return CourseError(f"{self.source}: {place}: {sentence}" if place else f"{self.source}: {sentence}")

    def take(self, key: str, convert: Callable[[Any], Any], expected: str, default: Any = _MISSING) -> Any:
        self.asked.append(key)
        if key not in self.data:
            if default is _MISSING:
                near = suggestion(key, [k for k in self.data if isinstance(k, str) and k not in self.asked])
                raise self.error(key, f"it is missing{near}. Add {expected}.")
            return default
        value = self.data.pop(key)
        try:
            return convert(value)
        except (TypeError, ValueError):
            raise self.error(key, f"{_shown(value)} was given, {expected} was expected.") from None

    def rows(self, key: str, required: bool = True) -> list[_Section]:
        expected = f"at least one [[{key}]] table"
        rows = self.take(key, _list, expected, _MISSING if required else [])
        if required and not rows:
            raise self.error(key, f"it is empty. Add {expected}.")
        prefix = f"{self.where}." if self.where else ""
        return [_Section(row, f"{prefix}{key}[{i}]", self.source) for i, row in enumerate(rows)]

    def done(self) -> None:
        check_keys(self.data, self.asked, f"{self.source}: {self.where or 'the file'}")


def read_cluster(data: Mapping[str, Any], source: str) -> Cluster:
    """Return the cluster that a parsed TOML file describes. Raises CourseError naming `source` and the key."""
    top = _Section(data, "", source)
    name = top.take("name", _text, "a name in quotes", "cluster")
    title = top.take("title", _text, "a title in quotes", "")
    pod_network = top.take(
        "pod_network", _network4, 'an IPv4 prefix like "10.244.0.0/16"', IPv4Network("10.244.0.0/16")
    )
    pod_mtu = top.take("pod_mtu", _number, "a whole number of bytes like 1450", None)
    tunnel_mtu = top.take("tunnel_mtu", _number, "a whole number of bytes like 1450", None)
    profile = _profile(_Section(top.take("profile", _table, "a [profile] table", {"name": "none"}), "profile", source))
    segments = tuple(_segment(row) for row in top.rows("segments"))
    routers = tuple(_router(row) for row in top.rows("routers", required=False)) or _implied_router(segments)
    nodes = tuple(_node(row) for row in top.rows("nodes"))
    pods = tuple(_pod(row, nodes) for row in top.rows("pods", required=False))
    top.done()
    return Cluster(nodes, pods, segments, routers, pod_network, profile, pod_mtu, tunnel_mtu, name, title, source)


def _profile(section: _Section) -> Profile:
    name = section.take("name", _text, "the name of a profile")
    options = {str(k): v for k, v in section.data.items() if k not in FREE}
    return make_profile(name, options, f"{section.source}: profile")


def _segment(section: _Section) -> Segment:
    segment = Segment(
        section.take("name", _text, "a name in quotes"),
        section.take("subnet", _network, 'a prefix like "192.168.1.0/24"'),
        section.take("gateway", _address, 'an address like "192.168.1.1"', None),
        section.take("mtu", _number, "a whole number of bytes like 1500", 1500),
    )
    section.done()
    return segment


def _router(section: _Section) -> Router:
    router = Router(
        section.take("name", _text, "a name in quotes"),
        section.take("addresses", _addresses, 'a list of addresses like ["192.168.1.1", "192.168.2.1"]'),
        section.take("uplink", _interface, 'an address with its prefix length like "203.0.113.2/30"', None),
        section.take("default_gateway", _address, 'an address like "203.0.113.1"', None),
    )
    section.done()
    return router


def _implied_router(segments: tuple[Segment, ...]) -> tuple[Router, ...]:
    """One router, called `router`, owns every gateway when the file names none."""
    gateways = tuple(segment.gateway for segment in segments if segment.gateway is not None)
    return (Router("router", gateways),) if gateways else ()


def _node(section: _Section) -> Node:
    name = section.take("name", _text, "a name in quotes")
    address = section.take("address", _address, 'an address like "192.168.1.10"')
    one = section.take("block", _network4, 'an IPv4 prefix like "10.244.0.0/24"', None)
    many = section.take("blocks", _networks4, 'a list of IPv4 prefixes like ["10.244.0.0/26"]', None)
    if (one is None) == (many is None):
        near = suggestion("block", [key for key in section.data if key not in section.asked])
        problem = f"it is missing{near}." if one is None else "both block and blocks are given."
        raise section.error("block", f'{problem} Give block = "10.244.0.0/24", or blocks = [ … ] for several.')
    node = Node(
        name,
        address,
        (one,) if one is not None else many,
        mtu=section.take("mtu", _number, "a whole number of bytes like 1500", None),
        port_mtu=section.take("port_mtu", _number, "a whole number of bytes like 1500", None),
        tunnel_mtu=section.take("tunnel_mtu", _number, "a whole number of bytes like 1450", None),
        tunnel_address=section.take("tunnel_address", _address4, 'an address of its block like "10.244.0.0"', None),
        mac=section.take("mac", _mac, 'a MAC like "02:00:c0:a8:01:0a"', None),
        tunnel_mac=section.take("tunnel_mac", _mac, 'a MAC like "02:00:0a:f4:00:00"', None),
    )
    section.done()
    return node


def _pod(section: _Section, nodes: tuple[Node, ...]) -> Pod:
    name = section.take("name", _text, "a name in quotes")
    address = section.take("address", _address4, 'an IPv4 address like "10.244.0.5"')
    home = next((n.name for n in nodes if any(address in block for block in n.blocks)), None)
    node = section.take("node", _text, "the name of a node", home or "")
    pod = Pod(
        name,
        address,
        node,
        mtu=section.take("mtu", _number, "a whole number of bytes like 1450", None),
        mac=section.take("mac", _mac, 'a MAC like "02:00:0a:f4:00:05"', None),
    )
    section.done()
    return pod


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return list(value)


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return value


def _address(value: Any) -> Address:
    address = ip_address(_text(value))
    if getattr(address, "scope_id", None):
        raise ValueError
    return address


def _address4(value: Any) -> IPv4Address:
    return IPv4Address(_text(value))


def _network(value: Any) -> Any:
    if "/" not in _text(value):
        raise ValueError
    return ip_network(value)


def _network4(value: Any) -> IPv4Network:
    if "/" not in _text(value):
        raise ValueError
    return IPv4Network(value)


def _interface(value: Any) -> Any:
    if "/" not in _text(value):
        raise ValueError
    return ip_interface(value)


def _addresses(value: Any) -> tuple[Address, ...]:
    return tuple(_address(item) for item in _list(value))


def _networks4(value: Any) -> tuple[IPv4Network, ...]:
    found = tuple(_network4(item) for item in _list(value))
    if not found:
        raise ValueError
    return found


def _mac(value: Any) -> str:
    parts = _text(value).lower().split(":")
    if len(parts) != 6 or any(len(part) != 2 or not set(part) <= set("0123456789abcdef") for part in parts):
        raise ValueError
    if int(parts[0], 16) & 1:  # a group address answers for nobody
        raise ValueError
    return ":".join(parts)
