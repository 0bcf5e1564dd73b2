"""Recordings: captures and outputs taken from a real lab, each kept with its provenance.

A recording is a folder: `host-device.pcap` per capture point, `state.json` with every host's tables, the
outputs of commands as `*.txt`, and `provenance.json` saying on which kernel, when and by which commands, with the
SHA-256 of every file. Nothing is handed out before its SHA-256 is found right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit.errors import CourseError, given
from coursekit.keys import check_keys, load_json
from coursekit.paths import data_dir

if TYPE_CHECKING:
    from coursekit.cluster.tables import HostTables
    from coursekit.packets.capture import Capture

_REQUIRED = ("title", "evidence", "kernel", "date", "tools", "topology", "commands", "sha256")
_KNOWN = (*_REQUIRED, "name", "conditions", "setup")


class Output(str):
    """What a command printed, as text; shown in a notebook it looks as it did in the terminal."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self).rstrip("\n")


@dataclass(frozen=True, repr=False)
class Recording:
    """One recording; `provenance` is what `provenance.json` says, word for word."""

    name: str
    folder: Path
    provenance: Mapping[str, Any] = field(compare=False)
    sha256: str  # of provenance.json, which in turn names that of every file

    @property
    def title(self) -> str:
        """What was recorded, in a line."""
        return str(self.provenance["title"])

    @property
    def banner(self) -> str:
        """The line that tells a learner what kind of evidence this is: "captured · Linux 6.18.44 · date · sha256 …"."""
        kernel = str(self.provenance["kernel"]).split(",")[0].split(" (")[0]
        evidence, date = self.provenance["evidence"], self.provenance["date"]
        return f"{evidence} · Linux {kernel} · {date} · sha256 {self.sha256[:8]}…"

    def points(self) -> tuple[str, ...]:
        """Return the capture points, as "host:device", in alphabetical order."""
        return tuple(sorted(name[:-5].replace("-", ":", 1) for name in self._files(".pcap")))

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the recorded command outputs: "ping", "traceroute" and so on."""
        return tuple(sorted(name[:-4] for name in self._files(".txt")))

    def capture(self, point: str) -> Capture:
        """Return the capture taken at `point` ("node1:eth0"); CourseError if nobody captured there."""
        from coursekit.packets.capture import load

        path = self._checked(str(point).replace(":", "-", 1) + ".pcap", f"capture point {given(point)}", self.points())
        return load(path)

    def tables(self, moment: str = "") -> dict[str, HostTables]:
        """Return every host's tables as they were; `moment` ("1-converged") names one of several."""
        from coursekit.cluster.iproute2 import parse_state_json

        known = tuple(name.removeprefix("state").removesuffix(".json") for name in self._files(".json"))
        name = f"state-{moment}.json" if moment else "state.json"
        moments = tuple(part.removeprefix("-") or "(no name)" for part in known)
        wanted = f"tables {given(moment)}" if moment else "tables"
        return parse_state_json(self._checked(name, wanted, moments).read_text())

    def output(self, name: str) -> Output:
        """Return what a command printed, e.g. `output("ping")`."""
        return Output(self._checked(f"{name}.txt", f"output {given(name)}", self.outputs()).read_text(encoding="utf-8"))

    def verify(self) -> None:
        """Compare the SHA-256 of every file with the provenance; CourseError names the first that differs."""
        for name in self.provenance["sha256"]:
            self._checked(name, name, ())

    def _files(self, suffix: str) -> list[str]:
        return [name for name in self.provenance["sha256"] if name.endswith(suffix)]

    def _checked(self, name: str, wanted: str, known: tuple[str, ...]) -> Path:
        """Return the path of a file of this recording, after comparing its SHA-256 with the provenance."""
        expected = self.provenance["sha256"].get(name)
        if expected is None:
            listed = ", ".join(known) or "none"
            raise CourseError(f"The recording {self.name!r} has no {wanted}; it has: {listed}.")
        path = self.folder / name
        try:
            actual = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise CourseError(
                f"The recording {self.name!r} should hold {name}, but it cannot be read ({error.strerror}): "
                f"restore it with `git checkout -- data/recordings/{self.name}`."
            ) from None
        if actual != expected:
            raise CourseError(
                f"{name} of the recording {self.name!r} is not the file that was recorded: its SHA-256 is "
                f"{actual[:12]}…, provenance.json says {expected[:12]}…. "
                f"Restore it with `git checkout -- data/recordings/{self.name}`."
            )
        return path

    def __repr__(self) -> str:
        return f"{self.name}: {self.title}\n{self.banner}\ncaptured at {', '.join(self.points())}"


def recordings() -> tuple[str, ...]:
    """Return the names of all recordings of the course."""
    return tuple(sorted(path.parent.name for path in (data_dir() / "recordings").glob("*/provenance.json")))


def recording(name: str | Path) -> Recording:
    """Open a recording of the course by its name, or any folder that holds a `provenance.json` by its `Path`.

    CourseError if there is none, or its provenance does not say what it must.
    """
    if isinstance(name, Path):
        folder, name = name, name.name
    elif name in (known := recordings()):
        folder = data_dir() / "recordings" / name
    else:
        near = get_close_matches(str(name), known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`recordings()` lists them."
        raise CourseError(f"There is no recording called {given(name)}. {hint}")
    try:
        raw = (folder / "provenance.json").read_bytes()
        provenance = load_json(raw, "it")
        check_keys(provenance, _KNOWN, "it")
        missing = [key for key in _REQUIRED if not provenance.get(key)]
        dict.items(provenance.get("sha256", {}))
    except (CourseError, OSError, AttributeError, TypeError) as error:
        reason = str(error).rstrip(".")
        raise CourseError(f"{folder / 'provenance.json'} cannot be read as provenance: {reason}.") from None
    if missing:
        raise CourseError(f"The provenance of the recording {name!r} does not say: {', '.join(missing)}.")
    return Recording(name=name, folder=folder, provenance=provenance, sha256=hashlib.sha256(raw).hexdigest())
