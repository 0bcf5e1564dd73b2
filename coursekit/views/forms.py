"""Forms that ask Python again: another size, profile or fault gives another journey.

A form is a widget while its kernel runs. What is stored beside it, and all that is left of it later, are the twins of
what it shows: text and HTML like any other view's. Values may be set from Python too: `form.fault.value = "wrong-vni"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import ipywidgets as W  # noqa: N812

from coursekit.cluster.faults import FAULTS, apply
from coursekit.cluster.journey import ping
from coursekit.cluster.model import Cluster, load
from coursekit.cluster.mtus import node_mtu, pod_mtu
from coursekit.cluster.network import Network, network
from coursekit.cluster.options import PROFILES
from coursekit.cluster.path import Journey
from coursekit.cluster.probes import echo_request
from coursekit.errors import CourseError
from coursekit.packets.encapsulation import encapsulate
from coursekit.packets.layout import dissect
from coursekit.packets.mtu import MINIMUM, Fate, fate, inner_mtu
from coursekit.views import live
from coursekit.views.mtu import MtuBar
from coursekit.views.stage import Stage
from coursekit.views.table import TableView
from coursekit.views.twin import View, escape, style

NO_FAULT = "nothing"
_BIGGEST = 65507  # bytes of data in the largest ping
_WRAPS = 65000  # bytes of packet that are drawn in an envelope; a longer one would not fit in one packet with it


class Form(W.VBox):  # type: ignore[misc]
    """Controls above what they choose. A subclass makes `controls` by name and says in `answer` what is shown."""

    def __init__(self, **controls: Any) -> None:
        self.controls = controls
        self.problem = ""
        self.said: list[str] = []
        self.views: list[View] = []
        self._shown = W.HTML()
        row = W.HBox(list(controls.values()), layout=W.Layout(flex_flow="row wrap"))
        sheet = W.HTML(f"<style>{style('form')}</style>", layout=W.Layout(display="none"))
        super().__init__([row, sheet, self._shown])
        self.add_class("ck-form")
        for control in controls.values():
            control.observe(self._changed, "value")
        self.redraw()

    def answer(self) -> tuple[list[str], list[View]]:
        """Return sentences and views for the values that are set; CourseError is shown in their place."""
        return [], []

    def _changed(self, change: object) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Work out and draw what the values ask for."""
        self.problem, self.said, self.views = "", [], []
        try:
            self.said, self.views = self.answer()
        except CourseError as error:
            self.problem = str(error)
        for view in self.views:
            view.enliven()
        self._shown.value = self._answer_html()

    def text(self) -> str:
        """Return the text twin: the values, then what they give."""
        parts = [self._values(), *self.said, *([self.problem] if self.problem else []), *(v.text() for v in self.views)]
        return "\n".join(parts)

    def figure(self) -> str:
        """Return the HTML twin: the values, then what they give."""
        return f"<p><b>{escape(self._values())}</b> (run the cell to choose others)</p>{self._answer_html()}"

    def __repr__(self) -> str:
        return self.text()

    def _values(self) -> str:
        return " · ".join(f"{c.description} {getattr(c, 'label', None) or c.value}" for c in self.controls.values())

    def _answer_html(self) -> str:
        said = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.said)
        if self.problem:
            said += f"<p class=ck-stopped>⚠ {escape(self.problem)}</p>"
        if said:
            said = f'<div class="ck tex2jax_ignore mathjax_ignore"><style>{style("base")}</style>{said}</div>'
        return said + "".join(view.figure() for view in self.views)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        live.enliven("", {})
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": self.text(), "text/html": self.figure()}


class FaultForm(Form):
    """One fault, one profile, one size of ping: the journey. `journey` is the last one, None after a problem."""

    def __init__(self, cluster: Cluster, source: str, target: str) -> None:
        self.cluster, self.source, self.target = cluster, source, target
        self.journey: Journey | None = None
        self.fault = dropdown("What is broken", [NO_FAULT, *FAULTS], NO_FAULT)
        self.profile = _profile(cluster)
        self.size = _number("ping -s (bytes of data)", 56, 0, _BIGGEST)
        super().__init__(fault=self.fault, profile=self.profile, size=self.size)

    def answer(self) -> tuple[list[str], list[View]]:
        """Return the fault in a sentence, and the journey."""
        self.journey = None
        built, said = network(_under(self.cluster, self.profile.value)), []
        whole = ping(built, self.source, self.target, size=self.size.value)
        if self.fault.value != NO_FAULT:
            built = apply(built, self.fault.value)
            said.append(f"{self.fault.value}: {FAULTS[self.fault.value].about}")
        self.journey = ping(built, self.source, self.target, size=self.size.value)
        if said and self.journey == whole:
            said.append("This ping does not meet the fault: it goes as if nothing were broken.")
        return said, [Stage(self.journey)]


class ProfileForm(Form):
    """One profile: the journey of a ping under it, and the tables of the node that it leaves from."""

    def __init__(self, cluster: Cluster, source: str, target: str) -> None:
        self.cluster, self.source, self.target = cluster, source, target
        self.journey: Journey | None = None
        self.profile = _profile(cluster)
        super().__init__(profile=self.profile)

    def answer(self) -> tuple[list[str], list[View]]:
        """Return the journey and the sending node's tables, with the rows marked that decided."""
        self.journey = None
        built = network(_under(self.cluster, self.profile.value))
        self.journey = ping(built, self.source, self.target)
        node = self.cluster.pod(self.source).node
        return [], [Stage(self.journey), *_tables(built, node, self.journey)]


class MtuForm(Form):
    """A ping of some size under some MTUs: what becomes of it (`fate`), and how it fills the underlay's MTU."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.fate: Fate | None = None
        first = cluster.nodes[0]
        self.profile = _profile(cluster)
        self.size = _number("ping -s (bytes of data)", 1422, 0, _BIGGEST)
        self.df = dropdown("Don't Fragment", [("yes (ping -M do)", True), ("no (ping -M dont)", False)], True)
        self.pod_mtu = _number("pod MTU", pod_mtu(cluster, first), MINIMUM, 65535)
        self.underlay = _number("underlay MTU", node_mtu(cluster, first), MINIMUM, 65535)
        self._fitting = self.pod_mtu.value
        super().__init__(profile=self.profile, underlay=self.underlay, pod_mtu=self.pod_mtu, size=self.size, df=self.df)

    def answer(self) -> tuple[list[str], list[View]]:
        """Return the fate in a sentence, and the bar."""
        self.fate = None
        size = self.size.value + len(_echo(0, df=False))
        encap = _under(self.cluster, self.profile.value).profile.encapsulation
        outer = "ipv6" if self.cluster.underlay_version == 6 else "ipv4"
        fitting = inner_mtu(self.underlay.value, encap, outer=outer)  # type: ignore[arg-type]
        if self._follow(fitting):
            return self.said, self.views
        self.fate = fate(
            size, self.df.value, encap, pod_mtu=self.pod_mtu.value, node_mtu=self.underlay.value, outer=outer,  # type: ignore[arg-type]
        )  # fmt: skip
        said = [str(self.fate)]
        if self.pod_mtu.value != fitting:
            said.append(f"A pod MTU of {fitting} fits this underlay; {self.pod_mtu.value} is set.")
        inside, outside = self.cluster.nodes[0].address, self.cluster.nodes[-1].address
        packet = _echo(self.size.value, df=self.df.value)
        mac = "02:00:00:00:00:01"
        title = f"ping -s {self.size.value}, whole"
        if encap.kind != "native" and size <= _WRAPS:
            title = f"ping -s {self.size.value} in its {encap.name} envelope, whole"
            packet = encapsulate(
                packet, encap, src=inside, dst=outside, ip_id=1, inner_eth_src=mac, inner_eth_dst=mac, sport=40000
            )
        return said, [MtuBar(dissect(packet, "raw"), self.underlay.value, title)]

    def _follow(self, fitting: int) -> bool:
        """Keep a pod MTU that fitted fitting, when profile or underlay change; whether that has redrawn all."""
        follows, self._fitting = self.pod_mtu.value == self._fitting, fitting
        if not follows or self.pod_mtu.value == fitting:
            return False
        self.pod_mtu.value = fitting
        return True


def explore_mtu(cluster: Cluster | str | Path | None = None) -> MtuForm:
    """Let the learner choose profile, MTUs and a ping's size; `cluster` None is the chapter's."""
    return MtuForm(_cluster(cluster))


def explore_fault(
    cluster: Cluster | str | Path | None = None, source: str | None = None, target: str | None = None
) -> FaultForm:
    """Let the learner break one thing and follow a ping from pod to pod, by default the first ones of two nodes."""
    found = _cluster(cluster)
    return FaultForm(found, *_pair(found, source, target))


def explore_profile(
    cluster: Cluster | str | Path | None = None, source: str | None = None, target: str | None = None
) -> ProfileForm:
    """Let the learner choose how packets are carried, and follow a ping from pod to pod; pods as in explore_fault."""
    found = _cluster(cluster)
    return ProfileForm(found, *_pair(found, source, target))


_WIDE = {"description_width": "initial"}


def dropdown(name: str, options: Sequence[str | tuple[str, bool]], value: str | bool) -> Any:
    """Return a labelled control to choose one of `options`."""
    longest = max(len(option if isinstance(option, str) else option[0]) for option in options)
    wide = W.Layout(width=f"{len(name) * 0.6 + max(15, longest * 0.6 + 4):.0f}em", max_width="100%")
    return W.Dropdown(options=list(options), value=value, description=name, style=_WIDE, layout=wide)


def _profile(cluster: Cluster) -> Any:
    return dropdown("Profile", list(PROFILES), cluster.profile.name)


def _number(name: str, value: int, least: int, most: int) -> Any:
    wide = W.Layout(width=f"{len(name) * 0.6 + 7:.0f}em")
    return W.BoundedIntText(value=value, min=least, max=most, description=name, style=_WIDE, layout=wide)


def _cluster(given: Cluster | str | Path | None) -> Cluster:
    return given if isinstance(given, Cluster) else load("chapter" if given is None else given)


def _under(cluster: Cluster, profile: str) -> Cluster:
    """Return the cluster under a profile; its own keeps its options."""
    return cluster if profile == cluster.profile.name else cluster.with_profile(profile)


def _pair(cluster: Cluster, source: str | None, target: str | None) -> tuple[str, str]:
    """Return the pods to ping from and to; CourseError for an unknown one, or where there are no two."""
    if not cluster.pods or (len(cluster.pods) < 2 and target is None):
        raise CourseError("A ping from pod to pod needs two pods; this cluster has fewer. Add pods to its file.")
    one = cluster.pod(source) if source else next(pod for pod in cluster.pods if pod.name != target)
    if target:
        return one.name, cluster.pod(target).name
    others = [pod for pod in cluster.pods if pod.name != one.name]
    return one.name, next((pod for pod in others if pod.node != one.node), others[0]).name


def _tables(built: Network, node: str, journey: Journey) -> list[View]:
    """Return the tables of a node that hold rows; those that decided on the way there are marked."""
    used = [decision.row for stop in journey.stops if stop.host == node for decision in stop.decisions]
    tables = built.host(node).tables
    named = {"ip route": tables.routes, "ip neigh": tables.neighbours, "bridge fdb": tables.fdb}
    return [
        TableView(rows, f"{node}: {name}", marked=[row for row in rows if row in used])
        for name, rows in named.items()
        if rows
    ]


def _echo(size: int, *, df: bool) -> bytes:
    return echo_request(IPv4Address("198.51.100.1"), IPv4Address("203.0.113.1"), size=size, df=df, ttl=63)
