# Instances that end whatever their hook says. A hook stops neither a spot reclaim, which leaves two
# minutes, nor whoever ends an instance past it. These rules hand what AWS tells of that to a function
# that takes the instance out of Cloud Map, has it flush and counts it. EC2's own events name no group,
# so the function asks Auto Scaling whose instance it is. EC2 tells at once that an instance ends, Auto
# Scaling a minute or more later, when it has noticed. What cannot be delivered or done is kept in a
# queue of its own that alarms. The role can let no instance go.

locals {
  interruption_handler = {
    description = "${var.name}: takes out, flushes and counts an instance that ends past its hook"
    handler     = "handlers.interruption.handler"
    # A few calls, of at most 21 s each when AWS hangs (lifecycle/adapters/clients.py); usually a second, and some
    # more where EC2's answers lag behind its events. What runs out of time is tried again.
    timeout_seconds = 130
    network         = null

    environment = {
      FLUSH_DOCUMENT_NAME            = one(aws_ssm_document.flush[*].name)
      FLUSH_DELIVERY_TIMEOUT_SECONDS = try(var.flush.delivery_timeout_seconds, null)
    }

    statements = concat(
      [local.describe_lifecycle_state, local.describe_instances, local.mark_and_count_instances],
      [for statement in local.interruption_cloud_map_statements : statement if local.uses.operation],
      [for statement in [local.send_flush_document, local.send_to_instances_of_group] : statement if local.uses.flush],
      [{
        Sid    = "HandOver"
        Effect = "Allow"
        Action = ["sqs:SendMessage"]
        # Lambda writes the on-failure record with the function's own role.
        Resource = [local.dead_letter_queue_arns.interruption]
      }],
    )
  }

  # Whether others are in the service is looked up before one that is only recommended leaves it, and
  # whether it was registered itself before one without a mark does.
  interruption_cloud_map_statements = [
    local.deregister,
    local.list_registrations,
    local.change_dns_records,
    local.manage_health_checks,
  ]

  # Beside the mark, a tag by which an end is counted once.
  mark_and_count_instances = merge(local.mark_instances, {
    Condition = merge(local.mark_instances.Condition, {
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.mark_tag_key, local.counted_tag_key] }
    })
  })

  all_interruption_rules = {
    spot = {
      description = "Spot instances of the account that EC2 takes back, or may; ${local.function_names.interruption} ignores those of others"
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
      }
    }
    shutting-down = {
      description = "Instances of the account that EC2 ends, whoever asked for it; ${local.function_names.interruption} ignores those of others"
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EC2 Instance State-change Notification"]
        detail      = { state = ["shutting-down"] }
      }
    }
    ended = {
      description = "Instances of ${var.autoscaling_group_name} that have ended, however they did"
      pattern = {
        source      = ["aws.autoscaling"]
        detail-type = ["EC2 Instance Terminate Successful", "EC2 Instance Terminate Unsuccessful"]
        detail      = { AutoScalingGroupName = [var.autoscaling_group_name] }
      }
    }
  }
  # Without Cloud Map there is nothing that a dead instance would have to leave at once.
  interruption_rules = { for key, rule in local.all_interruption_rules : key => rule if key != "shutting-down" || local.uses.operation }

  # EC2 shows an instance for about an hour after its end; later nobody can tell how it ended.
  interruption_event_age_seconds = 1200
}

resource "aws_cloudwatch_event_rule" "interruption" {
  for_each = local.interruption_rules

  name          = local.interruption_rule_names[each.key]
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "interruption" {
  for_each = local.interruption_rules

  rule      = aws_cloudwatch_event_rule.interruption[each.key].name
  target_id = local.function_names.interruption
  arn       = aws_lambda_function.this["interruption"].arn

  retry_policy {
    maximum_event_age_in_seconds = local.interruption_event_age_seconds
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter["interruption"].arn
  }
}

resource "aws_lambda_permission" "interruption_from_rule" {
  for_each = local.interruption_rules

  statement_id  = "${each.key}-events"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["interruption"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.interruption[each.key].arn
}

resource "aws_lambda_function_event_invoke_config" "interruption" {
  function_name                = aws_lambda_function.this["interruption"].function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = local.interruption_event_age_seconds

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letter["interruption"].arn
    }
  }
}
