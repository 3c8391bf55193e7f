# Lifecycle events. EC2 Auto Scaling reports every wait state by an EventBridge event; a rule sends those
# of our group and our hooks to the handler. With Cloud Map it starts a registration or deregistration
# and sends a check message to the operation queue; without, a terminating instance goes straight into
# the first draining stage. EventBridge invokes it asynchronously: Lambda retries it twice and then writes
# a record of the event and the error to a dead-letter queue. Without a dead-letter queue on the *target*,
# EventBridge drops what it cannot deliver, and the instance would wait until its hook times out.

locals {
  lifecycle_handler = {
    description     = local.uses.operation ? "${var.name}: starts the registration of a launching and the drain of a terminating instance" : "${var.name}: starts the drain of a terminating instance"
    handler         = "handlers.lifecycle.handler"
    timeout_seconds = var.lambda.handler_timeout_seconds
    network         = null

    environment = local.entrance_environment

    statements = concat(
      # To release what enters a warm pool, and what leaves one as it was proven: empty.
      [local.describe_lifecycle_state, local.describe_instances, local.mark_instances, local.complete_lifecycle_action],
      # To register what launches.
      [for statement in local.register_statements : statement if local.uses.operation],
      [{
        Sid    = "HandOver"
        Effect = "Allow"
        Action = ["sqs:SendMessage"]
        Resource = [
          local.queue_arns[local.first_stage],
          # Lambda writes the on-failure record with the function's own role.
          local.dead_letter_queue_arns.lifecycle,
        ]
      }],
    )
  }

  # For the lifecycle handler and the reconciler, which put an instance into the first stage.
  entrance_environment = {
    "${upper(local.first_stage)}_QUEUE_URL" = local.queue_urls[local.first_stage]
    READINESS                               = local.uses.readiness ? var.cloud_map.readiness : null
  }

  # Delivery and the handler's retries each get a third of the shorter hook's heartbeat timeout: an event
  # that ends in a dead-letter queue must get there while the operator can still act on it.
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
      AutoScalingGroupName = local.group_names
      LifecycleHookName    = [for hook in values(local.hooks) : hook.name]
    }
  })

  tags = local.tags
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

resource "aws_lambda_function_event_invoke_config" "lifecycle" {
  function_name                = aws_lambda_function.this["lifecycle"].function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = local.event_age_seconds

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letter["lifecycle"].arn
    }
  }
}
