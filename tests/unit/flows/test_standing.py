"""The standing check: who could not be proven today is found at each run; nothing else fails."""

import json
from io import BytesIO
from typing import Any

import pytest

from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import LOOKED_TAG_KEY, NOT_PROVABLE_TAG_KEY, written
from lifecycle.flows.proof import Proof
from lifecycle.flows.standing import StandingCheck
from lifecycle.settings import ProofSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric
from tests.support import environments
from tests.support.machines import answer
from tests.support.messages import GROUP, INSTANCE_ID, NOW, OTHER_INSTANCE_ID
from tests.support.parts import Parts
from tests.support.scripted import THROTTLED, aws_error

SERVING = Verdict(State.SERVING, Reason.PROVABLE, "whole")
SETTLED = 960.0  # a boot, and the window of a proof


def fleet(*ids: str, age: float = SETTLED, **more: Any) -> dict[str, Instance | None]:
    return {one: Instance(one, "running", NOW - age, None, None, **more) for one in ids}


def ids(number: int) -> list[str]:
    return [f"i-{one:08x}" for one in range(number)]


class Function:
    """Answers each question with the same verdict, after so many seconds."""

    def __init__(self, verdict: Verdict | Exception, parts: Parts, seconds: float = 0.0) -> None:
        self.verdict, self.parts, self.seconds = verdict, parts, seconds
        self.questions: list[dict[str, Any]] = []

    def invoke(self, **asked: Any) -> dict[str, Any]:
        question = json.loads(asked["Payload"])
        self.questions.append(question)
        self.parts.now += self.seconds
        if isinstance(self.verdict, Exception):
            raise self.verdict
        members = {name: getattr(self.verdict, name) for name in ("state", "reason", "detail")}
        verdicts = dict.fromkeys(question["instances"], members)
        said = {"version": 1, "now": self.parts.now, "verdicts": verdicts}
        return {"StatusCode": 200, "Payload": BytesIO(json.dumps(said).encode())}


def check(
    parts: Parts,
    in_service: dict[str, Instance | None],
    function: Function | None = None,
    *,
    looks: bool = False,
    **settings: str,
) -> list[tuple[object, object]]:
    """Run the check; return whom it reported, and why."""
    client: Any = parts.client
    functions: Any = function
    proof = Proof(
        load_settings(ProofSettings, environments.reconciler(**settings)),
        parts.instances,
        EvidenceFunction(functions, "evidence", parts.runtime.clock),
        parts.runtime,
    )
    look = RunCommand(client, "pipeline-flush", 60, signals=False) if looks else None
    StandingCheck(GROUP, parts.instances, proof if function else None, look, parts.runtime).run(
        in_service
    )
    found = parts.telemetry.of(LogEvent.INSTANCE_NOT_PROVABLE)
    assert Metric.INSTANCES_NOT_PROVABLE in [metric for metric, _ in parts.telemetry.values]
    counted = [line for line in found if line["is_counted"]]
    assert parts.telemetry.total(Metric.INSTANCES_NOT_PROVABLE) == len(counted)
    return [(line["instance_id"], line["reason"]) for line in found]


class TestEvidence:
    def test_who_is_busy_but_observed_is_fine_and_the_metric_says_0(self) -> None:
        parts = Parts()
        function = Function(SERVING, parts)
        assert check(parts, fleet(INSTANCE_ID, OTHER_INSTANCE_ID), function) == []
        [question] = function.questions
        assert question["purpose"] == "standing"
        assert question["instances"].keys() == {INSTANCE_ID, OTHER_INSTANCE_ID}

    def test_an_empty_fleet_asks_nothing_and_the_metric_says_0(self) -> None:
        parts = Parts()
        function = Function(SERVING, parts)
        assert check(parts, {}, function, looks=True) == []
        assert (function.questions, parts.client.calls) == ([], [])

    def test_who_could_not_be_proven_is_named_with_the_reason(self) -> None:
        parts = Parts()
        function = Function(unknown(Reason.NO_SERIES, "none of this instance"), parts)
        assert check(parts, fleet(INSTANCE_ID), function) == [(INSTANCE_ID, Reason.NO_SERIES)]
        line = parts.telemetry.the(LogEvent.INSTANCE_NOT_PROVABLE)
        assert line["detail"] == "none of this instance"

    def test_a_launch_raises_no_alarm_until_its_window_can_be_full(self) -> None:
        parts = Parts()
        function = Function(unknown(Reason.GAP, "too young"), parts)
        assert check(parts, fleet(INSTANCE_ID, age=SETTLED - 1), function) == []
        assert check(parts, fleet(INSTANCE_ID), function) == [(INSTANCE_ID, Reason.GAP)]

    def test_a_function_that_fails_counts_every_instance_young_or_not(self) -> None:
        parts = Parts()
        in_service = fleet(INSTANCE_ID) | fleet(OTHER_INSTANCE_ID, age=1)
        found = check(parts, in_service, Function(THROTTLED, parts))
        assert found == [(one, Reason.EVIDENCE_FAILED) for one in sorted(in_service)]


def tagged(parts: Parts) -> list[tuple[list[str], str]]:
    """Which instances got which value of the tag that remembers flaws."""
    calls = parts.client.arguments_of("create_tags")
    return [
        (call["Resources"], tag["Value"])
        for call in calls
        for tag in call["Tags"]
        if tag["Key"] == NOT_PROVABLE_TAG_KEY
    ]


class TestMemory:
    FLAW = unknown(Reason.SCRAPE_FAILED, "one of them failed")

    def test_a_flaw_is_logged_and_remembered_at_once_and_counts_if_it_lasts(self) -> None:
        parts = Parts()
        check(parts, fleet(INSTANCE_ID, OTHER_INSTANCE_ID), Function(self.FLAW, parts))
        assert tagged(parts) == [(sorted([INSTANCE_ID, OTHER_INSTANCE_ID]), written(NOW))]
        assert parts.telemetry.total(Metric.INSTANCES_NOT_PROVABLE) == 0
        parts = Parts()
        in_service = fleet(INSTANCE_ID, not_provable=written(NOW - 600)) | fleet(
            OTHER_INSTANCE_ID, not_provable=written(NOW - 300)
        )
        check(parts, in_service, Function(self.FLAW, parts))
        assert tagged(parts) == []
        assert parts.telemetry.total(Metric.INSTANCES_NOT_PROVABLE) == 1

    def test_a_flaw_that_went_is_forgotten(self) -> None:
        parts = Parts()
        in_service = fleet(INSTANCE_ID, not_provable=written(NOW - 600))
        assert check(parts, in_service, Function(SERVING, parts)) == []
        assert tagged(parts) == [([INSTANCE_ID], "")]

    def test_what_cannot_be_remembered_counts_at_once(self) -> None:
        parts = Parts(create_tags=THROTTLED)
        check(parts, fleet(INSTANCE_ID), Function(self.FLAW, parts))
        assert parts.telemetry.total(Metric.INSTANCES_NOT_PROVABLE) == 1
        assert parts.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "not-provable"

    def test_one_that_takes_no_tag_does_not_cost_the_others_their_memory(self) -> None:
        def create_tags(**asked: Any) -> dict[str, Any]:
            if INSTANCE_ID in asked["Resources"]:
                raise aws_error("TagLimitExceeded")
            return {}

        parts = Parts(create_tags=create_tags)
        check(parts, fleet(INSTANCE_ID, OTHER_INSTANCE_ID), Function(self.FLAW, parts))
        assert ([OTHER_INSTANCE_ID], written(NOW)) in tagged(parts)
        lines = parts.telemetry.of(LogEvent.INSTANCE_NOT_PROVABLE)
        counted = {line["instance_id"] for line in lines if line["is_counted"]}
        assert counted == {INSTANCE_ID}

    def test_if_no_instance_takes_a_tag_each_counts_after_few_calls(self) -> None:
        parts = Parts(create_tags=THROTTLED)
        check(parts, fleet(*ids(90)), Function(self.FLAW, parts))
        assert parts.telemetry.total(Metric.INSTANCES_NOT_PROVABLE) == 90
        assert len(tagged(parts)) == 51

    @pytest.mark.parametrize(("since", "counted"), [(NOW - 600, 300), (NOW - 60, 0), (None, 0)])
    @pytest.mark.parametrize("age", [SETTLED, 1.0])
    def test_of_whom_there_was_no_time_to_ask_nothing_is_forgotten_nor_taken_for_mended(
        self, since: float | None, counted: int, age: float
    ) -> None:
        parts = Parts()
        in_service = fleet(*ids(300), age=age, not_provable=since and written(since))
        check(parts, in_service, Function(THROTTLED, parts, seconds=61))
        assert parts.telemetry.total(Metric.INSTANCES_NOT_PROVABLE) == counted
        assert [value for _, value in tagged(parts)] == ([] if since else [written(NOW)])


def agents(**ping: str) -> dict[str, Any]:
    """What SSM says of agents, by the ids of their instances with underscores."""
    listed = [{"InstanceId": name.replace("_", "-"), "PingStatus": p} for name, p in ping.items()]
    return {"InstanceInformationList": listed}


ONLINE = agents(**{INSTANCE_ID: "Online"})
LOOK = {"Status": "Success", "StandardOutputContent": json.dumps(answer(signalled=False))}


def with_agents(said: Any, look: Any = LOOK) -> Parts:
    return Parts(describe_instance_information=said, get_command_invocation=look)


class TestAgents:
    def test_an_instance_is_looked_at_without_a_signal_and_that_is_remembered(self) -> None:
        parts = with_agents(ONLINE)
        assert check(parts, fleet(INSTANCE_ID), looks=True) == []
        [sent] = parts.client.arguments_of("send_command")
        assert sent["Parameters"] == {"Signal": ["false"]}
        [written_tag] = parts.client.arguments_of("create_tags")
        assert written_tag["Tags"][0]["Key"] == LOOKED_TAG_KEY
        assert parts.telemetry.of(LogEvent.LOOK_REQUESTED)

    def test_one_that_was_looked_at_since_its_start_is_not_looked_at_again(self) -> None:
        parts = with_agents(ONLINE)
        assert check(parts, fleet(INSTANCE_ID, looked=written(NOW - 10)), looks=True) == []
        assert parts.done == []
        before = fleet(INSTANCE_ID, looked=written(NOW - SETTLED - 1))  # stopped, and started again
        parts = with_agents(ONLINE)
        check(parts, before, looks=True)
        assert "send" in parts.done

    @pytest.mark.parametrize("ping", ["ConnectionLost", "Inactive", "a status of next year"])
    def test_an_agent_that_ssm_has_lost_counts_and_is_not_looked_at(self, ping: str) -> None:
        parts = with_agents(agents(**{INSTANCE_ID: ping}))
        found = check(parts, fleet(INSTANCE_ID, OTHER_INSTANCE_ID), looks=True)
        assert sorted(found) == [
            (one, "agent_not_reachable") for one in sorted([INSTANCE_ID, OTHER_INSTANCE_ID])
        ]
        assert "send" not in parts.done

    def test_a_look_that_fails_counts_and_is_repeated_at_the_next_run(self) -> None:
        failed = {"Status": "Failed", "StandardErrorContent": "flush: no such folder: /var/x"}
        parts = with_agents(ONLINE, look=failed)
        assert check(parts, fleet(INSTANCE_ID), looks=True) == [(INSTANCE_ID, "command_failed")]
        assert "no such folder" in str(
            parts.telemetry.the(LogEvent.INSTANCE_NOT_PROVABLE)["detail"]
        )
        assert parts.done[0] == "send"
        assert [value for _, value in tagged(parts)] == [written(NOW)]

    def test_an_instance_that_boots_is_not_asked_for_its_agent_yet(self) -> None:
        parts = with_agents(ONLINE)
        assert check(parts, fleet(INSTANCE_ID, age=599), looks=True) == []
        assert parts.client.calls == []

    def test_an_ssm_that_refuses_counts_every_instance_and_the_run_goes_on(self) -> None:
        parts = with_agents(THROTTLED)
        in_service = fleet(INSTANCE_ID) | fleet(OTHER_INSTANCE_ID, age=1)
        found = check(parts, in_service, Function(SERVING, parts), looks=True)
        assert sorted(found) == [(one, "check_failed") for one in sorted(in_service)]

    def test_a_tag_that_cannot_be_written_is_no_flaw(self) -> None:
        parts = Parts(
            describe_instance_information=ONLINE,
            get_command_invocation=LOOK,
            create_tags=THROTTLED,
        )
        assert check(parts, fleet(INSTANCE_ID), looks=True) == []
        assert parts.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "looked"

    def test_no_more_than_fifty_are_looked_at_in_a_run(self) -> None:
        many = ids(60)
        parts = Parts(
            describe_instance_information=lambda **asked: {
                "InstanceInformationList": [
                    {"InstanceId": one, "PingStatus": "Online"}
                    for one in asked["Filters"][0]["Values"]
                ]
            },
            get_command_invocation=LOOK,
        )
        in_service = fleet(*many, not_provable=written(NOW - 600))
        passed_over = check(parts, in_service, looks=True)
        assert {reason for _, reason in passed_over} == {Reason.NOT_ASKED}
        assert len(passed_over) == 10
        assert len(parts.client.arguments_of("send_command")) == 50
        [(forgotten, _)] = tagged(parts)
        assert len(forgotten) == 50  # of the others nothing was found
