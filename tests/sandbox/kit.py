"""What the tests of the local cloud wait for and set up."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.cloud import LocalCloud

GROUP = "aggregators"


PATIENCE_SECONDS = 90.0


def launch_one(cloud: LocalCloud) -> str:
    """Let the group launch an instance, which its hook then holds; gives its id."""
    autoscaling = cloud.client("autoscaling")
    known = len(cloud.journal())
    [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    autoscaling.set_desired_capacity(
        AutoScalingGroupName=GROUP, DesiredCapacity=group["DesiredCapacity"] + 1
    )
    launched = [one for one in cloud.journal()[known:] if one["event"] == "launched"]
    instance_id: str = launched[0]["instance_id"]
    return instance_id


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` gives once it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
    return found


def let_in(cloud: LocalCloud, queue: dict[str, str], source_arn: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue["arn"],
        "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.client("sqs").set_queue_attributes(QueueUrl=queue["url"], Attributes={"Policy": policy})


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
