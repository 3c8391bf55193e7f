# The conditions that snapshots add to the timing budget: the function that is about to end has to
# last for them, each at its limit and one second beyond. See timing_budget.tftest.hcl for how this is
# done.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  flush                  = { buffer_paths = ["/var/log/fluent/buffer"], wait_seconds = 4, quiet_seconds = 1, command_timeout_seconds = 10 }
  prometheus             = { url = "http://prometheus:9090", request_timeout_seconds = 6 }
  snapshots              = {}
  timing                 = {}
  # 20 + 25, 10 + 10 + 25 and 2 x (3 + 6) + 25, the last to be exceeded
  lambda = { operation_waiter_timeout_seconds = 45, flush_waiter_timeout_seconds = 45, buffer_waiter_timeout_seconds = 44 }
}

run "defaults_have_time_for_snapshots" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush      = { buffer_paths = ["/var/log/fluent/buffer"] }
    prometheus = { url = "http://prometheus:9090" }
    lambda     = {}
  }
}

run "everything_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
}

run "operation_waiter_must_outlast_its_snapshots" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = { operation_waiter_timeout_seconds = 44, flush_waiter_timeout_seconds = 45, buffer_waiter_timeout_seconds = 44 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "flush_waiter_must_outlast_its_snapshots" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = { operation_waiter_timeout_seconds = 45, flush_waiter_timeout_seconds = 44, buffer_waiter_timeout_seconds = 44 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "buffer_waiter_must_outlast_its_snapshots" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = { operation_waiter_timeout_seconds = 45, flush_waiter_timeout_seconds = 45, buffer_waiter_timeout_seconds = 43 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "without_snapshots_nobody_waits_for_them" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    snapshots = null
    lambda    = { operation_waiter_timeout_seconds = 44, flush_waiter_timeout_seconds = 44, buffer_waiter_timeout_seconds = 43 }
  }
}

run "snapshots_of_stages_that_are_not_there_do_not_count" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map  = null
    prometheus = null
    lambda     = { operation_waiter_timeout_seconds = 1, flush_waiter_timeout_seconds = 45, buffer_waiter_timeout_seconds = 1 }
  }
}
