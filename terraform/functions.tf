# What all functions share: one zip, and for each function a log group, a role and a policy. Its IAM
# statements and its environment are in its own file (function_*.tf, stage_*.tf). Log groups come first
# and have a retention; a role may write to its own group and cannot create one, which would keep its
# lines for ever.

locals {
  functions = {
    for key, function in {
      lifecycle    = local.lifecycle_handler
      interruption = local.interruption_handler
      operation    = local.operation_waiter
      flush        = local.flush_waiter
      buffer       = local.buffer_waiter
      evidence     = local.evidence_function
      reconcile    = local.reconciler
    } : key => function if function != null
  }

  common_environment = {
    POWERTOOLS_SERVICE_NAME      = var.name
    POWERTOOLS_METRICS_NAMESPACE = local.metrics_namespace
    POWERTOOLS_LOG_LEVEL         = var.lambda.log_level
    AUTOSCALING_GROUP_NAME       = var.autoscaling_group_name
    MODULE_VERSION               = local.module_version
  }
  # Of the functions that call AWS about instances: all but the evidence function.
  fleet_environment = {
    LAUNCH_HOOK_NAME      = try(local.hooks.launch.name, null)
    TERMINATE_HOOK_NAME   = local.hooks.terminate.name
    CLOUD_MAP_SERVICE_IDS = local.uses.operation ? join(",", local.cloud_map_service_ids) : null
    CLOUD_MAP_PORT        = try(var.cloud_map.port, null)
    ALLOW_EMPTY_SERVICE   = try(var.cloud_map.allow_empty, null)
    OPERATION_QUEUE_URL   = local.queue_urls.operation
  }
  # A variable that is null is left out: the function knows its default.
  environments = {
    for key, function in local.functions : key => {
      for name, value in merge(local.common_environment, key == "evidence" ? {} : local.fleet_environment, function.environment) : name => value if value != null
    }
  }
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${local.function_names[each.key]}"
  retention_in_days = var.lambda.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = local.tags
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = local.function_names[each.key]
  description          = each.value.description
  path                 = var.iam.role_path
  permissions_boundary = var.iam.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = local.function_names[each.key]
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "WriteOwnLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.log_group_arns[each.key]}:*"
      }],
      each.value.statements,
      local.key_statements[each.key],
    )
  })
}

resource "aws_lambda_function" "this" {
  for_each = local.functions

  function_name = local.function_names[each.key]
  description   = each.value.description
  role          = aws_iam_role.function[each.key].arn

  filename          = local.package_path
  source_code_hash  = !local.package_from_s3 && local.package_exists ? filebase64sha256(local.package_path) : null
  s3_bucket         = try(var.lambda.package.s3.bucket, null)
  s3_key            = try(var.lambda.package.s3.key, null)
  s3_object_version = try(var.lambda.package.s3.object_version, null)

  handler                        = each.value.handler
  runtime                        = var.lambda.runtime
  architectures                  = [var.lambda.architecture]
  memory_size                    = var.lambda.memory_mb
  timeout                        = each.value.timeout_seconds
  reserved_concurrent_executions = coalesce(var.lambda.reserved_concurrency, -1)

  # What the runtime prints itself (an uncaught error, a time-out) is one JSON object a line, too.
  logging_config {
    log_format = "JSON"
  }

  kms_key_arn = local.kms_key_arn

  environment {
    variables = merge(var.lambda.environment, local.environments[each.key])
  }

  dynamic "vpc_config" {
    for_each = each.value.network[*]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  tags = local.tags

  lifecycle {
    precondition {
      condition     = length(setintersection(keys(var.lambda.environment), keys(local.environments[each.key]))) == 0
      error_message = "lambda.environment must not name what the module sets itself: ${join(", ", setintersection(keys(var.lambda.environment), keys(local.environments[each.key])))}. Use the input that this variable stands for."
    }
  }

  depends_on = [
    aws_cloudwatch_log_group.function,
    aws_iam_role_policy.function,
    terraform_data.package,
  ]
}
