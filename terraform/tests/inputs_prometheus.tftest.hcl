# Every validation of `prometheus` fires on one wrong value, all else right.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
  timing                 = {}
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

run "dialect_must_be_known" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { dialect = "mimir" })
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

run "method_must_be_get_or_post" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { method = "get" })
  }
  expect_failures = [var.prometheus]
}

run "headers_must_not_authenticate" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { headers = { authorization = "Bearer secret" } })
  }
  expect_failures = [var.prometheus]
}

run "headers_must_be_one_line" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { headers = { X-Scope-OrgID = "logs\r\nHost: other" } })
  }
  expect_failures = [var.prometheus]
}

run "headers_must_have_names" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { headers = { "X Scope" = "logs" } })
  }
  expect_failures = [var.prometheus]
}

run "certificates_must_be_pem" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { ca_certificates = "/etc/ssl/ca.pem" })
  }
  expect_failures = [var.prometheus]
}

run "certificates_must_not_bring_a_key" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { ca_certificates = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n" })
  }
  expect_failures = [var.prometheus]
}

run "certificates_must_fit_into_the_environment" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { ca_certificates = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n${join("", [for n in range(1000) : "xyz"])}-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n" })
  }
  expect_failures = [var.prometheus]
}

run "role_must_be_a_role" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { url = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0a", auth = { type = "sigv4", role_arn = "arn:aws:iam::210987654321:user/reader" } })
  }
  expect_failures = [var.prometheus]
}

run "role_is_for_sigv4" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { auth = { role_arn = "arn:aws:iam::210987654321:role/reader" } })
  }
  expect_failures = [var.prometheus]
}

run "account_means_nothing_beside_a_role" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { url = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0a", auth = { type = "sigv4", role_arn = "arn:aws:iam::210987654321:role/reader", account_id = "210987654321" } })
  }
  expect_failures = [var.prometheus]
}

run "a_gateway_with_a_tenant_and_a_private_authority_is_accepted" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    prometheus = merge(var.prometheus, { method = "GET", headers = { X-Scope-OrgID = "logs" }, ca_certificates = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n" })
  }
}
