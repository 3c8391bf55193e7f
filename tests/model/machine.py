"""Random histories of a group of aggregators in a world where everything goes wrong.

A step is some troubles, a repair, something that the operator does, or time. After each step the
promises are checked (most of them the moment that something happens, by ``Cloud``); at the end the
world calms down, and every instance must have been released, or reported to the operator.

A trap that the design meets with a setting is set only where that setting is: a dead exporter timer
(trap 9) with a heartbeat output, a worker that is not scraped (trap 11) with the number of expected
outputs (``tests.model.shapes``).
"""

from contextlib import ExitStack

from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.model.cloud import Cloud, model_cloud
from tests.model.counting import COUNTS
from tests.model.leaving import WAYS_TO_GO, detach, end_outside, in_service, take_away
from tests.model.monitoring import Answering, Observer, Scraping
from tests.model.shapes import DRAIN_TIMEOUT, HOOK_SECONDS, Shape, shapes
from tests.model.staying import OUTCOMES, end_refresh, replace_root_volumes, start_again, stop
from tests.model.troubles import (
    AwsTrouble,
    FluentdTrouble,
    Trouble,
    WatchTrouble,
    troubles,
)
from tests.support.functions import Invoking
from tests.support.pipeline import EMPTY_FOR, RECONCILE_INTERVAL, SETTLE

_STEPS = 10
_LONG_ENOUGH_TO_BE_PROVEN = EMPTY_FOR + SETTLE + 60

_STUCK = Trouble(FluentdTrouble.DESTINATION_DOWN, whom=0, amount=1)

_members = st.integers(0, 3)
_pauses = st.sampled_from([0, 10, 30, 75])
_aws_troubles = st.lists(troubles(AwsTrouble), min_size=1, max_size=4)
_watch_troubles = st.lists(troubles(WatchTrouble), min_size=1, max_size=2)
_fluentd_troubles = st.lists(troubles(FluentdTrouble), min_size=1, max_size=2)


class Histories(RuleBasedStateMachine):
    """One instance is one history."""

    cloud: Cloud

    @initialize(
        shape=shapes(),
        at_launch=st.lists(troubles(AwsTrouble), max_size=3),
        before_leaving=st.lists(troubles(AwsTrouble), max_size=3),
        while_leaving=st.lists(troubles(WatchTrouble) | troubles(FluentdTrouble), max_size=3),
    )
    def begin(
        self,
        shape: Shape,
        at_launch: list[Trouble],
        before_leaving: list[Trouble],
        while_leaving: list[Trouble],
    ) -> None:
        """A group comes into service, and some of it leaves."""
        COUNTS.histories += 1
        self._open = ExitStack()
        self.cloud = self._open.enter_context(model_cloud(shape))
        self._befall(at_launch)
        self.cloud.create_group()
        self.cloud.advance(20)
        self._befall(before_leaving)
        if shape.leaving:
            self.cloud.scale_to(shape.size - shape.leaving)
        self.cloud.advance(10)
        if shape.denied:
            # A drain that ends by itself ends before its hook does.
            self._befall([_STUCK])
        self._befall(while_leaving)

    def _befall(self, troubles: list[Trouble]) -> None:
        for trouble in troubles:
            trouble.befall(self.cloud)

    def _then(self, seconds: int) -> None:
        """End a step with time in which what it did can show."""
        COUNTS.steps += 1
        if seconds:
            self.cloud.advance(seconds)

    @rule(seconds=st.sampled_from([5, 20, 60, 150]))
    def time_passes(self, seconds: int) -> None:
        self._then(seconds)

    @rule(troubles=_aws_troubles, then=_pauses)
    def aws_is_in_trouble(self, troubles: list[Trouble], then: int) -> None:
        self._befall(troubles)
        self._then(then)

    @rule(troubles=_watch_troubles, then=_pauses)
    def watching_is_in_trouble(self, troubles: list[Trouble], then: int) -> None:
        self._befall(troubles)
        self._then(then)

    @rule(troubles=_fluentd_troubles, then=_pauses)
    def fluentd_is_in_trouble(self, troubles: list[Trouble], then: int) -> None:
        self._befall(troubles)
        self._then(then)

    @rule(size=st.integers(0, 3), then=_pauses)
    def it_is_scaled(self, size: int, then: int) -> None:
        self.cloud.scale_to(size)
        self._then(then)

    @rule(whom=_members, then=_pauses)
    def one_is_terminated_by_hand(self, whom: int, then: int) -> None:
        members = [one for one, state in self.cloud.states().items() if state == "InService"]
        if members:
            self.cloud.clients.autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=members[whom % len(members)], ShouldDecrementDesiredCapacity=True
            )
        self._then(then)

    @rule(whom=_members, how=st.sampled_from(WAYS_TO_GO), chance=st.integers(0, 1), then=_pauses)
    def one_is_taken_away(self, whom: int, how: str, chance: int, then: int) -> None:
        lives = self.cloud.promises.lives.items()
        members = [one for one, life in lives if not (life.terminated or life.killed)]
        if members and chance:
            victim = members[whom % len(members)]
            if self.cloud.promises.lives[victim].has_left:
                end_outside(self.cloud, victim)
            else:
                take_away(self.cloud, how, victim)
        self._then(then)

    @rule(whom=_members, is_moved=st.booleans(), chance=st.integers(0, 1), then=_pauses)
    def one_is_detached(self, whom: int, is_moved: bool, chance: int, then: int) -> None:
        members = in_service(self.cloud)
        if members and chance:
            detach(self.cloud, members[whom % len(members)], is_moved=is_moved)
        self._then(then)

    @rule(chance=st.integers(0, 3), then=_pauses)
    def the_group_is_replaced(self, chance: int, then: int) -> None:
        """What serves is of another group from now on; a hook of the module holds the rest."""
        members = in_service(self.cloud)
        if members and not chance:
            self.cloud.count("group: replaced")
            for one in members:
                detach(self.cloud, one, is_moved=True)
        self._then(then)

    @rule(abandoned=st.sampled_from(OUTCOMES), failing=st.sampled_from([0, 0, 1]), then=_pauses)
    def root_volumes_are_replaced(self, abandoned: str, failing: int, then: int) -> None:
        replace_root_volumes(self.cloud, abandoned, failing)
        self._then(then)

    @rule(how=st.sampled_from(["cancelled", "rolled back"]), then=_pauses)
    def a_refresh_ends_early(self, how: str, then: int) -> None:
        end_refresh(self.cloud, how)
        self._then(then)

    @rule(whom=_members, starts=st.booleans(), then=_pauses)
    def one_is_stopped(self, whom: int, starts: bool, then: int) -> None:
        lives = self.cloud.promises.lives.items()
        running = [
            one
            for one, life in lives
            if not (life.terminated or life.killed or life.stopped or life.has_left)
        ]
        if running:
            stop(self.cloud, running[whom % len(running)])
        self._then(then)
        if starts:
            start_again(self.cloud)

    @rule(which=st.integers(0, 9), then=_pauses)
    def an_old_event_comes_again(self, which: int, then: int) -> None:
        events = self.cloud.world.events
        if events:
            self.cloud.count("event delivered again, much later")
            self.cloud.receive_event(events[which % len(events)])
        self._then(then)

    @rule(seconds=st.sampled_from([60, 120, 200]))
    def nothing_runs_for_a_while(self, seconds: int) -> None:
        if self.cloud.can_go_without_functions(seconds):
            self.cloud.count("no function ran for minutes")
            self.cloud.clock.now += seconds
        self._then(5)

    @rule(then=_pauses)
    def what_watches_recovers(self, then: int) -> None:
        self._recover_watching()
        self._then(then)

    @rule(then=_pauses)
    def fluentd_recovers(self, then: int) -> None:
        self._recover_fluentd()
        self._then(then)

    def _recover_watching(self) -> None:
        cloud = self.cloud
        cloud.monitoring.answering, cloud.monitoring.is_scraping = Answering.SOUND, True
        cloud.monitoring.observers, cloud.monitoring.has_neighbours = (Observer(),), False
        cloud.evidence.invoking = Invoking.SOUND
        for target in cloud.monitoring.targets.values():
            target.scraping = cloud.shape.scraping or Scraping.SOUND
        faults = cloud.world.faults
        faults.agents_off, faults.agents_silent, faults.undeliverable = [], [], []
        cloud.bad_reports, cloud.slow_scripts = 0, False

    def _recover_fluentd(self) -> None:
        start_again(self.cloud)
        for fluentd in self.cloud.fluentds.values():
            fluentd.recover()

    @invariant()
    def no_promise_is_broken(self) -> None:
        if hasattr(self, "cloud"):
            self.cloud.promises.enforce()

    def teardown(self) -> None:
        """The world calms down; then everybody's end is known."""
        if not hasattr(self, "cloud"):
            return
        try:
            if not self.cloud.promises.broken:
                self._calm_down()
        finally:
            self._open.close()

    def _calm_down(self) -> None:
        cloud = self.cloud
        cloud.end_outages()
        # Without tags nothing comes to rest: each run of the reconciler restarts what is retained.
        cloud.allow("CreateTags")
        end_refresh(cloud, "cancelled")
        if cloud.shape.denied:
            self._let_hooks_expire()
        self._recover_fluentd()
        if cloud.monitoring.misleads or cloud.evidence.invoking is not Invoking.SOUND:
            # All are well but what is asked: if its word is taken for a proof, then now.
            cloud.advance(_LONG_ENOUGH_TO_BE_PROVEN, step=15)
        self._recover_watching()
        self._come_to_rest()
        self._let_hooks_expire()
        # What no event was sent for: the schedule comes round twice, and so does a spot reclaim.
        cloud.advance(2 * RECONCILE_INTERVAL + 60, step=15)
        self._come_to_rest()
        COUNTS.faults["SQS: messages late"] += len(cloud.late)
        cloud.promises.check_ends()
        cloud.promises.enforce()

    def _let_hooks_expire(self) -> None:
        """An instance that was reported and not repaired ends when its hook has run out."""
        cloud = self.cloud
        end = cloud.clock() + HOOK_SECONDS + 30
        while cloud.clock() < end and any(
            one.waits_in is not None for one in cloud.promises.lives.values()
        ):
            cloud.advance(30, step=15)

    def _come_to_rest(self) -> None:
        cloud = self.cloud
        end = cloud.clock() + DRAIN_TIMEOUT + 900
        while not cloud.is_calm:
            assert cloud.clock() < end, f"no rest: {cloud.states()}, {cloud.telemetry.lines[-6:]}"
            cloud.advance(30)


def play(histories: type[Histories], seed: int, number: int) -> None:
    """Play a number of histories, the same ones for the same seed."""
    run_state_machine_as_test(
        seeded(seed)(histories),
        settings=settings(
            max_examples=number,
            stateful_step_count=_STEPS,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
