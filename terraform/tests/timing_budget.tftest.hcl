# The numbers of the budget at their limits, and every one of them one second beyond.
#
# Each `*_at_its_limit` run passes with numbers that just fit; the runs after it change one of them
# by one (or swap one in that does not fit), so that the one condition in question has to fire.
# All of it needs the inputs and timing.tf alone (see README.md).

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" } # TTL 10
  prometheus             = { url = "http://prometheus:9090", scrape_interval_seconds = 15, request_timeout_seconds = 2 }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  reconcile              = { mode = "observe" } # see timing_budget_reconcile.tftest.hcl
  lambda = {
    operation_waiter_timeout_seconds = 20
    buffer_waiter_timeout_seconds    = 20
  }
  timing = {
    drain_timeout_seconds               = 1000
    empty_for_seconds                   = 45
    settle_seconds                      = 133
    forwarder_refresh_seconds           = 60
    poll_interval_seconds               = 10
    poll_interval_max_seconds           = 24
    operation_poll_interval_seconds     = 5
    operation_timeout_seconds           = 500
    launch_heartbeat_timeout_seconds    = 145
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
    timing     = {}
    lambda     = {}
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition     = local.budget.settle_seconds == 135
    error_message = "60 s of propagation + 10 s of TTL + 60 s of refresh + 3 s, rounded up to 5, is 135 s, not ${local.budget.settle_seconds}."
  }
  assert {
    condition     = local.budget.operation.visibility_timeout_seconds == 360 && local.budget.buffer.visibility_timeout_seconds == 360
    error_message = "Six times the functions' 60 s is 360 s."
  }
  assert {
    condition     = local.budget.operation.max_receive_count == 130 && local.budget.buffer.max_receive_count == 250
    error_message = "600 / 5 + 10 = 130 and 3600 / 15 + 10 = 250 deliveries, not ${local.budget.operation.max_receive_count} and ${local.budget.buffer.max_receive_count}."
  }
}

run "everything_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
}

run "visibility_must_be_six_times_the_operation_waiters_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = {
      operation_waiter_timeout_seconds = 21
      buffer_waiter_timeout_seconds    = 20
    }
  }
  expect_failures = [terraform_data.stage_budget["operation"]]
}

run "visibility_must_be_six_times_the_buffer_waiters_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = {
      operation_waiter_timeout_seconds = 20
      buffer_waiter_timeout_seconds    = 21
    }
  }
  expect_failures = [terraform_data.stage_budget["buffer"]]
}

run "deliveries_must_last_for_the_operation_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { operation_timeout_seconds = 501 })
  }
  expect_failures = [terraform_data.stage_budget["operation"]]
}

run "deliveries_must_last_for_the_drain_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { drain_timeout_seconds = 1001 })
  }
  expect_failures = [terraform_data.stage_budget["buffer"]]
}

run "poll_intervals_equal_to_the_longest_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { poll_interval_seconds = 24, operation_poll_interval_seconds = 24 })
  }
}

run "longest_poll_interval_must_not_be_below_the_shortest" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { poll_interval_seconds = 25, operation_poll_interval_seconds = 24 })
  }
  expect_failures = [terraform_data.stage_budget["buffer"]]
}

run "longest_poll_interval_must_not_be_below_the_operations" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { poll_interval_seconds = 24, operation_poll_interval_seconds = 25 })
  }
  expect_failures = [terraform_data.stage_budget["operation"]]
}

run "launch_hook_must_outlast_the_longest_pause" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { launch_heartbeat_timeout_seconds = 144 }) # 120 + 24
  }
  expect_failures = [terraform_data.timing_budget]
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

run "hooks_must_outlast_a_longer_visibility_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { visibility_timeout_seconds = 121 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "hooks_must_outlast_a_longer_poll_interval" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { poll_interval_max_seconds = 25, visibility_timeout_seconds = 126, launch_heartbeat_timeout_seconds = 151, terminate_heartbeat_timeout_seconds = 151 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "polls_must_come_six_times_in_a_heartbeat_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda     = { operation_waiter_timeout_seconds = 19, buffer_waiter_timeout_seconds = 19 }
    prometheus = merge(var.prometheus, { request_timeout_seconds = 1 })
    timing     = merge(var.timing, { poll_interval_max_seconds = 25, visibility_timeout_seconds = 119 }) # 145 / 6 = 24
  }
  expect_failures = [terraform_data.timing_budget]
}

run "polls_must_come_six_times_in_the_shorter_heartbeat_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda     = { operation_waiter_timeout_seconds = 19, buffer_waiter_timeout_seconds = 19 }
    prometheus = merge(var.prometheus, { request_timeout_seconds = 1 })
    timing     = merge(var.timing, { launch_heartbeat_timeout_seconds = 143, visibility_timeout_seconds = 114 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "polls_every_ten_minutes_at_their_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { poll_interval_max_seconds = 600, launch_heartbeat_timeout_seconds = 7200, terminate_heartbeat_timeout_seconds = 7200 })
  }
}

run "polls_must_come_every_ten_minutes" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { poll_interval_max_seconds = 601, launch_heartbeat_timeout_seconds = 7200, terminate_heartbeat_timeout_seconds = 7200 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "settling_must_cover_propagation_ttl_and_refresh" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { settle_seconds = 132 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "settling_must_cover_the_ttl_of_an_existing_service" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing", dns_ttl_seconds = 11 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "settling_must_cover_a_longer_propagation" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { dns_propagation_seconds = 61 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "empty_window_must_hold_three_scrapes" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { empty_for_seconds = 44 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "slow_prometheus_must_fit_into_the_functions_timeout" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { request_timeout_seconds = 3 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "shortest_possible_drain_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { drain_timeout_seconds = 203 }) # 133 + 45 + 24 = 202
  }
}

run "drain_timeout_must_leave_time_to_succeed" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { drain_timeout_seconds = 202 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "readiness_fits_with_the_defaults_and_counts_against_the_launch" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map  = { service_id = "srv-existing", readiness = "metrics" }
    timing     = {}
    lambda     = {}
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition     = local.shortest_readiness_wait == 420 && local.longest_operation_timeout == floor((90000 - 900) / 2)
    error_message = "300 s of not knowing and a poll of 120 s; the stage is passed twice: ${local.shortest_readiness_wait}, ${local.longest_operation_timeout}."
  }
}

run "a_launch_of_which_nothing_is_known_must_be_registered_in_time" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map  = { service_id = "srv-existing", readiness = "metrics", readiness_unknown_seconds = 480 }
    timing     = {}
    lambda     = {}
    prometheus = { url = "http://prometheus:9090" }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "with_readiness_the_operation_waiter_must_outlast_the_evidence_function" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map  = { service_id = "srv-existing", readiness = "metrics" }
    timing     = {}
    lambda     = { operation_waiter_timeout_seconds = 35 }
    prometheus = { url = "http://prometheus:9090" }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "with_readiness_a_launch_passes_the_operation_stage_twice" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map  = { service_id = "srv-existing", readiness = "metrics" }
    timing     = { operation_timeout_seconds = 44551, operation_poll_interval_seconds = 60 }
    lambda     = {}
    prometheus = { url = "http://prometheus:9090" }
  }
  expect_failures = [terraform_data.timing_budget]
}
