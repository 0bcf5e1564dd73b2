"""What is wrong with a scenario file is said in a sentence, whatever it is."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.__main__ import main
from coursekit.bgp.expectations import run
from coursekit.bgp.scenario_file import load, parse
from coursekit.errors import CourseError
from tests.seeds import examples

GOOD: dict[str, Any] = {
    "id": "good",
    "routers": [{"name": "a", "asn": 65001, "router_id": "10.0.0.1"},
                {"name": "b", "asn": 65002, "router_id": "10.0.0.2"}],
    "lans": [{"id": "lan", "prefix_len": 24, "members": {"a": "10.0.0.1", "b": "10.0.0.2"}}],
    "links": [{"id": "l", "a": "a", "b": "b", "a_addr": "172.16.0.0", "b_addr": "172.16.0.1", "cost": 5}],
    "sessions": [{"id": "s", "a": "a", "b": "b", "a_addr": "10.0.0.1", "b_addr": "10.0.0.2"}],
    "originate": [{"router": "a", "prefix": "10.65.1.0/26", "med": 5, "communities": ["65001:7"]}],
    "steps": [{"name": "one", "actions": [{"op": "link_down", "link": "l"}], "rib": {}}],
}  # fmt: skip

# where in the good case, what is put there, and what the sentence must say
BAD: list[tuple[str, Any, str]] = [
    ("routers", [], "no routers"),
    ("routers", {"name": "a"}, "no routers"),
    ("routers.0", 7, "7 among its routers"),
    ("routers.0.asn", 0, "AS 0, which nobody may use"),
    ("routers.0.asn", -1, "asn = -1, where a number from 1"),
    ("routers.0.asn", 2**32, "asn = 4294967296"),
    ("routers.0.asn", True, "asn = true"),
    ("routers.0.asn", "65001", 'asn = "65001"'),
    ("routers.0.name", "", 'name = ""'),
    ("routers.0.name", "b", "two routers called b"),
    ("routers.0.router_id", "10.0.0.256", "is no address"),
    ("routers.0.router_id", "0.0.0.0", "is no BGP identifier"),
    ("routers.0.router_id", "fe80::1", "is no BGP identifier"),
    ("routers.1", {"name": "b", "asn": 65001, "router_id": "10.0.0.1"}, "the same router_id 10.0.0.1"),
    ("routers.0.cluster_id", "x", "cluster_id"),
    ("routers.0.max_paths", 0, "max_paths = 0"),
    ("lans.0.members", {}, "has no members"),
    ("lans.0.members", {"zz": "10.0.0.9"}, 'names router "zz", which there is not'),
    ("lans.0.members.b", "10.9.0.2", "share no /24"),
    ("lans.0.members.b", "10.0.0.1", "10.0.0.1 to b, but a has it already"),
    ("lans.0.members.b", "fd00::1", "share no /24"),
    ("lans.0.prefix_len", 33, "prefix_len = 33"),
    ("links.0.id", "lan", "two links or LANs called lan"),
    ("links.0.b", "a", "goes from a to itself"),
    ("links.0.b_addr", None, "is no address"),
    ("links.0.cost", -5, "cost = -5"),
    ("links.0.igp", "yes", 'igp = "yes", where true or false'),
    ("sessions.0.b", "zz", 'names router "zz", which there is not; there are a, b'),
    ("sessions.0.b", "a", "goes from a to itself"),
    ("sessions.0.b_addr", "10.0.0.9", "uses 10.0.0.9 for b, which has no such address"),
    ("sessions.1", {"id": "t", "a": "b", "b": "a", "a_addr": "10.0.0.2", "b_addr": "10.0.0.1"},
     "duplicate sessions s and t"),
    ("sessions.1", {"id": "s", "a": "a", "b": "b"}, "duplicate sessions called s"),
    ("sessions.0.a_opts", {"weight": 5}, "has the key 'weight', but the simulator has no weight"),
    ("sessions.0.a_opts", {"prepend": -1}, "prepend = -1"),
    ("sessions.0.a_opts", {"rr_client": 1}, "rr_client = 1, where true or false"),
    ("sessions.0.a_opts", [], "a_opts is [], where an object"),
    ("originate.0.router", "c", 'names router "c"'),
    ("originate.0.prefix", "10.65.1.1/26", "has host bits set"),
    ("originate.0.prefix", "ten", 'prefix = "ten"'),
    ("originate.0.prefix", 167772160, "a prefix is text"),
    ("originate.0.origin", "bgp", "there are igp, egp, incomplete"),
    ("originate.0.med", 2**32, "med = 4294967296"),
    ("originate.0.communities", ["no-exit"], 'community "no-exit"'),
    ("originate.1", {"router": "a", "prefix": "10.65.1.0/26"}, "originate 10.65.1.0/26 twice"),
    ("steps.0.actions", [{"op": "explode"}], 'the action "explode", which there is not'),
    ("steps.0.actions", ["router_down"], 'the action "router_down"'),
    ("steps.0.actions", [{"op": "router_down", "router": "q"}], 'names router "q"'),
    ("steps.0.actions", [{"op": "set_cost", "link": "l"}], "cost = null"),
    ("steps.0.actions", [{"op": "set_session_opt", "session": "s", "side": "c", "opt": "prepend", "value": 1}], "side"),
    ("steps.0.actions", [{"op": "set_session_opt", "session": "s", "side": "a", "opt": "prepend", "value": "1"}],
     "prepend"),
    ("steps.0.actions", [{"op": "router_down", "router": "a", "death": "slow"}],
     'names death "slow", which there is not; there are clean, killed, cable'),
    ("steps.0.actions", [{"op": "link_up", "link": "l", "at": -1}], "at = -1"),
    ("steps.0.rib", {"a": 5}, "where an object was expected"),
    ("steps.0.rib", {"a": {"10.0.0.0/8": 0.5}}, 'rib of "a", "10.0.0.0/8" is 0.5, where an object was expected'),
    ("steps.0.rib", {"a": {"10.0.0.0/8": {"multipath_from": [5]}}}, "multipath_from = [5], where a list of names"),
    ("steps.0.rib", {"a": {"10.65.1.0/33": None}}, 'rib of "a" has prefix = "10.65.1.0/33"'),
    ("steps.0.fib", {"a": {"node1": None}}, 'fib of "a" has prefix = "node1"'),
    ("steps.0.actions", [{"op": "set_session_opt", "session": "s", "side": "a", "opt": "prepend"}],
     "gives prepend no value"),
    ("sessions.0.a_opts", {"weights": None}, "has the key 'weights', which is not known here"),
    ("steps.0.rib_override", {"bird": []}, 'rib_override for "bird" is []'),
    ("steps.0.rib_any_of", 5, "rib_any_of is 5, where a list of tables"),
    ("steps.0.rib_any_of", [5], "rib_any_of is 5, where an object"),
    ("steps.0.fib", {"a": {"10.0.0.1": 5}}, "fib is to hold 5, where next hops"),
    ("steps.0.stale_during", {"a": [5]}, "where routers with prefixes were expected"),
    ("steps.0.converges", "no", 'converges is "no", where true or false'),
    ("steps.0.updates", "12", 'updates = "12", where a number'),
    ("steps.0.sessions", -1, "sessions = -1, where a number"),
    ("routers.0.name", "half \ud800", 'name = "half \\ud800"'),
    ("requires", "add-path", "where a list of features was expected"),
]  # fmt: skip


def _put(case: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of a case with a value put somewhere, appended where the list is one too short."""
    case = copy.deepcopy(case)
    *way, last = path.split(".")
    here: Any = case
    for key in way:
        here = here[int(key)] if isinstance(here, list) else here[key]
    if isinstance(here, list) and int(last) == len(here):
        here.append(value)
    else:
        here[int(last) if isinstance(here, list) else last] = value
    return case


def test_the_good_case_is_good() -> None:
    """The case that all bad ones are made from runs."""
    (scenario,) = parse({"cases": [GOOD]})
    assert [step.converged for step in run(scenario)] == [True]
    assert parse(GOOD) == [scenario]


@pytest.mark.parametrize(("path", "value", "sentence"), BAD)
def test_bad_case_gets_a_sentence(path: str, value: Any, sentence: str) -> None:
    """Each mistake is named, with the case it stands in, and nothing runs."""
    with pytest.raises(CourseError) as caught:
        parse({"cases": [_put(GOOD, path, value)]})
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("Case good ")
    assert str(caught.value).endswith(".")


def test_unreachable_peer_gets_a_sentence() -> None:
    """A session between loopbacks that no IGP connects is refused when the network is built."""
    case = _put(GOOD, "routers.0.router_id", "10.9.9.9")
    case["lans"], case["sessions"] = [], [{"id": "s", "a": "a", "b": "b"}]
    with pytest.raises(CourseError, match=r"unreachable peer: a has no route to 10\.0\.0\.2 of b"):
        parse(case)[0].simulation()


def test_a_million_routers_are_refused_at_once() -> None:
    """A scenario too large for the plain simulator is refused before anything is built."""
    with pytest.raises(CourseError, match=r"has 1,000,000 routers; the simulator takes at most 10,000"):
        parse(GOOD | {"routers": [{}] * 1_000_000})


def test_more_routes_than_can_be_held_are_refused() -> None:
    """Routers times prefixes are bounded: such a file would run for hours and fill the memory."""
    case = GOOD | {
        "routers": [{"name": f"r{i}", "asn": 1, "router_id": f"10.0.{i >> 8}.{i & 255}"} for i in range(1, 2001)],
        "lans": [], "links": [], "sessions": [], "steps": [],
        "originate": [{"router": "r1", "prefix": f"10.{i >> 8}.{i & 255}.0/24"} for i in range(1001)],
    }  # fmt: skip
    with pytest.raises(CourseError, match="has 2,000 routers and 1,001 prefixes; the simulator holds at"):
        parse(case)


@pytest.mark.parametrize("data", [None, 5, [], {}, {"cases": 5}, {"cases": [5]}, {"cases": [[]]}])
def test_what_is_no_scenario_file_gets_a_sentence(data: object) -> None:
    """JSON of another shape is refused."""
    with pytest.raises(CourseError, match=r"expected|list of `cases`"):
        parse(data)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"{", "is no JSON"), (b"\xff\xfe", "is no JSON"), (b"[" * 100_000, "nested too deeply"),
     (b'{"cases": ' + b"9" * 5_000 + b"}", "a number of thousands of digits"),
     (None, "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_status_2(content: bytes | None, sentence: str, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """A missing or broken file is a sentence and exit status 2, never a traceback."""
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["bgp", str(path)]) == 2
    assert sentence in capsys.readouterr().err


def test_two_cases_need_two_ids() -> None:
    """One id for two cases is refused: the results could not be told apart."""
    with pytest.raises(CourseError, match="Case id good is used twice"):
        parse({"cases": [GOOD, GOOD]})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**33) | st.floats() | st.sampled_from(
        ["a", "b", "s", "l", "lan", "10.0.0.1", "10.0.0.2", "10.65.1.0/26", "::1", "fd00::/64", "", "x", "withdraw"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "asn", "op", "router", "prefix", "a", "b", "rib", "members"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _places(value: Any, here: str = "") -> list[str]:
    """Return the path of everything in a case."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, child in children for p in (f"{here}{key}", *_places(child, f"{here}{key}."))]


@settings(max_examples=examples(400), deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(_places(GOOD)), JUNK), min_size=1, max_size=3))
def test_nonsense_runs_or_gets_a_sentence(changes: list[tuple[str, Any]]) -> None:
    """Whatever stands anywhere in a case, it runs to an end or is refused with a sentence."""
    case = GOOD
    for path, value in changes:
        try:
            case = _put(case, path, value)
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # an earlier change took the place away
    with suppress(CourseError):
        for scenario in parse({"cases": [case]}):
            list(run(scenario))


def test_load_reads_what_parse_takes(tmp_path: Path) -> None:
    """A file is read as its decoded content is."""
    path = tmp_path / "good.json"
    path.write_text(json.dumps(GOOD))
    assert load(path) == parse(GOOD)
