# What each function may do: exactly the calls it makes, on exactly what it works on.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing", hosted_zone_id = "Z0123456789" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "each_function_may_make_exactly_its_own_calls" {
  command = plan

  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_role_policy.function["lifecycle"].policy).Statement : statement.Action])) == tolist([
      "autoscaling:CompleteLifecycleAction",
      "autoscaling:DescribeAutoScalingInstances",
      "ec2:CreateTags",
      "ec2:DescribeInstances",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "route53:ChangeResourceRecordSets",
      "route53:CreateHealthCheck",
      "route53:DeleteHealthCheck",
      "route53:GetHealthCheck",
      "route53:UpdateHealthCheck",
      "servicediscovery:DeregisterInstance",
      "servicediscovery:GetInstance",
      "servicediscovery:ListInstances",
      "servicediscovery:RegisterInstance",
      "sqs:SendMessage",
    ])
    error_message = "The lifecycle handler's permissions changed: ${aws_iam_role_policy.function["lifecycle"].policy}"
  }
  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_role_policy.function["operation"].policy).Statement : statement.Action])) == tolist([
      "autoscaling:CompleteLifecycleAction",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:RecordLifecycleActionHeartbeat",
      "ec2:CreateTags",
      "ec2:DeleteTags",
      "ec2:DescribeInstances",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "route53:ChangeResourceRecordSets",
      "route53:CreateHealthCheck",
      "route53:DeleteHealthCheck",
      "route53:GetHealthCheck",
      "route53:UpdateHealthCheck",
      "servicediscovery:DeregisterInstance",
      "servicediscovery:GetInstance",
      "servicediscovery:GetOperation",
      "servicediscovery:ListInstances",
      "servicediscovery:RegisterInstance",
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:SendMessage",
    ])
    error_message = "The operation waiter's permissions changed: ${aws_iam_role_policy.function["operation"].policy}"
  }
  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_role_policy.function["buffer"].policy).Statement : statement.Action])) == tolist([
      "autoscaling:CompleteLifecycleAction",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:RecordLifecycleActionHeartbeat",
      "ec2:CreateTags",
      "ec2:CreateTags",
      "ec2:CreateTags",
      "ec2:DeleteTags",
      "ec2:DescribeInstances",
      "lambda:InvokeFunction",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "servicediscovery:GetInstance",
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:SendMessage",
    ])
    error_message = "The buffer waiter's permissions changed: ${aws_iam_role_policy.function["buffer"].policy}"
  }
}

run "each_function_may_work_on_its_own_resources_only" {
  command = plan

  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.function["lifecycle"].policy).Statement : statement.Sid => statement.Resource }) == jsonencode({
      WriteOwnLogs                      = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-lifecycle:*"
      DescribeInstances                 = "*"
      DescribeLifecycleState            = "*"
      EndTheWait                        = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aggregators"
      MarkInstancesOfGroup              = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      RegisterAndDeregister             = ["arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-existing"]
      LookUpRegistration                = "*"
      ListRegistrations                 = "*"
      ChangeDnsRecordsThroughCloudMap   = "arn:aws:route53:::hostedzone/Z0123456789"
      HealthChecksThroughCloudMap       = "arn:aws:route53:::healthcheck/*"
      CreateHealthChecksThroughCloudMap = "*"
      HandOver = [
        "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation",
        "arn:aws:sqs:eu-west-1:123456789012:fluentd-lifecycle-dlq",
      ]
    })
    error_message = "The lifecycle handler's resources changed: ${aws_iam_role_policy.function["lifecycle"].policy}"
  }
  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.function["operation"].policy).Statement : statement.Sid => statement.Resource }) == jsonencode({
      WriteOwnLogs                      = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-operation-waiter:*"
      DescribeInstances                 = "*"
      DescribeLifecycleState            = "*"
      ProlongOrEndTheWait               = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aggregators"
      MarkFailingHeartbeats             = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      LookUpOperation                   = "*"
      RegisterAndDeregister             = ["arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-existing"]
      LookUpRegistration                = "*"
      ListRegistrations                 = "*"
      ChangeDnsRecordsThroughCloudMap   = "arn:aws:route53:::hostedzone/Z0123456789"
      HealthChecksThroughCloudMap       = "arn:aws:route53:::healthcheck/*"
      CreateHealthChecksThroughCloudMap = "*"
      ConsumeOwnQueue                   = "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation"
      HandOver = [
        "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation",
        "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation-dlq",
        "arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer",
      ]
    })
    error_message = "The operation waiter's resources changed: ${aws_iam_role_policy.function["operation"].policy}"
  }
  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.function["buffer"].policy).Statement : statement.Sid => statement.Resource }) == jsonencode({
      WriteOwnLogs           = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-buffer-waiter:*"
      DescribeInstances      = "*"
      DescribeLifecycleState = "*"
      ProlongOrEndTheWait    = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aggregators"
      MarkFailingHeartbeats  = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      MarkInstancesOfGroup   = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      MarkQueueCleared       = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
      AskForEvidence         = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-evidence"
      LookUpRegistration     = "*"
      ConsumeOwnQueue        = "arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer"
      HandOver = [
        "arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer-dlq",
        "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation",
      ]
    })
    error_message = "The buffer waiter's resources changed: ${aws_iam_role_policy.function["buffer"].policy}"
  }
  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.function : alltrue([
        for statement in jsondecode(policy.policy).Statement :
        jsonencode(statement.Condition.StringEquals["servicediscovery:ServiceArn"]) == jsonencode(["arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-existing"])
        if contains(["LookUpRegistration", "ListRegistrations"], statement.Sid)
      ])
    ])
    error_message = "GetInstance and ListInstances have no resource, so their condition must name the service."
  }
  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.function : alltrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Condition["ForAllValues:StringEquals"]["route53:ChangeResourceRecordSetsRecordTypes"] == ["A", "AAAA", "SRV"]
        if statement.Sid == "ChangeDnsRecordsThroughCloudMap"
      ])
    ])
    error_message = "Only address and SRV records may be changed."
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["lifecycle"].policy).Statement : statement.Condition if statement.Sid == "MarkInstancesOfGroup"] == [{
      StringEquals                = { "ec2:ResourceTag/aws:autoscaling:groupName" = "aggregators" }
      "ForAllValues:StringEquals" = { "aws:TagKeys" = ["fluentd-lifecycle", "fluentd-lifecycle-owner"] }
    }]
    error_message = "Only instances of the group may be tagged, and with nothing but the mark and its owner."
  }
  assert {
    condition = distinct([
      for function in ["operation", "buffer"] : jsonencode([
        for statement in jsondecode(aws_iam_role_policy.function[function].policy).Statement : [statement.Action, statement.Condition] if statement.Sid == "MarkFailingHeartbeats"
      ])
      ]) == tolist([jsonencode([[["ec2:CreateTags", "ec2:DeleteTags"], {
        "ForAllValues:StringEquals" = { "aws:TagKeys" = ["fluentd-lifecycle-heartbeats-failing"] }
        StringEquals                = { "ec2:ResourceTag/aws:autoscaling:groupName" = "aggregators" }
    }]])])
    error_message = "A waiter may write and remove the tag of failing heartbeats, and no other: ${aws_iam_role_policy.function["operation"].policy}"
  }
}

run "with_every_option_no_action_is_a_wildcard" {
  command = plan
  variables {
    cloud_map = { service_id = "srv-existing" }
    flush     = { buffer_paths = ["/var/log/fluent/buffer"] }
    prometheus = {
      url            = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0a1b2c"
      identify_by    = "private_ip_address"
      instance_label = "instance"
      auth           = { type = "sigv4" }
    }
    network = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a"] }
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "An action with a wildcard allows more than anyone has read."
  }
  assert {
    # The Sids of the statements whose every action has no resource-level permission.
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : contains([
          "DescribeInstances",
          "DescribeLifecycleState",
          "DescribeGroup",
          "LookUpRegistration",
          "ListRegistrations",
          "LookUpOperation",
          "LookUpCommand",
          "FindAgents",
          "CreateHealthChecksThroughCloudMap",
          "DescribeNetworkForLambda",
        ], statement.Sid) if statement.Resource == "*" && statement.Effect == "Allow"
      ]
    ]))
    error_message = "A statement allows its actions on everything."
  }
  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.function : length(jsonencode(jsondecode(policy.policy))) < 10240
    ])
    error_message = "The policies of a role must not exceed 10,240 characters."
  }
}

run "other_partitions_get_their_own_arns" {
  command = plan

  override_data {
    target = data.aws_partition.current
    values = {
      partition  = "aws-cn"
      dns_suffix = "amazonaws.com.cn"
    }
  }

  assert {
    condition = alltrue(concat(
      [for policy in aws_iam_role_policy.function : !strcontains(policy.policy, "arn:aws:")],
      [for queue in aws_sqs_queue.dead_letter : !strcontains(queue.policy, "arn:aws:")],
    ))
    error_message = "An ARN of the partition `aws` was left in a policy."
  }
}

run "roles_can_be_taken_by_lambda_only" {
  command = plan

  assert {
    condition = alltrue([
      for role in aws_iam_role.function : role.assume_role_policy == jsonencode({
        Version   = "2012-10-17"
        Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
      })
    ])
    error_message = "Only Lambda assumes the functions' roles."
  }
}

run "former_groups_may_be_worked_on_as_the_group_itself" {
  command = plan
  variables {
    former_group_names = ["aggregators-blue"]
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["buffer"].policy).Statement : statement.Resource if statement.Sid == "ProlongOrEndTheWait"] == [[
      for name in ["aggregators", "aggregators-blue"] : "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/${name}"
    ]]
    error_message = "The drains of the group before may be finished: ${aws_iam_role_policy.function["buffer"].policy}"
  }
  assert {
    condition     = alltrue([for rule in [aws_cloudwatch_event_rule.lifecycle, aws_cloudwatch_event_rule.interruption["ended"]] : jsondecode(rule.event_pattern).detail.AutoScalingGroupName == ["aggregators", "aggregators-blue"]])
    error_message = "Its events come, too."
  }
}
