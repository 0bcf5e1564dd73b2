"""A guest: the lab's agent in QEMU, on Debian's kernel, which has the IPIP module that this kernel may lack.

The initramfs holds Python, the agent and the tools that scenarios type; the agent's stdin and stdout are a virtio
port. Emulated in software, so that it needs no privilege and runs in a container too.
"""

from __future__ import annotations

import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import coursekit
from coursekit.errors import CourseError
from coursekit.lab.probe import attempt, which

_PYTHON = "/usr/bin/python3"  # the distribution's: its library is in one place
_TOOLS = ("sh", "cat", "echo", "grep", "head", "ip", "bridge", "tc", "ss", "ping", "traceroute", "tracepath", "socat",
          "timeout", "sed", "seq", "sleep", "tr", "true")  # fmt: skip
_MODULES = ("virtio_pci", "virtio_console", "veth", "bridge", "ipip", "vxlan", "sch_ingress", "cls_u32", "act_gact",
            "inet_diag", "tcp_diag")  # fmt: skip
_LEFT_OUT = ("test", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "unittest", "distutils", "__pycache__",
             "dist-packages", "asyncio", "sqlite3", "tkinter", "turtledemo", "lib-dynload/_codecs")  # fmt: skip
_INIT = """#!/usr/bin/python3 -ISB
import ctypes, glob, os, sys, time
libc = ctypes.CDLL(None)
for kind, at in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"), ("tmpfs", "/run")):
    libc.mount(kind.encode(), at.encode(), kind.encode(), 0, None)
os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C", HOME="/")
for line in open("/modules"):
    file = os.open(line.strip(), os.O_RDONLY)
    libc.syscall(313, file, b"", 0)  # finit_module
    os.close(file)
while not (found := glob.glob("/dev/vport*p1")):
    time.sleep(0.01)
port = os.open(found[0], os.O_RDWR)
os.dup2(port, 0)
os.dup2(port, 1)
sys.path.insert(0, "/")
from coursekit.lab.inside.agent import main
main()
"""


class Guest:
    """Debian's kernel from its package, and an initramfs beside it; a context, which leaves no file behind."""

    def __init__(self, package: Path) -> None:
        for program in ("qemu-system-x86_64", "dpkg-deb", _PYTHON, *_TOOLS):
            if which(program) is None:
                raise CourseError(f"{program} is not installed, and the guest needs it (qemu-system-x86, dpkg, …).")
        if not package.is_file():
            raise CourseError(f"There is no file {package}; `apt-get download linux-image-6.1.0-56-amd64` gets one.")
        self._room = tempfile.TemporaryDirectory()
        self._root = Path(self._room.name)
        try:
            said = attempt(["dpkg-deb", "-x", str(package), str(self._root / "package")], 120)
            images = sorted((self._root / "package" / "boot").glob("vmlinuz-*"))
            if not images:
                raise CourseError(f"{package} is no package of a Debian kernel: {said.said or 'it holds no vmlinuz'}.")
            self._image = images[-1]
            version = self._image.name.removeprefix("vmlinuz-")
            debian = re.search(r"_([\d.-]+)_", package.name)
            self.kernel = f"{version} (Debian {debian.group(1) if debian else 'unknown'}) in QEMU {_qemu()} TCG"
            with (self._root / "initrd").open("wb") as file:
                for name, mode, data in _members(self._root / "package" / "lib" / "modules" / version):
                    file.write(_entry(name, mode, data))
                file.write(_entry("TRAILER!!!", 0, b""))
        except BaseException:
            self._room.cleanup()
            raise

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *error: object) -> None:
        self._room.cleanup()

    def command(self) -> list[str]:
        """Return the command whose stdin and stdout are the agent's."""
        return [
            "qemu-system-x86_64", "-M", "pc,accel=tcg", "-cpu", "max", "-smp", "1", "-m", "1024", "-nodefaults",
            "-no-reboot", "-display", "none", "-kernel", str(self._image), "-initrd", str(self._root / "initrd"),
            "-append", "quiet panic=-1 mitigations=off nokaslr tsc=reliable console=ttyS0",
            "-chardev", "stdio,id=agent,signal=off", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent,name=agent",
        ]  # fmt: skip


def _qemu() -> str:
    found = re.search(r"version ([\d.]+)", attempt(["qemu-system-x86_64", "--version"]).said)
    return found.group(1) if found else "unknown"


def _entry(name: str, mode: int, data: bytes) -> bytes:
    """Return a member of a cpio archive, format newc (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _members(modules: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yield name, mode and contents of all that the guest needs."""
    files: dict[str, bytes] = {"init": _INIT.encode()}
    order = list(_ordered(modules))
    files |= {f"modules.d/{path.name}": path.read_bytes() for path in order}
    files["modules"] = "".join(f"/modules.d/{path.name}\n" for path in order).encode()
    library = Path(_capture([_PYTHON, "-ISc", "import os; print(os.path.dirname(os.__file__))"]))
    kept = [path for path in library.rglob("*") if path.is_file() and not set(path.relative_to(library).parts) &
            set(_LEFT_OUT)]  # fmt: skip
    tools = [Path(found) for name in (_PYTHON, *_TOOLS) if (found := which(name))]
    shared = [path for path in kept if path.suffix == ".so"]
    needed = {line for path in (*tools, *shared) for line in re.findall(r"(/\S+) \(0x", _capture(["ldd", str(path)]))}
    for path in (*kept, *map(Path, sorted(needed))):
        files[str(path).lstrip("/")] = path.read_bytes()
    for name, path in zip((_PYTHON, *_TOOLS), tools, strict=True):
        files[f"usr/bin/{Path(name).name}"] = path.read_bytes()
    files["bin/sh"] = files["usr/bin/sh"]
    home = Path(coursekit.__file__).parent
    wanted = [home / "__init__.py", home / "lab" / "__init__.py", *(home / "lab" / "inside").glob("*.py")]
    files |= {str(path.relative_to(home.parent)): path.read_bytes() for path in wanted}
    names = Path("/etc/iproute2").glob("*")
    files |= {str(path).lstrip("/"): path.read_bytes() for path in names if path.is_file()}
    folders = {str(parent) for name in files for parent in Path(name).parents} | {"proc", "sys", "dev", "tmp", "run"}
    for folder in sorted(folders - {"."}):
        yield folder, stat.S_IFDIR | 0o755, b""
    for name, data in files.items():
        yield name, stat.S_IFREG | 0o755, data


def _ordered(modules: Path) -> Iterator[Path]:
    """Yield the files of the modules and of what they depend on (their .modinfo says), in an order to load them in."""
    there = {path.name.split(".")[0].replace("-", "_"): path for path in modules.rglob("*.ko")}
    done: set[str] = set()

    def visit(name: str) -> Iterator[Path]:
        if name in done or name not in there:
            return
        done.add(name)
        found = re.search(rb"\0depends=([^\0]*)\0", there[name].read_bytes())
        for other in found.group(1).decode().split(",") if found else ():
            yield from visit(other.replace("-", "_"))
        yield there[name]

    for name in _MODULES:
        if name not in there:
            raise CourseError(f"The kernel of the package has no module {name}.")
        yield from visit(name)


def _capture(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


