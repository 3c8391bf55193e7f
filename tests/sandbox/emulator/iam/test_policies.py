"""Policies are held against calls as IAM does it; what is not understood is never let through."""

from typing import Any

import pytest

from sandbox.emulator.iam.policies import Decision, Request, UnsupportedPolicyError, decide

SERVICE = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1"


def policy(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def allowed(request: Request, *policies: dict[str, Any]) -> bool:
    return decide(policies, request) is Decision.ALLOWED


class TestStatements:
    def test_what_no_policy_mentions_is_denied_implicitly(self) -> None:
        request = Request("servicediscovery:DeregisterInstance", SERVICE)
        assert decide([], request) is Decision.IMPLICITLY_DENIED

    def test_an_allow_of_action_and_resource_lets_in(self) -> None:
        grant = policy(Action=["servicediscovery:DeregisterInstance"], Resource=[SERVICE])
        assert allowed(Request("servicediscovery:DeregisterInstance", SERVICE), grant)

    def test_another_action_or_resource_is_not_meant(self) -> None:
        grant = policy(Action="servicediscovery:RegisterInstance", Resource=SERVICE)
        assert not allowed(Request("servicediscovery:DeregisterInstance", SERVICE), grant)
        assert not allowed(Request("servicediscovery:RegisterInstance", f"{SERVICE}2"), grant)

    def test_an_explicit_deny_wins_over_an_allow(self) -> None:
        grant = policy(Action="*", Resource="*")
        denial = policy(Effect="Deny", Action="ec2:*", Resource="*")
        request = Request("ec2:DescribeInstances")
        assert decide([grant, denial], request) is Decision.EXPLICITLY_DENIED

    def test_actions_ignore_case_and_resources_do_not(self) -> None:
        grant = policy(Action="EC2:describeinstances", Resource="arn:aws:s3:::Logs/*")
        assert allowed(Request("ec2:DescribeInstances", "arn:aws:s3:::Logs/a"), grant)
        assert not allowed(Request("ec2:DescribeInstances", "arn:aws:s3:::logs/a"), grant)

    def test_wildcards_match_any_and_one_character_and_nothing_else_is_special(self) -> None:
        grant = policy(Action="ec2:Describe*", Resource="arn:aws:ec2:::instance/i-?.x")
        assert allowed(Request("ec2:DescribeTags", "arn:aws:ec2:::instance/i-1.x"), grant)
        assert not allowed(Request("ec2:DescribeTags", "arn:aws:ec2:::instance/i-12.x"), grant)
        assert not allowed(Request("ec2:DescribeTags", "arn:aws:ec2:::instance/i-1yx"), grant)

    def test_not_action_and_not_resource_mean_everything_else(self) -> None:
        grant = policy(NotAction="iam:*", NotResource="arn:aws:s3:::secret")
        assert allowed(Request("ec2:DescribeInstances", "arn:aws:s3:::logs"), grant)
        assert not allowed(Request("iam:CreateUser", "arn:aws:s3:::logs"), grant)
        assert not allowed(Request("ec2:DescribeInstances", "arn:aws:s3:::secret"), grant)


class TestConditions:
    @pytest.mark.parametrize(
        ("condition", "context", "holds"),
        [
            ({"StringEquals": {"a:Key": "one"}}, {"a:key": ["one"]}, True),
            ({"StringEquals": {"a:Key": ["one", "two"]}}, {"a:Key": ["two"]}, True),
            ({"StringEquals": {"a:Key": "one"}}, {"a:Key": ["two"]}, False),
            ({"StringEquals": {"a:Key": "one"}}, {}, False),
            ({"StringEqualsIfExists": {"a:Key": "one"}}, {}, True),
            ({"StringNotEquals": {"a:Key": "one"}}, {"a:Key": ["one"]}, False),
            ({"StringNotEquals": {"a:Key": "one"}}, {"a:Key": ["two"]}, True),
            ({"StringLike": {"a:Key": "o*"}}, {"a:Key": ["one"]}, True),
            ({"ArnLike": {"a:Key": "arn:*:x"}}, {"a:Key": ["arn:aws:y"]}, False),
            ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": ["true"]}, False),
            ({"Null": {"a:Key": "true"}}, {}, True),
            ({"ForAllValues:StringEquals": {"a:Key": ["A", "SRV"]}}, {"a:Key": ["A"]}, True),
            ({"ForAllValues:StringEquals": {"a:Key": ["A", "SRV"]}}, {"a:Key": ["A", "MX"]}, False),
            ({"ForAllValues:StringEquals": {"a:Key": ["A"]}}, {}, True),
            ({"ForAnyValue:StringEquals": {"a:Key": ["A"]}}, {"a:Key": ["MX", "A"]}, True),
            ({"ForAnyValue:StringEquals": {"a:Key": ["A"]}}, {}, False),
        ],
    )
    def test_a_statement_applies_only_if_its_conditions_hold(
        self, condition: dict[str, Any], context: dict[str, list[str]], holds: bool
    ) -> None:
        grant = policy(Action="*", Resource="*", Condition=condition)
        assert allowed(Request("ec2:DescribeInstances", context=context), grant) is holds

    def test_all_conditions_must_hold(self) -> None:
        condition = {"StringEquals": {"a:One": "1", "a:Two": "2"}}
        grant = policy(Action="*", Resource="*", Condition=condition)
        assert not allowed(Request("ec2:RunInstances", context={"a:One": ["1"]}), grant)

    @pytest.mark.parametrize(
        "statement",
        [
            {"Condition": {"DateLessThan": {"a:Key": "2020-01-01"}}},
            {"Resource": "arn:aws:s3:::${aws:username}"},
        ],
    )
    def test_what_is_not_understood_raises(self, statement: dict[str, Any]) -> None:
        grant = policy(**{"Action": "*", "Resource": "*", **statement})
        with pytest.raises(UnsupportedPolicyError):
            decide([grant], Request("s3:GetObject", "arn:aws:s3:::x", {"a:Key": ["2019-01-01"]}))
