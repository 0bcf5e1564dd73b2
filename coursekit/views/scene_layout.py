"""Where the hosts of a journey and their devices stand: side by side in the order of the path, tunnels a floor up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coursekit.views.letters import cut, width

WIDTH = 760.0  # pixels of a scene with up to five hosts; it is never drawn smaller than this
LOWER, UPPER, BOTTOM = 120.0, 74.0, 151.0  # the middles of both floors, and where hosts end
CHIP = 24.0  # how tall a device is
_PAD, _BETWEEN, _GAP, _WIDER = 9.0, 15.0, 16.0, 34.0
_TUNNELS = ("flannel.", "vxlan", "tunl")
Key = tuple[str, str]  # host, device


@dataclass(frozen=True)
class Chip:
    """A device: its middle and its width in pixels."""

    key: Key
    label: str
    x: float
    y: float
    wide: float


@dataclass(frozen=True)
class Room:
    """A host: its box, its name and what stands beside it."""

    host: str
    label: str
    note: str
    x: float
    y: float
    wide: float


@dataclass(frozen=True)
class Layout:
    """The places of a scene, `width` pixels wide."""

    rooms: tuple[Room, ...]
    chips: dict[Key, Chip]
    width: float


def layout(stops: Sequence[dict[str, Any]], notes: dict[str, str]) -> Layout:
    """Place the hosts and devices of some stops; `notes` are the hosts' addresses."""
    floors = {host: _floors(host, stops) for host in dict.fromkeys(stop["host"] for stop in stops)}
    wides = {host: _host_width(host, floors[host], notes.get(host, "")) for host in floors}
    natural = sum(wides.values()) + _GAP * (len(wides) - 1) + 8
    whole = max(WIDTH, natural)
    gap = _GAP + min(_WIDER, (whole - natural) / max(1, len(wides) - 1))
    spare = whole - sum(wides.values()) - gap * (len(wides) - 1) - 8
    more = min(40.0, spare / max(1, len(wides)))
    left = 4 + (spare - more * len(wides)) / 2
    rooms: list[Room] = []
    chips: dict[Key, Chip] = {}
    for host, (lower, upper) in floors.items():
        wide = wides[host] + more
        top = 8.0 if upper else 46.0
        note = notes.get(host, "")
        rooms.append(Room(host, cut(host, wide - 14, 13, bold=True), note, left, top, wide))
        ground = _row(host, lower, LOWER, left, wide)
        chips.update(ground)
        chips.update(_row(host, upper, UPPER, left, wide, _between(host, lower, upper, ground, stops)))
        left += wide + gap
    return Layout(tuple(rooms), chips, whole)


def _floors(host: str, stops: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the devices at the level of the cable, and those above it: tunnels, or what lies between many ports."""
    own = [stop for stop in stops if stop["host"] == host]
    devices = list(dict.fromkeys(stop["device"] for stop in own))
    tunnels = {stop["device"] for stop in own if stop["action"] in ("encapsulates", "decapsulates")}
    upper = [name for name in devices if name in tunnels or name.startswith(_TUNNELS)]
    if not upper and len(devices) > 3:
        upper = devices[1:-1]
    return [name for name in devices if name not in upper], upper


def _chip_width(device: str) -> float:
    return max(34.0, width(cut(device, 66, 12), 12) + 14)


def _host_width(host: str, floors: tuple[list[str], list[str]], note: str) -> float:
    rows = (sum(map(_chip_width, row)) + _BETWEEN * (len(row) - 1) for row in floors if row)
    title = min(width(host, 13, bold=True), 110)
    beside = width(note, 11) + 8 if floors[1] else 0
    return max(*rows, 0, title + beside, width(note, 11) if not floors[1] else 0) + 2 * _PAD


def _between(
    host: str, lower: list[str], upper: list[str], ground: dict[Key, Chip], stops: Sequence[dict[str, Any]]
) -> float | None:
    """Return the middle between the devices that a packet passes before and after those upstairs, if there are two."""
    order = list(dict.fromkeys(stop["device"] for stop in stops if stop["host"] == host))
    before = [name for name in order[: order.index(upper[0])] if name in lower] if upper else []
    after = [name for name in order[order.index(upper[-1]) :] if name in lower] if upper else []
    return (ground[host, before[-1]].x + ground[host, after[0]].x) / 2 if before and after else None


def _row(
    host: str, devices: list[str], y: float, left: float, wide: float, middle: float | None = None
) -> dict[Key, Chip]:
    """Return a floor's devices: spread over the host, or side by side around `middle`."""
    wides = [_chip_width(device) for device in devices]
    room = wide - 2 * _PAD - sum(wides)
    gap = room / max(1, len(devices) - 1) if y == LOWER else _BETWEEN
    taken = sum(wides) + gap * (len(devices) - 1)
    x = (left + wide / 2 if middle is None else middle) - taken / 2
    x = min(max(x, left + _PAD), left + wide - _PAD - taken)
    chips = {}
    for device, broad in zip(devices, wides, strict=True):
        chips[host, device] = Chip((host, device), cut(device, 66, 12), x + broad / 2, y, broad)
        x += broad + gap
    return chips
