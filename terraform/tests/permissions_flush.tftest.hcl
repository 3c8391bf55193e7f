# What the functions may do where Fluentd is flushed on the instance: exactly the calls they make, on
# exactly what they work on.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "agents"
  flush                  = { buffer_paths = ["/var/log/fluent/buffer"] }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "flush_waiter_may_send_its_document_to_its_group_only" {
  command = plan

  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_role_policy.function["flush"].policy).Statement : statement if strcontains(jsonencode(statement.Action), "ssm:")
      ]) == jsonencode([
      {
        Sid      = "SendFlushDocument"
        Effect   = "Allow"
        Action   = ["ssm:SendCommand"]
        Resource = "arn:aws:ssm:eu-west-1:123456789012:document/fluentd-flush"
      },
      {
        Sid       = "SendToInstancesOfGroup"
        Effect    = "Allow"
        Action    = ["ssm:SendCommand"]
        Resource  = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
        Condition = { StringEquals = { "ssm:resourceTag/aws:autoscaling:groupName" = "agents" } }
      },
      {
        Sid      = "LookUpCommand"
        Effect   = "Allow"
        Action   = ["ssm:GetCommandInvocation"]
        Resource = "*"
      },
    ])
    error_message = "One document, to the instances of one group: ${aws_iam_role_policy.function["flush"].policy}"
  }
  assert {
    condition     = aws_ssm_document.flush[0].name == "fluentd-flush"
    error_message = "The document that may be sent is the one that is made."
  }
}

run "without_cloud_map_nobody_touches_it" {
  command = plan

  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.function["flush"].policy).Statement : statement.Sid => statement.Resource }) == jsonencode({
      WriteOwnLogs           = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-flush-waiter:*"
      DescribeInstances      = "*"
      DescribeLifecycleState = "*"
      ProlongOrEndTheWait    = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/agents"
      MarkFailingHeartbeats  = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      MarkInstancesOfGroup   = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      SendFlushDocument      = "arn:aws:ssm:eu-west-1:123456789012:document/fluentd-flush"
      SendToInstancesOfGroup = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      LookUpCommand          = "*"
      ConsumeOwnQueue        = "arn:aws:sqs:eu-west-1:123456789012:fluentd-flush"
      HandOver               = ["arn:aws:sqs:eu-west-1:123456789012:fluentd-flush-dlq"]
    })
    error_message = "The flush waiter's resources changed: ${aws_iam_role_policy.function["flush"].policy}"
  }
  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.function["lifecycle"].policy).Statement : statement.Sid => [statement.Action, statement.Resource] }) == jsonencode({
      WriteOwnLogs           = [["logs:CreateLogStream", "logs:PutLogEvents"], "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-lifecycle:*"]
      DescribeInstances      = [["ec2:DescribeInstances"], "*"]
      DescribeLifecycleState = [["autoscaling:DescribeAutoScalingInstances"], "*"]
      EndTheWait             = [["autoscaling:CompleteLifecycleAction"], "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/agents"]
      MarkInstancesOfGroup   = [["ec2:CreateTags"], "arn:aws:ec2:eu-west-1:123456789012:instance/*"]
      HandOver               = [["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:123456789012:fluentd-flush", "arn:aws:sqs:eu-west-1:123456789012:fluentd-lifecycle-dlq"]]
    })
    error_message = "The handler looks, starts the stages, and completes what left a warm pool proven: ${aws_iam_role_policy.function["lifecycle"].policy}"
  }
}

run "in_every_stage_the_flush_waiter_may_make_exactly_its_own_calls" {
  command = plan
  variables {
    cloud_map  = { service_id = "srv-existing", hosted_zone_id = "Z0123456789" }
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_role_policy.function["flush"].policy).Statement : statement.Action])) == tolist([
      "autoscaling:CompleteLifecycleAction",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:RecordLifecycleActionHeartbeat",
      "ec2:CreateTags",
      "ec2:CreateTags",
      "ec2:DeleteTags",
      "ec2:DescribeInstances",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "servicediscovery:GetInstance",
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:SendMessage",
      "ssm:GetCommandInvocation",
      "ssm:SendCommand",
      "ssm:SendCommand",
    ])
    error_message = "The flush waiter's permissions changed: ${aws_iam_role_policy.function["flush"].policy}"
  }
  assert {
    condition = alltrue([
      for key, policy in aws_iam_role_policy.function : contains(["flush", "interruption", "reconcile"], key) || !strcontains(policy.policy, "ssm:")
    ])
    error_message = "No other function may run a command on an instance."
  }
}
