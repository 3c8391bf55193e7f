"""Fluentd's exponential back-off between attempts at a destination that fails."""

import random
from collections.abc import Callable
from dataclasses import dataclass

RANDOM_WIDTH = 0.125
# `retry_secondary_threshold`: this part of the time is the destination's own.
SECONDARY_THRESHOLD = 0.8


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """`retry_wait`, `retry_exponential_backoff_base` and `retry_max_interval` of a buffer section.

    Without a longest interval the wait doubles for ever, as it does in Fluentd. `retry_max_times`
    and `retry_timeout` end it; without either it goes on (`retry_forever`).
    """

    first_wait_seconds: float = 1.0
    base: float = 2.0
    longest_wait_seconds: float | None = None
    most_retries: int | None = None
    timeout_seconds: float | None = None

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
    def is_over(self) -> bool:
        """Whether a limit is reached: the next attempt is not made."""
        policy = self._policy
        if policy.most_retries is not None and self.failures > policy.most_retries:
            return True
        seconds = policy.timeout_seconds
        return seconds is not None and self.next_attempt_at >= self.started_at + seconds

    def turn_to_secondary(self, now: float) -> bool:
        """Whether the time of the `<secondary>` has come; the next attempt is not after it."""
        if self._policy.timeout_seconds is None:
            return False
        turn = self.started_at + SECONDARY_THRESHOLD * self._policy.timeout_seconds
        if now < turn:
            self.next_attempt_at = min(self.next_attempt_at, turn)
        return now >= turn

    @property
    def retry_wait(self) -> float:
        """What `fluentd_output_status_retry_wait` shows: from the first failure to the next try."""
        return self.next_attempt_at - self.started_at
