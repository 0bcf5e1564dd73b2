"""A take: a scenario run once in the live lab, and the files that a recording of it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.lab.captures import write
from coursekit.lab.frames import Captured
from coursekit.lab.live import Lab
from coursekit.lab.recorder.daemons import Daemons
from coursekit.lab.recorder.scenario import Scenario, Step

_GET = re.compile(r"GET (?P<path>\S+)(?: \((?P<size>\d+)-byte body\))? from (?P<address>[\d.]+):80"
                  r"(?:, (?P<seconds>\d+) s)?(?: \(socat\))?")  # fmt: skip
_DATAGRAMS = re.compile(r"for p in (\d+)\.\.(\d+): one UDP datagram from port p to (\S+):(\d+)")
# One HTTP reply on stdout; the body is `size` times "x", or a small JSON text.
_REPLY = """while IFS= read -r line; do [ "$line" = "$(printf '\\r')" ] && break; done
if [ -n "$1" ]; then body=$(head -c "$1" /dev/zero | tr '\\0' 'x')
else body='{"pod":"pod-b","path":"/api","hello":"from ADDRESS"}'; fi
printf 'HTTP/1.1 200 OK\\r\\nServer: pod-b\\r\\nContent-Type: application/json\\r\\n'"Content-Length: ${#body}"\\
'\\r\\nConnection: close\\r\\n\\r\\n%s' "$body"
"""
_ASK = "printf 'GET {path} HTTP/1.1\\r\\nHost: {address}\\r\\nUser-Agent: pod-a\\r\\nConnection: close\\r\\n\\r\\n'" \
       " | timeout {seconds} socat -t {patience} - TCP:{address}:80"  # fmt: skip
_JSON = {"link": "ip -j -d link", "addr": "ip -j addr", "route": "ip -j -d route",
         "route_local": "ip -j -d route show table local", "neigh": "ip -j neigh",
         "fdb": "bridge -j fdb"}  # fmt: skip
_TEXT = ("ip -d link", "ip addr", "ip route", "ip route show table local", "ip neigh", "bridge fdb")


@dataclass(frozen=True)
class Take:
    """The files of a recording, provenance aside, and what made them."""

    files: dict[str, bytes]
    userspace_ipip: bool
    kernel: str = ""  # "" this machine's


def take(scenario: Scenario, room: Path, started_by: Sequence[str] = ()) -> Take:
    """Run a scenario in network namespaces; `room` is a folder for captures on their way, `started_by` as in `Lab`.

    Raises CourseError where the lab cannot run, a program is missing, or a step does not fit.
    """
    routes = "left" if scenario.bgp else "typed" if scenario.kernel else "learned"
    with Lab(scenario.made(), routes=routes, started_by=started_by) as net:
        for fault in scenario.broken():
            net.break_(fault)
        if scenario.offload:
            _offload(net)
        for step in scenario.typed("prepare"):
            _must(net, step.host, step.command)
        hosts = list(net.network().hosts)
        with net.capture() as captured:
            files = _typed(net, scenario, hosts)
        kept = [frame for frame in captured.everything if frame.point in scenario.points]
        kept = [frame for frame in kept if scenario.bgp or not _is_bgp(frame)]
        files |= {path.name: path.read_bytes() for path in write(kept, scenario.points, room).values()}
        if scenario.state and not scenario.bgp:
            files["state.json"] = _state(net, hosts)
        if scenario.state_text:
            files["state.txt"] = "".join(_state_text(net, hosts)).encode()
        return Take(files, net.userspace_ipip)


def _typed(net: Lab, scenario: Scenario, hosts: list[str]) -> dict[str, bytes]:
    """Do the steps, with BIRDs where the scenario has them; return the outputs, and tables as BGP made them."""
    outputs: dict[str, str] = {}
    states: dict[str, bytes] = {}
    birds = Daemons(net, scenario.name) if scenario.bgp else None
    if birds is not None:
        outputs |= {**birds.configurations(), **dict(birds.outputs())}
        states["state.json"] = _state(net, hosts)
    for step in scenario.typed():
        if birds is not None and step.command == "birdc down":
            birds.ask(step.host, "down")
            birds.rest()
            moment = f"-2-{step.host}-stopped"
            outputs |= {step.output: birds.shown("node1")} if step.output else {}
            states[f"state{moment}.json"] = _state(net, hosts, ("route", "neigh"))
            continue
        said = _do(net, step)
        if step.output:
            outputs[step.output] = outputs.get(step.output, "") + said
    return {**{f"{name}.txt": text.encode() for name, text in outputs.items()}, **states}


def _is_bgp(frame: Captured) -> bool:
    """Whether a frame belongs to the BGP session of the lab's own BIRDs, which the scenarios are not about."""
    packet = frame.packet
    return packet is not None and packet.protocol == 6 and packet.ports is not None and 179 in packet.ports


def _must(net: Lab, host: str, command: str) -> str:
    done = net.exec(host, command)
    if done.status:
        raise CourseError(f"{host}: {command!r} ended with status {done.status}: {done.text.strip()}.")
    return done.text


def _do(net: Lab, step: Step) -> str:
    """Do a step and return what goes into its output."""
    if asked := _GET.fullmatch(step.command):
        return _get(net, step, asked)
    if sent := _DATAGRAMS.fullmatch(step.command):
        first, last, address, port = sent.groups()
        one = f"echo hi | socat -u - UDP:{address}:{port},sourceport=$p 2>/dev/null"
        net.exec(step.host, f"for p in $(seq {first} {last}); do {one}; done")
        return ""
    done = net.exec(step.host, step.command, 60)
    return done.text


def _get(net: Lab, step: Step, asked: re.Match[str]) -> str:
    address, size = asked["address"], asked["size"] or ""
    owner = next(pod.name for pod in net.cluster.pods if str(pod.address) == address)
    serve = (
        f"cat > /run/reply-{owner} <<'END'\n{_REPLY.replace('ADDRESS', address)}END\n"
        f"socat -t 20 TCP-LISTEN:80,reuseaddr,fork EXEC:'sh /run/reply-{owner} {size}' >/dev/null 2>&1 </dev/null &\n"
        "for i in $(seq 100); do ss -Hltn 'sport = :80' | grep -q . && exit; sleep 0.05; done; exit 1"
    )
    _must(net, owner, serve)
    # who is to wait in vain waits 3 s for an answer; another may come from a machine with much else to do
    waiting = {"seconds": asked["seconds"], "patience": 3} if asked["seconds"] else {"seconds": 25, "patience": 20}
    said = net.exec(step.host, _ASK.format(path=asked["path"], address=address, **waiting), 30)
    _must(net, owner, "for pid in $(ss -Hltnp 'sport = :80' | grep -o 'pid=[0-9]*' | tr -dc '0-9\\n'); "
                      "do kill $pid; done")  # fmt: skip
    if step.output == "http-bytes":
        return f"{len(said.text)}\n"
    if step.output == "http-result":
        return f"rc={said.status} bytes={len(said.text)}\n"
    return said.text.replace("\r", "")


def _offload(net: Lab) -> None:
    """Let every device leave checksums and segmentation to a network card that is not there."""
    for host in net.network().hosts:
        _must(net, host, "for d in $(ip -o link | sed 's/^[0-9]*: //; s/[@:].*//'); do "
                         "ethtool -K $d tx on rx on tso on gso on gro on >/dev/null 2>&1 || true; done")  # fmt: skip


def _state(net: Lab, hosts: list[str], sections: Iterable[str] = tuple(_JSON)) -> bytes:
    """Return a state.json: what `ip -j` and `bridge -j` print on every host."""
    asked = "; echo; ".join(_JSON[section] for section in sections)
    found = {host: dict(zip(sections, _values(_must(net, host, asked)), strict=True)) for host in hosts}
    return (json.dumps(found, separators=(",", ":")) + "\n").encode()


def _values(text: str) -> Iterator[object]:
    decoder, at = json.JSONDecoder(), 0
    text = text.strip()
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        at += len(text[at:]) - len(text[at:].lstrip())


def _state_text(net: Lab, hosts: list[str]) -> Iterator[str]:
    for host in hosts:
        yield f"######## {host}\n"
        for command in _TEXT:
            yield f"# {command}\n{_must(net, host, command)}\n"
