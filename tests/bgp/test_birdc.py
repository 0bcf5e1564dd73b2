"""birdc's output, of both generations, becomes rows; anything else becomes a sentence."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.bgp import birdc
from coursekit.errors import CourseError
from coursekit.lab.recording import recording, recordings

# As Calico's documentation prints it (tigera/docs, troubleshoot/commands): BIRD 1.6 on a node of a VXLAN cluster.
OLD = """BIRD v0.3.3+birdv1.6.8 ready.
bird> show route
0.0.0.0/0          via 10.0.0.1 on eth0 [kernel1 18:13:33] * (10)
10.0.0.0/24        dev eth0 [direct1 18:13:32] * (240)
10.48.231.2/32     dev calieb874a8ef0b [kernel1 18:13:41] * (10)
10.48.231.0/26     blackhole [static1 18:13:32] * (200)
10.48.180.192/26   via 10.0.0.10 on eth0 [Mesh_10_0_0_10 18:13:34] * (100/0) [i]
                   via 10.0.0.10 on eth0 [Mesh_10_0_0_12 18:13:41 from 10.0.0.12] (100/0) [i]
                   via 10.0.0.10 on eth0 [kernel1 18:13:33] (10)
10.48.66.128/26    unreachable [Mesh_10_0_0_12 2026-08-01 from 10.0.0.12] * (100/-) [AS65001i]
10.49.0.0/16       multipath [Global_1 18:13:41] * (100) [AS65001i]
\tvia 10.0.1.20 on ens5 weight 1
\tvia 10.0.1.21 on ens5 weight 1
"""
OLD_PROTOCOLS = """BIRD 1.6.8 ready.
name     proto    table    state  since       info
kernel1  Kernel   master   up     2020-11-27
b_core_2 BGP      master   up     2020-11-27  Established
mymaster BGP      master   start  18:01:55    Active        Socket: Connection refused
Node_10_0_0_3 BGP master   down   18:01:55    Idle          BGP Error: Hold timer expired
"""
NEW_PROTOCOLS = """Name       Proto      Table      State  Since         Info
device1    Device     ---        up     16:24:18.359
Mesh_10_0_0_2 BGP     ---        start  16:24:18.359  Passive
"""


def test_bird_1_6_as_calico_prints_it() -> None:
    """One line per path; a path without a destination belongs to the line above; `*` is the best one."""
    rows = birdc.routes(OLD)
    assert [row.net for row in rows[4:7]] == ["10.48.180.192/26"] * 3
    assert [row.primary for row in rows[4:7]] == [True, False, False]
    assert (rows[4].hops, rows[4].metric, rows[4].origin) == ((("10.0.0.10", "eth0"),), "0", "i")
    assert (rows[5].source, rows[5].protocol, rows[6].preference) == ("10.0.0.12", "Mesh_10_0_0_12", 10)
    assert rows[2].hops == ((None, "calieb874a8ef0b"),)
    assert (rows[3].kind, rows[3].hops) == ("blackhole", ())
    assert (rows[7].kind, rows[7].since, rows[7].origin) == ("unreachable", "2026-08-01", "AS65001i")
    assert rows[8].hops == (("10.0.1.20", "ens5"), ("10.0.1.21", "ens5"))
    assert len(rows) == 9


def test_protocols_of_every_generation() -> None:
    """Name, state and time stand in the same order everywhere; what BGP adds is the session's state and last error."""
    rows = birdc.protocols(OLD_PROTOCOLS)
    assert [row.established for row in rows] == [False, True, False, False]
    assert rows[2].info == "Active        Socket: Connection refused"
    assert (rows[0].since, rows[0].info) == ("2020-11-27", "")
    assert [(row.name, row.state, row.info) for row in birdc.protocols(NEW_PROTOCOLS)] == [
        ("device1", "up", ""), ("Mesh_10_0_0_2", "start", "Passive"),
    ]  # fmt: skip


def outputs() -> list[tuple[str, str]]:
    """Every recorded transcript of birdc."""
    return [(name, out) for name in recordings() for out in recording(name).outputs() if out.startswith("birdc-")]


@pytest.mark.parametrize(("name", "output"), outputs())
def test_every_recorded_line_is_read(name: str, output: str) -> None:
    """Each destination, path, next hop and attribute of the recordings is in the rows; `all` only adds attributes."""
    text = recording(name).output(output)
    parts = birdc.sections(text)
    full = birdc.routes(text)
    assert [str(row) for row in birdc.routes(parts["show route"])] == [str(row) for row in full]
    lines = parts["show route all"].splitlines()
    assert len(full) == sum(line.count("[") > 0 and "(" in line for line in lines)
    assert sum(len(row.hops) for row in full) == sum(bool(re.match(r"\t(via|dev) ", line)) for line in lines)
    assert sum(len(row.attributes) for row in full) == sum(bool(re.match(r"\t[A-Z]\S*: ", line)) for line in lines)
    assert len({row.net for row in full if row.primary}) == len({row.net for row in full})
    sessions = [row for row in birdc.protocols(text) if row.kind == "BGP"]
    assert len(sessions) == parts["show protocols"].count(" BGP ")


def test_attributes_have_birds_names() -> None:
    """`show route all` gives what BGP carried; without `all`, asking for it is answered by a sentence."""
    reflected = birdc.routes(recording("bgp-route-reflector").output("birdc-node1"))
    row = next(row for row in reflected if row.net == "10.244.1.0/24")
    assert (row["BGP.next_hop"], row["BGP.originator_id"], row["BGP.cluster_list"]) == (
        "192.168.1.11", "192.168.1.11", "192.168.1.1",
    )  # fmt: skip
    assert (row.source, row["BGP.as_path"]) == ("192.168.1.1", "")
    with pytest.raises(CourseError, match=r"no attribute 'BGP.med'; it has Type, BGP.origin"):
        row["BGP.med"]
    with pytest.raises(CourseError, match="take the output of `show route all`"):
        birdc.routes(OLD)[4]["BGP.next_hop"]


def test_no_route_is_no_row() -> None:
    """BIRD's answer that there is no route, and an empty table, give no rows."""
    assert birdc.routes("Network not found\n") == ()
    assert birdc.routes("BIRD 2.0.12 ready.\nTable master4:\n") == ()
    assert birdc.protocols("") == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("default via 192.168.1.1 dev eth0", "Line 1 is no part of birdc's `show route`: 'default via"),
        ("\tvia 10.0.0.1 on eth0", "Line 1 is no part"),
        ("10.0.0.0/24  sideways [p1 10:00:00] * (100)", "'10.0.0.0/24  sideways"),
        ("             unicast [p1 10:00:00] * (100)", "Line 1 is no part"),
        (
            "bird> show protocols\nName Proto Table State Since Info",
            "has no `show route all` or `show route`; it has show",
        ),
        (b"bytes", "is text; bytes was given"),
    ],
)
def test_what_birdc_never_says_gets_a_sentence(text: str, sentence: str) -> None:
    """Another program's output, half a line or no text is refused with the line and an example."""
    with pytest.raises(CourseError, match=re.escape(sentence)):
        birdc.routes(text)


def test_a_table_is_no_list_of_sessions() -> None:
    """Routes given as sessions are refused."""
    with pytest.raises(CourseError, match="no part of birdc's `show protocols`"):
        birdc.protocols("10.0.0.0/24  unicast [p1 10:00:00] * (100)")


@given(st.text(alphabet=st.sampled_from("bird>\n\t 10.24/[]()*ivaunicstm:-_e") | st.characters(), max_size=120))
def test_any_text_gives_rows_or_a_sentence(text: str) -> None:
    """Whatever is pasted, nothing but rows or a CourseError comes out."""
    for read in (birdc.routes, birdc.protocols):
        with contextlib.suppress(CourseError):
            read(text)
