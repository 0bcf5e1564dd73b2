"""`ip link` and `ip addr`, with or without -d, as text and as JSON (print_linkinfo() in iproute2's ip/ipaddress.c)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any

from coursekit.cluster.iproute2.drivers import format_info, parse_info
from coursekit.cluster.iproute2.words import Words, is_mac, lines_of, require_rows, take_json, texts, weave
from coursekit.cluster.tables import HostAddress, Link

_HEAD = {"qdisc": "qdisc", "operstate": "state", "linkmode": "mode", "group": "group", "txqlen": "qlen"}
_MIDDLE = {"promiscuity": "promiscuity", "allmulti": "allmulti", "min_mtu": "minmtu", "max_mtu": "maxmtu"}
_TAIL = {
    "inet6_addr_gen_mode": "addrgenmode",
    "num_tx_queues": "numtxqueues",
    "num_rx_queues": "numrxqueues",
    **{name: name for name in ("gso_max_size", "gso_max_segs", "tso_max_size", "tso_max_segs", "gro_max_size")},
    "gso_ipv4_max_size": "gso_ipv4_max_size",
    "gro_ipv4_max_size": "gro_ipv4_max_size",
    "phys_port_name": "portname",
    "phys_port_id": "portid",
    "phys_switch_id": "switchid",
    "parentbus": "parentbus",
    "parentdev": "parentdev",
}
_TAIL_WORDS = {word: key for key, word in _TAIL.items()}
_ADDRESS_FLAGS = ("secondary", "temporary", "nodad", "optimistic", "dadfailed", "home", "deprecated", "tentative",
                  "permanent", "mngtmpaddr", "noprefixroute", "autojoin", "dynamic", "stable-privacy")  # fmt: skip
_FOREVER = 4294967295
_FIRST = re.compile(r"(\d+): ([^:@\s]+)(?:@([^:\s]+))?: <([^>]*)>")
_WHAT = "ip -d link"


class _Device:
    """One device while its lines are read."""

    def __init__(self, words: Words) -> None:
        match = _FIRST.match(words.line)
        if match is None:
            raise words.error("is not the first line of a device")
        index, self.name, at, flags = match.groups()
        self.fields: dict[str, Any] = {"ifindex": int(index), "flags": tuple(filter(None, flags.split(",")))}
        self.extra: dict[str, Any] = {}
        if at is not None:
            self._peer(at)
        self._head(words)
        self.lines: list[str] = []
        self.addresses: list[HostAddress] = []
        self.section = ""  # the kind whose words are being read

    def _peer(self, at: str) -> None:
        if at == "NONE":
            self.extra["link"] = None
        elif re.fullmatch(r"if\d+", at):
            self.extra["link_index"] = int(at[2:])
        else:
            self.extra["link"] = at

    def _head(self, words: Words) -> None:
        stream = iter(words)
        by_word = {word: key for key, word in _HEAD.items()}
        for word in stream:
            if word.startswith("<"):
                break
        for word in stream:
            if word == "mtu":
                self.fields["mtu"] = words.value(int)
            elif word == "master":
                self.fields["master"] = words.value()
            elif word in by_word:
                self.extra[by_word[word]] = words.value(int if word == "qlen" else str)
            else:
                words.keep()
        if "mtu" not in self.fields:
            raise words.error("has no mtu")
        if words.kept():
            self.extra["head_words"] = words.kept()["words"]

    def layer(self, words: Words) -> None:
        """Read the second line: link/ether, addresses, and with -d what follows."""
        stream = iter(words)
        self.extra["link_type"] = next(stream).removeprefix("link/")
        words.flag()
        if is_mac(words.peek()) or re.fullmatch(r"[0-9.]+|[0-9a-f:]{2,}", words.peek()):
            self.fields["mac"] = next(stream)
            words.flag()
        for word in stream:
            if word in ("brd", "peer") and "broadcast" not in self.extra:
                self.extra["broadcast"] = words.value()
            elif word == "permaddr":
                self.extra[word] = words.value()
            elif word == "link-netns":
                self.extra["link_netns"] = words.value()
            elif word == "link-netnsid":
                self.extra["link_netnsid"] = words.value(lambda v: int(v) if v.lstrip("-").isdecimal() else v)
            elif word in _MIDDLE.values() and "promiscuity" in (word, *self.extra):
                self.extra[next(k for k, w in _MIDDLE.items() if w == word)] = words.value(int)
            elif word in _TAIL_WORDS:
                self._tail(words, word)
            else:
                words.keep()
        if words.kept():
            self.extra["layer_words"] = words.kept()["words"]

    def driver(self, words: Words) -> None:
        """Read the line of the driver (vxlan …) or of the port (bridge_slave …), and what follows it on that line."""
        stream = iter(words)
        kind = next(stream)
        info, stopped = parse_info(kind, words, stream, _TAIL_WORDS.__contains__)
        if kind.endswith("_slave"):
            self.extra["info_slave_kind"] = kind.removesuffix("_slave")
            self.extra["info_slave_data"] = info
        else:
            self.fields["kind"], self.fields["info"] = kind, info
        if stopped:
            self._tail(words, stopped)
            rest: list[str] = []
            for word in stream:
                if word in _TAIL_WORDS:
                    self._tail(words, word)
                else:
                    rest.append(word)
            if rest:
                self.extra["tail_words"] = " ".join(rest)

    def _tail(self, words: Words, word: str) -> None:
        self.extra[_TAIL_WORDS[word]] = words.value(lambda v: int(v) if v.isdecimal() else v)

    def address(self, words: Words) -> None:
        """Read an `inet` or `inet6` line."""
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
        self.addresses.append(HostAddress(self.name, interface, scope, {**extra, **words.kept()}))

    def lifetime(self, words: Words) -> None:
        """Read the `valid_lft … preferred_lft …` line of the address above."""
        times = {"valid_lft": "valid_life_time", "preferred_lft": "preferred_life_time"}
        last = self.addresses[-1]
        extra = dict(last.extra)
        for word in iter(words):
            if word in times:
                extra[times[word]] = words.value(lambda v: _FOREVER if v == "forever" else int(v.removesuffix("sec")))
        self.addresses[-1] = HostAddress(last.dev, last.interface, last.scope, extra)

    def link(self) -> Link:
        """Return the row."""
        extra = {**self.extra, **({"lines": tuple(self.lines)} if self.lines else {})}
        return Link(self.name, kind=self.fields.pop("kind", ""), **self.fields, extra=extra)


def parse_addresses(text: str) -> tuple[tuple[Link, ...], tuple[HostAddress, ...]]:
    """Return the devices and their addresses from `ip addr` (or -d). CourseError names a line that fits nowhere."""
    devices: list[_Device] = []
    for number, line in lines_of(text):
        words = Words(line, number, _WHAT)
        first = words.peek()
        if not first:
            continue
        if not line[0].isspace():
            devices.append(_Device(words))
            continue
        if not devices:
            raise words.error("comes before any device")
        device = devices[-1]
        if first.startswith("link/"):
            device.layer(words)
        elif first in ("inet", "inet6"):
            device.address(words)
        elif first == "valid_lft" and device.addresses:
            device.lifetime(words)
        elif first == "altname":
            device.extra.setdefault("altnames", []).append(line.strip().removeprefix("altname "))
        elif first == "alias":
            device.extra["ifalias"] = line.strip().removeprefix("alias ")
        elif device.lines or first.endswith(":") or "link_type" not in device.extra:
            device.lines.append(line)  # statistics, virtual functions: kept as they are
        else:
            device.driver(words)
    return tuple(d.link() for d in devices), tuple(a for d in devices for a in d.addresses)


def parse_links(text: str) -> tuple[Link, ...]:
    """Return the devices of `ip link` or `ip -d link`. CourseError names a line that fits nowhere."""
    return parse_addresses(text)[0]


def _first_line(link: Link, with_mode: bool) -> str:
    extra = link.extra
    at = ""
    if "link_index" in extra:
        at = f"@if{extra['link_index']}"
    elif "link" in extra:
        at = f"@{extra['link'] if extra['link'] is not None else 'NONE'}"
    pieces = [f"mtu {link.mtu} "]
    for key, word in _HEAD.items():
        if key in extra and (key != "linkmode" or with_mode):
            pieces.append(f"{word} {extra[key]}" + ("" if key == "txqlen" else " "))
        if key == "qdisc" and link.master is not None:
            pieces.append(f"master {link.master} ")
    text = weave(pieces, extra.get("head_words"))
    return f"{link.ifindex}: {link.name}{at}: <{','.join(link.flags)}> {text}"


def _second_line(link: Link, details: bool) -> str:
    extra = link.extra
    text = f"    link/{extra.get('link_type', 'ether')} {link.mac or ''}"
    if "broadcast" in extra:
        text += f" {'peer' if 'POINTOPOINT' in link.flags else 'brd'} {extra['broadcast']}"
    text += f" permaddr {extra['permaddr']}" if "permaddr" in extra else ""
    if "link_netns" in extra:
        text += f" link-netns {extra['link_netns']}"
    elif "link_netnsid" in extra:
        text += f" link-netnsid {extra['link_netnsid']}"
    if details and "promiscuity" in extra:
        text += "".join(f" {word} {extra[key]} " if n < 2 else f"{word} {extra[key]} " for n, (key, word) in
                        enumerate(_MIDDLE.items()) if key in extra)  # fmt: skip
    return text + weave([], extra.get("layer_words"))


def format_link(link: Link, details: bool = True, with_mode: bool = True) -> str:
    """Return the device as `ip -d link` prints it (`ip link` without details), the last line break left out."""
    extra = link.extra
    text = f"{_first_line(link, with_mode)}\n{_second_line(link, details)}"
    if details:
        if link.kind:
            text += f"\n    {link.kind} {format_info(link.kind, link.info)}"
        if "info_slave_kind" in extra:
            kind = f"{extra['info_slave_kind']}_slave"
            text += f"\n    {kind} {format_info(kind, extra.get('info_slave_data', {}))}"
        text += "".join(f"{word} {extra[key]} " for key, word in _TAIL.items() if key in extra)
        text += f"{extra['tail_words']} " if "tail_words" in extra else ""
    text += f"\n    alias {extra['ifalias']}" if "ifalias" in extra else ""
    text += "".join(f"\n{line}" for line in extra.get("lines", ()))
    return text + "".join(f"\n    altname {name}" for name in extra.get("altnames", ()))


def format_links(links: Iterable[Link], details: bool = True) -> str:
    """Return the devices as `ip -d link` prints them (`ip link` without details)."""
    return "".join(f"{format_link(link, details)}\n" for link in links)


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


def format_addresses(addresses: Iterable[HostAddress], links: Sequence[Link] = ()) -> str:
    """Return what `ip addr` prints: each of `links` with its addresses, or the addresses alone."""
    rows = list(addresses)
    if not links:
        return "".join(f"{format_address(row)}\n" for row in rows)
    blocks = []
    for link in links:
        mine = [format_address(row) for row in rows if row.dev == link.name]
        plain = {key: value for key, value in link.extra.items() if key not in ("ifalias", "lines")}
        blocks.append("\n".join([format_link(_with_extra(link, plain), False, with_mode=False), *mine]))
    return "".join(f"{block}\n" for block in blocks)


def _with_extra(link: Link, extra: Mapping[str, Any]) -> Link:
    return Link(
        link.name, link.mtu, link.kind, link.mac, link.flags, link.master, link.ifindex, link.peer, link.info, extra
    )


def links_from_json(data: Any) -> tuple[Link, ...]:
    """Return the devices of `ip -j -d link` (parsed JSON; `ip -j addr` has them too)."""
    return tuple(_link_from_json(dict(row)) for row in require_rows(data, _WHAT))


def _link_from_json(row: dict[str, Any]) -> Link:
    name = take_json(row, "ifname", str, _WHAT)
    mtu = take_json(row, "mtu", int, _WHAT)
    flags = take_json(row, "flags", texts, _WHAT) if "flags" in row else ()
    index = take_json(row, "ifindex", int, _WHAT) if "ifindex" in row else 0
    row.pop("addr_info", None)
    info = take_json(row, "linkinfo", _mapping, _WHAT) if "linkinfo" in row else {}
    kind, data = str(info.pop("info_kind", "")), info.pop("info_data", None)
    if data is not None and not isinstance(data, dict):
        data = take_json({"info_data": data}, "info_data", _mapping, _WHAT)
    for key in ("info_slave_data", "info_xstats"):
        if key in info:
            info[key] = take_json(info, key, _mapping, _WHAT)
    if "altnames" in row:
        row["altnames"] = list(take_json(row, "altnames", texts, _WHAT))
    mac, master = row.pop("address", None), row.pop("master", None)
    return Link(name, mtu, kind, mac, flags, master, index, None, data or {}, {**row, **info})


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return dict(value)


_SLAVE_KEYS = ("info_xstats", "info_slave_kind", "info_slave_data", "info_slave_xstats")
_TEXT_ONLY = ("head_words", "layer_words", "tail_words", "lines", "link_netns", "words")


def links_to_json(links: Iterable[Link]) -> list[dict[str, Any]]:
    """Return the devices as `ip -j -d link` prints them."""
    return [_link_to_json(link) for link in links]


def _link_to_json(link: Link) -> dict[str, Any]:
    extra = {key: value for key, value in link.extra.items() if key not in _TEXT_ONLY}
    info = {
        **({"info_kind": link.kind} if link.kind else {}),
        **({"info_data": dict(link.info)} if link.info else {}),
        **{key: extra.pop(key) for key in _SLAVE_KEYS if key in extra},
    }
    return {
        "ifindex": link.ifindex,
        **{key: extra.pop(key) for key in ("link_index", "link") if key in extra},
        "ifname": link.name,
        "flags": list(link.flags),
        "mtu": link.mtu,
        **({"master": link.master} if link.master is not None else {}),
        **({"address": link.mac} if link.mac is not None else {}),
        **extra,
        **({"linkinfo": info} if info else {}),
    }


_ADDR_KEYS = ("qdisc", "operstate", "group", "txqlen", "link_type", "broadcast", "link_netnsid", "link", "link_index",
              "altnames", "permaddr", "link_pointtopoint")  # fmt: skip


def addresses_from_json(data: Any) -> tuple[HostAddress, ...]:
    """Return the addresses of `ip -j addr` (parsed JSON)."""
    rows = []
    for device in require_rows(data, "ip addr"):
        for given in require_rows(device.get("addr_info", []), "addr_info"):
            row = dict(given)
            row.pop("family", None)
            local = take_json(row, "local", lambda v: ip_address(str(v)), "addr_info")
            length = take_json(row, "prefixlen", int, "addr_info")
            interface = take_json({"local": f"{local}/{length}"}, "local", ip_interface, "addr_info")
            rows.append(HostAddress(str(device.get("ifname", "")), interface, str(row.pop("scope", "global")), row))
    return tuple(rows)


def addresses_to_json(addresses: Iterable[HostAddress], links: Iterable[Link]) -> list[dict[str, Any]]:
    """Return what `ip -j addr` prints: every link with its addresses."""
    rows = list(addresses)
    out = []
    for link in links:
        device = _link_to_json(link)
        device = {
            k: v
            for k, v in device.items()
            if k in _ADDR_KEYS or k in ("ifindex", "ifname", "flags", "mtu", "master", "address")
        }
        device["addr_info"] = [_address_to_json(row) for row in rows if row.dev == link.name]
        out.append(device)
    return out


def _address_to_json(row: HostAddress) -> dict[str, Any]:
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
