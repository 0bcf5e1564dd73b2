"""Reading scenario files, and saying in a sentence what is wrong with one, before anything of it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any, get_args

from coursekit.bgp.igp import Subnet
from coursekit.bgp.network import Death
from coursekit.bgp.route import ORIGINS, WELL_KNOWN, Attributes
from coursekit.bgp.scenario import ACTIONS, OPTIONAL, Origination, Router, Scenario, Session, Step
from coursekit.bgp.scenario_checks import MOST, MOST_ROUTES, Checks, lists, plain, shown
from coursekit.bgp.scenario_keys import ACTION, CASE, FILE, check_form
from coursekit.bgp.session import NUMBERS, ROLES, Options
from coursekit.errors import CourseError
from coursekit.keys import FREE, check_keys, load_json

FEATURES = {"add-path", "graceful-restart"}
_FLAGS = {"rr_client", "next_hop_self", "as_override", "add_path"}


def load(path: str | Path) -> list[Scenario]:
    """Read every case of a file. CourseError if it cannot be read, is no JSON, or holds a scenario that is wrong."""
    return parse(decoded(path))


def decoded(path: str | Path) -> object:
    """Return what a JSON file holds. CourseError if it cannot be read, is no JSON, or has a key twice."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}. Give the path of a scenario file.") from None
    return load_json(text, str(path))


def parse(data: object, wrong: list[CourseError] | None = None) -> list[Scenario]:
    """Return the scenarios of a decoded file: an object with `cases`, or a single case.

    What is wrong raises CourseError. If a list is given the error goes there and the other scenarios are returned; the
    closed forms are then the caller's to check.
    """
    if isinstance(data, dict) and "cases" not in data:
        if "routers" in data:
            data = {key: data[key] for key in FILE if key in data} | {
                "cases": [{key: value for key, value in data.items() if key not in FILE}]}  # fmt: skip
        elif "parametric" in data:
            data = data | {"cases": []}
        else:
            check_keys(data, (*FILE, *CASE), "The file")
    if not isinstance(data, dict) or not isinstance(data.get("cases"), list):
        raise CourseError("A scenario file is a JSON object with a list of `cases`; this is something else.")
    check_keys(data, FILE, "The file")
    if data.get("schema_version", 1) != 1:
        raise CourseError(f"The file has schema_version = {shown(data['schema_version'])}; this program reads 1.")
    if len(data["cases"]) > MOST["cases"]:
        raise CourseError(f"The file has {len(data['cases']):,} cases; one file may hold {MOST['cases']:,}.")
    forms = data.get("parametric")
    for form in forms if wrong is None and isinstance(forms, list) else ():
        if isinstance(form, dict):
            check_form(form)
    scenarios: dict[str, Scenario] = {}
    for number, case in enumerate(data["cases"], 1):
        try:
            scenario = _Reader(case, number).scenario()
            if scenario.id in scenarios:
                raise CourseError(f"Case id {scenario.id} is used twice; every case needs its own.")
            scenarios[scenario.id] = scenario
        except CourseError as error:
            if wrong is None:
                raise
            wrong.append(error)
    return list(scenarios.values())


class _Reader(Checks):
    """Reads one case."""

    def __init__(self, case: object, number: int) -> None:
        super().__init__(case, number)
        self.subnets: dict[str, Subnet] = {}
        self.addresses: dict[str, str] = {}  # who has them
        self.ids: dict[tuple[int, str], str] = {}  # who has which router id in an AS
        self.sessions: dict[str, Session] = {}

    def claim(self, address: str, router: str, place: str) -> None:
        if self.addresses.setdefault(address, router) != router:
            self.wrong(f"{place} gives {address} to {router}, but {self.addresses[address]} has it already")

    # ---- the network -----------------------------------------------------------------------------------------------

    def scenario(self) -> Scenario:
        requires = self.case.get("requires") or []
        if not isinstance(requires, list) or not all(isinstance(feature, str) for feature in requires):
            self.wrong(f"has requires = {shown(requires)}, where a list of features was expected")
        if not FEATURES.issuperset(requires):  # what it says further on is beyond us
            return Scenario(self.id, (), (), title=plain(self.case.get("title", "")), requires=tuple(requires))
        self.keys(self.case, CASE)
        observed = self.table(self.case.get("observed") or {}, "observed")
        if not all(lists(steps) for steps in observed.values()):
            self.wrong(f"has observed = {shown(observed)}, where lists of match or differs by daemon were expected")
        if not isinstance(self.case.get("routers"), list) or not self.case["routers"]:
            self.wrong("has no routers; a scenario needs at least one")
        for item in self.items("routers"):
            self.router(item)
        for item in self.items("lans"):
            self.lan(item)
        for item in self.items("links"):
            self.link(item)
        for router in self.routers.values():
            if router.router_id not in self.addresses:
                self.addresses[router.router_id] = router.name
        pairs: dict[tuple[str, str], str] = {}
        for item in self.items("sessions"):
            session = self.session(item)
            pair = min(session.a_addr, session.b_addr), max(session.a_addr, session.b_addr)
            if pair in pairs:
                self.wrong(f"has duplicate sessions {pairs[pair]} and {session.id}, both from {pair[0]} to {pair[1]}")
            pairs[pair] = session.id
        originate: list[Origination] = []
        seen = set()
        for item in self.items("originate"):
            originate.append(self.origination(item, "originate"))
            if (key := originate[-1][:2]) in seen:
                self.wrong(f"lets {key[0]} originate {key[1]} twice")
            seen.add(key)
        prefixes = len({o.prefix for o in originate})
        if prefixes * len(self.routers) > MOST_ROUTES:
            self.wrong(f"has {len(self.routers):,} routers and {prefixes:,} prefixes; the simulator holds at most "
                       f"{MOST_ROUTES:,} best routes, and beyond that coursekit.bgp.groups has to be asked")
        return Scenario(self.id, tuple(self.routers.values()), tuple(self.sessions.values()),
                        tuple(self.subnets.values()), tuple(originate), self.steps(), plain(self.case.get("title", "")),
                        tuple(requires))  # fmt: skip

    def router(self, item: dict[str, Any]) -> None:
        name = self.text(item, "name", "a router")
        place = f"router {name}"
        if name in self.routers:
            self.wrong(f"has two routers called {name}")
        if item.get("asn") == 0:
            self.wrong(f"{place} has AS 0, which nobody may use (RFC 7607); give it a number from 1 to 4,294,967,295")
        asn = self.number(item, "asn", place, 1, 2**32 - 1)
        router_id = self.address(item.get("router_id"), f"{place}: router_id", ipv4=True)
        if (other := self.ids.setdefault((asn, router_id), name)) != name:
            self.wrong(f"gives routers {other} and {name} of AS {asn} the same router_id {router_id}")
        cluster = item.get("cluster_id")
        if isinstance(cluster, int) and not isinstance(cluster, bool) and 0 < cluster < 2**32:
            cluster = str(IPv4Address(cluster))
        cluster_id = router_id if cluster is None else self.address(cluster, f"{place}: cluster_id", ipv4=True)
        self.routers[name] = Router(name, asn, router_id, cluster_id, self.number(item, "max_paths", place, 1, 1024, 1))

    def subnet(self, item: dict[str, Any], kind: str, members: dict[str, str], length: int, cost: int) -> None:
        name = plain(item.get("id") or f"{kind}{len(self.subnets) + 1}")
        place = f"{kind} {name}"
        if name in self.subnets:
            self.wrong(f"has two links or LANs called {name}")
        addresses = {router: self.address(at, f"{place}: the address of {router}") for router, at in members.items()}
        bits = {ip_address(address).max_prefixlen for address in addresses.values()}
        prefix_len = self.number(item, "prefix_len", place, 0, min(bits), length)
        networks = {ip_network(f"{address}/{prefix_len}", strict=False) for address in addresses.values()}
        if len(bits) > 1 or len(networks) > 1:
            self.wrong(f"{place} has members that share no /{prefix_len}: {', '.join(addresses.values())}")
        for router, address in addresses.items():
            self.claim(address, router, place)
        if len(set(addresses.values())) < len(addresses):
            self.wrong(f"{place} gives one address to two routers")
        self.subnets[name] = Subnet(name, prefix_len, addresses, self.flag(item, "igp", place),
                                    self.number(item, "cost", place, 0, 2**24, cost), lan=kind == "LAN")  # fmt: skip

    def lan(self, item: dict[str, Any]) -> None:
        members = item.get("members")
        if not isinstance(members, dict) or not members:
            self.wrong(f"LAN {shown(item.get('id'))} has no members: router names with addresses were expected")
        for router in members:
            self.known(router, f"LAN {item.get('id')}", self.routers, "router")
        self.subnet(item, "LAN", members, 24, 10)

    def link(self, item: dict[str, Any]) -> None:
        place = f"link {shown(item.get('id'))}"
        a, b = (self.known(item.get(end), place, self.routers, "router") for end in "ab")
        if a == b:
            self.wrong(f"{place} goes from {a} to itself")
        self.subnet(item, "link", {a: item.get("a_addr", ""), b: item.get("b_addr", "")}, 31, 1)

    def session(self, item: dict[str, Any]) -> Session:
        name = plain(item.get("id") or f"s{len(self.sessions) + 1}")
        place = f"session {name}"
        if name in self.sessions:
            self.wrong(f"has duplicate sessions called {name}")
        a, b = (self.known(item.get(end), place, self.routers, "router") for end in "ab")
        if a == b:
            self.wrong(f"{place} goes from {a} to itself")
        addresses = []
        for end, router in (("a", a), ("b", b)):
            address = self.address(item.get(f"{end}_addr", self.routers[router].router_id), f"{place}: {end}_addr")
            if self.addresses.get(address) != router:
                self.wrong(f"{place} uses {address} for {router}, which has no such address")
            addresses.append(address)
        if (":" in addresses[0]) != (":" in addresses[1]):
            self.wrong(f"{place} goes from {addresses[0]} to {addresses[1]}: one is IPv4, the other IPv6")
        a_opts, b_opts = (self.options(item.get(f"{end}_opts"), f"{place}: {end}_opts") for end in "ab")
        if a_opts.role and b_opts.role and ROLES[a_opts.role] != b_opts.role:
            self.wrong(f"{place} makes {a} the {a_opts.role} and {b} the {b_opts.role} of the other, which no daemon "
                       f"takes (RFC 9234); {b} must be the {ROLES[a_opts.role]}")  # fmt: skip
        self.sessions[name] = Session(name, a, b, addresses[0], addresses[1], a_opts, b_opts)
        return self.sessions[name]

    def options(self, item: object, place: str) -> Options:
        if item is None:
            return Options()
        if not isinstance(item, dict):
            self.wrong(f"{place} is {shown(item)}, where an object was expected")
        self.keys(item, Options._fields, place)
        return Options(**{key: self.option(key, value, place) for key, value in item.items() if key not in FREE})

    def option(self, key: str, value: object, place: str) -> Any:
        """Return the value of one session option, checked."""
        if value is None:
            return Options._field_defaults[key]
        if key == "role":
            return self.known(value, place, dict.fromkeys(ROLES), "role")
        if key in _FLAGS:
            return self.flag({key: value}, key, place)
        return self.number({key: value}, key, place, *NUMBERS[key])

    def origination(self, item: Mapping[str, Any], place: str) -> Origination:
        router = self.known(item.get("router"), place, self.routers, "router")
        place = f"{place}: what {router} announces"
        origin = item.get("origin", "igp")
        if origin not in ORIGINS:
            self.wrong(f"{place} has origin = {shown(origin)}; there are {', '.join(ORIGINS)}")
        med = item.get("med")
        if med is not None:
            med = self.number(item, "med", place, 0, 2**32 - 1)
        communities = item.get("communities") or []
        if not isinstance(communities, list):
            self.wrong(f"{place} has communities = {shown(communities)}, where a list was expected")
        return Origination(router, self.prefix(item.get("prefix"), place), Attributes(
            med=med, origin=origin, communities=tuple(self.community(c, place) for c in communities)))  # fmt: skip

    def community(self, value: object, place: str) -> str:
        name = value.lower().replace("_", "-") if isinstance(value, str) else ""
        if name in WELL_KNOWN:
            return name
        parts = name.split(":")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) < 65536 for part in parts):
            self.wrong(f"{place} has community {shown(value)}; write 64512:100 or {', '.join(WELL_KNOWN)}")
        number = int(parts[0]) << 16 | int(parts[1])
        return next((known for known, code in WELL_KNOWN.items() if code == number), f"{int(parts[0])}:{int(parts[1])}")

    # ---- steps -----------------------------------------------------------------------------------------------------

    def steps(self) -> tuple[Step, ...]:
        steps = []
        for number, item in enumerate(self.items("steps"), 1):
            name = plain(item.get("name", f"step {number}"))
            actions = item.get("actions") or []
            if not isinstance(actions, list):
                self.wrong(f"step {name} has actions = {shown(actions)}, where a list was expected")
            steps.append(Step(name, tuple(self.action(action, f"step {name}") for action in actions),
                              self.expectations(item, f"step {name}")))  # fmt: skip
        return tuple(steps) or (Step("initial"),)

    def action(self, item: object, place: str) -> dict[str, Any]:
        if isinstance(item, dict) and "op" not in item:
            self.keys(item, dict.fromkeys(key for keys in ACTION.values() for key in keys), f"{place}: an action")
        op = item.get("op") if isinstance(item, dict) else item
        if not isinstance(item, dict) or not isinstance(op, str) or op not in ACTIONS:
            self.wrong(f"{place} has the action {shown(op)}, which there is not; there are {', '.join(ACTIONS)}")
        place = f"{place}: {op}"
        self.keys(item, ACTION[op], place)
        check: dict[str, Callable[[object], Any]] = {
            "router": lambda value: self.known(value, place, self.routers, "router"),
            "session": lambda value: self.known(value, place, self.sessions, "session"),
            "link": lambda value: self.known(value, place, self.subnets, "link"),
            "prefix": lambda value: self.prefix(value, place),
            "cost": lambda value: self.number({"cost": value}, "cost", place, 0, 2**24),
            "side": lambda value: self.known(value, place, {"a": 0, "b": 0}, "side"),
            "opt": lambda value: self.known(value, place, Options._field_defaults, "option"),
            "value": lambda value: self.option(item["opt"], value, place),
            "death": lambda value: self.known(value, place, dict.fromkeys(get_args(Death)), "death"),
            "at": lambda value: self.number({"at": value}, "at", place, 0, 10**9),
        }
        action = {"op": op} | {key: check[key](item.get(key)) for key in ACTIONS[op]}
        action |= {key: check[key](item[key]) for key in (*OPTIONAL.get(op, ()), "at") if item.get(key) is not None}
        if op == "set_session_opt" and "value" not in item:
            self.wrong(f"{place} gives {action['opt']} no value; null sets it back")
        if action.get("opt") == "role":
            self.wrong(f"{place} sets a role, which is agreed on when a session opens; give it in a_opts or b_opts")
        if op == "originate":
            action["attributes"] = self.origination(item, place).attributes
        return action
