"""Recordings can be made anew from their scenarios, and one changed byte, or one changed behaviour, is found."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

import coursekit.lab.lab_command as command
import coursekit.lab.recording as opened
from coursekit.__main__ import main
from coursekit.errors import CourseError
from coursekit.lab.recorder import masks
from coursekit.lab.recorder.compare import differences
from coursekit.lab.recorder.provenance import check_files, sealed
from coursekit.lab.recorder.scenario import Step, read, scenarios
from coursekit.lab.recorder.take import Take
from coursekit.lab.recording import recording, recordings
from coursekit.paths import data_dir
from tests.conftest import ROOT, soon

NAMES = ("flannel-vxlan", "tcp-pod-mtu-1450", "no-overlay", "wrong-port")


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the course's data be copies of a few recordings, which a test may spoil."""
    for name in NAMES:
        shutil.copytree(data_dir() / "recordings" / name, tmp_path / "recordings" / name)
    noted = sealed(data_dir() / "recordings")
    sums = "".join(f"{noted[name]}  {name}/provenance.json\n" for name in NAMES)
    (tmp_path / "recordings" / "SHA256SUMS").write_text(sums)
    described = {name: scenarios()[name] for name in NAMES}
    monkeypatch.setattr(command, "scenarios", lambda: described)
    monkeypatch.setattr(command, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(opened, "data_dir", lambda: tmp_path)
    return tmp_path / "recordings"


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Change a file of a recording, its SHA-256 with it, and that of its provenance."""
    (folder / name).write_bytes(data)
    path, sums = folder / "provenance.json", folder.parent / "SHA256SUMS"
    before = path.read_bytes()
    said = json.loads(before)
    said["sha256"][name] = sha256(data).hexdigest()
    path.write_text(json.dumps(said))
    one, other = (sha256(content).hexdigest() for content in (before, path.read_bytes()))
    sums.write_text(sums.read_text().replace(one, other))


@pytest.mark.parametrize("seed", range(40))
def test_one_changed_bit_fails(copied: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever bit of whichever file is turned over, `lab verify` ends with 1 and a sentence that names the file."""
    drawn = random.Random(seed)
    name = drawn.choice(NAMES)
    path = drawn.choice(sorted((copied / name).iterdir()))
    data = bytearray(path.read_bytes())
    data[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)
    path.write_bytes(data)

    assert main(["lab", "verify", "--sums"]) == 1
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "SHA-256" in said or "as provenance" in said
    assert name in said
    assert path.name in said


def test_what_holds_the_provenance_is_held_too(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another date, another kernel, another command; SHA256SUMS itself broken, cut or gone: none of it passes."""
    path, sums = copied / "no-overlay" / "provenance.json", copied / "SHA256SUMS"
    whole, noted = path.read_text(), sums.read_text()
    for key, lie in (("date", "2020-01-01"), ("kernel", "2.4.0"), ("commands", ["podA: true"]), ("topology", "none")):
        path.write_text(json.dumps(json.loads(whole) | {key: lie}, indent=1, ensure_ascii=False) + "\n")
        assert main(["lab", "verify", "--sums"]) == 1
        assert capsys.readouterr().out.startswith("provenance.json of the recording 'no-overlay' is not what")
    path.write_text(whole)
    for broken, says in ((noted.replace("no-overlay", "overlay"), "no-overlay is no recording of the course"),
                         ("no sums", "cannot be read"), (None, "No such file")):  # fmt: skip
        sums.write_text(broken) if broken else sums.unlink()
        assert main(["lab", "verify", "--sums"]) == 1
        assert says in capsys.readouterr().out


def test_sha256sum_reads_what_is_noted() -> None:
    """Every recording of the course is noted in the form that sha256sum(1) checks."""
    home = data_dir() / "recordings"
    assert set(sealed(home)) == set(recordings())
    for line in (home / "SHA256SUMS").read_text().splitlines():
        digest, path = line.split("  ")
        assert sha256((home / path).read_bytes()).hexdigest() == digest


def test_missing_and_added_files_fail(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file too few, one too many, and a folder without provenance each get their sentence, all in one run."""
    (copied / "flannel-vxlan" / "ping.txt").unlink()
    (copied / "no-overlay" / "extra.txt").write_text("")
    (copied / "stray").mkdir()

    assert main(["lab", "verify", "--sums"]) == 1
    one, two, three = capsys.readouterr().out.splitlines()
    assert one.startswith("The recording 'flannel-vxlan' should hold ping.txt, but it cannot be read (No such file")
    assert two.startswith("extra.txt of the recording 'no-overlay' was not recorded")
    assert three.startswith("stray in data/recordings is no recording")


def test_a_recording_that_is_gone_is_missed(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording that a scenario describes and that is not there fails the whole, whatever became of its folder."""
    shutil.rmtree(copied / "wrong-port")
    (copied / "no-overlay" / "provenance.json").unlink()

    assert main(["lab", "verify", "--sums"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" is n")[0] for line in said] == [
        "The recording 'no-overlay'", "The recording 'wrong-port'", "no-overlay in data/recordings"
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["title", "evidence", "setup"])
def test_what_is_said_of_a_recording_is_compared(copied: Path, key: str) -> None:
    """A provenance that tells something else than the scenario is a difference."""
    path = copied / "no-overlay" / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: "Lies."}))
    whole = recording(data_dir() / "recordings" / "no-overlay")
    (said,) = differences(recording(copied / "no-overlay"), whole)
    assert said.startswith(f"provenance.json: {key}: recorded 'Lies.', now ")


def test_untouched_files_pass(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recordings that are as they were pass; with names only those are looked at."""
    assert main(["lab", "verify", "--sums"]) == 0
    (copied / "no-overlay" / "ping.txt").write_text("")
    assert main(["lab", "verify", "--sums", "wrong-port", "wrong-port"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "1 recording: every file is the one that was recorded (SHA-256)."
    )


def test_a_renamed_recording_fails(copied: Path) -> None:
    """A recording in a folder of another name is refused."""
    (copied / "no-overlay").rename(copied / "overlay")
    with pytest.raises(CourseError, match=r"^overlay is no recording of the course: SHA256SUMS does not name it"):
        check_files(copied / "overlay", sealed(copied))


@pytest.mark.parametrize("verb", ["record", "verify"])
def test_unknown_names_get_a_sentence(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that nothing has is refused with the nearest one, before anything runs."""
    assert main(["lab", verb, "flannel-vxlam"]) == 2
    said = capsys.readouterr().err
    assert "There is no" in said
    assert "flannel-vxlan" in said


def test_every_recording_has_a_scenario() -> None:
    """A scenario describes each recording, or says why none can; README and ARCHITECTURE have the number right."""
    assert set(recordings()) == set(scenarios())
    rebuilt = [name for name, one in scenarios().items() if not one.cannot]
    for document in ("README.md", "ARCHITECTURE.md"):
        assert f"{len(rebuilt)} of the {len(scenarios())}" in (ROOT / document).read_text(encoding="utf-8")


def test_scenarios_say_what_the_provenance_says() -> None:
    """Title, setup, capture points and outputs of a scenario are those of its recording."""
    for name, one in scenarios().items():
        if one.cannot:
            continue
        kept = recording(name)
        outputs = {step.output for step in one.typed() if step.output} | ({"state"} if one.state_text else set())
        assert (one.title, one.setup) == (kept.provenance["title"], kept.provenance["setup"])
        assert set(one.points) == set(kept.points())
        hosts = {output.removesuffix(".conf") for output in kept.outputs() if output.endswith(".conf")}
        birds = {f"{host}.conf" for host in hosts} | {f"birdc-{host}" for host in hosts} if one.bgp else set()
        assert outputs | birds == set(kept.outputs()), name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x", "scenarios.toml is not valid TOML"),
        ('[x]\ntitel = "a"', "Scenario x has the key 'titel', which is not known here (did you mean 'title'?)"),
        ('[x]\ntitle = "a"', "Scenario x does not say: cluster, profile, setup"),
        ('[x]\ntitle="a"\ncluster="lab"\nprofile="none"\nsetup=""\nsteps=["ping"]', "'ping' is no step"),
        ('[x]\ntitle="a"\ncluster="lab"\nprofile="none"\nsetup=""\nsteps=["podZ: ping"]', "there is no host 'podZ'"),
    ],
)
def test_scenarios_that_make_no_sense_are_refused(text: str, said: str) -> None:
    """Each mistake in a scenario file gets a sentence that names it."""
    with pytest.raises(CourseError) as caught:
        read(text)
    assert said in str(caught.value)


def test_a_step_is_host_command_output() -> None:
    """A step's output is what follows the last " > "."""
    assert Step.parse("podA: ip route > routes") == Step("podA", "ip route", "routes")
    assert str(Step.parse("podA: nstat | grep x")) == "podA: nstat | grep x"


def test_what_clocks_print_is_masked() -> None:
    """Two outputs of ping that differ in times are alike; in a TTL they are not."""
    text = recording("flannel-vxlan").output("ping")
    assert masks.text(text) == masks.text(text.replace("0.236", "9.1").replace("808ms", "1ms"))
    assert masks.text(text) != masks.text(text.replace("ttl=62", "ttl=61", 1))
    assert masks.text(text) != masks.text(text.replace("3 received", "2 received"))


@pytest.mark.parametrize(
    ("at", "key"),
    [(14 + 8, "ip.ttl"), (14 + 1, "ip.dsfield.dscp"), (14 + 20 + 8 + 6, "vxlan.vni"), (50 + 14 + 8, "ip.ttl"),
     (5, "eth.dst"), (14 + 20 + 7, "udp.checksum")],
)  # fmt: skip
def test_a_changed_field_is_named(copied: Path, at: int, key: str) -> None:
    """A frame of which a field is another one, SHA-256 put right, is told by capture point, frame and field."""
    folder = copied / "flannel-vxlan"
    capture = recording(folder).capture("node1:eth0")
    frame = next(f for f in capture if f.data[23:24] == b"\x11")
    raw = (folder / "node1-eth0.pcap").read_bytes()
    place = raw.index(frame.data) + at
    rewrite(folder, "node1-eth0.pcap", raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :])

    found = list(differences(recording("flannel-vxlan"), recording(Path(folder))))
    assert found == []  # the same folder, compared with itself
    whole = data_dir() / "recordings" / "flannel-vxlan"
    (said,) = differences(recording(whole), recording(folder))
    assert said.startswith("node1:eth0: ")
    assert f"({key})" in said


def test_random_values_are_no_difference(copied: Path) -> None:
    """Another IP identification (not zero), with its checksum, is what a kernel may draw."""
    folder = copied / "flannel-vxlan"
    frame = next(f for f in recording(folder).capture("podA:eth0") if f.data[23:24] == b"\x01")
    head = bytearray(frame.data[14:34])
    head[4:6], head[10:12] = head[10:12], head[4:6]  # a checksum does not mind the order of words
    raw = (folder / "podA-eth0.pcap").read_bytes()
    rewrite(folder, "podA-eth0.pcap", raw.replace(frame.data, frame.data[:14] + bytes(head) + frame.data[34:]))
    whole = data_dir() / "recordings" / "flannel-vxlan"
    assert list(differences(recording(whole), recording(folder))) == []


@pytest.mark.namespaces
@pytest.mark.tool("socat", "traceroute")
def test_recording_anew_gives_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lab record` writes a recording that differs from the course's in nothing that may not change."""
    assert main(["lab", "record", "flannel-vxlan", "tcp-pod-mtu-1450", "--into", str(tmp_path)]) == 0
    for name in ("flannel-vxlan", "tcp-pod-mtu-1450"):
        check_files(tmp_path / name, sealed(tmp_path))
        fresh = recording(tmp_path / name)
        assert list(differences(recording(name), fresh)) == []
        assert fresh.provenance["commands"] == recording(name).provenance["commands"]
        assert fresh.provenance["kernel"].startswith(os.uname().release)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SHA256SUMS", "flannel-vxlan", "tcp-pod-mtu-1450"]


@pytest.mark.namespaces
def test_another_behaviour_is_a_difference(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording that claims something else than what happens now fails, and the first difference is named."""
    text = (copied / "wrong-port" / "ping.txt").read_text()
    rewrite(copied / "wrong-port", "ping.txt", text.replace("0 received", "1 received").encode())
    assert main(["lab", "verify", "wrong-port"]) == 1
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("wrong-port: differs: ping.txt: line ")
    assert "1 received" in said


def test_a_difference_must_persist(monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs once, for want of a processor, is tried again, where BIRDs race more often; then it fails."""
    for name, tries in (("wrong-port", 2), ("bgp-two-racks", 5)):
        folder = data_dir() / "recordings" / name
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "provenance.json"}
        for failures in (tries - 1, tries):
            left = [{**files, "ping.txt": b""}] * failures + [files]
            monkeypatch.setattr(command, "_take", lambda *given, left=left: Take(left.pop(0), False))
            status, said = command._again(name, None)
            assert (status, "ping.txt" in said) == ((1, True) if failures == tries else (0, False))


@pytest.mark.namespaces
@pytest.mark.tool("socat")
def test_recordings_that_cannot_be_written_get_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that is no folder is told in a sentence."""
    (tmp_path / "file").write_text("")
    assert main(["lab", "record", "mtu-1450", "--into", str(tmp_path / "file" / "x")]) == 2
    assert "The recording mtu-1450 cannot be written to" in capsys.readouterr().err


def test_no_permission_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where namespaces are forbidden, both say what to do; the SHA-256 have been checked by then."""
    from coursekit.lab.probe import Attempt, Probe

    no = Attempt(False, "unshare: unshare failed: Operation not permitted")
    monkeypatch.setattr(command, "probe", lambda: Probe("replay", no, no, no, no))
    assert main(["lab", "record", "mtu-1450"]) == 2
    assert "Network namespaces cannot be made here" in capsys.readouterr().err
    assert main(["lab", "verify", "mtu-1450"]) == 2
    assert "1 recording: every file" in (said := capsys.readouterr()).out
    assert "`--sums` checks the files alone" in said.err


@pytest.mark.namespaces
@pytest.mark.tool("bird", "traceroute")
def test_daemons_are_run_with_the_recorded_configurations(tmp_path: Path) -> None:
    """A recording with BIRDs is made anew from its configurations: same tables, answers and messages."""
    assert main(["lab", "record", "bgp-two-racks", "--into", str(tmp_path)]) == 0
    fresh = recording(tmp_path / "bgp-two-racks")
    assert list(differences(recording("bgp-two-racks"), fresh)) == []
    other = recording("bgp-mesh")
    assert any(": BGP: " in said for said in differences(other, fresh))
    assert not any(": BGP: " in said for said in differences(other, fresh, updates=False))
    assert any(said.startswith("birdc-node1.txt: ") for said in differences(other, fresh))


@pytest.mark.namespaces
@pytest.mark.parametrize("words", [["record", "vtep-mtu-1500-outer-df", "--into", "x"], ["verify"]])
def test_ctrl_c_leaves_nothing(tmp_path: Path, words: list[str]) -> None:
    """An interrupt in the middle of scenarios ends with 130, without a traceback, a process or a half recording."""
    words = [str(tmp_path / word) if word == "x" else word for word in words]
    process = subprocess.Popen(
        [sys.executable, "-m", "coursekit", "lab", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "TMPDIR": str(tmp_path)}, preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    def inside() -> set[str]:
        paths = Path("/proc").glob("[0-9]*/environ")
        return {path.parent.name for path in paths if f"TMPDIR={tmp_path}".encode() in _read(path)}

    began = soon(lambda: inside() - {str(process.pid)})
    time.sleep(1)  # anywhere in the middle will do
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert began
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert soon(lambda: not inside())
    assert list(tmp_path.iterdir()) == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
