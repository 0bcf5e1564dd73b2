"""What can be asked of a value in a scenario file: each check returns it, or says in a sentence what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, NoReturn

from coursekit.errors import CourseError

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


class Checks:
    """The checks for one case; `where` names it in the sentences."""

    def __init__(self, case: object, number: int) -> None:
        self.where = f"Case {number}"
        if not isinstance(case, dict):
            self.wrong(f"is {shown(case)}, where an object with routers and sessions was expected")
        self.case: dict[str, Any] = case
        self.id = str(case.get("id", number))[:60]
        self.where = f"Case {self.id}"

    def wrong(self, what: str) -> NoReturn:
        """Give up with a sentence about this case."""
        raise CourseError(f"{self.where} {what}.")

    def items(self, key: str) -> list[dict[str, Any]]:
        """Return a list of objects, not too long a one."""
        found = self.case.get(key) or []
        if not isinstance(found, list):
            self.wrong(f"has {key} = {shown(found)}, where a list was expected")
        if len(found) > MOST[key]:
            self.wrong(f"has {len(found):,} {key}; the simulator takes at most {MOST[key]:,} from a scenario file")
        for item in found:
            if not isinstance(item, dict):
                self.wrong(f"has {shown(item)} among its {key}, where an object was expected")
        return found

    def text(self, item: Mapping[str, Any], key: str, place: str) -> str:
        """Return a name."""
        value = item.get(key)
        if not isinstance(value, str) or not value or len(value) > 200:
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
            parsed = ip_address(value)
        except ValueError:
            self.wrong(f"{what} = {shown(value)} is no address")
        if ipv4 and (not isinstance(parsed, IPv4Address) or int(parsed) == 0):
            self.wrong(f"{what} = {shown(value)} is no BGP identifier: four numbers as in 192.0.2.1, not 0.0.0.0")
        return str(parsed)

    def prefix(self, value: object, place: str) -> str:
        """Return a prefix in canonical form."""
        try:
            if not isinstance(value, str):
                raise ValueError("a prefix is text such as 10.65.1.0/26")
            return str(ip_network(value))
        except ValueError as error:
            self.wrong(f"{place} has prefix = {shown(value)}: {error}")

    def known(self, value: object, place: str, among: Mapping[str, object], kind: str) -> str:
        """Return a name that is one of those there are."""
        if not isinstance(value, str) or value not in among:
            names = ", ".join(list(among)[:12]) + (", …" if len(among) > 12 else "")
            self.wrong(f"{place} names {kind} {shown(value)}, which there is not; there are {names or 'none'}")
        return value
