"""iproute2's own language: every table read from and written as `ip` and `bridge` print it, as text and as JSON."""

from coursekit.cluster.iproute2.addresses import format_address
from coursekit.cluster.iproute2.devices import parse_addresses, parse_links
from coursekit.cluster.iproute2.links import (
    addresses_from_json,
    addresses_to_json,
    format_addresses,
    format_link,
    format_links,
    links_from_json,
    links_to_json,
)
from coursekit.cluster.iproute2.neighbours import (
    fdb_from_json,
    fdb_to_json,
    format_fdb,
    format_fdb_entry,
    format_neighbour,
    format_neighbours,
    neighbours_from_json,
    neighbours_to_json,
    parse_fdb,
    parse_neighbours,
)
from coursekit.cluster.iproute2.routes import (
    format_route,
    format_routes,
    parse_routes,
    routes_from_json,
    routes_to_json,
)
from coursekit.cluster.iproute2.state import (
    COMMANDS,
    format_state_text,
    parse_state_json,
    parse_state_text,
    state_to_json,
)

__all__ = [
    "COMMANDS",
    "addresses_from_json",
    "addresses_to_json",
    "fdb_from_json",
    "fdb_to_json",
    "format_address",
    "format_addresses",
    "format_fdb",
    "format_fdb_entry",
    "format_link",
    "format_links",
    "format_neighbour",
    "format_neighbours",
    "format_route",
    "format_routes",
    "format_state_text",
    "links_from_json",
    "links_to_json",
    "neighbours_from_json",
    "neighbours_to_json",
    "parse_addresses",
    "parse_fdb",
    "parse_links",
    "parse_neighbours",
    "parse_routes",
    "parse_state_json",
    "parse_state_text",
    "routes_from_json",
    "routes_to_json",
    "state_to_json",
]
