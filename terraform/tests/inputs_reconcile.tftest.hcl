# Every validation of `reconcile` fires on one wrong value, all else right, and its limits pass.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "mode_must_be_known" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { mode = "repair" }
  }
  expect_failures = [var.reconcile]
}

run "interval_must_not_be_zero" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { interval_minutes = 0 }
  }
  expect_failures = [var.reconcile]
}

run "interval_must_not_exceed_a_day" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { interval_minutes = 1441 }
  }
  expect_failures = [var.reconcile]
}

run "interval_must_be_whole" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { interval_minutes = 1.5 }
  }
  expect_failures = [var.reconcile]
}

run "grace_must_not_be_too_short" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { grace_seconds = 9 }
  }
  expect_failures = [var.reconcile]
}

run "grace_must_not_exceed_five_minutes" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { grace_seconds = 301 }
  }
  expect_failures = [var.reconcile]
}

run "grace_must_be_whole" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { grace_seconds = 10.5 }
  }
  expect_failures = [var.reconcile]
}

run "limits_are_accepted_at_the_bottom" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { mode = "correct", interval_minutes = 1, grace_seconds = 10 }
  }
}

run "limits_are_accepted_at_the_top" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    reconcile = { mode = "observe", interval_minutes = 1440, grace_seconds = 300 }
  }
}
