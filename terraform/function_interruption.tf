# Instances that end without a hook: a hook stops neither a spot interruption, which leaves two minutes,
# nor a termination in the EC2 console. These rules send AWS's events about them to a function that
# deregisters, flushes and counts the instance. EC2 sends its event at once, Auto Scaling a minute or more
# later, when it has noticed. EC2's own events name no group: those of the whole account come through a
# queue, so that one call looks up many instances, and so that a burst of other fleets' events takes neither
# concurrency nor AWS's call budgets from the waiters. What cannot be delivered or done goes to a dead-letter
# queue of its own. The role may not complete a lifecycle action.

locals {
  # A few calls of at most 21 s each when AWS hangs (lifecycle/adapters/clients.py). Usually a second, and
  # a few more if EC2's answers lag behind its events. An event that runs out of time is retried.
  interruption_timeout_seconds = 130

  interruption_handler = {
    description     = "${var.name}: deregisters, flushes and counts an instance that ends without its hook"
    handler         = "handlers.interruption.handler"
    timeout_seconds = local.interruption_timeout_seconds
    network         = null

    environment = {
      INTERRUPTION_QUEUE_URL         = trimspace(aws_sqs_queue.interruption.url)
      INTERRUPTION_DLQ_URL           = local.dead_letter_queue_urls.interruption
      FLUSH_DOCUMENT_NAME            = one(aws_ssm_document.flush[*].name)
      FLUSH_DELIVERY_TIMEOUT_SECONDS = try(var.flush.delivery_timeout_seconds, null)
    }

    statements = concat(
      [local.describe_lifecycle_state, local.describe_instances, local.mark_and_count_instances, local.count_instances_that_left, local.consume_queue.interruption],
      [for statement in local.interruption_cloud_map_statements : statement if local.uses.operation],
      [for statement in [local.send_flush_document, local.send_to_instances_of_group] : statement if local.uses.flush],
      [{
        Sid    = "HandOver"
        Effect = "Allow"
        Action = ["sqs:SendMessage"]
        # The function writes dead letters, and Lambda the on-failure record with the function's own role.
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
      "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.mark_tag_key, local.owner_tag_key, local.counted_tag_key] }
    })
  })
  # The same on instances that have left the group: AWS removes its tag from one that is detached.
  count_instances_that_left = merge(local.mark_and_count_instances, {
    Sid = "MarkInstancesThatLeft"
    Condition = merge(local.mark_and_count_instances.Condition, {
      StringEquals = { "ec2:ResourceTag/${local.owner_tag_key}" = var.name }
    })
  })

  interruption_rules = {
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
        detail      = { AutoScalingGroupName = local.group_names }
      }
    }
  }
  # Those of EC2 go to the queue, those of Auto Scaling name the group and invoke the function.
  interruption_queue_rule_arns = [
    for key, arn in local.interruption_rule_arns : arn if key != "ended"
  ]

  # Put back after 15, 30, 60, then every 120 s for 20 minutes (lifecycle/decisions/interruption.py), and a few
  # lost receives. What the function could not even read by then (it crashed each time) SQS dead-letters.
  interruption_receives = 30

  # EC2 shows an instance for about an hour after its end; later it cannot be looked up how it ended.
  interruption_event_age_seconds = 1200
}

resource "aws_cloudwatch_event_rule" "interruption" {
  for_each = local.interruption_rules

  name          = local.interruption_rule_names[each.key]
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
  tags          = local.tags
}

resource "aws_cloudwatch_event_target" "interruption" {
  for_each = local.interruption_rules

  rule      = aws_cloudwatch_event_rule.interruption[each.key].name
  target_id = local.function_names.interruption
  arn       = each.key == "ended" ? aws_lambda_function.this["interruption"].arn : aws_sqs_queue.interruption.arn

  retry_policy {
    maximum_event_age_in_seconds = local.interruption_event_age_seconds
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter["interruption"].arn
  }
}

resource "aws_lambda_permission" "interruption_from_rule" {
  for_each = { for key, rule in local.interruption_rules : key => rule if key == "ended" }

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

resource "aws_sqs_queue" "interruption" {
  name = local.queue_names.interruption
  # The function's own timeout, not six times as long: a batch that it could not finish is urgent, and what
  # it does can be repeated.
  visibility_timeout_seconds = local.interruption_timeout_seconds
  message_retention_seconds  = local.queue_retention_seconds
  sqs_managed_sse_enabled    = var.encryption == null ? true : null
  kms_master_key_id          = local.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter["interruption"].arn
    maxReceiveCount     = local.interruption_receives
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.refuse_plain_http[local.queue_arns.interruption],
      {
        Sid       = "EventsOfEc2"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arns.interruption
        Condition = { ArnEquals = { "aws:SourceArn" = local.interruption_queue_rule_arns } }
      },
    ]
  })

  tags = local.tags
}

# As many instances as DescribeAutoScalingInstances takes at a time; the fewest concurrent batches that SQS
# allows.
resource "aws_lambda_event_source_mapping" "interruption" {
  event_source_arn                   = aws_sqs_queue.interruption.arn
  function_name                      = aws_lambda_function.this["interruption"].arn
  batch_size                         = 50
  maximum_batching_window_in_seconds = 1
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }
}
