"""The judges by the name that data/exercises/*.toml uses."""

from __future__ import annotations

from collections.abc import Mapping

from coursekit.exercises.judge import Judge
from coursekit.exercises.vni import Vni

JUDGES: Mapping[str, Judge] = {
    "vni": Vni(),
}
