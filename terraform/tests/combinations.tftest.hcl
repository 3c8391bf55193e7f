# Which stages there are, with and without Cloud Map, on-instance flush and Prometheus: functions,
# queues, alarms and hooks exist for the stages in use only, and each function has settings of, and may
# send to, the queues that exist. The combination of Cloud Map and Prometheus alone is what all the
# other files test.

mock_provider "aws" {
  source = "./tests/mocks"

  override_resource {
    target = aws_sqs_queue.stage["operation"]
    values = { url = "https://sqs/operation" }
  }
  override_resource {
    target = aws_sqs_queue.stage["flush"]
    values = { url = "https://sqs/flush" }
  }
  override_resource {
    target = aws_sqs_queue.stage["buffer"]
    values = { url = "https://sqs/buffer" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["operation"]
    values = { url = "https://sqs/operation-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["flush"]
    values = { url = "https://sqs/flush-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.interruption
    values = { url = "https://sqs/interruption", arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["interruption"]
    values = { url = "https://sqs/interruption-dlq", arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["buffer"]
    values = { url = "https://sqs/buffer-dlq" }
  }
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "agents"
  flush                  = { buffer_paths = ["/var/log/fluent/buffer"] }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "flush_alone" {
  assert {
    condition = jsonencode([
      keys(aws_lambda_function.this), keys(aws_sqs_queue.stage), keys(aws_lambda_event_source_mapping.stage), keys(aws_sqs_queue.dead_letter), keys(aws_cloudwatch_metric_alarm.dead_letter), keys(aws_autoscaling_lifecycle_hook.this),
      ]) == jsonencode([
      ["flush", "interruption", "lifecycle", "reconcile"], ["flush"], ["flush"], ["event", "flush", "interruption", "lifecycle"], ["event", "flush", "interruption", "lifecycle"], ["terminate"],
    ])
    error_message = "A fleet that is only flushed has one stage, and its launches do not wait."
  }
  assert {
    condition = alltrue([
      for resource in [aws_cloudwatch_event_rule.interruption, aws_cloudwatch_event_target.interruption] : join(" ", keys(resource)) == "ended shutting-down spot"
    ])
    error_message = "Without Cloud Map, too, EC2 alone says that an instance which has left the group ends."
  }
  assert {
    condition = aws_lambda_function.this["lifecycle"].environment[0].variables == tomap({
      POWERTOOLS_SERVICE_NAME      = "fluentd"
      POWERTOOLS_METRICS_NAMESPACE = "FluentdLifecycle"
      MODULE_VERSION               = "0.1.0-dev"
      POWERTOOLS_LOG_LEVEL         = "INFO"
      AUTOSCALING_GROUP_NAME       = "agents"
      TERMINATE_HOOK_NAME          = "fluentd-terminate"
      FLUSH_QUEUE_URL              = "https://sqs/flush"
    })
    error_message = "The handler's environment changed: ${jsonencode(aws_lambda_function.this["lifecycle"].environment[0].variables)}"
  }
  assert {
    condition = aws_lambda_function.this["flush"].environment[0].variables == tomap({
      POWERTOOLS_SERVICE_NAME        = "fluentd"
      POWERTOOLS_METRICS_NAMESPACE   = "FluentdLifecycle"
      MODULE_VERSION                 = "0.1.0-dev"
      POWERTOOLS_LOG_LEVEL           = "INFO"
      AUTOSCALING_GROUP_NAME         = "agents"
      TERMINATE_HOOK_NAME            = "fluentd-terminate"
      FLUSH_QUEUE_URL                = "https://sqs/flush"
      FLUSH_DLQ_URL                  = "https://sqs/flush-dlq"
      POLL_INTERVAL_SECONDS          = "15"
      POLL_INTERVAL_MAX_SECONDS      = "120"
      TIMEOUT_SECONDS                = "3600"
      SETTLE_SECONDS                 = "0"
      FLUSH_DOCUMENT_NAME            = "fluentd-flush"
      FLUSH_COMMAND_TIMEOUT_SECONDS  = "55"
      FLUSH_DELIVERY_TIMEOUT_SECONDS = "60"
      VISIBILITY_TIMEOUT_SECONDS     = "540"

      TERMINATE_HEARTBEAT_TIMEOUT_SECONDS = "3600"
    })
    error_message = "The flush waiter's environment changed: ${jsonencode(aws_lambda_function.this["flush"].environment[0].variables)}"
  }
  assert {
    condition = aws_lambda_function.this["interruption"].environment[0].variables == tomap({
      POWERTOOLS_SERVICE_NAME        = "fluentd"
      POWERTOOLS_METRICS_NAMESPACE   = "FluentdLifecycle"
      MODULE_VERSION                 = "0.1.0-dev"
      POWERTOOLS_LOG_LEVEL           = "INFO"
      AUTOSCALING_GROUP_NAME         = "agents"
      TERMINATE_HOOK_NAME            = "fluentd-terminate"
      FLUSH_DOCUMENT_NAME            = "fluentd-flush"
      FLUSH_DELIVERY_TIMEOUT_SECONDS = "60"
      INTERRUPTION_QUEUE_URL         = "https://sqs/interruption"
      INTERRUPTION_DLQ_URL           = "https://sqs/interruption-dlq"
    })
    error_message = "The interruption handler's environment changed: ${jsonencode(aws_lambda_function.this["interruption"].environment[0].variables)}"
  }
  assert {
    condition = jsonencode(jsondecode(aws_cloudwatch_event_rule.lifecycle.event_pattern)) == jsonencode({
      source      = ["aws.autoscaling"]
      detail-type = ["EC2 Instance-terminate Lifecycle Action"]
      detail      = { AutoScalingGroupName = ["agents"], LifecycleHookName = ["fluentd-terminate"] }
    })
    error_message = "Launches do not concern the module: ${aws_cloudwatch_event_rule.lifecycle.event_pattern}"
  }
  assert {
    condition     = aws_cloudwatch_event_target.lifecycle.retry_policy[0].maximum_event_age_in_seconds == 1200
    error_message = "Delivery may use a third of the only hook's heartbeat timeout (3600 s)."
  }
  assert {
    condition = jsonencode([
      output.cloud_map_service_ids, output.forwarder_service_discovery, output.prometheus_scrape_config, output.flush_document_name, length(aws_service_discovery_service.this), [for hook in output.initial_lifecycle_hooks : hook.name],
    ]) == jsonencode([[], null, null, "fluentd-flush", 0, ["fluentd-terminate"]])
    error_message = "Outputs of what is not in use are null."
  }
  assert {
    condition = jsonencode(output.timing) == jsonencode({
      settle_seconds            = 0
      minimum_drain_seconds     = 5
      flush_timeout_seconds     = 3600
      drain_timeout_seconds     = null
      operator_response_seconds = 3600
      operation                 = null
      flush                     = { visibility_timeout_seconds = 540, max_receive_count = 250 }
      buffer                    = null
    })
    error_message = "The budget changed: ${jsonencode(output.timing)}"
  }
  assert {
    condition     = !strcontains(join("", [for alarm in aws_cloudwatch_metric_alarm.dead_letter : alarm.alarm_description]), "launching") && !strcontains(aws_cloudwatch_metric_alarm.function_errors.alarm_description, "Launching")
    error_message = "No launch waits, so no alarm may speak of one."
  }
}

run "flush_in_cloud_map" {
  variables {
    cloud_map = { service_id = "srv-existing" }
  }

  assert {
    condition = jsonencode([
      keys(aws_lambda_function.this), keys(aws_sqs_queue.stage), keys(aws_sqs_queue.dead_letter), keys(aws_cloudwatch_metric_alarm.dead_letter), keys(aws_autoscaling_lifecycle_hook.this),
      ]) == jsonencode([
      ["flush", "interruption", "lifecycle", "operation", "reconcile"], ["flush", "operation"], ["event", "flush", "interruption", "lifecycle", "operation"], ["event", "flush", "interruption", "lifecycle", "operation"], ["launch", "terminate"],
    ])
    error_message = "Registered instances have the operation stage and a launch hook."
  }
  assert {
    condition = jsonencode({
      for key, function in aws_lambda_function.this : key => {
        for name, value in function.environment[0].variables : name => value if can(regex("_URL$|CLOUD_MAP|SETTLE|LAUNCH|EMPTY_SERVICE", name))
      }
      }) == jsonencode({
      lifecycle = {
        ALLOW_EMPTY_SERVICE   = "false"
        CLOUD_MAP_PORT        = "24224"
        CLOUD_MAP_SERVICE_IDS = "srv-existing"
        LAUNCH_HOOK_NAME      = "fluentd-launch"
        OPERATION_QUEUE_URL   = "https://sqs/operation"
      }
      reconcile = {
        ALLOW_EMPTY_SERVICE              = "false"
        CLOUD_MAP_PORT                   = "24224"
        CLOUD_MAP_SERVICE_IDS            = "srv-existing"
        LAUNCH_HEARTBEAT_TIMEOUT_SECONDS = "900"
        LAUNCH_HOOK_NAME                 = "fluentd-launch"
        OPERATION_QUEUE_URL              = "https://sqs/operation"
      }
      operation = {
        ALLOW_EMPTY_SERVICE              = "false"
        CLOUD_MAP_PORT                   = "24224"
        CLOUD_MAP_SERVICE_IDS            = "srv-existing"
        FLUSH_QUEUE_URL                  = "https://sqs/flush"
        LAUNCH_HEARTBEAT_TIMEOUT_SECONDS = "900"
        LAUNCH_HOOK_NAME                 = "fluentd-launch"
        OPERATION_DLQ_URL                = "https://sqs/operation-dlq"
        OPERATION_QUEUE_URL              = "https://sqs/operation"
      }
      flush = {
        ALLOW_EMPTY_SERVICE   = "false"
        CLOUD_MAP_PORT        = "24224"
        CLOUD_MAP_SERVICE_IDS = "srv-existing"
        FLUSH_DLQ_URL         = "https://sqs/flush-dlq"
        FLUSH_QUEUE_URL       = "https://sqs/flush"
        LAUNCH_HOOK_NAME      = "fluentd-launch"
        OPERATION_QUEUE_URL   = "https://sqs/operation"
        SETTLE_SECONDS        = "135"
      }
      interruption = {
        ALLOW_EMPTY_SERVICE    = "false"
        CLOUD_MAP_PORT         = "24224"
        CLOUD_MAP_SERVICE_IDS  = "srv-existing"
        INTERRUPTION_DLQ_URL   = "https://sqs/interruption-dlq"
        INTERRUPTION_QUEUE_URL = "https://sqs/interruption"
        LAUNCH_HOOK_NAME       = "fluentd-launch"
        OPERATION_QUEUE_URL    = "https://sqs/operation"
      }
    })
    error_message = "From Cloud Map to flush, and no further: ${jsonencode({ for key, function in aws_lambda_function.this : key => function.environment[0].variables })}"
  }
}

run "flush_and_prometheus_in_cloud_map" {
  variables {
    cloud_map  = { service_id = "srv-existing" }
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition = jsonencode([
      keys(aws_lambda_function.this), keys(aws_sqs_queue.stage), keys(aws_sqs_queue.dead_letter), keys(aws_cloudwatch_metric_alarm.dead_letter), keys(aws_autoscaling_lifecycle_hook.this),
      ]) == jsonencode([
      ["buffer", "evidence", "flush", "interruption", "lifecycle", "operation", "reconcile"], ["buffer", "flush", "operation"], ["buffer", "event", "flush", "interruption", "lifecycle", "operation"], ["buffer", "event", "flush", "interruption", "lifecycle", "operation"], ["launch", "terminate"],
    ])
    error_message = "All stages are in use."
  }
  assert {
    condition = jsonencode({
      for key, function in aws_lambda_function.this : key => {
        for name, value in function.environment[0].variables : name => value if can(regex("QUEUE_URL$", name))
      }
      }) == jsonencode({
      buffer       = { BUFFER_QUEUE_URL = "https://sqs/buffer", OPERATION_QUEUE_URL = "https://sqs/operation" }
      evidence     = {}
      flush        = { BUFFER_QUEUE_URL = "https://sqs/buffer", FLUSH_QUEUE_URL = "https://sqs/flush", OPERATION_QUEUE_URL = "https://sqs/operation" }
      interruption = { INTERRUPTION_QUEUE_URL = "https://sqs/interruption", OPERATION_QUEUE_URL = "https://sqs/operation" }
      lifecycle    = { OPERATION_QUEUE_URL = "https://sqs/operation" }
      reconcile    = { OPERATION_QUEUE_URL = "https://sqs/operation" }
      operation    = { BUFFER_QUEUE_URL = "https://sqs/buffer", FLUSH_QUEUE_URL = "https://sqs/flush", OPERATION_QUEUE_URL = "https://sqs/operation" }
    })
    error_message = "Operation, flush, buffer, in this order: ${jsonencode({ for key, function in aws_lambda_function.this : key => function.environment[0].variables })}"
  }
  assert {
    # Who may send to which of the stages' queues.
    condition = jsonencode({
      for key, policy in aws_iam_role_policy.function : key => flatten([
        for statement in jsondecode(policy.policy).Statement : [for arn in statement.Resource : trimprefix(arn, "arn:aws:sqs:eu-west-1:123456789012:fluentd-")] if statement.Sid == "HandOver"
      ])
      }) == jsonencode({
      buffer       = ["buffer-dlq", "operation"]
      evidence     = []
      flush        = ["flush-dlq", "buffer", "operation"]
      interruption = ["interruption-dlq"]
      lifecycle    = ["operation", "lifecycle-dlq"]
      operation    = ["operation", "operation-dlq", "flush"]
      reconcile    = ["operation"]
    })
    error_message = "A function may send to the next stage, to its own dead-letter queue, and back."
  }
  assert {
    condition     = output.timing.minimum_drain_seconds == 435
    error_message = "The window of 300 s is longer than the 5 s that a flush must be quiet."
  }
}

run "flush_and_prometheus_without_cloud_map" {
  variables {
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition = jsonencode([keys(aws_lambda_function.this), keys(aws_sqs_queue.stage), keys(aws_autoscaling_lifecycle_hook.this)]) == jsonencode([
      ["buffer", "evidence", "flush", "interruption", "lifecycle", "reconcile"], ["buffer", "flush"], ["terminate"],
    ])
    error_message = "Two draining stages, and no launch hook."
  }
  assert {
    condition = jsonencode({
      for key, function in aws_lambda_function.this : key => {
        for name, value in function.environment[0].variables : name => value if can(regex("QUEUE_URL$|CLOUD_MAP|SETTLE|LAUNCH", name))
      }
      }) == jsonencode({
      buffer       = { BUFFER_QUEUE_URL = "https://sqs/buffer", SETTLE_SECONDS = "0" }
      evidence     = {}
      flush        = { BUFFER_QUEUE_URL = "https://sqs/buffer", FLUSH_QUEUE_URL = "https://sqs/flush", SETTLE_SECONDS = "0" }
      interruption = { INTERRUPTION_QUEUE_URL = "https://sqs/interruption" }
      lifecycle    = { FLUSH_QUEUE_URL = "https://sqs/flush" }
      reconcile    = { FLUSH_QUEUE_URL = "https://sqs/flush", SETTLE_SECONDS = "0" }
    })
    error_message = "Flush first, then buffer: ${jsonencode({ for key, function in aws_lambda_function.this : key => function.environment[0].variables })}"
  }
}

run "prometheus_without_cloud_map" {
  variables {
    flush      = null
    prometheus = { url = "http://prometheus:9090" }
  }

  assert {
    condition = jsonencode([keys(aws_lambda_function.this), keys(aws_sqs_queue.stage), keys(aws_sqs_queue.dead_letter), keys(aws_autoscaling_lifecycle_hook.this), length(aws_ssm_document.flush)]) == jsonencode([
      ["buffer", "evidence", "interruption", "lifecycle", "reconcile"], ["buffer"], ["buffer", "event", "interruption", "lifecycle"], ["terminate"], 0,
    ])
    error_message = "The buffer stage alone, and no document."
  }
  assert {
    condition     = aws_lambda_function.this["lifecycle"].environment[0].variables.BUFFER_QUEUE_URL == "https://sqs/buffer" && !contains(keys(aws_lambda_function.this["lifecycle"].environment[0].variables), "FLUSH_QUEUE_URL")
    error_message = "The handler must put instances into the buffer stage: ${jsonencode(aws_lambda_function.this["lifecycle"].environment[0].variables)}"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this["buffer"].environment[0].variables), "OPERATION_QUEUE_URL") && !strcontains(aws_iam_role_policy.function["buffer"].policy, "servicediscovery")
    error_message = "Without Cloud Map there is nothing to go back to."
  }
  assert {
    condition     = output.flush_document_name == null && output.timing.minimum_drain_seconds == 300 && output.timing.flush_timeout_seconds == null
    error_message = "Nothing is flushed: ${jsonencode(output.timing)}"
  }
}

run "settling_can_be_asked_for_without_cloud_map" {
  command = plan
  variables {
    timing = { settle_seconds = 30 }
  }

  assert {
    condition     = output.timing.settle_seconds == 30 && output.timing.minimum_drain_seconds == 35
    error_message = "Who sends by another way (a load balancer, say) may need time to stop."
  }
}
