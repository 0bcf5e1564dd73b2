"""Longest-prefix match answers as the kernel does, and says why."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from coursekit.cluster.iproute2 import format_route, parse_fdb, parse_neighbours, parse_routes
from coursekit.cluster.lookup import ERRORS, Lookup, lookup, lookup_fdb, lookup_neighbour, prefix_bits
from coursekit.cluster.model import load
from coursekit.cluster.profiles import tables
from coursekit.cluster.tables import Route
from coursekit.errors import CourseError

TABLE = parse_routes(
    "default via 192.168.1.1 dev eth0\n"
    "10.244.0.0/16 via 192.168.1.9 dev eth0\n"
    "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink\n"
    "10.244.1.0/24 via 192.168.1.11 dev eth0 metric 1024\n"
    "blackhole 10.244.3.0/24 proto bird\n"
    "10.244.3.7 dev cali1 scope link\n"
    "throw 10.9.0.0/16\n"
    "unreachable 10.8.0.0/16\n"
    "prohibit 10.7.0.0/16\n"
)


@pytest.mark.parametrize(
    ("dst", "winner", "matches", "why", "error"),
    [
        ("10.244.1.7", "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink", 4, "lowest metric", ""),
        ("10.244.2.1", "10.244.0.0/16 via 192.168.1.9 dev eth0", 2, "/16 is the longest of 2 matching prefixes", ""),
        ("8.8.8.8", "default via 192.168.1.1 dev eth0", 1, "/0 is the only row that matches", ""),
        ("10.244.3.7", "10.244.3.7 dev cali1 scope link", 4, "/32 is the longest of 4", ""),
        ("10.244.3.8", "blackhole 10.244.3.0/24 proto bird", 3, "discarded without a word", "Invalid argument"),
        ("10.9.1.1", "throw 10.9.0.0/16", 2, "no other table has an answer", "Network is unreachable"),
        ("10.8.1.1", "unreachable 10.8.0.0/16", 2, "Host Unreachable", "No route to host"),
        ("10.7.1.1", "prohibit 10.7.0.0/16", 2, "Packet filtered", "Permission denied"),
    ],
)
def test_winner_and_reason(dst: str, winner: str, matches: int, why: str, error: str) -> None:
    """The longest prefix wins, then the lowest metric; every matching row is listed best first; refusals are named."""
    found = lookup(TABLE, dst)
    assert (str(found.winner), len(found.matches), found.error) == (winner, matches, error)
    assert why in found.why
    lengths = [row.dst.prefixlen for row in found.matches]
    assert lengths == sorted(lengths, reverse=True)


def test_no_row_matches() -> None:
    """Without a default route an unknown destination has no winner, and the reason says so."""
    found = lookup(TABLE[1:], "8.8.8.8")
    assert (found.winner, found.matches, found.error) == (None, (), "Network is unreachable")
    assert "no row matches 8.8.8.8" in found.why


def test_local_and_main_are_searched_as_one() -> None:
    """IPv4: a longer prefix in main beats a shorter one in local; among equal prefixes local comes first."""
    rows = (
        *parse_routes("10.5.5.0/24 via 10.0.0.2 dev v0\n10.5.0.0/16 via 10.0.0.3 dev v0\n"),
        *parse_routes("local 10.5.0.0/16 dev lo scope host\n", "local"),
    )
    assert lookup(rows, "10.5.5.5").winner == rows[0]
    equal = lookup(rows, "10.5.6.6")
    assert equal.winner == rows[2]
    assert "matches in both tables, and table local comes first" in equal.why


def test_ipv6_asks_local_first() -> None:
    """IPv6: what table local answers is not asked of main, even where main has a longer prefix."""
    rows = (
        *parse_routes("fd00:5:5::/48 via fd00::2 dev v0\n"),
        *parse_routes("local fd00:5::/32 dev lo\n", "local"),
    )
    found = lookup(rows, "fd00:5:5::1")
    assert found.winner == rows[1]
    assert "table main is not asked" in found.why
    thrown = (rows[0], *parse_routes("throw fd00:5::/32 dev lo\n", "local"))
    assert lookup(thrown, "fd00:5:5::1").winner == rows[0]


def test_rows_that_cannot_be_used_are_named() -> None:
    """A dead row and a row for another TOS match, are passed over, and are mentioned."""
    rows = parse_routes("10.0.0.0/8 dev a\n10.1.0.0/16 dev b dead linkdown\n10.1.1.0/24 tos 0x10 dev c\n")
    found = lookup(rows, "10.1.1.1")
    assert found.winner == rows[0]
    assert found.skipped == rows[1:]
    assert "2 more would match but cannot be used" in found.why


def test_bits_for_drawing() -> None:
    """The asked address in bits, a row's fixed bits, and how many of them agree."""
    found = lookup(TABLE, "10.244.1.7")
    assert found.bits == "00001010111101000000000100000111"
    assert prefix_bits(ip_network("10.244.1.0/24")) == "000010101111010000000001........"
    assert [found.matched_bits(row) for row in found.matches] == [24, 24, 16, 0]
    assert found.matched_bits(TABLE[4]) == 22
    assert len(lookup(TABLE, "fd00::1").bits) == 128


@pytest.mark.parametrize("dst", ["10.244.1", "node2", "", "10.0.0.0/8", "::1::"])
def test_no_address_is_refused(dst: str) -> None:
    """Asking for something that is no address gets a sentence."""
    with pytest.raises(CourseError, match="is no IP address"):
        lookup(TABLE, dst)


def test_the_three_lookups_of_flannel() -> None:
    """Route, neighbour, FDB: pod 10.244.1.7 leads to the gateway, its MAC, and node 2's address."""
    node1 = tables(load("lab"))["node1"]
    route = lookup((*node1.routes, *node1.local_routes), "10.244.1.7").winner
    assert route is not None
    assert route.via is not None
    assert route.dev is not None
    neighbour = lookup_neighbour(node1.neighbours, route.via, route.dev).winner
    assert neighbour is not None
    assert neighbour.lladdr is not None
    entry = lookup_fdb(node1.fdb, neighbour.lladdr, route.dev)
    assert str(entry.winner and entry.winner.dst) == "192.168.1.11"


def test_missing_and_failed_entries_say_so() -> None:
    """No neighbour means asking, a FAILED one means nobody answered; an FDB falls back on the all-zero entry."""
    rows = parse_neighbours("10.0.0.8 dev v0 FAILED\n")
    assert "ARP" in lookup_neighbour(rows, "10.0.0.9", "v0").why
    assert "NDP" in lookup_neighbour(rows, "fd00::9", "v0").why
    assert "nobody has answered" in lookup_neighbour(rows, "10.0.0.8", "v0").why
    assert lookup_neighbour(rows, "10.0.0.8", "other").winner is None
    fdb = parse_fdb("00:00:00:00:00:00 dev vx dst 10.0.0.7 self permanent\n02:00:00:00:00:01 dev p1 master br0\n")
    assert "default" in lookup_fdb(fdb, "02:00:00:00:00:09", "vx").why
    assert "floods" in lookup_fdb(fdb, "02:00:00:00:00:09", "br0").why
    assert lookup_fdb(fdb, "02:00:00:00:00:01", "br0").winner == fdb[1]
    assert "no remote" in lookup_fdb(fdb[1:], "02:00:00:00:00:09", "vx").why


NAMESPACE = f"ck-lookup-{os.getpid()}"


def ip(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", "-n", NAMESPACE, *arguments], input=given, capture_output=True, text=True)


@pytest.fixture
def namespace() -> Iterator[None]:
    """One network namespace with a veth that routes can point at; gone afterwards."""
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, capture_output=True)
    try:
        setup = (
            "link set lo up\nlink add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\n"
            "addr add 10.0.0.1/24 dev v0\naddr add fd00::1/64 dev v0 nodad\n"
        )
        done = ip("-batch", "-", given=setup)
        assert done.returncode == 0, done.stderr
        yield
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=True, capture_output=True)


def random_table(chance: random.Random, version: int, rows: int) -> list[Route]:
    """Routes in a few crowded prefixes, of all types, with metrics, host routes and now and then a default."""
    found: dict[tuple[Any, ...], Route] = {}
    base, bits = ("10.", 32) if version == 4 else ("fd", 128)
    for _ in range(rows):
        if version == 4:
            address = int(ip_address(f"{base}{chance.randrange(60, 63)}.{chance.randrange(8)}.{chance.randrange(256)}"))
            length = chance.choice([0, 8, 14, 15, 16, 20, 22, 23, 24, 25, 26, 30, 31, 32])
        else:
            site, subnet, host = chance.randrange(1, 4), chance.randrange(4), chance.randrange(512)
            address = int(ip_address(f"fd{site:02x}:{subnet:x}::{host:x}"))
            length = chance.choice([0, 8, 12, 16, 31, 32, 64, 120, 122, 127, 128])
        dst = ip_network((address >> (bits - length) << (bits - length), bits)).supernet(new_prefix=length)
        kind = chance.choice(["unicast"] * 9 + ["blackhole", "unreachable", "prohibit", "throw", "local"])
        table = "local" if kind == "local" or (kind == "throw" and length > 8 and chance.random() < 0.3) else "main"
        metric = chance.choice([None, None, 5, 20, 100]) if version == 4 else chance.choice([5, 20, 100, 1024])
        via = f"10.0.0.{chance.randrange(2, 250)}" if version == 4 else f"fd00::{chance.randrange(2, 250):x}"
        unicast = kind == "unicast"
        found[dst, table, metric] = Route(
            dst,
            ip_address(via) if unicast else None,
            "v0" if unicast else "lo" if kind == "local" or version == 6 else None,
            kind,
            scope="host" if kind == "local" and version == 4 else "global",
            metric=metric,
            table=table,
        )
    return list(found.values())


def kernel_answers(version: int, destinations: list[str]) -> list[str]:
    """Ask `ip route get` for each destination: the gateway, the word `local`, or the error it prints."""
    batch = "".join(f"route get {dst}\n" for dst in destinations)
    done = ip(f"-{version}", "-j", "-force", "-batch", "-", given=batch)
    failed: dict[int, str] = {}
    reason = ""
    for line in done.stderr.splitlines():
        told = re.fullmatch(r"RTNETLINK answers: (.*)", line)
        command = re.fullmatch(r"Command failed .*:(\d+)", line)
        if told:
            reason = told.group(1)
        elif command:
            failed[int(command.group(1))] = reason
    answers = iter(json.loads(line)[0] for line in done.stdout.splitlines() if line.startswith("[{"))
    out = []
    for number in range(1, len(destinations) + 1):
        if number in failed:
            out.append(failed[number])
            continue
        row = next(answers)
        error = row.get("type") in ERRORS and ERRORS[row["type"]]  # IPv6 prints the refusing row instead of failing
        out.append(error or ("local" if row.get("type") == "local" else row.get("gateway", row.get("dev"))))
    return out


def model_answer(found: Lookup[Route]) -> str:
    if found.error:
        return found.error
    assert found.winner is not None
    return "local" if found.winner.type == "local" else str(found.winner.via or found.winner.dev)


@pytest.mark.root
@pytest.mark.parametrize("version", [4, 6])
def test_answers_equal_the_kernels(version: int, namespace: None, record_property: Any) -> None:
    """Thousands of look-ups in random tables get the answer that `ip route get` gives, refusals included."""
    chance = random.Random(f"tables {version}")
    pairs, kinds = 0, set()
    for _ in range(45):
        table = random_table(chance, version, 60)
        batch = "".join(f"route add {format_route(r).strip()} table {r.table}\n" for r in table)
        loaded = ip(f"-{version}", "-batch", "-", given=batch)
        assert loaded.returncode == 0, (loaded.stderr, batch)
        asked = []
        for row in table:  # inside each prefix, at its edges, and beside it
            first, last = int(row.dst.network_address), int(row.dst.broadcast_address)
            asked += [chance.randint(first, last), chance.choice([first, last, last + 1, max(first - 1, 0)])]
        destinations = [str(type(table[0].dst.network_address)(n % 2 ** table[0].dst.max_prefixlen)) for n in asked]
        destinations = [d for d in destinations if usable(d)]
        connected = parse_routes("10.0.0.0/24 dev v0 proto kernel\nfd00::/64 dev v0 proto kernel metric 256\n")
        own = parse_routes("local 10.0.0.1 dev v0\nlocal fd00::1 dev v0\nbroadcast 10.0.0.255 dev v0\n", "local")
        rows = [*table, *connected, *own]
        real = kernel_answers(version, destinations)
        mine = [model_answer(lookup(rows, dst)) for dst in destinations]
        wrong = [(d, m, r) for d, m, r in zip(destinations, mine, real, strict=True) if m != r]
        assert not wrong, f"destination, model, kernel: {wrong[:5]}\n{batch}"
        pairs += len(destinations)
        kinds |= set(real) & {*ERRORS.values(), "local"}
        flush = "".join(f"route del {format_route(r).strip()} table {r.table}\n" for r in table)
        assert ip(f"-{version}", "-batch", "-", given=flush).returncode == 0
    assert pairs >= 3000
    assert kinds == {*ERRORS.values(), "local"}
    record_property("look-ups equal to the kernel's", pairs)
    print(f"IPv{version}: {pairs} look-ups equal to the kernel's")


def usable(dst: str) -> bool:
    """Leave out what the kernel never looks up by prefix alone: multicast, 0/8, loopback, broadcast, link-local."""
    address = ip_address(dst)
    own = ip_address("10.0.0.255") if address.version == 4 else ip_address("fd00::1")
    return not (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or address == own
        or (address.version == 4 and (int(address) >> 24 in (0, 127) or int(address) >> 28 == 15))
    )
