# Lifecycle events are best effort, and hooks miss instances that are older than the hooks. So a schedule
# invokes the reconciler. It compares the group, Cloud Map and EC2 and corrects the differences that two
# snapshots, a grace period apart, agree on. In either mode it also asks whether each instance in service
# could be proven empty today: the standing check. A run keeps no state, so a failed run is not retried: the
# next run comes anyway, and the error alarms.

locals {
  reconcile_corrects = var.reconcile.mode == "correct"

  reconciler = {
    description     = "${var.name}: registers, deregisters and drains instances whose event was lost"
    handler         = "handlers.reconcile.handler"
    timeout_seconds = var.reconcile.grace_seconds + local.reconcile_work_seconds + local.standing_check_seconds
    network         = null

    environment = merge(local.entrance_environment, local.proof_environment, local.uses.flush ? local.look_environment : {}, {
      LAUNCH_HEARTBEAT_TIMEOUT_SECONDS    = try(local.hooks.launch.heartbeat_timeout, null)
      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = local.hooks.terminate.heartbeat_timeout
      RECONCILE_MODE                      = var.reconcile.mode
      RECONCILE_GRACE_SECONDS             = var.reconcile.grace_seconds
    })

    statements = concat(
      [local.describe_instances, local.describe_lifecycle_state, local.describe_group],
      # An observer may read, and nothing else.
      local.uses.operation && !local.reconcile_corrects ? [local.list_registrations] : [],
      [for statement in [local.mark_instances, local.restart_pipeline, local.complete_lifecycle_action] : statement if local.reconcile_corrects],
      [for statement in local.register_statements : statement if local.uses.operation && local.reconcile_corrects],
      local.reconcile_corrects ? [{
        Sid      = "HandOver"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [local.queue_arns[local.first_stage]]
      }] : [],
      # The standing check, in either mode.
      local.uses.buffer || local.uses.flush ? [local.mark_checked] : [],
      local.uses.buffer ? [local.ask_for_evidence] : [],
      [for statement in [local.find_agents, local.send_flush_document, local.send_to_instances_of_group, local.look_up_command] : statement if local.uses.flush],
    )
  }

  # Two snapshots, and the corrections of a large fleet with a few calls each.
  reconcile_work_seconds = 240

  # The standing check asks for evidence for up to 60 s, and waits for the last answer; and it waits 60 s for
  # the instances to look at their Fluentd, and sends and collects up to 50 commands.
  standing_check_seconds = (local.uses.buffer ? 60 + local.longest_evidence_seconds : 0) + (local.uses.flush ? 90 : 0)
  look_environment = {
    FLUSH_DOCUMENT_NAME            = one(aws_ssm_document.flush[*].name)
    FLUSH_DELIVERY_TIMEOUT_SECONDS = local.uses.flush ? var.flush.delivery_timeout_seconds : null
  }
  # DescribeInstanceInformation has no resource-level permission.
  find_agents = {
    Sid      = "FindAgents"
    Effect   = "Allow"
    Action   = ["ssm:DescribeInstanceInformation"]
    Resource = "*"
  }
  # The tags of an instance that was looked at, or that has a flaw.
  mark_checked = merge(local.mark_instances, {
    Sid = "MarkChecked"
    Condition = merge(local.mark_instances.Condition, {
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.looked_tag_key, local.not_provable_tag_key] }
    })
  })

  # DescribeAutoScalingGroups and DescribeWarmPool have no resource-level permission.
  describe_group = {
    Sid      = "DescribeGroup"
    Effect   = "Allow"
    Action   = ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeWarmPool"]
    Resource = "*"
  }
  # A heartbeat shows whether our hook holds the instance, and keeps it held.
  restart_pipeline = {
    Sid      = "ProlongTheWait"
    Effect   = "Allow"
    Action   = ["autoscaling:RecordLifecycleActionHeartbeat"]
    Resource = local.autoscaling_group_arn
  }
}

resource "aws_cloudwatch_event_rule" "reconcile" {
  name                = local.function_names.reconcile
  description         = "Schedule of the reconciler of ${var.autoscaling_group_name}"
  schedule_expression = var.reconcile.interval_minutes == 1 ? "rate(1 minute)" : "rate(${var.reconcile.interval_minutes} minutes)"
  tags                = local.tags
}

resource "aws_cloudwatch_event_target" "reconcile" {
  rule      = aws_cloudwatch_event_rule.reconcile.name
  target_id = local.function_names.reconcile
  arn       = aws_lambda_function.this["reconcile"].arn
}

resource "aws_lambda_permission" "reconcile_from_rule" {
  statement_id  = "schedule"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["reconcile"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.reconcile.arn
}

resource "aws_lambda_function_event_invoke_config" "reconcile" {
  function_name          = aws_lambda_function.this["reconcile"].function_name
  maximum_retry_attempts = 0
  # A run that could not begin for so long is the next one's. Lambda allows 60 s to 6 hours.
  maximum_event_age_in_seconds = min(21600, local.reconcile_period_seconds)
}
