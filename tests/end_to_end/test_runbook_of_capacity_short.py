"""The runbook of capacity-short, typed while each launch fails for the same reason."""

from sandbox.host.waiting import wait_until
from tests.end_to_end.test_runbooks import RECONCILER, shared_blocks
from tests.support.runbook_scene import SECONDS, Scene
from tests.support.runbook_walk import walk


def test_capacity_short_finds_what_each_launch_fails_of(place: Scene) -> None:
    [serving] = place.reset(1)
    failure = {"action": "RegisterInstance", "code": "InvalidInput", "times": 100}
    place.cloud.control.set_faults(call_failures=[failure])
    place.scale_to(2)
    place.wait_for_letters("lifecycle-dlq", 1)
    [joins] = place.instances("Pending:Wait")
    with walk(place, "capacity-short") as operator:
        assert f"{joins}\tPending:Wait" in operator.type("set-up")
        assert f"kept {joins} (Pending:Wait)" in operator.type("keep")
        seen = operator.type("group")
        assert "\t2\t" in seen
        assert f"{serving}\tInService" in seen
        # The emulator keeps no activities, and no refresh is under way.
        operator.type("activities")
        operator.type("refresh")
        place.cloud.client("lambda").invoke(FunctionName=RECONCILER, Payload="{}")
        errors = operator.type("errors")
        assert "InvalidInput" in errors
        assert '"correction_failed"\n{' in errors
        operator.type("stop-launches")
        assert "Launch\t" in operator.type("group")
        operator.type("resume")
        assert "Launch\t" not in operator.type("group")
        assert '"capacity_short":1' in operator.type("verify")
        place.cloud.control.clear_faults()
        place.cloud.client("lambda").invoke(FunctionName=RECONCILER, Payload="{}")
        wait_until(f"{joins} in service", lambda: place.states()[joins] == "InService", SECONDS)
        operator.finish(shared_blocks("capacity-short"))
