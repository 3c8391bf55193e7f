"""The two emulators and what stands between them behave as one cloud."""

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import ACCOUNT_ID, REGION, LocalCloud
from tests.sandbox.functions import Function, deploy
from tests.sandbox.kit import GROUP, eventually, launch_one, let_in

CLOUD_MAP = "servicediscovery"
OTHER_SERVICE = f"arn:aws:{CLOUD_MAP}:{REGION}:{ACCOUNT_ID}:service/srv-other"
DENIED, FOUND_NONE = "AccessDeniedException", "InstanceNotFound"
STEP = {"action": "aws:runShellScript", "name": "flush", "inputs": {"runCommand": ["true"]}}
DOCUMENT = json.dumps({"schemaVersion": "2.2", "mainSteps": [STEP]})


class TestPermissions:
    @pytest.mark.parametrize(
        ("name", "operation", "granted", "resource", "code"),
        [
            ("only-registers", "DeregisterInstance", "RegisterInstance", "", DENIED),
            ("deregisters", "DeregisterInstance", "DeregisterInstance", "", FOUND_NONE),
            ("elsewhere", "DeregisterInstance", "DeregisterInstance", OTHER_SERVICE, DENIED),
            ("looks-up", "GetInstance", "GetInstance", "*", FOUND_NONE),
        ],
    )
    def test_a_function_may_do_what_its_policy_grants_and_nothing_else(
        self,
        cloud: LocalCloud,
        service: dict[str, Any],
        *,
        name: str,
        operation: str,
        granted: str,
        resource: str,
        code: str,
    ) -> None:
        grant: dict[str, Any] = {
            "Action": f"{CLOUD_MAP}:{granted}",
            "Resource": resource or service["Arn"],
        }
        if resource == "*":
            condition = {"StringEquals": {f"{CLOUD_MAP}:ServiceArn": service["Arn"]}}
            grant = {**grant, "Condition": condition}
        function = deploy(cloud, name, grant)
        error = function.call(CLOUD_MAP, operation, ServiceId=service["Id"], InstanceId="i-1")[
            "error"
        ]
        assert error["Code"] == code
        if code == DENIED:
            assert name in error["Message"]
            assert f"{CLOUD_MAP}:{operation}" in error["Message"]

    def test_without_a_permission_in_route_53_the_operation_fails(
        self, cloud: LocalCloud, service: dict[str, Any]
    ) -> None:
        actions = ["servicediscovery:RegisterInstance", "servicediscovery:GetOperation"]
        function = deploy(cloud, "no-route-53", {"Action": actions, "Resource": "*"})
        started = function.call("servicediscovery", "RegisterInstance", **_instance(service))
        operation_id = started["answer"]["OperationId"]

        def ended() -> Any:
            answer = function.call("servicediscovery", "GetOperation", OperationId=operation_id)
            operation = answer["answer"]["Operation"]
            return operation if operation["Status"] not in {"SUBMITTED", "PENDING"} else None

        operation = eventually(ended)
        assert (operation["Status"], operation["ErrorCode"]) == ("FAIL", "ACCESS_DENIED")
        assert "route53:ChangeResourceRecordSets" in operation["ErrorMessage"]

    def test_with_a_permission_in_route_53_the_operation_succeeds(
        self, cloud: LocalCloud, service: dict[str, Any]
    ) -> None:
        zone = f"arn:aws:route53:::hostedzone/{service['zone']}"
        types = {"route53:ChangeResourceRecordSetsRecordTypes": ["A", "SRV"]}
        function = deploy(
            cloud,
            "with-route-53",
            {"Action": "servicediscovery:RegisterInstance", "Resource": service["Arn"]},
            {
                "Action": "route53:ChangeResourceRecordSets",
                "Resource": zone,
                "Condition": {"ForAllValues:StringEquals": types},
            },
        )
        function.call("servicediscovery", "RegisterInstance", **_instance(service))
        cloud_map = cloud.client("servicediscovery")
        registered = eventually(
            lambda: cloud_map.list_instances(ServiceId=service["Id"])["Instances"]
        )
        assert [one["Id"] for one in registered] == ["i-1"]

    def test_a_grant_on_the_group_covers_its_actions_and_no_other_groups(
        self, cloud: LocalCloud, group_arn: str
    ) -> None:
        action = "autoscaling:CompleteLifecycleAction"
        ours = deploy(cloud, "ours", {"Action": action, "Resource": group_arn})
        theirs = deploy(cloud, "theirs", {"Action": action, "Resource": f"{group_arn}-two"})
        call = {
            "AutoScalingGroupName": GROUP,
            "LifecycleHookName": "launch",
            "LifecycleActionResult": "CONTINUE",
            "InstanceId": "i-0123456789abcdef0",
        }
        codes = [
            one.error_code("autoscaling", "CompleteLifecycleAction", **call)
            for one in (ours, theirs)
        ]
        assert codes == ["ValidationError", "AccessDenied"]

    def test_a_document_is_sent_only_by_who_may_and_only_to_whom_it_may(
        self, cloud: LocalCloud, group_arn: str
    ) -> None:
        ssm = cloud.client("ssm")
        for name in ("ours", "theirs"):
            ssm.create_document(Name=name, DocumentType="Command", Content=DOCUMENT)
        member = launch_one(cloud)
        stranger = cloud.client("ec2").run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1
        )["Instances"][0]["InstanceId"]
        tag = {"StringEquals": {"ssm:resourceTag/aws:autoscaling:groupName": GROUP}}
        function = deploy(
            cloud,
            "sends",
            {
                "Action": "ssm:SendCommand",
                "Resource": f"arn:aws:ssm:{REGION}:{ACCOUNT_ID}:document/ours",
            },
            {
                "Action": "ssm:SendCommand",
                "Resource": f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/*",
                "Condition": tag,
            },
        )

        def send(document: str, instance_id: str) -> dict[str, Any]:
            return function.call(
                "ssm", "SendCommand", DocumentName=document, InstanceIds=[instance_id]
            )

        sent = send("ours", member)["answer"]["Command"]
        assert sent["InstanceIds"] == [member]
        for document, instance_id in (
            ("theirs", member),
            ("AWS-RunShellScript", member),
            ("ours", stranger),
            ("ours", "i-0123456789abcdef0"),
        ):
            assert send(document, instance_id)["error"]["Code"] == "AccessDeniedException"
        looked_up = {"CommandId": sent["CommandId"], "InstanceId": member}
        code = function.error_code("ssm", "GetCommandInvocation", **looked_up)
        assert code == "AccessDeniedException"

    @pytest.mark.parametrize(
        ("service", "operation"), [("sqs", "ListQueues"), ("ec2", "DescribeInstances")]
    )
    def test_a_grant_to_one_function_holds_for_its_calls_and_a_denial_as_well(
        self, cloud: LocalCloud, *, service: str, operation: str
    ) -> None:
        function = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{service}-own"
        here = {"Condition": {"ArnEquals": {"lambda:SourceFunctionArn": function}}}
        any_call = {"Action": f"{service}:{operation}", "Resource": "*"}
        own = deploy(cloud, f"{service}-own", {**any_call, **here})
        other = deploy(cloud, f"{service}-other", {**any_call, **here})
        assert "answer" in own.call(service, operation)
        assert "error" in other.call(service, operation)
        denied = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{service}-denied"
        there = {"Condition": {"ArnEquals": {"lambda:SourceFunctionArn": denied}}}
        refused = deploy(
            cloud, f"{service}-denied", any_call, {**any_call, **there, "Effect": "Deny"}
        )
        assert "error" in refused.call(service, operation)

    def test_a_strangers_key_is_refused(self, cloud: LocalCloud) -> None:
        session = boto3.Session("ASIA0123456789ABCDEF", "secret", region_name=REGION)
        stranger = session.client(
            "servicediscovery", endpoint_url=cloud.endpoints["servicediscovery"]
        )
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            stranger.list_services()


def _instance(service: dict[str, Any]) -> dict[str, Any]:
    attributes = {"AWS_INSTANCE_IPV4": "127.9.0.4", "AWS_INSTANCE_PORT": "24224"}
    return {"ServiceId": service["Id"], "InstanceId": "i-1", "Attributes": attributes}


class TestInvocations:
    """Synchronous ones: Lambda takes 6 MiB, and gives 100 bytes more."""

    def invoke(self, function: Function, payload: bytes) -> Any:
        lambda_ = function.cloud.client("lambda")
        return lambda_.invoke(FunctionName=function.name, Payload=payload)

    @pytest.mark.parametrize(("size", "fails"), [(6291556, False), (6291557, True)])
    def test_an_answer_that_is_too_large_is_a_failure_of_the_function(
        self, cloud: LocalCloud, size: int, *, fails: bool
    ) -> None:
        function = deploy(cloud, f"returns-{size}")
        answer = self.invoke(function, json.dumps({"returns": size}).encode())
        payload = answer["Payload"].read()
        assert (answer["StatusCode"], "FunctionError" in answer) == (200, fails)
        if fails:
            assert answer["FunctionError"] == "Unhandled"
            assert json.loads(payload)["errorType"] == "Function.ResponseSizeTooLarge"
        else:
            assert len(payload) == size

    def test_a_request_that_is_too_large_is_refused(self, cloud: LocalCloud) -> None:
        function = deploy(cloud, "takes-six-mebibytes")
        short = json.dumps({"returns": 9, "more": ""}).encode()
        largest = short.replace(b'""', b'"%b"' % (b"x" * (6291456 - len(short))))
        assert "FunctionError" not in self.invoke(function, largest)
        with pytest.raises(ClientError, match="RequestEntityTooLargeException") as refused:
            self.invoke(function, largest + b" ")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


class TestEvents:
    @pytest.fixture
    def dead_letters(self, cloud: LocalCloud) -> dict[str, str]:
        return self.queue(cloud, "undelivered")

    @pytest.fixture(autouse=True)
    def no_rules(self, cloud: LocalCloud, group_arn: str) -> Iterator[None]:
        yield
        events = cloud.client("events")
        for rule in events.list_rules()["Rules"]:
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                events.remove_targets(Rule=rule["Name"], Ids=[target["Id"]])
            events.delete_rule(Name=rule["Name"])

    def queue(self, cloud: LocalCloud, name: str) -> dict[str, str]:
        url = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        return {"url": url, "arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}"}

    def rule(
        self, cloud: LocalCloud, name: str, target: dict[str, Any], group: str = GROUP, **more: Any
    ) -> str:
        events = cloud.client("events")
        pattern = {"source": ["aws.autoscaling"], "detail": {"AutoScalingGroupName": [group]}}
        arn: str = events.put_rule(Name=name, EventPattern=json.dumps(pattern), **more)["RuleArn"]
        events.put_targets(Rule=name, Targets=[{"Id": "t", **target}])
        return arn

    def allow(self, cloud: LocalCloud, function: Function, rule_arn: str) -> None:
        cloud.client("lambda").add_permission(
            FunctionName=function.name,
            StatementId="events",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule_arn,
        )

    def received(self, cloud: LocalCloud, function: Function) -> list[str]:
        lines = [one for one in cloud.logs(function.name) if one.get("message") == "received"]
        return [one["event"]["detail"]["EC2InstanceId"] for one in lines]

    def test_rules_for_others_and_disabled_rules_receive_nothing(self, cloud: LocalCloud) -> None:
        listener, other, disabled = (deploy(cloud, f"fn-{n}") for n in ("a", "b", "c"))
        self.allow(cloud, listener, self.rule(cloud, "a", {"Arn": listener.arn}))
        self.allow(cloud, other, self.rule(cloud, "b", {"Arn": other.arn}, group="others"))
        self.allow(cloud, disabled, self.rule(cloud, "c", {"Arn": disabled.arn}, State="DISABLED"))
        launch_one(cloud)
        eventually(lambda: self.received(cloud, listener))
        assert self.received(cloud, other) == self.received(cloud, disabled) == []

    def test_without_a_resource_policy_the_event_goes_to_the_dead_letter_queue(
        self, cloud: LocalCloud, dead_letters: dict[str, str]
    ) -> None:
        function = deploy(cloud, "closed")
        target = {"Arn": function.arn, "DeadLetterConfig": {"Arn": dead_letters["arn"]}}
        rule_arn = self.rule(cloud, "closed", target)
        let_in(cloud, dead_letters, rule_arn)
        instance_id = launch_one(cloud)
        sqs = cloud.client("sqs")
        [message] = eventually(
            lambda: sqs.receive_message(
                QueueUrl=dead_letters["url"], MessageAttributeNames=["All"]
            ).get("Messages")
        )
        assert json.loads(message["Body"])["detail"]["EC2InstanceId"] == instance_id
        assert message["MessageAttributes"]["RULE_ARN"]["StringValue"] == rule_arn
        assert "no resource policy" in message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
        assert self.received(cloud, function) == []

    @pytest.mark.parametrize("allowed", [True, False])
    def test_a_queue_receives_the_event_if_its_policy_lets_the_rule_in(
        self, cloud: LocalCloud, *, allowed: bool
    ) -> None:
        case = "allowed" if allowed else "refused"
        queue = self.queue(cloud, f"heard-{case}")
        rule_arn = self.rule(cloud, f"a-queue-{case}", {"Arn": queue["arn"]})
        let_in(cloud, queue, rule_arn if allowed else f"{rule_arn}-other")
        function = deploy(cloud, f"after-the-queue-{case}")
        self.allow(cloud, function, self.rule(cloud, f"b-function-{case}", {"Arn": function.arn}))
        instance_id = launch_one(cloud)
        eventually(lambda: self.received(cloud, function))
        answer = cloud.client("sqs").receive_message(QueueUrl=queue["url"])
        bodies = [json.loads(one["Body"]) for one in answer.get("Messages", [])]
        found = [body["detail"]["EC2InstanceId"] for body in bodies]
        assert found == [instance_id] * allowed

    def test_a_courier_can_lose_and_repeat_events(self, cloud: LocalCloud) -> None:
        function = deploy(cloud, "twice")
        self.allow(cloud, function, self.rule(cloud, "twice", {"Arn": function.arn}))
        copies = iter([0, 2])
        cloud.bridge.courier = lambda event: [event] * next(copies)
        try:
            launch_one(cloud)
            repeated = launch_one(cloud)
            eventually(lambda: len(self.received(cloud, function)) == 2)
        finally:
            cloud.bridge.courier = lambda event: [event]
        assert self.received(cloud, function) == [repeated, repeated]


class TestInstances:
    def test_an_instance_lifecycle_policy_can_be_set_from_outside(
        self, cloud: LocalCloud, group_arn: str
    ) -> None:
        cloud.control.retain_on_abandon(GROUP)
        [group] = cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        triggers = group["InstanceLifecyclePolicy"]["RetentionTriggers"]
        assert triggers == {"TerminateHookAbandon": "retain"}


class TestSideBySide:
    def test_another_cloud_has_its_own_network_and_nothing_of_it_is_left(
        self, cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        with LocalCloud(tmp_path_factory.mktemp("second")) as second:
            assert second.subnet != cloud.subnet
            assert not set(second.endpoints.values()) & set(cloud.endpoints.values())
            second.client("sqs").create_queue(QueueName="only-here")
            queues = cloud.client("sqs").list_queues(QueueNamePrefix="only-here")
            assert queues.get("QueueUrls", []) == []
            pids = [process.popen.pid for process in second.processes.running()]
        assert len(pids) == 2
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
