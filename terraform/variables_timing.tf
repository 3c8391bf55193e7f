# All timeouts and intervals, in seconds. Each number is checked on its own here; the conditions between
# them are in timing.tf.

variable "timing" {
  type = object({
    drain_timeout_seconds               = optional(number, 3600)
    empty_for_seconds                   = optional(number, 300)
    settle_seconds                      = optional(number)
    dns_propagation_seconds             = optional(number, 60)
    forwarder_refresh_seconds           = optional(number, 60)
    forwarder_flush_interval_seconds    = optional(number, 60)
    poll_interval_seconds               = optional(number, 15)
    poll_interval_max_seconds           = optional(number, 120)
    operation_poll_interval_seconds     = optional(number, 5)
    operation_timeout_seconds           = optional(number, 600)
    launch_heartbeat_timeout_seconds    = optional(number, 900)
    terminate_heartbeat_timeout_seconds = optional(number, 3600)
    max_receive_count                   = optional(number)
    visibility_timeout_seconds          = optional(number)
  })
  default     = {}
  nullable    = false
  description = <<-EOT
    The timing budget. Whole seconds throughout.

    - `drain_timeout_seconds`: how long the buffer stage may take to prove an instance empty before the
      operator is paged, 1 to 172800. Longer than your longest `timekey` or `flush_interval`.
    - `empty_for_seconds`: how long an instance must have been empty and quiet to be released, 1 to
      86400.
    - `settle_seconds`: how long forwarders may go on sending after deregistration, 0 to 3600. By
      default `dns_propagation_seconds` + `dns_ttl_seconds` + `forwarder_refresh_seconds` + 3, rounded
      up to 5.
    - `dns_propagation_seconds`: how long Route 53's name servers may show an instance after Cloud Map
      reports that it is deregistered, 0 to 3600. Route 53 names 60 seconds as usual.
    - `forwarder_refresh_seconds`: `interval` of the forwarders' `sd_srv`, 1 to 3600.
    - `forwarder_flush_interval_seconds`: the longest `flush_interval` of the forwarders'
      `out_forward`, 1 to 600. With `cloud_map` and without `prometheus`, `flush.quiet_seconds` must be
      as long.
    - `poll_interval_seconds`: the pause between two polls of an instance where nothing tells when the
      answer could be yes, 1 to 43200.
    - `poll_interval_max_seconds`: the longest pause between two polls, 1 to 43200, as far as the timing
      budget allows: 600, and a sixth of both heartbeat timeouts.
    - `operation_poll_interval_seconds`: the pause between two polls of a Cloud Map operation, 1 to
      43200.
    - `operation_timeout_seconds`: how long Cloud Map may take to register or deregister before the
      operator is paged, 1 to 172800.
    - `launch_heartbeat_timeout_seconds`: how long EC2 Auto Scaling waits for the next heartbeat before
      it replaces a launching instance, 30 to 7200.
    - `terminate_heartbeat_timeout_seconds`: how long it waits before it ends a terminating instance;
      also how long the operator has to act after a waiter timed out (a third of it if heartbeats fail),
      30 to 7200.
    - `max_receive_count`: after how many deliveries SQS dead-letters a message, 1 to 1000. By default
      computed per queue: timeout / poll interval + 10. It is for a waiter that crashes; one that runs
      keeps to the timeouts.
    - `visibility_timeout_seconds`: after how long a message whose waiter crashed is delivered again, 1
      to 43200. By default 6 x the function's timeout.
  EOT

  validation {
    condition     = alltrue([for key, value in var.timing : value == null ? true : floor(value) == value])
    error_message = "Every number in timing must be whole: AWS counts these seconds in integers."
  }

  validation {
    condition     = var.timing.drain_timeout_seconds >= 1 && var.timing.drain_timeout_seconds <= 172800
    error_message = "timing.drain_timeout_seconds must be between 1 and 172800 (48 hours, the longest any lifecycle action can last)."
  }

  validation {
    condition     = var.timing.empty_for_seconds >= 1 && var.timing.empty_for_seconds <= 86400
    error_message = "timing.empty_for_seconds must be between 1 and 86400."
  }

  validation {
    condition     = var.timing.settle_seconds == null ? true : var.timing.settle_seconds >= 0 && var.timing.settle_seconds <= 3600
    error_message = "timing.settle_seconds must be between 0 and 3600; leave it out to have it computed from the TTL, the propagation and the forwarders' refresh interval."
  }

  validation {
    condition     = var.timing.forwarder_refresh_seconds >= 1 && var.timing.forwarder_refresh_seconds <= 3600
    error_message = "timing.forwarder_refresh_seconds must be between 1 and 3600: the interval of the forwarders' sd_srv (60 unless they set it)."
  }

  validation {
    condition     = var.timing.dns_propagation_seconds >= 0 && var.timing.dns_propagation_seconds <= 3600
    error_message = "timing.dns_propagation_seconds must be between 0 and 3600. Route 53 usually shows a change on all name servers within 60 seconds: leave it out for 60."
  }

  validation {
    condition     = var.timing.forwarder_flush_interval_seconds >= 1 && var.timing.forwarder_flush_interval_seconds <= 600
    error_message = "timing.forwarder_flush_interval_seconds must be between 1 and 600: the longest flush_interval of the forwarders' out_forward (60 unless they set it)."
  }

  validation {
    condition     = var.timing.poll_interval_seconds >= 1 && var.timing.poll_interval_seconds <= 43200
    error_message = "timing.poll_interval_seconds must be between 1 and 43200 (12 hours, the longest that SQS can hide a message)."
  }

  validation {
    condition     = var.timing.poll_interval_max_seconds >= 1 && var.timing.poll_interval_max_seconds <= 43200
    error_message = "timing.poll_interval_max_seconds must be between 1 and 43200 (12 hours, the longest that SQS can hide a message)."
  }

  validation {
    condition     = var.timing.operation_poll_interval_seconds >= 1 && var.timing.operation_poll_interval_seconds <= 43200
    error_message = "timing.operation_poll_interval_seconds must be between 1 and 43200 (12 hours, the longest that SQS can hide a message)."
  }

  validation {
    condition     = var.timing.operation_timeout_seconds >= 1 && var.timing.operation_timeout_seconds <= 172800
    error_message = "timing.operation_timeout_seconds must be between 1 and 172800 (48 hours, the longest any lifecycle action can last)."
  }

  validation {
    condition     = var.timing.launch_heartbeat_timeout_seconds >= 30 && var.timing.launch_heartbeat_timeout_seconds <= 7200
    error_message = "timing.launch_heartbeat_timeout_seconds must be between 30 and 7200, the limits of a lifecycle hook."
  }

  validation {
    condition     = var.timing.terminate_heartbeat_timeout_seconds >= 30 && var.timing.terminate_heartbeat_timeout_seconds <= 7200
    error_message = "timing.terminate_heartbeat_timeout_seconds must be between 30 and 7200, the limits of a lifecycle hook. A longer drain needs no longer heartbeat timeout: the waiters send heartbeats."
  }

  validation {
    condition     = var.timing.max_receive_count == null ? true : var.timing.max_receive_count >= 1 && var.timing.max_receive_count <= 1000
    error_message = "timing.max_receive_count must be between 1 and 1000, the limits of SQS; leave it out to have it computed."
  }

  validation {
    condition     = var.timing.visibility_timeout_seconds == null ? true : var.timing.visibility_timeout_seconds >= 1 && var.timing.visibility_timeout_seconds <= 43200
    error_message = "timing.visibility_timeout_seconds must be between 1 and 43200 (12 hours, the longest that SQS can hide a message); leave it out for 6 x the function's timeout."
  }
}
