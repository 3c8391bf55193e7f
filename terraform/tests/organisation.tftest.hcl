# What an organisation's rules ask for reaches every resource that they are about.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  flush                  = { buffer_paths = ["/var/log/fluent/buffer"] }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "boundary_path_key_and_environment_reach_all_of_them" {
  command = plan
  variables {
    iam        = { permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary", role_path = "/service/" }
    encryption = { kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0123" }
    lambda     = merge(var.lambda, { environment = { HTTPS_PROXY = "http://proxy:3128", AWS_USE_FIPS_ENDPOINT = "true" } })
  }

  assert {
    condition     = length(aws_iam_role.function) == 7 && alltrue([for role in aws_iam_role.function : role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary" && role.path == "/service/"])
    error_message = "An account that demands a boundary refuses the role without one."
  }
  assert {
    condition = alltrue(concat(
      [for queue in concat(values(aws_sqs_queue.stage), values(aws_sqs_queue.dead_letter), [aws_sqs_queue.interruption]) : queue.kms_master_key_id == var.encryption.kms_key_arn],
      [for group in aws_cloudwatch_log_group.function : group.kms_key_id == var.encryption.kms_key_arn],
      [for function in aws_lambda_function.this : function.kms_key_arn == var.encryption.kms_key_arn],
    ))
    error_message = "Every queue, log group and environment is encrypted with the key."
  }
  assert {
    condition = jsonencode({
      for key, policy in aws_iam_role_policy.function : key => one([
        for statement in jsondecode(policy.policy).Statement : concat(statement.Action, statement.Condition.StringEquals["kms:ViaService"])
        if statement.Sid == "UseKey" && statement.Resource == var.encryption.kms_key_arn
      ])
      }) == jsonencode(merge(
      { for key in ["buffer", "flush", "interruption", "lifecycle", "operation", "reconcile"] : key => ["kms:Decrypt", "kms:GenerateDataKey", "lambda.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"] },
      { evidence = ["kms:Decrypt", "lambda.eu-west-1.amazonaws.com"] },
    ))
    error_message = "Each function may use the key through the services that it needs it for."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.environment[0].variables["HTTPS_PROXY"] == "http://proxy:3128" && function.environment[0].variables["MODULE_VERSION"] != null])
    error_message = "Further variables are beside the module's own."
  }
}

run "without_them_aws_s_own_keys_and_no_boundary" {
  command = plan

  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.stage), values(aws_sqs_queue.dead_letter), [aws_sqs_queue.interruption]) : queue.sqs_managed_sse_enabled && queue.kms_master_key_id == null])
    error_message = "SQS encrypts with its own key."
  }
  assert {
    condition     = !strcontains(jsonencode(values(aws_iam_role_policy.function)[*].policy), "kms:") && alltrue([for role in aws_iam_role.function : role.permissions_boundary == null && role.path == "/"])
    error_message = "No permission for a key that there is none of."
  }
  assert {
    condition     = jsonencode([for statement in output.kms_key_policy_statements : [statement.Principal.Service, try(statement.Condition.ArnLike["kms:EncryptionContext:aws:logs:arn"][0], null)]]) == jsonencode([["events.amazonaws.com", null], ["logs.eu-west-1.amazonaws.com", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-buffer-waiter"]])
    error_message = "What a key's policy must let in is known without the key: ${jsonencode(output.kms_key_policy_statements)}"
  }
}

run "variables_of_the_module_are_not_the_callers" {
  command = plan
  variables {
    lambda = merge(var.lambda, { environment = { PROMETHEUS_URL = "http://other:9090" } })
  }
  expect_failures = [aws_lambda_function.this]
}
