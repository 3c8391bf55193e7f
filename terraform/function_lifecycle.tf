# The entry point: a lifecycle event becomes a registration or deregistration under way and a check
# message in the operation queue. Without Cloud Map there is nothing to wait for: a terminating
# instance goes straight into the first draining stage. EventBridge invokes it asynchronously, so Lambda itself retries it
# twice and then hands the event to a queue that alarms; the destination record it writes there
# holds the event and the error.

locals {
  lifecycle_handler = {
    description     = local.uses.operation ? "${var.name}: starts to register a launching, to drain a terminating instance" : "${var.name}: starts to drain a terminating instance"
    handler         = "handlers.lifecycle.handler"
    timeout_seconds = var.lambda.handler_timeout_seconds
    network         = null

    environment = local.entrance_environment

    statements = concat(
      # To let go what enters a warm pool, and what leaves one as it was proven to be: empty.
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

  # What starts a pipeline is given the queue of the first stage and, with Cloud Map, the registration.
  entrance_environment = {
    "${upper(local.first_stage)}_QUEUE_URL" = local.queue_urls[local.first_stage]
  }

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
