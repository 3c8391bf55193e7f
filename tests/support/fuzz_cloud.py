"""A cloud for fuzz tests: sound answers, but for the calls that a test makes answer oddly.

Real functions with real wiring, real Powertools and the real Prometheus client; only what would
leave the process is stood in for. Nothing here asserts: the properties are in tests/unit.
"""

import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from unittest.mock import patch

import requests
from botocore.exceptions import ClientError

from handlers import evidence as evidence_function
from lifecycle.decisions.evidence import METRICS, UP
from lifecycle.telemetry import PowertoolsTelemetry, Runtime
from tests.support import environments
from tests.support.environments import PROMETHEUS_URL
from tests.support.functions import InProcess
from tests.support.histories import START, History
from tests.support.machines import answer as flush_answer
from tests.support.messages import GROUP, INSTANCE_ID
from tests.support.parts import NOT_REGISTERED, described, listed, members
from tests.support.scripted import Call, scripted

PASSWORD = "planted-password-7c1f"
TOKEN = "planted-bearer-token-93ab"
ACCESS_KEY = "planted-secret-access-key-51de"
_ENCODED = {one: "".join(f"%{ord(it):02x}" for it in one) for one in (PASSWORD, TOKEN)}
# As they are, as basic authentication sends them, and as a URL may write them.
SECRETS = (PASSWORD, TOKEN, ACCESS_KEY, "cHJvbWV0aGV1czpwbGFudGVk", *_ENCODED.values())
PLANTED = {"basic": json.dumps({"username": "prometheus", "password": PASSWORD}), "bearer": TOKEN}
# Where they are kept, and the rest of the ARN.
KEEPERS = {
    "Secrets Manager": "secretsmanager:ap-northeast-1:123456789012:secret:prometheus",
    "Parameter Store": "ssm:ap-northeast-1:123456789012:parameter/prometheus",
}
_LONGEST_SHOWN = 500
# A body or a header with one of these in it says what it was asked with: as the request carries it,
# the secret of it in plain text, and every character of that as a URL may write it.
ECHO = "%AUTHORIZATION%"
ECHO_PLAIN = "%SECRET%"
ECHO_ENCODED = "%ENCODED%"
ECHOES = (ECHO, ECHO_PLAIN, ECHO_ENCODED)

_HISTORY = History(start=START, instance_id=INSTANCE_ID).shows("05-drained", 345)
NOW = _HISTORY.now + 1
_ASKED_FOR = {f"fluentd_output_status_{metric}" for metric in METRICS}
SOUND_SERIES: list[dict[str, Any]] = [
    {"metric": dict(one.labels), "values": [[at, repr(value)] for at, value in one.samples]}
    for one in _HISTORY.series()
    if one.labels["__name__"] in {*_ASKED_FOR, UP}
]

# Powertools binds a service's logger to the standard output that it meets first.
_PRINTED = StringIO()


@dataclass(frozen=True)
class HttpAnswer:
    """What comes back from Prometheus; an ``error`` is raised instead.

    Where an answer redirects to, there is ``beyond``; no server answers there if it is None.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Exception | None = None
    beyond: "HttpAnswer | None" = None

    def __repr__(self) -> str:
        shown = self.body[:_LONGEST_SHOWN]
        said = f"{shown!r}, {self.status}, {self.headers}, {self.error!r}, {self.beyond!r}"
        return f"HttpAnswer({said})"


def prometheus_body(series: Any) -> bytes:
    data = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    return json.dumps(data).encode()


PROVEN = HttpAnswer(prometheus_body(SOUND_SERIES))


@dataclass
class Cloud:
    """What AWS and Prometheus answer. ``odd`` has answers by the name of the client's method."""

    odd: Mapping[str, Any] = field(default_factory=dict)
    prometheus: HttpAnswer = PROVEN
    flush_answer: Mapping[str, Any] = field(
        default_factory=lambda: {
            "Status": "Success",
            "StandardOutputContent": json.dumps(flush_answer()),
        }
    )
    lifecycle_state: str = "Terminating:Wait"
    instance_state: str = "running"  # in EC2
    is_registered: bool = False
    auth: str = "basic"
    kept_in: str = "Secrets Manager"
    now: float = NOW

    def __post_init__(self) -> None:
        self.evidence = InProcess()
        odd = {name: [answer] for name, answer in self.odd.items()}
        self.aws: Any = scripted(**{**self._sound_answers(), **odd})

    def of(self, method: str) -> list[Call]:
        return [call for call in self.aws.answered if call.method == method]

    def sent(self) -> list[dict[str, Any]]:
        taken = [call for call in self.of("send_message") if not isinstance(call.answer, Exception)]
        return [call.arguments for call in taken]

    def released(self) -> list[str]:
        return [call.arguments["InstanceId"] for call in self.of("complete_lifecycle_action")]

    def said_not_registered(self) -> bool:
        """Whether Cloud Map's last word was that it knows no such instance."""
        [*_, last] = self.of("get_instance")
        return (
            isinstance(last.answer, ClientError)
            and last.answer.response["Error"]["Code"] == "InstanceNotFound"
        )

    def answer_http(self, request: requests.PreparedRequest) -> requests.Response:
        """Answer a request to Prometheus, or to where it redirects."""
        url = request.url or ""
        is_first = url.startswith(f"{PROMETHEUS_URL}/api/v1/query?")
        answer = self.prometheus if is_first else self.prometheus.beyond
        if answer is None:
            # In the words of urllib3.
            raise requests.ConnectionError(f"Max retries exceeded with url: {url}")
        if answer.error is not None:
            raise answer.error
        response = requests.Response()
        response.status_code = answer.status
        for name, value in answer.headers.items():
            response.headers[name] = self._echoed(value, request)
        response.request, response.url = request, url
        body = self._echoed(answer.body.decode("latin-1"), request)
        response._content = body.encode("latin-1")
        response._content_consumed = True  # type: ignore[attr-defined]
        return response

    def _echoed(self, text: str, request: requests.PreparedRequest) -> str:
        # A signature does not tell the key that it was made with: no answer can repeat that.
        secret = {"basic": PASSWORD, "bearer": TOKEN}.get(self.auth, "")
        asked_with = request.headers.get("Authorization", "")
        for echo, said in zip(ECHOES, (asked_with, secret, _ENCODED.get(secret, "")), strict=True):
            text = text.replace(echo, said)
        return text

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _invoke(self, **asked: Any) -> dict[str, Any]:
        arn = f"arn:aws:{KEEPERS[self.kept_in]}"
        environment = environments.evidence(
            POWERTOOLS_SERVICE_NAME="fuzz",
            PROMETHEUS_AUTH=self.auth,
            PROMETHEUS_CREDENTIALS_ARN=arn,
            PROMETHEUS_REGION="ap-northeast-1",
        )
        runtime = Runtime(PowertoolsTelemetry(), lambda: self.now, self.sleep)
        self.evidence.handle = evidence_function.wire(environment, runtime).handle
        return self.evidence.invoke(**asked)

    def _sound_answers(self) -> dict[str, Any]:
        member = {"InstanceId": INSTANCE_ID, "LifecycleState": self.lifecycle_state}
        group = {"AutoScalingGroupName": GROUP, "DesiredCapacity": 1, "Instances": [member]}
        secret = PLANTED.get(self.auth)
        return {
            **{method: {} for method in _WITHOUT_AN_ANSWER},
            "describe_auto_scaling_instances": members({INSTANCE_ID: self.lifecycle_state}),
            "describe_auto_scaling_groups": {"AutoScalingGroups": [group]},
            "describe_warm_pool": {"Instances": []},
            "describe_instances": described(INSTANCE_ID, state=self.instance_state),
            "list_instances": listed(*[INSTANCE_ID][: self.is_registered]),
            "get_instance": {} if self.is_registered else NOT_REGISTERED,
            "get_operation": _succeeded,
            "register_instance": {"OperationId": "register-2"},
            "deregister_instance": {"OperationId": "deregister-2"},
            "send_command": {"Command": {"CommandId": "command-1"}},
            "get_command_invocation": self.flush_answer,
            "invoke": self._invoke,
            "get_secret_value": {"SecretString": secret},
            "get_parameter": {"Parameter": {"Value": secret}},
        }


_WITHOUT_AN_ANSWER = (
    "change_message_visibility",
    "complete_lifecycle_action",
    "create_tags",
    "record_lifecycle_action_heartbeat",
    "send_message",
)


def _succeeded(**asked: str) -> dict[str, Any]:
    kind = "DEREGISTER" if asked["OperationId"].startswith("de") else "REGISTER"
    return {"Operation": {"Status": "SUCCESS", "Type": f"{kind}_INSTANCE"}}


@dataclass(frozen=True)
class Outcome:
    answer: Any
    error: Exception | None
    printed: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log lines; metrics have no message."""
        lines = [json.loads(line) for line in self.printed.splitlines()]
        return [line for line in lines if "message" in line]

    def has_logged(self, *events: str) -> bool:
        return any(line["message"] in events for line in self.lines)

    @property
    def returned_ids(self) -> set[str]:
        assert list(self.answer) == ["batchItemFailures"], self.answer
        return {one["itemIdentifier"] for one in self.answer["batchItemFailures"]}

    def check_secrets(self, cloud: Cloud) -> None:
        said = self.everything_said(cloud)
        assert not [secret for secret in SECRETS if secret in said]

    def everything_said(self, cloud: Cloud) -> str:
        raised = "".join(traceback.format_exception(self.error)) if self.error else ""
        answered = "".join(cloud.evidence.payloads)
        return self.printed + raised + json.dumps(cloud.sent()) + answered + repr(self.answer)


@dataclass(frozen=True)
class EntryPoint:
    """A function: how it is wired, its environment, and what it is part of."""

    wire: Callable[[Mapping[str, str], Runtime], Any]
    environment: Callable[..., dict[str, str]]

    def invoke(self, cloud: Cloud, event: Any) -> Outcome:
        """Deploy the function into the cloud and hand it one event."""
        # What the tests look for is printed; pytest would keep every line of it a second time.
        logging.getLogger("fuzz").propagate = False
        _PRINTED.seek(0)
        _PRINTED.truncate()
        environment = self.environment(POWERTOOLS_SERVICE_NAME="fuzz")
        answer, error = None, None
        with _inside(cloud, environment):
            runtime = Runtime(PowertoolsTelemetry(), lambda: cloud.now, cloud.sleep)
            entry = self.wire(environment, runtime)
            try:
                answer = entry.handle(event)
            except Exception as raised:  # noqa: BLE001 (what Lambda does)
                error = raised
        return Outcome(answer, error, _PRINTED.getvalue())


@contextmanager
def _inside(cloud: Cloud, environment: Mapping[str, str]) -> Iterator[None]:
    def send(
        _adapter: object, request: requests.PreparedRequest, **_settings: object
    ) -> requests.Response:
        return cloud.answer_http(request)

    variables = {
        **environment,
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
    }
    with (
        redirect_stdout(_PRINTED),
        patch.dict("os.environ", variables),
        patch("boto3.client", lambda *_, **__: cloud.aws),
        patch("requests.adapters.HTTPAdapter.send", send),
    ):
        yield
