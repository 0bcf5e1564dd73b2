"""A replay answers as the recorded lab did, says what is captured and what computed, and knows every verb."""

from __future__ import annotations

import re

import pytest

from coursekit import CourseError, load_cluster, network, recording
from coursekit.cluster.faults import apply
from coursekit.cluster.iproute2 import format_route
from coursekit.lab.replay import COMPUTED, TAKES, Replay, Take
from coursekit.lab.session import captured


def replayed(take: Take) -> Replay:
    net = Replay(load_cluster(take.cluster).with_profile(take.profile, **dict(take.options)))
    for fault in take.faults:
        net.break_(fault)
    return net


@pytest.mark.parametrize("take", TAKES, ids=lambda take: take.name)
def test_a_take_is_what_it_says(take: Take) -> None:
    """The recorded routes of both pods' nodes are those of the cluster, profile and fault that the take names."""
    model = network(load_cluster(take.cluster).with_profile(take.profile, **dict(take.options)))
    model = apply(model, *take.faults)
    kept = recording(take.name).tables()

    assert kept
    for host in set(kept) & set(model.hosts):
        expected = {(r.dst, r.via, r.dev) for r in model.host(host).tables.routes}
        assert {(r.dst, r.via, r.dev) for r in kept[host].routes} == expected, host
        ours = {link.name: link.mtu for link in model.host(host).tables.links}
        found = {link.name: link.mtu for link in kept[host].links if link.name in ours}
        assert found == {name: mtu for name, mtu in ours.items() if name in found}, host


@pytest.mark.parametrize("take", TAKES, ids=lambda take: take.name)
def test_recorded_pings_are_handed_out_word_for_word(take: Take) -> None:
    """Each recorded ping is answered with the recorded text, its frames, and the recording's banner."""
    kept = recording(take.name)
    typed = [c for c in kept.provenance["commands"] if re.match(r"\w+: ping ", c)]
    said = re.split(r"(?m)^(?=PING )", kept.output("ping"))[1:] if "ping" in kept.outputs() else []
    net = replayed(take)
    for line, text in zip(typed, said, strict=True):
        host, _, words = line.partition(": ")
        options = dict(re.findall(r"(-[A-Za-z]) (\S+)", words))
        df = {"do": True, "dont": False}.get(options.get("-M", ""))
        size, ttl, tos = int(options.get("-s", 56)), int(options.get("-t", 64)), int(options.get("-Q", "0"), 0)
        answer = net.ping(host, words.split()[-1], size, df, ttl, tos=tos)

        assert net.evidence != COMPUTED
        assert net.evidence.startswith("captured")
        assert f"{size}({size + 28}) bytes" in answer.text
        assert text in {answer.text, said[typed.index(line)]}
        assert bool(answer.frames) or "local error" in answer.text
        assert not [frame for frame in answer.frames if frame.is_arp]
        same = [other for other in TAKES if (other.cluster, other.profile, other.options, other.faults)
                == (take.cluster, take.profile, take.options, take.faults)]  # fmt: skip
        assert any(answer.text in recording(other.name).output("ping") for other in same if "ping" in
                   recording(other.name).outputs())  # fmt: skip


def test_captured_frames_are_the_recordings() -> None:
    """What comes with a replayed ping is, at each point, found in the recorded capture, and complete."""
    net = Replay(load_cluster("lab").with_profile("flannel-vxlan"))
    seen = captured(net.ping("podA", "podB", count=3))
    kept = recording("flannel-vxlan")

    assert list(seen) == [p for p in net.ping("podA", "podB").journey.points() if p in kept.points()]
    for point, capture in seen.items():
        every = [frame.data for frame in kept.capture(point)]
        assert [frame.data for frame in capture] == [data for data in every if data in {f.data for f in capture}]
        assert len(capture) == 6


def test_pings_of_one_size_are_told_apart() -> None:
    """calico-ipip was also pinged with TTL 9 and a TOS: those frames belong to that ping alone."""
    net = Replay(load_cluster("lab").with_profile("calico-ipip"))
    plain, odd = net.ping("podA", "podB"), net.ping("podA", "podB", ttl=9, tos=0x28)

    assert len(captured(plain)["node1:eth0"]) == 6
    assert len(captured(odd)["node1:eth0"]) == 2
    assert plain.text != odd.text


def test_what_was_not_recorded_is_computed() -> None:
    """Another size, direction or fault is answered by the model, and said to be."""
    net = Replay(load_cluster("lab").with_profile("flannel-vxlan"))
    for src, dst, size in (("podB", "podA", 56), ("podA", "podB", 1000)):
        net.ping("podA", "podB")
        assert net.evidence != COMPUTED
        answer = net.ping(src, dst, size)
        assert net.evidence == COMPUTED
        assert "1 packets transmitted, 1 received, 0% packet loss" in answer.text
        assert "node1:eth0" in captured(answer)
    net.break_("stale-vtep-mac")
    assert "1 received" not in net.ping("podA", "podB").text
    assert net.evidence == COMPUTED
    assert net.tables("node1").host == "node1"
    assert net.evidence == COMPUTED


def test_break_and_repair() -> None:
    """A fault goes over to its recording and says what one would type; repair comes back to the first."""
    net = Replay(load_cluster("lab").with_profile("flannel-vxlan"))
    sound = net.ping("podA", "podB").text
    typed = net.break_("missing-fdb")

    assert [str(line) for line in typed] == [
        "node1: bridge fdb del 02:00:0a:f4:01:00 dev flannel.1 dst 192.168.1.11 self"
    ]
    assert "100% packet loss" in net.ping("podA", "podB").text
    assert net.evidence.startswith("captured")
    assert not [row for row in net.tables("node1").fdb if row.dst]
    assert [str(line).split()[1:3] for line in net.repair()] == [["bridge", "fdb"]]
    assert net.ping("podA", "podB").text == sound


def test_a_fault_with_options_is_no_recording() -> None:
    """Recorded were the faults as they come; another VNI is the model's."""
    net = Replay(load_cluster("lab").with_profile("flannel-vxlan"))
    net.break_("wrong-vni", vni=77)
    net.ping("podA", "podB")
    assert net.evidence == COMPUTED


def test_traceroute_and_get() -> None:
    """The recorded hops and answer are handed out; other ways and sizes are the model's."""
    net = Replay(load_cluster("two-racks").with_profile("flannel-vxlan"))
    for pod in "podB", "podC":
        assert net.traceroute("podA", pod).text == recording("vxlan-two-racks").output(f"traceroute-{pod}")
        assert net.evidence.startswith("captured")
    assert [str(hop.address) for hop in net.traceroute("podC", "podA")][-1] == "10.244.0.5"
    assert net.evidence == COMPUTED
    lab = Replay(load_cluster("lab").with_profile("flannel-vxlan"))
    got = lab.get("podA", "podB")
    assert (got.status, lab.evidence[:8]) == (200, "captured")
    assert b"10.244.1.7" in got.body
    big = lab.get("podA", "podB", size=9000)
    assert (big.status, len(big.body), lab.evidence) == (200, 9000, COMPUTED)
    lab.break_("port-mtu")
    assert lab.get("podA", "podB", size=9000).error == "timed out"


def test_birdc_is_what_was_recorded() -> None:
    """What BIRD said on each node is handed out by command; what was not asked then is told."""
    net = Replay(load_cluster("chapter").with_profile("calico-bgp"))
    said = net.birdc("node1", "show protocols")

    assert said.count("Established") == 2
    assert f"bird> show protocols\n{said}" in recording("bgp-mesh").output("birdc-node1")
    assert net.evidence.startswith("captured")
    assert "10.244.1.0/24" in net.birdc("node1", "show route")
    with pytest.raises(CourseError, match="'show memory' was not recorded on node1; recorded was show protocols, show"):
        net.birdc("node1", "show memory")
    with pytest.raises(CourseError, match="No BIRD runs here: profile flannel-vxlan"):
        Replay(load_cluster("chapter")).birdc("node1")


def test_tables_are_recorded_or_computed() -> None:
    """Tables come from the recording where there is one; rows print the same either way."""
    net = Replay(load_cluster("lab").with_profile("flannel-vxlan"))
    kept = net.tables("node1")
    assert net.evidence.startswith("captured")
    ours = Replay(load_cluster("chapter").with_profile("flannel-vxlan")).tables("node1")
    row = next(r for r in kept.routes if str(r.dst) == "10.244.1.0/24")
    assert format_route(row).strip() in [format_route(r).strip() for r in ours.routes]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda net: net.exec("node1", "ip route"), "A replay runs no commands.*Recorded are .*ping"),
        (lambda net: net.capture(["node1:eth0"], "icmp"), "captures nothing anew. Frames come with each answer"),
        (lambda net: net.ping("podA", "podB", count=0), "count is the number of echo requests, 1 to 65535; 0"),
        (lambda net: net.ping("podA", "podB", wait="long"), "wait is a number of seconds from 0 to 86400; 'long'"),
        (lambda net: net.get("podA", "podB", wait=-1), "wait is a number of seconds from 0 to 86400; -1"),
        (lambda net: net.traceroute("podA", 5), "A destination is a host's name, or an address as text; 5 was given"),
        (lambda net: net.ping("podA", 5), "A destination is a host's name, or an address as text; 5 was given"),
        (lambda net: net.tables("node9"), "no host 'node9'"),
        (lambda net: net.ping("podA", "nobody"), "'nobody' is neither an IP address nor a host"),
        (lambda net: net.get("podA", "10.9.9.9"), "neither a host of this cluster"),
        (lambda net: net.break_("coffee"), "no fault 'coffee'"),
    ],
)
def test_mistakes_get_a_sentence(ask: object, said: str) -> None:
    """A command, an unknown host or an unknown fault is told what to do instead."""
    with pytest.raises(CourseError, match=said):
        ask(Replay(load_cluster("lab")))  # type: ignore[operator]
