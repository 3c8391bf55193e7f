"""Whether a queue of Fluentd was cleared: then a chunk may still be in flight, unseen.

At a retry limit Fluentd clears the queue, and from then on counts nothing for a chunk that another
thread still writes (fluent-plugin-prometheus 2.2.1 with Fluentd 1.19.3, measured).
"""

import math
from collections.abc import Mapping
from itertools import pairwise

from lifecycle.decisions.evidence import BUFFER_METRICS, NUM_ERRORS, WRITE_COUNT, Evidence

_TOTAL, _, _QUEUE = BUFFER_METRICS


def how_cleared(evidence: Evidence) -> str | None:
    """Say which queue lost more chunks than writes took from it, where writes failed; else None.

    A write that begins takes a chunk from the queue (``write_count``), one that fails puts it back
    (``num_errors``, counted before the queue is cleared), and chunks are added: so what is missing
    beyond that was cleared. At least: a clear that hides behind as many new chunks is not seen.
    """
    for total in evidence.of(_TOTAL):
        queue = evidence.beside(total, _QUEUE)
        errors, writes = evidence.beside(total, NUM_ERRORS), evidence.beside(total, WRITE_COUNT)
        failed_before = 0.0
        for (before, held), (after, left) in pairwise(total.samples):
            failed, begun = _rise(errors, before, after), _rise(writes, before, after)
            is_accounted_for = -_rise(queue, before, after) <= begun - failed
            fell = left < held or held < 0
            if fell and (failed > 0 or failed_before > 0) and not is_accounted_for:
                return (
                    f"{total} went from {held:g} to {left:g} and its queue by "
                    f"{_rise(queue, before, after):g} chunks, while num_errors rose by {failed:g} "
                    f"and write_count by {begun:g}: the queue may have been cleared at a retry "
                    "limit, with a chunk still being written"
                )
            failed_before = failed
    return None


def _rise(counts: Mapping[float, float], before: float, after: float) -> float:
    """By how much a value rose between two scrapes; not a number if one of them lacks it."""
    return counts.get(after, math.nan) - counts.get(before, math.nan)
