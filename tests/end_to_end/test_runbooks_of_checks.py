"""The runbooks of what is checked beside a drain: the standing check, and readiness.

And readiness itself, with a real Prometheus: what it stores while nothing listens yet, and that it
finds an instance by EC2 discovery before Cloud Map has it. The rest is in tests/integration.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sandbox.fleet.fleet import BOOT_SECONDS
from sandbox.host.waiting import wait_until
from tests.end_to_end.test_runbooks import (
    HANDLER,
    RECONCILER,
    SAME_AS_IN_BUFFER_DLQ,
    shared_blocks,
)
from tests.support.runbook_scene import SECONDS, Scene
from tests.support.runbook_walk import walk


def test_instances_not_provable_names_them_and_why_while_all_are_in_service(place: Scene) -> None:
    instance_ids = place.reset(2)
    with ExitStack() as astray, walk(place, "instances-not-provable") as operator:
        astray.enter_context(place.astray())
        place.cloud.client("lambda").invoke(FunctionName=RECONCILER, Payload="{}")
        operator.type("set-up")
        flaws = operator.type("flaws")
        assert '"reason":"prometheus_failed"' in flaws
        assert all(f'"instance_id":"{one}"' in flaws for one in instance_ids)
        operator.type("since")
        assert operator.type("protect").startswith("no alarm scales ")
        assert "prometheus_failed" in operator.type("evidence")
        agents = operator.type("agents").splitlines()
        assert sorted(agents) == sorted(f"{one} Online" for one in instance_ids)
        assert "fluentd-instances-not-provable\t" in operator.type("verify")
        assert operator.type("unprotect").startswith("alarms scale ")
        astray.close()
        operator.finish({**shared_blocks("instances-not-provable"), "keep": SAME_AS_IN_BUFFER_DLQ})


@contextmanager
def readiness(place: Scene, unknown_seconds: int) -> Iterator[None]:
    """Launches are registered once they are ready while the block runs."""
    proof = place.settings_of(RECONCILER)
    asking = {name: proof[name] for name in proof if name.startswith(("EVIDENCE", "PROMETHEUS"))}
    asking |= {name: proof[name] for name in ("EMPTY_FOR_SECONDS", "SETTLE_SECONDS")}
    asking |= {"READINESS": "metrics", "READINESS_UNKNOWN_SECONDS": str(unknown_seconds)}
    with ExitStack() as set_up:
        for function in (HANDLER, "fluentd-operation-waiter"):
            set_up.enter_context(place.without_setting("READINESS", function, **asking))
        set_up.enter_context(place.granting("fluentd-operation-waiter", "lambda:InvokeFunction"))
        yield


def test_an_instance_that_boots_is_registered_when_it_listens(place: Scene) -> None:
    [known] = place.reset(1)
    with ExitStack() as set_up:
        set_up.enter_context(readiness(place, unknown_seconds=600))
        set_up.callback(place.fleet.boot_within, *BOOT_SECONDS)
        place.fleet.boot_within(8.0, 8.0)
        place.scale_to(2)
        # Without readiness it is registered seconds before anything runs on it; and what nothing is
        # known of times out long before it would be registered.
        wait_until("both registered", lambda: len(place.registered()) == 2, SECONDS)
        [booted] = place.registered() - {known}
        assert booted in place.fleet.known()
        wait_until("both in service", lambda: len(place.instances("InService")) == 2, SECONDS)


def test_readiness_unknown_names_the_launch_and_what_was_not_known(place: Scene) -> None:
    place.reset(1)
    with ExitStack() as set_up, walk(place, "readiness-unknown") as operator:
        set_up.enter_context(readiness(place, unknown_seconds=5))
        set_up.enter_context(place.astray())
        place.scale_to(2)
        wait_until("both in service", lambda: len(place.instances("InService")) == 2, SECONDS)
        operator.type("set-up")
        unknowns = operator.type("unknowns")
        assert '"reason":"prometheus_failed"' in unknowns
        assert any(f'"instance_id":"{one}"' in unknowns for one in place.instances())
        assert "prometheus_failed" in operator.type("evidence")
        # The local cloud is applied without readiness, so without this alarm.
        assert operator.type("verify") == ""
        operator.finish({**shared_blocks("readiness-unknown"), "keep": SAME_AS_IN_BUFFER_DLQ})
