# The settings of each function, and how it runs. The names and values of the environment variables are
# the contract with lifecycle/settings.py.

mock_provider "aws" {
  source = "./tests/mocks"

  override_resource {
    target = aws_sqs_queue.stage["operation"]
    values = { url = "https://sqs/operation" }
  }
  override_resource {
    target = aws_sqs_queue.stage["buffer"]
    values = { url = "https://sqs/buffer" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["operation"]
    values = { url = "https://sqs/operation-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["buffer"]
    values = { url = "https://sqs/buffer-dlq" }
  }
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "functions_are_told_exactly_what_they_read" {
  assert {
    condition = aws_lambda_function.this["lifecycle"].environment[0].variables == tomap({
      POWERTOOLS_SERVICE_NAME      = "fluentd"
      POWERTOOLS_METRICS_NAMESPACE = "FluentdLifecycle"
      MODULE_VERSION               = "0.1.0-dev"
      POWERTOOLS_LOG_LEVEL         = "INFO"
      AUTOSCALING_GROUP_NAME       = "aggregators"
      LAUNCH_HOOK_NAME             = "fluentd-launch"
      TERMINATE_HOOK_NAME          = "fluentd-terminate"
      CLOUD_MAP_SERVICE_IDS        = "srv-existing"
      CLOUD_MAP_PORT               = "24224"
      ALLOW_EMPTY_SERVICE          = "false"
      OPERATION_QUEUE_URL          = "https://sqs/operation"
    })
    error_message = "The lifecycle handler's environment changed: ${jsonencode(aws_lambda_function.this["lifecycle"].environment[0].variables)}"
  }
  assert {
    condition = aws_lambda_function.this["operation"].environment[0].variables == tomap({
      POWERTOOLS_SERVICE_NAME      = "fluentd"
      POWERTOOLS_METRICS_NAMESPACE = "FluentdLifecycle"
      MODULE_VERSION               = "0.1.0-dev"
      POWERTOOLS_LOG_LEVEL         = "INFO"
      AUTOSCALING_GROUP_NAME       = "aggregators"
      LAUNCH_HOOK_NAME             = "fluentd-launch"
      TERMINATE_HOOK_NAME          = "fluentd-terminate"
      CLOUD_MAP_SERVICE_IDS        = "srv-existing"
      CLOUD_MAP_PORT               = "24224"
      ALLOW_EMPTY_SERVICE          = "false"
      OPERATION_QUEUE_URL          = "https://sqs/operation"
      OPERATION_DLQ_URL            = "https://sqs/operation-dlq"
      BUFFER_QUEUE_URL             = "https://sqs/buffer"
      POLL_INTERVAL_SECONDS        = "5"
      POLL_INTERVAL_MAX_SECONDS    = "120"
      TIMEOUT_SECONDS              = "600"
      VISIBILITY_TIMEOUT_SECONDS   = "360"

      LAUNCH_HEARTBEAT_TIMEOUT_SECONDS    = "900"
      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = "3600"
    })
    error_message = "The operation waiter's environment changed: ${jsonencode(aws_lambda_function.this["operation"].environment[0].variables)}"
  }
  assert {
    condition = aws_lambda_function.this["buffer"].environment[0].variables == tomap({
      POWERTOOLS_SERVICE_NAME            = "fluentd"
      POWERTOOLS_METRICS_NAMESPACE       = "FluentdLifecycle"
      MODULE_VERSION                     = "0.1.0-dev"
      POWERTOOLS_LOG_LEVEL               = "INFO"
      AUTOSCALING_GROUP_NAME             = "aggregators"
      LAUNCH_HOOK_NAME                   = "fluentd-launch"
      TERMINATE_HOOK_NAME                = "fluentd-terminate"
      CLOUD_MAP_SERVICE_IDS              = "srv-existing"
      CLOUD_MAP_PORT                     = "24224"
      ALLOW_EMPTY_SERVICE                = "false"
      OPERATION_QUEUE_URL                = "https://sqs/operation"
      BUFFER_QUEUE_URL                   = "https://sqs/buffer"
      BUFFER_DLQ_URL                     = "https://sqs/buffer-dlq"
      POLL_INTERVAL_SECONDS              = "15"
      POLL_INTERVAL_MAX_SECONDS          = "120"
      TIMEOUT_SECONDS                    = "3600"
      VISIBILITY_TIMEOUT_SECONDS         = "360"
      EMPTY_FOR_SECONDS                  = "300"
      SETTLE_SECONDS                     = "135"
      EVIDENCE_FUNCTION_NAME             = "fluentd-evidence"
      EVIDENCE_TIMEOUT_SECONDS           = "32"
      PROMETHEUS_SCRAPE_INTERVAL_SECONDS = "15"
      PROMETHEUS_INSTANCE_LABEL          = "instance_id"
      PROMETHEUS_IDENTIFY_BY             = "instance_id"
      PROMETHEUS_METRIC_PREFIX           = "fluentd_output_status_"

      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = "3600"
    })
    error_message = "The buffer waiter's environment changed: ${jsonencode(aws_lambda_function.this["buffer"].environment[0].variables)}"
  }
  assert {
    condition = { for name, value in aws_lambda_function.this["evidence"].environment[0].variables : name => value if startswith(name, "PROMETHEUS_") } == {
      PROMETHEUS_URL                     = "http://prometheus:9090"
      PROMETHEUS_DIALECT                 = "prometheus"
      PROMETHEUS_METHOD                  = "POST"
      PROMETHEUS_REQUEST_TIMEOUT_SECONDS = "10"
      PROMETHEUS_AUTH                    = "none"
    }
    error_message = "The evidence function's environment changed: ${jsonencode(aws_lambda_function.this["evidence"].environment[0].variables)}"
  }
}

run "optional_settings_are_told_when_given" {
  variables {
    prometheus = {
      url                       = "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-0a1b2c"
      expected_buffered_outputs = 2
      heartbeat_plugin_id       = "heartbeat"
      auth                      = { type = "sigv4" }
    }
  }

  assert {
    condition = { for key, value in merge(aws_lambda_function.this["buffer"].environment[0].variables, aws_lambda_function.this["evidence"].environment[0].variables) : key => value if contains([
      "PROMETHEUS_AUTH", "PROMETHEUS_REGION", "PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS", "PROMETHEUS_HEARTBEAT_PLUGIN_ID", "PROMETHEUS_CREDENTIALS_ARN",
      ], key) } == {
      PROMETHEUS_AUTH                      = "sigv4"
      PROMETHEUS_REGION                    = "us-east-1"
      PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS = "2"
      PROMETHEUS_HEARTBEAT_PLUGIN_ID       = "heartbeat"
    }
    error_message = "The optional settings changed: ${jsonencode(aws_lambda_function.this["buffer"].environment[0].variables)}"
  }
}

run "region_to_sign_for_defaults_to_the_providers" {
  command = plan
  variables {
    prometheus = { url = "https://proxy.example.com/workspaces/ws-0a1b2c", auth = { type = "sigv4" } }
  }

  assert {
    condition     = local.prometheus_region == "eu-west-1"
    error_message = "A URL without a region is signed for the provider's, not for ${local.prometheus_region}."
  }
}

run "credentials_are_told_by_their_arn" {
  command = plan
  variables {
    prometheus = { url = "https://prometheus:9090", auth = { type = "bearer", ssm_parameter_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/token" } }
  }

  assert {
    condition = { for key, function in aws_lambda_function.this : key => function.environment[0].variables.PROMETHEUS_CREDENTIALS_ARN if contains(keys(function.environment[0].variables), "PROMETHEUS_CREDENTIALS_ARN") } == {
      evidence = "arn:aws:ssm:eu-west-1:123456789012:parameter/token"
    }
    error_message = "The evidence function, and no other, must be told where its credentials are, never what they are."
  }
}

run "functions_run_as_asked" {
  command = plan
  variables {
    lambda = {
      package                          = { s3 = { bucket = "artefacts", key = "package.zip", object_version = "v1" } }
      architecture                     = "x86_64"
      runtime                          = "python3.11"
      memory_mb                        = 512
      handler_timeout_seconds          = 20
      operation_waiter_timeout_seconds = 30
      flush_waiter_timeout_seconds     = 70
      buffer_waiter_timeout_seconds    = 40
      maximum_concurrency              = 3
      reserved_concurrency             = 4
      log_retention_days               = 30
    }
    flush = { buffer_paths = ["/var/log/fluent/buffer"] }
    tags  = { team = "logs" }
  }

  assert {
    condition = { for key, function in aws_lambda_function.this : key => "${function.function_name} ${function.handler} ${function.timeout}" } == {
      interruption = "fluentd-interruption handlers.interruption.handler 130"
      lifecycle    = "fluentd-lifecycle handlers.lifecycle.handler 20"
      operation    = "fluentd-operation-waiter waiters.operation.handler 30"
      flush        = "fluentd-flush-waiter waiters.flush.handler 70"
      buffer       = "fluentd-buffer-waiter waiters.buffer.handler 40"
      evidence     = "fluentd-evidence handlers.evidence.handler 29"
      reconcile    = "fluentd-reconciler handlers.reconcile.handler 482"
    }
    error_message = "Names, entry points and timeouts must be as agreed."
  }
  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.architectures == tolist(["x86_64"]) && function.runtime == "python3.11" && function.memory_size == 512 && function.reserved_concurrent_executions == 4
    ])
    error_message = "Architecture, runtime, memory and concurrency must be as asked."
  }
  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.s3_bucket == "artefacts" && function.s3_key == "package.zip" && function.s3_object_version == "v1" && function.filename == null
    ])
    error_message = "The package must come from S3."
  }
  assert {
    condition     = alltrue([for mapping in aws_lambda_event_source_mapping.stage : mapping.scaling_config[0].maximum_concurrency == 3])
    error_message = "The stages' concurrency must be as asked."
  }
  assert {
    condition     = { for key, group in aws_cloudwatch_log_group.function : key => "${group.name} ${group.retention_in_days}" } == { lifecycle = "/aws/lambda/fluentd-lifecycle 30", interruption = "/aws/lambda/fluentd-interruption 30", operation = "/aws/lambda/fluentd-operation-waiter 30", flush = "/aws/lambda/fluentd-flush-waiter 30", buffer = "/aws/lambda/fluentd-buffer-waiter 30", evidence = "/aws/lambda/fluentd-evidence 30", reconcile = "/aws/lambda/fluentd-reconciler 30" }
    error_message = "Each function has a log group with a retention."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.tags.team == "logs"]) && aws_ssm_document.flush[0].tags.team == "logs"
    error_message = "Tags must reach the functions and the document."
  }
}

run "failed_events_are_retried_twice_then_kept" {
  command = plan

  assert {
    condition     = aws_lambda_function_event_invoke_config.lifecycle.maximum_retry_attempts == 2 && aws_lambda_function_event_invoke_config.lifecycle.maximum_event_age_in_seconds == 300
    error_message = "Two retries within a third of the shorter heartbeat timeout (900 s)."
  }
}

run "package_defaults_to_what_make_package_builds" {
  command = plan

  assert {
    condition     = endswith(local.built_package, "/../build/package/fluentd-lifecycle-arm64-python3.13.zip")
    error_message = "tools/package.py names the zip by architecture and runtime; the default was ${local.built_package}."
  }
}

run "package_is_uploaded_when_its_content_changes" {
  command = plan
  variables {
    lambda = { package = { local_path = "versions.tf" } } # any file will do
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this : function.filename == "versions.tf" && function.source_code_hash == filebase64sha256("versions.tf")
    ])
    error_message = "The hash of the file must be what Terraform compares."
  }
}

run "missing_package_says_what_to_do" {
  command = plan
  variables {
    lambda = { package = { local_path = "no/such/package.zip" } }
  }
  expect_failures = [terraform_data.package]
}
