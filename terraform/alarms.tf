# All alarms. Each is named by a suffix, which is also the file name of its runbook in docs/runbooks. Its
# description is the deadline for the operator, one sentence, and the link to that runbook.

locals {
  topics_elsewhere = [
    for arn in concat(var.alarms.actions, var.alarms.ok_actions) : arn
    if can(regex("^arn:[^:]+:sns:", arn)) && try(regex("^arn:[^:]+:sns:([^:]+):", arn)[0], "") != local.region
  ]
  metrics_namespace = "FluentdLifecycle"

  # The functions and SQS report once a minute, and CloudWatch evaluates once a minute.
  alarm_delay_seconds = 120
  # SQS stops reporting a queue that was not used for about six hours, as is normal for a dead-letter
  # queue, and begins again up to 15 minutes after it is used (Amazon SQS developer guide, "Monitoring
  # Amazon SQS queues using CloudWatch").
  idle_queue_alarm_delay_seconds = 900 + local.alarm_delay_seconds

  # The reconciler is silent after so many intervals without a finished run. CloudWatch also takes points
  # of up to two earlier periods, for points that come late; one good point keeps the alarm off.
  silent_intervals         = 3
  longest_silent_intervals = local.silent_intervals + 2
  reconcile_period_seconds = var.reconcile.interval_minutes * 60

  # A shard overflows if the reconciler finds it so in this many runs in a row: it cannot mend it.
  overflow_intervals = 3
  overflow_minutes   = local.overflow_intervals * var.reconcile.interval_minutes
  overflow_duration  = local.overflow_minutes >= 120 && local.overflow_minutes % 60 == 0 ? "${local.overflow_minutes / 60} hours" : "${local.overflow_minutes} minutes"

  # The group is short of capacity if the reconciler sees it so in each of these runs: the first and the
  # last of them are at least 20 minutes apart, longer than a launch takes.
  short_intervals = ceil(20 / var.reconcile.interval_minutes) + 1
  short_minutes   = (local.short_intervals - 1) * var.reconcile.interval_minutes

  # A heartbeat alarm stays on from poll to poll: it takes one failure within the longest pause.
  heartbeat_periods = ceil(var.timing.poll_interval_max_seconds / 60) + 1

  # What is left of the terminate hook's heartbeat timeout when the alarm fires, by the last recorded
  # heartbeat before. A waiter that times out sends one last heartbeat. If heartbeats fail, it times out
  # after two thirds of the heartbeat timeout without one (lifecycle/decisions/heartbeats.py); the second
  # failure, and the first after half of the heartbeat timeout, may come a lost receive later. Before the
  # first stage there was none since the event, and the event's own retries have used some of the time.
  seconds_to_act = {
    for last_heartbeat, seconds_before in {
      timed_out = local.alarm_delay_seconds
      unheard   = local.alarm_delay_seconds + ceil(var.timing.terminate_heartbeat_timeout_seconds * 2 / 3)
      failing   = local.alarm_delay_seconds + local.longest_terminate_pause_seconds + var.timing.poll_interval_max_seconds
      overdue   = local.alarm_delay_seconds + local.longest_terminate_pause_seconds + ceil(var.timing.terminate_heartbeat_timeout_seconds / 2)
      silent    = local.alarm_delay_seconds + local.longest_silent_intervals * local.reconcile_period_seconds
      event     = local.idle_queue_alarm_delay_seconds + local.event_age_seconds
      lifecycle = local.idle_queue_alarm_delay_seconds + local.event_age_seconds * 2
    } : last_heartbeat => var.timing.terminate_heartbeat_timeout_seconds - seconds_before
  }
  act = {
    for last_heartbeat, seconds in local.seconds_to_act :
    last_heartbeat => seconds >= 120 ? "Act within ${floor(seconds / 60)} minutes." : "Act at once."
  }

  # Of the alarms of a waiter that timed out: either it could send its last heartbeat, or not.
  act_on_timeout = (
    local.seconds_to_act.timed_out < 120 ? "Act at once." :
    "${trimsuffix(local.act.timed_out, ".")} (${local.seconds_to_act.unheard >= 120 ? floor(local.seconds_to_act.unheard / 60) : "at once"} if heartbeats-failing is on)."
  )

  no_successor = try(var.cloud_map.allow_empty, false) ? "" : ", or it is the last aggregator of its service and no successor came (start one, or set cloud_map.allow_empty)"

  # Null for an alarm that is not in use.
  alarm_texts = {
    check-message-dead-lettered = "${local.act_on_timeout} A waiter timed out on one or more instances of ${var.autoscaling_group_name}; the alarm of its dead-letter queue (${join(", ", [for stage in keys(local.stages) : "${stage}-dlq"])}) may be on already, or follow up to 15 min later."

    operation-dlq = !local.uses.operation ? null : "${local.act_on_timeout} The operation waiter timed out: Cloud Map did not confirm in time that an instance of ${var.autoscaling_group_name} was registered or deregistered${local.no_successor}; a launching instance is replaced ${var.timing.launch_heartbeat_timeout_seconds} s after its last recorded heartbeat."
    flush-dlq     = !local.uses.flush ? null : "${local.act_on_timeout} The flush waiter timed out: Fluentd on a terminating instance of ${var.autoscaling_group_name} could not be flushed, or has moved chunks to its backup folder."
    buffer-dlq    = !local.uses.buffer ? null : "${local.act_on_timeout} The buffer waiter timed out: a terminating instance of ${var.autoscaling_group_name} could not be proven empty."

    event-dlq        = "${local.act.event} EventBridge could not deliver an event of ${var.autoscaling_group_name} to the lifecycle handler: its instance is in no stage and gets no heartbeats."
    lifecycle-dlq    = "${local.act.lifecycle} The lifecycle handler failed on an event of ${var.autoscaling_group_name}: its instance is in no stage and gets no heartbeats."
    interruption-dlq = "Act at once. ${local.function_names.interruption} failed on an instance of ${var.autoscaling_group_name} that EC2 ends or has ended: the instance may still be in service discovery, or not have been flushed."

    function-errors   = "${local.act.timed_out} A function of ${var.name} raised an error (a bug, a wrong setting or a missing permission, not a slow drain): instances that wait for it get no heartbeats."
    reconciler-silent = "${local.act.silent} The reconciler has not finished a run on ${var.autoscaling_group_name} for ${local.silent_intervals} intervals of ${var.reconcile.interval_minutes} min: lost events are not found, and if no function runs at all, no instance gets heartbeats (normal until the first run after the first apply)."

    heartbeats-failing = "${local.act.failing} Heartbeats fail, twice in a row, for one or more instances of ${var.autoscaling_group_name} (a missing permission, or EC2 Auto Scaling itself): each is kept for ${var.timing.terminate_heartbeat_timeout_seconds} s after its last recorded heartbeat${local.uses.operation ? ", ${var.timing.launch_heartbeat_timeout_seconds} s while it launches" : ""}."
    heartbeats-overdue = "${local.act.overdue} For half of its hook's heartbeat timeout no heartbeat of an instance of ${var.autoscaling_group_name} was recorded: its waiter times out at two thirds, and the log line heartbeat_failed says until when it is kept (kept_until)."

    capacity-short = "Act before the next peak. For ${local.short_minutes} minutes ${var.autoscaling_group_name} has had less capacity in service than desired: launches fail, perhaps each for the same reason, or none is made. Nothing is lost while forwarders can buffer."

    lifecycle-action-expired = "Act at once. A lifecycle action of ${var.autoscaling_group_name} ended before the functions completed it: its instance is retained by the group, or may have ended with logs in its buffer."
    unclean-termination      = "Act at once. An instance of ${var.autoscaling_group_name} ended, or EC2 is about to end it, without proof that it holds no logs."
    retention-policy-missing = !var.alarms.retention_policy ? null : "Act this week. ${var.autoscaling_group_name} has no instance lifecycle policy that retains on abandon: an instance that is not proven empty in time ends with its logs."
    instance-left-group      = "Act within the hour. An instance that ${var.name} took over is out of ${var.autoscaling_group_name} (detached, moved, or its group was replaced): no hook drains it, and its end may lose logs."
    shard-overflow           = !local.uses.operation ? null : "Act within a day. For ${local.overflow_duration} more than eight aggregators of ${var.autoscaling_group_name} have been in one Cloud Map service, of which forwarders see eight at a time: cloud_map.shards = ${var.cloud_map.shards} carries ${8 * var.cloud_map.shards} aggregators."

    readiness-unknown = !local.uses.readiness ? null : "Act within a day. An instance of ${var.autoscaling_group_name} was registered although nothing was known of its Fluentd for ${var.cloud_map.readiness_unknown_seconds} s (no series, or Prometheus or the evidence function fails): forwarders may find it before it listens."

    instances-not-provable = "Act within a day, and before the next scale-in. In each run of the reconciler for ten minutes, and for the window of a proof, the same instances of ${var.autoscaling_group_name} in service could not have been proven empty: their drains would time out. The log line instance_not_provable says which and why."
  }
  alarm_descriptions = {
    for suffix, text in local.alarm_texts : suffix => "${text} Runbook: ${local.runbook_base_url}/${suffix}.md" if text != null
  }
  alarm_names = { for suffix in keys(local.alarm_descriptions) : suffix => "${var.name}-${suffix}" }

  # The metrics that the functions report, by the suffix of their alarm. The functions report most of them
  # only when something happened: by default no data is no alarm.
  reported_metrics = {
    # CloudWatch notifies of changes only, and the alarm of a dead-letter queue stays on while one message
    # lies there. This one is off again a few minutes later, and notifies of the next message, too. Messages
    # that SQS itself dead-letters (the waiter crashed each time) are not in it: function-errors fires.
    check-message-dead-lettered = { metric_name = "CheckMessageDeadLettered" }
    lifecycle-action-expired    = { metric_name = "LifecycleActionExpired" }
    unclean-termination         = { metric_name = "UncleanTermination" }
    readiness-unknown           = { metric_name = "ReadinessUnknown" }

    # 1 for the first failed heartbeat of an instance, 2 from the second in a row or if its tag cannot tell,
    # 3 from half of the hook's heartbeat timeout on.
    heartbeats-failing = { metric_name = "HeartbeatsFailed", statistic = "Maximum", threshold = 1, evaluation_periods = local.heartbeat_periods, datapoints_to_alarm = 1 }
    heartbeats-overdue = { metric_name = "HeartbeatsFailed", statistic = "Maximum", threshold = 2, evaluation_periods = local.heartbeat_periods, datapoints_to_alarm = 1 }

    # Each period has to hold a run of the reconciler, or the alarm could never fire; a period without a
    # report is one without an overflow. The operation waiter reports it, too, for a launch that finds no
    # room. CloudWatch allows seven days for all periods together, and one day if a period is shorter than an
    # hour: three of the longest intervals (a day) and three of 59 minutes are within that.
    shard-overflow = { metric_name = "ShardOverflow", statistic = "Maximum", period = local.reconcile_period_seconds, evaluation_periods = local.overflow_intervals }

    # Reported by each run, also when it is 0.
    instances-not-provable = { metric_name = "InstancesNotProvable", statistic = "Maximum", period = local.reconcile_period_seconds }

    # Between two runs nothing is known: the alarms stay as they are.
    instance-left-group      = { metric_name = "InstancesLeftGroup", statistic = "Maximum", period = local.reconcile_period_seconds, treat_missing_data = "ignore" }
    capacity-short           = { metric_name = "CapacityShort", statistic = "Minimum", period = local.reconcile_period_seconds, evaluation_periods = local.short_intervals, treat_missing_data = "ignore" }
    retention-policy-missing = { metric_name = "RetentionPolicyMissing", statistic = "Maximum", period = local.reconcile_period_seconds, treat_missing_data = "ignore" }
  }
  reported_metric_defaults = { statistic = "Sum", period = 60, evaluation_periods = 1, datapoints_to_alarm = null, threshold = 0, treat_missing_data = "notBreaching" }
}

resource "aws_cloudwatch_metric_alarm" "dead_letter" {
  for_each = local.used_dead_letter_queues

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
  tags          = local.tags
}

resource "aws_cloudwatch_metric_alarm" "reported" {
  for_each = {
    for suffix, metric in local.reported_metrics : suffix => merge(local.reported_metric_defaults, metric) if contains(keys(local.alarm_descriptions), suffix)
  }

  alarm_name        = local.alarm_names[each.key]
  alarm_description = local.alarm_descriptions[each.key]

  namespace           = local.metrics_namespace
  metric_name         = each.value.metric_name
  dimensions          = { service = var.name }
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints_to_alarm
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = each.value.treat_missing_data

  alarm_actions = var.alarms.actions
  ok_actions    = var.alarms.ok_actions
  tags          = local.tags
}

resource "aws_cloudwatch_metric_alarm" "function_errors" {
  alarm_name        = local.alarm_names["function-errors"]
  alarm_description = local.alarm_descriptions["function-errors"]

  lifecycle {
    precondition {
      condition     = length(local.topics_elsewhere) == 0
      error_message = "CloudWatch notifies only SNS topics of its own region, ${local.region}; no page would come from ${join(", ", local.topics_elsewhere)}. Put topics of ${local.region} into alarms.actions and alarms.ok_actions."
    }
  }

  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"

  # SUM over the array counts the functions that ran; a + b + c would have no value if one did not.
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
  tags          = local.tags
}

# If no function runs at all (the account's concurrency is used up, the schedule is off), heartbeats stop
# and none of the other alarms gets data. The reconciler reports this metric in each finished run, in
# either mode. CloudWatch allows a day for all periods together, and a week if a period is an hour or
# longer.
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
  tags          = local.tags
}
