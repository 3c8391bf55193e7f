# What others build on: the hooks for a group that does not exist yet, the queues for runbooks and
# dashboards, and the budget in plain numbers.

output "initial_lifecycle_hooks" {
  description = "For `initial_lifecycle_hook` blocks of a group created in the same run, so that no instance gets in without a wait. Depends on the inputs alone, not on the group."
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
  description = "The Cloud Map services that aggregators are registered in: one, or as many as `cloud_map.shards`; empty without `cloud_map`."
  value       = local.cloud_map_service_ids
}

output "queues" {
  description = "The queues of the stages in use (`operation`, `flush`, `buffer`): `url`, `arn`, `name`."
  value       = { for stage, queue in aws_sqs_queue.stage : stage => { url = queue.url, arn = queue.arn, name = queue.name } }
}

output "dead_letter_queues" {
  description = "The dead-letter queues of the stages in use, `lifecycle`, `interruption` and `event`: `url`, `arn`, `name`."
  value       = { for key, queue in aws_sqs_queue.dead_letter : key => { url = queue.url, arn = queue.arn, name = queue.name } }
}

output "function_names" {
  description = "The functions by role: `lifecycle`, `interruption`, and `operation`, `flush`, `buffer` as in use."
  value       = { for key, function in aws_lambda_function.this : key => function.function_name }
}

output "function_role_arns" {
  description = "The functions' roles, for resource policies of keys, secrets or workspaces in other accounts."
  value       = { for key, role in aws_iam_role.function : key => role.arn }
}

output "log_group_names" {
  description = "The functions' log groups, for CloudWatch Logs Insights."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.name }
}

output "flush_document_name" {
  description = "The SSM document that flushes Fluentd on an instance and tells what is left, for a person's `aws ssm send-command`; null without `flush`."
  value       = one(aws_ssm_document.flush[*].name)
}

output "event_rule_name" {
  description = "The EventBridge rule that hands lifecycle events to the handler."
  value       = aws_cloudwatch_event_rule.lifecycle.name
}

output "alarm_names" {
  description = "The alarms by suffix, which is also the name of the runbook."
  value = merge(
    { for key, alarm in aws_cloudwatch_metric_alarm.dead_letter : "${key}-dlq" => alarm.alarm_name },
    { for suffix, alarm in aws_cloudwatch_metric_alarm.reported : suffix => alarm.alarm_name },
    { function-errors = aws_cloudwatch_metric_alarm.function_errors.alarm_name },
    { reconciler-silent = aws_cloudwatch_metric_alarm.reconciler_silent.alarm_name },
  )
}

output "timing" {
  description = "The computed budget, in seconds: `settle_seconds`; `minimum_drain_seconds` (from deregistration to release, at best); `operator_response_seconds` (what a person has once the waiters have given up); `flush_timeout_seconds` and `drain_timeout_seconds` of the two draining stages; `operation`, `flush` and `buffer` with `visibility_timeout_seconds` and `max_receive_count`. Null for what is not in use."
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
  description = "The `<service_discovery>` blocks for the forwarders' `out_forward`, one a shard, all of them needed; null without `cloud_map`."
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
  description = "A job for `scrape_configs` that gives the aggregators' series the label this module looks for. With several workers, scrape every worker's port. Null without `prometheus`."
  value       = !local.uses.buffer ? null : <<-EOT
    - job_name: ${var.name}
      scrape_interval: ${var.prometheus.scrape_interval_seconds}s
      ec2_sd_configs:
        - region: ${local.region}
          port: 24231
          filters:
            - name: tag:aws:autoscaling:groupName
              values: ["${var.autoscaling_group_name}"]
      relabel_configs:
        - source_labels: [${var.prometheus.identify_by == "instance_id" ? "__meta_ec2_instance_id" : "__meta_ec2_private_ip"}]
          target_label: ${var.prometheus.instance_label}
  EOT
}
