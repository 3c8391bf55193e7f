"""Lost means in no object; duplicated, damaged and invented lines are counted apart."""

import gzip
from typing import Any

import boto3
import pytest

from sandbox.fleet.accounting import DeliveredLines, Tally
from sandbox.fleet.fluentd.protocol import format_lines
from tests.sandbox.fleet.kit import create_bucket, entries


def content(*numbers: int, forwarder: str = "forwarder-01") -> bytes:
    return b"".join(line for n in numbers for line in format_lines(entries(1, forwarder, n)))


def tally(*objects: bytes) -> Tally:
    counted = Tally()
    for each in objects:
        counted.add(each)
    return counted


def test_everything_delivered_once_is_complete() -> None:
    delivery = tally(content(1, 3), content(2)).compare({"forwarder-01": 3})
    assert (delivery.sent, delivery.delivered, delivery.lost) == (3, 3, 0)
    assert delivery.is_complete


def test_missing_lines_are_counted_and_named() -> None:
    delivery = tally(content(1, 4)).compare({"forwarder-01": 5, "forwarder-02": 1})
    assert (delivery.sent, delivery.delivered, delivery.lost) == (6, 2, 4)
    assert delivery.examples[:3] == ("forwarder-01#2", "forwarder-01#3", "forwarder-01#5")
    assert delivery.examples[3] == "forwarder-02#1"
    assert not delivery.is_complete


def test_copies_beyond_the_first_are_duplicates_and_nothing_worse() -> None:
    delivery = tally(content(1, 2), content(1), content(1)).compare({"forwarder-01": 2})
    assert (delivery.delivered, delivery.lost, delivery.duplicated) == (2, 0, 2)
    assert delivery.is_complete


@pytest.mark.parametrize(
    "damaged", [content(1)[:-5], content(1)[5:], b"garbage\n"], ids=["tail", "head", "garbage"]
)
def test_a_line_that_is_not_whole_is_not_delivered(damaged: bytes) -> None:
    delivery = tally(damaged).compare({"forwarder-01": 1})
    assert (delivery.lost, delivery.damaged) == (1, 1)


def test_a_line_that_was_never_sent_is_noticed() -> None:
    delivery = tally(content(1, 2), content(7, forwarder="x")).compare({"forwarder-01": 1})
    assert (delivery.delivered, delivery.damaged) == (1, 2)
    assert not delivery.is_complete


@pytest.fixture
def client(aws_environment: dict[str, str]) -> Any:
    return boto3.client("s3")


def test_objects_are_read_once_and_what_was_sent_is_asked_after_them(client: Any) -> None:
    bucket = create_bucket(client)
    delivered = DeliveredLines(client, bucket)
    client.put_object(Bucket=bucket, Key="a.gz", Body=gzip.compress(content(1, 2)))
    assert delivered.compare(lambda: {"forwarder-01": 3}).lost == 1
    client.put_object(Bucket=bucket, Key="b.gz", Body=gzip.compress(content(3)))
    delivery = delivered.compare(lambda: {"forwarder-01": 3})
    assert (delivery.lost, delivery.duplicated) == (0, 0)
