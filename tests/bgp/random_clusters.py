"""Random clusters with much that is alike in them, and failures that single some of it out, also in mid-run."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, NamedTuple

from coursekit.bgp.igp import Subnet
from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario import Origination, Router, Scenario, Session
from coursekit.bgp.session import Options

Actions = list[dict[str, Any]]


class Drawn(NamedTuple):
    """A network, what happens to it, and the schedule."""

    scenario: Scenario
    steps: list[Actions]
    delays: dict[str, int]
    coalesce: bool


class Cluster:
    """Draws one network from a seed."""

    def __init__(self, seed: int, most: int = 12) -> None:
        self.random = random.Random(seed)
        self.seed, self.most = seed, most
        self.routers: list[Router] = []
        self.subnets: list[Subnet] = []
        self.sessions: list[Session] = []
        self.ids = self.random.sample(range(1, 250), 250 - 1)

    def draw(self) -> Drawn:
        """Return the network."""
        draw = self.random
        for number in range(draw.choice([1, 1, 2])):
            draw.choice([self.inside, self.inside, self.rack, self.fabric])(number)
        self.stubs()
        self.vary()
        if self.chance(0.4):  # else more is alike
            draw.shuffle(self.routers)
            draw.shuffle(self.sessions)
        originate = self.originate()
        scenario = Scenario(f"cluster-{self.seed}", tuple(self.routers), tuple(self.sessions), tuple(self.subnets),
                            originate)  # fmt: skip
        steps: list[Actions] = [[]] + [[self.action(originate) for _ in range(draw.choice([1, 1, 2, 3]))]
                                       for _ in range(draw.randint(1, 3))]  # fmt: skip
        delays = {session.id: draw.choice([1, 3]) for session in self.sessions if self.chance(0.5)}
        return Drawn(scenario, steps, delays if self.chance(0.4) else {}, self.chance(0.25))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def router(self, asn: int, net: int | None = None) -> Router:
        """Add a router; its id is an address of 10.{net}.0.0/16, or a loopback."""
        at = self.ids.pop()
        address = f"10.{net}.0.{at}" if net is not None else f"192.0.2.{at}"
        self.routers.append(Router(f"r{len(self.routers)}", asn, address, address, self.random.choice([1, 1, 4])))
        return self.routers[-1]

    def lan(self, net: int, routers: list[Router]) -> None:
        self.subnets.append(Subnet(f"lan{net}", 16, {r.name: r.router_id for r in routers}, lan=True))

    def between(self, a: Router, b: Router, a_opts: Options = Options(), b_opts: Options = Options(),  # noqa: B008
                link: bool = False) -> None:  # fmt: skip
        ends = a.router_id, b.router_id
        if link:
            at = len(self.subnets)
            ends = f"172.16.{at}.0", f"172.16.{at}.1"
            self.subnets.append(Subnet(f"l{at}", 31, dict(zip((a.name, b.name), ends, strict=True)), cost=5))
        self.sessions.append(Session(f"s{len(self.sessions)}", a.name, b.name, *ends, a_opts, b_opts))

    def inside(self, net: int) -> None:
        """One AS on one LAN: a mesh, reflectors of one cluster id or several, or both."""
        draw = self.random
        nodes = [self.router(64512, net) for _ in range(draw.randint(3, self.most))]
        plan = draw.choice(["mesh", "reflectors", "reflectors", "both", "in-cluster"])
        reflectors = nodes[:2] if plan == "in-cluster" else []
        if plan in ("reflectors", "both"):
            reflectors = [self.router(64512, net) for _ in range(draw.randint(1, 3))]
        if self.chance(0.4):
            for reflector in reflectors:
                self.routers[self.routers.index(reflector)] = replace(reflector, cluster_id="9.9.9.9")
        self.lan(net, list({r.name: r for r in [*nodes, *reflectors]}.values()))
        client = Options(rr_client=True, add_path=self.chance(0.2))
        for place, a in enumerate(reflectors):
            for b in reflectors[place + 1 :]:
                self.between(a, b)
            for node in nodes:
                if node not in reflectors:
                    self.between(a, node, client)
        if plan in ("mesh", "both"):
            for place, a in enumerate(nodes):
                for b in nodes[place + 1 :]:
                    self.between(a, b)

    def rack(self, net: int) -> None:
        """Nodes with eBGP to a ToR, over links or on one LAN; an AS each or one for all."""
        draw = self.random
        lan, shared, cure = self.chance(0.4), self.chance(0.4), self.chance(0.5)
        tor = self.router(64600 + net, net if lan else None)
        nodes = [self.router(65000 if shared else 65001 + 20 * net + i, net if lan else None)
                 for i in range(draw.randint(3, self.most))]  # fmt: skip
        if lan:
            self.lan(net, [tor, *nodes])
        for node in nodes:
            self.between(tor, node, Options(as_override=cure and shared), link=not lan)

    def fabric(self, net: int) -> None:
        """Leaves and spines; the spines have one AS, so that leaves speak in vain, or not."""
        draw, valleys = self.random, self.chance(0.3)
        spines = [self.router(65100 + net + 10 * i * valleys) for i in range(draw.randint(2, 3))]
        leaves = [self.router(65400 + 20 * net + i) for i in range(draw.randint(2, max(2, self.most // 2)))]
        for leaf in leaves:
            for spine in spines:
                self.between(spine, leaf, link=True)

    def stubs(self) -> None:
        """Hang more ASes, and a router with an IGP, on what there is; connect two parts, if there are two."""
        draw, core = self.random, list(self.routers)
        for i in range(draw.randint(0, 4)):
            self.between(draw.choice(core), self.router(65500 + i), link=True)
        for i in range(draw.choice([0, 0, 2, 5])):  # customers of the same two, who give nothing on
            customer = self.router(65550 + i)
            for up in core[:2]:
                self.between(up, customer, Options(role="provider"), Options(role="customer"), link=True)
        if self.chance(0.3):
            a, b = draw.choice(core), self.router(65600)
            self.subnets.append(Subnet("igp", 31, {a.name: "172.17.0.0", b.name: "172.17.0.1"}, igp=True, cost=9))
            self.sessions.append(Session("igp", a.name, b.name, "172.17.0.0", "172.17.0.1"))
        far = [router for router in core if router.asn != core[0].asn]
        for _ in range(2 if far else 0):
            self.between(core[0], draw.choice(far), link=True)

    def vary(self) -> None:
        """Give a few sessions options of their own."""
        draw = self.random
        for place in draw.sample(range(len(self.sessions)), min(len(self.sessions), draw.choice([0, 0, 1, 3]))):
            chosen = {draw.choice(["prepend", "local_pref_in", "max_as_path_in", "allowas_in"]): 2}
            session = self.sessions[place]
            side = draw.choice(["a_opts", "b_opts"])
            self.sessions[place] = session._replace(**{side: getattr(session, side)._replace(**chosen)})

    def originate(self) -> tuple[Origination, ...]:
        plain = [Origination(router.name, f"10.{100 + i}.0.0/24", self.random.choice([
            Attributes(), Attributes(), Attributes(), Attributes(med=5, communities=("no-export",))]))
            for i, router in enumerate(self.routers)]  # fmt: skip
        same = self.random.choice([0, 2, 3])
        shared = [Origination(r.name, "10.99.0.0/24") for r in self.random.sample(self.routers, same)]
        return tuple(plain + shared)

    def action(self, originate: tuple[Origination, ...]) -> dict[str, Any]:
        draw = self.random
        router, session = draw.choice(self.routers).name, draw.choice(self.sessions).id
        chosen = draw.choice(originate)
        return draw.choice([
            {"op": "router_down", "router": router}, {"op": "router_up", "router": router},
            {"op": "router_down", "router": router, "death": draw.choice(["clean", "killed", "cable"])},
            {"op": "router_graceful_restart", "router": router},
            {"op": "session_down", "session": session}, {"op": "session_up", "session": session},
            {"op": "withdraw", "router": chosen.router, "prefix": chosen.prefix},
            {"op": "originate", "router": router, "prefix": "10.98.0.0/24", "attributes": Attributes(med=3)},
            {"op": "set_session_opt", "session": session, "side": draw.choice("ab"), **draw.choice([
                {"opt": "prepend", "value": 1}, {"opt": "next_hop_self", "value": True},
                {"opt": "local_pref_in", "value": 50}, {"opt": "add_path", "value": True}])},
            *([{"op": draw.choice(["link_down", "link_up"]), "link": draw.choice(self.subnets).name}] * 2),
        ]) | ({"at": draw.randint(1, 4)} if self.chance(0.35) else {})  # fmt: skip
