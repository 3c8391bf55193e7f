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

    def pause_seconds(self, not_before: float | None, deadline: float, now: float) -> int:
        """Return the pause until the next poll, in whole seconds, as SQS counts.

        The poll comes within a second after ``not_before``, the earliest time at which the answer
        could be yes: never earlier, for it would buy nothing. One poll interval if that time is
        unknown (None) or past; never more than the longest interval, and within a second after the
        deadline at the latest. All times are epoch seconds.
        """
        wanted = (not_before or 0.0) - now
        if wanted <= 0:
            wanted = self.interval_seconds
        longest = math.floor(self.longest_interval_seconds)
        return max(1, min(math.ceil(wanted), longest, math.ceil(deadline - now)))

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
