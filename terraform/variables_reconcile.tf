# The reconciler, for events that were lost and instances that are older than the hooks.

variable "reconcile" {
  type = object({
    mode             = optional(string, "correct")
    interval_minutes = optional(number, 5)
    grace_seconds    = optional(number, 60)
  })
  default     = {}
  nullable    = false
  description = <<-EOT
    How the group, Cloud Map and EC2 are compared, and what is done about a difference.

    Each run also asks whether each instance in service could be proven empty today: by Prometheus, and,
    with `flush`, by its SSM agent and one look at its Fluentd, which asks for no flush.

    - `mode`: `correct` registers what is in service, deregisters what is gone, and starts the drain or
      the registration of an instance whose event was lost; `observe` only reports, and its role may do
      no more (with `flush`, it may also look, and write that on the instance as a tag).
    - `interval_minutes`: how often, 1 to 1440. The hook of an instance whose event was lost gets no
      heartbeat for so long. In the mode `correct` both heartbeat timeouts must be longer than two
      intervals and the grace period, since a run can fail.
    - `grace_seconds`: how long after the first snapshot a difference must still be there, 10 to 300.
  EOT

  validation {
    condition     = contains(["correct", "observe"], var.reconcile.mode)
    error_message = "reconcile.mode must be correct or observe: what to do about a difference."
  }

  validation {
    condition     = var.reconcile.interval_minutes >= 1 && var.reconcile.interval_minutes <= 1440 && floor(var.reconcile.interval_minutes) == var.reconcile.interval_minutes
    error_message = "reconcile.interval_minutes must be a whole number from 1 to 1440."
  }

  validation {
    condition     = var.reconcile.grace_seconds >= 10 && var.reconcile.grace_seconds <= 300 && floor(var.reconcile.grace_seconds) == var.reconcile.grace_seconds
    error_message = "reconcile.grace_seconds must be a whole number from 10 to 300: long enough for a registration to end, short enough for the function's timeout."
  }
}
