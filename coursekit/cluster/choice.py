"""Choose by constraint: which modes remain, and which constraint ruled each other one out.

Answers go in, reasons come out. A reason is *computed*, by trying the mode on a bundled cluster (one subnet, or two
racks with a router between) and by what it needs of a firewall, or *documented*, in data/choice/documented.toml.
No mode is called best: what remains is listed with what it needs and costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from coursekit.cluster.firewall import Allow
from coursekit.cluster.journey import ping
from coursekit.cluster.model import load
from coursekit.cluster.modes import MODES, ONE_SUBNET, ROUTED, Mode, Trial
from coursekit.cluster.network import network
from coursekit.cluster.wireguard import Encrypted
from coursekit.errors import CourseError, given, suggestion
from coursekit.keys import FREE, check_keys, load_toml
from coursekit.packets.encapsulation import PROTOCOL_IPIP, PROTOCOL_UDP, encapsulate
from coursekit.paths import data_dir

YES, NO, UNSURE = "yes", "no", "not sure"
UNDOCUMENTED = "not documented"
_ASKS_SOURCES = {"cloud"}  # questions that nothing can be computed for: a mode without a source is not documented there
IPV6_NODES = "ipv6-underlay"  # the bundled cluster whose nodes have no IPv4 address
SEPARATOR = "; "  # between the sources of one reason
_MARK = b"can anybody read this on the way?"


@dataclass(frozen=True)
class Question:
    """A question about the network or the cluster, and the answers it takes."""

    key: str
    text: str
    answers: tuple[str, ...] = (YES, NO, UNSURE)

    @property
    def short(self) -> str:
        """The question in two words: "one subnet"."""
        return self.key.replace("_", " ").replace("ipv6", "IPv6").replace("udp", "UDP").replace("mtu", "MTU")


QUESTIONS: Mapping[str, Question] = {
    q.key: q
    for q in (
        Question("one_subnet", "Do all nodes share one layer 2 subnet?"),
        Question("routers", "Will the routers take routes to pod blocks?", ("by BGP", "static only", NO, UNSURE)),
        Question("pod_addresses", "May pods' addresses pass between nodes?"),
        Question("protocol_4", "May IP protocol 4 pass between nodes?"),
        Question("udp", "May UDP to the VXLAN port pass between nodes?"),
        Question("cloud", "In which cloud?", ("none", "AWS", "Azure", "Google Cloud")),
        Question("full_mtu", "Do pods need the nodes' full MTU?", (YES, NO)),
        Question("reachable", "Must outsiders reach pods by their addresses?", (YES, NO)),
        Question("pods_ipv6", "Do pods need IPv6?", (YES, NO)),
        Question("nodes_ipv6", "Do nodes have IPv6 addresses only?", (YES, NO)),
        Question("encryption", "Must packets be encrypted between nodes?", (YES, NO)),
        Question("multicast", "Do pods send each other multicast?", (YES, NO)),
        Question("windows", "Are there Windows nodes?", (YES, NO)),
        Question("nodes", "How many nodes?", ("up to 100", "more than 100")),
    )
}


@dataclass(frozen=True)
class Reason:
    """Why an answer rules a mode out ("out"), what is to be done or settled first ("first"), or who says it works."""

    question: str
    effect: Literal["out", "first", "works"]
    sentence: str
    evidence: str  # computed, documented, or UNDOCUMENTED
    source: str

    def __str__(self) -> str:
        return f"{QUESTIONS[self.question].short}: {self.sentence} ({self.evidence})"


@dataclass(frozen=True)
class Verdict:
    """What the answers mean for one mode: `out`, `first`, `works` are reasons, `needs` is what firewalls must pass."""

    mode: Mode
    out: tuple[Reason, ...]
    first: tuple[Reason, ...]
    works: tuple[Reason, ...]
    needs: tuple[Allow, ...]
    lost_mtu: int  # bytes that pods may send less than nodes

    @property
    def openings(self) -> tuple[str, ...]:
        """What a firewall must pass, in words: "UDP 4789", "any protocol of pods"."""
        return tuple(dict.fromkeys(need.name + (" of pods" if need.pods else "") for need in self.needs))

    @property
    def remains(self) -> bool:
        """Whether no answer rules the mode out."""
        return not self.out


@dataclass(frozen=True)
class Choice:
    """The verdicts on all modes, for the answers given (question key to answer)."""

    answers: Mapping[str, str]
    verdicts: tuple[Verdict, ...]

    @property
    def remaining(self) -> tuple[str, ...]:
        """Names of the modes that nothing rules out."""
        return tuple(v.mode.name for v in self.verdicts if v.remains)

    @property
    def unconditional(self) -> tuple[str, ...]:
        """Names of the modes that nothing rules out, and before which nothing is to be done or settled."""
        return tuple(v.mode.name for v in self.verdicts if v.remains and not v.first)

    def __getitem__(self, name: str) -> Verdict:
        for verdict in self.verdicts:
            if verdict.mode.name == name:
                return verdict
        raise CourseError(f"There is no mode {name!r}{suggestion(str(name), MODES)}; there are {', '.join(MODES)}.")

    def ruled_out_by(self, question: str) -> tuple[str, ...]:
        """Names of the modes that the answer to one question rules out; CourseError if there is no such question."""
        if question not in QUESTIONS:
            near = suggestion(str(question), QUESTIONS)
            raise CourseError(f"There is no question {given(question)}{near}; there are {', '.join(QUESTIONS)}.")
        return tuple(v.mode.name for v in self.verdicts if any(r.question == question for r in v.out))


def choose(answers: Mapping[str, str] | None = None, **more: str) -> Choice:
    """Return the verdict on every mode; questions without an answer rule nothing out.

    `choose(one_subnet="no", protocol_4="no")`. CourseError for a question or answer that does not exist.
    """
    given = {**(answers or {}), **more}
    for key, answer in given.items():
        if key not in QUESTIONS:
            raise CourseError(f"There is no question {key!r}{suggestion(str(key), QUESTIONS)}; there are "
                              f"{', '.join(QUESTIONS)}.")  # fmt: skip
        if answer not in QUESTIONS[key].answers:
            raise CourseError(f"{key}: {answer!r} was given; “{QUESTIONS[key].text}” takes "
                              f"{', '.join(map(repr, QUESTIONS[key].answers))}.")  # fmt: skip
    ordered = {key: given[key] for key in QUESTIONS if key in given}
    return Choice(ordered, tuple(_verdict(m, ordered) for m in MODES.values()))


def _verdict(mode: Mode, answers: Mapping[str, str]) -> Verdict:
    encrypted = answers.get("encryption") == YES and mode.program == "Calico"
    tried = _tried(mode.name, ONE_SUBNET if answers.get("one_subnet") == YES else ROUTED, encrypted)
    reasons = [
        r for key, answer in answers.items() for r in (*_computed(key, answer, tried), *_documented(key, answer, tried))
    ]
    out, first, works = (tuple(r for r in reasons if r.effect == effect) for effect in ("out", "first", "works"))
    return Verdict(mode, out, first, works, tried.needs, tried.lost_mtu)


@cache
def _tried(name: str, cluster: str, encrypted: bool = False) -> Trial:
    return (Encrypted if encrypted else Trial)(MODES[name], MODES[name].on(load(cluster)))


def _computed(key: str, answer: str, tried: Trial) -> Iterator[Reason]:
    """Yield what trying the mode says about an answer."""
    effect = {NO: "out", "static only": "out", UNSURE: "first", YES: "out"}.get(answer)
    for sentence in _RULES[key](tried, answer) if key in _RULES and effect else ():
        where = IPV6_NODES if key == "nodes_ipv6" else tried.cluster.name
        yield Reason(key, effect, sentence, "computed", f"data/clusters/{where}.toml")  # type: ignore[arg-type]


def _across_a_router(tried: Trial, answer: str) -> Iterator[str]:
    lost = tried.failed
    if lost:
        yield f"between subnets a pod's packet leaves as it is, and dies: {lost.round_trip.reason.split(';')[0]}"


def _routers(tried: Trial, answer: str) -> Iterator[str]:
    rows = tried.router_rows
    if answer != "static only" and rows:
        yield f"every router needs a route to each block of pods, here {len(rows)}"
    elif any(row.protocol == "bird" for row in rows):
        yield "the routers have to speak BGP with the nodes"


def _pods_addresses(tried: Trial, answer: str) -> Iterator[str]:
    if answer != YES and any(need.pods for need in tried.needs):
        yield "packets carry pods' addresses between nodes; a check of source or destination drops them"


def _passes(protocol: int) -> Callable[[Trial, str], Iterator[str]]:
    def rule(tried: Trial, answer: str) -> Iterator[str]:
        need = next((n for n in tried.needs if n.protocol == protocol), None)
        if need and answer != YES:
            yield f"it needs {need.name} from node to node"

    return rule


def _full_mtu(tried: Trial, answer: str) -> Iterator[str]:
    if answer == YES and tried.lost_mtu:
        yield f"the envelope takes {tried.lost_mtu} bytes from every pod's MTU"


def _reachable(tried: Trial, answer: str) -> Iterator[str]:
    if answer == YES and not tried.router_rows:
        yield "the router has no route to any pod"


def _pods_ipv6(tried: Trial, answer: str) -> Iterator[str]:
    packet = bytes.fromhex("6000000000003b40") + bytes(32)  # IPv6, nothing behind it
    if answer == YES:
        try:
            encapsulate(
                packet, tried.cluster.profile.encapsulation, src="192.0.2.1", dst="192.0.2.2", ip_id=1, sport=40000,
                inner_eth_src="02:00:00:00:00:01", inner_eth_dst="02:00:00:00:00:02",
            )  # fmt: skip
        except CourseError as error:
            yield str(error).partition(";")[0].rstrip(".")


def _nodes_ipv6(tried: Trial, answer: str) -> Iterator[str]:
    if answer == YES:
        try:
            lost = _tried(tried.mode.name, IPV6_NODES).failed
        except CourseError as error:
            yield str(error).split(": ", 2)[-1].rstrip(".")
        else:
            if lost:
                yield lost.round_trip.reason


def _readable(tried: Trial, answer: str) -> Iterator[str]:
    if answer == YES and tried.mode.program == "route table":  # the others have a remedy, which is documented
        built = network(tried.cluster)
        source, target = tried.cluster.pods[0], tried.cluster.pods[-1]
        seen = ping(built, source.name, target.name, payload=_MARK).frames_at(f"{source.node}:eth0")
        if any(_MARK in frame for frame in seen):
            yield "what a pod sends can be read on the wire, and nothing here can change that"


_RULES: Mapping[str, Callable[[Trial, str], Iterator[str]]] = {
    "one_subnet": _across_a_router,
    "routers": _routers,
    "pod_addresses": _pods_addresses,
    "protocol_4": _passes(PROTOCOL_IPIP),
    "udp": _passes(PROTOCOL_UDP),
    "full_mtu": _full_mtu,
    "reachable": _reachable,
    "pods_ipv6": _pods_ipv6,
    "nodes_ipv6": _nodes_ipv6,
    "encryption": _readable,
}


TRAITS: Mapping[str, Callable[[Trial], object]] = {  # what a documented rule may ask about a mode
    "program": lambda tried: tried.mode.program,
    "kind": lambda tried: tried.cluster.profile.kind,
    "direct": lambda tried: tried.cluster.profile.direct,
    "pods": lambda tried: any(need.pods for need in tried.needs),
    "sends_ipip": lambda tried: any(need.protocol == PROTOCOL_IPIP for need in tried.needs),
    "peering": lambda tried: tried.cluster.profile.bgp if tried.cluster.profile.learns_by_bgp else "",
}


def _documented(key: str, answer: str, tried: Trial) -> Iterator[Reason]:
    """Yield what projects and vendors say about an answer, or that nobody is known to say anything."""
    data = documented()
    said = False
    for rule in data["rules"]:
        asked = {trait: _listed(want) for trait, want in rule["mode"].items() if trait not in FREE}
        fits = all(TRAITS[trait](tried) in wanted for trait, wanted in asked.items())
        if fits and (rule["question"], rule["answer"]) == (key, answer):
            said |= bool(asked)  # a rule for all modes says nothing of this one
            source = SEPARATOR.join(data["sources"][name] for name in _listed(rule["source"]))
            yield Reason(key, rule["effect"], rule["sentence"], "documented", source)
    if not said and key in _ASKS_SOURCES and answer != QUESTIONS[key].answers[0]:
        yield Reason(key, "first", "no source says whether it works", UNDOCUMENTED, "none")


def _listed(want: Any) -> list[Any]:
    return want if isinstance(want, list) else [want]


@cache
def documented() -> dict[str, Any]:
    """Return data/choice/documented.toml: `sources`, and `rules` and `own` (what clouds bring), which name them."""
    return read_documented((data_dir() / "choice" / "documented.toml").read_text(encoding="utf-8"))


def read_documented(text: str, source: str = "documented.toml") -> dict[str, Any]:
    """Return `sources`, `rules` and `own` of a TOML text; CourseError for a key or a trait that there is not."""
    data = load_toml(text, source)
    check_keys(data, ("sources", "rules", "own"), source)
    for number, own in enumerate(data["own"]):
        check_keys(own, ("cloud", "sentence", "source"), f"{source}: own[{number}]")
    for number, rule in enumerate(data["rules"]):
        where = f"{source}: rules[{number}]"
        check_keys(rule, ("question", "answer", "mode", "effect", "sentence", "source"), where)
        check_keys(rule["mode"], TRAITS, f"{where}.mode")
    return data
