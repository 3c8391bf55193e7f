# The examples that make more than a call of the module can be planned as they are, and their parts
# fit together.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "agents_to_s3" {
  command = plan
  module {
    source = "./examples/agents-to-s3"
  }
  variables {
    subnet_ids     = ["subnet-0a", "subnet-0b"]
    on_call_email  = "on-call@example.com"
    lambda_package = "versions.tf" # any file will do
  }

  assert {
    condition     = jsonencode([for hook in aws_autoscaling_group.web.initial_lifecycle_hook : [hook.name, hook.lifecycle_transition, hook.default_result]]) == jsonencode([["web-logs-terminate", "autoscaling:EC2_INSTANCE_TERMINATING", "ABANDON"]])
    error_message = "The group has the terminate hook from the start, and no launch waits."
  }
  assert {
    condition     = aws_autoscaling_group.web.name == "web-logs-web" && length(aws_autoscaling_group.web.vpc_zone_identifier) == 2
    error_message = "The group that is flushed is the one that is made."
  }
  assert {
    condition     = endswith(aws_iam_role_policy_attachment.ssm.policy_arn, "/AmazonSSMManagedInstanceCore")
    error_message = "Without it SSM does not know the instances."
  }
  assert {
    condition     = output.flush_document_name == "web-logs-flush" && output.flush_log_group_name == "/aws/lambda/web-logs-flush-waiter"
    error_message = "The walk through reads these."
  }
  assert {
    condition     = strcontains(file("examples/agents-to-s3/fluentd.conf"), "root_dir \"#{ENV['FLUENTD_ROOT_DIR']}\"") && local.fluentd_root_dir == "/var/lib/fluent"
    error_message = "Fluentd must buffer where the module looks."
  }
}
