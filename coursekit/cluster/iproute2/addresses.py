"""One address of `ip addr`, as text and as JSON (print_addrinfo() in iproute2's ip/ipaddress.c)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any

from coursekit.cluster.iproute2.words import Words, take_json, weave
from coursekit.cluster.tables import HostAddress

_ADDRESS_FLAGS = ("secondary", "temporary", "nodad", "optimistic", "dadfailed", "home", "deprecated", "tentative",
                  "permanent", "mngtmpaddr", "noprefixroute", "autojoin", "dynamic", "stable-privacy")  # fmt: skip
_FOREVER = 4294967295


def parse_address(words: Words, dev: str) -> HostAddress:
    """Read an `inet` or `inet6` line of `ip addr`."""
    stream = iter(words)
    family = next(stream)
    extra: dict[str, Any] = {}
    text = words.value()
    scope = "global"
    words.known = 0
    for word in stream:
        if word == "peer":
            peer, _, length = words.value().partition("/")
            extra["address"] = peer
            text = f"{text}/{length}"
        elif word == "brd":
            extra["broadcast"] = words.value()
        elif word == "any":
            extra["anycast"] = words.value()
        elif word == "metric":
            extra["metric"] = words.value(int)
        elif word == "scope":
            scope = words.value()
        elif word == "proto":
            extra["protocol"] = words.value()
        elif word in _ADDRESS_FLAGS:
            words.flag()
            extra[word] = True
        elif not words.peek() and family == "inet":
            words.flag()
            extra["label"] = word
        else:
            words.keep()
    try:
        interface = ip_interface(text)
    except ValueError:
        raise words.error(f"has {text!r} where an address with its prefix length was expected") from None
    return HostAddress(dev, interface, scope, {**extra, **words.kept()})


def with_lifetime(row: HostAddress, words: Words) -> HostAddress:
    """Read the `valid_lft … preferred_lft …` line that follows an address."""
    times = {"valid_lft": "valid_life_time", "preferred_lft": "preferred_life_time"}
    extra = dict(row.extra)
    for word in iter(words):
        if word in times:
            extra[times[word]] = words.value(lambda v: _FOREVER if v == "forever" else int(v.removesuffix("sec")))
    return replace(row, extra=extra)


def format_address(row: HostAddress) -> str:
    """Return one address as the lines that `ip addr` prints under its device."""
    extra = row.extra
    family = "inet" if row.interface.version == 4 else "inet6"
    if "address" in extra:
        text = f"{row.interface.ip} peer {extra['address']}/{row.interface.network.prefixlen} "
    else:
        text = f"{row.interface.with_prefixlen} "
    pieces = [text]
    pieces += [f"metric {extra['metric']} "] if "metric" in extra else []
    pieces += [f"brd {extra['broadcast']} "] if "broadcast" in extra else []
    pieces += [f"any {extra['anycast']} "] if "anycast" in extra else []
    pieces.append(f"scope {row.scope} ")
    pieces += [f"{flag} " for flag in _ADDRESS_FLAGS if extra.get(flag)]
    pieces += [f"proto {extra['protocol']} "] if "protocol" in extra else []
    pieces += [str(extra["label"])] if "label" in extra else []
    text = f"    {family} {weave(pieces, extra.get('words'))}"
    if "valid_life_time" in extra:
        times = [_time(extra.get(key)) for key in ("valid_life_time", "preferred_life_time")]
        text += f"\n       valid_lft {times[0]} preferred_lft {times[1]}"
    return text


def _time(seconds: object) -> str:
    return "forever" if seconds in (_FOREVER, None) else f"{seconds}sec"


def address_from_json(given: Mapping[str, Any], dev: str) -> HostAddress:
    """Return one row of a device's `addr_info`."""
    row = dict(given)
    row.pop("family", None)
    local = take_json(row, "local", lambda v: ip_address(str(v)), "addr_info")
    length = take_json(row, "prefixlen", int, "addr_info")
    interface = take_json({"local": f"{local}/{length}"}, "local", ip_interface, "addr_info")
    return HostAddress(dev, interface, str(row.pop("scope", "global")), row)


def address_to_json(row: HostAddress) -> dict[str, Any]:
    """Return the address as a row of `addr_info`."""
    extra = {key: value for key, value in row.extra.items() if key != "words"}
    return {
        "family": "inet" if row.interface.version == 4 else "inet6",
        "local": str(row.interface.ip),
        **({"address": extra.pop("address")} if "address" in extra else {}),
        "prefixlen": row.interface.network.prefixlen,
        **({"broadcast": extra.pop("broadcast")} if "broadcast" in extra else {}),
        "scope": row.scope,
        **extra,
    }
