"""What can be asked of a value in a scenario file: each check returns it, or says in a sentence what is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, NoReturn

from coursekit.bgp.profiles import PROFILES
from coursekit.bgp.scenario_keys import EXPECTED, ITEMS, MISSING, ROUTE
from coursekit.errors import CourseError
from coursekit.keys import FREE, check_keys

MOST = {"cases": 1_000, "routers": 10_000, "lans": 10_000, "links": 200_000, "sessions": 200_000, "originate": 50_000,
        "steps": 1_000}  # fmt: skip
MOST_ROUTES = 2_000_000  # routers times prefixes


def shown(value: object) -> str:
    """Return a value as it stood in the file, cut short."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def plain(value: object) -> str:
    """Return any value as text that can be printed: half a character, as JSON may hold one, becomes a question mark."""
    return str(value).encode("utf-8", "replace").decode()


_address = cache(ip_address)  # a session's stand in its routers and subnets too
_written = cache(str)


def lists(value: object) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


class Checks:
    """The checks for one case; `where` names it in the sentences."""

    def __init__(self, case: object, number: int) -> None:
        self.where = f"Case {number}"
        if not isinstance(case, dict):
            self.wrong(f"is {shown(case)}, where an object with routers and sessions was expected")
        self.case: dict[str, Any] = case
        self.routers: dict[str, Any] = {}  # by name, as they are read
        self.id = plain(case.get("id", number))[:60]
        self.where = f"Case {self.id}"

    def wrong(self, what: str) -> NoReturn:
        """Give up with a sentence about this case."""
        raise CourseError(plain(f"{self.where} {what}."))

    def keys(self, item: Mapping[str, Any], allowed: Collection[str], place: str = "") -> None:
        """Refuse an object with a key that is not allowed there."""
        check_keys(item, allowed, f"{self.where} {place}".rstrip(), MISSING)

    def items(self, key: str) -> list[dict[str, Any]]:
        """Return a list of objects, not too long a one."""
        found = self.case.get(key) or []
        if not isinstance(found, list):
            self.wrong(f"has {key} = {shown(found)}, where a list was expected")
        if len(found) > MOST[key]:
            self.wrong(f"has {len(found):,} {key}; the simulator takes at most {MOST[key]:,} from a scenario file")
        for number, item in enumerate(found):
            if not isinstance(item, dict):
                self.wrong(f"has {shown(item)} among its {key}, where an object was expected")
            self.keys(item, ITEMS[key], f"{key}[{number}]")
        return found

    def text(self, item: Mapping[str, Any], key: str, place: str) -> str:
        """Return a name."""
        value = item.get(key)
        if not isinstance(value, str) or not value or len(value) > 200 or not value.isprintable():
            self.wrong(f"{place} has {key} = {shown(value)}, where a name was expected")
        return value

    def number(self, item: Mapping[str, Any], key: str, place: str, low: int, high: int,
               default: int | None = None) -> int:  # fmt: skip
        """Return a whole number within bounds."""
        value = item.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.wrong(f"{place} has {key} = {shown(value)}, where a number from {low:,} to {high:,} was expected")
        return value

    def flag(self, item: Mapping[str, Any], key: str, place: str) -> bool:
        """Return true or false."""
        value = item.get(key, False)
        if not isinstance(value, bool):
            self.wrong(f"{place} has {key} = {shown(value)}, where true or false was expected")
        return value

    def address(self, value: object, what: str, ipv4: bool = False) -> str:
        """Return an address in canonical form; with `ipv4` one that can be a BGP identifier."""
        try:
            if not isinstance(value, str):
                raise ValueError
            parsed = _address(value)
        except ValueError:
            self.wrong(f"{what} = {shown(value)} is no address")
        if ipv4 and (not isinstance(parsed, IPv4Address) or int(parsed) == 0):
            self.wrong(f"{what} = {shown(value)} is no BGP identifier: four numbers as in 192.0.2.1, not 0.0.0.0")
        return _written(parsed)

    def prefix(self, value: object, place: str) -> str:
        """Return a prefix in canonical form."""
        try:
            if not isinstance(value, str):
                raise ValueError("a prefix is text such as 10.65.1.0/26")
            return str(ip_network(value))
        except ValueError as error:
            self.wrong(f"{place} has prefix = {shown(value)}: {error}")

    def known(self, value: object, place: str, among: Mapping[str, object], kind: str) -> str:
        """Return a name that is one of those there are; an id that is a number is known by its digits."""
        if isinstance(value, int) and not isinstance(value, bool) and kind in ("session", "link"):
            value = str(value)
        if not isinstance(value, str) or value not in among:
            names = ", ".join(list(among)[:12]) + (", …" if len(among) > 12 else "")
            self.wrong(f"{place} names {kind} {shown(value)}, which there is not; there are {names or 'none'}")
        return value

    # ---- what a step expects ---------------------------------------------------------------------------------------

    def expectations(self, step: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return what a step expects, each in a form that can be compared; null expects nothing."""
        expect = {key: step[key] for key in EXPECTED if step.get(key) is not None}
        for key, value in expect.items():
            where = f"{place}: {key}"
            if key == "rib":
                self.rib(value, where)
            elif key == "rib_override":
                self.keys({name.partition("-")[0]: name for name in self.table(value, where)}, PROFILES, where)
                for profile, rib in value.items():
                    if profile not in FREE:
                        self.rib(rib, f"{where} for {shown(profile)}")
            elif key == "rib_any_of":
                choices = list(value.values()) if isinstance(value, dict) else value
                if not isinstance(choices, list):
                    self.wrong(f"{where} is {shown(value)}, where a list of tables was expected")
                for choice in choices:
                    if isinstance(choice, dict):
                        self.keys(choice, ("rib",) if "rib" in choice else ("rib", *self.routers), where)
                    self.rib(choice.get("rib", choice) if isinstance(choice, dict) else choice, where)
            elif key == "fib":
                for router, rows in self.table(value, where).items():
                    self.known(router, where, self.routers, "router")
                    for destination, hop in self.table(rows, f"{where} of {shown(router)}").items():
                        self.prefix(destination, f"{where} of {shown(router)}")
                        if not (hop is None or isinstance(hop, str) or lists(hop)):
                            self.wrong(f"{where} is to hold {shown(hop)}, where next hops were expected")
            elif key == "stale_during":
                for router in value if isinstance(value, dict | list) else ():
                    self.known(router, where, self.routers, "router")
                rows = value.values() if isinstance(value, dict) else [value]
                if not all(isinstance(row, bool | int | str) or row is None or lists(row) for row in rows):
                    self.wrong(f"{where} is {shown(value)}, where routers with prefixes were expected")
            elif key == "converges" and not isinstance(value, bool):
                self.wrong(f"{where} is {shown(value)}, where true or false was expected")
            elif key in ("sessions", "max_as_path_len_accepted") or key.startswith("updates"):
                self.number(expect, key, place, 0, 10**12)
        return expect

    def table(self, value: object, place: str) -> dict[str, Any]:
        """Return an object."""
        if not isinstance(value, dict):
            self.wrong(f"{place} is {shown(value)}, where an object was expected")
        return value

    def rib(self, value: object, place: str) -> None:
        """Check a table of routes: {router: {prefix: route}}."""
        for router, rows in self.table(value, place).items():
            self.known(router, place, self.routers, "router")
            for prefix, route in self.table(rows, f"{place} of {shown(router)}").items():
                self.prefix(prefix, f"{place} of {shown(router)}")
                if route is None:
                    continue
                about = f"{place} of {shown(router)}, {shown(prefix)}"
                self.keys(self.table(route, about), ROUTE, f"{about}:")
                for key, attribute in route.items():
                    if key in ("next_hop_any_of", "multipath_from") and not lists(attribute):
                        self.wrong(f"{about} has {key} = {shown(attribute)}, where a list of names was expected")
