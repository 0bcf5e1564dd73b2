"""Diagnosing: the right name explains everything, no other does, and a wrong one is told what it leaves open."""

from __future__ import annotations

from functools import cache

import pytest

from coursekit import CourseError
from coursekit.cluster.faults import FAULTS
from coursekit.lab.mystery import Case, mystery
from coursekit.lab.replay import TAKES
from coursekit.lab.session import Session, session

SEEDS = range(10)
REPLAY = Session("replay", "")


@cache
def case(seed: int) -> Case:
    """The case of a seed, for those who only look."""
    return mystery(REPLAY, seed)


def hidden(one: Case) -> str:
    return one.reveal().removeprefix("It was ").partition(":")[0]


def test_seeds_reach_every_recorded_fault() -> None:
    """Five dozen seeds draw each fault that was recorded, and the same seed draws the same one."""
    found = {(one._net.cluster.profile.name, hidden(one)) for one in map(case, range(60))}

    assert found == {(take.profile, take.faults[0]) for take in TAKES if take.faults}
    assert [hidden(mystery(REPLAY, seed)) for seed in SEEDS] == [hidden(case(seed)) for seed in SEEDS]


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
    one = case(7)
    asked = one.ping("podA", "podB", count=2)

    assert one.evidence.startswith("captured")
    assert "100% packet loss" in asked.text
    for shown in (repr(one), repr(asked), one.traceroute("podA", "podB").text, repr(one.get("podA", "podB"))):
        assert hidden(one) not in shown
    assert set(one.suspects) > {hidden(one)}
    assert all(FAULTS[name].about == about for name, about in one.suspects.items())


def test_options_matter() -> None:
    """The right kind of fault in the wrong place is not right."""
    one = next(c for c in map(case, range(60)) if hidden(c) == "missing-route")

    assert one.diagnose("missing-route").right
    assert not one.diagnose("missing-route", node="node2").right


def test_what_a_wrong_name_leaves_open() -> None:
    """A symptom goes before a row: a full ping that would be lost; then a row that should be another."""
    one = next(c for c in map(case, range(60)) if hidden(c) == "pod-mtu" and "flannel" in c._net.cluster.profile.name)

    assert "ping -s 1422 -M do would give silence" in str(one.diagnose("port-mtu"))
    assert "node1 would not have “flannel.1 mtu 1450 UP" in str(one.diagnose("vtep-mtu"))
    assert "node1 no longer has “cni0 mtu 1450 UP”" in str(one.diagnose("icmp-filtered"))
    port = next(c for c in map(case, range(60)) if hidden(c) == "wrong-port")
    assert "192.168.1.11 complains to 192.168.1.10" in str(port.diagnose("wrong-vni"))


def test_repair_mends() -> None:
    """After repair the pods talk again, and no diagnosis of the old fault holds."""
    one = mystery(REPLAY, 7)
    assert one.repair()
    assert "0% packet loss" in one.ping("podA", "podB").text
    assert not one.diagnose(hidden(one)).right


def test_mistakes_get_a_sentence() -> None:
    """A diagnosis that is no fault, or none of this cluster, is told so."""
    with pytest.raises(CourseError, match="no fault 'gremlins'"):
        case(7).diagnose("gremlins")


@pytest.mark.namespaces
@pytest.mark.parametrize("seed", [2, 5])  # VXLAN and a packet too big; IPIP and a filter
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
