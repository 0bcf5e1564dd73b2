"""Recordings are opened by name and handed out only as they were recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.lab.recording import Recording, recording, recordings
from coursekit.paths import data_dir


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of a recording that a test may spoil."""
    return Path(shutil.copytree(data_dir() / "recordings" / "flannel-vxlan", tmp_path / "flannel-vxlan"))


def spoil(copied: Path, **changes: object) -> None:
    path = copied / "provenance.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_recording_says_what_it_is() -> None:
    """The banner names evidence, kernel, date and SHA-256 in one line, and the repr adds title and capture points."""
    found = recording("flannel-vxlan")

    assert found.title == "flannel's VXLAN: VNI 1, UDP 8472"
    assert found.banner == f"captured · Linux 6.18.44 · 2026-11-23 · sha256 {found.sha256[:8]}…"
    assert recording("calico-ipip").banner.startswith("captured · Linux 6.1.0-56-amd64 · ")
    assert repr(found).splitlines()[:2] == [f"flannel-vxlan: {found.title}", found.banner]
    assert "node1:flannel.1" in repr(found)


def test_a_capture_is_asked_for_by_its_point() -> None:
    """`capture("node1:flannel.1")` is the file that tcpdump wrote there, with its provenance."""
    found = recording("flannel-vxlan")
    capture = found.capture("node1:flannel.1")

    assert capture.path.name == "node1-flannel.1.pcap"
    assert len(capture) > 0
    assert capture.provenance == found.provenance


def test_all_recordings_hand_out_all_they_have() -> None:
    """Every recording opens; every capture, output and table in it can be read and is what was recorded."""
    captures = outputs = tables = 0
    for name in recordings():
        found = recording(name)
        found.verify()
        captures += sum(1 for point in found.points() if found.capture(point).frames is not None)
        outputs += sum(1 for output in found.outputs() if found.output(output))
        tables += len(found.tables()) if "state.json" in found.provenance["sha256"] else 0
    print(f"{len(recordings())} recordings: {captures} captures, {outputs} outputs, tables of {tables} hosts")

    assert len(recordings()) >= 39
    assert (captures, outputs, tables) > (200, 60, 100)


def test_tables_are_those_of_every_host() -> None:
    """`tables()` has an entry per host, with the routes as they were."""
    tables = recording("flannel-vxlan").tables()

    assert {"node1", "node2", "podA", "podB"} <= set(tables)
    assert any(str(route.dst) == "10.244.1.0/24" and route.dev == "flannel.1" for route in tables["node1"].routes)


@pytest.mark.parametrize("name", ["node1-eth0.pcap", "ping.txt", "state.json"])
def test_a_tampered_file_is_refused_by_name(copied: Path, name: str) -> None:
    """A file of which one bit was changed is not handed out; the error names it."""
    path = copied / name
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    found = recording(copied)
    ask = {"node1-eth0.pcap": lambda: found.capture("node1:eth0"), "ping.txt": lambda: found.output("ping")}

    with pytest.raises(CourseError, match=rf"^{name} of the recording .* is not the file that was recorded"):
        ask.get(name, found.tables)()
    with pytest.raises(CourseError, match=name):
        found.verify()


def test_a_missing_file_is_a_sentence(copied: Path) -> None:
    """A file that the provenance lists and that is gone is named."""
    (copied / "ping.txt").unlink()

    with pytest.raises(CourseError, match=r"should hold ping\.txt"):
        recording(copied).output("ping")


def test_unknown_names_say_what_there_is() -> None:
    """An unknown recording, capture point, output or moment gets a sentence with what could have been meant."""
    found = recording("flannel-vxlan")

    with pytest.raises(CourseError, match="Did you mean flannel-vxlan"):
        recording("flanel-vxlan")
    with pytest.raises(CourseError, match="`recordings\\(\\)` lists them"):
        recording("../../etc")
    with pytest.raises(CourseError, match="no capture point 'node9:eth0'; it has: node1:cni0, node1:eth0"):
        found.capture("node9:eth0")
    with pytest.raises(CourseError, match="no output 'pong'; it has: http, ping"):
        found.output("pong")
    with pytest.raises(CourseError, match="no tables 'later'"):
        found.tables("later")
    with pytest.raises(CourseError, match="no capture point"):
        found.capture("../flannel-vxlan/node1:eth0")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sha256": 1}', '{"sha256": []}'])
def test_provenance_that_is_none_is_a_sentence(copied: Path, text: str) -> None:
    """A provenance.json that cannot be read as one is a CourseError, whatever is in it."""
    (copied / "provenance.json").write_text(text)

    with pytest.raises(CourseError, match="provenance"):
        recording(copied)


def test_provenance_lists_files_by_name(copied: Path) -> None:
    """A `sha256` that is a list instead of a table is refused when the recording is opened."""
    spoil(copied, sha256=["ping.txt"])

    with pytest.raises(CourseError, match="cannot be read as provenance"):
        recording(copied)


def test_provenance_must_be_complete(copied: Path) -> None:
    """A recording that does not say its kernel and commands is refused."""
    spoil(copied, kernel="", commands=[])

    with pytest.raises(CourseError, match="does not say: kernel, commands"):
        recording(copied)


def test_a_recording_may_have_several_moments(copied: Path) -> None:
    """Tables recorded at several moments are asked for by name."""
    provenance = json.loads((copied / "provenance.json").read_text())
    shutil.copy(copied / "state.json", copied / "state-1-before.json")
    provenance["sha256"]["state-1-before.json"] = provenance["sha256"]["state.json"]
    spoil(copied, sha256=provenance["sha256"])
    found: Recording = recording(copied)

    assert found.tables("1-before") == found.tables()


def test_an_output_shows_itself_as_the_terminal_did() -> None:
    """A recorded output is text, and a cell that returns it shows its lines, not one line with escapes."""
    from IPython.lib.pretty import pretty

    said = recording("missing-fdb").output("ping")

    assert isinstance(said, str)
    assert "\n" in said
    assert pretty(said) == said.rstrip("\n")
