# Every validation of `flush` fires on one wrong value, all else right; so does the one that refuses a
# fleet with neither flush nor Prometheus. The limits themselves are accepted in the first run.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "agents"
  flush                  = { buffer_paths = ["/var/log/fluent/buffer"] }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
}

run "everything_at_its_limits_is_accepted" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = {
      buffer_paths             = [for number in range(20) : "/var/log/~a.b_c@d%+=:,-*?/worker*/${number}.*"]
      backup_paths             = [for number in range(20) : "/var/log/~a.b_c@d%+=:,-/${number}"]
      service_name             = "a@b.c_d:e-f"
      method                   = "rpc"
      rpc_port                 = 1
      monitor_agent_port       = 65472
      monitor_agent_required   = true
      workers                  = 64
      wait_seconds             = 0
      quiet_seconds            = 1
      command_timeout_seconds  = 6
      delivery_timeout_seconds = 30
      timeout_seconds          = 172800
    }
    # Only the inputs are of interest here, not how they fit together.
    timing = { poll_interval_seconds = 180, poll_interval_max_seconds = 180, terminate_heartbeat_timeout_seconds = 7200 }
  }
  expect_failures = [terraform_data.timing_budget]
}

run "neither_flush_nor_prometheus_is_refused" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = null
  }
  expect_failures = [var.flush]
}

run "buffer_paths_must_name_a_folder" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = [] }
  }
  expect_failures = [var.flush]
}

run "buffer_paths_must_be_at_most_twenty" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = [for number in range(21) : "/buffer/${number}"] }
  }
  expect_failures = [var.flush]
}

run "buffer_paths_must_be_absolute" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["var/log/fluent/buffer"] }
  }
  expect_failures = [var.flush]
}

run "buffer_paths_must_not_end_with_a_slash" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer/"] }
  }
  expect_failures = [var.flush]
}

run "whole_disk_is_no_buffer_path" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/"] }
  }
  expect_failures = [var.flush]
}

run "buffer_paths_must_hold_no_quote" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/it's"] }
  }
  expect_failures = [var.flush]
}

run "buffer_paths_must_hold_no_blank" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/a b"] }
  }
  expect_failures = [var.flush]
}

run "buffer_paths_must_hold_no_line_break" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent\nreboot"] }
  }
  expect_failures = [var.flush]
}

run "backup_paths_must_be_at_most_twenty" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], backup_paths = [for number in range(21) : "/backup/${number}"] }
  }
  expect_failures = [var.flush]
}

run "backup_paths_must_be_absolute" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], backup_paths = ["backup"] }
  }
  expect_failures = [var.flush]
}

run "backup_paths_must_hold_no_wildcard" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], backup_paths = ["/var/log/fluent/backup*"] }
  }
  expect_failures = [var.flush]
}

run "backup_path_must_not_be_a_buffer_path" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], backup_paths = ["/var/log/fluent/buffer"] }
  }
  expect_failures = [var.flush]
}

run "backup_path_must_not_hold_a_buffer_path" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], backup_paths = ["/var/log"] }
  }
  expect_failures = [var.flush]
}

run "backup_path_may_lie_below_or_beside_a_buffer_path" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], backup_paths = ["/var/log/fluent/buffer/backup", "/var/log/fluent/buff"] }
  }
}

run "service_must_be_named" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], service_name = "" }
  }
  expect_failures = [var.flush]
}

run "service_must_not_look_like_an_option" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], service_name = "--all" }
  }
  expect_failures = [var.flush]
}

run "service_must_hold_no_quote" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], service_name = "fluentd'" }
  }
  expect_failures = [var.flush]
}

run "method_must_be_known" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], method = "restart" }
  }
  expect_failures = [var.flush]
}

run "rpc_port_must_exist" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], rpc_port = 0 }
  }
  expect_failures = [var.flush]
}

run "rpc_port_must_be_whole" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], rpc_port = 24444.5 }
  }
  expect_failures = [var.flush]
}

run "there_must_be_a_worker" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], workers = 0 }
  }
  expect_failures = [var.flush]
}

run "workers_must_be_at_most_64" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], workers = 65 }
  }
  expect_failures = [var.flush]
}

run "monitor_agent_port_must_exist" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], monitor_agent_port = 65536 }
  }
  expect_failures = [var.flush]
}

run "every_workers_monitor_agent_port_must_exist" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], monitor_agent_port = 65535, workers = 2 }
  }
  expect_failures = [var.flush]
}

run "monitor_agent_may_be_left_alone" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], monitor_agent_port = 0, monitor_agent_required = false }
  }
}

run "monitor_agent_cannot_be_required_and_left_alone" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], monitor_agent_port = 0, monitor_agent_required = true }
  }
  expect_failures = [var.flush]
}

run "wait_must_not_be_negative" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], wait_seconds = -1 }
  }
  expect_failures = [var.flush]
}

run "wait_must_not_exceed_ten_minutes" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], wait_seconds = 601 }
  }
  expect_failures = [var.flush]
}

run "quiet_must_be_some_time" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], quiet_seconds = 0 }
  }
  expect_failures = [var.flush]
}

run "quiet_must_fit_into_a_function" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], quiet_seconds = 601 }
  }
  expect_failures = [var.flush]
}

run "quiet_must_be_whole" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], quiet_seconds = 1.5 }
  }
  expect_failures = [var.flush]
}

run "command_timeout_must_not_be_too_short" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], wait_seconds = 0, quiet_seconds = 1, command_timeout_seconds = 5 }
  }
  expect_failures = [var.flush]
}

run "command_timeout_must_fit_into_a_function" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], command_timeout_seconds = 881 }
  }
  expect_failures = [var.flush]
}

run "delivery_timeout_must_be_what_ssm_takes" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], delivery_timeout_seconds = 29 }
  }
  expect_failures = [var.flush]
}

run "delivery_timeout_must_not_exceed_an_hour" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], delivery_timeout_seconds = 3601 }
  }
  expect_failures = [var.flush]
}

run "flush_timeout_must_not_be_zero" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], timeout_seconds = 0 }
  }
  expect_failures = [var.flush]
}

run "flush_timeout_must_not_exceed_two_days" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], timeout_seconds = 172801 }
  }
  expect_failures = [var.flush]
}

run "flush_timeout_must_be_whole" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], timeout_seconds = 600.5 }
  }
  expect_failures = [var.flush]
}

run "longest_hold_must_not_be_negative" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], longest_hold_seconds = -1 }
  }
  expect_failures = [var.flush]
}

run "rpc_needs_monitor_agent" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], method = "rpc", monitor_agent_port = 0, monitor_agent_required = false }
  }
  expect_failures = [var.flush]
}

run "no_monitor_agent_has_to_be_said_twice" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"], monitor_agent_port = 0 }
  }
  expect_failures = [var.flush]
}
