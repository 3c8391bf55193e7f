# The stage on the instance, with `flush`: the waiter flushes Fluentd by the module's own SSM document until
# no chunk file is left. Its role may send that document only, and only to instances of the group.

locals {
  flush_waiter = !local.uses.flush ? null : {
    description     = "${var.name}: flushes Fluentd on an instance until no chunk is left on it"
    handler         = "waiters.flush.handler"
    timeout_seconds = local.flush_waiter_timeout_seconds
    network         = null

    environment = {
      FLUSH_QUEUE_URL                     = local.queue_urls.flush
      FLUSH_DLQ_URL                       = local.dead_letter_queue_urls.flush
      BUFFER_QUEUE_URL                    = local.queue_urls.buffer
      POLL_INTERVAL_SECONDS               = var.timing.poll_interval_seconds
      POLL_INTERVAL_MAX_SECONDS           = var.timing.poll_interval_max_seconds
      TIMEOUT_SECONDS                     = local.flush_timeout_seconds
      VISIBILITY_TIMEOUT_SECONDS          = local.stages.flush.visibility_timeout_seconds
      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = var.timing.terminate_heartbeat_timeout_seconds
      SETTLE_SECONDS                      = local.budget.settle_seconds
      FLUSH_DOCUMENT_NAME                 = one(aws_ssm_document.flush[*].name)
      FLUSH_COMMAND_TIMEOUT_SECONDS       = local.flush_command_timeout_seconds
      FLUSH_DELIVERY_TIMEOUT_SECONDS      = var.flush.delivery_timeout_seconds
    }

    statements = concat(
      [
        local.describe_lifecycle_state,
        local.describe_instances, # its state tag tells a late duplicate message what was proven
        local.keep_lifecycle_action_alive,
        local.mark_failing_heartbeats,
        local.mark_instances,
      ],
      local.uses.operation ? [local.look_up_registration] : [],
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
