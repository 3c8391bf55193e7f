"""Lets EventBridge's schedules stand still: rules are kept and shown, but none comes round.

A story says when a schedule's time has come, and invokes its target. Otherwise it would depend on
the speed of the machine what the reconciler finds, and whether it finds it before a person does.

Runs in MiniStack's own environment, inside its process; `entry` registers it.
"""

from ministack.services import eventbridge  # type: ignore[import-not-found] # in its own environment


def register() -> None:
    """Keep the thread that looks at the schedules from being started."""
    eventbridge.start_scheduler = lambda: None
