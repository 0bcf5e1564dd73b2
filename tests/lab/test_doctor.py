"""The doctor reports what is true of this machine and has one line of help for each problem."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.lab import doctor_command, probe
from coursekit.lab.probe import Attempt, Probe

YES, NO = Attempt(True), Attempt(False, "unshare: unshare failed: Operation not permitted")


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coursekit", "doctor", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_report_can_be_pasted() -> None:
    """The report has a line per version and ability, and nothing that says who or where you are."""
    done = doctor()
    private = {str(Path.home()), os.uname().nodename, str(Path(__file__).parents[2])} - {"/", "localhost"}

    assert (done.returncode, done.stderr) == (0, "")
    for word in ("python", "coursekit", "jupyterlab", "scapy", "iproute2", "bird", "libpcap", "chromium", "recordings"):
        assert word in done.stdout
    assert not [word for word in private if word in done.stdout]


def test_json_says_the_same() -> None:
    """`--json` has the versions, the abilities and the problems with their fixes."""
    found = json.loads(doctor("--json").stdout)

    assert found["versions"]["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert found["can"]["mode"] in probe.MODES
    assert all(problem["fix"] for problem in found["problems"])


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ((True, "context minikube answers, 2 nodes"), "yes {} (context minikube answers, 2 nodes)"),
        ((False, "kubectl is not installed (minikube.sigs.k8s.io)"), "no  {} (kubectl is not installed)"),
        ((False, "context minikube does not answer (/etc/me/config)"), "no  {} (context minikube does not answer)"),
    ],
)
def test_a_minikube_is_told(found: tuple[bool, str], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether kubectl reaches a Minikube has its line, without what kubectl says of its files."""
    monkeypatch.setattr(doctor_command, "reached", lambda: found)
    assert f"  {line.format('a Minikube cluster by kubectl')}" in str(doctor_command.examine()).splitlines()


@pytest.mark.root
def test_root_with_namespaces_is_offered_the_lab() -> None:
    """Where namespaces and VXLAN devices can be made, the probe says so; and it leaves no device behind."""
    before = os.listdir("/sys/class/net")
    found = probe._lab("")

    assert found == Attempt(True)
    assert os.listdir("/sys/class/net") == before


@pytest.mark.root
def test_the_probe_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a step fails, the attempt says which, and what the system said."""
    steps = (*probe._STEPS[:3], ("a VXLAN device", "ip link add x0 type nosuchdevice"))
    monkeypatch.setattr(probe, "_STEPS", steps)

    assert probe._lab("") == Attempt(False, "no a VXLAN device: Error: Unknown device type.")


def test_what_can_be_done_is_the_best_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's lab comes before the user's, that before loopback daemons, and replay is what is left."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the order is Linux's")
    found = []
    for root, user, loopback in ((YES, YES, YES), (NO, YES, YES), (NO, NO, YES), (NO, NO, NO)):
        monkeypatch.setattr(probe, "_lab", lambda flags, root=root, user=user: root if flags == "" else user)
        monkeypatch.setattr(probe, "_loopback", lambda loopback=loopback: loopback)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        probe.probe.cache_clear()
        found.append(probe.probe().mode)
    probe.probe.cache_clear()

    assert found == ["root", "user", "loopback", "replay"]


def test_elsewhere_than_on_linux_there_is_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows nothing is tried, recordings are offered, and the report can still be printed."""
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)  # its own on Windows needs Windows
    for platform in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        probe.probe.cache_clear()
        report = doctor_command.examine()

        assert report.can.mode == "replay"
        assert "the lab needs Linux" in str(report)
    probe.probe.cache_clear()


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("unshare is not installed", "sudo apt install util-linux"),
        ("no an address of its own: sh: 1: ip: not found", "sudo apt install iproute2"),
        ("unshare: unshare failed: No space left on device", "sudo sysctl user.max_user_namespaces=10000"),
        ("no a VXLAN device: Error: Unknown device type.", "sudo modprobe vxlan"),
        ("unshare: unshare failed: Operation not permitted", "--privileged"),
    ],
)
def test_each_refusal_has_its_remedy(said: str, fix: str) -> None:
    """How the system refused tells what to do."""
    assert fix in probe.mend(said)


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, "apparmor_restrict_unprivileged_userns=0"),
        ({"kernel/unprivileged_userns_clone": "0"}, "sysctl kernel.unprivileged_userns_clone=1"),
        ({"kernel/apparmor_restrict_unprivileged_userns": "0"}, "run the lab with sudo"),
    ],
)
def test_a_setting_that_forbids_namespaces_is_named(
    settings: dict[str, str], fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a setting of the kernel forbids it, the advice says which and how to change it."""
    monkeypatch.setattr(probe, "_sysctl", lambda name: settings.get(name, ""))
    monkeypatch.setattr(probe.Path, "exists", lambda path: False)
    advice = Probe("replay", Attempt(False, "not root"), NO, NO, NO).advice

    assert advice.startswith(f"Network namespaces cannot be made here ({NO.said})")
    assert fix in advice
    assert Probe("user", Attempt(False, "not root"), YES, NO, NO).advice == ""


def test_a_machine_without_namespaces_gets_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without namespaces the doctor names the refusal and the fix, and the notebooks still run: status 0."""
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere the note is another")
    monkeypatch.setattr(doctor_command, "probe", lambda: Probe("replay", Attempt(False, "not root"), NO, NO, NO))
    report = doctor_command.examine()
    notes = [problem for problem in report.problems if "Operation not permitted" in problem.what]

    assert [note.serious for note in notes] == [False]
    assert "This machine can do replay of recordings." in str(report)


def test_a_package_out_of_range_is_serious(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that the course does not allow is a problem with a fix, and the exit status is 1."""
    real = doctor_command.metadata.version
    monkeypatch.setattr(doctor_command.metadata, "version", lambda name: "3.9" if name == "jupyterlab" else real(name))
    report = doctor_command.examine()

    assert [(p.what.split(" is ")[0], p.serious) for p in report.problems if p.serious] == [("jupyterlab 3.9", True)]


def test_a_spoilt_recording_is_serious(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A recording whose file was changed is named, with the command that restores it."""
    folder = tmp_path / "spoilt"
    folder.mkdir()
    (folder / "ping.txt").write_text("64 bytes from nowhere")
    provenance = dict.fromkeys(("title", "evidence", "kernel", "date", "tools", "topology", "commands"), "x")
    (folder / "provenance.json").write_text(json.dumps({**provenance, "sha256": {"ping.txt": "0" * 64}}))
    real = doctor_command.recording
    monkeypatch.setattr(doctor_command, "recordings", lambda: ("spoilt",))
    monkeypatch.setattr(doctor_command, "recording", lambda name: real(folder))
    report = doctor_command.examine()

    assert report.recordings == "1 recordings, broken: spoilt"
    assert [p.fix for p in report.problems if p.serious] == ["git checkout -- data/recordings/spoilt"]
