"""A host's tables in the model and in the lab, row by row."""

from __future__ import annotations

from typing import Any

from coursekit.cluster.tables import FdbEntry, HostTables, Link

# Of a link the kernel prints dozens of attributes; these decide where packets go. Left out are queues, timers and
# counters, and whether multicast is on: a device has it or not as its driver likes.
_LINK = ("mtu", "mac", "kind", "master", "peer")


def _link(link: Link, indexes: bool) -> dict[str, Any]:
    found = {key: getattr(link, key) for key in _LINK}
    found["flags"] = sorted(set(link.flags) - {"MULTICAST"})
    if "NO-CARRIER" not in link.flags:  # then kernels differ: DOWN since 6.4, LOWERLAYERDOWN before
        found["operstate"] = link.extra.get("operstate")
    if indexes:
        found["ifindex"] = link.ifindex
    return found | {f"info {key}": value for key, value in link.info.items() if link.kind == "vxlan"}


def _fdb(rows: tuple[FdbEntry, ...]) -> list[str]:
    """Rows of tunnels, and bridges' own; what traffic taught and what multicast needs are left out."""
    kept = [row for row in rows if row.dst is not None or (row.master and row.state == "permanent")]
    return sorted(str(row) for row in kept)


def table_differences(model: HostTables, real: HostTables, indexes: bool = True) -> tuple[int, list[str]]:
    """Return how many rows were compared, and what differs; a device that was made again has another index.

    Neighbours are compared if they are permanent: the others are ARP's, which traffic brings and time takes.
    """
    differences: list[str] = []
    rows = 0

    def same(what: str, ours: list[str], theirs: list[str]) -> None:
        nonlocal rows
        rows += len(ours)
        if ours != theirs:
            missing, extra = [r for r in ours if r not in theirs], [r for r in theirs if r not in ours]
            order = "" if missing or extra else " (another order)"
            differences.append(f"{what}{order}: only in the model {missing}, only in the kernel {extra}")

    names = [[link.name for link in t.links] for t in (model, real)]
    same("devices", *(names if indexes else map(sorted, names)))
    for link in model.links:
        other = real.link(link.name)
        if other is None:
            continue
        ours, theirs = _link(link, indexes), _link(other, indexes)
        rows += 1
        differing = {key: (value, theirs.get(key)) for key, value in ours.items() if value != theirs.get(key)}
        if differing:
            differences.append(f"{link.name}: {differing} (model, kernel)")
    same("addresses", *([f"{a.interface} {a.dev}" for a in t.addresses if not _local6(str(a.interface))]
                        for t in (model, real)))  # fmt: skip
    same("routes", *([str(r) for r in t.routes if not _local6(str(r.dst))] for t in (model, real)))
    same("local routes", *([str(r) for r in t.local_routes if not _local6(str(r.dst))] for t in (model, real)))
    permanent = [[str(n) for n in t.neighbours if n.state == "PERMANENT"] for t in (model, real)]
    same("neighbours", *(sorted(found) for found in permanent))
    same("fdb", _fdb(model.fdb), _fdb(real.fdb))
    return rows, differences


def _local6(text: str) -> bool:
    """Whether a row is IPv6's housekeeping: link-local, multicast, loopback."""
    return text.startswith(("fe80:", "ff00:", "::1"))
