# The lifecycle hooks. While a hook holds an instance, EC2 Auto Scaling neither puts it in service nor
# ends it. Without Cloud Map there is no launch hook: the instances go in service at once.
#
# The default result of both hooks is ABANDON. A launching instance that is not registered in time is
# replaced. For a termination, CONTINUE and ABANDON both end the instance, except in a group whose
# instance lifecycle policy retains on abandon (TerminateHookAbandon = retain): there ABANDON keeps an
# instance that was not proven empty.

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

  # A hook must not hold an instance before something can release it. In turn, `terraform destroy` removes
  # the hooks first.
  depends_on = [
    aws_cloudwatch_event_target.lifecycle,
    aws_lambda_permission.lifecycle_from_rule,
    aws_lambda_function_event_invoke_config.lifecycle,
    aws_lambda_event_source_mapping.stage,
  ]
}
