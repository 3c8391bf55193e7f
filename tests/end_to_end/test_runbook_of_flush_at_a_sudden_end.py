"""What the runbook of unclean ends says of a flush, typed beside the stage that can tell."""

from __future__ import annotations

from sandbox.host.waiting import wait_until
from tests.support.runbook_scene import SECONDS, WAITING, Scene
from tests.support.runbook_walk import walk

# Every block of the page is typed in test_runbooks_of_sudden_ends.py; in that cloud nobody flushes.


def test_unclean_termination_says_whether_the_instance_flushed(flushed_place: Scene) -> None:
    place = flushed_place
    taken, _ = place.reset(2)
    with walk(place, "unclean-termination") as person:
        place.cloud.control.warn_of_spot_interruption(taken)
        wait_until(
            "its count",
            lambda: place.events("interruption", "unclean_termination", taken),
            SECONDS,
        )
        person.type("set-up")
        assert f"{taken}\trunning\t" in person.type("look")
        assert f"outlives {taken}" in person.type("keep-disk")
        wait_until("its leave", lambda: taken not in place.registered(), SECONDS)
        wait_until("the answer", lambda: "Success" in person.type("flushed"), SECONDS)
        answer = person.type("flushed")
        assert answer.startswith('Success\t{"version":1,"service":"fluentd","signalled":true,')
        assert '"chunks":0,' in answer

        # Nobody lost anything: but its end shall not come in the middle of another test.
        place.wait_for_death(taken)
        wait_until("its wait", lambda: place.states().get(taken) == WAITING, SECONDS)
        place.end_wait(taken, "ABANDON")
        place.wait_for_end(taken)
