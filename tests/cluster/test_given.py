"""What verbs are given: the model refuses what no packet can have, in a sentence, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coursekit.cluster import journey
from coursekit.cluster.faults import apply, fault, named
from coursekit.cluster.given import check_settings
from coursekit.cluster.model import load
from coursekit.cluster.network import network
from coursekit.errors import CourseError

LAB = network(load("lab"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": -1}, "0 to 65507 bytes of data; -1"), ({"size": 65508}, "65508"), ({"size": "x"}, "'x'"),
        ({"size": True}, "True"), ({"size": 56.0}, r"56\.0"), ({"ttl": 0}, "TTL of 1 to 255; 0"), ({"ttl": 256}, "256"),
        ({"tos": 256}, "TOS is one byte"), ({"df": "do"}, r"ping -M do.*'do'"), ({"wait": "x"}, "wait is a number of"),
        ({"wait": -1}, "seconds from 0 to 86400; -1"), ({"wait": float("nan")}, "nan"), ({"wait": 86401}, "86401"),
    ],
)  # fmt: skip
def test_pings_that_cannot_be(given: dict[str, Any], words: str) -> None:
    """Numbers out of range and values of another type are named, with what was expected."""
    with pytest.raises(CourseError, match=words):
        journey.ping(LAB, "podA", "podB", **given)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: journey.traceroute(LAB, "podA", "podB", max_hops=True), "1 to 255 hops; True"),
        (lambda: journey.ping(LAB, ["podA"], "podB"), "There is no host"),  # type: ignore[arg-type]
        (lambda: load(42), "A cluster is a Cluster, the path of a .toml file or one of chapter.*; 42 was given"),  # type: ignore[arg-type]
        (lambda: load(""), "; '' was given"),
        (lambda: apply(LAB, None), "There is no fault None"),  # type: ignore[arg-type]
        (lambda: fault(["pod-mtu"]), "There is no fault"),  # type: ignore[arg-type]
        (lambda: named(fault("pod-mtu"), mtu=1400), "pod-mtu has its own already"),
        (lambda: check_settings(["ipv4/ip_forward"]), "settings are names under /proc/sys/net"),
        (lambda: check_settings({"ipv4/ip_forward": 1}), "all in quotes"),
        (lambda: check_settings({"../kernel/hostname": "elsewhere"}), "names under /proc/sys/net"),
        (lambda: check_settings({"ipv4/../../kernel/hostname": "elsewhere"}), "names under /proc/sys/net"),
        (lambda: check_settings({"/etc/passwd": ""}), "names under /proc/sys/net"),
    ],
)  # fmt: skip
def test_other_things_that_cannot_be(mistake: Callable[[], object], words: str) -> None:
    """Clusters, faults and settings that are none get a sentence; no setting leads out of /proc/sys/net."""
    with pytest.raises(CourseError, match=words):
        mistake()
    check_settings({"ipv4/conf/all/rp_filter": "1", "netfilter/nf_conntrack_max": "9", "ipv4/conf/eth0.5/mtu": "9"})
