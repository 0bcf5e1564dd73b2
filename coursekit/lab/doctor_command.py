"""`python -m coursekit doctor`: versions, what this machine can do, and one line of help per problem.

What it prints goes into a bug report as it is: no names, no paths, no addresses of yours.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import json
import platform
import re
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from coursekit.errors import CourseError
from coursekit.lab.minikube import reached
from coursekit.lab.probe import MODES, Attempt, Probe, attempt, mend, probe, which
from coursekit.lab.recording import recording, recordings

DISTRIBUTION = "pods-across-nodes"
SHOWN = ("jupyterlab", "ipywidgets", "anywidget", "plotly", "scapy")
# What a program is for, how to ask for its version, and the Debian package that has it.
PROGRAMS = {
    "iproute2": (("ip", "-V"), "the lab", "iproute2"),
    "bird": (("bird", "--version"), "real BGP sessions", "bird2"),
    "tshark": (("tshark", "--version"), "the tests only", "tshark"),
    "chromium": (("chromium", "--version"), "the tests only", "chromium"),
}
_DEVICES = {"ipip": "an ipip tunnel device", "tun": "a TUN device, for IPIP in user space"}
LABEXTENSIONS = ("anywidget", "@jupyter-widgets/jupyterlab-manager")


@dataclass(frozen=True)
class Problem:
    """Something that does not work here, what is lost by it, and the line that mends it."""

    what: str
    fix: str
    serious: bool  # without it the notebooks do not run


@dataclass(frozen=True)
class Report:
    """What the doctor found."""

    versions: dict[str, str]
    can: Probe
    minikube: Attempt
    recordings: str
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready data: what `--json` prints."""
        return {**asdict(self), "problems": [asdict(problem) for problem in self.problems]}

    def __str__(self) -> str:
        lines = [f"{name:12} {version}" for name, version in self.versions.items()]
        lines += ["", f"This machine can do {self.can}."]
        for name in ("root", "user", "loopback", "ipip", "tun"):
            tried = getattr(self.can, name)
            meaning = _DEVICES.get(name) or MODES[name].split(":")[0]
            why = f" ({tried.said})" if tried.said else ""
            lines.append(f"  {'yes' if tried.works else 'no '} {meaning}{why}")
        answers = "yes" if self.minikube.works else "no "
        lines.append(f"  {answers} a Minikube cluster by kubectl ({self.minikube.said})")
        lines += [f"  yes replay of recordings ({self.recordings})", ""]
        for problem in self.problems:
            lines.append(f"{'problem' if problem.serious else 'note'}: {problem.what}\n    {problem.fix}")
        return "\n".join(lines if self.problems else [*lines, "Nothing to mend."])


def _first_version(said: str) -> str:
    """Return the version in what a program says of itself, or its first line."""
    found = re.search(r"\d+(?:\.\d+)+[\w.-]*", said)
    return found.group() if found else (said.splitlines() or ["?"])[0][:60]


def _system() -> str:
    if sys.platform.startswith("linux"):
        try:
            name = platform.freedesktop_os_release()["PRETTY_NAME"]
            return f"{name}, Linux {platform.release()} {platform.machine()}"
        except (OSError, KeyError):
            pass
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def _libpcap() -> str | None:
    """Return libpcap's version as it says it itself, or None."""
    name = ctypes.util.find_library("pcap") or ctypes.util.find_library("wpcap")
    try:
        version = ctypes.CDLL(name or "libpcap.so.0.8").pcap_lib_version
    except (OSError, AttributeError):
        return None
    version.restype = ctypes.c_char_p
    return _first_version((version() or b"").decode(errors="replace"))


def _packages(versions: dict[str, str], problems: list[Problem]) -> None:
    """Compare what is installed with the ranges that the course asks for."""
    from packaging.requirements import Requirement

    fix = "make course, or: python -m pip install --editable ."
    try:
        versions["coursekit"] = metadata.version(DISTRIBUTION)
        needed = {r.name: r.specifier for r in map(Requirement, metadata.requires(DISTRIBUTION) or ())}
    except metadata.PackageNotFoundError:
        problems.append(Problem(f"{DISTRIBUTION} is not installed, only lying here", fix, True))
        versions["coursekit"], needed = "not installed", {}
    for name in dict.fromkeys((*SHOWN, *needed)):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "not installed"
            problems.append(Problem(f"{name} is not installed", fix, True))
        else:
            if name in needed and not needed[name].contains(found, prereleases=True):
                problems.append(Problem(f"{name} {found} is outside {needed[name]}", fix, True))
        if name in SHOWN:
            versions[name] = found
    shared = Path(sys.prefix, "share", "jupyter", "labextensions")
    for extension in LABEXTENSIONS:
        if not (shared / extension).is_dir():
            what = f"JupyterLab in this environment lacks {extension}: widgets would say 'model not found'"
            problems.append(Problem(what, fix, True))


def _programs(versions: dict[str, str], problems: list[Problem]) -> None:
    linux = sys.platform.startswith("linux")
    for name, (command, purpose, package) in PROGRAMS.items():
        if sys.platform == "win32" and name == "chromium":
            continue  # there, asking a browser for its version opens a window
        path = which(command[0]) or (which("google-chrome") if name == "chromium" else None)
        said = attempt([path, *command[1:]]) if path else None
        versions[name] = _first_version(said.said) if said and said.works else "not found"
        if linux and not path:
            problems.append(Problem(f"{name} is missing, needed for {purpose}", f"sudo apt install {package}", False))
    versions["libpcap"] = _libpcap() or "not found"
    if versions["libpcap"] == "not found":
        fix = {"win32": "install Npcap from npcap.com", "darwin": "macOS has it: reinstall Python from python.org"}
        problems.append(Problem("libpcap is missing, which filters of captures need",
                                fix.get(sys.platform, "sudo apt install libpcap0.8"), False))


def _abilities(can: Probe, problems: list[Problem]) -> None:
    if not sys.platform.startswith("linux"):
        fix = "nothing to do for the notebooks; for the lab use Linux, a virtual machine with it, or WSL 2"
        problems.append(Problem("the lab needs Linux; recordings stand in for it", fix, False))
        return
    if not (can.root.works or can.user.works):
        said = can.user.said if can.root.said == "not root" else can.root.said
        problems.append(Problem(f"no network namespaces: {said}", mend(said), False))
    elif not can.ipip.works:
        instead = "done in user space" if can.tun.works else "replayed from recordings"
        what = f"this kernel has no ipip device; IPIP is {instead}"
        problems.append(Problem(what, "sudo modprobe ipip (if the kernel has the module)", False))


def _recordings(problems: list[Problem]) -> str:
    broken = []
    for name in recordings():
        try:
            recording(name).verify()
        except CourseError as error:
            broken.append(name)
            problems.append(Problem(str(error), f"git checkout -- data/recordings/{name}", True))
    count = len(recordings())
    if not count:
        problems.append(Problem("there are no recordings", "git checkout -- data", True))
    return f"{count} recordings, " + (f"broken: {', '.join(broken)}" if broken else "all intact")


def examine() -> Report:
    """Look at everything once."""
    problems: list[Problem] = []
    versions = {"system": _system(), "python": f"{platform.python_version()} ({platform.python_implementation()})"}
    _packages(versions, problems)
    _programs(versions, problems)
    can = probe()
    _abilities(can, problems)
    kept = _recordings(problems)
    answers, said = reached()
    cluster = Attempt(answers, said.partition(" (")[0])  # what kubectl itself says may tell who you are
    return Report(versions, can, cluster, kept, tuple(sorted(problems, key=lambda problem: not problem.serious)))


def add_parser(commands: Any) -> None:
    """Add `doctor` to the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor", help="say what this machine can do, and how to mend what it cannot",
        description="Versions, what this machine can do, and one line of help per problem: paste it into a bug report. "
        "The exit status is 1 if the notebooks cannot run.",
    )
    parser.add_argument("--json", action="store_true", help="print the same as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report; return 1 if a problem keeps the notebooks from running."""
    report = examine()
    print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) if args.json else report)
    return int(any(problem.serious for problem in report.problems))
