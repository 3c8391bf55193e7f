# Each check warns of its mistake, and what is no mistake passes without a warning.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  prometheus             = { url = "https://prometheus.example.com" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "an_address_label_that_is_to_hold_instance_ids" {
  command = plan
  variables {
    prometheus = merge(var.prometheus, { instance_label = "instance" })
  }
  expect_failures = [check.label_holds_what_identifies_an_instance]
}

run "a_label_of_instance_ids_that_is_to_hold_addresses" {
  command = plan
  variables {
    prometheus = merge(var.prometheus, { identify_by = "private_ip_address" })
  }
  expect_failures = [check.label_holds_what_identifies_an_instance]
}

run "credentials_over_plain_http_to_an_address_in_a_vpc" {
  command = plan
  variables {
    prometheus = { url = "http://prometheus.monitoring.internal:9090", auth = { type = "bearer", ssm_parameter_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/token" } }
  }
  expect_failures = [check.credentials_are_not_sent_in_the_clear, check.prometheus_can_be_reached_from_lambda]
}

run "addresses_by_the_label_instance_inside_a_vpc" {
  command = plan
  variables {
    prometheus = { url = "http://10.0.0.9:9090", identify_by = "private_ip_address", instance_label = "instance" }
    network    = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a"] }
  }

  assert {
    condition     = output.effective_settings.prometheus.scrape_interval_seconds == 15 && output.effective_settings.flush == null
    error_message = "The settings that are shown are those that count, defaults included."
  }
}

run "a_fleet_without_prometheus" {
  command = plan
  variables {
    prometheus = null
    flush      = { buffer_paths = ["/var/log/fluent/buffer"] }
  }
}
