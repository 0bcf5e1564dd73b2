"""Everything that draws: frames, tables, journeys. `from coursekit import views`, then one verb per view.

Each verb returns a view: the last line of a cell draws it, `print(view)` gives the same as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

# Before the verbs: importing a module binds its name here, and some verbs are called as their module is.
from coursekit.errors import expect
from coursekit.views.bgp import BgpView
from coursekit.views.chain import LookupChain
from coursekit.views.choice import choice_sheet, grid_sheet
from coursekit.views.comparison import comparison, watched
from coursekit.views.diff import PacketDiff
from coursekit.views.dissected import dissected
from coursekit.views.frames import FramesView
from coursekit.views.mtu import MtuBar
from coursekit.views.packet import PacketView
from coursekit.views.sheet import Sheet
from coursekit.views.stage import Stage
from coursekit.views.table import TableView

if TYPE_CHECKING:
    from pathlib import Path

    from coursekit.bgp.scenario import Scenario
    from coursekit.bgp.schedule import Schedule
    from coursekit.cluster.choice import Choice
    from coursekit.cluster.lookup import Lookup
    from coursekit.cluster.model import Cluster
    from coursekit.cluster.path import Decision, Journey
    from coursekit.packets.capture import Frame
    from coursekit.packets.fields import Dissection
    from coursekit.views.bgp_form import BgpForm
    from coursekit.views.choice_form import ChoiceForm
    from coursekit.views.curves import Curve
    from coursekit.views.forms import FaultForm, MtuForm, ProfileForm


def _title(title: str) -> str:
    """Return the title; CourseError where something else was given in its place, such as a look-up."""
    expect(title, str, "A title is text")
    return title


def packet(
    frame_or_dissection: bytes | Frame | Dissection, title: str = "", ruler: bool = False,
    linktype: str | int | None = None,
) -> PacketView:  # fmt: skip
    """Draw a frame as bytes and fields that light each other up; `ruler=True` as the RFCs do, 32 bits to a row.

    `linktype` says what bytes begin with ("ethernet", "raw" for an IP packet, …) where they do not tell by themselves.
    """
    return PacketView(dissected(frame_or_dissection, linktype), _title(title), ruler=ruler)


def diff(
    a: bytes | Frame | Dissection, b: bytes | Frame | Dissection, labels: tuple[str, str] = ("before", "after")
) -> PacketDiff:
    """Draw what differs between two frames, header by header: what was added, removed and changed."""
    return PacketDiff(dissected(a), dissected(b), labels)


def frames(
    source: Any, at: str | Iterable[str] | None = None, filter: str = "", title: str = "",  # noqa: A002
    most: int = 20,
) -> FramesView:  # fmt: skip
    """List frames as Wireshark and tcpdump show them; of several capture points, each packet and where it was seen.

    `source` is a recording, a capture, a journey, what a lab's ping returns, or {"node1:eth0": frames}. `at` is a
    capture point, a host, or several; by default all that saw something, in the order of the path. `filter` is
    tcpdump's; of several points a packet is listed that passes it at one of them. `most` rows are drawn.
    """
    return FramesView(source, at, filter, _title(title), most)


def table(
    rows: Iterable[Any], title: str = "", lookup: Lookup[Any] | None = None, marked: Iterable[Any] = ()
) -> TableView:
    """Draw rows of one of a host's tables; with a `lookup`, which row wins and how many bits each matches.

    `marked` rows are pointed out.
    """
    return TableView(rows, _title(title), lookup=lookup, marked=marked)


def journey(j: Journey, title: str = "", at: int | None = None) -> Stage:
    """Draw a packet's way through the cluster, stop by stop.

    `at` is the number of the stop that a page without a kernel shows; None chooses the one that shows most.
    """
    return Stage(j, _title(title), at)


def chain(j_or_decisions: Journey | Iterable[Decision], title: str = "") -> LookupChain:
    """Draw the look-ups that made the envelope, each with the row that answered and the header field it sets."""
    return LookupChain(j_or_decisions, _title(title))


def mtu(
    frame_or_dissection_or_layers: bytes | Frame | Dissection | Sequence[tuple[str, int]], link_mtu: int = 1500,
    title: str = "",
) -> MtuBar:  # fmt: skip
    """Draw to scale what an IP packet's headers and data take of a link's MTU, in bytes.

    In place of a frame, (name, bytes) pairs do; those called "outer Ethernet …" are not counted, as on a link.
    """
    given = frame_or_dissection_or_layers
    return MtuBar(given if isinstance(given, list | tuple) else dissected(given), link_mtu, _title(title))


def bgp(
    scenario: Scenario, profile: str = "rfc", title: str = "", schedule: Schedule | None = None,
    actions: Iterable[Any] = (),
) -> BgpView:  # fmt: skip
    """Draw how routes spread: who tells whom, what each router holds, and what it puts into the kernel.

    `actions` happen after the scenario's own steps, one after the other: an action such as
    {"op": "router_down", "router": "n2"}, a list of them, or a `Step`. `schedule` None delivers messages in order.
    """
    return BgpView(scenario, profile, title, schedule, actions)


def curve(
    series: Mapping[str, Iterable[tuple[float, float]]], x: str = "", y: str = "", title: str = "",
    formulas: Mapping[str, str] | None = None, log: bool = False,
) -> Curve:  # fmt: skip
    """Draw lines through (x, y) points, one for each name, with the numbers in a table beneath.

    `x` and `y` say what the axes are, with the unit. `formulas` are closed forms in n by the name of a series, such
    as "n*(n-1)/2": then the points are measured, the line is the formula, and the table says where they part.
    """
    from coursekit.views.curves import Curve

    return Curve(series, x, y, _title(title), formulas, log)


def sheet(
    rows: Iterable[Sequence[Any]], head: Sequence[str], title: str = "", states: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Sheet:  # fmt: skip
    """Draw a table of words; `states` marks each row "good", "first" (something to do first), "bad" or ""."""
    return Sheet(rows, head, title, states=states, notes=notes)


def choice(chosen: Choice, title: str = "") -> Sheet:
    """Draw which modes remain under some answers, and what ruled each other one out."""
    return choice_sheet(chosen, title)


def compare(aspect: str, cluster: Cluster | str = "two-racks", title: str = "") -> Sheet:
    """Draw one aspect of all modes: "what a firewall must pass", "what has to be set up", "clouds" or "everything"."""
    return comparison(aspect, cluster, title)


def watch(journeys: Mapping[str, Journey], filters: Iterable[str] | str, hosts: Iterable[str] | str | None = None,
          title: str = "") -> Sheet:  # fmt: skip
    """Draw how many frames of journeys, by name, each of tcpdump's filters shows at the devices of `hosts`, or of all.

    `journeys` are such as {"host-gw": ping(network, "podA", "podB")}.
    """
    return watched(journeys, filters, hosts, title)


def grid(cluster: Cluster | str = "two-racks", title: str = "") -> Sheet:
    """Draw the modes on their two axes: how routes are learned, and how packets are carried."""
    return grid_sheet(cluster, title)


def explore_mtu(cluster: Cluster | str | Path | None = None) -> MtuForm:
    """Let the learner choose profile, MTUs and a ping's size, and see what becomes of the packet.

    `cluster` is one, the name of a bundled one or the path of a .toml file; None is the chapter's.
    """
    from coursekit.views.forms import explore_mtu

    return explore_mtu(cluster)


def explore_fault(
    cluster: Cluster | str | Path | None = None, source: str | None = None, target: str | None = None
) -> FaultForm:
    """Let the learner break the network in one place, and see how far a ping then gets.

    `cluster` as in explore_mtu; `source` and `target` are pods, by default the first ones of two nodes.
    """
    from coursekit.views.forms import explore_fault

    return explore_fault(cluster, source, target)


def explore_profile(
    cluster: Cluster | str | Path | None = None, source: str | None = None, target: str | None = None
) -> ProfileForm:
    """Let the learner choose how the cluster carries packets between nodes, and see the same ping under each.

    `cluster` as in explore_mtu; `source` and `target` are pods, by default the first ones of two nodes.
    """
    from coursekit.views.forms import explore_profile

    return explore_profile(cluster, source, target)


def explore_choice(card: str | None = None) -> ChoiceForm:
    """Let the learner answer questions about a network, or take a card, and see which modes remain and why."""
    from coursekit.views.choice_form import explore_choice

    return explore_choice(card)


def explore_bgp(n: int = 3, cluster: Cluster | str | Path | None = None, profile: str = "rfc") -> BgpForm:
    """Let the learner choose who speaks BGP with whom among n nodes and what fails, and watch routes spread.

    `n` is 2 to 12; `cluster` as in explore_mtu; `profile` is whose BGP it is: "rfc", "bird", "frr" or "gobgp".
    """
    from coursekit.views.bgp_form import explore_bgp

    return explore_bgp(n, cluster, profile)
