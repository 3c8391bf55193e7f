"""The runbooks' commands, typed as they stand into the local cloud in the state they are about.

One test a runbook (two are in files of their own). Every block is executed; the few
that cannot be are listed with the reason, and the list may not go stale.
"""

import json
import re
from contextlib import ExitStack
from typing import Any

from sandbox.demo import set_up as demo
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.host.waiting import wait_until
from tests.support import runbooks
from tests.support.runbook_scene import SECONDS, WAITER, WAITING, Scene
from tests.support.runbook_walk import INTERACTIVE, walk

HANDLER = "fluentd-lifecycle"
RECONCILER = "fluentd-reconciler"
SAME_AS_IN_BUFFER_DLQ = "word for word the block of buffer-dlq, which is typed there"
SHARED = ("deadline", "insure", "suspend")


def shared_blocks(name: str) -> dict[str, str]:
    """The blocks that a runbook shares with buffer-dlq, which types them."""
    typed_there = {block.name: block.text for block in runbooks.blocks("buffer-dlq")}
    return {
        block.name: SAME_AS_IN_BUFFER_DLQ
        for block in runbooks.blocks(name)
        if block.name in SHARED and block.text == typed_there[block.name]
    }


def test_operation_dlq_redrives_launches_and_terminations_that_cloud_map_failed(
    place: Scene,
) -> None:
    [leaves] = place.reset(1)
    place.fail_operations("ACCESS_DENIED")
    place.scale_to(2)
    place.wait_for_letters("operation-dlq", 1)
    [joins] = place.instances("Pending:Wait")
    look_up_what_was_dead_lettered(place, joins)
    with walk(place, "operation-dlq") as operator:
        assert f"{joins}\tPending:Wait" in operator.type("set-up")
        assert f"kept {joins} (Pending:Wait)" in operator.type("keep")
        assert "Cloud Map did not do it in 4 requests" in operator.type("look")
        assert operator.show("INSTANCE") == joins
        assert '"error_code":"ACCESS_DENIED"' in operator.type("failures")
        assert joins not in operator.type("registered")
        # The emulated Cloud Map keeps its records to itself: the zone is there, and empty.
        assert operator.type("zone").startswith("namespace ns-")
        assert operator.show("ZONE_ID") in operator.type("permissions")
        # The emulator ignores the filter; what matters is that nothing is under way.
        assert "PENDING" not in operator.type("operations")
        operator.type("redrive")
        assert operator.type("redrive-status") == "COMPLETED\t1\tNone\n"
        wait_until(f"{joins} in service", lambda: place.states()[joins] == "InService", SECONDS)
        assert f'"instance_id":"{joins}"' in operator.type("verify")
        place.fail_operations("THROTTLED_REQUEST")
        place.scale_to(1)
        place.wait_for_letters("operation-dlq", 1)
        assert "THROTTLED_REQUEST" in operator.type("look")
        assert operator.show("INSTANCE") == leaves
        assert "OperationId" in operator.type("deregister")
        wait_until("deregistration by hand", lambda: leaves not in place.registered(), SECONDS)
        operator.type("redrive")
        place.wait_for_end(leaves)
        [last] = place.instances("InService")
        place.scale_to(0)
        place.wait_for_letters("operation-dlq", 1)
        assert "the last aggregator in service discovery" in operator.type("look")
        assert last in place.registered()
        assert operator.type("successor") == "wants 1\n"
        wait_until("a successor", lambda: len(place.instances("InService")) == 1, SECONDS)
        operator.type("redrive")
        place.wait_for_end(last)
        place.scale_to(2)
        place.fail_operations("INTERNAL_FAILURE")
        place.wait_for_letters("operation-dlq", 1)
        operator.type("look")
        assert operator.type("discard-instance") == "deleted a message\n"
        place.receive_malformed("operation")
        assert operator.type("discard-malformed") == "deleted a message\n"
        operator.type("registrations")
        operator.type("undo")
        operator.finish(shared_blocks("operation-dlq"))


def look_up_what_was_dead_lettered(place: Scene, instance_id: str) -> None:
    """The page of the alarm that each giving-up raises: it leads to the queue's own."""
    place.wait_for_alarm("check-message-dead-lettered")
    with walk(place, "check-message-dead-lettered") as operator:
        assert f"{instance_id}\tPending:Wait" in operator.type("set-up")
        assert f"kept {instance_id} (Pending:Wait)" in operator.type("keep")
        seen = operator.type("look")
        assert f" minutes ago, operation-dlq, {instance_id}: Cloud Map did not do it" in seen
        assert operator.show("INSTANCE") == instance_id
        given_up = operator.type("given-up")
        assert f'"instance_id":"{instance_id}"' in given_up
        assert '"reason":"Cloud Map did not do it in 4 requests' in given_up
        # It fired (above); a few minutes later it is over, however slowly all this was typed.
        assert "fluentd-check-message-dead-lettered\t" in operator.type("verify")
        operator.finish(shared_blocks("check-message-dead-lettered"))


def test_lifecycle_dlq_replays_the_event_that_the_handler_failed_on(place: Scene) -> None:
    leaves, _ = place.reset(2)
    failure = {"action": "DeregisterInstance", "code": "ServiceNotFound", "times": 3}
    place.cloud.control.set_faults(call_failures=[failure])
    place.scale_to(1)
    place.wait_for_letters("lifecycle-dlq", 1)
    place.wait_for_alarm("lifecycle-dlq")
    with walk(place, "lifecycle-dlq") as operator:
        assert f"{leaves}\t{WAITING}" in operator.type("set-up")
        assert f"kept {leaves} ({WAITING})" in operator.type("keep")
        seen = operator.type("look")
        assert f"{leaves} autoscaling:EC2_INSTANCE_TERMINATING" in seen
        assert "ServiceNotFound" in seen
        assert operator.type("errors") == ""
        assert "Active\tSuccessful" in operator.type("needed")
        kept = operator.type("keep-unknown", fails_with="No active Lifecycle Action found")
        assert f"{leaves}\t{WAITING}" in kept
        assert f"-terminate keeps {leaves}" in kept
        assert operator.type("replay") == f"None\n{leaves}: null\n"
        assert operator.type("discard") == "deleted a message\n"
        assert f'"instance_id":"{leaves}"' in operator.type("verify")
        place.wait_for_end(leaves)
        operator.type("by-hand", fails_with="InstanceNotFound")
        operator.type("undo")
        operator.finish(shared_blocks("lifecycle-dlq"))


def test_event_dlq_replays_what_was_not_delivered_and_drains_without_an_event(
    place: Scene,
) -> None:
    leaves, leaves_next, _ = place.reset(3)
    functions = place.cloud.client("lambda")
    functions.remove_permission(FunctionName=HANDLER, StatementId="lifecycle-events")
    place.scale_to(2)
    place.wait_for_letters("event-dlq", 1)
    with walk(place, "event-dlq") as operator:
        assert f"{leaves}\t{WAITING}" in operator.type("set-up")
        assert f"kept {leaves} ({WAITING})" in operator.type("keep")
        assert f'"EC2InstanceId": "{leaves}"' in operator.type("look")
        assert "arn:aws:lambda:" in operator.type("rule")
        assert "lifecycle-events-by-hand" in operator.type("permit")
        assert operator.type("concurrency") == "None\n"
        assert operator.type("replay") == f"None\n{leaves}: null\n"
        assert operator.type("discard") == "deleted a message\n"
        assert f'"instance_id":"{leaves}"' in operator.type("verify")
        place.wait_for_end(leaves)
        # The next event is lost altogether.
        place.cloud.bridge.courier = lambda _: []
        place.scale_to(1)
        wait_until("a wait", lambda: place.states().get(leaves_next) == WAITING, SECONDS)
        assert operator.type("without-event") == f"None\n{leaves_next}: null\n"
        wait_until("the proof", lambda: proven(place, leaves_next), SECONDS)
        assert f'"instance_id":"{leaves_next}"' in operator.type("proof")
        assert place.states()[leaves_next] == WAITING
        assert operator.type("release") == f"released {leaves_next}\n"
        place.wait_for_end(leaves_next)
        place.cloud.bridge.courier = lambda event: [event]
        functions.add_permission(
            FunctionName=HANDLER,
            StatementId="lifecycle-events",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=operator.show("RULE_ARN"),
        )
        operator.type("unpermit")
        operator.type("undo")
        operator.finish(shared_blocks("event-dlq"))


def test_shard_overflow_tells_too_many_from_moves_that_fail(place: Scene) -> None:
    [instance_id] = place.reset(1)
    cloud_map = place.cloud.client("servicediscovery")
    others = [f"stranger-{number}" for number in range(8)]
    for other in others:
        cloud_map.register_instance(
            ServiceId=place.names.service_ids[0],
            InstanceId=other,
            Attributes={"AWS_INSTANCE_IPV4": "127.0.0.9", "AWS_INSTANCE_PORT": "24224"},
        )
    wait_until("nine in one service", lambda: len(place.registered()) == 9, SECONDS)
    try:
        with walk(place, "shard-overflow") as operator:
            operator.type("set-up")
            assert operator.type("sizes") == f"9 in {place.names.service_ids[0]}\n"
            place.cloud.client("lambda").invoke(FunctionName="fluentd-reconciler", Payload="{}")
            assert 'reconciler "shard_overflows"\n"timestamp"' in operator.type("moves")
            assert operator.type("strangers").split() == others
            assert "fluentd-shard-overflow\t" in operator.type("verify")
            operator.finish({**shared_blocks("shard-overflow"), "keep": SAME_AS_IN_BUFFER_DLQ})
    finally:
        for other in others:
            place.deregister(other)
    wait_until("only its own", lambda: place.registered() == {instance_id}, SECONDS)


def proven(place: Scene, instance_id: str) -> bool:
    return any(one["verdict"] == "DRAINED" for one in verdicts(place, instance_id))


def test_lifecycle_action_expired_saves_the_disk_of_an_instance_that_ended_unproven(
    place: Scene,
) -> None:
    lost, rescuer = place.reset(2)
    place.fleet.set_rate(100)
    place.fleet.exporter(ExporterMode.DEAD, lost)
    place.scale_to(1)
    wait_until("a verdict", lambda: verdicts(place, lost), SECONDS)
    with walk(place, "lifecycle-action-expired") as operator:
        operator.type("set-up")
        assert f"kept {lost} ({WAITING})" in operator.type("keep")
        assert f"outlives {lost}" in operator.type("insure")
        operator.open_session(lost)
        operator.type("rescue")
        place.end_wait(lost, "CONTINUE")
        place.wait_for_end(lost)
        place.wait_for_alarm("lifecycle-action-expired")
        seen = operator.type("look")
        assert f'"instance_id":"{lost}"' in seen
        assert f"{lost}\tterminated" in seen
        assert '"verdict":"UNKNOWN"' in operator.type("last-verdicts")
        assert '"outcome":"no_active_action"' in operator.type("heartbeats")
        operator.type("completions")
        assert operator.type("mappings").count("Enabled") == 2
        assert "\tavailable\t" in operator.type("volumes")
        assert f"on RESCUER={rescuer}" in operator.type("attach")
        operator.type("detach")
        assert operator.type("unregister") == ""
        # It fired (above); a minute later it is over, however slowly all this was typed.
        assert "fluentd-lifecycle-action-expired\t" in operator.type("verify")
        operator.finish(
            {
                "deadline": SAME_AS_IN_BUFFER_DLQ,
                "session": INTERACTIVE,
                "adopt": "mounts a volume: simulated volumes hold no bytes",
                "may-restart": "no volume was adopted; typed in flush-dlq",
                "adopt-restart": "no volume was adopted; typed in flush-dlq",
            }
        )


def test_function_errors_finds_the_wrong_setting_of_a_function(place: Scene) -> None:
    leaves, _ = place.reset(2)
    with ExitStack() as misconfigured, walk(place, "function-errors") as operator:
        misconfigured.enter_context(place.without_setting("EVIDENCE_FUNCTION_NAME"))
        place.scale_to(1)
        wait_until("the waiter to fail on its message", lambda: failures(place), SECONDS)
        # MiniStack counts errors of direct invocations only: its metrics know of none but this.
        place.cloud.client("lambda").invoke(FunctionName=WAITER, Payload='{"Records": []}')
        assert f"{leaves}\t{WAITING}" in operator.type("set-up")
        assert f"kept {leaves} ({WAITING})" in operator.type("keep")
        assert re.search(r"^buffer-waiter Errors [1-9]", operator.type("which"), re.MULTILINE)
        assert "wrong settings: EVIDENCE_FUNCTION_NAME: is missing" in operator.type("errors")
        changed = operator.type("changed").splitlines()
        assert {line.split("\t")[0] for line in changed} == functions(place)
        assert all("\tActive\tSuccessful\t" in line for line in changed)
        assert "EVIDENCE_FUNCTION_NAME" not in json.loads(operator.type("settings"))
        assert "ConsumeOwnQueue" in operator.type("permissions")
        assert "buffer 0\t1\n" in operator.type("queues")
        misconfigured.close()
        wait_until("a verdict", lambda: verdicts(place, leaves), SECONDS)
        assert f'"instance_id":"{leaves}"' in operator.type("verify")
        operator.type("undo")
        operator.finish(shared_blocks("function-errors"))


def functions(place: Scene) -> set[str]:
    """All that the module has deployed: each may raise the alarm."""
    found = place.cloud.client("lambda").list_functions()["Functions"]
    return {one["FunctionName"] for one in found}


def failures(place: Scene) -> list[dict[str, Any]]:
    return [
        one for one in place.cloud.logs(WAITER) if one.get("message") == "configuration_invalid"
    ]


def verdicts(place: Scene, instance_id: str) -> list[dict[str, Any]]:
    return place.events("buffer-waiter", "buffer_verdict", instance_id)


def test_reconciler_silent_finds_the_schedule_off_and_runs_it_by_hand(place: Scene) -> None:
    leaves, _ = place.reset(2)
    place.fleet.exporter(ExporterMode.DEAD, leaves)  # so that it is not proven meanwhile
    place.scale_to(1)
    wait_until("a wait", lambda: place.states().get(leaves) == WAITING, SECONDS)
    place.cloud.client("events").disable_rule(Name=RECONCILER)
    # Schedules stand still here: CloudWatch would say so after three intervals.
    place.cloud.client("cloudwatch").set_alarm_state(
        AlarmName=f"{demo.NAME}-reconciler-silent", StateValue="ALARM", StateReason="silence"
    )
    with walk(place, "reconciler-silent") as operator:
        assert f"{leaves}\t{WAITING}" in operator.type("set-up")
        assert f"kept {leaves} ({WAITING})" in operator.type("keep")
        operator.type("runs")
        assert f"{RECONCILER}\tDISABLED\trate(1 minute)\n" in operator.type("schedule")
        assert "reconciler Throttles " in operator.type("which")
        concurrency = operator.type("concurrency")
        assert "reconciler None\n" in concurrency
        assert re.search(r"^\d+\t\d+$", concurrency, re.MULTILINE)  # of the account
        assert operator.type("enable") == ""
        assert f"{RECONCILER}\tENABLED\t" in operator.type("schedule")
        before = len(looks(place))
        assert operator.type("run") == "202\n"
        wait_until("a look", lambda: len(looks(place)) > before, SECONDS)
        assert '"reconciled"\n{' in operator.type("runs")
        # The metric that the reconciler writes is the one that the alarm is on.
        place.wait_for_alarm("reconciler-silent", "OK")
        assert "fluentd-reconciler-silent\tOK\n" in operator.type("verify")
        operator.finish(shared_blocks("reconciler-silent"))
    place.end_wait(leaves, "CONTINUE")
    place.wait_for_end(leaves)


def looks(place: Scene) -> list[dict[str, Any]]:
    return [one for one in place.cloud.logs(RECONCILER) if one.get("message") == "reconciled"]


def test_retention_policy_missing_makes_the_group_keep_what_times_out(place: Scene) -> None:
    leaves, _ = place.reset(2)
    place.fleet.exporter(ExporterMode.DEAD, leaves)  # so that it is not proven meanwhile
    place.scale_to(1)
    wait_until("a wait", lambda: place.states().get(leaves) == WAITING, SECONDS)
    with walk(place, "retention-policy-missing") as operator:
        assert f"{leaves}\t{WAITING}" in operator.type("set-up")
        assert f"kept {leaves} ({WAITING})" in operator.type("keep")
        assert operator.type("look") == "terminate\n"  # which the page calls as bad as None
        place.cloud.client("lambda").invoke(FunctionName="fluentd-reconciler", Payload="{}")
        assert '"retains_on_abandon":false' in operator.type("runs")
        operator.type("changes")
        assert operator.type("retain") == "retained from now on\n"
        assert operator.type("look") == "retain\n"
        # The local cloud leaves this alarm out: its stories are about groups that do not retain.
        assert operator.type("verify") == "retain\n"
        operator.finish(shared_blocks("retention-policy-missing"))
    place.retention("terminate")
    place.end_wait(leaves, "CONTINUE")
    place.wait_for_end(leaves)
