"""Every format of the course refuses a key that nobody reads, naming the nearest one, and a key that stands twice."""

from __future__ import annotations

import copy
import json
import random
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coursekit.__main__ import main
from coursekit.bgp import scenario_file
from coursekit.bgp.expectations import entry, run
from coursekit.bgp.scenario import check_actions
from coursekit.bgp.scenario_keys import ACTION, FILE, FORM, ITEMS, MISSING, ROUTE
from coursekit.bgp.session import Options
from coursekit.cluster.cards import read_cards
from coursekit.cluster.choice import read_documented
from coursekit.cluster.iproute2 import parse_state_json
from coursekit.cluster.model import Cluster, clusters
from coursekit.cluster.model import load as load_cluster
from coursekit.errors import CourseError
from coursekit.exercises.catalogue import read_exercises
from coursekit.keys import FREE, check_keys, load_json, load_toml
from coursekit.lab.minikube import kube_lab
from coursekit.lab.recorder import scenario as recorder
from coursekit.lab.recording import recording, recordings
from coursekit.packets.capture import load as load_capture
from coursekit.paths import data_dir

DATA = data_dir()
CASES = json.loads((DATA / "bgp" / "cases.json").read_text())
SCENARIOS_TOML = Path(recorder.__file__).parent / "scenarios.toml"

# One scenario in which every key of every level stands once.
ACTIONS: dict[str, Any] = {"router": "a", "session": "s", "link": "l", "cost": 5, "prefix": "10.65.1.0/26", "side": "a",
                           "opt": "prepend", "value": 1, "death": "killed", "at": 3, "origin": "igp", "med": 5,
                           "communities": ["65001:7"]}  # fmt: skip
FULL: dict[str, Any] = {
    "schema_version": 1,
    "parametric": [{"id": "F2", "title": "one RR", "check_n": [2], "updates": "n*n", "sessions": "n",
                    "loc_rib_total": "n*n+n", "node_fail_updates": "n-1", "node_recover_updates": "2*n-1",
                    "rr_fail_updates": "0", "updates_echo_profile": "n*n"}],
    "cases": [{
        "id": "full", "title": "all keys", "requires": ["add-path"], "observed": {"bird-2.0.12": ["match"]},
        "routers": [{"name": "a", "asn": 65001, "router_id": "10.0.0.1", "cluster_id": "10.0.0.1", "max_paths": 2},
                    {"name": "b", "asn": 65002, "router_id": "10.0.0.2"}],
        "lans": [{"id": "lan", "prefix_len": 24, "igp": False, "cost": 0,
                  "members": {"a": "10.0.0.1", "b": "10.0.0.2"}}],
        "links": [{"id": "l", "a": "a", "b": "b", "a_addr": "172.16.0.0", "b_addr": "172.16.0.1", "prefix_len": 31,
                   "igp": False, "cost": 5}],
        "sessions": [{"id": "s", "a": "a", "b": "b", "a_addr": "10.0.0.1", "b_addr": "10.0.0.2", "b_opts": {},
                      "a_opts": {"rr_client": False, "next_hop_self": True, "allowas_in": 1, "as_override": False,
                                 "local_pref_in": 100, "prepend": 0, "max_as_path_in": 9, "add_path": False,
                                 "role": "peer"}}],
        "originate": [{"router": "a", "prefix": "10.65.1.0/26", "origin": "igp", "med": 5, "communities": []}],
        "steps": [
            {"name": "one", "actions": [], "sessions": 1, "updates": 1, "updates_rfc": 1, "updates_bird": 1,
             "updates_frr": 1, "updates_gobgp": 1, "converges": True, "stale_during": {},
             "max_as_path_len_accepted": 1, "fib": {"b": {"10.65.1.0/26": "10.0.0.1"}},
             "rib": {"b": {"10.65.1.0/26": {
                 "from": "a", "as_path": [65001], "next_hop": "10.0.0.1", "next_hop_any_of": ["10.0.0.1"],
                 "local_pref": 100, "med": 5, "origin": "igp", "originator_id": None, "cluster_list": [],
                 "decided_by": "only-path", "candidates": 1, "multipath_from": ["a"]}}},
             "rib_any_of": [{"rib": {"b": {"10.65.1.0/26": {"from": "a"}}}}],
             "rib_override": {"frr": {"b": {"10.65.1.0/26": {"from": "a"}}}}},
            {"name": "two", "actions": [{"op": op} | {key: ACTIONS[key] for key in keys if key != "op"}
                                        for op, keys in ACTION.items()]},
        ],
    }],
}  # fmt: skip
CLUSTER = """
name = "site"
title = "A site"
pod_network = "10.244.0.0/16"
pod_mtu = 1450
tunnel_mtu = 1450
profile = { name = "flannel-vxlan", vni = 7, port = 8472, direct_routing = false, udp_checksum = true, df = "unset", \
bound = true, masquerade = "none" }
segments = [{ name = "lan", subnet = "172.20.1.0/24", gateway = "172.20.1.254", mtu = 1500 }]
routers = [{ name = "router", addresses = ["172.20.1.254"], uplink = "203.0.113.2/30", \
default_gateway = "203.0.113.1" }]
pods = [{ name = "podA", address = "10.244.0.5", node = "n1", mtu = 1450, mac = "02:00:0a:f4:00:05" }]
[[nodes]]
name = "n1"
address = "172.20.1.10"
block = "10.244.0.0/24"
mtu = 1500
port_mtu = 1500
tunnel_mtu = 1450
tunnel_address = "10.244.0.0"
mac = "02:00:c0:a8:01:0a"
tunnel_mac = "02:00:0a:f4:00:00"
[[nodes]]
name = "n2"
address = "172.20.1.11"
blocks = ["10.244.1.0/24"]
"""
RECORDER = {"x": {
    "title": "t", "cluster": "lab", "profile": "flannel-vxlan", "setup": "s", "points": [], "steps": ["podA: true"],
    "prepare": [], "options": {"vni": 7}, "changes": {"pod_mtu": 1450, "tunnel_mtu": 1450},
    "faults": [{"name": "wrong-vni", "node": "node2", "vni": 7}], "kernel": "", "offload": False, "race": False,
    "bgp": False, "state": True, "state_text": False, "cannot": "",
}}  # fmt: skip


def toml(value: Any) -> str:
    """Return decoded TOML as a TOML text, all tables inline."""
    def write(inner: Any) -> str:
        if isinstance(inner, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {write(item)}" for key, item in inner.items()) + "}"
        if isinstance(inner, list):
            return "[" + ", ".join(map(write, inner)) + "]"
        return json.dumps(inner)

    return "\n".join(f"{json.dumps(key)} = {write(item)}" for key, item in value.items()) + "\n"


def provenance(data: Any, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir(exist_ok=True)
    (tmp_path / "r" / "provenance.json").write_text(data if isinstance(data, str) else json.dumps(data))
    recording(tmp_path / "r")


def bgp(data: Any, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(data if isinstance(data, str) else json.dumps(data))
    scenario_file.load(tmp_path / "x.json")


def cluster(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(text)
    load_cluster(tmp_path / "site.toml")


def minikube(text: str, tmp_path: Path) -> None:
    (tmp_path / "documented").mkdir(exist_ok=True)
    (tmp_path / "documented" / f"{kube_lab.DOCUMENTED}.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kube_lab, "data_dir", lambda: tmp_path)
        kube_lab.KubeLab()


@dataclass(frozen=True)
class Format:
    """A format: a good file, what reads it (text or, for JSON, decoded), and below which paths keys are names."""

    data: dict[str, Any]
    read: Callable[[Any, Path], object]
    names: tuple[str, ...] = ()  # paths, with `*` for any part, of objects whose keys are names, not keys of the format
    write: Callable[[Any], str] = json.dumps


def documented(name: str, folder: str) -> dict[str, Any]:
    return tomllib.loads((DATA / folder / f"{name}.toml").read_text(encoding="utf-8"))


PROVENANCE = json.loads((DATA / "recordings" / "flannel-vxlan" / "provenance.json").read_text())
FORMATS = {
    "bgp": Format(FULL, bgp, ("cases.*.lans.*.members", "cases.*.observed", "cases.*.steps.*.stale_during",
                              *(f"cases.*.steps.*.{table}{row}" for table in (
                                  "rib", "fib", "rib_any_of.*.rib", "rib_override", "rib_override.*") for row in (
                                  "", ".*")))),
    "cluster": Format(tomllib.loads(CLUSTER), cluster, write=toml),
    "rules": Format(documented("documented", "choice"), lambda text, _: read_documented(text), ("sources",), toml),
    "cards": Format(documented("cards", "choice"), lambda text, _: read_cards(text), write=toml),
    "exercises": Format(documented("04", "exercises"), lambda text, _: read_exercises(text, "04.toml"), (
        "prediction", "exercise", "exercise.*.messages", "exercise.*.beliefs", "exercise.*.witness.*.answer",
        "exercise.*.also_right.*"), toml),
    "recorder": Format(RECORDER, lambda text, _: recorder.read(text), ("",), toml),
    "provenance": Format(PROVENANCE, provenance, ("sha256",)),
    "state": Format({"n": {"link": [], "addr": [], "route": [], "route_local": [], "neigh": [], "fdb": []}},
                    lambda text, _: parse_state_json(text), ("",)),
    "minikube": Format(documented("calico-hard-way", "documented"), minikube, ("outputs",), toml),
}


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield every object within a value, with the way to it."""
    if isinstance(value, dict):
        yield path, value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from objects(inner, (*path, key))


def names(form: Format, path: tuple[Any, ...]) -> bool:
    """Return whether the keys of the object there are names."""
    def fits(pattern: str) -> bool:
        parts = pattern.split(".") if pattern else []
        return len(parts) == len(path) and all(part in ("*", str(key)) for part, key in zip(parts, path, strict=True))

    return any(map(fits, form.names))


def places(form: Format) -> list[tuple[tuple[Any, ...], str]]:
    """Return every key of the format's good file, each level once, with the way to its object."""
    seen: dict[tuple[Any, ...], tuple[tuple[Any, ...], str]] = {}
    for path, value in objects(form.data):
        for key in () if names(form, path) else value:
            kind = (*("*" if isinstance(part, int) and "actions" not in path else part for part in path), key)
            seen.setdefault(kind, (path, key))
    return list(seen.values())


def at(data: Any, path: tuple[Any, ...]) -> dict[str, Any]:
    for part in path:
        data = data[part]
    return data  # type: ignore[no-any-return]


def respelled(data: Any, path: tuple[Any, ...], key: str, typo: str) -> Any:
    """Return a copy in which a key has another spelling, in its old place."""
    found = copy.deepcopy(data)
    item = at(found, path)
    pairs = [(typo if name == key else name, value) for name, value in item.items()]
    item.clear()
    item.update(pairs)
    return found


PLACES = [pytest.param(name, path, key, id=f"{name}:{'.'.join(map(str, (*path, key)))}")
          for name, form in FORMATS.items() for path, key in places(form)]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_the_good_file_is_good(name: str, tmp_path: Path) -> None:
    """What all bad files are made from is read; remarks may stand in every object of the format, and change nothing."""
    form = FORMATS[name]
    form.read(form.write(form.data), tmp_path)
    remarked = copy.deepcopy(form.data)
    for path, value in objects(remarked):
        for free in () if names(form, path) else FREE:
            value.setdefault(free, "a remark")
    form.read(form.write(remarked), tmp_path)


@pytest.mark.parametrize(("name", "path", "key"), PLACES)
def test_a_misspelt_key_is_refused(name: str, path: tuple[Any, ...], key: str, tmp_path: Path) -> None:
    """A doubled last letter in any key on any level: the sentence has the key as it stands, and the right one."""
    form = FORMATS[name]
    typo = key + key[-1]
    with pytest.raises(CourseError) as caught:
        form.read(form.write(respelled(form.data, path, key, typo)), tmp_path)
    said = str(caught.value)
    assert f"'{typo}'" in said or f".{typo}:" in said or f"(did you mean '{typo}'?)" in said
    assert f"did you mean '{key}'?" in said or f"did you mean '{typo}'?" in said or f" takes {key}" in said or (
        ".faults." in ".".join(map(str, ("", *path, ""))))  # fmt: skip
    assert "\n" not in said


@pytest.mark.parametrize(("name", "path", "key"), PLACES)
def test_a_key_that_stands_twice_is_refused(name: str, path: tuple[Any, ...], key: str, tmp_path: Path) -> None:
    """In JSON and in TOML, on any level: neither value wins."""
    form = FORMATS[name]
    pair = f'"{key}": 0, "{key}"' if form.write is json.dumps else f'"{key}" = 0{", " if path else chr(10)}"{key}"'
    twice = form.write(respelled(form.data, path, key, "@")).replace('"@"', pair)
    with pytest.raises(CourseError) as caught:
        form.read(twice, tmp_path)
    said = str(caught.value)
    if form.write is json.dumps:
        assert f"has the key '{key}' twice" in said
    else:  # in tomllib's words
        assert f"Duplicate inline table key '{key}'" in said or "a key stands there twice" in said
    assert "\n" not in said


def test_full_has_every_key() -> None:
    """The scenario of these tests leaves out no key that the reader knows, and no reader knows fewer than it."""
    known = {*FILE, *FORM, *ROUTE, *(key for keys in (*ITEMS.values(), *ACTION.values()) for key in keys)}
    assert {key for _, key in places(FORMATS["bgp"])} >= known | {*Options._fields}
    for case in scenario_file.load(DATA / "bgp" / "cases.json"):
        for step in run(case):
            assert all({*(row or ())} <= {*ROUTE} for rows in step.rib.values() for row in rows.values())
    assert entry(None) is None
    assert set(FORMATS["recorder"].data["x"]) == set(recorder.Scenario.__dataclass_fields__) - {"name"}


def test_bundled_files_are_read() -> None:
    """No file that the course brings is refused."""
    assert scenario_file.load(DATA / "bgp" / "cases.json")
    assert all(isinstance(load_cluster(name), Cluster) for name in clusters())
    assert read_cards((DATA / "choice" / "cards.toml").read_text(encoding="utf-8"))
    assert read_documented((DATA / "choice" / "documented.toml").read_text(encoding="utf-8"))
    assert recorder.read(SCENARIOS_TOML.read_text(encoding="utf-8"))
    assert all(recording(name).provenance for name in recordings())
    for path in (DATA / "recordings").glob("*/state*.json"):
        assert parse_state_json(path.read_bytes())


NAMED = [
    (("steps", 0), "actions", "action"), (("steps", 0), "rib", "ribs"), (("sessions", 0), "a_opts", "a_opt"),
    (("originate", 0), "communities", "comunities"), (("steps", 1, "actions", 0), "death", "deaths"),
    (("steps", 0), "updates", "update"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "key", "typo"), NAMED)
def test_the_command_says_what_was_meant(path: tuple[Any, ...], key: str, typo: str, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """Keys that were passed over once: status 2, one sentence, and what was meant."""
    data = {"cases": [respelled(FULL["cases"][0], path, key, typo)]}
    (tmp_path / "x.json").write_text(json.dumps(data))
    assert main(["bgp", str(tmp_path / "x.json")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("coursekit: Case full ")
    assert f"has the key '{typo}', which is not known here (did you mean '{key}'?)" in err


@pytest.mark.parametrize("key", MISSING)
@pytest.mark.parametrize("path", [(), ("routers", 0), ("sessions", 0), ("sessions", 0, "a_opts"), ("originate", 0),
                                  ("steps", 0)])  # fmt: skip
def test_what_the_simulator_does_not_do_is_said(key: str, path: tuple[Any, ...], tmp_path: Path) -> None:
    """Confederations, aggregation, validation and the like are refused by name, wherever they are asked for."""
    case = copy.deepcopy(FULL["cases"][0])
    at(case, path)[key] = True
    with pytest.raises(CourseError, match=rf"has the key '{key}', but the simulator .*\. Remove the key\.$"):
        bgp({"cases": [case]}, tmp_path)


@pytest.mark.parametrize(("key", "word"), [("confederation_id", "RFC 5065"), ("aggregate", "no aggregation"),
                                           ("roas", "RFC 6811"), ("always_compare_med", "one neighbouring AS")])
def test_the_sentence_names_the_mechanism(key: str, word: str) -> None:
    """Each says what is missing."""
    assert word in MISSING[key]


def misspelt(key: str, drawn: random.Random) -> str:
    """Return a key with one letter dropped, doubled, exchanged with its neighbour, or another one."""
    place = drawn.randrange(len(key))
    one, two, three = key[:place], key[place], key[place + 1 :]
    return drawn.choice([one + three, one + two + two + three, one + "x" + three, one + three[:1] + two + three[1:]])


@pytest.mark.parametrize("number", range(len(CASES["cases"])))
def test_one_misspelt_key_anywhere_is_refused(number: int) -> None:
    """In each case of the course, a random typo in any key or router's name: never passed over."""
    case = CASES["cases"][number]
    drawn = random.Random(number)
    form = FORMATS["bgp"]
    free = [path for path, _ in objects({"cases": [case]}) if set(path) & set(FREE) or path[-1:] == ("observed",)]
    known = {key for _, keys in objects(FULL) for key in keys}
    tried = 0
    sites = [(path, key) for path, value in objects({"cases": [case]}) for key in value
             if path not in free and key not in FREE and "/" not in key and not key[0].isdigit()]  # fmt: skip
    for path, key in drawn.sample(sites, min(60, len(sites))):
        typo = misspelt(key, drawn)
        routers = {router["name"] for router in case["routers"]}
        if typo in known or typo in FREE or typo in routers or typo in at({"cases": [case]}, path):
            continue
        with pytest.raises(CourseError) as caught:
            scenario_file.parse(respelled({"cases": [case]}, path, key, typo))
        assert typo in str(caught.value), (path, key)
        tried += 1
    assert tried > 30, form


def test_a_router_that_there_is_not_is_no_key_of_a_table() -> None:
    """A misspelt router in what is expected is refused: nothing would have been compared."""
    for key, value in (("rib", {"bb": {}}), ("fib", {"bb": {}}), ("stale_during", {"bb": []}), ("stale_during", ["bb"]),
                       ("rib_override", {"gobgp": {"bb": {}}})):  # fmt: skip
        case = copy.deepcopy(FULL["cases"][0])
        case["steps"][0][key] = value
        with pytest.raises(CourseError, match='names router "bb", which there is not; there are a, b'):
            scenario_file.parse({"cases": [case]})


def test_a_profile_that_there_is_not() -> None:
    """`rib_override` is for a profile, with or without a version; another name would never be looked at."""
    case = copy.deepcopy(FULL["cases"][0])
    case["steps"][0]["rib_override"] = {"bird-2.0.12": {}}
    scenario_file.parse({"cases": [case]})
    case["steps"][0]["rib_override"] = {"brid-2.0.12": {}}
    with pytest.raises(CourseError, match=r"'brid', which is not known here \(did you mean 'bird'\?\)"):
        scenario_file.parse({"cases": [case]})


def test_files_without_cases_are_checked() -> None:
    """A single case, formulas alone, and a file whose only list is misspelt."""
    assert scenario_file.parse({**FULL["cases"][0], "parametric": FULL["parametric"], "schema_version": 1})
    assert scenario_file.parse({"parametric": FULL["parametric"]}) == []
    for data, near in (({"case": []}, "cases"), ({"router": []}, "routers"), ({"parametrics": []}, "parametric")):
        with pytest.raises(CourseError, match=f"did you mean '{near}'"):
            scenario_file.parse(data)
    with pytest.raises(CourseError, match="schema_version = 2; this program reads 1"):
        scenario_file.parse({"cases": [], "schema_version": 2})


def test_a_closed_form_that_is_refused_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and one sentence, with and without a seed; the good ones are run."""
    form = FULL["parametric"][0]
    data = {"parametric": [form, respelled(form, (), "updates", "updatse")]}
    (tmp_path / "x.json").write_text(json.dumps(data))
    for words in ([], ["--seed", "1"]):
        assert main(["bgp", str(tmp_path / "x.json"), *words]) == 2
        out, err = capsys.readouterr()
        assert out.count("F2") == (not words)
        assert err.startswith("coursekit: The closed form F2 has the key 'updatse'")
        assert err.count("\n") == 1


def test_actions_from_python_are_checked() -> None:
    """`deaths` of an action that no file holds is refused too."""
    (scenario,) = scenario_file.parse(FULL)
    check_actions(scenario, scenario.steps[1].actions)
    with pytest.raises(CourseError, match="did you mean 'death'"):
        check_actions(scenario, [{"op": "router_down", "router": "a", "deaths": "killed"}])


def test_state_takes_what_ip_prints() -> None:
    """In what `ip -j` prints any key may stand, and `dst` twice: the route's own comes first; hosts may not."""
    row = '{"dst": "10.0.0.0/8", "dev": "eth0", "new": 1, "encap": "ip", "dst": "1.2.3.4"}'
    (route,) = parse_state_json(f'{{"n": {{"route": [{row}]}}}}')["n"].routes
    assert str(route.dst) == "10.0.0.0/8"
    with pytest.raises(CourseError, match="has the key 'n' twice"):
        parse_state_json('{"n": {}, "n": {}}')
    with pytest.raises(CourseError, match="has the key 'route' twice in n"):
        parse_state_json('{"n": {"route": [], "route": []}}')


def test_a_capture_does_not_believe_a_provenance_with_a_key_twice(tmp_path: Path) -> None:
    """What stands there twice is no evidence: the capture opens, without provenance."""
    shutil.copytree(DATA / "recordings" / "flannel-vxlan", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "provenance.json"
    assert load_capture(tmp_path / "podA-eth0.pcap").provenance
    path.write_text(path.read_text().replace("{", '{"kernel": "2.4",', 1))
    assert load_capture(tmp_path / "podA-eth0.pcap").provenance == {}


def test_the_place_of_what_stands_twice_is_said() -> None:
    """The sentence names the object in the form `cases[0].steps[1]`; deeper down than asked the first wins."""
    text = '{"cases": [{"steps": [{}, {"rib": 1, "rib": 2}]}]}'
    with pytest.raises(CourseError, match=r"^x has the key 'rib' twice in cases\[0\]\.steps\[1\]\. Keep one"):
        load_json(text, "x")
    assert load_json(text, "x", depth=2) == {"cases": [{"steps": [{}, {"rib": 1}]}]}
    with pytest.raises(CourseError, match=r"^x has the key 'a' twice\. Keep"):
        load_json('{"a": {"b": 1, "b": 2}, "a": 1}', "x", depth=1)


def test_odd_keys_get_a_sentence() -> None:
    """Half a character, a key of Python that is no text, and one of a thousand letters."""
    for key in ("\ud800", 5, "k" * 1000, ""):
        with pytest.raises(CourseError, match="which is not known here") as caught:
            check_keys({key: 1}, ("name",), "It")
        str(caught.value).encode()
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("text", "said"), [
    ("a = 1\na = 2", r"x is not valid TOML: a key stands there twice \(at line 2"), ("[a]\n[a]", "twice"),
    ("a = ", "at line 1, end of document"), ("a = " + "[" * 5000, "nested too deep"),
])  # fmt: skip
def test_toml_that_is_none_gets_a_sentence(text: str, said: str) -> None:
    """TOML that is broken, or has a table or key twice."""
    with pytest.raises(CourseError, match=said):
        load_toml(text, "x")
