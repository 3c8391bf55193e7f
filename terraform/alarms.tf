# Automation that gives up calls a person, in time. Every dead-letter queue has an alarm; each
# alarm's description says what happens next and by when, worked out from the hooks' heartbeat
# timeouts, and where its runbook is: docs/runbooks/, one file an alarm, named by the alarm's suffix.

locals {
  metrics_namespace = "FluentdLifecycle"

  minutes = {
    # From the last heartbeat, which a waiter sends when it gives up.
    launch    = floor(var.timing.launch_heartbeat_timeout_seconds / 60)
    terminate = floor(var.timing.terminate_heartbeat_timeout_seconds / 60)
    # No waiter took over, so the clock has run since the event; its retries have used some of it.
    after_undelivered_event = floor((var.timing.terminate_heartbeat_timeout_seconds - local.event_age_seconds) / 60)
    after_failed_handler    = floor((var.timing.terminate_heartbeat_timeout_seconds - 2 * local.event_age_seconds) / 60)
  }

  then_lost = "Then EC2 Auto Scaling applies the hook's default result, ABANDON, and the instance ends with every log it still buffers, unless the group's instance lifecycle policy retains it."

  dead_letter_alarms = {
    operation = "Cloud Map did not confirm in time that an instance of ${var.autoscaling_group_name} was registered or deregistered; the waiter has given up. A terminating instance is kept for ${local.minutes.terminate} minutes from now. ${local.then_lost} A launching one is ended and replaced after ${local.minutes.launch} minutes."
    buffer    = "An instance of ${var.autoscaling_group_name} that is to be terminated could not be proven empty; the waiter has given up. It is kept for ${local.minutes.terminate} minutes from now. ${local.then_lost}"
    lifecycle = "The lifecycle handler failed on an event of ${var.autoscaling_group_name}: nothing was started for that instance, and nothing keeps it alive. A terminating instance may have only ${max(0, local.minutes.after_failed_handler)} minutes left from now. ${local.then_lost} A launching one is ended and replaced within ${local.minutes.launch} minutes."
    event     = "EventBridge could not hand a lifecycle event of ${var.autoscaling_group_name} to the handler: nothing was started for that instance, and nothing keeps it alive. A terminating instance may have only ${max(0, local.minutes.after_undelivered_event)} minutes left from now. ${local.then_lost} A launching one is ended and replaced within ${local.minutes.launch} minutes."
  }

  other_alarms = {
    lifecycle-action-expired = "A lifecycle action of ${var.autoscaling_group_name} ended before the functions ended it: its heartbeat timed out or somebody completed it. The instance may have been terminated with logs in its buffer; whatever is to be saved must be saved now. No further deadline: it has passed, unless the group retains instances, which then wait until a person ends them."
    function-errors          = "A function of ${var.name} raised an error: a bug, a wrong setting or a missing permission, not a slow drain. Instances that wait meanwhile get no heartbeat and may be lost in ${local.minutes.terminate} minutes from now (launching ones are replaced after ${local.minutes.launch}). ${local.then_lost}"
  }

  # Alarm suffix = runbook file name.
  alarm_descriptions = {
    for suffix, text in merge({ for key, text in local.dead_letter_alarms : "${key}-dlq" => text }, local.other_alarms) :
    suffix => "${text} Runbook: ${var.alarms.runbook_base_url}/${suffix}.md"
  }
  alarm_names = { for suffix in keys(local.alarm_descriptions) : suffix => "${var.name}-${suffix}" }
}

resource "aws_cloudwatch_metric_alarm" "dead_letter" {
  for_each = local.dead_letter_alarms

  alarm_name        = local.alarm_names["${each.key}-dlq"]
  alarm_description = local.alarm_descriptions["${each.key}-dlq"]

  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letter[each.key].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  # SQS stops reporting queues that are not used.
  treat_missing_data = "notBreaching"

  alarm_actions = var.alarms.actions
  ok_actions    = var.alarms.ok_actions
  tags          = var.tags
}

resource "aws_cloudwatch_metric_alarm" "lifecycle_action_expired" {
  alarm_name        = local.alarm_names["lifecycle-action-expired"]
  alarm_description = local.alarm_descriptions["lifecycle-action-expired"]

  namespace           = local.metrics_namespace
  metric_name         = "LifecycleActionExpired"
  dimensions          = { service = var.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  # The functions only report it when it happens.
  treat_missing_data = "notBreaching"

  alarm_actions = var.alarms.actions
  ok_actions    = var.alarms.ok_actions
  tags          = var.tags
}

resource "aws_cloudwatch_metric_alarm" "function_errors" {
  alarm_name        = local.alarm_names["function-errors"]
  alarm_description = local.alarm_descriptions["function-errors"]

  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"

  # SUM over the array counts whichever functions ran; a + b + c would be missing if one did not.
  metric_query {
    id          = "errors"
    label       = "Errors of all functions"
    expression  = "SUM(METRICS())"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.functions
    iterator = function
    content {
      id = function.key
      metric {
        namespace   = "AWS/Lambda"
        metric_name = "Errors"
        dimensions  = { FunctionName = local.function_names[function.key] }
        stat        = "Sum"
        period      = 60
      }
    }
  }

  alarm_actions = var.alarms.actions
  ok_actions    = var.alarms.ok_actions
  tags          = var.tags
}
