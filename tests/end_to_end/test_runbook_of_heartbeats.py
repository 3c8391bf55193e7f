"""The runbooks of failing heartbeats, typed as they stand: a policy forbids them to the waiter."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.demo import set_up as demo
from sandbox.fleet.fluentd.exporter import ExporterMode
from tests.end_to_end.test_runbooks import shared_blocks
from tests.support.runbook_scene import WAITER, WAITING, Scene
from tests.support.runbook_walk import walk

# What a service control policy comes to.
_FORBIDDEN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Action": ["autoscaling:RecordLifecycleActionHeartbeat"],
            "Resource": "*",
        }
    ],
}


def test_heartbeats_failing_and_overdue_name_the_instance_its_deadline_and_the_cause(
    place: Scene,
) -> None:
    leaves, _ = place.reset(2)
    place.fleet.exporter(ExporterMode.DEAD, leaves)  # it shall not be proven meanwhile
    with forbidden(place):
        place.scale_to(1)
        place.wait_for_alarm("heartbeats-failing")
        find_the_cause(place, leaves)
        # The stage times out before half of the hook's time is over: its timeout is compressed.
        place.cloud.client("cloudwatch").set_alarm_state(
            AlarmName=f"{demo.NAME}-heartbeats-overdue", StateValue="ALARM", StateReason="half"
        )
        see_until_when(place, leaves)
        place.wait_for_letters("buffer-dlq", 1)
    place.end_wait(leaves, "CONTINUE")
    place.wait_for_end(leaves)


def find_the_cause(place: Scene, leaves: str) -> None:
    with walk(place, "heartbeats-failing") as operator:
        assert f"{leaves}\t{WAITING}" in operator.type("set-up")
        # The operator's own credentials are not the function's.
        assert f"kept {leaves} ({WAITING})" in operator.type("keep")
        seen = operator.type("look")
        assert f'"instance_id":"{leaves}"' in seen
        assert '"kept_until":"20' in seen
        assert "is not authorized to perform" in seen or "AccessDenied" in seen
        assert f"{leaves}\tsince 20" in operator.type("tags")
        assert "autoscaling:RecordLifecycleActionHeartbeat" in operator.type("permissions")
        assert f"{WAITER}\t" in operator.type("network")  # in no VPC
        assert "fluentd-heartbeats-failing\tALARM" in operator.type("verify")
        operator.finish(shared_blocks("heartbeats-failing"))


def see_until_when(place: Scene, leaves: str) -> None:
    with walk(place, "heartbeats-overdue") as operator:
        assert f"{leaves}\t{WAITING}" in operator.type("set-up")
        assert f"kept {leaves} ({WAITING})" in operator.type("keep")
        assert '"kept_until":"20' in operator.type("look")
        assert "fluentd-heartbeats-overdue\t" in operator.type("verify")
        operator.finish(shared_blocks("heartbeats-overdue"))


@contextmanager
def forbidden(place: Scene) -> Iterator[None]:
    """The buffer waiter may send no heartbeat while the block runs."""
    iam = place.cloud.client("iam")
    policy = {"RoleName": WAITER, "PolicyName": "guardrail"}
    iam.put_role_policy(**policy, PolicyDocument=json.dumps(_FORBIDDEN))
    try:
        yield
    finally:
        iam.delete_role_policy(**policy)
