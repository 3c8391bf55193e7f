# What the module and the Python code must agree on is in contract.json: here the module's plans are
# held against it, in tests/unit/test_terraform_agrees.py the code. All of it is known at plan time, so
# that a reviewer of a plan sees each function's variables.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "variables_with_flush" {
  command = plan
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"] }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["flush"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "variables_with_prometheus" {
  command = plan
  variables {
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["prometheus"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "variables_with_flush_and_prometheus" {
  command = plan
  variables {
    flush      = { buffer_paths = ["/var/log/fluent/buffer"] }
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["flush, prometheus"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "variables_with_cloud_map_and_flush" {
  command = plan
  variables {
    cloud_map = { service_id = "srv-existing" }
    flush     = { buffer_paths = ["/var/log/fluent/buffer"] }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["cloud_map, flush"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "variables_with_cloud_map_and_prometheus" {
  command = plan
  variables {
    cloud_map  = { service_id = "srv-existing" }
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["cloud_map, prometheus"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "variables_with_cloud_map_and_readiness" {
  command = plan
  variables {
    cloud_map  = { service_id = "srv-existing", readiness = "metrics" }
    prometheus = { url = "http://prometheus:9090", expected_buffered_outputs = 2, heartbeat_plugin_id = "heartbeat" }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["cloud_map, prometheus with readiness"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "variables_with_cloud_map_and_flush_and_prometheus" {
  command = plan
  variables {
    cloud_map  = { service_id = "srv-existing" }
    flush      = { buffer_paths = ["/var/log/fluent/buffer"] }
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["cloud_map, flush, prometheus"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "names_with_everything" {
  command = plan
  variables {
    cloud_map  = { service_id = "srv-existing", readiness = "metrics" }
    flush      = { buffer_paths = ["/var/log/fluent/buffer"] }
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition     = { for key, function in aws_lambda_function.this : key => function.handler } == jsondecode(file("tests/contract.json")).handlers
    error_message = "Entry points: ${jsonencode({ for key, function in aws_lambda_function.this : key => function.handler })}"
  }
  assert {
    condition     = jsonencode(sort(keys(output.alarm_names))) == jsonencode(jsondecode(file("tests/contract.json")).alarms)
    error_message = "Suffixes of alarms: ${jsonencode(sort(keys(output.alarm_names)))}"
  }
  assert {
    condition = jsonencode(sort(distinct([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.reported), [aws_cloudwatch_metric_alarm.reconciler_silent]) : "${alarm.namespace}/${alarm.metric_name}"
    ]))) == jsonencode(jsondecode(file("tests/contract.json")).metrics)
    error_message = "Metrics of the functions that alarms watch."
  }
  assert {
    condition     = { attempts = local.prometheus_attempts, connect_seconds = local.prometheus_connect_seconds } == jsondecode(file("tests/contract.json")).prometheus
    error_message = "The time that a query can take."
  }
  assert {
    condition = {
      longest_lifecycle_action_seconds = local.longest_lifecycle_action_seconds
      longest_wait_in_heartbeats       = local.longest_wait_in_heartbeats
      longest_poll_pause_seconds       = local.longest_poll_pause
      polls_in_a_hook                  = local.polls_in_a_hook
    } == jsondecode(file("tests/contract.json")).limits
    error_message = "The limits that the functions count with."
  }
}

run "variables_with_prometheus_and_options" {
  command = plan
  variables {
    prometheus = {
      url                       = "http://prometheus:9090"
      expected_buffered_outputs = 2
      heartbeat_plugin_id       = "heartbeat"
      headers                   = { X-Scope-OrgID = "logs" }
      ca_certificates           = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
      auth                      = { type = "bearer", ssm_parameter_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/token" }
    }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["prometheus with options"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}

run "variables_with_prometheus_and_sigv4" {
  command = plan
  variables {
    prometheus = {
      url  = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0a1b2c"
      auth = { type = "sigv4", role_arn = "arn:aws:iam::210987654321:role/reader" }
    }
  }

  assert {
    condition     = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) }) == jsonencode(jsondecode(file("tests/contract.json")).variables["prometheus with sigv4"])
    error_message = jsonencode({ for key, function in aws_lambda_function.this : key => keys(function.environment[0].variables) })
  }
}
