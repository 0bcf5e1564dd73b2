"""Two recordings of one scenario, compared in what may not change: frames, tables, outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from coursekit.lab.recorder import masks
from coursekit.lab.recorder.masks import Row
from coursekit.lab.recording import Recording

_SAID = ("title", "evidence", "setup")  # of a recording's provenance, what its scenario says too


def differences(old: Recording, new: Recording, *, updates: bool = True) -> Iterator[str]:
    """Yield in words where `new` is not as `old`: what is said of it, files, then tables, outputs and frames.

    Without `updates` BGP's messages are left out: some come only when a path came first.
    """
    for key in _SAID:
        if old.provenance.get(key) != new.provenance[key]:
            yield f"provenance.json: {key}: recorded {old.provenance.get(key)!r}, now {new.provenance[key]!r}"
    before, now = set(old.provenance["sha256"]), set(new.provenance["sha256"])
    for name in sorted(before ^ now):
        yield f"{name}: {'only recorded' if name in before else 'only there now'}"
    for name in sorted(before & now):
        if name.startswith("state") and name.endswith(".json"):
            yield from _tables(name, old, new)
    for name in old.outputs():
        if name != "state" and f"{name}.txt" in now:  # state.txt says what state.json does
            one, other = masks.text(old.output(name)), masks.text(new.output(name))
            if name.startswith("birdc-"):  # the paths to a prefix stand in the order in which they came
                one, other = sorted(one), sorted(other)
            yield from _lines(f"{name}.txt", one, other)
    for point in old.points():
        if point in new.points():
            yield from _frames(point, old, new, updates)


def _tables(name: str, old: Recording, new: Recording) -> Iterator[str]:
    moment = name.removeprefix("state").removesuffix(".json").removeprefix("-")
    before, now = old.tables(moment), new.tables(moment)
    for host in sorted(before | now):
        if host not in before or host not in now:
            yield f"{name}: {host}: {'only recorded' if host in before else 'only there now'}"
            continue
        one, other = masks.table(before[host]), masks.table(now[host])
        left_out = not one["links"]  # every host has some: only routes and neighbours were recorded
        for section, rows in one.items():
            if left_out and section in ("links", "addresses", "FDB"):
                continue
            yield from _lines(f"{name}: {host}: {section}", rows, other[section])


def _lines(where: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Yield the first line that differs."""
    for number in range(max(len(old), len(new))):
        one, other = (lines[number] if number < len(lines) else "nothing" for lines in (old, new))
        if one != other:
            yield f"{where}: line {number + 1}: recorded {one.strip()!r}, now {other.strip()!r}"
            return


def _frames(point: str, old: Recording, new: Recording, updates: bool) -> Iterator[str]:
    before, now = masks.frames(old.capture(point)), masks.frames(new.capture(point))
    for kind in sorted(before | now):
        if kind == "bgp" and not updates:
            continue
        found = _first(before.get(kind, []), now.get(kind, []))
        if found:
            yield f"{point}: {kind.upper()}: {found}"


def _first(old: list[Row], new: list[Row]) -> str:
    """Return the first field that differs between two lists of frames, or how many frames there are; "" if none."""
    for number, (one, other) in enumerate(zip(old, new, strict=False), 1):
        if one == other:
            continue
        if Counter(old) == Counter(new):
            return f"frame {number}: the order is another one"
        mine, theirs = dict(one), dict(other)
        places = [place for place in {**mine, **theirs} if mine.get(place) != theirs.get(place)]
        place = min(places, key=lambda place: place.endswith(".checksum)"))  # which only follows from the others
        return f"frame {number}: {place}: {_values(mine.get(place, 'absent'), theirs.get(place, 'absent'))}"
    return "" if len(old) == len(new) else f"{len(old)} frames recorded, {len(new)} now"


def _values(old: str, new: str) -> str:
    """Say two values; of long ones what is about the first character that differs."""
    shorter = min(len(old), len(new))
    at = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    start = max(0, at - 8) if max(len(old), len(new)) > 60 else 0
    one, other = (f"{'…' * bool(start)}{text[start : start + 60]}" for text in (old, new))
    return f"recorded {one}, now {other}"
