"""An `up` counts for the very target that Fluentd's series come from, and for no other."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lifecycle.decisions.buffer import Reason, State
from lifecycle.decisions.evidence import Series
from lifecycle.decisions.targets import may_be_a_worker
from tests.support.histories import RULES, History, counting
from tests.support.observers import (
    FLUENTD,
    NODE,
    OUTPUTS,
    WINDOW,
    drained,
    holding,
    is_up,
    seen_by,
    told_by_fluentd,
    up,
    verdict,
    without_up,
)

BETWEEN = {"job": "federate", "instance": "prometheus:9090"}
BEHIND = {"exported_job": "fluentd", "exported_instance": FLUENTD}


class TestFederation:
    def federated(self) -> list[Series]:
        """As a server stores them that federates another without `honor_labels`."""
        return seen_by(drained(), **BETWEEN, **BEHIND)

    def test_with_honor_labels_it_is_one_more_observer(self) -> None:
        own, federated = drained(), seen_by(drained(), prometheus="other", job="fluentd")
        assert verdict(*own, *federated).detail.startswith(f"{OUTPUTS} buffered outputs ")

    def test_without_honor_labels_the_exported_names_name_the_target(self) -> None:
        assert verdict(*self.federated()).state is State.DRAINED

    def test_the_up_of_the_server_in_between_is_not_that_of_fluentd(self) -> None:
        between = up(1, BETWEEN)
        answer = verdict(*without_up(self.federated()), between)
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.NO_UP)
        assert f"exported_instance={FLUENTD}" in answer.detail

    def test_a_failed_scrape_behind_it_is_seen_though_it_is_well_itself(self) -> None:
        between = up(1, BETWEEN)
        behind = up(0, BETWEEN | BEHIND, seconds=60)
        answer = verdict(*without_up(self.federated()), between, behind)
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.SCRAPE_FAILED)

    @pytest.mark.parametrize("exported", [{"exported_instance": "10.0.0.1"}, {}])
    def test_what_a_push_gateway_repeats_is_not_scraped_from_fluentd(
        self, exported: dict[str, str]
    ) -> None:
        pushed = told_by_fluentd(drained(), exported_job="fluentd", **exported)
        gateway = seen_by(pushed, job="pushgateway", instance="10.0.0.1:9091")
        answer = verdict(*gateway)
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.NO_UP)
        assert "Fluentd must be scraped itself" in answer.detail


class TestJobs:
    def test_one_target_in_two_jobs_is_two_observers(self) -> None:
        answer = verdict(*drained(), *seen_by(drained(), job="everything"))
        assert answer.state is State.DRAINED
        assert answer.detail.startswith(f"{OUTPUTS} buffered outputs ")
        worse = verdict(*drained(), *seen_by(holding(), job="everything"))
        assert worse.state is State.DRAINING

    def test_a_job_that_cannot_scrape_fluentd_and_never_showed_it_says_nothing(self) -> None:
        assert verdict(*drained(), up(0, {"job": "everything"})).state is State.DRAINED

    def test_a_job_that_scrapes_it_more_seldom_proves_nothing_and_is_named(self) -> None:
        seldom = [Series(one.labels, one.samples[::4]) for one in drained()]
        answer = verdict(*drained(), *seen_by(seldom, job="everything"))
        assert answer.state is State.UNKNOWN
        assert "job=everything" in answer.detail

    def test_a_relabelled_job_is_as_good_as_any(self) -> None:
        assert verdict(*seen_by(drained(), job="logs/aggregator")).state is State.DRAINED

    @pytest.mark.parametrize("label", ["job", "instance"])
    def test_a_name_that_differs_from_that_of_up_names_another_target(self, label: str) -> None:
        answer = verdict(*told_by_fluentd(drained(), **{label: "other"}))
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.NO_UP)
        assert f"{label}=other" in answer.detail
        assert "same job and instance" in answer.detail

    @pytest.mark.parametrize("label", ["job", "instance"])
    def test_a_label_of_fluentds_own_of_that_name_hides_what_was_scraped(self, label: str) -> None:
        told = told_by_fluentd(drained(), **{f"exported_{label}": "told by fluentd"})
        answer = verdict(*told)
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.NO_UP)
        assert f"exported_{label}=told by fluentd" in answer.detail

    def test_without_an_instance_no_target_can_be_told_from_another(self) -> None:
        nameless = [
            Series({k: v for k, v in one.labels.items() if k != "instance"}, one.samples)
            for one in drained()
        ]
        assert verdict(*nameless).reason is Reason.NO_UP

    def test_a_label_that_only_up_has_was_dropped_from_the_metrics(self) -> None:
        series = [
            Series({**one.labels, "zone": "a"}, one.samples) if is_up(one) else one
            for one in drained()
        ]
        assert verdict(*series).state is State.DRAINED

    def test_a_label_that_contradicts_that_of_up_is_another_target(self) -> None:
        series = [
            Series({**one.labels, "zone": "a" if is_up(one) else "b"}, one.samples)
            for one in drained()
        ]
        assert verdict(*series).reason is Reason.NO_UP


class TestOtherExporters:
    @pytest.mark.parametrize("job", ["fluentd", "node"])
    @pytest.mark.parametrize("seconds", [WINDOW, 60])
    def test_one_of_the_host_that_is_down_keeps_nothing(self, job: str, seconds: float) -> None:
        node = up(0, {"instance": NODE, "job": job}, seconds)
        assert verdict(*drained(), node).state is State.DRAINED

    def test_one_that_is_up_does_not_stand_in_for_fluentd(self) -> None:
        for other in ({"instance": NODE}, {"job": "node"}, {"instance": NODE, "job": "node"}):
            answer = verdict(*without_up(drained()), up(1, other))
            assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.NO_UP)
            assert f"instance={FLUENTD}, job=fluentd" in answer.detail

    def test_a_failed_scrape_names_its_target(self) -> None:
        failing = History().shows("05-drained", 60).fails(WINDOW - 60).series()
        answer = verdict(*failing, up(1, {"instance": NODE}))
        assert answer.reason is Reason.SCRAPE_FAILED
        assert f"instance={FLUENTD}" in answer.detail
        assert NODE not in answer.detail

    def test_the_label_may_be_instance_itself(self) -> None:
        by_address = [
            Series({k: v for k, v in one.labels.items() if k != "instance_id"}, one.samples)
            for one in (*drained(), up(0, {"instance": NODE}))
        ]
        assert verdict(*by_address).state is State.DRAINED

    @pytest.mark.parametrize(
        ("instance", "may_be"),
        [
            ("[2001:db8::7]:24232", True),
            ("[2001:db8::7]:9100", False),
            ("2001:db8::7", True),  # no port is to be seen
            ("2001:db8::7:9100", True),  # an address, too
        ],
    )
    def test_the_last_group_of_an_ipv6_address_is_no_port(
        self, instance: str, *, may_be: bool
    ) -> None:
        fluentd = {"job": "fluentd", "instance": "[2001:db8::7]:24231"}
        assert may_be_a_worker({"job": "fluentd", "instance": instance}, fluentd) is may_be

    def test_another_observer_that_cannot_scrape_fluentd_is_named_as_such(self) -> None:
        series = [*seen_by(drained(), replica="a"), up(0, {"replica": "b"})]
        answer = verdict(*series)
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.SCRAPE_FAILED)
        assert "replica=b" in answer.detail
        assert "job of its own" not in answer.detail

    def test_what_prometheus_3_adds_to_the_name_is_no_label(self) -> None:
        typed = [
            Series({**one.labels, "__type__": str(number), "__unit__": ""}, one.samples)
            for number, one in enumerate(drained())
        ]
        assert verdict(*typed).state is State.DRAINED


class TestWorkers:
    def ports(self, second: Sequence[Series]) -> list[Series]:
        first = told_by_fluentd(drained(), worker_id="0")
        return [*first, *told_by_fluentd(second, worker_id="1")]

    def test_each_is_an_output_of_its_own(self) -> None:
        both = self.ports(drained(target="10.0.0.1:24232"))
        rules = replace(RULES, expected_buffered_outputs=2 * OUTPUTS)
        assert verdict(*both, rules=rules).state is State.DRAINED

    def test_on_their_ports_and_aggregated_they_are_counted_once(self) -> None:
        both = self.ports(drained(target="10.0.0.1:24232"))
        aggregated = [
            *told_by_fluentd(drained(), worker_id="0"),
            *without_up(told_by_fluentd(drained(), worker_id="1")),
        ]
        seen = [*both, *seen_by(aggregated, job="aggregated")]
        answer = verdict(*seen, rules=replace(RULES, expected_buffered_outputs=2 * OUTPUTS))
        assert answer.state is State.DRAINED
        more = replace(RULES, expected_buffered_outputs=2 * OUTPUTS + 1)
        assert verdict(*seen, rules=more).reason is Reason.TOO_FEW_SERIES

    def test_one_that_is_seen_from_two_ports_does_not_stand_in_for_another(self) -> None:
        # Both ports show the aggregated metrics, and worker 1 is left out of both.
        twice = told_by_fluentd([*drained(), *drained(target="10.0.0.1:24232")], worker_id="0")
        answer = verdict(*twice, rules=replace(RULES, expected_buffered_outputs=2 * OUTPUTS))
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.TOO_FEW_SERIES)

    def test_one_that_hangs_is_seen_though_its_series_are_out_of_sight(self) -> None:
        dead = up(0, {"instance": "10.0.0.1:24232"})
        answer = verdict(*drained(), dead)
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.SCRAPE_FAILED)
        assert "instance=10.0.0.1:24232" in answer.detail
        assert "give another exporter a job of its own" in answer.detail

    def test_one_that_came_back_a_moment_ago_and_shows_nothing_yet_is_unknown(self) -> None:
        history = History("10.0.0.1:24232").fails(WINDOW - 15)
        back = history.shows("00-first-scrape-within-5s", 15).series()
        assert verdict(*drained(), *back).reason is Reason.SCRAPE_FAILED

    @pytest.mark.parametrize("instance", ["worker-1", "10.0.0.1"])
    def test_where_no_port_is_to_be_seen_it_may_be_a_worker(self, instance: str) -> None:
        answer = verdict(*drained(), up(0, {"instance": instance}))
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.SCRAPE_FAILED)

    def test_a_target_next_to_it_that_answers_and_shows_no_output_is_none(self) -> None:
        assert verdict(*drained(), up(1, {"instance": "10.0.0.1:24232"})).state is State.DRAINED

    def test_behind_a_federating_server_the_ports_are_those_of_the_targets(self) -> None:
        names = {"job": "federate", "instance": "prometheus:9090", "exported_job": "fluentd"}
        seen = seen_by(drained(), **names, exported_instance=FLUENTD)
        worker = up(0, names | {"exported_instance": "10.0.0.1:24232"})
        node = up(0, names | {"exported_instance": NODE})
        assert verdict(*seen, node).state is State.DRAINED
        assert verdict(*seen, worker).reason is Reason.SCRAPE_FAILED

    def test_a_label_of_the_target_does_not_hide_which_worker_it_is(self) -> None:
        def renamed(worker_id: str) -> list[Series]:
            labels = {"exported_worker_id": worker_id, "exported_type": "s3"}
            return told_by_fluentd(drained(), **labels)

        both = seen_by([*renamed("0"), *without_up(renamed("1"))], worker_id="any", type="m7g")
        rules = replace(RULES, expected_buffered_outputs=2 * OUTPUTS)
        assert verdict(*both, rules=rules).state is State.DRAINED

    def test_each_needs_a_heartbeat_of_its_own(self) -> None:
        rules = replace(RULES, heartbeat_plugin_id="out_null")
        beating = drained(WINDOW, counting("emit_records", "out_null"))
        still = drained(target="10.0.0.1:24232")
        # Two Fluentds without `worker_id`, on two ports.
        assert verdict(*beating, *still, rules=rules).reason is Reason.HEARTBEAT_STOPPED
        assert verdict(*still, *beating, rules=rules).reason is Reason.HEARTBEAT_STOPPED
