"""What fuzz tests feed to the functions: nothing sound, but much that nearly is.

``FUZZ_EXAMPLES`` sets how many inputs each property sees.
"""

import copy
import json
import math
import os
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.fuzz_cloud import NOW
from tests.support.machines import answer as flush_answer
from tests.support.machines import monitor
from tests.support.messages import (
    INSTANCE_ID,
    launch_event,
    rebalance_event,
    record,
    shutting_down_event,
    spot_event,
    terminate_event,
    termination_event,
)
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error


def fuzzed(test: Callable[..., None]) -> Callable[..., None]:
    return settings(
        max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
        suppress_health_check=list(HealthCheck),
    )(test)


texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", " ", "\x00", "NaN", "null", "-1", "1e999", f"{INSTANCE_ID}\n", "A" * 9000]
    ),
)
HALF_A_CHARACTER = "\ud800"  # passes through JSON, and through nothing else
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -0.0, 1e308, -1e308, 10**400, math.nan, math.inf, -math.inf]),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def deep(levels: int) -> Any:
    nested: Any = []
    for _ in range(levels):
        nested = [nested]
    return nested


@st.composite
def damaged(draw: st.DrawFn, sound: Any, replacements: st.SearchStrategy[Any] = values) -> Any:
    """A document in which one to three members are gone, of another value, or too many."""
    document = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 3))):
        inner, key = draw(st.sampled_from(list(_places(document)) or [({}, "new")]))
        what = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if what == "replace":
            inner[key] = draw(replacements)
        elif what == "remove":
            inner.pop(key, None) if isinstance(inner, dict) else inner.pop(key)
        elif isinstance(inner, dict):
            inner[draw(texts)] = draw(replacements)
        else:
            inner.append(draw(replacements))
    return document


def _places(document: Any) -> Any:
    """Every (container, key) of a document."""
    pairs: Any = ()
    if isinstance(document, dict):
        pairs = document.items()
    elif isinstance(document, list):
        pairs = enumerate(document)
    for key, value in pairs:
        yield document, key
        yield from _places(value)


# EventBridge

_timings = st.sampled_from(
    ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20", "0001-01-01T00:00:00Z", "never", "1", 1e400]
)
events: st.SearchStrategy[Any] = st.one_of(
    values,
    st.just(terminate_event(EC2InstanceId=HALF_A_CHARACTER)),
    *(
        damaged(sound, st.one_of(values, _timings))
        for sound in (
            terminate_event(),
            launch_event(),
            launch_event(Destination="WarmPool"),
            terminate_event(AutoScalingGroupName="another-group"),
            launch_event(LifecycleHookName="another-hook"),
        )
    ),
)

SOUND_INTERRUPTIONS = (spot_event(), rebalance_event(), shutting_down_event(), termination_event())
interruptions: st.SearchStrategy[Any] = st.one_of(
    values, *(damaged(sound, st.one_of(values, _timings)) for sound in SOUND_INTERRUPTIONS)
)


# SQS


def bodies(sound: str) -> st.SearchStrategy[Any]:
    """Bodies that are not what the stage put there."""
    damaged_documents = damaged(json.loads(sound))
    return st.one_of(
        texts,
        values.map(json.dumps),
        damaged_documents.map(json.dumps),
        damaged_documents.map(lambda document: json.dumps(document, ensure_ascii=False)),
        st.integers(0, len(sound)).map(lambda length: sound[:length]),
        st.integers(2, 9).map(lambda version: sound.replace('"version":1', f'"version":{version}')),
        st.sampled_from(
            [
                "[" * 3000,
                json.dumps(deep(900)),
                sound + sound,
                "\ufeff" + sound,
                sound + HALF_A_CHARACTER,
                sound.replace(INSTANCE_ID, HALF_A_CHARACTER),
                sound.replace("{", '{"action":null,', 1),
                json.dumps({**json.loads(sound), "padding": "x" * 250_000}),
            ]
        ),
        st.one_of(st.none(), st.integers(), st.lists(st.none(), max_size=1)),
    )


@st.composite
def odd_records(draw: st.DrawFn, sound: str) -> dict[str, Any]:
    """A record that AWS would not send, with the id that it has to have."""
    message_id = f"odd-{draw(st.uuids())}"
    one = record(sound, message_id=message_id, sent_at=NOW)
    one["body"] = draw(bodies(sound))
    if draw(st.booleans()):
        one["attributes"] = draw(damaged(one["attributes"]))
    if draw(st.integers(0, 4)) == 0:
        name = draw(st.sampled_from([name for name in one if name != "messageId"]))
        del one[name]
    return one


# AWS

_codes = st.sampled_from(
    [
        *("InstanceNotFound", "OperationNotFound", "DuplicateRequest", "ResourceInUse", "Unknown"),
        *("InvalidInstanceId", "InvocationDoesNotExist", "InvalidInstanceID.NotFound", ""),
        *("ValidationError", "Throttling", "AccessDenied"),
    ]
)
aws_errors: st.SearchStrategy[Exception] = st.one_of(
    st.builds(aws_error, _codes, texts),
    st.builds(lambda it: aws_error("DuplicateRequest", DuplicateOperationId=it), values),
    st.sampled_from(
        [
            NO_ACTIVE_ACTION,
            THROTTLED,
            EndpointConnectionError(endpoint_url="https://aws"),
            ConnectTimeoutError(endpoint_url="https://aws"),
            ReadTimeoutError(endpoint_url="https://aws"),
            ValueError("an answer that botocore cannot read"),
        ]
    ),
    st.builds(lambda message: aws_error("ValidationError", message), st.none()),
)
_METHODS = (
    "invoke",
    *("describe_auto_scaling_instances", "record_lifecycle_action_heartbeat"),
    *("complete_lifecycle_action", "describe_instances", "create_tags", "send_message"),
    *("change_message_visibility", "get_instance", "get_operation", "register_instance"),
    *("deregister_instance", "send_command", "get_command_invocation", "get_secret_value"),
)
_operations = damaged({"Operation": {"Status": "SUCCESS", "Type": "DEREGISTER_INSTANCE"}})
_states = damaged(
    {
        "AutoScalingInstances": [
            {
                "AutoScalingGroupName": "fluentd-aggregators",
                "InstanceId": "i-0123456789abcdef0",
                "LifecycleState": "Pending",
            }
        ]
    }
)
aws_oddities: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(_METHODS), st.one_of(aws_errors, aws_errors, values, _operations, _states),
    min_size=1, max_size=4,
)  # fmt: skip
reconciler_oddities: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(
        (*_METHODS, "describe_auto_scaling_groups", "describe_warm_pool", "list_instances")
    ),
    st.one_of(aws_errors, values, _states),
    min_size=1,
    max_size=4,
)


# Systems Manager

flush_outputs: st.SearchStrategy[Any] = st.one_of(
    texts,
    values.map(json.dumps),
    values,
    *(
        damaged(sound).map(json.dumps)
        for sound in (flush_answer(), flush_answer(monitor=monitor()), flush_answer(chunks=1))
    ),
)
