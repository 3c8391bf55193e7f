# The limits that AWS sets to the budget: deliveries of SQS, 100 heartbeats, 48 hours. As in
# timing_budget.tftest.hcl, each `*_at_its_limit` run just fits and the next one just does not.

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

run "computed_deliveries_at_their_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, {
      max_receive_count                   = null
      operation_timeout_seconds           = 4950 # 990 polls of 5 s, and 10
      drain_timeout_seconds               = 9900 # 990 polls of 10 s, and 10
      launch_heartbeat_timeout_seconds    = 7200
      terminate_heartbeat_timeout_seconds = 7200
    })
  }

  assert {
    condition     = local.budget.operation.max_receive_count == 1000 && local.budget.buffer.max_receive_count == 1000
    error_message = "Both queues were to be at SQS's limit."
  }
}

run "computed_operation_deliveries_must_not_exceed_sqs" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, {
      max_receive_count                   = null
      operation_timeout_seconds           = 4951
      drain_timeout_seconds               = 9900
      launch_heartbeat_timeout_seconds    = 7200
      terminate_heartbeat_timeout_seconds = 7200
    })
  }
  expect_failures = [terraform_data.stage_budget["operation"]]
}

run "computed_buffer_deliveries_must_not_exceed_sqs" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, {
      max_receive_count                   = null
      operation_timeout_seconds           = 4950
      drain_timeout_seconds               = 9901
      launch_heartbeat_timeout_seconds    = 7200
      terminate_heartbeat_timeout_seconds = 7200
    })
  }
  expect_failures = [terraform_data.stage_budget["buffer"]]
}

run "termination_of_100_heartbeats_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    # 500 + 13855 + 145 = 100 x 145
    timing = merge(var.timing, { poll_interval_seconds = 14, max_receive_count = 1000, drain_timeout_seconds = 13855 })
  }
}

run "drain_and_response_must_fit_into_100_heartbeats" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, { poll_interval_seconds = 14, max_receive_count = 1000, drain_timeout_seconds = 13856 })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "termination_of_48_hours_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    # 500 + 165100 + 7200 = 172800
    timing = merge(var.timing, {
      poll_interval_seconds               = 166
      poll_interval_max_seconds           = 166
      launch_heartbeat_timeout_seconds    = 7200
      terminate_heartbeat_timeout_seconds = 7200
      max_receive_count                   = 1000
      drain_timeout_seconds               = 165100
    })
  }
}

run "drain_and_response_must_fit_into_48_hours" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, {
      poll_interval_seconds               = 166
      poll_interval_max_seconds           = 166
      launch_heartbeat_timeout_seconds    = 7200
      terminate_heartbeat_timeout_seconds = 7200
      max_receive_count                   = 1000
      drain_timeout_seconds               = 165101
    })
  }
  expect_failures = [terraform_data.timing_budget]
}

run "launch_of_100_heartbeats_at_its_limit" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    # 14355 + 145 = 100 x 145
    timing = merge(var.timing, {
      operation_poll_interval_seconds     = 15
      operation_timeout_seconds           = 14355
      terminate_heartbeat_timeout_seconds = 7200
      max_receive_count                   = 1000
    })
  }
}

run "registration_must_fit_into_100_heartbeats" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    timing = merge(var.timing, {
      operation_poll_interval_seconds     = 15
      operation_timeout_seconds           = 14356
      terminate_heartbeat_timeout_seconds = 7200
      max_receive_count                   = 1000
    })
  }
  expect_failures = [terraform_data.timing_budget]
}
