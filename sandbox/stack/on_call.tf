# Where alarms notify: a queue, so that tests and the demo can read the messages.

resource "aws_sns_topic" "on_call" {
  name = "${var.name}-on-call"
}

resource "aws_sqs_queue" "on_call" {
  name = "${var.name}-on-call"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "*"
    }]
  })
}

resource "aws_sns_topic_subscription" "on_call" {
  topic_arn = aws_sns_topic.on_call.arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.on_call.arn
}
