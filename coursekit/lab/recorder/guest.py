"""A guest: the lab's agent in QEMU, on Debian's kernel, which has the IPIP module that this kernel may lack.

It is emulated in software, so that it needs no privilege and runs in a container too. It boots once, until the agent
waits for somebody at the other end of its virtio port, and is saved; every lab then wakes a copy of its own.
"""

from __future__ import annotations

import contextlib
import lzma
import platform
import re
import shlex
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import coursekit
from coursekit.errors import CourseError
from coursekit.lab.probe import attempt, which
from coursekit.scratch import swept

_QEMU = "qemu-system-x86_64"
_PYTHON = "/usr/bin/python3"  # the distribution's: its library is in one place
_TOOLS = ("sh", "cat", "echo", "grep", "head", "ip", "bridge", "tc", "ss", "ping", "traceroute", "tracepath", "socat",
          "timeout", "sed", "seq", "sleep", "tr", "true")  # fmt: skip
_MODULES = ("virtio_pci", "virtio_console", "veth", "bridge", "ipip", "vxlan", "sch_ingress", "cls_u32", "act_gact",
            "inet_diag", "tcp_diag")  # fmt: skip
_MEMORY = "1024"  # MiB; the TCP window scale that a kernel offers follows from it
_UP = "The agent waits."
_ROOM_NEEDED = "It needs 600 MB: let TMPDIR name a folder with more room."
_PATIENCE = 180.0  # seconds to boot in; it takes 5 on an idle processor
# Written by the guest's Python, which knows what it imports: modules compiled (that takes longest in there), and
# what is asked for only when it is needed.
_COMPILE = """
import sys; _, home, to = sys.argv; sys.path.insert(0, home)
import encodings.ascii, encodings.idna, encodings.latin_1, glob, os, py_compile, shutil, traceback
import coursekit.lab.inside.agent
for file in {getattr(module, "__file__", None) for module in list(sys.modules.values())} - {None}:
    there = to + ("/course" + file.removeprefix(home) if file.startswith(home) else file)
    os.makedirs(os.path.dirname(there), exist_ok=True)
    if file.endswith(".py"):
        py_compile.compile(file, there + "c", doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    else:
        shutil.copy(file, there)
"""
_INIT = f"""#!{_PYTHON} -ISB
import ctypes, fcntl, glob, os, select, sys, time
libc = ctypes.CDLL(None)
for kind, at in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"), ("tmpfs", "/run")):
    libc.mount(kind.encode(), at.encode(), kind.encode(), 0, None)
os.dup2(os.open("/dev/ttyS0", os.O_WRONLY | os.O_NOCTTY), 2)
os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C", HOME="/")
for line in open("/modules"):
    file = os.open(line.strip(), os.O_RDONLY)
    libc.syscall(313, file, b"", 0)  # finit_module
    os.close(file)
sys.path.insert(0, "/course")
from coursekit.lab.inside.agent import main
while not (found := glob.glob("/dev/vport*p1")):
    time.sleep(0.01)
port = os.open(found[0], os.O_RDWR)
os.dup2(port, 0)
os.dup2(port, 1)
os.write(2, b"{_UP}\\n")
waiting, until = select.poll(), time.monotonic() + 60
waiting.register(0, 0)
while waiting.poll(0):  # hung up: nobody is there yet; whoever never comes does not leave us behind
    time.sleep(0.01 if time.monotonic() < until else sys.exit())
fcntl.ioctl(os.open("/dev/urandom", os.O_WRONLY), 0x5207)  # RNDRESEEDCRNG: copies shall not draw alike
main()
"""


class Guest:
    """Debian's kernel from its package, booted; a context, which leaves no file and no process behind.

    Raises CourseError where a program or the package is missing, or the package is no x86-64 kernel's or does not boot.
    """

    def __init__(self, package: Path) -> None:
        for program in (_QEMU, "dpkg-deb", "setpriv", _PYTHON, *_TOOLS):
            if which(program) is None:
                raise CourseError(f"{program} is not installed, and the guest needs it (qemu-system-x86, dpkg, …).")
        if platform.machine() != "x86_64":
            raise CourseError(f"The guest runs x86-64 programs of this machine, and it is {platform.machine()}.")
        if not package.is_file():
            raise CourseError(f"There is no file {package}; `apt-get download linux-image-6.1.0-56-amd64` gets one.")
        self._room = contextlib.ExitStack()
        self._root = self._room.enter_context(swept())
        try:
            with tempfile.TemporaryDirectory(dir=self._root) as unpacked:
                version = self._unpack(package, Path(unpacked))
            debian = attempt(["dpkg-deb", "--field", str(package), "Version"]).said
            self.kernel = f"{version} (Debian {debian}) in QEMU {_qemu()} TCG"
            self._boot()
        except OSError as error:
            self._room.close()
            raise CourseError(f"The guest cannot be kept in {self._root}: {error.strerror}. {_ROOM_NEEDED}") from None
        except BaseException:
            self._room.close()
            raise

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *error: object) -> None:
        self._room.close()

    def command(self) -> list[str]:
        """Return the command that wakes a copy, whose stdin and stdout are the agent's."""
        saved = shlex.quote(str(self._root / "saved"))
        return [*self._machine("stdio,signal=off"), "-incoming", f"exec:cat {saved}"]

    def _machine(self, port: str) -> list[str]:
        return [
            _QEMU, "-M", "pc,accel=tcg", "-cpu", "max", "-smp", "1", "-m", _MEMORY, "-nodefaults", "-no-reboot",
            "-display", "none", "-kernel", str(self._root / "kernel"), "-initrd", str(self._root / "initrd"),
            "-append", "quiet panic=-1 mitigations=off nokaslr tsc=reliable console=ttyS0",
            "-chardev", "file,id=log,path=/dev/stderr,append=on", "-serial", "chardev:log",
            "-device", "virtio-serial-pci", "-chardev", f"{port},id=agent",
            "-device", "virtserialport,chardev=agent,name=agent",
        ]  # fmt: skip

    def _unpack(self, package: Path, room: Path) -> str:
        """Put kernel and initramfs in place; return the kernel's version."""
        said = attempt(["dpkg-deb", "-x", str(package), str(room)], 120)
        image = next(iter(sorted((room / "boot").glob("vmlinuz-*"))), None)
        if image is None:
            raise CourseError(f"{package} is no package of a Debian kernel: {said.said or 'it holds no vmlinuz'}.")
        kernel = image.read_bytes()
        if kernel[0x202:0x206] != b"HdrS":  # Documentation/x86/boot.rst
            raise CourseError(f"{package} is no package of an x86-64 kernel: {image.name} is none.")
        (self._root / "kernel").write_bytes(kernel)
        version = image.name.removeprefix("vmlinuz-")
        with (self._root / "initrd").open("wb") as file:
            for name, mode, data in _members(room / "lib" / "modules" / version, room / "compiled"):
                file.write(_entry(name, mode, data))
            file.write(_entry("TRAILER!!!", 0, b""))
        return version

    def _boot(self) -> None:
        """Boot until the agent waits, and save that; CourseError for a guest that ends or hangs."""
        log = self._root / "log"
        with log.open("wb") as complaints:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._machine("null"), "-monitor", "stdio"], cwd=self._root,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints, start_new_session=True,
            )  # fmt: skip
        try:
            until = time.monotonic() + _PATIENCE
            while _UP not in (said := log.read_text(errors="replace")):
                if process.poll() is not None:
                    raise CourseError(f"The guest has ended before it was up: {_last(said)}.")
                if time.monotonic() > until:
                    raise CourseError(f"The guest is not up after {_PATIENCE:g} s; its last words: {_last(said)}.")
                time.sleep(0.02)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(b'migrate "exec:cat >saved"\nquit\n', 60)
            if process.returncode:
                raise CourseError(f"QEMU could not save the guest: {_last(log.read_text(errors='replace'))}.")
        finally:
            process.kill()
            process.wait()


def _last(said: str) -> str:
    """Return what a kernel said when it died, or else the last line."""
    lines = [line for line in said.splitlines() if line.strip()]
    panics = [line for line in lines if "Kernel panic" in line]
    return (panics or lines[-1:] or ["nothing"])[0].strip()


def _qemu() -> str:
    found = re.search(r"version ([\d.]+)", attempt([_QEMU, "--version"]).said)
    return found.group(1) if found else "unknown"


def _entry(name: str, mode: int, data: bytes) -> bytes:
    """Return a member of a cpio archive, format newc (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _members(modules: Path, compiled: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yield name, mode and contents of all that the guest needs."""
    files: dict[str, bytes] = {"init": _INIT.encode()}
    files |= {f"modules.d/{name}.ko": data for name, data in _ordered(modules)}
    files["modules"] = "".join(f"/{name}\n" for name in files if name.startswith("modules.d/")).encode()
    home = Path(coursekit.__file__).parent.parent
    done = attempt([_PYTHON, "-ISB", "-c", _COMPILE, str(home), str(compiled)], 60)
    if not done.works:
        raise CourseError(f"{_PYTHON} cannot run the lab's agent: {done.said}.")
    library = [path for path in compiled.rglob("*") if path.is_file()]
    files |= {str(path.relative_to(compiled)): path.read_bytes() for path in library}
    tools = {Path(name).name: Path(found) for name in (_PYTHON, *_TOOLS) if (found := which(name))}
    shared = [*tools.values(), *(path for path in library if path.suffix == ".so")]
    needed = {line for path in shared for line in re.findall(r"(/\S+) \(0x", attempt(["ldd", str(path)]).said)}
    names = [path for path in Path("/etc/iproute2").glob("*") if path.is_file()]
    files |= {str(path).lstrip("/"): path.read_bytes() for path in (*map(Path, sorted(needed)), *names)}
    files |= {f"usr/bin/{name}": path.read_bytes() for name, path in tools.items()}
    files["bin/sh"] = files["usr/bin/sh"]
    folders = {str(parent) for name in files for parent in Path(name).parents} | {"proc", "sys", "dev", "tmp", "run"}
    for folder in sorted(folders - {"."}):
        yield folder, stat.S_IFDIR | 0o755, b""
    for name, data in files.items():
        yield name, stat.S_IFREG | 0o755, data


def _ordered(modules: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the modules and those that they depend on (their .modinfo says), in an order to load them in."""
    there = {path.name.split(".")[0].replace("-", "_"): path for path in modules.rglob("*.ko*")}
    done: set[str] = set()

    def visit(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name not in there:
            return
        done.add(name)
        data = there[name].read_bytes()
        data = lzma.decompress(data) if there[name].suffix == ".xz" else data
        found = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in found.group(1).decode().split(",") if found else ():
            yield from visit(other.replace("-", "_"))
        yield name, data

    for name in _MODULES:
        if name not in there:
            raise CourseError(f"The kernel of the package has no module {name}.")
        yield from visit(name)
