# How to flush Fluentd on the instance, and where to check that it did. The values become the defaults of
# the SSM document (flush_document.tf), so only characters that are safe in a shell are accepted.

variable "flush" {
  type = object({
    buffer_paths             = list(string)
    backup_paths             = optional(list(string))
    service_name             = optional(string, "fluentd")
    method                   = optional(string, "signal")
    rpc_port                 = optional(number, 24444)
    monitor_agent_port       = optional(number, 24220)
    monitor_agent_required   = optional(bool, true)
    workers                  = optional(number, 1)
    wait_seconds             = optional(number, 20)
    quiet_seconds            = optional(number)
    longest_hold_seconds     = optional(number, 0)
    command_timeout_seconds  = optional(number)
    delivery_timeout_seconds = optional(number, 60)
    timeout_seconds          = optional(number, 3600)
  })
  default     = null
  description = <<-EOT
    Flush Fluentd on a terminating instance, through SSM Run Command, until no chunk file is left on
    it. Unset: not done; `prometheus` alone decides.

    - `buffer_paths`: the folders that hold Fluentd's chunk files: `path` of each `<buffer>`, or
      `root_dir`, which holds them all; 1 to 20 absolute paths. Folders below count, `*` and `?` stand
      for any name, and a prefix (`/DIR/PREFIX.*`) for its folder. A folder that does not exist keeps
      the instance.
    - `backup_paths`: where a `<secondary>` of yours writes on the instance: folders, or the beginnings of
      file names; up to 20. A file there keeps the instance and pages the operator, since it would end
      with the instance. `[]`: none writes on the instance. By default the folders of fluent-package's own
      configuration, and a chunk that went to any `<secondary>` pages (Fluentd 1.19 or later counts them).
      What Fluentd itself backs up is found without being named.
    - `service_name`: Fluentd's systemd unit: `fluentd`, `td-agent`, `calyptia-fluentd` or another.
    - `method`: `signal` (SIGUSR1 to the unit's main process) or `rpc` (`rpc_endpoint` on loopback, for
      a Fluentd that systemd does not run).
    - `rpc_port`: port of `rpc_endpoint`, 1 to 65535; only used by `rpc`.
    - `monitor_agent_port`: port of the first worker's `monitor_agent` on loopback; its counters must be
      0, too. 0: not queried; then set `monitor_agent_required = false`, too.
    - `monitor_agent_required`: keep the instance if `monitor_agent` does not answer. Nothing else shows a
      memory buffer, which is what Fluentd uses without `@type`, nor where `root_dir` is.
    - `workers`: how many workers Fluentd has, 1 to 64; each has its own `monitor_agent`.
    - `wait_seconds`: how long one command waits for the flush to end, 0 to 600.
    - `quiet_seconds`: for how long after that nothing may come in, 1 to 600. By default 5; with
      `cloud_map` and without `prometheus`, `timing.forwarder_flush_interval_seconds`.
    - `longest_hold_seconds`: for how long an input or a filter of yours keeps a record before an output
      has it, which nothing can see: the longest `refresh_interval` and `multiline_flush_interval` of
      `in_tail` and `flush_interval` of `concat`. It must be below `quiet_seconds`.
    - `command_timeout_seconds`: how long the function waits for the answer of a command before it
      sends another, 6 to 880. By default `wait_seconds` + `quiet_seconds` + 30.
    - `delivery_timeout_seconds`: how long SSM tries to reach the instance's agent, 30 to 3600.
    - `timeout_seconds`: how long all of it may take before the operator is paged, 1 to 172800.
  EOT

  validation {
    condition     = var.flush != null || var.prometheus != null
    error_message = "The module needs flush, prometheus or both: without them nothing could prove that a terminating instance holds no more logs, and it would be kept until its hook times out. Set flush to flush Fluentd on the instance, prometheus to watch its buffers."
  }

  validation {
    condition = var.flush == null ? true : length(var.flush.buffer_paths) >= 1 && length(var.flush.buffer_paths) <= 20 && alltrue([
      for path in var.flush.buffer_paths : can(regex("^(/[A-Za-z0-9._@%+=:,~*?-]+)+$", path))
    ])
    error_message = "flush.buffer_paths must hold 1 to 20 absolute paths without a slash at the end, of letters, digits and . _ @ % + = : , ~ - and the wildcards * and ?."
  }

  validation {
    condition = var.flush == null ? true : length(coalesce(var.flush.backup_paths, [])) <= 20 && alltrue([
      for path in coalesce(var.flush.backup_paths, []) : can(regex("^(/[A-Za-z0-9._@%+=:,~-]+)+$", path))
    ])
    error_message = "flush.backup_paths must hold at most 20 absolute paths without a slash at the end, of letters, digits and . _ @ % + = : , ~ -, without wildcards: folders below count anyway."
  }

  validation {
    condition = var.flush == null ? true : alltrue(flatten([
      for backup in coalesce(var.flush.backup_paths, []) : [for buffer in var.flush.buffer_paths : !startswith("${buffer}/", "${backup}/")]
    ]))
    error_message = "flush.backup_paths must not hold a folder of flush.buffer_paths: every chunk in it would count as backed up."
  }

  validation {
    condition     = var.flush == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9@._:-]{0,127}$", var.flush.service_name))
    error_message = "flush.service_name must be the name of Fluentd's systemd unit, such as fluentd, td-agent or calyptia-fluentd: letters, digits and @ . _ : -, not starting with one of those."
  }

  validation {
    condition     = var.flush == null ? true : contains(["signal", "rpc"], var.flush.method)
    error_message = "flush.method must be signal (systemd runs Fluentd) or rpc (it has an rpc_endpoint)."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.rpc_port >= 1 && var.flush.rpc_port <= 65535 && floor(var.flush.rpc_port) == var.flush.rpc_port
    error_message = "flush.rpc_port must be a whole number from 1 to 65535: the port of Fluentd's rpc_endpoint."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.workers >= 1 && var.flush.workers <= 64 && floor(var.flush.workers) == var.flush.workers
    error_message = "flush.workers must be a whole number from 1 to 64: `workers` in Fluentd's <system> section."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.monitor_agent_port >= 0 && var.flush.monitor_agent_port + var.flush.workers - 1 <= 65535 && floor(var.flush.monitor_agent_port) == var.flush.monitor_agent_port
    error_message = "flush.monitor_agent_port must be a whole number from 1 to 65535, and so must the ports of the other workers, which count up from it; 0 if monitor_agent is not to be queried."
  }

  validation {
    condition     = var.flush == null ? true : !var.flush.monitor_agent_required || var.flush.monitor_agent_port > 0
    error_message = "flush.monitor_agent_required needs flush.monitor_agent_port above 0."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.wait_seconds >= 0 && var.flush.wait_seconds <= 600 && floor(var.flush.wait_seconds) == var.flush.wait_seconds
    error_message = "flush.wait_seconds must be a whole number from 0 to 600. A flush that takes longer needs no longer wait: the next command checks again."
  }

  validation {
    condition     = try(var.flush.quiet_seconds, null) == null ? true : var.flush.quiet_seconds >= 1 && var.flush.quiet_seconds <= 600 && floor(var.flush.quiet_seconds) == var.flush.quiet_seconds
    error_message = "flush.quiet_seconds must be a whole number from 1 to 600: two checks at the same moment cannot show whether anything still comes in."
  }

  validation {
    condition = try(var.flush.command_timeout_seconds, null) == null ? true : (
      var.flush.command_timeout_seconds >= 6 && var.flush.command_timeout_seconds <= 880 && floor(var.flush.command_timeout_seconds) == var.flush.command_timeout_seconds
    )
    error_message = "flush.command_timeout_seconds must be a whole number from 6 to 880, so that it fits into a function of at most 900; leave it out to have it computed."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.delivery_timeout_seconds >= 30 && var.flush.delivery_timeout_seconds <= 3600 && floor(var.flush.delivery_timeout_seconds) == var.flush.delivery_timeout_seconds
    error_message = "flush.delivery_timeout_seconds must be a whole number from 30, the least that SSM accepts, to 3600."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.longest_hold_seconds >= 0
    error_message = "flush.longest_hold_seconds must be at least 0."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.method != "rpc" || var.flush.monitor_agent_port > 0
    error_message = "flush.method rpc needs flush.monitor_agent_port above 0: only monitor_agent says which process is Fluentd."
  }

  validation {
    condition     = var.flush == null ? true : var.flush.timeout_seconds >= 1 && var.flush.timeout_seconds <= 172800 && floor(var.flush.timeout_seconds) == var.flush.timeout_seconds
    error_message = "flush.timeout_seconds must be a whole number from 1 to 172800 (48 hours, the longest any lifecycle action can last)."
  }
}
