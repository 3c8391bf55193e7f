"""Makes an instance's Fluentd flush, and waits until nothing is left on its disk.

A signal is one-shot: Fluentd ignores it for an output that is in retry back-off, and records that
come in later are staged again. So every receive of a message signals and looks anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.flush import FlushState, FlushVerdict
from lifecycle.errors import NotReady, Permanent
from lifecycle.flows.commands import Commands
from lifecycle.flows.release import Exit
from lifecycle.messages import FlushCheck
from lifecycle.settings import FlushWaiterSettings
from lifecycle.telemetry import LogEvent, Runtime

# Fluentd tries again at the time that it names, not before.
_AFTER_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class FlushWaiter:
    """Everything the flush waiter touches."""

    settings: FlushWaiterSettings
    exit: Exit
    run_command: RunCommand
    runtime: Runtime

    def begin(self, messages: Sequence[FlushCheck]) -> Callable[[FlushCheck], None]:
        """Flush all instances of the batch that forwarders have stopped sending to, all at once."""
        now = self.runtime.clock()
        due = {
            message.action.instance_id for message in messages if self._settled_at(message) <= now
        }
        commands = Commands(
            self.run_command,
            self.settings.flush_command_timeout_seconds,
            LogEvent.FLUSH_REQUESTED,
            self.runtime,
        )
        verdicts = commands.run(sorted(due))

        def check(message: FlushCheck) -> None:
            verdict = verdicts.get(message.action.instance_id)
            # A second message of the same instance may not be due though the first one is.
            if verdict is None or self._settled_at(message) > now:
                raise NotReady(
                    "forwarders may still send: a flush now would miss what comes in later",
                    not_before=self._settled_at(message),
                )
            self._act_on(message, verdict)

        return check

    def still_waited_for(self, message: FlushCheck) -> bool:
        """Tell whether to keep asking without an active hook, as ``Exit`` does."""
        return self.exit.still_waited_for(message)

    def _settled_at(self, message: FlushCheck) -> float:
        return message.deregistered_at + self.settings.settle_seconds

    def _act_on(self, message: FlushCheck, verdict: FlushVerdict) -> None:
        """Pass a flushed instance on; raise for any other."""
        not_before = self._not_before(verdict)
        self._log_verdict(message, verdict, not_before)
        if verdict.state is FlushState.FLUSHED:
            self.exit.leave(message)
        elif verdict.state is FlushState.SET_ASIDE:
            raise Permanent(verdict.detail)
        else:
            raise NotReady(
                f"{verdict.state} ({verdict.reason}): {verdict.detail}",
                not_before=not_before,
            )

    def _not_before(self, verdict: FlushVerdict) -> float | None:
        if verdict.retry_next_at is None:
            return None
        # Fluentd may try again every second; each look is a command.
        interval_is_over = self.runtime.clock() + self.settings.poll_interval_seconds
        return max(verdict.retry_next_at + _AFTER_RETRY_SECONDS, interval_is_over)

    def _log_verdict(
        self, message: FlushCheck, verdict: FlushVerdict, not_before: float | None
    ) -> None:
        self.runtime.telemetry.info(
            LogEvent.FLUSH_VERDICT,
            **message.action.log_fields(),
            verdict=verdict.state,
            reason=verdict.reason,
            detail=verdict.detail,
            chunks=verdict.chunks,
            bytes=verdict.bytes,
            set_aside=verdict.set_aside,
            retry_next_at=verdict.retry_next_at,
            not_before=not_before,
        )
