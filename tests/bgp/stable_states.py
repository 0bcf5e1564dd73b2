"""Whether tables that a daemon came to are a stable state: one in which no speaker of ours would change its mind.

Some networks have several stable states, and which one is reached depends on who spoke first. Then a daemon is right
without being equal; and still every wrong rule of ours would show, because its state would not be stable for us.
"""

from __future__ import annotations

from collections.abc import Mapping

from coursekit.bgp.decision import Decision
from coursekit.bgp.loopback import Held, compared
from coursekit.bgp.simulation import Simulation


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
