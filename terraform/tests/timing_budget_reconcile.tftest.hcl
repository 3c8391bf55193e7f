# The conditions that the reconciler adds to the timing budget: it restarts a wait whose event was lost,
# which it can only before the hook expires. Each at its limit and one second beyond; see
# timing_budget.tftest.hcl for how this is done.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  reconcile              = { interval_minutes = 7, grace_seconds = 60 }
  # 2 x 7 x 60 + 60 = 900
  timing = { launch_heartbeat_timeout_seconds = 901, terminate_heartbeat_timeout_seconds = 901 }
}

run "defaults_find_a_lost_event_in_time" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = {}
    timing    = {}
  }
}

run "everything_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }

  assert {
    condition     = local.longest_interval_minutes.launch == 7 && local.longest_interval_minutes.terminate == 7
    error_message = "The interval that the messages name as the longest has to be accepted."
  }
}

run "launch_hook_must_outlast_two_runs" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { launch_heartbeat_timeout_seconds = 900, terminate_heartbeat_timeout_seconds = 901 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "terminate_hook_must_outlast_two_runs" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { launch_heartbeat_timeout_seconds = 901, terminate_heartbeat_timeout_seconds = 900 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "interval_must_not_be_longer" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { interval_minutes = 8, grace_seconds = 60 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "grace_counts" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { interval_minutes = 7, grace_seconds = 61 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "an_observer_restarts_nothing_and_may_come_once_a_day" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { interval_minutes = 1440, grace_seconds = 60, mode = "observe" }
  }
}

run "without_cloud_map_there_is_no_launch_hook_to_outlast" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = null
    timing    = { launch_heartbeat_timeout_seconds = 900, terminate_heartbeat_timeout_seconds = 901 }
  }
}
