"""What happens, in words that fit a line. Pure."""

from sandbox.demo.model import JournalEntry, Notification

# The entries of the journal that are worth a line; heartbeats would hide them.
_SENTENCES: dict[str, str] = {
    "launched": "launched",
    "pending_wait": "waits in Pending:Wait",
    "in_service": "is in service",
    "terminating_wait": "waits in Terminating:Wait",
    "registered": "is registered in Cloud Map",
    "deregistered": "is out of Cloud Map",
    "completed": "lifecycle action completed",
    "expired": "lifecycle action EXPIRED",
    "retained": "is retained",
    "terminated": "is terminated",
    "operation_failed": "Cloud Map operation failed",
    "command_sent": "gets the flush command",
    "command_ended": "flush command ended",
}


def told(entry: JournalEntry) -> str | None:
    """A journal entry as a sentence; None: not worth one."""
    text = _SENTENCES.get(entry.event)
    if text is None:
        return None
    result = entry.details.get("status_details" if entry.event == "command_ended" else "result")
    return f"{entry.instance_id} {text}" + (f" ({result})" if result else "")


def announced(notification: Notification) -> str:
    """A notification as a sentence."""
    return f"SNS notified the operator: {notification.alarm} is {notification.state}"


def clock(seconds: float) -> str:
    """Minutes and seconds since the start."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"
