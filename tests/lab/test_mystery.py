"""Diagnosing: the right name explains everything, no other does, and a wrong one is told what it leaves open."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from coursekit import CourseError
from coursekit.cluster.faults import FAULTS, fault
from coursekit.cluster.model import load
from coursekit.lab.mystery import Case, drawn, fitting, mystery
from coursekit.lab.replay import TAKES
from coursekit.lab.session import Session, session

SEEDS = range(24)  # each case once
WRONG_PORT = 5  # the notebook's seed
REPLAY = Session("replay", "")


@cache
def case(seed: int) -> Case:
    """The case of a seed, for those who only look."""
    return mystery(REPLAY, seed)


def hidden(one: Case) -> str:
    return one.reveal().removeprefix("It was ").partition(":")[0]


def seed_of(fault: str, profile: str = "flannel-vxlan") -> int:
    """The first seed that draws a fault under a profile."""
    return next(seed for seed in SEEDS if drawn(seed) == ("lab", profile, fault))


def test_seeds_are_spread_evenly() -> None:
    """Over 400 seeds each profile's fitting faults are all drawn, none more than twice as often as another."""
    counts = Counter(map(drawn, range(400)))
    profiles = {profile for _, profile, _ in counts}

    assert profiles == {take.profile for take in TAKES if take.faults}
    for profile in profiles:
        fits = fitting(load("lab").with_profile(profile))
        often = {name: count for (_, of, name), count in counts.items() if of == profile}
        assert set(often) == set(fits)
        assert len(fits) > 10
        assert max(often.values()) <= 2 * min(often.values())


def test_a_seed_is_a_case() -> None:
    """The same seed draws the same case, neighbours differ, and all are dealt before one comes again."""
    assert [hidden(mystery(REPLAY, seed)) for seed in SEEDS] == [hidden(case(seed)) for seed in SEEDS]
    assert [drawn(seed)[2] for seed in SEEDS] == [hidden(case(seed)) for seed in SEEDS]
    for lap in (-1, 0, 1):
        assert len({drawn(len(SEEDS) * lap + n) for n in SEEDS}) == len(SEEDS)
    assert [drawn(n) for n in SEEDS] != [drawn(len(SEEDS) + n) for n in SEEDS]
    with pytest.raises(CourseError, match="A seed is a whole number, as in"):
        mystery(REPLAY, "7")  # type: ignore[arg-type]


def test_every_recorded_fault_is_drawn() -> None:
    """What was recorded broken fits, so that a replay can show captures of it."""
    assert {("lab", take.profile, take.faults[0]) for take in TAKES if take.faults} <= set(map(drawn, SEEDS))


@pytest.mark.parametrize(("profile", "name"), [
    ("flannel-vxlan", "protocol-4-filtered"), ("flannel-vxlan", "icmp-filtered"), ("calico-ipip", "mesh-left-on"),
    ("calico-ipip", "nodes-in-one-as"), ("calico-ipip", "no-rr-client"), ("flannel-vxlan", "session-lost"),
])  # fmt: skip
def test_what_does_not_fit_is_no_suspect(profile: str, name: str) -> None:
    """A fault that shows nowhere under a profile, or needs another peering, is neither drawn nor listed."""
    one = case(seed_of("missing-route", profile))
    assert name not in one.suspects
    assert ("lab", profile, name) not in map(drawn, range(400))


@pytest.mark.parametrize("seed", SEEDS)
def test_only_the_fault_itself_explains_everything(seed: int) -> None:
    """Of all faults that the cluster can have, exactly the hidden one is right; the others get a reason."""
    one = case(seed)
    said = {name: one.diagnose(name) for name in one.suspects}

    assert [name for name, judgement in said.items() if judgement.right] == [hidden(one)]
    assert any(";\n   here it gives" in str(judgement) for judgement in said.values()), "a line for each"
    for name, judgement in said.items():
        if not judgement.right:
            assert str(judgement).startswith(f"{name} does not explain it:")
            would, _, does = str(judgement).partition(";\n   here it gives ")
            assert not does or would.rpartition("would give ")[2] + "." != does


def test_looking_does_not_tell() -> None:
    """No verb, repr or suspect list gives the name away; what is shown of a recorded fault was captured."""
    one = case(WRONG_PORT)
    asked = one.ping("podA", "podB", count=2)

    assert one.evidence.startswith("captured")
    assert "100% packet loss" in asked.text
    for shown in (repr(one), repr(asked), one.traceroute("podA", "podB").text, repr(one.get("podA", "podB"))):
        assert hidden(one) not in shown
    assert set(one.suspects) > {hidden(one)}
    assert all(FAULTS[name].about == about for name, about in one.suspects.items())


def test_options_matter() -> None:
    """The right kind of fault in the wrong place is not right."""
    one = case(seed_of("missing-route"))

    assert one.diagnose("missing-route").right
    assert not one.diagnose("missing-route", node="node2").right


def test_what_a_wrong_name_leaves_open() -> None:
    """A symptom goes before a row: a full ping that would be lost; then a row that should be another."""
    one = case(seed_of("pod-mtu"))

    assert "ping -s 1422 -M do would give silence" in str(one.diagnose("port-mtu"))
    assert "node1 would not have “flannel.1 mtu 1450 UP" in str(one.diagnose("vtep-mtu"))
    assert "node1 no longer has “cni0 mtu 1450 UP”" in str(one.diagnose("icmp-filtered"))
    port = case(seed_of("wrong-port"))
    assert "192.168.1.11 complains to 192.168.1.10" in str(port.diagnose("wrong-vni"))


def test_a_lost_answer_is_told_as_one() -> None:
    """Where node2 lost its route, podA's request arrives: the hint says where the answer was seen last."""
    one = Case(REPLAY.up("lab", "flannel-vxlan"), fault("missing-route", node="node2"))

    assert not one.diagnose("missing-route").right
    assert "here it gives silence in the pod, the answer seen last at router:br0" in str(one.diagnose("wrong-vni"))
    assert one.diagnose("missing-route", node="node2").right


def test_repair_mends() -> None:
    """After repair the pods talk again, and no diagnosis of the old fault holds."""
    one = mystery(REPLAY, WRONG_PORT)
    assert one.repair()
    assert "0% packet loss" in one.ping("podA", "podB").text
    assert not one.diagnose(hidden(one)).right


def test_mistakes_get_a_sentence() -> None:
    """A diagnosis that is no fault, or none of this cluster, is told so."""
    with pytest.raises(CourseError, match="no fault 'gremlins'"):
        case(WRONG_PORT).diagnose("gremlins")


@pytest.mark.namespaces
@pytest.mark.parametrize("seed", [
    seed_of("pod-mtu"), seed_of("protocol-4-filtered", "calico-ipip"), seed_of("node-down", "calico-ipip"),
])  # fmt: skip
def test_live_cases_are_the_same(seed: int) -> None:
    """The same seed breaks the same thing for real; there too exactly the hidden fault explains everything."""
    live = session("namespaces")
    try:
        one = mystery(live, seed)
        assert hidden(one) == hidden(case(seed))
        one.ping("podA", "podB")
        assert one.evidence.startswith("captured live")
        assert [name for name in one.suspects if one.diagnose(name).right] == [hidden(one)]
    finally:
        live.down()
