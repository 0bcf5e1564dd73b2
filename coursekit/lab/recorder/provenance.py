"""Provenance: a take written down as a recording, with kernel, tools, commands, date and the SHA-256 of every file.

What provenance.json says is held by SHA256SUMS beside the recordings, as sha256sum(1) writes and checks it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.lab.probe import attempt
from coursekit.lab.recorder.scenario import Scenario
from coursekit.lab.recorder.take import Take
from coursekit.lab.recording import recording

SUMS = "SHA256SUMS"
_TOOLS = {
    "BIRD": ("bird", "--version"), "iproute2": ("ip", "-V"), "iputils": ("ping", "-V"),
    "traceroute": ("traceroute", "-V"), "socat": ("socat", "-V"), "ethtool": ("ethtool", "--version"),
    "iptables": ("iptables", "--version"),
}  # fmt: skip
_TOPOLOGY = {
    "lab": "podA 10.244.0.5 - node1 192.168.1.10 - [sw1 br0 sw2] - node2 192.168.1.11 - podB 10.244.1.7; br0 is also "
           "the router 192.168.1.1, which has no default route",
    "two-racks": "podA 10.244.0.5 - node1 192.168.1.10 - [sw1 br1 | router | br2 sw3] - node3 192.168.2.12 - "
                 "podC 10.244.2.9; node2 192.168.1.11 with podB 10.244.1.7 beside node1",
    "chapter": "podA 10.244.0.5 - node1 192.168.1.10 - [sw1 br0 sw2, sw3] - node2 192.168.1.11 - podB 10.244.1.7; "
               "node3 192.168.1.12 - podC 10.244.2.9 on sw3; br0 is also the router 192.168.1.1",
}  # fmt: skip
_CONDITIONS = "network namespaces; IPv6 off; rp_filter 0; icmp_ratelimit 0; "
_NO_OFFLOADS = "tx checksum, TSO, GSO and GRO off (ethtool -K)"


def _versions() -> str:
    """Return the tools of this machine with their versions, as "iproute2 6.1.0, iputils 20221126"."""
    found = []
    for name, command in _TOOLS.items():
        said = re.search(r"\d+(?:\.\d+)+\w*|\d{8}", attempt(list(command)).said)
        found += [f"{name} {said.group()}"] if said else []
    return ", ".join([*found, "packet sockets of the lab itself"])


def _topology(scenario: Scenario) -> str:
    if isinstance(scenario.cluster, str) and scenario.cluster in _TOPOLOGY:
        return _TOPOLOGY[scenario.cluster]
    cluster = scenario.made()
    return "; ".join(
        f"{node.name} {node.address} with {', '.join(f'{p.name} {p.address}' for p in cluster.pods_on(node.name))}"
        for node in cluster.nodes
    )


def write(scenario: Scenario, taken: Take, into: Path) -> Path:
    """Write a take as the recording `into`/NAME, whole or not at all; return its folder.

    Raises CourseError where the folder cannot be written.
    """
    machine = f"{platform.release()}, {platform.machine().replace('x86_64', 'x86-64')}, {os.cpu_count()} cores"
    conditions = _CONDITIONS + ("offloads left on" if scenario.offload else _NO_OFFLOADS)
    if taken.userspace_ipip:
        conditions += "; IPIP done in user space, for want of the kernel's"
    said = {
        "name": scenario.name, "title": scenario.title, "evidence": "captured", "kernel": taken.kernel or machine,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "tools": _versions(),
        "topology": _topology(scenario), "conditions": conditions,
        "setup": scenario.setup, "commands": [str(step) for step in scenario.typed()],
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(taken.files.items())},
    }  # fmt: skip
    folder = into / scenario.name
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix=".") as room:
            fresh = Path(room, scenario.name)
            fresh.mkdir()
            for name, data in taken.files.items():
                (fresh / name).write_bytes(data)
            (fresh / "provenance.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf-8")
            if folder.exists():
                folder.rename(Path(room, "before"))
            fresh.rename(folder)
        _seal(folder)
    except OSError as error:
        raise CourseError(f"The recording {scenario.name} cannot be written to {into}: {error.strerror}.") from None
    return folder


def sealed(home: Path) -> dict[str, str]:
    """Return the SHA-256 of each recording's provenance.json, by the recording's name, as SHA256SUMS in `home` has it.

    Raises CourseError if that file cannot be read.
    """
    try:
        rows = [line.split("  ") for line in (home / SUMS).read_text("ascii").splitlines()]
        return {path.removesuffix("/provenance.json"): digest for digest, path in rows}
    except (OSError, ValueError) as error:
        raise CourseError(
            f"{home / SUMS} cannot be read ({error}): it holds the SHA-256 of every provenance.json, as sha256sum "
            f"writes them. `git checkout -- data/recordings/{SUMS}` brings it back."
        ) from None


def _seal(folder: Path) -> None:
    """Note the SHA-256 of a recording's provenance.json beside those of the others."""
    home = folder.parent
    known = sealed(home) if (home / SUMS).exists() else {}
    known[folder.name] = hashlib.sha256((folder / "provenance.json").read_bytes()).hexdigest()
    lines = (f"{digest}  {name}/provenance.json\n" for name, digest in sorted(known.items()))
    (home / SUMS).write_text("".join(lines), "ascii")


def check_files(folder: Path, noted: Mapping[str, str]) -> None:
    """Raise CourseError unless a recording, and what its provenance says of it, are what was recorded.

    `noted` is the SHA-256 of each recording's provenance: see `sealed`.
    """
    found = recording(folder)
    if folder.name not in noted:
        raise CourseError(f"{folder.name} is no recording of the course: {SUMS} does not name it. Remove it.")
    if found.sha256 != noted[folder.name]:
        raise CourseError(
            f"provenance.json of the recording {folder.name!r} is not what was written: its SHA-256 is "
            f"{found.sha256[:12]}…, {SUMS} says {noted[folder.name][:12]}…. "
            f"Restore it with `git checkout -- data/recordings/{folder.name} data/recordings/{SUMS}`."
        )
    found.verify()
    there = {path.name for path in folder.iterdir()} - {"provenance.json"}
    added = sorted(there - set(found.provenance["sha256"]))
    if added:
        raise CourseError(
            f"{added[0]} of the recording {found.name!r} was not recorded: provenance.json does not name it. Remove it."
        )


