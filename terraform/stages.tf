# A stage is a queue, its dead-letter queue and a waiter. "Not yet" returns the message to its queue
# (ReportBatchItemFailures): the queue is the clock, the message's age the deadline, and a redrive resumes
# exactly where a drain stopped.

locals {
  # Null for a stage that is not in use. A URL is known after the apply only; trimspace has Terraform
  # know before that it is not null, so that a plan lists the variables of the functions.
  queue_urls = {
    for stage in ["operation", "flush", "buffer"] : stage => local.uses[stage] ? trimspace(aws_sqs_queue.stage[stage].url) : null
  }
  dead_letter_queue_urls = { for key, queue in aws_sqs_queue.dead_letter : key => trimspace(queue.url) }

  # Those of the stages in use, and those of the events that reach no stage.
  used_dead_letter_queues = { for key, name in local.dead_letter_queue_names : key => name if lookup(local.uses, key, true) }

  # Four days: longer than any lifecycle action can last (48 h), so no message expires unseen.
  queue_retention_seconds = 345600
  # Fourteen days, the most that SQS offers.
  dead_letter_retention_seconds = 1209600

  # The senders' roles say who may send what to which queue. The queues' own policies only refuse
  # unencrypted transport, and allow our rules to send undelivered events.
  refuse_plain_http = {
    for arn in concat(values(local.queue_arns), values(local.dead_letter_queue_arns)) : arn => {
      Sid       = "RefusePlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
  }
  dead_letter_queue_senders = {
    event = [{
      Sid       = "UndeliveredLifecycleEvents"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.dead_letter_queue_arns.event
      Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arn } }
    }]
    interruption = [{
      Sid       = "UndeliveredEvents"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.dead_letter_queue_arns.interruption
      Condition = { ArnEquals = { "aws:SourceArn" = values(local.interruption_rule_arns) } }
    }]
  }
}

resource "aws_sqs_queue" "stage" {
  for_each = local.stages

  name                       = local.queue_names[each.key]
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  message_retention_seconds  = local.queue_retention_seconds
  sqs_managed_sse_enabled    = var.encryption == null ? true : null
  kms_master_key_id          = local.kms_key_arn

  # A waiter dead-letters a message itself when it times out, with the reason; this is for the messages of a
  # waiter that crashes.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter[each.key].arn
    maxReceiveCount     = each.value.max_receive_count
  })

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.refuse_plain_http[local.queue_arns[each.key]]]
  })

  tags = local.tags
}

resource "aws_sqs_queue" "dead_letter" {
  for_each = local.used_dead_letter_queues

  name                      = each.value
  message_retention_seconds = local.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = var.encryption == null ? true : null
  kms_master_key_id         = local.kms_key_arn

  redrive_allow_policy = (
    contains(keys(local.queue_arns), each.key)
    ? jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [local.queue_arns[each.key]] })
    : jsonencode({ redrivePermission = "denyAll" })
  )

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.refuse_plain_http[local.dead_letter_queue_arns[each.key]]],
      lookup(local.dead_letter_queue_senders, each.key, []),
    )
  })

  tags = local.tags
}

resource "aws_lambda_event_source_mapping" "stage" {
  for_each = local.stages

  event_source_arn        = aws_sqs_queue.stage[each.key].arn
  function_name           = aws_lambda_function.this[each.key].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.lambda.maximum_concurrency
  }
}
