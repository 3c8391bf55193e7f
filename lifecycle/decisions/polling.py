"""When a waiter polls again, and when a stage times out."""

import math
from dataclasses import dataclass

# Polls send the heartbeats: half of a hook's timeout without one must not pass unseen.
LONGEST_PAUSE_SECONDS = 600.0
POLLS_IN_A_HOOK = 6


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How long to wait: between two polls, and in all since the message arrived (seconds)."""

    interval_seconds: float
    longest_interval_seconds: float
    timeout_seconds: float

    def pause_seconds(self, not_before: float | None, now: float) -> float:
        """Return the pause until the earliest time at which the answer could be yes, in bounds.

        ``not_before`` (epoch seconds) is None when nothing is known about that time.
        """
        if not_before is None:
            return self.interval_seconds
        return min(self.longest_interval_seconds, max(self.interval_seconds, not_before - now))

    def bounded(self, pause_seconds: float | None, deadline: float, now: float) -> float:
        """Return a pause within bounds that does not pass the deadline (epoch seconds).

        Whole seconds, as SQS counts: the poll comes within a second after the deadline.
        """
        pause = self.interval_seconds if pause_seconds is None else pause_seconds
        return max(1, min(pause, self.longest_interval_seconds, math.ceil(deadline - now)))

    def deadline(self, sent_at: float) -> float:
        """Return when a message that was sent then (epoch seconds) has waited long enough."""
        return sent_at + self.timeout_seconds

    def has_timed_out(self, sent_at: float, now: float) -> bool:
        """Tell whether a message that was sent then (epoch seconds) has waited too long."""
        return now > self.deadline(sent_at)


def longest_interval(wanted_seconds: float, *heartbeat_timeouts: float) -> float:
    """Return the longest pause between two polls that these hooks allow (seconds)."""
    shortest = min(heartbeat_timeouts)
    return min(wanted_seconds, LONGEST_PAUSE_SECONDS, shortest / POLLS_IN_A_HOOK)
