"""Whether failed writes alone emptied an output: then a chunk may still be in flight, unseen.

At a retry limit Fluentd clears the queue, and from then on counts nothing for a chunk that another
thread still writes (fluent-plugin-prometheus 2.2.1 with Fluentd 1.19.3, measured).
"""

import math
from collections.abc import Mapping
from itertools import pairwise

from lifecycle.decisions.evidence import BUFFER_METRICS, NUM_ERRORS, WRITE_COUNT, Evidence


def how_cleared(evidence: Evidence) -> str | None:
    """Say which output became empty although no write that was begun meanwhile succeeded.

    None if there is none. ``write_count`` counts writes as they begin, so a write that began
    earlier may also have emptied it: that cannot be told apart.
    """
    for total in evidence.of(BUFFER_METRICS[0]):
        errors, writes = evidence.beside(total, NUM_ERRORS), evidence.beside(total, WRITE_COUNT)
        for (before, held), (after, left) in pairwise(total.samples):
            failed = _rise(errors, before, after)
            begun = _rise(writes, before, after)
            if held != 0 and left == 0 and failed > 0 and not begun > failed:
                return (
                    f"{total} went from {held:g} to 0 while num_errors rose by {failed:g} and "
                    f"write_count by {begun:g}: the queue may have been cleared at a retry limit, "
                    "with a chunk still being written; or a write begun earlier succeeded"
                )
    return None


def _rise(counts: Mapping[float, float], before: float, after: float) -> float:
    """By how much a counter rose between two scrapes; not a number if one of them lacks it."""
    return counts.get(after, math.nan) - counts.get(before, math.nan)
