"""The forms, without a browser: values in, journeys and twins out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coursekit import views
from coursekit.cluster.faults import FAULTS
from coursekit.cluster.model import clusters, load
from coursekit.cluster.options import PROFILES
from coursekit.errors import CourseError
from coursekit.views.forms import Form, explore_fault, explore_mtu, explore_profile
from tests.views.markup import offences, read

VIEW = "application/vnd.jupyter.widget-view+json"


def consistent(form: Form) -> None:
    """Check that what is shown, what is stored and the text twin are of the values that are set."""
    bundle = form._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", VIEW}
    assert bundle["text/plain"] == repr(form) == form.text()
    assert offences(bundle["text/html"]) == []
    shown = form.children[-1].value
    assert bundle["text/html"].endswith(shown)
    for sentence in [*form.said, *([form.problem] if form.problem else [])]:
        assert sentence in repr(form)
        assert sentence in read(shown).text
    for view in form.views:
        assert view.figure() in shown
        assert view.text() in repr(form)


def test_another_fault_gives_another_journey() -> None:
    """A fault that is set from Python changes the journey and both twins."""
    form = explore_fault()
    assert form.journey is not None
    assert (form.journey.outcome.kind, "✓ delivered" in repr(form)) == ("delivered", True)
    form.fault.value = "wrong-vni"
    assert (form.journey.outcome.kind, form.journey.outcome.last_seen) == ("lost", "node2:eth0")
    assert "What is broken wrong-vni · Profile flannel-vxlan" in repr(form)
    consistent(form)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_fault_under_every_profile(profile: str) -> None:
    """Every choice gives a journey, or a sentence why there is none; the form goes on afterwards."""
    form = explore_fault()
    form.profile.value = profile
    given = {}
    for fault in FAULTS:
        form.fault.value = fault
        given[fault] = form.journey is not None
        assert given[fault] is not bool(form.problem)
        consistent(form)
    assert given["missing-fdb"] is (profile in ("flannel-vxlan", "calico-vxlan"))
    form.fault.value = "nothing"
    assert form.journey is not None
    print(f"{profile}: {sum(given.values())} of {len(given)} faults give a journey, the others a sentence")


def test_a_fault_that_is_not_met_is_said_to_be() -> None:
    """A small ping under a fault of large packets goes as if nothing were broken, and the form says so."""
    form = explore_fault()
    form.fault.value = "port-mtu"
    assert "does not meet the fault" in repr(form)
    form.size.value = 1400
    assert "does not meet the fault" not in repr(form)
    assert form.journey is not None
    assert form.journey.outcome.kind == "lost"


def test_a_fault_that_cannot_be_is_explained() -> None:
    """Without a VXLAN device there is no VNI to break: the form shows that sentence in place of a journey."""
    form = explore_fault()
    form.fault.value = "wrong-vni"
    form.profile.value = "host-gw"
    assert form.problem == "node2 has no VXLAN device, so there is no VNI to break; choose a VXLAN profile."
    assert (form.journey, form.views) == (None, [])
    consistent(form)


def test_profiles_with_tables() -> None:
    """Each profile shows its journey and the sender's node's tables, and marks the rows that decided there."""
    form = explore_profile("two-racks", target="podC")
    for profile in PROFILES:
        form.profile.value = profile
        assert form.journey is not None
        assert form.journey.stops[0].host == "podA"
        assert "node1: ip route" in repr(form)
        consistent(form)
    form.profile.value = "flannel-vxlan"
    assert "*  10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink" in repr(form)


def test_a_profile_keeps_its_options() -> None:
    """The cluster's own profile keeps its options when the learner comes back to it."""
    form = explore_profile(load("chapter").with_profile("flannel-vxlan", vni=7))
    before = repr(form)
    form.profile.value = "host-gw"
    form.profile.value = "flannel-vxlan"
    assert "VXLAN 7" in repr(form)
    assert repr(form) == before


@pytest.mark.parametrize(
    ("profile", "size", "df", "kind"),
    [
        ("flannel-vxlan", 1422, True, "fits"),
        ("flannel-vxlan", 1423, True, "refused by sender"),
        ("flannel-vxlan", 1423, False, "pod fragments"),
        ("calico-ipip", 1452, True, "fits"),
        ("calico-ipip", 1453, True, "refused by sender"),
        ("host-gw", 1472, True, "fits"),
    ],
)
def test_fates(profile: str, size: int, df: bool, kind: str) -> None:
    """The pod MTU follows the profile while it fits, and the fate is that of the packet."""
    form = explore_mtu()
    form.profile.value, form.size.value, form.df.value = profile, size, df
    assert form.fate is not None
    assert form.fate.kind == kind
    consistent(form)


def test_mtus() -> None:
    """A pod MTU that fitted follows the underlay; one that was chosen stays, and the form says what would fit."""
    form = explore_mtu()
    form.underlay.value = 9000
    assert form.pod_mtu.value == 8950
    form.pod_mtu.value = 1500
    form.underlay.value = 1500
    assert form.pod_mtu.value == 1500
    assert "A pod MTU of 1450 fits this underlay; 1500 is set." in repr(form)
    form.size.value = 1472
    assert form.fate is not None
    assert (form.fate.kind, form.fate.mtu) == ("frag needed", 1450)
    form.underlay.value = 68
    assert "leaves 18 bytes" in form.problem
    assert form.fate is None
    consistent(form)


def test_an_ipv6_underlay_costs_more() -> None:
    """Over IPv6 the envelope is 20 bytes larger."""
    assert explore_mtu("ipv6-underlay").pod_mtu.value == 1430
    assert explore_mtu().pod_mtu.value == 1450


@pytest.mark.parametrize("size", [0, 65000, 65415, 65507])
def test_largest_and_smallest_ping(size: int) -> None:
    """Every size that ping takes gives a bar of that packet."""
    form = explore_mtu()
    form.df.value, form.size.value = False, size
    assert (form.problem, len(form.views)) == ("", 1)
    consistent(form)


@pytest.mark.parametrize("name", clusters())
def test_every_cluster(name: str) -> None:
    """Every bundled cluster opens in every form that it has enough pods for."""
    for form in (explore_mtu(name), explore_fault(name), explore_profile(name)):
        assert form.problem == ""
        consistent(form)


def test_forms_are_deterministic() -> None:
    """Two forms with the same values are drawn the same, apart from the widget's own name."""
    one, other = (explore_fault()._repr_mimebundle_() for _ in range(2))
    assert (one["text/plain"], one["text/html"]) == (other["text/plain"], other["text/html"])


def test_every_control_has_a_name() -> None:
    """A screen reader finds a description on each control."""
    for form in (explore_mtu(), explore_fault(), explore_profile()):
        assert all(control.description for control in form.controls.values())


def test_verbs() -> None:
    """The verbs of coursekit.views open the same forms."""
    assert repr(views.explore_fault("two-racks")) == repr(explore_fault("two-racks"))
    assert repr(views.explore_profile()) == repr(explore_profile())
    assert repr(views.explore_mtu()) == repr(explore_mtu())


def test_pods_that_do_not_exist() -> None:
    """An unknown pod, an unknown cluster and a cluster with one pod are refused in a sentence."""
    with pytest.raises(CourseError, match="no pod 'podX'"):
        explore_fault(source="podX")
    with pytest.raises(CourseError, match="no cluster file"):
        explore_mtu("nowhere")
    chapter = load("chapter")
    with pytest.raises(CourseError, match="needs two pods"):
        explore_profile(replace(chapter, pods=chapter.pods[:1]))
