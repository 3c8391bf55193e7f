# When the reconciler runs, its settings, what it may do in either mode, and the retention policy's
# alarm.

mock_provider "aws" {
  source = "./tests/mocks"

  override_resource {
    target = aws_sqs_queue.stage["operation"]
    values = { url = "https://sqs/operation" }
  }
  override_resource {
    target = aws_sqs_queue.stage["buffer"]
    values = { url = "https://sqs/buffer" }
  }
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing", hosted_zone_id = "Z0123456789" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "it_runs_every_five_minutes_and_corrects" {
  assert {
    condition     = aws_cloudwatch_event_rule.reconcile.schedule_expression == "rate(5 minutes)" && aws_cloudwatch_event_rule.reconcile.name == "fluentd-reconciler"
    error_message = "Every five minutes."
  }
  assert {
    condition     = aws_cloudwatch_event_target.reconcile.arn == aws_lambda_function.this["reconcile"].arn && aws_cloudwatch_event_target.reconcile.rule == "fluentd-reconciler"
    error_message = "The schedule invokes the reconciler."
  }
  assert {
    condition     = aws_lambda_permission.reconcile_from_rule.source_arn == aws_cloudwatch_event_rule.reconcile.arn && aws_lambda_permission.reconcile_from_rule.principal == "events.amazonaws.com" && aws_lambda_permission.reconcile_from_rule.function_name == "fluentd-reconciler"
    error_message = "This rule may, and no other."
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.reconcile.maximum_retry_attempts == 0
    error_message = "The next run is the second attempt."
  }
  assert {
    condition = aws_lambda_function.this["reconcile"].environment[0].variables == tomap({
      POWERTOOLS_SERVICE_NAME             = "fluentd"
      POWERTOOLS_METRICS_NAMESPACE        = "FluentdLifecycle"
      MODULE_VERSION                      = "0.1.0-dev"
      POWERTOOLS_LOG_LEVEL                = "INFO"
      AUTOSCALING_GROUP_NAME              = "aggregators"
      LAUNCH_HOOK_NAME                    = "fluentd-launch"
      TERMINATE_HOOK_NAME                 = "fluentd-terminate"
      CLOUD_MAP_SERVICE_IDS               = "srv-existing"
      CLOUD_MAP_PORT                      = "24224"
      ALLOW_EMPTY_SERVICE                 = "false"
      OPERATION_QUEUE_URL                 = "https://sqs/operation"
      LAUNCH_HEARTBEAT_TIMEOUT_SECONDS    = "900"
      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = "3600"
      RECONCILE_MODE                      = "correct"
      RECONCILE_GRACE_SECONDS             = "60"
      EVIDENCE_FUNCTION_NAME              = "fluentd-evidence"
      EVIDENCE_TIMEOUT_SECONDS            = "32"
      EMPTY_FOR_SECONDS                   = "300"
      SETTLE_SECONDS                      = "135"
      PROMETHEUS_SCRAPE_INTERVAL_SECONDS  = "15"
      PROMETHEUS_INSTANCE_LABEL           = "instance_id"
      PROMETHEUS_IDENTIFY_BY              = "instance_id"
      PROMETHEUS_METRIC_PREFIX            = "fluentd_output_status_"
    })
    error_message = "The reconciler's environment changed: ${jsonencode(aws_lambda_function.this["reconcile"].environment[0].variables)}"
  }
}

run "its_interval_and_its_grace_are_settings" {
  variables {
    reconcile = { interval_minutes = 1, grace_seconds = 300, mode = "observe" }
  }

  assert {
    condition     = aws_cloudwatch_event_rule.reconcile.schedule_expression == "rate(1 minute)"
    error_message = "EventBridge wants the singular for one."
  }
  assert {
    condition     = aws_lambda_function.this["reconcile"].timeout == 632
    error_message = "The timeout must cover the grace and the standing check."
  }
  assert {
    condition     = aws_lambda_function.this["reconcile"].environment[0].variables.RECONCILE_MODE == "observe" && aws_lambda_function.this["reconcile"].environment[0].variables.RECONCILE_GRACE_SECONDS == "300"
    error_message = "The function must know them."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].period == 60
    error_message = "The alarm looks as often as there is something to see."
  }
}

run "a_corrector_may_make_exactly_its_own_calls" {
  command = plan

  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_role_policy.function["reconcile"].policy).Statement : statement.Action])) == tolist([
      "autoscaling:CompleteLifecycleAction",
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:DescribeWarmPool",
      "autoscaling:RecordLifecycleActionHeartbeat",
      "ec2:CreateTags",
      "ec2:CreateTags",
      "ec2:DescribeInstances",
      "lambda:InvokeFunction",
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
    error_message = "The reconciler's permissions changed: ${aws_iam_role_policy.function["reconcile"].policy}"
  }
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.function["reconcile"].policy).Statement : statement.Sid => statement.Resource
      if contains(["HandOver", "ProlongTheWait", "EndTheWait", "RegisterAndDeregister"], statement.Sid)
      } == {
      HandOver              = ["arn:aws:sqs:eu-west-1:123456789012:fluentd-operation"]
      ProlongTheWait        = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aggregators"
      EndTheWait            = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aggregators"
      RegisterAndDeregister = ["arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-existing"]
    }
    error_message = "On exactly what it works on: ${aws_iam_role_policy.function["reconcile"].policy}"
  }
}

run "an_observer_may_only_look_and_remember_what_it_saw" {
  command = plan
  variables {
    reconcile = { mode = "observe" }
  }

  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_role_policy.function["reconcile"].policy).Statement : statement.Action])) == tolist([
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:DescribeWarmPool",
      "ec2:CreateTags",
      "ec2:DescribeInstances",
      "lambda:InvokeFunction",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "servicediscovery:ListInstances",
    ])
    error_message = "An observer's permissions changed: ${aws_iam_role_policy.function["reconcile"].policy}"
  }
}

run "a_fleet_without_cloud_map_only_waits_to_be_drained" {
  command = plan
  variables {
    cloud_map = null
  }

  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_role_policy.function["reconcile"].policy).Statement : statement.Action])) == tolist([
      "autoscaling:CompleteLifecycleAction",
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:DescribeWarmPool",
      "autoscaling:RecordLifecycleActionHeartbeat",
      "ec2:CreateTags",
      "ec2:CreateTags",
      "ec2:DescribeInstances",
      "lambda:InvokeFunction",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "sqs:SendMessage",
    ])
    error_message = "The reconciler's permissions changed: ${aws_iam_role_policy.function["reconcile"].policy}"
  }
}

run "with_flush_the_standing_check_finds_agents_and_looks_in_either_mode" {
  command = plan
  variables {
    prometheus = null
    flush      = { buffer_paths = ["/var/log/fluent/buffer"] }
    reconcile  = { mode = "observe" }
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.function["reconcile"].policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if contains(["FindAgents", "SendFlushDocument", "SendToInstancesOfGroup", "LookUpCommand", "MarkChecked"], statement.Sid)
      } == {
      FindAgents             = [["ssm:DescribeInstanceInformation"], "*"]
      SendFlushDocument      = [["ssm:SendCommand"], "arn:aws:ssm:eu-west-1:123456789012:document/fluentd-flush"]
      SendToInstancesOfGroup = [["ssm:SendCommand"], "arn:aws:ec2:eu-west-1:123456789012:instance/*"]
      LookUpCommand          = [["ssm:GetCommandInvocation"], "*"]
      MarkChecked            = [["ec2:CreateTags"], "arn:aws:ec2:eu-west-1:123456789012:instance/*"]
    }
    error_message = "The permissions of the standing check changed: ${aws_iam_role_policy.function["reconcile"].policy}"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["reconcile"].policy).Statement : statement.Condition
      if statement.Sid == "MarkChecked"
      ] == [{
        StringEquals                = { "ec2:ResourceTag/aws:autoscaling:groupName" = "aggregators" }
        "ForAllValues:StringEquals" = { "aws:TagKeys" = ["fluentd-lifecycle-looked", "fluentd-lifecycle-not-provable"] }
    }]
    error_message = "An observer writes no tag but those of the standing check."
  }
  assert {
    condition     = aws_lambda_function.this["reconcile"].timeout == 390
    error_message = "The timeout must cover the looks."
  }
}

run "an_instance_whose_flaw_lasts_is_an_alarm_at_once" {
  command = plan

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.reported["instances-not-provable"].metric_name == "InstancesNotProvable" &&
      aws_cloudwatch_metric_alarm.reported["instances-not-provable"].statistic == "Maximum" &&
      aws_cloudwatch_metric_alarm.reported["instances-not-provable"].threshold == 0 &&
      aws_cloudwatch_metric_alarm.reported["instances-not-provable"].period == 300 &&
      aws_cloudwatch_metric_alarm.reported["instances-not-provable"].evaluation_periods == 1
    )
    error_message = "A run counts whom it could not prove."
  }
}

run "a_group_that_does_not_retain_is_an_alarm" {
  command = plan

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].metric_name == "RetentionPolicyMissing" &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].namespace == "FluentdLifecycle" &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].dimensions == tomap({ service = "fluentd" }) &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].statistic == "Maximum" &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].threshold == 0 &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].comparison_operator == "GreaterThanThreshold" &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].period == 300 &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].treat_missing_data == "ignore" &&
      aws_cloudwatch_metric_alarm.reported["retention-policy-missing"].alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:on-call"])
    )
    error_message = "It notifies as the others do, as long as the policy is missing."
  }
}

run "the_retention_alarm_can_be_left_out" {
  command = plan
  variables {
    alarms = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"], retention_policy = false }
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.reported), "retention-policy-missing") && !contains(keys(output.alarm_names), "retention-policy-missing")
    error_message = "A group that ends what it cannot prove on purpose has no such alarm."
  }
}
