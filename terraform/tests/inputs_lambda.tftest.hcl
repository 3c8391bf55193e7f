# Every validation of `lambda` fires on one wrong value, all else right.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
  timing                 = {}
}

run "package_is_a_file_or_an_object_not_both" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { package = { local_path = "package.zip", s3 = { bucket = "artefacts", key = "package.zip" } } })
  }
  expect_failures = [var.lambda]
}

run "architecture_must_be_one_of_lambdas" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { architecture = "amd64" })
  }
  expect_failures = [var.lambda]
}

run "runtime_must_be_a_supported_python" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { runtime = "python3.10" })
  }
  expect_failures = [var.lambda]
}

run "memory_must_be_what_lambda_offers" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { memory_mb = 127 })
  }
  expect_failures = [var.lambda]
}

run "function_timeouts_must_be_what_lambda_offers" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { handler_timeout_seconds = 901 })
  }
  expect_failures = [var.lambda]
}

run "concurrency_must_be_at_least_two" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { maximum_concurrency = 1 })
  }
  expect_failures = [var.lambda]
}

run "reserved_concurrency_must_cover_the_stages" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { maximum_concurrency = 5, reserved_concurrency = 4 })
  }
  expect_failures = [var.lambda]
}

run "log_level_must_be_known" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { log_level = "TRACE" })
  }
  expect_failures = [var.lambda]
}

run "log_retention_must_be_on_offer" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { log_retention_days = 2 })
  }
  expect_failures = [var.lambda]
}

run "environment_takes_none_of_lambdas_own" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { environment = { AWS_REGION = "eu-west-1" } })
  }
  expect_failures = [var.lambda]
}

run "environment_takes_no_odd_names" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { environment = { "HTTPS-PROXY" = "http://proxy:3128" } })
  }
  expect_failures = [var.lambda]
}

run "environment_leaves_room" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    lambda = merge(var.lambda, { environment = { CERTIFICATE = join("", [for n in range(1000) : "x"]) } })
  }
  expect_failures = [var.lambda]
}
