# What runs on the instance: one document with one step, whose script is flush.sh. The functions may
# send this document only. All parameters have a default from `flush`; the reconciler alone gives another
# value, to `Signal`: it looks at an instance in service, and asks for no flush.
# An operator may give other values that fit the same patterns, but not another unit to signal: SIGUSR1
# ends most programs that are not Fluentd.

locals {
  flush_parameters = {
    Service = {
      variable    = "SERVICE"
      description = "Fluentd's systemd unit."
      value       = try(var.flush.service_name, "")
      allowed     = { allowedValues = [try(var.flush.service_name, "")] }
    }
    Method = {
      variable    = "METHOD"
      description = "signal: SIGUSR1 to the unit's main process. rpc: Fluentd's rpc_endpoint on loopback."
      value       = try(var.flush.method, "")
      allowed     = { allowedValues = ["signal", "rpc"] }
    }
    Signal = {
      variable    = "SIGNAL"
      description = "true: ask Fluentd to flush, and wait. false: only look, once."
      value       = "true"
      allowed     = { allowedValues = ["true", "false"] }
    }
    RpcPort = {
      variable    = "RPC_PORT"
      description = "Port of the rpc_endpoint."
      value       = tostring(try(var.flush.rpc_port, 0))
      allowed     = { allowedPattern = "^[0-9]{1,5}$" }
    }
    BufferPaths = {
      variable    = "BUFFER_PATHS"
      description = "Folders with Fluentd's chunk files, separated by spaces."
      value       = join(" ", try(var.flush.buffer_paths, []))
      allowed     = { allowedPattern = "^(/[A-Za-z0-9._@%+=:,~*?-]+)+( (/[A-Za-z0-9._@%+=:,~*?-]+)+)*$" }
    }
    BackupPaths = {
      variable    = "BACKUP_PATHS"
      description = "Where a <secondary> writes on the instance, separated by spaces; none: nowhere; empty: not known."
      value       = try(length(var.flush.backup_paths) == 0 ? "none" : join(" ", var.flush.backup_paths), "")
      allowed     = { allowedPattern = "^(none|(/[A-Za-z0-9._@%+=:,~-]+)+( (/[A-Za-z0-9._@%+=:,~-]+)+)*)?$" }
    }
    MonitorAgentPort = {
      variable    = "MONITOR_AGENT_PORT"
      description = "Port of the first worker's monitor_agent on loopback; 0: not queried."
      value       = tostring(try(var.flush.monitor_agent_port, 0))
      allowed     = { allowedPattern = "^[0-9]{1,5}$" }
    }
    MonitorAgentRequired = {
      variable    = "MONITOR_AGENT_REQUIRED"
      description = "Whether it is an error if monitor_agent does not answer."
      value       = tostring(try(var.flush.monitor_agent_required, true))
      allowed     = { allowedValues = ["true", "false"] }
    }
    Workers = {
      variable    = "WORKERS"
      description = "How many workers Fluentd has."
      value       = tostring(try(var.flush.workers, 0))
      allowed     = { allowedPattern = "^[1-9][0-9]?$" }
    }
    WaitSeconds = {
      variable    = "WAIT_SECONDS"
      description = "How many seconds to wait for the flush to end."
      value       = tostring(try(var.flush.wait_seconds, 0))
      allowed     = { allowedPattern = "^[0-9]{1,3}$" }
    }
    QuietSeconds = {
      variable    = "QUIET_SECONDS"
      description = "For how many seconds after that nothing may come in."
      value       = tostring(local.flush_quiet_seconds)
      allowed     = { allowedPattern = "^[1-9][0-9]{0,2}$" }
    }
  }

  flush_document = {
    schemaVersion = "2.2"
    description   = "Flushes Fluentd and reports in one line of JSON what is left on the instance. Created by ${var.name} for the instances of ${var.autoscaling_group_name}."
    parameters = {
      for name, parameter in local.flush_parameters : name => merge(
        { type = "String", description = parameter.description, default = parameter.value },
        parameter.allowed,
      )
    }
    mainSteps = [{
      action       = "aws:runShellScript"
      name         = "flush"
      precondition = { StringEquals = ["platformType", "Linux"] }
      inputs = {
        timeoutSeconds = tostring(local.flush_command_timeout_seconds)
        # SSM replaces each {{ Name }} by the bare text of its value; no pattern lets a quote pass.
        runCommand = concat(
          [for name, parameter in local.flush_parameters : "${parameter.variable}='{{ ${name} }}'"],
          split("\n", trimspace(file("${path.module}/flush.sh"))),
        )
      }
    }]
  }
}

resource "aws_ssm_document" "flush" {
  count = local.uses.flush ? 1 : 0

  name            = local.flush_document_name
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"
  content         = jsonencode(local.flush_document)
  tags            = local.tags
}
