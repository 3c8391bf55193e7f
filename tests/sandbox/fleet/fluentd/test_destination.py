"""S3 takes whole chunks as gzip objects; refusals are S3's own answers."""

import gzip

import boto3
import pytest

from sandbox.fleet.fluentd.destination import (
    DestinationMode,
    S3Destination,
    UnrecoverableError,
    WriteFailedError,
)
from sandbox.fleet.lines import parse_lines
from tests.sandbox.fleet.kit import create_bucket, entries


class Bucket:
    """A destination on moto, and what is in its bucket."""

    def __init__(self) -> None:
        self.client = boto3.client("s3")
        self.name = create_bucket(self.client)
        self.slept: list[float] = []
        self.destination = S3Destination(self.client, self.name, "i-1/", self.slept.append)

    def keys(self) -> list[str]:
        contents = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [entry["Key"] for entry in contents]

    def content(self, key: str) -> bytes:
        return gzip.decompress(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())


@pytest.fixture
def bucket(aws_environment: dict[str, str]) -> Bucket:
    return Bucket()


def test_a_chunk_becomes_one_object_of_json_lines(bucket: Bucket) -> None:
    bucket.destination.write("abc", entries(3))
    assert bucket.keys() == ["i-1/abc.gz"]
    lines = list(parse_lines(bucket.content("i-1/abc.gz")))
    assert lines == [("forwarder-01", number) for number in (1, 2, 3)]


def test_a_refusing_destination_fails_with_the_error_of_s3_and_stores_nothing(
    bucket: Bucket,
) -> None:
    bucket.destination.behave(DestinationMode.REFUSING)
    with pytest.raises(WriteFailedError, match="SlowDown"):
        bucket.destination.write("abc", entries(3))
    assert bucket.keys() == []
    bucket.destination.behave(DestinationMode.OK)
    bucket.destination.write("abc", entries(3))
    assert bucket.keys() == ["i-1/abc.gz"]


def test_a_rejecting_destination_will_never_take_the_chunk(bucket: Bucket) -> None:
    bucket.destination.behave(DestinationMode.REJECTING)
    with pytest.raises(UnrecoverableError):
        bucket.destination.write("abc", entries(1))
    assert bucket.keys() == []
