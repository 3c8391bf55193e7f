"""The longest of the runbooks, typed as it stands: three aggregators could not be proven empty.

One is overridden by hand, one was retained by its group and holds a chunk that was set aside, one
is released by a plain redrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.host.waiting import wait_until
from tests.support.runbook_scene import SECONDS, WAITING, Scene
from tests.support.runbook_walk import INTERACTIVE, NO_JOURNAL, Walk, walk

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_buffer_dlq_keeps_proves_overrides_and_redrives(place: Scene) -> None:
    override, retained, redriven, stays = place.reset(4)
    stuck = (override, retained, redriven)
    place.fleet.set_rate(100)
    place.fleet.destination(DestinationMode.REJECTING, retained)
    wait_until("a chunk set aside", lambda: place.chunks_set_aside(retained), SECONDS)
    for instance_id in stuck:
        place.fleet.exporter(ExporterMode.DEAD, instance_id)
    place.scale_to(1)
    place.wait_for_letters("buffer-dlq", 3)
    place.wait_for_alarm("buffer-dlq")

    with walk(place, "buffer-dlq") as person:
        stop_the_clock(person, stuck)
        person.set("INSTANCE", override)
        find_the_cause(person, override, stays)
        override_by_hand(person, override)
        person.set("INSTANCE", retained)
        rescue_what_was_set_aside(person, retained)
        redrive(person, retained, redriven)
        end_the_retained_one(person, retained)
        place.receive_malformed("buffer")
        assert person.type("discard-malformed") == "deleted a message\n"

        person.set("INSTANCE", redriven)
        verified = person.type("verify")
        assert f'"instance_id":"{redriven}"' in verified
        assert '"drain_seconds":' in verified
        assert "fluentd-buffer-dlq\t" in verified
        assert place.states() == {stays: "InService"}
        assert f"of {redriven}, which was proven empty" in person.type("undo")
        person.finish({"session": INTERACTIVE, "fluentd-log": NO_JOURNAL})


def stop_the_clock(person: Walk, stuck: Sequence[str]) -> None:
    opening = person.type("set-up")
    assert all(f"{instance_id}\t{WAITING}" in opening for instance_id in stuck)
    assert "fluentd-terminate\t180\t18000\tABANDON" in person.type("deadline")
    beats = len(person.scene.journal("heartbeat", stuck[0]))
    assert person.type("keep").count(" kept i-") == len(stuck)
    assert len(person.scene.journal("heartbeat", stuck[0])) == beats + 1
    insured = person.type("insure")
    assert all(f"outlives {instance_id}" in insured for instance_id in stuck)
    person.type("suspend")
    assert person.type("look").count("minutes ago: not done after ") == len(stuck)
    assert person.show("INSTANCE") in stuck


def find_the_cause(person: Walk, instance_id: str, stays: str) -> None:
    assert '"verdict":"UNKNOWN"' in person.type("verdicts")
    assert person.type("errors-rose") == ""
    person.open_session(instance_id)
    person.type("exporter", fails_with="Failed to connect")
    assert stays in person.type("registered")
    assert person.type("prometheus-failed") == ""
    assert "out_heartbeat" in person.type("settings")
    person.type("flush")
    person.type("restart")
    assert person.session is not None
    assert person.session.services_commanded() == ["kill --signal=USR1 fluentd", "restart fluentd"]
    person.type("successor")


def override_by_hand(person: Walk, instance_id: str) -> None:
    first = person.type("disk")
    assert "buffered:  0 chunk files\nbacked up: 0 chunk files\n" in first
    assert '"emit_records"' in first
    assert person.type("disk") == first
    person.type("not-registered", fails_with="InstanceNotFound")
    assert person.type("override") == f"released {instance_id}\n"
    person.scene.wait_for_end(instance_id)
    assert person.type("discard-instance") == "deleted a message\n"


def rescue_what_was_set_aside(person: Walk, instance_id: str) -> None:
    person.open_session(instance_id)
    count = len(person.scene.chunks_set_aside(instance_id))
    assert f"backed up: {count} chunk files" in person.type("disk")
    person.type("rescue")
    objects = person.scene.cloud.client("s3").list_objects_v2(
        Bucket=person.scene.bucket, Prefix=f"rescued/{instance_id}/backup/"
    )
    assert objects["KeyCount"] == count > 0


def redrive(person: Walk, retained: str, redriven: str) -> None:
    """Both messages go back; the hook of one instance is over, and its group retains it."""
    place = person.scene
    place.retention("retain")
    place.end_wait(retained, "ABANDON")
    for instance_id in (retained, redriven):
        place.fleet.exporter(ExporterMode.OK, instance_id)
    assert person.type("exporter").count("fluentd_output_status_buffer_total_bytes{") == 1
    wait_until("the letters to be visible", lambda: place.visible("buffer-dlq") == 2, SECONDS)
    person.type("redrive")
    assert person.type("redrive-status") == "COMPLETED\t2\tNone\n"
    place.wait_for_end(redriven)


def end_the_retained_one(person: Walk, instance_id: str) -> None:
    person.scene.wait_for_letters("buffer-dlq", 1)
    assert f"{instance_id} is Terminating:Retained" in person.type("look")
    assert "its lifecycle action ended before the proof" in person.type("retained-proof")
    person.type("end-retained")
    person.scene.wait_for_end(instance_id)
    assert person.type("discard-instance") == "deleted a message\n"
