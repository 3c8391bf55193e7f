"""Lifecycle events, actions, check messages and SQS events in the form that AWS gives them."""

import copy
import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lifecycle.messages import (
    BufferCheck,
    CheckMessage,
    FlushCheck,
    LifecycleAction,
    OperationCheck,
    Transition,
)

GROUP = "fluentd-aggregators"
LAUNCH_HOOK = "pipeline-launch"
TERMINATE_HOOK = "pipeline-terminate"
INSTANCE_ID = "i-0123456789abcdef0"
OTHER_INSTANCE_ID = "i-0fedcba9876543210"
FOREIGN = "i-0f0e1090"  # how the ids of instances begin that are in no group of ours
TOKEN = "87654321-4321-4321-4321-210987654321"
NOW = 1_700_000_000.0
NOT_INSTANCE_IDS = [
    "",
    "i-",
    "i-0123456",
    "i-012345678",
    "i-0123456789abcdef",
    "i-0123456789abcdef01",
    "i-0123456789ABCDEF0",
    "I-0123456789abcdef0",
    "0123456789abcdef0",
    "i-0123456789abcdeg0",
    " i-0123456789abcdef0",
    "i-0123456789abcdef0 ",
    "i-0123456789abcdef0\n",
    "i-0123456789abcdef0\r\n",
    "\ni-0123456789abcdef0",
    "i-0123456789abcdef0\x00",
    "i-0123456789abcdef0\u2028",
    'i-0123456789abcdef0"',
    'i-01234567"} or up{x="',
    "i-0123456789abcdef0|.*",
    "i-.................",
    "i-0123456789abcdef0\\",
    "i-\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
    "i-\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
    "i-0123456789abcdef0,i-0123456789abcdef1",
]

# docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
_EVENT: dict[str, Any] = {
    "version": "0",
    "id": "12345678-1234-1234-1234-123456789012",
    "detail-type": "EC2 Instance-terminate Lifecycle Action",
    "source": "aws.autoscaling",
    "account": "123456789012",
    "time": "2023-11-14T22:13:20Z",
    "region": "ap-northeast-1",
    "resources": [
        "arn:aws:autoscaling:ap-northeast-1:123456789012:autoScalingGroup:"
        "83f0c4ba-8e5c-4a6e-8f3c-1b4b4f4e3c2d:autoScalingGroupName/" + GROUP
    ],
    "detail": {
        "LifecycleActionToken": TOKEN,
        "AutoScalingGroupName": GROUP,
        "LifecycleHookName": TERMINATE_HOOK,
        "EC2InstanceId": INSTANCE_ID,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
    },
}
_LAUNCH = {
    "LifecycleHookName": LAUNCH_HOOK,
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "Origin": "EC2",
    "Destination": "AutoScalingGroup",
}


def terminate_event(**detail: Any) -> dict[str, Any]:
    """A terminating event; ``detail`` replaces members of it, None takes one out."""
    event = copy.deepcopy(_EVENT)
    changed = {**event["detail"], **detail}
    event["detail"] = {name: value for name, value in changed.items() if value is not None}
    return event


def launch_event(**detail: Any) -> dict[str, Any]:
    event = terminate_event(**{**_LAUNCH, **detail})
    event["detail-type"] = "EC2 Instance-launch Lifecycle Action"
    return event


# docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
def spot_event(instance_id: str = INSTANCE_ID) -> dict[str, Any]:
    """EC2's warning before it takes a spot instance."""
    return {
        **{name: _EVENT[name] for name in ("version", "id", "account", "time", "region")},
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "resources": [f"arn:aws:ec2:ap-northeast-1:123456789012:instance/{instance_id}"],
        "detail": {"instance-id": instance_id, "instance-action": "terminate"},
    }


# docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
def rebalance_event(instance_id: str = INSTANCE_ID) -> dict[str, Any]:
    """EC2's word that it may take a spot instance soon."""
    return spot_event(instance_id) | {
        "detail-type": "EC2 Instance Rebalance Recommendation",
        "detail": {"instance-id": instance_id},
    }


# docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html
def shutting_down_event(
    instance_id: str = INSTANCE_ID, state: str = "shutting-down"
) -> dict[str, Any]:
    """EC2's word that an instance begins to end; the rule lets no other state through."""
    return spot_event(instance_id) | {
        "detail-type": "EC2 Instance State-change Notification",
        "detail": {"instance-id": instance_id, "state": state},
    }


def termination_event(**detail: Any) -> dict[str, Any]:
    """Auto Scaling's word that an instance has ended; ``detail`` as in ``terminate_event``."""
    members: dict[str, Any] = {
        "StatusCode": "InProgress",
        "Description": f"Terminating EC2 instance: {INSTANCE_ID}",
        "AutoScalingGroupName": GROUP,
        "ActivityId": TOKEN,
        "Details": {"Availability Zone": "ap-northeast-1a", "Subnet ID": "subnet-12345678"},
        "RequestId": TOKEN,
        "StatusMessage": "",
        "EndTime": "2023-11-14T22:23:20Z",
        "EC2InstanceId": INSTANCE_ID,
        "StartTime": "2023-11-14T22:13:20Z",
        "Cause": "At 2023-11-14T22:13:20Z a user request explicitly set group desired capacity.",
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
        **detail,
    }
    return {
        **_EVENT,
        "detail-type": "EC2 Instance Terminate Successful",
        "detail": {name: value for name, value in members.items() if value is not None},
    }


def action(transition: Transition = Transition.TERMINATING, **changes: Any) -> LifecycleAction:
    """A lifecycle action of the pipeline's own group and hook."""
    launching = transition is Transition.LAUNCHING
    members: dict[str, Any] = {
        "autoscaling_group_name": GROUP,
        "lifecycle_hook_name": LAUNCH_HOOK if launching else TERMINATE_HOOK,
        "lifecycle_action_token": TOKEN,
        "instance_id": INSTANCE_ID,
        "transition": transition,
        "started_at": NOW,
    }
    return LifecycleAction.model_validate({**members, **changes})


def operation_check(
    transition: Transition = Transition.TERMINATING,
    *,
    operation_id: str | None = "operation-1",
    requested_again: int = 0,
    **changes: Any,
) -> OperationCheck:
    return OperationCheck(
        action=action(transition, **changes),
        operation_id=operation_id,
        requested_again=requested_again,
    )


def buffer_check(
    *, deregistered_at: float = NOW, requested_again: int = 0, **changes: Any
) -> BufferCheck:
    return BufferCheck(
        action=action(Transition.TERMINATING, **changes),
        deregistered_at=deregistered_at,
        requested_again=requested_again,
    )


def flush_check(
    *, deregistered_at: float = NOW, requested_again: int = 0, **changes: Any
) -> FlushCheck:
    return FlushCheck(
        action=action(Transition.TERMINATING, **changes),
        deregistered_at=deregistered_at,
        requested_again=requested_again,
    )


def record(
    message: CheckMessage | str,
    *,
    message_id: str | None = None,
    sent_at: float = NOW,
    receive_count: int = 1,
) -> dict[str, Any]:
    """One record of an SQS event, as docs.aws.amazon.com/lambda/latest/dg/with-sqs.html shows."""
    body = message if isinstance(message, str) else message.model_dump_json()
    message_id = message_id or str(uuid.uuid4())
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-handle-of-{message_id}",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": str(receive_count),
            "SentTimestamp": str(round(sent_at * 1000)),
            "SenderId": "AROAEXAMPLE:pipeline-lifecycle",
            "ApproximateFirstReceiveTimestamp": str(round(sent_at * 1000) + 1),
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode("utf-8", "replace")).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:ap-northeast-1:123456789012:pipeline-buffer",
        "awsRegion": "ap-northeast-1",
    }


def sqs_event(*records: Mapping[str, Any]) -> dict[str, Any]:
    """What Lambda hands to a function; it has been through JSON."""
    event: dict[str, Any] = json.loads(json.dumps({"Records": list(records)}))
    return event


def described(*instance_ids: str, **tags: str) -> dict[str, Any]:
    """What DescribeInstances answers about running instances, which all have these tags."""
    instances = [
        {
            "InstanceId": instance_id,
            "State": {"Name": "running"},
            "PrivateIpAddress": "10.0.0.7",
            "Placement": {"AvailabilityZone": "ap-northeast-1a"},
            "LaunchTime": datetime.fromtimestamp(NOW, UTC),
            "Tags": [{"Key": key.replace("_", "-"), "Value": value} for key, value in tags.items()],
        }
        for instance_id in instance_ids
    ]
    return {"Reservations": [{"Instances": instances}]}
