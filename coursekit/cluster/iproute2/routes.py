"""`ip route` as text and as JSON. The order of words is that of print_route() in iproute2's ip/iproute.c."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from coursekit.cluster.iproute2.words import Words, address, joined, lines_of, require_rows, take_json, texts, weave
from coursekit.cluster.tables import Address, Network, NextHop, Route

TYPES = (
    "unicast",
    "local",
    "broadcast",
    "multicast",
    "anycast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
)
FLAGS = ("dead", "onlink", "pervasive", "offload", "trap", "notify", "linkdown", "unresolved", "rt_offload", "rt_trap",
         "rt_offload_failed", "offload_failed")  # fmt: skip
# Words that take a value and stand in `extra` under the same name, in their places between the fields of Route.
_BEFORE = ("from", "nhid", "tos")
_AFTER = ("mark", "realm", "uid", "expires", "error")
_LAST = ("iif", "pref")
_WHAT = "ip route"
_DEFAULT = IPv4Network("0.0.0.0/0")


def parse_routes(text: str, table: str = "main", family: int | None = None) -> tuple[Route, ...]:
    """Return the rows of `ip route` output (also -d, -o, -6, `table all`). Unknown words are kept and printed back.

    `family` 4 or 6 says what `default` means where the row itself does not show it. Raises CourseError naming the line.
    """
    rows: list[Route] = []
    for number, line in lines_of(text):
        words = Words(line, number, _WHAT)
        if words.peek() == "nexthop":
            if not rows:
                raise words.error("is a nexthop with no route before it")
            rows[-1] = replace(rows[-1], nexthops=(*rows[-1].nexthops, _parse_nexthop(words)))
        elif words.peek() == "nh_info" and rows:
            rows[-1] = replace(rows[-1], extra={**rows[-1].extra, "nh_info": line.strip().removeprefix("nh_info ")})
        elif words.peek():
            rows.append(_parse_route(words, table, family))
    return tuple(_with_family(row, family) for row in rows)


def _parse_route(words: Words, table: str, family: int | None) -> Route:
    found: dict[str, Any] = {"table": table}
    extra: dict[str, Any] = {}
    flags: list[str] = []
    stream = iter(words)
    first = next(stream)
    if first in TYPES:
        words.flag()
        found["type"] = first
        first = words.peek()
        next(stream, "")
    found["dst"] = _destination(first, words)
    words.flag()
    for word in stream:
        if word == "via" and "via" not in found:
            if words.peek() in ("inet6", "inet"):
                next(stream)
            found["via"] = words.value(address)
        elif word in ("dev", "scope") and word not in found:
            found[word] = words.value()
        elif word == "proto" and "protocol" not in found:
            found["protocol"] = words.value()
        elif word == "src" and "prefsrc" not in found:
            found["prefsrc"] = words.value(address)
        elif word == "metric" and "metric" not in found:
            found["metric"] = words.value(int)
        elif word == "mtu" and "mtu" not in found and words.peek() != "lock":
            found["mtu"] = words.value(int)
        elif word == "table" and "table" not in extra:
            found["table"] = extra["table"] = words.value()
        elif word in (*_BEFORE, *_AFTER, *_LAST) and word not in extra:
            extra[word] = words.value()
        elif word in FLAGS:
            words.flag()
            flags.append(word)
        else:
            words.keep()
            if word == "encap":
                _keep_encap(words, stream)
    return Route(**found, flags=tuple(flags), extra={**extra, **words.kept()})


def _keep_encap(words: Words, stream: Any) -> None:
    """Keep a tunnel description whole: its own `src`, `dst` and `ttl` are not the route's."""
    while words.peek() and words.peek() not in ("via", "dev", "table", "proto"):
        next(stream)
        words.keep()


def _destination(word: str, words: Words) -> Network:
    if word == "default":
        return _DEFAULT
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        meant = ip_network(word, strict=False)
    except ValueError:
        raise words.error(f"does not start with a destination ({word!r})") from None
    raise words.error(f"has bits set behind the prefix length: write {meant}")


def _with_family(row: Route, family: int | None) -> Route:
    """Say which family a `default` belongs to: its gateway or source shows it, else IPv6's own `pref`."""
    if row.dst is not _DEFAULT:
        return row
    shown = [a for a in (row.prefsrc, row.via, *(hop.via for hop in row.nexthops)) if a is not None]
    version = shown[0].version if shown else family or (6 if "pref" in row.extra else 4)
    return replace(row, dst=IPv6Network("::/0") if version == 6 else _DEFAULT)


def _parse_nexthop(words: Words) -> NextHop:
    via: Address | None = None
    dev: str | None = None
    weight, flags = 1, []
    stream = iter(words)
    next(stream)
    for word in stream:
        if word == "via":
            if words.peek() in ("inet6", "inet"):
                next(stream)
            via = words.value(address)
        elif word == "dev":
            dev = words.value()
        elif word == "weight":
            weight = words.value(int)
        else:
            flags.append(word)
    return NextHop(via, dev, weight, tuple(flags))


def destination(dst: Network) -> str:
    """Return a destination as ip prints it: `default`, a bare host address, or a prefix."""
    if dst.prefixlen == 0:
        return "default"
    return str(dst.network_address) if dst.prefixlen == dst.max_prefixlen else str(dst)


def _via(via: Address, dst: Network) -> str:
    return f"via inet6 {via} " if via.version == 6 and dst.version == 4 else f"via {via} "


def format_route(route: Route, details: bool = False) -> str:
    """Return the route as `ip route` prints it (`ip -d route` with details), without the last line break."""
    extra, pieces = route.extra, []
    if details or route.type != "unicast":
        pieces.append(f"{route.type} ")
    pieces.append(f"{destination(route.dst)} ")
    pieces += [f"{word} {extra[word]} " for word in _BEFORE[:2] if word in extra]
    if isinstance(extra.get("encap"), Mapping):  # from JSON: the same words in the same order
        pieces.append(" " + "".join(f"{key} {value} " for key, value in extra["encap"].items()))
    pieces += [f"tos {extra['tos']} "] if "tos" in extra else []
    pieces += [_via(route.via, route.dst)] if route.via is not None else []
    pieces += [f"dev {route.dev} "] if route.dev is not None else []
    pieces += [f"table {extra['table']} "] if "table" in extra else []
    if details or route.protocol != "boot":
        pieces.append(f"proto {route.protocol} ")
    if details or route.scope != "global":
        pieces.append(f"scope {route.scope} ")
    pieces += [f"src {route.prefsrc} "] if route.prefsrc is not None else []
    pieces += [f"metric {route.metric} "] if route.metric is not None else []
    pieces += [f"{flag} " for flag in route.flags]
    pieces += [f"{word} {_unit(word, extra[word])} " for word in _AFTER if word in extra]
    pieces += [f"mtu {route.mtu} "] if route.mtu is not None else []
    pieces += [f"{name} {value} " for name, value in extra.get("metrics", {}).items()]
    pieces += [f"iif {extra['iif']} "] if "iif" in extra else []
    pieces += [f"pref {extra['pref']}"] if "pref" in extra else []
    text = weave(pieces, extra.get("words"))
    if details and "nh_info" in extra:
        text += f"\n\tnh_info {_nh_info(extra['nh_info'])} "
    for hop in route.nexthops:
        via = _via(hop.via, route.dst) if hop.via is not None else ""
        dev = f"dev {hop.dev} " if hop.dev is not None else ""
        text += f"\n\tnexthop {via}{dev}weight {hop.weight} " + "".join(f"{flag} " for flag in hop.flags)
    return text


def _unit(word: str, value: object) -> str:
    return f"{value}sec" if word == "expires" and isinstance(value, int) else str(value)


def _nh_info(info: object) -> str:
    if not isinstance(info, Mapping):
        return str(info)
    names = {"id": "id", "gateway": "via", "dev": "dev", "scope": "scope", "protocol": "proto"}
    return " ".join(f"{word} {info[key]}" for key, word in names.items() if key in info)


def format_routes(routes: Iterable[Route], details: bool = False) -> str:
    """Return the rows as `ip route` prints them, trailing spaces included."""
    return joined(format_route(route, details) for route in routes)


def routes_from_json(data: Any, table: str = "main", family: int | None = None) -> tuple[Route, ...]:
    """Return the rows of `ip -j route` (parsed JSON), with or without -d. CourseError for any other shape."""
    return tuple(_route_from_json(dict(row), table, family) for row in require_rows(data, _WHAT))


def _route_from_json(row: dict[str, Any], table: str, family: int | None) -> Route:
    found: dict[str, Any] = {"table": row.get("table", table)}
    encap = _encap(row)
    dst = take_json(row, "dst", lambda v: _DEFAULT if v == "default" else ip_network(str(v)), _WHAT)
    for key, name in (("gateway", "via"), ("prefsrc", "prefsrc")):
        if key in row:
            found[name] = take_json(row, key, lambda v: ip_address(str(v)), _WHAT)
    if isinstance(row.get("via"), dict):
        found["via"] = take_json(row, "via", lambda v: ip_address(v["host"]), _WHAT)
    for key in ("dev", "type", "protocol", "scope"):
        if key in row:
            found[key] = take_json(row, key, str, _WHAT)
    if "metric" in row:
        found["metric"] = take_json(row, "metric", int, _WHAT)
    if "flags" in row:
        found["flags"] = take_json(row, "flags", texts, _WHAT)
    if "nexthops" in row:
        found["nexthops"] = tuple(
            _nexthop_from_json(dict(hop)) for hop in require_rows(row.pop("nexthops"), "nexthops")
        )
    if "metrics" in row:
        metrics = take_json(row, "metrics", _first_object, _WHAT)
        found["mtu"] = metrics.pop("mtu", None)
        if metrics or found["mtu"] is None:
            row["metrics"] = metrics
    return _with_family(Route(dst=dst, **found, extra={**encap, **row}), family)


def _first_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise TypeError
    return dict(value[0])


def _encap(row: dict[str, Any]) -> dict[str, Any]:
    """Take `encap` and the keys that describe it: whatever iproute2 prints between it and the gateway or device."""
    if "encap" not in row:
        return {}
    keys = list(row)
    start = keys.index("encap")
    rest = keys[start:]
    end = next(
        (i for i, key in enumerate(rest) if key in ("gateway", "via", "dev", "protocol", "flags", "tos")), len(rest)
    )
    return {"encap": {key: row.pop(key) for key in rest[:end]}}


def _nexthop_from_json(row: dict[str, Any]) -> NextHop:
    host = row["via"]["host"] if isinstance(row.get("via"), dict) and "host" in row["via"] else row.get("gateway")
    try:
        via = None if host is None else ip_address(str(host))
    except ValueError:
        via = take_json(row, "gateway", lambda v: ip_address(str(v)), "nexthops")
    weight = take_json(row, "weight", int, "nexthops") if "weight" in row else 1
    return NextHop(via, row.get("dev"), weight, tuple(row.get("flags", ())))


def routes_to_json(routes: Iterable[Route], details: bool = True) -> list[dict[str, Any]]:
    """Return the rows as `ip -j -d route` prints them (without -d: details=False)."""
    return [_route_to_json(route, details) for route in routes]


def _route_to_json(route: Route, details: bool) -> dict[str, Any]:
    extra = {key: value for key, value in route.extra.items() if key not in ("encap", "metrics", "words")}
    row: dict[str, Any] = {}
    if details or route.type != "unicast":
        row["type"] = route.type
    row["dst"] = destination(route.dst)
    row |= {key: extra.pop(key) for key in ("from", "nhid") if key in extra}
    row |= route.extra.get("encap", {})
    row |= {"tos": extra.pop("tos")} if "tos" in extra else {}
    row |= _gateway_json(route.via, route.dst)
    row |= {"dev": route.dev} if route.dev is not None else {}
    row |= {"table": extra.pop("table")} if "table" in extra else {}
    if details or route.protocol != "boot":
        row["protocol"] = route.protocol
    if details or route.scope != "global":
        row["scope"] = route.scope
    row |= {"prefsrc": str(route.prefsrc)} if route.prefsrc is not None else {}
    row |= {"metric": route.metric} if route.metric is not None else {}
    row["flags"] = list(route.flags)
    metrics = {**({"mtu": route.mtu} if route.mtu is not None else {}), **route.extra.get("metrics", {})}
    row |= {"metrics": [metrics]} if metrics else {}
    row |= extra
    if route.nexthops:
        row["nexthops"] = [
            {
                **_gateway_json(hop.via, route.dst),
                **({"dev": hop.dev} if hop.dev is not None else {}),
                "weight": hop.weight,
                "flags": list(hop.flags),
            }
            for hop in route.nexthops
        ]
    return row


def _gateway_json(via: Address | None, dst: Network) -> dict[str, Any]:
    if via is None:
        return {}
    if via.version == 6 and dst.version == 4:
        return {"via": {"family": "inet6", "host": str(via)}}
    return {"gateway": str(via)}
