"""The decision process: the best path to a prefix, and the step that decided (RFC 4271 §9.1.2.2, RFC 4456 §9).

It is an elimination on the whole set, step by step, and not a comparison in pairs: MED only counts between paths that
entered from the same neighbour AS, so pairs have no order that would not depend on who is compared first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from coursekit.bgp.profiles import PROFILES, Profile
from coursekit.bgp.route import DEFAULT_LOCAL_PREF, ORIGINS, Path, address_key, neighbour_as

Cost = Callable[[str], "int | None"]  # IGP cost of a next hop; None when it cannot be resolved
RFC = PROFILES["rfc"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the process came to for one prefix.

    `decided_by` is the step that left exactly one path (None when there is none); `multipath` are the best path and
    those that tie with it down to the IGP metric, best first, at most `max_paths`; `lost` says of every other path
    why, in words. `fallback` is the best of the unresolvable paths when nothing is usable.
    """

    best: Path | None = None
    decided_by: str | None = None
    candidates: int = 0
    multipath: tuple[Path, ...] = ()
    lost: tuple[tuple[Path, str], ...] = ()
    fallback: Path | None = None


NOTHING = Decision()


def tie_break_id(path: Path, profile: Profile = RFC) -> str:
    """Return the id that stands for the path at step f: ORIGINATOR_ID where there is one (RFC 4456 §9)."""
    assert path.peer
    if path.attributes.originator_id and not profile.has("originator-id-not-compared"):
        return path.attributes.originator_id
    return path.peer.router_id


def _local_pref(path: Path) -> int:
    pref = path.attributes.local_pref
    return DEFAULT_LOCAL_PREF if pref is None else pref


def _origin(path: Path) -> int:
    return ORIGINS.index(path.attributes.origin)


def _external(path: Path) -> bool:
    return path.peer is not None and path.peer.external


class Contest:
    """One run of the process: the paths still in it, and what became of the others."""

    def __init__(self, paths: Sequence[Path], explain: bool) -> None:
        self.left = list(paths)
        self.lost: list[tuple[Path, str]] = []
        self.decided_by = "only-path"
        self.explain = explain

    def keep_least(self, step: str, key: Callable[[Path], object], words: Callable[[Path, Path], str]) -> None:
        """Keep the paths with the smallest key; `words(loser, winner)` says what was compared."""
        if len(self.left) < 2:
            return
        keys = [key(path) for path in self.left]
        least = min(keys)  # type: ignore[type-var]
        self.keep(step, {id(path): path for path, k in zip(self.left, keys, strict=True) if k == least}, words)

    def keep(self, step: str, winners: dict[int, Path], words: Callable[[Path, Path], str],
             against: Callable[[Path], Path] | None = None) -> None:  # fmt: skip
        """Keep the winners; `against` finds whom a loser lost to, if not simply to the first winner."""
        if len(winners) == len(self.left):
            return
        if self.explain:
            first = next(iter(winners.values()))
            self.lost += [(path, f"lost at {words(path, against(path) if against else first)}")
                          for path in self.left if id(path) not in winners]  # fmt: skip
        self.left = [path for path in self.left if id(path) in winners]
        self.decided_by = step


def decide(paths: Iterable[Path], cost: Cost, own_as: int, *, max_paths: int = 1, profile: Profile = RFC,
           explain: bool = True) -> Decision:  # fmt: skip
    """Choose the best path. Refused and unresolvable paths take no part; a route of one's own beats all heard ones."""
    usable: list[Path] = []
    out: list[tuple[Path, str]] = []
    unresolvable: list[Path] = []
    for path in paths:
        if path.refused is not None:
            if explain:
                out.append((path, f"not eligible: {path.refused}"))
        elif path.peer and cost(path.attributes.next_hop) is None:
            unresolvable.append(path)
            if explain:
                out.append((path, f"not eligible: next hop {path.attributes.next_hop} is unreachable"))
        else:
            usable.append(path)
    if not usable:
        if not unresolvable:
            return Decision(lost=tuple(out)) if out else NOTHING
        fallback = _contest(unresolvable, lambda _: 0, own_as, profile, False)[0]
        return Decision(lost=tuple(out), fallback=fallback.left[0])
    if len(usable) == 1:
        return Decision(usable[0], "only-path", 1, (usable[0],), tuple(out))
    own = next((path for path in usable if path.peer is None), None)
    if own and profile.has("own-route-after-local-pref") and max(map(_local_pref, usable)) > _local_pref(own):
        own = None  # it takes part in the contest, and falls at its first step
    if own:
        if explain:
            out += [(path, "lost at origination: the router has a route of its own") for path in usable if path.peer]
        return Decision(own, "local", len(usable), (own,), tuple(out))
    contest, equal = _contest(usable, cost, own_as, profile, explain)
    best = contest.left[0]
    return Decision(best, contest.decided_by, len(usable), _multipath(best, equal, max_paths, profile),
                    tuple(out + contest.lost))  # fmt: skip


def _contest(paths: list[Path], cost: Cost, own_as: int, profile: Profile, explain: bool) -> tuple[Contest, list[Path]]:
    """Run steps a to g; return the contest with one path left, and the paths that were equal down to the IGP metric."""
    run = Contest(paths, explain)
    run.keep_least("local-pref", lambda path: -_local_pref(path),
                   lambda a, b: f"LOCAL_PREF: {_local_pref(a)} < {_local_pref(b)}")  # fmt: skip
    if len(run.left) == 1:  # as so often
        return run, run.left
    run.keep_least("as-path-length", lambda path: len(path.attributes.as_path),
                   lambda a, b: f"AS_PATH length: {len(a.attributes.as_path)} > {len(b.attributes.as_path)}")
    run.keep_least("origin", _origin, lambda a, b: f"ORIGIN: {a.attributes.origin} > {b.attributes.origin}")
    _med(run, own_as)
    if len(run.left) == 1:
        return run, run.left
    run.keep_least("ebgp-over-ibgp", lambda path: not _external(path),
                   lambda a, b: f"eBGP over iBGP: from {a.source} over iBGP, from {b.source} over eBGP")  # fmt: skip
    run.keep_least("igp-metric", lambda path: cost(path.attributes.next_hop) or 0,
                   lambda a, b: f"IGP metric: {cost(a.attributes.next_hop)} to {a.attributes.next_hop} > "
                                f"{cost(b.attributes.next_hop)} to {b.attributes.next_hop}")  # fmt: skip
    equal = run.left
    run.keep_least("router-id", lambda path: address_key(tie_break_id(path, profile)),
                   lambda a, b: f"{'ORIGINATOR_ID' if a.attributes.originator_id else 'router id'}: "
                                f"{tie_break_id(a, profile)} > {tie_break_id(b, profile)}")  # fmt: skip
    if not profile.has("cluster-list-not-compared"):
        run.keep_least("cluster-list-length", lambda path: len(path.attributes.cluster_list),
                       lambda a, b: f"CLUSTER_LIST length: {len(a.attributes.cluster_list)} > "
                                    f"{len(b.attributes.cluster_list)}")  # fmt: skip
    run.keep_least("peer-address", lambda path: address_key(path.peer.address) if path.peer else (0, 0),
                   lambda a, b: f"peer address: {a.peer and a.peer.address} > {b.peer and b.peer.address}")  # fmt: skip
    # Only ADD-PATH brings two paths over one session; RFC 7911 leaves their order open.
    run.keep_least("path-id", lambda path: path.path_id, lambda a, b: f"path id: {a.path_id} > {b.path_id}")
    return run, equal


def _med(run: Contest, own_as: int) -> None:
    """Step c: in each group of paths from one neighbour AS keep the lowest MED; an absent one counts as 0."""
    if len(run.left) < 2:
        return
    lowest: dict[int, Path] = {}
    for path in run.left:
        group = neighbour_as(path, own_as)
        if group not in lowest or (path.attributes.med or 0) < (lowest[group].attributes.med or 0):
            lowest[group] = path

    def against(path: Path) -> Path:
        return lowest[neighbour_as(path, own_as)]

    run.keep("med", {id(path): path for path in run.left
                     if (path.attributes.med or 0) == (against(path).attributes.med or 0)},
             lambda a, b: f"MED: {a.attributes.med or 0} > {b.attributes.med or 0}, "
                          f"same neighbour AS {neighbour_as(a, own_as)}", against)  # fmt: skip


def _multipath(best: Path, equal: list[Path], max_paths: int, profile: Profile) -> tuple[Path, ...]:
    """Return the ECMP set: AS_PATHs may differ (multipath-relax), next hops must."""
    if max_paths < 2 or len(equal) < 2:
        return (best,)
    chosen = {best.attributes.next_hop: best}
    for path in sorted(equal, key=lambda path: (
            address_key(tie_break_id(path, profile)), len(path.attributes.cluster_list),
            address_key(path.peer.address) if path.peer else (0, 0), path.path_id)):  # fmt: skip
        if len(chosen) < max_paths:
            chosen.setdefault(path.attributes.next_hop, path)
    return tuple(chosen.values())
