"""One profile of hypothesis for all tests: no deadline, no luck.

A deadline fails on a busy machine. Without ``FUZZ_EXAMPLES`` each run sees the same examples, so
that a change fails for what it changes. ``SHRINK=0`` is for who only wants to know whether there is
a failure: its smallest form takes time.
"""

import os

from hypothesis import HealthCheck, Phase, settings

_SHRINKS = os.environ.get("SHRINK", "1") == "1"

settings.register_profile(
    "tests",
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if _SHRINKS else [])],
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")
