# The first stage, with `cloud_map`: Cloud Map registers and deregisters asynchronously, and only SUCCESS of
# its operation counts. With `cloud_map.readiness` the waiter asks first whether a launching instance is
# ready, and registers it. The waiter then puts a launching instance in service, and passes a terminating
# one to the next stage in use: flush or buffer.

locals {
  operation_waiter = !local.uses.operation ? null : {
    description     = "${var.name}: waits until Cloud Map has registered or deregistered an instance"
    handler         = "waiters.operation.handler"
    timeout_seconds = var.lambda.operation_waiter_timeout_seconds
    network         = null

    environment = merge(local.uses.readiness ? local.proof_environment : {}, {
      OPERATION_DLQ_URL                   = local.dead_letter_queue_urls.operation
      FLUSH_QUEUE_URL                     = local.queue_urls.flush
      BUFFER_QUEUE_URL                    = local.queue_urls.buffer
      POLL_INTERVAL_SECONDS               = var.timing.operation_poll_interval_seconds
      POLL_INTERVAL_MAX_SECONDS           = var.timing.poll_interval_max_seconds
      TIMEOUT_SECONDS                     = var.timing.operation_timeout_seconds
      VISIBILITY_TIMEOUT_SECONDS          = local.stages.operation.visibility_timeout_seconds
      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = var.timing.terminate_heartbeat_timeout_seconds
      LAUNCH_HEARTBEAT_TIMEOUT_SECONDS    = var.timing.launch_heartbeat_timeout_seconds
      READINESS                           = local.uses.readiness ? var.cloud_map.readiness : null
      READINESS_UNKNOWN_SECONDS           = local.uses.readiness ? var.cloud_map.readiness_unknown_seconds : null
    })

    statements = concat(
      [
        local.describe_instances,
        local.describe_lifecycle_state,
        local.keep_lifecycle_action_alive,
        local.mark_failing_heartbeats,
        local.look_up_operation,
      ],
      local.register_statements,
      [for statement in [local.ask_for_evidence, local.mark_not_ready] : statement if local.uses.readiness],
      [
        local.consume_queue.operation,
        {
          Sid    = "HandOver"
          Effect = "Allow"
          Action = ["sqs:SendMessage"]
          Resource = [
            # A failed operation is requested again at most three times, by a new message.
            local.queue_arns.operation,
            local.dead_letter_queue_arns.operation,
            local.queue_arns[local.draining_stages[0]],
          ]
        },
      ],
    )
  }
}
