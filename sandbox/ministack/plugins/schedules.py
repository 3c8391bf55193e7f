"""Stops EventBridge's schedules: rules are kept and shown, but none invokes its target.

A scenario or a test invokes the target itself. Otherwise the speed of the machine would decide what
the reconciler finds, and whether it finds it before the test's operator does.

Runs in MiniStack's own environment, inside its process; `entry` registers it.
"""

from ministack.services import eventbridge  # type: ignore[import-not-found] # in its own environment


def register() -> None:
    """Do not start the thread that runs the schedules."""
    eventbridge.start_scheduler = lambda: None
