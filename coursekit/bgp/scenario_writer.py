"""Writing a scenario as a case of a file, in the form that `scenario_file` reads."""

from __future__ import annotations

from typing import Any

from coursekit.bgp.route import Attributes
from coursekit.bgp.scenario import Scenario
from coursekit.bgp.session import Options


def written(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as a case of a file: what `parse` reads back as the same."""

    def options(given: Options) -> dict[str, Any]:
        return {key: value for key, value in given._asdict().items() if value != Options._field_defaults[key]}

    def announced(given: Attributes) -> dict[str, Any]:
        return {"origin": given.origin, "med": given.med, "communities": list(given.communities)}

    case: dict[str, Any] = {
        "id": scenario.id, "title": scenario.title, "requires": list(scenario.requires),
        "routers": [vars(router) for router in scenario.routers],
        "lans": [{"id": s.name, "prefix_len": s.prefix_len, "igp": s.igp, "cost": s.cost, "members": dict(s.members)}
                 for s in scenario.subnets if s.lan],
        "links": [dict(zip(("a", "b", "a_addr", "b_addr"), (*s.members, *s.members.values()), strict=True))
                  | {"id": s.name, "prefix_len": s.prefix_len, "igp": s.igp, "cost": s.cost}
                  for s in scenario.subnets if not s.lan],
        "sessions": [session._asdict() | {"a_opts": options(session.a_opts), "b_opts": options(session.b_opts)}
                     for session in scenario.sessions],
        "originate": [{"router": o.router, "prefix": o.prefix} | announced(o.attributes) for o in scenario.originate],
        "steps": [dict(step.expect) | {"name": step.name, "actions": [
            {key: value for key, value in action.items() if key != "attributes"} | (
                announced(action["attributes"]) if "attributes" in action else {}) for action in step.actions]}
                  for step in scenario.steps],
    }  # fmt: skip
    return case
