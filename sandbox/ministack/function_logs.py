"""The functions' log lines, as CloudWatch Logs holds them."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mypy_boto3_logs import CloudWatchLogsClient

# A function's lines arrive when its run ends, with the times at which they were written.
OVERLAP_MILLISECONDS = 60_000


Line = tuple[str, int, str]
"""Stream, time in milliseconds, text: MiniStack gives lines of functions no id of their own."""


@dataclass
class _Followed:
    """What is known of one log group."""

    seen: set[tuple[Line, int]] = field(default_factory=set)
    records: list[dict[str, Any]] = field(default_factory=list)
    newest: int = 0

    def add(self, line: Line, occurrence: int) -> None:
        """Keep a line unless this occurrence of it is known."""
        if (line, occurrence) in self.seen:
            return
        self.seen.add((line, occurrence))
        _, timestamp, text = line
        self.newest = max(self.newest, timestamp)
        record = _parsed(text)
        if record is not None:
            self.records.append(record)


class FunctionLogs:
    """Follows the log groups it is asked about; every call fetches only what is new."""

    def __init__(self, logs: CloudWatchLogsClient) -> None:
        self._logs = logs
        self._groups: dict[str, _Followed] = {}
        self._lock = threading.Lock()

    def records(self, function_name: str) -> list[dict[str, Any]]:
        """The JSON objects that the function wrote so far, a line each."""
        with self._lock:
            return list(self._followed(function_name).records)

    def _followed(self, function_name: str) -> _Followed:
        followed = self._groups.setdefault(function_name, _Followed())
        # Lines may arrive out of order: ask for a little more than what is newer.
        start = max(0, followed.newest - OVERLAP_MILLISECONDS)
        pages = self._logs.get_paginator("filter_log_events")
        again: Counter[Line] = Counter()
        try:
            for page in pages.paginate(
                logGroupName=f"/aws/lambda/{function_name}", startTime=start
            ):
                for event in page["events"]:
                    line = (event["logStreamName"], event["timestamp"], event["message"])
                    again[line] += 1
                    followed.add(line, again[line])
        except self._logs.exceptions.ResourceNotFoundException:
            # It has not written anything yet.
            return followed
        return followed


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
