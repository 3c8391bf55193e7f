# What is done about events that were lost, and about instances that no hook saw.

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

    - `mode`: `correct` registers what is in service, deregisters what is gone and starts the drain
      (or the registration) that an instance waits for in vain; `observe` only reports.
    - `interval_minutes`: how often, 1 to 1440. An instance whose event was lost waits so long with
      nobody to keep its hook alive. In the mode `correct` both heartbeat timeouts must be longer than
      two intervals and the grace, since a run can fail.
    - `grace_seconds`: how long after the first look a difference must still be there, 10 to 300.
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
