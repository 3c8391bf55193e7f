"""Fluentd's exponential back-off between attempts at a destination that fails."""

import random
from collections.abc import Callable
from dataclasses import dataclass

RANDOM_WIDTH = 0.125


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """`retry_wait`, `retry_exponential_backoff_base` and `retry_max_interval` of a buffer section.

    Without a longest interval the wait doubles for ever, as it does in Fluentd.
    """

    first_wait_seconds: float = 1.0
    base: float = 2.0
    longest_wait_seconds: float | None = None

    def wait(self, failures: int) -> float:
        """The seconds to wait after so many failures in a row."""
        seconds = float(self.first_wait_seconds * self.base ** (failures - 1))
        if self.longest_wait_seconds is None:
            return seconds
        return min(seconds, self.longest_wait_seconds)


def spread(seconds: float) -> float:
    """`retry_randomize`: within an eighth of the wait, so that a fleet does not retry in step."""
    return seconds * random.uniform(1 - RANDOM_WIDTH, 1 + RANDOM_WIDTH)


class Backoff:
    """The state of one retry: from the first failure to the next success."""

    def __init__(
        self, policy: BackoffPolicy, now: float, spread: Callable[[float], float] = spread
    ) -> None:
        self._policy = policy
        self._spread = spread
        self.started_at = now
        self.failures = 0
        self.next_attempt_at = now
        self.failed(now)

    def failed(self, now: float) -> None:
        """Count a failure and put the next attempt off."""
        self.failures += 1
        self.next_attempt_at = now + self._spread(self._policy.wait(self.failures))

    @property
    def retry_wait(self) -> float:
        """What `fluentd_output_status_retry_wait` shows: from the first failure to the next try."""
        return self.next_attempt_at - self.started_at
