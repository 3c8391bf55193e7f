"""The mix of faults is the one that was asked for, and counted as what it is."""

import random
from collections import Counter

import pytest
from microburst.core.context import RequestContext  # type: ignore[import-untyped]
from microburst.rules import RuleEngine, describe  # type: ignore[import-untyped]

from sandbox.chaos.plan import THROTTLES, Fault, Plan, kind_of, rules
from sandbox.chaos.proxy import faults_in

CALLS = 20_000


@pytest.mark.parametrize("service", sorted(THROTTLES))
def test_each_fault_hits_its_share_of_all_calls_to_a_service(service: str) -> None:
    engine = RuleEngine()
    engine.set_rules(rules(Plan().faults))
    random.seed(7)
    hit: Counter[Fault | None] = Counter()
    for _ in range(CALLS):
        decision = engine.decide(RequestContext(service=service, operation="Anything"))
        if decision is not None:
            hit[kind_of(describe(decision))] += 1
    for kind, share in Plan().faults.items():
        assert hit[kind] / CALLS == pytest.approx(share, abs=0.012), kind
    assert set(hit) == set(Fault)


def test_a_service_without_calls_of_functions_is_never_throttled() -> None:
    engine = RuleEngine()
    engine.set_rules(rules({Fault.THROTTLED: 1.0}))
    assert engine.decide(RequestContext(service="s3", operation="PutObject")) is None


def test_faults_are_counted_from_the_metrics_whatever_their_latency() -> None:
    metrics = """
# TYPE microburst_faults_total counter
microburst_requests_total 40
microburst_faults_total{service="sqs",operation="SendMessage",action="latency:812ms"} 2
microburst_faults_total{service="sqs",operation="SendMessage",action="latency:90ms"} 1
microburst_faults_total{service="ec2",operation="CreateTags",action="error:InternalFailure"} 4
microburst_faults_total{service="ec2",operation="CreateTags",action="timeout"} 9
"""
    assert faults_in(metrics) == {("sqs", Fault.SLOW): 3, ("ec2", Fault.SERVER_ERROR): 4}
