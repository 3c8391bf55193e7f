"""Let MiniStack keep and describe alarms completely.

Runs in MiniStack's own environment, inside its process. MiniStack drops the metrics of an alarm on
an expression when it is set, and leaves most members out of descriptions in the form that
Terraform's provider reads (XML), so that a second plan would want to set every alarm again.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import cloudwatch  # type: ignore[import-not-found] # in its own environment

Answer = tuple[int, dict[str, str], Any]

# There is no public way to change an action, so all that is private is named here, once.
ALARMS = cloudwatch._alarms  # noqa: SLF001
put: Callable[..., Answer] = cloudwatch._put_metric_alarm  # noqa: SLF001
describe: Callable[..., Answer] = cloudwatch._describe_alarms  # noqa: SLF001
xml_answer: Callable[..., Answer] = cloudwatch._xml  # noqa: SLF001

# An alarm on an expression has none of its own.
OF_A_SINGLE_METRIC = ("Namespace", "MetricName", "Dimensions", "Period", "Statistic")
OK = 200


def register() -> None:
    """Take the place of MiniStack's own actions."""
    cloudwatch._put_metric_alarm = put_completely  # noqa: SLF001
    cloudwatch._describe_alarms = describe_completely  # noqa: SLF001


def put_completely(
    parameters: dict[str, Any],
    body: Any,  # noqa: ANN401 - the signature of what it replaces
    is_cbor: Any,  # noqa: ANN401
    is_json: Any = False,  # noqa: ANN401, FBT002
) -> Answer:
    """PutMetricAlarm, with the metrics of an expression."""
    answer = put(parameters, body, is_cbor, is_json)
    request = body if is_cbor or is_json else from_form(parameters)
    metrics = request.get("Metrics")
    if answer[0] == OK and metrics:
        alarm = ALARMS[request["AlarmName"]]
        for name in OF_A_SINGLE_METRIC:
            alarm.pop(name, None)
        alarm["Metrics"] = [_typed(metric) for metric in metrics]
    return answer


def describe_completely(
    parameters: dict[str, Any],
    body: Any,  # noqa: ANN401 - the signature of what it replaces
    is_cbor: Any,  # noqa: ANN401
    is_json: Any = False,  # noqa: ANN401, FBT002
) -> Answer:
    """DescribeAlarms; only the query protocol's answer differs from MiniStack's own."""
    if is_cbor or is_json:
        return describe(parameters, body, is_cbor, is_json)
    status, headers, described = describe({}, from_form(parameters), is_cbor=False, is_json=True)
    if status != OK:
        return status, headers, described
    result = f"<DescribeAlarmsResult>{to_xml(json.loads(described))}</DescribeAlarmsResult>"
    return xml_answer(OK, "DescribeAlarmsResponse", result)


def from_form(parameters: dict[str, Any]) -> dict[str, Any]:
    """The request's members, out of the flat form of the query protocol."""
    tree: dict[str, Any] = {}
    for key, value in parameters.items():
        *path, last = key.split(".")
        place = tree
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value[0] if isinstance(value, list) else value
    unfolded: dict[str, Any] = _unfold(tree)
    return unfolded


def _unfold(value: Any) -> Any:  # noqa: ANN401 - any part of a request
    if not isinstance(value, dict):
        return value
    if set(value) == {"member"}:
        numbered = sorted(value["member"].items(), key=lambda item: int(item[0]))
        return [_unfold(member) for _, member in numbered]
    return {name: _unfold(member) for name, member in value.items()}


def _typed(metric: dict[str, Any]) -> dict[str, Any]:
    """One of an expression's metrics; in a form, everything is text."""
    typed = {**metric, "ReturnData": str(metric.get("ReturnData", True)).lower() == "true"}
    if "MetricStat" in metric:
        stat = metric["MetricStat"]
        typed["MetricStat"] = {**stat, "Period": int(stat["Period"])}
    return typed


def to_xml(value: Any, name: str = "") -> str:  # noqa: ANN401 - any part of a JSON document
    """The answer's members, in the form that the query protocol gives them."""
    if isinstance(value, dict):
        present = [(key, member) for key, member in value.items() if member is not None]
        return "".join(f"<{key}>{to_xml(member, key)}</{key}>" for key, member in present)
    if isinstance(value, list):
        return "".join(f"<member>{to_xml(member)}</member>" for member in value)
    if isinstance(value, bool):
        return str(value).lower()
    if name.endswith("Timestamp") and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return escape(str(value))
