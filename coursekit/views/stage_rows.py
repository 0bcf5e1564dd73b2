"""What stands under the drawing at one stop: a sentence, and the rows that decided with what each of them wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coursekit.views.twin import count, escape

_COMMANDS = {
    "route": "ip route", "neigh": "ip neigh", "fdb": "bridge fdb", "tunnel": "ip -d link", "local": "local address",
    "port": "UDP port", "vni": "VNI", "protocol": "IP protocol", "bridge": "bridge", "filter": "iptables",
    "nat": "iptables -t nat", "mtu": "MTU",
}  # fmt: skip
_FIELDS = {"eth.dst": "Ethernet, destination", "ip.dst": "IPv4, destination", "ipv6.dst": "IPv6, destination"}
Stop = dict[str, Any]


def status_html(stops: Sequence[Stop], place: int, total: int, end: str = "") -> str:
    """Return where the packet is, how long it is and what happens; `end`, as HTML, says it of the last stop."""
    stop = stops[place]
    before = stops[place - 1]["size"] if place else 0
    grown = stop["size"] - before if stop["size"] and before else 0
    size = f" · {count(stop['size'], 'byte')}" if stop["size"] else ""
    change = f" ({'+' if grown > 0 else '−'}{abs(grown)})" if grown else ""
    where = escape(f"{stop['host']}:{stop['device']}")
    return f"<b>Stop {stop['n']} of {total} · {where}{size}{change}</b> · {end or escape(stop['note'])}"


def rows_html(stop: Stop) -> str:
    """Return the table of the rows that decided at a stop."""
    if not stop["decisions"]:
        return "<p class=ck-none>No table is asked at this stop.</p>"
    rows = "".join(_row(decision, stop) for decision in stop["decisions"])
    names = ("asked", "the row that decides", "what it writes")
    head = "".join(f"<th scope=col style=text-align:left>{name}" for name in names)
    return f'<table class=ck-decided aria-label="Rows that decide"><thead><tr>{head}<tbody>{rows}</table>'


def _row(decision: dict[str, str], stop: Stop) -> str:
    command = _COMMANDS.get(decision["table"], decision["table"])
    reason = f"<br><small>{escape(decision['reason'])}</small>" if decision["reason"] else ""
    kind = "ck-hit" if decision["row"] != "no row" else "ck-miss"
    row = escape(decision["row"]) if kind == "ck-hit" else "✕ no row"
    return (
        f"<tr class={kind}><th scope=row style=text-align:left>{escape(command)}<br><small>{escape(decision['asked'])}"
        f"</small><td style=text-align:left><code>{row}</code>{reason}"
        f"<td style=text-align:left>{_wrote(decision, stop)}"
    )


def _wrote(decision: dict[str, str], stop: Stop) -> str:
    if not decision["sets"] or decision["row"] == "no row":
        return ""
    name = _FIELDS.get(decision["sets"], decision["sets"])
    if stop["action"] == "encapsulates":
        name = ("inner " if decision["sets"].startswith("eth") else "outer ") + name
    value = f"<br><code>{escape(decision['value'])}</code>" if decision["value"] else ""
    return f"{escape(name)}{value}"
