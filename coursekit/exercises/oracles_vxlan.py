"""What is true in notebook 04's predictions: worked out from recordings and from the model, never typed in.

Each function returns the `value` of one option in data/exercises/04.toml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from coursekit.cluster.model import Pod, load
from coursekit.cluster.profiles import tables
from coursekit.lab.recording import Recording, recording
from coursekit.packets.layout import dissect

MORE_PODS = 100


def _ttls(rec: Recording, point: str) -> list[str]:
    frame = rec.capture(point).filter("icmp or udp port 8472").frames[0]
    return [field.value for field in dissect(frame.data).fields() if field.key == "ip.ttl"]


def ttls() -> str:
    """Return the inner TTL between the nodes, and the TTL at Pod B, of a recorded ping."""
    rec = recording("flannel-vxlan")
    return f"{_ttls(rec, 'node1:eth0')[-1]} {_ttls(rec, 'podB:eth0')[0]}"


def inner_mac() -> str:
    """Return whose MAC the inner destination is, as "host:device", or "broadcast"."""
    rec = recording("flannel-vxlan")
    frame = rec.capture("node1:eth0").filter("udp port 8472").frames[0]
    found = dissect(frame.data).layer("eth", 1)["dst"].value
    owners = {link.mac: f"{host}:{link.name}" for host, table in rec.tables().items() for link in table.links}
    return "broadcast" if found == "ff:ff:ff:ff:ff:ff" else owners[found]


def more_fdb_rows() -> str:
    """Return how many FDB rows Node 1 gets more when Node 2 runs a hundred more pods."""
    cluster = load("chapter")
    block = cluster.node("node2").blocks[0]
    used = {pod.address for pod in cluster.pods}
    free = [address for address in list(block.hosts())[1:] if address not in used][:MORE_PODS]
    more = replace(cluster, pods=cluster.pods + tuple(Pod(f"more{i}", a, "node2") for i, a in enumerate(free)))
    before, after = (
        [row for row in tables(each)["node1"].fdb if row.dst is not None] for each in (cluster, more)
    )
    return str(len(after) - len(before))


def varying_field() -> str:
    """Return which outer fields differ between 64 recorded flows of the same two nodes, joined by "+"."""
    flows = recording("source-port-entropy").capture("node1:eth0").filter(
        "udp port 8472 and src host 192.168.1.10 and ether[73] == 17"
    )
    taken = [dissect(frame.data) for frame in flows]
    keys = ("udp.srcport", "udp.dstport", "vxlan.vni")
    return "+".join(key for key in keys if len({each[key].raw for each in taken}) > 1)


def _ping(output: str) -> str:
    """Return how one ping ended, from what it printed."""
    if "local error" in output or "message too long" in output.lower():
        return "own kernel"
    for words, code in (("Frag needed", "gateway"), ("Unreachable", "unreachable"), ("bytes from", "answers")):
        if words in output:
            return code
    return "silence"


def too_big_a_ping() -> str:
    """Return what the recorded `ping -M do -s 1423` said."""
    pings = recording("mtu-1450").output("ping").split("PING ")
    return _ping(next(text for text in pings if " 1423(" in text.partition("\n")[0]))


def black_hole() -> str:
    """Return which of ping, TCP handshake and download work where the ICMP error is filtered, joined by "+"."""
    rec = recording("tcp-icmp-filtered")
    answered = rec.capture("podA:eth0").filter("tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)")
    received = int(rec.output("http-result").split("bytes=")[1].split()[0])
    works = {
        "ping": _ping(rec.output("ping")) == "answers", "handshake": len(answered) > 0, "download": received > 0,
    }  # fmt: skip
    return "+".join(name for name, works_so in works.items() if works_so)


def lost_fdb_row() -> str:
    """Return what becomes of a ping whose node lacks the FDB row."""
    rec = recording("missing-fdb")
    if rec.capture("podB:eth0").filter("icmp[0] == 8").frames:
        return "arrives"
    if rec.capture("node1:eth0").filter("icmp[0] == 8 or udp port 8472").frames:
        return "leaves the node"
    return _ping(rec.output("ping"))


ORACLES: Mapping[str, Callable[[], str]] = {
    function.__name__: cache(function)
    for function in (ttls, inner_mac, more_fdb_rows, varying_field, too_big_a_ping, black_hole, lost_fdb_row)
}
