# Every validation of `name`, `autoscaling_group_name`, `cloud_map`, `network`, `alarms` and `tags` fires
# on one wrong value, all else right. The first run plans the whole module with every input at its
# limits; the others need the inputs alone (see README.md).

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
    cloud_map              = { namespace_id = "ns-existing", create_service = true, service_name = "_a-1._udp", shards = 20, first_shard_name = "_a._tcp", dns_ttl_seconds = 1, port = 65535, hosted_zone_id = "Z0123456789ABCDEFGHIJ" }
    prometheus = {
      url                       = "https://prometheus.internal/behind/a/path"
      dialect                   = "thanos"
      identify_by               = "private_ip_address"
      instance_label            = "_instance"
      metric_prefix             = "team:fluentd_"
      scrape_interval_seconds   = 1
      request_timeout_seconds   = 1
      expected_buffered_outputs = 1
      heartbeat_plugin_id       = "object:heart-beat"
      own_events_output         = "object:own.events"
      auth = {
        type        = "basic"
        secret_arn  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prometheus/reader-AbCdEf"
        kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
      }
    }
    lambda  = merge(var.lambda, { architecture = "x86_64", runtime = "python3.11", memory_mb = 128, maximum_concurrency = 2, reserved_concurrency = 2, log_level = "DEBUG", log_retention_days = 1 })
    network = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a"] }
    flush   = { buffer_paths = ["/var/log/fluent/buffer"] }
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

run "service_name_must_not_end_with_a_hyphen" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", service_name = "_fluentd-._tcp" }
  }
  expect_failures = [var.cloud_map]
}

run "service_name_must_fit_a_dns_label_with_the_number_of_its_shard" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", service_name = "_${join("", [for _ in range(59) : "a"])}._tcp" }
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

run "a_fleet_has_at_least_one_shard" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", shards = 0 }
  }
  expect_failures = [var.cloud_map]
}

run "a_fleet_has_a_bounded_number_of_shards" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", shards = 21 }
  }
  expect_failures = [var.cloud_map]
}

run "shards_are_whole" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", shards = 1.5 }
  }
  expect_failures = [var.cloud_map]
}

run "shards_are_created_by_the_module" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { service_id = "srv-existing", shards = 2 }
  }
  expect_failures = [var.cloud_map]
}

run "one_shard_has_one_name" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", first_shard_name = "_fluentd._tcp" }
  }
  expect_failures = [var.cloud_map]
}

run "the_first_shard_can_be_found_by_forwarders" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    cloud_map = { namespace_id = "ns-existing", shards = 2, first_shard_name = "fluentd" }
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

run "readme_lists_every_key_with_its_default" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"] }
  }

  assert {
    condition = alltrue(flatten([
      for input, value in {
        cloud_map         = { for key, value in var.cloud_map : key => value if key != "service_id" }
        prometheus        = { for key, value in var.prometheus : key => value if !contains(["url", "auth"], key) }
        "prometheus.auth" = var.prometheus.auth
        flush             = { for key, value in var.flush : key => value if key != "buffer_paths" }
        timing            = var.timing
        lambda            = { for key, value in var.lambda : key => value if key != "package" }
        alarms            = { for key, value in var.alarms : key => value if key != "actions" }
        reconcile         = var.reconcile
      } : [for key, default in value : strcontains(file("README.md"), "\n| `${input}.${key}` | `${jsonencode(default)}` | ")]
    ]))
    error_message = "README.md must have a row | `INPUT.KEY` | `DEFAULT` | MEANING | for every key of every object input."
  }
}

run "former_groups_are_named_and_never_a_pattern" {
  command = plan
  variables {
    former_group_names = ["blue-*"]
  }
  expect_failures = [var.former_group_names]
}

run "the_group_is_not_a_former_one_of_its_own" {
  command = plan
  variables {
    former_group_names = [var.autoscaling_group_name]
  }
  expect_failures = [var.former_group_names]
}
