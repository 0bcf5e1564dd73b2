"""What happens in a BGP run, in sentences: one for each event, one for how each step of the scenario ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coursekit.bgp.network import HOLD_TIME
from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario import Scenario
from coursekit.bgp.trace import Change, Chapter, Event, Held, Sent
from coursekit.views.twin import count

_ENOUGH = 4  # names that are listed in a sentence; of more the rest is counted


def listed(names: Sequence[str], noun: str = "other") -> str:
    """Return "n1, n2 and n3"; of many the first ones and how many more."""
    if len(names) > _ENOUGH + 1:
        return f"{', '.join(names[:_ENOUGH])} and {count(len(names) - _ENOUGH, noun)}"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def attributes(given: Attributes) -> list[tuple[str, str]]:
    """Return the path attributes that are there as (name, value), named as in RFC 4271 and RFC 4456."""
    as_path = " ".join("{" + ",".join(map(str, sorted(hop))) + "}" if isinstance(hop, frozenset) else str(hop)
                       for hop in given.as_path)  # fmt: skip
    found = [
        ("NEXT_HOP", given.next_hop), ("AS_PATH", as_path or "empty"),
        ("LOCAL_PREF", given.local_pref), ("MED", given.med),
        ("ORIGIN", given.origin), ("ORIGINATOR_ID", given.originator_id),
        ("CLUSTER_LIST", " ".join(given.cluster_list)), ("communities", " ".join(given.communities)),
    ]  # fmt: skip
    return [(name, str(value)) for name, value in found if value not in (None, "")]


def others(given: Attributes) -> str:
    """Return what there is beside next hop and AS path, and not as it is by default, in one line."""
    by_default = {("LOCAL_PREF", "100"), ("ORIGIN", "igp")}
    return ", ".join(f"{name} {value}" for name, value in attributes(given)
                     if name not in ("NEXT_HOP", "AS_PATH") and (name, value) not in by_default)  # fmt: skip


def kernel(held: Held) -> str:
    """Return the route that goes into the kernel: where packets for the prefix are sent."""
    best = held.best
    if best is None:
        return "no route"
    if best.source == "local":
        return "local"
    hops = ", ".join(address for address, _ in held.gateways)
    direct = best.attributes.next_hop in [address for address, _ in held.gateways]
    return f"via {hops}" + ("" if direct else f" (to reach {best.attributes.next_hop})")


def action(given: Mapping[str, Any]) -> str:
    """Return an action of a scenario as a clause."""
    op = given["op"]
    if op == "router_down":
        how = {"killed": " (killed: its TCP connections are reset)", "cable": " (its cable is pulled: nobody is told)"}
        return f"{given['router']} goes down{how.get(given.get('death', ''), '')}"
    if op == "set_cost":
        return f"The IGP cost of {given['link']} becomes {given['cost']}"
    if op == "set_session_opt":
        return f"Session {given['session']}, end {given['side']}: {given['opt']} becomes {given['value']}"
    if op in ("withdraw", "originate"):
        return f"{given['router']} {'withdraws' if op == 'withdraw' else 'announces'} {given['prefix']}"
    return {
        "router_up": "{router} comes up again", "router_graceful_restart": "{router} restarts, and goes on forwarding",
        "session_down": "Session {session} is closed", "session_up": "Session {session} is opened again",
        "link_down": "Link {link} goes down", "link_up": "Link {link} comes up again",
    }[op].format(**given)  # fmt: skip


def message(sent: Sent) -> str:
    """Return what a message says: what it announces or withdraws."""
    if sent.end_of_rib:
        return "End-of-RIB"
    return f"{sent.update.prefix} {'withdrawn' if sent.update.attributes is None else 'announced'}"


def event(given: Event, scenario: Scenario) -> str:
    """Return what happened and what came of it."""
    if given.kind == "start":
        announced = len({origination.router for origination in scenario.originate})
        return (f"All sessions are Established. {count(announced, 'router')} "
                f"announce{'s' * (announced == 1)} what {'it has' if announced == 1 else 'they have'}: "
                f"{count(given.updates, 'UPDATE')} {'leaves' if given.updates == 1 else 'leave'}.")  # fmt: skip
    if given.kind == "rest":
        more = f" and {given.updates:,} more UPDATE{'s' * (given.updates != 1)}" if given.updates else ""
        return f"What is under way{more} {'are' if more else 'is'} not drawn message by message."
    if given.kind in ("action", "timer"):
        silence = f"A hold timer runs out: nothing was heard for {HOLD_TIME // 1000} s, as RFC 4271 suggests"
        what = action(given.action) if given.action else silence
        return f"{what}. {_at_once(given)}"
    assert given.message
    head = f"{given.message.sender} → {given.message.receiver}: {message(given.message)}."
    if given.kind == "is lost":
        return f"{head} It is lost: at one end the session is no more."
    if given.message.end_of_rib:
        return f"{head} {given.message.receiver} now holds the whole table. {_told(given)}".strip()
    return f"{head} {_received(given)}".strip()


def _at_once(given: Event) -> str:
    """Return what follows at once from a failure or a repair."""
    parts = []
    for up, one, several in ((False, "goes down", "go down"), (True, "comes up", "come up")):
        names = [name for name, state in given.sessions.items() if state is up]
        if names:
            verb = one if len(names) == 1 else several
            parts.append(f"{count(len(names), 'session')} {verb}: {listed(names)}.")
    down = {name for name, up in given.routers.items() if not up}
    gone = [c for c in given.changes if c.before.best and not c.after.best and c.router not in down]
    lost = _routers(gone)
    moved = _routers(c for c in given.changes if c.before.best and c.after.best
                     and (c.before.best[:4], c.before.gateways) != (c.after.best[:4], c.after.gateways))  # fmt: skip
    stale = _routers(c for c in given.changes if c.after.best and c.after.best.stale)
    if lost:
        parts.append(f"{listed(lost)} {'loses' if len(lost) == 1 else 'lose'} {_prefixes(gone)}.")
    if moved:
        parts.append(f"{listed(moved)} {'changes' if len(moved) == 1 else 'change'} to another path.")
    if stale:
        parts.append(f"{listed(stale)} {'keeps' if len(stale) == 1 else 'keep'} routes as stale.")
    if given.updates:
        parts.append(f"{count(given.updates, 'UPDATE')} {'leaves' if given.updates == 1 else 'leave'}.")
    else:
        parts.append("No UPDATE leaves." if parts else "Nothing follows at once.")
    return " ".join(parts)


def _routers(changes: Iterable[Change]) -> list[str]:
    return list(dict.fromkeys(change.router for change in changes))


def _prefixes(changes: Iterable[Change]) -> str:
    found = list(dict.fromkeys(change.prefix for change in changes))
    return found[0] if len(found) == 1 else f"{len(found)} prefixes"


def _received(given: Event) -> str:
    """Return what the receiver makes of an UPDATE, and whom it tells."""
    assert given.message
    name, sender = given.message.receiver, given.message.sender
    if not given.changes:
        return f"{name} holds nothing of the kind; nothing changes."
    (change,) = given.changes
    before, after = change.before.best, change.after.best
    heard = [c for c in change.after.candidates if c.session == given.message.update.to.session
             and c.path_id == given.message.update.path_id]  # fmt: skip
    if heard and heard[0].verdict == "refused":
        first = f"{name} cannot use it ({heard[0].words.removeprefix('not eligible: ')})."
    elif heard and after and heard[0] == after and (before is None or before[:4] != after[:4]):
        first = f"{name} installs it ({_step(change.after)})."
    elif heard and heard[0].verdict == "balanced":
        first = f"{name} installs it beside the best one, and balances traffic."
    elif heard and heard[0].verdict == "lost":
        first = f"{name} does not install it: {heard[0].words}."
    elif after is None and before is not None:
        first = f"{name} has no route left."
    elif before and after and before[:4] != after[:4]:
        return f"{name} falls back to {after.source}'s ({_step(change.after)}). {_told(given)}"
    else:
        first = f"{name}'s best route stays as it was."
    if heard and before and after is None:
        first += f" {name} has no route left."
    elif heard and before and after and after.source != sender and before[:4] != after[:4]:
        first += f" {name} falls back to {after.source}'s."
    return f"{first} {_told(given)}".strip()


def _step(held: Held) -> str:
    return (held.decided_by or "").replace("-", " ")


def _told(given: Event) -> str:
    """Return whom the receiver tells; nothing if nothing changed for others."""
    names = list(dict.fromkeys(sent.receiver for sent in given.sent))
    who = given.message.receiver if given.message else ""
    if names:
        return f"{who} tells {listed(names)}."
    return f"{who} tells no iBGP peer what an iBGP peer told it." if given.silent else ""


def ending(chapter: Chapter, updates: int, total: int) -> str:
    """Return how a step of the scenario ended; `updates` it took, `total` is how many sessions there could be."""
    sessions = f"{chapter.sessions} of {count(total, 'session')} Established"
    if chapter.run.oscillation:
        return f"{chapter.run.oscillation.sentence} Stopped after {updates:,} UPDATEs; {sessions}."
    quiet = f"quiet after {updates:,} UPDATE{'s' * (updates != 1)}" if updates else "quiet at once, without an UPDATE"
    return f"{quiet}; {sessions}.{f' {chapter.run.note}' if chapter.run.note else ''}"
