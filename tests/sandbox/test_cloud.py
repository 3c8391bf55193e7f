"""The two emulators and what stands between them behave as one cloud."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sandbox.cloud import ACCOUNT_ID, REGION, LocalCloud
from tests.sandbox.functions import Function, deploy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP = "aggregators"
PATIENCE_SECONDS = 30.0
DOCUMENT = json.dumps(
    {
        "schemaVersion": "2.2",
        "mainSteps": [
            {
                "action": "aws:runShellScript",
                "name": "flush",
                "inputs": {"runCommand": ["true"]},
            }
        ],
    }
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def service(cloud: LocalCloud) -> dict[str, Any]:
    """A Cloud Map service with SRV records; the namespace's zone is `zone`."""
    vpc = cloud.client("ec2").create_vpc(CidrBlock=str(cloud.subnet))["Vpc"]["VpcId"]
    subnet = cloud.client("ec2").create_subnet(VpcId=vpc, CidrBlock=str(cloud.subnet))
    cloud_map = cloud.client("servicediscovery")
    operation = cloud_map.create_private_dns_namespace(Name="logs.internal", Vpc=vpc)
    namespace_id = cloud_map.get_operation(OperationId=operation["OperationId"])["Operation"][
        "Targets"
    ]["NAMESPACE"]
    namespace = cloud_map.get_namespace(Id=namespace_id)["Namespace"]
    made: dict[str, Any] = cloud_map.create_service(
        Name="_fluentd._tcp",
        DnsConfig={
            "NamespaceId": namespace_id,
            "RoutingPolicy": "MULTIVALUE",
            "DnsRecords": [{"Type": "SRV", "TTL": 1}],
        },
    )["Service"]
    return {
        **made,
        "subnet_id": subnet["Subnet"]["SubnetId"],
        "zone": namespace["Properties"]["DnsProperties"]["HostedZoneId"],
    }


@pytest.fixture(scope="module")
def group_arn(cloud: LocalCloud, service: dict[str, Any]) -> str:
    """A group with one instance and a hook that holds it when it goes."""
    autoscaling = cloud.client("autoscaling")
    cloud.client("ec2").create_launch_template(
        LaunchTemplateName="aggregator",
        LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "c6g.large"},
    )
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=9,
        DesiredCapacity=0,
        VPCZoneIdentifier=service["subnet_id"],
        LaunchTemplate={"LaunchTemplateName": "aggregator"},
    )
    autoscaling.put_lifecycle_hook(
        AutoScalingGroupName=GROUP,
        LifecycleHookName="launch",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
    )
    [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    arn: str = group["AutoScalingGroupARN"]
    return arn


def launch_one(cloud: LocalCloud) -> str:
    """Let the group launch an instance, which its hook then holds; gives its id."""
    autoscaling = cloud.client("autoscaling")
    known = len(cloud.journal())
    [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    autoscaling.set_desired_capacity(
        AutoScalingGroupName=GROUP, DesiredCapacity=group["DesiredCapacity"] + 1
    )
    launched = [one for one in cloud.journal()[known:] if one["event"] == "launched"]
    instance_id: str = launched[0]["instance_id"]
    return instance_id


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` gives once it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
    return found


class TestPermissions:
    def test_a_function_without_the_permission_is_refused(
        self, cloud: LocalCloud, service: dict[str, Any]
    ) -> None:
        grant = {"Action": "servicediscovery:RegisterInstance", "Resource": service["Arn"]}
        function = deploy(cloud, "only-registers", grant)
        refused = function.call(
            "servicediscovery", "DeregisterInstance", ServiceId=service["Id"], InstanceId="i-1"
        )["error"]
        assert refused["Code"] == "AccessDeniedException"
        assert "only-registers" in refused["Message"]
        assert "servicediscovery:DeregisterInstance" in refused["Message"]

    def test_a_function_with_the_permission_is_let_in(
        self, cloud: LocalCloud, service: dict[str, Any]
    ) -> None:
        grant = {"Action": "servicediscovery:DeregisterInstance", "Resource": service["Arn"]}
        function = deploy(cloud, "deregisters", grant)
        code = function.error_code(
            "servicediscovery", "DeregisterInstance", ServiceId=service["Id"], InstanceId="i-1"
        )
        assert code == "InstanceNotFound"

    def test_a_grant_on_another_service_does_not_count(
        self, cloud: LocalCloud, service: dict[str, Any]
    ) -> None:
        other = f"arn:aws:servicediscovery:{REGION}:{ACCOUNT_ID}:service/srv-other"
        grant = {"Action": "servicediscovery:DeregisterInstance", "Resource": other}
        function = deploy(cloud, "elsewhere", grant)
        code = function.error_code(
            "servicediscovery", "DeregisterInstance", ServiceId=service["Id"], InstanceId="i-1"
        )
        assert code == "AccessDeniedException"

    def test_a_condition_on_the_service_is_heeded(
        self, cloud: LocalCloud, service: dict[str, Any]
    ) -> None:
        condition = {"StringEquals": {"servicediscovery:ServiceArn": service["Arn"]}}
        grant = {
            "Action": "servicediscovery:GetInstance",
            "Resource": "*",
            "Condition": condition,
        }
        function = deploy(cloud, "looks-up", grant)
        code = function.error_code(
            "servicediscovery", "GetInstance", ServiceId=service["Id"], InstanceId="i-1"
        )
        assert code == "InstanceNotFound"

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

    def test_ec2_refuses_in_its_own_words(self, cloud: LocalCloud) -> None:
        function = deploy(cloud, "no-ec2")
        assert function.error_code("ec2", "DescribeInstances") == "UnauthorizedOperation"

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


class TestEvents:
    @pytest.fixture
    def dead_letters(self, cloud: LocalCloud) -> dict[str, str]:
        url = cloud.client("sqs").create_queue(QueueName="undelivered")["QueueUrl"]
        return {"url": url, "arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:undelivered"}

    @pytest.fixture(autouse=True)
    def no_rules(self, cloud: LocalCloud, group_arn: str) -> Iterator[None]:
        yield
        events = cloud.client("events")
        for rule in events.list_rules()["Rules"]:
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                events.remove_targets(Rule=rule["Name"], Ids=[target["Id"]])
            events.delete_rule(Name=rule["Name"])

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

    def test_the_rules_target_receives_the_event(self, cloud: LocalCloud) -> None:
        function = deploy(cloud, "hears")
        self.allow(cloud, function, self.rule(cloud, "hears", {"Arn": function.arn}))
        instance_id = launch_one(cloud)
        assert eventually(lambda: self.received(cloud, function)) == [instance_id]

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
        _let_in(cloud, dead_letters, rule_arn)
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
        self, cloud: LocalCloud, dead_letters: dict[str, str], *, allowed: bool
    ) -> None:
        rule_arn = self.rule(cloud, "a-queue", {"Arn": dead_letters["arn"]})
        _let_in(cloud, dead_letters, rule_arn if allowed else f"{rule_arn}-other")
        function = deploy(cloud, "after-the-queue")
        self.allow(cloud, function, self.rule(cloud, "b-function", {"Arn": function.arn}))
        instance_id = launch_one(cloud)
        eventually(lambda: self.received(cloud, function))
        answer = cloud.client("sqs").receive_message(QueueUrl=dead_letters["url"])
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


def _let_in(
    cloud: LocalCloud, queue: dict[str, str], source_arn: str, service: str = "events.amazonaws.com"
) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": queue["arn"],
        "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.client("sqs").set_queue_attributes(QueueUrl=queue["url"], Attributes={"Policy": policy})


class TestAlarms:
    def test_a_dead_letter_raises_its_own_alarm_alone_and_somebody_is_told(
        self, cloud: LocalCloud
    ) -> None:
        sqs, sns, cloudwatch = (cloud.client(name) for name in ("sqs", "sns", "cloudwatch"))
        urls = {
            name: sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in ("a-dlq", "b-dlq", "on-call")
        }
        topic = sns.create_topic(Name="on-call")["TopicArn"]
        on_call = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:on-call"
        _let_in(cloud, {"url": urls["on-call"], "arn": on_call}, topic, "sns.amazonaws.com")
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=on_call)
        for name in ("a-dlq", "b-dlq"):
            cloudwatch.put_metric_alarm(AlarmName=name, AlarmActions=[topic], **_depth(name))
        sqs.send_message(QueueUrl=urls["a-dlq"], MessageBody="stuck")

        [message] = eventually(
            lambda: sqs.receive_message(QueueUrl=urls["on-call"]).get("Messages")
        )
        assert json.loads(json.loads(message["Body"])["Message"])["AlarmName"] == "a-dlq"
        states = cloudwatch.describe_alarms(AlarmNames=["a-dlq", "b-dlq"])["MetricAlarms"]
        assert [one["StateValue"] for one in states] == ["ALARM", "OK"]

    def test_an_alarm_is_described_to_terraform_as_it_was_set(self, cloud: LocalCloud) -> None:
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName="whole", AlarmDescription="a < b & c", ActionsEnabled=True, **_depth("q")
        )
        # The protocol that Terraform's provider speaks; boto3 speaks a newer one.
        query = {"Action": "DescribeAlarms", "AlarmNames.member.1": "whole"}
        described = _ask_signed(cloud, "monitoring", query)
        for member in (
            "<AlarmDescription>a &lt; b &amp; c</AlarmDescription>",
            "<ActionsEnabled>true</ActionsEnabled>",
            "<Period>60</Period>",
            "<Statistic>Maximum</Statistic>",
            "<TreatMissingData>notBreaching</TreatMissingData>",
            "<member><Name>QueueName</Name><Value>q</Value></member>",
        ):
            assert member in described

    def test_an_alarm_on_an_expression_keeps_its_metrics(self, cloud: LocalCloud) -> None:
        form = {"Action": "PutMetricAlarm", "AlarmName": "sum", **_flat(_sum_of_errors("by-form"))}
        _ask_signed(cloud, "monitoring", form)
        cloudwatch = cloud.client("cloudwatch")
        cloudwatch.put_metric_alarm(AlarmName="sum-2", **_sum_of_errors("by-boto"))
        [one, two] = cloudwatch.describe_alarms(AlarmNames=["sum", "sum-2"])["MetricAlarms"]
        for alarm, function in ((one, "by-form"), (two, "by-boto")):
            assert alarm["Metrics"] == _sum_of_errors(function)["Metrics"]
            assert "Period" not in alarm

    def test_an_error_of_a_function_raises_the_alarm_on_the_sum(self, cloud: LocalCloud) -> None:
        function = deploy(cloud, "fails")
        cloudwatch = cloud.client("cloudwatch")
        cloudwatch.put_metric_alarm(AlarmName="errors", **_sum_of_errors(function.name))
        wrong = {"service": "no-such-service", "operation": "x", "parameters": {}}
        answer = cloud.client("lambda").invoke(
            FunctionName=function.name, Payload=json.dumps(wrong).encode()
        )
        assert answer["FunctionError"]

        def state() -> str:
            [alarm] = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
            found: str = alarm["StateValue"]
            return found

        eventually(lambda: state() == "ALARM")


def _sum_of_errors(function: str) -> dict[str, Any]:
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": function}],
    }
    return {
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Metrics": [
            {"Id": "all", "Expression": "SUM(METRICS())", "ReturnData": True},
            {
                "Id": "one",
                "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"},
                "ReturnData": False,
            },
        ],
    }


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """A request as a form, as the query protocol wants it."""
    if isinstance(value, dict):
        parts = [_flat(member, f"{prefix}.{name}") for name, member in value.items()]
    elif isinstance(value, list):
        parts = [_flat(one, f"{prefix}.member.{n}") for n, one in enumerate(value, 1)]
    else:
        return {
            prefix.removeprefix("."): str(value).lower() if value in (True, False) else str(value)
        }
    return {key: text for part in parts for key, text in part.items()}


def _ask_signed(cloud: LocalCloud, service: str, form: dict[str, str]) -> str:
    address = f"{cloud.endpoints['all others']}/"
    request = AWSRequest("POST", address, data=form)
    credentials = Credentials("test", "test")
    SigV4Auth(credentials, service, REGION).add_auth(request)
    prepared = request.prepare()
    body: Any = prepared.body
    answer = requests.post(address, data=body, headers=dict(prepared.headers), timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.text


def _depth(queue: str) -> dict[str, Any]:
    return {
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Dimensions": [{"Name": "QueueName", "Value": queue}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


class TestInstances:
    def test_instances_have_addresses_of_this_clouds_subnet(
        self, cloud: LocalCloud, group_arn: str
    ) -> None:
        instance_id = launch_one(cloud)
        described = cloud.client("ec2").describe_instances(InstanceIds=[instance_id])
        [instance] = described["Reservations"][0]["Instances"]
        assert instance["PrivateIpAddress"].startswith(str(cloud.subnet).removesuffix("0/24"))

    def test_an_instance_lifecycle_policy_can_be_set_from_outside(
        self, cloud: LocalCloud, group_arn: str
    ) -> None:
        cloud.control.retain_on_abandon(GROUP)
        [group] = cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        triggers = group["InstanceLifecyclePolicy"]["RetentionTriggers"]
        assert triggers == {"TerminateHookAbandon": "retain"}

    def test_faults_can_be_set_and_cleared_from_outside(self, cloud: LocalCloud) -> None:
        cloud.control.set_faults(operation_seconds=3)
        assert cloud.control.faults()["operation_seconds"] == 3.0
        cloud.control.clear_faults()
        assert cloud.control.faults()["operation_seconds"] == 1.0


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
