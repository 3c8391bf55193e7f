"""What the runbook of unclean ends says of a flush, typed beside the stage that can tell."""

from sandbox.host.waiting import wait_until
from tests.support.runbook_scene import SECONDS, WAITING, Scene
from tests.support.runbook_walk import walk

# test_runbooks_of_sudden_ends.py types every block of the page; that cloud has no flush stage.


def test_unclean_termination_says_whether_the_instance_flushed(flushed_place: Scene) -> None:
    place = flushed_place
    taken, _ = place.reset(2)
    with walk(place, "unclean-termination") as operator:
        place.cloud.control.warn_of_spot_interruption(taken)
        wait_until(
            "its count",
            lambda: place.events("interruption", "unclean_termination", taken),
            SECONDS,
        )
        operator.type("set-up")
        assert f"{taken}\trunning\t" in operator.type("look")
        assert f"outlives {taken}" in operator.type("keep-disk")
        wait_until("its leave", lambda: taken not in place.registered(), SECONDS)
        wait_until("the answer", lambda: "Success" in operator.type("flushed"), SECONDS)
        answer = operator.type("flushed")
        assert answer.startswith('Success\t{"version":1,"service":"fluentd","signalled":true,')
        assert '"chunks":0,' in answer
        # Nothing was lost; its end must not fall into another test.
        place.wait_for_death(taken)
        wait_until("its wait", lambda: place.states().get(taken) == WAITING, SECONDS)
        place.end_wait(taken, "ABANDON")
        place.wait_for_end(taken)
