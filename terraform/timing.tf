# The timing budget: everything that follows from the numbers of `timing`, and the conditions they
# must meet together. A budget that does not add up loses logs months later, at night, when a drain
# happens to take long; so it is refused here, at plan time, with the number to change.

locals {
  # How often lifecycle/prometheus.py asks within one invocation, and how long each attempt may take
  # to connect before it waits for the answer.
  prometheus_attempts        = 2
  prometheus_connect_seconds = 3
  longest_query_seconds      = local.prometheus_attempts * (local.prometheus_connect_seconds + var.prometheus.request_timeout_seconds)

  # EC2 Auto Scaling ends any lifecycle action after 48 hours or 100 heartbeat timeouts.
  longest_lifecycle_action_seconds = 172800
  longest_wait_in_heartbeats       = 100
  most_receives                    = 1000

  settle_seconds_needed = var.cloud_map.dns_ttl_seconds + var.timing.forwarder_refresh_seconds + 3

  budget = {
    settle_seconds = coalesce(var.timing.settle_seconds, ceil(local.settle_seconds_needed / 5) * 5)

    operation = {
      visibility_timeout_seconds = coalesce(var.timing.visibility_timeout_seconds, 6 * var.lambda.operation_waiter_timeout_seconds)
      max_receive_count = coalesce(
        var.timing.max_receive_count,
        ceil(var.timing.operation_timeout_seconds / var.timing.operation_poll_interval_seconds) + 10,
      )
    }
    buffer = {
      visibility_timeout_seconds = coalesce(var.timing.visibility_timeout_seconds, 6 * var.lambda.buffer_waiter_timeout_seconds)
      max_receive_count = coalesce(
        var.timing.max_receive_count,
        ceil(var.timing.drain_timeout_seconds / var.timing.poll_interval_seconds) + 10,
      )
    }

    launch_limit_seconds    = min(local.longest_lifecycle_action_seconds, local.longest_wait_in_heartbeats * var.timing.launch_heartbeat_timeout_seconds)
    terminate_limit_seconds = min(local.longest_lifecycle_action_seconds, local.longest_wait_in_heartbeats * var.timing.terminate_heartbeat_timeout_seconds)
  }

  # The longest that a message can stay out of sight, and so its hook without a heartbeat.
  longest_pause_seconds = {
    operation = max(local.budget.operation.visibility_timeout_seconds, var.timing.poll_interval_max_seconds)
    buffer    = max(local.budget.buffer.visibility_timeout_seconds, var.timing.poll_interval_max_seconds)
  }
}

resource "terraform_data" "timing_budget" {
  input = local.budget

  lifecycle {
    precondition {
      condition     = local.budget.operation.visibility_timeout_seconds >= 6 * var.lambda.operation_waiter_timeout_seconds
      error_message = "The operation queue would hand out a message again while its waiter still works on it. Raise timing.visibility_timeout_seconds to at least ${6 * var.lambda.operation_waiter_timeout_seconds} (6 x lambda.operation_waiter_timeout_seconds), or leave it out."
    }

    precondition {
      condition     = local.budget.buffer.visibility_timeout_seconds >= 6 * var.lambda.buffer_waiter_timeout_seconds
      error_message = "The buffer queue would hand out a message again while its waiter still works on it. Raise timing.visibility_timeout_seconds to at least ${6 * var.lambda.buffer_waiter_timeout_seconds} (6 x lambda.buffer_waiter_timeout_seconds), or leave it out."
    }

    precondition {
      condition     = local.budget.operation.max_receive_count <= local.most_receives
      error_message = "timing.operation_timeout_seconds / timing.operation_poll_interval_seconds gives ${local.budget.operation.max_receive_count} deliveries; SQS allows ${local.most_receives}. Raise timing.operation_poll_interval_seconds to at least ${ceil(var.timing.operation_timeout_seconds / (local.most_receives - 10))}."
    }

    precondition {
      condition     = local.budget.buffer.max_receive_count <= local.most_receives
      error_message = "timing.drain_timeout_seconds / timing.poll_interval_seconds gives ${local.budget.buffer.max_receive_count} deliveries; SQS allows ${local.most_receives}. Raise timing.poll_interval_seconds to at least ${ceil(var.timing.drain_timeout_seconds / (local.most_receives - 10))}."
    }

    precondition {
      condition     = local.budget.operation.max_receive_count * var.timing.operation_poll_interval_seconds >= var.timing.operation_timeout_seconds
      error_message = "The operation queue would set messages aside before timing.operation_timeout_seconds is over. Raise timing.max_receive_count to at least ${ceil(var.timing.operation_timeout_seconds / var.timing.operation_poll_interval_seconds)}, or leave it out."
    }

    precondition {
      condition     = local.budget.buffer.max_receive_count * var.timing.poll_interval_seconds >= var.timing.drain_timeout_seconds
      error_message = "The buffer queue would set messages aside before timing.drain_timeout_seconds is over. Raise timing.max_receive_count to at least ${ceil(var.timing.drain_timeout_seconds / var.timing.poll_interval_seconds)}, or leave it out."
    }

    precondition {
      condition     = var.timing.poll_interval_max_seconds >= var.timing.poll_interval_seconds
      error_message = "timing.poll_interval_max_seconds must not be smaller than timing.poll_interval_seconds. Raise it to at least ${var.timing.poll_interval_seconds}."
    }

    precondition {
      condition     = var.timing.poll_interval_max_seconds >= var.timing.operation_poll_interval_seconds
      error_message = "timing.poll_interval_max_seconds must not be smaller than timing.operation_poll_interval_seconds. Raise it to at least ${var.timing.operation_poll_interval_seconds}."
    }

    precondition {
      condition     = var.timing.launch_heartbeat_timeout_seconds > local.longest_pause_seconds.operation
      error_message = "A launching instance could be given up between two heartbeats, which can be ${local.longest_pause_seconds.operation} s apart. Raise timing.launch_heartbeat_timeout_seconds above that, or lower timing.poll_interval_max_seconds or lambda.operation_waiter_timeout_seconds."
    }

    precondition {
      condition     = var.timing.terminate_heartbeat_timeout_seconds > max(local.longest_pause_seconds.operation, local.longest_pause_seconds.buffer)
      error_message = "A terminating instance could be lost between two heartbeats, which can be ${max(local.longest_pause_seconds.operation, local.longest_pause_seconds.buffer)} s apart. Raise timing.terminate_heartbeat_timeout_seconds above that, or lower timing.poll_interval_max_seconds or the waiters' timeouts in lambda."
    }

    precondition {
      condition     = var.timing.operation_timeout_seconds + var.timing.launch_heartbeat_timeout_seconds <= local.budget.launch_limit_seconds
      error_message = "EC2 Auto Scaling ends a launch after ${local.budget.launch_limit_seconds} s (48 hours or 100 x timing.launch_heartbeat_timeout_seconds) whatever the heartbeats. Lower timing.operation_timeout_seconds to at most ${local.budget.launch_limit_seconds - var.timing.launch_heartbeat_timeout_seconds}, or raise timing.launch_heartbeat_timeout_seconds."
    }

    precondition {
      condition     = var.timing.operation_timeout_seconds + var.timing.drain_timeout_seconds + var.timing.terminate_heartbeat_timeout_seconds <= local.budget.terminate_limit_seconds
      error_message = "EC2 Auto Scaling ends a termination after ${local.budget.terminate_limit_seconds} s (48 hours or 100 x timing.terminate_heartbeat_timeout_seconds) whatever the heartbeats, and a person needs one heartbeat timeout of them. Lower timing.drain_timeout_seconds to at most ${local.budget.terminate_limit_seconds - var.timing.operation_timeout_seconds - var.timing.terminate_heartbeat_timeout_seconds}, or raise timing.terminate_heartbeat_timeout_seconds."
    }

    precondition {
      condition     = local.budget.settle_seconds >= local.settle_seconds_needed
      error_message = "Forwarders may go on sending for ${local.settle_seconds_needed} s after deregistration (cloud_map.dns_ttl_seconds + timing.forwarder_refresh_seconds + 3). Raise timing.settle_seconds to at least that, or leave it out."
    }

    precondition {
      condition     = var.timing.empty_for_seconds >= 3 * var.prometheus.scrape_interval_seconds
      error_message = "A window of timing.empty_for_seconds must hold at least three scrapes: two cannot tell an empty buffer from one that was between two flushes, nor a gap from a late scrape. Raise timing.empty_for_seconds to at least ${3 * var.prometheus.scrape_interval_seconds}."
    }

    precondition {
      condition     = var.timing.drain_timeout_seconds > local.budget.settle_seconds + var.timing.empty_for_seconds + var.timing.poll_interval_max_seconds
      error_message = "No drain could succeed: settling, the empty window and one poll take ${local.budget.settle_seconds + var.timing.empty_for_seconds + var.timing.poll_interval_max_seconds} s. Raise timing.drain_timeout_seconds above that."
    }

    precondition {
      condition     = local.longest_query_seconds < var.lambda.buffer_waiter_timeout_seconds
      error_message = "A slow Prometheus would run the buffer waiter into its own timeout: ${local.prometheus_attempts} attempts take up to ${local.longest_query_seconds} s. Raise lambda.buffer_waiter_timeout_seconds above that, or lower prometheus.request_timeout_seconds."
    }
  }
}
