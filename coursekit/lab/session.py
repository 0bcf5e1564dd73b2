"""One lab in three modes: live (namespaces, or daemons on loopback), replayed, or a Minikube cluster asked by kubectl.

Which one is chosen by what this machine can do, unless it is said: `session("replay")`, or the environment variable
COURSEKIT_LAB. Under pytest it is replay, so that stored outputs can be compared on any machine. Beside a Minikube
cluster stands the best of the others: nobody breaks things there.
"""

from __future__ import annotations

import os
from typing import Any

from coursekit.cluster.firewall import Allow, allows
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.watch import captures
from coursekit.errors import CourseError, expect
from coursekit.lab.captures import Captures
from coursekit.lab.live import Lab
from coursekit.lab.live import up as up_live
from coursekit.lab.loopback import Loopback
from coursekit.lab.minikube import KubeLab, reached
from coursekit.lab.probe import MODES as MACHINE
from coursekit.lab.probe import probe
from coursekit.lab.replay import COMPUTED, Replay
from coursekit.lab.results import Get, Ping

VARIABLE = "COURSEKIT_LAB"
MINIKUBE, NAMESPACES, LOOPBACK, REPLAY = "minikube", "namespaces", "loopback", "replay"
MODES = (MINIKUBE, NAMESPACES, LOOPBACK, REPLAY)
LIVE = "captured live"
Net = Lab | Replay


def session(mode: str | None = None, *, context: str = "minikube") -> Session:
    """Return the lab in a mode of MODES, or in the best that this machine can do.

    `context` is kubectl's name of the cluster that mode minikube asks. Raises CourseError for a mode that does not
    exist, or that this machine cannot run, with what is missing.
    """
    wanted = mode or os.environ.get(VARIABLE) or (REPLAY if "PYTEST_VERSION" in os.environ else "")
    if wanted and wanted not in MODES:
        raise CourseError(f"There is no lab mode {wanted!r}; there are {', '.join(MODES)}.")
    if wanted == REPLAY:
        return Session(REPLAY, "asked for", advice=_ASKED)
    answers, said = reached(context) if wanted in ("", MINIKUBE) else (False, "not asked for")
    if wanted == MINIKUBE and not answers:
        raise CourseError(
            f"No cluster can be asked: {said}. Outputs of any cluster can be pasted instead: "
            'session("replay").minikube(nodes=…, pods=…) reads them.'
        )
    found = _kernel("" if wanted == MINIKUBE else wanted)
    if answers:
        found.mode, found.why, found.context = MINIKUBE, said, context
    elif not wanted:
        found.advice = f"No cluster is asked: {said}. {found.advice}".strip()
    return found


_ASKED = (
    'session("namespaces") is live where Linux lets you, session("minikube") asks your cluster.\n'
    "`python -m coursekit doctor` says what this machine can do, and what is missing."
)


def _kernel(wanted: str) -> Session:
    """Return the session that this machine's kernel can do, of those that are wanted."""
    can = probe()
    if wanted != LOOPBACK and (can.root.works or can.user.works):
        return Session(NAMESPACES, MACHINE["root" if can.root.works else "user"])
    if wanted != NAMESPACES and can.loopback.works:
        return Session(LOOPBACK, MACHINE["loopback"], advice=can.advice)
    missing = can.loopback.said if wanted == LOOPBACK else can.user.said or can.root.said
    if wanted:
        raise CourseError(
            f"This machine cannot run the lab in mode {wanted}: {missing}. `python -m coursekit doctor` says what to "
            'do; session("replay") works everywhere.'
        )
    return Session(REPLAY, f"this machine cannot do more: {missing}", advice=can.advice)


class Session:
    """A lab that is there for a whole notebook: one cluster at a time. `mode` and `why` are what the banner says.

    `kernel` is what brings clusters up: the mode itself, or what stands beside a Minikube. `advice` says what is
    missing, and how to get it.
    """

    def __init__(self, mode: str, why: str, *, advice: str = "") -> None:
        self.mode, self.why, self.advice = mode, why, advice
        self.kernel, self.context = mode, ""
        self.net: Net | None = None

    @property
    def live(self) -> bool:
        """Whether a kernel does what is asked, now."""
        return self.kernel == NAMESPACES

    @property
    def banner(self) -> str:
        """Say what answers, a kernel here and now, or recordings and the model, and what is missing for more."""
        if self.live:
            means = "What you see is captured here and now. Nothing of it is left when the kernel ends."
        else:
            means = "What you see was captured before, or is computed by the model; each answer says which."
        if self.kernel == LOOPBACK:
            means += " BIRD runs here and now."
        if self.mode == MINIKUBE:
            beside = "live in namespaces" if self.live else f"in {self.kernel}"
            means = (
                "Your cluster is asked by kubectl; test pods stay there until you remove them.\n"
                f"What is compared and broken is beside it, {beside}; each answer says which it is."
            )
        lines = [f"{'live' if self.mode == NAMESPACES else self.mode} · {self.why}", means]
        return "\n".join([*lines, *([f"For more: {self.advice}"] if self.advice else [])])

    def minikube(self, cni: str | None = None, **given: Any) -> KubeLab:
        """Return a Kubernetes cluster as a lab: yours by kubectl in mode minikube, else a documented one.

        Outputs that are given (`nodes=`, `pods=`, `pools=`, `blocks=`, `tables=`, `routes=`, `subnet=`) come first.
        """
        given = {key: text for key, text in given.items() if (text.strip() if isinstance(text, str) else text)}
        if self.mode == MINIKUBE and not given:
            return KubeLab(cni, context=self.context, live=True)
        return KubeLab(cni, **given)

    def up(self, cluster: Cluster | str = "lab", profile: str | None = None, **options: Any) -> Net:
        """Take down what runs, and bring up a cluster: a Cluster, the name of a bundled one, or the path of a file.

        Where neither this kernel nor a TUN device can carry IPIP, a replay stands in, and its evidence says so.
        """
        found = cluster if isinstance(cluster, Cluster) else load(cluster)
        if profile is not None:
            found = found.with_profile(profile, **options)
        self.down()
        if self.live and (found.profile.kind != "ipip" or probe().ipip.works or probe().tun.works):
            self.net = up_live(found)
        elif self.kernel == LOOPBACK and found.profile.learns_by_bgp:
            self.net = Loopback(found)
        else:
            self.net = Replay(found)
        return self.net

    def down(self) -> None:
        """Take down what runs."""
        if self.net is not None:
            self.net.down()
        self.net = None

    def evidence(self) -> str:
        """Say what the last answer was: captured live, captured before (with its place), or computed."""
        return "nothing asked yet" if self.net is None else evidence(self.net)

    def needs(self) -> tuple[Allow, ...]:
        """Return what a firewall between the nodes would have to pass."""
        return allows(self.net.cluster) if self.net else ()


def evidence(net: Net) -> str:
    """Say what the last answer of a lab was: captured live, captured before (with its place), or computed."""
    if isinstance(net, Replay):
        return net.evidence
    return f"{LIVE} · outer IPv4 header put on in user space" if net.userspace_ipip else LIVE


def along(answer: Any, net: Net) -> list[tuple[str, bytes, str]]:
    """Return (capture point, first frame, evidence) for each point on the way of a ping's first request.

    Points of the way that nobody captured at are filled from the model, and said to be computed.
    """
    expect(answer, Ping, "The way of a ping is shown, as net.ping(…) returns it")
    real, model = captured(answer), captures(answer.journey)
    kind = evidence(net).partition(" · ")[0]
    found = []
    for point in dict.fromkeys(answer.journey.points()):
        seen = [frame.data for frame in real[point] if frame.data[12:14] != b"\x08\x06"] if point in real else []
        found.append((point, *((seen[0], kind) if seen else (model[point].frames[0].data, COMPUTED))))
    return found


def captured(answer: Any) -> Captures:
    """Return the frames that came with a ping or a GET, as a capture per capture point, in the order of the way."""
    expect(answer, Ping | Get, "Frames come with a ping or a GET, as net.ping(…) returns it")
    found, frames = Captures(), answer.frames
    way = [point for journey in getattr(answer, "journeys", ()) for point in journey.points()]
    seen = {frame.point for frame in frames}
    found.fill(frames, dict.fromkeys([*(point for point in way if point in seen), *sorted(seen)]), "", None)
    return found
