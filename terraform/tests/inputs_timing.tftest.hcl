# Every validation of `timing` fires on one wrong value, all else right. How the numbers must fit
# together is in timing_budget.tftest.hcl.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
  timing                 = {}
}

run "seconds_must_be_whole" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { poll_interval_seconds = 1.5 }
  }
  expect_failures = [var.timing]
}

run "drain_timeout_must_not_exceed_two_days" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { drain_timeout_seconds = 172801 }
  }
  expect_failures = [var.timing]
}

run "empty_window_must_not_be_zero" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { empty_for_seconds = 0 }
  }
  expect_failures = [var.timing]
}

run "settling_must_not_be_negative" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { settle_seconds = -1 }
  }
  expect_failures = [var.timing]
}

run "forwarders_must_refresh" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { forwarder_refresh_seconds = 0 }
  }
  expect_failures = [var.timing]
}

run "propagation_must_not_be_negative" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { dns_propagation_seconds = -1 }
  }
  expect_failures = [var.timing]
}

run "forwarders_must_flush" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { forwarder_flush_interval_seconds = 0 }
  }
  expect_failures = [var.timing]
}

run "forwarders_must_flush_within_the_longest_quiet_time" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { forwarder_flush_interval_seconds = 601 }
  }
  expect_failures = [var.timing]
}

run "poll_interval_must_not_exceed_sqs" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { poll_interval_seconds = 43201 }
  }
  expect_failures = [var.timing]
}

run "longest_poll_interval_must_not_exceed_sqs" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { poll_interval_max_seconds = 43201 }
  }
  expect_failures = [var.timing]
}

run "operation_poll_interval_must_not_be_zero" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { operation_poll_interval_seconds = 0 }
  }
  expect_failures = [var.timing]
}

run "operation_timeout_must_not_exceed_two_days" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { operation_timeout_seconds = 172801 }
  }
  expect_failures = [var.timing]
}

run "launch_heartbeat_must_be_what_a_hook_offers" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { launch_heartbeat_timeout_seconds = 29 }
  }
  expect_failures = [var.timing]
}

run "terminate_heartbeat_must_be_what_a_hook_offers" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { terminate_heartbeat_timeout_seconds = 7201 }
  }
  expect_failures = [var.timing]
}

run "deliveries_must_be_what_sqs_offers" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { max_receive_count = 1001 }
  }
  expect_failures = [var.timing]
}

run "visibility_must_be_what_sqs_offers" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = { visibility_timeout_seconds = 43201 }
  }
  expect_failures = [var.timing]
}
