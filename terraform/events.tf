# EC2 Auto Scaling tells of every wait state by an EventBridge event; this rule hands those of our
# group and our hooks to the lifecycle handler. Without a dead-letter queue on the *target*,
# EventBridge drops what it cannot deliver, and the instance would wait for nobody.

locals {
  # Delivery and the handler's retries each get a third of the shorter hook's heartbeat timeout: an
  # event that ends in a dead-letter queue must get there while a person can still use it.
  event_age_seconds = max(60, floor(min([for hook in local.hooks : hook.heartbeat_timeout]...) / 3))

  event_detail_types = {
    launch    = "EC2 Instance-launch Lifecycle Action"
    terminate = "EC2 Instance-terminate Lifecycle Action"
  }
}

resource "aws_cloudwatch_event_rule" "lifecycle" {
  name        = local.rule_name
  description = "Instances of ${var.autoscaling_group_name} that wait in ${var.name}'s ${join(" or ", keys(local.hooks))} hook"

  event_pattern = jsonencode({
    source      = ["aws.autoscaling"]
    detail-type = [for key in keys(local.hooks) : local.event_detail_types[key]]
    detail = {
      AutoScalingGroupName = [var.autoscaling_group_name]
      LifecycleHookName    = [for hook in values(local.hooks) : hook.name]
    }
  })

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "lifecycle" {
  rule      = aws_cloudwatch_event_rule.lifecycle.name
  target_id = local.function_names.lifecycle
  arn       = aws_lambda_function.this["lifecycle"].arn

  retry_policy {
    maximum_event_age_in_seconds = local.event_age_seconds
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter["event"].arn
  }
}

resource "aws_lambda_permission" "lifecycle_from_rule" {
  statement_id  = "lifecycle-events"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["lifecycle"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.lifecycle.arn
}
