"""Numbers in 07, comparison and use cases."""

from __future__ import annotations

from coursekit import ENCAPSULATIONS, load_cluster, overhead
from coursekit.cluster.cards import cards
from coursekit.cluster.choice import choose
from coursekit.cluster.firewall import BGP_PORT, allows
from coursekit.cluster.modes import CALICO, MODES, grid, trial
from coursekit.packets.goodput import FCS, GAP, PREAMBLE, goodput

from .pin import Pin

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
           "thirteen", "fourteen", "fifteen")  # fmt: skip
PLAIN, VXLAN, IPIP = (ENCAPSULATIONS[name] for name in ("native", "flannel-vxlan", "calico-ipip"))


def points(payload: int | None = None) -> float:
    """Return what VXLAN costs of the line rate, in points, without TCP options."""
    plain, wrapped = (goodput(e, payload=payload, timestamps=False).share for e in (PLAIN, VXLAN))
    return 100 * (plain - wrapped)


def timestamps() -> int:
    """Return the bytes that TCP's timestamps take."""
    return goodput(PLAIN, timestamps=False).data - goodput(PLAIN).data


def plain_modes() -> list[str]:
    """Return the modes without an envelope that one subnet leaves without help from routers."""
    chosen = choose(one_subnet="yes", routers="no")
    return [name for name in chosen.remaining if not chosen[name].lost_mtu]


def without_bgp() -> tuple[str, int | None]:
    """Return the first version of Calico whose IPIP needs one opening only, and the protocol of that."""
    for version in ("3.30", "3.31", "3.32", "3.33"):
        (first, *more) = allows(load_cluster("two-racks").with_profile("calico-ipip", version=version))
        if not more:
            return version, first.protocol
    return "no version", None


def cost(encap: str) -> int:
    """Return the points, rounded, that an envelope costs full frames."""
    return round(100 * (goodput(PLAIN).share - goodput(ENCAPSULATIONS[encap]).share))


PINS: tuple[Pin, ...] = (
    Pin("07", "title", "choose for {} networks", lambda: NUMBERS[len(cards())]),
    Pin("07", "predict-goodput", "b) {} %", lambda: round(points())),
    Pin("07", "explain-goodput", "About {} points for full frames; {} for small ones",
        lambda: (NUMBERS[round(points())], NUMBERS[round(points(64))])),
    Pin("07", "explain-goodput", "{} bytes of preamble, {} of check sequence and a gap of {}",
        lambda: (PREAMBLE, FCS, GAP)),
    Pin("07", "explain-goodput", "the {} bytes of timestamps", timestamps),
    Pin("07", "explain-limits", "Every node's firewall passes UDP {}",
        lambda: next(r.port for r in allows(trial("calico-vxlan CrossSubnet").cluster) if r.protocol == 17)),
    Pin("07", "explain-openings", "Rules for UDP {} never see them",
        lambda: next(r.port for r in allows(trial("calico-vxlan CrossSubnet").cluster) if r.protocol == 17)),
    Pin("07", "explain-firewall", "TCP {} is BGP's", lambda: BGP_PORT),
    Pin("07", "explain-firewall", "computed for {}, and", lambda: CALICO),
    Pin("07", "explain-firewall", "From {} Felix writes IPIP's rows: then pods with IPIP need only protocol {},",
        without_bgp),
    Pin("07", "explain-watch", "{} is silent for flannel", lambda: ENCAPSULATIONS["calico-vxlan"].port),
    Pin("07", "exercise-claims", "VXLAN costs {} bytes", lambda: overhead(VXLAN)),
    Pin("07", "explain-axes", "of {} modes", lambda: NUMBERS[sum(map(len, grid().values()))]),
    Pin("07", "explain-first-question", "{}. Within one subnet", lambda: NUMBERS[len(plain_modes())].capitalize()),
    Pin("07", "predict-first-question", "How many of the {} modes", lambda: NUMBERS[len(MODES)]),
    Pin("07", "takeaways", "Headers cost {} to {} per cent",
        lambda: (NUMBERS[cost("calico-ipip")], NUMBERS[cost("flannel-vxlan")])),
    Pin("07", "takeaways", "TCP {} carries none", lambda: BGP_PORT),
)  # fmt: skip
