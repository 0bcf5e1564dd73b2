"""Whether tables that a daemon came to are a stable state: one in which no speaker of ours would change its mind.

Some networks have several stable states, and which one is reached depends on who spoke first. Then a daemon is right
without being equal; and still every wrong rule of ours would show, because its state would not be stable for us.
"""

from __future__ import annotations

from collections.abc import Mapping

from coursekit.bgp.decision import Decision
from coursekit.bgp.filterpath import filterpath
from coursekit.bgp.loopback import Held, compared
from coursekit.bgp.route import Path
from coursekit.bgp.simulation import Simulation
from coursekit.bgp.speaker import Speaker


def adopt(simulation: Simulation, tables: Mapping[str, Held]) -> list[str]:
    """Put the network into the state that the tables describe; return what a speaker would change in it."""
    up = {name: speaker for name, speaker in simulation.speakers.items() if speaker.up}
    for name, speaker in up.items():
        speaker.restart()
        for prefix, (path, usable) in tables[name].items():
            speaker.loc_rib[prefix] = Decision(path if usable else None, fallback=None if usable else path)
    for speaker in up.values():
        for prefix in list(speaker.loc_rib):
            for update in speaker.advertise(prefix):
                if update.attributes and update.to.up:
                    heard = update.to.speaker.adj_rib_in.setdefault(prefix, {})
                    heard[update.to.index, 0] = update.to.speaker.take_in(update.to, update.attributes)
    for name, speaker in up.items():
        for prefix, (path, _) in tables[name].items():
            if path.peer and _may_be_stale(speaker, prefix, path):
                speaker.adj_rib_in.setdefault(prefix, {})[path.index, 0] = path
    unstable = []
    for name, speaker in up.items():
        prefixes = sorted({*tables[name], *speaker.adj_rib_in, *speaker.own})
        for prefix in prefixes:
            decision = speaker.decision(prefix)
            ours = compared({prefix: (decision.best, True)} if decision.best else {})
            theirs = compared({p: row for p, row in tables[name].items() if p == prefix})
            if ours != theirs:
                unstable.append(f"{name} {prefix}: it holds {theirs.get(prefix)}, would take {ours.get(prefix)}")
            speaker.loc_rib[prefix] = decision
    return unstable


def _may_be_stale(speaker: Speaker, prefix: str, path: Path) -> bool:
    """Return whether a path may be what a peer sent once and never took back, as GoBGP does."""
    end = speaker.neighbours[path.index]
    heard = speaker.adj_rib_in.get(prefix, {}).get((path.index, 0))
    if heard is None and end.up and speaker.profile.has("filtered-without-withdrawal"):
        sender = end.other.speaker
        best = sender.passed_on(prefix)
        return best is None or filterpath(sender, end.other, None, best) == "nothing"
    refused = heard is not None and heard.refused is not None and "loop" in heard.refused
    return refused and speaker.profile.has("refused-update-replaces-nothing")
