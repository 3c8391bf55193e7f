# A stage is a queue, its dead-letter queue and a waiter. "Not yet" returns the message to its queue
# (ReportBatchItemFailures), so the queue is the clock, its age the deadline, and a redrive resumes
# exactly where a drain stopped. A further stage is one more entry in `local.stages`.

locals {
  stages = {
    operation = {
      visibility_timeout_seconds = local.budget.operation.visibility_timeout_seconds
      max_receive_count          = local.budget.operation.max_receive_count
    }
    buffer = {
      visibility_timeout_seconds = local.budget.buffer.visibility_timeout_seconds
      max_receive_count          = local.budget.buffer.max_receive_count
    }
  }

  # Four days: longer than any lifecycle action can last (48 h), so no message expires unseen.
  queue_retention_seconds = 345600
  # Fourteen days, the most SQS offers: nobody has to hurry for the sake of the message.
  dead_letter_retention_seconds = 1209600

  # Who may put what into which queue is up to the senders' roles. The queues themselves only refuse
  # unencrypted transport, and the event queue lets our rule in.
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
  }
}

resource "aws_sqs_queue" "stage" {
  for_each = local.stages

  name                       = local.queue_names[each.key]
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  message_retention_seconds  = local.queue_retention_seconds
  sqs_managed_sse_enabled    = true

  # The waiter itself sends what it gives up to the dead-letter queue, with the reason; this is for
  # the messages of a waiter that crashes.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter[each.key].arn
    maxReceiveCount     = each.value.max_receive_count
  })

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.refuse_plain_http[local.queue_arns[each.key]]]
  })

  tags = var.tags
}

resource "aws_sqs_queue" "dead_letter" {
  for_each = local.dead_letter_queue_names

  name                      = each.value
  message_retention_seconds = local.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true

  redrive_allow_policy = (
    contains(keys(local.stages), each.key)
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

  tags = var.tags
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
