# The pauses in an instance's life on which everything rests. While a hook waits, EC2 Auto Scaling
# neither puts a new instance in service nor ends an old one. Instances that nobody has to find in
# Cloud Map may start at once: for them there is no launch hook.
#
# ABANDON is the default result of both. For a launch it means: not registered in time, so replaced.
# For a termination, CONTINUE and ABANDON both end the instance, except in a group whose instance
# lifecycle policy retains on abandon (TerminateHookAbandon = retain): there ABANDON alone keeps an
# aggregator that nobody could prove empty.

locals {
  all_hooks = {
    launch = {
      name                 = local.hook_names.launch
      lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
      default_result       = "ABANDON"
      heartbeat_timeout    = var.timing.launch_heartbeat_timeout_seconds
    }
    terminate = {
      name                 = local.hook_names.terminate
      lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
      default_result       = "ABANDON"
      heartbeat_timeout    = var.timing.terminate_heartbeat_timeout_seconds
    }
  }
  hooks = { for key, hook in local.all_hooks : key => hook if key != "launch" || local.uses.operation }
}

resource "aws_autoscaling_lifecycle_hook" "this" {
  for_each = local.hooks

  autoscaling_group_name = var.autoscaling_group_name
  name                   = each.value.name
  lifecycle_transition   = each.value.lifecycle_transition
  default_result         = each.value.default_result
  heartbeat_timeout      = each.value.heartbeat_timeout

  # An instance must not be made to wait before there is something that can let it go on. The other
  # way round, `terraform destroy` takes the hooks away first.
  depends_on = [
    aws_cloudwatch_event_target.lifecycle,
    aws_lambda_permission.lifecycle_from_rule,
    aws_lambda_function_event_invoke_config.lifecycle,
    aws_lambda_event_source_mapping.stage,
  ]
}
