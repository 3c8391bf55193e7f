# What to save of an instance that the functions give up on, beside keeping it waiting.

variable "snapshots" {
  type = object({
    device_names = optional(list(string))
  })
  default     = null
  description = <<-EOT
    EBS snapshots of an instance's volumes, made when any stage gives up on it while it is being
    terminated (its waiter sends its message to a dead-letter queue) and tagged
    `fluentd-lifecycle-rescue` = the instance's id, by which the runbooks find them. They cost what EBS
    snapshots cost until you delete them. Unset: none are made.

    - `device_names`: the volumes with Fluentd's buffers, by the names under which EC2 attaches them
      (`/dev/sdb`, `/dev/xvda`), 1 to 20. By default, and where an instance has none of them, all of
      the instance's volumes.
  EOT

  validation {
    condition     = try(var.snapshots.device_names, null) == null ? true : length(var.snapshots.device_names) >= 1 && length(var.snapshots.device_names) <= 20
    error_message = "snapshots.device_names must name 1 to 20 volumes; leave it out (snapshots = {}) for all of an instance's volumes, and snapshots itself for none."
  }

  validation {
    condition     = try(var.snapshots.device_names, null) == null ? true : alltrue([for name in var.snapshots.device_names : can(regex("^(/dev/)?(sd|xvd)[a-z]{1,2}[0-9]{0,2}$", name))])
    error_message = "snapshots.device_names must hold names under which EC2 attaches volumes, such as /dev/sdb or /dev/xvda (aws ec2 describe-instances shows them), not what the instance calls them (/dev/nvme1n1)."
  }
}
