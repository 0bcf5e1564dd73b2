"""The unknown capture: true claims are borne out by the bytes, every single false one is refused, and nothing leaks."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from coursekit import CourseError
from coursekit.cluster.model import Cluster
from coursekit.cluster.mtus import pod_mtu
from coursekit.lab.session import Session, session
from coursekit.lab.unknown import Unknown, drawn, unknown

SEEDS = range(12)
REPLAY = Session("replay", "")
MODES = {"vxlan": "VXLAN", "ipip": "IPIP", "native": "plain"}


@cache
def case(seed: int) -> Unknown:
    """The capture of a seed, taken once: checking claims does not change it."""
    return unknown(REPLAY, seed)


def truth(cluster: Cluster) -> dict[str, Any]:
    """Return all that can be claimed of a cluster's traffic, from what it was made of."""
    profile = cluster.profile
    found: dict[str, Any] = {"mode": MODES[profile.kind], "pods": [str(pod.address) for pod in cluster.pods],
                             "pod_mtu": pod_mtu(cluster, cluster.nodes[0])}  # fmt: skip
    if profile.kind != "native":
        found["nodes"] = [str(node.address) for node in cluster.nodes]
    if profile.kind == "vxlan":
        found |= {"vni": profile.vni, "port": profile.port}
    return found


def wrong(claims: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the claims with one of them false, in every way that a learner would get it wrong."""
    others = {"mode": [m for m in MODES.values() if m != claims["mode"]], "vni": [claims.get("vni", 0) * 256, 1 << 20],
              "port": [34000], "pod_mtu": [1, claims["pod_mtu"] - 1, claims["pod_mtu"] + 1, claims["pod_mtu"] + 50],
              "pods": [claims["pods"][:1], ["10.1.2.3", claims["pods"][0]]],
              "nodes": [claims["pods"], claims.get("nodes", [])[:1]]}  # fmt: skip
    return [{**claims, key: value} for key in claims for value in others[key]]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_truth_is_borne_out(seed: int) -> None:
    """What the cluster was made of is right, whole, and in any order."""
    one, claims = case(seed), truth(drawn(seed))
    report = one.check(**claims)

    assert report.solved, report
    assert one.check(**claims | {"pods": claims["pods"][::-1]}).solved
    assert one.evidence == "computed"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_false_claim_is_refused(seed: int) -> None:
    """With one claim false, that one is refused with a hint to the bytes, and the others still stand."""
    one, claims = case(seed), truth(drawn(seed))
    for attempt in wrong(claims):
        lines = {line.claim: line for line in one.check(**attempt).lines}
        false = [key for key in claims if attempt[key] != claims[key]]
        assert [key for key in claims if lines[key].right is False] == false, (attempt, lines)
        assert all(lines[key].sentence for key in false)
        if attempt["pod_mtu"] == 1:
            assert "carries a pod's packet of" in lines["pod_mtu"].sentence


def test_hints_do_not_tell() -> None:
    """What a refused claim says is where to look, not the answer."""
    for seed in SEEDS:
        one, claims = case(seed), truth(drawn(seed))
        said = str(one.check(pods=["10.1.2.3"], pod_mtu=1, **({"vni": 5, "port": 5} if "vni" in claims else {})))
        assert not any(address in said for address in claims["pods"])
        assert str(claims["pod_mtu"]) not in said.replace(str(claims["pod_mtu"] - 40), "") or "carries" in said
        assert "vni" not in claims or f": {claims['vni']}" not in said


def test_nothing_claimed_is_not_solved() -> None:
    """An empty report lists what can be claimed of this traffic: no VNI of IPIP, no nodes of plain packets."""
    for seed in SEEDS:
        report = case(seed).check()
        assert not report.solved
        assert [line.claim for line in report.lines] == [k for k in ("mode", "nodes", "pods", "vni", "port", "pod_mtu")
                                                         if k in truth(drawn(seed))]  # fmt: skip


def test_claims_that_do_not_apply() -> None:
    """A VNI claimed of IPIP, and nodes of plain packets, are refused in words; an unknown claim is an error."""
    found = {truth(drawn(seed))["mode"]: case(seed) for seed in SEEDS}

    assert "has no VNI" in str(found["IPIP"].check(vni=1))
    assert "only the nodes' MACs" in str(found["plain"].check(nodes=["192.0.2.1", "192.0.2.2"]))
    for claim, said in {"mode": "say 'plain'", "pods": "give two addresses", "pod_mtu": "give a whole number"}.items():
        assert said in str(found["VXLAN"].check(**{claim: "GRE"}))
    for claim in ({"vni": "1"}, {"port": "4789"}, {"port": True}, {"pod_mtu": 1450.0}):
        assert "give a whole number" in str(found["VXLAN"].check(**claim))
    with pytest.raises(CourseError, match="no claim 'colour'; claims are mode, nodes"):
        found["plain"].check(colour="red")


def test_seeds_draw_every_mode_and_differ() -> None:
    """A dozen seeds draw all three modes, other addresses each, and the same again when asked again."""
    clusters = [drawn(seed) for seed in SEEDS]

    assert {cluster.profile.kind for cluster in clusters} == set(MODES)
    assert len({cluster.nodes[0].address for cluster in clusters}) == len(SEEDS)
    assert [drawn(seed) for seed in SEEDS] == clusters


@pytest.mark.namespaces
def test_live_captures_are_of_the_same_cluster() -> None:
    """For real, the same claims hold against frames that a kernel sent."""
    live = session("namespaces")
    try:
        for seed in [next(s for s in SEEDS if drawn(s).profile.kind == kind) for kind in ("vxlan", "native")]:
            real = unknown(live, seed)
            assert real.evidence == "captured live"
            assert real.check(**truth(drawn(seed))).solved
    finally:
        live.down()
