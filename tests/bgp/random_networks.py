"""Random networks of 4 to 12 routers: ASes with meshes and reflectors, eBGP between them, policies, one failure."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from typing import Any

from coursekit.bgp.igp import Subnet
from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario import Origination, Router, Scenario, Session, Step
from coursekit.bgp.scenario_file import parse
from coursekit.bgp.session import Options
from tests.bgp.divergent import lan


class Draw:
    """Draws one network from a seed."""

    def __init__(self, seed: int, *, pairs: bool = False) -> None:
        self.pairs = pairs  # for daemons that compare MED in pairs: MED only where the order of pairs cannot matter
        self.random = random.Random(seed)
        self.seed = seed
        self.routers: list[Router] = []
        self.subnets: list[Subnet] = []
        self.sessions: list[Session] = []

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def network(self) -> Scenario:
        """Return the scenario: an initial step, then one failure or change."""
        draw, size = self.random, self.random.randint(4, 12)
        count = draw.choice([1, 2, 2, 3, 3, 4])
        self.med = count < 3 or not self.pairs
        # Two ASes may carry one number: islands that the loop check keeps apart.
        numbers = [65000 + 10 * i for i in range(count)]
        if count > 2 and self.chance(0.3):
            numbers[-1] = numbers[0]
        ids = draw.sample(range(1, 250), size)
        members: list[list[Router]] = [[] for _ in range(count)]
        for i in range(size):
            place = i if i < count else draw.randrange(count)
            cluster = "10.255.0.1" if self.chance(0.5) else f"10.0.0.{ids[i]}"
            router = Router(f"r{i}", numbers[place], f"10.0.0.{ids[i]}", cluster)
            members[place].append(router)
            self.routers.append(router)
        for routers in members:
            self.inside(routers)
        for place in range(1, count):
            self.between(draw.choice(members[draw.randrange(place)]), draw.choice(members[place]))
        for _ in range(draw.randint(0, size) if count > 1 else 0):
            here, there = draw.sample(range(count), 2)
            self.between(draw.choice(members[here]), draw.choice(members[there]))
        originate = self.originate()
        return Scenario(f"seed-{self.seed}", tuple(self.routers), tuple(self.sessions), tuple(self.subnets), originate,
                        (Step("initial"), Step("change", (self.change(originate),))))  # fmt: skip

    def link(self, a: Router, b: Router, igp: bool) -> Subnet:
        at = len(self.subnets)
        ends = {a.name: f"172.16.{at}.0", b.name: f"172.16.{at}.1"}
        subnet = Subnet(f"l{at}", 31, ends, igp, self.random.randint(1, 30))
        self.subnets.append(subnet)
        return subnet

    def inside(self, routers: list[Router]) -> None:
        """Connect the routers of one AS: links with an IGP, then a mesh, reflectors, or something in between."""
        for i, router in enumerate(routers[1:], 1):
            self.link(router, self.random.choice(routers[:i]), True)
        for _ in range(self.random.randint(0, len(routers)) if len(routers) > 2 else 0):
            self.link(*self.random.sample(routers, 2), True)
        plan = self.random.choice(["mesh", "reflectors", "reflectors", "reflectors", "some", "chain"])
        if plan == "chain":
            self.chain(routers)
            return
        reflectors = routers[: self.random.randint(1, min(3, len(routers)))]
        for i, a in enumerate(routers):
            for b in routers[i + 1 :]:
                both = a in reflectors and b in reflectors
                if plan == "reflectors" and a not in reflectors:
                    continue
                if plan == "some" and not self.chance(0.6):
                    continue
                if plan == "reflectors" and not both and self.chance(0.35):
                    continue
                client = plan == "reflectors" and self.chance(0.5 if both else 0.85)
                a_opts = Options(rr_client=client, next_hop_self=self.chance(0.6), local_pref_in=self.pref(0.05))
                b_opts = Options(next_hop_self=self.chance(0.6), rr_client=client and both and self.chance(0.7))
                name = f"i{len(self.sessions)}"
                self.sessions.append(Session(name, a.name, b.name, a.router_id, b.router_id, a_opts, b_opts))

    def chain(self, routers: list[Router]) -> None:
        """Let each router reflect for the one before and the one behind it: here only cluster ids stop a route."""
        for i, (a, b) in enumerate(pairwise(routers)):
            far = self.random.choice(routers[i + 1 :]) if self.chance(0.3) else b
            opts = [Options(rr_client=self.chance(0.9), next_hop_self=self.chance(0.5), local_pref_in=self.pref(0.1))
                    for _ in range(2)]  # fmt: skip
            self.sessions += [Session(f"i{len(self.sessions) + n}", a.name, c.name, a.router_id, c.router_id, *opts)
                              for n, c in enumerate(dict.fromkeys((b, far)))]  # fmt: skip

    def between(self, a: Router, b: Router) -> None:
        """Put an eBGP session on a link of its own, or between loopbacks, unless the two ASes carry one number."""
        if a.asn != b.asn:
            known = {frozenset((s.a_addr, s.b_addr)) for s in self.sessions}
            loopbacks = self.chance(0.4) and frozenset((a.router_id, b.router_id)) not in known
            link = self.link(a, b, loopbacks)
            ends = (a.router_id, b.router_id) if loopbacks else link.members.values()
            self.sessions.append(Session(f"e{len(self.sessions)}", a.name, b.name, *ends,
                                         self.policy(), self.policy()))  # fmt: skip

    def pref(self, share: float) -> int | None:
        return self.random.choice([50, 100, 150, 200]) if self.chance(share) else None

    def policy(self) -> Options:
        return Options(
            allowas_in=self.random.choice([1, 2]) if self.chance(0.15) else 0,
            prepend=self.random.randint(1, 3) if self.chance(0.2) else 0,
            local_pref_in=self.pref(0.2),
            max_as_path_in=self.random.randint(1, 4) if self.chance(0.1) else None,
            next_hop_self=self.chance(0.1),
            as_override=self.chance(0.1),
        )

    def originate(self) -> tuple[Origination, ...]:
        out = []
        for i in range(self.random.randint(2, 4)):
            for router in self.random.sample(self.routers, self.random.choice([1, 2, 3])):
                out.append(Origination(router.name, f"10.65.{i}.0/26", Attributes(  # noqa: PERF401
                    med=self.random.choice([None, None, 0, 5, 50] if self.med else [None]),
                    origin=self.random.choice(["igp", "igp", "igp", "egp", "incomplete"]),
                    communities=self.random.choice([(), (), (), (), ("no-export",), ("no-advertise",), ("65000:7",)]),
                )))  # fmt: skip
        return tuple(out)

    def change(self, originate: tuple[Origination, ...]) -> dict[str, Any]:
        draw = self.random
        lost = draw.choice(originate)
        choices: list[dict[str, Any]] = [
            {"op": "router_down", "router": draw.choice(self.routers).name},
            {"op": "withdraw", "router": lost.router, "prefix": lost.prefix},
        ]
        if self.sessions:
            choices.append({"op": "session_down", "session": draw.choice(self.sessions).id})
        if self.subnets:
            choices.append({"op": "link_down", "link": draw.choice(self.subnets).name})
            choices.append({"op": "set_cost", "link": draw.choice(self.subnets).name, "cost": draw.randint(1, 60)})
        return draw.choice(choices)


def on_one_lan(seed: int) -> Scenario:
    """Return 4 to 7 routers of up to three ASes on one LAN, where next hops may be third parties', and one dies."""
    draw = random.Random(seed)
    routers = [f"r{i}" for i in range(draw.randint(4, 7))]
    asns = {name: 65000 + draw.randrange(3) for name in routers}
    sessions = {}
    for a, b in combinations(routers, 2):
        if draw.random() < 0.55:
            inside = asns[a] == asns[b]
            sessions[f"{a} {b}"] = tuple({
                "next_hop_self": draw.random() < 0.2, "rr_client": inside and draw.random() < 0.3,
                "allowas_in": int(draw.random() < 0.2), "as_override": not inside and draw.random() < 0.1,
            } for _ in "ab")  # fmt: skip
    originate = [{"router": name, "prefix": f"10.65.{i}.0/26", "med": draw.choice([None, 5, 50])}
                 for i, name in enumerate(draw.sample(routers, 3))]  # fmt: skip
    return parse(lan(asns, sessions, originate, [[{"op": "router_down", "router": draw.choice(routers)}]]))[0]
