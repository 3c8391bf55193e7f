# For the caller's configuration: the hooks for a group that is created in the same run, the names for
# runbooks and dashboards, and the timing budget in numbers.

output "initial_lifecycle_hooks" {
  description = "List for the `initial_lifecycle_hook` blocks of a group that is created in the same run, so that the hooks hold its first instances, too. Depends on the inputs alone, not on the group."
  value = [
    for hook in values(local.hooks) : {
      name                 = hook.name
      lifecycle_transition = hook.lifecycle_transition
      default_result       = hook.default_result
      heartbeat_timeout    = hook.heartbeat_timeout
    }
  ]
}

output "cloud_map_service_ids" {
  description = "List of the Cloud Map services in which aggregators are registered: one, or as many as `cloud_map.shards`; empty without `cloud_map`."
  value       = local.cloud_map_service_ids
}

output "queues" {
  description = "Map of the queues of the stages in use (`operation`, `flush`, `buffer`): `url`, `arn`, `name`."
  value       = { for stage, queue in aws_sqs_queue.stage : stage => { url = queue.url, arn = queue.arn, name = queue.name } }
}

output "dead_letter_queues" {
  description = "Map of the dead-letter queues of the stages in use, `lifecycle`, `interruption` and `event`: `url`, `arn`, `name`."
  value       = { for key, queue in aws_sqs_queue.dead_letter : key => { url = queue.url, arn = queue.arn, name = queue.name } }
}

output "function_names" {
  description = "Map of the functions' names: `lifecycle`, `interruption`, `reconcile`, and of the stages in use `operation`, `flush`, `buffer`; `evidence` with `buffer`."
  value       = { for key, function in aws_lambda_function.this : key => function.function_name }
}

output "function_role_arns" {
  description = "Map of the functions' roles, for resource policies of keys, secrets or workspaces in other accounts."
  value       = { for key, role in aws_iam_role.function : key => role.arn }
}

output "kms_key_policy_statements" {
  description = "List of statements that the policy of `encryption.kms_key_arn` must hold, beside the usual one that delegates to the account's IAM policies. Depends on the other inputs alone, so a key that is created in the same run can have them."
  value       = local.key_policy_statements
}

output "log_group_names" {
  description = "Map of the functions' log groups, for CloudWatch Logs Insights."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.name }
}

output "flush_document_name" {
  description = "The SSM document that flushes Fluentd on an instance and reports what is left, for an operator's `aws ssm send-command`; null without `flush`."
  value       = one(aws_ssm_document.flush[*].name)
}

output "event_rule_name" {
  description = "The EventBridge rule that sends lifecycle events to the handler."
  value       = aws_cloudwatch_event_rule.lifecycle.name
}

output "alarm_names" {
  description = "Map of the alarms by suffix, which is also the name of the runbook."
  value = merge(
    { for key, alarm in aws_cloudwatch_metric_alarm.dead_letter : "${key}-dlq" => alarm.alarm_name },
    { for suffix, alarm in aws_cloudwatch_metric_alarm.reported : suffix => alarm.alarm_name },
    { function-errors = aws_cloudwatch_metric_alarm.function_errors.alarm_name },
    { reconciler-silent = aws_cloudwatch_metric_alarm.reconciler_silent.alarm_name },
  )
}

output "timing" {
  description = "The computed timing budget, in seconds: `settle_seconds`; `minimum_drain_seconds` (from deregistration to release, at best); `operator_response_seconds` (what the operator has once a waiter timed out, a third of it if heartbeats fail); `flush_timeout_seconds` and `drain_timeout_seconds` of the two draining stages; `operation`, `flush` and `buffer` with `visibility_timeout_seconds` and `max_receive_count`. Null for what is not in use."
  value = {
    settle_seconds            = local.budget.settle_seconds
    minimum_drain_seconds     = local.budget.settle_seconds + local.shortest_drain_seconds
    flush_timeout_seconds     = local.uses.flush ? local.flush_timeout_seconds : null
    drain_timeout_seconds     = local.uses.buffer ? var.timing.drain_timeout_seconds : null
    operator_response_seconds = var.timing.terminate_heartbeat_timeout_seconds
    operation                 = local.budget.operation
    flush                     = local.budget.flush
    buffer                    = local.budget.buffer
  }
}

output "forwarder_service_discovery" {
  description = "The `<service_discovery>` blocks for the forwarders' `out_forward`, one for each shard, all of them needed; null without `cloud_map`."
  value = !local.uses.operation ? null : join("", [for name in local.cloud_map_service_names : <<-EOT
    <service_discovery>
      @type srv
      service ${trimprefix(split(".", name)[0], "_")}
      proto ${trimprefix(split(".", name)[1], "_")}
      hostname ${coalesce(var.cloud_map.namespace_name, "NAMESPACE_NAME")}
      interval ${var.timing.forwarder_refresh_seconds}
    </service_discovery>
  EOT
  ])
}

output "prometheus_scrape_config" {
  description = "A job for `scrape_configs` that gives the aggregators' series the label that this module queries. It scrapes the port of each of `flush.workers`; without `flush` add those of further workers. Null without `prometheus`."
  value       = !local.uses.buffer ? null : <<-EOT
    - job_name: ${var.name}
      scrape_interval: ${var.prometheus.scrape_interval_seconds}s
      ec2_sd_configs:
%{for worker in range(try(var.flush.workers, 1))~}
        - region: ${local.region}
          port: ${24231 + worker}
          filters:
            - name: tag:aws:autoscaling:groupName
              values: ${jsonencode(local.group_names)}
%{endfor~}
      relabel_configs:
        - source_labels: [${var.prometheus.identify_by == "instance_id" ? "__meta_ec2_instance_id" : "__meta_ec2_private_ip"}]
          target_label: ${var.prometheus.instance_label}
  EOT
}

output "effective_settings" {
  description = "Map of the inputs as the module sees them, defaults filled in. Terraform drops a member of an object that it does not know, such as a misspelt one, without a word: it is not in here."
  value = {
    cloud_map  = var.cloud_map
    flush      = var.flush
    prometheus = var.prometheus
    timing     = var.timing
    reconcile  = var.reconcile
    lambda     = var.lambda
    network    = var.network
    alarms     = var.alarms
    iam        = var.iam
    encryption = var.encryption
  }
}
