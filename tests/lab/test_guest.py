"""The guest, Debian's kernel in QEMU, does what the lab does elsewhere; what goes wrong with it gets a sentence."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import coursekit.lab.sandbox as sandbox
from coursekit.__main__ import main
from coursekit.errors import CourseError
from coursekit.lab import lab_command
from coursekit.lab.recorder import guest as guests
from coursekit.lab.recorder import provenance
from coursekit.lab.recorder.compare import differences
from coursekit.lab.recorder.guest import Guest
from coursekit.lab.recorder.scenario import scenarios
from coursekit.lab.recording import recording
from coursekit.lab.sandbox import Sandbox
from tests.conftest import kernel, soon

needs_kernel = pytest.mark.kernel


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    """One guest for all tests here: it boots for some seconds, and each Sandbox wakes a copy of it."""
    with Guest(kernel()) as found:
        yield found


def machines(folder: Path) -> set[int]:
    """The processes of QEMU whose arguments name a folder."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if words.startswith(b"qemu-system") and str(folder).encode() in words:
            found.add(int(path.parent.name))
    return found


@needs_kernel
def test_the_kernels_own_tunnel_is_recorded(guest: Guest, tmp_path: Path) -> None:
    """A scenario in the guest gives the course's recording, IPIP by its kernel, which the provenance names."""
    scenario = scenarios()["ipip-fixed-ttl"]
    taken = lab_command._take(scenario, tmp_path / "captures", guest)
    fresh = recording(provenance.write(scenario, taken, tmp_path))
    assert list(differences(recording("ipip-fixed-ttl"), fresh)) == []
    said = fresh.provenance["kernel"]
    assert said.partition(" (Debian ")[0] in kernel().name
    assert said.endswith(" TCG")
    assert "user space" not in fresh.provenance["conditions"]
    assert not machines(guest._root)


@needs_kernel
def test_copies_do_not_draw_alike(guest: Guest) -> None:
    """Two copies of one saved guest draw different random numbers."""
    drawn = []
    for _ in range(2):
        agent = Sandbox(guest.command())
        agent.ask("hosts", names=["a"], settings={})
        drawn.append(agent.ask("run", host="a", command=["cat", "/proc/sys/kernel/random/uuid"], seconds=60)["text"])
        agent.close()
    assert len(drawn[0]) == 37
    assert drawn[0] != drawn[1]


@needs_kernel
def test_a_guest_that_dies_or_hangs_gets_a_sentence(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that is killed, or that says nothing any more, ends in a sentence, and no QEMU is left."""
    monkeypatch.setattr(sandbox, "_GOODBYE", 0.5)
    for sent, said in ((signal.SIGKILL, "ended before its time"), (signal.SIGSTOP, "has said nothing for 1 s")):
        agent = Sandbox(guest.command())
        agent._patience = 1.0 if sent == signal.SIGSTOP else 60.0  # not before: a copy takes its time to wake
        (process,) = machines(guest._root)
        os.kill(process, sent)
        with pytest.raises(CourseError, match=said):
            agent.ask("hosts", names=["a"], settings={})
        agent.close()
        assert not machines(guest._root)


@needs_kernel
def test_a_guest_whose_client_is_gone_ends(guest: Guest) -> None:
    """When whoever woke a copy is killed, QEMU ends by itself."""
    code = "import sys, time; from coursekit.lab.sandbox import Sandbox; kept = Sandbox(sys.argv[1:]); time.sleep(99)"
    client = subprocess.Popen([sys.executable, "-c", code, *guest.command()])
    try:
        assert soon(lambda: machines(guest._root))
        time.sleep(1)
    finally:
        client.kill()
        client.wait()
    assert soon(lambda: not machines(guest._root))


@needs_kernel
def test_a_guest_that_does_not_boot_gets_a_sentence(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What QEMU refuses is quoted; a guest that takes too long is given up; no QEMU is left."""
    broken = object.__new__(Guest)
    broken._root = tmp_path
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CourseError, match=r"^The guest has ended before it was up: .*kernel"):
        broken._boot()
    shutil.copy(guest._root / "kernel", tmp_path)
    monkeypatch.setattr(guests, "_PATIENCE", 0.3)
    with pytest.raises(CourseError, match=r"^The guest is not up after 0.3 s; its last words: nothing\."):
        broken._boot()
    assert not machines(tmp_path)


def test_a_panic_is_quoted() -> None:
    """Of what a kernel said when it died, the panic is told, not the last line."""
    said = "[ 4.8] VFS: no root\n[ 4.9] Kernel panic - not syncing: VFS: Unable to mount root fs\n[ 5.0] Rebooting.\n\n"
    assert guests._last(said) == "[ 4.9] Kernel panic - not syncing: VFS: Unable to mount root fs"
    assert guests._last("one\ntwo \n") == "two"


# The command line, of which the package is unpacked already: its folder comes first.
UNPACKED = """
import shutil, sys
from coursekit.__main__ import main
from coursekit.lab.recorder.guest import Guest
def unpack(guest, package, room):
    for name in ("kernel", "initrd"):
        shutil.copy(f"{sys.argv[1]}/{name}", guest._root)
    return "6.1"
Guest._unpack = unpack
sys.exit(main(sys.argv[2:]))
"""


@needs_kernel
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_end_while_the_guest_boots_leaves_nothing(guest: Guest, tmp_path: Path, number: int, status: int) -> None:
    """Ctrl-C while QEMU boots ends with 130 and no traceback; after that, or a kill, no process or file is left."""
    process = subprocess.Popen(
        [sys.executable, "-c", UNPACKED, guest._root, "lab", "verify", "calico-ipip", "--kernel", str(kernel())],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert soon(lambda: machines(tmp_path))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (status, False), said
    assert soon(lambda: not machines(tmp_path))
    assert soon(lambda: not list(tmp_path.iterdir()))


def package(folder: Path, files: dict[str, bytes]) -> Path:
    """A Debian package that holds some files."""
    for name, data in {"DEBIAN/control": b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.x>\n"
                       b"Description: x\n", **files}.items():  # fmt: skip
        path = folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    subprocess.run(["dpkg-deb", "--build", folder / "tree", folder / "x.deb"], check=True, stdout=subprocess.DEVNULL)
    return folder / "x.deb"


@pytest.mark.tool("dpkg-deb")
@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "There is no file "),
        (b"no package", "is no package of a Debian kernel: "),
        ({"usr/x": b""}, "is no package of a Debian kernel: it holds no vmlinuz"),
        ({"boot/vmlinuz-6-arm64": b"MZ" + bytes(999)}, "is no package of an x86-64 kernel: vmlinuz-6-arm64 is none"),
        ({"boot/vmlinuz-1": bytes(0x202) + b"HdrS"}, "The kernel of the package has no module virtio_pci"),
    ],
)
def test_a_package_of_no_kernel_gets_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    files: bytes | dict[str, bytes] | None, said: str,
) -> None:  # fmt: skip
    """`--kernel` with a missing file, or one that is no kernel's package, says so and leaves no file."""
    file = package(tmp_path, files) if isinstance(files, dict) else tmp_path / "x.deb"
    if isinstance(files, bytes):
        file.write_bytes(files)
    (tmp_path / "room").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "room"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(guests, "which", lambda name: f"/usr/bin/{name}")
    assert main(["lab", "verify", "calico-ipip", "--kernel", str(file)]) == 2
    assert said in capsys.readouterr().err
    assert list((tmp_path / "room").iterdir()) == []


@pytest.mark.tool("dpkg-deb")
def test_no_room_for_the_guest_gets_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the guest's files do not fit, the folder is named, and nothing stays there."""
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Guest, "_unpack", full)
    monkeypatch.setattr(guests, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["lab", "verify", "calico-ipip", "--kernel", __file__]) == 2
    assert f"cannot be kept in {tmp_path}/" in (said := capsys.readouterr().err)
    assert "No space left on device. It needs 600 MB" in said
    assert list(tmp_path.iterdir()) == []


def test_what_the_guest_needs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without QEMU, or on a machine whose programs the guest cannot run, `--kernel` says so."""
    words = ["lab", "verify", "calico-ipip", "--kernel", str(tmp_path / "x.deb")]
    monkeypatch.setattr(guests, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert main(words) == 2
    assert "The guest runs x86-64 programs of this machine, and it is aarch64." in capsys.readouterr().err
    monkeypatch.setattr(guests, "which", lambda name: None)
    assert main(words) == 2
    assert "qemu-system-x86_64 is not installed" in capsys.readouterr().err


def test_an_initramfs_member_is_a_cpio_entry() -> None:
    """A member has thirteen numbers in hexadecimal, its name, and its bytes, each filled up to four."""
    entry = guests._entry("init", 0o100755, b"hello")
    assert entry[:6] == b"070701"
    assert len(entry) % 4 == 0
    assert (int(entry[14:22], 16), int(entry[54:62], 16), int(entry[94:102], 16)) == (0o100755, 5, 5)
    assert entry[110:115] == b"init\0"
    assert entry[116:121] == b"hello"
