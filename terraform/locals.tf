# All names and ARNs. ARNs are computed rather than read from the resources: policies are known, and can
# be reviewed, at plan time; no two resources depend on each other; the group need not exist yet.

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_service.current.region

  hook_names = {
    launch    = "${var.name}-launch"
    terminate = "${var.name}-terminate"
  }
  rule_name = "${var.name}-lifecycle"
  interruption_rule_names = {
    spot          = "${var.name}-spot"
    shutting-down = "${var.name}-shutting-down"
    ended         = "${var.name}-ended"
  }

  function_names = {
    lifecycle    = "${var.name}-lifecycle"
    interruption = "${var.name}-interruption"
    operation    = "${var.name}-operation-waiter"
    flush        = "${var.name}-flush-waiter"
    buffer       = "${var.name}-buffer-waiter"
    evidence     = "${var.name}-evidence"
    reconcile    = "${var.name}-reconciler"
  }

  # The stages' queues, that of EC2's events, and three dead-letter queues for what fails before the first stage.
  queue_names = {
    operation = "${var.name}-operation"
    flush     = "${var.name}-flush"
    buffer    = "${var.name}-buffer"

    interruption = "${var.name}-interruption"
  }
  dead_letter_queue_names = {
    operation    = "${var.name}-operation-dlq"
    flush        = "${var.name}-flush-dlq"
    buffer       = "${var.name}-buffer-dlq"
    lifecycle    = "${var.name}-lifecycle-dlq"
    interruption = "${var.name}-interruption-dlq"
    event        = "${var.name}-event-dlq"
  }

  # The state tag, the tags of its owner, of a counted end, of failing heartbeats, of a look, of
  # a flaw that the standing check found, of readiness and of a cleared queue, as the functions write them (lifecycle/decisions/marks.py and heartbeats.py).
  mark_tag_key    = "fluentd-lifecycle"
  owner_tag_key   = "fluentd-lifecycle-owner"
  failing_tag_key = "fluentd-lifecycle-heartbeats-failing"
  counted_tag_key = "fluentd-lifecycle-unclean"
  looked_tag_key  = "fluentd-lifecycle-looked"

  not_ready_tag_key     = "fluentd-lifecycle-not-ready"
  not_provable_tag_key  = "fluentd-lifecycle-not-provable"
  queue_cleared_tag_key = "fluentd-lifecycle-queue-cleared"

  flush_document_name = "${var.name}-flush"

  sqs_arn_prefix         = "arn:${local.partition}:sqs:${local.region}:${local.account_id}"
  queue_arns             = { for key, name in local.queue_names : key => "${local.sqs_arn_prefix}:${name}" }
  dead_letter_queue_arns = { for key, name in local.dead_letter_queue_names : key => "${local.sqs_arn_prefix}:${name}" }

  # The group, and those whose drains are finished. A group's ARN holds an id that only EC2 Auto Scaling
  # knows; its name alone identifies it. Policies name a single one without a list.
  group_names           = concat([var.autoscaling_group_name], var.former_group_names)
  group_name_pattern    = try(one(local.group_names), local.group_names)
  autoscaling_group_arn = try(one(local.group_arns), local.group_arns)
  group_arns            = [for name in local.group_names : "arn:${local.partition}:autoscaling:${local.region}:${local.account_id}:autoScalingGroup:*:autoScalingGroupName/${name}"]
  flush_document_arn    = "arn:${local.partition}:ssm:${local.region}:${local.account_id}:document/${local.flush_document_name}"
  rule_arn              = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${local.rule_name}"
  interruption_rule_arns = {
    for key in keys(local.interruption_rules) : key => "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${local.interruption_rule_names[key]}"
  }
  function_arns  = { for key, name in local.function_names : key => "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${name}" }
  log_group_arns = { for key, name in local.function_names : key => "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/lambda/${name}" }
}
