# What runs on the instance: one document, one step, whose script is flush.sh, with parameters that
# nothing but their own patterns and values fits. The script itself is tested in
# ../../tests/flush_document.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "agents"
  flush = {
    buffer_paths            = ["/var/log/fluent/buffer", "/data/worker*/x"]
    backup_paths            = ["/var/log/fluent/backup", "/var/log/fluent/failed"]
    service_name            = "td-agent"
    workers                 = 2
    monitor_agent_port      = 25000
    monitor_agent_required  = true
    wait_seconds            = 40
    quiet_seconds           = 6
    command_timeout_seconds = 70
  }
  alarms = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "document_has_one_fixed_step" {
  command = plan

  assert {
    condition     = aws_ssm_document.flush[0].name == "fluentd-flush" && aws_ssm_document.flush[0].document_type == "Command" && aws_ssm_document.flush[0].document_format == "JSON" && aws_ssm_document.flush[0].target_type == "/AWS::EC2::Instance"
    error_message = "The document's name and kind are agreed."
  }
  assert {
    condition = jsonencode([
      jsondecode(aws_ssm_document.flush[0].content).schemaVersion,
      [for step in jsondecode(aws_ssm_document.flush[0].content).mainSteps : [step.action, step.precondition, step.inputs.timeoutSeconds, keys(step.inputs)]],
    ]) == jsonencode(["2.2", [["aws:runShellScript", { StringEquals = ["platformType", "Linux"] }, "70", ["runCommand", "timeoutSeconds"]]]])
    error_message = "One step that runs a script, for as long as the function waits: ${aws_ssm_document.flush[0].content}"
  }
  assert {
    condition     = endswith(join("\n", jsondecode(aws_ssm_document.flush[0].content).mainSteps[0].inputs.runCommand), "\n${trimspace(file("flush.sh"))}")
    error_message = "What runs is the tested script, unchanged."
  }
  assert {
    # Ten parameters, ten placeholders.
    condition     = length(regexall("{{|}}", join("\n", jsondecode(aws_ssm_document.flush[0].content).mainSteps[0].inputs.runCommand))) == 22
    error_message = "SSM would take double braces in the script for a parameter."
  }
  assert {
    condition     = length(aws_ssm_document.flush[0].content) < 65536
    error_message = "SSM allows documents of 64 KB."
  }
}

run "parameters_have_the_inputs_as_defaults" {
  command = plan

  assert {
    condition = jsonencode({ for name, parameter in jsondecode(aws_ssm_document.flush[0].content).parameters : name => parameter.default }) == jsonencode({
      BackupPaths          = "/var/log/fluent/backup /var/log/fluent/failed"
      BufferPaths          = "/var/log/fluent/buffer /data/worker*/x"
      Method               = "signal"
      MonitorAgentPort     = "25000"
      MonitorAgentRequired = "true"
      QuietSeconds         = "6"
      RpcPort              = "24444"
      Service              = "td-agent"
      Signal               = "true"
      WaitSeconds          = "40"
      Workers              = "2"
    })
    error_message = "The waiter sends no parameters, so the defaults decide: ${aws_ssm_document.flush[0].content}"
  }
  assert {
    condition = slice(jsondecode(aws_ssm_document.flush[0].content).mainSteps[0].inputs.runCommand, 0, 12) == [
      "BACKUP_PATHS='{{ BackupPaths }}'",
      "BUFFER_PATHS='{{ BufferPaths }}'",
      "METHOD='{{ Method }}'",
      "MONITOR_AGENT_PORT='{{ MonitorAgentPort }}'",
      "MONITOR_AGENT_REQUIRED='{{ MonitorAgentRequired }}'",
      "QUIET_SECONDS='{{ QuietSeconds }}'",
      "RPC_PORT='{{ RpcPort }}'",
      "SERVICE='{{ Service }}'",
      "SIGNAL='{{ Signal }}'",
      "WAIT_SECONDS='{{ WaitSeconds }}'",
      "WORKERS='{{ Workers }}'",
      "#!/bin/sh",
    ]
    error_message = "Each parameter becomes one quoted variable, and nothing else comes before the script."
  }
}

run "no_parameter_lets_a_quote_pass" {
  command = plan

  assert {
    condition = alltrue([
      for name, parameter in jsondecode(aws_ssm_document.flush[0].content).parameters :
      parameter.type == "String" && contains(keys(parameter), "allowedValues") != contains(keys(parameter), "allowedPattern")
    ])
    error_message = "Every parameter is a string of a pattern or one of a few values."
  }
  assert {
    condition = alltrue(flatten([
      for name, parameter in jsondecode(aws_ssm_document.flush[0].content).parameters : [
        for evil in ["'", "'; reboot; '", "/x' /y", "$(reboot)", "`reboot`", "/x\n/y", "/x;/y", "/x\"", "1 2", "-1", "relative"] :
        !can(regex(parameter.allowedPattern, evil))
      ] if contains(keys(parameter), "allowedPattern")
    ]))
    error_message = "SSM puts values into the script as they are: ${aws_ssm_document.flush[0].content}"
  }
  assert {
    condition = alltrue([
      for name, parameter in jsondecode(aws_ssm_document.flush[0].content).parameters :
      contains(keys(parameter), "allowedPattern") ? can(regex(parameter.allowedPattern, parameter.default)) : contains(parameter.allowedValues, parameter.default)
    ])
    error_message = "Every default must be allowed."
  }
  assert {
    condition     = jsondecode(aws_ssm_document.flush[0].content).parameters.Service.allowedValues == ["td-agent"]
    error_message = "SIGUSR1 ends most programs: no caller may send it to another unit by this document."
  }
}

run "defaults_at_their_limits_fit_the_patterns" {
  command = plan
  variables {
    flush = {
      buffer_paths            = [for number in range(20) : "/var/log/fluent.d/buffer-${number}/s3.*"]
      backup_paths            = [for number in range(20) : "/var/log/fluent.d/failed-${number}"]
      service_name            = "calyptia-fluentd@1:2.service"
      method                  = "rpc"
      rpc_port                = 65535
      monitor_agent_port      = 65472
      workers                 = 64
      wait_seconds            = 0
      quiet_seconds           = 600
      command_timeout_seconds = 880
    }
    lambda = merge(var.lambda, { flush_waiter_timeout_seconds = 900 })
    timing = { terminate_heartbeat_timeout_seconds = 7200 }
  }

  assert {
    condition = alltrue([
      for name, parameter in jsondecode(aws_ssm_document.flush[0].content).parameters :
      contains(keys(parameter), "allowedPattern") ? can(regex(parameter.allowedPattern, parameter.default)) : contains(parameter.allowedValues, parameter.default)
    ])
    error_message = "Whatever the input allows, the document must allow: ${aws_ssm_document.flush[0].content}"
  }
}

run "places_of_a_secondary_that_are_not_stated_are_unknown" {
  command = plan
  variables {
    flush = { buffer_paths = ["/var/log/fluentd"] }
  }

  assert {
    condition     = [for name in ["BackupPaths", "MonitorAgentRequired"] : jsondecode(aws_ssm_document.flush[0].content).parameters[name].default] == ["", "true"]
    error_message = "What is not stated is not known, and monitor_agent is required."
  }
}

run "no_secondary_on_the_instance_is_stated" {
  command = plan
  variables {
    flush = { buffer_paths = ["/var/log/fluentd"], backup_paths = [] }
  }

  assert {
    condition     = jsondecode(aws_ssm_document.flush[0].content).parameters.BackupPaths.default == "none"
    error_message = "An empty list says that no <secondary> writes on the instance."
  }
}
