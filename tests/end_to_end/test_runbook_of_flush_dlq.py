"""The runbook of the flush stage, typed as it stands: four aggregators could not be flushed.

Of two nobody can reach the agent: one is overridden by hand, the other's agent is brought back. On
the third, systemd runs no Fluentd. The fourth has set chunks aside, and its group retains it.
"""

from __future__ import annotations

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
    """The instances that the flush waiter gives up on."""

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
    give_up_on(place, stuck)

    with walk(place, "flush-dlq") as person:
        stop_the_clock(person, stuck)
        find_no_agent(person, stuck.overridden, stays)
        override_by_hand(person, stuck.overridden)
        bring_the_agent_back(person, stuck.unreachable)
        start_fluentd(person, stuck.stopped)
        # The loop on the page does so once a minute.
        assert person.type("keep").count(" kept i-") == 3
        rescue_what_was_set_aside(person, stuck.rejected)
        redrive(person, stuck)
        end_the_retained_one(person, stuck.rejected)
        place.receive_malformed("flush")
        assert person.type("discard-malformed") == "deleted a message\n"
        verify(person, stuck.unreachable, stays)
        person.finish({"session": INTERACTIVE, "fluentd-log": NO_JOURNAL})


def give_up_on(place: Scene, stuck: Stuck) -> None:
    """Four of five leave under load, and each is kept for a reason of its own."""
    place.fleet.set_rate(100)
    place.fleet.destination(DestinationMode.REJECTING, stuck.rejected)
    wait_until("a chunk set aside", lambda: place.chunks_set_aside(stuck.rejected), SECONDS)
    place.cloud.control.set_faults(agents_off=[stuck.overridden, stuck.unreachable])
    place.stop_unit(stuck.stopped)
    place.scale_to(1)
    place.wait_for_letters("flush-dlq", len(stuck.names))
    place.wait_for_alarm("flush-dlq")


def stop_the_clock(person: Walk, stuck: Stuck) -> None:
    opening = person.type("set-up")
    assert "Cloud Map service srv-" in opening
    assert all(f"{instance_id}\t{WAITING}" in opening for instance_id in stuck.names)
    assert "fluentd-terminate\t180\t18000\tABANDON" in person.type("deadline")
    beats = len(person.scene.journal("heartbeat", stuck.stopped))
    assert person.type("keep").count(" kept i-") == len(stuck.names)
    assert len(person.scene.journal("heartbeat", stuck.stopped)) == beats + 1
    insured = person.type("insure")
    assert all(f"outlives {instance_id}" in insured for instance_id in stuck.names)
    person.type("suspend")
    seen = person.type("look")
    assert seen.count("minutes ago: not done after ") == 3
    assert seen.count("UNKNOWN (agent_not_reachable): SSM knows no running agent on ") == 2
    assert seen.count("fluentd took no signal: it may not run") == 1
    assert seen.count(" backed-up chunks: they would die with the instance") == 1
    assert person.show("INSTANCE") in stuck.names


def find_no_agent(person: Walk, instance_id: str, stays: str) -> None:
    person.set("INSTANCE", instance_id)
    verdicts = person.type("verdicts")
    assert '"verdict":"UNKNOWN"' in verdicts
    assert '"reason":"agent_not_reachable"' in verdicts
    # No command was ever accepted.
    person.type("answer", fails_with="Invalid length for parameter CommandId")
    registered = person.type("registered")
    assert stays in registered
    assert instance_id not in registered
    person.type("successor")


def override_by_hand(person: Walk, instance_id: str) -> None:
    person.open_session(instance_id)
    first = person.type("disk")
    assert "buffered:  0 chunk files\nbacked up: 0 chunk files\n" in first
    assert '"emit_records"' in first
    assert person.type("disk") == first
    person.type("not-registered", fails_with="InstanceNotFound")
    assert person.type("override") == f"released {instance_id}\n"
    person.scene.wait_for_end(instance_id)
    assert person.type("discard-instance") == "deleted a message\n"


def bring_the_agent_back(person: Walk, instance_id: str) -> None:
    person.set("INSTANCE", instance_id)
    assert person.type("agent").startswith(f"{instance_id}\tConnectionLost\t")
    person.type("profile", fails_with="NoSuchEntity")
    attach_profile(person.scene.cloud, instance_id)
    assert person.type("profile") == "AmazonSSMManagedInstanceCore\n"
    person.open_session(instance_id)
    person.type("agent-restart")
    assert commanded(person) == ["restart amazon-ssm-agent"]
    person.scene.cloud.control.set_faults(agents_off=[])
    assert person.type("agent").startswith(f"{instance_id}\tOnline\t")


def start_fluentd(person: Walk, instance_id: str) -> None:
    person.set("INSTANCE", instance_id)
    assert '"reason":"not_signalled"' in person.type("verdicts")
    answer = person.type("answer")
    assert answer.startswith('Success\t{"version":1,"service":"fluentd","signalled":false,')
    assert "flush: fluentd is not running" in answer
    settings = person.type("settings").splitlines()
    assert "Service\tfluentd" in settings
    assert "BackupPaths\t/var/log/fluentd/backup" in settings
    person.open_session(instance_id)
    person.type("restart")
    assert person.type("start") == "active\n"
    assert commanded(person) == ["restart fluentd", "start fluentd", "is-active fluentd"]
    person.scene.start_unit(instance_id)


def rescue_what_was_set_aside(person: Walk, instance_id: str) -> None:
    place = person.scene
    person.set("INSTANCE", instance_id)
    assert '"verdict":"SET_ASIDE"' in person.type("verdicts")
    sizes = {str(path): path.stat().st_size for path in place.chunks_set_aside(instance_id)}
    assert re.search(r'"set_aside":[1-9]', person.type("answer"))
    person.open_session(instance_id)
    assert f"backed up: {len(sizes)} chunk files" in person.type("disk")
    written = person.type("rescue")
    assert all(f" {sizes[path]} rescued/{instance_id}{path}\n" in written for path in sizes)
    assert sorted(written.splitlines()[-len(sizes) :]) == sorted(sizes)
    # On the machine that simulates the instance, /var/tmp is everybody's.
    kept = place.disk(instance_id) / "var" / "tmp" / "rescued"
    moved = person.type("put-away", edits={"KEPT": str(kept)})
    assert len(moved.splitlines()) == len(sizes)
    assert "backed up: 0 chunk files" in person.type("disk")
    place.fleet.destination(DestinationMode.OK, instance_id)


def redrive(person: Walk, stuck: Stuck) -> None:
    """Three messages go back; the hook of one instance is over, and its group retains it."""
    place = person.scene
    place.retention("retain")
    place.end_wait(stuck.rejected, "ABANDON")
    wait_until("the letters to be visible", lambda: place.visible("flush-dlq") == 3, SECONDS)
    person.type("redrive")
    assert person.type("redrive-status") == "COMPLETED\t3\tNone\n"
    place.wait_for_end(stuck.unreachable)
    place.wait_for_end(stuck.stopped)


def end_the_retained_one(person: Walk, instance_id: str) -> None:
    person.scene.wait_for_letters("flush-dlq", 1)
    assert f"{instance_id} is Terminating:Retained" in person.type("look")
    assert person.show("INSTANCE") == instance_id
    assert "its lifecycle action ended before the proof" in person.type("retained-proof")
    person.type("end-retained")
    person.scene.wait_for_end(instance_id)
    assert person.type("discard-instance") == "deleted a message\n"


def verify(person: Walk, instance_id: str, stays: str) -> None:
    person.set("INSTANCE", instance_id)
    verified = person.type("verify")
    assert f'"instance_id":"{instance_id}"' in verified
    assert '"drain_seconds":' in verified
    assert WAITING not in verified
    assert "fluentd-flush-dlq\t" in verified
    assert person.scene.states() == {stays: "InService"}
    assert f"of {instance_id}, which was proven empty" in person.type("undo")


def commanded(person: Walk) -> list[str]:
    assert person.session is not None
    return person.session.services_commanded()
