"""Bad input at the handlers: none is dropped in silence, and no instance is released on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import interruption, lifecycle, reconcile
from lifecycle.flows.reconcile import Reconciler
from lifecycle.telemetry import Runtime
from tests.support import environments, fuzz_inputs
from tests.support.fuzz_cloud import NOW, Cloud, EntryPoint
from tests.support.fuzz_inputs import fuzzed
from tests.support.messages import (
    INSTANCE_ID,
    launch_event,
    record,
    spot_event,
    sqs_event,
    terminate_event,
)


@dataclass(frozen=True)
class Scheduled:
    """The reconciler, which learns nothing but that it is time."""

    reconciler: Reconciler

    def handle(self, event: Any) -> None:
        del event
        self.reconciler.handle()


def scheduled(environment: Mapping[str, str], runtime: Runtime) -> Scheduled:
    return Scheduled(reconcile.wire(environment, runtime))


ASYNCHRONOUS = {"lifecycle": EntryPoint(lifecycle.wire, environments.lifecycle_handler)}


INTERRUPTION = EntryPoint(interruption.wire, environments.interruption)


RECONCILER = EntryPoint(scheduled, environments.reconciler)


@pytest.mark.parametrize("name", ASYNCHRONOUS)
@fuzzed
@given(event=fuzz_inputs.events, state=st.sampled_from(["Pending:Wait", "Terminating:Wait"]))
def test_a_bad_event_is_raised_or_ignored_aloud_and_releases_none(
    name: str, event: Any, state: str
) -> None:
    cloud = Cloud(lifecycle_state=state)
    outcome = ASYNCHRONOUS[name].invoke(cloud, event)
    if outcome.error is None:
        assert cloud.sent() or cloud.released() or outcome.has_logged("lifecycle_event_ignored")
    if cloud.released():
        detail = event["detail"]
        assert detail["Destination"] == "WarmPool"
        assert detail["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
        assert cloud.released() == [detail["EC2InstanceId"]]
    outcome.check_secrets(cloud)


@pytest.mark.parametrize("name", ASYNCHRONOUS)
@pytest.mark.parametrize(
    ("event", "state"),
    [(terminate_event(), "Terminating:Wait"), (launch_event(), "Pending:Wait")],
    ids=["terminate", "launch"],
)
@fuzzed
@given(oddities=fuzz_inputs.aws_oddities)
def test_whatever_aws_answers_an_event_is_never_dropped_in_silence(
    name: str, event: dict[str, Any], state: str, oddities: dict[str, Any]
) -> None:
    cloud = Cloud(odd=oddities, lifecycle_state=state)
    outcome = ASYNCHRONOUS[name].invoke(cloud, event)
    if outcome.error is None:
        assert cloud.sent() or outcome.has_logged("lifecycle_event_ignored")
    assert cloud.released() == []
    outcome.check_secrets(cloud)


@fuzzed
@given(
    event=fuzz_inputs.interruptions,
    state=st.sampled_from(["InService", "Terminating:Wait"]),
    in_ec2=st.sampled_from(["running", "shutting-down"]),
)
def test_a_bad_interruption_is_raised_or_ignored_aloud_and_releases_none(
    event: Any, state: str, in_ec2: str
) -> None:
    cloud = Cloud(lifecycle_state=state, instance_state=in_ec2, is_registered=True)
    outcome = INTERRUPTION.invoke(cloud, event)
    if outcome.error is None:
        assert outcome.has_logged(*INTERRUPTION_ENDS)
    assert (cloud.released(), cloud.sent()) == ([], [])
    check_queued_interruption(event, state, in_ec2)
    if cloud.of("deregister_instance"):
        assert is_about(event, cloud.of("deregister_instance")[0].arguments["InstanceId"])
        # EC2's word that it ends is not enough.
        assert in_ec2 != "running" or event["detail-type"] != STATE_CHANGE
    outcome.check_secrets(cloud)


def check_queued_interruption(event: Any, state: str, in_ec2: str) -> None:
    """The same through the queue: done, ignored aloud or dead-lettered, and never in the way."""
    cloud = Cloud(lifecycle_state=state, instance_state=in_ec2, is_registered=True)
    sound = record(json.dumps(spot_event()), message_id="sound", sent_at=NOW)
    bad = record(json.dumps(event), message_id="bad", sent_at=NOW)
    outcome = INTERRUPTION.invoke(cloud, sqs_event(bad, sound))
    assert (outcome.error, cloud.released()) == (None, [])
    assert "sound" not in outcome.returned_ids
    assert outcome.has_logged(*INTERRUPTION_ENDS)
    if outcome.has_logged("interruption_invalid"):
        [letter] = [json.loads(one["MessageBody"]) for one in cloud.sent()]
        assert letter["requestPayload"] == json.loads(json.dumps(event))


STATE_CHANGE = "EC2 Instance State-change Notification"


INTERRUPTION_ENDS = (
    "interruption_ignored",
    "instance_ended",
    "unclean_termination",
    "deregistration_requested",
    "flush_requested",
)


def is_about(event: Any, instance_id: str) -> bool:
    """Whether an event names this instance, to a reader who knows only JSON."""
    detail = event["detail"]
    return instance_id in {detail.get("instance-id"), detail.get("EC2InstanceId")}


@pytest.mark.parametrize("event", fuzz_inputs.SOUND_INTERRUPTIONS, ids=lambda it: it["detail-type"])
@fuzzed
@given(oddities=fuzz_inputs.aws_oddities)
def test_whatever_aws_answers_an_interruption_is_never_dropped_in_silence(
    event: dict[str, Any], oddities: dict[str, Any]
) -> None:
    cloud = Cloud(odd=oddities, lifecycle_state="InService", is_registered=True)
    outcome = INTERRUPTION.invoke(cloud, event)
    if outcome.error is None:
        assert outcome.has_logged(*INTERRUPTION_ENDS)
    assert (cloud.released(), cloud.sent()) == ([], [])
    outcome.check_secrets(cloud)


@fuzzed
@given(
    oddities=fuzz_inputs.reconciler_oddities,
    state=st.sampled_from(["InService", "Pending:Wait", "Terminating:Wait", "Standby"]),
)
def test_whatever_aws_answers_the_reconciler_releases_none_and_fails_aloud(
    oddities: dict[str, Any], state: str
) -> None:
    cloud = Cloud(odd=oddities, lifecycle_state=state)
    outcome = RECONCILER.invoke(cloud, {})
    assert outcome.error is not None or outcome.has_logged("reconciled")
    assert cloud.released() == []
    outcome.check_secrets(cloud)


def test_the_reconciler_corrects_what_it_sees_in_a_sound_cloud() -> None:
    cloud = Cloud(lifecycle_state="InService")
    assert RECONCILER.invoke(cloud, {}).error is None
    assert [one.arguments["InstanceId"] for one in cloud.of("register_instance")] == [INSTANCE_ID]
