# Every validation of `iam` and `encryption` fires on one wrong value, all else right.

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
  timing                 = {}
}

run "boundary_is_a_policy" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    iam = { permissions_boundary_arn = "arn:aws:iam::123456789012:role/boundary" }
  }
  expect_failures = [var.iam]
}

run "role_path_ends_with_a_slash" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    iam = { role_path = "/service/fluentd" }
  }
  expect_failures = [var.iam]
}

run "key_is_no_alias" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    encryption = { kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/logs" }
  }
  expect_failures = [var.encryption]
}

run "what_an_organisation_asks_for_is_accepted" {
  command = plan
  module {
    source = "./tests/without_provider"
  }
  variables {
    iam        = { permissions_boundary_arn = "arn:aws:iam::aws:policy/PowerUserAccess", role_path = "/service/fluentd/" }
    encryption = { kms_key_arn = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0123" }
  }
}
