# The timing budget: what follows from the numbers of `timing`, and the conditions that they must meet
# together. A budget that does not add up loses logs months later, when a drain happens to take long.
# So it is refused at plan time, and the message names the number to change.

locals {
  # Numbers of inputs that may be null; 0 for what is not in use.
  dns_ttl_seconds         = try(var.cloud_map.dns_ttl_seconds, 0)
  request_timeout_seconds = try(var.prometheus.request_timeout_seconds, 0)
  scrape_interval_seconds = try(var.prometheus.scrape_interval_seconds, 0)
  flush_timeout_seconds   = try(var.flush.timeout_seconds, 0)

  # Limits of SQS, and of EC2 Auto Scaling: any lifecycle action ends after 48 hours or 100 heartbeat
  # timeouts, whichever comes first.
  most_receives                    = 1000
  longest_lifecycle_action_seconds = 172800
  longest_wait_in_heartbeats       = 100

  # What each stage has of the inputs, and of which.
  stage_inputs = {
    operation = {
      timeout_input            = "timing.operation_timeout_seconds"
      timeout_seconds          = var.timing.operation_timeout_seconds
      poll_input               = "timing.operation_poll_interval_seconds"
      poll_seconds             = var.timing.operation_poll_interval_seconds
      function_timeout_seconds = var.lambda.operation_waiter_timeout_seconds
    }
    flush = {
      timeout_input            = "flush.timeout_seconds"
      timeout_seconds          = local.flush_timeout_seconds
      poll_input               = "timing.poll_interval_seconds"
      poll_seconds             = var.timing.poll_interval_seconds
      function_timeout_seconds = local.flush_waiter_timeout_seconds
    }
    buffer = {
      timeout_input            = "timing.drain_timeout_seconds"
      timeout_seconds          = var.timing.drain_timeout_seconds
      poll_input               = "timing.poll_interval_seconds"
      poll_seconds             = var.timing.poll_interval_seconds
      function_timeout_seconds = var.lambda.buffer_waiter_timeout_seconds
    }
  }

  # What follows for the queues of the stages in use.
  stages = {
    for stage, inputs in local.stage_inputs : stage => {
      visibility_timeout_seconds = coalesce(var.timing.visibility_timeout_seconds, 6 * inputs.function_timeout_seconds)
      max_receive_count          = coalesce(var.timing.max_receive_count, ceil(inputs.timeout_seconds / inputs.poll_seconds) + 10)
    } if local.uses[stage]
  }

  # Without Cloud Map no forwarder has to stop sending first.
  settle_seconds_needed = local.uses.operation ? var.timing.dns_propagation_seconds + local.dns_ttl_seconds + var.timing.forwarder_refresh_seconds + 3 : 0

  budget = {
    settle_seconds = coalesce(var.timing.settle_seconds, ceil(local.settle_seconds_needed / 5) * 5)

    operation = try(local.stages.operation, null)
    flush     = try(local.stages.flush, null)
    buffer    = try(local.stages.buffer, null)

    launch_limit_seconds    = min(local.longest_lifecycle_action_seconds, local.longest_wait_in_heartbeats * var.timing.launch_heartbeat_timeout_seconds)
    terminate_limit_seconds = min(local.longest_lifecycle_action_seconds, local.longest_wait_in_heartbeats * var.timing.terminate_heartbeat_timeout_seconds)
  }

  # A launch that waits for its readiness passes the operation stage twice, before it is registered and after.
  # Before, not knowing must register it in time. A late poll registers it as well.
  launch_passes             = local.uses.readiness ? 2 : 1
  longest_operation_timeout = floor((local.budget.launch_limit_seconds - var.timing.launch_heartbeat_timeout_seconds) / local.launch_passes)
  shortest_readiness_wait   = local.uses.readiness ? var.cloud_map.readiness_unknown_seconds + var.timing.poll_interval_max_seconds : 0

  # Polls send the heartbeats: six in the shorter heartbeat timeout, so that half of it, and two thirds,
  # without a recorded heartbeat do not pass unseen; and one in ten minutes.
  shortest_hook_input   = local.uses.operation && var.timing.launch_heartbeat_timeout_seconds < var.timing.terminate_heartbeat_timeout_seconds ? "launch_heartbeat_timeout_seconds" : "terminate_heartbeat_timeout_seconds"
  shortest_hook_seconds = min(var.timing.terminate_heartbeat_timeout_seconds, local.uses.operation ? var.timing.launch_heartbeat_timeout_seconds : var.timing.terminate_heartbeat_timeout_seconds)
  longest_poll_pause    = 600
  polls_in_a_hook       = 6
  longest_poll_seconds  = min(local.longest_poll_pause, floor(local.shortest_hook_seconds / local.polls_in_a_hook))

  # The longest that a message can be out of sight, and its hook without a heartbeat: one receive is lost.
  longest_pause_seconds           = { for stage, queue in local.stages : stage => queue.visibility_timeout_seconds + var.timing.poll_interval_max_seconds }
  longest_launch_pause_seconds    = try(local.longest_pause_seconds.operation, 0)
  longest_terminate_pause_seconds = max(values(local.longest_pause_seconds)...)

  # If an event is lost, the hook gets no heartbeat before the reconciler finds the instance. A run that
  # fails is not repeated, so the next one, with both of its snapshots, has to come in time as well.
  restart_within_seconds = var.reconcile.interval_minutes * 60 * 2 + var.reconcile.grace_seconds
  longest_interval_minutes = {
    launch    = floor((var.timing.launch_heartbeat_timeout_seconds - var.reconcile.grace_seconds - 1) / 120)
    terminate = floor((var.timing.terminate_heartbeat_timeout_seconds - var.reconcile.grace_seconds - 1) / 120)
  }

  # How long a termination may take in all stages in use, and by how much that, with the operator's time
  # after it, is too long.
  stage_timeouts_seconds    = sum([for stage in keys(local.stages) : local.stage_inputs[stage].timeout_seconds])
  terminate_overrun_seconds = local.stage_timeouts_seconds + var.timing.terminate_heartbeat_timeout_seconds - local.budget.terminate_limit_seconds

  # The shortest that a flush or a drain can take, settling not counted.
  shortest_drain_seconds = max(local.flush_quiet_seconds, local.uses.buffer ? var.timing.empty_for_seconds : 0)

  # A forwarder that still has the instance in its list shows itself once in a flush interval. Without
  # Prometheus only the quiet time of the flush can see it.
  flush_is_only_proof    = local.uses.flush && local.uses.operation && !local.uses.buffer
  flush_quiet_seconds    = local.uses.flush ? coalesce(var.flush.quiet_seconds, local.flush_is_only_proof ? max(5, var.timing.forwarder_flush_interval_seconds) : 5) : 0
  shortest_flush_seconds = try(var.flush.wait_seconds, 0) + local.flush_quiet_seconds

  # What the agent needs at least to start the script and to return its answer, and what the flush
  # waiter needs for its other calls.
  command_overhead_seconds      = 5
  flush_calls_seconds           = 10
  flush_command_timeout_seconds = try(coalesce(var.flush.command_timeout_seconds, local.shortest_flush_seconds + 30), 0)
  flush_waiter_timeout_seconds  = coalesce(var.lambda.flush_waiter_timeout_seconds, max(90, local.flush_command_timeout_seconds + local.flush_calls_seconds))

  # How often lifecycle/adapters/prometheus_session.py asks within one invocation, and how long each attempt may
  # take to connect before it waits for the answer.
  prometheus_attempts        = 2
  prometheus_connect_seconds = 3
  longest_query_seconds      = local.prometheus_attempts * (local.prometheus_connect_seconds + local.request_timeout_seconds)

  # The evidence function reads its secret and judges beside the query; Lambda starts it first. A waiter
  # that got no answer must still have the time to send its heartbeats.
  evidence_timeout_seconds     = ceil(local.longest_query_seconds) + 3
  longest_evidence_seconds     = local.evidence_timeout_seconds + 3
  shortest_buffer_wait_seconds = local.longest_evidence_seconds + 4
}

# What each stage must meet on its own.
resource "terraform_data" "stage_budget" {
  for_each = { for stage, queue in local.stages : stage => merge(local.stage_inputs[stage], queue) }

  input = local.stages[each.key]

  lifecycle {
    precondition {
      condition     = each.value.visibility_timeout_seconds >= 6 * each.value.function_timeout_seconds
      error_message = "The ${each.key} queue would deliver a message again while its waiter still works on it. Raise timing.visibility_timeout_seconds to at least ${6 * each.value.function_timeout_seconds} (6 x lambda.${each.key}_waiter_timeout_seconds), or leave it out."
    }

    precondition {
      condition     = each.value.max_receive_count <= local.most_receives
      error_message = "${each.value.timeout_input} / ${each.value.poll_input} gives ${each.value.max_receive_count} deliveries; SQS allows ${local.most_receives}. Raise ${each.value.poll_input} to at least ${ceil(each.value.timeout_seconds / (local.most_receives - 10))}."
    }

    precondition {
      condition     = each.value.max_receive_count * each.value.poll_seconds >= each.value.timeout_seconds
      error_message = "The ${each.key} queue would dead-letter messages before ${each.value.timeout_input} is over. Raise timing.max_receive_count to at least ${ceil(each.value.timeout_seconds / each.value.poll_seconds)}, or leave it out."
    }

    precondition {
      condition     = var.timing.poll_interval_max_seconds >= each.value.poll_seconds
      error_message = "timing.poll_interval_max_seconds must not be smaller than ${each.value.poll_input}. Raise it to at least ${each.value.poll_seconds}."
    }
  }
}

# What they must meet together.
resource "terraform_data" "timing_budget" {
  input = local.budget

  lifecycle {
    # --- Between two heartbeats ---

    precondition {
      condition     = var.timing.poll_interval_max_seconds <= local.longest_poll_seconds
      error_message = "Polls send the heartbeats. If heartbeats fail, too few polls are left to page the operator in time: they may be at most ${local.longest_poll_seconds} s apart (600 s, and a sixth of timing.${local.shortest_hook_input}). Lower timing.poll_interval_max_seconds to at most ${local.longest_poll_seconds}${local.longest_poll_seconds < 600 ? ", or raise timing.${local.shortest_hook_input} to at least ${6 * min(600, var.timing.poll_interval_max_seconds)}" : ""}."
    }

    precondition {
      condition     = var.timing.launch_heartbeat_timeout_seconds > local.longest_launch_pause_seconds
      error_message = "The launch hook could time out between two heartbeats, which can be ${local.longest_launch_pause_seconds} s apart if SQS loses a receive. Raise timing.launch_heartbeat_timeout_seconds above that, or lower timing.poll_interval_max_seconds or lambda.operation_waiter_timeout_seconds."
    }

    precondition {
      condition     = var.timing.terminate_heartbeat_timeout_seconds > local.longest_terminate_pause_seconds
      error_message = "The terminate hook could time out, and the instance end with its logs, between two heartbeats, which can be ${local.longest_terminate_pause_seconds} s apart if SQS loses a receive. Raise timing.terminate_heartbeat_timeout_seconds above that, or lower timing.poll_interval_max_seconds or the waiters' timeouts in lambda."
    }

    precondition {
      condition     = !local.uses.operation || var.reconcile.mode == "observe" || var.timing.launch_heartbeat_timeout_seconds > local.restart_within_seconds
      error_message = "If the event of a launching instance is lost, the launch hook could time out before the reconciler finds the instance: two runs, in case one fails, take ${local.restart_within_seconds} s (2 x reconcile.interval_minutes + reconcile.grace_seconds). ${local.longest_interval_minutes.launch >= 1 ? "Lower reconcile.interval_minutes to at most ${local.longest_interval_minutes.launch}, or raise" : "Raise"} timing.launch_heartbeat_timeout_seconds above ${local.restart_within_seconds}."
    }

    precondition {
      condition     = var.reconcile.mode == "observe" || var.timing.terminate_heartbeat_timeout_seconds > local.restart_within_seconds
      error_message = "If the event of a terminating instance is lost, the terminate hook could time out before the reconciler finds the instance: two runs, in case one fails, take ${local.restart_within_seconds} s (2 x reconcile.interval_minutes + reconcile.grace_seconds). ${local.longest_interval_minutes.terminate >= 1 ? "Lower reconcile.interval_minutes to at most ${local.longest_interval_minutes.terminate}, or raise" : "Raise"} timing.terminate_heartbeat_timeout_seconds above ${local.restart_within_seconds}."
    }

    # --- Within 48 hours or 100 heartbeat timeouts ---

    precondition {
      condition     = !local.uses.operation || var.timing.operation_timeout_seconds <= local.longest_operation_timeout
      error_message = "EC2 Auto Scaling ends a launch after ${local.budget.launch_limit_seconds} s (48 hours or 100 x timing.launch_heartbeat_timeout_seconds), whatever the heartbeats. ${local.uses.readiness ? "With cloud_map.readiness it passes the operation stage twice. " : ""}Lower timing.operation_timeout_seconds to at most ${local.longest_operation_timeout}, or raise timing.launch_heartbeat_timeout_seconds."
    }

    precondition {
      condition     = !local.uses.readiness || var.timing.operation_timeout_seconds > local.shortest_readiness_wait
      error_message = "A launch of which nothing is known would time out, and its hook replace it, before it is registered: that takes up to ${local.shortest_readiness_wait} s (cloud_map.readiness_unknown_seconds + timing.poll_interval_max_seconds). Raise timing.operation_timeout_seconds above that, or lower cloud_map.readiness_unknown_seconds."
    }

    precondition {
      condition     = local.terminate_overrun_seconds <= 0
      error_message = "EC2 Auto Scaling ends a termination after ${local.budget.terminate_limit_seconds} s (48 hours or 100 x timing.terminate_heartbeat_timeout_seconds), whatever the heartbeats, and the operator needs one heartbeat timeout of them. ${local.uses.buffer ? "Lower timing.drain_timeout_seconds to at most ${var.timing.drain_timeout_seconds - local.terminate_overrun_seconds}" : "Lower flush.timeout_seconds to at most ${local.flush_timeout_seconds - local.terminate_overrun_seconds}"}${local.uses.buffer && local.uses.flush ? " (or lower flush.timeout_seconds as well)" : ""}, or raise timing.terminate_heartbeat_timeout_seconds."
    }

    # --- Settling, and the shortest flush and drain ---

    precondition {
      condition     = local.budget.settle_seconds >= local.settle_seconds_needed
      error_message = "Forwarders may go on sending for ${local.settle_seconds_needed} s after deregistration (timing.dns_propagation_seconds + cloud_map.dns_ttl_seconds + timing.forwarder_refresh_seconds + 3). Raise timing.settle_seconds to at least that, or leave it out."
    }

    precondition {
      condition     = !local.flush_is_only_proof || local.flush_quiet_seconds >= var.timing.forwarder_flush_interval_seconds
      error_message = "A forwarder that still sends to the instance would not be seen: it sends once in ${var.timing.forwarder_flush_interval_seconds} s (timing.forwarder_flush_interval_seconds), and without prometheus only flush.quiet_seconds looks for it. Raise flush.quiet_seconds to at least that, leave it out, or set prometheus."
    }

    precondition {
      condition     = !local.uses.flush || try(var.flush.longest_hold_seconds, 0) < local.flush_quiet_seconds
      error_message = "A record that an input or a filter of Fluentd keeps for ${try(var.flush.longest_hold_seconds, 0)} s (flush.longest_hold_seconds) is seen only if the quiet time is longer. Raise flush.quiet_seconds above that, or lower that setting of Fluentd."
    }

    precondition {
      condition     = !local.uses.buffer || var.timing.empty_for_seconds > try(var.flush.longest_hold_seconds, 0)
      error_message = "A record that an input or a filter of Fluentd keeps for ${try(var.flush.longest_hold_seconds, 0)} s (flush.longest_hold_seconds) is seen only in a longer window. Raise timing.empty_for_seconds above that."
    }

    precondition {
      condition     = !local.uses.buffer || var.timing.empty_for_seconds >= 3 * local.scrape_interval_seconds
      error_message = "A window of timing.empty_for_seconds must hold at least three scrapes: two cannot tell an empty buffer from one that was between two flushes, nor a gap from a late scrape. Raise timing.empty_for_seconds to at least ${3 * local.scrape_interval_seconds}."
    }

    precondition {
      condition     = !local.uses.flush || local.flush_command_timeout_seconds >= local.shortest_flush_seconds + local.command_overhead_seconds
      error_message = "No command could answer in time: it waits for ${local.shortest_flush_seconds} s (flush.wait_seconds + flush.quiet_seconds), and the agent takes a while. Raise flush.command_timeout_seconds to at least ${local.shortest_flush_seconds + local.command_overhead_seconds}, or leave it out."
    }

    precondition {
      condition     = !local.uses.flush || local.flush_timeout_seconds > local.budget.settle_seconds + local.flush_command_timeout_seconds + var.timing.poll_interval_max_seconds
      error_message = "No flush could succeed: settling, one command and one poll take ${local.budget.settle_seconds + local.flush_command_timeout_seconds + var.timing.poll_interval_max_seconds} s. Raise flush.timeout_seconds above that."
    }

    precondition {
      condition     = !local.uses.buffer || var.timing.drain_timeout_seconds > local.budget.settle_seconds + var.timing.empty_for_seconds + var.timing.poll_interval_max_seconds
      error_message = "No drain could succeed: settling, the empty window and one poll take ${local.budget.settle_seconds + var.timing.empty_for_seconds + var.timing.poll_interval_max_seconds} s. Raise timing.drain_timeout_seconds above that."
    }

    # --- Within a function's timeout ---

    precondition {
      condition     = !local.uses.flush || local.flush_waiter_timeout_seconds >= local.flush_command_timeout_seconds + local.flush_calls_seconds
      error_message = "A slow command would run the flush waiter into its own timeout: the waiter waits for up to ${local.flush_command_timeout_seconds} s. Raise lambda.flush_waiter_timeout_seconds to at least ${local.flush_command_timeout_seconds + local.flush_calls_seconds}, or lower flush.command_timeout_seconds or flush.wait_seconds."
    }

    precondition {
      condition     = !local.uses.buffer || var.lambda.buffer_waiter_timeout_seconds >= local.shortest_buffer_wait_seconds
      error_message = "A slow Prometheus would leave the buffer waiter no time for its heartbeats: it waits up to ${local.longest_evidence_seconds} s for the evidence function, whose ${local.prometheus_attempts} attempts take up to ${ceil(local.longest_query_seconds)} s. Raise lambda.buffer_waiter_timeout_seconds to at least ${local.shortest_buffer_wait_seconds}, or lower prometheus.request_timeout_seconds."
    }

    precondition {
      condition     = !local.uses.readiness || var.lambda.operation_waiter_timeout_seconds >= local.shortest_buffer_wait_seconds
      error_message = "A slow Prometheus would leave the operation waiter no time for its heartbeats: with cloud_map.readiness it waits up to ${local.longest_evidence_seconds} s for the evidence function. Raise lambda.operation_waiter_timeout_seconds to at least ${local.shortest_buffer_wait_seconds}, or lower prometheus.request_timeout_seconds."
    }
  }
}
