# The conditions that the flush stage adds to the timing budget, each at its limit and one second
# beyond; and that the conditions of stages that are not there refuse nothing. See
# timing_budget.tftest.hcl for how this is done.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "agents"
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  flush = {
    buffer_paths            = ["/var/log/fluent/buffer"]
    wait_seconds            = 4
    quiet_seconds           = 1
    command_timeout_seconds = 10
    timeout_seconds         = 1000
  }
  reconcile = { mode = "observe" } # see timing_budget_reconcile.tftest.hcl
  lambda = {
    flush_waiter_timeout_seconds = 20
  }
  timing = {
    poll_interval_seconds               = 10
    poll_interval_max_seconds           = 24
    terminate_heartbeat_timeout_seconds = 145
    max_receive_count                   = 100
    visibility_timeout_seconds          = 120
  }
}

run "defaults_fit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush  = { buffer_paths = ["/var/log/fluent/buffer"] }
    timing = {}
    lambda = {}
  }

  assert {
    condition     = local.flush_command_timeout_seconds == 55 && local.budget.settle_seconds == 0
    error_message = "20 + 5 + 30 = 55 s, and nothing to settle: ${local.flush_command_timeout_seconds}, ${local.budget.settle_seconds}"
  }

  assert {
    condition     = local.budget.flush.visibility_timeout_seconds == 540 && local.budget.flush.max_receive_count == 250
    error_message = "6 x 90 = 540 s, 3600 / 15 + 10 = 250 deliveries."
  }

  assert {
    condition     = local.budget.operation == null && local.budget.buffer == null
    error_message = "Stages that are not there have no budget."
  }
}

run "defaults_fit_with_every_stage" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush      = { buffer_paths = ["/var/log/fluent/buffer"] }
    cloud_map  = { service_id = "srv-existing" }
    prometheus = { url = "http://prometheus:9090" }
    timing     = {}
    lambda     = {}
  }

  assert {
    condition     = local.stage_timeouts_seconds == 600 + 3600 + 3600
    error_message = "A termination may take as long as all its stages: ${local.stage_timeouts_seconds}"
  }
}

run "everything_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
}

run "visibility_must_be_six_times_the_flush_waiters_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = { flush_waiter_timeout_seconds = 21 }
  }
  expect_failures = [terraform_data.stage_budget["flush"]]
}

run "deliveries_must_last_for_the_flush_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = merge(var.flush, { timeout_seconds = 1001 })
  }
  expect_failures = [terraform_data.stage_budget["flush"]]
}

run "computed_deliveries_at_their_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush  = merge(var.flush, { timeout_seconds = 9900 }) # 990 polls of 10 s, and 10
    timing = merge(var.timing, { max_receive_count = null, terminate_heartbeat_timeout_seconds = 7200 })
  }

  assert {
    condition     = local.budget.flush.max_receive_count == 1000
    error_message = "The queue was to be at SQS's limit."
  }
}

run "computed_flush_deliveries_must_not_exceed_sqs" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush  = merge(var.flush, { timeout_seconds = 9901 })
    timing = merge(var.timing, { max_receive_count = null, terminate_heartbeat_timeout_seconds = 7200 })
  }
  expect_failures = [terraform_data.stage_budget["flush"]]
}

run "terminate_hook_must_outlast_the_longest_pause" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { terminate_heartbeat_timeout_seconds = 144 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "terminate_hook_must_outlast_the_flush_queues_visibility" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = { flush_waiter_timeout_seconds = 20 }
    timing = merge(var.timing, { visibility_timeout_seconds = 121 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "longest_poll_interval_must_not_be_below_the_shortest" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush  = merge(var.flush, { timeout_seconds = 2000 })
    timing = merge(var.timing, { poll_interval_seconds = 25 })
  }
  expect_failures = [terraform_data.stage_budget["flush"]]
}

run "command_must_outlast_the_script" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = merge(var.flush, { wait_seconds = 5 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "function_must_outlast_the_command" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = merge(var.flush, { command_timeout_seconds = 11 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "shortest_possible_flush_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = merge(var.flush, { timeout_seconds = 35 })
    # 0 + 10 + 24 = 34
  }
}

run "flush_timeout_must_leave_time_to_succeed" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = merge(var.flush, { timeout_seconds = 34 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "flush_timeout_must_leave_time_to_settle" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing" }
    flush     = merge(var.flush, { timeout_seconds = 169 }) # 135 + 10 + 24 = 169
    lambda    = { flush_waiter_timeout_seconds = 20, operation_waiter_timeout_seconds = 20 }
    timing    = merge(var.timing, { operation_timeout_seconds = 500, launch_heartbeat_timeout_seconds = 145, forwarder_flush_interval_seconds = 1 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "quiet_time_follows_the_forwarders_flush_interval" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush     = { buffer_paths = ["/var/log/fluent/buffer"] }
    cloud_map = { service_id = "srv-existing" }
    timing    = { forwarder_flush_interval_seconds = 90 }
    lambda    = {}
  }

  assert {
    condition     = local.flush_quiet_seconds == 90 && local.flush_command_timeout_seconds == 140 && local.flush_waiter_timeout_seconds == 150
    error_message = "20 + 90 + 30 + 10 = 150 s: ${local.flush_quiet_seconds}, ${local.flush_command_timeout_seconds}, ${local.flush_waiter_timeout_seconds}"
  }
}

run "quiet_time_must_show_each_forwarder" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush     = { buffer_paths = ["/var/log/fluent/buffer"], quiet_seconds = 59 }
    cloud_map = { service_id = "srv-existing" }
    timing    = {}
    lambda    = {}
  }
  expect_failures = [terraform_data.timing_budget]
}

run "quiet_time_may_be_short_beside_prometheus" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush      = { buffer_paths = ["/var/log/fluent/buffer"], quiet_seconds = 1 }
    cloud_map  = { service_id = "srv-existing" }
    prometheus = { url = "http://prometheus:9090" }
    timing     = {}
    lambda     = {}
  }
}

run "termination_of_100_heartbeats_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    # 14355 + 145 = 100 x 145
    flush  = merge(var.flush, { timeout_seconds = 14355 })
    timing = merge(var.timing, { poll_interval_seconds = 15, max_receive_count = 1000 })
  }
}

run "flush_and_response_must_fit_into_100_heartbeats" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush  = merge(var.flush, { timeout_seconds = 14356 })
    timing = merge(var.timing, { poll_interval_seconds = 15, max_receive_count = 1000 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "all_stages_together_of_100_heartbeats_at_their_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    # 500 + 5000 + 8855 + 145 = 100 x 145
    cloud_map  = { service_id = "srv-existing" }
    prometheus = { url = "http://prometheus:9090", request_timeout_seconds = 2 }
    flush      = merge(var.flush, { timeout_seconds = 5000 })
    lambda     = { flush_waiter_timeout_seconds = 20, operation_waiter_timeout_seconds = 20, buffer_waiter_timeout_seconds = 20 }
    timing     = merge(var.timing, { operation_timeout_seconds = 500, drain_timeout_seconds = 8855, launch_heartbeat_timeout_seconds = 145, max_receive_count = 1000 })
  }
}

run "all_stages_together_must_fit_into_100_heartbeats" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map  = { service_id = "srv-existing" }
    prometheus = { url = "http://prometheus:9090", request_timeout_seconds = 2 }
    flush      = merge(var.flush, { timeout_seconds = 5001 })
    lambda     = { flush_waiter_timeout_seconds = 20, operation_waiter_timeout_seconds = 20, buffer_waiter_timeout_seconds = 20 }
    timing     = merge(var.timing, { operation_timeout_seconds = 500, drain_timeout_seconds = 8855, launch_heartbeat_timeout_seconds = 145, max_receive_count = 1000 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "numbers_of_stages_that_are_not_there_do_not_count" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    # Each of them would be refused in a fleet with Cloud Map or Prometheus.
    lambda = { flush_waiter_timeout_seconds = 20, operation_waiter_timeout_seconds = 900, buffer_waiter_timeout_seconds = 900 }
    timing = merge(var.timing, { empty_for_seconds = 1, drain_timeout_seconds = 172800, operation_timeout_seconds = 172800, operation_poll_interval_seconds = 43200, launch_heartbeat_timeout_seconds = 30 })
  }
}

run "deliveries_of_stages_that_are_not_there_do_not_count" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { max_receive_count = null, operation_poll_interval_seconds = 1, operation_timeout_seconds = 172800, drain_timeout_seconds = 172800 })
  }
}

run "short_times_of_stages_that_are_not_there_do_not_count" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = { flush_waiter_timeout_seconds = 20, buffer_waiter_timeout_seconds = 1 }
    timing = merge(var.timing, { drain_timeout_seconds = 1 })
  }
}

run "numbers_of_a_flush_that_is_not_there_do_not_count" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush      = null
    prometheus = { url = "http://prometheus:9090", request_timeout_seconds = 2 }
    lambda     = { flush_waiter_timeout_seconds = 900, buffer_waiter_timeout_seconds = 20 }
    timing     = merge(var.timing, { drain_timeout_seconds = 1000, empty_for_seconds = 45 })
  }
}

run "short_times_of_a_flush_that_is_not_there_do_not_count" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush      = null
    prometheus = { url = "http://prometheus:9090", request_timeout_seconds = 2 }
    lambda     = { flush_waiter_timeout_seconds = 1, buffer_waiter_timeout_seconds = 20 }
    timing     = merge(var.timing, { drain_timeout_seconds = 1000, empty_for_seconds = 45 })
  }
}

run "records_that_an_input_keeps_are_seen_in_the_quiet_time" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush  = { buffer_paths = ["/var/log/fluent/buffer"], quiet_seconds = 61, longest_hold_seconds = 60 }
    timing = {}
    lambda = {}
  }
}

run "records_that_an_input_keeps_for_longer_are_refused" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush  = { buffer_paths = ["/var/log/fluent/buffer"], quiet_seconds = 60, longest_hold_seconds = 60 }
    timing = {}
    lambda = {}
  }
  expect_failures = [terraform_data.timing_budget]
}
