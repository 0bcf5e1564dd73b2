"""The keys of a scenario file, level by level, and those that would ask for what the simulator does not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coursekit.bgp.closed_forms import COUNTS, FAMILIES
from coursekit.bgp.profiles import PROFILES
from coursekit.bgp.scenario import ACTIONS, OPTIONAL
from coursekit.keys import check_keys

FILE = ("cases", "parametric", "schema_version")
CASE = ("id", "title", "requires", "routers", "lans", "links", "sessions", "originate", "steps", "observed")
FORM = ("id", "title", *COUNTS, "updates_echo_profile", "check_n")  # of `parametric`
ANNOUNCED = ("origin", "med", "communities")
EXPECTED = ("rib", "rib_any_of", "rib_override", "fib", "sessions", "updates",
            *(f"updates_{profile}" for profile in PROFILES), "converges", "stale_during",
            "max_as_path_len_accepted")  # fmt: skip
ITEMS: Mapping[str, tuple[str, ...]] = {  # of the objects in each list of a case
    "routers": ("name", "asn", "router_id", "cluster_id", "max_paths"),
    "lans": ("id", "prefix_len", "members", "igp", "cost"),
    "links": ("id", "a", "b", "a_addr", "b_addr", "prefix_len", "igp", "cost"),
    "sessions": ("id", "a", "b", "a_addr", "b_addr", "a_opts", "b_opts"),
    "originate": ("router", "prefix", *ANNOUNCED),
    "steps": ("name", "actions", *EXPECTED),
}
ROUTE = ("from", "as_path", "next_hop", "next_hop_any_of", "local_pref", "med", "origin", "originator_id",
         "cluster_list", "decided_by", "candidates", "multipath_from")  # fmt: skip
ACTION: Mapping[str, tuple[str, ...]] = {
    op: ("op", *needs, *OPTIONAL.get(op, ()), "at", *(ANNOUNCED if op == "originate" else ()))
    for op, needs in ACTIONS.items()
}

_CONFEDERATIONS = "the simulator does no confederations (RFC 5065): each router has one AS"
_AGGREGATION = "the simulator does no aggregation (RFC 4271 §9.2.2.2): a prefix travels as it was announced"
_VALIDATION = "the simulator does no origin validation (RFC 6811): it knows no ROAs"
_MED = "the simulator compares MED only between paths from one neighbouring AS (RFC 4271 §9.1.2.2)"
_POLICY = "the simulator has no filters or route policies but the options of a session"
_TIMERS = "the simulator does not set timers: a message takes one tick"
MISSING: Mapping[str, str] = {
    **dict.fromkeys(("confederation", "confederations", "confederation_id", "confederation_peers",
                     "confederation_members", "member_as", "sub_as"), _CONFEDERATIONS),
    **dict.fromkeys(("aggregate", "aggregates", "aggregate_address", "aggregation", "summary_only"), _AGGREGATION),
    **dict.fromkeys(("roa", "roas", "rpki", "rov", "origin_validation"), _VALIDATION),
    **dict.fromkeys(("always_compare_med", "bestpath_med"), _MED),
    **dict.fromkeys(("route_map", "route_maps", "prefix_list", "filter", "filters", "policy", "policies", "import",
                     "export"), _POLICY),
    **dict.fromkeys(("hold_time", "keepalive", "mrai", "timers", "advertisement_interval"), _TIMERS),
    **dict.fromkeys(("damping", "dampening"), "the simulator does no route flap damping (RFC 2439)"),
    "weight": "the simulator has no weight: it is no attribute of BGP, but of single vendors",
    "local_as": "the simulator has no local AS: a router speaks for its own",
}  # fmt: skip


def check_form(form: Mapping[str, Any]) -> None:
    """Refuse a closed form with an unknown key; one of another family than FAMILIES is skipped, whatever is in it."""
    if "id" not in form or str(form["id"]) in FAMILIES:
        check_keys(form, FORM, f"The closed form {form.get('id', '')}".rstrip(), MISSING)
