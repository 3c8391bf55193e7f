# What the evidence function may do, as Prometheus, its credentials and the network ask for it.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing", hosted_zone_id = "Z0123456789" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "without_options_the_evidence_function_may_write_its_log_and_nothing_else" {
  command = plan

  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.function["evidence"].policy).Statement : statement.Sid => [statement.Action, statement.Resource] }) == jsonencode({
      WriteOwnLogs = [["logs:CreateLogStream", "logs:PutLogEvents"], "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fluentd-evidence:*"]
    })
    error_message = "Without prometheus.auth it calls no AWS API: ${aws_iam_role_policy.function["evidence"].policy}"
  }
  assert {
    condition     = [for key, role in aws_iam_role_policy.function : key if strcontains(role.policy, "lambda:")] == ["buffer", "reconcile"]
    error_message = "Only who asks for evidence may invoke a function."
  }
}

run "managed_prometheus_is_queried_in_one_workspace" {
  command = plan
  variables {
    prometheus = { url = "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-0a1b2c", auth = { type = "sigv4" } }
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["evidence"].policy).Statement : "${statement.Action[0]} ${statement.Resource}"
      if statement.Sid == "QueryManagedPrometheus"
    ] == ["aps:QueryMetrics arn:aws:aps:us-east-1:123456789012:workspace/ws-0a1b2c"]
    error_message = "The workspace is the one in the URL, in the region of the URL."
  }
}

run "managed_prometheus_of_another_account_is_queried_as_its_role" {
  command = plan
  variables {
    prometheus = { url = "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-0a1b2c", auth = { type = "sigv4", role_arn = "arn:aws:iam::210987654321:role/reader" } }
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["evidence"].policy).Statement : "${statement.Action[0]} ${statement.Resource}"
      if statement.Sid != "WriteOwnLogs"
    ] == ["sts:AssumeRole arn:aws:iam::210987654321:role/reader"]
    error_message = "The role may query, the function may assume it and nothing else."
  }
  assert {
    condition     = aws_lambda_function.this["evidence"].environment[0].variables["PROMETHEUS_ROLE_ARN"] == "arn:aws:iam::210987654321:role/reader"
    error_message = "The function must know whom to act as."
  }
}

run "managed_prometheus_of_another_account_may_let_the_function_in_itself" {
  command = plan
  variables {
    prometheus = { url = "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-0a1b2c", auth = { type = "sigv4", account_id = "210987654321" } }
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.function["evidence"].policy, "arn:aws:aps:us-east-1:210987654321:workspace/ws-0a1b2c")
    error_message = "The identity's half of the permission names the workspace in its own account."
  }
}

run "secret_is_read_and_decrypted_through_secrets_manager" {
  command = plan
  variables {
    prometheus = {
      url = "http://prometheus:9090"
      auth = {
        type        = "basic"
        secret_arn  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:reader-AbCdEf"
        kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0123"
      }
    }
  }

  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_role_policy.function["evidence"].policy).Statement : statement
      if strcontains(statement.Sid, "Credentials")
      ]) == jsonencode([
      {
        Sid      = "ReadPrometheusCredentials"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:reader-AbCdEf"
      },
      {
        Sid       = "DecryptPrometheusCredentials"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = "arn:aws:kms:eu-west-1:123456789012:key/0123"
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.eu-west-1.amazonaws.com" } }
      },
    ])
    error_message = "The secret, and its key by way of Secrets Manager, and nothing else: ${aws_iam_role_policy.function["evidence"].policy}"
  }
}

run "parameter_is_read_and_decrypted_through_ssm" {
  command = plan
  variables {
    prometheus = {
      url = "http://prometheus:9090"
      auth = {
        type              = "bearer"
        ssm_parameter_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/prometheus/token"
        kms_key_arn       = "arn:aws:kms:eu-west-1:123456789012:key/0123"
      }
    }
  }

  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_role_policy.function["evidence"].policy).Statement : [statement.Action, statement.Resource, try(statement.Condition, null)]
      if strcontains(statement.Sid, "Credentials")
      ]) == jsonencode([
      [["ssm:GetParameter"], "arn:aws:ssm:eu-west-1:123456789012:parameter/prometheus/token", null],
      [["kms:Decrypt"], "arn:aws:kms:eu-west-1:123456789012:key/0123", { StringEquals = { "kms:ViaService" = "ssm.eu-west-1.amazonaws.com" } }],
    ])
    error_message = "The parameter, and its key by way of SSM, and nothing else: ${aws_iam_role_policy.function["evidence"].policy}"
  }
}

run "network_interfaces_are_for_lambda_not_for_the_code" {
  command = plan
  variables {
    network = { subnet_ids = ["subnet-0a", "subnet-0b"], security_group_ids = ["sg-0a"] }
  }

  assert {
    condition = alltrue([
      for key, function in aws_lambda_function.this : length(function.vpc_config) == (key == "evidence" ? 1 : 0)
    ])
    error_message = "Only the function that asks Prometheus belongs into the VPC."
  }
  assert {
    condition     = aws_lambda_function.this["evidence"].vpc_config[0].subnet_ids == toset(["subnet-0a", "subnet-0b"]) && aws_lambda_function.this["evidence"].vpc_config[0].security_group_ids == toset(["sg-0a"])
    error_message = "The function must run in the given subnets with the given security groups."
  }
  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_role_policy.function["evidence"].policy).Statement : statement if statement.Effect == "Deny"
      ]) == jsonencode([{
        Sid    = "RefuseNetworkInterfacesToCode"
        Effect = "Deny"
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
        ]
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-evidence" } }
    }])
    error_message = "What Lambda needs to place the function must be refused to the function."
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.function["evidence"].policy).Statement : statement.Resource if statement.Sid == "ManageNetworkInterfacesForLambda"]) == "arn:aws:ec2:eu-west-1:*:*/*"
    error_message = "A subnet that another account shares is of that account."
  }
  assert {
    condition     = alltrue([for key, role in aws_iam_role_policy.function : key == "evidence" || !strcontains(role.policy, "NetworkInterface")])
    error_message = "Functions outside the VPC need no network interfaces."
  }
}
