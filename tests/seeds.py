"""How much of what is drawn at random is run: a sample, everything, or other seeds. COURSEKIT_SEEDS is read here alone.

`sample`, which holds if nothing is said, is fixed and the same every day; `all` is what `make test-all` runs;
`4100:4200` are seeds that nobody has run yet, for whatever is drawn from a seed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

WANTED = os.environ.get("COURSEKIT_SEEDS") or "sample"
if not re.fullmatch(r"sample|all|\d+:\d+", WANTED):
    raise SystemExit(f"COURSEKIT_SEEDS is {WANTED!r}; sample, all, or a range such as 4100:4200 was expected.")
ALL = WANTED == "all"
OTHERS = range(*map(int, WANTED.split(":"))) if ":" in WANTED else range(0)


def seeds(every: Sequence[int], sample: Sequence[int]) -> Sequence[int]:
    """Return the seeds to run, of all that there are and of those that a sample holds."""
    return OTHERS or (every if ALL else sample)


def examples(every: int, sample: int = 0) -> int:
    """Return how often to draw; a sample is a fifth, unless another number is given."""
    return every if ALL else sample or max(1, every // 5)
