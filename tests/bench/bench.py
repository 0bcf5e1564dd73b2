"""Speed and memory, as ratios against what one would use instead: `make bench`, or `make bench SUBJECTS=bgp`.

No part of the tests: tables to look at before and after a change.
"""

from __future__ import annotations

import sys

from tests.bench import bgp, lab, notebooks, packets, views

SUBJECTS = {"packets": packets.main, "bgp": bgp.main, "notebooks": notebooks.main, "lab": lab.main, "views": views.main}


def main(subjects: list[str]) -> None:
    """Measure the subjects that are named, or all."""
    unknown = [subject for subject in subjects if subject not in SUBJECTS]
    if unknown:
        sys.exit(f"There is no subject {unknown[0]}; there are {', '.join(SUBJECTS)}.")
    for subject in subjects or SUBJECTS:
        SUBJECTS[subject]()


if __name__ == "__main__":
    main(sys.argv[1:])
