"""`ip link` and `ip addr` printed, and both as JSON (print_linkinfo() in iproute2's ip/ipaddress.c)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coursekit.cluster.iproute2.addresses import address_from_json, address_to_json, format_address
from coursekit.cluster.iproute2.drivers import format_info
from coursekit.cluster.iproute2.words import require_rows, take_json, texts, weave
from coursekit.cluster.tables import HostAddress, Link

# JSON key -> the word that stands before its value in the text: first line, second line, end of the last line
HEAD = {"qdisc": "qdisc", "operstate": "state", "linkmode": "mode", "group": "group", "txqlen": "qlen"}
MIDDLE = {"promiscuity": "promiscuity", "allmulti": "allmulti", "min_mtu": "minmtu", "max_mtu": "maxmtu"}
TAIL = {
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
TAIL_WORDS = {word: key for key, word in TAIL.items()}
WHAT = "ip -d link"


def _first_line(link: Link, with_mode: bool) -> str:
    extra = link.extra
    at = ""
    if "link_index" in extra:
        at = f"@if{extra['link_index']}"
    elif "link" in extra:
        at = f"@{extra['link'] if extra['link'] is not None else 'NONE'}"
    pieces = [f"mtu {link.mtu} "]
    for key, word in HEAD.items():
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
                        enumerate(MIDDLE.items()) if key in extra)  # fmt: skip
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
        text += "".join(f"{word} {extra[key]} " for key, word in TAIL.items() if key in extra)
        text += f"{extra['tail_words']} " if "tail_words" in extra else ""
    text += f"\n    alias {extra['ifalias']}" if "ifalias" in extra else ""
    text += "".join(f"\n{line}" for line in extra.get("lines", ()))
    return text + "".join(f"\n    altname {name}" for name in extra.get("altnames", ()))


def format_links(links: Iterable[Link], details: bool = True) -> str:
    """Return the devices as `ip -d link` prints them (`ip link` without details)."""
    return "".join(f"{format_link(link, details)}\n" for link in links)


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
    return tuple(_link_from_json(dict(row)) for row in require_rows(data, WHAT))


def _link_from_json(row: dict[str, Any]) -> Link:
    name = take_json(row, "ifname", str, WHAT)
    mtu = take_json(row, "mtu", int, WHAT)
    flags = take_json(row, "flags", texts, WHAT) if "flags" in row else ()
    index = take_json(row, "ifindex", int, WHAT) if "ifindex" in row else 0
    row.pop("addr_info", None)
    info = take_json(row, "linkinfo", _mapping, WHAT) if "linkinfo" in row else {}
    kind, data = str(info.pop("info_kind", "")), info.pop("info_data", None)
    if data is not None and not isinstance(data, dict):
        data = take_json({"info_data": data}, "info_data", _mapping, WHAT)
    for key in ("info_slave_data", "info_xstats"):
        if key in info:
            info[key] = take_json(info, key, _mapping, WHAT)
    if "altnames" in row:
        row["altnames"] = list(take_json(row, "altnames", texts, WHAT))
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
    return tuple(
        address_from_json(row, str(device.get("ifname", "")))
        for device in require_rows(data, "ip addr")
        for row in require_rows(device.get("addr_info", []), "addr_info")
    )


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
        device["addr_info"] = [address_to_json(row) for row in rows if row.dev == link.name]
        out.append(device)
    return out
