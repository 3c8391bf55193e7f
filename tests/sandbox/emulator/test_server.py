"""The emulator as a server: time passes by itself, and the control API tells and sets."""

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from sandbox.emulator.server import ServerSettings, serving
from sandbox.emulator_client import EmulatorControl
from tests.sandbox.fleet.kit import wait_until

REGION = "ap-northeast-1"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "")
    settings = ServerSettings(port=0, account_id="210987654321", region=REGION, root_key="test")
    with serving(settings) as (_, address):
        yield address


@pytest.fixture
def control(address: str) -> EmulatorControl:
    return EmulatorControl(address)


def client(address: str, service: str) -> Any:
    session: Any = boto3.Session("test", "test", region_name=REGION)
    return session.client(service, endpoint_url=address)


def make_service(address: str) -> str:
    cloud_map = client(address, "servicediscovery")
    operation = cloud_map.create_http_namespace(Name="logs")["OperationId"]
    targets = cloud_map.get_operation(OperationId=operation)["Operation"]["Targets"]
    service: str = cloud_map.create_service(Name="all", NamespaceId=targets["NAMESPACE"])[
        "Service"
    ]["Id"]
    return service


def ask(address: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{address}/_sandbox/{path}", data=data, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_operations_end_by_themselves_and_the_journal_can_be_read_bit_by_bit(
    address: str, control: EmulatorControl
) -> None:
    control.set_faults(operation_seconds=0.3)
    service_id = make_service(address)
    for name in ("i-1", "i-2"):
        client(address, "servicediscovery").register_instance(
            ServiceId=service_id, InstanceId=name, Attributes={"a": "b"}
        )
    wait_until(lambda: len(control.journal()) == 4)
    _, first = ask(address, "journal?after=0")
    _, rest = ask(address, "journal?after=1")
    events = Counter(one["event"] for one in first["entries"])
    assert events == {"operation_submitted": 2, "registered": 2}
    assert rest["entries"] == first["entries"][1:]


def test_a_request_that_makes_no_sense_is_refused(address: str) -> None:
    assert ask(address, "faults", {"gremlins": 1})[0] == 400
    assert ask(address, "faults", [])[0] == 400
    assert ask(address, "faults", {"operation_failures": [{"code": "OUT_OF_LUCK"}]})[0] == 400
    assert ask(address, "nowhere")[0] == 404
    wish = {"autoscaling_group_name": "unknown", "terminate_hook_abandon": "retain"}
    assert ask(address, "retention", wish)[0] == 404
    assert ask(address, "retention", {**wish, "terminate_hook_abandon": "keep"})[0] == 400


def test_a_report_of_another_form_is_refused(address: str) -> None:
    told = {"command_id": "c", "instance_id": "i-1", "report": {"mood": "good"}}
    assert ask(address, "commands/report", told)[0] == 400
    assert ask(address, "commands/fetch", {})[0] == 400
