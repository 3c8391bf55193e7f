# Which stages are in use. An input that is null turns its stage off; all conditions on that are on
# `local.uses`.

locals {
  uses = {
    operation = var.cloud_map != null
    flush     = var.flush != null
    buffer    = var.prometheus != null
    readiness = try(var.cloud_map.readiness, "off") != "off"
  }

  # The stages that prove a terminating instance empty, in their order; and the stage into which the
  # lifecycle handler and the reconciler put an instance.
  draining_stages = [for stage in ["flush", "buffer"] : stage if local.uses[stage]]
  first_stage     = local.uses.operation ? "operation" : local.draining_stages[0]
}
