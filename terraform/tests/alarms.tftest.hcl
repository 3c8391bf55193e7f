# Which alarm notifies whom, of what, by when, and where its runbook is.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms = {
    actions          = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    ok_actions       = ["arn:aws:sns:eu-west-1:123456789012:quiet"]
    runbook_base_url = "https://wiki.internal/runbooks"
  }
  lambda = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "every_dead_letter_queue_is_watched" {
  command = plan

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.dead_letter) == keys(aws_sqs_queue.dead_letter)
    error_message = "A dead-letter queue without an alarm loses logs in silence."
  }
  assert {
    condition = alltrue([
      for key, alarm in aws_cloudwatch_metric_alarm.dead_letter :
      alarm.namespace == "AWS/SQS" && alarm.metric_name == "ApproximateNumberOfMessagesVisible" &&
      alarm.dimensions == tomap({ QueueName = "fluentd-${key}-dlq" }) && alarm.threshold == 0 &&
      alarm.comparison_operator == "GreaterThanThreshold" && alarm.statistic == "Maximum" && alarm.period == 60 && alarm.evaluation_periods == 1
    ])
    error_message = "One message is one too many."
  }
}

run "a_topic_of_another_region_is_refused" {
  command = plan
  variables {
    alarms = { actions = ["arn:aws:sns:eu-west-2:123456789012:on-call"] }
  }
  expect_failures = [aws_cloudwatch_metric_alarm.function_errors]
}

run "actions_of_other_services_may_be_anywhere" {
  command = plan
  variables {
    alarms = { actions = ["arn:aws:lambda:eu-west-2:123456789012:function:page", "arn:aws-eusc:sns:eu-west-1:123456789012:on-call"] }
  }
}

run "every_giving_up_is_told_however_full_the_dead_letter_queue_is" {
  command = plan

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].namespace == "FluentdLifecycle" && aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].metric_name == "CheckMessageDeadLettered" &&
      aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].dimensions == tomap({ service = "fluentd" }) && aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].statistic == "Sum" &&
      aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].threshold == 0 && aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].comparison_operator == "GreaterThanThreshold"
    )
    error_message = "The waiters emit CheckMessageDeadLettered in FluentdLifecycle with the dimension service, once for each message."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].period == 60 && aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].evaluation_periods == 1 && aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].treat_missing_data == "notBreaching"
    error_message = "It must be off again soon, or the next dead letter changes no state and sends no notification."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].alarm_description, "Act within 58 minutes (18 if heartbeats-failing is on).") && strcontains(aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].alarm_description, "(buffer-dlq, operation-dlq)")
    error_message = "It says by when, and which alarms it goes before: ${aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"].alarm_description}"
  }
}

run "a_reconciler_that_says_nothing_is_told" {
  command = plan

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.reconciler_silent.namespace == "FluentdLifecycle" && aws_cloudwatch_metric_alarm.reconciler_silent.metric_name == "InServiceInstances" &&
      aws_cloudwatch_metric_alarm.reconciler_silent.dimensions == tomap({ service = "fluentd" }) && aws_cloudwatch_metric_alarm.reconciler_silent.statistic == "SampleCount" &&
      aws_cloudwatch_metric_alarm.reconciler_silent.threshold == 1 && aws_cloudwatch_metric_alarm.reconciler_silent.comparison_operator == "LessThanThreshold"
    )
    error_message = "The reconciler emits InServiceInstances once for each finished look, however many there are."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.reconciler_silent.period == 300 && aws_cloudwatch_metric_alarm.reconciler_silent.evaluation_periods == 3 && aws_cloudwatch_metric_alarm.reconciler_silent.treat_missing_data == "breaching"
    error_message = "One run that fails is no silence; three in a row without one that ends are."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.reconciler_silent.alarm_description, "Act within 33 minutes.") && strcontains(aws_cloudwatch_metric_alarm.reconciler_silent.alarm_description, " for 3 intervals of 5 min:")
    error_message = "By then heartbeats may have been missing for five intervals: ${aws_cloudwatch_metric_alarm.reconciler_silent.alarm_description}"
  }
}

run "the_longest_interval_is_within_the_limit_of_cloudwatch" {
  command = plan
  variables {
    reconcile = { mode = "observe", interval_minutes = 1440 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.reconciler_silent.period == 86400 && aws_cloudwatch_metric_alarm.reconciler_silent.period * aws_cloudwatch_metric_alarm.reconciler_silent.evaluation_periods <= 604800
    error_message = "All periods of an alarm may be a week long, if one is an hour or longer."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.reconciler_silent.alarm_description, "Act at once.")
    error_message = "After days of silence no time is left."
  }
}

run "an_interval_of_less_than_an_hour_is_within_the_limit_of_cloudwatch" {
  command = plan
  variables {
    reconcile = { mode = "observe", interval_minutes = 59 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.reconciler_silent.period * aws_cloudwatch_metric_alarm.reconciler_silent.evaluation_periods <= 86400
    error_message = "All periods of an alarm may be a day long."
  }
}

run "every_alarm_is_heard_and_quiet_without_data" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.dead_letter), values(aws_cloudwatch_metric_alarm.reported), [aws_cloudwatch_metric_alarm.function_errors, aws_cloudwatch_metric_alarm.reconciler_silent]) :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:on-call"]) && alarm.ok_actions == toset(["arn:aws:sns:eu-west-1:123456789012:quiet"]) && alarm.treat_missing_data == lookup({ RetentionPolicyMissing = "ignore", InstancesLeftGroup = "ignore", InServiceInstances = "breaching" }, coalesce(alarm.metric_name, "none"), "notBreaching")
    ])
    error_message = "Every alarm tells the same people, and no data is no alarm, but where silence is what it is about."
  }
}

run "every_alarm_links_its_runbook" {
  command = plan
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"] }
  }

  assert {
    condition = output.alarm_names == {
      operation-dlq            = "fluentd-operation-dlq"
      flush-dlq                = "fluentd-flush-dlq"
      buffer-dlq               = "fluentd-buffer-dlq"
      lifecycle-dlq            = "fluentd-lifecycle-dlq"
      interruption-dlq         = "fluentd-interruption-dlq"
      event-dlq                = "fluentd-event-dlq"
      heartbeats-failing       = "fluentd-heartbeats-failing"
      heartbeats-overdue       = "fluentd-heartbeats-overdue"
      lifecycle-action-expired = "fluentd-lifecycle-action-expired"
      unclean-termination      = "fluentd-unclean-termination"
      function-errors          = "fluentd-function-errors"
      shard-overflow           = "fluentd-shard-overflow"
      instances-not-provable   = "fluentd-instances-not-provable"
      retention-policy-missing = "fluentd-retention-policy-missing"
      instance-left-group      = "fluentd-instance-left-group"

      check-message-dead-lettered = "fluentd-check-message-dead-lettered"
      reconciler-silent           = "fluentd-reconciler-silent"
    }
    error_message = "The alarms' names are agreed: ${jsonencode(output.alarm_names)}"
  }
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.dead_letter), values(aws_cloudwatch_metric_alarm.reported), [aws_cloudwatch_metric_alarm.function_errors, aws_cloudwatch_metric_alarm.reconciler_silent]) :
      endswith(alarm.alarm_description, " Runbook: https://wiki.internal/runbooks/${trimprefix(alarm.alarm_name, "fluentd-")}.md")
    ])
    error_message = "A description must end with the runbook named like the alarm."
  }
}

run "every_alarm_says_by_when_to_act" {
  command = plan
  variables {
    flush = { buffer_paths = ["/var/log/fluent/buffer"] }
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.dead_letter : key => split(".", alarm.alarm_description)[0] } == {
      operation    = "Act within 58 minutes (18 if heartbeats-failing is on)" # 3600 s or a third of it, and two minutes until the alarm
      flush        = "Act within 58 minutes (18 if heartbeats-failing is on)"
      buffer       = "Act within 58 minutes (18 if heartbeats-failing is on)"
      event        = "Act within 38 minutes" # 300 s of delivery attempts, and 15 minutes more until SQS reports
      lifecycle    = "Act within 33 minutes" # and 300 s of the handler's attempts
      interruption = "Act at once"           # no hook holds these
    }
    error_message = "The deadline must follow from the heartbeat timeout."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.function_errors.alarm_description, "Act within 58 minutes.") && startswith(aws_cloudwatch_metric_alarm.reported["lifecycle-action-expired"].alarm_description, "Act at once.")
    error_message = "The deadline must come first."
  }
}

run "a_last_aggregator_without_a_successor_is_named_as_a_cause" {
  command = plan

  assert {
    condition = alltrue([
      for words in ["the last aggregator of its service and no successor came", "cloud_map.allow_empty", "Runbook: "] :
      strcontains(aws_cloudwatch_metric_alarm.dead_letter["operation"].alarm_description, words)
    ])
    error_message = "The operator must not look for a failure of Cloud Map alone: ${aws_cloudwatch_metric_alarm.dead_letter["operation"].alarm_description}"
  }
}

run "where_a_service_may_be_empty_nobody_waits_for_a_successor" {
  command = plan
  variables {
    cloud_map = { service_id = "srv-existing", allow_empty = true }
  }

  assert {
    condition     = !strcontains(aws_cloudwatch_metric_alarm.dead_letter["operation"].alarm_description, "successor")
    error_message = "A cause that cannot be leads astray: ${aws_cloudwatch_metric_alarm.dead_letter["operation"].alarm_description}"
  }
}

run "short_heartbeats_leave_no_time" {
  command = plan
  variables {
    timing = {
      drain_timeout_seconds               = 1000
      operation_timeout_seconds           = 100
      poll_interval_max_seconds           = 20
      launch_heartbeat_timeout_seconds    = 141
      terminate_heartbeat_timeout_seconds = 141
    }
    reconcile  = { mode = "observe" } # which sets no limit to the heartbeat timeouts
    lambda     = merge(var.lambda, { operation_waiter_timeout_seconds = 20, buffer_waiter_timeout_seconds = 20 })
    prometheus = merge(var.prometheus, { request_timeout_seconds = 2 })
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.dead_letter), [aws_cloudwatch_metric_alarm.reported["check-message-dead-lettered"], aws_cloudwatch_metric_alarm.reconciler_silent]) : startswith(alarm.alarm_description, "Act at once.")])
    error_message = "A deadline of less than two minutes is none."
  }
}

run "descriptions_fit_with_the_longest_names_and_numbers" {
  command = plan
  variables {
    name                   = "fluentd-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    autoscaling_group_name = join("", [for number in range(255) : "g"])
    flush                  = { buffer_paths = ["/var/log/fluent/buffer"] }
    alarms                 = merge(var.alarms, { runbook_base_url = join("", [for number in range(201) : "u"]) })
    timing                 = { launch_heartbeat_timeout_seconds = 7200, terminate_heartbeat_timeout_seconds = 7200 }
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.dead_letter), values(aws_cloudwatch_metric_alarm.reported), [aws_cloudwatch_metric_alarm.function_errors, aws_cloudwatch_metric_alarm.reconciler_silent]) :
      length(alarm.alarm_description) <= 1024
    ])
    error_message = "CloudWatch allows 1,024 characters: ${max([for alarm in concat(values(aws_cloudwatch_metric_alarm.dead_letter), values(aws_cloudwatch_metric_alarm.reported), [aws_cloudwatch_metric_alarm.reconciler_silent]) : length(alarm.alarm_description)]...)}"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.function : length(role.name) <= 64]) && alltrue([for function in aws_lambda_function.this : length(function.function_name) <= 64 && length(function.description) <= 256])
    error_message = "Names of functions and roles have at most 64, descriptions of functions at most 256 characters."
  }
  assert {
    condition     = length(aws_cloudwatch_event_rule.lifecycle.name) <= 64 && length(aws_cloudwatch_event_rule.lifecycle.description) <= 512
    error_message = "A rule's name has at most 64, its description at most 512 characters."
  }
}

run "heartbeats_that_fail_are_watched" {
  command = plan

  assert {
    condition = alltrue([
      for suffix, threshold in { heartbeats-failing = 1, heartbeats-overdue = 2 } :
      aws_cloudwatch_metric_alarm.reported[suffix].namespace == "FluentdLifecycle" && aws_cloudwatch_metric_alarm.reported[suffix].metric_name == "HeartbeatsFailed" &&
      aws_cloudwatch_metric_alarm.reported[suffix].dimensions == tomap({ service = "fluentd" }) && aws_cloudwatch_metric_alarm.reported[suffix].statistic == "Maximum" &&
      aws_cloudwatch_metric_alarm.reported[suffix].threshold == threshold && aws_cloudwatch_metric_alarm.reported[suffix].comparison_operator == "GreaterThanThreshold"
    ])
    error_message = "The waiters report 1 for the first failed heartbeat, which is no alarm, 2 for the second in a row, 3 from half of the hook's time on."
  }
  assert {
    condition = alltrue([
      for suffix in ["heartbeats-failing", "heartbeats-overdue"] :
      aws_cloudwatch_metric_alarm.reported[suffix].period == 60 && aws_cloudwatch_metric_alarm.reported[suffix].evaluation_periods == 3 &&
      aws_cloudwatch_metric_alarm.reported[suffix].datapoints_to_alarm == 1 && aws_cloudwatch_metric_alarm.reported[suffix].treat_missing_data == "notBreaching"
    ])
    error_message = "Polls are at most two minutes apart: one failure in three minutes keeps the alarm on."
  }
  assert {
    # A lost receive (360 s) and two polls (120 s each) after the last recorded heartbeat, and two minutes until the alarm.
    condition     = startswith(aws_cloudwatch_metric_alarm.reported["heartbeats-failing"].alarm_description, "Act within 48 minutes.") && strcontains(aws_cloudwatch_metric_alarm.reported["heartbeats-failing"].alarm_description, "each is kept for 3600 s after its last recorded heartbeat, 900 s while it launches")
    error_message = "It says until when: ${aws_cloudwatch_metric_alarm.reported["heartbeats-failing"].alarm_description}"
  }
  assert {
    # Half of the time, a lost receive and a poll, and two minutes until the alarm.
    condition     = startswith(aws_cloudwatch_metric_alarm.reported["heartbeats-overdue"].alarm_description, "Act within 20 minutes.") && strcontains(aws_cloudwatch_metric_alarm.reported["heartbeats-overdue"].alarm_description, "kept_until")
    error_message = "It says until when: ${aws_cloudwatch_metric_alarm.reported["heartbeats-overdue"].alarm_description}"
  }
}

run "polls_that_are_ten_minutes_apart_keep_the_heartbeat_alarms_on" {
  command = plan
  variables {
    timing = { poll_interval_max_seconds = 600, launch_heartbeat_timeout_seconds = 3600 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["heartbeats-failing"].evaluation_periods == 11 && aws_cloudwatch_metric_alarm.reported["heartbeats-failing"].datapoints_to_alarm == 1
    error_message = "Off and on again at each poll would page at each poll."
  }
}

run "unclean_terminations_are_watched" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["unclean-termination"].namespace == "FluentdLifecycle" && aws_cloudwatch_metric_alarm.reported["unclean-termination"].metric_name == "UncleanTermination" && aws_cloudwatch_metric_alarm.reported["unclean-termination"].dimensions == tomap({ service = "fluentd" }) && aws_cloudwatch_metric_alarm.reported["unclean-termination"].statistic == "Sum" && aws_cloudwatch_metric_alarm.reported["unclean-termination"].threshold == 0
    error_message = "The function emits UncleanTermination in FluentdLifecycle with the dimension service."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.reported["unclean-termination"].alarm_description, "Act at once.")
    error_message = "The deadline must come first."
  }
}

run "a_shard_that_overflows_is_watched" {
  command = plan
  variables {
    cloud_map = { namespace_id = "ns-existing", shards = 3 }
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.reported["shard-overflow"].namespace == "FluentdLifecycle" && aws_cloudwatch_metric_alarm.reported["shard-overflow"].metric_name == "ShardOverflow" &&
      aws_cloudwatch_metric_alarm.reported["shard-overflow"].dimensions == tomap({ service = "fluentd" }) && aws_cloudwatch_metric_alarm.reported["shard-overflow"].threshold == 0
    )
    error_message = "One instance beyond eight is one too many."
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description, "cloud_map.shards = 3 carries 24 aggregators.")
    error_message = "The operator must learn how many the shards carry: ${aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description}"
  }
}

run "an_overflow_is_one_that_three_looks_of_the_reconciler_show" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["shard-overflow"].period == 300 && aws_cloudwatch_metric_alarm.reported["shard-overflow"].evaluation_periods == 3 && aws_cloudwatch_metric_alarm.reported["shard-overflow"].statistic == "Maximum"
    error_message = "The reconciler looks every five minutes."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["shard-overflow"].treat_missing_data == "notBreaching"
    error_message = "Only an overflow is reported: no report ends the alarm."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description, "Act within a day. For 15 minutes more than eight ")
    error_message = "How long it has lasted: ${aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description}"
  }
}

run "the_overflow_alarm_looks_as_seldom_as_the_reconciler" {
  command = plan
  variables {
    reconcile = { mode = "observe", interval_minutes = 1440 } # the longest that there is
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["shard-overflow"].period == 86400 && aws_cloudwatch_metric_alarm.reported["shard-overflow"].evaluation_periods == 3 && aws_cloudwatch_metric_alarm.reported["shard-overflow"].treat_missing_data == "notBreaching"
    error_message = "With a shorter period most periods would be without a report, and the alarm could never fire."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["shard-overflow"].period * aws_cloudwatch_metric_alarm.reported["shard-overflow"].evaluation_periods <= 604800
    error_message = "CloudWatch looks back seven days at most."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description, "Act within a day. For 72 hours more than eight ")
    error_message = "How long it has lasted: ${aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description}"
  }
}

run "just_below_an_hour_the_overflow_alarm_looks_back_less_than_a_day" {
  command = plan
  variables {
    reconcile = { mode = "observe", interval_minutes = 59 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["shard-overflow"].period * aws_cloudwatch_metric_alarm.reported["shard-overflow"].evaluation_periods <= 86400
    error_message = "CloudWatch looks back one day at most if periods are shorter than an hour."
  }
  assert {
    condition     = startswith(aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description, "Act within a day. For 177 minutes more than eight ")
    error_message = "How long it has lasted: ${aws_cloudwatch_metric_alarm.reported["shard-overflow"].alarm_description}"
  }
}

run "expired_actions_and_function_errors_are_watched" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.reported["lifecycle-action-expired"].namespace == "FluentdLifecycle" && aws_cloudwatch_metric_alarm.reported["lifecycle-action-expired"].metric_name == "LifecycleActionExpired" && aws_cloudwatch_metric_alarm.reported["lifecycle-action-expired"].dimensions == tomap({ service = "fluentd" }) && aws_cloudwatch_metric_alarm.reported["lifecycle-action-expired"].statistic == "Sum"
    error_message = "The functions emit LifecycleActionExpired in FluentdLifecycle with the dimension service."
  }
  assert {
    condition     = toset(flatten([for query in aws_cloudwatch_metric_alarm.function_errors.metric_query : [for metric in query.metric : metric.dimensions.FunctionName]])) == toset([for function in aws_lambda_function.this : function.function_name])
    error_message = "Errors of every function must count."
  }
  assert {
    condition     = [for query in aws_cloudwatch_metric_alarm.function_errors.metric_query : query.expression if query.return_data == true] == ["SUM(METRICS())"]
    error_message = "The alarm must look at the sum of all errors."
  }
}
