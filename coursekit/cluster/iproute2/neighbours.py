"""`ip neigh` and `bridge fdb` as text and as JSON (print_neigh() in ip/ipneigh.c, print_fdb() in bridge/fdb.c)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from coursekit.cluster.iproute2.words import (
    Words,
    address,
    is_mac,
    joined,
    lines_of,
    require_rows,
    take_json,
    texts,
    weave,
)
from coursekit.cluster.tables import FdbEntry, Neighbour

STATES = ("PERMANENT", "REACHABLE", "STALE", "DELAY", "PROBE", "INCOMPLETE", "FAILED", "NOARP", "NONE")
_NEIGH_FLAGS = ("router", "proxy", "managed", "extern_learn", "offload", "extern_valid")
_FDB_FLAGS = ("self", "router", "extern_learn", "offload", "sticky", "locked", "added_by_user", "added_by_extern_learn")
_FDB_STATES = ("permanent", "static", "stale")
_FDB_VALUES = {"port": "port", "vni": "vni", "src_vni": "src_vni", "via": "viaIf", "nhid": "nhid"}


def parse_neighbours(text: str) -> tuple[Neighbour, ...]:
    """Return the rows of `ip neigh` (with `dev X` in the command, `dev` is ""). Junk: CourseError."""
    rows = []
    for number, line in lines_of(text):
        words = Words(line, number, "ip neigh")
        if words.peek():
            rows.append(_parse_neighbour(words))
    return tuple(rows)


def _parse_neighbour(words: Words) -> Neighbour:
    stream = iter(words)
    first = next(stream)
    try:
        dst = ip_address(first)
    except ValueError:
        raise words.error(f"does not start with an address ({first!r})") from None
    words.flag()
    dev, states = "", []
    lladdr: str | None = None
    extra: dict[str, Any] = {}
    for word in stream:
        if word == "dev" and not dev:
            dev = words.value()
        elif word == "lladdr" and lladdr is None:
            lladdr = words.value()
        elif word in STATES:
            words.flag()
            states.append(word)
        elif word in _NEIGH_FLAGS:
            words.flag()
            extra[word] = None
        elif word == "proto":
            extra["protocol"] = words.value()
        else:
            words.keep()
    return Neighbour(dst, dev, lladdr, " ".join(states), {**extra, **words.kept()})


def format_neighbour(row: Neighbour) -> str:
    """Return the row as `ip neigh` prints it, without the line break."""
    pieces = [f"{row.dst} "]
    pieces += [f"dev {row.dev} "] if row.dev else []
    pieces += [f"lladdr {row.lladdr} "] if row.lladdr is not None else []
    pieces += [f"{flag} " for flag in _NEIGH_FLAGS if flag in row.extra]
    pieces += [f"{state} " for state in row.state.split()]
    pieces += [f"proto {row.extra['protocol']} "] if "protocol" in row.extra else []
    return weave(pieces, row.extra.get("words"))


def format_neighbours(rows: Iterable[Neighbour]) -> str:
    """Return the rows as `ip neigh` prints them, trailing spaces included."""
    return joined(format_neighbour(row) for row in rows)


def neighbours_from_json(data: Any) -> tuple[Neighbour, ...]:
    """Return the rows of `ip -j neigh` (parsed JSON)."""
    rows = []
    for given in require_rows(data, "ip neigh"):
        row = dict(given)
        dst = take_json(row, "dst", lambda v: ip_address(str(v)), "ip neigh")
        dev, lladdr = str(row.pop("dev", "")), row.pop("lladdr", None)
        state = " ".join(take_json(row, "state", texts, "ip neigh")) if "state" in row else ""
        rows.append(Neighbour(dst, dev, lladdr, state, row))
    return tuple(rows)


def neighbours_to_json(rows: Iterable[Neighbour]) -> list[dict[str, Any]]:
    """Return the rows as `ip -j neigh` prints them."""
    return [
        {
            "dst": str(row.dst),
            **({"dev": row.dev} if row.dev else {}),
            **({"lladdr": row.lladdr} if row.lladdr is not None else {}),
            **{key: value for key, value in row.extra.items() if key not in ("words", "protocol")},
            **({"state": row.state.split()} if row.state else {}),
            **({"protocol": row.extra["protocol"]} if "protocol" in row.extra else {}),
        }
        for row in rows
    ]


def parse_fdb(text: str) -> tuple[FdbEntry, ...]:
    """Return the rows of `bridge fdb` (with `dev X` in the command, `dev` is ""). Junk: CourseError."""
    rows = []
    for number, line in lines_of(text):
        words = Words(line, number, "bridge fdb")
        if words.peek():
            rows.append(_parse_fdb(words))
    return tuple(rows)


def _parse_fdb(words: Words) -> FdbEntry:
    stream = iter(words)
    mac = next(stream)
    if not is_mac(mac):
        raise words.error(f"does not start with a MAC ({mac!r})")
    words.flag()
    found: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    flags: list[str] = []
    for word in stream:
        if word in ("dev", "master") and word not in found:
            found[word] = words.value()
        elif word == "dst" and "dst" not in found:
            found["dst"] = words.value(address)
        elif word == "vlan" and "vlan" not in found:
            found["vlan"] = words.value(int)
        elif word in _FDB_VALUES and _FDB_VALUES[word] not in extra and words.peek() != "ifindex":
            extra[_FDB_VALUES[word]] = words.value(lambda v: int(v) if v.isdecimal() else v)
        elif word in _FDB_FLAGS:
            words.flag()
            flags.append(word)
        elif word in _FDB_STATES:
            words.flag()
            found["state"] = word
        else:
            words.keep()
    return FdbEntry(mac, found.pop("dev", ""), flags=tuple(flags), **found, extra={**extra, **words.kept()})


def format_fdb_entry(row: FdbEntry) -> str:
    """Return the row as `bridge fdb` prints it, without the line break."""
    pieces = [f"{row.mac} "]
    pieces += [f"dev {row.dev} "] if row.dev else []
    pieces += [f"dst {row.dst} "] if row.dst is not None else []
    pieces += [f"vlan {row.vlan} "] if row.vlan is not None else []
    pieces += [f"{word} {row.extra[key]} " for word, key in _FDB_VALUES.items() if key in row.extra]
    pieces += [f"{flag} " for flag in row.flags]
    pieces += [f"master {row.master} "] if row.master is not None else []
    pieces += [row.state]
    return weave(pieces, row.extra.get("words"))


def format_fdb(rows: Iterable[FdbEntry]) -> str:
    """Return the rows as `bridge fdb` prints them."""
    return joined(format_fdb_entry(row) for row in rows)


def fdb_from_json(data: Any) -> tuple[FdbEntry, ...]:
    """Return the rows of `bridge -j fdb` (parsed JSON)."""
    rows = []
    for given in require_rows(data, "bridge fdb"):
        row = dict(given)
        mac = take_json(row, "mac", str, "bridge fdb")
        found: dict[str, Any] = {"dev": str(row.pop("ifname", ""))}
        if "dst" in row:
            found["dst"] = take_json(row, "dst", lambda v: ip_address(str(v)), "bridge fdb")
        if "vlan" in row:
            found["vlan"] = take_json(row, "vlan", int, "bridge fdb")
        found["master"] = row.pop("master", None)
        found["flags"] = take_json(row, "flags", texts, "bridge fdb") if "flags" in row else ()
        found["state"] = str(row.pop("state", ""))
        rows.append(FdbEntry(mac, **found, extra=row))
    return tuple(rows)


def fdb_to_json(rows: Iterable[FdbEntry]) -> list[dict[str, Any]]:
    """Return the rows as `bridge -j fdb` prints them."""
    return [
        {
            "mac": row.mac,
            **({"ifname": row.dev} if row.dev else {}),
            **({"dst": str(row.dst)} if row.dst is not None else {}),
            **({"vlan": row.vlan} if row.vlan is not None else {}),
            **{key: value for key, value in row.extra.items() if key != "words"},
            "flags": list(row.flags),
            **({"master": row.master} if row.master is not None else {}),
            "state": row.state,
        }
        for row in rows
    ]
