"""The longest of the runbooks, typed as it stands: three aggregators could not be proven empty.

One is overridden by hand, one was retained by its group and holds a backed-up chunk, one
is released by a plain redrive.
"""

from collections.abc import Sequence

from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.host.waiting import wait_until
from tests.support.runbook_scene import SECONDS, WAITING, Scene
from tests.support.runbook_walk import INTERACTIVE, NO_JOURNAL, Walk, walk


def test_buffer_dlq_keeps_proves_overrides_and_redrives(place: Scene) -> None:
    override, retained, redriven, stays = place.reset(4)
    stuck = (override, retained, redriven)
    place.fleet.set_rate(100)
    place.fleet.destination(DestinationMode.REJECTING, retained)
    wait_until("a backed-up chunk", lambda: place.chunks_set_aside(retained), SECONDS)
    for instance_id in stuck:
        place.fleet.exporter(ExporterMode.DEAD, instance_id)
    place.scale_to(1)
    place.wait_for_letters("buffer-dlq", 3)
    place.wait_for_alarm("buffer-dlq")
    with walk(place, "buffer-dlq") as operator:
        stop_the_clock(operator, stuck)
        operator.set("INSTANCE", override)
        find_the_cause(operator, override, stays)
        override_by_hand(operator, override)
        operator.set("INSTANCE", retained)
        rescue_backed_up_chunks(operator, retained)
        redrive(operator, retained, redriven)
        end_the_retained_one(operator, retained)
        place.receive_malformed("buffer")
        assert operator.type("discard-malformed") == "deleted a message\n"
        operator.set("INSTANCE", redriven)
        verified = operator.type("verify")
        assert f'"instance_id":"{redriven}"' in verified
        assert '"drain_seconds":' in verified
        assert "fluentd-buffer-dlq\t" in verified
        assert place.states() == {stays: "InService"}
        assert f"of {redriven}, which was proven empty" in operator.type("undo")
        operator.finish(
            {
                "session": INTERACTIVE,
                "fluentd-log": NO_JOURNAL,
                "restart": "the script is not there to say that it loses nothing",
            }
        )


def stop_the_clock(operator: Walk, stuck: Sequence[str]) -> None:
    opening = operator.type("set-up")
    assert all(f"{instance_id}\t{WAITING}" in opening for instance_id in stuck)
    assert "fluentd-terminate\t180\t18000\tABANDON" in operator.type("deadline")
    beats = len(operator.scene.journal("heartbeat", stuck[0]))
    assert operator.type("keep").count(" kept i-") == len(stuck)
    assert len(operator.scene.journal("heartbeat", stuck[0])) == beats + 1
    insured = operator.type("insure")
    assert all(f"outlives {instance_id}" in insured for instance_id in stuck)
    operator.type("suspend")
    assert operator.type("look").count("minutes ago: not done after ") == len(stuck)
    assert operator.show("INSTANCE") in stuck


def find_the_cause(operator: Walk, instance_id: str, stays: str) -> None:
    assert '"verdict":"UNKNOWN"' in operator.type("verdicts")
    assert operator.type("errors-rose") == ""
    operator.open_session(instance_id)
    operator.type("exporter", fails_with="Failed to connect")
    assert stays in operator.type("registered")
    assert operator.type("prometheus-failed") == ""
    assert operator.type("evidence-failed") == ""
    assert "out_heartbeat" in operator.type("settings")
    operator.type("flush")
    refused = operator.type("may-restart", fails_with="InvalidDocument")
    assert f"Do not restart Fluentd on {instance_id}" in refused
    assert operator.session is not None
    assert operator.session.services_commanded() == ["kill --signal=USR1 fluentd"]
    operator.type("successor")


def override_by_hand(operator: Walk, instance_id: str) -> None:
    first = operator.type("disk")
    assert "buffered:  0 chunk files\nbacked up: 0 chunk files\n" in first
    assert '"emit_records"' in first
    assert operator.type("disk") == first
    operator.type("not-registered", fails_with="InstanceNotFound")
    assert operator.type("override") == f"released {instance_id}\n"
    operator.scene.wait_for_end(instance_id)
    assert operator.type("discard-instance") == "deleted a message\n"


def rescue_backed_up_chunks(operator: Walk, instance_id: str) -> None:
    operator.open_session(instance_id)
    count = len(operator.scene.chunks_set_aside(instance_id))
    assert f"backed up: {count} chunk files" in operator.type("disk")
    operator.type("rescue")
    objects = operator.scene.cloud.client("s3").list_objects_v2(
        Bucket=operator.scene.bucket, Prefix=f"rescued/{instance_id}/backup/"
    )
    assert objects["KeyCount"] == count > 0


def redrive(operator: Walk, retained: str, redriven: str) -> None:
    """Both messages go back; the hook of one instance is over, and its group retains it."""
    assert operator.type("forget-cleared") == ""
    place = operator.scene
    place.retention("retain")
    place.end_wait(retained, "ABANDON")
    for instance_id in (retained, redriven):
        place.fleet.exporter(ExporterMode.OK, instance_id)
    assert operator.type("exporter").count("fluentd_output_status_buffer_total_bytes{") == 1
    wait_until("the letters to be visible", lambda: place.visible("buffer-dlq") == 2, SECONDS)
    operator.type("redrive")
    assert operator.type("redrive-status") == "COMPLETED\t2\tNone\n"
    place.wait_for_end(redriven)


def end_the_retained_one(operator: Walk, instance_id: str) -> None:
    operator.scene.wait_for_letters("buffer-dlq", 1)
    assert f"{instance_id} is Terminating:Retained" in operator.type("look")
    assert "its lifecycle action ended before the proof" in operator.type("retained-proof")
    operator.type("end-retained")
    operator.scene.wait_for_end(instance_id)
    assert operator.type("discard-instance") == "deleted a message\n"
