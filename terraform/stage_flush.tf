# The stage on the instance: Fluentd is told to flush, by the module's own SSM document, until no
# chunk file is left. The role may send that document and no other, and only to instances of the
# group.

locals {
  flush_waiter = !local.uses.flush ? null : {
    description     = "${var.name}: flushes Fluentd on an instance until no chunk is left on it"
    handler         = "waiters.flush.handler"
    timeout_seconds = var.lambda.flush_waiter_timeout_seconds
    network         = null

    environment = merge(
      local.cloud_map_environment,
      local.registered_again_environment,
      { for stage in ["buffer"] : "BUFFER_QUEUE_URL" => aws_sqs_queue.stage[stage].url if local.uses[stage] },
      {
        FLUSH_QUEUE_URL                = aws_sqs_queue.stage["flush"].url
        FLUSH_DLQ_URL                  = aws_sqs_queue.dead_letter["flush"].url
        POLL_INTERVAL_SECONDS          = tostring(var.timing.poll_interval_seconds)
        POLL_INTERVAL_MAX_SECONDS      = tostring(var.timing.poll_interval_max_seconds)
        TIMEOUT_SECONDS                = tostring(local.flush_timeout_seconds)
        SETTLE_SECONDS                 = tostring(local.budget.settle_seconds)
        FLUSH_DOCUMENT_NAME            = one(aws_ssm_document.flush[*].name)
        FLUSH_COMMAND_TIMEOUT_SECONDS  = tostring(local.flush_command_timeout_seconds)
        FLUSH_DELIVERY_TIMEOUT_SECONDS = tostring(var.flush.delivery_timeout_seconds)
      },
    )
    optional_environment = {}

    statements = concat(
      [
        local.describe_lifecycle_state,
        local.describe_instances, # the mark says what a late duplicate was proven to be
        local.keep_lifecycle_action_alive,
        local.mark_instances,
      ],
      [for statement in [local.look_up_registration] : statement if local.uses.operation],
      [
        local.send_flush_document,
        local.send_to_instances_of_group,
        local.look_up_command,
        local.consume_queue.flush,
        {
          Sid    = "HandOver"
          Effect = "Allow"
          Action = ["sqs:SendMessage"]
          Resource = concat(
            [local.dead_letter_queue_arns.flush],
            [for stage in ["buffer", "operation"] : local.queue_arns[stage] if local.uses[stage]],
          )
        },
      ],
    )
  }
}
