# Automation that gives up calls a person, in time. Every dead-letter queue has an alarm; each
# alarm's description says by when to act and what happens otherwise, worked out from the hooks'
# heartbeat timeouts, and where its runbook is: docs/runbooks/, one file an alarm, named by the
# alarm's suffix.

locals {
  metrics_namespace = "FluentdLifecycle"

  # The functions and SQS report once a minute, and CloudWatch looks once a minute.
  alarm_delay_seconds = 120
  # But of a queue that nobody has used for about six hours, as is normal for a dead-letter queue, SQS
  # reports nothing, and begins again up to 15 minutes after it is used (Amazon SQS developer guide,
  # "Monitoring Amazon SQS queues using CloudWatch").
  idle_queue_alarm_delay_seconds = 900 + local.alarm_delay_seconds

  # So many intervals without a finished run of the reconciler are silence: one that fails, or comes a
  # little late, is none. CloudWatch looks back up to two periods further than it is told to, for points
  # that come late, and one good point in there keeps the alarm off.
  silent_intervals         = 3
  longest_silent_intervals = local.silent_intervals + 2
  reconcile_period_seconds = var.reconcile.interval_minutes * 60

  # What is left of a terminating instance's life when the alarm fires. A waiter that gives up sends
  # one last heartbeat; if none took over, the clock has run since the event, and the event's own
  # retries have used some of it. Of a waiter's giving up its own metric tells, whenever SQS does.
  seconds_to_act = {
    given_up  = var.timing.terminate_heartbeat_timeout_seconds - local.alarm_delay_seconds
    operation = var.timing.terminate_heartbeat_timeout_seconds - local.alarm_delay_seconds
    flush     = var.timing.terminate_heartbeat_timeout_seconds - local.alarm_delay_seconds
    buffer    = var.timing.terminate_heartbeat_timeout_seconds - local.alarm_delay_seconds
    functions = var.timing.terminate_heartbeat_timeout_seconds - local.alarm_delay_seconds
    event     = var.timing.terminate_heartbeat_timeout_seconds - local.idle_queue_alarm_delay_seconds - local.event_age_seconds
    lifecycle = var.timing.terminate_heartbeat_timeout_seconds - local.idle_queue_alarm_delay_seconds - local.event_age_seconds * 2
    silent    = var.timing.terminate_heartbeat_timeout_seconds - local.alarm_delay_seconds - local.longest_silent_intervals * local.reconcile_period_seconds
  }
  act = {
    for key, seconds in local.seconds_to_act :
    key => seconds >= 120 ? "Act within ${floor(seconds / 60)} minutes." : "Act at once."
  }

  then_lost = "Then EC2 Auto Scaling applies the hook's default result, ABANDON: the instance ends with every log it still buffers, unless the group's instance lifecycle policy retains it."

  # What becomes of a launching instance, where launches wait for Cloud Map.
  launch_replaced   = local.uses.operation ? " A launching one is ended and replaced after ${var.timing.launch_heartbeat_timeout_seconds} s." : ""
  launches_replaced = local.uses.operation ? " Launching ones are ended and replaced after ${var.timing.launch_heartbeat_timeout_seconds} s." : ""

  # An overflow that so many looks of the reconciler in a row have found is one that it cannot mend.
  overflow_looks   = 3
  overflow_minutes = local.overflow_looks * var.reconcile.interval_minutes
  overflow_lasts   = local.overflow_minutes >= 120 && local.overflow_minutes % 60 == 0 ? "${local.overflow_minutes / 60} hours" : "${local.overflow_minutes} minutes"

  # The other reason to give up, unless a service may become empty. Short, since CloudWatch allows
  # 1,024 characters and names are long.
  no_successor = try(var.cloud_map.allow_empty, false) ? "" : ", or it is the last aggregator of its service and no successor came (start one; cloud_map.allow_empty lets it go without)"

  dead_letter_alarms = {
    operation    = "${local.act.operation} Cloud Map did not confirm in time that an instance of ${var.autoscaling_group_name} was registered or deregistered${local.no_successor}, and the waiter has given up. A terminating instance is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after that. ${local.then_lost}${local.launch_replaced}"
    flush        = "${local.act.flush} Fluentd on an instance of ${var.autoscaling_group_name} that is to be terminated could not be flushed, or has given chunks up and set them aside, and the waiter has given up. The instance is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after that. ${local.then_lost}"
    buffer       = "${local.act.buffer} An instance of ${var.autoscaling_group_name} that is to be terminated could not be proven empty, and the waiter has given up. The instance is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after that. ${local.then_lost}"
    lifecycle    = "${local.act.lifecycle} The lifecycle handler failed on an event of ${var.autoscaling_group_name}: nothing was started for that instance, and nothing keeps it alive. The alarm function-errors fires at its first error already. A terminating instance is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after the event. ${local.then_lost}${local.launch_replaced}"
    interruption = "Act at once. AWS takes an instance of ${var.autoscaling_group_name} away, or it has ended, and the function ${local.function_names.interruption} could not do what is left to do: it may still be in service discovery, where one dead entry keeps forwarders from seeing any change, or may not have been told to flush. A spot instance lives for two minutes after EC2's warning."
    event        = "${local.act.event} EventBridge could not hand an event of ${var.autoscaling_group_name} to the lifecycle handler: nothing was started for that instance, and nothing keeps it alive. A terminating instance is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after the event. ${local.then_lost}${local.launch_replaced}"
  }

  other_alarms = {
    check-message-dead-lettered = "${local.act.given_up} A waiter has given up on an instance of ${var.autoscaling_group_name}, perhaps on a further one. The alarm of its dead-letter queue (${join(", ", [for stage in keys(local.stages) : "${stage}-dlq"])}) may be on since an earlier one, or follow up to 15 min later. The instance is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after that. ${local.then_lost}${local.launch_replaced}"
    reconciler-silent           = "${local.act.silent} The reconciler has not finished a look at ${var.autoscaling_group_name} for ${local.silent_intervals} intervals of ${var.reconcile.interval_minutes} min: its schedule is off, it is throttled, or it fails. Nobody makes up for lost events. If no function runs, nobody sends heartbeats: a terminating instance is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after its last one. ${local.then_lost} (Also on after the first apply, until the first look.)"

    lifecycle-action-expired = "Act at once. A lifecycle action of ${var.autoscaling_group_name} ended before the functions ended it: its heartbeat timed out, or somebody completed it. There is no deadline left: the instance may be gone with logs in its buffer. If the group retains instances on abandon, it waits, alive and billed, until a person ends it."
    unclean-termination      = "Act at once. An instance of ${var.autoscaling_group_name} ended without proof that it held no logs, or EC2 is about to take it (a spot instance lives for two minutes after its warning). It is out of service discovery and, if that is set up, was told to flush. No hook can hold it: what it could not flush in time is lost, unless its disk outlives it."
    retention-policy-missing = "No instance is in danger yet; act this week. ${var.autoscaling_group_name} has no instance lifecycle policy that retains on abandon: an aggregator that nobody can prove empty in time is ended, with every log it still buffers, instead of being kept."
    function-errors          = "${local.act.functions} A function of ${var.name} raised an error: a bug, a wrong setting or a missing permission, not a slow drain. Instances that wait meanwhile get no heartbeat and are kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after their last one. ${local.then_lost}${local.launches_replaced}"
    shard-overflow           = "Act within a day. For ${local.overflow_lasts} more than eight aggregators of ${var.autoscaling_group_name} have been in one Cloud Map service. A DNS answer holds eight, chosen at random: forwarders lose and find members at every refresh, and the load is uneven. No log is lost by it. cloud_map.shards = ${try(var.cloud_map.shards, 1)} carries ${8 * try(var.cloud_map.shards, 1)} aggregators."
  }

  used_dead_letter_alarms = { for key, text in local.dead_letter_alarms : key => text if lookup(local.uses, key, true) }

  used_other_alarms = {
    for suffix, text in local.other_alarms : suffix => text
    if lookup({ shard-overflow = local.uses.operation, retention-policy-missing = var.alarms.retention_policy }, suffix, true)
  }

  # The metrics that the functions report, by the suffix of their alarm.
  reported_metrics = {
    # CloudWatch notifies of changes only, and a dead-letter queue's alarm stays on for as long as one
    # message lies there. This one is off again a few minutes later, and tells of the next one, too.
    # What SQS itself moves (a waiter that crashes each time) is not in it: function-errors tells.
    check-message-dead-lettered = { metric_name = "CheckMessageDeadLettered", statistic = "Sum", period = 60, evaluation_periods = 1, treat_missing_data = "notBreaching" }

    lifecycle-action-expired = { metric_name = "LifecycleActionExpired", statistic = "Sum", period = 60, evaluation_periods = 1, treat_missing_data = "notBreaching" }
    unclean-termination      = { metric_name = "UncleanTermination", statistic = "Sum", period = 60, evaluation_periods = 1, treat_missing_data = "notBreaching" }
    # The reconciler reports it when it finds one, and moves what has room elsewhere: what is still there
    # after three looks has none. Every period has to hold a look, or the alarm could never fire; one
    # without a report is one without an overflow. The operation waiter reports it, too, for a launch that
    # finds no room. CloudWatch looks back seven days at most, and one day if a period is shorter than an
    # hour: three of the longest intervals (a day) and three of 59 minutes are within that.
    shard-overflow = { metric_name = "ShardOverflow", statistic = "Maximum", period = var.reconcile.interval_minutes * 60, evaluation_periods = local.overflow_looks, treat_missing_data = "notBreaching" }
    # Between two looks nothing is known: the alarm stays as it is.
    retention-policy-missing = { metric_name = "RetentionPolicyMissing", statistic = "Maximum", period = var.reconcile.interval_minutes * 60, evaluation_periods = 1, treat_missing_data = "ignore" }
  }
  used_reported_metrics = { for suffix, metric in local.reported_metrics : suffix => metric if contains(keys(local.used_other_alarms), suffix) }

  # Alarm suffix = runbook file name.
  alarm_descriptions = {
    for suffix, text in merge({ for key, text in local.used_dead_letter_alarms : "${key}-dlq" => text }, local.used_other_alarms) :
    suffix => "${text} Runbook: ${var.alarms.runbook_base_url}/${suffix}.md"
  }
  alarm_names = { for suffix in keys(local.alarm_descriptions) : suffix => "${var.name}-${suffix}" }
}

resource "aws_cloudwatch_metric_alarm" "dead_letter" {
  for_each = local.used_dead_letter_alarms

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

# What the functions report themselves. They report it only when it happens: no data is no alarm.
resource "aws_cloudwatch_metric_alarm" "reported" {
  for_each = local.used_reported_metrics

  alarm_name        = local.alarm_names[each.key]
  alarm_description = local.alarm_descriptions[each.key]

  namespace           = local.metrics_namespace
  metric_name         = each.value.metric_name
  dimensions          = { service = var.name }
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.evaluation_periods
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = each.value.treat_missing_data

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

# If no function runs at all (the account's concurrency is used up, the schedule is off), none of the
# alarms above has anything to go by, and heartbeats have stopped. So the silence of what runs on a
# schedule is an alarm. The metric is of every finished look, in either mode. CloudWatch allows a day
# for all periods together, and a week if a period is an hour or longer.
resource "aws_cloudwatch_metric_alarm" "reconciler_silent" {
  alarm_name        = local.alarm_names["reconciler-silent"]
  alarm_description = local.alarm_descriptions["reconciler-silent"]

  namespace           = local.metrics_namespace
  metric_name         = "InServiceInstances"
  dimensions          = { service = var.name }
  statistic           = "SampleCount"
  period              = local.reconcile_period_seconds
  evaluation_periods  = local.silent_intervals
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"

  alarm_actions = var.alarms.actions
  ok_actions    = var.alarms.ok_actions
  tags          = var.tags
}
