"""The runbooks of ends that no hook holds up, typed as they stand.

EC2 warns of a spot interruption and takes the instance two minutes later, or an operator ends one
past its hook. Each test waits for the ends of its instances: they must not fall into the next one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.host.waiting import wait_until
from tests.end_to_end.test_runbooks import shared_blocks, verdicts
from tests.support.runbook_scene import SECONDS, WAITING, Scene
from tests.support.runbook_walk import Walk, walk

FUNCTION = "fluentd-interruption"
RULE = "fluentd-ended"
PERMISSION = "ended-events"


def test_unclean_termination_keeps_the_disk_and_says_what_was_lost(place: Scene) -> None:
    taken, killed, proven = place.reset(3)
    hold(place, taken, size=2)
    with walk(place, "unclean-termination") as operator:
        place.cloud.control.warn_of_spot_interruption(taken)
        wait_until("its count", lambda: counts(place, taken), SECONDS)
        place.wait_for_alarm("unclean-termination")
        save_the_disk(operator, taken)
        judge_what_was_lost(operator, taken)
        place.wait_for_death(taken)
        assert "\tavailable\t" in operator.type("volumes")
        place.end_wait(taken, "ABANDON")
        look_at_one_that_was_killed(operator, killed)
        place.scale_to(1)
        place.wait_for_end(proven)
        operator.set("INSTANCE", proven)
        assert operator.type("proof").startswith('"drain_seconds":')
        wait_until("the account of its end", lambda: ends(place, proven), SECONDS)
        assert [one["reason"] for one in ends(place, proven)] == ["proven"]
        assert counts(place, proven) == []
        # It fired (above); a minute later it is over, however slowly all this was typed.
        assert "fluentd-unclean-termination\t" in operator.type("verify")
        operator.finish(shared_blocks("unclean-termination"))


def save_the_disk(operator: Walk, instance_id: str) -> None:
    """All that is to be done within EC2's two minutes."""
    assert f"{instance_id}\t{WAITING}" in operator.type("set-up")
    assert f"kept {instance_id} ({WAITING})" in operator.type("keep")
    seen = operator.type("look")
    assert f'"instance_id":"{instance_id}"' in seen
    assert '"reason":"spot_interruption_warning"' in seen
    assert '"mark":"terminating ' in seen
    assert f"{instance_id}\trunning\t" in seen
    assert operator.show("INSTANCE") == instance_id
    assert f"outlives {instance_id}" in operator.type("keep-disk")


def judge_what_was_lost(operator: Walk, instance_id: str) -> None:
    assert operator.type("proof") == ""
    # Nothing: this fleet has no flush stage. The page is typed beside one, too.
    assert operator.type("flushed") == ""
    assert '"verdict":"UNKNOWN"' in operator.type("verdicts")
    assert operator.show("INSTANCE") == instance_id


def look_at_one_that_was_killed(operator: Walk, instance_id: str) -> None:
    place = operator.scene
    place.cloud.control.set_faults(unnoticed_seconds=10)
    place.cloud.client("ec2").terminate_instances(InstanceIds=[instance_id])
    wait_until("its leave", lambda: instance_id not in place.registered(), SECONDS)
    wait_until("its wait", lambda: place.states().get(instance_id) == WAITING, SECONDS)
    place.cloud.control.set_faults(unnoticed_seconds=0)
    [leave] = place.events("interruption", "deregistration_requested", instance_id)
    assert leave["signal"] == "shutting_down"
    place.end_wait(instance_id, "ABANDON")
    place.wait_for_end(instance_id)
    wait_until("its count", lambda: counts(place, instance_id), SECONDS)

    seen = operator.type("look")
    assert '"reason":"not_proven"' in seen
    assert f"{instance_id}\tterminated\t" in seen
    assert operator.type("keep-disk") == "", "there is no hurry any more"
    assert operator.type("volumes") == ""
    assert operator.type("unregister") == ""
    place.register(instance_id)
    assert "OperationId" in operator.type("unregister")
    wait_until("its leave", lambda: instance_id not in place.registered(), SECONDS)


def test_interruption_dlq_replays_what_failed_and_what_was_not_delivered(place: Scene) -> None:
    waits, taken, _ = place.reset(3)
    hold(place, waits, size=2)
    failure = {"action": "DeregisterInstance", "code": "ServiceNotFound", "times": 3}
    place.cloud.control.set_faults(call_failures=[failure])
    with walk(place, "interruption-dlq") as operator:
        place.cloud.control.warn_of_spot_interruption(taken)
        place.wait_for_letters("interruption-dlq", 1)
        assert f"{waits}\t{WAITING}" in operator.type("set-up")
        assert f"kept {waits} ({WAITING})" in operator.type("keep")
        seen = operator.type("look")
        assert f" {taken} EC2 Spot Instance Interruption Warning\n" in seen
        assert "(ServiceNotFound)" in seen
        assert operator.show("INSTANCE") == taken
        unregistered = operator.type("unregister")
        assert f"{taken}\tInService\n" in unregistered
        assert "OperationId" in unregistered
        place.wait_for_alarm("interruption-dlq")
        steps = operator.type("steps")
        assert steps.count('"step":"deregister"') == 3
        assert '"reason":"ServiceNotFound' in steps
        replay(operator, taken)
        with without_events_of_ends(place):
            place.wait_for_death(taken)
            place.end_wait(taken, "ABANDON")
            place.wait_for_letters("interruption-dlq", 1)
        seen = operator.type("look")
        assert f" {taken} EC2 Instance Terminate Successful\n  not delivered\n" in seen
        replay(operator, taken)
        assert [one["reason"] for one in ends(place, taken)] == ["already_counted"]
        assert len(counts(place, taken)) == 1
        assert operator.type("look") == ""
        assert "fluentd-interruption-dlq\t" in operator.type("verify")
        operator.finish(shared_blocks("interruption-dlq"))


def replay(operator: Walk, instance_id: str) -> None:
    assert operator.type("replay") == f"None\n{instance_id}: null\n"
    assert operator.type("discard") == "deleted a message\n"


@contextmanager
def without_events_of_ends(place: Scene) -> Iterator[None]:
    """The rule may not invoke the function while the block runs."""
    functions = place.cloud.client("lambda")
    rule = place.cloud.client("events").describe_rule(Name=RULE)
    functions.remove_permission(FunctionName=FUNCTION, StatementId=PERMISSION)
    try:
        yield
    finally:
        functions.add_permission(
            FunctionName=FUNCTION,
            StatementId=PERMISSION,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule["Arn"],
        )


def hold(place: Scene, instance_id: str, *, size: int) -> None:
    """Scale in; the one that leaves cannot be proven empty."""
    place.fleet.exporter(ExporterMode.DEAD, instance_id)
    place.scale_to(size)
    wait_until("a verdict", lambda: verdicts(place, instance_id), SECONDS)


def counts(place: Scene, instance_id: str) -> list[dict[str, Any]]:
    return place.events("interruption", "unclean_termination", instance_id)


def ends(place: Scene, instance_id: str) -> list[dict[str, Any]]:
    return place.events("interruption", "instance_ended", instance_id)
