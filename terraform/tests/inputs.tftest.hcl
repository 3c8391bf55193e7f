# Every validation of every input: one wrong value each, all else right.
#
# `name`, `autoscaling_group_name`, `network`, `alarms` and `tags` first, then the long ones. The
# first run plans the whole module; the others need the inputs alone (see README.md).

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
  timing                 = {}
}

run "everything_at_its_limits_is_accepted" {
  command = plan
  variables {
    name                   = "fluentd-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    autoscaling_group_name = "Aggregators of team/one (blue)"
    cloud_map              = { namespace_id = "ns-existing", create_service = true, service_name = "_a-1._udp", dns_ttl_seconds = 1, port = 65535, hosted_zone_id = "Z0123456789ABCDEFGHIJ" }
    prometheus = {
      url                       = "https://prometheus.internal/behind/a/path"
      identify_by               = "private_ip_address"
      instance_label            = "_instance"
      metric_prefix             = "team:fluentd_"
      scrape_interval_seconds   = 1
      request_timeout_seconds   = 1
      expected_buffered_outputs = 1
      heartbeat_plugin_id       = "object:heart-beat"
      auth = {
        type        = "basic"
        secret_arn  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prometheus/reader-AbCdEf"
        kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
      }
    }
    lambda  = merge(var.lambda, { architecture = "x86_64", runtime = "python3.11", memory_mb = 128, maximum_concurrency = 2, reserved_concurrency = 2, log_level = "DEBUG", log_retention_days = 1 })
    network = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a"] }
    tags    = { team = "logs" }
  }
}

run "name_must_not_be_too_long" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    name = "fluentd-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
  }
  expect_failures = [var.name]
}

run "name_must_not_end_with_a_hyphen" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    name = "fluentd-"
  }
  expect_failures = [var.name]
}

run "group_must_be_a_name_not_an_arn" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    autoscaling_group_name = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1:autoScalingGroupName/x"
  }
  expect_failures = [var.autoscaling_group_name]
}

run "group_must_not_be_a_wildcard" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    autoscaling_group_name = "aggregators-*"
  }
  expect_failures = [var.autoscaling_group_name]
}

run "network_needs_a_subnet" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    network = { subnet_ids = [], security_group_ids = ["sg-0a"] }
  }
  expect_failures = [var.network]
}

run "network_needs_a_security_group" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    network = { subnet_ids = ["subnet-0a"], security_group_ids = [] }
  }
  expect_failures = [var.network]
}

run "network_takes_ids_not_names" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    network = { subnet_ids = ["private-a"], security_group_ids = ["sg-0a"] }
  }
  expect_failures = [var.network]
}

run "somebody_must_be_told" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    alarms = { actions = [] }
  }
  expect_failures = [var.alarms]
}

run "alarm_actions_must_be_arns" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    alarms = { actions = ["on-call"] }
  }
  expect_failures = [var.alarms]
}

run "alarms_take_five_ok_actions" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    alarms = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"], ok_actions = [for number in range(6) : "arn:aws:sns:eu-west-1:123456789012:topic-${number}"] }
  }
  expect_failures = [var.alarms]
}

run "runbook_base_must_not_end_with_a_slash" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    alarms = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"], runbook_base_url = "https://wiki/runbooks/" }
  }
  expect_failures = [var.alarms]
}

run "tags_must_not_use_the_prefix_of_aws" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    tags = { "aws:team" = "logs" }
  }
  expect_failures = [var.tags]
}

run "cloud_map_needs_a_service_or_a_namespace" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = {}
  }
  expect_failures = [var.cloud_map]
}

run "cloud_map_takes_a_service_or_a_namespace_not_both" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing", namespace_id = "ns-existing" }
  }
  expect_failures = [var.cloud_map]
}

run "service_must_be_an_id" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "_fluentd._tcp" }
  }
  expect_failures = [var.cloud_map]
}

run "namespace_must_be_an_id" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "logs.internal" }
  }
  expect_failures = [var.cloud_map]
}

run "creating_a_service_needs_a_namespace" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing", create_service = true }
  }
  expect_failures = [var.cloud_map]
}

run "using_a_service_needs_its_id" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", create_service = false }
  }
  expect_failures = [var.cloud_map]
}

run "service_name_must_be_found_by_srv" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", service_name = "fluentd" }
  }
  expect_failures = [var.cloud_map]
}

run "ttl_must_be_positive" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing", dns_ttl_seconds = 0 }
  }
  expect_failures = [var.cloud_map]
}

run "port_must_exist" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing", port = 65536 }
  }
  expect_failures = [var.cloud_map]
}

run "hosted_zone_must_be_an_id" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing", hosted_zone_id = "/hostedzone/Z0123" }
  }
  expect_failures = [var.cloud_map]
}

run "prometheus_url_must_have_a_scheme" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { url = "prometheus:9090" })
  }
  expect_failures = [var.prometheus]
}

run "prometheus_url_must_hold_no_credentials" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { url = "http://reader:secret@prometheus:9090" })
  }
  expect_failures = [var.prometheus]
}

run "prometheus_url_must_be_the_base" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { url = "http://prometheus:9090/api/v1/query" })
  }
  expect_failures = [var.prometheus]
}

run "instances_are_identified_by_id_or_address" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { identify_by = "hostname" })
  }
  expect_failures = [var.prometheus]
}

run "instance_label_must_be_a_label" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { instance_label = "instance-id" })
  }
  expect_failures = [var.prometheus]
}

run "metric_prefix_must_begin_a_metric" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { metric_prefix = "fluentd-" })
  }
  expect_failures = [var.prometheus]
}

run "scrape_interval_must_be_at_least_a_second" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { scrape_interval_seconds = 0 })
  }
  expect_failures = [var.prometheus]
}

run "request_timeout_must_not_exceed_a_minute" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { request_timeout_seconds = 61 })
  }
  expect_failures = [var.prometheus]
}

run "expected_outputs_must_be_at_least_one" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { expected_buffered_outputs = 0 })
  }
  expect_failures = [var.prometheus]
}

run "heartbeat_id_must_not_break_a_query" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { heartbeat_plugin_id = "a\"b" })
  }
  expect_failures = [var.prometheus]
}

run "auth_type_must_be_known" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { type = "digest" } })
  }
  expect_failures = [var.prometheus]
}

run "basic_needs_credentials" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { type = "basic" } })
  }
  expect_failures = [var.prometheus]
}

run "bearer_takes_one_source_of_credentials" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { type = "bearer", secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-AbCdEf", ssm_parameter_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/token" } })
  }
  expect_failures = [var.prometheus]
}

run "no_auth_takes_no_credentials" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-AbCdEf" } })
  }
  expect_failures = [var.prometheus]
}

run "secret_must_be_an_arn" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { type = "basic", secret_arn = "prometheus/reader" } })
  }
  expect_failures = [var.prometheus]
}

run "parameter_must_be_an_arn" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { type = "bearer", ssm_parameter_arn = "/prometheus/token" } })
  }
  expect_failures = [var.prometheus]
}

run "key_must_not_be_an_alias" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { type = "bearer", ssm_parameter_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/token", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/logs" } })
  }
  expect_failures = [var.prometheus]
}

run "region_must_be_a_region" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { url = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0a", auth = { type = "sigv4", region = "Ireland" } })
  }
  expect_failures = [var.prometheus]
}

run "sigv4_needs_the_workspace_in_the_url" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { type = "sigv4" } })
  }
  expect_failures = [var.prometheus]
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
