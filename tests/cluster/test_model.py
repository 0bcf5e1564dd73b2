"""A cluster file is read, checked and refused with a sentence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.cluster.model import Cluster, clusters, load
from coursekit.cluster.options import PROFILES
from coursekit.cluster.profiles import tables
from coursekit.errors import CourseError
from tests.seeds import examples

BASE: dict[str, Any] = {
    "profile": {"name": "flannel-vxlan"},
    "segments": [
        {"name": "rack1", "subnet": "172.20.1.0/24", "gateway": "172.20.1.254"},
        {"name": "rack2", "subnet": "172.20.2.0/24", "gateway": "172.20.2.254"},
    ],
    "nodes": [
        {"name": "alpha", "address": "172.20.1.5", "block": "10.244.0.0/24"},
        {"name": "beta", "address": "172.20.2.5", "block": "10.244.1.0/24"},
    ],
    "pods": [{"name": "web", "address": "10.244.0.9"}, {"name": "db", "address": "10.244.1.9"}],
}


def base(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(BASE), **changes}


def at(*path: Any, value: Any = None, remove: bool = False) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for step in path[:-1]:
            data = data[step]
        if remove:
            del data[path[-1]]
        else:
            data[path[-1]] = value

    return change


def test_bundled_clusters_are_valid() -> None:
    """Every file in data/clusters loads by its name and yields tables for each of its hosts."""
    assert {"chapter", "lab", "two-racks", "minikube-calico", "ipv6-underlay"} <= set(clusters())
    for name in clusters():
        cluster = load(name)
        assert cluster.name == name
        assert tuple(tables(cluster)) == cluster.hosts()


def test_chapter_has_the_chapters_addresses() -> None:
    """chapter.toml holds the addresses that the chapter and the course use."""
    cluster = load("chapter")
    assert [str(n.address) for n in cluster.nodes] == ["192.168.1.10", "192.168.1.11", "192.168.1.12"]
    assert {p.name: (str(p.address), p.node) for p in cluster.pods} == {
        "podA": ("10.244.0.5", "node1"),
        "podB": ("10.244.1.7", "node2"),
        "podC": ("10.244.2.9", "node3"),
    }
    assert [str(a) for r in cluster.routers for a in r.addresses] == ["192.168.1.1"]


def test_load_by_path(tmp_path: Any) -> None:
    """A path to a TOML file loads like a bundled name; a cluster without pods or router is fine."""
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[segments]]\nname="l"\nsubnet="10.9.0.0/24"\n'
        '[[nodes]]\nname="n"\naddress="10.9.0.2"\nblocks=["10.244.7.0/26"]\n'
    )
    cluster = load(path)
    assert (cluster.name, cluster.profile.name, cluster.hosts()) == ("mine", "none", ("n", "l"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = \n", "line 1"),
        ("a = 1\nb = [1,\n", "line 2, end of document"),
        ("= 3", "line 1"),
    ],
)
def test_bad_toml_names_the_line(tmp_path: Any, text: str, words: str) -> None:
    """What is not TOML gets a sentence with file and line."""
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(CourseError, match=f"broken.toml is not valid TOML.*{words}"):
        load(path)


@pytest.mark.parametrize("source", ["chaptre", "nowhere/x.toml", "/", "x.toml", "", "a\0b"])
def test_missing_file_says_what_there_is(source: str) -> None:
    """An unknown name or path gets a sentence that lists the bundled clusters."""
    with pytest.raises(CourseError, match="chapter"):
        load(source)


def test_binary_file_is_refused(tmp_path: Any) -> None:
    """A file that is not text is refused in a sentence."""
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe\x00\x01" * 50)
    with pytest.raises(CourseError, match="not UTF-8"):
        load(path)


INVALID = [
    (at("nodes", 1, "adress", value="1.2.3.4"), r"nodes\[1\] has the key 'adress'", "did you mean 'address'"),
    (at("node", value=[]), "the file has the key 'node'", "did you mean 'nodes'"),
    (at("segments", 0, "subnt", value="x"), r"segments\[0\] has the key 'subnt'", "did you mean 'subnet'"),
    (at("nodes", 1, "address", remove=True), r"nodes\[1\]\.address", "missing"),
    (at("nodes", remove=True), "nodes", "missing"),
    (at("nodes", value=[]), "nodes", "empty"),
    (at("nodes", value={"name": "x"}), "nodes", "expected"),
    (at("nodes", 0, value=3), r"nodes\[0\]", "expected"),
    (at("segments", value=[]), "segments", "empty"),
    (at("nodes", 0, "address", value=5), r"nodes\[0\]\.address", "expected"),
    (at("nodes", 0, "address", value="172.20.1.0"), r"nodes\[0\]\.address", "network or broadcast"),
    (at("nodes", 0, "address", value="172.20.1.255"), r"nodes\[0\]\.address", "network or broadcast"),
    (at("nodes", 0, "address", value="172.20.9.5"), r"nodes\[0\]\.address", "in no segment"),
    (at("nodes", 0, "address", value="172.20.2.5"), r"nodes\[1\]\.address", "also nodes"),
    (at("nodes", 0, "address", value="172.20.1.254"), r"nodes\[0\]\.address", "also routers"),
    (at("nodes", 0, "block", value="10.244.1.0/25"), r"nodes\[1\]\.block", "overlap"),
    (at("nodes", 0, "block", value="10.244.0.1/24"), r"nodes\[0\]\.block", "expected"),
    (at("nodes", 0, "block", value="10.245.0.0/24"), r"nodes\[0\]\.block", "outside pod_network"),
    (at("nodes", 0, "block", value="10.244.0.8/31"), r"nodes\[0\]\.block", "no room"),
    (at("nodes", 0, "blocks", value=["10.244.3.0/24"]), r"nodes\[0\]\.block", "both"),
    (at("nodes", 0, "block", remove=True), r"nodes\[0\]\.block", "missing"),
    (at("nodes", 0, "mtu", value="big"), r"nodes\[0\]\.mtu", "whole number"),
    (at("nodes", 0, "mtu", value=True), r"nodes\[0\]\.mtu", "whole number"),
    (at("nodes", 0, "mtu", value=67), r"nodes\[0\]\.mtu", "outside 68"),
    (at("nodes", 0, "mtu", value=100), r"nodes\[0\]\.mtu", "leaves 50"),
    (at("nodes", 0, "tunnel_mtu", value=1451), r"nodes\[0\]\.tunnel_mtu", "caps"),
    (at("nodes", 0, "mac", value="01:00:5e:00:00:01"), r"nodes\[0\]\.mac", "MAC"),
    (at("nodes", 0, "mac", value="02:00:ac:14:01:fe"), r"nodes\[0\]\.mac", "alpha and router both have"),
    (at("nodes", 0, "tunnel_address", value="10.244.1.1"), r"nodes\[0\]\.tunnel_address", "outside its block"),
    (at("nodes", 0, "name", value="a b"), r"nodes\[0\]\.name", "no host name"),
    (at("nodes", 0, "name", value="beta"), r"nodes\[1\]\.name", "already"),
    (at("pods", 0, "name", value="router"), r"routers\[0\]\.name", "already"),
    (at("pods", 0, "address", value="10.244.5.5"), r"pods\[0\]\.address", "no node's block"),
    (at("pods", 0, "node", value="beta"), r"pods\[0\]\.address", "outside the block of beta"),
    (at("pods", 0, "node", value="bete"), r"pods\[0\]\.node", "did you mean 'beta'"),
    (at("pods", 0, "address", value="10.244.0.1"), r"pods\[0\]\.address", "taken"),
    (at("pods", 0, "address", value="10.244.0.255"), r"pods\[0\]\.address", "taken"),
    (at("pods", 0, "address", value="fd00::1"), r"pods\[0\]\.address", "IPv4"),
    (at("pods", 0, "mtu", value=70000), r"pods\[0\]\.mtu", "65535"),
    (at("segments", 0, "subnet", value="172.20.2.0/23"), r"segments\[\d\]", "overlaps|in no segment"),
    (at("segments", 0, "subnet", value="10.244.9.0/24"), r"segments\[0\]\.subnet", "overlaps pod_network"),
    (at("segments", 0, "gateway", value="172.20.7.1"), r"segments\[0\]\.gateway", "in no segment"),
    (at("segments", 1, "gateway", remove=True), r"segments\[1\]", "no router joins"),
    (at("segments", 1, "name", value="rack1"), r"segments\[1\]\.name", "twice"),
    (at("routers", value=[{"name": "r", "addresses": ["172.20.1.254"]}]), r"segments\[1\]\.gateway", "no router has"),
    (
        at(
            "routers",
            value=[{"name": "r", "addresses": ["172.20.1.254"]}, {"name": "s", "addresses": ["172.20.2.254"]}],
        ),
        r"segments\[1\]",
        "no router joins",
    ),
    (
        at("routers", value=[{"name": "r", "addresses": ["172.20.1.254", "172.20.1.253", "172.20.2.254"]}]),
        r"routers\[0\]",
        "both in segment",
    ),
    (
        at(
            "routers",
            value=[{"name": "r", "addresses": ["172.20.1.254", "172.20.2.254"], "default_gateway": "9.9.9.9"}],
        ),
        r"routers\[0\]\.default_gateway",
        "no neighbour",
    ),
    (
        at("routers", value=[{"name": "r", "addresses": ["172.20.1.254", "172.20.2.254"], "uplink": "172.20.1.9/30"}]),
        r"routers\[0\]\.uplink",
        "lies in a segment",
    ),
    (at("profile", "name", value="flanel-vxlan"), r"profile\.name", "did you mean 'flannel-vxlan'"),
    (at("profile", "cross_subnet", value=True), r"profile\.cross_subnet", "calico-vxlan, calico-ipip"),
    (at("profile", "prot", value=1), r"profile\.prot", "did you mean 'port'"),
    (at("profile", "vni", value=10_000_000), r"profile\.vni: flannel .* flannel\.10000000", "15 characters"),
    (at("profile", "vni", value=2**24), r"profile\.vni", "outside 0 to 16777215"),
    (at("profile", "port", value=0), r"profile\.port", "outside 1"),
    (at("profile", "vni", value="one"), r"profile\.vni", "whole number"),
    (at("profile", "udp_checksum", value=1), r"profile\.udp_checksum", "true or false"),
    (at("profile", "df", value="sett"), r"profile\.df", "did you mean 'set'"),
    (at("profile", value={}), r"profile\.name", "missing"),
    (at("profile", value=7), "profile", "table"),
    (at("pod_network", value="10.244.0.0"), "pod_network", "prefix"),
    (at("pod_mtu", value=1), "pod_mtu", "outside 68"),
    (at("title", value=[]), "title", "quotes"),
]


@pytest.mark.parametrize(("change", "key", "words"), INVALID)
def test_invalid_cluster_names_the_key(change: Callable[[dict[str, Any]], None], key: str, words: str) -> None:
    """Each impossible cluster gets a sentence naming the file, the key, and what to do."""
    data = base()
    change(data)
    with pytest.raises(CourseError, match=f"^site.toml: {key}.*({words})"):
        Cluster.from_dict(data, source="site.toml")


def test_the_count_of_refusals(record_property: Any) -> None:
    """The base that every refusal starts from is itself valid."""
    Cluster.from_dict(base())
    record_property("invalid clusters refused", len(INVALID))
    print(f"invalid clusters refused: {len(INVALID)}")


V6 = {
    "segments": [{"name": "lan", "subnet": "fd00:9::/64", "gateway": "fd00:9::1", "mtu": 1500}],
    "nodes": [
        {"name": "n1", "address": "fd00:9::a", "block": "10.244.0.0/24"},
        {"name": "n2", "address": "fd00:9::b", "block": "10.244.1.0/24"},
    ],
}


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"name": "calico-ipip"}, "IPv4 in IPv4 only"),
        ({"name": "host-gw"}, "IPv6 next hops"),
        ({"name": "calico-bgp"}, "IPv6 next hops"),
        ({"name": "calico-vxlan", "cross_subnet": True}, "IPv6 next hops"),
    ],
)
def test_ipv6_underlay_carries_vxlan_only(profile: dict[str, Any], words: str) -> None:
    """An IPv6 underlay refuses profiles that would need IPv4 between nodes."""
    Cluster.from_dict({**V6, "profile": {"name": "calico-vxlan"}})
    with pytest.raises(CourseError, match=words):
        Cluster.from_dict({**V6, "profile": profile})


def test_ipv6_segment_needs_ipv6s_minimum_mtu() -> None:
    """1280 bytes is the least an IPv6 link may have (RFC 8200)."""
    data = copy.deepcopy(V6)
    data["segments"][0]["mtu"] = 1279
    with pytest.raises(CourseError, match=r"segments\[0\]\.mtu: 1279 bytes is outside 1280"):
        Cluster.from_dict(data)


def test_mixed_families_are_refused() -> None:
    """An underlay is all IPv4 or all IPv6."""
    data = base()
    data["segments"].append({"name": "six", "subnet": "fd00::/64"})
    with pytest.raises(CourseError, match=r"segments\[2\]\.subnet.*mixes"):
        Cluster.from_dict(data)


def test_with_profile_takes_that_profiles_defaults() -> None:
    """Changing the profile keeps nodes and pods, forgets the old options, and checks the new ones."""
    cluster = load("chapter").with_profile("flannel-vxlan", vni=7, port=4789)
    assert (cluster.profile.vni, cluster.profile.port, cluster.profile.device) == (7, 4789, "flannel.7")
    calico = cluster.with_profile("calico-vxlan")
    assert (calico.profile.vni, calico.profile.port, calico.profile.device) == (4096, 4789, "vxlan.calico")
    assert calico.nodes == cluster.nodes
    with pytest.raises(CourseError, match="direct_routing"):
        cluster.with_profile("calico-ipip", direct_routing=True)


def test_a_pod_cannot_have_the_tunnels_address() -> None:
    """Under Calico the tunnel device has the block's first address, unless the file gives it another."""
    data = base(pods=[{"name": "p", "address": "10.244.0.0"}], profile={"name": "calico-ipip"})
    with pytest.raises(CourseError, match=r"pods\[0\]\.address: 10.244.0.0 is the address of alpha's tunnel"):
        Cluster.from_dict(data)
    data["nodes"][0]["tunnel_address"] = "10.244.0.200"
    assert str(tables(Cluster.from_dict(data))["alpha"].link("tunl0")).startswith("3: tunl0")
    assert Cluster.from_dict(data).with_profile("calico-bgp").profile.device is None


def test_unknown_host_suggests_the_nearest() -> None:
    """Asking for a node or pod that is not there names the nearest one."""
    cluster = load("chapter")
    with pytest.raises(CourseError, match="did you mean 'node1'"):
        cluster.node("nod1")
    with pytest.raises(CourseError, match="did you mean 'podB'"):
        cluster.pod("podb")


def test_hundreds_of_nodes() -> None:
    """A cluster of 200 nodes with /26 blocks and two pods each is checked and filled."""
    data = {
        "pod_network": "10.128.0.0/12",
        "profile": {"name": "calico-ipip", "cross_subnet": True},
        "segments": [{"name": f"rack{r}", "subnet": f"10.0.{r}.0/24", "gateway": f"10.0.{r}.1"} for r in range(4)],
        "nodes": [
            {"name": f"n{i}", "address": f"10.0.{i % 4}.{10 + i // 4}", "block": f"10.128.{i}.64/26"}
            for i in range(200)
        ],
        "pods": [{"name": f"p{i}-{k}", "address": f"10.128.{i}.{70 + k}"} for i in range(200) for k in range(2)],
    }
    found = tables(Cluster.from_dict(data))
    assert len(found) == 200 + 400 + 1
    # default, connected LAN, blackhole, two pods, 199 other blocks
    assert len(found["n0"].routes) == 1 + 1 + 1 + 2 + 199
    tunnelled = [r for r in found["n0"].routes if r.dev == "tunl0"]
    assert len(tunnelled) == 150


LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 70000),
    st.floats(allow_nan=True),
    st.text(max_size=8),
    st.sampled_from(["10.244.0.0/24", "10.244.0.7", "172.20.1.9", "fd00::1", "02:00:00:00:00:01", *PROFILES, "tor"]),
)
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
PATHS = st.sampled_from(
    [(key,) for key in ("profile", "segments", "nodes", "pods", "routers", "pod_network", "pod_mtu", "tunnel_mtu", "x")]
    + [("nodes", 0, key) for key in ("name", "address", "block", "blocks", "mtu", "port_mtu", "tunnel_mtu", "mac")]
    + [("segments", 1, key) for key in ("name", "subnet", "gateway", "mtu")]
    + [("pods", 0, key) for key in ("name", "address", "node", "mtu", "mac")]
    + [("profile", key) for key in ("name", "vni", "port", "df", "version", "masquerade", "cross_subnet", "bgp")]
)


@settings(max_examples=examples(250), deadline=None)
@given(st.lists(st.tuples(PATHS, VALUE), min_size=1, max_size=3))
def test_only_sentences_come_out(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Whatever values stand in a cluster mapping, it is a valid cluster with tables, or CourseError."""
    data = base()
    for path, value in changes:
        try:
            at(*path, value=value)(data)
        except (TypeError, KeyError, IndexError):
            continue
    with suppress(CourseError):
        assert tables(Cluster.from_dict(data))


@given(VALUE)
@settings(max_examples=examples(100), deadline=None)
def test_any_value_at_the_top(value: Any) -> None:
    """A whole file of nonsense is refused in a sentence."""
    with pytest.raises(CourseError):
        Cluster.from_dict(value)
