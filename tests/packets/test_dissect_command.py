"""`python -m coursekit dissect`: what it prints, and what it says when it cannot."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.__main__ import main
from coursekit.paths import data_dir
from tests.packets import pdml, zoo

RECORDING = data_dir() / "recordings" / "flannel-vxlan" / "node1-eth0.pcap"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return a capture of three built frames: IPv6, VXLAN with a tag, a cut TCP header."""
    file = tmp_path / "three.pcap"
    pdml.write_pcap(file, [zoo.FRAMES["ipv6"], zoo.FRAMES["vxlan with a tag"], zoo.FRAMES["syn"][:60]], 1)
    return file


def test_text_shows_headings_layers_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Each frame has a line with number, time and length, each layer a line, each field its place and value."""
    assert main(["dissect", str(RECORDING), "--frames", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Frame 3 · 2026-11-23 02:38:47.341262000 UTC · 148 bytes"
    assert "VXLAN · bytes 42–49 · VNI 1" in lines
    assert "     368    24  vxlan.vni             1  · VXLAN Network Identifier" in lines
    assert "  ICMP · bytes 84–91 · echo request, sequence 1" in lines
    assert [line for line in lines if line.startswith("Frame")] == lines[:1]


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """--json gives file, link type and frames, each with number, time, layers and fields."""
    assert main(["dissect", str(RECORDING), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(RECORDING)
    assert document["linktype"] == "ethernet"
    assert [frame["number"] for frame in document["frames"]] == list(range(1, len(document["frames"]) + 1))
    frame = document["frames"][2]
    assert frame["time"] == pytest.approx(1795401527.341262)
    assert frame["length"] == 148
    fields = {field["key"]: field for layer in frame["layers"] for field in layer["fields"]}
    assert fields["vxlan.vni"] == {
        "key": "vxlan.vni", "name": "VXLAN Network Identifier", "bit_offset": 368, "width": 24, "raw": 1, "value": "1",
        "meaning": fields["vxlan.vni"]["meaning"], "source": "RFC 7348 §5", "verdict": "",
    }  # fmt: skip
    assert fields["udp.checksum"]["verdict"] == "correct"


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [1, 2, 3]), (["--frames", "2"], [2]), (["--frames", "2-"], [2, 3]), (["--frames", "1,3-9"], [1, 3]),
        (["--filter", "ip6"], [1, 3]), (["--filter", "udp port 8472"], [2]),
        (["--filter", "ip6", "--frames", "2-3"], [3]), (["--filter", "arp"], []),
    ],
)  # fmt: skip
def test_frames_and_filter_choose(
    capture: Path, capsys: pytest.CaptureFixture[str], options: list[str], numbers: list[int]
) -> None:
    """--frames takes numbers and ranges, --filter tcpdump's language; numbers stay those of the file."""
    assert main(["dissect", str(capture), "--json", *options]) == 0
    assert [frame["number"] for frame in json.loads(capsys.readouterr().out)["frames"]] == numbers


def test_explain_and_stopped(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--explain adds the meaning and where it is specified; a cut frame ends with the reason."""
    assert main(["dissect", str(capture), "--explain", "--frames", "3"]) == 0
    out = capsys.readouterr().out
    assert "Every router takes one off; at zero the packet is dropped. (RFC 8200 §3)" in out
    assert out.rstrip().splitlines()[-1].startswith("Stopped: The TCP header at byte 54 is cut short")


def test_port_option(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--port changes what a port number means."""
    assert main(["dissect", str(capture), "--frames", "2", "--port", "8472=data"]) == 0
    assert "VXLAN" not in capsys.readouterr().out.replace("VXLAN sender", "")


def test_nothing_chosen_is_said(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A filter that no frame passes, and a capture without frames, give a sentence."""
    assert main(["dissect", str(capture), "--filter", "arp"]) == 0
    assert capsys.readouterr().out == f"{capture} holds no frame that was asked for.\n"
    pdml.write_pcap(capture, [], 1)
    assert main(["dissect", str(capture)]) == 0
    assert capsys.readouterr().out == f"{capture} holds no frame at all.\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frames", "0"], "--frames '0' is no list of frame numbers; expected something like 1,3-5 or 10-."),
        (["--frames", "5-2"], "is no list of frame numbers"), (["--frames", "a"], "is no list of frame numbers"),
        (["--frames", ""], "is no list of frame numbers"),
        (["--port", "8472"], "expected a port number from 1 to 65535"),
        (["--port", "70000=bgp"], "expected a port number"),
        (["--port", "9=dns"], "one of bgp, data, vxlan, vxlan-gpe"), (["--filter", "ip adress"], "libpcap"),
    ],
)  # fmt: skip
def test_bad_arguments_are_sentences(
    capture: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """A mistake in the arguments is told in a sentence, before anything is printed, with status 2."""
    assert main(["dissect", str(capture), *options]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_bad_files_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, a directory, an empty file and what is no capture are told apart, with status 2."""
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "notes.txt").write_text("This is not a capture, but it is long enough to hold a header.\n")
    for name, said in (("missing.pcap", "No such file"), ("", "is a directory"), ("empty.pcap", "is empty"),
                       ("notes.txt", "cannot be read as a capture")):  # fmt: skip
        assert main(["dissect", str(tmp_path / name)]) == 2
        printed = capsys.readouterr()
        assert said in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_truncated_file_shows_what_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, form: list[str]
) -> None:
    """A file that ends in the middle of a frame gives the frames before, a sentence, and status 2."""
    file = tmp_path / "cut.pcap"
    file.write_bytes(RECORDING.read_bytes()[:600])
    assert main(["dissect", str(file), *form]) == 2
    printed = capsys.readouterr()
    assert "cut short or damaged after frame" in printed.err
    if form:
        assert len(json.loads(printed.out)["frames"]) >= 2
    else:
        assert printed.out.count("Frame ") >= 2


def test_big_file_streams(tmp_path: Path) -> None:
    """The first frames of a file of 200 MB are shown at once: nothing is read that is not asked for."""
    file = tmp_path / "big.pcap"
    pdml.write_pcap(file, [zoo.FRAMES["ipv6"]], 1)
    frame = zoo.FRAMES["fragmentation needed"]
    record = struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    with file.open("ab") as out:
        for _ in range(20):
            out.write(record * 15000)
    command = [sys.executable, "-m", "coursekit", "dissect", str(file), "--frames", "1-2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.count("Frame ") == 2
    head = subprocess.run(f"{shutil.which('timeout')} 30 {sys.executable} -m coursekit dissect {file} | head -1",
                          shell=True, capture_output=True, text=True, check=True)
    assert head.stdout.startswith("Frame 1 ")
    assert head.stderr == ""


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A host name or a payload from the network cannot send escape sequences to the terminal."""
    evil = zoo.bgp(3, "0602 08 1b5b324a0d0a4142")
    file = tmp_path / "evil.pcap"
    pdml.write_pcap(file, [bytes(zoo.ethernet() / zoo.ip4() / zoo.tcp(179, flags="PA") / evil),
                           bytes(zoo.ethernet() / zoo.ip4() / zoo.udp(b"\x1b[2Jhello\r\n"))], 1)  # fmt: skip
    assert main(["dissect", str(file)]) == 0
    out = capsys.readouterr().out
    assert "\\x1b[2J" in out
    assert not [char for char in out if not char.isprintable() and char != "\n"]
