# The last stage, with `prometheus`: Prometheus must prove that the instance has held and received nothing
# for `empty_for`. The waiter asks the evidence function (function_evidence.tf), decides, retries and
# releases; it sends the heartbeats, and is in no VPC.

locals {
  buffer_waiter = !local.uses.buffer ? null : {
    description     = "${var.name}: waits until a deregistered instance is proven empty and quiet"
    handler         = "waiters.buffer.handler"
    timeout_seconds = var.lambda.buffer_waiter_timeout_seconds
    network         = null

    environment = merge(local.proof_environment, {
      BUFFER_QUEUE_URL                    = local.queue_urls.buffer
      BUFFER_DLQ_URL                      = local.dead_letter_queue_urls.buffer
      POLL_INTERVAL_SECONDS               = var.timing.poll_interval_seconds
      POLL_INTERVAL_MAX_SECONDS           = var.timing.poll_interval_max_seconds
      TIMEOUT_SECONDS                     = var.timing.drain_timeout_seconds
      VISIBILITY_TIMEOUT_SECONDS          = local.stages.buffer.visibility_timeout_seconds
      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = var.timing.terminate_heartbeat_timeout_seconds
    })

    statements = concat(
      [
        local.describe_lifecycle_state,
        local.describe_instances, # its state tag tells a late duplicate message what was proven
        local.keep_lifecycle_action_alive,
        local.mark_failing_heartbeats,
        local.mark_instances,
        local.mark_queue_cleared,
        local.ask_for_evidence,
      ],
      local.uses.operation ? [local.look_up_registration] : [],
      [
        local.consume_queue.buffer,
        {
          Sid    = "HandOver"
          Effect = "Allow"
          Action = ["sqs:SendMessage"]
          Resource = concat(
            [local.dead_letter_queue_arns.buffer],
            local.uses.operation ? [local.queue_arns.operation] : [],
          )
        },
      ],
    )
  }
}
