# The timing budget: everything that follows from the numbers of `timing`, and the conditions they
# must meet together. A budget that does not add up loses logs months later, at night, when a drain
# happens to take long; so it is refused here, at plan time, with the number to change.

locals {
  # Of the inputs that may be left out, what is counted with; for a stage that is not there, 0.
  dns_ttl_seconds         = try(var.cloud_map.dns_ttl_seconds, 0)
  request_timeout_seconds = try(var.prometheus.request_timeout_seconds, 0)
  scrape_interval_seconds = try(var.prometheus.scrape_interval_seconds, 0)
  flush_timeout_seconds   = try(var.flush.timeout_seconds, 0)
  shortest_flush_seconds  = try(var.flush.wait_seconds + var.flush.quiet_seconds, 0)

  # What the agent needs to start the script and to hand its answer back, at the very least, and what
  # the flush waiter needs for its other calls beside.
  command_overhead_seconds      = 5
  flush_calls_seconds           = 10
  flush_command_timeout_seconds = try(coalesce(var.flush.command_timeout_seconds, local.shortest_flush_seconds + 30), 0)

  # How often lifecycle/adapters/prometheus.py asks within one invocation, and how long each attempt may take
  # to connect before it waits for the answer.
  prometheus_attempts        = 2
  prometheus_connect_seconds = 3
  longest_query_seconds      = local.prometheus_attempts * (local.prometheus_connect_seconds + local.request_timeout_seconds)

  # EC2 Auto Scaling ends any lifecycle action after 48 hours or 100 heartbeat timeouts.
  longest_lifecycle_action_seconds = 172800
  longest_wait_in_heartbeats       = 100
  most_receives                    = 1000

  # Without Cloud Map nobody has to let go.
  settle_seconds_needed = local.uses.operation ? local.dns_ttl_seconds + var.timing.forwarder_refresh_seconds + 3 : 0

  stage_budgets = {
    operation = {
      visibility_timeout_seconds = coalesce(var.timing.visibility_timeout_seconds, 6 * var.lambda.operation_waiter_timeout_seconds)
      max_receive_count = coalesce(
        var.timing.max_receive_count,
        ceil(var.timing.operation_timeout_seconds / var.timing.operation_poll_interval_seconds) + 10,
      )
    }
    flush = {
      visibility_timeout_seconds = coalesce(var.timing.visibility_timeout_seconds, 6 * var.lambda.flush_waiter_timeout_seconds)
      max_receive_count = coalesce(
        var.timing.max_receive_count,
        ceil(local.flush_timeout_seconds / var.timing.poll_interval_seconds) + 10,
      )
    }
    buffer = {
      visibility_timeout_seconds = coalesce(var.timing.visibility_timeout_seconds, 6 * var.lambda.buffer_waiter_timeout_seconds)
      max_receive_count = coalesce(
        var.timing.max_receive_count,
        ceil(var.timing.drain_timeout_seconds / var.timing.poll_interval_seconds) + 10,
      )
    }
  }

  budget = {
    settle_seconds = coalesce(var.timing.settle_seconds, ceil(local.settle_seconds_needed / 5) * 5)

    operation = local.uses.operation ? local.stage_budgets.operation : null
    flush     = local.uses.flush ? local.stage_budgets.flush : null
    buffer    = local.uses.buffer ? local.stage_budgets.buffer : null

    launch_limit_seconds    = min(local.longest_lifecycle_action_seconds, local.longest_wait_in_heartbeats * var.timing.launch_heartbeat_timeout_seconds)
    terminate_limit_seconds = min(local.longest_lifecycle_action_seconds, local.longest_wait_in_heartbeats * var.timing.terminate_heartbeat_timeout_seconds)
  }

  # The longest that a message can stay out of sight, and so its hook without a heartbeat.
  longest_pause_seconds = {
    for stage, numbers in local.stage_budgets : stage => max(numbers.visibility_timeout_seconds, var.timing.poll_interval_max_seconds)
  }
  longest_terminate_pause_seconds = max([for stage, seconds in local.longest_pause_seconds : seconds if local.uses[stage]]...)

  # How long the stages that a terminating instance passes may take, all together; and the shortest
  # that they can, settling not counted.
  stage_timeouts_seconds = (
    (local.uses.operation ? var.timing.operation_timeout_seconds : 0) +
    local.flush_timeout_seconds +
    (local.uses.buffer ? var.timing.drain_timeout_seconds : 0)
  )
  terminate_overrun_seconds = local.stage_timeouts_seconds + var.timing.terminate_heartbeat_timeout_seconds - local.budget.terminate_limit_seconds
  # A wait whose event was lost has nobody to keep it alive before the reconciler finds it. A run that
  # fails is not repeated, so the one after it has to come in time as well, with both of its looks.
  restart_within_seconds = var.reconcile.interval_minutes * 60 * 2 + var.reconcile.grace_seconds
  longest_interval_minutes = {
    launch    = floor((var.timing.launch_heartbeat_timeout_seconds - var.reconcile.grace_seconds - 1) / 120)
    terminate = floor((var.timing.terminate_heartbeat_timeout_seconds - var.reconcile.grace_seconds - 1) / 120)
  }
  shortest_drain_seconds = max(
    try(var.flush.quiet_seconds, 0),
    local.uses.buffer ? var.timing.empty_for_seconds : 0,
  )
}

resource "terraform_data" "timing_budget" {
  input = local.budget

  lifecycle {
    precondition {
      condition     = !local.uses.operation || local.stage_budgets.operation.visibility_timeout_seconds >= 6 * var.lambda.operation_waiter_timeout_seconds
      error_message = "The operation queue would hand out a message again while its waiter still works on it. Raise timing.visibility_timeout_seconds to at least ${6 * var.lambda.operation_waiter_timeout_seconds} (6 x lambda.operation_waiter_timeout_seconds), or leave it out."
    }

    precondition {
      condition     = !local.uses.buffer || local.stage_budgets.buffer.visibility_timeout_seconds >= 6 * var.lambda.buffer_waiter_timeout_seconds
      error_message = "The buffer queue would hand out a message again while its waiter still works on it. Raise timing.visibility_timeout_seconds to at least ${6 * var.lambda.buffer_waiter_timeout_seconds} (6 x lambda.buffer_waiter_timeout_seconds), or leave it out."
    }

    precondition {
      condition     = !local.uses.flush || local.stage_budgets.flush.visibility_timeout_seconds >= 6 * var.lambda.flush_waiter_timeout_seconds
      error_message = "The flush queue would hand out a message again while its waiter still works on it. Raise timing.visibility_timeout_seconds to at least ${6 * var.lambda.flush_waiter_timeout_seconds} (6 x lambda.flush_waiter_timeout_seconds), or leave it out."
    }

    precondition {
      condition     = !local.uses.flush || local.stage_budgets.flush.max_receive_count <= local.most_receives
      error_message = "flush.timeout_seconds / timing.poll_interval_seconds gives ${local.stage_budgets.flush.max_receive_count} deliveries; SQS allows ${local.most_receives}. Raise timing.poll_interval_seconds to at least ${ceil(local.flush_timeout_seconds / (local.most_receives - 10))}."
    }

    precondition {
      condition     = !local.uses.flush || local.stage_budgets.flush.max_receive_count * var.timing.poll_interval_seconds >= local.flush_timeout_seconds
      error_message = "The flush queue would set messages aside before flush.timeout_seconds is over. Raise timing.max_receive_count to at least ${ceil(local.flush_timeout_seconds / var.timing.poll_interval_seconds)}, or leave it out."
    }

    precondition {
      condition     = !local.uses.operation || local.stage_budgets.operation.max_receive_count <= local.most_receives
      error_message = "timing.operation_timeout_seconds / timing.operation_poll_interval_seconds gives ${local.stage_budgets.operation.max_receive_count} deliveries; SQS allows ${local.most_receives}. Raise timing.operation_poll_interval_seconds to at least ${ceil(var.timing.operation_timeout_seconds / (local.most_receives - 10))}."
    }

    precondition {
      condition     = !local.uses.buffer || local.stage_budgets.buffer.max_receive_count <= local.most_receives
      error_message = "timing.drain_timeout_seconds / timing.poll_interval_seconds gives ${local.stage_budgets.buffer.max_receive_count} deliveries; SQS allows ${local.most_receives}. Raise timing.poll_interval_seconds to at least ${ceil(var.timing.drain_timeout_seconds / (local.most_receives - 10))}."
    }

    precondition {
      condition     = !local.uses.operation || local.stage_budgets.operation.max_receive_count * var.timing.operation_poll_interval_seconds >= var.timing.operation_timeout_seconds
      error_message = "The operation queue would set messages aside before timing.operation_timeout_seconds is over. Raise timing.max_receive_count to at least ${ceil(var.timing.operation_timeout_seconds / var.timing.operation_poll_interval_seconds)}, or leave it out."
    }

    precondition {
      condition     = !local.uses.buffer || local.stage_budgets.buffer.max_receive_count * var.timing.poll_interval_seconds >= var.timing.drain_timeout_seconds
      error_message = "The buffer queue would set messages aside before timing.drain_timeout_seconds is over. Raise timing.max_receive_count to at least ${ceil(var.timing.drain_timeout_seconds / var.timing.poll_interval_seconds)}, or leave it out."
    }

    precondition {
      condition     = var.timing.poll_interval_max_seconds >= var.timing.poll_interval_seconds
      error_message = "timing.poll_interval_max_seconds must not be smaller than timing.poll_interval_seconds. Raise it to at least ${var.timing.poll_interval_seconds}."
    }

    precondition {
      condition     = !local.uses.operation || var.timing.poll_interval_max_seconds >= var.timing.operation_poll_interval_seconds
      error_message = "timing.poll_interval_max_seconds must not be smaller than timing.operation_poll_interval_seconds. Raise it to at least ${var.timing.operation_poll_interval_seconds}."
    }

    precondition {
      condition     = !local.uses.operation || var.timing.launch_heartbeat_timeout_seconds > local.longest_pause_seconds.operation
      error_message = "A launching instance could be given up between two heartbeats, which can be ${local.longest_pause_seconds.operation} s apart. Raise timing.launch_heartbeat_timeout_seconds above that, or lower timing.poll_interval_max_seconds or lambda.operation_waiter_timeout_seconds."
    }

    precondition {
      condition     = var.timing.terminate_heartbeat_timeout_seconds > local.longest_terminate_pause_seconds
      error_message = "A terminating instance could be lost between two heartbeats, which can be ${local.longest_terminate_pause_seconds} s apart. Raise timing.terminate_heartbeat_timeout_seconds above that, or lower timing.poll_interval_max_seconds or the waiters' timeouts in lambda."
    }

    precondition {
      condition     = !local.uses.operation || var.reconcile.mode == "observe" || var.timing.launch_heartbeat_timeout_seconds > local.restart_within_seconds
      error_message = "A launching instance whose event was lost could be given up before the reconciler finds it: two runs, in case one fails, take ${local.restart_within_seconds} s (2 x reconcile.interval_minutes + reconcile.grace_seconds). ${local.longest_interval_minutes.launch >= 1 ? "Lower reconcile.interval_minutes to at most ${local.longest_interval_minutes.launch}, or raise" : "Raise"} timing.launch_heartbeat_timeout_seconds above ${local.restart_within_seconds}."
    }

    precondition {
      condition     = var.reconcile.mode == "observe" || var.timing.terminate_heartbeat_timeout_seconds > local.restart_within_seconds
      error_message = "A terminating instance whose event was lost could be lost with its logs before the reconciler finds it: two runs, in case one fails, take ${local.restart_within_seconds} s (2 x reconcile.interval_minutes + reconcile.grace_seconds). ${local.longest_interval_minutes.terminate >= 1 ? "Lower reconcile.interval_minutes to at most ${local.longest_interval_minutes.terminate}, or raise" : "Raise"} timing.terminate_heartbeat_timeout_seconds above ${local.restart_within_seconds}."
    }

    precondition {
      condition     = !local.uses.operation || var.timing.operation_timeout_seconds + var.timing.launch_heartbeat_timeout_seconds <= local.budget.launch_limit_seconds
      error_message = "EC2 Auto Scaling ends a launch after ${local.budget.launch_limit_seconds} s (48 hours or 100 x timing.launch_heartbeat_timeout_seconds) whatever the heartbeats. Lower timing.operation_timeout_seconds to at most ${local.budget.launch_limit_seconds - var.timing.launch_heartbeat_timeout_seconds}, or raise timing.launch_heartbeat_timeout_seconds."
    }

    precondition {
      condition     = local.terminate_overrun_seconds <= 0
      error_message = "EC2 Auto Scaling ends a termination after ${local.budget.terminate_limit_seconds} s (48 hours or 100 x timing.terminate_heartbeat_timeout_seconds) whatever the heartbeats, and a person needs one heartbeat timeout of them. ${local.uses.buffer ? "Lower timing.drain_timeout_seconds to at most ${var.timing.drain_timeout_seconds - local.terminate_overrun_seconds}" : "Lower flush.timeout_seconds to at most ${local.flush_timeout_seconds - local.terminate_overrun_seconds}"}${local.uses.buffer && local.uses.flush ? " (or lower flush.timeout_seconds as well)" : ""}, or raise timing.terminate_heartbeat_timeout_seconds."
    }

    precondition {
      condition     = local.budget.settle_seconds >= local.settle_seconds_needed
      error_message = "Forwarders may go on sending for ${local.settle_seconds_needed} s after deregistration (cloud_map.dns_ttl_seconds + timing.forwarder_refresh_seconds + 3). Raise timing.settle_seconds to at least that, or leave it out."
    }

    precondition {
      condition     = !local.uses.buffer || var.timing.empty_for_seconds >= 3 * local.scrape_interval_seconds
      error_message = "A window of timing.empty_for_seconds must hold at least three scrapes: two cannot tell an empty buffer from one that was between two flushes, nor a gap from a late scrape. Raise timing.empty_for_seconds to at least ${3 * local.scrape_interval_seconds}."
    }

    precondition {
      condition     = !local.uses.buffer || var.timing.drain_timeout_seconds > local.budget.settle_seconds + var.timing.empty_for_seconds + var.timing.poll_interval_max_seconds
      error_message = "No drain could succeed: settling, the empty window and one poll take ${local.budget.settle_seconds + var.timing.empty_for_seconds + var.timing.poll_interval_max_seconds} s. Raise timing.drain_timeout_seconds above that."
    }

    precondition {
      condition     = !local.uses.buffer || local.longest_query_seconds < var.lambda.buffer_waiter_timeout_seconds
      error_message = "A slow Prometheus would run the buffer waiter into its own timeout: ${local.prometheus_attempts} attempts take up to ${local.longest_query_seconds} s. Raise lambda.buffer_waiter_timeout_seconds above that, or lower prometheus.request_timeout_seconds."
    }

    precondition {
      condition     = !local.uses.flush || local.flush_command_timeout_seconds >= local.shortest_flush_seconds + local.command_overhead_seconds
      error_message = "No command could answer in time: it waits for ${local.shortest_flush_seconds} s (flush.wait_seconds + flush.quiet_seconds), and the agent takes a while. Raise flush.command_timeout_seconds to at least ${local.shortest_flush_seconds + local.command_overhead_seconds}, or leave it out."
    }

    precondition {
      condition     = !local.uses.flush || var.lambda.flush_waiter_timeout_seconds >= local.flush_command_timeout_seconds + local.flush_calls_seconds
      error_message = "A command that takes long would run the flush waiter into its own timeout: it waits for up to ${local.flush_command_timeout_seconds} s. Raise lambda.flush_waiter_timeout_seconds to at least ${local.flush_command_timeout_seconds + local.flush_calls_seconds}, or lower flush.command_timeout_seconds or flush.wait_seconds."
    }

    precondition {
      condition     = !local.uses.flush || local.flush_timeout_seconds > local.budget.settle_seconds + local.flush_command_timeout_seconds + var.timing.poll_interval_max_seconds
      error_message = "No flush could succeed: settling, one command and one poll take ${local.budget.settle_seconds + local.flush_command_timeout_seconds + var.timing.poll_interval_max_seconds} s. Raise flush.timeout_seconds above that."
    }
  }
}
