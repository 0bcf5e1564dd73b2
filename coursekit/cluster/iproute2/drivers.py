"""The driver's part of `ip -d link`: how each kind of device writes its settings, as words and as JSON keys.

One table per kind, after the print_opt() functions of iproute2 (ip/iplink_vxlan.c, iplink_bridge.c,
iplink_bridge_slave.c, link_iptnl.c). Kinds without a table are printed key by key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coursekit.cluster.iproute2.words import Words

# word style: how a value is written after its word
_PLAIN, _ONOFF, _TIMER, _EITHER, _IF_FALSE, _IF_TRUE = "plain", "on/off", "timer", "either", "if false", "if true"
_Spec = Mapping[str, tuple[str, str]]  # JSON key -> (word, style)


def _same(names: str, style: str = _PLAIN) -> dict[str, tuple[str, str]]:
    return {name: (name, style) for name in names.split()}


_VXLAN: _Spec = {
    **_same("external vnifilter", _IF_TRUE),
    **_same("id group remote local"),
    "group6": ("group", _PLAIN),
    "remote6": ("remote", _PLAIN),
    "local6": ("local", _PLAIN),
    "link": ("dev", _PLAIN),
    "port_range": ("srcport", "two numbers"),
    "port": ("dstport", _PLAIN),
    "learning": ("learning", _IF_FALSE),
    **_same("proxy rsc l2miss l3miss gbp gpe localbypass mcroute", _IF_TRUE),
    "tos": ("tos", "tos"),
    "ttl": ("ttl", "ttl auto"),
    "df": ("df", "unless unset"),
    "label": ("flowlabel", _PLAIN),
    "ageing": ("ageing", "none if 0"),
    "limit": ("maxaddr", _PLAIN),
    "udp_csum": ("udpcsum", _EITHER),
    "udp_zero_csum6_tx": ("udp6zerocsumtx", _EITHER),
    "udp_zero_csum6_rx": ("udp6zerocsumrx", _EITHER),
    "remcsum_tx": ("remcsumtx", _IF_TRUE),
    "remcsum_rx": ("remcsumrx", _IF_TRUE),
}
_IPIP: _Spec = {
    "external": ("external", _IF_TRUE),
    "proto": ("", "bare"),
    **_same("remote local"),
    "link": ("dev", _PLAIN),
    "ttl": ("ttl", "ttl inherit"),
    "tos": ("tos", "tos"),
    "pmtudisc": ("pmtudisc", _EITHER),
}
_BRIDGE: _Spec = {
    **_same("forward_delay hello_time max_age ageing_time stp_state priority vlan_filtering vlan_protocol bridge_id"),
    "root_id": ("designated_root", _PLAIN),
    **_same("root_port root_path_cost topology_change topology_change_detected"),
    **_same("hello_timer tcn_timer topology_change_timer gc_timer", _TIMER),
    **_same("fdb_n_learned fdb_max_learned vlan_default_pvid vlan_stats_enabled vlan_stats_per_port group_fwd_mask"),
    "group_addr": ("group_address", _PLAIN),
    **_same("mcast_snooping no_linklocal_learn mcast_vlan_snooping mst_enabled mcast_router mcast_query_use_ifaddr"),
    **_same("mcast_querier mcast_hash_elasticity mcast_hash_max"),
    "mcast_last_member_cnt": ("mcast_last_member_count", _PLAIN),
    "mcast_startup_query_cnt": ("mcast_startup_query_count", _PLAIN),
    "mcast_last_member_intvl": ("mcast_last_member_interval", _PLAIN),
    "mcast_membership_intvl": ("mcast_membership_interval", _PLAIN),
    "mcast_querier_intvl": ("mcast_querier_interval", _PLAIN),
    "mcast_query_intvl": ("mcast_query_interval", _PLAIN),
    "mcast_query_response_intvl": ("mcast_query_response_interval", _PLAIN),
    "mcast_startup_query_intvl": ("mcast_startup_query_interval", _PLAIN),
    **_same("mcast_stats_enabled mcast_igmp_version mcast_mld_version"),
    **_same("nf_call_iptables nf_call_ip6tables nf_call_arptables"),
}
_BRIDGE_SLAVE: _Spec = {
    **_same("state priority cost"),
    **_same("hairpin guard root_block fastleave learning flood", _ONOFF),
    "id": ("port_id", _PLAIN),
    "no": ("port_no", _PLAIN),
    **_same("designated_port designated_cost"),
    "bridge_id": ("designated_bridge", _PLAIN),
    "root_id": ("designated_root", _PLAIN),
    **_same("hold_timer message_age_timer forward_delay_timer", _TIMER),
    **_same("topology_change_ack config_pending"),
    **_same("proxy_arp proxy_arp_wifi", _ONOFF),
    "multicast_router": ("mcast_router", _PLAIN),
    # JSON has no key of its own for the fast leave that the text repeats under another name
    "mcast_fast_leave": ("mcast_fast_leave", _ONOFF),
    **_same("mcast_flood bcast_flood mcast_to_unicast neigh_suppress neigh_vlan_suppress", _ONOFF),
    **_same("group_fwd_mask group_fwd_mask_str"),
    **_same("vlan_tunnel isolated locked mab", _ONOFF),
}
_SPECS: Mapping[str, _Spec] = {"vxlan": _VXLAN, "ipip": _IPIP, "bridge": _BRIDGE, "bridge_slave": _BRIDGE_SLAVE}
_NUMBERS_STAY_TEXT = {"group_fwd_mask", "tos", "id_hex"}


def parse_info(kind: str, words: Words, stream: Any, stop: Callable[[str], bool]) -> tuple[dict[str, Any], str]:
    """Read a driver's words until `stop`; return the settings under their JSON keys and the word that stopped."""
    spec = _SPECS.get(kind, {})
    by_word = {word: (key, style) for key, (word, style) in spec.items() if not key.endswith("6")}
    info: dict[str, Any] = {}
    for word in stream:
        if stop(word):
            return info, word
        bare = word.removeprefix("no")
        if word in by_word:
            key, style = by_word[word]
            _read(info, key, style, word, words, stream)
        elif bare != word and bare in by_word and by_word[bare][1] in (_EITHER, _IF_FALSE):
            info[by_word[bare][0]] = False
        elif kind == "ipip" and not info and word in ("any", "ipip", "ip6ip", "mplsip"):
            info["proto"] = word
        else:
            _keep(info, word)
    return info, ""


def _keep(info: dict[str, Any], word: str) -> None:
    """Keep an unknown word where it stands: the dictionary's order is the order of the words."""
    last = next(reversed(info), "")
    if last.startswith("words"):
        info[last] = f"{info[last]} {word}"
    else:
        info[f"words{len(info)}"] = word


def _read(info: dict[str, Any], key: str, style: str, word: str, words: Words, stream: Any) -> None:
    if style in (_EITHER, _IF_TRUE, _IF_FALSE):
        info[key] = True
        return
    value = words.value()
    if style == "two numbers":
        info[key] = {"low": _number(value), "high": words.value(int)}
    elif style == _TIMER:
        info[key] = float(value)
    elif style == _ONOFF:
        info[key] = value == "on"
    elif (style, value) in (("ttl auto", "auto"), ("ttl inherit", "inherit"), ("none if 0", "none")):
        info[key] = 0
    elif style == "tos":
        info[key] = "0x1" if value == "inherit" else value
    elif key in ("local", "remote", "group") and ":" in value:
        info[f"{key}6"] = value
    else:
        info[key] = value if key in _NUMBERS_STAY_TEXT else _number(value)


def _number(value: str) -> int | str:
    return int(value) if value.isdecimal() else value


def format_info(kind: str, info: Mapping[str, Any]) -> str:
    """Return a driver's settings as `ip -d link` writes them, in the order in which they stand."""
    spec = _SPECS.get(kind, {})
    out = []
    for key, value in info.items():
        if key.startswith("words"):
            out.append(f"{value} ")
            continue
        word, style = spec.get(key, (key, _PLAIN))
        out.append(_write(word, style, value))
        if kind == "bridge_slave" and key == "multicast_router" and "mcast_fast_leave" not in info:
            out.append(f"mcast_fast_leave {_onoff(info.get('fastleave', False))} ")
    return "".join(out)


def _write(word: str, style: str, value: Any) -> str:
    if style in (_EITHER, _IF_FALSE, _IF_TRUE):
        shown = style == _EITHER or bool(value) == (style == _IF_TRUE)
        return f"{'' if value else 'no'}{word} " if shown else ""
    if style == "bare":
        return f"{value} "
    if style == "two numbers" and isinstance(value, Mapping):
        return f"{word} {value.get('low')} {value.get('high')} "
    if style == _TIMER and isinstance(value, int | float):
        return f"{word} {value:7.2f} "
    if style == "unless unset" and value == "unset":
        return ""
    if value == 0 and style in ("ttl auto", "ttl inherit", "none if 0"):
        return f"{word} {style.split()[1] if style != 'none if 0' else 'none'} "
    if style == "tos" and value == "0x1":
        return f"{word} inherit "
    if isinstance(value, bool):
        return f"{word} {_onoff(value)} "
    if isinstance(value, list):  # flags of a vlan: <REORDER_HDR>
        return f"<{','.join(map(str, value))}> "
    return f"{word} {value} "


def _onoff(value: object) -> str:
    return "on" if value else "off"
