"""A Kubernetes cluster as a lab: asked by kubectl, known from pasted outputs, or as a documentation shows one.

The same readers make the same tables and journeys of all three; `evidence` says which it is.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from coursekit.cluster import journey
from coursekit.cluster import network as planning
from coursekit.cluster.model import Cluster
from coursekit.cluster.network import Network
from coursekit.cluster.path import Journey
from coursekit.cluster.tables import HostTables
from coursekit.errors import CourseError
from coursekit.keys import check_keys, load_toml
from coursekit.lab.minikube import kubectl, runner, yours
from coursekit.lab.minikube.steps import TOPICS, Step, read_tables, script, steps
from coursekit.paths import data_dir

DOCUMENTED = "calico-hard-way"
GIVEN = ("nodes", "pods", "pools", "blocks", "status", "tables", "routes", "subnet")
_READ = {"nodes": kubectl.nodes, "pools": kubectl.pools, "blocks": kubectl.blocks}
_SHOWN = 14  # lines of an output that a transcript shows


@dataclass(frozen=True)
class Answer:
    """What a step printed; `evidence` is "" where nobody asked, `of` the command where it is not the step's own."""

    step: Step
    text: str = ""
    evidence: str = ""
    of: str = ""

    def __str__(self) -> str:
        step = self.step
        lines = [f"# {step.what}", *(f"#    {line}" for line in step.note.splitlines())]
        first, *others = step.stdin.split("---\n")
        rest = f"# … and {len(others)} pods more: script() has all\n" if others else ""
        lines.append(f"$ {step.command}" + (f" <<'EOF'\n{first}{rest}EOF" if first else ""))
        lines += ["# meanwhile, in another terminal:", f"$ {step.beside}"] if step.beside else []
        lines += [f"[{self.evidence}]"] if self.evidence else []
        lines += [f"[$ {self.of}]"] if self.of else []
        said = self.text.strip("\n").splitlines()
        if step.prints in _READ and self.text.lstrip().startswith("{"):
            with contextlib.suppress(CourseError):  # what cannot be read is shown as it is
                lines_of = "line of" if len(said) == 1 else "lines of"
                said = [f"… {len(said)} {lines_of} JSON, read as:", *map(str, _READ[step.prints](self.text))]
        more = [f"… and {len(said) - _SHOWN} lines more"] if len(said) > _SHOWN else []
        return "\n".join([*lines, *said[:_SHOWN], *more])


@dataclass(frozen=True, repr=False)
class Transcript:
    """Commands of one part of the lab, with what each answers and, where it is known, what it printed."""

    answers: tuple[Answer, ...]
    none: str = ""  # what is said if there is no command

    def __repr__(self) -> str:
        if not self.answers:
            return f"# {self.none}"
        shown = [a for i, a in enumerate(self.answers) if a.step.prints != "tables" or i == 0]
        rest = [a.step.what.rpartition(" ")[2] for a in self.answers if a not in shown]
        return "\n\n".join([*map(str, shown), *([f"# The same on {', '.join(rest)}."] if rest else [])])


class KubeLab:
    """A cluster behind a context of kubectl (`live`), or one that only outputs tell of."""

    def __init__(
        self, cni: str | None = None, *, context: str = "minikube", live: bool = False, **given: Any
    ) -> None:  # fmt: skip
        """Read what is there. `given` are outputs by the names of GIVEN; without any a documented cluster is taken.

        CourseError where kubectl has no answer, or for a name that is not in GIVEN.
        """
        if unknown := sorted(set(given) - set(GIVEN)):
            raise CourseError(f"{unknown[0]!r} is no output that can be given; those are {', '.join(GIVEN)}.")
        self.context, self.live = context, live
        self.said: dict[str, Any] = {key: text for key, text in given.items() if text}
        self._commands: dict[str, tuple[str, str]] = {}  # of documented outputs: the command, and the file it is in
        self._hosts: dict[str, str] = {}  # tables as they were read, by the step that did
        if live:
            self.evidence = f"captured live · kubectl --context {context}"
            self._read()
        elif self.said:
            self.evidence = "captured · pasted"
        else:
            self._document()
        self._cni = cni or self._found() or "calico"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The lab in commands: for a Minikube that is to be made, or for the nodes that answer."""
        there = [node.name for node in kubectl.nodes(self.said["nodes"])] if self.live else []
        return steps(self._cni, minikube=self.context, nodes=there)

    def script(self) -> str:
        """Return the whole lab as a shell script; what destroys is commented out."""
        return script(self.steps)

    def ask(self, topic: str) -> Transcript:
        """Return the commands of a part of the lab (TOPICS); of a live cluster they are run, but for what destroys."""
        if topic not in TOPICS:
            raise CourseError(f"The lab has no part {topic!r}; there are {', '.join(TOPICS)}.")
        found = [step for step in self.steps if step.topic == topic]
        none = f"Context {self.context} answers already." if topic == "start" else f"{self._cni} needs no command here."
        return Transcript(tuple(self._run(found) if self.live else map(self._known, found)), none)

    @property
    def mode(self) -> tuple[str, str]:
        """The course's profile, and which output tells so."""
        name, _, why = yours.mode(
            pools=self.said.get("pools", ()), pods=self.said.get("pods", ()), routes=self._routes()
        )
        return name, why

    @property
    def cluster(self) -> Cluster:
        """The cluster that the outputs describe; CourseError says which one is missing."""
        if "pods" not in self.said:
            raise CourseError("Without its pods there is no cluster: give pods=`kubectl get pods -A -o wide`.")
        if self.live and not self._routes() and "subnet" not in self.said:
            self._read_tables()
        return yours.cluster(
            self.said.get("nodes"), self.said["pods"], pools=self.said.get("pools"), blocks=self.said.get("blocks"),
            routes=self._routes(), subnet=self.said.get("subnet"),
        )  # fmt: skip

    @property
    def pair(self) -> tuple[str, str]:
        """Two pods on two nodes, test pods or pods whose tables were read first; CourseError where there are none."""
        real, pods = self._tables(), self.cluster.pods
        first = sorted(pods, key=lambda pod: pod.name not in real)
        for other in first[1:]:
            if other.node != first[0].node:
                return first[0].name, other.name
        raise CourseError(f"Two pods on two nodes are needed; there are {', '.join(p.name for p in pods) or 'none'}.")

    def network(self) -> Network:
        """Return the network by the tables that were read from every node, else by those that the model works out."""
        cluster, real = self.cluster, self._tables()
        pods = tuple(pod for pod in cluster.pods if pod.name in real)
        if pods and all(node.name in real for node in cluster.nodes):
            return yours.network(replace(cluster, pods=pods), real)
        return planning.network(cluster)

    def tables(self, host: str) -> HostTables:
        """Return the tables of a host: read where they were, else worked out by the model."""
        real = self._tables()
        return real[host] if host in real else self.network().host(host).tables

    def ping(self, src: str, dst: str, size: int = 56, df: bool | None = None) -> Journey:
        """Return the way of an echo request and its reply, computed by the tables of `network()`."""
        return journey.ping(self.network(), src, dst, size, df)

    def _found(self) -> str:
        """Return the CNI whose pods are there, "" if none tells."""
        names = [pod.name for pod in kubectl.pods(self.said["pods"])] if "pods" in self.said else []
        return next((cni for start, cni in yours.DAEMONS.items() if any(n.startswith(start) for n in names)), "")

    def _tables(self) -> dict[str, HostTables]:
        text = "".join(self._hosts.values()) or self.said.get("tables", "")
        return yours.host_tables(text) if text else {}

    def _routes(self) -> dict[str, Any]:
        """Return tables, or `ip route` alone, of the nodes that have been read."""
        given, names = self.said.get("routes") or {}, self._node_names()
        return {**given, **{host: found for host, found in self._tables().items() if host in names}}

    def _node_names(self) -> set[str]:
        if "nodes" in self.said:
            return {node.name for node in kubectl.nodes(self.said["nodes"])}
        return {pod.node for pod in kubectl.pods(self.said["pods"])} if "pods" in self.said else set()

    def _document(self) -> None:
        path = data_dir() / "documented" / f"{DOCUMENTED}.toml"
        held = load_toml(path.read_text(encoding="utf-8"), path.name)
        check_keys(held, ("title", "repository", "commit", "subnet", "outputs"), path.name)
        self.evidence = f"documented · {held['repository']}, a cluster that is not yours"
        self.said["subnet"] = held["subnet"]
        for prints, found in held["outputs"].items():
            check_keys(found, ("command", "file", "text"), f"{path.name}: outputs.{prints}")
            self.said[prints] = found["text"]
            self._commands[prints] = found["command"], found["file"].rpartition("/")[2]

    def _known(self, step: Step) -> Answer:
        """Return a step with what is known to come of it: the first that prints something has it."""
        first = next((s for s in self.steps if s.prints == step.prints), None)
        text = self.said.get(step.prints) if step.prints and step == first else None
        if not isinstance(text, str):
            return Answer(step)
        command, file = self._commands.get(step.prints, ("", ""))
        return Answer(step, text, f"{self.evidence} · {file}" if file else self.evidence, command)

    def _read(self) -> None:
        """Ask for what only has to be read; a cluster without Calico has no pools, and says so."""
        wanted = [step for step in steps("calico", minikube=self.context, nodes=("a", "b")) if step.prints in GIVEN]
        for step in wanted:
            if step.prints in ("nodes", "pods", "pools", "blocks"):
                (done,) = runner.run([step])
                if not done.well and step.prints in ("nodes", "pods"):
                    raise CourseError(f"kubectl does not reach context {self.context!r}: {_last(done)}")
                self.said[step.prints] = done.said or done.complained

    def _read_tables(self) -> None:
        """Read the tables of each node that a pod on-NODE shows, and of each pod in the default namespace."""
        pods = [pod for pod in kubectl.pods(self.said["pods"]) if pod.running and pod.namespace == "default"]
        nodes, names = self._node_names(), {pod.name for pod in pods}
        hosts = {node: f"on-{node}" for node in sorted(nodes) if f"on-{node}" in names}
        hosts |= {pod.name: pod.name for pod in pods if pod.name not in hosts.values()}
        if not nodes & set(hosts):
            raise CourseError(
                f"No pod on-{min(nodes)} shows that node's tables yet: ask('pods') makes one per node; or give subnet."
            )
        list(self._run(read_tables(hosts, f"kubectl --context {shlex.quote(self.context)}")))

    def _run(self, found: list[Step]) -> Iterator[Answer]:
        """Run steps, and keep what can be read; what was not run is shown without an answer."""
        reached = 0
        for done in runner.run(found):
            reached += 1
            said = done.said if done.well else f"{done.said}{done.complained}"
            if done.well and done.step.prints == "tables":
                self._hosts[done.step.what] = done.said
            elif done.well and done.step.prints in GIVEN and done.said:
                self.said[done.step.prints] = done.said
            well = self.evidence if done.well else "failed"
            kind = "not run: it destroys; type it yourself" if done.left_out else well
            yield Answer(done.step, said, kind)
        yield from (Answer(step, "", "not run") for step in found[reached:])


def reached(context: str = "minikube") -> tuple[bool, str]:
    """Return whether kubectl gets an answer from a context, and how many nodes there are, or why it gets none.

    Reads only, and gives up after five seconds.
    """
    if "kubectl" in runner.missing():
        return False, "kubectl is not installed (minikube.sigs.k8s.io/docs/start)"
    ask = f"kubectl --context {shlex.quote(context)} get nodes -o json --request-timeout=4s"
    try:
        (done,) = runner.run([Step("Ask the cluster", ask, "nodes", seconds=8)])
        if not done.well:
            return False, f"context {context} does not answer ({_last(done)}); `minikube start` makes one"
        return True, f"context {context} answers, {len(kubectl.nodes(done.said))} nodes"
    except CourseError as error:
        return False, f"context {context} does not answer ({str(error).rstrip('.')})"


def _last(done: runner.Done) -> str:
    return (done.complained.strip().splitlines() or done.said.strip().splitlines() or ["it said nothing"])[-1]
