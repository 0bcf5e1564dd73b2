"""Who peers with whom, and what fails, as a form: each choice is one computed run, which the browser plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import ipywidgets as W  # noqa: N812

from coursekit.bgp.profiles import PROFILES
from coursekit.bgp.profiles import profile as named
from coursekit.bgp.scenario import Scenario
from coursekit.cluster.model import Cluster, Node, load
from coursekit.cluster.peering import scenario
from coursekit.errors import CourseError
from coursekit.views.bgp import BgpView
from coursekit.views.forms import Form, dropdown
from coursekit.views.twin import View

NOTHING = "nothing"
LEAST, MOST = 2, 12  # nodes: what one can follow message by message
DEATHS = {"it shuts down, and says so": "clean", "it is killed: TCP resets": "killed", "its cable is pulled": "cable"}
_BACK = ("yes", "no")


class Design(NamedTuple):
    """A way to peer: the options of profile calico-bgp, and a sentence about it."""

    options: Mapping[str, Any]
    about: str


_ONE_AS = {"bgp": "tor", "asn": "shared"}
DESIGNS = {
    "full mesh": Design({}, "Each node tells every other itself. Nobody passes anything on: iBGP forbids it."),
    "route reflector: the ToR": Design(
        {"bgp": "route-reflector", "reflector": "tor"},
        "Nodes peer with the router alone. They are its clients, so it passes on what each says."),
    "route reflector: a node": Design(
        {"bgp": "route-reflector"}, "The first node reflects for the others; the router speaks with nobody."),
    "plain iBGP to the ToR": Design(
        {"bgp": "route-reflector", "reflector": "tor", "rr_client": False},
        "As with the reflector, but no node is a client: the router learns all and tells nobody."),
    "eBGP to the ToR, an AS per node": Design(
        {"bgp": "tor"}, "Each node is an AS. The router passes all on, and leaves the next hop alone on a shared LAN."),
    "eBGP to the ToR, one AS": Design(
        _ONE_AS, "The trap: each node finds its own AS in what the others said, and refuses it."),
    "eBGP to the ToR, one AS, allowas-in": Design(
        {**_ONE_AS, "allowas_in": 1}, "One cure: a node accepts its own AS in AS_PATH once."),
    "eBGP to the ToR, one AS, as-override": Design(
        {**_ONE_AS, "as_override": True}, "The other cure: the router writes its own AS over the receiver's."),
    "eBGP to the ToR, one AS, mesh left on": Design(
        {**_ONE_AS, "keep_mesh": True},
        "Nodes tell the router also what the mesh told them. Look whom it sends packets to."),
}  # fmt: skip


class BgpForm(Form):
    """A design, nodes, whose BGP, what fails and comes back: the run. `run` is the last one, None after a problem.

    `fails` takes the name of a router, session or segment: `form.fails.value = "node2"`.
    """

    def __init__(self, n: int, cluster: Cluster, profile: str = "rfc") -> None:
        self.cluster = cluster
        self.run: BgpView | None = None
        self.design = dropdown("Peering", list(DESIGNS), "full mesh")
        wide, words = W.Layout(width="9em"), {"description_width": "initial"}
        self.nodes = W.BoundedIntText(value=n, min=LEAST, max=MOST, description="Nodes", style=words, layout=wide)
        self.fails = dropdown("Then fails", [NOTHING], NOTHING)
        self.death = dropdown("How a router fails", list(DEATHS), next(iter(DEATHS)))
        self.back = dropdown("It comes back", list(_BACK), "yes")
        self.profile = dropdown("Whose BGP", list(PROFILES), named(profile).name)
        self.design.layout.width, self.back.layout.width = "27em", "12em"
        super().__init__(design=self.design, nodes=self.nodes, fails=self.fails, death=self.death, back=self.back,
                         profile=self.profile)

    def answer(self) -> tuple[list[str], list[View]]:
        """Return a sentence about the design, and the run."""
        self.run = None
        design = DESIGNS[self.design.value]
        made = scenario(_sized(self.cluster, self.nodes.value).with_profile("calico-bgp", **design.options))
        self._offer([NOTHING, *(name for names in _parts(made).values() for name in names)])
        self.run = BgpView(made, self.profile.value, self.design.value, actions=self._actions(made))
        return [design.about], [self.run]

    def _actions(self, made: Scenario) -> list[dict[str, Any]]:
        kind = next((kind for kind, names in _parts(made).items() if self.fails.value in names), None)
        if kind is None:
            return []
        down, up = ({"op": f"{kind}_{way}", kind: self.fails.value} for way in ("down", "up"))
        if kind == "router":
            down["death"] = DEATHS[self.death.value]
        return [down, up] if self.back.value == "yes" else [down]

    def _offer(self, names: list[str]) -> None:
        """Let what this network has fail; what was chosen stays chosen if it is still there."""
        if list(self.fails.options) == names:
            return
        chosen = self.fails.value
        self.fails.unobserve(self._changed, "value")
        self.fails.options = names
        self.fails.value = chosen if chosen in names else NOTHING
        self.fails.observe(self._changed, "value")


def explore_bgp(n: int = 3, cluster: Cluster | str | Path | None = None, profile: str = "rfc") -> BgpForm:
    """Let the learner choose who peers with whom among n nodes (2 to 12), and what fails and comes back.

    `cluster` None is the chapter's; of fewer nodes its first ones are taken, of more the last one's addresses and
    blocks go on. `profile` is whose BGP it is at first: "rfc", "bird", "frr" or "gobgp".
    """
    if not isinstance(n, int) or not LEAST <= n <= MOST:
        raise CourseError(f"explore_bgp draws {LEAST} to {MOST} nodes; n = {n!r} was given. "
                          "views.bgp runs larger networks.")  # fmt: skip
    if not isinstance(cluster, Cluster | str | Path | None):
        raise CourseError(f"`cluster` is a Cluster, or the name or path of one; {str(cluster)[:60]!r} was given.")
    return BgpForm(n, cluster if isinstance(cluster, Cluster) else load(cluster or "chapter"), profile)


def _parts(made: Scenario) -> dict[str, list[str]]:
    """Return what can fail, by the kind of its action; only routers that have a session matter."""
    speaking = {name for session in made.sessions for name in (session.a, session.b)}
    return {
        "router": [router.name for router in made.routers if router.name in speaking],
        "session": [session.id for session in made.sessions],
        "link": [subnet.name for subnet in made.subnets],
    }


def _sized(cluster: Cluster, n: int) -> Cluster:
    """Return the cluster with its first n nodes, or with more on the last one's segment, each with a block."""
    nodes = cluster.nodes[:n]
    if len(nodes) < n:
        last = nodes[-1]
        subnet = cluster.segment_of(last).subnet
        used = {node.address for node in nodes} | {address for r in cluster.routers for address in r.addresses}
        after = int(last.address) - int(subnet.network_address) + 1
        free = (subnet[i] for i in range(after, subnet.num_addresses - 1) if subnet[i] not in used)
        taken = [block for node in nodes for block in node.blocks]
        blocks = (block for block in cluster.pod_network.subnets(new_prefix=_bits(last))
                  if not any(block.overlaps(other) for other in taken))  # fmt: skip
        more = zip(range(len(nodes) + 1, n + 1), free, blocks, strict=False)
        nodes = (*nodes, *(Node(f"node{i}", address, (block,)) for i, address, block in islice(more, n)))
    if len(nodes) < n:
        raise CourseError(f"{cluster.title or cluster.name} has room for {len(nodes)} nodes; {n} were asked for.")
    names = {node.name for node in nodes}
    return replace(cluster, nodes=nodes, pods=tuple(pod for pod in cluster.pods if pod.node in names))


def _bits(node: Node) -> int:
    first: IPv4Network = node.blocks[0]
    return first.prefixlen
