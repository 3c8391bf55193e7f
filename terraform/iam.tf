# Statements that several roles hold, one for each purpose. `Resource` is "*" only where AWS has no
# resource-level permission; a comment says so.

locals {
  # DescribeInstances and DescribeAutoScalingInstances have no resource-level permission.
  describe_instances = {
    Sid      = "DescribeInstances"
    Effect   = "Allow"
    Action   = ["ec2:DescribeInstances"]
    Resource = "*"
  }
  describe_lifecycle_state = {
    Sid      = "DescribeLifecycleState"
    Effect   = "Allow"
    Action   = ["autoscaling:DescribeAutoScalingInstances"]
    Resource = "*"
  }

  # The state tag and its owner's, on this group's instances only.
  mark_instances = {
    Sid      = "MarkInstancesOfGroup"
    Effect   = "Allow"
    Action   = ["ec2:CreateTags"]
    Resource = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:instance/*"
    Condition = {
      StringEquals                = { "ec2:ResourceTag/aws:autoscaling:groupName" = local.group_name_pattern }
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.mark_tag_key, local.owner_tag_key] }
    }
  }

  # The tag that tells since when heartbeats fail; removed when one is recorded.
  mark_failing_heartbeats = merge(local.mark_instances, {
    Sid    = "MarkFailingHeartbeats"
    Action = ["ec2:CreateTags", "ec2:DeleteTags"]
    Condition = merge(local.mark_instances.Condition, {
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.failing_tag_key] }
    })
  })

  # The tag that tells when a launching instance was last known not to be ready.
  mark_not_ready = merge(local.mark_instances, {
    Sid = "MarkNotReady"
    Condition = merge(local.mark_instances.Condition, {
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.not_ready_tag_key] }
    })
  })

  # The tag that tells when a queue of Fluentd may have been cleared at a retry limit.
  mark_queue_cleared = merge(local.mark_instances, {
    Sid = "MarkQueueCleared"
    Condition = merge(local.mark_instances.Condition, {
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.queue_cleared_tag_key] }
    })
  })

  complete_lifecycle_action = {
    Sid      = "EndTheWait"
    Effect   = "Allow"
    Action   = ["autoscaling:CompleteLifecycleAction"]
    Resource = local.autoscaling_group_arn
  }
  keep_lifecycle_action_alive = {
    Sid      = "ProlongOrEndTheWait"
    Effect   = "Allow"
    Action   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    Resource = local.autoscaling_group_arn
  }

  consume_queue = {
    for stage in keys(local.queue_arns) : stage => {
      Sid    = "ConsumeOwnQueue"
      Effect = "Allow"
      Action = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
      ]
      Resource = local.queue_arns[stage]
    }
  }

  # GetInstance and ListInstances have no resource-level permission, but a condition key for the service.
  look_up_registration = {
    Sid       = "LookUpRegistration"
    Effect    = "Allow"
    Action    = ["servicediscovery:GetInstance"]
    Resource  = "*"
    Condition = { StringEquals = { "servicediscovery:ServiceArn" = local.cloud_map_service_arns } }
  }
  list_registrations = {
    Sid       = "ListRegistrations"
    Effect    = "Allow"
    Action    = ["servicediscovery:ListInstances"]
    Resource  = "*"
    Condition = { StringEquals = { "servicediscovery:ServiceArn" = local.cloud_map_service_arns } }
  }
  # GetOperation has neither.
  look_up_operation = {
    Sid      = "LookUpOperation"
    Effect   = "Allow"
    Action   = ["servicediscovery:GetOperation"]
    Resource = "*"
  }

  register_and_deregister = {
    Sid      = "RegisterAndDeregister"
    Effect   = "Allow"
    Action   = ["servicediscovery:RegisterInstance", "servicediscovery:DeregisterInstance"]
    Resource = local.cloud_map_service_arns
  }
  deregister = {
    Sid      = "Deregister"
    Effect   = "Allow"
    Action   = ["servicediscovery:DeregisterInstance"]
    Resource = local.cloud_map_service_arns
  }

  # Cloud Map works on Route 53 with its caller's permissions (AWS Cloud Map API permissions
  # reference). An aggregator is an SRV record and an address record, nothing else.
  change_dns_records = {
    Sid      = "ChangeDnsRecordsThroughCloudMap"
    Effect   = "Allow"
    Action   = ["route53:ChangeResourceRecordSets"]
    Resource = "arn:${local.partition}:route53:::hostedzone/${coalesce(try(var.cloud_map.hosted_zone_id, null), "*")}"
    Condition = {
      "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = ["A", "AAAA", "SRV"] }
    }
  }
  # The same reference requires these, with or without a health check, whose id cannot be known here.
  manage_health_checks = {
    Sid      = "HealthChecksThroughCloudMap"
    Effect   = "Allow"
    Action   = ["route53:GetHealthCheck", "route53:UpdateHealthCheck", "route53:DeleteHealthCheck"]
    Resource = "arn:${local.partition}:route53:::healthcheck/*"
  }
  # CreateHealthCheck has no resource-level permission.
  create_health_checks = {
    Sid      = "CreateHealthChecksThroughCloudMap"
    Effect   = "Allow"
    Action   = ["route53:CreateHealthCheck"]
    Resource = "*"
  }

  register_statements = [
    local.register_and_deregister,
    local.look_up_registration,
    local.list_registrations,
    local.change_dns_records,
    local.manage_health_checks,
    local.create_health_checks,
  ]

  # SendCommand needs both: the document, and the instance that it is sent to.
  send_flush_document = {
    Sid      = "SendFlushDocument"
    Effect   = "Allow"
    Action   = ["ssm:SendCommand"]
    Resource = local.flush_document_arn
  }
  send_to_instances_of_group = {
    Sid      = "SendToInstancesOfGroup"
    Effect   = "Allow"
    Action   = ["ssm:SendCommand"]
    Resource = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:instance/*"
    Condition = {
      StringEquals = { "ssm:resourceTag/aws:autoscaling:groupName" = local.group_name_pattern }
    }
  }
  # GetCommandInvocation has no resource-level permission.
  look_up_command = {
    Sid      = "LookUpCommand"
    Effect   = "Allow"
    Action   = ["ssm:GetCommandInvocation"]
    Resource = "*"
  }
}
