# The evidence function, with `prometheus`: asks Prometheus about the instances that a waiter names, and
# returns a verdict for each. It is the only function that calls something else than AWS, so the only one
# with credentials and, with `network`, with network interfaces in a VPC. Without `prometheus.auth` it
# calls no AWS API: such a VPC needs neither NAT nor endpoint, and no route of it can stop a heartbeat.

locals {
  prometheus_auth            = local.uses.buffer ? var.prometheus.auth : { type = "none", secret_arn = null, ssm_parameter_arn = null, kms_key_arn = null, region = null, role_arn = null, account_id = null }
  prometheus_credentials_arn = try(coalesce(local.prometheus_auth.secret_arn, local.prometheus_auth.ssm_parameter_arn), null)
  prometheus_uses_sigv4      = local.prometheus_auth.type == "sigv4"

  # https://aps-workspaces.REGION.amazonaws.com/workspaces/ws-... names its own region and workspace.
  prometheus_workspace_id = try(regex("/workspaces/(ws-[A-Za-z0-9-]+)", var.prometheus.url)[0], "")
  prometheus_region = !local.prometheus_uses_sigv4 ? null : coalesce(
    local.prometheus_auth.region,
    try(regex("^https://aps-workspaces(?:-fips)?\\.([a-z0-9-]+)\\.", var.prometheus.url)[0], local.region),
  )

  evidence_function = !local.uses.buffer ? null : {
    description     = "${var.name}: asks Prometheus whether instances are proven empty and quiet"
    handler         = "handlers.evidence.handler"
    timeout_seconds = local.evidence_timeout_seconds
    network         = var.network

    environment = {
      PROMETHEUS_URL                     = var.prometheus.url
      PROMETHEUS_DIALECT                 = var.prometheus.dialect
      PROMETHEUS_REQUEST_TIMEOUT_SECONDS = var.prometheus.request_timeout_seconds
      PROMETHEUS_METHOD                  = var.prometheus.method
      PROMETHEUS_HEADERS                 = length(var.prometheus.headers) == 0 ? null : jsonencode(var.prometheus.headers)
      PROMETHEUS_CA_CERTIFICATES         = var.prometheus.ca_certificates
      PROMETHEUS_AUTH                    = var.prometheus.auth.type
      PROMETHEUS_CREDENTIALS_ARN         = local.prometheus_credentials_arn
      PROMETHEUS_REGION                  = local.prometheus_region
      PROMETHEUS_ROLE_ARN                = var.prometheus.auth.role_arn
    }

    statements = concat(local.prometheus_statements, local.network_statements)
  }

  # Of a function that asks it: what counts as proof goes along with each question.
  proof_environment = !local.uses.buffer ? {} : {
    EVIDENCE_FUNCTION_NAME               = local.function_names.evidence
    EVIDENCE_TIMEOUT_SECONDS             = local.longest_evidence_seconds
    EMPTY_FOR_SECONDS                    = var.timing.empty_for_seconds
    SETTLE_SECONDS                       = local.budget.settle_seconds
    PROMETHEUS_SCRAPE_INTERVAL_SECONDS   = var.prometheus.scrape_interval_seconds
    PROMETHEUS_INSTANCE_LABEL            = var.prometheus.instance_label
    PROMETHEUS_IDENTIFY_BY               = var.prometheus.identify_by
    PROMETHEUS_METRIC_PREFIX             = var.prometheus.metric_prefix
    PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS = var.prometheus.expected_buffered_outputs
    PROMETHEUS_HEARTBEAT_PLUGIN_ID       = var.prometheus.heartbeat_plugin_id
  }
  ask_for_evidence = {
    Sid      = "AskForEvidence"
    Effect   = "Allow"
    Action   = ["lambda:InvokeFunction"]
    Resource = local.function_arns.evidence
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
    local.prometheus_auth.role_arn == null ? [] : [{
      Sid      = "ActAsPrometheusReader"
      Effect   = "Allow"
      Action   = ["sts:AssumeRole"]
      Resource = local.prometheus_auth.role_arn
    }],
    !local.prometheus_uses_sigv4 || local.prometheus_auth.role_arn != null ? [] : [{
      Sid      = "QueryManagedPrometheus"
      Effect   = "Allow"
      Action   = ["aps:QueryMetrics"]
      Resource = "arn:${local.partition}:aps:${local.prometheus_region}:${coalesce(local.prometheus_auth.account_id, local.account_id)}:workspace/${local.prometheus_workspace_id}"
    }],
  )

  # Lambda creates and deletes the network interfaces with the function's role. The Describe actions have
  # no resource-level permission; the others need every interface, and every subnet, which may be shared by
  # another account: the interfaces' ids cannot be known here ("Giving Lambda functions access to resources in an Amazon VPC").
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
      Resource = "arn:${local.partition}:ec2:${local.region}:*:*/*"
    }],
    var.network == null ? [] : [{
      Sid       = "RefuseNetworkInterfacesToCode"
      Effect    = "Deny"
      Action    = concat(local.network_interface_actions, local.network_describe_actions)
      Resource  = "*"
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arns.evidence } }
    }],
  )
}
