"""When a waiter polls again, and when a stage times out."""

from dataclasses import dataclass


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

    def has_timed_out(self, sent_at: float, now: float) -> bool:
        """Tell whether a message that was sent then (epoch seconds) has waited too long."""
        return now - sent_at > self.timeout_seconds
