"""A BGP speaker: its neighbours, its Adj-RIB-In, Loc-RIB and Adj-RIB-Out, and what it does with an UPDATE.

A speaker never looks at another speaker: it takes attributes that a neighbour sent, decides, and yields what it
sends. Everything between speakers (time, order, loss) is `simulation`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from coursekit.bgp.decision import NOTHING, Decision, decide
from coursekit.bgp.filterpath import as_loop, filterpath
from coursekit.bgp.igp import Igp
from coursekit.bgp.profiles import Profile
from coursekit.bgp.route import DEFAULT_LOCAL_PREF, Attributes, Path
from coursekit.bgp.session import ONLY_DOWN, Neighbour, Update


@dataclass(eq=False)
class Speaker:
    """A router that speaks BGP. Tables are by prefix; a prefix without an entry has no route."""

    name: str
    asn: int
    router_id: str
    cluster_id: str
    max_paths: int
    profile: Profile
    igp: Igp
    up: bool = True
    neighbours: list[Neighbour] = field(default_factory=list)
    own: dict[str, Attributes] = field(default_factory=dict)  # what it originates
    adj_rib_in: dict[str, dict[tuple[int, int], Path]] = field(default_factory=dict)  # (neighbour's index, path id)
    loc_rib: dict[str, Decision] = field(default_factory=dict)
    holding: set[int] = field(default_factory=set)  # neighbours whose End-of-RIB a restarting speaker waits for
    _told: dict[str, set[int]] = field(default_factory=dict)  # who holds an announcement of a prefix
    _path_ids: dict[str, dict[tuple[int, int], int]] = field(default_factory=dict)
    _reflected: list[Neighbour] = field(default_factory=list)  # who hears what came over iBGP
    _below: list[Neighbour] = field(default_factory=list)  # who hears what must not leak
    _adding: bool = False  # some neighbour gets all paths

    # ---- taking in -------------------------------------------------------------------------------------------------

    def refusal(self, neighbour: Neighbour, attributes: Attributes) -> str | None:
        """Return why a received route cannot be used, None if it can (RFC 4271 §9.1.2, RFC 4456 §8)."""
        copies = attributes.as_count(self.asn)
        if copies > neighbour.options.allowas_in:
            return f"AS loop: own AS {self.asn} is in AS_PATH"
        if not neighbour.peer.external:
            if attributes.originator_id == self.router_id:
                return f"loop: ORIGINATOR_ID {self.router_id} is its own router id"
            looks = not self.profile.has("cluster-id-not-checked-on-receipt") and (
                neighbour.client or not self.profile.has("cluster-id-only-on-client-sessions"))  # fmt: skip
            if looks and self.cluster_id in attributes.cluster_list:
                return f"cluster loop: own cluster id {self.cluster_id} is in CLUSTER_LIST"
        elif attributes.otc is not None and self._leaks(neighbour, attributes.otc):
            return f"route leak: what AS {attributes.otc} meant for customers came from no provider (OTC)"
        if self.igp.owns(self.name, attributes.next_hop) and not self.profile.has("next-hops-not-looked-at"):
            return f"NEXT_HOP {attributes.next_hop} is its own address"
        longest = neighbour.options.max_as_path_in
        if longest is not None and len(attributes.as_path) > longest:
            return f"import policy: AS_PATH of {len(attributes.as_path)} is longer than {longest}"
        return None

    @staticmethod
    def _leaks(neighbour: Neighbour, otc: int) -> bool:
        """Return whether a route with OTC should not have come from there (RFC 9234 §5)."""
        role = neighbour.options.role
        return role in ("provider", "rs") or (role == "peer" and otc != neighbour.peer.asn)

    def take_in(self, neighbour: Neighbour, attributes: Attributes, path_id: int = 0) -> Path:
        """Return the Adj-RIB-In entry for a received route: attributes after import policy, or why it is refused."""
        as_path, next_hop, pref, med, origin, originator, clusters, communities, otc = attributes
        if neighbour.peer.external:
            pref, originator, clusters = None, None, ()
            if otc is None and neighbour.options.role in ONLY_DOWN:
                otc = neighbour.peer.asn
        if neighbour.options.local_pref_in is not None:
            pref = neighbour.options.local_pref_in
        elif pref is None:
            pref = DEFAULT_LOCAL_PREF
        taken = Attributes(as_path, next_hop, pref, med, origin, originator, clusters, communities, otc)
        if taken == attributes:
            taken = attributes  # shared with the sender
        return Path(taken, neighbour.peer, path_id, attributes, self.refusal(neighbour, attributes),
                    client=neighbour.client, index=neighbour.index)  # fmt: skip

    def receive(self, neighbour: Neighbour, update: Update) -> Iterator[Update]:
        """Enter one UPDATE into the Adj-RIB-In, decide, and yield what is sent in consequence."""
        key = neighbour.index, update.path_id
        paths = self.adj_rib_in.setdefault(update.prefix, {})
        if update.attributes is None:
            if paths.pop(key, None) is None:
                return
        else:
            path = self.take_in(neighbour, update.attributes, update.path_id)
            loops = path.refused is not None and "loop" in path.refused
            if loops and key in paths and self.profile.has("refused-update-replaces-nothing"):
                return
            paths[key] = path
        yield from self.decide(update.prefix)

    def taken_in_again(self, neighbour: Neighbour) -> list[str]:
        """Run the import policy anew on everything heard from a neighbour; return the prefixes concerned."""
        heard = []
        for prefix, paths in self.adj_rib_in.items():
            for key, path in paths.items():
                if key[0] == neighbour.index and path.received:
                    paths[key] = replace(self.take_in(neighbour, path.received, path.path_id), stale=path.stale)
                    heard.append(prefix)
        return heard

    def forget(self, neighbour: Neighbour, wanted: Callable[[Path], bool] = lambda _: True) -> list[str]:
        """Drop what a neighbour sent, all of it or what is wanted gone; return the prefixes concerned."""
        gone = []
        for prefix, paths in self.adj_rib_in.items():
            for key in [key for key, path in paths.items() if key[0] == neighbour.index and wanted(path)]:
                del paths[key]
                gone.append(prefix)
        return gone

    # ---- deciding --------------------------------------------------------------------------------------------------

    def cost(self, next_hop: str) -> int | None:
        """Return the IGP cost of a next hop, None if it is unreachable."""
        return 0 if self.profile.has("next-hops-not-looked-at") else self.igp.cost(self.name, next_hop)

    def paths(self, prefix: str) -> list[Path]:
        """Return every path to a prefix: the speaker's own, then those heard, in the order of its neighbours."""
        heard = self.adj_rib_in.get(prefix, {})
        own = [Path(self.own[prefix])] if prefix in self.own else []
        return own + ([heard[key] for key in sorted(heard)] if len(heard) > 1 else list(heard.values()))

    def decision(self, prefix: str, explain: bool = True) -> Decision:
        """Run the decision process on a prefix, with the reasons in words; changes nothing."""
        return decide(self.paths(prefix), self.cost, self.asn, max_paths=self.max_paths, profile=self.profile,
                      explain=explain)  # fmt: skip

    def decide(self, prefix: str) -> Iterator[Update]:
        """Enter the best path into the Loc-RIB and yield the UPDATEs that follow from the change."""
        if self.holding:
            return  # RFC 4724 §4.1: a restarting speaker defers until it has heard End-of-RIB from everybody
        before = self.passed_on(prefix)
        self.loc_rib[prefix] = self.decision(prefix, explain=False)
        after = self.passed_on(prefix)
        same = before is after or (before and after and before.index == after.index
                                   and before.attributes == after.attributes)  # fmt: skip
        if not same or self._adding:
            yield from self.advertise(prefix, before=before)

    # ---- sending ---------------------------------------------------------------------------------------------------

    def options_changed(self) -> None:
        """Work out anew who is a client and who gets all paths; to be called when neighbours or options changed."""
        self._reflected = [n for n in self.neighbours if n.client or n.peer.external]
        self._below = [n for n in self.neighbours if not (n.peer.external and n.options.role in ONLY_DOWN)]
        self._adding = any(n.options.add_path for n in self.neighbours)

    def eligible(self, path: Path) -> list[Neighbour]:
        """Return to whom a path may go: iBGP rule (RFC 4271 §9.2.1), reflection (RFC 4456 §6), roles (RFC 9234 §5)."""
        if path.peer is None or path.peer.external or path.client:
            return self.neighbours if path.attributes.otc is None else self._below
        return self._reflected

    def export(self, neighbour: Neighbour, path: Path) -> Attributes | None:
        """Return the attributes with which a path goes to a neighbour, None if it may not go there at all."""
        sent = self._external(neighbour, path) if neighbour.peer.external else self._internal(neighbour, path)
        return None if sent and self._points_back(neighbour, sent) else sent

    def _points_back(self, neighbour: Neighbour, attributes: Attributes) -> bool:
        """Return whether NEXT_HOP is the peer's own address: such a route is not sent (RFC 4271 §5.1.3)."""
        return (attributes.next_hop == neighbour.peer.address and not self.profile.has("echo")
                and not self.profile.has("next-hops-not-looked-at"))  # fmt: skip

    def _binding(self, path: Path) -> tuple[str, ...]:
        """Return the communities that a speaker acts on."""
        return () if self.profile.has("well-known-communities-ignored") else path.attributes.communities

    def _external(self, neighbour: Neighbour, path: Path) -> Attributes | None:
        """Return what an eBGP peer is sent: own AS in front; LOCAL_PREF, reflection and a received MED stay inside."""
        attributes, peer = path.attributes, neighbour.peer
        # The originator attaches communities on export, so they bind those who hear the route, not itself.
        if path.peer and not {"no-advertise", "no-export", "no-export-subconfed"}.isdisjoint(self._binding(path)):
            return None
        as_path, otc, role = attributes.as_path, attributes.otc, neighbour.options.role
        if otc is not None and role in ONLY_DOWN:
            return None
        if otc is None and role is not None and role not in ("customer", "rs-client"):
            otc = self.asn
        if neighbour.options.as_override:
            as_path = tuple(self.asn if hop == peer.asn else hop for hop in as_path)
        if path.peer and self.profile.has("sender-side-as-loop-check") and as_loop(neighbour, path):
            return None
        return Attributes(
            (self.asn,) * (1 + neighbour.options.prepend) + as_path, self._third_party(neighbour, path), None,
            attributes.med if path.peer is None else None, attributes.origin, None, (), attributes.communities, otc,
        )  # fmt: skip

    def _internal(self, neighbour: Neighbour, path: Path) -> Attributes | None:
        """Return what an iBGP peer is sent: all as it is, and if it came over iBGP then reflected or not at all."""
        attributes = path.attributes
        originator, clusters = attributes.originator_id, attributes.cluster_list
        next_hop = attributes.next_hop
        if path.peer and "no-advertise" in self._binding(path):
            return None
        if path.peer and self.profile.has("sender-side-as-loop-check") and as_loop(neighbour, path):
            return None
        if path.peer and not path.peer.external:
            if not path.client and not neighbour.client:
                return None
            if neighbour.client and self.cluster_id in clusters and self.profile.has("no-cluster-loop-to-clients"):
                return None
            originator, clusters = originator or path.peer.router_id, (self.cluster_id, *clusters)
        elif path.peer is None or neighbour.options.next_hop_self:
            next_hop = neighbour.local_address
        if self.profile.has("reflection-attributes-to-clients-only"):
            originator, clusters = self._client_attributes(path) if neighbour.client else (None, ())
        pref = DEFAULT_LOCAL_PREF if attributes.local_pref is None else attributes.local_pref
        return Attributes((self.asn,) * neighbour.options.prepend + attributes.as_path, next_hop, pref, attributes.med,
                          attributes.origin, originator, clusters, attributes.communities, attributes.otc)  # fmt: skip

    def _client_attributes(self, path: Path) -> tuple[str, tuple[str, ...]]:
        """Return ORIGINATOR_ID and CLUSTER_LIST as GoBGP sends them to a client, whoever the route is from."""
        source = path.peer.router_id if path.peer else self.router_id
        return path.attributes.originator_id or source, (self.cluster_id, *path.attributes.cluster_list)

    def _third_party(self, neighbour: Neighbour, path: Path) -> str:
        """Return the NEXT_HOP for an eBGP peer: a third party's if all three are on one subnet (RFC 4271 §5.1.3)."""
        shared = self.igp.connected(self.name, neighbour.peer.address)
        if (path.peer is None or neighbour.options.next_hop_self or shared is None
                or self.profile.has("no-third-party-next-hop")):  # fmt: skip
            return neighbour.local_address
        if self.profile.has("third-party-only-between-direct-sessions"):
            keep = path.peer.external and self.igp.connected(self.name, path.peer.address) is shared
        else:
            keep = self.igp.connected(self.name, path.attributes.next_hop) is shared
        if self.profile.has("echo") and path.attributes.next_hop == neighbour.peer.address:
            keep = False  # FRR writes its own address over one that would point back
        return path.attributes.next_hop if keep else neighbour.local_address

    def wanted(self, neighbour: Neighbour, prefix: str, memo: dict[object, Attributes | None]) -> dict[int, Attributes]:
        """Return what a neighbour should hold of a prefix: attributes by path id, 0 where only the best is sent.

        `memo` keeps what was exported to others with the same options: daemons call those an update group.
        """
        if neighbour.options.add_path:
            ids = self._path_ids.setdefault(prefix, {})
            out = {}
            for path in self.paths(prefix):
                if path.refused is None and (path.peer is None or self.cost(path.attributes.next_hop) is not None):
                    sent = None if path.index == neighbour.index else self.export(neighbour, path)
                    if sent:
                        out[ids.setdefault((path.index, path.path_id), len(ids) + 1)] = sent
            return out
        best = self.passed_on(prefix)
        if best is None or (self._from(neighbour, best) and not self.profile.has("echo")):
            return {}
        if neighbour.peer.external:
            by_as = neighbour.options.as_override or self.profile.has("sender-side-as-loop-check")
            group = (id(neighbour.options), self._third_party(neighbour, best), neighbour.peer.asn if by_as else None)
        else:
            group = id(neighbour.options), neighbour.local_address, 0
        if group not in memo:
            memo[group] = (self._external if neighbour.peer.external else self._internal)(neighbour, best)
        sent = memo[group]
        return {} if sent is None or self._points_back(neighbour, sent) else {0: sent}

    def _from(self, neighbour: Neighbour, path: Path) -> bool:
        """Return whether a path came from that neighbour: over this session, for GoBGP over any with that router."""
        if path.peer and self.profile.has("split-horizon-by-router-id"):
            return path.peer.router_id == neighbour.peer.router_id
        return path.index == neighbour.index

    def passed_on(self, prefix: str) -> Path | None:
        """Return the path that peers hear of: the best one."""
        decision = self.loc_rib.get(prefix, NOTHING)
        if decision.best is None and self.profile.has("unresolvable-still-advertised"):
            return decision.fallback
        return decision.best

    def advertise(self, prefix: str, neighbours: list[Neighbour] | None = None, *,
                  before: Path | None = None) -> Iterator[Update]:  # fmt: skip
        """Yield an UPDATE or a withdrawal for every neighbour, or those given, that does not hold what it should.

        `before` is the path that was passed on until now, where it is another one.
        """
        best = self.passed_on(prefix)
        if neighbours is None:
            neighbours = self.neighbours if self._adding else self.eligible(best) if best else []
            told = self._told.get(prefix)
            if told and len(neighbours) < len(self.neighbours):
                places = told.union(neighbour.index for neighbour in neighbours)
                neighbours = [self.neighbours[place] for place in sorted(places)]
            if not neighbours:
                return
        told = self._told.setdefault(prefix, set())
        memo: dict[object, Attributes | None] = {}
        quiet = self.profile.has("filtered-without-withdrawal") and not self._adding
        for neighbour in neighbours:
            if not neighbour.up:
                continue
            wanted = self.wanted(neighbour, prefix, memo)
            sent = neighbour.sent.setdefault(prefix, {}) if wanted else neighbour.sent.get(prefix)
            if sent is None:
                continue
            if not wanted and quiet and filterpath(self, neighbour, before or best, best) != "withdraw":
                continue
            for path_id in [path_id for path_id in sent if path_id not in wanted]:
                del sent[path_id]
                yield Update(neighbour.other, prefix, path_id, None, neighbour.epoch)
            for path_id, attributes in wanted.items():
                if sent.get(path_id) != attributes:
                    sent[path_id] = attributes
                    yield Update(neighbour.other, prefix, path_id, attributes, neighbour.epoch)
            (told.add if sent else told.discard)(neighbour.index)

    def restart(self) -> None:
        """Lose every table but the own routes, as a process does that starts again."""
        for neighbour in self.neighbours:
            neighbour.sent.clear()
        for table in (self.adj_rib_in, self.loc_rib, self._told, self._path_ids):
            table.clear()
        self.holding.clear()

    def hang_up(self, neighbour: Neighbour) -> None:
        """Forget what a neighbour was told: the session is down, or about to be told all anew."""
        for prefix in neighbour.sent:
            self._told[prefix].discard(neighbour.index)
        neighbour.sent.clear()
