"""One lab, live or replayed: how the mode is chosen, what the banner says, and that both answer alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import CourseError, recording
from coursekit.lab import session as sessions
from coursekit.lab.mystery import mystery
from coursekit.lab.probe import Attempt, Probe, probe
from coursekit.lab.replay import Replay
from coursekit.lab.session import Session, along, captured, session
from coursekit.lab.unknown import unknown
from tests.conftest import soon

NO, YES = Attempt(False, "unshare is not installed"), Attempt(True)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable set, no pytest noticed; tests say what the machine can do."""
    monkeypatch.delenv(sessions.VARIABLE, raising=False)
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.setattr(sessions, "reached", lambda context: (False, "kubectl is not installed (here)"))
    return monkeypatch


def can(machine: pytest.MonkeyPatch, root: Attempt = NO, user: Attempt = NO, loopback: Attempt = NO) -> None:
    machine.setattr(sessions, "probe", lambda: Probe("x", root, user, loopback, NO))


def test_the_best_that_the_machine_can_do(machine: pytest.MonkeyPatch) -> None:
    """As root or as a user, namespaces are taken; without them replay, with what is missing in the banner."""
    can(machine, root=YES)
    assert session().banner.startswith("live · the lab as root")
    can(machine, user=YES)
    assert session().banner.startswith("live · the lab without root")
    can(machine, loopback=YES)
    assert session().banner.startswith("loopback · routing daemons on 127.x")
    assert "BIRD runs here and now." in session().banner
    assert not session().live
    can(machine)
    assert session().banner.startswith("replay · this machine cannot do more: unshare is not installed")
    assert "each answer says which" in session().banner
    assert "No cluster is asked: kubectl is not installed" in session().banner
    assert "Network namespaces cannot be made here (unshare is not installed): sudo apt install" in session().banner


def test_a_cluster_that_answers_is_taken_first(machine: pytest.MonkeyPatch) -> None:
    """Where a context answers it is the mode, and what this machine can do stands beside it; said modes go before."""
    machine.setattr(sessions, "reached", lambda context: (True, f"context {context} answers, 2 nodes"))
    can(machine, user=YES)
    assert session().banner.startswith("minikube · context minikube answers, 2 nodes\nYour cluster is asked by")
    assert "until you remove them" in session().banner
    assert "beside it, live in namespaces" in session().banner
    assert (session().mode, session().kernel, session().live) == ("minikube", "namespaces", True)
    assert (session("namespaces").mode, session("replay").mode) == ("namespaces", "replay")
    can(machine)
    one = session("minikube", context="kind-x")
    assert (one.context, one.kernel, one.live) == ("kind-x", "replay", False)
    assert type(one.up("lab", "flannel-vxlan")) is Replay


@pytest.mark.parametrize(("root", "loopback"), [(YES, NO), (NO, YES), (NO, NO)])
def test_no_cluster_to_ask(root: Attempt, loopback: Attempt, machine: pytest.MonkeyPatch) -> None:
    """Asked for, a cluster that does not answer is a sentence; not asked for, the banner says how to get one."""
    can(machine, root=root, loopback=loopback)
    with pytest.raises(CourseError, match=r"No cluster can be asked: kubectl is not installed.*can be pasted instead"):
        session("minikube")
    assert "No cluster is asked: kubectl is not installed (here)." in session().banner
    assert session().minikube().evidence.startswith("documented")


def test_what_is_said_is_taken(machine: pytest.MonkeyPatch) -> None:
    """An argument goes before the variable, the variable before the machine; under pytest it is replay."""
    can(machine, root=YES)
    assert not session("replay").live
    machine.setenv(sessions.VARIABLE, "replay")
    assert not session().live
    assert session("namespaces").live
    can(machine, root=YES, loopback=YES)
    assert session("loopback").mode == "loopback"
    machine.setenv(sessions.VARIABLE, "")
    machine.setenv("PYTEST_VERSION", "9")
    assert not session().live
    machine.setenv(sessions.VARIABLE, "namespaces")
    assert session().live


def test_what_cannot_be(machine: pytest.MonkeyPatch) -> None:
    """An unknown mode, and one that the machine cannot run, get a sentence with the way out."""
    can(machine)
    with pytest.raises(CourseError, match=r"no lab mode 'docker'; there are minikube, namespaces, loopback, replay"):
        session("docker")
    with pytest.raises(CourseError, match=r"unshare is not installed.*doctor.*session\(\"replay\"\) works everywhere"):
        session("namespaces")
    can(machine, loopback=YES)
    with pytest.raises(CourseError, match="in mode namespaces: unshare is not installed"):
        session("namespaces")
    can(machine, root=YES)
    with pytest.raises(CourseError, match="cannot run the lab in mode loopback"):
        session("loopback")


@pytest.mark.tool("bird")
def test_loopback_runs_real_daemons() -> None:
    """In loopback mode BIRD answers for itself, as the simulation says; after a fault it says something else."""
    one = session("loopback")
    net = one.up("chapter", "calico-bgp")
    try:
        assert net.birdc("node1").count("Established") == 2
        assert one.evidence() == "captured live, on loopback addresses"
        assert net.differences() == []
        assert net.ping("podA", "podB", count=3).answered == 3
        assert one.evidence().startswith("captured ·")
        net.break_("session-lost")
        assert net.birdc("node1").count("Established") == 1
        assert net.differences() == []
        net.repair()
        assert net.birdc("node1").count("Established") == 2
        with pytest.raises(CourseError, match="No BIRD runs on 'podA'; it runs on node1"):
            net.birdc("podA")
        running = list(net._birds._running.values())
        assert len(running) == 4
    finally:
        one.down()
    assert all(process.poll() is not None for process in running)


@pytest.mark.tool("bird", "setpriv")
def test_nothing_outlives_a_killed_kernel(tmp_path: Path) -> None:
    """After a SIGKILL of the process that asked, its BIRDs and their folder are gone, however long TMPDIR is."""
    room = tmp_path / ("long" * 40)  # a socket's path has 107 bytes at most
    room.mkdir()
    code = (
        "from coursekit.lab.session import session; import time\n"
        "net = session('loopback').up('chapter', 'calico-bgp'); net.birdc('node1')\n"
        "print(*(p.pid for p in net._birds._running.values()), flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(room)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as asking:
        assert asking.stdout is not None
        pids = [int(pid) for pid in asking.stdout.readline().split()]
        assert len(list(room.glob("*/r?.ctl"))) == 4
        asking.kill()
    assert len(pids) == 4
    assert soon(lambda: not any(_runs(pid) for pid in pids))
    assert soon(lambda: not list(room.iterdir()))


@pytest.mark.tool("bird")
def test_daemons_without_a_folder_get_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary folder can be made, `birdc` says so."""
    net = session("loopback").up("chapter", "calico-bgp")
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(CourseError, match="No temporary folder can be made"):
        net.birdc("node1")


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_session_holds_one_cluster() -> None:
    """Bringing up another takes the first down; before anything is asked, there is no evidence."""
    one = Session("replay", "")
    assert one.evidence() == "nothing asked yet"
    first, ended = one.up("lab", "flannel-vxlan"), []
    first.down = lambda: ended.append(first)  # type: ignore[method-assign]
    second = one.up("two-racks", "calico-ipip", cross_subnet=True)
    assert one.net is second is not first
    assert ended == [first]
    assert type(second) is Replay
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


def test_what_brings_no_frames() -> None:
    """What is no ping has no way, a traceroute no frames of its own; a mystery and a puzzle need a session."""
    one = Session("replay", "")
    net = one.up("lab", "flannel-vxlan")
    hops = net.traceroute("podA", "podB")
    for wrong in (lambda: along(hops, net), lambda: along(net.get("podA", "podB"), net), lambda: captured(hops)):
        with pytest.raises(CourseError, match=r"as net\.ping\(…\) returns it"):
            wrong()
    for wrong in (lambda: mystery(7), lambda: unknown(3)):  # type: ignore[arg-type, return-value]
        with pytest.raises(CourseError, match=r"in a session, as in \w+\(s, seed="):
            wrong()


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
def test_ipip_is_live_and_says_who_wraps() -> None:
    """IPIP runs for real wherever the module or a TUN device is; frames are the kernel's or said to be user space's."""
    live = session("namespaces")
    can = probe()
    try:
        net = live.up("lab", "calico-ipip")
        answer = net.ping("podA", "podB", count=3)
        assert answer.answered == 3
        assert len(captured(answer)["node1:eth0"].filter("ip proto 4")) == 6
        said = {True: "captured live", False: "captured live · outer IPv4 header put on in user space"}
        if can.ipip.works or can.tun.works:
            assert live.evidence() == said[can.ipip.works]
            assert {kind for _, _, kind in along(answer, net)} == {"captured live"}
        else:
            assert live.evidence().startswith("captured ·")
        live.up("lab", "flannel-vxlan").ping("podA", "podB")
        assert live.evidence() == "captured live"
    finally:
        live.down()


@pytest.mark.parametrize(("ipip", "tun", "kind"), [(NO, NO, "Replay"), (NO, YES, "live"), (YES, NO, "live")])
def test_who_carries_ipip(ipip: Attempt, tun: Attempt, kind: str, machine: pytest.MonkeyPatch) -> None:
    """Without module and TUN device IPIP is replayed, and only IPIP; with either the lab is asked to carry it."""
    machine.setattr(sessions, "probe", lambda: Probe("x", YES, YES, NO, ipip, tun))
    machine.setattr(sessions, "up_live", lambda cluster: Live())
    one = Session("namespaces", "")

    assert type(one.up("lab", "calico-ipip")).__name__ == ("Replay" if kind == "Replay" else "Live")
    assert type(one.up("lab", "flannel-vxlan")) is Live


class Live:
    """Stands in for a lab that runs."""

    def down(self) -> None:
        """Nothing runs."""
