# What the function that deals with sudden ends may do: look, deregister, send the flush document, mark.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing", hosted_zone_id = "Z0123456789" }
  flush                  = { buffer_paths = ["/var/log/fluent/buffer"] }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "it_may_make_exactly_its_own_calls_and_none_that_lets_an_instance_go" {
  command = plan

  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.function["interruption"].policy).Statement : statement.Sid => [statement.Action, statement.Resource] }) == jsonencode({
      WriteOwnLogs                    = [["logs:CreateLogStream", "logs:PutLogEvents"], "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-interruption:*"]
      DescribeLifecycleState          = [["autoscaling:DescribeAutoScalingInstances"], "*"]
      DescribeInstances               = [["ec2:DescribeInstances"], "*"]
      MarkInstancesOfGroup            = [["ec2:CreateTags"], "arn:aws:ec2:eu-west-1:123456789012:instance/*"]
      MarkInstancesThatLeft           = [["ec2:CreateTags"], "arn:aws:ec2:eu-west-1:123456789012:instance/*"]
      ConsumeOwnQueue                 = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"], "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption"]
      Deregister                      = [["servicediscovery:DeregisterInstance"], ["arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-existing"]]
      ListRegistrations               = [["servicediscovery:ListInstances"], "*"]
      ChangeDnsRecordsThroughCloudMap = [["route53:ChangeResourceRecordSets"], "arn:aws:route53:::hostedzone/Z0123456789"]
      HealthChecksThroughCloudMap     = [["route53:GetHealthCheck", "route53:UpdateHealthCheck", "route53:DeleteHealthCheck"], "arn:aws:route53:::healthcheck/*"]
      SendFlushDocument               = [["ssm:SendCommand"], "arn:aws:ssm:eu-west-1:123456789012:document/fluentd-flush"]
      SendToInstancesOfGroup          = [["ssm:SendCommand"], "arn:aws:ec2:eu-west-1:123456789012:instance/*"]
      HandOver                        = [["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption-dlq"]]
    })
    error_message = "The function's permissions changed: ${aws_iam_role_policy.function["interruption"].policy}"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["interruption"].policy).Statement : statement.Condition if statement.Sid == "MarkInstancesOfGroup"] == [{
      StringEquals                = { "ec2:ResourceTag/aws:autoscaling:groupName" = "aggregators" }
      "ForAllValues:StringEquals" = { "aws:TagKeys" = ["fluentd-lifecycle", "fluentd-lifecycle-owner", "fluentd-lifecycle-unclean"] }
    }]
    error_message = "Three tags, on this group's instances only."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.function["interruption"].policy).Statement : statement.Condition.StringEquals if statement.Sid == "MarkInstancesThatLeft"] == [{ "ec2:ResourceTag/fluentd-lifecycle-owner" = "fluentd" }]
    error_message = "The same tags, on instances that this module took over."
  }
}

run "without_cloud_map_and_flush_it_only_looks_and_counts" {
  command = plan
  variables {
    cloud_map  = null
    flush      = null
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["interruption"].policy).Statement : statement.Sid] == [
      "WriteOwnLogs", "DescribeLifecycleState", "DescribeInstances", "MarkInstancesOfGroup", "MarkInstancesThatLeft", "ConsumeOwnQueue", "HandOver",
    ]
    error_message = "The function's permissions changed: ${aws_iam_role_policy.function["interruption"].policy}"
  }
}
