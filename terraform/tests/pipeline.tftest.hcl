# What is wired to what: hooks, rule, queues, dead-letter queues, mappings, the Cloud Map service.

mock_provider "aws" {
  source = "./tests/mocks"

  # Every queue and function its own ARN, lest one pass for another.
  override_resource {
    target = aws_sqs_queue.stage["operation"]
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation" }
  }
  override_resource {
    target = aws_sqs_queue.stage["buffer"]
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["operation"]
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["buffer"]
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["lifecycle"]
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-lifecycle-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.interruption
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["interruption"]
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption-dlq" }
  }
  override_resource {
    target = aws_lambda_function.this["interruption"]
    values = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-interruption" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letter["event"]
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-event-dlq" }
  }
  override_resource {
    target = aws_lambda_function.this["lifecycle"]
    values = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-lifecycle" }
  }
  override_resource {
    target = aws_lambda_function.this["operation"]
    values = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-operation-waiter" }
  }
  override_resource {
    target = aws_lambda_function.this["buffer"]
    values = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-buffer-waiter" }
  }
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "hooks_hold_both_transitions_and_abandon_by_default" {
  command = plan

  assert {
    condition = { for key, hook in aws_autoscaling_lifecycle_hook.this : key => join(" ", [hook.autoscaling_group_name, hook.name, hook.lifecycle_transition, hook.default_result, hook.heartbeat_timeout]) } == {
      launch    = "aggregators fluentd-launch autoscaling:EC2_INSTANCE_LAUNCHING ABANDON 900"
      terminate = "aggregators fluentd-terminate autoscaling:EC2_INSTANCE_TERMINATING ABANDON 3600"
    }
    error_message = "CONTINUE as a default result would end undrained aggregators even in a group that retains."
  }
  assert {
    condition = jsonencode(output.initial_lifecycle_hooks) == jsonencode([
      { default_result = "ABANDON", heartbeat_timeout = 900, lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING", name = "fluentd-launch" },
      { default_result = "ABANDON", heartbeat_timeout = 3600, lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING", name = "fluentd-terminate" },
    ])
    error_message = "A group created in the same run must get the very same hooks."
  }
}

run "rule_sees_our_group_and_our_hooks_only" {
  command = plan

  assert {
    condition = aws_cloudwatch_event_rule.lifecycle.name == "fluentd-lifecycle" && jsonencode(jsondecode(aws_cloudwatch_event_rule.lifecycle.event_pattern)) == jsonencode({
      source      = ["aws.autoscaling"]
      detail-type = ["EC2 Instance-launch Lifecycle Action", "EC2 Instance-terminate Lifecycle Action"]
      detail = {
        AutoScalingGroupName = ["aggregators"]
        LifecycleHookName    = ["fluentd-launch", "fluentd-terminate"]
      }
    })
    error_message = "The rule's pattern changed: ${aws_cloudwatch_event_rule.lifecycle.event_pattern}"
  }
  assert {
    condition     = aws_lambda_permission.lifecycle_from_rule.principal == "events.amazonaws.com" && aws_lambda_permission.lifecycle_from_rule.function_name == "fluentd-lifecycle"
    error_message = "EventBridge must be allowed to invoke the handler."
  }
}

run "undelivered_events_are_kept" {
  command = apply

  assert {
    condition     = aws_cloudwatch_event_target.lifecycle.dead_letter_config[0].arn == "arn:aws:sqs:eu-west-1:123456789012:fluentd-event-dlq"
    error_message = "Without a dead-letter queue on the target, EventBridge drops what it cannot deliver."
  }
  assert {
    condition     = aws_cloudwatch_event_target.lifecycle.retry_policy[0].maximum_event_age_in_seconds == 300
    error_message = "Delivery may use a third of the shorter heartbeat timeout, so that the operator can still act."
  }
  assert {
    condition     = aws_lambda_permission.lifecycle_from_rule.source_arn == aws_cloudwatch_event_rule.lifecycle.arn
    error_message = "Only our rule may invoke the handler."
  }
  assert {
    condition = jsonencode([for statement in jsondecode(aws_sqs_queue.dead_letter["event"].policy).Statement : statement if statement.Effect == "Allow"]) == jsonencode([{
      Sid       = "UndeliveredLifecycleEvents"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-west-1:123456789012:fluentd-event-dlq"
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-west-1:123456789012:rule/fluentd-lifecycle" } }
    }])
    error_message = "EventBridge may send to the event queue for our rule only: ${aws_sqs_queue.dead_letter["event"].policy}"
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.lifecycle.destination_config[0].on_failure[0].destination == "arn:aws:sqs:eu-west-1:123456789012:fluentd-lifecycle-dlq"
    error_message = "What the handler cannot process must be kept."
  }
}

run "interruptions_reach_their_function_and_are_kept" {
  command = apply

  assert {
    condition = { for key, rule in aws_cloudwatch_event_rule.interruption : rule.name => jsonencode(jsondecode(rule.event_pattern)) } == {
      fluentd-spot = jsonencode({
        source      = ["aws.ec2"]
        detail-type = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
      })
      fluentd-shutting-down = jsonencode({
        source      = ["aws.ec2"]
        detail-type = ["EC2 Instance State-change Notification"]
        detail      = { state = ["shutting-down", "stopping"] }
      })
      fluentd-ended = jsonencode({
        source      = ["aws.autoscaling"]
        detail-type = ["EC2 Instance Terminate Successful", "EC2 Instance Terminate Unsuccessful"]
        detail      = { AutoScalingGroupName = ["aggregators"] }
      })
    }
    error_message = "Only ends of our group; EC2's own events name no group."
  }
  assert {
    condition = alltrue([
      join(" ", keys(aws_cloudwatch_event_target.interruption)) == "ended shutting-down spot", join(" ", keys(aws_lambda_permission.interruption_from_rule)) == "ended",
    ])
    error_message = "Every rule has a target; that of the group's own events may invoke the function."
  }
  assert {
    condition = alltrue([
      for key, target in aws_cloudwatch_event_target.interruption :
      target.arn == (key == "ended" ? "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-interruption" : "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption") && target.dead_letter_config[0].arn == "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption-dlq" && target.rule == "fluentd-${key}"
    ])
    error_message = "Events of EC2, which are about any instance, go through the queue; without a dead-letter queue on the target, EventBridge drops what it cannot deliver."
  }
  assert {
    condition = jsonencode([for statement in jsondecode(aws_sqs_queue.interruption.policy).Statement : statement if statement.Effect == "Allow"]) == jsonencode([{
      Sid       = "EventsOfEc2"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption"
      Condition = { ArnEquals = { "aws:SourceArn" = ["arn:aws:events:eu-west-1:123456789012:rule/fluentd-shutting-down", "arn:aws:events:eu-west-1:123456789012:rule/fluentd-spot"] } }
    }])
    error_message = "EventBridge may send to the queue for the rules of EC2's events only: ${aws_sqs_queue.interruption.policy}"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.interruption.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption-dlq", maxReceiveCount = 30 } && aws_sqs_queue.interruption.visibility_timeout_seconds == 130 && aws_sqs_queue.interruption.message_retention_seconds == 345600
    error_message = "What is put back for 20 minutes must not be dead-lettered meanwhile; what crashes the function must be kept."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.interruption.batch_size == 50 && aws_lambda_event_source_mapping.interruption.maximum_batching_window_in_seconds == 1 && aws_lambda_event_source_mapping.interruption.function_response_types == toset(["ReportBatchItemFailures"]) && aws_lambda_event_source_mapping.interruption.scaling_config[0].maximum_concurrency == 2
    error_message = "Events of EC2 are handled in batches, two at a time: a burst of other fleets' events must leave concurrency and calls to the waiters."
  }
  assert {
    condition = alltrue([
      for key, permission in aws_lambda_permission.interruption_from_rule :
      permission.principal == "events.amazonaws.com" && permission.function_name == "fluentd-interruption" && permission.source_arn == aws_cloudwatch_event_rule.interruption[key].arn
    ])
    error_message = "Only our rules may invoke the function."
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.interruption.destination_config[0].on_failure[0].destination == "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption-dlq" && aws_lambda_function_event_invoke_config.interruption.maximum_retry_attempts == 2
    error_message = "What the function cannot do must be kept."
  }
  assert {
    condition = jsonencode([for statement in jsondecode(aws_sqs_queue.dead_letter["interruption"].policy).Statement : statement if statement.Effect == "Allow"]) == jsonencode([{
      Sid       = "UndeliveredEvents"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption-dlq"
      Condition = { ArnEquals = { "aws:SourceArn" = ["arn:aws:events:eu-west-1:123456789012:rule/fluentd-ended", "arn:aws:events:eu-west-1:123456789012:rule/fluentd-shutting-down", "arn:aws:events:eu-west-1:123456789012:rule/fluentd-spot"] } }
    }])
    error_message = "EventBridge may send to the queue for our rules only: ${aws_sqs_queue.dead_letter["interruption"].policy}"
  }
}

run "queues_are_encrypted_and_refuse_plain_http" {
  command = plan

  assert {
    condition = { for key, queue in merge(
      { for key, queue in aws_sqs_queue.stage : key => queue },
      { for key, queue in aws_sqs_queue.dead_letter : "${key}-dlq" => queue },
      { interruption = aws_sqs_queue.interruption },
      ) : key => queue.name } == {
      operation          = "fluentd-operation"
      buffer             = "fluentd-buffer"
      "operation-dlq"    = "fluentd-operation-dlq"
      "buffer-dlq"       = "fluentd-buffer-dlq"
      interruption       = "fluentd-interruption"
      "lifecycle-dlq"    = "fluentd-lifecycle-dlq"
      "interruption-dlq" = "fluentd-interruption-dlq"
      "event-dlq"        = "fluentd-event-dlq"
    }
    error_message = "The queues' names are agreed."
  }
  assert {
    condition     = alltrue([for queue in concat([aws_sqs_queue.interruption], values(aws_sqs_queue.stage), values(aws_sqs_queue.dead_letter)) : queue.sqs_managed_sse_enabled])
    error_message = "Every queue is encrypted."
  }
  assert {
    condition = alltrue([
      for queue in concat([aws_sqs_queue.interruption], values(aws_sqs_queue.stage), values(aws_sqs_queue.dead_letter)) : contains([
        for statement in jsondecode(queue.policy).Statement : jsonencode(statement)
        ], jsonencode({
          Sid       = "RefusePlainHttp"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = "arn:aws:sqs:eu-west-1:123456789012:${queue.name}"
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }))
    ])
    error_message = "Every queue refuses plain HTTP."
  }
  assert {
    condition = alltrue([
      for key, queue in merge(aws_sqs_queue.stage, { for key, queue in aws_sqs_queue.dead_letter : "${key}-dlq" => queue }) :
      contains(["event-dlq", "interruption-dlq"], key) || alltrue([for statement in jsondecode(queue.policy).Statement : statement.Effect == "Deny"])
    ])
    error_message = "No queue but those of undelivered events has a policy of its own."
  }
}

run "messages_outlive_any_lifecycle_action" {
  command = plan

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.stage : queue.message_retention_seconds > local.longest_lifecycle_action_seconds])
    error_message = "A message must not expire before its lifecycle action."
  }
  assert {
    condition     = alltrue([for queue in aws_sqs_queue.dead_letter : queue.message_retention_seconds == 1209600])
    error_message = "Dead-letter queues keep messages for 14 days."
  }
}

run "queues_keep_to_the_budget" {
  command = plan
  variables {
    lambda = merge(var.lambda, { operation_waiter_timeout_seconds = 20, buffer_waiter_timeout_seconds = 40 })
  }

  assert {
    condition     = { for key, queue in aws_sqs_queue.stage : key => queue.visibility_timeout_seconds } == { operation = 120, buffer = 240 }
    error_message = "A queue hides a message for six times its own waiter's timeout."
  }
}

run "messages_of_crashed_waiters_are_set_aside" {
  command = apply

  assert {
    condition = { for key, queue in aws_sqs_queue.stage : key => jsondecode(queue.redrive_policy) } == {
      operation = { deadLetterTargetArn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation-dlq", maxReceiveCount = 130 }
      buffer    = { deadLetterTargetArn = "arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer-dlq", maxReceiveCount = 250 }
    }
    error_message = "Each stage has its own dead-letter queue, and as many deliveries as the budget says."
  }
  assert {
    condition = { for key, queue in aws_sqs_queue.dead_letter : key => queue.redrive_allow_policy } == {
      operation    = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:eu-west-1:123456789012:fluentd-operation"] })
      buffer       = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer"] })
      lifecycle    = jsonencode({ redrivePermission = "denyAll" })
      interruption = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:eu-west-1:123456789012:fluentd-interruption"] })
      event        = jsonencode({ redrivePermission = "denyAll" })
    }
    error_message = "A dead-letter queue serves its own stage only."
  }
  assert {
    condition = alltrue([
      for key, mapping in aws_lambda_event_source_mapping.stage :
      mapping.batch_size == 10 && mapping.function_response_types == toset(["ReportBatchItemFailures"])
    ])
    error_message = "\"Not yet\" is a failed item: without ReportBatchItemFailures it would delete the message."
  }
  assert {
    condition = { for key, mapping in aws_lambda_event_source_mapping.stage : mapping.event_source_arn => mapping.function_name } == {
      "arn:aws:sqs:eu-west-1:123456789012:fluentd-operation" = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-operation-waiter"
      "arn:aws:sqs:eu-west-1:123456789012:fluentd-buffer"    = "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-buffer-waiter"
    }
    error_message = "Each stage's queue feeds its own waiter."
  }
  assert {
    condition     = aws_cloudwatch_event_target.lifecycle.arn == "arn:aws:lambda:eu-west-1:123456789012:function:fluentd-lifecycle"
    error_message = "Events go to the lifecycle handler."
  }
}

run "existing_cloud_map_service_is_used" {
  command = plan

  assert {
    condition     = length(aws_service_discovery_service.this) == 0 && jsonencode(output.cloud_map_service_ids) == jsonencode(["srv-existing"])
    error_message = "No second service may be made."
  }
}

run "cloud_map_service_is_created_in_a_namespace" {
  command = apply
  variables {
    cloud_map = { namespace_id = "ns-existing", dns_ttl_seconds = 5 }
  }

  assert {
    condition = jsonencode(aws_service_discovery_service.this[0].dns_config) == jsonencode([{
      dns_records    = [{ ttl = 5, type = "SRV" }]
      namespace_id   = "ns-existing"
      routing_policy = "MULTIVALUE"
    }])
    error_message = "SRV records, several in one answer, with the TTL that the budget counts with: ${jsonencode(aws_service_discovery_service.this[0].dns_config)}"
  }
  assert {
    condition     = aws_service_discovery_service.this[0].name == "_fluentd._tcp" && aws_service_discovery_service.this[0].force_destroy == false
    error_message = "Found by sd_srv, and not destroyed while aggregators are registered."
  }
  assert {
    condition = alltrue([
      for key, function in aws_lambda_function.this : function.environment[0].variables.CLOUD_MAP_SERVICE_IDS == aws_service_discovery_service.this[0].id if key != "evidence"
    ])
    error_message = "The functions must use the service that was made."
  }
}

run "several_services_carry_a_larger_fleet" {
  command = apply
  variables {
    cloud_map = { namespace_id = "ns-existing", namespace_name = "logs.internal", shards = 3 }
    timing    = { forwarder_refresh_seconds = 30 }
  }

  assert {
    condition     = jsonencode(aws_service_discovery_service.this[*].name) == jsonencode(["_fluentd0._tcp", "_fluentd1._tcp", "_fluentd2._tcp"])
    error_message = "One service a shard: ${jsonencode(aws_service_discovery_service.this[*].name)}"
  }
  assert {
    condition = length(output.cloud_map_service_ids) == 3 && alltrue([
      for key, function in aws_lambda_function.this : function.environment[0].variables.CLOUD_MAP_SERVICE_IDS == join(",", aws_service_discovery_service.this[*].id) if key != "evidence"
    ])
    error_message = "Every function must know every shard."
  }
  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.function : alltrue([
        for statement in jsondecode(policy.policy).Statement : length(statement.Resource) == 3
        if contains(["RegisterAndDeregister", "Deregister"], statement.Sid)
      ])
    ])
    error_message = "Every function that deregisters must be allowed to in every shard."
  }
  assert {
    condition = output.forwarder_service_discovery == join("", [for shard in range(3) : <<-EOT
      <service_discovery>
        @type srv
        service fluentd${shard}
        proto tcp
        hostname logs.internal
        interval 30
      </service_discovery>
    EOT
    ])
    error_message = "Forwarders need a block for each shard: ${output.forwarder_service_discovery}"
  }
}

run "a_group_that_is_deleted_may_empty_its_service" {
  command = plan
  variables {
    cloud_map = { service_id = "srv-existing", allow_empty = true }
  }

  assert {
    condition = alltrue([
      for role in ["lifecycle", "operation"] : aws_lambda_function.this[role].environment[0].variables.ALLOW_EMPTY_SERVICE == "true"
    ])
    error_message = "Both functions that deregister a terminating instance must know."
  }
}

run "a_fleet_that_grew_keeps_its_first_service" {
  command = plan
  variables {
    cloud_map = { namespace_id = "ns-existing", shards = 2, first_shard_name = "_fluentd._tcp" }
  }

  assert {
    condition     = jsonencode(aws_service_discovery_service.this[*].name) == jsonencode(["_fluentd._tcp", "_fluentd1._tcp"])
    error_message = "The service that forwarders know must not be replaced: ${jsonencode(aws_service_discovery_service.this[*].name)}"
  }
}

run "cloud_map_service_of_the_same_run_can_be_used" {
  command = plan
  variables {
    cloud_map = { service_id = "srv-existing", create_service = false }
  }

  assert {
    condition     = length(aws_service_discovery_service.this) == 0
    error_message = "create_service = false must not make a service."
  }
}

run "forwarders_are_told_where_to_look" {
  command = plan
  variables {
    cloud_map = { namespace_id = "ns-existing", namespace_name = "logs.internal" }
    timing    = { forwarder_refresh_seconds = 30 }
  }

  assert {
    condition     = output.forwarder_service_discovery == <<-EOT
      <service_discovery>
        @type srv
        service fluentd
        proto tcp
        hostname logs.internal
        interval 30
      </service_discovery>
    EOT
    error_message = "The snippet must match the service and the budget: ${output.forwarder_service_discovery}"
  }
  assert {
    condition     = yamldecode(output.prometheus_scrape_config)[0].relabel_configs[0] == { source_labels = ["__meta_ec2_instance_id"], target_label = "instance_id" }
    error_message = "The scrape configuration must give the label that the waiter looks for."
  }
}

run "budget_is_told_in_plain_numbers" {
  command = plan

  assert {
    condition = jsonencode(output.timing) == jsonencode({
      settle_seconds            = 135
      minimum_drain_seconds     = 435
      flush_timeout_seconds     = null
      drain_timeout_seconds     = 3600
      operator_response_seconds = 3600
      operation                 = { visibility_timeout_seconds = 360, max_receive_count = 130 }
      flush                     = null
      buffer                    = { visibility_timeout_seconds = 360, max_receive_count = 250 }
    })
    error_message = "The budget changed: ${jsonencode(output.timing)}"
  }
}
