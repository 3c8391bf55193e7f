"""The runbook of the flush stage, typed as it stands: four aggregators could not be flushed.

SSM reaches no agent on two: the operator overrides one and brings the other's agent back. On the
third, systemd runs no Fluentd. The fourth has backed-up chunks, and its group retains it.
"""

import re
from dataclasses import astuple, dataclass

from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.host.waiting import wait_until
from tests.support.instance_profile import attach_profile
from tests.support.runbook_scene import SECONDS, WAITING, Scene
from tests.support.runbook_walk import INTERACTIVE, NO_JOURNAL, Walk, walk

# A cloud of its own: the other runbooks have no flush stage.


@dataclass(frozen=True)
class Stuck:
    """The instances whose check messages the flush waiter dead-letters."""

    overridden: str
    unreachable: str
    stopped: str
    rejected: str

    @property
    def names(self) -> tuple[str, ...]:
        return astuple(self)


def test_flush_dlq_overrides_mends_rescues_and_redrives(flushed_place: Scene) -> None:
    place = flushed_place
    *leaving, stays = place.reset(5)
    stuck = Stuck(*leaving)
    strand(place, stuck)
    with walk(place, "flush-dlq") as operator:
        stop_the_clock(operator, stuck)
        find_no_agent(operator, stuck.overridden, stays)
        override_by_hand(operator, stuck.overridden)
        bring_the_agent_back(operator, stuck.unreachable)
        start_fluentd(operator, stuck.stopped)
        # The loop on the page does so once a minute.
        assert operator.type("keep").count(" kept i-") == 3
        rescue_backed_up_chunks(operator, stuck.rejected)
        redrive(operator, stuck)
        end_the_retained_one(operator, stuck.rejected)
        place.receive_malformed("flush")
        assert operator.type("discard-malformed") == "deleted a message\n"
        verify(operator, stuck.unreachable, stays)
        operator.finish({"session": INTERACTIVE, "fluentd-log": NO_JOURNAL})


def strand(place: Scene, stuck: Stuck) -> None:
    """Four of five leave under load, and each is kept for a reason of its own."""
    place.fleet.set_rate(100)
    place.fleet.destination(DestinationMode.REJECTING, stuck.rejected)
    wait_until("a backed-up chunk", lambda: place.chunks_set_aside(stuck.rejected), SECONDS)
    place.cloud.control.set_faults(agents_off=[stuck.overridden, stuck.unreachable])
    place.stop_unit(stuck.stopped)
    place.scale_to(1)
    place.wait_for_letters("flush-dlq", len(stuck.names))
    place.wait_for_alarm("flush-dlq")


def stop_the_clock(operator: Walk, stuck: Stuck) -> None:
    opening = operator.type("set-up")
    assert "Cloud Map service srv-" in opening
    assert all(f"{instance_id}\t{WAITING}" in opening for instance_id in stuck.names)
    assert "fluentd-terminate\t180\t18000\tABANDON" in operator.type("deadline")
    beats = len(operator.scene.journal("heartbeat", stuck.stopped))
    assert operator.type("keep").count(" kept i-") == len(stuck.names)
    assert len(operator.scene.journal("heartbeat", stuck.stopped)) == beats + 1
    insured = operator.type("insure")
    assert all(f"outlives {instance_id}" in insured for instance_id in stuck.names)
    operator.type("suspend")
    seen = operator.type("look")
    assert seen.count("minutes ago: not done after ") == 3
    assert seen.count("UNKNOWN (agent_not_reachable): SSM knows no running agent on ") == 2
    assert seen.count("fluentd took no signal: it may not run") == 1
    assert seen.count(" backed-up chunks: they would die with the instance") == 1
    assert operator.show("INSTANCE") in stuck.names


def find_no_agent(operator: Walk, instance_id: str, stays: str) -> None:
    operator.set("INSTANCE", instance_id)
    verdicts = operator.type("verdicts")
    assert '"verdict":"UNKNOWN"' in verdicts
    assert '"reason":"agent_not_reachable"' in verdicts
    # No command was ever accepted.
    operator.type("answer", fails_with="Invalid length for parameter CommandId")
    registered = operator.type("registered")
    assert stays in registered
    assert instance_id not in registered
    operator.type("successor")


def override_by_hand(operator: Walk, instance_id: str) -> None:
    operator.open_session(instance_id)
    first = operator.type("disk")
    assert "buffered:  0 chunk files\nbacked up: 0 chunk files\n" in first
    assert '"emit_records"' in first
    assert operator.type("disk") == first
    operator.type("not-registered", fails_with="InstanceNotFound")
    assert operator.type("override") == f"released {instance_id}\n"
    operator.scene.wait_for_end(instance_id)
    assert operator.type("discard-instance") == "deleted a message\n"


def bring_the_agent_back(operator: Walk, instance_id: str) -> None:
    operator.set("INSTANCE", instance_id)
    assert operator.type("agent").startswith(f"{instance_id}\tConnectionLost\t")
    operator.type("profile", fails_with="NoSuchEntity")
    attach_profile(operator.scene.cloud, instance_id)
    assert operator.type("profile") == "AmazonSSMManagedInstanceCore\n"
    operator.open_session(instance_id)
    operator.type("agent-restart")
    assert commanded(operator) == ["restart amazon-ssm-agent"]
    operator.scene.cloud.control.set_faults(agents_off=[])
    assert operator.type("agent").startswith(f"{instance_id}\tOnline\t")
    assert f"A restart of Fluentd on {instance_id} loses nothing." in operator.type("may-restart")
    operator.type("restart")
    assert commanded(operator) == ["restart amazon-ssm-agent", "restart fluentd"]


def start_fluentd(operator: Walk, instance_id: str) -> None:
    operator.set("INSTANCE", instance_id)
    assert '"reason":"not_signalled"' in operator.type("verdicts")
    answer = operator.type("answer")
    assert answer.startswith('Success\t{"version":1,"service":"fluentd","signalled":false,')
    assert "flush: fluentd is not running" in answer
    settings = operator.type("settings").splitlines()
    assert "Service\tfluentd" in settings
    assert "BackupPaths\t/var/log/fluentd/backup" in settings
    operator.open_session(instance_id)
    assert f"Do not restart Fluentd on {instance_id}" in operator.type("may-restart")
    assert operator.type("start") == "active\n"
    assert commanded(operator) == ["start fluentd", "is-active fluentd"]
    operator.scene.start_unit(instance_id)


def rescue_backed_up_chunks(operator: Walk, instance_id: str) -> None:
    place = operator.scene
    operator.set("INSTANCE", instance_id)
    assert '"verdict":"SET_ASIDE"' in operator.type("verdicts")
    sizes = {str(path): path.stat().st_size for path in place.chunks_set_aside(instance_id)}
    assert re.search(r'"set_aside":[1-9]', operator.type("answer"))
    operator.open_session(instance_id)
    assert f"backed up: {len(sizes)} chunk files" in operator.type("disk")
    written = operator.type("rescue")
    assert all(f" {sizes[path]} rescued/{instance_id}{path}\n" in written for path in sizes)
    assert sorted(written.splitlines()[-len(sizes) :]) == sorted(sizes)
    # On the machine that simulates the instance, /var/tmp is everybody's.
    kept = place.disk(instance_id) / "var" / "tmp" / "rescued"
    moved = operator.type("put-away", edits={"KEPT": str(kept)})
    assert len(moved.splitlines()) == len(sizes)
    assert "backed up: 0 chunk files" in operator.type("disk")
    place.fleet.destination(DestinationMode.OK, instance_id)


def redrive(operator: Walk, stuck: Stuck) -> None:
    """Three messages go back; the hook of one instance is over, and its group retains it."""
    place = operator.scene
    place.retention("retain")
    place.end_wait(stuck.rejected, "ABANDON")
    wait_until("the letters to be visible", lambda: place.visible("flush-dlq") == 3, SECONDS)
    operator.type("redrive")
    assert operator.type("redrive-status") == "COMPLETED\t3\tNone\n"
    place.wait_for_end(stuck.unreachable)
    place.wait_for_end(stuck.stopped)


def end_the_retained_one(operator: Walk, instance_id: str) -> None:
    operator.scene.wait_for_letters("flush-dlq", 1)
    assert f"{instance_id} is Terminating:Retained" in operator.type("look")
    assert operator.show("INSTANCE") == instance_id
    assert "its lifecycle action ended before the proof" in operator.type("retained-proof")
    operator.type("end-retained")
    operator.scene.wait_for_end(instance_id)
    assert operator.type("discard-instance") == "deleted a message\n"


def verify(operator: Walk, instance_id: str, stays: str) -> None:
    operator.set("INSTANCE", instance_id)
    verified = operator.type("verify")
    assert f'"instance_id":"{instance_id}"' in verified
    assert '"drain_seconds":' in verified
    assert WAITING not in verified
    assert "fluentd-flush-dlq\t" in verified
    assert operator.scene.states() == {stays: "InService"}
    assert f"of {instance_id}, which was proven empty" in operator.type("undo")


def commanded(operator: Walk) -> list[str]:
    assert operator.session is not None
    return operator.session.services_commanded()
