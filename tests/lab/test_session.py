"""One lab, live or replayed: how the mode is chosen, what the banner says, and that both answer alike."""

from __future__ import annotations

import pytest

from coursekit import CourseError, recording
from coursekit.lab import session as sessions
from coursekit.lab.probe import Attempt, Probe
from coursekit.lab.session import Session, along, captured, session

NO, YES = Attempt(False, "unshare is not installed"), Attempt(True)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable set, no pytest noticed; tests say what the machine can do."""
    monkeypatch.delenv(sessions.VARIABLE, raising=False)
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    return monkeypatch


def can(machine: pytest.MonkeyPatch, root: Attempt = NO, user: Attempt = NO) -> None:
    machine.setattr(sessions, "probe", lambda: Probe("x", root, user, NO, NO))


def test_the_best_that_the_machine_can_do(machine: pytest.MonkeyPatch) -> None:
    """As root or as a user, namespaces are taken; without them replay, with what is missing in the banner."""
    can(machine, root=YES)
    assert session().banner.startswith("live · the lab as root")
    can(machine, user=YES)
    assert session().banner.startswith("live · the lab without root")
    can(machine)
    assert session().banner.startswith("replay · this machine cannot do more: unshare is not installed")
    assert "each answer says which" in session().banner


def test_what_is_said_is_taken(machine: pytest.MonkeyPatch) -> None:
    """An argument goes before the variable, the variable before the machine; under pytest it is replay."""
    can(machine, root=YES)
    assert not session("replay").live
    machine.setenv(sessions.VARIABLE, "replay")
    assert not session().live
    assert session("namespaces").live
    machine.setenv(sessions.VARIABLE, "")
    machine.setenv("PYTEST_VERSION", "9")
    assert not session().live
    machine.setenv(sessions.VARIABLE, "namespaces")
    assert session().live


def test_what_cannot_be(machine: pytest.MonkeyPatch) -> None:
    """An unknown mode, and one that the machine cannot run, get a sentence with the way out."""
    can(machine)
    with pytest.raises(CourseError, match=r"no lab mode 'docker'; there are namespaces, replay"):
        session("docker")
    with pytest.raises(CourseError, match=r"unshare is not installed.*doctor.*session\(\"replay\"\) works everywhere"):
        session("namespaces")


def test_a_session_holds_one_cluster() -> None:
    """Bringing up another takes the first down; before anything is asked, there is no evidence."""
    one = Session("replay", "")
    assert one.evidence() == "nothing asked yet"
    first = one.up("lab", "flannel-vxlan")
    second = one.up("two-racks", "calico-ipip", cross_subnet=True)
    assert one.net is second is not first
    assert second.cluster.profile.cross_subnet
    one.down()
    assert one.net is None


def test_along_the_way() -> None:
    """Each capture point of the way has a frame and its evidence: captured where recorded, else the model's."""
    net = Session("replay", "").up("lab", "flannel-vxlan")
    answer = net.ping("podA", "podB", count=3)
    kept = recording("flannel-vxlan").points()
    way = along(answer, net)

    assert [point for point, _, _ in way] == list(dict.fromkeys(answer.journey.points()))
    assert {point: kind for point, _, kind in way} == {p: "captured" if p in kept else "computed" for p, _, _ in way}
    assert [len(frame) for point, frame, _ in way if point.endswith("eth0")] == [98, 148, 148, 98]
    assert {len(frame) for point, frame, _ in way if point.startswith("router")} == {148}


def test_what_ping_says_in_short() -> None:
    """How many were answered, and the statistics without their time, of recorded and computed pings."""
    net = Session("replay", "").up("lab", "flannel-vxlan")
    recorded, computed = net.ping("podA", "podB", count=3), net.ping("podB", "podA", count=2)

    assert (recorded.answered, computed.answered) == (3, 2)
    assert recorded.summary == "3 packets transmitted, 3 received, 0% packet loss"
    assert computed.summary == "2 packets transmitted, 2 received, 0% packet loss"
    net.break_("missing-fdb")
    assert net.ping("podA", "podB", count=2).answered == 0
    refused = Session("replay", "").up("lab", "flannel-vxlan").ping("podA", "podB", size=1423, df=True)
    assert refused.summary == "1 packets transmitted, 0 received, +1 errors, 100% packet loss"


@pytest.mark.namespaces
@pytest.mark.parametrize("profile", ["flannel-vxlan", "host-gw"])
def test_live_and_replay_answer_alike(profile: str) -> None:
    """The same ping, captured live, is byte for byte what a replay shows, values drawn by lot aside."""
    live, replay = session("namespaces"), Session("replay", "")
    try:
        one = live.up("lab", profile).ping("podA", "podB", count=3)
        other = replay.up("lab", profile).ping("podA", "podB", count=3)
        assert live.evidence() == "captured live"
        assert one.text.count("bytes from") == other.text.count("bytes from") == 3
        old, new = captured(other), captured(one)
        assert set(old) <= set(new)
        for point, kept in old.items():
            fresh = new[point].filter("not arp")
            assert [len(f.data) for f in fresh] == [len(f.data) for f in kept], point
            assert [f.data[:14] for f in fresh] == [f.data[:14] for f in kept], point
        for host in "node1", "podB":
            a, b = live.net.tables(host), replay.net.tables(host)
            assert {(r.dst, r.via, r.dev) for r in a.routes} == {(r.dst, r.via, r.dev) for r in b.routes}
    finally:
        live.down()


@pytest.mark.namespaces
def test_ipip_without_the_module_is_replayed() -> None:
    """Where this kernel has no ipip module a replay stands in, and says so; where it has, the lab is live."""
    live = session("namespaces")
    try:
        net = live.up("lab", "calico-ipip")
        net.ping("podA", "podB", count=3)
        assert (live.evidence() == "captured live") == getattr(net, "live", True)
    finally:
        live.down()
