"""A header whose fields are folded: HTML's own `<details>`, which opens without JavaScript."""

from __future__ import annotations

from typing import Any

from coursekit.views.packet_data import layer_place, layer_title
from coursekit.views.twin import depth_colour, escape


def layer_head(number: int, layer: dict[str, Any], nested: bool) -> str:
    """Return the beginning of a header that is folded: its name, where it stands and what it says."""
    says = "".join(f" · {escape(layer[it])}" for it in ("summary", "source") if layer[it])
    return (
        f'<details class="ck-layer d{layer["depth"] % 4}"><summary class="h{number} ck-{layer["tint"]}" '
        f'data-lm-suppress-shortcuts=true style="border-left:6px solid {depth_colour(layer["depth"])}">'
        f"{escape(layer_title(layer, nested))} <small>{escape(layer_place(layer))}{says}</small></summary>"
    )
