# The last stage, with `prometheus`: Prometheus must prove that the instance has held and received nothing
# for `empty_for`. This is the only function that calls something else than AWS, so the only one with
# credentials and, with `network`, with network interfaces in a VPC.

locals {
  prometheus_auth            = local.uses.buffer ? var.prometheus.auth : { type = "none", secret_arn = null, ssm_parameter_arn = null, kms_key_arn = null, region = null }
  prometheus_credentials_arn = try(coalesce(local.prometheus_auth.secret_arn, local.prometheus_auth.ssm_parameter_arn), null)
  prometheus_uses_sigv4      = local.prometheus_auth.type == "sigv4"

  # https://aps-workspaces.REGION.amazonaws.com/workspaces/ws-... names its own region and workspace.
  prometheus_workspace_id = try(regex("/workspaces/(ws-[A-Za-z0-9-]+)", var.prometheus.url)[0], "")
  prometheus_region = !local.prometheus_uses_sigv4 ? null : coalesce(
    local.prometheus_auth.region,
    try(regex("^https://aps-workspaces(?:-fips)?\\.([a-z0-9-]+)\\.", var.prometheus.url)[0], local.region),
  )

  buffer_waiter = !local.uses.buffer ? null : {
    description     = "${var.name}: waits until a deregistered instance is proven empty and quiet"
    handler         = "waiters.buffer.handler"
    timeout_seconds = var.lambda.buffer_waiter_timeout_seconds
    network         = var.network

    environment = {
      BUFFER_QUEUE_URL                    = local.queue_urls.buffer
      BUFFER_DLQ_URL                      = local.dead_letter_queue_urls.buffer
      POLL_INTERVAL_SECONDS               = var.timing.poll_interval_seconds
      POLL_INTERVAL_MAX_SECONDS           = var.timing.poll_interval_max_seconds
      TIMEOUT_SECONDS                     = var.timing.drain_timeout_seconds
      VISIBILITY_TIMEOUT_SECONDS          = local.stages.buffer.visibility_timeout_seconds
      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = var.timing.terminate_heartbeat_timeout_seconds
      EMPTY_FOR_SECONDS                   = var.timing.empty_for_seconds
      SETTLE_SECONDS                      = local.budget.settle_seconds

      PROMETHEUS_URL                       = var.prometheus.url
      PROMETHEUS_DIALECT                   = var.prometheus.dialect
      PROMETHEUS_REQUEST_TIMEOUT_SECONDS   = var.prometheus.request_timeout_seconds
      PROMETHEUS_SCRAPE_INTERVAL_SECONDS   = var.prometheus.scrape_interval_seconds
      PROMETHEUS_AUTH                      = var.prometheus.auth.type
      PROMETHEUS_CREDENTIALS_ARN           = local.prometheus_credentials_arn
      PROMETHEUS_REGION                    = local.prometheus_region
      PROMETHEUS_INSTANCE_LABEL            = var.prometheus.instance_label
      PROMETHEUS_IDENTIFY_BY               = var.prometheus.identify_by
      PROMETHEUS_METRIC_PREFIX             = var.prometheus.metric_prefix
      PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS = var.prometheus.expected_buffered_outputs
      PROMETHEUS_HEARTBEAT_PLUGIN_ID       = var.prometheus.heartbeat_plugin_id
    }

    statements = concat(
      [
        local.describe_lifecycle_state,
        local.describe_instances, # its state tag tells a late duplicate message what was proven
        local.keep_lifecycle_action_alive,
        local.mark_failing_heartbeats,
        local.mark_instances,
      ],
      local.uses.operation ? [local.look_up_registration] : [],
      [
        local.consume_queue.buffer,
        {
          Sid    = "HandOver"
          Effect = "Allow"
          Action = ["sqs:SendMessage"]
          Resource = concat(
            [local.dead_letter_queue_arns.buffer],
            [for stage in ["operation"] : local.queue_arns[stage] if local.uses[stage]],
          )
        },
      ],
      local.prometheus_statements,
      local.network_statements,
    )
  }

  prometheus_statements = concat(
    local.prometheus_auth.secret_arn == null ? [] : [{
      Sid      = "ReadPrometheusCredentials"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = local.prometheus_auth.secret_arn
    }],
    local.prometheus_auth.ssm_parameter_arn == null ? [] : [{
      Sid      = "ReadPrometheusCredentials"
      Effect   = "Allow"
      Action   = ["ssm:GetParameter"]
      Resource = local.prometheus_auth.ssm_parameter_arn
    }],
    # Only through the service that holds the credentials.
    local.prometheus_auth.kms_key_arn == null ? [] : [{
      Sid      = "DecryptPrometheusCredentials"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = local.prometheus_auth.kms_key_arn
      Condition = {
        StringEquals = {
          "kms:ViaService" = "${local.prometheus_auth.secret_arn != null ? "secretsmanager" : "ssm"}.${local.region}.${data.aws_partition.current.dns_suffix}"
        }
      }
    }],
    !local.prometheus_uses_sigv4 ? [] : [{
      Sid      = "QueryManagedPrometheus"
      Effect   = "Allow"
      Action   = ["aps:QueryMetrics"]
      Resource = "arn:${local.partition}:aps:${local.prometheus_region}:${local.account_id}:workspace/${local.prometheus_workspace_id}"
    }],
  )

  # Lambda creates and deletes the network interfaces with the function's role. The Describe actions have
  # no resource-level permission; the others need every interface and subnet of the account, since the
  # interfaces' ids cannot be known here ("Giving Lambda functions access to resources in an Amazon VPC").
  # The Deny keeps all of it from the function's own code.
  network_interface_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]
  network_describe_actions = [
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
  ]
  network_statements = concat(
    var.network == null ? [] : [{
      Sid      = "DescribeNetworkForLambda"
      Effect   = "Allow"
      Action   = local.network_describe_actions
      Resource = "*"
    }],
    var.network == null ? [] : [{
      Sid      = "ManageNetworkInterfacesForLambda"
      Effect   = "Allow"
      Action   = local.network_interface_actions
      Resource = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:*/*"
    }],
    var.network == null ? [] : [{
      Sid       = "RefuseNetworkInterfacesToCode"
      Effect    = "Deny"
      Action    = concat(local.network_interface_actions, local.network_describe_actions)
      Resource  = "*"
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arns.buffer } }
    }],
  )
}
