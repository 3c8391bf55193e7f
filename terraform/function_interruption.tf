# Instances that end without a hook: a hook stops neither a spot interruption, which leaves two minutes,
# nor a termination in the EC2 console. These rules send AWS's events about them to a function that
# deregisters, flushes and counts the instance. EC2's own events name no group, so the function looks the
# instance's group up. EC2 sends its event at once, Auto Scaling a minute or more later, when it has
# noticed. What cannot be delivered or done goes to a dead-letter queue of its own. The role may not
# complete a lifecycle action.

locals {
  interruption_handler = {
    description = "${var.name}: deregisters, flushes and counts an instance that ends without its hook"
    handler     = "handlers.interruption.handler"
    # A few calls of at most 21 s each when AWS hangs (lifecycle/adapters/clients.py). Usually a second, and
    # a few more if EC2's answers lag behind its events. An event that runs out of time is retried.
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

  # Before the function deregisters an instance with a mere rebalance recommendation, it lists the other
  # instances of the service; before one without a state tag, whether it was registered at all.
  interruption_cloud_map_statements = [
    local.deregister,
    local.list_registrations,
    local.change_dns_records,
    local.manage_health_checks,
  ]

  # Besides the state tag, a tag by which each end is counted once.
  mark_and_count_instances = merge(local.mark_instances, {
    Condition = merge(local.mark_instances.Condition, {
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.mark_tag_key, local.counted_tag_key] }
    })
  })

  all_interruption_rules = {
    spot = {
      description = "Spot instances of the account that EC2 reclaims, or may reclaim; ${local.function_names.interruption} ignores those of others"
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
      }
    }
    shutting-down = {
      description = "Instances of the account that EC2 terminates or stops, for any reason; ${local.function_names.interruption} ignores those of others"
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EC2 Instance State-change Notification"]
        detail      = { state = ["shutting-down", "stopping"] }
      }
    }
    ended = {
      description = "Instances of ${var.autoscaling_group_name} that have ended, for any reason"
      pattern = {
        source      = ["aws.autoscaling"]
        detail-type = ["EC2 Instance Terminate Successful", "EC2 Instance Terminate Unsuccessful"]
        detail      = { AutoScalingGroupName = [var.autoscaling_group_name] }
      }
    }
  }
  # Without Cloud Map an instance that ends needs no deregistration at once.
  interruption_rules = { for key, rule in local.all_interruption_rules : key => rule if key != "shutting-down" || local.uses.operation }

  # EC2 shows an instance for about an hour after its end; later it cannot be looked up how it ended.
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
