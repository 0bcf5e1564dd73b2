"""Choosing: what each answer rules out is what the model does, or what a source says; cards follow from answers."""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from coursekit import CourseError, break_, load_cluster, network, ping
from coursekit.cluster.cards import Card, card, cards
from coursekit.cluster.choice import QUESTIONS, SEPARATOR, choose, documented
from coursekit.cluster.modes import MODES, ONE_SUBNET, ROUTED, Trial, trial
from coursekit.cluster.network import Filter, Network
from coursekit.cluster.wireguard import PORT, Encrypted

# A file at a commit, an issue, or a page; when it is from or was read; where in it.
PLACE = re.compile(r"^(\S+/\S+ [0-9a-f]{7}|\S+/\S+#\d+|(docs|blog)\.\S+) \(.*\d{4}-\d\d-\d\d\), \S+$")
CHAPTERS = ("Public cloud", "On premises", "Home lab", "High performance", "Mixed")


def filtered(base: str, name: str, protocol: int) -> Network:
    """Return a mode's network whose switch ports towards the nodes drop an IP protocol."""
    cluster = MODES[name].on(load_cluster(base))
    built = network(cluster)
    for node in cluster.nodes:
        switch, _, port = built.cables[f"{node.name}:eth0"].partition(":")
        rules = (*built.host(switch).filters, Filter("ingress", protocol, port))
        built = built.change(switch, filters=rules)
    return built


def answered(built: Network, source: str, target: str) -> bool:
    return ping(built, source, target).answered


@pytest.mark.parametrize(("key", "protocol"), [("protocol_4", 4), ("udp", 17)])
@pytest.mark.parametrize("one_subnet", ["yes", "no"])
def test_a_refused_protocol_rules_out_what_then_fails(one_subnet: str, key: str, protocol: int) -> None:
    """A mode is out exactly if some ping between nodes fails in the model once the protocol is dropped."""
    base = ONE_SUBNET if one_subnet == "yes" else ROUTED
    chosen = choose({"one_subnet": one_subnet, key: "no"})
    for name in MODES:
        if trial(name, base).failed:
            continue
        built = filtered(base, name, protocol)
        fails = not all(answered(built, "podA", pod) for pod in ("podB", "podC"))
        assert (name in chosen.ruled_out_by(key)) == fails, name


def test_the_subnet_comes_first() -> None:
    """The first question decides what the others mean: without routers, plain modes live on one subnet only."""
    assert next(iter(QUESTIONS)) == "one_subnet"
    plain = {name for name in MODES if not trial(name).lost_mtu}
    near, far = (choose(one_subnet=answer, routers="no").remaining for answer in ("yes", "no"))

    assert plain & set(near) == {"host-gw", "calico-bgp mesh", "calico-bgp route-reflector"}
    assert not plain & set(far)
    assert choose(one_subnet="no").ruled_out_by("one_subnet") == tuple(n for n in MODES if trial(n).failed)


@pytest.mark.parametrize(
    ("answers", "out"),
    [
        ({"routers": "no"}, {"calico-bgp tor", "route table"}),
        ({"routers": "static only"}, {"calico-bgp tor"}),
        ({"routers": "by BGP"}, set()),
        ({"pod_addresses": "no"}, set(MODES) - {"flannel-vxlan", "calico-vxlan", "calico-ipip"}),
        ({"full_mtu": "yes"}, {name for name in MODES if "vxlan" in name or "ipip" in name}),
        ({"full_mtu": "no"}, set()),
        ({"reachable": "yes"}, set(MODES) - {"calico-bgp tor", "route table"}),
        ({"pods_ipv6": "yes"}, {"calico-ipip", "calico-ipip CrossSubnet"}),
        ({"nodes_ipv6": "yes"}, set(MODES) - {"flannel-vxlan"}),
        ({"multicast": "yes"}, set(MODES) - {"route table"}),
        ({"encryption": "yes"}, {name for name in MODES if not name.startswith("calico")}),
        ({"nodes": "more than 100"}, set()),
        ({"cloud": "Azure"}, set(MODES) - {"flannel-vxlan", "calico-vxlan", "calico-bgp tor", "route table"}),
        ({"cloud": "AWS"}, set()),
        ({"cloud": "Google Cloud"}, set(MODES) - {"flannel-vxlan", "calico-vxlan", "calico-ipip",
                                                    "calico-bgp tor", "route table"}),
        ({"windows": "yes"}, {"flannel-vxlan DirectRouting", "calico-vxlan CrossSubnet", "calico-ipip",
                              "calico-ipip CrossSubnet"}),
        ({}, set()),
    ],
)  # fmt: skip
def test_what_an_answer_rules_out(answers: dict[str, str], out: set[str]) -> None:
    """Each answer rules out these modes and no other, each for a reason of its own."""
    chosen = choose(answers)

    assert set(MODES) - set(chosen.remaining) == out
    assert all({r.question for r in v.out} <= set(answers) for v in chosen.verdicts)


def test_wireguard_goes_from_node_to_node() -> None:
    """Encrypted, Calico's modes cross a router, send no address of a pod and no protocol 4, and cost the same."""
    chosen = choose(one_subnet="no", pod_addresses="no", protocol_4="no", encryption="yes")
    calico = [name for name in MODES if name.startswith("calico")]

    assert list(chosen.remaining) == calico
    for name in calico:
        assert chosen[name].openings == (f"UDP {PORT}", "TCP 179")[: 1 if "vxlan" in name else 2]
        assert 1500 - chosen[name].lost_mtu == 1440  # Calico's page on MTU
    assert choose(encryption="yes", udp="no").remaining == ()
    assert "calico-bgp mesh" in choose(encryption="no", one_subnet="no").ruled_out_by("one_subnet")


def test_wireguard_needs_a_way_between_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nodes do not reach each other, neither do outer packets; where they do, each pair needs its rule."""
    base = load_cluster(ROUTED)
    reached = Encrypted(MODES["calico-bgp mesh"], MODES["calico-bgp mesh"].on(base))
    pairs = {(str(a.network_address), str(b.network_address)) for a, b in reached.needs[0].pairs}

    assert reached.failed is None
    assert Trial(reached.mode, reached.cluster).failed is not None
    assert pairs == set(permutations([str(node.address) for node in base.nodes], 2))
    monkeypatch.setattr("coursekit.cluster.wireguard.network", lambda made: break_(network(made), "no-default-route"))
    assert reached.failed is not None


def test_not_sure_is_a_condition() -> None:
    """Where "no" rules out, "not sure" leaves something to settle first; what needs nothing is unconditional."""
    for key, question in QUESTIONS.items():
        if "not sure" in question.answers:
            no, unsure = choose({key: "no"}), choose({key: "not sure"})
            assert not unsure.ruled_out_by(key)
            assert {v.mode.name for v in unsure.verdicts if v.first} == set(no.ruled_out_by(key))
    mixed = choose(one_subnet="not sure", protocol_4="not sure", pod_addresses="not sure", routers="not sure")
    assert mixed.unconditional == ("flannel-vxlan", "calico-vxlan")


def test_every_reason_says_its_evidence() -> None:
    """Each reason is computed on a bundled cluster or documented with a place and a date; none is without words."""
    for key, question in QUESTIONS.items():
        for answer in question.answers:
            for verdict in choose({key: answer}).verdicts:
                for reason in (*verdict.out, *verdict.first, *verdict.works):
                    assert reason.sentence
                    assert reason.question == key
                    if reason.evidence == "computed":
                        assert re.fullmatch(r"data/clusters/[\w-]+\.toml", reason.source)
                    else:
                        assert reason.evidence == "documented"
                        assert all(PLACE.match(source) for source in reason.source.split(SEPARATOR)), reason.source


def test_documented_rules_are_all_in_use() -> None:
    """Every rule of the data file can apply, for a question and an answer that exist; every source is named."""
    data = documented()
    said = {
        (r.question, r.sentence)
        for key, q in QUESTIONS.items() for answer in q.answers for v in choose({key: answer}).verdicts
        for r in (*v.out, *v.first, *v.works)
    }  # fmt: skip

    assert {(rule["question"], rule["sentence"]) for rule in data["rules"]} <= said
    used = [rule["source"] if isinstance(rule["source"], list) else [rule["source"]] for rule in data["rules"]]
    assert {name for names in used for name in names} == set(data["sources"])
    assert all(rule["answer"] in QUESTIONS[rule["question"]].answers for rule in data["rules"])
    assert {rule["effect"] for rule in data["rules"]} == {"out", "first", "works"}


def test_every_question_can_matter() -> None:
    """No question is asked for nothing: some answer rules a mode out or sets a condition."""
    for key, question in QUESTIONS.items():
        assert any(v.out or v.first for answer in question.answers for v in choose({key: answer}).verdicts), key


@pytest.mark.parametrize("one", cards(), ids=lambda one: one.name)
def test_a_card_is_a_question(one: Card) -> None:
    """Each card leaves some modes and not others, because of its answers; it stores no solution."""
    right = set(one.choice.remaining)

    assert 0 < len(right) < len(MODES)
    assert right == set(choose(one.answers).remaining)
    without = [set(choose({k: a for k, a in one.answers.items() if k != key}).remaining) for key in one.answers]
    assert any(rest > right for rest in without)
    assert set(vars(one)) == {"name", "story", "answers"}


def test_the_chapters_cards_come_first() -> None:
    """The chapter's five situations are there, first, and at least six more."""
    names = [one.name for one in cards()]

    first = dict.fromkeys(start for name in names for start in CHAPTERS if name.startswith(start))
    assert tuple(first) == CHAPTERS
    assert names[0].startswith(CHAPTERS[0])
    assert sum(not name.startswith(CHAPTERS) for name in names) >= 6
    assert len(set(names)) == len(names)


def test_judging_picks() -> None:
    """Every pick gets its reasons; a right one its price and conditions; what was missed is named."""
    said = card("Racks without").judge(["calico-ipip", "calico-vxlan"])

    assert said[0] == "✗ calico-ipip: protocol 4: it needs protocol 4 (IPIP) from node to node (computed)"
    assert said[1] == "✓ calico-vxlan: nothing rules it out; let UDP 4789 pass; 50 bytes less MTU"
    assert said[2].startswith("also right here: flannel-vxlan, flannel-vxlan DirectRouting")
    mixed = card("Mixed")
    assert any(line.startswith("  ! first one subnet:") for line in mixed.judge("host-gw"))
    free, _, bound = " ".join(mixed.judge("host-gw")[-4:]).partition("also right, on a condition: ")
    assert free.rstrip().endswith("also right here: flannel-vxlan, calico-vxlan")
    conditional = set(mixed.choice.remaining) - {*mixed.choice.unconditional, "host-gw"}
    assert set(re.split(r",\s+", bound)) == conditional
    assert max(map(len, mixed.judge([]))) <= 120
    everything = card("Home lab")
    assert not any("also right" in line for line in everything.judge(everything.choice.remaining))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: choose(one_subnets="no"), r"no question 'one_subnets' \(did you mean 'one_subnet'\?\)"),
        (lambda: choose(one_subnet="maybe"), "'maybe' was given; .* takes 'yes', 'no', 'not sure'"),
        (lambda: choose()["vxlan"], "no mode 'vxlan'"),
        (lambda: choose().ruled_out_by("subnet"), "no question 'subnet' .*there are one_subnet, routers"),
        (lambda: card("Moon base"), "no card 'Moon base'.*there are Public cloud"),
        (lambda: card("Public cloud"), "no card 'Public cloud'"),
        (lambda: card("Home lab").judge(["calico"]), "no mode 'calico'"),
    ],
)
def test_mistakes_get_a_sentence(call: object, said: str) -> None:
    """Unknown questions, answers, modes and cards are named, with what there is."""
    with pytest.raises(CourseError, match=said):
        call()  # type: ignore[operator]
