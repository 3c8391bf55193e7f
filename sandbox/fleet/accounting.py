"""Lines sent compared with lines found in S3.

Every line carries the name of its forwarder and a number, counted from 1 without gaps, so what was
sent is one number for each forwarder, and what is missing can be named.
"""

import gzip
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.fleet.lines import parse_lines

EXAMPLES = 10
COUNT_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of the comparison."""

    sent: int
    delivered: int
    """Lines that are in S3 at least once."""
    lost: int
    """Lines that were sent and are not in S3 (or not yet: ask again when all is flushed)."""
    duplicated: int
    """Copies in S3 beyond the first."""
    damaged: int = 0
    """Lines in S3 that are not whole, or that were never sent."""
    examples: tuple[str, ...] = ()
    """The first lost lines, as `forwarder#number`."""

    @property
    def is_complete(self) -> bool:
        return self.lost == 0 and self.damaged == 0


class Tally:
    """How often each numbered line was seen."""

    def __init__(self) -> None:
        self._counts: dict[str, bytearray] = {}
        self._damaged = 0

    def add(self, content: bytes) -> None:
        for line in parse_lines(content):
            if line is None:
                self._damaged += 1
            else:
                self._count(*line)

    def compare(self, sent: Mapping[str, int]) -> Delivery:
        delivered = duplicated = 0
        damaged = self._damaged
        missing: list[str] = []
        for forwarder in sorted({*self._counts, *sent}):
            highest = sent.get(forwarder, 0)
            counts = self._counts.get(forwarder, bytearray()).ljust(highest + 1, b"\0")
            known, unknown = counts[1 : highest + 1], counts[highest + 1 :]
            missing += [f"{forwarder}#{n}" for n, count in enumerate(known, 1) if not count]
            delivered += highest - known.count(0)
            duplicated += sum(known) - (highest - known.count(0))
            damaged += sum(unknown) + counts[0]
        return Delivery(
            sent=sum(sent.values()),
            delivered=delivered,
            lost=len(missing),
            duplicated=duplicated,
            damaged=damaged,
            examples=tuple(missing[:EXAMPLES]),
        )

    def _count(self, forwarder: str, number: int) -> None:
        counts = self._counts.setdefault(forwarder, bytearray())
        if number >= len(counts):
            counts.extend(bytes(number + 1 - len(counts)))
        counts[number] = min(counts[number] + 1, COUNT_LIMIT)


class DeliveredLines:
    """The lines in a bucket; each object is read once."""

    def __init__(self, client: Any, bucket: str) -> None:  # noqa: ANN401 - boto3
        self._client = client
        self._bucket = bucket
        self._seen: set[str] = set()
        self._tally = Tally()
        self._lock = threading.Lock()

    def compare(self, ask_sent: Callable[[], Mapping[str, int]]) -> Delivery:
        """Read the objects that are new, and compare all lines with those that were sent.

        What was sent is asked afterwards: a line that arrives meanwhile then counts as sent.
        """
        with self._lock:
            for key in self._keys():
                if key not in self._seen:
                    body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
                    self._tally.add(gzip.decompress(body))
                    self._seen.add(key)
            return self._tally.compare(ask_sent())

    def _keys(self) -> Iterable[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket)
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", ()))
