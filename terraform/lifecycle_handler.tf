# The entry point: a lifecycle event becomes a registration or deregistration under way and a check
# message in the operation queue. EventBridge invokes it asynchronously, so Lambda itself retries it
# twice and then hands the event to a queue that alarms; the destination record it writes there
# holds the event and the error.

locals {
  lifecycle_handler = {
    description     = "${var.name}: starts to register a launching, to drain a terminating instance"
    handler         = "handlers.lifecycle.handler"
    timeout_seconds = var.lambda.handler_timeout_seconds
    network         = null

    environment = {
      CLOUD_MAP_SERVICE_ID = local.cloud_map_service_id
      CLOUD_MAP_PORT       = tostring(var.cloud_map.port)
      OPERATION_QUEUE_URL  = aws_sqs_queue.stage["operation"].url
    }
    optional_environment = {}

    statements = concat(
      [
        local.describe_instances,
        local.describe_lifecycle_state,
        local.complete_lifecycle_action,
      ],
      local.register_statements,
      [{
        Sid    = "HandOver"
        Effect = "Allow"
        Action = ["sqs:SendMessage"]
        Resource = [
          local.queue_arns.operation,
          # Lambda writes the on-failure record with the function's own role.
          local.dead_letter_queue_arns.lifecycle,
        ]
      }],
    )
  }
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
